# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Verdicts about claims: how a stated number or word is held against a measured value."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

from processing.claims.claims import Claim

from .tolerances import Tolerances

SUPPORTED, CONTRADICTED, NOT_MEASURABLE = "supported", "contradicted", "not_measurable"
OPPOSITE = {">": "not_more", "not_more": ">", "<": "not_less", "not_less": "<"}


@dataclass
class Judgement:
    """The verdict about a claim, the measured value, why, and per lead whether it bears the claim out."""

    verdict: str
    measured: Any
    explanation: str
    by_lead: dict[str, bool | None] = field(default_factory=dict)


def unmeasurable(why: str, measured: Any = None) -> Judgement:
    return Judgement(NOT_MEASURABLE, measured, why)


def decided(holds: bool, measured: Any, explanation: str) -> Judgement:
    return Judgement(SUPPORTED if holds else CONTRADICTED, measured, explanation)


# Numbers --------------------------------------------------------------------------------------------------------


def agrees(claim: Claim, measured: float, tolerance: float) -> bool:
    """Whether a stated number, range or limit fits `measured` within `tolerance` (all in the claim's unit)."""
    stated = float(claim.value)
    if claim.high is not None:
        return stated - tolerance <= measured <= claim.high + tolerance
    if claim.comparator in (">", "not_less"):
        return measured >= stated - tolerance
    if claim.comparator in ("<", "not_more"):
        return measured <= stated + tolerance
    return abs(measured - stated) <= tolerance


def slack(claim: Claim, tolerances: Tolerances) -> float:
    """Factor of the tolerances: more for `about` and hedged claims."""
    return tolerances.approximate if claim.comparator == "~" or claim.polarity == "hedged" else 1.0


def is_number(claim: Claim) -> bool:
    return isinstance(claim.value, (int, float)) and not isinstance(claim.value, bool) and claim.unit is not None


def shown(value: float, unit: str | None) -> str:
    if not math.isfinite(value):
        return "absent"
    digits = 2 if unit == "mV" else 2 if unit == "s" else 0
    return f"{value:.{digits}f}{'°' if unit == 'deg' else f' {unit}' if unit else ''}"


def compare(claim: Claim, measured: float, tolerance: float, tol: Tolerances, name: str) -> Judgement:
    """The judgement about a stated number."""
    if not math.isfinite(measured):
        return unmeasurable(f"{name} cannot be measured in this ECG")
    tolerance *= slack(claim, tol)
    denied = claim.polarity == "negated"
    if denied and claim.comparator in OPPOSITE:  # the tolerance favours the sentence: "no PR above 200 ms" at 205 ms
        claim, denied = replace(claim, comparator=OPPOSITE[claim.comparator]), False
    holds = agrees(claim, measured, tolerance) != denied
    return decided(
        holds,
        round(measured, 3),
        f"{name} measures {shown(measured, claim.unit)} (tolerance {shown(tolerance, claim.unit)})",
    )


def in_words(claim: Claim, holds: bool, certain: bool, measured: Any, explanation: str) -> Judgement:
    """The judgement about a word; `holds` and `not certain` tell what is near the limit: both sayings are tolerated."""
    if claim.polarity == "negated":
        holds = not holds
    return decided(holds or not certain, measured, explanation)


def above(value: float, limit: float, band: float) -> tuple[bool, bool]:
    """Whether a value is above a limit, and whether that is certain (further away than `band`)."""
    return value >= limit, abs(value - limit) > band


__all__ = [
    "CONTRADICTED",
    "NOT_MEASURABLE",
    "SUPPORTED",
    "Judgement",
    "above",
    "agrees",
    "compare",
    "decided",
    "in_words",
    "is_number",
    "shown",
    "slack",
    "unmeasurable",
]
