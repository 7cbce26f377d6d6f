# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Onset, peak and offset of every QRS complex: one for the heart, one per lead."""

from dataclasses import dataclass

import numpy as np

from .ecg_filters import WORKING_RATE, FilteredEcg, moving_average


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
    return values[..., np.clip(start[:, None] + np.arange(width), 0, values.shape[-1] - 1)]


def _last_quiet(loudness: np.ndarray, hold: int) -> np.ndarray:
    """Per row the last index that ends `hold` quiet samples (loudness below 1), NaN if there is none."""
    loud = np.cumsum(loudness >= 1, axis=1)
    quiet = np.zeros(loudness.shape, dtype=bool)
    quiet[:, hold:] = (loud[:, hold:] == loud[:, :-hold]) & (loudness[:, hold:] < 1)
    last = loudness.shape[1] - 1 - np.argmax(quiet[:, ::-1], axis=1)
    return np.where(quiet.any(axis=1), last, np.nan)


def global_limits(
    ecg: FilteredEcg, beats: np.ndarray, live: np.ndarray, settings: QrsSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Onset and offset of the QRS in the spatial velocity of all live leads, `(beats,)` samples each."""
    velocity = np.sqrt(moving_average(np.mean(ecg.slope[live].astype(np.float64) ** 2, axis=0), 0.008))
    noise = np.percentile(velocity[::2], 25)
    half = int(0.06 * WORKING_RATE)
    around = windows(velocity, beats - half, 2 * half + 1)
    steepest, peak = beats - half + around.argmax(axis=1), around.max(axis=1)
    before, after = int(0.21 * WORKING_RATE), int(0.21 * WORKING_RATE)
    travel = _travel(ecg.band[live])
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


def _travel(band: np.ndarray) -> np.ndarray:
    """How far the heart's vector goes in the next 30 ms, `(samples,)` mV."""
    ahead = int(TRAVEL_S * WORKING_RATE)
    later = np.concatenate([band[:, ahead:], np.repeat(band[:, -1:], ahead, axis=1)], axis=1)
    return np.sqrt(np.mean(np.square(later - band), axis=0))


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
    ecg: FilteredEcg, onset: np.ndarray, offset: np.ndarray, settings: QrsSettings
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
    return (
        settings.onset_own_weight * own_onset + (1 - settings.onset_own_weight) * onset,
        settings.offset_own_weight * own_offset + (1 - settings.offset_own_weight) * offset,
    )


def dominant_peaks(ecg: FilteredEcg, onset: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Sample of the largest deflection from the QRS onset level, `(leads, beats)`."""
    width = int(0.26 * WORKING_RATE)
    start = np.round(onset).astype(int)
    window = windows(ecg.band, start, width)
    inside = np.arange(width) <= (offset - start)[:, None]
    return start + np.where(inside, np.abs(window - window[..., :1]), -1).argmax(axis=2)


__all__ = ["QrsSettings", "dominant_peaks", "global_limits", "lead_limits", "windows"]
