# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Published formulas equal the notebooks on every shared case; the strict ones are bounded and report what is missing."""

import json

import numpy as np
import pytest

from processing.errors_gem import EvaluationError
from recipes.evaluation.grounding_scores import VERSIONS, confidence_interval, score_grounding
from recipes.evaluation.judge_replies import CRITERIA, read_as_notebook, read_strictly
from tests.helpers.shared_data import shared_path

OLD_NAMES = {
    "ECGFeatureGrounding": "GroundedECGUnderstanding",
    "ClinicalDiagnosticFidelity": "RealisticDiagnosticProcess",
}


def cases(name):
    return json.loads(shared_path(f"fixtures/evaluation/{name}.json").read_text())["cases"]


def old_names(judged):
    def renamed(text):
        for new, old in OLD_NAMES.items():
            text = text.replace(new, old)
        return text

    return {name: renamed(text) for name, text in judged.items()}


def check(judged, version, expected):
    """Parsed scores, per-sample values and table numbers, or the error that stops the notebook."""
    if "parsed_scores" in expected:
        assert {name: read_as_notebook(text, version) for name, text in judged.items()} == expected["parsed_scores"]
    if "error" in expected:
        with pytest.raises(EvaluationError):
            score_grounding(judged, version)
        return
    scores = score_grounding(judged, version)
    per_sample = expected.get("per_sample_scaled", expected["per_sample_raw"])
    for name, row in per_sample.items():
        for key, value in row.items():
            scale = 100 if key == "DiagnosisAccuracy" and "per_sample_scaled" not in expected else 1
            found = scores.samples.loc[name, key]
            assert np.isnan(found) if value is None else found == pytest.approx(value * scale), (name, key)
    found = scores.rounded()
    if "overall" in expected:
        assert found.pop("Average") == pytest.approx(expected["overall"], abs=0.005)
    elif version == "gem-v1":
        found.pop("Average", None)
    assert found == expected["means_rounded_2"]


def test_gem_v2():
    for case in cases("grounding_scores_gem"):
        check(case["judge"], "gem-v2", case["gem"])


def test_both_versions_of_gem():
    found = cases("grounding_scores_gem_versions")
    assert len(found) >= 16
    for case in found:
        check(old_names(case["judge"]), "gem-v1", case["v1_961fa6c"])
        check(case["judge"], "gem-v2", case["v2_793cdbb"])


def test_ecg_r1():
    for case in cases("grounding_scores_ecg_r1"):
        check(case["judge"], "ecg-r1", case["ecg_r1"])


def judge_text(**changes):
    scores = {
        "DiagnosisAccuracy": [{"Score": 2}, {"Score": 1}],
        "AnalysisCompleteness": [{"Score": 1}, {"Score": 0}],
        "AnalysisRelevance": [{"Score": 2}, {"Score": 2}],
        "LeadAssessmentCoverage": [{"Lead": "V1", "Score": 1}, {"Lead": "aVF", "Score": 1}],
        "LeadAssessmentAccuracy": [{"Lead": "V1", "Score": 2}, {"Lead": "lead avf", "Score": 1}],
        "ECGFeatureGrounding": [{"Score": 80}],
        "EvidenceBasedReasoning": [{"Score": 50}],
        "ClinicalDiagnosticFidelity": [{"Score": 100}],
    }
    return json.dumps({key: value for key, value in (scores | changes).items() if value is not None})


def test_strict_formulas():
    means = score_grounding({"a": judge_text()}).means
    assert means == pytest.approx(
        {
            "DiagnosisAccuracy": 75.0,
            "AnalysisCompleteness": 50.0,
            "AnalysisRelevance": 100.0,
            "LeadAssessmentCoverage": 100 * 2 / 12,
            "LeadAssessmentAccuracy": 100 * 3 / 24,
            "ECGFeatureGrounding": 80.0,
            "EvidenceBasedReasoning": 50.0,
            "ClinicalDiagnosticFidelity": 100.0,
            "Average": 230 / 3,
        }
    )


def test_a_lead_counts_once():
    twice = [{"Lead": "V1", "Score": 2}, {"Lead": "lead V1", "Score": 0}]
    assert score_grounding({"a": judge_text(LeadAssessmentAccuracy=twice)}).means[
        "LeadAssessmentAccuracy"
    ] == pytest.approx(100 / 24)


@pytest.mark.parametrize("seed", range(20))
def test_strict_is_bounded_whatever_the_judge_writes(seed):
    draw = np.random.default_rng(seed)
    values = [None, "x", "3", -5, 1, 2, 80, 1e9, True, [1], {"Score": 7}]

    def entry():
        value = values[draw.integers(len(values))]
        return {"Score": value, "Lead": str(draw.choice(["V1", "II", "V9"]))} if draw.random() < 0.7 else value

    wild = {key: [entry() for _ in range(draw.integers(0, 40))] for key in CRITERIA if draw.random() < 0.9}
    scores = score_grounding({"wild": wild, "tame": judge_text()})
    values = scores.samples.to_numpy()
    assert ((values >= 0) & (values <= 100) | np.isnan(values)).all()


def test_missing_criteria_are_counted_and_named():
    judged = {"a": judge_text(), "b": judge_text(ECGFeatureGrounding=None), "c": "I cannot judge this."}
    scores = score_grounding(judged)
    assert scores.missing["ECGFeatureGrounding"] == 2 and scores.missing["DiagnosisAccuracy"] == 1
    assert "missing criterion ECGFeatureGrounding" in scores.problems["b"]
    assert any("no JSON object" in problem for problem in scores.problems["c"])
    assert scores.means["ECGFeatureGrounding"] == 80
    assert scores.means_missing_as_zero["ECGFeatureGrounding"] == pytest.approx(80 / 3)
    assert "a" not in scores.problems


@pytest.mark.parametrize(
    "text, problem",
    [
        ("```json\n" + judge_text() + "\n```", None),
        ("Here you are:\n" + judge_text() + "\nGood luck [ ] }", None),
        (judge_text().replace('"ECGFeatureGrounding"', '"GroundedECGUnderstanding"'), None),
        (judge_text(ECGFeatureGrounding=80), None),
        (judge_text(ECGFeatureGrounding=[{"score": "80"}]), None),
        (judge_text()[:-1], "repaired JSON"),
        (judge_text().replace('"', "'"), "repaired JSON"),
        (judge_text(Bonus=[{"Score": 1}]), "unknown criterion Bonus"),
    ],
)
def test_strict_reading(text, problem):
    answer = read_strictly(text)
    assert answer.scores["ECGFeatureGrounding"][0].score == 80 and not answer.missing
    assert (problem is None) == (not answer.problems) and (problem is None or problem in answer.problems[0])


def test_scores_outside_of_the_scale_are_named_and_clipped():
    answer = read_strictly(judge_text(ECGFeatureGrounding=[{"Score": 130}, {"Score": None}]))
    assert [entry.score for entry in answer.scores["ECGFeatureGrounding"]] == [100]
    assert "score 130 outside of 0-100" in answer.problems[0] and "holds no score" in answer.problems[1]


@pytest.mark.parametrize(
    "given, value", [("40 + 40", 80), ("160 / 2", 80), ("+80", 80), ("100 - 20", 80), ("3 ** 4 - 1", 80)]
)
def test_sums_are_worked_out_without_eval(given, value):
    text = judge_text().replace('"Score": 80', f'"Score": {given}')
    assert read_as_notebook(text, "gem-v2")["ECGFeatureGrounding"] == [value]


def test_no_text_of_a_judge_is_run():
    text = judge_text().replace('"Score": 80', '"Score": 9**9**9**9**9')
    assert "ECGFeatureGrounding" not in read_as_notebook(text, "gem-v2")


@pytest.mark.parametrize("version", ["gem-v2", "ecg-r1"])
@pytest.mark.parametrize("entry", ['{"Score": 1, "Explanation": 5}', '{"Score": 1, "Explanation": {}}'])
def test_where_the_notebook_stops_no_number_is_invented(version, entry):
    with pytest.raises(EvaluationError, match="sample-7"):
        score_grounding({"sample-7": f'{{"DiagnosisAccuracy": [{entry}]}}'}, version)


def test_table_numbers_are_rounded_as_pandas_does():
    scores = [[{"Score": value}] for value in (0, 0.13)]  # mean 0.065; Python's round gives 0.07
    judged = {str(i): judge_text(AnalysisCompleteness=entry) for i, entry in enumerate(scores)}
    assert score_grounding(judged, "gem-v2").rounded()["AnalysisCompleteness"] == 0.06


def test_confidence_interval_covers_the_mean_and_narrows():
    values = np.random.default_rng(1).normal(50, 10, 400)
    low, high = confidence_interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * 10 / 20, rel=0.25)
    assert confidence_interval(values) == (low, high), "the seed decides"
    assert np.isnan(confidence_interval(values[:1])).all()


def test_bad_calls():
    with pytest.raises(EvaluationError, match="unknown"):
        score_grounding({"a": judge_text()}, "gem-v3")
    for version in VERSIONS:
        with pytest.raises(EvaluationError, match="no judged answers"):
            score_grounding({}, version)
    with pytest.raises(EvaluationError, match="parsed JSON"):
        score_grounding({"a": json.loads(judge_text())}, "gem-v2")
