# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECG-R1's rewards equal the original's on every shared case, and on the further branches of its code."""

import json

import pytest

from processing.errors_gem import EvaluationError
from recipes.training.rewards import (
    diagnosis_reward,
    evidence_in,
    evidence_reward,
    format_reward,
    overlong_reward,
    steps_in,
)
from tests.helpers.shared_data import shared_path


def fixture():
    return json.loads(shared_path("fixtures/evaluation/rl_rewards.json").read_text())


def test_shared_cases():
    cases = fixture()["cases"]
    assert len(cases) >= 8
    for case in cases:
        texts, truths = [case["completion"]], [case["solution"]]
        assert diagnosis_reward(texts, truths) == [case["diagnosis_accuracy"]], case["name"]
        assert evidence_reward(texts, solution=truths) == pytest.approx([case["key_diagnostic_evidence"]]), case[
            "name"
        ]
        assert format_reward(texts, solution=truths) == [case["format"]], case["name"]
        assert evidence_in(case["solution"]) == case["parsed_gt"], case["name"]
        thought = case["completion"].partition("<think>")[2].partition("</think>")[0]
        assert steps_in(thought) == {int(n): text for n, text in case["parsed_steps"].items()}, case["name"]


def test_overlong_cases():
    for case in fixture()["soft_overlong"]:
        lengths = (case["completion_tokens"], case["soft_max_length"], case["soft_cache_length"])
        assert overlong_reward(*lengths) == pytest.approx(case["reward"]), lengths


def solution(answer="sinus rhythm", evidence="step_1_technical_rate_rhythm: 72 bpm"):
    return f"<|answer|>{answer}<|/answer|><|key_diagnostic_evidence|>{evidence}<|/key_diagnostic_evidence|>"


@pytest.mark.parametrize(
    ("given", "true", "reward"),
    [
        ("a; b; b", "B;A", 1.0),
        ("a; b", "b; c", 1 / 3),
        ("a, b", "a; b", 0.0),  # a comma does not separate
        ("", "", 1.0),
        ("", "a", 0.0),
        (";", "a", 0.0),
        (";", ";", 1.0),
        (" Sinus Rhythm \n", "sinus rhythm", 1.0),
    ],
)
def test_diagnoses(given, true, reward):
    assert diagnosis_reward([f"<answer>{given}</answer>"], [solution(true)]) == pytest.approx([reward])


@pytest.mark.parametrize(
    ("completion", "truth", "reward"),
    [
        ("<THINK>**step 1** 72 BPM</THINK>", solution(), 1.0),
        ("<think>Step 1: 72 bpm</think>", solution(), 0.0),  # no bold heading, no step
        ("<think>**Step 1: x** 70 bpm **Step 1: y** 72 bpm</think>", solution(), 1.0),  # the last telling counts
        ("<think>**Step 1: x** 72 bpm</think>", "step_1_technical_rate_rhythm: 72 bpm", 1.0),  # without tags
        ("<think>**Step 1: x** 72 bpm</think>", solution(evidence="step_1_other: 72 bpm"), 0.0),
        ("<think>**Step 1: x** 7x bpm</think>", solution(evidence="step_1_technical_rate_rhythm: 7. bpm"), 0.0),
        ("<think></think>", solution(), 0.0),
    ],
)
def test_evidence(completion, truth, reward):
    assert evidence_reward([completion], [truth]) == [reward]


def test_chats_as_trl_hands_them_over():
    chat = [{"role": "assistant", "content": "<think>**Step 1: x** 72 bpm</think><answer>sinus rhythm</answer>"}]
    assert diagnosis_reward([chat], solution=[solution()], prompts=["?"]) == [1.0]
    assert evidence_reward([chat], solution=[solution()]) == format_reward([chat]) == [1.0]
    assert format_reward(["<think> \n</think>", "<THINK>x</THINK>"]) == [0.0, 0.0]


def test_bad_calls_are_named():
    with pytest.raises(EvaluationError, match="2 completions and 1 solutions"):
        diagnosis_reward(["a", "b"], ["c"])
    with pytest.raises(EvaluationError, match="cache_length"):
        overlong_reward(10, 100, 200)
