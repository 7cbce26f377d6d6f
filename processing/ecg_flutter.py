# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Atrial flutter: whether the wave before the QRS recurs one atrial cycle earlier."""

import numpy as np

from .ecg_filters import WORKING_RATE, FilteredEcg
from .ecg_order_statistics import differences, mean, median, spread
from .ecg_p_repeats import on_time_and_calm
from .ecg_qrs import windows
from .ecg_reliability import Reliability

CYCLE_S = (0.176, 0.262)
CYCLE_STEP_S = 0.008
STEADY_RR = 0.06  # an RR interval counts as the usual one if it differs by less, of it
IRREGULAR_RR = 0.05  # variation (SD over mean) from which the conduction ratio may vary
FEWEST_BEATS = 3
BEFORE_QRS_S, AFTER_QRS_S = 0.006, 0.020
FEWEST_LEADS = 3  # fewer have no directions to distinguish
SHORTEST_S = 0.052  # a shorter part of a cycle without QRS complexes is not used
FLUTTER_STEP = 2  # samples at 500 Hz
# Of the signal's energy one cycle before the QRS, what the subtraction explains: of all, or of all but one direction.
# Simulated and LUDB's sinus rhythms stay below 0.55 and 0.22, most simulated flutter is above 0.9 in one of them; set
# with PTB-XL in view, where most flutter has both above 0.7.
ALL_EXPLAINED, LOOP_EXPLAINED = 0.78, 0.65
BOTH_EXPLAINED = (0.60, 0.45)


def is_flutter(ecg: FilteredEcg, qrs: np.ndarray, reliability: Reliability) -> bool:
    """Whether the waves before the QRS complexes are flutter waves.

    The flutter cycle must divide the usual RR interval (2:1 to 7:1 conduction); in an irregular rhythm it may have any length.

    Args:
        ecg: the filtered record.
        qrs: onset, peak, offset of every beat, `(beats, 3)` samples.
        reliability: of the leads.
    """
    if len(qrs) <= FEWEST_BEATS:
        return False
    rr = differences(qrs[:, 1])
    known = reliability.known_intervals(qrs[:, 1])
    if known.sum() < FEWEST_BEATS:
        return False
    usual = float(median(rr[known]))
    steady = np.flatnonzero(np.abs(rr - usual) < STEADY_RR * usual)
    shortest, longest = (limit * WORKING_RATE for limit in CYCLE_S)
    cycles = [(steady, rr[steady] / ratio) for ratio in range(2, 8) if shortest <= usual / ratio <= longest]
    if _is_irregular(np.where(known, rr, np.nan)):
        gap = qrs[1:, 0] - qrs[:-1, 2] - (SHORTEST_S + AFTER_QRS_S) * WORKING_RATE
        for cycle in np.arange(shortest, longest, CYCLE_STEP_S * WORKING_RATE):
            roomy = np.flatnonzero((gap > cycle) & known)
            cycles.append((roomy, np.full(len(roomy), cycle)))
    return any(_recurs(ecg.p_band, reliability, qrs, beats, cycle) for beats, cycle in cycles)


def _is_irregular(rr: np.ndarray) -> bool:
    """Whether the RR intervals vary; those of premature beats and the pauses after them are left out if enough others remain."""
    calm = rr[on_time_and_calm(rr)[1]]
    rr = calm if len(calm) >= FEWEST_BEATS else rr[np.isfinite(rr)]
    return bool(spread(rr) > IRREGULAR_RR * mean(rr))


def _recurs(band: np.ndarray, reliability: Reliability, qrs: np.ndarray, beats: np.ndarray, cycle: np.ndarray) -> bool:
    """Whether the usual line before the QRS that follows each of `beats` was there `cycle` samples earlier too."""
    if len(beats) < FEWEST_BEATS:
        return False
    onset = qrs[beats + 1, 0]
    usual_cycle = float(median(cycle))
    gap = float(median(onset - qrs[beats, 2])) - usual_cycle - AFTER_QRS_S * WORKING_RATE
    length = int(min(gap, usual_cycle))
    if length < SHORTEST_S * WORKING_RATE:
        return False
    width = length - round(BEFORE_QRS_S * WORKING_RATE)
    live = reliability.live
    start = np.concatenate([onset - length - cycle, onset - length])
    lines = windows(band, np.round(start).astype(int), width, FLUTTER_STEP)
    usual = median(lines.reshape(len(band), 2, len(beats), -1), axis=2)[live].swapaxes(0, 1).astype(np.float64)
    usual *= reliability.leads[live, None]
    usual -= mean(usual, keepdims=True)
    usual[1] = usual[0] - usual[1]
    # Singular value decomposition needs three times the time.
    shared = usual @ usual.swapaxes(1, 2)
    before, after = np.einsum("pll->p", shared).tolist()
    explained = 1 - after / max(before, 1e-12)
    if live.sum() < FEWEST_LEADS or explained > ALL_EXPLAINED:
        return explained > ALL_EXPLAINED
    # What does not lie in the strongest direction of the leads.
    strongest = np.linalg.eigvalsh(shared)[:, -1].tolist()
    of_loop = 1 - (after - strongest[1]) / max(before - strongest[0], 1e-12)
    both = explained > BOTH_EXPLAINED[0] and of_loop > BOTH_EXPLAINED[1]
    return of_loop > LOOP_EXPLAINED or both


__all__ = ["is_flutter"]
