# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Verdicts on claims about P waves: whether they lead the beats, and how they go with the QRS complexes."""

import numpy as np

from processing.claims.claims import Claim
from processing.ecg_features import EcgFeatures
from processing.ecg_features_text import p_waves_in_words
from processing.ecg_rules import has_sinus_p_waves, premature_beat_rows

from .rules_beats import all_of, counted
from .rules_rhythm import rhythm_in_words, signed
from .verdicts import Judgement, Tolerances, unmeasurable


def p_waves(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """P waves that are there, or that lead each of the beats."""
    if not len(features.beat_times):
        return unmeasurable("no beats")
    if claim.beats and claim.value == "before each QRS":
        return unmeasurable("said of each beat and of single ones")
    if claim.beats or claim.time_s is not None:
        return _p_waves_there(claim, features, tol)
    there = has_sinus_p_waves(features)
    if claim.value == "before each QRS" and there:
        there = None if features.p_present and _without_p_wave(features) > 1 else features.p_present
    return signed(claim, there, there, rhythm_in_words(features))


def _p_waves_there(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """P waves before the beats that are named, or at the time."""
    if features.p_present is None:
        return unmeasurable(f"P waves {p_waves_in_words(features)}")
    peaks = features.beat_waves["P"][:, 1]
    if not claim.beats:
        moment = float(claim.time_s or 0)
        everywhere = np.concatenate([peaks, features.lone_p_waves[:, 1]])
        near = bool((np.abs(everywhere - moment) <= tol.time_s).any())
        return signed(claim, near or None, near, f"P waves near {moment:g} s: {'yes' if near else 'none found'}")
    early, is_wide = premature_beat_rows(features)
    wide = {int(row) + 1 for row in early[is_wide]}

    def shows(number: int) -> bool | None:
        if np.isfinite(peaks[number - 1]):
            return True
        # The P wave of the first beat may lie before the record, that of a usual beat may have been missed.
        known = number > 1 and (number in wide or features.p_present is False)
        return False if known else None

    holds = all_of(claim.beats, shows, claim.polarity == "negated")
    with_p = [number for number in claim.beats if np.isfinite(peaks[number - 1])]
    return signed(claim, holds, with_p, f"P waves are found before beat {', '.join(map(str, with_p)) or '-'}")


def p_relation(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """How P waves go with the QRS complexes: all conducted, some blocked, apart from them, behind them, or before some of them."""
    lone = len(features.lone_p_waves)
    if claim.value == "blocked" and claim.time_s is not None:
        near = bool((np.abs(features.lone_p_waves[:, 1] - claim.time_s) <= tol.time_s).any())
        return signed(
            claim, near or (None if features.p_present is None else False), lone, f"{lone} P waves without QRS"
        )
    if claim.beats:
        return unmeasurable("how the P waves of single beats are conducted is not judged", lone)
    explanation = f"{rhythm_in_words(features)}, {lone} P waves without QRS"
    if features.p_present is None and not lone:
        return unmeasurable(f"P waves {p_waves_in_words(features)}, {explanation}")
    holds = _holds(str(claim.value), features, lone)
    stated = claim.detail or ""
    if claim.value == "blocked" and lone and stated.isdecimal() and claim.polarity != "negated":
        holds = counted(lone, int(stated))
    if holds is False and not (features.p_present or lone) and claim.polarity == "negated":
        holds = None  # without any P wave neither "each" nor "not each" says anything
    return signed(claim, holds, lone, explanation)


def _holds(relation: str, features: EcgFeatures, lone: int) -> bool | None:
    """`None` where the measurements cannot tell."""
    leading = bool(features.p_present)
    if relation == "conducted":
        return leading and not lone
    if relation == "blocked":
        return True if lone else False if leading else None
    if leading and relation == "some":
        return None if _without_p_wave(features) else False
    if relation == "apart" and lone and features.p_present is False:
        return True
    return False if leading and relation in ("apart", "behind") else None


def _without_p_wave(features: EcgFeatures) -> int:
    """How many beats no P wave leads; the P wave of the first beat may lie before the record."""
    marks = features.beat_waves["P"]
    return int((~np.isfinite(marks[1:, 1])).sum()) if len(marks) else len(features.beat_times)


__all__ = ["p_relation", "p_waves"]
