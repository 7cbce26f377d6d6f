# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECG-Bench in compat mode equals the original code on every shared case, and raises where that code raises."""

import json
import math

import pytest

from processing.errors_gem import EvaluationError
from recipes.evaluation import ecgbench_compat as compat
from tests.helpers.shared_data import shared_path


def fixture(name):
    return json.loads(shared_path(f"fixtures/evaluation/{name}.json").read_text())


def same(found, expected):
    return math.isnan(found) if expected is None else found == pytest.approx(expected, abs=1e-12)


def test_multilabel():
    cases = [(task, case) for task, rows in fixture("ecgbench_multilabel")["datasets"].items() for case in rows]
    assert len(cases) >= 10
    for task, case in cases:
        golds, answers = ([row[key] for row in case["rows"]] for key in ("gold", "pred"))
        scores, expected = compat.score_multilabel(task, golds, answers), case["expected"]
        assert list(map(list, scores.predicted_labels)) == expected["pred_labels"], case["name"]
        assert list(map(list, scores.gold_labels)) == expected["gold_labels"], case["name"]
        assert list(scores.classes) == expected["classes"], case["name"]
        for found, key in ((scores.f1, "f1"), (scores.auc, "auc"), (scores.hamming_loss, "hl")):
            assert same(found, expected[key]), (task, case["name"], key)
        percent = scores.percent()
        printed = f"f1 {percent['F1']} auc {percent['AUC']} hl {percent['HL']}"
        assert printed == expected["rounded_percent_printed"], case["name"]


def test_letters_and_draws():
    data = fixture("ecgbench_mcq_extract")
    for case in data["cases"]:
        assert compat.letter(case["text"]) == case["letter"], case["text"]
    assert compat.letters([""] * 12) == data["fallback_draws_AH_seed42"]
    assert compat.letters([""] * 12, "ABCD") == data["fallback_draws_AD_seed42"]


def test_choice_accuracy():
    for case in fixture("ecgbench_accuracy")["cases"]:
        golds, answers = ([row[key] for row in case["rows"]] for key in ("gold", "pred"))
        guard = compat.CHOICE_SETS["csn-test-no-cot"][1] if case["expected_accuracy"] is None else None
        assert compat.score_choice(golds, answers, expected_rows=guard) == case["expected_accuracy"], case["name"]


def test_mmmu_compares_the_whole_gold_answer():
    assert compat.score_choice(["B", "B. AF"], ["B", "B"], "ABCD", whole_gold=True) == 0.5
    assert compat.score_choice(["B", "B. AF"], ["B", "B"], "ABCD") == 1.0


def test_ecg_qa():
    for case in fixture("ecgbench_ecgqa")["cases"]:
        rows = case["rows"]
        for name, (variant, key) in {
            "pulse": ("pulse", "text"),
            "gem": ("gem", "text"),
            "gem_response_key": ("gem", "response"),
        }.items():
            passed = [compat.qa_passes(row["prompt"], row["gold"], row["pred"], variant, key) for row in rows]
            assert passed == [bool(row[name]) for row in case["per_row_pass"]], (case["gold_format"], name)
            columns = [[row[field] for row in rows] for field in ("prompt", "gold", "pred")]
            assert compat.score_qa(*columns, variant, key) == case["accuracy"][name]


def test_report_scores():
    for case in fixture("report_score")["cases"]:
        expected = case["expected_printed"]
        if "error" in expected:
            with pytest.raises(EvaluationError, match="00001"):
                compat.score_reports(case["files"])
            continue
        found = compat.score_reports(case["files"])
        found |= {"Lenght of report_scores": found.pop("Records"), "Average Score": found.pop("Average")}
        assert found == pytest.approx(expected), case["name"]


def test_a_report_without_closing_fence_repeats_the_one_before():
    judged = {"1": '{"Rhythm": {"Score": 8}}', "2": '```json\n{"Rhythm": {"Score": 2}}'}
    assert compat.score_reports(judged) == {"Rhythm": 80.0, "Records": 2.0, "Average": 80.0}


def test_arena():
    for case in fixture("arena_score")["cases"]:
        expected = case["expected_printed"]
        if "error" in expected:
            with pytest.raises(EvaluationError, match="Instruction Adherence"):
                compat.score_arena(case["files"])
            continue
        scores = compat.score_arena(case["files"])
        names = {f"Average {name} Score": value for name, value in scores.items() if name != "Overall"}
        assert {**names, "Overall Average Score": scores["Overall"]} == pytest.approx(expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda: compat.score_multilabel("ptb", ["NORM"], ["NORM"]),
        lambda: compat.score_multilabel("ptb-test", ["NORM"], []),
        lambda: compat.score_multilabel("ptb-test", ["healthy"], ["NORM"]),
        lambda: compat.score_choice([], []),
        lambda: compat.score_choice([""], ["A"]),
        lambda: compat.score_qa(["Options: a"], ["a"], ["a"], "pulze"),
        lambda: compat.score_reports({}),
        lambda: compat.score_reports({"1": "[1]"}),
        lambda: compat.score_arena({}),
    ],
)
def test_what_cannot_be_scored_is_named(call):
    with pytest.raises(EvaluationError):
        call()
