# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Where the QRS complex begins and ends, for the heart and in every lead."""

from dataclasses import dataclass

import numpy as np

from .ecg_filters import WORKING_RATE, FilteredEcg, moving_average
from .ecg_order_statistics import differences, mean, median, percentile, within
from .ecg_qrs import largest_within, windows
from .ecg_reliability import Reliability

SMOOTHING_S = 0.008
TRAVEL_S = 0.030
REACH_S = 0.21  # rest is sought so far from a steep part
LOUDEST_NOISE = 0.25  # of the steepest slope: louder noise does not raise the limits further
NEAR_S = 0.06  # the steepest part lies so close to the beat
SHORTEST_QRS_S, LONGEST_QRS_S = 0.02, 0.20
LEAD_MARGIN_S = 0.030  # how far a lead's own limits may lie outside the heart's
BEFORE_S, BEHIND_S = 0.30, 0.52  # what is looked at around a beat
FUSED_S = 0.03  # a stimulus so close before the beat may fall into a QRS that had begun
APART_S = 0.02  # a steep part so far outside the limits is another one
# Of the steepest slope: at the end of the QRS rest is what is no faster than the T wave, up to this share of the QRS.
T_FASTEST = 0.15
T_SHARPEST = 0.12  # of the QRS: where T seems sharper still, only this is asked of the end of the QRS
T_FROM_S = 0.26  # after the onset: no QRS lasts so long
LIMB_S = 0.08  # a late part of the QRS is over so soon; what lasts longer is the T wave
QRS_RR, T_RR = 0.4, 0.6  # shares of the RR interval that QRS, and T wave, do not exceed
ALIKE = 0.9  # correlation of beats of one kind
ALIGN_S = 0.03
MOST_KINDS = 4  # of beats in a block; what is like none of them is left alone
BLOCK_BEATS = 64  # of so many neighbours are beats averaged


@dataclass(frozen=True)
class QrsSettings:
    """Times in s, thresholds as shares of the beat's steepest slope or multiples of the noise; tuned on LUDB, the late parts on
    PTB-XL's bundle branch blocks."""

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
    sharp_share: float = 0.06
    early_share: float = 0.4
    late_share: float = 0.13
    late_slope: float = 0.15
    late_rise: float = 2.0
    late_over_t: float = 1.3
    late_noise: float = 6.0
    onset_bias: float = 0.0100
    offset_bias: float = -0.0067


@dataclass(frozen=True)
class BeatWindows:
    """The signal around every beat.

    Attributes:
        start: first sample of each window, `(beats,)`.
        stimulus: where in the window the last pacing spike before the beat stands, `(beats,)`, minus infinity where there is none.
        band, slope, qrs_slope: as in `FilteredEcg`, `(leads, beats, samples)`.
    """

    start: np.ndarray
    stimulus: np.ndarray
    band: np.ndarray
    slope: np.ndarray
    qrs_slope: np.ndarray


def around_beats(ecg: FilteredEcg, beats: np.ndarray) -> BeatWindows:
    start, width = beats - int(BEFORE_S * WORKING_RATE), int((BEFORE_S + BEHIND_S) * WORKING_RATE)
    bands = (windows(values, start, width) for values in (ecg.band, ecg.slope, ecg.qrs_slope))
    spikes = np.concatenate([[-np.inf], ecg.spikes])
    last = spikes[np.searchsorted(ecg.spikes, beats - int(FUSED_S * WORKING_RATE), "right")]
    return BeatWindows(start, last - start, *bands)


def averaged(ecg: FilteredEcg, beats: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> BeatWindows:
    """The beats of the indices `chosen`, in order, each as the mean of the beats like it, each lead by its weight `(leads,
    beats)`: noise falls with the root of their number."""
    parts = []
    for first in range(0, len(beats), BLOCK_BEATS):
        block = slice(first, first + BLOCK_BEATS)
        rows = chosen[(chosen >= first) & (chosen < first + BLOCK_BEATS)] - first
        if len(rows):
            parts.append(_averaged_block(ecg, beats[block], rows, weights[:, block]))
    joined = [
        np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("band", "slope", "qrs_slope")
    ]
    start, stimulus = (np.concatenate([getattr(part, name) for part in parts]) for name in ("start", "stimulus"))
    return BeatWindows(start, stimulus, *joined)


def _averaged_block(ecg: FilteredEcg, beats: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> BeatWindows:
    kind, shift = _kinds(ecg, beats, weights)
    alike = (kind[rows, None] == kind).astype(np.float32)
    around = around_beats(ecg, beats + shift)
    count = np.einsum("ij,lj->li", alike, weights)
    share = alike * weights[:, None] / np.maximum(count, 1e-9)[..., None]
    bands = (share @ values for values in (around.band, around.slope, around.qrs_slope))
    return BeatWindows(around.start[rows], around.stimulus[rows], *bands)


def _kinds(ecg: FilteredEcg, beats: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which beats are similar, as numbers, and how many samples later each beat lies best over the others of its kind."""
    play, half = int(ALIGN_S * WORKING_RATE), int(1.5 * NEAR_S * WORKING_RATE)
    core = windows(ecg.band, beats - half - play, 2 * (half + play)) * median(weights, axis=1)[:, None, None]
    core = core.transpose(1, 0, 2)
    # The size of each beat's part of length 2 * half that begins at every place, `(beats, places)`.
    energy = np.cumsum(np.square(core).sum(axis=1), axis=1, dtype=np.float64)
    energy = np.concatenate(
        [energy[:, 2 * half - 1 : 2 * half], energy[:, 2 * half :] - energy[:, : -2 * half]], axis=1
    )
    size = np.maximum(np.sqrt(np.maximum(energy, 0)), 1e-9).astype(np.float32)
    still = core[:, :, play : play + 2 * half].reshape(len(beats), -1) / size[:, play, None]
    likeness_of_all = still @ still.T
    whole = core.reshape(len(beats), -1)

    kind, shift, rest = np.arange(len(beats)) + MOST_KINDS, np.zeros(len(beats), dtype=int), np.arange(len(beats))
    for number in range(MOST_KINDS):
        if not len(rest):
            break
        usual = still[rest[likeness_of_all[np.ix_(rest, rest)].sum(axis=1).argmax()]].reshape(core.shape[1], -1)
        # The usual beat at every place of a window, `(leads, places, samples)`: one product compares all.
        padded = np.zeros((len(usual), usual.shape[1] + 4 * play), dtype=usual.dtype)
        padded[:, 2 * play : -2 * play] = usual
        placed = np.lib.stride_tricks.sliding_window_view(padded, core.shape[2], axis=1)[:, ::-1]
        likeness = whole[rest] @ placed.transpose(0, 2, 1).reshape(-1, placed.shape[1]) / size[rest]
        alike = likeness.max(axis=1) > ALIKE
        kind[rest[alike]], shift[rest[alike]] = number, likeness[alike].argmax(axis=1) - play
        rest = rest[~alike]
    return kind, shift


def global_limits(
    ecg: FilteredEcg, beats: np.ndarray, reliability: Reliability, settings: QrsSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Onset and offset of the QRS, `(beats,)` samples each: from the first lead's start to the last lead's end.

    The QRS begins and ends where all leads together come to rest: where their root mean square slope (the spatial velocity)
    stays below a share of its steepest, or a multiple of the noise, and the signal goes nowhere in the next 30 ms. A later
    part that is as steep as no T wave in any lead belongs to it. Where noise hides the rest, or a later part may be a free P
    wave, beats of one kind are averaged.
    """
    weights = reliability.weights
    rr_around = np.full((2, len(beats)), 10**9)
    rr_around[0, 0], rr_around[0, 1:] = beats[0] + 10 * WORKING_RATE, differences(beats)
    rr_around[1, :-1] = rr_around[0, 1:]
    own = _limits(around_beats(ecg, beats), beats, rr_around, weights, settings)
    onset, offset = own.onset, own.offset
    unsure = np.flatnonzero(own.doubt)
    if len(unsure):
        around = averaged(ecg, beats, unsure, weights)
        usual = _limits(around, beats[unsure], rr_around[:, unsure], weights[:, unsure], settings)
        onset[unsure] += own.doubt[unsure] * (usual.onset - onset[unsure])
        offset[unsure] += own.doubt[unsure] * (usual.offset - offset[unsure])
    # Each beat keeps to its side of the middle between it and its neighbour.
    middle = (beats[:-1] + beats[1:]) // 2
    onset[1:], offset[:-1] = np.maximum(onset[1:], middle + 1), np.minimum(offset[:-1], middle)
    return onset, np.maximum(offset, onset + SHORTEST_QRS_S * WORKING_RATE)


@dataclass(frozen=True)
class _Limits:
    """Onset and offset in samples, and how far the beat alone cannot tell them, 0 to 1; `(beats,)` each."""

    onset: np.ndarray
    offset: np.ndarray
    doubt: np.ndarray


def _limits(
    around: BeatWindows, beats: np.ndarray, rr: np.ndarray, weights: np.ndarray, settings: QrsSettings
) -> _Limits:
    """The limits of each beat; all times within are samples of its window.

    Args:
        around: the signal around the beats.
        beats: samples, `(beats,)`.
        rr: to the beat before and to the beat after in samples, `(2, beats)`.
        weights: of the leads, `(leads, beats)`.
        settings: limits of the QRS.
    """
    rate, near, reach = WORKING_RATE, int(NEAR_S * WORKING_RATE), int(REACH_S * WORKING_RATE)
    power = np.square(weights)
    share = power / np.maximum(power.sum(axis=0), 1e-9)
    velocity, sharp = (
        np.sqrt(moving_average(np.einsum("lb,lbs->bs", share, np.square(slope)), SMOOTHING_S))
        for slope in (around.slope, around.qrs_slope)
    )
    noise = percentile(velocity[:, ::2], 25, axis=1)
    index = np.arange(velocity.shape[1])
    steepest = np.where(np.abs(index - (beats - around.start)[:, None]) <= near, velocity, -1).argmax(axis=1)
    since = index - steepest[:, None]
    close = np.abs(since) <= near
    peak, sharpest = (values.max(axis=1, where=close, initial=0) for values in (velocity, sharp))
    travel = _travel(around.band, share)
    travel /= np.maximum(settings.travel_share * travel.max(axis=1, keepdims=True, where=close, initial=0), 1e-9)
    is_t = (since > T_FROM_S * rate) & (since < T_RR * rr[1][:, None])
    t_sharpest = sharp.max(axis=1, where=is_t, initial=0)
    sharp /= np.maximum(settings.sharp_share * sharpest, np.minimum(t_sharpest, T_SHARPEST * sharpest))[:, None]
    onset_limit, offset_limit = (
        np.maximum(of_peak * peak, np.minimum(of_noise * noise, LOUDEST_NOISE * peak))
        for of_peak, of_noise in (
            (settings.onset_share, settings.onset_noise),
            (settings.offset_share, settings.offset_noise),
        )
    )

    t_fastest = velocity.max(axis=1, where=is_t, initial=0)
    offset_limit = np.maximum(offset_limit, np.minimum(t_fastest, T_FASTEST * peak))

    def rest_before(start: np.ndarray) -> np.ndarray:
        loud = windows_of(velocity, start - reach, reach + 1) / onset_limit[:, None]
        loud = np.maximum(loud, windows_of(travel, start - reach - int(TRAVEL_S * rate), reach + 1))
        found = start - reach + _last_quiet(loud, int(settings.onset_quiet_time * rate))
        return np.where(np.isfinite(found), found, start - 0.05 * rate)

    def rest_behind(start: np.ndarray) -> np.ndarray:
        # ST segment and T wave may be fast, but they are smooth.
        loud = np.minimum(np.maximum(velocity / offset_limit[:, None], travel), sharp)
        loud = windows_of(loud, start, reach + 1)
        found = start + reach - _last_quiet(loud[:, ::-1], int(settings.offset_quiet_time * rate))
        return np.where(np.isfinite(found), found, start + 0.06 * rate)

    onset, offset = rest_before(steepest), rest_behind(steepest)
    first, last = _other_steep_parts(around, steepest, onset, offset, rr, weights, settings)
    if (first < steepest).any():
        onset = np.where(first < steepest, rest_before(first), onset)
    # What lies before a stimulus did not follow it.
    onset = np.maximum(onset, around.stimulus)
    if (last > steepest).any():
        later = rest_behind(last)
        offset = np.where((last > steepest) & (later - last <= LIMB_S * rate), later, offset)
    # Noise above the limits of a record without noise hides the rest; another steep part may be a P wave of AV block.
    hidden = np.maximum(onset_limit / (settings.onset_share * peak), offset_limit / (settings.offset_share * peak)) - 1
    doubt = np.where((first < steepest) | (last > steepest), 1.0, np.minimum(hidden, 1.0))
    return _Limits(around.start + onset, around.start + offset, doubt)


def windows_of(values: np.ndarray, start: np.ndarray, width: int) -> np.ndarray:
    """`values[row, start : start + width]` of every row `(beats, samples)`; edges repeated."""
    index = within(start[:, None] + np.arange(width), 0, values.shape[1] - 1)
    return values[np.arange(len(values))[:, None], index]


def _last_quiet(loudness: np.ndarray, hold: int) -> np.ndarray:
    """Per row the last index that ends `hold` quiet samples (loudness below 1), NaN if there is none."""
    loud = np.cumsum(loudness >= 1, axis=1)
    quiet = np.zeros(loudness.shape, dtype=bool)
    quiet[:, hold:] = (loud[:, hold:] == loud[:, :-hold]) & (loudness[:, hold:] < 1)
    last = loudness.shape[1] - 1 - np.argmax(quiet[:, ::-1], axis=1)
    return np.where(quiet.any(axis=1), last, np.nan)


def _travel(band: np.ndarray, share: np.ndarray) -> np.ndarray:
    """How far the heart's vector goes in the next 30 ms, `(beats, samples)` mV."""
    ahead = int(TRAVEL_S * WORKING_RATE)
    change = np.empty_like(band)
    np.subtract(band[..., ahead:], band[..., :-ahead], out=change[..., :-ahead])
    np.subtract(band[..., -1:], band[..., -ahead:], out=change[..., -ahead:])
    return np.sqrt(np.einsum("lb,lbs->bs", share, np.square(change, out=change)))


def _other_steep_parts(
    around: BeatWindows,
    steepest: np.ndarray,
    onset: np.ndarray,
    offset: np.ndarray,
    rr: np.ndarray,
    weights: np.ndarray,
    settings: QrsSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """First and last sample outside `onset` to `offset` that are as steep as only a QRS is, `(beats,)`; else `steepest`.

    A wide QRS may rest at its top, in some leads or in all. What follows is its end if it is sharp (10 to 30 Hz) against the
    steepest part and against the T wave, and the line gathers speed again. `rr` and `weights` as in `_limits`.
    """
    longest, apart, near = (int(seconds * WORKING_RATE) for seconds in (LONGEST_QRS_S, APART_S, NEAR_S))
    # Every second sample is enough for 40 Hz.
    index = np.arange(0, around.band.shape[2], 2) - steepest[:, None]
    close = np.abs(index) <= near
    onset, offset = (onset - steepest)[:, None], (offset - steepest)[:, None]
    both = np.stack([around.qrs_slope[..., ::2], around.slope[..., ::2]])
    sharp, slope = _per_lead_steepness(both, close, weights, settings)

    def share(values: np.ndarray) -> np.ndarray:
        return values / np.maximum(values.max(axis=1, keepdims=True, where=close, initial=0), 1e-9)

    early = share(np.sqrt(mean(np.square(sharp), 0))) >= settings.early_share
    early &= index >= (around.stimulus - steepest)[:, None]
    early &= (index <= onset - apart) & (index >= offset - longest) & (index >= -QRS_RR * rr[0][:, None])
    sharp, slope = share(sharp.max(axis=0)), share(slope.max(axis=0))
    is_t = (index > onset + T_FROM_S * WORKING_RATE) & (index < T_RR * rr[1][:, None])
    t_wave = sharp.max(axis=1, keepdims=True, where=is_t, initial=0)
    calmest = np.minimum.accumulate(np.where(index >= offset, slope, np.inf), axis=1)
    late = sharp >= np.maximum(settings.late_share, settings.late_over_t * t_wave)
    late &= slope >= np.maximum(settings.late_slope, settings.late_rise * calmest)
    late &= (index >= offset + apart) & (index <= onset + longest) & (index <= QRS_RR * rr[1][:, None])
    first = np.where(early.any(axis=1), 2 * early.argmax(axis=1), steepest)
    last = np.where(late.any(axis=1), 2 * (late.shape[1] - 1 - late[:, ::-1].argmax(axis=1)), steepest)
    return first, last


def _per_lead_steepness(
    slope: np.ndarray, close: np.ndarray, weights: np.ndarray, settings: QrsSettings
) -> np.ndarray:
    """Slope per lead against the geometric mean of the lead's and all leads' steepest, `(..., leads, beats, samples)`; 0 in noise.

    So a late R' of V1 is not lost among taller leads, nor does a small lead's noise count as much as a tall lead's QRS.
    """
    power = np.square(slope)
    # As one row, for NumPy takes twice the time for many short ones; their ends stay as they are.
    smooth, flat = power.copy(), power.reshape(-1)
    inner = smooth.reshape(-1)[1:-1]
    inner += flat[:-2]
    inner += flat[2:]
    inner /= 3
    smooth[..., 0], smooth[..., -1] = power[..., 0], power[..., -1]
    slope = np.sqrt(smooth, out=smooth)
    noise = settings.late_noise * percentile(slope[..., ::2], 25)[..., None]
    own = slope.max(axis=-1, keepdims=True, where=close, initial=0)
    typical = np.sqrt(mean(np.square(own), -3, keepdims=True))
    size = weights[..., None] / np.sqrt(np.maximum(own, 0.01 * typical) * typical + 1e-9)
    slope *= slope > noise
    slope *= size
    return slope


def lead_limits(
    ecg: FilteredEcg, onset: np.ndarray, offset: np.ndarray, reliability: Reliability, settings: QrsSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Onset and offset per lead, `(leads, beats)` samples: the lead's own steep part, drawn towards the heart's."""
    slope = np.abs(ecg.slope)
    noise = percentile(slope[:, ::4], 25, axis=1)[:, None]
    margin, width = int(LEAD_MARGIN_S * WORKING_RATE), int(0.30 * WORKING_RATE)
    start = np.round(onset).astype(int) - margin
    window = windows(moving_average(slope, 0.006), start, width)
    inside = np.arange(width) <= (offset - start)[:, None] + margin
    window *= inside
    peak = window.max(axis=2)
    steep = (
        window
        >= np.maximum(settings.lead_share * peak, np.minimum(settings.lead_noise * noise, 0.3 * peak))[..., None]
    )
    steep &= inside
    own_onset = start + steep.argmax(axis=2) - 1
    own_offset = start + width - steep[..., ::-1].argmax(axis=2)
    own_onset = within(own_onset, onset - margin, onset + margin)
    own_offset = within(own_offset, offset - 0.04 * WORKING_RATE, offset + margin)
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
    return start + largest_within(window - window[..., :1], inside)


__all__ = ["QrsSettings", "dominant_peaks", "global_limits", "lead_limits"]
