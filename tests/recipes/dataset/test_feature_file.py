# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.errors_gem import EcgFormatError
from processing.simulator.simulator import simulate_ecg
from recipes.dataset.feature_file import extract_features_batch, read_features
from recipes.dataset.samples import SAMPLES
from recipes.files import one_writer


@pytest.fixture(scope="module")
def rows():
    rows = []
    for seed in range(5):
        record = simulate_ecg(seed=seed, duration=4).record
        rows.append(
            {
                "id": f"ecg{seed}",
                "signal": np.round(record.signal * 1000).astype(np.int16),
                "gain": 1000.0,
                "sampling_rate": 500.0,
                "lead_names": list(record.leads),
            }
        )
    return rows


@pytest.mark.parametrize("workers", [0, 2])
def test_every_record_gets_a_line_and_a_broken_one_its_reason(rows, tmp_path, workers):
    broken = {"id": "broken", "signal": np.zeros((3, 4, 5)), "sampling_rate": 500.0}
    flat = rows[0] | {"id": "flat", "signal": np.zeros((12, 2000), dtype=np.int16)}
    seen = []
    report = extract_features_batch(
        [*rows, broken, flat],
        tmp_path / "f.jsonl",
        workers=workers,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert report.done == 5 and list(report.failed) == ["broken", "flat"]
    assert "(3, 4, 5)" in report.failed["broken"] and "flat" in report.failed["flat"]
    assert seen[-1] == (7, 7) and str(report) == "5 measured, 0 already there, 2 failed"
    lines = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [row["id"] for row in rows] + ["broken", "flat"], "in the source's order"
    features = dict(read_features(tmp_path / "f.jsonl"))
    assert len(features["ecg3"].beat_times) >= 3 and not (tmp_path / "f.jsonl.part").exists()


def test_a_second_run_on_the_same_file_is_refused_and_adds_no_line(rows, tmp_path):
    output = tmp_path / "f.jsonl"

    def second(done, total):
        with pytest.raises(EcgFormatError, match="another run is writing here"):
            extract_features_batch(rows, output, workers=0)

    extract_features_batch(rows, output, workers=0, progress=second)
    assert len(output.read_text().splitlines()) == len(rows)
    with one_writer(output, EcgFormatError), pytest.raises(EcgFormatError, match=r"f\.jsonl"):
        extract_features_batch(rows, output, workers=0)


def test_a_stopped_run_goes_on_where_it_was(rows, tmp_path):
    output = tmp_path / "f.jsonl"

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_features_batch(rows, output, workers=0, progress=stop)
    part = tmp_path / "f.jsonl.part"
    assert len(part.read_text().splitlines()) == 2 and not output.exists()
    with part.open("a") as file:
        file.write('{"id": "ecg2", "features": {"cut off')
    report = extract_features_batch(rows, output, workers=0)
    assert (report.done, report.resumed) == (3, 2)
    assert {name for name, _ in read_features(output)} == {row["id"] for row in rows}
    again = extract_features_batch(rows, output, workers=0)
    assert (again.done, again.resumed) == (0, 5)
    anew = extract_features_batch(rows, output, workers=0, resume=False)
    assert (anew.done, anew.resumed) == (5, 0)
    assert len(output.read_text().splitlines()) == 5


def test_folders_are_walked_and_ids_are_relative_paths(tmp_path):
    folder = tmp_path / "ecgs" / "inner"
    folder.mkdir(parents=True)
    np.save(folder / "a.npy", simulate_ecg(seed=1, duration=4).record.signal)
    (folder / "b.npy").write_bytes(b"no array")
    report = extract_features_batch(
        tmp_path / "ecgs",
        tmp_path / "f.jsonl",
        workers=0,
        load_kwargs={"sampling_rate": 500, "leads": simulate_ecg(seed=1, duration=2).record.leads},
    )
    assert report.done == 1 and list(report.failed) == ["inner/b.npy"]
    assert [name for name, _ in read_features(tmp_path / "f.jsonl")] == ["inner/a.npy"]


def test_doubled_ids_and_absent_folders_are_refused(rows, tmp_path):
    with pytest.raises(EcgFormatError, match="twice"):
        extract_features_batch([rows[0], rows[0]], tmp_path / "f.jsonl", workers=0)
    with pytest.raises(EcgFormatError, match="no such folder"):
        extract_features_batch(tmp_path / "nowhere", tmp_path / "g.jsonl", workers=0)
    (tmp_path / "bad.jsonl").write_text("nonsense\n")
    with pytest.raises(EcgFormatError, match="line 1"):
        list(read_features(tmp_path / "bad.jsonl"))


ROOT = Path(__file__).resolve().parents[3]
BATCH = "from recipes.dataset.feature_file import extract_features_batch as f; f({}, {}, workers=2)"


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path):
    folder = tmp_path / "ecgs"
    folder.mkdir()
    records = [simulate_ecg(seed=seed, duration=4).record for seed in range(3)]
    for i in range(90):
        record = records[i % 3]
        np.savez(folder / f"{i:03d}.npz", signal=record.signal, sampling_rate=500, leads=record.leads)
    (folder / "045.npz").write_bytes(b"no numbers")
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    assert list(extract_features_batch(folder, whole, workers=2).failed) == ["045.npz"]
    part = tmp_path / "killed.jsonl.part"
    run = subprocess.Popen([sys.executable, "-c", BATCH.format(repr(str(folder)), repr(str(killed)))], cwd=ROOT)
    deadline = time.monotonic() + 120
    while not (part.exists() and part.stat().st_size > 50_000) and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert part.exists() and not killed.exists()
    with part.open("ab") as file:
        file.write(b'{"id": "cut off')
    report = extract_features_batch(folder, killed, workers=2)
    assert report.resumed > 0 and report.done + report.resumed == 89 and list(report.failed) == ["045.npz"]
    assert killed.read_bytes() == whole.read_bytes()


def test_failed_records_are_tried_again_and_other_definitions_start_anew(rows, tmp_path):
    output = tmp_path / "f.jsonl"
    broken = rows[1] | {"signal": np.zeros((3, 4, 5))}
    extract_features_batch([rows[0], broken, rows[2]], output, workers=0)
    report = extract_features_batch(rows[1:2], output, workers=0)
    assert (report.done, report.resumed, report.failed) == (1, 0, {})
    assert [name for name, _ in read_features(output)] == ["ecg1", "ecg0", "ecg2"]
    theirs = extract_features_batch(rows[:3], output, workers=0, compat="featuredb")
    assert theirs.done == 3, "other definitions are no resumption"
    assert all(features.compat == "featuredb" for _, features in read_features(output))


class Deadly:
    """Kills the process that unpickles it."""

    record_id = "deadly"

    def __reduce__(self):
        return os._exit, (1,)


def test_a_record_that_kills_its_process_is_lost_alone(rows, tmp_path):
    report = extract_features_batch([*rows[:2], Deadly(), *rows[2:]], tmp_path / "f.jsonl", workers=1)
    assert report.done == 5 and list(report.failed) == ["deadly"] and "died" in report.failed["deadly"]


def test_a_split_of_datasets_is_measured(rows, tmp_path):
    datasets = pytest.importorskip("datasets")
    split = datasets.Dataset.from_list([row | {"signal": row["signal"].tolist()} for row in rows])
    report = extract_features_batch(split, tmp_path / "f.jsonl", workers=1)
    assert report.done == 5 and not report.failed
    measured = dict(read_features(tmp_path / "f.jsonl"))
    direct = extract_features(simulate_ecg(seed=3, duration=4).record)
    assert measured["ecg3"].heart_rate == pytest.approx(direct.heart_rate, abs=0.2)
    assert measured["ecg3"].leads == direct.leads


def npy(folder, seed):
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "r.npy", simulate_ecg(heart_rate=60 + 10 * seed, seed=seed, duration=4).record.signal)
    return folder


GIVEN = {"sampling_rate": 500, "leads": simulate_ecg(seed=1, duration=2).record.leads}


def rates(output):
    return {name: round(features.heart_rate) for name, features in read_features(output)}


def test_another_record_of_the_same_name_and_other_options_are_measured_anew(tmp_path):
    first, second = (npy(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 5)))
    output = tmp_path / "f.jsonl"

    def run(folder, **given):
        report = extract_features_batch(folder, output, workers=0, load_kwargs=GIVEN | given)
        return report.done, report.resumed

    assert run(first) == (1, 0) and run(first) == (0, 1)
    before = rates(output)
    assert run(second) == (1, 0) and rates(output) != before, "the file beside which it stood is another"
    assert run(second, sampling_rate=480) == (1, 0) and run(second, sampling_rate=480) == (0, 1)
    npy(tmp_path / "b", 3)
    assert run(second, sampling_rate=480) == (1, 0), "its content has changed"
    assert len(output.read_text().splitlines()) == 1


def test_neighbours_of_a_record_are_none_of_its_files(tmp_path):
    folder = npy(tmp_path / "a", 1)
    output = folder / "r.jsonl"
    for _ in range(2):
        report = extract_features_batch([folder / "r.npy"], output, workers=0, load_kwargs=GIVEN)
        np.save(folder / "r10.npy", np.zeros((3, 4)))
    assert (report.done, report.resumed) == (0, 1)


@pytest.mark.parametrize("changed", ["normal.hea", "normal.dat"])
def test_the_signals_that_a_header_names_are_its_files(changed, tmp_path):
    for suffix in (".hea", ".dat"):
        (tmp_path / f"normal{suffix}").write_bytes((SAMPLES / f"normal{suffix}").read_bytes())
    output = tmp_path / "f.jsonl"

    def run():
        report = extract_features_batch([tmp_path / "normal.hea"], output, workers=0)
        return report.done, report.resumed

    assert run() == (1, 0) and run() == (0, 1)
    os.utime(tmp_path / changed, ns=(1, 1))
    assert run() == (1, 0)


def test_a_stopped_run_does_not_go_on_with_other_options(tmp_path):
    folder = npy(tmp_path / "a", 1)
    np.save(folder / "s.npy", np.load(folder / "r.npy"))
    output = tmp_path / "f.jsonl"

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_features_batch(folder, output, workers=0, load_kwargs=GIVEN, progress=stop)
    with pytest.raises(EcgFormatError, match="other options"):
        extract_features_batch(folder, output, workers=0, load_kwargs=GIVEN | {"sampling_rate": 480})
    report = extract_features_batch(folder, output, workers=0, load_kwargs=GIVEN)
    assert (report.done, report.resumed) == (1, 1)


def test_a_file_of_something_else_is_not_lost(rows, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("my notes\n")
    with pytest.raises(EcgFormatError, match="something else"):
        extract_features_batch(rows, notes, workers=0)
    assert notes.read_text() == "my notes\n"


def test_every_line_says_what_was_assumed(tmp_path):
    folder = npy(tmp_path / "a", 1)
    extract_features_batch(folder, tmp_path / "f.jsonl", workers=0, load_kwargs={"sampling_rate": 500})
    line = json.loads((tmp_path / "f.jsonl").read_text())
    assert set(line["assumed"]) == {"name", "unit"} and any("no lead names" in note for note in line["history"])


def test_a_folder_without_an_ecg_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(EcgFormatError, match="no ECG in it"):
        extract_features_batch(tmp_path / "empty", tmp_path / "f.jsonl", workers=0)
    assert not (tmp_path / "f.jsonl").exists()
