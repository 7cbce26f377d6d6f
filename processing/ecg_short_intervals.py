# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Short intervals between QRS complexes: which hump is the T wave, and whether there is a P wave.

In a fast rhythm there is no baseline between T and P, and the T wave is as short as a P wave. The median interval decides: it deviates
from the line between its ends once for the T wave, and once more only if there is a P wave.
"""

from dataclasses import dataclass

import numpy as np

from .ecg_filters import WORKING_RATE, FilteredEcg
from .ecg_order_statistics import median
from .ecg_qrs import windows
from .ecg_reliability import Reliability

SHORT_S = 0.40  # from the end of a QRS to the next one
ALIKE, FEWEST_ALIKE = 0.08, 3  # intervals alike within so much of their length tell together, from so many on
TOGETHER = 40  # intervals in a row, in a long record
LEVEL_S = (0.024, 0.012)  # before the QRS: where the line is read that a wave bulges away from
BULGE_S, SMOOTH_S = 0.032, 0.018  # half span over which the line is bent; over which it is averaged
AFTER_QRS_S, BEFORE_QRS_S = 0.020, 0.042  # the QRS itself bulges, and its foot
# The T wave's apex after QRS onset at the latest, at 60/min, with the cube root of RR (QT as Fridericia's, which ends some
# 0.06 s later), and what a QRS beyond 0.1 s adds.
LATEST_T_S, OF_WIDE_QRS = 0.36, 0.7
# Apex of a P wave: after that of the T wave at least, before the QRS at most. The same for what is beside the T wave's
# direction: what is earlier may be the T wave's own loop. Without a T wave: before the QRS.
P_SPAN_S, P_BESIDE_SPAN_S, ONLY_P_S = (0.06, 0.20), (0.04, 0.10), 0.09
LATE_T = 3.0  # times what bulges in time for a T wave: a hump later than this is still the T wave
P_ONSET_S = 0.05  # before its apex, at least
SMALLEST_MV, OF_T, OF_T_BESIDE = 0.014, 0.03, 0.15  # of a P wave: in all leads, and of the T wave's bulge
OF_BULGE = 0.4  # a wave departs from the line; the end of a T wave that bends back into it does not


@dataclass(frozen=True)
class ShortIntervals:
    """Facts about the interval after each beat.

    Attributes:
        told: whether it is short, and was told, `(beats,)`.
        with_p: whether it holds a P wave, `(beats,)`.
        border: the sample at which its T wave ends at the latest, `(beats,)`: where the P wave begins, or the next QRS.
    """

    told: np.ndarray
    with_p: np.ndarray
    border: np.ndarray

    @property
    def p_told(self) -> np.ndarray:
        """Whether the interval before each beat is known to hold a P wave, `(beats,)`."""
        return np.append(False, self.with_p[:-1])

    @property
    def no_p_told(self) -> np.ndarray:
        """Whether the interval before each beat is known to hold no P wave, `(beats,)`; before the first, where the two after
        it hold none: in bigeminy one does."""
        without = self.told & ~self.with_p
        return np.append(without[:2].all(keepdims=True), without[:-1])

    @property
    def earliest_p(self) -> np.ndarray:
        """The sample before which no P wave of each beat begins, `(beats,)`; -inf where the interval is undecided."""
        return np.append(-np.inf, np.where(self.told, self.border, -np.inf)[:-1])


def find_short_intervals(
    ecg: FilteredEcg, qrs_onset: np.ndarray, qrs_offset: np.ndarray, reliability: Reliability
) -> ShortIntervals:
    """Separates T and P waves of short intervals by comparing similar intervals with their median.

    Args:
        ecg: the filtered record.
        qrs_onset: samples, `(beats,)`.
        qrs_offset: samples, `(beats,)`.
        reliability: of the leads.
    """
    told, with_p = np.zeros(len(qrs_onset), dtype=bool), np.zeros(len(qrs_onset), dtype=bool)
    border = np.full(len(qrs_onset), np.inf)
    room = qrs_onset[1:] - qrs_offset[:-1]
    short = np.flatnonzero((room < SHORT_S * WORKING_RATE) & reliability.known_intervals(qrs_onset))
    for first in range(0, len(short), TOGETHER):
        left = short[first : first + TOGETHER]
        while len(left) >= FEWEST_ALIKE:
            length = np.sort(room[left])[len(left) // 2]
            near = np.abs(room[left] - length) <= ALIKE * length
            group, left = left[near], left[~near]
            if len(group) < FEWEST_ALIKE:
                continue
            start_of_p = _start_of_p(ecg, qrs_onset, qrs_offset, group, reliability)
            told[group], with_p[group] = True, start_of_p is not None
            border[group] = qrs_onset[group + 1] - (LEVEL_S[1] * WORKING_RATE if start_of_p is None else start_of_p)
    if len(told) > 1 and told[-2]:
        told[-1], with_p[-1], border[-1] = True, with_p[-2], qrs_onset[-1] + border[-2] - qrs_onset[-2]
    return ShortIntervals(told, with_p, border)


def _start_of_p(
    ecg: FilteredEcg, qrs_onset: np.ndarray, qrs_offset: np.ndarray, group: np.ndarray, reliability: Reliability
) -> int | None:
    """Samples from the start of the P wave to the QRS in the usual one of the intervals `group`; `None` without P wave."""
    rate = WORKING_RATE
    room = round(float(median(qrs_onset[group + 1] - qrs_offset[group])))
    rr = float(median(qrs_onset[group + 1] - qrs_onset[group]))
    if room <= (AFTER_QRS_S + BEFORE_QRS_S) * rate:
        return None
    interval = _usual_interval(ecg, qrs_onset, group, room, rr, reliability)
    size, bulge = _bulges(interval)
    humps = _humps(size, bulge)
    latest = LATEST_T_S * rate * np.cbrt(rr / rate) + OF_WIDE_QRS * max(rr - room - 0.1 * rate, 0.0)
    before_apex = round(P_ONSET_S * rate)
    apart = room - humps >= ONLY_P_S * rate
    early = humps[humps + rr - room <= latest]
    largest = humps[apart][bulge[humps[apart]].argmax()] if apart.any() else None
    if len(early) and (largest is None or bulge[largest] < LATE_T * bulge[early].max()):
        t = int(early[bulge[early].argmax()])
    elif largest is not None:
        t = int(largest)
    else:
        return room - int(humps[-1]) + before_apex if len(humps) else None
    # A P wave on the T wave's limb may be no hump of its own, but it leaves the T wave's direction in space.
    towards_t = interval[:, t] / max(float(np.linalg.norm(interval[:, t])), 1e-9)
    beside = _bulges(interval - np.outer(towards_t, towards_t @ interval))
    for (own_size, own_bulge), (after_t, before_qrs), of_t in (
        ((size, bulge), P_SPAN_S, OF_T),
        (beside, P_BESIDE_SPAN_S, OF_T_BESIDE),
    ):
        waves = _humps(own_size, own_bulge)
        waves = waves[(waves - t >= after_t * rate) & (room - waves < before_qrs * rate)]
        waves = waves[own_bulge[waves] > of_t * bulge[t]]
        if len(waves):
            p = int(waves[own_bulge[waves].argmax()])
            return room - min(t + int(own_bulge[t:p].argmin()), p - before_apex)
    return None


def _humps(size: np.ndarray, bulge: np.ndarray) -> np.ndarray:
    """Indices at which waves of a seen size bulge most."""
    from scipy.signal import find_peaks

    first, last = round(AFTER_QRS_S * WORKING_RATE), len(bulge) - round(BEFORE_QRS_S * WORKING_RATE)
    humps = find_peaks(bulge[first:last])[0] + first
    return humps[(size[humps] > np.maximum(OF_BULGE * bulge[humps], SMALLEST_MV)) & (bulge[humps] > SMALLEST_MV)]


def _usual_interval(
    ecg: FilteredEcg, qrs_onset: np.ndarray, group: np.ndarray, room: int, rr: float, reliability: Reliability
) -> np.ndarray:
    """From the end of the QRS to the next one in mV against the line between the levels before either QRS, smoothed, each
    lead by its weight, `(leads, room)`."""
    rate = WORKING_RATE
    end = np.round(qrs_onset[group + 1]).astype(int)
    usual = median(windows(ecg.p_band, end - room, room), axis=1)
    before, after = (
        np.median(windows(ecg.p_band, np.round(at - LEVEL_S[0] * rate).astype(int), _samples(LEVEL_S)), axis=(1, 2))
        for at in (qrs_onset[group], qrs_onset[group + 1])
    )
    share = np.clip(1 - (room - LEVEL_S[1] * rate - np.arange(room)) / rr, 0, 1)
    line = before[:, None] * (1 - share) + after[:, None] * share
    weights = reliability.leads / max(float(np.linalg.norm(reliability.leads)), 1e-9)
    return _averaged((usual - line) * weights[:, None], round(SMOOTH_S * rate) | 1)


def _bulges(interval: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance from the line, and how far it is bent outwards there, in all leads together, `(samples,)` mV."""
    half = round(BULGE_S * WORKING_RATE)
    padded = np.pad(interval, ((0, 0), (half, half)), mode="edge")
    bend = 2 * interval - padded[:, : -2 * half] - padded[:, 2 * half :]
    size = np.linalg.norm(interval, axis=0)
    return size, (bend * interval).sum(axis=0) / np.maximum(size, 1e-9)


def _samples(span: tuple[float, float]) -> int:
    return round((span[0] - span[1]) * WORKING_RATE)


def _averaged(values: np.ndarray, width: int) -> np.ndarray:
    padded = np.pad(values, ((0, 0), (width // 2, width // 2)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, width, axis=1).mean(axis=2)


__all__ = ["ShortIntervals", "find_short_intervals"]
