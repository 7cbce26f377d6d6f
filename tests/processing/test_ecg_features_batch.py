import json

import numpy as np
import pytest

from processing.ecg_features_batch import extract_features_batch, read_features
from processing.ecg_simulator import simulate_ecg
from processing.errors_gem import EcgFormatError


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
    assert report.done == 6 and list(report.failed) == ["broken"] and list(report.without_beats) == ["flat"]
    assert "(3, 4, 5)" in report.failed["broken"]
    assert seen[-1] == (7, 7) and str(report).startswith("6 measured")
    lines = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert {line["id"] for line in lines} == {row["id"] for row in rows} | {"broken", "flat"}
    features = dict(read_features(tmp_path / "f.jsonl"))
    assert len(features["ecg3"].beat_times) >= 3 and not (tmp_path / "f.jsonl.part").exists()


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
