# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""From records to the report: answers, the check against measurements, a judge over HTTP, every formula, every defect."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from processing.errors_gem import EvaluationError
from recipes.chat.client import ChatClient
from recipes.chat.settings import ChatSettings
from recipes.evaluation.grounding import evaluate_grounding, grounding_report
from recipes.evaluation.items import read_test_set
from recipes.evaluation.judge_replies import CRITERIA
from recipes.evaluation.judges import ChatJudge
from recipes.evaluation.report import write_report
from recipes.sources.source_record import EcgFile
from tests.helpers.chat_server import Answer, ChatServer
from tests.recipes.evaluation.test_judges import verdict

SET = "tests/fixtures/evaluation/grounding.json"
TEXTS = {
    "normal": "Sinus rhythm. No ST deviation. Normal axis.",
    "atrial_fibrillation": "Atrial fibrillation, irregular.",
    "inferior_infarction": "Sinus rhythm, 300 bpm. Pathological Q waves in II, III and aVF.",
    "left_bundle_branch_block": "Complete left bundle branch block. QRS 160 ms.",
}


@pytest.fixture(autouse=True)
def in_the_project(request, monkeypatch):
    monkeypatch.chdir(request.config.rootpath)


@pytest.fixture
def items():
    found, problems = read_test_set(SET, files={"samples": "processing/samples"})
    assert len(found) == 4 and not problems
    return found


def answers(tmp_path, texts=TEXTS):
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps({"id": f"ecg-grounding/{n}", "text": t}) + "\n" for n, t in texts.items()))
    return path


def test_claims_are_checked_and_compared_with_other_records(items, tmp_path):
    run = evaluate_grounding(items, answers(tmp_path), tmp_path)
    checks = {name.split("/")[1]: check for name, check in run.checks.items()}
    assert checks["normal"]["contradicted"] == 0 and checks["normal"]["supported"] >= 2
    assert checks["inferior_infarction"]["contradicted"] >= 1, "300 bpm"
    assert not run.problems and not run.scores
    report = grounding_report(run, items, "samples", "test")
    precision = next(row for row in report.tables[0].rows if row.label == "precision").values
    assert precision["measured"] > precision["answers of other records"]
    names = {result.metric_name for result in report.tables[0].eval_results()}
    assert names and not any("other records" in name for name in names), "the baseline is no result of the model"


def test_the_unfinished_number_of_an_answer_that_was_cut_off_is_not_judged(items, tmp_path):
    path = answers(tmp_path, TEXTS | {"normal": "Sinus rhythm. The QRS axis is 7"})
    whole = evaluate_grounding(items, path, tmp_path)
    assert whole.checks["ecg-grounding/normal"]["contradicted"] == 1
    assert grounding_report(whole, items, "samples", "test").details["cut_off"] is None  # the file does not say
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | {"cut_off": row["text"].endswith("7")}) + "\n" for row in rows))
    with ChatServer([Answer(json.dumps(verdict()))]) as server:
        judge = ChatJudge(ChatClient(ChatSettings(model="m", base_url=server.url)))
        run = evaluate_grounding(items, path, tmp_path, judge)
        sent = " ".join(body["messages"][1]["content"] for body in server.requests)
    assert run.checks["ecg-grounding/normal"]["contradicted"] == 0 and "is 7" not in sent
    report = grounding_report(run, items, "samples", "test")
    said = "Of 4 answers, 1 cut off before its end; the unfinished last word is not checked."
    assert report.details["cut_off"] == 1 and said in report.notes
    assert said in write_report(tmp_path / "report", report).read_text()


def test_checks_resume_and_a_changed_answer_is_checked_again(items, tmp_path):
    first = evaluate_grounding(items, answers(tmp_path), tmp_path)
    kept = (tmp_path / "checked.jsonl").read_bytes()
    again = evaluate_grounding(items, answers(tmp_path), tmp_path)
    assert (tmp_path / "checked.jsonl").read_bytes() == kept and again.checks == first.checks
    changed = evaluate_grounding(items, answers(tmp_path, TEXTS | {"normal": "Atrial fibrillation."}), tmp_path)
    assert changed.checks["ecg-grounding/normal"]["contradicted"] >= 1


def test_a_judge_over_http_gives_every_formula(items, tmp_path):
    with ChatServer([Answer(json.dumps(verdict()))]) as server:
        judge = ChatJudge(ChatClient(ChatSettings(model="m", base_url=server.url)))
        run = evaluate_grounding(items, answers(tmp_path), tmp_path, judge)
        sent = [body["messages"][1]["content"] for body in server.requests]
    assert any("Impression: inferior myocardial infarction" in text and "300 bpm" in text for text in sent)
    assert set(run.scores) == {"gem-v1", "gem-v2", "ecg-r1", "strict"} and not run.problems
    # Three leads with a score of 1 each: mean of the positive ones, sum, share of twelve.
    coverage = {version: scores.means.get("LeadAssessmentCoverage") for version, scores in run.scores.items()}
    assert coverage == {"gem-v1": pytest.approx(100 / 12), "gem-v2": 25.0, "ecg-r1": None, "strict": 25.0}
    report = grounding_report(run, items, "samples", "test", judge=judge.description)
    path = write_report(tmp_path / "report", report, ["gem"])
    facts = json.loads((tmp_path / "report" / "report.json").read_text())
    assert facts["judge"]["model"] == "m" and facts["details"]["judge"]["strict"]["intervals"]["Average"]
    assert all(name in path.read_text() for name in CRITERIA)
    metrics = yaml.safe_load((tmp_path / "report" / "card_metrics.yml").read_text())["model-index"][0]["results"][0][
        "metrics"
    ]
    assert "LeadAssessmentCoverage (strict)" in {metric["name"] for metric in metrics}


def test_an_earlier_judgement_is_taken_as_it_is(items, tmp_path):
    run = evaluate_grounding(items, answers(tmp_path), tmp_path, judged="tests/fixtures/evaluation/judged.jsonl")
    assert run.scores["strict"].means["DiagnosisAccuracy"] == pytest.approx((100 + 50 + 50 + 0) / 4)
    assert run.scores["gem-v2"].means["DiagnosisAccuracy"] == pytest.approx((100 + 50 + 100 + 0) / 4)


def test_published_files_name_records_without_their_data_set(items, tmp_path):
    bare, judged = tmp_path / "bare.jsonl", tmp_path / "judged.jsonl"
    bare.write_text("".join(json.dumps({"question_id": n, "text": t}) + "\n" for n, t in TEXTS.items()))
    published = Path("tests/fixtures/evaluation/judged.jsonl").read_text()
    judged.write_text(published.replace("ecg-grounding/", ""))
    run = evaluate_grounding(items, bare, tmp_path, judged=judged)
    assert sorted(run.checks) == sorted(item.id for item in items) and len(run.judged) == 4 and not run.problems


def test_everything_wrong_is_a_problem_of_the_report(items, tmp_path):
    texts = {"normal": "Sinus rhythm.", "atrial_fibrillation": " ", "somebody_else": "x"}
    judged = tmp_path / "judged.jsonl"
    judged.write_text(
        json.dumps({"id": "ecg-grounding/normal", "results": '{"DiagnosisAccuracy": [{"Score": 1}]}'}) + "\n{"
    )
    run = evaluate_grounding(items, answers(tmp_path, texts), tmp_path, judged=judged)
    said = "\n".join(run.problems)
    for expected in (
        "2 of 4 ids have no answer",
        "1 ids are not in the test set: ecg-grounding/somebody_else",
        "ecg-grounding/atrial_fibrillation: the answer is empty",
        "judged.jsonl: line 2 is half written",
        "judge of ecg-grounding/normal: missing criterion ECGFeatureGrounding",
        "gem-v2 cannot be computed",
    ):
        assert expected in said, expected
    assert run.scores["strict"].means["DiagnosisAccuracy"] == 50


def test_a_record_that_cannot_be_read_is_named(items, tmp_path):
    broken = [items[0], dataclasses.replace(items[1], ecg=EcgFile("missing.hea"))]
    run = evaluate_grounding(broken, answers(tmp_path), tmp_path)
    assert any("atrial_fibrillation: not checked" in p and "missing" in p for p in run.problems)
    assert len(run.checks) == 1


def test_files_that_do_not_belong_together_are_refused(items, tmp_path):
    with pytest.raises(EvaluationError, match="belong together"):
        evaluate_grounding(items, answers(tmp_path, {"x": "y"}), tmp_path)
    judged = tmp_path / "judged.jsonl"
    judged.write_text(json.dumps({"id": "z", "results": "{}"}) + "\n")
    with pytest.raises(EvaluationError, match="not one of its ids"):
        evaluate_grounding(items, answers(tmp_path), tmp_path, judged=judged)
    with pytest.raises(EvaluationError, match="no answer to score"):
        evaluate_grounding(items, answers(tmp_path, dict.fromkeys(TEXTS, " ")), tmp_path)
