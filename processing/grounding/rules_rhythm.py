# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Verdicts on claims about rhythm, conduction and diagnoses."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from processing.claims.claims import Claim
from processing.claims.findings import SINUS
from processing.ecg_features import EcgFeatures
from processing.ecg_features_text import p_waves_in_words
from processing.ecg_limits import (
    AXIS,
    CLEARLY_FAST_BPM,
    CLEARLY_SLOW_BPM,
    FIBRILLATION_RR_VARIABILITY,
    FLUTTER_RATE,
    FLUTTER_TWO_TO_ONE,
    HEART_RATE,
    JUNCTIONAL_HIGHEST_BPM,
    LEFT_ANTERIOR_AXIS,
    LEFT_POSTERIOR_AXIS,
    NORMAL_ST_FACTOR,
    PR,
    Q_NORMAL_LEADS,
    RUN_BEATS,
    SINUS_ARRHYTHMIA_RR_VARIABILITY,
    incomplete_block_limit,
    wide_qrs_limit,
)
from processing.ecg_reliability import runs
from processing.ecg_rules import (
    abnormal_t_inversion_leads,
    has_left_block_shape,
    has_right_block_shape,
    has_sinus_p_waves,
    in_neighbouring_leads,
    is_atrial_fibrillation,
    is_incomplete_block,
    is_irregular,
    is_left_bundle_branch_block,
    is_short_pr,
    is_sinus_arrhythmia,
    is_wide_qrs,
    pathological_q_leads,
    pause_rows,
    premature_beat_rows,
    qrs_area,
    st_depressed_leads,
    st_elevated_leads,
)

from .rules_leads import pathological_q, st_change, t_wave
from .salient import abnormal_findings, by_wall
from .verdicts import (
    CONTRADICTED,
    SUPPORTED,
    Judgement,
    Tolerances,
    above,
    decided,
    in_words,
    no_rhythm,
    shown,
    slack,
    unmeasurable,
)

FLUTTER_NEAR_BPM = 40.0  # of the atrial rate of flutter, which is slower under drugs
SOME_BEATS = 0.8  # share of the beats that an intermittent pacemaker paces at most
BEHIND_S = (0.08, 0.40)  # behind the QRS onset: spikes that pace nothing
SPIKES_S = {"ventricular": (-0.07, 0.05), "atrial": (-0.40, -0.09)}  # from the QRS onset

Rule = Callable[[Claim, EcgFeatures, Tolerances], Judgement]


def signed(claim: Claim, holds: bool | None, measured: object, explanation: str) -> Judgement:
    """`holds` is `None` where the measurements cannot tell."""
    if holds is None:
        return unmeasurable(explanation, measured)
    return decided(holds != (claim.polarity == "negated"), measured, explanation)


def rhythm_in_words(features: EcgFeatures) -> str:
    """Rate, regularity, P waves and pacing spikes that were measured."""
    atria = {True: "P waves lead the beats", False: "no P waves lead the beats", None: "P waves not measurable"}[
        features.p_present
    ]
    spikes = f", {len(features.pacing_spikes)} pacing spikes" if len(features.pacing_spikes) else ""
    return f"{features.heart_rate:.0f} bpm, {features.rhythm_regularity}, {atria}{spikes}"


def rhythm(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """The rhythm that is named, by rate, regularity and P waves."""
    if features.rhythm_regularity is None or not math.isfinite(features.heart_rate):
        return no_rhythm(features)
    words = rhythm_in_words(features)
    if claim.detail == "uninterrupted":
        premature, pauses = _interruptions(features)
        words += f", {premature} premature beats, {pauses} pauses"
    return signed(claim, _detail_holds(claim, features, tol), features.rhythm_regularity, words)


def _detail_holds(claim: Claim, features: EcgFeatures, tol: Tolerances) -> bool | None:
    """Whether the rhythm is there, and what narrows it down: the chamber that is paced, the conduction of flutter, no interruption."""
    holds = _rhythm_holds(str(claim.value), features, tol)
    if claim.detail is None or not holds:
        return holds
    if claim.value == "atrial flutter":
        atria = float(claim.detail.partition(":")[0]) * features.heart_rate
        near = FLUTTER_RATE.low - FLUTTER_NEAR_BPM <= atria <= FLUTTER_RATE.high + FLUTTER_NEAR_BPM
        return True if FLUTTER_RATE.contains(atria) else None if near else False
    if claim.value == "paced rhythm" and len(features.pacing_spikes):
        return _paces(claim.detail, features)
    if claim.detail == "uninterrupted":
        return not any(_interruptions(features))
    if claim.value == "junctional rhythm":
        slow, fast = features.heart_rate < HEART_RATE.low, features.heart_rate > HEART_RATE.high
        return {"tachycardia": fast, "bradycardia": slow, "accelerated": not slow}[claim.detail]
    return holds


def _interruptions(features: EcgFeatures) -> tuple[int, int]:
    """How many premature beats and pauses there are."""
    return len(premature_beat_rows(features)[0]), len(pause_rows(features))


def _paces(chamber: str, features: EcgFeatures) -> bool | None:
    """Whether the spikes pace a chamber, or none (`no capture`): those of the ventricles stand at the QRS, those of the atria a PR interval before it."""
    from_onset = features.pacing_spikes[:, None] - features.beat_waves["QRS"][None, :, 0]
    found = {
        name: int(((from_onset >= low) & (from_onset <= high)).any(axis=1).sum())
        for name, (low, high) in SPIKES_S.items()
    }
    ventricles, atria = (
        (count > 1) or (None if count else False) for count in (found["ventricular"], found["atrial"])
    )
    paced = (from_onset >= SPIKES_S["atrial"][0]) & (from_onset <= SPIKES_S["ventricular"][1])
    if chamber == "intermittent":
        share = float(paced.any(axis=0).mean())
        return share < SOME_BEATS or (None if share < 1 else False)
    if chamber == "no capture":
        followed = int(paced.any(axis=1).sum())
        return not followed or (False if followed == len(features.pacing_spikes) else None)
    if chamber == "behind":
        behind = (from_onset >= BEHIND_S[0]) & (from_onset <= BEHIND_S[1])
        return False if ventricles or atria else True if behind.any(axis=1).all() else None
    if chamber == "ventricular":
        return ventricles
    if chamber == "atrial":
        return atria
    # A pacemaker that follows the P waves is one of two chambers as well.
    return True if ventricles and atria else None if ventricles and features.p_present else False


def _rhythm_holds(name: str, features: EcgFeatures, tol: Tolerances) -> bool | None:
    rate, p, irregular = features.heart_rate, features.p_present, is_irregular(features)
    sinus = has_sinus_p_waves(features)
    if len(features.pacing_spikes) and not p and name in (*SINUS, "atrial fibrillation"):
        return None  # ventricular pacing hides what the atria do
    if name == "sinus rhythm":
        return sinus
    if name in ("sinus bradycardia", "sinus tachycardia"):
        return _is_sinus_at(name, features, tol)
    if name == "sinus arrhythmia":
        return is_sinus_arrhythmia(features)
    if name == "atrial fibrillation":
        return is_atrial_fibrillation(features)
    if name == "atrial flutter":
        return _is_flutter(features)
    if name == "paced rhythm":
        return bool(len(features.pacing_spikes)) or (None if is_wide_qrs(features) else False)
    if name == "junctional rhythm":
        other = p or irregular or features.flutter_waves
        hidden = len(features.pacing_spikes) or is_wide_qrs(features)  # paced, or an escape rhythm of the ventricles
        return False if other else (p is False and not hidden and rate < JUNCTIONAL_HIGHEST_BPM) or None
    if name in ("supraventricular tachycardia", "ventricular tachycardia"):
        return _is_tachycardia(name, features, tol)
    return None


def _is_flutter(features: EcgFeatures) -> bool | None:
    """Waves that recur at the rate of flutter before regular beats. Without them it is open, as they may be too small to be found."""
    if features.p_present:
        # Flutter waves in a 2:1 rhythm can pass for P waves.
        return None if FLUTTER_TWO_TO_ONE.contains(features.heart_rate) else False
    if len(features.lone_p_waves) > 3:
        return False  # such P waves are looked for at 46 to 133 per minute, flutter has more
    return True if features.flutter_waves and features.p_present is False and not is_irregular(features) else None


def sinus_rate(features: EcgFeatures) -> float | None:
    """The rate of the P waves in bpm where more than one is without a QRS, so that they have a rate of their own; `None` elsewhere.

    Where none leads a beat, some are hidden in a QRS or a T wave: the second shortest interval counts, and the rate may be higher.
    """
    led = features.beat_waves["P"][:, 1]
    intervals = np.diff(np.sort(np.concatenate([led[np.isfinite(led)], features.lone_p_waves[:, 1]])))
    if len(features.lone_p_waves) < 2 or len(intervals) < 2:
        return None
    return 60 / float(np.median(intervals) if features.p_present else np.sort(intervals)[1])


def _is_sinus_at(name: str, features: EcgFeatures, tol: Tolerances) -> bool | None:
    """Sinus bradycardia or tachycardia, by the rate of the P waves where it is not that of the beats."""
    sinus, atria = has_sinus_p_waves(features), sinus_rate(features)
    rate = features.heart_rate if atria is None else atria
    hidden = atria is not None and not features.p_present  # then the true rate may be higher
    if name == "sinus bradycardia":
        slow = _unless_near(rate < HEART_RATE.low, rate < HEART_RATE.low + tol.limit_bpm)
        return sinus and (None if hidden and slow else slow)
    fast = _unless_near(rate > HEART_RATE.high, rate > HEART_RATE.high - tol.limit_bpm)
    return sinus and (fast or (None if hidden else fast))


def _is_tachycardia(name: str, features: EcgFeatures, tol: Tolerances) -> bool | None:
    """A regular tachycardia without P waves, ventricular if its QRS is wide; a wide supraventricular one may be aberrant."""
    fast, irregular, p = (
        features.heart_rate > HEART_RATE.high - tol.limit_bpm,
        is_irregular(features),
        features.p_present,
    )
    wide, ventricular = is_wide_qrs(features, margin=-tol.limit_ms), name == "ventricular tachycardia"
    if not fast or (ventricular and not wide):
        return None if ventricular and longest_run(features) >= RUN_BEATS else False
    if irregular:
        return None if ventricular else False
    if p and ventricular and features.heart_rate < FLUTTER_TWO_TO_ONE.low:
        return False  # from there on flutter waves can pass for P waves
    if p or p is None or len(features.pacing_spikes) or (ventricular and features.flutter_waves):
        return None
    return True if ventricular or not wide else None


def longest_run(features: EcgFeatures) -> int:
    """How many wide premature beats follow each other at most."""
    early, is_wide = premature_beat_rows(features)
    wide = np.isin(np.arange(len(features.beat_times)), early[is_wide])
    return int(np.diff(runs(wide), axis=1).max(initial=0))


def _unless_near(holds: bool, nearly: bool) -> bool | None:
    """`None` where something holds only nearly."""
    return True if holds else None if nearly else False


def regularity(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """Regular or irregular, by the variability of the RR intervals."""
    if features.rhythm_regularity is None:
        return no_rhythm(features)
    measured = f"{features.rhythm_regularity}, RR vary by {100 * features.rr_variability:.0f} %"
    uncertain = features.rhythm_regularity == "mostly regular" or (
        SINUS_ARRHYTHMIA_RR_VARIABILITY < features.rr_variability < FIBRILLATION_RR_VARIABILITY
    )
    regular = features.rhythm_regularity == "regular"
    return in_words(claim, regular == (claim.value == "regular"), not uncertain, measured, f"rhythm: {measured}")


# Conduction ------------------------------------------------------------------------------------------------------------


_BLOCK_SHAPES = {
    "rbbb": has_right_block_shape,
    "incomplete_rbbb": has_right_block_shape,
    "lbbb": has_left_block_shape,
    "incomplete_lbbb": has_left_block_shape,
}


def bundle_branch(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """Bundle branch blocks and fascicular blocks, by the QRS's width, its shape and the axis."""
    width, v1 = features.qrs_duration, qrs_area(features, "V1")
    if not math.isfinite(width) or not math.isfinite(v1):
        return unmeasurable("QRS width and V1 are needed")
    explanation = f"QRS {width:.0f} ms, V1 {features.qrs_patterns.get('V1', '-')}"
    complete, incomplete = wide_qrs_limit(features.age), incomplete_block_limit(features.age)
    shape = _BLOCK_SHAPES[claim.kind](features) if claim.kind in _BLOCK_SHAPES else True
    if not shape:
        if (
            claim.kind == "incomplete_rbbb"
            and claim.polarity != "negated"
            and abs(width - incomplete) < 2 * tol.limit_ms
        ):
            return unmeasurable(f"{explanation}; a small r' may be missed", round(width))
        return signed(claim, False, round(width), explanation)
    band = tol.limit_ms * slack(claim, tol)
    if claim.kind == "incomplete_rbbb" and claim.polarity != "negated" and width < incomplete - 1.5 * band:
        return unmeasurable(
            f"{explanation}; narrower than the AHA requires; the Minnesota code (7-3) requires no width", round(width)
        )
    if claim.kind.startswith("incomplete"):
        # No width lies far from both ends of 110 to 120 ms: who affirms it there is right.
        there = is_incomplete_block(features)
        certain = min(abs(width - incomplete), abs(width - complete)) > 1.5 * band
        return in_words(claim, there, certain or (there and claim.polarity != "negated"), round(width), explanation)
    return in_words(claim, *above(width, complete, band), round(width), explanation)


def fascicle(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """AHA/ACCF/HRS 2009 part III: axis of -45 to -90 degrees, or 90 to 180; the axis alone is checked."""
    axis = features.qrs_axis
    if not math.isfinite(axis):
        return unmeasurable("the axis cannot be measured")
    if claim.kind == "lafb":
        # Many readers call it from the limit of the normal axis on.
        holds = axis <= LEFT_ANTERIOR_AXIS.high and axis >= LEFT_ANTERIOR_AXIS.low - tol.limit_deg
        certain = not LEFT_ANTERIOR_AXIS.high - tol.limit_deg < axis < AXIS.low + tol.limit_deg
    else:
        holds = axis >= LEFT_POSTERIOR_AXIS.low
        certain = abs(axis - LEFT_POSTERIOR_AXIS.low) >= tol.limit_deg
    return in_words(claim, holds, certain, round(axis), f"axis measures {axis:.0f}°")


def conduction_disturbance(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """A block of any kind, by PR, P waves without QRS, the width of the QRS and the axis. If these show a disturbance that the text
    denies, the claim is not decided, because readers may not count it as one."""
    pr, width, axis = features.pr_interval, features.qrs_duration, features.qrs_axis
    if not math.isfinite(width):
        return unmeasurable("the QRS cannot be measured")
    disturbed = (
        pr >= PR.high + tol.limit_ms,
        len(features.lone_p_waves) > 1,
        is_wide_qrs(features, margin=tol.limit_ms),
        LEFT_ANTERIOR_AXIS.low <= axis <= LEFT_ANTERIOR_AXIS.high - tol.limit_deg,
    )
    undisturbed = (
        PR.low + tol.limit_ms <= pr <= PR.high - tol.limit_ms,
        not len(features.lone_p_waves),
        width <= incomplete_block_limit(features.age) - tol.limit_ms / 2,
        AXIS.low + tol.limit_deg <= axis <= AXIS.high - tol.limit_deg,
    )
    explanation = f"PR {shown(pr, 'ms')}, QRS {width:.0f} ms, axis {shown(axis, 'deg')}"
    if any(disturbed):
        return signed(claim, None if claim.polarity == "negated" else True, round(width), explanation)
    return in_words(claim, False, all(undisturbed), round(width), explanation)


def pre_excitation(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """Pre-excitation, by a short PR interval and a wide QRS; delta waves are not measured."""
    pr, width = features.pr_interval, features.qrs_duration
    if not math.isfinite(pr):
        return unmeasurable("no PR interval")
    explanation = f"PR {pr:.0f} ms, QRS {width:.0f} ms (delta waves are not measured)"
    if is_short_pr(features) and not is_wide_qrs(features, margin=-tol.limit_ms):
        return unmeasurable(f"{explanation}; a short PR alone is no pre-excitation", round(pr))
    return in_words(claim, is_short_pr(features), abs(pr - PR.low) > tol.limit_ms, round(pr), explanation)


# Diagnoses ---------------------------------------------------------------------------------------------------------------


def infarction(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """An infarct or ischaemia of a wall: whether two of its leads show it.

    An infarct is supported by Q waves or a raised ST, ischaemia by a raised or depressed ST or inverted T waves. Measurements cannot
    prove or exclude a diagnosis: an affirmed one is contradicted only if the named wall shows nothing at all and another wall does; a
    denied one is never decided.
    """
    if claim.polarity == "negated" or claim.territory in (None, "all", "other", "posterior"):
        return unmeasurable("a diagnosis needs more than measurements")
    if is_left_bundle_branch_block(features) or (is_wide_qrs(features) and len(features.pacing_spikes)):
        return unmeasurable(
            "a left bundle branch block or ventricular pacing causes such Q waves and ST levels itself"
        )
    shown = _signs_of_wall(claim, features)
    if shown:
        return Judgement(SUPPORTED, None, "; ".join(shown))
    affirmed = replace(claim, polarity="affirmed", value=None, unit=None, comparator=None, high=None)
    signs = {"pathological_q": pathological_q, "st_elevation": st_change, "t_inversion": t_wave}
    if claim.kind == "ischemia":
        signs = {"st_depression": st_change, "st_elevation": st_change, "t_inversion": t_wave}
    judged = [rule(replace(affirmed, kind=kind), features, tol) for kind, rule in signs.items()]
    here = [judgement.explanation for judgement in judged if judgement.verdict == SUPPORTED]
    if here:
        return unmeasurable(f"{'; '.join(here)}: too little to support it")
    elsewhere = [finding.name for finding in by_wall(features) if "infarction" in finding.kinds]
    if elsewhere:
        return Judgement(CONTRADICTED, None, f"nothing in {', '.join(claim.leads)}; {'; '.join(elsewhere)}")
    return unmeasurable("neither Q waves nor ST or T changes are measured; that does not exclude it")


def _signs_of_wall(claim: Claim, features: EcgFeatures) -> list[str]:
    """What two leads of the claim's wall show, or its only lead in which a Q wave is not normal, with a neighbour."""
    signs = {"pathological Q": pathological_q_leads(features), "ST elevation": st_elevated_leads(features)}
    if claim.kind == "ischemia":
        signs = {
            "ST elevation": st_elevated_leads(features),
            "ST depression": st_depressed_leads(features),
            "T inversion": in_neighbouring_leads(abnormal_t_inversion_leads(features)),
        }
    needed = min(2, sum(lead not in Q_NORMAL_LEADS for lead in claim.leads))
    here = {name: [lead for lead in claim.leads if lead in leads] for name, leads in signs.items()}
    return [f"{name} in {', '.join(leads)}" for name, leads in here.items() if len(leads) >= needed]


def normal_ecg(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """A normal ECG: no clearly abnormal measurement. Not everything is measured, so a normal ECG is not proven."""
    abnormal = [
        finding.name for finding in (*abnormal_findings(features), *by_wall(features, st_factor=NORMAL_ST_FACTOR))
    ]
    if features.p_present is False:
        abnormal.append("no P waves")
    if features.heart_rate < CLEARLY_SLOW_BPM or features.heart_rate > CLEARLY_FAST_BPM:
        abnormal.append(f"{features.heart_rate:.0f} bpm")
    if abnormal:
        return decided(claim.polarity == "negated", None, "; ".join(abnormal))
    if claim.polarity == "negated":
        return unmeasurable("nothing clearly abnormal is measured, which does not prove it normal")
    if features.p_present is None:
        return unmeasurable(f"nothing clearly abnormal is measured, but P waves {p_waves_in_words(features)}")
    return decided(True, None, "nothing clearly abnormal is measured")


__all__ = [
    "bundle_branch",
    "conduction_disturbance",
    "fascicle",
    "infarction",
    "normal_ecg",
    "pre_excitation",
    "regularity",
    "rhythm",
    "rhythm_in_words",
    "signed",
]
