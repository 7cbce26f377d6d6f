# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Verdicts on claims: tolerances, and the comparison of a stated number or word with a measured value."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

from processing.claims.claims import Claim
from processing.claims.meaning import OPPOSITE_COMPARISON
from processing.ecg_features import EcgFeatures


@dataclass(frozen=True)
class Tolerances:
    """Absolute (`_ms`, `_mv`, `_bpm`, `_deg`) and relative (`_share`) tolerances; the larger of the two holds.

    Sources: "LUDB" is the SD of our measurements against cardiologists' marks (global PR 10.8, QRS 14.0, QT 14.4 ms);
    "half a square" is the reading precision on paper at 25 mm/s and 10 mm/mV (20 ms, 0.05 mV); AHA/ACCF/HRS 2007-2009
    is the recommendations' rounding and limits.

    Attributes:
        heart_rate_bpm, heart_rate_share: 5 bpm or 5 %, a count of whole beats in 10 s is 6 bpm coarse.
        irregular_share: of the rate where the rhythm is irregular, as it depends on which beats are counted: 10 %.
        pr_ms, qrs_ms, p_duration_ms: 20 ms = half a square, 1.4 to 2 LUDB SDs.
        qt_ms, qtc_ms: 30 ms = 2 LUDB SDs (readers differ by 20-30 ms about the end of T).
        rr_share: 5 %; rr_range_ms: of the ends of a range: 60 ms. q_duration_ms: 10 ms.
        axis_deg: 15 degrees, as axes are read in steps of 15 and programs differ by about 10.
        amplitude_mv, amplitude_share: 0.1 mV (one square) or 20 %, breathing alone changes R by 10 %.
        st_mv, st_share: 0.05 mV (half a square) or 25 %.
        voltage_mv, voltage_share: of sums of waves (Sokolow-Lyon, Cornell): 0.3 mV or 10 %.
        time_s: of a beat's time: 0.15 s, less than half of the shortest RR interval.
        length_s, length_share: of the recording's length: 0.5 s or 5 %, as lengths are rounded.
        limit_ms: of words about intervals (`prolonged`): within 10 ms of the limit they are not decided.
        limit_bpm: of `bradycardia` and `tachycardia`: 3 bpm. limit_deg: of axis words: 10 degrees.
        limit_mv: of ST and T words: 0.04 mV, the noise of a measured level.
        limit_quality_share: of the limits of a poor lead: from half of one on a lead is not decided. Above it no reader differs.
        approximate: factor of all tolerances for `about`, `borderline` and other hedges.
    """

    heart_rate_bpm: float = 5.0
    heart_rate_share: float = 0.05
    irregular_share: float = 0.10
    pr_ms: float = 20.0
    qrs_ms: float = 20.0
    p_duration_ms: float = 20.0
    qt_ms: float = 30.0
    qtc_ms: float = 30.0
    rr_share: float = 0.05
    rr_range_ms: float = 60.0
    q_duration_ms: float = 10.0
    axis_deg: float = 15.0
    amplitude_mv: float = 0.1
    amplitude_share: float = 0.20
    st_mv: float = 0.05
    st_share: float = 0.25
    voltage_mv: float = 0.3
    voltage_share: float = 0.10
    time_s: float = 0.15
    length_s: float = 0.5
    length_share: float = 0.05
    limit_ms: float = 10.0
    limit_bpm: float = 3.0
    limit_deg: float = 10.0
    limit_mv: float = 0.04
    limit_quality_share: float = 0.5
    approximate: float = 1.5


DEFAULT_TOLERANCES = Tolerances()
# Of a record that was digitised from a picture. `benchmarks/bench_digitize.py` finds median errors of 0 bpm and 1 to 4 ms; the
# room is larger (1 bpm, 10 to 15 ms, 5 % of an amplitude) because single pages are worse, by how much is not measured yet.
DIGITIZED_TOLERANCES = replace(
    DEFAULT_TOLERANCES,
    heart_rate_bpm=6.0,
    pr_ms=35.0,
    qrs_ms=35.0,
    p_duration_ms=35.0,
    qt_ms=45.0,
    qtc_ms=45.0,
    rr_range_ms=75.0,
    q_duration_ms=20.0,
    amplitude_share=0.25,
    limit_ms=20.0,
)

SUPPORTED, CONTRADICTED, NOT_MEASURABLE = "supported", "contradicted", "not_measurable"
TOO_NEAR = "too near to the limit to be decided"


@dataclass
class Judgement:
    """The verdict on a claim, the measured value, the reason, and for each lead whether it supports the claim."""

    verdict: str
    measured: Any
    explanation: str
    by_lead: dict[str, bool | None] = field(default_factory=dict)


def unmeasurable(why: str, measured: Any = None) -> Judgement:
    """The verdict that nothing can be said, with the reason."""
    return Judgement(NOT_MEASURABLE, measured, why)


def decided(holds: bool, measured: Any, explanation: str) -> Judgement:
    """Supported or contradicted, with the measured value and the explanation."""
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
    """Whether the claim states a number with a unit."""
    return isinstance(claim.value, (int, float)) and not isinstance(claim.value, bool) and claim.unit is not None


def denies_number(claim: Claim) -> bool:
    """Whether the claim denies that a number is the value (`is not 90 ms`); a denied comparison states the opposite one."""
    return is_number(claim) and claim.polarity == "negated" and claim.comparator not in OPPOSITE_COMPARISON


def shown(value: float, unit: str | None) -> str:
    """The value with its unit: two decimals for mV and s, none otherwise; "absent" for NaN."""
    if not math.isfinite(value):
        return "absent"
    digits = 2 if unit == "mV" else 2 if unit == "s" else 0
    return f"{value:.{digits}f}{'°' if unit == 'deg' else f' {unit}' if unit else ''}"


def compare(
    claim: Claim, measured: float, tolerance: float, tol: Tolerances, name: str, near: float | None = None
) -> Judgement:
    """The judgement about a stated number.

    Args:
        claim: with the stated value.
        measured: the measured value, in the unit of the claim.
        tolerance: the largest difference that still agrees.
        tol: all tolerances.
        name: of the quantity, for the explanation.
        near: distance inside a stated limit (`above 200 ms`) within which the claim is undecided; half of `tolerance` by default.
    """
    if not math.isfinite(measured):
        return unmeasurable(f"{name} cannot be measured in this ECG")
    near = (tolerance / 2 if near is None else near) * slack(claim, tol)
    tolerance *= slack(claim, tol)
    denied = claim.polarity == "negated"
    if denied and claim.comparator in OPPOSITE_COMPARISON:
        claim, denied = replace(claim, comparator=OPPOSITE_COMPARISON[claim.comparator]), False
    holds, explanation = agrees(claim, measured, tolerance) != denied, f"{name} measures {shown(measured, claim.unit)}"
    if claim.comparator in OPPOSITE_COMPARISON and claim.high is None and holds and not agrees(claim, measured, -near):
        return too_near(round(measured, 3), explanation)
    if denied and not holds and not agrees(claim, measured, near):
        return unmeasurable(f"{explanation}, too near to the denied number to be decided", round(measured, 3))
    return decided(holds, round(measured, 3), f"{explanation} (tolerance {shown(tolerance, claim.unit)})")


def in_words(claim: Claim, holds: bool, certain: bool, measured: Any, explanation: str) -> Judgement:
    """The judgement about a word. Near a limit (not `certain`), where readers differ, the claim is undecided."""
    if not certain:
        return too_near(measured, explanation)
    return decided(holds != (claim.polarity == "negated"), measured, explanation)


def too_near(measured: Any, explanation: str) -> Judgement:
    """The judgement about a value that lies so near to a limit that readers differ."""
    return unmeasurable(f"{explanation}, {TOO_NEAR}", measured)


def no_rhythm(features: EcgFeatures) -> Judgement:
    """The judgement about rate and rhythm where they are not known: withheld because the time base is in doubt, or too few beats."""
    if features.plausibility.doubts_about("time base"):
        return unmeasurable("rate and intervals are withheld, because the sampling rate is in doubt")
    return unmeasurable("fewer than two beats")


def above(value: float, limit: float, band: float) -> tuple[bool, bool]:
    """Whether a value is above a limit, and whether that is certain (`band` or more away from it)."""
    return value >= limit, abs(value - limit) >= band


__all__ = [
    "CONTRADICTED",
    "DEFAULT_TOLERANCES",
    "DIGITIZED_TOLERANCES",
    "NOT_MEASURABLE",
    "SUPPORTED",
    "TOO_NEAR",
    "Judgement",
    "Tolerances",
    "above",
    "agrees",
    "compare",
    "decided",
    "denies_number",
    "in_words",
    "is_number",
    "no_rhythm",
    "shown",
    "slack",
    "too_near",
    "unmeasurable",
]
