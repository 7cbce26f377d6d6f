# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The ECG-Reasoning-Benchmark: its layouts, its heuristic rules, multi-step replies, the measuring engine, a model's dialogue."""

import json
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modeling_gem import default_checkpoint
from processing.errors_gem import EvaluationError
from processing.grounding.cut_off import CutOff
from recipes.cli import app
from recipes.evaluation.reasoning import dialogue
from recipes.evaluation.reasoning.dialogue import Talk, with_options
from recipes.evaluation.reasoning.engine import engine_responses
from recipes.evaluation.reasoning.evaluate import ReasoningRun, add_responses, find_ecgs, reasoning_report, run_engine
from recipes.evaluation.reasoning.protocol import PROTOCOL, Criterion
from recipes.evaluation.reasoning.samples import FURTHER, Step, read_reasoning
from recipes.evaluation.reasoning.scores import is_right, score_guesses, score_responses, summarise
from tests.helpers.shared_data import shared_path
from tests.helpers.source_trees import ptbxl_tree

ROOT = Path(__file__).resolve().parents[4]
TREE = ROOT / "tests/fixtures/evaluation/reasoning"
YES_NO = ("Yes", "No")


@pytest.fixture(scope="module")
def samples():
    return {sample.id.rpartition("/")[2]: sample for sample in read_reasoning(TREE)}


def step(kind, answers, options=()):
    return Step(kind, "?", tuple(options), tuple(answers))


def test_a_tree_a_list_and_json_lines_give_the_same_samples(tmp_path, samples):
    rows = [dict(sample.published) for sample in samples.values()]
    for row, number in zip(rows, samples, strict=True):
        row["metadata"] = {**row["metadata"], "id": int(number)}
    (tmp_path / "list.json").write_text(json.dumps(rows))
    (tmp_path / "ptbxl.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("list.json", "ptbxl.jsonl"):
        read = read_reasoning(tmp_path / name)
        assert [(s.id, s.steps) for s in read] == [(s.id, s.steps) for s in samples.values()]


def test_grounding_answers_are_lists_in_the_second_release(tmp_path, samples):
    row = json.loads(json.dumps(samples["12"].published))
    for question in row["data"]["reasoning"][1]["ecg_grounding"]:
        question["answer"] = [question["answer"]]
    (tmp_path / "12.json").write_text(json.dumps(row))
    assert read_reasoning(tmp_path)[0].steps == samples["12"].steps


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ('{"metadata": {}}', "not the ECG-Reasoning-Benchmark's"),
        ("[]", None),
    ],
)
def test_files_that_are_not_of_the_benchmark_are_named(tmp_path, text, said):
    (tmp_path / "a.json").write_text(text)
    if said is None:
        assert read_reasoning(tmp_path) == []
        return
    with pytest.raises(EvaluationError, match=said) as error:
        read_reasoning(tmp_path)
    assert "a.json" in str(error.value)


# By reading evaluators/heuristic.py of Jwoo5/ecg-reasoning-benchmark 0.0.2: what it counts as right, its oddities included.
@pytest.mark.parametrize(
    ("kind", "answers", "reply", "right"),
    [
        ("initial_diagnostic_question", ["Yes"], "Yes.", True),
        ("initial_diagnostic_question", ["Yes"], "**Yes** - the PR is long", True),
        ("initial_diagnostic_question", ["Yes"], "I would say yes", True),
        ("initial_diagnostic_question", ["No"], "Normal ECG", True),
        ("initial_diagnostic_question", ["No"], "Yes or no", False),
        ("initial_diagnostic_question", ["No"], "I don't know", False),
        ("finding_identification", ["No"], "no", True),
        ("finding_identification", ["No"], "There is none", False),
        ("criterion_selection", ["Prolongation of the PR interval"], "- prolongation of the pr interval", True),
        ("criterion_selection", ["Prolongation of the PR interval"], "Prolongation of the PR interval.", False),
        ("criterion_selection", ["Prolongation of the PR interval"], "The answer is: Prolongation of the PR interval", False),
        ("lead_grounding", ["Lead V1", "Lead V2"], "Lead V2, Lead V1", True),
        ("lead_grounding", ["Lead V1", "Lead V2"], "leads V1 and V2", True),
        ("lead_grounding", ["Lead V1", "Lead V2"], "V1, V2", True),
        ("lead_grounding", ["Lead V1", "Lead V2"], "ads V1, and V2", True),
        ("lead_grounding", ["Lead V1", "Lead V2"], "- Lead V1\n- Lead V2", True),
        ("lead_grounding", ["Lead V1", "Lead V2"], "V1/V2", True),
        ("lead_grounding", ["Lead V1", "Lead V2"], "Lead V1", False),
        ("lead_grounding", ["Lead V1"], "Leads V1, V2", False),
        ("lead_grounding", ["Lead III"], "lead III is the one", True),
        ("wave_grounding", ["[1.00s - 1.10s]"], " [1.00S - 1.10s] ", True),
        ("wave_grounding", ["[1.00s - 1.10s]"], "1.00s - 1.10s", False),
        ("measurement_grounding", ["[120ms - 140ms]"], "120ms - 140ms", True),
        ("measurement_grounding", ["[120ms - 140ms]"], "[120ms - 140ms], I think", False),
        ("measurement_grounding", ["[120ms - 140ms]"], "130ms", False),
        ("measurement_grounding", ["Above 160ms"], "above 160ms", True),
        ("measurement_grounding", ["Above 160ms"], "160ms", False),
        ("diagnostic_decision", [FURTHER], FURTHER + ".", True),
        ("diagnostic_decision", [FURTHER], "No, further findings are required", False),
        ("diagnostic_decision", ["Yes"], "**yes**", True),
    ],
)  # fmt: skip
def test_heuristic_rules(kind, answers, reply, right):
    assert is_right(step(kind, answers), reply) is right


def replies(sample):
    return [given.response for given in sample.steps]


def test_a_chain_is_complete_only_without_a_mistake(samples):
    told = score_responses(samples["12"], replies(samples["12"]))
    # The decision came too early, as "no": hard counts it, soft does not; by its own reasoning that "no" was right.
    assert (told.completed, told.completed_soft, told.own_diagnosis, told.gt_diagnosis) == (0, 1, 1, 1)
    assert told.depth == (4.0,) and told.initial == 1
    wrong_wave = score_responses(samples["40"], replies(samples["40"]))
    assert (wrong_wave.completed, wrong_wave.completed_soft, wrong_wave.own_diagnosis) == (0, 0, 0)
    assert wrong_wave.depth == (2.0,) and wrong_wave.by_kind["measurement_grounding"] == (1.0,)
    assert score_responses(samples["77"], replies(samples["77"])).completed == 1


def test_the_right_answers_complete_every_chain_and_depth_is_four(samples):
    scores = [score_responses(sample, [given.right_text for given in sample.steps]) for sample in samples.values()]
    assert {name: share.value for name, share in summarise(scores).items()} == {
        name: 4.0 if "depth" in name else 1.0 for name in summarise(scores)
    }


def test_guessing_is_the_mean_of_all_replies(samples):
    """Of the shortest chain every combination of options is scored; their mean is what `score_guesses` computes."""
    from itertools import product

    sample = samples["40"]
    every = [score_responses(sample, said) for said in product(*(given.options for given in sample.steps))]
    guessed, count = score_guesses(sample), len(every)
    for name in ("initial", "completed", "completed_soft", "gt_diagnosis", "own_diagnosis"):
        assert getattr(guessed, name) == pytest.approx(sum(getattr(score, name) for score in every) / count), name
    assert guessed.depth[0] == pytest.approx(sum(score.depth[0] for score in every) / count)


def test_the_tree_of_criteria_follows_every_published_chain():
    """Names, order and decisions of all samples are those of the tree: the engine's row has no other source of them."""
    for sample in read_reasoning(shared_path("data/text/reasoning_ptbxl.json")):
        node = PROTOCOL[sample.diagnosis]
        for loop in sample.loops:
            assert isinstance(node, Criterion) and node.name == loop[0].right_text, sample.id
            node = node.then if loop[1].right_text == "Yes" else node.otherwise
            expected = FURTHER if isinstance(node, Criterion) else ("Yes" if node else "No")
            assert loop[-1].right_text == expected, sample.id
        assert node is sample.present


def test_the_engine_answers_from_the_signal(tmp_path, samples):
    ptbxl_tree(tmp_path / "ptbxl", records=4)
    chosen = list(samples.values())
    ecgs, held_out, problems = find_ecgs(chosen, {"ptbxl": str(tmp_path / "ptbxl")})
    assert problems == [] and held_out == {samples["40"].id, samples["77"].id}
    run = ReasoningRun(chosen, held_out)
    said = run_engine(run, ecgs)
    assert all(score.completed for score in run.columns["engine"].values()), said
    assert not all(score.completed for score in run.columns["rules, another ECG"].values())


def test_the_engine_never_reads_the_right_answer_of_the_question_in_hand(tmp_path, samples):
    """With the right answers blanked the replies stay the same: they come from the question, the ECG and the earlier steps."""
    import dataclasses

    from recipes.evaluation.reasoning.signs import MeasuredEcg

    ptbxl_tree(tmp_path / "ptbxl", records=4)
    sample = samples["40"]
    ecg = MeasuredEcg.of(find_ecgs([sample], {"ptbxl": str(tmp_path / "ptbxl")})[0][sample.id].load())
    blanked = [
        dataclasses.replace(given, answers=("",))
        if given.kind in ("criterion_selection", "measurement_grounding")
        else given
        for given in sample.loops[0]
    ]
    changed = dataclasses.replace(sample, loops=(tuple(blanked),))
    assert engine_responses(changed, ecg) == engine_responses(sample, ecg)


def test_missing_ecgs_are_named(tmp_path, samples):
    ptbxl_tree(tmp_path / "ptbxl", records=3)
    ecgs, _, problems = find_ecgs(list(samples.values()), {"ptbxl": str(tmp_path / "ptbxl")})
    assert len(ecgs) == 1 and len(problems) == 2 and "ECG 4 of ptbxl is not there" in problems[0]
    with pytest.raises(EvaluationError, match="not a data source"):
        find_ecgs(list(samples.values()), {"ptb": "x"})


def test_the_dialogue_holds_the_models_first_reply_and_then_the_right_answers(samples):
    sample = samples["12"]
    talk = Talk(
        sample, [{"role": "user", "content": [{"type": "ecg", "ecg": "x"}, {"type": "text", "text": "first"}]}]
    )
    assert talk.chat() is talk.opening
    talk.responses = ["my own first word", "wrong", "wrong"]
    turns = [(turn["role"], turn["content"][-1]["text"]) for turn in talk.chat()]
    assert [role for role, _ in turns] == ["user", "assistant"] * 3 + ["user"]
    assert turns[1][1] == "my own first word" and turns[3][1] == sample.steps[1].right_text and turns[5][1] == "Yes"
    assert turns[-1][1] == with_options(sample.steps[3]) and "Options" not in turns[2][1]
    assert talk.chat()[0]["content"][0] == {"type": "ecg", "ecg": "x"}


def test_the_command_scores_an_engine_a_model_and_given_replies(tmp_path):
    ptbxl_tree(tmp_path / "ptbxl", records=4)
    given = ["--answers", str(TREE), "--files", f"ptbxl={tmp_path / 'ptbxl'}", "--model", str(default_checkpoint())]
    command = ["eval", "reasoning", str(TREE), *given, "--modality", "signal", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert [(table["title"], table["records"]) for table in report["tables"]] == [
        ("All samples, without a model", 3),
        ("A model's replies", 2),
    ]
    # What the run wrote is the benchmark's layout: it can be scored again, and gives the same.
    again = [
        "eval",
        "reasoning",
        str(TREE),
        "--answers",
        str(tmp_path / "out/engine.jsonl"),
        "-o",
        str(tmp_path / "again"),
    ]
    assert CliRunner().invoke(app, again).exit_code == 0
    rows = json.loads((tmp_path / "again/report.json").read_text())["tables"][0]["rows"]
    assert [row["engine (given)"] for row in rows] == [row["engine"] for row in report["tables"][0]["rows"]]
    assert CliRunner().invoke(app, ["eval", "reasoning", str(TREE), "-o", str(tmp_path / "none")]).exit_code != 0


def test_real_ecgs_carry_most_chains():
    """A part of the 348 samples whose ECGs are at hand: far above what guessing and another ECG give."""
    samples = read_reasoning(shared_path("data/text/reasoning_ptbxl.json"))[::12]
    ecgs, _, problems = find_ecgs(samples, {"ptbxl": str(shared_path("data/ptbxl"))})
    run = ReasoningRun(samples, set(ecgs), problems=problems)
    run_engine(run, ecgs)
    assert run.problems == [] and Counter(len(scores) for scores in run.columns.values()) == {len(samples): 3}
    found = {name: summarise(list(scores.values())) for name, scores in run.columns.items()}
    completion = {name: shares["completion, hard"].value for name, shares in found.items()}
    assert completion["engine"] > 0.4 and completion["rules, another ECG"] < 0.1
    assert found["engine"]["initial diagnosis"].value > 0.8


def test_replies_that_were_cut_off_are_kept_as_such_and_counted(tmp_path, samples, monkeypatch):
    ptbxl_tree(tmp_path / "ptbxl", records=4)
    chosen = list(samples.values())[:1]
    ecgs, held_out, _ = find_ecgs(chosen, {"ptbxl": str(tmp_path / "ptbxl")})
    monkeypatch.setattr(dialogue, "ANSWER_TOKENS", 3)
    asked = (str(default_checkpoint()), chosen, ecgs, tmp_path / "answers.jsonl", "signal")
    said = dialogue.model_responses(*asked)[chosen[0].id]
    (row,) = [
        json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines() if "responses" in line
    ]
    assert row["cut_off"] == [isinstance(reply, CutOff) for reply in said] and row["cut_off"].count(True) > 0
    assert list(map(type, dialogue.model_responses(*asked)[chosen[0].id])) == list(map(type, said))  # read again
    run = ReasoningRun(chosen, held_out)
    add_responses(run, "model", {chosen[0].id: said}, chosen)
    assert run.notes == [f"model: of {len(said)} replies, {row['cut_off'].count(True)} cut off before its end."]
    assert run.notes[0] in reasoning_report(run, "benchmark").notes
