# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Strict ECG-Bench avoids the errors of the published code, and counts what cannot be read."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from processing.errors_gem import EvaluationError
from recipes.evaluation import ecgbench_strict as strict
from tests.helpers.shared_data import shared_path


@pytest.mark.parametrize(
    "task, text, labels",
    [
        ("ptb-test", "ABNORMAL: CD", ["CD"]),
        ("ptb-test", "The findings are MINOR", []),
        ("ptb-test", "Not NORM", []),
        ("ptb-test", "HYP; no evidence of MI", ["HYP"]),
        ("ptb-test", "norm", ["NORM"]),
        ("ptb-test", "Myocardial infarction and ST/T changes", ["MI", "STTC"]),
        ("ptb-test", "MI is unlikely at first. Answer: CD, HYP", ["CD", "HYP"]),
        ("cpsc-test", "AFIB with STEMI", []),
        ("cpsc-test", "I-AVB; STD", ["I-AVB", "STD"]),
        ("code15-test", "ST segment elevation, ST-T changes", []),
        ("code15-test", "ST", ["ST"]),
        ("code15-test", "ABNORMAL; 1dAVb (1st degree AV block)", ["ABNORMAL", "1dAVb"]),
        ("code15-test", "ST, not ST elevation", ["ST"]),
    ],
)
def test_labels_are_whole_words_that_are_not_negated(task, text, labels):
    assert strict.find_labels(task, text) == labels


# How the published questions and answers of each set name their classes.
PUBLISHED_NAMES = {
    "ptb-test": {
        "NORM": "Normal ECG", "MI": "Myocardial Infarction", "STTC": "ST/T change", "CD": "Conduction Disturbance", "HYP": "Hypertrophy",
    },
    "cpsc-test": {
        "NORM": "Normal ECG", "AF": "Atrial fibrillation", "I-AVB": "First-degree atrioventricular block",
        "LBBB": "Left bundle branch block", "RBBB": "Right bundle branch block", "PAC": "Premature atrial contraction",
        "PVC": "Premature ventricular contraction", "STD": "ST-segment depression", "STE": "ST-segment elevated",
    },
    "code15-test": {
        "NORM": "Normal ECG", "ABNORMAL": "Abnormal ECG", "1dAVb": "1st degree AV block", "RBBB": "Right bundle branch block",
        "LBBB": "Left bundle branch block", "SB": "Sinus bradycardia", "ST": "Sinus tachycardia", "AF": "Atrial fibrillation",
    },
}  # fmt: skip


@pytest.mark.parametrize("task", PUBLISHED_NAMES)
def test_every_class_by_its_label_and_by_its_published_name(task):
    names = PUBLISHED_NAMES[task]
    assert list(names) == list(strict.LABEL_NAMES[task])
    for label, name in names.items():
        assert strict.find_labels(task, label) == strict.find_labels(task, f"This is {name}.") == [label]
        assert strict.find_labels(task, f"{label}x") == [], "whole words alone"
        for other_name in strict.LABEL_NAMES[task][label]:
            assert strict.find_labels(task, f"Answer: {other_name.upper()}") == [label]


def test_every_gold_text_of_the_fixtures_is_read():
    data = json.loads(shared_path("fixtures/evaluation/ecgbench_multilabel.json").read_text())["datasets"]
    for task, cases in data.items():
        for case in cases:
            for row, labels in zip(case["rows"], case["expected"]["gold_labels"], strict=True):
                assert sorted(strict.find_labels(task, row["gold"])) == sorted(labels)


def test_scores_count_classes_and_unparseable_answers():
    golds = ["NORM", "MI", "MI, CD", "HYP"]
    scores = strict.score_labels("ptb-test", golds, ["NORM", "MI", None, "no idea"])
    assert scores.unparseable == 0.5 and scores.exact_match == 0.5
    # NORM 1, MI 2/3, CD 0, HYP 0; STTC is in neither and has none.
    assert scores.f1 == pytest.approx((1 + 2 / 3) / 4) and np.isnan(scores.class_f1["STTC"])
    assert scores.hamming_loss == pytest.approx(3 / 20) and scores.auc is None
    assert scores.support == {"NORM": 1, "MI": 2, "STTC": 0, "CD": 1, "HYP": 1}


def test_a_class_that_is_only_guessed_counts_as_zero():
    assert strict.score_labels("ptb-test", ["NORM", "NORM"], ["NORM", "NORM, HYP"]).f1 == pytest.approx(0.5)


def test_graded_scores_give_a_real_auc():
    draw = np.random.default_rng(0)
    golds = ["NORM", "MI", "CD", "HYP", "STTC"] * 20
    truth = np.array([[c in gold for c in strict.LABEL_NAMES["ptb-test"]] for gold in golds])
    graded = truth + draw.normal(size=truth.shape)
    scores = strict.score_labels("ptb-test", golds, golds, graded)
    assert scores.auc == pytest.approx(roc_auc_score(truth, graded, average="macro"))
    with pytest.raises(EvaluationError, match="shape"):
        strict.score_labels("ptb-test", golds, golds, graded[:, :3])


def test_classes_that_all_or_no_records_have_are_left_out_of_the_auc():
    golds = ["NORM, MI", "NORM", "NORM, MI", "NORM"]  # all are NORM; none has STTC, CD or HYP
    graded = np.array(
        [[0.5, 0.9, 0.1, 0.2, 0.3], [0.1, 0.2, 0.4, 0.1, 0.2], [0.9, 0.3, 0.3, 0.9, 0.1], [0.2, 0.4, 0.1, 0.8, 0.3]]
    )
    scores = strict.score_labels("ptb-test", golds, golds, graded)
    assert scores.class_auc == {"MI": 0.75} and scores.auc == 0.75
    assert strict.score_labels("ptb-test", ["NORM"] * 4, golds, graded).auc is None


QUESTION = "What is the rhythm?\nA. Sinus rhythm\nB. Atrial fibrillation\nC. Atrial flutter\nOnly answer the letter."


@pytest.mark.parametrize(
    "text, letter",
    [
        ("B", "B"),
        ("(b)", "B"),
        ("B. Atrial fibrillation", "B"),
        ("C. Atrial flutter, rather than A. Sinus rhythm", "C"),
        ("The correct option is C", "C"),
        ("answer: d", "D"),
        ("Option B", "B"),
        ("Answer: None of the above", None),
        ("Answer: atrial fibrillation", "B"),
        ("Lead aVF. T wave inversion", None),
        ("A cardiologist would call this atrial flutter", "C"),
        ("atrial flutter or atrial fibrillation", None),
        ("Option A or option B", None),
        ("E.C.G. shows rhythm", None),
        ("I cannot tell", None),
        ("", None),
    ],
)
def test_letters(text, letter):
    assert strict.find_letter(text, QUESTION) == letter


def test_options_in_questions():
    assert strict.options_in("Q?\nA. One, two\nB. Three") == {"A": "One, two", "B": "Three"}
    assert strict.options_in("Q? A. yes B. no C. not sure") == {"A": "yes", "B": "no", "C": "not sure"}


def test_letter_accuracy():
    found = strict.score_letters(["A. Sinus rhythm", "B", "C"], ["A", "atrial flutter", "hm"], [QUESTION] * 3)
    assert found.accuracy == pytest.approx(1 / 3) and found.unparseable == pytest.approx(1 / 3)
    assert found.interval[0] < found.accuracy < found.interval[1] and found.count == 3
    with pytest.raises(EvaluationError, match="no letter"):
        strict.score_letters(["unknown"], ["A"], [QUESTION])


@pytest.mark.parametrize("gold_format", [0, 1])
def test_ecg_qa(gold_format):
    case = json.loads(shared_path("fixtures/evaluation/ecgbench_ecgqa.json").read_text())["cases"][gold_format]
    rows = case["rows"]
    found = strict.score_options(*([row[key] for row in rows] for key in ("prompt", "gold", "pred")))
    # All but "Yes." for no, "I cannot tell" and "rhythm sinus".
    assert found.accuracy == 5 / 8 and found.unparseable == 2 / 8


def test_gold_answers_in_characters_as_on_the_hub():
    options = ["yes", "no", "not sure"]
    assert strict.gold_options(list("not sure"), options) == {"not sure"}
    assert strict.gold_options(["no"], options) == {"no"}
    with pytest.raises(EvaluationError, match="not made of"):
        strict.gold_options("maybe", options)


def test_judged_sets():
    criteria = {"Diagnosis": 10.0, "Rhythm": 10.0}
    judged = {
        "a": {"Diagnosis": {"Score": 8}, "Rhythm": {"Score": "6"}},
        "b": {"Diagnosis": {"Score": 20}, "Rhythm": {"Score": None}},
        "c": None,
    }
    found = strict.score_judged(judged, criteria)
    assert found["Diagnosis"] == 90 and found["Rhythm"] == 60 and found["Average"] == 70
    assert found["missing"] == {"b": ["Rhythm"], "c": ["Diagnosis", "Rhythm"]}


@pytest.mark.parametrize("golds, answers", [([], []), (["NORM"], []), (["healthy"], ["NORM"])])
def test_what_cannot_be_scored_is_named(golds, answers):
    with pytest.raises(EvaluationError):
        strict.score_labels("ptb-test", golds, answers)
