# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The atrium's waves: P before the QRS, lone P waves without one, and flutter waves."""

from dataclasses import dataclass, replace

import numpy as np

from .ecg_filters import WORKING_RATE, FilteredEcg
from .ecg_qrs import windows
from .ecg_reliability import Reliability, weighted_size
from .ecg_t_waves import WaveMarks, WaveSettings, around_peak, limits, own_weight, pick, steadied, weighted_median

SEARCH_S = 0.36  # length of the window that ends with the PR segment
ECTOPIC_QRS_S = 0.030  # a QRS so much wider than the usual narrow ones is ventricular: no P wave belongs to it
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


def find_p_waves(
    ecg: FilteredEcg,
    qrs_onset: np.ndarray,
    qrs_offset: np.ndarray,
    t_end: np.ndarray,
    reliability: Reliability,
    settings: WaveSettings,
) -> WaveMarks:
    """P waves before each QRS; only what repeats from beat to beat is a P wave, fibrillation does not."""
    rate, live = WORKING_RATE, reliability.live
    end = np.round(qrs_onset - settings.p_end * rate).astype(int)
    earliest = _earliest_p(end, qrs_offset, t_end, settings)
    duration = qrs_offset - qrs_onset
    usual = duration <= np.percentile(duration, 30) + ECTOPIC_QRS_S * rate
    room = (end - earliest > 0.07 * rate) & usual
    search, template = _search(ecg, end, earliest, room, reliability)
    coherence = _coherence(search.deviation, template, reliability.weights)
    marks, amplitude, size = bound_p_waves(ecg, search, reliability, settings)
    noise = p_noise(ecg)
    present = room & (size > max(settings.p_smallest, settings.p_noise * _usual(noise[live])))
    present &= (coherence > settings.p_coherence) & _repeats(coherence[room], qrs_onset, reliability, settings)
    present &= marks.per_lead[..., 1].min(axis=0) > 0
    per_lead, overall = marks.per_lead, marks.overall
    per_lead[..., 0] = steadied(per_lead[..., 0], qrs_onset, room, settings.p_jitter * rate)
    per_lead[..., 2] = steadied(per_lead[..., 2], qrs_onset, room, settings.p_jitter * rate)
    per_lead[..., 0], per_lead[..., 2] = around_peak(*np.moveaxis(per_lead, -1, 0))
    per_lead[~(present & p_visible(amplitude, noise, settings) & live[:, None])] = np.nan
    overall[~present] = np.nan
    return marks


def _usual(noise: np.ndarray) -> float:
    """The mean over the leads; a single noisy one does not count for all."""
    return float(np.minimum(noise, LOUDEST_NOISE * np.median(noise)).mean())


def p_noise(ecg: FilteredEcg) -> np.ndarray:
    """What the P band leaves out, in mV per lead: the median size of the signal above it."""
    return np.median(np.abs(ecg.band[:, ::5] - ecg.p_band[:, ::5]), axis=1)


def p_visible(amplitude: np.ndarray, noise: np.ndarray, settings: WaveSettings) -> np.ndarray:
    """Whether a wave stands out of its lead's noise."""
    return np.abs(amplitude) > np.maximum(0.5 * settings.p_smallest, settings.p_visible * noise[:, None])


def _search(
    ecg: FilteredEcg, end: np.ndarray, earliest: np.ndarray, room: np.ndarray, reliability: Reliability
) -> tuple[PSearch, np.ndarray]:
    """Windows that end with the PR segment, and the template of their deviation, `(leads, samples)`."""
    width = int(SEARCH_S * WORKING_RATE)
    start = end - width + 1
    index = np.arange(width)
    window = windows(ecg.p_band, start, width)
    first = _after_t_tail(window, reliability.weights, np.clip(earliest - start, 0, width - 8).astype(int))
    level = np.take_along_axis(window, np.broadcast_to(first[None, :, None], (*window.shape[:2], 1)), 2)
    chord = (index - first[:, None]) / np.maximum(width - 1 - first, 1)[:, None]
    deviation = np.where(index >= first[:, None], window - (level * (1 - chord) + window[..., -1:] * chord), 0)
    template = np.median(deviation[:, room], axis=1) if room.sum() > 1 else deviation.mean(axis=1)
    shape = weighted_size(template[:, None], reliability.leads[:, None])[0]
    together = weighted_size(deviation, reliability.weights)
    centre = (together * (0.35 + 0.65 * shape / max(shape.max(), 1e-9))).argmax(axis=1)
    return PSearch(start, first, window, deviation, centre), template


def search_around(ecg: FilteredEcg, peaks: np.ndarray) -> PSearch:
    """Windows around P waves whose peaks (samples, `(waves,)`) are known."""
    width = int(SEARCH_S * WORKING_RATE)
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
    peak = np.where(near, np.abs(search.deviation), -1).argmax(axis=2)
    amplitude = pick(search.deviation, peak)
    sign = np.where(amplitude < 0, -1.0, 1.0).astype(np.float32)
    reach = peak - int(0.07 * rate), peak + int(0.07 * rate)
    reference = int(settings.p_reference * rate)
    stops = np.maximum(peak - reference, first - int(0.04 * rate)), np.minimum(width - 1, peak + reference)
    slope = windows(ecg.p_slope, search.start, width)
    onset, offset = limits(search.window, slope, peak, sign, reach, stops)
    onset, peak, offset = (search.start + mark.astype(float) for mark in (onset, peak, offset))
    weight = reliability.weights * np.abs(amplitude) + 1e-9
    overall = np.stack([weighted_median(mark, weight) for mark in (onset, peak, offset)], axis=-1)
    own = settings.p_own_weight * own_weight(amplitude, reliability, settings.p_trust)
    onset += (1 - own) * (overall[:, 0] - onset)
    offset += (1 - own) * (overall[:, 2] - offset)
    shift = np.array([settings.p_onset_bias, 0, settings.p_offset_bias]) * rate
    together = weighted_size(search.deviation, reliability.weights)
    size = np.take_along_axis(together, search.centre[:, None], 1)[:, 0]
    marks = np.stack([onset, peak, offset], axis=-1) - shift
    marks[..., 0], marks[..., 2] = around_peak(*np.moveaxis(marks, -1, 0))
    return WaveMarks(marks, overall - shift), amplitude, size


def _earliest_p(end: np.ndarray, qrs_offset: np.ndarray, t_end: np.ndarray, settings: WaveSettings) -> np.ndarray:
    """Where the search for each P wave begins: behind the last T wave and QRS, within the longest PR."""
    rate = WORKING_RATE
    previous_t = np.append(-np.inf, np.where(np.isfinite(t_end), t_end, -np.inf)[:-1])
    previous_qrs = np.append(-np.inf, qrs_offset[:-1])
    earliest = np.maximum(end - settings.p_longest_pr * rate, previous_t - 0.03 * rate)
    return np.maximum(np.maximum(earliest, previous_qrs + 0.06 * rate), 0)


def _after_t_tail(window: np.ndarray, weights: np.ndarray, first: np.ndarray) -> np.ndarray:
    """`first` moved on while the distance from the PR level still falls: that is the tail of the preceding T wave."""
    width = window.shape[-1]
    distance = weighted_size(window - window[..., -1:], weights)
    rising = (np.diff(distance, axis=1) > 0) & (np.arange(width - 1) >= first[:, None])
    turn = np.where(rising.any(axis=1), rising.argmax(axis=1), first)
    return np.clip(turn, first, np.maximum(width - int(0.09 * WORKING_RATE), first))


def _coherence(deviation: np.ndarray, template: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlation of every beat's window with the template over all leads, each by its weight, `(beats,)`."""
    power = np.square(weights)
    shared = np.einsum("lb,lbw,lw->b", power, deviation, template, optimize=True)
    own = np.einsum("lb,lbw,lbw->b", power, deviation, deviation, optimize=True)
    energy = own * (np.einsum("lw,lw->l", template, template) @ power)
    return shared / np.sqrt(np.maximum(energy, 1e-12))


def _repeats(coherence: np.ndarray, qrs_onset: np.ndarray, reliability: Reliability, settings: WaveSettings) -> bool:
    """Whether the windows repeat well enough for P waves; irregular rhythms must repeat better."""
    if not len(coherence):
        return False
    rr = np.diff(qrs_onset)[reliability.known_intervals(qrs_onset)]
    variation = float(np.std(rr)) / max(float(np.mean(rr)), 1.0) if len(rr) > 1 else 0.0
    needed = settings.p_median_coherence + settings.p_irregularity * np.clip(variation - 0.06, 0, 0.3)
    return bool(np.median(coherence) > needed)


STEP = 4  # samples at 500 Hz per value: 8 ms
BUMP_S, KERNEL_S = 0.110, 0.200
# A second wave in every interval of a slow regular rhythm may be a U wave: it must be more alike, and half way.
REGULAR_LONE_ALIKE, REGULAR_LONE_SIZE, REGULAR_TOLERANCE = 0.92, 0.65, 0.06
LONE_ALIKE, LONE_SIZE = 0.80, (0.5, 1.8)
ATRIAL_CYCLE_S = (0.45, 1.30)  # of P waves that conduct irregularly or not at all
GRID_TOLERANCE = 0.12  # of the atrial cycle
GRID_REGULARITY, GRID_COVERAGE, GRID_FEWEST = 0.80, 0.60, 5
PR_RANGE_S = (0.09, 0.40)
DISSOCIATED_PR_S = 0.040  # PR varies by more (SD) while the ventricles are regular: complete AV block
REGULAR_RR = 0.08


def _kernel() -> np.ndarray:
    points = round(KERNEL_S * WORKING_RATE / STEP) | 1
    time = (np.arange(points) - points // 2) * STEP / WORKING_RATE
    bump = np.where(np.abs(time) < BUMP_S / 2, 0.5 + 0.5 * np.cos(2 * np.pi * time / BUMP_S), 0.0)
    slow = np.vander(time / time.max(), 3)
    bump = bump - slow @ np.linalg.lstsq(slow, bump, rcond=None)[0]
    return (bump / (bump @ bump)).astype(np.float32)


_KERNEL = _kernel()


def bump_sizes(band: np.ndarray) -> np.ndarray:
    """Size in mV of a P-like bump around every fourth sample of `band` `(leads, samples)`, `(leads, samples / 4)`."""
    half = len(_KERNEL) // 2
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
    reliability: Reliability,
    settings: WaveSettings,
) -> tuple[WaveMarks, WaveMarks]:
    """P waves that no QRS follows (AV block), and the P waves of the beats, where a train of P waves explains more.

    Args:
        qrs: onset, peak, offset of every beat, `(beats, 3)`.
        p: the P waves found before the beats.
        t_end: `(beats,)`.

    Returns:
        The lone waves, `(leads, waves, 3)` and `(waves, 3)`, in time order, and the P waves of the beats.
    """
    beats = _Beats(qrs[:, 0], qrs[:, 2], p.overall[:, 1], t_end)
    known = np.isfinite(beats.p_peak)
    if len(beats.onset) < 3:
        return _marked(ecg, np.zeros(0), reliability, settings), p
    if known.mean() > 0.5:
        return _marked(ecg, _between_conducted(ecg, beats, reliability), reliability, settings), p
    # Between pacing spikes a remnant of the stimulus passes for a P wave.
    if known.any() or len(ecg.spikes):
        return _marked(ecg, np.zeros(0), reliability, settings), p
    train = _free_train(ecg, beats, reliability)
    if _at_foot_of_qrs(train, beats):
        return _marked(ecg, np.zeros(0), reliability, settings), p
    followed = _followed_by(train, beats)
    lone = np.delete(train, followed[followed >= 0])
    return _marked(ecg, lone, reliability, settings), _attached(ecg, train, followed, reliability, settings, p)


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
    sizes = bump_sizes(ecg.p_band) * reliability.leads[:, None]
    at = np.clip(np.round(beats.p_peak / STEP), 0, sizes.shape[1] - 1)
    known = np.flatnonzero(np.isfinite(at))
    reference = np.median(sizes[:, at[known].astype(int)], axis=1)
    alike, size = _alike(sizes, reference)
    gaps = np.diff(beats.p_peak[known])
    told = reliability.known_intervals(beats.onset)
    shortest = np.percentile(gaps, 20) if len(gaps) else np.inf
    found, asked = [], 0
    for i, gap in zip(known[:-1], gaps, strict=True):
        if known[np.searchsorted(known, i) + 1] != i + 1 or not told[i]:
            continue
        dropped = gap > 1.5 * shortest
        parts = round(gap / shortest) if dropped else 2
        cycle = gap / parts
        if not ATRIAL_CYCLE_S[0] <= cycle / WORKING_RATE <= ATRIAL_CYCLE_S[1]:
            continue
        asked += parts - 1
        clear = max(beats.t_end[i] if np.isfinite(beats.t_end[i]) else 0, beats.offset[i]) + 0.02 * WORKING_RATE
        tolerance = (GRID_TOLERANCE if dropped else REGULAR_TOLERANCE) * cycle
        least_alike, smallest = (LONE_ALIKE, LONE_SIZE[0]) if dropped else (REGULAR_LONE_ALIKE, REGULAR_LONE_SIZE)
        for part in range(1, parts):
            expected = beats.p_peak[i] + part * cycle
            span = np.arange(int((expected - tolerance) / STEP), int((expected + tolerance) / STEP) + 1)
            best = span[np.argmax(alike[span] * np.minimum(size[span], 1))]
            if best * STEP > clear and alike[best] > least_alike and smallest < size[best] < LONE_SIZE[1]:
                found.append(best * STEP)
    return np.array(found if len(found) > 0.6 * asked else [], dtype=float)


def _without_beats(ecg: FilteredEcg, beats: _Beats) -> tuple[np.ndarray, np.ndarray]:
    """The P band less the usual beat (QRS and T are tied to the QRS, free P waves are not), and where no QRS is."""
    samples = ecg.p_band.shape[1]
    before = int(0.08 * WORKING_RATE)
    start = np.round(beats.onset).astype(int) - before
    width = int(np.clip(np.percentile(np.diff(start), 10), 0.3 * WORKING_RATE, 0.9 * WORKING_RATE))
    usual = np.median(windows(ecg.p_band, start, width), axis=1)
    # No step where the subtraction ends.
    usual = usual - usual[:, -1:] * np.linspace(0, 1, width)
    rest, quiet = ecg.p_band.copy(), np.ones(samples, dtype=bool)
    for first, end in zip(start, np.round(beats.offset).astype(int), strict=True):
        inside = slice(max(first, 0), min(first + width, samples))
        rest[:, inside] -= usual[:, max(-first, 0) : inside.stop - first]
        quiet[max(first + before // 2, 0) : end + int(0.06 * WORKING_RATE)] = False
    return rest, quiet


def _free_train(ecg: FilteredEcg, beats: _Beats, reliability: Reliability) -> np.ndarray:
    """Peaks of a regular train of like P waves that the beats do not follow one to one, or nothing."""
    from scipy.signal import find_peaks

    nothing = np.zeros(0)
    rest, quiet = _without_beats(ecg, beats)
    sizes = bump_sizes(rest) * reliability.leads[:, None]
    sizes[:, ~quiet[::STEP]] = 0
    strength = np.linalg.norm(sizes, axis=0)
    candidates, _ = find_peaks(strength, distance=int(0.30 * WORKING_RATE / STEP))
    if len(candidates) < GRID_FEWEST:
        return nothing
    strongest = candidates[strength[candidates] > 0.4 * np.percentile(strength[candidates], 80)]
    shapes = sizes[:, strongest] / np.maximum(strength[strongest], 1e-9)
    likeness = shapes.T @ shapes
    centre = np.argsort(-likeness, axis=1)[np.argmax(np.median(likeness, axis=1))]
    like = strongest[centre[likeness[np.argmax(np.median(likeness, axis=1))][centre] > LONE_ALIKE - 0.1]]
    if len(like) < GRID_FEWEST:
        return nothing
    alike, size = _alike(sizes, np.median(sizes[:, like], axis=1))
    low, high = LONE_SIZE
    peaks = candidates[(alike[candidates] > LONE_ALIKE - 0.1) & (size[candidates] > low) & (size[candidates] < high)]
    return _on_grid(peaks * STEP, quiet)


def _on_grid(peaks: np.ndarray, quiet: np.ndarray) -> np.ndarray:
    """The peaks that fit one atrial cycle, if most do and most of its places outside the QRS are taken."""
    if len(peaks) < GRID_FEWEST:
        return np.zeros(0)
    cycles = np.arange(*ATRIAL_CYCLE_S, 0.005) * WORKING_RATE
    phases = np.exp(2j * np.pi * peaks[None] / cycles[:, None]).mean(axis=1)
    # Fractions of the true cycle fit as well: the longest that fits is the true one.
    good = np.flatnonzero(np.abs(phases) > max(GRID_REGULARITY, 0.95 * np.abs(phases).max()))
    if not len(good):
        return np.zeros(0)
    best = good[-1]
    first_places = np.angle(phases[best]) / (2 * np.pi) * cycles[best]
    places = np.arange(first_places % cycles[best], len(quiet), cycles[best])
    visible = places[quiet[places.astype(int)]]
    distance = np.abs(peaks[:, None] - places[None]).min(axis=1)
    fitting = peaks[distance < 1.5 * GRID_TOLERANCE * cycles[best]]
    if len(fitting) < max(GRID_FEWEST, 0.75 * len(peaks)):
        return np.zeros(0)
    taken = np.abs(visible[:, None] - fitting[None]).min(axis=1) < 0.2 * cycles[best]
    return fitting.astype(float) if np.mean(taken) > GRID_COVERAGE else np.zeros(0)


def _at_foot_of_qrs(train: np.ndarray, beats: _Beats) -> bool:
    """Whether the train stands always alike just before the QRS: its foot, what the usual beat leaves of it."""
    next_beat = np.searchsorted(beats.onset, train)
    delay = beats.onset[np.minimum(next_beat, len(beats.onset) - 1)] - train
    delay = delay[next_beat < len(beats.onset)]
    if len(delay) < 3:
        return False
    close = np.median(delay) < PR_RANGE_S[0] * WORKING_RATE
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


CYCLE_S = (0.176, 0.262)
CYCLE_STEP_S = 0.008
STEADY_RR = 0.06  # an RR interval counts as the usual one if it differs by less, of it
IRREGULAR_RR = 0.05  # variation (SD over mean) from which the conduction ratio may vary
FEWEST_BEATS = 3
BEFORE_QRS_S, AFTER_QRS_S = 0.006, 0.020
FEWEST_LEADS = 3  # fewer have no directions to tell apart
SHORTEST_S = 0.052  # less of a cycle clear of QRS complexes tells nothing
FLUTTER_STEP = 2  # samples at 500 Hz
# Of the signal's energy one cycle before the QRS, what the subtraction explains: of all, or of all but one direction.
# Simulated and LUDB's sinus rhythms stay below 0.55 and 0.22, most simulated flutter is above 0.9 in one of them; set
# with PTB-XL in view, where most flutter has both above 0.7.
ALL_EXPLAINED, LOOP_EXPLAINED = 0.78, 0.65
BOTH_EXPLAINED = (0.60, 0.45)


def is_flutter(ecg: FilteredEcg, qrs: np.ndarray, reliability: Reliability) -> bool:
    """Whether the waves before the QRS complexes are flutter waves.

    A cycle is a whole part of the usual RR interval (2:1 to 7:1 conduction) or, in an irregular rhythm, any.

    Args:
        qrs: onset, peak, offset of every beat, `(beats, 3)` samples.
        reliability: of the leads.
    """
    if len(qrs) <= FEWEST_BEATS:
        return False
    rr = np.diff(qrs[:, 1])
    known = reliability.known_intervals(qrs[:, 1])
    if known.sum() < FEWEST_BEATS:
        return False
    usual = float(np.median(rr[known]))
    steady = np.flatnonzero(np.abs(rr - usual) < STEADY_RR * usual)
    shortest, longest = (limit * WORKING_RATE for limit in CYCLE_S)
    cycles = [(steady, rr[steady] / ratio) for ratio in range(2, 8) if shortest <= usual / ratio <= longest]
    if np.std(rr[known]) > IRREGULAR_RR * np.mean(rr[known]):
        gap = qrs[1:, 0] - qrs[:-1, 2] - (SHORTEST_S + AFTER_QRS_S) * WORKING_RATE
        for cycle in np.arange(shortest, longest, CYCLE_STEP_S * WORKING_RATE):
            roomy = np.flatnonzero((gap > cycle) & known)
            cycles.append((roomy, np.full(len(roomy), cycle)))
    live = reliability.live
    band = ecg.p_band[live] * reliability.leads[live, None]
    return any(_recurs(band, qrs, beats, cycle) for beats, cycle in cycles)


def _recurs(band: np.ndarray, qrs: np.ndarray, beats: np.ndarray, cycle: np.ndarray) -> bool:
    """Whether the usual line before the QRS that follows each of `beats` was there `cycle` samples earlier too."""
    if len(beats) < FEWEST_BEATS:
        return False
    onset = qrs[beats + 1, 0]
    gap = np.median(onset - qrs[beats, 2]) - np.median(cycle) - AFTER_QRS_S * WORKING_RATE
    length = int(min(gap, np.median(cycle)))
    if length < SHORTEST_S * WORKING_RATE:
        return False
    width = length - round(BEFORE_QRS_S * WORKING_RATE)
    now, earlier = (
        _level(np.median(windows(band, np.round(start).astype(int), width)[..., ::FLUTTER_STEP], axis=1))
        for start in (onset - length, onset - length - cycle)
    )
    before, after = (np.linalg.svd(part, compute_uv=False) ** 2 for part in (earlier, earlier - now))
    explained = 1 - after.sum() / max(before.sum(), 1e-12)
    if len(before) < FEWEST_LEADS:
        return bool(explained > ALL_EXPLAINED)
    of_loop = 1 - after[1:].sum() / max(before[1:].sum(), 1e-12)
    both = explained > BOTH_EXPLAINED[0] and of_loop > BOTH_EXPLAINED[1]
    return bool(explained > ALL_EXPLAINED or of_loop > LOOP_EXPLAINED or both)


def _level(part: np.ndarray) -> np.ndarray:
    return (part - part.mean(axis=1, keepdims=True)).astype(np.float64)


__all__ = [
    "STEP",
    "PSearch",
    "bound_p_waves",
    "bump_sizes",
    "find_lone_p_waves",
    "find_p_waves",
    "is_flutter",
    "p_noise",
    "p_visible",
    "search_around",
]
