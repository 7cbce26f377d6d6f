# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem eval` on the command line: reports, problems with exit code 1, wrong usage in one red line."""

import json
import os
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from processing.errors_gem import EvaluationError
from recipes.cli import app
from recipes.files import one_writer
from tests.helpers.chat_server import Answer, ChatServer
from tests.helpers.source_trees import ptbxl_tree
from tests.recipes.evaluation.test_grounding import TEXTS
from tests.recipes.evaluation.test_judges import verdict

run = CliRunner()
SET = ["tests/fixtures/evaluation/grounding.json", "--files", "samples=processing/samples"]
BENCH = ["eval", "ecgbench", "ptb-test", "tests/fixtures/evaluation/ptb-test.json"]


@pytest.fixture(autouse=True)
def in_the_project(request, monkeypatch):
    monkeypatch.chdir(request.config.rootpath)


def answers(path, texts=TEXTS):
    path.write_text("".join(json.dumps({"id": f"ecg-grounding/{n}", "text": t}) + "\n" for n, t in texts.items()))
    return str(path)


def test_the_help_of_every_subcommand_has_an_example():
    assert run.invoke(app, ["eval", "--help"]).exit_code == 0
    for verb in (
        "ecgbench",
        "grounding",
        "ptbxl",
        "consistency",
        "reasoning",
        "measurements",
        "review-export",
        "review-import",
    ):
        shown = run.invoke(app, ["eval", verb, "--help"])
        assert shown.exit_code == 0 and f"gem eval {verb}" in shown.output, verb


def test_ecgbench(tmp_path):
    given = ["--answers", "tests/fixtures/evaluation/ptb-answers.jsonl", "-o", str(tmp_path)]
    result = run.invoke(app, [*BENCH, *given])
    assert result.exit_code == 0, result.output
    assert "F1: strict 62.7, compat 68" in result.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["tables"][0]["rows"][1]["label"] == "F1" and (tmp_path / "class_f1.png").exists()


def test_a_grounding_mode_is_scored_as_users_read_it(tmp_path):
    short = ["--limit", "1", "--modality", "signal", "--max-new-tokens", "24", "-o", str(tmp_path)]
    result = run.invoke(
        app, ["eval", "grounding", *SET, "--model", "tiny", "--grounding", "correct", "--n", "2", *short]
    )
    assert result.exit_code == 0 and "contradiction rate: measured 0" in result.output, result.output
    (row,) = map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())
    assert row["grounding"] == "correct" and 1 <= row["tried"] <= 2
    given = ["--answers", answers(tmp_path / "a.jsonl"), "--grounding", "select", "-o", str(tmp_path / "out")]
    refused = run.invoke(app, ["eval", "grounding", *SET, *given])
    assert refused.exit_code == 2 and "goes with --model" in refused.output


def test_grounding_with_a_judge_and_its_settings(tmp_path):
    settings = tmp_path / "judge.yaml"
    settings.write_text(
        "timeout: 5\nmax_concurrency: 2\nbudget_usd: 1\nprice_per_million_input: 0\nprice_per_million_output: 1\n"
    )
    with ChatServer([Answer(json.dumps(verdict()))]) as server:
        given = ["--answers", answers(tmp_path / "a.jsonl"), "-o", str(tmp_path / "out")]
        given += ["--judge", "my-judge", "--judge-engine", server.url, "--judge-settings", str(settings)]
        result = run.invoke(app, ["eval", "grounding", *SET, *given])
        assert result.exit_code == 0, result.output
        assert server.count == 4 and server.requests[0]["model"] == "my-judge"
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["judge"]["model"] == "my-judge" and report["judge"]["totals"]["replies"] == 4
    assert set(report["details"]["judge"]) == {"gem-v1", "gem-v2", "ecg-r1", "strict"}
    assert {"check.png", "judge.png", "card_metrics.yml"} <= {path.name for path in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize(
    ("option", "name", "split"),
    [([], "PTB-XL", "fold 3"), (["--set-name", "Clinic A"], "Clinic A", "fold 3")],
)
def test_the_cards_metrics_name_the_set_by_its_data(tmp_path, option, name, split):
    ptbxl_tree(tmp_path / "cohort", records=2, folds=(3,))
    rows = [{"id": f"ptb-xl/0000{n}", "text": f"Sinus rhythm, {60 + 5 * n} bpm."} for n in (1, 2)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["--fold", "3", "--answers", str(tmp_path / "a.jsonl"), "-o", str(tmp_path / "out"), *option]
    result = run.invoke(app, ["eval", "grounding", str(tmp_path / "cohort"), *given])
    assert result.exit_code == 0, result.output
    (results,) = yaml.safe_load((tmp_path / "out" / "card_metrics.yml").read_text())["model-index"][0]["results"]
    assert (results["dataset"]["name"], results["dataset"]["split"]) == (name, split)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["data"]["name"] == name


def test_an_earlier_judgement_is_named_in_the_report(tmp_path):
    judged = Path("tests/fixtures/evaluation/judged.jsonl")
    given = ["--answers", answers(tmp_path / "a.jsonl"), "--judged", str(judged), "-o", str(tmp_path / "out")]
    result = run.invoke(app, ["eval", "grounding", *SET, *given])
    assert result.exit_code == 0, result.output
    facts = json.loads((tmp_path / "out" / "report.json").read_text())["judge"]
    digest = sha256(judged.read_bytes()).hexdigest()
    assert facts == {"kind": "earlier judgement", "file": "judged.jsonl", "sha256": digest}


def test_two_evaluations_do_not_write_into_one_folder(tmp_path):
    given = ["--answers", "tests/fixtures/evaluation/ptb-answers.jsonl", "-o", str(tmp_path / "out"), "--limit", "5"]
    with one_writer(tmp_path / "out" / "report", EvaluationError):
        refused = run.invoke(app, [*BENCH, *given])
    assert "another run is writing here" in str(refused.exception) and not (tmp_path / "out" / "report.json").exists()
    run.invoke(app, [*BENCH, *given])
    assert (tmp_path / "out" / "report.json").exists()


def test_a_killed_evaluation_ends_in_the_same_bytes(tmp_path):
    """Killed while its checks are written, and once more with a half-written line."""
    given = ["--answers", answers(tmp_path / "a.jsonl"), "-o", "out"]
    gem = [sys.executable, "-c", "from recipes.cli import main; main()", "eval", "grounding", SET[0]]
    command = [*gem, *SET[1:], *given]

    def files(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (folder / "out").iterdir() if path.name != "run.json"}

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tests").symlink_to(Path("tests").resolve())
        (tmp_path / name / "processing").symlink_to(Path("processing").resolve())
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    subprocess.run(command, cwd=tmp_path / "whole", env=environment, check=True, capture_output=True)
    process = subprocess.Popen(command, cwd=tmp_path / "killed", env=environment, stderr=subprocess.DEVNULL)
    checked = tmp_path / "killed/out/checked.jsonl"
    while process.poll() is None and not (checked.is_file() and checked.stat().st_size):
        time.sleep(0.002)
    process.kill()
    process.wait()
    checked.write_bytes(checked.read_bytes()[:-20])
    subprocess.run(command, cwd=tmp_path / "killed", env=environment, check=True, capture_output=True)
    assert files(tmp_path / "killed") == files(tmp_path / "whole") and "report.json" in files(tmp_path / "whole")


def test_problems_end_in_exit_code_1(tmp_path):
    given = ["--answers", answers(tmp_path / "a.jsonl", {"normal": TEXTS["normal"]}), "-o", str(tmp_path / "out")]
    result = run.invoke(app, ["eval", "grounding", *SET, *given])
    assert result.exit_code == 1 and "3 of 4 ids have no answer" in result.output
    assert "3 of 4 ids have no answer" in (tmp_path / "out" / "report.md").read_text()


def test_a_deliberate_part_of_a_set_is_no_problem(tmp_path):
    given = ["--answers", answers(tmp_path / "a.jsonl"), "-o", str(tmp_path / "out"), "--limit", "2"]
    result = run.invoke(app, ["eval", "grounding", *SET, *given])
    assert result.exit_code == 0 and "(2 records)" in result.output
    given = ["--answers", "tests/fixtures/evaluation/ptb-answers.jsonl", "-o", str(tmp_path), "--limit", "5"]
    result = run.invoke(app, [*BENCH, *given])
    assert result.exit_code == 0 and "compat" in result.output


def test_the_embedded_model_from_records_to_consistency(tmp_path):
    given = [*SET, "--model", "tiny", "--max-new-tokens", "12", "--limit", "2", "-o", str(tmp_path)]
    result = run.invoke(app, ["eval", "consistency", *given])
    assert result.exit_code == 0, result.output
    assert len((tmp_path / "signal" / "answers.jsonl").read_text().splitlines()) == 2
    assert "rouge l" in result.output


def test_review_export_and_import(tmp_path):
    given = ["--answers", f"first={answers(tmp_path / 'a.jsonl')}", "-o", str(tmp_path / "review")]
    result = run.invoke(app, ["eval", "review-export", *SET, *given])
    assert result.exit_code == 0, result.output
    key = json.loads((tmp_path / "review" / "key.json").read_text())
    scores = dict.fromkeys(
        ("relevance", "accuracy", "completeness", "reasoning", "novelty", "value", "satisfaction"), 4
    )
    filled = tmp_path / "ab.json"
    filled.write_text(
        json.dumps({"review": key["review"], "reviewer": "AB", "cases": {c: {"scores": scores} for c in key["cases"]}})
    )
    result = run.invoke(app, ["eval", "review-import", str(tmp_path / "review"), str(filled)])
    assert result.exit_code == 0 and "| accuracy | 4.00" in result.output
    filled.write_text(
        json.dumps(
            {"review": key["review"], "reviewer": "AB", "cases": {"case-001": {"scores": scores | {"value": 9}}}}
        )
    )
    result = run.invoke(app, ["eval", "review-import", str(tmp_path / "review"), str(filled)])
    assert result.exit_code == 1 and "value is 9" in result.output


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "either --model or --answers"),
        (["--answers", "a", "--likelihood"], "--likelihood"),
        (["--answers", "a", "--files", "nothing"], "PREFIX=FOLDER"),
    ],
)
def test_wrong_use_is_explained(arguments, message, tmp_path):
    result = run.invoke(app, [*BENCH, "-o", str(tmp_path), *arguments])
    assert result.exit_code == 2 and message in result.output


def test_an_unknown_set_is_named(tmp_path):
    result = run.invoke(app, ["eval", "ecgbench", "ptb", "x.json", "-o", str(tmp_path)])
    assert isinstance(result.exception, EvaluationError) and "known are ptb-test" in str(result.exception)


def test_ptbxl_passes_its_options_on(monkeypatch):
    from recipes.embedded import scores

    seen = []
    monkeypatch.setattr(scores, "main", lambda *given, **named: seen.append((*given, named)))
    command = ["eval", "ptbxl", "--ptbxl", "folder", "-o", "scores.json"]
    assert run.invoke(app, command).exit_code == 0
    more = [
        "--model",
        "mine",
        "--limit",
        "3",
        "--batch-size",
        "2",
        "--view",
        "both",
        "--view",
        "zeroed",
        "--junk",
        "5",
    ]
    assert run.invoke(app, [*command, *more]).exit_code == 0
    assert seen == [
        ([Path("folder")], Path("scores.json"), "tiny", 9, 16, None, None, {"questions": 100, "junk": 200}),
        ([Path("folder")], Path("scores.json"), "mine", 9, 2, 3, ["both", "zeroed"], {"questions": 100, "junk": 5}),
    ]
    assert run.invoke(app, ["eval", "ptbxl", "--ptbxl", "folder"]).exit_code == 2
