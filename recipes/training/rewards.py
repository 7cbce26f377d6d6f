# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Rewards of ECG-R1's reinforcement learning, equal to the published ones on the shared cases, as TRL's `GRPOTrainer` takes them.

    GRPOTrainer(model, reward_funcs=[diagnosis_reward, evidence_reward, format_reward], ...)

A completion thinks in steps and then answers: `<think>**Step 1: ...** ... </think> ... <answer>a; b</answer>`. A solution holds
`<|answer|>a; b<|/answer|>` and `<|key_diagnostic_evidence|>step_1_technical_rate_rhythm: 72 bpm; ... <|/key_diagnostic_evidence|>`.
Quirks that are kept, as training depends on them: diagnoses are compared as texts (a synonym is wrong), evidence is looked for
literally, and only in the step that it belongs to; a text without a semicolon is one diagnosis.
"""

import re
from collections.abc import Sequence
from typing import Any

from processing.errors_gem import EvaluationError

STEPS = (
    "step_1_technical_rate_rhythm",
    "step_2_conduction_axis_intervals",
    "step_3_chamber_hypertrophy_voltage",
    "step_4_ischemia_infarction_mimics",
    "step_5_electrolytes_qt",
    "step_6_final_medical_reasoning",
)
_THINK = re.compile(r"<think>(.*?)</think>", re.DOTALL)
_THINK_ANY_CASE = re.compile(_THINK.pattern, re.DOTALL | re.IGNORECASE)  # the evidence's reward alone ignores the case
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_TRUE_ANSWER = re.compile(r"<\|answer\|>(.*?)<\|[/\\]answer\|>", re.DOTALL)
_TRUE_EVIDENCE = re.compile(
    r"<\|key_diagnostic_evidence\|>(.*?)<\|[/\\]key_diagnostic_evidence\|>", re.DOTALL | re.IGNORECASE
)
_STEP = re.compile(r"\*\*Step\s+(\d+).*?(?:\*\*|:|\n)(.*?)(?=\*\*Step|\Z)", re.DOTALL | re.IGNORECASE)
_EVIDENCE = re.compile(r"(step_\d+_[a-z_]+):\s*(.*?)(?=\s*step_\d+|$)", re.DOTALL | re.IGNORECASE)


def diagnosis_reward(completions: Sequence[Any], solution: Sequence[str], **_: Any) -> list[float]:
    """Jaccard index of the diagnoses in `<answer>` and in the solution, ignoring case; 0 if either is missing.

    Args:
        completions: texts, or conversations as TRL passes them.
        solution: column of the data set with the right diagnoses.

    Returns:
        One reward for each completion, 0 to 1.

    Raises:
        EvaluationError: the two differ in length.
    """
    return [
        _jaccard(_ANSWER.search(text), _TRUE_ANSWER.search(truth)) for text, truth in _pairs(completions, solution)
    ]


def _jaccard(answer: re.Match[str] | None, truth: re.Match[str] | None) -> float:
    if answer is None or truth is None:
        return 0.0
    texts = [match.group(1).strip().lower() for match in (answer, truth)]
    listed = any(";" in text for text in texts)
    given, true = ({part.strip() for part in (text.split(";") if listed else [text])} - {""} for text in texts)
    return len(given & true) / len(given | true) if given | true else 1.0


def evidence_reward(completions: Sequence[Any], solution: Sequence[str], **_: Any) -> list[float]:
    """The share of a step's evidence that is found literally (ignoring case) in this step of `<think>`: the mean over steps with evidence.

    Args:
        completions: texts, or conversations as TRL passes them.
        solution: column of the data set with the evidence of each step.

    Returns:
        One reward for each completion, 0 to 1.

    Raises:
        EvaluationError: the two differ in length.
    """
    return [_evidence_found(text, truth) for text, truth in _pairs(completions, solution)]


def _evidence_found(text: str, truth: str) -> float:
    thought = _THINK_ANY_CASE.search(text)
    if thought is None:
        return 0.0
    steps, expected = steps_in(thought.group(1)), evidence_in(truth)
    shares = [
        sum(phrase.lower() in steps.get(number, "").lower() for phrase in expected[key]) / len(expected[key])
        for number, key in enumerate(STEPS, 1)
        if expected.get(key)
    ]
    return sum(shares) / len(shares) if shares else 0.0


def steps_in(thought: str) -> dict[int, str]:
    """Step number -> its text in a thought; of a repeated step the last one counts."""
    found = ((int(number), content.strip()) for number, content in _STEP.findall(thought.strip()))
    return {number: content for number, content in found if content}


def evidence_in(solution: str) -> dict[str, list[str]]:
    """Name of a step -> its phrases, from the tagged part of a solution, or all of it where there are no tags."""
    tagged = _TRUE_EVIDENCE.search(solution)
    text = (tagged.group(1) if tagged else solution).strip()
    return {
        name.lower(): [phrase.strip() for phrase in phrases.split(";") if phrase.strip()]
        for name, phrases in _EVIDENCE.findall(text)
    }


def format_reward(completions: Sequence[Any], **_: Any) -> list[float]:
    """1 for each completion with a `<think>` that is not empty, else 0. Completions are texts, or conversations as TRL passes them."""
    thoughts = (_THINK.search(text_of(completion)) for completion in completions)
    return [float(thought is not None and bool(thought.group(1).strip())) for thought in thoughts]


def overlong_reward(completion_tokens: int, max_length: int = 2048, cache_length: int = 512) -> float:
    """0 up to `max_length - cache_length` tokens, then falling to -1 at `max_length` and on (DAPO, Yu et al. 2025, eq. 13).

    Raises:
        EvaluationError: the lengths make no sense.
    """
    if not 0 < cache_length <= max_length:
        raise EvaluationError(f"cache_length is {cache_length}, expected 1 to max_length ({max_length}).")
    return min((max_length - cache_length - completion_tokens) / cache_length, 0.0)


def _pairs(completions: Sequence[Any], solution: Sequence[str]) -> list[tuple[str, str]]:
    if len(completions) != len(solution):
        raise EvaluationError(
            f"{len(completions)} completions and {len(solution)} solutions: equally many are needed."
        )
    return [(text_of(completion), truth) for completion, truth in zip(completions, solution, strict=True)]


def text_of(completion: Any) -> str:
    """TRL hands over texts, or lists of messages for chats."""
    return completion if isinstance(completion, str) else "".join(str(message["content"]) for message in completion)


__all__ = [
    "diagnosis_reward",
    "evidence_in",
    "evidence_reward",
    "format_reward",
    "overlong_reward",
    "steps_in",
    "text_of",
]
