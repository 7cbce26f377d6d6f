# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Each set of ECG-Bench from its published layout to the report: both modes, faulty files, likelihoods, judges."""

import json

import numpy as np
import pytest
import yaml

from processing.errors_gem import EvaluationError
from recipes.chat.client import ChatClient
from recipes.chat.settings import ChatSettings
from recipes.evaluation.ecgbench import SETS, bench_report, check_task, evaluate_ecgbench, label_scores
from recipes.evaluation.items import read_bench
from recipes.evaluation.judges import ChatJudge
from recipes.evaluation.report import write_report
from tests.helpers.chat_server import Answer, ChatServer
from tests.helpers.tiny_gem import signal
from tests.recipes.evaluation.test_generate_answers import model  # noqa: F401  (fixture)

FIXTURES = "tests/fixtures/evaluation"


@pytest.fixture(autouse=True)
def in_the_project(request, monkeypatch):
    monkeypatch.chdir(request.config.rootpath)


def bench(tmp_path, rows, answers, key="text"):
    """A set of (id, question, gold) with its items, and the file of answers."""
    data = [
        {
            "id": name,
            "conversations": [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": gold}],
        }
        for name, question, gold in rows
    ]
    (tmp_path / "set.json").write_text(json.dumps(data))
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps({"question_id": name, key: text}) + "\n" for name, text in answers))
    return read_bench(tmp_path / "set.json"), path


def test_multi_label_both_modes(tmp_path):
    items = read_bench(f"{FIXTURES}/ptb-test.json")
    run = evaluate_ecgbench("ptb-test", items, f"{FIXTURES}/ptb-answers.jsonl", tmp_path)
    # To the published code "ABNORMAL: STTC" says NORM, "no HYP" says HYP, and "normal ECG" nothing.
    assert run.compat["F1"] == pytest.approx(68.0) and run.strict["F1"] == pytest.approx(
        100 * (4 / 5 + 2 / 3 + 2 / 3 + 1) / 5
    )
    assert run.strict["Unparseable"] == 12.5 and run.strict["AUC"] is None and not run.problems


def test_answers_that_are_cut_off_are_counted(tmp_path):
    rows = [(f"s{i}", "Write a report.", "Sinus rhythm. PR 160 ms.") for i in range(2)]
    items, path = bench(tmp_path, rows, [("s0", "Sinus rhythm. PR 16"), ("s1", "Sinus rhythm. PR 16")])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | {"cut_off": row["question_id"] == "s1"}) + "\n" for row in rows))
    with ChatServer([Answer("{}")]) as server:
        judge = ChatJudge(ChatClient(ChatSettings(model="m", base_url=server.url)))
        run = evaluate_ecgbench("ptb-test-report", items, path, tmp_path, judge)
        sent = [body["messages"][1]["content"] for body in server.requests]
    assert sorted("PR 16\n" in text or text.endswith("PR 16") for text in sent) == [False, True]
    assert run.details["answers"]["cut_off"] == 1
    assert bench_report(run, items).notes == [
        "Of 2 answers, 1 cut off before its end; the unfinished last word is not checked."
    ]


OPTIONS = "What is it?\nA. Sinus rhythm\nB. Atrial fibrillation\nC. Atrial flutter"


def test_choice_sets_name_the_line_count_that_the_original_passes_over(tmp_path):
    rows = [(f"s{i}", OPTIONS, gold) for i, gold in enumerate(["A. Sinus rhythm", "B. Atrial fibrillation"])]
    items, path = bench(tmp_path, rows, [("s0", "A. Sinus rhythm"), ("s1", "no idea")])
    run = evaluate_ecgbench("csn-test-no-cot", items, path, tmp_path)
    assert run.strict == {"Accuracy": 50.0, "Unparseable": 50.0} and run.compat == {"Accuracy": None}
    assert "scores files of 1611 only" in run.problems[0]


def test_a_complete_choice_set_scores_in_both_modes(tmp_path):
    rows = [(f"m{i}", OPTIONS, "ABC"[i % 3]) for i in range(200)]
    items, path = bench(tmp_path, rows, [(f"m{i}", f"{'ABC'[i % 2]}.") for i in range(200)], key="response")
    run = evaluate_ecgbench("mmmu-ecg", items, path, tmp_path)
    right = 100 * np.mean(["ABC"[i % 3] == "ABC"[i % 2] for i in range(200)])
    assert run.compat["Accuracy"] == pytest.approx(right) == pytest.approx(run.strict["Accuracy"])
    assert not run.problems


def test_ecg_qa_gives_both_published_scores(tmp_path):
    question = "Is it?\nOptions: yes, no, not sure\nOnly answer based on the given Options without any explanation."
    rows = [("q0", question, ["yes"]), ("q1", question, list("not sure")), ("q2", question, ["no"])]
    items, path = bench(tmp_path, rows, [("q0", "Yes"), ("q1", "Not sure."), ("q2", "on")])
    # The published code reads the options from the prompt beside the answer; ours from the set.
    run = evaluate_ecgbench("ecgqa-test", items, path, tmp_path)
    assert run.strict["Accuracy"] == pytest.approx(200 / 3)
    assert run.compat["Accuracy (GEM)"] == pytest.approx(200 / 3)
    assert run.compat["Accuracy (PULSE)"] == pytest.approx(100 / 3)


def test_defects_of_a_file_are_all_named(tmp_path):
    items = read_bench(f"{FIXTURES}/ptb-test.json")
    lines = [
        {"question_id": "ptb-0", "text": "NORM"},
        {"question_id": "ptb-0", "text": "MI"},
        {"question_id": "ptb-1", "text": 3},
    ]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"question_id": "pt')
    run = evaluate_ecgbench("ptb-test", items, path, tmp_path)
    said = "\n".join(run.problems)
    for expected in (
        "half written",
        "expected text",
        "stands 2 times",
        "6 of 8 ids have no answer",
        "published score cannot",
    ):
        assert expected in said, said
    assert run.strict["Unparseable"] == 87.5 and not run.compat


def test_unknown_sets_and_missing_judges_are_refused(tmp_path):
    with pytest.raises(EvaluationError, match="known are ptb-test"):
        check_task("ptb")
    items, path = bench(tmp_path, [("r", "Write a report.", "Sinus rhythm.")], [("r", "Sinus rhythm.")])
    with pytest.raises(EvaluationError, match="judge"):
        evaluate_ecgbench("ptb-test-report", items, path, tmp_path)
    assert len(SETS) == 9


def test_reports_are_scored_by_a_judge(tmp_path):

    items, path = bench(
        tmp_path,
        [(f"r{i}", "Write a report.", f"gold {i}") for i in range(3)],
        [(f"r{i}", f"text {i}") for i in range(3)],
    )

    def script(body):
        score = 4 if "text 1" in body["messages"][1]["content"] else 8
        return Answer(
            json.dumps({k: {"Score": score, "Explanation": "."} for k in ("Diagnosis", "Waveform", "Rhythm")})
        )

    with ChatServer(script) as server:
        judge = ChatJudge(ChatClient(ChatSettings(model="m", base_url=server.url)))
        run = evaluate_ecgbench("ptb-test-report", items, path, tmp_path, judge)
    assert run.strict["Average"] == pytest.approx(200 / 3) == pytest.approx(run.compat["Average"])
    assert run.strict["Rhythm"] == pytest.approx(200 / 3) and not run.problems


def test_arena_judges_both_turns_at_once(tmp_path):

    rows = [{"id": "a", "conversations": [{"question": "Q1", "answer": "g1"}, {"question": "Q2", "answer": "g2"}]}]
    (tmp_path / "arena.json").write_text(json.dumps(rows))
    (tmp_path / "answers.jsonl").write_text(
        json.dumps({"id": "a", "predict_convs": [{"answer": "x1"}, {"answer": "x2"}]}) + "\n"
    )
    verdict = {"Accuracy": 6, "Completeness": 5, "Instruction Adherence": 10}
    reply = Answer(json.dumps({k: {"Score": v, "Explanation": "."} for k, v in verdict.items()}))
    with ChatServer([reply]) as server:
        judge = ChatJudge(ChatClient(ChatSettings(model="m", base_url=server.url)))
        run = evaluate_ecgbench(
            "arena", read_bench(tmp_path / "arena.json"), tmp_path / "answers.jsonl", tmp_path, judge
        )
        assert server.count == 1 and "x2" in server.requests[0]["messages"][1]["content"]
    assert run.strict["Average"] == 70 and run.compat["Overall"] == 70


def test_likelihoods_give_a_real_auc_and_resume(model, tmp_path):  # noqa: F811
    for i in range(4):
        np.save(tmp_path / f"{i}.npy", signal(i))
    rows = [
        {"id": f"p{i}", "ecg": f"x/{i}.npy", "conversations": [{"value": "Which?"}, {"value": gold}]}
        for i, gold in enumerate(["NORM", "MI", "NORM", "MI, CD"])
    ]
    (tmp_path / "set.json").write_text(json.dumps(rows))
    items = read_bench(tmp_path / "set.json", {"x": str(tmp_path)})
    for item in items:
        object.__setattr__(item.ecg, "options", {"sampling_rate": 500})
    path = tmp_path / "likelihoods.jsonl"
    graded, problems = label_scores("ptb-test", items[:2], model, path, "signal", 2)
    graded, problems = label_scores("ptb-test", items, model, path, "signal", 2)
    assert set(graded) == {"p0", "p1", "p2", "p3"} and not problems and all(len(row) == 5 for row in graded.values())
    (tmp_path / "answers.jsonl").write_text(
        "".join(json.dumps({"id": f"p{i}", "text": "NORM"}) + "\n" for i in range(4))
    )
    run = evaluate_ecgbench("ptb-test", items, tmp_path / "answers.jsonl", tmp_path, graded=graded)
    assert 0 <= run.strict["AUC"] <= 100 and set(run.details["roc"]) == {"NORM", "MI", "CD"}
    # Likelihoods that follow the truth, for the number itself.
    truth = {
        f"p{i}": [float(c in g) for c in ("NORM", "MI", "STTC", "CD", "HYP")]
        for i, g in enumerate(["NORM", "MI", "NORM", "MI, CD"])
    }
    assert (
        evaluate_ecgbench("ptb-test", items, tmp_path / "answers.jsonl", tmp_path, graded=truth).strict["AUC"] == 100
    )
    report = bench_report(run, items, model)
    write_report(tmp_path / "out", report, ["gem", "eval"])
    assert (tmp_path / "out" / "roc.png").stat().st_size > 5000


def test_report_files_hold_all_that_is_needed_to_repeat_a_run(tmp_path):
    items = read_bench(f"{FIXTURES}/ptb-test.json")
    run = evaluate_ecgbench("ptb-test", items, f"{FIXTURES}/ptb-answers.jsonl", tmp_path)
    run.problems.append("something was odd")
    path = write_report(tmp_path, bench_report(run, items), ["gem", "eval", "ecgbench", "with space"])
    facts = json.loads((tmp_path / "report.json").read_text())
    assert facts["command"] == "gem eval ecgbench 'with space'" and facts["versions"]["scikit-learn"]
    assert (
        facts["data"]["rows"] == 8
        and len(facts["data"]["sha256"]) == 64
        and facts["problems"] == ["something was odd"]
    )
    text = path.read_text()
    assert "| F1 |" in text and "something was odd" in text and "class_f1.png" in text
    block = yaml.safe_load((tmp_path / "card_metrics.yml").read_text())["model-index"][0]["results"][0]
    assert block["dataset"]["name"] == "ECG-Bench PTB-XL Super"
    assert {m["name"] for m in block["metrics"]} >= {"F1 (strict)", "F1 (compat)"}
    # Another gold answer is another data set.
    changed = [items[0], *items[2:]]
    assert bench_report(run, changed).data["sha256"] != facts["data"]["sha256"]
