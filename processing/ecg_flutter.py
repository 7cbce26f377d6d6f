"""Atrial flutter: a train of like waves at 230-333/min, of which one passes for the P wave of each beat."""

from typing import NamedTuple

import numpy as np

from .ecg_atrial import STEP, bump_sizes
from .ecg_filters import WORKING_RATE, FilteredEcg

CYCLE_S = (0.180, 0.260)  # 230-333/min
FAST_CYCLE_S = 0.222  # 2:1 conduction at 135/min or more: rare in sinus rhythm at rest
IRREGULAR_RR = 0.06  # variation (SD over mean) from which the conduction ratio varies
WINDOW_S = 0.160  # at least this much before each QRS is looked at, also where the T wave reaches into it
GAP_S = 0.010  # before the QRS
AFTER_QRS_S = 0.040


class Rule(NamedTuple):
    """When a wave counts as the same wave one cycle earlier.

    `cosine` of their shapes in space (least, median over the beats), ratio of their sizes, most `spread` (SD) of the
    cosine, least `unrest` of the line before the QRS.
    """

    cosine: float
    size: tuple[float, float]
    spread: float
    unrest: float


# Found on simulated flutter and LUDB's sinus rhythms. What falls on the T wave is larger than the wave before the QRS.
HALF = Rule(0.55, (0.45, 1.40), 0.15, 0.0)
HALF_ON_T = Rule(0.90, (0.45, 2.60), 0.06, 0.13)
THIRD_OR_LESS = (Rule(0.90, (0.50, 1.50), 0.06, 0.20), Rule(0.75, (0.50, 1.90), 0.07, 0.25))
QUARTER_TWICE = Rule(0.55, (0.45, 1.40), 0.15, 0.0)
VARIABLE = Rule(0.90, (0.50, 1.50), 0.12, 0.25)


def is_flutter(ecg: FilteredEcg, qrs: np.ndarray, p_peaks: np.ndarray, t_end: np.ndarray, live: np.ndarray) -> bool:
    """Whether the supposed P waves come in a train of 230-333/min.

    A wave of the same shape and size stands one cycle earlier, where the cycle is a whole part of the RR interval (2:1
    to 6:1 conduction) or, in an irregular rhythm, any; and between T wave and QRS the line never rests, as it does
    around sinus P waves.

    Args:
        qrs: onset, peak, offset of every beat, `(beats, 3)` samples.
        p_peaks, t_end: `(beats,)` samples, NaN where there is none.
        live: `(leads,)`.
    """
    found = np.isfinite(p_peaks)
    if len(qrs) < 4 or found.sum() < 3:
        return False
    intervals = np.diff(qrs[:, 1])
    rr = float(np.median(intervals))
    cycles = [(ratio, rr / ratio) for ratio in range(2, 7) if _possible(rr / ratio)]
    irregular = float(np.std(intervals)) > IRREGULAR_RR * float(np.mean(intervals))
    if not cycles and not irregular:
        return False
    sizes = bump_sizes(ecg.p_band[live])
    at = np.round(p_peaks[found] / STEP).astype(int)
    unrest = _unrest(ecg, qrs, t_end, live)
    if any(_fits(sizes, at, ratio, cycle, unrest) for ratio, cycle in cycles):
        return True
    lags = np.arange(CYCLE_S[0] * WORKING_RATE / STEP, CYCLE_S[1] * WORKING_RATE / STEP, 2).round().astype(int)
    return irregular and unrest > VARIABLE.unrest and any(_recurs(sizes, at, lag, unrest, VARIABLE) for lag in lags)


def _possible(cycle: float) -> bool:
    return CYCLE_S[0] <= cycle / WORKING_RATE <= CYCLE_S[1]


def _fits(sizes: np.ndarray, at: np.ndarray, ratio: int, cycle: float, unrest: float) -> bool:
    lag = round(cycle / STEP)
    if ratio == 2:
        fast = cycle < FAST_CYCLE_S * WORKING_RATE
        return _recurs(sizes, at, lag, unrest, HALF) or (fast and _recurs(sizes, at, lag, unrest, HALF_ON_T))
    if any(_recurs(sizes, at, lag, unrest, rule) for rule in THIRD_OR_LESS):
        return True
    # The wave in the middle of the interval is clear of the T wave.
    twice = (_recurs(sizes, at, round(k * cycle / STEP), unrest, QUARTER_TWICE) for k in (1, 2))
    return ratio == 4 and all(twice)


def _recurs(sizes: np.ndarray, at: np.ndarray, lag: int, unrest: float, rule: Rule) -> bool:
    """Whether what stands `lag` before the waves at `at` is the same wave by `rule`."""
    nearby = at[:, None] - lag + np.arange(-3, 4)
    usable = (nearby[:, 0] >= 0) & (at < sizes.shape[1])
    if unrest <= rule.unrest or usable.sum() < 3:
        return False
    now, earlier = sizes[:, at[usable]], sizes[:, nearby[usable]]
    norm, norms = np.maximum(np.linalg.norm(now, axis=0), 1e-9), np.linalg.norm(earlier, axis=0)
    alike = np.einsum("lb,lbk->bk", now, earlier) / np.maximum(norm[:, None] * norms, 1e-9)
    best = alike.argmax(axis=1)[:, None]
    size = float(np.median(np.take_along_axis(norms, best, 1)[:, 0] / norm))
    alike = np.take_along_axis(alike, best, 1)[:, 0]
    return float(np.median(alike)) > rule.cosine and rule.size[0] < size < rule.size[1] and alike.std() < rule.spread


def _unrest(ecg: FilteredEcg, qrs: np.ndarray, t_end: np.ndarray, live: np.ndarray) -> float:
    """Spatial velocity at its quietest (10 %) over its liveliest (90 %), between T waves and QRS complexes.

    0.02-0.25 in sinus rhythm, whose line rests between T, P and QRS; 0.25-0.4 in flutter, where it never does.
    """
    ends = qrs[1:, 0] - GAP_S * WORKING_RATE
    starts = np.minimum(t_end[:-1], ends - WINDOW_S * WORKING_RATE)
    starts = np.maximum(np.where(np.isfinite(starts), starts, -np.inf), qrs[:-1, 2] + AFTER_QRS_S * WORKING_RATE)
    velocity = np.sqrt(np.mean(np.square(ecg.p_slope[live]), axis=0))
    parts = [velocity[int(start) : int(end)] for start, end in zip(starts, ends, strict=True) if end - start > 10]
    if not parts:
        return 0.0
    quiet, lively = np.percentile(np.concatenate(parts), [10, 90])
    return float(quiet / max(lively, 1e-9))


__all__ = ["is_flutter"]
