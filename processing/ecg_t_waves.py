# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""T waves, and what finding P and T waves has in common: settings, limits, fusion of the leads."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .ecg_filters import WORKING_RATE, FilteredEcg
from .ecg_order_statistics import differences, median, within
from .ecg_qrs import largest_within, windows
from .ecg_reliability import Reliability, weighted_size
from .ecg_short_intervals import ShortIntervals

VISIBLE_T_MV = (0.02, 0.5)
T_APEX_S = (0.24, 0.38)  # after QRS onset at 60/min, with the square root of RR: QT ends some 0.08 s later
T_START, SHORTEST_T_S = 0.17, 0.06  # in a short interval: where the search begins, of what there is; what it needs
T_TO_U_S = 0.10  # apex to apex, at least
U_FALL = 1.5  # of a U wave's visible rise
# Of a very long QT: so much later than `t_longest_qt` (with the square root of RR) the T wave may end, so long before the next QRS; where its apex
# is not much before the usual end, and this much of it is left there.
MORE_QT, P_ROOM_S, LATE_ROOM_S, LATE_APEX_S, UNFINISHED = 0.16, 0.20, 0.02, 0.16, 0.12
LEVEL_BEFORE_QRS_S = 0.02
U_PROMINENCE = 0.12  # of the T wave before it, in sizes of the U wave; a bend of the ST segment stands out less


@dataclass(frozen=True)
class WaveSettings:
    """Times in s, voltages in mV, the rest without unit; tuned on LUDB."""

    t_start: float = 0.0681
    t_longest_qt: float = 0.56
    t_search: float = 0.06
    t_reference: float = 0.15
    t_offset_own_weight: float = 0.8
    t_onset_own_weight: float = 1.0
    t_noise: float = 0.33
    t_smallest: float = 0.004
    p_longest_pr: float = 0.30
    p_end: float = 0.02465
    p_search: float = 0.04258
    p_reference: float = 0.0799
    p_own_weight: float = 0.9
    p_trust: float = 0.2
    t_trust: float = 0.35
    p_jitter: float = 0.004
    p_smallest: float = 0.0094
    p_noise: float = 2.0
    p_visible: float = 0.8
    p_coherence: float = 0.352
    p_median_coherence: float = 0.72
    p_irregularity: float = 0.6388
    t_offset_bias: float = 0.0074
    t_usual: float = 0.2
    t_onset_per_fold: float = 0.018
    t_offset_per_fold: float = -0.0075
    p_onset_bias: float = -0.0013
    p_offset_bias: float = 0.0074


@dataclass(frozen=True)
class WaveMarks:
    """Onset, peak, offset as samples, `(leads, beats, 3)` and `(beats, 3)`; NaN where the wave is not there."""

    per_lead: np.ndarray
    overall: np.ndarray


@dataclass(frozen=True)
class TWaves(WaveMarks):
    """T waves, and the sample `(beats,)` from which the line is free of T and U waves; NaN as the marks."""

    tail: np.ndarray


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted median over the first axis; `weights` has that shape, or one that broadcasts to it."""
    order = np.argsort(values, axis=0)
    others: Any = np.indices(values.shape[1:], sparse=True)
    total = np.cumsum(np.broadcast_to(weights, values.shape)[order, *others], axis=0)
    middle = np.argmax(total >= 0.5 * total[-1], axis=0)
    return values[(order[middle, *others], *others)]


def own_weight(amplitude: np.ndarray, reliability: Reliability, trust: float) -> np.ndarray:
    """How far each lead's own mark counts against that of all leads, 0 to 1, `(leads, beats)`: the taller its wave and the
    better the lead repeats, the more.

    `trust` is the height, in typical heights of the beat's waves, at which half is reached.
    """
    height = np.abs(amplitude)
    typical = median(height[reliability.live], axis=0)
    return reliability.weights * height / np.maximum(height + trust * typical, 1e-9)


def trapezium_end(wave: np.ndarray, steepest: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """End of a positive wave: the sample that makes the largest trapezium (Zhang et al. 2006, Vazquez-Seisdedos 2011).

    Args:
        wave: `(leads, beats, samples)`.
        steepest: index of the steepest part of the falling limb, `(leads, beats)`.
        reference: index that is surely after the end, `(leads, beats)`.
    """
    area = pick(wave, steepest)[..., None] - wave
    # Of whole numbers NumPy would make double precision.
    area *= (2 * reference - steepest).astype(np.float32)[..., None] - np.arange(wave.shape[-1], dtype=np.float32)
    # Nothing lies between at the window's edge.
    between = np.minimum(reference, wave.shape[-1]) > steepest + 1
    return np.where(between, _largest_from_to(area, steepest + 1, reference - 1), steepest)


def _largest_from_to(values: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Index of the largest of `values` `(leads, beats, samples)` from index `first` to `last`, `(leads, beats)`; `values` are
    changed. No index is told where `last` lies before `first`."""
    # Short integers are compared in a tenth of the time of long ones; a place before `first` is a very large one without sign.
    place = np.arange(values.shape[-1], dtype=np.int16) - first.astype(np.int16)[..., None]
    # Subtraction is faster by as much than `np.where`.
    values -= (place.view(np.uint16) > (last - first).astype(np.uint16)[..., None]) * np.float32(1e30)
    return values.argmax(axis=-1)


def around_peak(marks: np.ndarray) -> np.ndarray:
    """The marks (onset, peak, offset), `(leads, beats, 3)`, changed so that a lead's own peak is at least 4 ms from its limits."""
    nearest = 0.004 * WORKING_RATE
    np.minimum(marks[..., 0], marks[..., 1] - nearest, out=marks[..., 0])
    np.maximum(marks[..., 2], marks[..., 1] + nearest, out=marks[..., 2])
    return marks


def pick(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The value at one index along the last axis: `(leads, beats, samples)` and `(leads, beats)` to `(leads, beats)`."""
    return values[np.arange(len(values))[:, None], np.arange(values.shape[1]), index]


def _steepest(slope: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    # Nothing lies between where the peak is at the window's edge.
    best = np.where(last >= first, _largest_from_to(slope, first, last), first)
    return within(best, 0, slope.shape[-1] - 1)


def limits(
    window: np.ndarray,
    slope: np.ndarray,
    peak: np.ndarray,
    sign: np.ndarray,
    reach: tuple[np.ndarray, np.ndarray],
    stops: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Onset and offset indices of the waves at `peak`: steepest limbs within `reach`, trapezium out to `stops`."""
    width = window.shape[-1]
    upright = window * sign[..., None]
    down = _steepest(slope * -sign[..., None], peak + 1, reach[1])
    offset = trapezium_end(upright, down, np.maximum(stops[1], down + 6))
    up = _steepest(slope * sign[..., None], reach[0], peak - 1)
    left = np.maximum(np.minimum(stops[0], up - 6), 0)
    onset = width - 1 - trapezium_end(upright[..., ::-1], width - 1 - up, width - 1 - left)
    return onset, offset


def find_t_waves(
    ecg: FilteredEcg,
    qrs_onset: np.ndarray,
    qrs_offset: np.ndarray,
    short: ShortIntervals,
    reliability: Reliability,
    settings: WaveSettings,
) -> TWaves:
    """T waves between the end of each QRS and the next one; in a `short` interval up to its border."""
    live, weights = reliability.live, reliability.weights
    samples, rate = ecg.band.shape[1], WORKING_RATE
    rr = _rr_after(qrs_onset)
    rr_root = np.sqrt(within(rr / rate, 0.3, 1.6))
    following = np.append(qrs_onset[1:], np.inf)
    following[short.told] = short.border[short.told]
    ahead = np.where(
        short.told, np.minimum(settings.t_start * rate, T_START * (following - qrs_offset)), settings.t_start * rate
    )
    start = np.round(qrs_offset + ahead).astype(int)
    wide_qrs = np.maximum(qrs_offset - qrs_onset - 0.1 * rate, 0)
    usual = qrs_onset + settings.t_longest_qt * rr_root * rate + 0.7 * wide_qrs
    before_next = following - np.where(short.told, 0, 0.07 * rate)
    stop = np.minimum(np.minimum(usual, before_next), samples - 1)
    later = np.minimum(usual + MORE_QT * rr_root * rate, following - P_ROOM_S * rate)
    later = np.where(short.told, stop, np.maximum(stop, np.minimum(later, samples - 1)))
    if _goes_on(ecg, qrs_onset, start, stop, later, weights):
        stop = later
    longest = int(0.62 * rate)
    last = within(stop - start, 5, longest - 1).astype(int)
    width = min(longest, int(last.max()) + 8)  # `limits` looks at no sample behind
    index = np.arange(width)
    window = windows(ecg.t_band, start, width)
    deviation = _over_chord(window, last)
    size = weighted_size(deviation, weights)
    u_wave = _before_u_wave(median(size, axis=0), float(median(start - qrs_onset)), float(median(rr_root)))
    if u_wave is not None:
        last = np.minimum(last, u_wave[0])
        deviation = _over_chord(window, last)
        size = weighted_size(deviation, weights)
    together = size.argmax(axis=1)
    near = (np.abs(index - together[:, None]) <= settings.t_search * rate) & (index <= last[:, None])
    peak = largest_within(deviation, near)
    amplitude = pick(deviation, peak)
    sign = np.where(amplitude < 0, -1.0, 1.0).astype(np.float32)
    reach = np.maximum(peak - int(0.20 * rate), 0), np.minimum(peak + int(0.16 * rate), last)
    reference = np.round(settings.t_reference * rate * rr_root).astype(int)
    stops = peak - int(0.24 * rate), np.minimum(last, peak + reference)
    onset, offset = limits(window, windows(ecg.t_slope, start, width), peak, sign, reach, stops)
    onset, peak, offset = (start + mark.astype(float) for mark in (onset, peak, offset))
    weight = weights * np.abs(amplitude) + 1e-9
    overall = weighted_median(np.stack([onset, peak, offset], axis=-1), weight[..., None])
    own = own_weight(amplitude, reliability, settings.t_trust)
    onset += (1 - settings.t_onset_own_weight * own) * (overall[:, 0] - onset)
    offset += (1 - settings.t_offset_own_weight * own) * (overall[:, 2] - offset)
    present = (stop - start > np.where(short.told, SHORTEST_T_S, 0.08) * rate) & (offset.max(axis=0) < samples - 1)
    # A small wave drowns before its tail ends, and it seems to begin later for the same reason.
    noise = median(np.abs(ecg.band[:, ::5] - ecg.t_band[:, ::5]), axis=1)[:, None]
    visible = np.abs(amplitude) > np.maximum(settings.t_smallest, settings.t_noise * noise)
    folds = np.log(within(np.abs(amplitude), *VISIBLE_T_MV) / settings.t_usual)
    onset -= settings.t_onset_per_fold * rate * folds
    offset -= (settings.t_offset_bias + settings.t_offset_per_fold * folds) * rate
    per_lead = around_peak(np.stack([onset, peak, offset], axis=-1))
    overall[:, 2] -= settings.t_offset_bias * rate
    per_lead[~(present & visible & live[:, None])] = np.nan
    overall[~present] = np.nan
    tail = overall[:, 2] + settings.t_offset_bias * rate
    return TWaves(per_lead, overall, tail if u_wave is None else np.maximum(tail, start + u_wave[1]))


def _goes_on(
    ecg: FilteredEcg,
    qrs_onset: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    later: np.ndarray,
    weights: np.ndarray,
) -> bool:
    """
    Whether the usual T wave, of a very long QT, is far from over where T waves end at the latest: its apex is there or behind.

    Args:
        ecg: the filtered record.
        qrs_onset: `(beats,)` samples.
        start: where T waves are sought from on, `(beats,)` samples.
        stop: their latest end, `(beats,)` samples.
        later: as far as there is certainly no P wave, `(beats,)` samples.
        weights: `(leads, beats)`.
    """
    room = later - stop > LATE_ROOM_S * WORKING_RATE
    if room.mean() < 0.5:
        return False
    first, end = round(float(median((stop - start)[room]))), round(float(median((later - start)[room])))
    own, shown = start[room], weights[:, room]
    level = windows(ecg.t_band, np.round(qrs_onset[room] - LEVEL_BEFORE_QRS_S * WORKING_RATE).astype(int), 1)
    size = median(weighted_size(windows(ecg.t_band, own, end) - level, shown), axis=0)
    apex = int(size.argmax())
    return apex > first - LATE_APEX_S * WORKING_RATE and size[first] > UNFINISHED * size[apex]


def _over_chord(window: np.ndarray, last: np.ndarray) -> np.ndarray:
    """`(leads, beats, samples)` against the line from the first sample to index `last` `(beats,)`; 0 beyond."""
    index = np.arange(window.shape[-1])
    chord = (index / last[:, None]).astype(np.float32)
    end = window[:, np.arange(len(last)), last, None]
    return (window - (window[..., :1] * (1 - chord) + end * chord)) * (index <= last[:, None])


def _before_u_wave(size: np.ndarray, start: float, rr_root: float) -> tuple[int, int] | None:
    """Where the usual beat's largest wave is a U wave: indices of the valley before it and of its end; else `None`.

    A U wave follows the end of the T wave (its apex 90-110 ms after it, AHA/ACCF/HRS 2009 part IV): the largest wave is
    later than a T wave's apex, and one precedes it where that apex belongs.

    Args:
        size: of the usual beat in all leads, `(samples,)` mV.
        start: samples from QRS onset to `size[0]`.
        rr_root: square root of the RR interval in s.
    """
    from scipy.signal import find_peaks

    u = int(size.argmax())
    earliest, latest = T_APEX_S
    if (u + start) / (WORKING_RATE * rr_root) < latest:
        return None
    peaks = find_peaks(size[:u], prominence=U_PROMINENCE * size[u])[0]
    since = (peaks + start) / (WORKING_RATE * rr_root)
    peaks = peaks[(since > earliest) & (since < latest) & (u - peaks > T_TO_U_S * WORKING_RATE)]
    if not len(peaks):
        return None
    t = int(peaks[-1])
    valley = t + int(size[t:u].argmin())
    return valley, u + round(U_FALL * (u - valley))


def _rr_after(qrs_onset: np.ndarray) -> np.ndarray:
    """RR interval that follows each beat, in samples; the typical one after the last."""
    rr = differences(qrs_onset)
    typical = float(median(rr)) if len(rr) else float(WORKING_RATE)
    return np.append(rr, typical)


def steadied(marks: np.ndarray, reference: np.ndarray, usable: np.ndarray, jitter: float) -> np.ndarray:
    """Marks drawn to the lead's usual distance from `reference` by up to `jitter` samples; larger changes are real."""
    if usable.sum() < 3:
        return marks
    distance = marks - reference
    usual = median(distance[:, usable], axis=1)[:, None]
    change = distance - usual
    return reference + usual + np.sign(change) * np.maximum(np.abs(change) - jitter, 0)


__all__ = [
    "TWaves",
    "WaveMarks",
    "WaveSettings",
    "around_peak",
    "find_t_waves",
    "limits",
    "own_weight",
    "pick",
    "steadied",
    "trapezium_end",
    "weighted_median",
]
