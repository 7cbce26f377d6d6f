# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The benchmark's heuristic scores (release 0.0.2): which replies are right, and the score of a chain of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .samples import FURTHER, KINDS, ReasoningSample, Step

_LEAD = r"(?:iii|ii|i|avr|avl|avf|v[1-6])"
_LEAD_LIST = re.compile(rf"\bleads?\s+\b{_LEAD}\b(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+)\b{_LEAD}\b)*")
_ONE_LEAD = re.compile(rf"\b{_LEAD}\b")
_RANGE = re.compile(r"\[?\s*-?\d+\.?\d*\s*[^\d\s]*\s*-\s*-?\d+\.?\d*\s*[^\d\s]*\s*\]?")
# Row of the table -> what it is a share of.
CHAIN_SCORES = {
    "diagnosis, given the right reasoning": "gt_diagnosis",
    "diagnosis by its own reasoning": "own_diagnosis",
    "completion, hard": "completed",
    "completion, soft": "completed_soft",
    "depth (of 4)": "depth",
}


def is_right(step: Step, response: str) -> bool:
    """Whether the heuristic evaluator counts `response` as right."""
    said, right = response.strip().lower(), step.answers[0].strip().lower()
    if step.kind in ("initial_diagnostic_question", "finding_identification"):
        return _yes_or_no(said) == right
    if step.kind == "diagnostic_decision":
        plain = said.strip(".")
        return (_yes_or_no(said) or plain) == right
    if step.kind == "criterion_selection":
        return response.strip("-").strip().lower() == right
    if step.kind == "lead_grounding":
        return _leads(said) == {answer.strip().lower() for answer in step.answers}
    return said == right or (step.kind == "measurement_grounding" and _same_range(said, right))


def _yes_or_no(said: str) -> str | None:
    """By the first or last letters, "yes" before "no": "normal" says no, as in the original."""
    said = said.strip(".")
    for word in ("yes", "no"):
        if said.startswith((word, f"**{word}**")) or said.endswith((word, f"**{word}**")):
            return word
    return None


def _leads(said: str) -> set[str]:
    if said.startswith(("ads ", "ad ")):
        said = "le" + said
    while (stripped := said.strip("-").strip(":").strip()) != said:
        said = stripped
    found = [lead for phrase in _LEAD_LIST.findall(said) for lead in _ONE_LEAD.findall(phrase)]
    if not found:
        said = said.replace("and", ",").replace("leads", "lead")
        separator = next((mark for mark in ",;/\n" if mark in said), None)
        parts = [said] if separator is None else [part for part in said.split(separator) if part.strip()]
        found = [part.strip("-").strip() for part in parts] if separator else parts
    return {f"lead {part}" if _ONE_LEAD.fullmatch(part) else part for part in found}


def _same_range(said: str, right: str) -> bool:
    """Ranges match with or without their brackets; "Above 160ms" only word by word."""
    stated = _RANGE.match(said)
    if stated is None or _RANGE.match(right) is None:
        return False
    return f"[{stated.group().removeprefix('[').removesuffix(']')}]" == right


@dataclass(frozen=True)
class ChainScore:
    """The score of one sample. Shares are 0 or 1 for given replies, and probabilities for guesses.

    Attributes:
        initial: the diagnosis before any reasoning.
        by_kind: kind of question -> shares, one per question; each is asked after the right answers to those before it.
        completed: whether every question of the chain is right.
        completed_soft: the same, but decisions that end the chain too early are allowed.
        depth: the number of right steps, 0 to 4, of each round with questions about the signal.
        gt_diagnosis: the last decision, after the right reasoning.
        own_diagnosis: the first yes or no, if all before it was right.
    """

    initial: float
    by_kind: Mapping[str, tuple[float, ...]]
    completed: float
    completed_soft: float
    depth: tuple[float, ...]
    gt_diagnosis: float
    own_diagnosis: float


def score_responses(sample: ReasoningSample, responses: Sequence[str]) -> ChainScore:
    """`responses`: one per question of `sample.steps`."""
    right = [float(is_right(step, said)) for step, said in zip(sample.steps, responses, strict=True)]
    label = "yes" if sample.present else "no"
    names_it = [float((_yes_or_no(said.strip().lower()) or "") == label) for said in responses]
    return _chain(sample, right, names_it)


def score_guesses(sample: ReasoningSample) -> ChainScore:
    """The mean score of guessing: all options equally likely, each lead with probability 1/2 (the benchmark's random guess)."""
    right = [
        0.5 ** len(step.options) if step.kind == "lead_grounding" else 1 / len(step.options) for step in sample.steps
    ]
    return _chain(sample, right, [1 / len(step.options) for step in sample.steps])


def _chain(sample: ReasoningSample, right: Sequence[float], names_it: Sequence[float]) -> ChainScore:
    by_kind: dict[str, list[float]] = {kind: [] for kind in KINDS[1:]}
    completed = completed_soft = alive = 1.0
    own, depth, place = 0.0, [], 1
    for loop in sample.loops:
        reached, level = 1.0, 0.0
        grounding = sum(step.kind.endswith("_grounding") for step in loop)
        for step in loop:
            by_kind[step.kind].append(right[place])
            skippable = step.kind == "diagnostic_decision" and step.answers[0].lower() == FURTHER.lower()
            if step.kind == "diagnostic_decision":
                own += alive * ((1 - right[place]) * names_it[place] if skippable else right[place])
            alive *= right[place]
            completed *= right[place]
            completed_soft *= 1.0 if skippable else right[place]
            reached *= right[place]
            level += reached / grounding if step.kind.endswith("_grounding") else reached
            place += 1
        if grounding:
            depth.append(level)
    values = {kind: tuple(shares) for kind, shares in by_kind.items()}
    return ChainScore(right[0], values, completed, completed_soft, tuple(depth), right[-1], own)


@dataclass(frozen=True)
class Share:
    """A mean over `count` questions, rounds or samples, with its 95 % bootstrap interval over samples; NaN of nothing."""

    value: float
    low: float
    high: float
    count: int


def summarise(scores: Sequence[ChainScore]) -> dict[str, Share]:
    """Row of the table -> its share, of all samples together."""
    rows: dict[str, list[tuple[float, ...]]] = {"initial diagnosis": [(score.initial,) for score in scores]}
    rows |= {kind.replace("_", " "): [score.by_kind[kind] for score in scores] for kind in KINDS[1:]}
    for name, attribute in CHAIN_SCORES.items():
        values = [getattr(score, attribute) for score in scores]
        rows[name] = [value if isinstance(value, tuple) else (value,) for value in values]
    return {name: _share(groups) for name, groups in rows.items()}


def _share(groups: Sequence[tuple[float, ...]], draws: int = 1000, seed: int = 0) -> Share:
    sums, counts = np.array([sum(group) for group in groups]), np.array([len(group) for group in groups])
    if not counts.sum():
        return Share(float("nan"), float("nan"), float("nan"), 0)
    drawn = np.random.default_rng(seed).integers(len(groups), size=(draws, len(groups)))
    totals = counts[drawn].sum(axis=1)
    means = sums[drawn].sum(axis=1)[totals > 0] / totals[totals > 0]
    low, high = np.percentile(means, (2.5, 97.5))
    return Share(float(sums.sum() / counts.sum()), float(low), float(high), int(counts.sum()))


__all__ = ["ChainScore", "Share", "is_right", "score_guesses", "score_responses", "summarise"]
