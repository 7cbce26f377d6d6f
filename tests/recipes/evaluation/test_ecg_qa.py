# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECG-QA in its published layout: which questions count, answers without a model, and both ways of scoring."""

import json

import pytest
from typer.testing import CliRunner

from processing.errors_gem import EvaluationError
from recipes.cli import app
from recipes.evaluation.ecg_qa import (
    QaRun,
    answer_blind,
    answer_by_quality,
    is_exact,
    passes_compat,
    qa_report,
    read_ecg_qa,
)
from tests.helpers.shared_data import shared_path
from tests.helpers.source_trees import ptbxl_tree


def row(number, ecg, answer, attribute="static noise", kind="single-verify", template=26):
    ecgs = ecg if isinstance(ecg, list) else [ecg]
    question = f"Does this ECG show {attribute} in lead V2?"
    return {"template_id": template, "question_id": 1, "sample_id": number, "question_type": kind, "attribute_type": "noise",
            "question": question, "answer": answer, "ecg_id": ecgs, "attribute": [attribute], "split": "train"}  # fmt: skip


@pytest.fixture
def files(tmp_path):
    ptbxl_tree(tmp_path / "ptbxl", records=4)  # folds 1, 1, 8, 9
    rows = [
        row(1, 1, ["no"]),
        row(2, 2, ["no"]),
        row(3, 3, ["yes"]),
        row(4, 4, ["no"]),
        row(5, [1, 4], ["pr interval"]),
        row(6, 99, ["no"]),
    ]
    (tmp_path / "qa.json").write_text(json.dumps(rows))
    return tmp_path


def test_questions_about_one_ecg_that_is_there_count(files):
    questions, left_out = read_ecg_qa(files / "qa.json", files / "ptbxl")
    assert [question.held_out for question in questions] == [False, False, False, True]
    assert left_out == ["1 questions about two ECGs", "1 about ECGs that are not there"]
    assert "Options: yes, no, not sure" in questions[0].item.question
    (files / "qa.json").write_text('[{"ecg_id": [1]}]')
    with pytest.raises(EvaluationError, match=r"qa\.json: a row is not ECG-QA's"):
        read_ecg_qa(files / "qa.json", files / "ptbxl")


def test_blind_is_the_commonest_answer_to_the_same_question(files):
    questions, _ = read_ecg_qa(files / "qa.json", files / "ptbxl")
    assert answer_blind(questions[3:], questions[:3]) == ["no"]
    assert answer_blind(questions[3:], []) == ["not sure"]


def test_strict_and_compat_differ_where_options_are_parts_of_words(files):
    question = read_ecg_qa(files / "qa.json", files / "ptbxl")[0][0]
    assert is_exact(question, "No.") and not is_exact(question, "not sure") and not is_exact(question, "yes or no")
    assert passes_compat(question, "no") and passes_compat(question, "none of it")
    assert not passes_compat(question, "not sure")


def test_noise_is_told_from_the_signal_on_real_records():
    """Limits from the training folds, questions of fold 9: better than the most common answer for questions about noise."""
    questions, _ = read_ecg_qa(shared_path("data/text/ecgqa_template_available.json"), shared_path("data/ptbxl"))
    chosen = [question for question in questions if question.key[-1] == "static noise"]
    held_out = [question for question in chosen if question.held_out]
    known = [question for question in chosen if not question.held_out]
    problems = []
    engine = answer_by_quality(held_out, known, problems)
    right = {
        name: sum(is_exact(question, answer) for question, answer in zip(held_out, answers, strict=True))
        for name, answers in (("engine", engine), ("blind", answer_blind(held_out, known)))
    }
    assert problems == [] and right["engine"] > right["blind"], right


def test_the_command(files, tmp_path):
    command = ["eval", "ecg-qa", str(files / "qa.json"), "--ptbxl", str(files / "ptbxl"), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0 and "left out: 1 questions about two ECGs" in result.output, result.output
    assert "blind strict 1" in result.output


def test_every_row_has_an_interval(files):
    questions, _ = read_ecg_qa(files / "qa.json", files / "ptbxl")
    asked = [question for question in questions if question.held_out] * 4
    run = QaRun(asked, {"blind": ["yes"] * len(asked)})
    report = qa_report(run, "qa.json")
    rows = {row.label.rpartition(" (")[0] for table in report.tables for row in table.rows}
    assert rows == set(report.details["intervals"])
    assert all(set(intervals) == {"blind"} for intervals in report.details["intervals"].values())
