# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Builds: killed and resumed, two at once, changed settings, full disk, broken records; always the same bytes."""

import dataclasses
import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from datasets import load_dataset
from PIL import Image

from processing.errors_gem import BuildError, MissingDependencyError, TeacherError
from recipes.dataset import stages
from recipes.dataset.build import _pooled, build_dataset
from recipes.dataset.plan import hashed_split, make_plan, patient_key, split_by_patient
from recipes.dataset.ray_engine import RayEngine
from recipes.dataset.settings import read_settings, settings_from
from recipes.dataset.shards import finished_note
from recipes.dataset.source_files import FileState
from recipes.files import one_writer
from recipes.sources import SourceRecord
from tests.helpers.source_trees import ptbxl_tree, sph_tree

ROOT = Path(__file__).resolve().parents[3]
RECORDS = 10


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """PTB-XL's layout with ten records, of which one is cut short and one is flat."""
    folder = tmp_path_factory.mktemp("source") / "ptbxl"
    ptbxl_tree(folder, RECORDS, folds=(1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
    records = folder / "records500/00000"
    (records / "00004_hr.dat").write_bytes((records / "00004_hr.dat").read_bytes()[:5000])
    (records / "00006_hr.dat").write_bytes(np.zeros((5000, 12), "<i2").tobytes())
    return folder


def settings(source: Path, output: Path, **changes):
    values = {"output": str(output), "sources": [{"format": "ptb-xl", "path": str(source)}], "shard_size": 2}
    return settings_from(values | changes)


@pytest.fixture(scope="module")
def reference(source, tmp_path_factory):
    """An uninterrupted build and its checksums."""
    output = tmp_path_factory.mktemp("reference") / "out"
    result = build_dataset(settings(source, output))
    return result, (output / "SHA256SUMS").read_text()


def gem(config: Path, output: Path, *more: str, start: bool = False):
    code = "import sys; sys.argv[0] = 'gem'; from recipes.cli import main; main()"
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        code,
        "build-dataset",
        str(config),
        "--output",
        str(output),
        *more,
    ]
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
        "OMP_NUM_THREADS": "1",
    }
    if start:
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)


def config_file(source: Path, folder: Path, **changes) -> Path:
    path = folder / "config.yaml"
    values = {"output": "unused", "sources": [{"format": "ptb-xl", "path": str(source)}], "shard_size": 2}
    path.write_text(yaml.safe_dump(values | changes))
    return path


def test_a_folder_to_upload_as_it_is(source, reference):
    result, sums = reference
    folder = result.folder
    assert (result.rows, result.rejected, result.built, result.resumed) == (8, 2, 6, 0)
    for line in sums.splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    assert {name.name for name in folder.iterdir()} == {
        ".build", "README.md", "SHA256SUMS", "data", "plots", "rejects.jsonl", "report.json", "report.md",
    }  # fmt: skip
    rejects = [json.loads(line) for line in (folder / "rejects.jsonl").read_text().splitlines()]
    assert [(r["id"], r["stage"]) for r in rejects] == [("ptb-xl/00004", "import"), ("ptb-xl/00006", "import")]
    assert [r["code"] for r in rejects] == ["unreadable", "quality"] and "answer" not in rejects[0]
    in_full = [json.loads(line) for line in (folder / ".build/rejects.jsonl").read_text().splitlines()]
    assert "truncated" in in_full[0]["reason"] and "flat in every lead" in in_full[1]["reason"]
    report = json.loads((folder / "report.json").read_text())
    assert report["rows_by_split"] == {"test": 1, "train": 6, "validation": 1} and report["heart_rate"]["count"] == 8
    for name in ("records", "heart_rate", "labels"):
        assert f"plots/{name}.png" in (folder / "report.md").read_text() + (folder / "README.md").read_text()
        assert Image.open(folder / f"plots/{name}.png").size[0] > 300
    assert str(source) not in (folder / "README.md").read_text() + (folder / "report.json").read_text()
    row = load_dataset(str(folder), split="train")[0]
    assert row["teacher"]["name"] == "template" and len(row["messages"][1]["content"].split()) > 70


def test_killed_and_resumed_ends_in_the_same_bytes(source, reference, tmp_path):
    config, output = config_file(source, tmp_path), tmp_path / "out"
    process = gem(config, output, start=True)
    deadline = time.monotonic() + 600
    while len(list((output / ".build/shards").glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL and not (output / "SHA256SUMS").exists()
    # What a kill in the middle of writing leaves behind, and a shard whose note was not written.
    shards = sorted((output / "data/ptb-xl").glob("train-*.parquet"))
    (output / "data/ptb-xl/.train-00002-of-00004.parquet.part").write_bytes(b"half")
    (output / ".build/shards" / f"ptb-xl-{shards[0].stem.split('-of-')[0]}.json").unlink()
    before = shards[1].stat().st_mtime_ns
    again = gem(config, output)
    assert again.returncode == 0 and "8 rows, 2 rejected" in again.stdout, again.stderr[-2000:]
    assert "were complete" in again.stderr and shards[1].stat().st_mtime_ns == before
    assert (output / "SHA256SUMS").read_text() == reference[1] and not list(output.rglob("*.part"))


def test_processes_and_a_second_run_change_nothing(source, reference, tmp_path):
    result = build_dataset(settings(source, tmp_path / "out", workers=2))
    assert (tmp_path / "out/SHA256SUMS").read_text() == reference[1] and result.built == 6
    again = build_dataset(settings(source, tmp_path / "out"))
    assert (again.built, again.resumed, again.rows) == (0, 6, 8)
    assert (tmp_path / "out/SHA256SUMS").read_text() == reference[1]


def test_files_read_with_limits_give_the_same_bytes(source, reference, tmp_path):
    build_dataset(settings(source, tmp_path / "out", untrusted=True))
    assert (tmp_path / "out/SHA256SUMS").read_text() == reference[1]


def die(shard):
    os._exit(1)


def test_a_process_that_dies_is_reported(source, tmp_path):
    chosen = settings(source, tmp_path / "out", workers=2)
    with pytest.raises(BuildError, match=r"train-0000\d-of-00004.parquet \(out of memory"):
        list(_pooled(die, list(make_plan(chosen).shards[:2]), workers=2))


def test_ray_writes_the_same_bytes(source, reference, tmp_path):
    """In a process of its own, because Ray ends the process in which it fails."""
    pytest.importorskip("ray")
    run = gem(config_file(source, tmp_path), tmp_path / "out", "--engine", "ray", "--address", "local")
    assert run.returncode == 0, run.stderr[-2000:]
    assert (tmp_path / "out/SHA256SUMS").read_text() == reference[1]


def test_what_a_stage_raises_on_ray_is_raised(source, tmp_path):
    """The command reports the error and exits, although threads of Ray Data still run."""
    pytest.importorskip("ray")
    config = config_file(source, tmp_path, teacher={"kind": "oracle"})
    run = gem(config, tmp_path / "out", "--engine", "ray", "--address", "local")
    assert run.returncode == 2 and "kind 'oracle' is unknown" in run.stderr, run.stderr[-2000:]


def test_missing_ray_is_named(source, tmp_path, monkeypatch):
    with pytest.raises(BuildError, match="no Ray cluster"):
        build_dataset(settings(source, tmp_path / "a"), engine=RayEngine("127.0.0.1:1"))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"gem-ecg\[ray\]"):
        build_dataset(settings(source, tmp_path / "b"), engine=RayEngine("local"))


def test_embedded_pages(source, tmp_path):
    chosen = settings(source, tmp_path / "out", page={"embed": True, "layout": "3x4+1", "size": 224})
    limited = chosen.model_copy(update={"sources": (chosen.sources[0].model_copy(update={"limit": 2}),)})
    build_dataset(limited)
    row = load_dataset(str(tmp_path / "out"), split="train")[0]
    assert row["image"].size == (224, 224)


def test_two_builders_on_one_folder(source, tmp_path):
    output = tmp_path / "out"
    with (
        one_writer(output / ".build/build", BuildError),
        pytest.raises(BuildError, match="another run is writing here"),
    ):
        build_dataset(settings(source, output))


def test_changed_settings_and_sources_are_refused_and_fresh_builds_anew(source, reference, tmp_path):
    copy, output = tmp_path / "ptbxl", tmp_path / "out"
    shutil.copytree(source, copy)
    build_dataset(settings(copy, output, card={"title": "One"}))
    with pytest.raises(BuildError, match="changed: card, shard_size"):
        build_dataset(settings(copy, output, card={"title": "Two"}, shard_size=3))
    table = pd.read_csv(copy / "ptbxl_database.csv")
    table.iloc[1:].to_csv(copy / "ptbxl_database.csv", index=False)
    with pytest.raises(BuildError, match="list other records"):
        build_dataset(settings(copy, output, card={"title": "One"}))
    assert build_dataset(settings(copy, output, card={"title": "Two"}), fresh=True).rows == 7
    assert (
        not (output / "data/ptb-xl/train-00003-of-00004.parquet").exists()
        or len(load_dataset(str(output), split="train")) == 5
    )


def test_foreign_files_are_not_overwritten(source, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mine.parquet").write_bytes(b"mine")
    with pytest.raises(BuildError, match="something else"):
        build_dataset(settings(source, tmp_path))
    with pytest.raises(BuildError, match="something else"):
        build_dataset(settings(source, tmp_path), fresh=True)
    assert (tmp_path / "data/mine.parquet").read_bytes() == b"mine"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_keeps_what_was_finished(source, reference, tmp_path):
    chosen = settings(source, tmp_path / "out")
    shards = make_plan(chosen).shards
    blocked = chosen.folder / shards[2].file
    blocked.parent.mkdir(parents=True)
    # The half-written file is a device that is always full: a real "no space left" from the operating system.
    blocked.with_name(f".{blocked.name}.part").symlink_to("/dev/full")
    with pytest.raises(BuildError, match=r"the disk is full.*free some space and run the same command again"):
        build_dataset(chosen)
    assert [finished_note(shard, chosen) is not None for shard in shards] == [True, True, False, False, False, False]
    assert not list(chosen.folder.rglob("*.part"))
    result = build_dataset(chosen)
    assert (result.resumed, result.built) == (2, 4) and (tmp_path / "out/SHA256SUMS").read_text() == reference[1]


def test_answers_that_fail_the_checks_are_kept_apart_with_their_reason(source, tmp_path):
    teacher = {"kind": "template", "checks": {"min_words": 10_000, "max_words": 20_000}}
    with pytest.raises(BuildError, match=f"no row is left, all {RECORDS} records were left out"):
        build_dataset(settings(source, tmp_path / "out", teacher=teacher))
    assert "answer_length" in (tmp_path / "out/rejects.jsonl").read_text()
    rejected = [json.loads(line) for line in (tmp_path / "out/.build/rejects.jsonl").read_text().splitlines()]
    verified = [r for r in rejected if r["stage"] == "verify"]
    assert len(verified) == 8 and "length" in verified[0]["reason"] and "bpm" in verified[0]["answer"]
    assert len(rejected) == RECORDS and not (tmp_path / "out/README.md").exists()
    with pytest.raises(TeacherError, match="unknown"):
        build_dataset(settings(source, tmp_path / "other", teacher={"kind": "oracle"}))


def test_shards_and_splits_without_rows_leave_no_file(source, tmp_path):
    copy, output = tmp_path / "ptbxl", tmp_path / "out"
    shutil.copytree(source, copy)
    for number in (3, 9):  # with 4, all of the second shard; the only record of the validation split
        (copy / f"records500/00000/{number:05d}_hr.dat").unlink()
    assert build_dataset(settings(copy, output)).rows == 6
    data = load_dataset(str(output))
    assert {split: len(rows) for split, rows in data.items()} == {"train": 5, "test": 1}
    assert sum(1 for _ in load_dataset(str(output), split="train", streaming=True)) == 5
    again = build_dataset(settings(copy, output))
    assert (again.built, again.resumed, again.rejected) == (0, 6, 4)
    reasons = (output / ".build/rejects.jsonl").read_text()
    assert "00009_hr" in reasons and str(tmp_path) not in reasons


def test_unanswered_records_are_requested_again(source, reference, tmp_path, monkeypatch):
    real = stages.teach

    def silent(requests, teacher, **options):
        for answer in real(requests, teacher, **options):
            hit = answer.key == "ptb-xl/00002"
            yield dataclasses.replace(answer, answered=False, rejected_reason="timeout") if hit else answer

    monkeypatch.setattr(stages, "teach", silent)
    first = build_dataset(settings(source, tmp_path / "out"))
    assert (first.rows, first.unanswered) == (7, 1)
    monkeypatch.undo()
    second = build_dataset(settings(source, tmp_path / "out"))
    assert (second.rows, second.unanswered, second.built) == (8, 0, 1)
    assert (tmp_path / "out/SHA256SUMS").read_text() == reference[1]


def test_a_teacher_is_not_told_that_labels_are_a_report(tmp_path, monkeypatch):
    """SPH publishes codes only. The row has them in words, but a teacher is not told that a physician wrote these."""
    sph_tree(tmp_path / "sph")
    ptbxl_tree(tmp_path / "ptbxl", 1)
    asked = {}
    real = stages.teach

    def remember(requests, teacher, **options):
        listed = list(requests)
        asked.update({request.key: request for request in listed})
        yield from real(listed, teacher, **options)

    monkeypatch.setattr(stages, "teach", remember)
    sources = [
        {"format": name, "path": str(tmp_path / folder)} for name, folder in (("sph", "sph"), ("ptb-xl", "ptbxl"))
    ]
    build_dataset(settings(tmp_path, tmp_path / "out", sources=sources))
    assert asked["sph/A00001"].report == "" and asked["ptb-xl/00001"].report == "sinusrhythmus normales ekg"
    assert asked["sph/A00001"].labels == {"22": 100.0, "23": 100.0} and asked["sph/A00001"].label_system == "aha"
    assert asked["sph/A00001"].label_words == ["sinus bradycardia", "sinus arrhythmia"]


@pytest.mark.parametrize(
    ("published", "split"),
    [
        (("train", "test"), "test"),
        (("test", "train"), "test"),
        (("train", "validation"), "validation"),
        (("validation", "test"), "test"),
        (("train", "validation", "test"), "test"),
    ],
)
def test_patients_of_several_splits_are_held_out(published, split):
    records = [record(f"s/{number}", "7", name) for number, name in enumerate(published)]
    others = [record("s/a", "8", "train"), record("s/b", "9", "test")]
    splits, conflicts = split_by_patient([*records, *others], "official", {"train": 1.0}, "salt")
    assert splits == [split] * len(published) + ["train", "test"] and conflicts == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": []}, "at least one source"),
        ({"sources": [{"format": "ptbxl", "path": "x"}]}, "format 'ptbxl' is unknown"),
        ({"sources": [{"path": "x"}]}, "needs `format` and `path`"),
        ({"shard_sise": 3}, r"unknown key\(s\) \['shard_sise'\]"),
        ({"split": {"fractions": {"train": 0.5}}}, "add up to 1"),
        ({"split": {"method": "random"}}, "official or hash"),
        ({"page": {"embed": True, "dpi": 3}}, "page: unknown key"),
        ({"sources": [{"format": "ludb", "path": "x"}] * 2}, "two sources have one name"),
        ({"sources": [{"format": "ludb", "path": "x", "name": "a/b"}]}, "parts of paths"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"workers": "many"}, r"config\.yaml: workers: expected a valid integer, .*, got 'many'\.$"),
        ({"split": {"fractions": {}}}, "fractions must add up to 1"),
        ({"output": None}, "output: expected a valid string, got None"),
        ({"sampling_rate": -250}, "sampling_rate: expected greater than 0, got -250"),
        ({"split": {"fractions": {"dev": 1}}}, r"fractions are of \['train', 'validation', 'test'\], got \['dev'\]"),
        ({"split": {"fractions": {"train": 1.5, "test": -0.5}}}, r"fractions\.test must be at least 0, got -0\.5"),
        ({"card": "hello"}, r"card: expected keys \['title', .*\], got 'hello'"),
        ({"teacher": {}}, "teacher needs a `kind`"),
        ({"sources": [{"format": "ludb", "path": "x", "name": "all"}]}, "may be named 'all'"),
        ({"workers": 0, "page": {"dpi": 3}}, r"workers must be .*; page: unknown key\(s\) \['dpi'\]; known are"),
    ],
)
def test_wrong_settings_name_the_key(tmp_path, changes, message):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"output": "x", "sources": [{"format": "ludb", "path": "x"}]} | changes))
    with pytest.raises(BuildError, match=message):
        read_settings(path)
    path.write_text("a: [")
    with pytest.raises(BuildError, match="not YAML"):
        read_settings(path)
    with pytest.raises(BuildError, match=r"absent\.yaml"):
        read_settings(tmp_path / "absent.yaml")


def test_the_command_names_a_missing_folder_in_one_line(tmp_path):
    result = gem(config_file(tmp_path / "nowhere", tmp_path), tmp_path / "out")
    assert result.returncode == 2 and "does not exist" in result.stderr and "Traceback" not in result.stderr


def record(name: str, patient: str | None, split: str | None = None, others: tuple[str, ...] = ()) -> SourceRecord:
    return SourceRecord(id=name, source="s", ecgs=(), patient_id=patient, split=split, other_patients=others)


def test_no_patient_is_in_two_splits():
    fractions = {"train": 0.6, "validation": 0.2, "test": 0.2}
    rng = np.random.default_rng(0)
    records = [record(f"s/{i}", str(rng.integers(400)), [None, "train", "test"][rng.integers(3)]) for i in range(2000)]
    for method in ("hash", "official"):
        splits, conflicts = split_by_patient(records, method, fractions, "salt")
        found: dict[str, set] = {}
        for r, split in zip(records, splits, strict=True):
            found.setdefault(patient_key(r), set()).add(split)
        assert all(len(s) == 1 for s in found.values()) and len(found) == len({r.patient_id for r in records})
        assert (conflicts > 100) == (method == "official")
    shuffled = [records[i] for i in rng.permutation(len(records))]
    again, _ = split_by_patient(shuffled, "hash", fractions, "salt")
    expected = dict(zip((r.id for r in records), split_by_patient(records, "hash", fractions, "salt")[0], strict=True))
    assert {r.id: s for r, s in zip(shuffled, again, strict=True)} == expected


def test_hashed_shares_and_comparisons_across_splits():
    fractions = {"train": 0.7, "validation": 0.1, "test": 0.2}
    drawn = [hashed_split(f"s:{i}", fractions, "x") for i in range(20_000)]
    for split, share in fractions.items():
        assert abs(drawn.count(split) / len(drawn) - share) < 0.01
    assert drawn != [hashed_split(f"s:{i}", fractions, "y") for i in range(20_000)]
    pair = [
        record("s/a", "1", "train"),
        record("s/b", "2", "test"),
        record("s/c", "1", "train", ("2",)),
        record("s/d", None),
    ]
    splits, _ = split_by_patient(pair, "official", fractions, "x")
    assert splits[:2] == ["train", "test"] and "different splits (test, train)" in splits[2].reason
    assert splits[3] in fractions


def test_a_changed_signal_in_a_finished_build_is_named(source, tmp_path):
    copy, output = tmp_path / "ptbxl", tmp_path / "out"
    shutil.copytree(source, copy)
    build_dataset(settings(copy, output))
    signal_file = copy / "records500/00000/00002_hr.dat"
    content = bytearray(signal_file.read_bytes())
    os.utime(signal_file, ns=(1, 1))
    assert build_dataset(settings(copy, output)).built == 0, "a copy with another time is no change"
    content[4001] ^= 1
    signal_file.write_bytes(content)
    with pytest.raises(BuildError, match=r"00002_hr.dat has changed since data/ptb-xl/train-.*--fresh"):
        build_dataset(settings(copy, output))
    assert build_dataset(settings(copy, output), fresh=True).rows == 8


def test_large_files_are_compared_in_blocks(tmp_path):
    large = tmp_path / "exams_part0.hdf5"
    content = np.random.default_rng(0).bytes(2**23 + 12_345)
    large.write_bytes(content)
    state = FileState.of(large)
    assert state.holds(large)
    for place in (0, len(content) - 1, len(content) * 2 // 63):
        changed = bytearray(content)
        changed[place] ^= 1
        large.write_bytes(changed)
        assert not state.holds(large), place
    large.write_bytes(content[:-1])
    assert not state.holds(large)
    large.unlink()
    assert not state.holds(large)


def test_a_finished_build_that_cannot_be_written_is_checked(source, tmp_path, monkeypatch):
    output = tmp_path / "out"
    first = build_dataset(settings(source, output))

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("recipes.files.FileLock.acquire", refuse)
    again = build_dataset(settings(source, output))
    assert (again.rows, again.rejected, again.built, again.resumed) == (first.rows, first.rejected, 0, 6)
    with pytest.raises(BuildError, match="Read-only file system"):
        build_dataset(settings(source, output), fresh=True)
    (output / "report.md").write_text("something else")
    with pytest.raises(BuildError, match=r"report.md is not the file that was built"):
        build_dataset(settings(source, output))
    with pytest.raises(BuildError, match="cannot be written"):
        build_dataset(settings(source, tmp_path / "new"))
