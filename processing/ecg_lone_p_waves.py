# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""P waves without a QRS: single ones that an AV block drops, and trains that are dissociated from the ventricles."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from .ecg_filters import WORKING_RATE, FilteredEcg
from .ecg_order_statistics import differences, mean, median, nan_median, percentile, spread, within
from .ecg_p_waves import CONDUCTED_SHARE, REGULAR_RR, SAME_PR_S, bound_p_waves, p_noise, p_visible, search_around
from .ecg_qrs import windows
from .ecg_reliability import Reliability
from .ecg_short_intervals import ShortIntervals
from .ecg_t_waves import WaveMarks, WaveSettings

STEP = 4  # samples at 500 Hz per value: 8 ms
BUMP_S, KERNEL_S = 0.110, 0.200
# A second wave in every interval of a slow regular rhythm may be a U wave: it must be more alike, and half way.
REGULAR_LONE_ALIKE, REGULAR_LONE_SIZE, REGULAR_TOLERANCE = 0.92, 0.65, 0.06
LONE_ALIKE, LONE_SIZE = 0.80, (0.5, 1.8)
ATRIAL_CYCLE_S = (0.45, 1.30)  # of P waves that conduct irregularly or not at all
FOUND_SHARE = 0.6  # of the waves sought, else those found are chance
GRID_TOLERANCE = 0.12  # of the atrial cycle
# Peaks on the grid: of the most on any, of its places outside QRS complexes, and how many. A grid lasts so long.
GRID_REGULARITY, GRID_COVERAGE, GRID_FEWEST, GRID_S = 0.95, 0.60, 5, 15.0
GRID_SPREAD = 0.065  # SD around the grid, of its cycle; by chance it would be as wide as the tolerance allows, 0.07
# Where waves that are less alike stand so close (of the cycle) to such a share of the places, between regular beats, fewer of the others are
# asked for, unless the beats keep step with them.
GRID_CLOSE, GRID_FILLED, GRID_COVERAGE_FILLED, IN_STEP = 0.1, 0.85, 0.40, 0.05
NEAR_QRS_S, BEHIND_QRS_S = 0.010, 0.020  # so near to a QRS the waves of a known train are sought
ON_GRID_ALIKE, SHAPES = 0.5, 3  # of a wave where one is due; shapes that are tried
# Of all peaks; where the ventricles are irregular, waves of fibrillation often fit a grid by chance.
GRID_SHARE, GRID_SHARE_IRREGULAR = 0.70, 0.85
PR_RANGE_S = (0.09, 0.40)
DISSOCIATED_PR_S = 0.040  # PR varies by more (SD) while the ventricles are regular: complete AV block
SLOW_S, TRAIN_PER_BEAT = 0.9, 1.3  # RR of an escape rhythm; P waves for each of its beats


def _kernel() -> np.ndarray:
    points = round(KERNEL_S * WORKING_RATE / STEP) | 1
    time = (np.arange(points) - points // 2) * STEP / WORKING_RATE
    bump = np.where(np.abs(time) < BUMP_S / 2, 0.5 + 0.5 * np.cos(2 * np.pi * time / BUMP_S), 0.0)
    slow = np.vander(time / time.max(), 3)
    bump = bump - slow @ np.linalg.lstsq(slow, bump, rcond=None)[0]
    return (bump / (bump @ bump)).astype(np.float32)


_KERNEL = _kernel()


def bump_sizes(band: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
    """Size in mV of a P-like bump around every fourth sample of `band` `(leads, samples)`, `(leads, samples / 4)`; or around
    those of them whose indices `places` has, `(leads, places)`."""
    half = len(_KERNEL) // 2
    if places is not None:
        rows = band[:, ::STEP]
        return rows[:, within(places[:, None] + np.arange(-half, half + 1), 0, rows.shape[1] - 1)] @ _KERNEL
    padded = np.pad(band[:, ::STEP], ((0, 0), (half, half)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, len(_KERNEL), axis=1) @ _KERNEL


@dataclass(frozen=True)
class _Beats:
    """What the search needs to know of the beats, all `(beats,)` samples."""

    onset: np.ndarray
    offset: np.ndarray
    p_peak: np.ndarray
    t_end: np.ndarray


def find_lone_p_waves(
    ecg: FilteredEcg,
    qrs: np.ndarray,
    p: WaveMarks,
    t_end: np.ndarray,
    short: ShortIntervals,
    reliability: Reliability,
    settings: WaveSettings,
) -> tuple[WaveMarks, WaveMarks]:
    """P waves that no QRS follows (AV block). The P waves of the beats are moved where a regular train of P waves fits better.

    Args:
        ecg: the filtered record.
        qrs: onset, peak, offset of every beat, `(beats, 3)` samples.
        p: the P waves found before the beats.
        t_end: end of the T wave, `(beats,)` samples.
        short: what the short intervals hold.
        reliability: of the leads.
        settings: limits of the P wave search.

    Returns:
        The lone waves, `(leads, waves, 3)` and `(waves, 3)`, in time order, and the P waves of the beats.
    """
    beats = _Beats(qrs[:, 0], qrs[:, 2], p.overall[:, 1], t_end)
    known = np.isfinite(beats.p_peak)
    none = _marked(ecg, np.zeros(0), reliability, settings)
    if len(known) < 3:
        return none, p
    if known.any() and not _conduct(beats) and _is_slow(beats, reliability) and not len(ecg.spikes):
        train = _free_train(ecg, beats, reliability)
        if len(train) > TRAIN_PER_BEAT * len(known) and _ignored(train, beats):
            nothing = WaveMarks(np.full_like(p.per_lead, np.nan), np.full_like(p.overall, np.nan))
            return _marked(ecg, train, reliability, settings), nothing
    if known.mean() > 0.5:
        return _marked(ecg, _between_conducted(ecg, beats, reliability), reliability, settings), p
    # Between pacing spikes a remnant of the stimulus passes for a P wave.
    if known.any() or len(ecg.spikes) or short.no_p_told.mean() > 0.5:
        return none, p
    train = _free_train(ecg, beats, reliability)
    if _at_foot_of_qrs(train, beats):
        return none, p
    followed = _followed_by(train, beats)
    lone = np.delete(train, followed[followed >= 0])
    return _marked(ecg, lone, reliability, settings), _attached(ecg, train, followed, reliability, settings, p)


def _conduct(beats: _Beats) -> bool:
    """Whether most beats come at the same time after their P wave."""
    pr = (beats.onset - beats.p_peak)[np.isfinite(beats.p_peak)]
    return len(pr) > CONDUCTED_SHARE * len(beats.onset) and float(spread(pr)) < SAME_PR_S * WORKING_RATE


def _is_slow(beats: _Beats, reliability: Reliability) -> bool:
    """Whether the ventricles are so slow and regular that the atria may go their own way."""
    rr = np.diff(beats.onset)[reliability.known_intervals(beats.onset)]
    return bool(len(rr) and median(rr) > SLOW_S * WORKING_RATE and spread(rr) < REGULAR_RR * mean(rr))


def _ignored(train: np.ndarray, beats: _Beats) -> bool:
    """Whether the beats come at any time after the last wave of the train."""
    last = np.searchsorted(train, beats.onset) - 1
    return bool(np.std((beats.onset - train[last])[last >= 0]) > DISSOCIATED_PR_S * WORKING_RATE)


def _marked(ecg: FilteredEcg, peaks: np.ndarray, reliability: Reliability, settings: WaveSettings) -> WaveMarks:
    live = reliability.live
    if not len(peaks):
        return WaveMarks(np.zeros((len(live), 0, 3)), np.zeros((0, 3)))
    usual = replace(reliability, weights=np.repeat(reliability.leads[:, None], len(peaks), axis=1))
    marks, amplitude, _ = bound_p_waves(ecg, search_around(ecg, peaks.astype(int)), usual, settings)
    marks.per_lead[~(p_visible(amplitude, p_noise(ecg), settings) & live[:, None])] = np.nan
    return marks


def _alike(sizes: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and size of every column of `sizes` against `reference`."""
    norm, length = np.linalg.norm(sizes, axis=0), float(np.linalg.norm(reference))
    return reference @ sizes / np.maximum(norm * length, 1e-9), norm / max(length, 1e-9)


def _between_conducted(ecg: FilteredEcg, beats: _Beats, reliability: Reliability) -> np.ndarray:
    """P waves between two conducted ones, like them, where the atria's own cycle puts them; after the T wave."""
    known = np.flatnonzero(np.isfinite(beats.p_peak))
    gaps = differences(beats.p_peak[known])
    told = reliability.known_intervals(beats.onset)
    shortest = percentile(gaps, 20) if len(gaps) else np.inf
    sought: list[_Sought] = []
    neighbours = known[1:] == known[:-1] + 1
    for i, gap in zip(known[:-1][neighbours].tolist(), gaps[neighbours].tolist(), strict=True):
        dropped = gap > 1.5 * shortest
        parts = round(gap / shortest) if dropped else 2
        cycle = gap / parts
        if not told[i] or not ATRIAL_CYCLE_S[0] <= cycle / WORKING_RATE <= ATRIAL_CYCLE_S[1]:
            continue
        clear = max(beats.t_end[i] if np.isfinite(beats.t_end[i]) else 0, beats.offset[i]) + 0.02 * WORKING_RATE
        tolerance = (GRID_TOLERANCE if dropped else REGULAR_TOLERANCE) * cycle
        for part in range(1, parts):
            expected = beats.p_peak[i] + part * cycle
            span = np.arange(int((expected - tolerance) / STEP), int((expected + tolerance) / STEP) + 1)
            sought.append(_Sought(span, clear, dropped))
    if not sought:
        return np.zeros(0)
    found = _found(ecg, beats.p_peak[known], sought, reliability)
    # Where no beat is missing most intervals rightly hold no further P wave: that says nothing of the others.
    dropped = np.array([wave.dropped for wave in sought])
    for same in (dropped, ~dropped):
        if not np.isfinite(found[same]).sum() > FOUND_SHARE * same.sum():
            found[same] = np.nan
    return found[np.isfinite(found)]


@dataclass(frozen=True)
class _Sought:
    """A lone P wave that may be there: indices of every fourth sample, the sample that it comes after, and whether a beat is
    missing."""

    span: np.ndarray
    clear: float
    dropped: bool


def _found(ecg: FilteredEcg, p_peaks: np.ndarray, sought: list[_Sought], reliability: Reliability) -> np.ndarray:
    """The samples `(waves,)` of the waves `sought`, NaN for those that are not like the usual one of the waves at `p_peaks`."""
    last = (ecg.p_band.shape[1] - 1) // STEP
    usual = np.round(p_peaks / STEP).clip(0, last).astype(int)
    places = np.concatenate([usual, *(wave.span for wave in sought)])
    sizes = bump_sizes(ecg.p_band, places) * reliability.leads[:, None]
    alike, size = _alike(sizes[:, len(usual) :], median(sizes[:, : len(usual)], axis=1))
    found, first = np.full(len(sought), np.nan), 0
    for number, wave in enumerate(sought):
        own = slice(first, first + len(wave.span))
        best = first + int(np.argmax(alike[own] * np.minimum(size[own], 1)))
        place, first = int(places[len(usual) + best]) * STEP, own.stop
        least, smallest = (LONE_ALIKE, LONE_SIZE[0]) if wave.dropped else (REGULAR_LONE_ALIKE, REGULAR_LONE_SIZE)
        if place > wave.clear and alike[best] > least and smallest < size[best] < LONE_SIZE[1]:
            found[number] = place
    return found


def _without_beats(ecg: FilteredEcg, beats: _Beats) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    The P band less the usual beat (QRS and T are tied to the QRS, free P waves are not), where no QRS is near, and where none is.
    """
    samples = ecg.p_band.shape[1]
    before = int(0.08 * WORKING_RATE)
    start = np.round(beats.onset).astype(int) - before
    width = int(np.clip(percentile(np.diff(start), 10), 0.3 * WORKING_RATE, 0.9 * WORKING_RATE))
    behind_t = nan_median(beats.t_end - start)
    # Behind the T wave there is nothing of the beat's; free P waves would be, where they keep step for a while.
    width = min(width, int(behind_t)) if np.isfinite(behind_t) else width
    usual = median(windows(ecg.p_band, start, width), axis=1)
    # No step where the subtraction ends.
    usual = usual - usual[:, -1:] * np.linspace(0, 1, width)
    rest, quiet = ecg.p_band.copy(), np.ones(samples, dtype=bool)
    outside = quiet.copy()
    near, behind = (int(margin * WORKING_RATE) for margin in (NEAR_QRS_S, BEHIND_QRS_S))
    for first, end in zip(start, np.round(beats.offset).astype(int), strict=True):
        inside = slice(max(first, 0), max(min(first + width, samples), 0))  # nothing of a beat cut off by the start
        rest[:, inside] -= usual[:, max(-first, 0) : inside.stop - first]
        quiet[max(first + before // 2, 0) : end + int(0.06 * WORKING_RATE)] = False
        outside[max(first + before - near, 0) : end + behind] = False
    return rest, quiet, outside


def _free_train(ecg: FilteredEcg, beats: _Beats, reliability: Reliability) -> np.ndarray:
    """Peaks of a regular train of like P waves that the beats do not follow one to one, or nothing."""
    from scipy.signal import find_peaks

    nothing = np.zeros(0)
    rest, quiet, outside = _without_beats(ecg, beats)
    whole = bump_sizes(rest) * reliability.leads[:, None]
    sizes = np.where(quiet[::STEP], whole, 0)
    whole[:, ~outside[::STEP]] = 0
    strength = np.linalg.norm(sizes, axis=0)
    candidates, _ = find_peaks(strength, distance=int(0.30 * WORKING_RATE / STEP))
    if len(candidates) < GRID_FEWEST:
        return nothing
    strongest = candidates[strength[candidates] > 0.4 * percentile(strength[candidates], 80)]
    shapes = sizes[:, strongest] / np.maximum(strength[strongest], 1e-9)
    likeness = shapes.T @ shapes
    rr = np.diff(beats.onset)[reliability.known_intervals(beats.onset)]
    usual_rr = float(np.mean(rr)) if len(rr) and np.std(rr) < REGULAR_RR * np.mean(rr) else np.nan
    left, train = np.ones(len(strongest), dtype=bool), nothing
    # What the usual beat leaves of T waves is alike, too: the shape that makes the longest train is the P wave's.
    for _ in range(SHAPES):
        like = left & (likeness[np.where(left, median(likeness, axis=1), -np.inf).argmax()] > LONE_ALIKE - 0.1)
        if like.sum() < GRID_FEWEST:
            break
        own = _train_like(sizes, whole, candidates, strongest[like], quiet, usual_rr)
        train, left = (own if len(own) > len(train) else train), left & ~like
    return train


def _train_like(
    sizes: np.ndarray, whole: np.ndarray, candidates: np.ndarray, like: np.ndarray, quiet: np.ndarray, usual_rr: float
) -> np.ndarray:
    """The train that waves as those at `like` make among all `candidates`, peaks in samples, or nothing; `whole`: sizes nearer to QRS."""
    from scipy.signal import find_peaks

    usual = median(sizes[:, like], axis=1)
    alike, size = _alike(sizes, usual)
    sized = (size > LONE_SIZE[0]) & (size < LONE_SIZE[1])
    peaks = candidates[sized[candidates] & (alike[candidates] > LONE_ALIKE - 0.1)]
    alike, size = _alike(whole, usual)
    sized = (size > LONE_SIZE[0]) & (size < LONE_SIZE[1])
    weaker = find_peaks(np.where(sized, alike, 0), height=ON_GRID_ALIKE, distance=int(0.30 * WORKING_RATE / STEP))[0]
    return _on_grid(peaks * STEP, weaker * STEP, quiet, usual_rr)


def _on_grid(peaks: np.ndarray, weaker: np.ndarray, quiet: np.ndarray, usual_rr: float) -> np.ndarray:
    """Waves on a grid of one atrial cycle, stretch by stretch, as no cycle lasts: where most of the `peaks` fit it and most of
    its places outside the QRS are taken, those of the `weaker` peaks that fit. `usual_rr`: samples, NaN where beats are irregular."""
    stretches = max(round(len(quiet) / (GRID_S * WORKING_RATE)), 1)
    found = []
    for first, end in pairwise(np.linspace(0, len(quiet), stretches + 1).astype(int)):
        own, others = (part[(part >= first) & (part < end)] - first for part in (peaks, weaker))
        found.append(first + _on_one_grid(own, others, quiet[first:end], usual_rr))
    return np.concatenate(found)


def _on_one_grid(peaks: np.ndarray, weaker: np.ndarray, quiet: np.ndarray, usual_rr: float) -> np.ndarray:
    nothing = np.zeros(0)
    if len(peaks) < GRID_FEWEST:
        return nothing
    share = GRID_SHARE if np.isfinite(usual_rr) else GRID_SHARE_IRREGULAR
    cycles = np.arange(*ATRIAL_CYCLE_S, 0.005) * WORKING_RATE
    phase = peaks / cycles[:, None]
    # From every peak to the places that each of them would give.
    fits = np.abs((phase[:, :, None] - phase[:, None, :] + 0.5) % 1 - 0.5) < GRID_TOLERANCE
    count = fits.sum(axis=2).max(axis=1)
    # Fractions of the true cycle fit as well: the longest that fits is the true one.
    best = np.flatnonzero(count >= max(GRID_FEWEST, GRID_REGULARITY * count.max()))[-1:]
    if not len(best) or count[best[0]] < share * len(peaks):
        return nothing
    cycle = cycles[best[0]]
    anchor = fits[best[0]].sum(axis=1).argmax()
    fitting = peaks[fits[best[0], anchor]]
    # The cycles are tried in steps: over the whole record the right one is between them.
    number = np.round((fitting - peaks[anchor]) / cycle)
    cycle, middle = np.polyfit(number, fitting, 1)
    if np.std(fitting - middle - cycle * number) > GRID_SPREAD * cycle:
        return nothing
    places = np.arange(middle % cycle, len(quiet), cycle)
    visible = places[quiet[places.astype(int)]]
    taken = np.mean(_nearest(visible, fitting) < 0.2 * cycle)
    out_of_step = abs(usual_rr / cycle - np.round(usual_rr / cycle)) > IN_STEP
    if out_of_step and np.mean(_nearest(visible, weaker) < GRID_CLOSE * cycle) > GRID_FILLED:
        taken *= GRID_COVERAGE / GRID_COVERAGE_FILLED
    if not taken > GRID_COVERAGE:
        return nothing
    off = np.abs((weaker - middle + 0.5 * cycle) % cycle - 0.5 * cycle)
    return weaker[off < 1.5 * GRID_TOLERANCE * cycle].astype(float)


def _nearest(places: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """From each place to the nearest peak, `(places,)` samples."""
    return np.abs(places[:, None] - peaks).min(axis=1, initial=np.inf)


def _at_foot_of_qrs(train: np.ndarray, beats: _Beats) -> bool:
    """Whether the train stands always alike just before the QRS: its foot, what the usual beat leaves of it."""
    next_beat = np.searchsorted(beats.onset, train)
    delay = beats.onset[np.minimum(next_beat, len(beats.onset) - 1)] - train
    delay = delay[next_beat < len(beats.onset)]
    if len(delay) < 3:
        return False
    close = median(delay) < PR_RANGE_S[0] * WORKING_RATE
    return bool(close and np.std(delay) < DISSOCIATED_PR_S * WORKING_RATE)


def _followed_by(train: np.ndarray, beats: _Beats) -> np.ndarray:
    """For every beat the wave of the train that it follows, or -1; none at all where atria and ventricles ignore."""
    followed = np.full(len(beats.onset), -1)
    if not len(train):
        return followed
    low, high = (limit * WORKING_RATE for limit in PR_RANGE_S)
    last = np.searchsorted(train, beats.onset) - 1
    delay = beats.onset - train[np.maximum(last, 0)]
    within = (last >= 0) & (delay > low) & (delay < high)
    rr = np.diff(beats.onset)
    if within.mean() < 0.6:
        return followed
    dissociated = np.std(delay[within]) > DISSOCIATED_PR_S * WORKING_RATE and np.std(rr) < REGULAR_RR * np.mean(rr)
    if not dissociated:
        followed[within] = last[within]
    return followed


def _attached(
    ecg: FilteredEcg,
    train: np.ndarray,
    followed: np.ndarray,
    reliability: Reliability,
    settings: WaveSettings,
    p: WaveMarks,
) -> WaveMarks:
    if not (followed >= 0).any():
        return p
    marks = _marked(ecg, train, reliability, settings)
    per_lead, overall = p.per_lead.copy(), p.overall.copy()
    per_lead[:, followed >= 0] = marks.per_lead[:, followed[followed >= 0]]
    overall[followed >= 0] = marks.overall[followed[followed >= 0]]
    return WaveMarks(per_lead, overall)


__all__ = ["STEP", "bump_sizes", "find_lone_p_waves"]
