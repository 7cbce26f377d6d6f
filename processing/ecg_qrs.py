# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Where the heartbeats are."""

import numpy as np

from .ecg_filters import WORKING_RATE, BeatBands, moving_average
from .ecg_order_statistics import differences, median, percentile, within
from .ecg_reliability import NEAR_GAP, runs


def windows(values: np.ndarray, start: np.ndarray, width: int, step: int = 1) -> np.ndarray:
    """`values[..., start : start + width : step]` for every start, `(..., beats, width / step)`; edges repeated."""
    last, count = values.shape[-1] - width, -(-width // step)
    parts = [
        values[..., first : first + width : step]
        if 0 <= first <= last
        else values[..., within(np.arange(first, first + width, step), 0, values.shape[-1] - 1)]
        for first in start.tolist()
    ]
    shape = (*values.shape[:-1], len(parts), count)
    return np.concatenate(parts, axis=-1).reshape(shape) if parts else np.zeros(shape, dtype=values.dtype)


def largest_within(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Index of the largest deflection of `values` `(leads, beats, samples)` among the samples that are `inside`, a mask `(beats,
    samples)`: `(leads, beats)`."""
    size = np.abs(values)
    # An addition takes a quarter of the time of `np.where`.
    size += np.where(inside, np.float32(0), np.float32(-np.inf))
    return size.argmax(axis=2)


# Two ventricular beats are never closer (absolute refractory period, Pan and Tompkins 1985: 0.2 s).
REFRACTORY_S = 0.22
SMOOTHING_S = 0.07217
THRESHOLD = 0.22  # of the local level of strong beats
EDGE_S, CUT_THRESHOLD = 0.06, 0.5  # of what the record's edge cuts, half must be there
SEARCH_BACK_THRESHOLD = 0.16
SEARCH_BACK_GAP = 1.6  # of the median RR interval; 1.66 in Pan and Tompkins 1985
T_WAVE_WINDOW_S = 0.40  # a weak candidate this close to a strong one is its T wave
# A candidate is a beat if its slope in all leads is that of the strong beats times a factor: P waves, T waves and noise have other shapes.
SHAPE_S, SHAPE_STEP, SAME_SHAPE = 0.12, 2, 0.85
SHAPE_SHIFTS = (-8, -4, 0, 4, 8)  # samples at 500 Hz: a candidate's peak may lie beside that of the usual beat
APART_S, LEAST_SIZE = 0.35, 0.2  # a small beat
NEAR_S, USUAL_SIZE = 0.25, 0.6  # one of the usual size, which an early beat beside it hid
LOCAL_LEVEL_S = 4.0
LEAST_HEARD = 0.3  # of the leads, by their weight: where fewer are free of noise, no beat can be found
DEAD_SLOPE_MV_S = 0.01  # a lead whose steep parts stay below this holds no ECG
STEEP_PERCENTILE = 97.5


def lead_weights(qrs_slope: np.ndarray, heard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weight of each lead in the search for beats, `(leads,)`, and the size of its steep parts in mV/s.

    The weight is the peakiness of the slope (its 97.5 % percentile over its median, less one, at most 24); 0 for a
    lead without signal. Only the samples of `heard`, `(leads, samples)`, count.
    """
    steepness, usable = np.abs(qrs_slope[:, ::3]), heard[:, ::3]
    typical, steep = median(steepness), percentile(steepness, STEEP_PERCENTILE)
    for lead in np.flatnonzero(~usable.all(axis=1)):
        part = steepness[lead, usable[lead]]
        typical[lead], steep[lead] = (median(part), percentile(part, STEEP_PERCENTILE)) if len(part) else (0.0, 0.0)
    peakiness = within(steep / np.maximum(typical, 1e-9), 1, 25) - 1
    return np.where(steep > DEAD_SLOPE_MV_S, peakiness, 0.0), steep


def detect_beats(ecg: BeatBands, noisy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample numbers (500 Hz) of all heartbeats, which leads live, `(leads,)`, and where no lead tells, `(gaps, 2)`.

    Peaks of the 10-30 Hz slope, scaled per lead and averaged over the leads by peakiness; a candidate counts by slope
    and by size, against the strong beats of its surroundings; weak followers of strong beats (T waves) go, long gaps
    are searched again at a lower threshold, and what has the shape of the strong beats is a beat of any size. A lead counts only where it is not `noisy` `(leads, samples)`, nor bridged.
    """
    from scipy.signal import find_peaks

    heard = ~(noisy | ecg.bad)
    weights, steep = lead_weights(ecg.qrs_slope, heard)
    live, gaps = weights > 0, np.zeros((0, 2), dtype=int)
    if not live.any():
        return np.zeros(0, dtype=int), live, gaps
    share = (weights / weights.sum()).astype(np.float32)
    scaled = np.abs(ecg.qrs_slope)
    scaled /= np.maximum(steep, 1e-9)[:, None]
    total = share @ np.minimum(scaled, 2.0, out=scaled)
    if not heard[live].all():
        present = share @ heard
        total = np.where(present > LEAST_HEARD, share @ (scaled * heard) / np.maximum(present, LEAST_HEARD), 0)
        gaps = runs(present <= LEAST_HEARD)
    energy = moving_average(total, SMOOTHING_S)
    peaks, found = find_peaks(energy, distance=int(REFRACTORY_S * WORKING_RATE), height=0.05 * energy.max())
    if len(peaks) == 0:
        return peaks, live, gaps
    height = found["peak_heights"] * _relative_size(ecg.band, peaks, found["peak_heights"], share)
    level = _local_level(peaks, height, len(energy))
    cut = (peaks < EDGE_S * WORKING_RATE) | (peaks > len(energy) - EDGE_S * WORKING_RATE)
    strong = height > np.where(cut, CUT_THRESHOLD, THRESHOLD) * level
    beats = _without_t_waves(peaks[strong], height[strong])
    beats = _search_back(beats, peaks, strong, height, level)
    beats = _with_those_alike(beats, peaks, ecg.qrs_slope[live])
    for start, end in gaps:
        beats = beats[(beats < start - NEAR_GAP) | (beats > end + NEAR_GAP)]
    return beats, live, gaps


def _relative_size(band: np.ndarray, peaks: np.ndarray, height: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Size of every candidate against the strong ones, 0.2 to 1.5: P and T waves are smaller than a QRS."""
    scale = np.maximum(percentile(np.abs(band[:, ::3]), 99, axis=1), 1e-6).astype(np.float32)
    size = moving_average(np.sqrt(share / np.square(scale) @ np.square(band)), 0.06)
    around = within(peaks[:, None] + np.arange(-35, 36, 5), 0, len(size) - 1)
    largest = size[around].max(axis=1)
    return within(largest / max(median(largest[height > 0.3 * height.max()]), 1e-9), 0.2, 1.5)


def _local_level(peaks: np.ndarray, height: np.ndarray, samples: int) -> np.ndarray:
    """Median of the strongest candidates around each one: as many as there are beats at 33/min or more."""
    duration = samples / WORKING_RATE
    count = max(2, int(0.55 * duration))
    if duration <= 3 * LOCAL_LEVEL_S:
        return np.full(len(peaks), median(np.sort(height)[-count:]))
    count, reach = max(2, int(0.55 * 2 * LOCAL_LEVEL_S)), LOCAL_LEVEL_S * WORKING_RATE
    first, last = np.searchsorted(peaks, peaks - reach, "right"), np.searchsorted(peaks, peaks + reach, "left")
    return np.array([median(np.sort(height[a:b])[-count:]) for a, b in zip(first, last, strict=True)])


def _without_t_waves(beats: np.ndarray, height: np.ndarray) -> np.ndarray:
    kept: list[int] = []
    for i, beat in enumerate(beats.tolist()):
        if kept and beat - beats[kept[-1]] < T_WAVE_WINDOW_S * WORKING_RATE:
            if height[i] < 0.5 * height[kept[-1]]:
                continue
            if height[kept[-1]] < 0.5 * height[i]:
                kept.pop()
        kept.append(i)
    return beats[kept]


def _search_back(
    beats: np.ndarray, peaks: np.ndarray, strong: np.ndarray, height: np.ndarray, level: np.ndarray
) -> np.ndarray:
    if len(beats) < 3:
        return beats
    rr, margin, added = differences(beats), 0.35 * WORKING_RATE, []
    for beat in np.flatnonzero(rr > SEARCH_BACK_GAP * median(rr)):
        start, stop = beats[beat], beats[beat + 1]
        weak = (peaks > start + margin) & (peaks < stop - margin) & ~strong
        weak &= height > SEARCH_BACK_THRESHOLD * level
        if weak.any():
            added.append(peaks[weak][np.argmax(height[weak])])
    return np.sort(np.append(beats, added)).astype(int)


def _with_those_alike(beats: np.ndarray, peaks: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """`beats` with the candidates between them that have their shape, by the slope `(leads, samples)` in mV/s."""
    if len(beats) < 3:
        return beats
    after = np.searchsorted(beats, peaks)
    bounds = np.concatenate([[-np.inf], beats, [np.inf]])
    distance = np.minimum(peaks - bounds[after], bounds[after + 1] - peaks) / WORKING_RATE
    between, distance = peaks[distance > NEAR_S], distance[distance > NEAR_S]
    if not len(between):
        return beats
    least = np.where(distance > APART_S, LEAST_SIZE, USUAL_SIZE)
    width = round(SHAPE_S * WORKING_RATE)
    usual = median(windows(slope, beats - width // 2, width, SHAPE_STEP), axis=1).ravel()
    small = np.zeros(len(between), dtype=bool)
    for shift in SHAPE_SHIFTS:
        shapes = (
            windows(slope, between + shift - width // 2, width, SHAPE_STEP).swapaxes(0, 1).reshape(len(between), -1)
        )
        shared = shapes @ usual
        size = shared / max(float(usual @ usual), 1e-12)
        small |= (shared > SAME_SHAPE * np.linalg.norm(usual) * np.linalg.norm(shapes, axis=1)) & (size > least)
    return np.sort(np.append(beats, between[small]))


__all__ = ["detect_beats", "largest_within", "lead_weights", "windows"]
