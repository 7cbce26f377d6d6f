# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What the measurements say about rhythm, conduction, voltage and diagnoses."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from processing.claims.claims import Claim
from processing.ecg_features import EcgFeatures

from .rules_leads import pathological_q, st_change, t_wave
from .salient import by_wall
from .verdicts import (
    CONTRADICTED,
    CORNELL_MV,
    SOKOLOW_MV,
    SUPPORTED,
    WIDE_QRS_MS,
    Judgement,
    Tolerances,
    above,
    decided,
    in_words,
    slack,
    unmeasurable,
)

Rule = Callable[[Claim, EcgFeatures, Tolerances], Judgement]
AF_VARIABILITY = 0.06  # SD of the RR over their mean; atrial fibrillation is above, other regular rhythms below
PREMATURE = 0.86  # of the median RR


def signed(claim: Claim, holds: bool | None, measured: object, explanation: str) -> Judgement:
    """`holds` is `None` where the measurements cannot tell."""
    if holds is None:
        return unmeasurable(explanation, measured)
    return decided(holds != (claim.polarity == "negated"), measured, explanation)


def _irregular(features: EcgFeatures) -> bool:
    return features.rhythm_regularity == "irregular" or (
        features.rhythm_regularity == "mostly regular" and features.rr_variability > AF_VARIABILITY
    )


def _basis(features: EcgFeatures) -> str:
    atria = "P waves lead the beats" if features.p_present else "no P waves lead the beats"
    spikes = f", {len(features.pacing_spikes)} pacing spikes" if len(features.pacing_spikes) else ""
    return f"{features.heart_rate:.0f} bpm, {features.rhythm_regularity}, {atria}{spikes}"


def rhythm(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    if features.rhythm_regularity is None:
        return unmeasurable("too few beats to judge the rhythm")
    return signed(claim, _rhythm_holds(str(claim.value), features, tol), features.rhythm_regularity, _basis(features))


def _rhythm_holds(name: str, features: EcgFeatures, tol: Tolerances) -> bool | None:
    rate, p, irregular = features.heart_rate, features.p_present, _irregular(features)
    # P waves that no QRS follows are the sinus node's as well.
    sinus = p or len(features.lone_p_waves) > 3
    if name == "sinus rhythm":
        return sinus
    if name == "sinus bradycardia":
        return sinus and rate < 60 + tol.limit_bpm
    if name == "sinus tachycardia":
        return sinus and rate > 100 - tol.limit_bpm
    if name == "sinus arrhythmia":
        return sinus and (irregular or features.rr_variability > 0.035)
    if name == "atrial fibrillation":
        return not p and irregular and not len(features.pacing_spikes)
    if name == "atrial flutter":
        # Flutter waves in a 2:1 rhythm can pass for P waves.
        return (None if 120 <= rate <= 180 else False) if p else None if irregular else True
    if name == "paced rhythm":
        return bool(len(features.pacing_spikes)) or (None if features.qrs_duration > WIDE_QRS_MS else False)
    if name == "junctional rhythm":
        return False if p or irregular else rate < 110 or None
    if name == "supraventricular tachycardia":
        return rate > 100 - tol.limit_bpm and not irregular
    if name == "ventricular tachycardia":
        return rate > 100 - tol.limit_bpm and features.qrs_duration > WIDE_QRS_MS - tol.limit_ms
    return None


def regularity(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    if features.rhythm_regularity is None:
        return unmeasurable("too few beats to judge the regularity")
    measured = f"{features.rhythm_regularity}, RR vary by {100 * features.rr_variability:.0f} %"
    uncertain = features.rhythm_regularity == "mostly regular" or 0.04 < features.rr_variability < AF_VARIABILITY
    regular = features.rhythm_regularity == "regular"
    return in_words(claim, regular == (claim.value == "regular"), not uncertain, measured, f"rhythm: {measured}")


def p_waves(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    if not len(features.beat_times):
        return unmeasurable("no beats")
    there = features.p_present or len(features.lone_p_waves) > 3
    return signed(claim, there, there, _basis(features))


def _premature(features: EcgFeatures) -> tuple[int, int]:
    """How many premature beats have a wide and a usual QRS."""
    rr = features.rr_intervals / 1000
    if len(rr) < 3:
        return 0, 0
    widths = (features.beat_waves["QRS"][:, 2] - features.beat_waves["QRS"][:, 0]) * 1000
    usual, typical = float(np.nanmedian(widths)), float(np.median(rr))
    early = np.flatnonzero(rr < PREMATURE * typical) + 1
    short = rr < PREMATURE * float(np.mean(rr))
    if (
        len(early) >= 0.4 * len(rr) or np.mean(short[1:] != short[:-1]) > 0.8
    ):  # bigeminy: the median RR is no reference
        early = np.flatnonzero(short) + 1
        usual = float(np.nanmin(widths))
    wide = int(np.sum((widths[early] > usual + 20) & (widths[early] > 108)))
    return wide, len(early) - wide


def ectopy(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    if not features.p_present and _irregular(features):
        return unmeasurable("every interval differs: premature beats cannot be told")
    wide, narrow = _premature(features)
    count = {"ventricular_ectopy": wide, "bigeminy": wide + narrow, "atrial_ectopy": narrow}.get(
        claim.kind, wide + narrow
    )
    if claim.kind == "bigeminy":
        count = count if count >= 0.35 * len(features.beat_times) else 0
    explanation = f"{wide} premature beats with a wide QRS, {narrow} with the usual one"
    return signed(claim, count > 0, [wide, narrow], explanation)


def pause(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    rr = features.rr_intervals / 1000
    if len(rr) < 2:
        return unmeasurable("too few beats")
    longest = float(rr.max())
    return signed(
        claim, longest > max(1.5, 1.4 * float(np.median(rr))), round(longest, 2), f"longest RR {longest:.2f} s"
    )


def av_block(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    pr, lone = features.pr_interval, len(features.lone_p_waves)
    explanation = (
        f"PR {pr:.0f} ms, {lone} P waves without QRS"
        if math.isfinite(pr)
        else f"no fixed PR, {lone} P waves without QRS"
    )
    if claim.value == 1:
        if not math.isfinite(pr):
            return signed(claim, None if claim.polarity == "negated" else False, None, explanation)
        return in_words(claim, *above(pr, 200, tol.limit_ms * slack(claim, tol)), round(pr), explanation)
    if claim.value == 2:
        return signed(claim, lone > 0, lone, explanation)
    if claim.value == 3:
        return signed(claim, lone > 0 and not features.p_present, lone, explanation)
    holds = lone > 0 or (math.isfinite(pr) and pr > 200 - (0 if claim.polarity == "negated" else tol.limit_ms))
    return signed(claim, holds, lone, explanation)


# Conduction ------------------------------------------------------------------------------------------------------------


def _area(features: EcgFeatures, lead: str) -> float:
    return features.lead_value("qrs_area", lead) if lead in features.leads else math.nan


def bundle_branch(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    width, v1 = features.qrs_duration, _area(features, "V1")
    if not math.isfinite(width) or not math.isfinite(v1):
        return unmeasurable("QRS width and V1 are needed")
    pattern = features.qrs_patterns.get("V1", "-")
    explanation = f"QRS {width:.0f} ms, V1 {pattern}"
    prime = "r'" in pattern.lower() or v1 > 0
    lateral = max((area for lead in ("I", "V6") if math.isfinite(area := _area(features, lead))), default=math.nan)
    lateral_q = sum(features.qrs_patterns.get(lead, "").startswith("q") for lead in ("I", "V5", "V6"))
    shape = {
        "rbbb": prime,
        "incomplete_rbbb": prime,
        # AHA/ACCF/HRS 2009 part III: no q waves in I, V5 and V6 (a small one in one of them is tolerated).
        "lbbb": v1 < 0 and not lateral < 0 and lateral_q < 2 and (width > 140 or "r'" not in pattern.lower()),
        "incomplete_lbbb": v1 < 0 and "r'" not in pattern.lower(),
    }.get(claim.kind, True)
    if not shape:
        if claim.kind == "incomplete_rbbb" and claim.polarity != "negated" and abs(width - 110) < 20:
            return unmeasurable(f"{explanation}; a small r' may be missed", round(width))
        return signed(claim, False, round(width), explanation)
    band = tol.limit_ms * slack(claim, tol)
    if claim.kind.startswith("incomplete"):
        inside = 100 <= width < WIDE_QRS_MS
        certain = min(abs(width - 100), abs(width - WIDE_QRS_MS)) > 1.5 * band
        return in_words(claim, inside, certain, round(width), explanation)
    if claim.polarity != "negated":
        band /= 2  # a complete block is a strong statement: 115 ms, not 110
    return in_words(claim, *above(width, WIDE_QRS_MS, band), round(width), explanation)


def fascicle(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """AHA/ACCF/HRS 2009 part III: axis of -45 to -90 degrees, or 90 to 180; the axis alone is checked."""
    axis = features.qrs_axis
    if not math.isfinite(axis):
        return unmeasurable("the axis cannot be measured")
    if claim.kind == "lafb":
        holds, certain = -95 <= axis <= -45 + tol.axis_deg, abs(axis + 40) > tol.limit_deg
    else:
        holds, certain = 90 - tol.limit_deg <= axis <= 180, abs(axis - 90) > tol.limit_deg
    return in_words(claim, holds, certain, round(axis), f"axis measures {axis:.0f}°")


def pre_excitation(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    pr = features.pr_interval
    if not math.isfinite(pr):
        return unmeasurable("no PR interval")
    return in_words(
        claim,
        pr < 120,
        abs(pr - 120) > tol.limit_ms,
        round(pr),
        f"PR {pr:.0f} ms, QRS {features.qrs_duration:.0f} ms (delta waves are not measured)",
    )


# Voltage -----------------------------------------------------------------------------------------------------------------


def hypertrophy(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    if claim.kind == "rvh":
        v1, axis = _area(features, "V1"), features.qrs_axis
        if not math.isfinite(v1 + axis):
            return unmeasurable("V1 and the axis are needed")
        return signed(
            claim, v1 > 0 or axis > 90, round(axis), f"axis {axis:.0f}°, V1 {features.qrs_patterns.get('V1', '-')}"
        )
    ratios = _voltage_ratios(features)
    if not ratios:
        return unmeasurable("no criterion can be measured")
    name = max(ratios, key=lambda key: ratios[key])
    explanation = f"{name} is {100 * ratios[name]:.0f} % of its limit; Sokolow-Lyon {features.sokolow_lyon:.1f} mV"
    holds, certain = above(ratios[name], 1.0, tol.voltage_share)
    return in_words(claim, holds, certain, round(features.sokolow_lyon, 2), explanation)


def _voltage_ratios(features: EcgFeatures) -> dict[str, float]:
    """Voltage criteria of left ventricular hypertrophy as shares of their limits; any one that is met counts.

    Hancock 2009 (AHA/ACCF/HRS part V) lists them: Sokolow-Lyon 3.5 mV, Cornell 2.0 (women) or 2.8 mV (men; the sex is
    not known here, the mean 2.4 is taken), R in aVL 1.1 mV, R in I + S in III 2.5 mV, R in V5 or V6 2.6 mV.
    """

    def wave(name: str, lead: str) -> float:
        return abs(features.lead_value(name, lead)) if lead in features.leads else math.nan

    values = {
        "Sokolow-Lyon": features.sokolow_lyon / SOKOLOW_MV,
        "Cornell": features.cornell / (sum(CORNELL_MV) / 2),
        "R in aVL": wave("r_amplitude", "aVL") / 1.1,
        "R in I + S in III": (wave("r_amplitude", "I") + wave("s_amplitude", "III")) / 2.5,
        "R in V5": wave("r_amplitude", "V5") / 2.6,
        "R in V6": wave("r_amplitude", "V6") / 2.6,
    }
    return {name: value for name, value in values.items() if math.isfinite(value)}


def low_voltage(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    sizes = {lead: features.lead_value("qrs_amplitude", lead) for lead in features.leads}
    limb = max((v for k, v in sizes.items() if not k.startswith("V") and math.isfinite(v)), default=math.nan)
    chest = max((v for k, v in sizes.items() if k.startswith("V") and math.isfinite(v)), default=math.nan)
    share = min(limb / 0.5 if math.isfinite(limb) else math.inf, chest / 1.0 if math.isfinite(chest) else math.inf)
    if not math.isfinite(share):
        return unmeasurable("no QRS amplitudes")
    certain = abs(share - 1) > tol.amplitude_share
    return in_words(
        claim,
        share < 1,
        certain,
        [round(limb, 2), round(chest, 2)],
        f"largest QRS {limb:.2f} mV in limb leads, {chest:.2f} mV in chest leads",
    )


def r_progression(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    if "V3" not in features.leads or not math.isfinite(features.lead_value("r_amplitude", "V3")):
        return unmeasurable("V3 is needed")
    r3 = features.lead_value("r_amplitude", "V3")
    poor = r3 <= 0.3
    late = features.r_transition in (None, "V5", "V6")
    holds = poor or (late and claim.kind == "poor_r_progression" and claim.polarity != "negated")
    certain = not 0.2 < r3 < 0.45
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
    if not features.p_present:
        return unmeasurable("no P waves lead the beats")
    height = features.lead_value("p_amplitude", "II") if "II" in features.leads else math.nan
    measured, explanation = (
        [round(features.p_duration), round(height, 2)],
        f"P {features.p_duration:.0f} ms, {height:.2f} mV in II",
    )
    if claim.kind == "rae":
        return in_words(claim, height >= 0.25, abs(height - 0.25) > 0.06, measured, explanation)
    if features.p_duration >= 120 - tol.limit_ms and claim.polarity != "negated":
        return decided(True, measured, explanation)
    return unmeasurable(f"{explanation}; the terminal force in V1 is not measured", measured)


# Diagnoses ---------------------------------------------------------------------------------------------------------------


def infarction(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """An infarct or ischaemia of a wall: whether its leads bear a Q wave, a raised ST or an inverted T at all.

    Measurements cannot prove or exclude a diagnosis. Affirmed, it is contradicted only where the named wall shows
    nothing and another does; denied, it is never judged.
    """
    if claim.polarity == "negated" or claim.territory in (None, "all", "other", "posterior"):
        return unmeasurable("a diagnosis needs more than measurements")
    affirmed = replace(claim, polarity="affirmed", value=None, unit=None, comparator=None, high=None)
    signs = {"pathological_q": pathological_q, "st_elevation": st_change, "t_inversion": t_wave}
    if claim.kind == "ischemia":
        signs = {"st_depression": st_change, "st_elevation": st_change, "t_inversion": t_wave}
    judged = [rule(replace(affirmed, kind=kind), features, tol) for kind, rule in signs.items()]
    here = [judgement.explanation for judgement in judged if judgement.verdict == SUPPORTED]
    if here:
        return Judgement(SUPPORTED, None, "; ".join(here))
    elsewhere = [finding.name for finding in by_wall(features) if finding.kinds[-1] == "infarction"]
    if elsewhere:
        return Judgement(CONTRADICTED, None, f"nothing in {', '.join(claim.leads)}; {'; '.join(elsewhere)}")
    return unmeasurable("neither Q waves nor ST or T changes are measured; that does not exclude it")


__all__ = [
    "atrium",
    "av_block",
    "bundle_branch",
    "ectopy",
    "fascicle",
    "hypertrophy",
    "infarction",
    "low_voltage",
    "p_waves",
    "pause",
    "pre_excitation",
    "r_progression",
    "regularity",
    "rhythm",
]
