# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Verdicts on claims about voltage: hypertrophy, low voltage, the R waves of the chest leads, enlarged atria."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from processing.claims.claims import Claim
from processing.ecg_features import EcgFeatures
from processing.ecg_features_text import p_waves_in_words
from processing.ecg_limits import (
    LOW_VOLTAGE_CHEST_MV,
    LOW_VOLTAGE_LIMB_MV,
    P_DURATION,
    P_HEIGHT_MV,
    POOR_R_V3_MV,
)
from processing.ecg_record import CHEST_LEADS
from processing.ecg_rules import (
    is_poor_r_progression,
    is_right_hypertrophy,
    low_voltage_share,
    qrs_area,
    voltage_ratios,
)

from .rules_leads import lead_finding
from .rules_rhythm import signed
from .verdicts import (
    CONTRADICTED,
    SUPPORTED,
    Judgement,
    Tolerances,
    above,
    decided,
    in_words,
    unmeasurable,
)

_R_LESS_S = "R and the deepest wave together"


def hypertrophy(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """Left hypertrophy by voltage criteria, right hypertrophy by axis and V1."""
    if claim.kind == "rvh":
        v1, axis = qrs_area(features, "V1"), features.qrs_axis
        if not math.isfinite(v1 + axis):
            return unmeasurable("V1 and the axis are needed")
        return signed(
            claim,
            is_right_hypertrophy(features),
            round(axis),
            f"axis {axis:.0f}°, V1 {features.qrs_patterns.get('V1', '-')}",
        )
    ratios = voltage_ratios(features)
    if not ratios:
        return unmeasurable("no criterion can be measured")
    name = max(ratios, key=lambda key: ratios[key])
    explanation = f"{name} is {100 * ratios[name]:.0f} % of its limit; Sokolow-Lyon {features.sokolow_lyon:.1f} mV"
    holds, certain = above(ratios[name], 1.0, tol.voltage_share)
    return in_words(claim, holds, certain, round(features.sokolow_lyon, 2), explanation)


def any_hypertrophy(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """Hypertrophy of any chamber: voltages and the axis speak for it; where nothing does, that of an atrium may be left."""
    judged = [
        hypertrophy(replace(claim, kind=kind, value=True, polarity="affirmed"), features, tol)
        for kind in ("lvh", "rvh")
    ]
    explanation = "; ".join(judgement.explanation for judgement in judged)
    if any(judgement.verdict == SUPPORTED for judgement in judged):
        return signed(claim, True if claim.polarity != "negated" else None, None, explanation)
    if claim.polarity == "negated" and all(judgement.verdict == CONTRADICTED for judgement in judged):
        return decided(True, None, explanation)
    return unmeasurable(f"{explanation}; the atria are not judged")


def low_voltage(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """Low voltage of the limb or chest leads, of the leads that are named, or a normal one, which is not high either."""
    sizes = {lead: features.lead_value("qrs_amplitude", lead) for lead in features.leads}
    largest = {group: max(known, default=None) for group, known in _measured_groups(sizes).items()}
    words = ", ".join(
        f"not measured in {group} leads" if size is None else f"{size:.2f} mV in {group} leads"
        for group, size in largest.items()
    )
    named = [lead for lead in claim.leads if lead in sizes]
    if claim.value in ("limb", "chest") and not named:
        named = [lead for lead in sizes if lead.startswith("V") == (claim.value == "chest")]
    shares = [_share_of(group, sizes) for group in _in_groups(named)]
    if named and claim.polarity != "negated":
        share = max(shares, default=math.nan) if all(map(math.isfinite, shares)) else math.nan
    else:
        share = min(shares, default=math.nan) if named else low_voltage_share(features.leads, sizes.values())
    if not math.isfinite(share):
        known = [lead for lead, size in sizes.items() if math.isfinite(size)]
        seen = f"only in {', '.join(known)} ({words})" if known else "in no lead"
        return unmeasurable(f"QRS amplitudes are measured {seen}")
    measured = [None if size is None else round(size, 2) for size in largest.values()]
    high = max(voltage_ratios(features).values(), default=math.nan) if _may_be_high(claim, named) else math.nan
    if share >= 1 and high >= 1:
        explanation = f"largest QRS {words}; a criterion of high voltage is at {100 * high:.0f} % of its limit"
        return in_words(claim, True, high >= 1 + tol.voltage_share, measured, explanation)
    # Where the other group is low, a group that is a little above its limit is not held against "low in all leads".
    band = tol.voltage_share * (2 if share >= 1 > min(shares, default=math.inf) else 1)
    return in_words(claim, share < 1, abs(share - 1) >= band, measured, f"largest QRS {words}")


def _share_of(leads: Sequence[str], sizes: Mapping[str, float]) -> float:
    """The largest QRS of named limb or chest leads as a share of its limit; NaN where too few of them are known."""
    if any(math.isnan(sizes[lead]) for lead in leads):
        return low_voltage_share(leads, [sizes[lead] for lead in leads])
    return max(sizes[lead] for lead in leads) / (
        LOW_VOLTAGE_CHEST_MV if leads[0].startswith("V") else LOW_VOLTAGE_LIMB_MV
    )


def _may_be_high(claim: Claim, named: Sequence[str]) -> bool:
    """Whether a claim is about a normal voltage, of the record or of chest leads, on which the criteria of a high one rest."""
    return claim.value == "normal" and (not named or any(lead.startswith("V") for lead in named))


def _in_groups(leads: Iterable[str]) -> list[list[str]]:
    """The limb leads and the chest leads among `leads`, without a group that has none."""
    listed = list(leads)
    groups = ([lead for lead in listed if lead.startswith("V") is chest] for chest in (False, True))
    return [group for group in groups if group]


def _measured_groups(sizes: Mapping[str, float]) -> dict[str, list[float]]:
    """The known sizes of the limb and of the chest leads."""
    known = [(lead.startswith("V"), size) for lead, size in sizes.items() if math.isfinite(size)]
    return {
        name: [size for is_chest, size in known if is_chest is chest]
        for name, chest in (("limb", False), ("chest", True))
    }


def r_progression(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """R progression over the chest leads, by R in V3 and the transition."""
    if "V3" not in features.leads or not math.isfinite(features.lead_value("r_amplitude", "V3")):
        return unmeasurable("V3 is needed")
    r3 = features.lead_value("r_amplitude", "V3")
    poor = is_poor_r_progression(r3)
    late = features.r_transition in (None, "V5", "V6")
    holds = poor or (late and claim.kind == "poor_r_progression" and claim.polarity != "negated")
    certain = not POOR_R_V3_MV - tol.amplitude_mv < r3 < 1.5 * POOR_R_V3_MV
    if claim.kind == "r_progression":
        holds = not poor
    return in_words(
        claim,
        holds,
        certain,
        round(r3, 2),
        f"R in V3 {r3:.2f} mV, R exceeds S from {features.r_transition or 'no chest lead'} on",
    )


def atrium(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """Enlargement of an atrium, by width and height of the P wave."""
    if not features.p_present:
        return unmeasurable(f"P waves {p_waves_in_words(features)}")
    height = features.lead_value("p_amplitude", "II") if "II" in features.leads else math.nan
    measured, explanation = (
        [round(features.p_duration), round(height, 2)],
        f"P {features.p_duration:.0f} ms, {height:.2f} mV in II",
    )
    if claim.kind == "rae":
        return in_words(claim, height >= P_HEIGHT_MV, abs(height - P_HEIGHT_MV) > 0.06, measured, explanation)
    if features.p_duration >= P_DURATION.high - tol.limit_ms and claim.polarity != "negated":
        return decided(True, measured, explanation)
    return unmeasurable(f"{explanation}; the terminal force in V1 is not measured", measured)


def qrs_negative(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """A QRS that points down in the leads that are named: its R wave is smaller than its deepest other wave (mV)."""
    if not claim.leads:
        return unmeasurable("no lead is named")
    net = _r_less_s(features, claim.leads)
    return lead_finding(
        claim, net, lambda _, value: (value < 0, abs(value) > tol.limit_mv), f"negative QRS ({_R_LESS_S})"
    )


def dominant_r(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """An R wave above the S or Q of the leads that are named (mV)."""
    if not claim.leads:
        return unmeasurable("no lead is named")
    net = _r_less_s(features, claim.leads)
    return lead_finding(
        claim, net, lambda _, value: (value > 0, abs(value) > tol.limit_mv), f"dominant R ({_R_LESS_S})"
    )


def r_transition(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """
    Where R outgrows S in the chest leads: the last lead in which it does not, or the first in which it does. Usually this is V3 or
    V4; early is V2 or before, late V5 or after.
    """
    net = _r_less_s(features, CHEST_LEADS)
    rising = [lead for lead, value in net.items() if value > 0]
    listed = ", ".join(f"{lead} {value:+z.2f}" for lead, value in net.items())
    explanation = f"{_R_LESS_S}, mV: {listed}"
    if len(net) < len(CHEST_LEADS):
        return unmeasurable(
            f"not all chest leads are measured ({explanation})" if net else "no chest lead is measured"
        )
    first = CHEST_LEADS.index(rising[0]) if rising else len(CHEST_LEADS)
    measured = rising[0] if rising else None
    if claim.value in ("early", "late"):
        holds = first <= 1 if claim.value == "early" else first >= 4
        return in_words(claim, holds, first not in ((2,) if claim.value == "early" else (3, 4)), measured, explanation)
    signs = [value > 0 for value in net.values()]
    if signs != sorted(signs):
        return unmeasurable(f"R exceeds S in more than one stretch of leads ({explanation})", measured)
    near = set(CHEST_LEADS[max(first - 1, 0) : first + 1])
    unsure = any(abs(net[lead]) <= tol.limit_mv for lead in claim.leads if lead in net)
    holds = bool(near & set(claim.leads))
    return in_words(claim, holds, holds or not unsure, measured, explanation)


def wave_size(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """A wave that is larger or smaller in some leads than in others (mV): the largest of both, S by its depth, P and T upwards."""
    wave, _, degree = str(claim.value).partition(" ")
    others = str(claim.comparator).removeprefix("than ").split(", ")
    if set(claim.leads) <= set(CHEST_LEADS) and len(others) > len(CHEST_LEADS):
        others = [lead for lead in CHEST_LEADS if lead not in claim.leads]  # "greatest in V4": of the chest leads
    sizes = {lead: _size(features, wave, lead) for lead in (*claim.leads, *others) if lead in features.leads}
    here, there = (
        max((sizes.get(lead, math.nan) for lead in leads), default=math.nan) for leads in (claim.leads, others)
    )
    measured = {lead: round(size, 3) for lead, size in sizes.items()}
    explanation = f"{wave}: " + ", ".join(f"{lead} {size:.2f} mV" for lead, size in list(sizes.items())[:7])
    apart = here - there if degree == "larger" else there - here
    if not math.isfinite(apart):
        return unmeasurable(f"{explanation}; not all are measured", measured)
    return in_words(claim, apart > 0, abs(apart) > tol.limit_mv, measured, explanation)


def _size(features: EcgFeatures, wave: str, lead: str) -> float:
    """mV; no R or S beside a QRS that is measured is one of 0 mV."""
    size = features.lead_value(f"{wave.lower()}_amplitude", lead)
    if wave in "RS" and math.isnan(size) and math.isfinite(features.lead_value("qrs_amplitude", lead)):
        return 0.0
    return -size if wave == "S" else size


def _r_less_s(features: EcgFeatures, leads: Iterable[str]) -> dict[str, float]:
    """R less the deepest other wave of the QRS (mV), of the leads that are measured."""
    waves = {
        lead: [features.lead_value(f"{wave}_amplitude", lead) for wave in "rqs"]
        for lead in leads
        if lead in features.leads
    }
    return {
        lead: float(np.nansum([r, np.nanmin([q, s, 0.0])]))
        for lead, (r, q, s) in waves.items()
        if any(map(math.isfinite, (r, q, s)))
    }


__all__ = [
    "any_hypertrophy",
    "atrium",
    "dominant_r",
    "hypertrophy",
    "low_voltage",
    "qrs_negative",
    "r_progression",
    "r_transition",
    "wave_size",
]
