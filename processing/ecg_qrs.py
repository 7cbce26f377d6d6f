# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""QRS complexes: where the beats are, and onset, peak and offset of each for the heart and per lead."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .ecg_filters import WORKING_RATE, FilteredEcg, moving_average
from .ecg_reliability import NEAR_GAP, Reliability, runs


@dataclass(frozen=True)
class QrsSettings:
    """Times in s, thresholds as shares of the beat's steepest slope or multiples of the noise; tuned on LUDB."""

    onset_share: float = 0.05754
    onset_noise: float = 3.396
    offset_share: float = 0.09
    offset_noise: float = 4.523
    onset_quiet_time: float = 0.01071
    travel_share: float = 0.3
    offset_quiet_time: float = 0.022
    lead_share: float = 0.2
    lead_noise: float = 2.812
    onset_own_weight: float = 0.5971
    offset_own_weight: float = 0.3337
    onset_bias: float = 0.0100
    offset_bias: float = -0.0067


TRAVEL_S = 0.030
SHORTEST_QRS_S = 0.02
LEAD_MARGIN_S = 0.030  # how far a lead's own limits may lie outside the heart's


def windows(values: np.ndarray, start: np.ndarray, width: int) -> np.ndarray:
    """`values[..., start : start + width]` for every start, `(..., beats, width)`; edges repeated."""
    last = values.shape[-1] - width
    if last < 0:
        return values[..., np.clip(start[:, None] + np.arange(width), 0, values.shape[-1] - 1)]
    within = np.clip(start, 0, last)
    found = np.lib.stride_tricks.sliding_window_view(values, width, axis=-1)[..., within, :]
    for beat in np.flatnonzero(within != start):
        found[..., beat, :] = values[..., np.clip(start[beat] + np.arange(width), 0, values.shape[-1] - 1)]
    return found


def _last_quiet(loudness: np.ndarray, hold: int) -> np.ndarray:
    """Per row the last index that ends `hold` quiet samples (loudness below 1), NaN if there is none."""
    loud = np.cumsum(loudness >= 1, axis=1)
    quiet = np.zeros(loudness.shape, dtype=bool)
    quiet[:, hold:] = (loud[:, hold:] == loud[:, :-hold]) & (loudness[:, hold:] < 1)
    last = loudness.shape[1] - 1 - np.argmax(quiet[:, ::-1], axis=1)
    return np.where(quiet.any(axis=1), last, np.nan)


def global_limits(
    ecg: FilteredEcg, beats: np.ndarray, reliability: Reliability, settings: QrsSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Onset and offset of the QRS in the spatial velocity of all leads, `(beats,)` samples each."""
    share = _shares(beats, reliability.weights, ecg.slope.shape[1])
    velocity = np.sqrt(moving_average(np.einsum("ls,ls->s", share, np.square(ecg.slope)), 0.008))
    noise = np.percentile(velocity[::2], 25)
    half = int(0.06 * WORKING_RATE)
    around = windows(velocity, beats - half, 2 * half + 1)
    steepest, peak = beats - half + around.argmax(axis=1), around.max(axis=1)
    before, after = int(0.21 * WORKING_RATE), int(0.21 * WORKING_RATE)
    travel = _travel(ecg.band, share)
    longest = settings.travel_share * windows(travel, steepest - half, 2 * half).max(axis=1)
    limit = np.maximum(settings.onset_share * peak, np.minimum(settings.onset_noise * noise, 0.25 * peak))
    loud = _loudness(velocity, travel, steepest - before, before + 1, limit, longest, -TRAVEL_S)
    onset = steepest - before + _last_quiet(loud, int(settings.onset_quiet_time * WORKING_RATE))
    limit = np.maximum(settings.offset_share * peak, np.minimum(settings.offset_noise * noise, 0.25 * peak))
    loud = _loudness(velocity, travel, steepest, after + 1, limit, longest, 0.0)
    offset = steepest + after - _last_quiet(loud[:, ::-1], int(settings.offset_quiet_time * WORKING_RATE))
    onset = np.where(np.isfinite(onset), onset, steepest - 0.05 * WORKING_RATE)
    offset = np.where(np.isfinite(offset), offset, steepest + 0.06 * WORKING_RATE)
    # Each beat keeps to its side of the middle between it and its neighbour.
    middle = (beats[:-1] + beats[1:]) // 2
    onset[1:], offset[:-1] = np.maximum(onset[1:], middle + 1), np.minimum(offset[:-1], middle)
    return onset, np.maximum(offset, onset + SHORTEST_QRS_S * WORKING_RATE)


def _shares(beats: np.ndarray, weights: np.ndarray, samples: int) -> np.ndarray:
    """What share of the squares' sum each lead has at every sample, `(leads, samples)`: that of the nearest beat."""
    power = np.square(weights)
    edges = np.concatenate([[0], (beats[:-1] + beats[1:]) // 2, [samples]])
    return np.repeat(power / np.maximum(power.sum(axis=0), 1e-9), np.diff(edges), axis=1)


def _travel(band: np.ndarray, share: np.ndarray) -> np.ndarray:
    """How far the heart's vector goes in the next 30 ms, `(samples,)` mV."""
    ahead = int(TRAVEL_S * WORKING_RATE)
    later = np.concatenate([band[:, ahead:], np.repeat(band[:, -1:], ahead, axis=1)], axis=1)
    return np.sqrt(np.einsum("ls,ls->s", share, np.square(later - band)))


def _loudness(
    velocity: np.ndarray,
    travel: np.ndarray,
    start: np.ndarray,
    width: int,
    limit: np.ndarray,
    longest: np.ndarray,
    shift_s: float,
) -> np.ndarray:
    """Velocity and travel over their limits, whichever is more: a wide QRS may rest at its peak, but does not end."""
    moved = windows(travel, start + int(shift_s * WORKING_RATE), width)
    return np.maximum(windows(velocity, start, width) / limit[:, None], moved / longest[:, None])


def lead_limits(
    ecg: FilteredEcg, onset: np.ndarray, offset: np.ndarray, reliability: Reliability, settings: QrsSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Onset and offset per lead, `(leads, beats)` samples: the lead's own steep part, drawn towards the heart's."""
    slope = np.abs(ecg.slope)
    noise = np.percentile(slope[:, ::4], 25, axis=1)[:, None]
    margin, width = int(LEAD_MARGIN_S * WORKING_RATE), int(0.30 * WORKING_RATE)
    start = np.round(onset).astype(int) - margin
    window = windows(moving_average(slope, 0.006), start, width)
    inside = np.arange(width) <= (offset - start)[:, None] + margin
    window = np.where(inside, window, 0)
    peak = window.max(axis=2)
    steep = (
        window
        >= np.maximum(settings.lead_share * peak, np.minimum(settings.lead_noise * noise, 0.3 * peak))[..., None]
    )
    steep &= inside
    own_onset = start + steep.argmax(axis=2) - 1
    own_offset = start + width - steep[..., ::-1].argmax(axis=2)
    own_onset = np.clip(own_onset, onset - margin, onset + margin)
    own_offset = np.clip(own_offset, offset - 0.04 * WORKING_RATE, offset + margin)
    own = reliability.weights
    return (
        onset + settings.onset_own_weight * own * (own_onset - onset),
        offset + settings.offset_own_weight * own * (own_offset - offset),
    )


def dominant_peaks(ecg: FilteredEcg, onset: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Sample of the largest deflection from the QRS onset level, `(leads, beats)`."""
    width = int(0.26 * WORKING_RATE)
    start = np.round(onset).astype(int)
    window = windows(ecg.band, start, width)
    inside = np.arange(width) <= (offset - start)[:, None]
    return start + np.where(inside, np.abs(window - window[..., :1]), -1).argmax(axis=2)


REFRACTORY_S = (
    0.22  # two ventricular beats are never closer (absolute refractory period, Pan and Tompkins 1985: 0.2 s)
)
SMOOTHING_S = 0.07217
THRESHOLD = 0.3  # of the local level of strong beats
SEARCH_BACK_THRESHOLD = 0.16
SEARCH_BACK_GAP = 1.6  # of the median RR interval; 1.66 in Pan and Tompkins 1985
T_WAVE_WINDOW_S = 0.40  # a weak candidate this close to a strong one is its T wave
LOCAL_LEVEL_S = 4.0
LEAST_HEARD = 0.3  # of the leads, by their weight: where fewer are free of noise, no beat can be told
DEAD_SLOPE_MV_S = 0.01  # a lead whose steep parts stay below this holds no ECG
STEEP_PERCENTILE = 97.5


def lead_weights(qrs_slope: np.ndarray, heard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much each lead tells about the beats, `(leads,)`, and the size of its steep parts in mV/s.

    The weight is the peakiness of the slope (its 97.5 % percentile over its median, less one, at most 24); 0 for a
    lead without signal. Only the samples of `heard`, `(leads, samples)`, count.
    """
    steepness, usable = np.abs(qrs_slope[:, ::3]), heard[:, ::3]
    typical, steep = np.percentile(steepness, [50, STEEP_PERCENTILE], axis=1)
    for lead in np.flatnonzero(~usable.all(axis=1)):
        part = steepness[lead, usable[lead]]
        typical[lead], steep[lead] = np.percentile(part, [50, STEEP_PERCENTILE]) if len(part) else (0.0, 0.0)
    peakiness = np.clip(steep / np.maximum(typical, 1e-9), 1, 25) - 1
    return np.where(steep > DEAD_SLOPE_MV_S, peakiness, 0.0), steep


def detect_beats(ecg: FilteredEcg, noisy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample numbers (500 Hz) of all heartbeats, which leads live, `(leads,)`, and where no lead tells, `(gaps, 2)`.

    Peaks of the 10-30 Hz slope, scaled per lead and averaged over the leads by peakiness; a candidate counts by slope
    and by size, against the strong beats of its surroundings; weak followers of strong beats (T waves) go, long gaps
    are searched again at a lower threshold. A lead counts only where it is not `noisy` `(leads, samples)`, nor bridged.
    """
    from scipy.signal import find_peaks

    heard = ~(noisy | ecg.bad)
    weights, steep = lead_weights(ecg.qrs_slope, heard)
    live, gaps = weights > 0, np.zeros((0, 2), dtype=int)
    if not live.any():
        return np.zeros(0, dtype=int), live, gaps
    share = (weights / weights.sum()).astype(np.float32)
    scaled = np.minimum(np.abs(ecg.qrs_slope) / np.maximum(steep, 1e-9)[:, None].astype(np.float32), 2.0)
    total = share @ scaled
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
    strong = height > THRESHOLD * level
    beats = _without_t_waves(peaks[strong], height[strong])
    beats = _search_back(beats, peaks, strong, height, level)
    for start, end in gaps:
        beats = beats[(beats < start - NEAR_GAP) | (beats > end + NEAR_GAP)]
    return beats, live, gaps


def _relative_size(band: np.ndarray, peaks: np.ndarray, height: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Size of every candidate against the strong ones, 0.2 to 1.5: P and T waves are smaller than a QRS."""
    scale = np.maximum(np.percentile(np.abs(band[:, ::3]), 99, axis=1), 1e-6).astype(np.float32)
    size = moving_average(np.sqrt(share @ np.square(band / scale[:, None])), 0.06)
    around = np.clip(peaks[:, None] + np.arange(-35, 36, 5), 0, len(size) - 1)
    largest = size[around].max(axis=1)
    return np.clip(largest / max(np.median(largest[height > 0.3 * height.max()]), 1e-9), 0.2, 1.5)


def _local_level(peaks: np.ndarray, height: np.ndarray, samples: int) -> np.ndarray:
    """Median of the strongest candidates around each one: as many as there are beats at 33/min or more."""
    duration = samples / WORKING_RATE
    count = max(2, int(0.55 * duration))
    if duration <= 3 * LOCAL_LEVEL_S:
        return np.full(len(peaks), np.median(np.sort(height)[-count:]))
    count, reach = max(2, int(0.55 * 2 * LOCAL_LEVEL_S)), LOCAL_LEVEL_S * WORKING_RATE
    first, last = np.searchsorted(peaks, peaks - reach, "right"), np.searchsorted(peaks, peaks + reach, "left")
    return np.array([np.median(np.sort(height[a:b])[-count:]) for a, b in zip(first, last, strict=True)])


def _without_t_waves(beats: np.ndarray, height: np.ndarray) -> np.ndarray:
    kept: list[int] = []
    for i, beat in enumerate(beats):
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
    typical, margin, added = np.median(np.diff(beats)), 0.35 * WORKING_RATE, []
    for start, stop in pairwise(beats):
        if stop - start > SEARCH_BACK_GAP * typical:
            weak = (peaks > start + margin) & (peaks < stop - margin) & ~strong
            weak &= height > SEARCH_BACK_THRESHOLD * level
            if weak.any():
                added.append(peaks[weak][np.argmax(height[weak])])
    return np.sort(np.append(beats, added)).astype(int)


__all__ = ["QrsSettings", "detect_beats", "dominant_peaks", "global_limits", "lead_limits", "lead_weights", "windows"]
