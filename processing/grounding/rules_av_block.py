# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Verdicts on AV block: its degree, how many P waves come for one QRS, and how PR goes from beat to beat."""

import math

import numpy as np

from processing.claims.claims import Claim
from processing.ecg_features import EcgFeatures
from processing.ecg_features_text import p_waves_in_words
from processing.ecg_limits import PR, RUN_BEATS

from .rules_record import pr_of_beats
from .rules_rhythm import signed
from .verdicts import Judgement, Tolerances, above, in_words, slack, unmeasurable

MOST_INTERVALS = 0.6  # share of the RR intervals in which a stated conduction must be seen


def av_block(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """AV block of a degree, by the PR interval and P waves without a QRS."""
    pr, lone = features.pr_interval, len(features.lone_p_waves)
    explanation = (
        f"PR {pr:.0f} ms, {lone} P waves without QRS"
        if math.isfinite(pr)
        else f"no fixed PR, {lone} P waves without QRS"
    )
    if not math.isfinite(pr) and features.p_present is not False and not lone:
        return unmeasurable(f"P waves {p_waves_in_words(features)}, {explanation}")
    if claim.value == 1:
        if not math.isfinite(pr):
            return signed(claim, None if claim.polarity == "negated" else False, None, explanation)
        if lone > 1 and pr > PR.high:
            return unmeasurable(f"{explanation}: of a higher degree as well", round(pr))
        return in_words(claim, *above(pr, PR.high, tol.limit_ms * slack(claim, tol)), round(pr), explanation)
    if claim.value == 2:
        return signed(claim, _second_degree(claim, features, tol), lone, explanation)
    if claim.value == "2:1" or ":" in (claim.detail or ""):
        return signed(claim, _conducted(claim.detail or claim.value, features), lone, explanation)
    if claim.value == 3:
        apart = None if features.p_present is None else not features.p_present
        return signed(claim, lone > 0 and apart, lone, explanation)
    if lone or not math.isfinite(pr):
        return signed(claim, lone > 0, lone, explanation)
    return in_words(claim, *above(pr, PR.high, tol.limit_ms * slack(claim, tol)), round(pr), explanation)


def _conducted(ratio: str, features: EcgFeatures) -> bool | None:
    """
    Whether so many P waves (`3:1`) come for one QRS, in most RR intervals. P waves may hide in T waves, and atrial flutter is conducted so
    without any block: with fewer of them, or in two intervals side by side, it is open.
    """
    stated = int(ratio.partition(":")[0]) - 1
    lone = np.searchsorted(features.beat_times, features.lone_p_waves[:, 1])
    blocked = np.bincount(lone, minlength=len(features.beat_times) + 1)[1:-1]
    if not len(lone) or not len(blocked):
        return None if stated == 1 or not features.p_present else False
    if float((blocked == stated).mean()) > MOST_INTERVALS:
        return True
    hidden = stated > 1 and float((blocked > 0).mean()) > MOST_INTERVALS
    in_a_row = bool(((blocked[1:] >= stated) & (blocked[:-1] >= stated)).any())
    return None if hidden or in_a_row else False


def av_conduction(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """Normal conduction from atria to ventricles: PR within its limits (ms), and no P wave without a QRS."""
    pr, lone = features.pr_interval, len(features.lone_p_waves)
    if lone:
        return signed(claim, None if lone == 1 else False, lone, f"{lone} P waves without QRS")
    if not math.isfinite(pr):
        return unmeasurable(f"PR is not measured; P waves {p_waves_in_words(features)}")
    holds, certain = above(pr, PR.high, tol.limit_ms * slack(claim, tol))
    return in_words(claim, not holds, certain, round(pr), f"PR {pr:.0f} ms, every P wave is followed by a QRS")


def pr_course(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """
    How PR goes from beat to beat (ms): constant where its middle 80 % lie within twice the tolerance, lengthening or shortening where most
    runs of conducted beats end with a PR that is longer or shorter by the tolerance.
    """
    pr = pr_of_beats(features)
    known = pr[np.isfinite(pr)]
    if len(known) < RUN_BEATS or not (features.p_present or len(features.lone_p_waves)):
        return unmeasurable(f"PR is measured in {len(known)} beats; P waves {p_waves_in_words(features)}")
    low, high = np.quantile(known, (0.1, 0.9))
    explanation = f"PR {known.min():.0f} to {known.max():.0f} ms from beat to beat"
    measured = [round(float(known.min())), round(float(known.max()))]
    spread = float(high - low)
    if claim.value in ("constant", "varies"):
        certain = spread <= tol.pr_ms or spread >= 2 * tol.pr_ms
        return in_words(
            claim, (spread < 1.5 * tol.pr_ms) == (claim.value == "constant"), certain, measured, explanation
        )
    blocked = np.unique(np.searchsorted(features.beat_times, features.lone_p_waves[:, 1]))
    grown = np.array([part[-1] - part[0] for part in np.split(pr, blocked) if len(part) > 1])
    grown = grown[np.isfinite(grown)] * (1 if claim.value == "lengthens" else -1)
    if not len(grown):
        return unmeasurable(explanation, measured)
    change = float(np.median(grown))
    holds = True if change >= 2 * tol.pr_ms else None if change > tol.pr_ms else False
    return signed(claim, holds, measured, explanation)


def _second_degree(claim: Claim, features: EcgFeatures, tol: Tolerances) -> bool | None:
    """Whether some P waves are blocked, and as the type asks for: behind a PR that lengthens (Mobitz 1) or stays (Mobitz 2)."""
    lone = len(features.lone_p_waves)
    if not lone:
        return False
    if features.p_present is False and lone > 3:
        return None if claim.detail is None else False  # P waves that lead no beat: complete block
    if claim.detail is None:
        return True
    shortened = _pr_before_blocks(features)
    if not len(shortened):
        return None  # as in 2:1 block, which is of neither type
    change = float(np.median(shortened))
    if claim.detail == "mobitz 1":
        return True if change >= 2 * tol.pr_ms else None if change > tol.pr_ms else False
    return True if abs(change) <= tol.pr_ms else None if abs(change) < 2 * tol.pr_ms else False


def _pr_before_blocks(features: EcgFeatures) -> np.ndarray:
    """By how many ms the PR before each blocked P wave exceeds the one after it, where two beats in a row were conducted before."""
    pr = pr_of_beats(features)
    after = np.searchsorted(features.beat_times, features.lone_p_waves[:, 1])
    found = [pr[row - 1] - pr[row] for row in after.tolist() if 2 <= row < len(pr) and row - 1 not in after]
    return np.array([change for change in found if math.isfinite(change)])


__all__ = ["av_block", "av_conduction", "pr_course"]
