# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Answers come in batches, survive interruption at every byte and are the same from any number of processes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from processing.errors_gem import EvaluationError
from recipes.evaluation.answers import generate_answers, read_answers
from recipes.evaluation.items import EvalItem
from recipes.sources.source_record import EcgFile
from tests.helpers.tiny_gem import signal, tiny_config, tiny_model, tiny_processor

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    config = tiny_config()
    tiny_model(config).save_pretrained(folder)
    tiny_processor(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    for i in range(7):
        np.save(folder / f"{i}.npy", signal(i))
    return [
        EvalItem(
            f"r{i}", f"Question {i}?", ecg=EcgFile(str(folder / f"{i}.npy"), {"sampling_rate": 500}), reference="ref"
        )
        for i in range(7)
    ]


def answers(path):
    return {a.id: a.text for a in read_answers(path).answers}


@pytest.fixture(scope="module")
def whole(model, items, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "answers.jsonl"
    generate_answers(model, items, path, batch_size=3, max_new_tokens=6)
    return path


def test_all_are_answered_in_order(whole, items):
    file = read_answers(whole)
    assert [a.id for a in file.answers] == [i.id for i in items] and not file.problems
    assert len({a.text for a in file.answers}) > 3
    assert file.answers[2].row["prompt"] == "Question 2?" and file.answers[2].row["reference"] == "ref"


@pytest.mark.parametrize("grounding", ["off", "correct"])
def test_answers_that_end_at_their_length_limit_are_marked(whole, model, items, tmp_path, grounding):
    path = tmp_path / "answers.jsonl"
    generate_answers(model, items[:2], path, max_new_tokens=6, grounding=grounding, n=1)
    ids = [item.id for item in items[:2]]
    file = read_answers(path)
    assert [answer.row["cut_off"] for answer in file.answers] == [True, True]
    assert file.cut_off(ids) == 2 and file.cut_off_notes(ids)[0].startswith("Of 2 answers, 2 cut off")
    # A run that continues a file of an earlier version, which did not say it, keeps what is there.
    rows = [json.loads(line) for line in whole.read_text().splitlines()]
    older = {"id": "r0", "text": rows[0]["text"]}
    path.write_text(json.dumps(older) + "\n")
    assert read_answers(path).cut_off(ids) is None and not read_answers(path).cut_off_notes(ids)
    generate_answers(model, items[:2], path, max_new_tokens=6, grounding=grounding, n=1)
    file = read_answers(path)
    assert file.answers[0].row == older and file.cut_off(ids) == 1


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.93])
def test_resuming_gives_the_same_file(whole, model, items, tmp_path, cut, caplog):
    content = whole.read_bytes()
    path = tmp_path / "answers.jsonl"
    path.write_bytes(content[: int(len(content) * cut)])
    generate_answers(model, items, path, batch_size=2, max_new_tokens=6)
    assert path.read_bytes() == content and "half written" in caplog.text


def test_a_record_that_cannot_be_read_is_named_and_the_rest_goes_on(model, items, tmp_path):
    broken = EvalItem("broken", "Q", ecg=EcgFile(str(tmp_path / "missing.npy")))
    path = tmp_path / "answers.jsonl"
    generate_answers(model, [items[0], broken, items[1]], path, batch_size=3, max_new_tokens=4)
    file = read_answers(path)
    assert [a.text is None for a in file.answers] == [False, True, False]
    assert "broken" in file.problems[0] and "missing.npy" in file.problems[0]


def test_modality_reaches_the_model(model, items, tmp_path):
    found = []
    for modality in ("both", "signal", "image"):
        path = tmp_path / f"{modality}.jsonl"
        generate_answers(model, items[:3], path, modality=modality, max_new_tokens=12)
        found.append(tuple(answers(path).values()))
    assert len(set(found)) == 3


def test_other_settings_are_refused(whole, model, items, tmp_path):
    path = tmp_path / "answers.jsonl"
    generate_answers(model, items[:2], path, max_new_tokens=4)
    with pytest.raises(EvaluationError, match="max_new_tokens differ"):
        generate_answers(model, items[:2], path, max_new_tokens=5)


SCRIPT = """
import sys, torch
torch.set_num_threads(1)
from tests.recipes.evaluation.test_generate_answers import EvalItem, EcgFile, generate_answers
folder, model, output = sys.argv[1:]
items = [EvalItem(f"r{i}", f"Question {i}?", ecg=EcgFile(f"{folder}/{i}.npy", {"sampling_rate": 500}), reference="ref") for i in range(7)]
generate_answers(model, items, output, batch_size=2, max_new_tokens=6)
"""


def test_two_processes_give_the_same_file(whole, model, items, tmp_path):
    output, script = tmp_path / "answers.jsonl", tmp_path / "script.py"
    script.write_text(SCRIPT)
    # What an interrupted run of three processes left behind is taken over.
    output.with_name("answers.jsonl.1-of-3").write_bytes(b"".join(whole.read_bytes().splitlines(keepends=True)[1:2]))
    folder = str(Path(items[0].ecg.path).parent)
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    result = subprocess.run(
        [*command, str(script), folder, model, str(output)],
        env={
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "HOME": str(tmp_path),
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert output.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.glob("answers*")) == ["answers.jsonl", "answers.jsonl.settings.json"]
    assert json.loads((tmp_path / "answers.jsonl.settings.json").read_text())["model"] == model
