# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""P waves before the QRS: where they are sought, whether they repeat, and their limits."""

from dataclasses import dataclass, replace

import numpy as np

from .ecg_filters import WORKING_RATE, FilteredEcg
from .ecg_order_statistics import differences, mean, median, nan_median, percentile, spread, within
from .ecg_p_repeats import Repeats, find_repeats
from .ecg_qrs import largest_within, windows
from .ecg_reliability import Reliability, weighted_size
from .ecg_short_intervals import ShortIntervals
from .ecg_t_waves import WaveMarks, WaveSettings, around_peak, limits, own_weight, pick, steadied, weighted_median

BEFORE_LONGEST_PR_S = 0.06  # so much more is shown to the search, whose window ends with the PR segment
AROUND_S = 0.36  # length of a window around a P wave that is known
# Where the usual search finds no P wave, or one at its limit, before regular, not fast beats; what is found further away must lead nearly all of
# them, nearly always at the same distance (median deviation; SD).
LONGEST_PR_S, CUT_PR_S, SLOW_RR_S, REGULAR_RR, FEWEST_RR = 0.50, 0.28, 0.60, 0.08, 3
CONDUCTED_SHARE, NEARLY_SAME_PR_S, SAME_PR_S = 0.7, 0.010, 0.012
# A QRS so much wider than the usual narrow ones, at least this share of them, is ventricular: no P wave belongs to it.
ECTOPIC_QRS_S, ECTOPIC_QRS_SHARE = 0.030, 0.25
APEX_BEFORE_QRS_S = 0.045  # LUDB's readers mark 99.5 % of all P apexes 47 ms and more before the QRS ...
READERS_EARLIER_S = 0.010  # ... which begins so much earlier for them (`QrsSettings.onset_bias`)
STIMULUS_S = 0.05  # a ventricular stimulus stands at most so long before the QRS, an atrial one longer
# Faster beats that are wider, their P waves so close after the T waves: of PTB-XL's sinus tachycardias none is so.
FAST_RR_S, WIDE_QRS_S, LINE_BEFORE_P_S = 60 / 125, 0.11, 0.025
LONE_BEFORE_S, LONE_HALF_S = 0.20, 0.09
LOUDEST_NOISE = 3.0  # times the median lead


@dataclass(frozen=True)
class PSearch:
    """Where P waves are sought.

    Attributes:
        start: first sample of each window, `(waves,)`. first: index in the window where the search begins, `(waves,)`.
        window: the P band, `(leads, waves, samples)`. deviation: the same against the baseline of the window.
        centre: index of the wave in all leads together, `(waves,)`.
    """

    start: np.ndarray
    first: np.ndarray
    window: np.ndarray
    deviation: np.ndarray
    centre: np.ndarray


@dataclass(frozen=True)
class BeatsOfP:
    """The beats before which P waves are sought.

    Attributes:
        ecg: the filtered signal.
        qrs_onset, qrs_offset: limits of each QRS in samples at `WORKING_RATE`, `(beats,)`.
        t_end: end of each T wave likewise.
        short: facts about short intervals between beats.
        reliability: which leads and seconds can be believed.
    """

    ecg: FilteredEcg
    qrs_onset: np.ndarray
    qrs_offset: np.ndarray
    t_end: np.ndarray
    short: ShortIntervals
    reliability: Reliability


def find_p_waves(beats: BeatsOfP, settings: WaveSettings) -> WaveMarks:
    """
    P waves before each QRS; only what repeats from beat to beat is a P wave, fibrillation does not. Before regular beats that seem to have none, or
    one at the usual limit of PR, they are sought further away.
    """
    usual = _p_waves(beats, settings)
    if len(beats.ecg.spikes) or not _may_be_earlier(usual, beats.qrs_onset, beats.reliability):
        return usual
    earlier = _p_waves(beats, replace(settings, p_longest_pr=LONGEST_PR_S))
    return earlier if _conduct_late(earlier, beats.qrs_onset) else usual


def _may_be_earlier(p: WaveMarks, qrs_onset: np.ndarray, reliability: Reliability) -> bool:
    """Whether a longer PR than the usual limit is possible: no P wave is found there, or one that may be cut, before regular beats."""
    rr = differences(qrs_onset)[reliability.known_intervals(qrs_onset)]
    if len(rr) < FEWEST_RR or not median(rr) > SLOW_RR_S * WORKING_RATE or spread(rr) > REGULAR_RR * mean(rr):
        return False
    pr = (qrs_onset - p.overall[:, 0]) / WORKING_RATE
    return bool(mean(np.isfinite(pr)) < 0.5 or nan_median(pr) > CUT_PR_S)


def _conduct_late(p: WaveMarks, qrs_onset: np.ndarray) -> bool:
    """Whether nearly all beats come at the same time after their P wave, later than where the usual search begins."""
    pr = (qrs_onset - p.overall[:, 0])[np.isfinite(p.overall[:, 0])] / WORKING_RATE
    if not len(pr) > CONDUCTED_SHARE * len(qrs_onset):
        return False
    usual = float(median(pr))
    return usual > CUT_PR_S and float(median(np.abs(pr - usual))) < NEARLY_SAME_PR_S


def _p_waves(beats: BeatsOfP, settings: WaveSettings) -> WaveMarks:
    """`find_p_waves` with a PR of at most `settings.p_longest_pr`."""
    ecg, reliability, short = beats.ecg, beats.reliability, beats.short
    qrs_onset, qrs_offset = beats.qrs_onset, beats.qrs_offset
    rate, live = WORKING_RATE, reliability.live
    stimulus = _stimulus_of_qrs(ecg, qrs_onset)
    end = np.round(np.minimum(qrs_onset, stimulus) - settings.p_end * rate).astype(int)
    earliest = np.maximum(_earliest_p(end, qrs_offset, beats.t_end, settings), short.earliest_p)
    duration = qrs_offset - qrs_onset
    narrow = percentile(duration, 30)
    usual = duration <= narrow + max(ECTOPIC_QRS_S * rate, ECTOPIC_QRS_SHARE * narrow)
    room = ((end - earliest > 0.07 * rate) | short.p_told) & usual & ~short.no_p_told
    search, repeats = _search(ecg, qrs_onset, end, earliest, room, reliability, settings)
    marks, amplitude, size = bound_p_waves(ecg, search, reliability, settings)
    noise = p_noise(ecg)
    present = room & (size > max(settings.p_smallest, settings.p_noise * _usual(noise[live])))
    present &= repeats.there & (marks.per_lead[..., 1].min(axis=0) > 0)
    start_of_qrs = np.minimum(qrs_onset - READERS_EARLIER_S * rate, stimulus)
    present &= start_of_qrs - marks.overall[:, 1] > APEX_BEFORE_QRS_S * rate
    per_lead, overall = marks.per_lead, marks.overall
    per_lead[..., 0] = steadied(per_lead[..., 0], qrs_onset, room, settings.p_jitter * rate)
    per_lead[..., 2] = steadied(per_lead[..., 2], qrs_onset, room, settings.p_jitter * rate)
    around_peak(per_lead)
    per_lead[~(present & p_visible(amplitude, noise, settings) & live[:, None])] = np.nan
    overall[~present] = np.nan
    return marks


def _stimulus_of_qrs(ecg: FilteredEcg, qrs_onset: np.ndarray) -> np.ndarray:
    """The pacing spike that sets each QRS off, `(beats,)`, inf without one; what it leaves before the QRS is not a P wave."""
    spikes = np.append(ecg.spikes, np.inf)[:, None]
    before = (spikes < qrs_onset) & (spikes > qrs_onset - STIMULUS_S * WORKING_RATE)
    return np.where(before, spikes, np.inf).min(axis=0)


def p_waves_merge_with_t(p: WaveMarks, qrs_duration: np.ndarray, t_end: np.ndarray) -> bool:
    """Whether the candidate P waves may be T or flutter waves, in a fast rhythm of wide beats: no baseline precedes them.

    Args:
        p: the supposed P waves.
        qrs_duration: samples, `(beats,)`.
        t_end: samples, `(beats,)`.
    """
    onset = p.overall[:, 0]
    if not np.isfinite(onset).any():
        return False
    rr = nan_median(differences(p.overall[:, 1]))
    line = nan_median(onset[1:] - t_end[:-1])
    return bool(
        rr < FAST_RR_S * WORKING_RATE
        and median(qrs_duration) > WIDE_QRS_S * WORKING_RATE
        and not line > LINE_BEFORE_P_S * WORKING_RATE
    )


def _usual(noise: np.ndarray) -> float:
    """The mean over the leads; a single noisy one does not count for all."""
    return float(mean(np.minimum(noise, LOUDEST_NOISE * median(noise))))


def p_noise(ecg: FilteredEcg) -> np.ndarray:
    """What the P band leaves out, in mV per lead: the median size of the signal above it."""
    return median(np.abs(ecg.band[:, ::5] - ecg.p_band[:, ::5]), axis=1)


def p_visible(amplitude: np.ndarray, noise: np.ndarray, settings: WaveSettings) -> np.ndarray:
    """Whether a wave exceeds its lead's noise."""
    return np.abs(amplitude) > np.maximum(0.5 * settings.p_smallest, settings.p_visible * noise[:, None])


def _search(
    ecg: FilteredEcg,
    qrs_onset: np.ndarray,
    end: np.ndarray,
    earliest: np.ndarray,
    room: np.ndarray,
    reliability: Reliability,
    settings: WaveSettings,
) -> tuple[PSearch, Repeats]:
    """Windows that end with the PR segment, and what repeats in them."""
    width = int((settings.p_longest_pr + BEFORE_LONGEST_PR_S) * WORKING_RATE)
    start = end - width + 1
    index = np.arange(width)
    window = windows(ecg.p_band, start, width)
    first = _after_t_tail(window, reliability.weights, within(earliest - start, 0, width - 8).astype(int))
    level = window[:, np.arange(len(first)), first, None]
    chord = ((index - first[:, None]) / np.maximum(width - 1 - first, 1)[:, None]).astype(np.float32)
    deviation = (window - (level * (1 - chord) + window[..., -1:] * chord)) * (index >= first[:, None])
    repeats = find_repeats(ecg, qrs_onset, deviation, room, reliability, settings)
    together = weighted_size(deviation, reliability.weights)
    shape = repeats.shape / np.maximum(repeats.shape.max(axis=1, keepdims=True), 1e-9)
    centre = (together * (0.35 + 0.65 * shape)).argmax(axis=1)
    return PSearch(start, first, window, deviation, centre), repeats


def search_around(ecg: FilteredEcg, peaks: np.ndarray) -> PSearch:
    """Windows around P waves whose peaks (samples, `(waves,)`) are known."""
    width = int(AROUND_S * WORKING_RATE)
    centre = np.full(len(peaks), int(LONE_BEFORE_S * WORKING_RATE))
    start = peaks - centre
    window = windows(ecg.p_band, start, width)
    half = int(LONE_HALF_S * WORKING_RATE)
    left, right = centre[0] - half, centre[0] + half
    chord = np.clip((np.arange(width) - left) / (right - left), 0, 1)
    deviation = window - (window[..., left, None] * (1 - chord) + window[..., right, None] * chord)
    return PSearch(start, np.full(len(peaks), left), window, deviation, centre)


def bound_p_waves(
    ecg: FilteredEcg, search: PSearch, reliability: Reliability, settings: WaveSettings
) -> tuple[WaveMarks, np.ndarray, np.ndarray]:
    """Marks of the waves at `search.centre`, amplitudes `(leads, waves)` and size in all leads `(waves,)`, mV."""
    rate, width = WORKING_RATE, search.window.shape[-1]
    index, first = np.arange(width), search.first
    near = (np.abs(index - search.centre[:, None]) <= settings.p_search * rate) & (index >= first[:, None])
    peak = largest_within(search.deviation, near)
    amplitude = pick(search.deviation, peak)
    sign = np.where(amplitude < 0, -1.0, 1.0).astype(np.float32)
    reach = peak - int(0.07 * rate), peak + int(0.07 * rate)
    reference = int(settings.p_reference * rate)
    stops = np.maximum(peak - reference, first - int(0.04 * rate)), np.minimum(width - 1, peak + reference)
    slope = windows(ecg.p_slope, search.start, width)
    onset, offset = limits(search.window, slope, peak, sign, reach, stops)
    onset, peak, offset = (search.start + mark.astype(float) for mark in (onset, peak, offset))
    weight = reliability.weights * np.abs(amplitude) + 1e-9
    overall = weighted_median(np.stack([onset, peak, offset], axis=-1), weight[..., None])
    own = settings.p_own_weight * own_weight(amplitude, reliability, settings.p_trust)
    onset += (1 - own) * (overall[:, 0] - onset)
    offset += (1 - own) * (overall[:, 2] - offset)
    shift = np.array([settings.p_onset_bias, 0, settings.p_offset_bias]) * rate
    together = weighted_size(search.deviation, reliability.weights)
    size = together[np.arange(len(together)), search.centre]
    marks = around_peak(np.stack([onset, peak, offset], axis=-1) - shift)
    return WaveMarks(marks, overall - shift), amplitude, size


def _earliest_p(end: np.ndarray, qrs_offset: np.ndarray, t_end: np.ndarray, settings: WaveSettings) -> np.ndarray:
    """Where the search for each P wave begins: after the last T wave and QRS, within the longest PR."""
    rate = WORKING_RATE
    previous_t = np.append(-np.inf, np.where(np.isfinite(t_end), t_end, -np.inf)[:-1])
    previous_qrs = np.append(-np.inf, qrs_offset[:-1])
    earliest = np.maximum(end - settings.p_longest_pr * rate, previous_t - 0.03 * rate)
    return np.maximum(np.maximum(earliest, previous_qrs + 0.06 * rate), 0)


def _after_t_tail(window: np.ndarray, weights: np.ndarray, first: np.ndarray) -> np.ndarray:
    """`first` moved on while the distance from the PR level still falls: that is the tail of the preceding T wave."""
    width = window.shape[-1]
    distance = weighted_size(window - window[..., -1:], weights)
    rising = (differences(distance) > 0) & (np.arange(width - 1) >= first[:, None])
    turn = np.where(rising.any(axis=1), rising.argmax(axis=1), first)
    return within(turn, first, np.maximum(width - int(0.09 * WORKING_RATE), first))


__all__ = [
    "BeatsOfP",
    "PSearch",
    "bound_p_waves",
    "find_p_waves",
    "p_noise",
    "p_visible",
    "p_waves_merge_with_t",
    "search_around",
]
