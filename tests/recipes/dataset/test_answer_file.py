# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Answers about many ECGs: one row each in every case, the same rows from every engine, and no repeated work after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from modeling_gem.interpretation import interpret
from processing.ecg_page import render_ecg
from processing.ecg_readers import load_ecg
from processing.errors_gem import BuildError
from recipes.dataset import answer_file, answer_source
from recipes.dataset.answer_file import AnswerSettings, LocalAnswers, interpret_all
from recipes.dataset.answer_source import AnswerSource
from recipes.dataset.ray_answers import RayAnswers
from recipes.dataset.ray_cluster import Stage, _check_size
from recipes.record_options import ReadingOptions

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "processing" / "samples"
NAMES = sorted(path.name for path in SAMPLES.glob("*.hea"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The samples twice, a flat record, and a file that is not an ECG."""
    place = tmp_path_factory.mktemp("ecgs")
    for copy in ("a", "b"):
        shutil.copytree(SAMPLES, place / copy, ignore=shutil.ignore_patterns("*.json"))
    (place / "broken.csv.npy").write_bytes(b"\x93NUMPY, but cut off")
    (place / "flat.hea").write_text("flat 1 500 5000\nflat.dat 16 200/mV 16 0 0 0 0 II\n")
    (place / "flat.dat").write_bytes(bytes(10000))
    return place


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(answer_file, "PART", 4)


def settings(folder, output, **more):
    chosen = {"modality": "signal", "max_new_tokens": 40, "batch": 4, **more}
    return AnswerSettings(AnswerSource.at(str(folder), options=ReadingOptions()), Path(output), **chosen)


@pytest.fixture(scope="module")
def reference(folder, tmp_path_factory):
    """The table of an uninterrupted run."""
    output = tmp_path_factory.mktemp("reference") / "answers.parquet"
    report = interpret_all(settings(folder, output), LocalAnswers())
    assert report.rows == 2 * len(NAMES) + 2 and report.resumed == 0
    return pq.read_table(output)


def test_a_row_for_every_ecg(folder, reference):
    rows = {row["id"]: row for row in reference.to_pylist()}
    assert list(rows) == sorted([f"{copy}/{name}" for copy in "ab" for name in NAMES] + ["broken.csv.npy", "flat.hea"])
    assert "flat" in rows["flat.hea"]["declined"] and rows["flat.hea"]["text"] is None
    assert (
        rows["broken.csv.npy"]["error"].startswith("broken.csv.npy: ") and rows["broken.csv.npy"]["declined"] is None
    )
    for name in NAMES:
        found = interpret(SAMPLES / name, modality="signal", generation={"max_new_tokens": 40})
        row = rows[f"a/{name}"]
        assert row["text"] == found.text == rows[f"b/{name}"]["text"]
        assert json.loads(row["claims"]) == json.loads(json.dumps([claim.to_dict() for claim in found.claims]))
        assert json.loads(row["measurements"]) == json.loads(json.dumps(found.features.to_dict()))
        assert row["contradicted"] == found.report.count("contradicted") and len(row["model_sha"]) == 64


def test_processes_and_other_batches_give_the_same_rows(folder, reference, tmp_path):
    interpret_all(settings(folder, tmp_path / "out.parquet", batch=3), LocalAnswers(workers=2))
    assert pq.read_table(tmp_path / "out.parquet").equals(reference)


def test_a_cluster_of_two_workers_gives_the_same_rows(folder, reference, tmp_path):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    seen = []
    report = interpret_all(
        settings(folder, tmp_path / "out.parquet"),
        RayAnswers("local", models=2, local_cpus=2),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert pq.read_table(tmp_path / "out.parquet").equals(reference)
    assert seen[-1] == (reference.num_rows, reference.num_rows) and report.spent["answer"] > 0


def test_a_cluster_that_is_too_small_is_said():
    stages = (Stage(print), Stage(print, actors=2, cpus=0.5, gpus=0.5))
    _check_size({"CPU": 2.0, "GPU": 1.0}, stages)
    for resources in ({"CPU": 1.0, "GPU": 1.0}, {"CPU": 8.0}):
        with pytest.raises(BuildError, match="needs 2 cores and 1 GPUs"):
            _check_size(resources, stages)


def test_what_was_finished_is_not_done_again(folder, reference, tmp_path):
    chosen = settings(folder, tmp_path / "out.parquet")

    def two_parts(parts, own):
        yield from LocalAnswers()(parts[:2], own)
        raise BuildError("stopped")

    with pytest.raises(BuildError, match="stopped"):
        interpret_all(chosen, two_parts)
    report = interpret_all(chosen, LocalAnswers())
    assert report.resumed == 8 and pq.read_table(chosen.output).equals(reference)
    assert interpret_all(chosen, LocalAnswers()).resumed == reference.num_rows  # nothing is left to do
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.parquet.lock", "out.parquet"]
    with pytest.raises(BuildError, match="other ECGs, or to another model"):
        interpret_all(settings(folder, chosen.output, max_new_tokens=41), LocalAnswers())


PROGRAM = """
import sys
from pathlib import Path
from recipes.dataset import answer_file
from tests.recipes.dataset.test_answer_file import LocalAnswers, interpret_all, settings
answer_file.PART = 2
interpret_all(settings(sys.argv[1], sys.argv[2]), LocalAnswers())
"""


def test_exactly_one_row_each_after_kill_9(folder, reference, tmp_path):
    """The run is killed twice at work, then finished."""
    output = tmp_path / "out.parquet"
    program = tmp_path / "run.py"
    program.write_text(
        'if __name__ == "__main__":\n' + "".join(f"    {line}\n" for line in PROGRAM.strip().splitlines())
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(program), str(folder), str(output)]
    parts = tmp_path / ".out.parquet.parts"

    def finished() -> int:
        return len(list(parts.glob("0*.parquet")))

    for _ in range(2):
        before = finished()
        process = subprocess.Popen(command, env=environment, cwd=ROOT)
        deadline = time.monotonic() + 240
        while finished() == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert finished() > before or output.exists()
    subprocess.run(command, env=environment, cwd=ROOT, check=True, timeout=300)
    assert pq.read_table(output).equals(reference)


def die_at_broken(part, settings):
    if any("broken" in name for _, name in part.ecgs):
        os._exit(1)
    return answer_file.prepare(part, settings)  # in the child: the original function


def test_an_ecg_that_kills_its_process_is_lost_alone(folder, reference, tmp_path, monkeypatch):
    monkeypatch.setattr(answer_file, "prepare", die_at_broken)
    report = interpret_all(settings(folder, tmp_path / "out.parquet"), LocalAnswers(workers=1))
    assert list(report.failed) == ["broken.csv.npy"] and "died" in report.failed["broken.csv.npy"]
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row for row in rows if not row["error"]] == [row for row in reference.to_pylist() if not row["error"]]


def test_a_model_that_fails_at_one_ecg_answers_the_others(folder, reference, tmp_path, monkeypatch):
    from recipes.chat.gem_models import TransformersGem

    plain = TransformersGem.answers

    def answers(self, chats, max_new_tokens):
        if any(chat[0]["content"][0]["ecg"].name.startswith("atrial_flutter") for chat in chats):
            raise RuntimeError("out of memory")
        return plain(self, chats, max_new_tokens)

    monkeypatch.setattr(TransformersGem, "answers", answers)
    report = interpret_all(settings(folder, tmp_path / "out.parquet"), LocalAnswers())
    assert sorted(report.failed) == ["a/atrial_flutter.hea", "b/atrial_flutter.hea", "broken.csv.npy"]
    assert "out of memory" in report.failed["a/atrial_flutter.hea"]


def test_ecgs_beside_a_parquet_file_are_answered_and_it_is_named(tmp_path):
    for name in ("normal.hea", "normal.dat"):
        shutil.copy(SAMPLES / name, tmp_path / name)
    pq.write_table(pa.table({"id": ["x"]}), tmp_path / "labels.parquet")
    report = interpret_all(settings(tmp_path, tmp_path.with_suffix(".out")), LocalAnswers())
    assert pq.read_table(tmp_path.with_suffix(".out"))["id"].to_pylist() == ["normal.hea"]
    assert report.left_out == {"labels.parquet": "a Parquet file; a data set needs a folder of its own"}


def test_answers_in_the_folder_of_their_pictures_are_no_data_set(tmp_path):
    page = render_ecg(load_ecg(SAMPLES / "normal.hea"))
    page.save(tmp_path / "page.png")
    for _ in range(2):  # the second time the answers are there
        report = interpret_all(settings(tmp_path, tmp_path / "answers.parquet"), LocalAnswers())
        assert pq.read_table(tmp_path / "answers.parquet")["id"].to_pylist() == ["page.png"]
    assert list(report.left_out) == ["answers.parquet"]


def test_a_run_that_stopped_in_the_folder_of_its_ecgs_continues(tmp_path):
    shutil.copytree(SAMPLES, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.json"))
    chosen = settings(tmp_path, tmp_path / "answers.parquet", batch=2)

    def one_part(parts, settings):
        yield from LocalAnswers()(parts[:1], settings)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interpret_all(chosen, one_part)
    assert list(tmp_path.glob(".answers.parquet.parts/0*.parquet"))
    report = interpret_all(settings(tmp_path, tmp_path / "answers.parquet", batch=2), LocalAnswers())
    assert report.resumed == 4 and report.rows == len(NAMES)


def test_a_data_set_with_plots_stays_one_and_they_are_named(tmp_path):
    row = {"id": "a", "ecg": str(SAMPLES / "normal.hea")}
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "data" / "train-00000-of-00001.parquet")
    Image.new("RGB", (9, 9)).save(tmp_path / "plot.png")
    source = AnswerSource.at(str(tmp_path))
    assert source.is_dataset and source.ids() == (["a"], {"plot.png": "beside a data set, which is read instead"})


def test_nothing_to_answer(tmp_path):
    with pytest.raises(BuildError, match="no ECG in it"):
        interpret_all(settings(tmp_path, tmp_path / "out.parquet"), LocalAnswers())
    with pytest.raises(BuildError, match="no folder of ECGs"):
        interpret_all(settings(tmp_path / "absent", tmp_path / "out.parquet"), LocalAnswers())


@pytest.mark.parametrize("name", ["Doe_John.hea", "Doe_John.npy", "export.zip", "page.jpg"])
@pytest.mark.parametrize("is_there", [True, False])
def test_the_name_of_a_file_is_not_looked_for_on_the_hub(tmp_path, monkeypatch, name, is_there):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(answer_source.datasets, "load_dataset", lambda *_, **__: pytest.fail("asks the Hub"))
    if is_there:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BuildError, match=f"{name}: one file"):
        interpret_all(settings(name, tmp_path / "out.parquet"), LocalAnswers())
