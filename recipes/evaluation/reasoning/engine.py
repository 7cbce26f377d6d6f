# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Answers from measurements, without a model: the benchmark's tree of a diagnosis chooses the criteria, the measurements decide them."""

import re
from collections.abc import Sequence

import numpy as np

from processing.errors_gem import EvaluationError

from .protocol import PROTOCOL, Criterion, diagnosis_of
from .samples import FURTHER, ReasoningSample, Step
from .signs import MeasuredEcg, Span

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_LEAD = re.compile(r"\blead (aVR|aVL|aVF|V[1-6]|III|II|I)\b")


def engine_responses(sample: ReasoningSample, ecg: MeasuredEcg) -> list[str]:
    """
    One reply per question of `sample.steps`, each after the right answers to those before it, as a model gets them.

    Raises:
        EvaluationError: a diagnosis that the benchmark did not have.
    """
    if sample.diagnosis not in PROTOCOL:
        raise EvaluationError(f"{sample.id}: no criteria are known for {sample.diagnosis!r}.")
    replies = [_yes(diagnosis_of(PROTOCOL[sample.diagnosis], ecg))]
    node: Criterion | bool = PROTOCOL[sample.diagnosis]
    for loop in sample.loops:
        settled: Criterion | bool = node
        told: list[Step] = []
        for step in loop:
            replies.append(_reply(step, node, settled, told, ecg))
            if step.kind == "finding_identification" and isinstance(node, Criterion):
                settled = node.then if step.right_text == "Yes" else node.otherwise
            told.append(step)
        node = settled
    return replies


def _reply(
    step: Step, node: Criterion | bool, settled: Criterion | bool, told: Sequence[Step], ecg: MeasuredEcg
) -> str:
    """`node`: the criterion in question. `settled`: what follows from the finding that was told. `told`: this round's questions
    so far, with their right answers."""
    if step.kind == "diagnostic_decision":
        return FURTHER if isinstance(settled, Criterion) else _yes(settled)
    if not isinstance(node, Criterion):  # the benchmark asks on where the tree has ended
        return step.options[0]
    if step.kind == "criterion_selection":
        return node.name
    if step.kind == "finding_identification":
        return _yes(node.is_met(ecg))
    if step.kind == "lead_grounding":
        return ", ".join(_leads(step, node, ecg))
    if step.kind == "wave_grounding":
        return _segment(step, ecg)
    return _value(step, told, ecg)


def _yes(value: bool) -> str:
    return "Yes" if value else "No"


def _leads(step: Step, node: Criterion, ecg: MeasuredEcg) -> list[str]:
    offered = [option.removeprefix("Lead ") for option in step.options]
    if "larger R amplitude" in step.question:
        sizes = [ecg.largest("r_amplitude", lead) for lead in offered]
        return [f"Lead {offered[int(np.nanargmax(sizes))]}"]
    found = node.leads(ecg) if node.leads is not None else ()
    return [f"Lead {lead}" for lead in offered if lead in found]


def _span(text: str) -> Span:
    first, last = (float(number) for number in re.findall(r"\d+\.\d+", text)[:2])
    return first, last


def _segment(step: Step, ecg: MeasuredEcg) -> str:
    """The option that agrees best with a wave of the kind that is asked for."""
    if "interval between two consecutive" in step.question or "intervals between two consecutive" in step.question:
        return _interval(step, ecg)
    waves = _waves_asked(step.question, ecg)
    scores = [max((_overlap(_span(option), wave) for wave in waves), default=0.0) for option in step.options]
    return step.options[int(np.argmax(scores))]


def _waves_asked(question: str, ecg: MeasuredEcg) -> np.ndarray:
    """Start and end in s of every wave of the kind, `(waves, 2)`."""
    features, asked = ecg.features, question.lower()
    heart = features.beat_waves
    if "non-conducted p wave" in asked:
        return features.lone_p_waves[:, [0, 2]]
    if "p wave" in asked:
        return heart["P"][:, [0, 2]]
    if "premature beat" in asked:
        return heart["QRS"][ecg.early][:, [0, 2]]
    if "st segment and t wave" in asked:
        return np.stack([heart["QRS"][:, 2], heart["T"][:, 2]], axis=1)
    if "inverted t wave" in asked or "the t wave" in asked:
        return heart["T"][:, [0, 2]]
    return heart["QRS"][:, [0, 2]]


def _overlap(one: Span, other: np.ndarray) -> float:
    """Common time over joint time; 0 for a wave that is absent."""
    common = min(one[1], other[1]) - max(one[0], other[0])
    joint = max(one[1], other[1]) - min(one[0], other[0])
    return float(common / joint) if common > 0 else 0.0


def _interval(step: Step, ecg: MeasuredEcg) -> str:
    """Options such as "[3rd QRS wave - 4th QRS wave]", counted from the complex that the question points out."""
    first = ecg.beat_near(_span(step.question))
    gaps = [first + int(re.findall(r"\d+", option)[0]) - 1 for option in step.options]
    rr = ecg.features.rr_intervals
    lengths = [rr[gap] if gap < len(rr) and np.isfinite(rr[gap]) else 0.0 for gap in gaps]
    return step.options[int(np.argmax(lengths))]


def _value(step: Step, told: Sequence[Step], ecg: MeasuredEcg) -> str:
    value = _measured(step.question.lower(), told, ecg)
    ranges = [_range(option) for option in step.options]
    outside = [max(low - value, value - high, 0.0) for low, high in ranges]
    return step.options[int(np.nanargmin(outside))] if np.isfinite(value) else step.options[0]


def _measured(asked: str, told: Sequence[Step], ecg: MeasuredEcg) -> float:
    """In the unit of the options: ms, mV, degrees or bpm, of the beat in the segment that was told."""
    features = ecg.features
    if "heart rate" in asked:
        return features.heart_rate
    segments = [step for step in told if step.kind == "wave_grounding"]
    widths = (features.beat_waves["QRS"][:, 2] - features.beat_waves["QRS"][:, 0]) * 1000
    if not segments:  # of the premature beat, which an earlier round may have pointed out
        return float(widths[ecg.early[0]]) if len(ecg.early) else features.qrs_duration
    span = _span(segments[-1].right_text)
    if "pr interval" in asked:
        p, qrs = features.beat_waves["P"], features.beat_waves["QRS"]
        beat = int(np.nanargmin(np.abs(p[:, 1] - sum(span) / 2))) if np.isfinite(p[:, 1]).any() else 0
        return float(qrs[beat, 0] - p[beat, 0]) * 1000
    beat = ecg.beat_near(span)
    if "qrs axis" in asked:
        return ecg.axis_of(beat)
    if "qrs duration" in asked:
        return float(widths[beat])
    lead = _lead_told(segments[-1], told)
    if "r amplitude" in asked:
        return float(ecg.beats.r_amplitude[ecg.row(lead), beat])
    return -float(np.fmin(ecg.beats.s_amplitude, ecg.beats.q_amplitude)[ecg.row(lead), beat])


def _lead_told(segment: Step, told: Sequence[Step]) -> str:
    named = _LEAD.search(segment.question)
    if named is not None:
        return named[1]
    chosen = [step for step in told if step.kind == "lead_grounding"]
    return chosen[-1].answers[0].removeprefix("Lead ")


def _range(option: str) -> tuple[float, float]:
    """Lowest and highest value of "[0.3mV - 0.6mV]", "Below 30 bpm" or "Above 160ms"."""
    numbers = [float(number) for number in _NUMBER.findall(option)]
    if option.startswith("Below"):
        return -np.inf, numbers[0]
    return (numbers[0], np.inf) if option.startswith("Above") else (numbers[0], numbers[1])


__all__ = ["engine_responses"]
