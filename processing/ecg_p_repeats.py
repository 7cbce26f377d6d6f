# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Whether what precedes the QRS complexes repeats: P waves do, waves of fibrillation and T waves of ectopic beats do not.

Told stretch by stretch, and among beats of one kind: neither an episode nor every second beat decides for the others.
"""

from dataclasses import dataclass

import numpy as np

from .ecg_filters import WORKING_RATE, FilteredEcg
from .ecg_limits import FIBRILLATION_RR_VARIABILITY, PREMATURE_RR_SHARE
from .ecg_order_statistics import mean, median, nan_median, percentile, spread
from .ecg_qrs import windows
from .ecg_reliability import Reliability, weighted_size
from .ecg_t_waves import WaveSettings

STRETCH = 40  # beats, at least
QRS_SPAN_S, QRS_STEP = (-0.02, 0.14), 4  # around QRS onset; samples at 500 Hz
ALIKE_QRS = 0.9  # correlation of complexes of one kind
FEWEST, OF_STRETCH = 4, 0.25  # beats of one kind, and their share, from which on they are judged by themselves
# What few beats, and P waves of another shape, must repeat better, of what is left to 1.
OF_ONE_KIND, SEVERAL_FOCI = 0.3, 0.12
FEWEST_OF_FOCUS, OF_SHORT_FOCUS = 3, 0.6  # an atrial focus leads three beats at least; three must be nearly the same
FEWEST_CALM, ON_TIME = 3, 0.05  # intervals between beats that are not premature; what these must repeat better
LIKE_MAIN = 0.6  # P waves of another kind of beat: correlation with the usual ones
# Two foci that lead about as many beats each: correlation of the P waves of the first; share of all beats that is `LIKE_MAIN` to either.
LIKE_OF_FOCUS, OF_TWO_FOCI = 0.8, 0.75


@dataclass(frozen=True)
class Repeats:
    """What repeats before the beats.

    Attributes:
        there: whether the line before a beat is the usual one of its like, `(beats,)`.
        shape: size of that usual line, `(beats, samples)`.
    """

    there: np.ndarray
    shape: np.ndarray


def find_repeats(
    ecg: FilteredEcg,
    qrs_onset: np.ndarray,
    deviation: np.ndarray,
    room: np.ndarray,
    reliability: Reliability,
    settings: WaveSettings,
) -> Repeats:
    """For every beat, whether the line before it has the same shape as before other beats.

    Args:
        ecg: the filtered record.
        qrs_onset: samples, `(beats,)`.
        deviation: the line before every beat, `(leads, beats, samples)`.
        room: whether there is room for a P wave, `(beats,)`.
        reliability: of the leads.
        settings: limits of the P wave search.
    """
    count = len(qrs_onset)
    there, shape = np.zeros(count, dtype=bool), np.zeros((count, deviation.shape[2]), dtype=deviation.dtype)
    known = np.append(False, reliability.known_intervals(qrs_onset))
    before = np.where(known, np.diff(qrs_onset, prepend=np.nan), np.nan)
    for beats in np.array_split(np.arange(count), max(count // STRETCH, 1)):
        part = _Stretch(deviation[:, beats], room[beats], before[beats], reliability.weights[:, beats], settings)
        there[beats], shape[beats] = part.told_together()
        if not there[beats].any():
            there[beats], shape[beats] = part.told_on_time()
        if not there[beats].any():
            there[beats], shape[beats] = part.told_by(_kinds(ecg, qrs_onset[beats], reliability))
        if not there[beats].any():
            there[beats], shape[beats] = part.told_by_foci()
    return Repeats(there, shape)


def on_time_and_calm(before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which beats are not premature, and which of these come after another such beat, not after the pause of a premature one.

    Args:
        before: the RR interval before each beat, `(beats,)`, NaN where it is not known.
    """
    known = np.isfinite(before)
    # The mean, not the median: in bigeminy half of the intervals are short.
    on_time = ~(before < PREMATURE_RR_SHARE * mean(before[known])) if known.any() else ~known
    return on_time, on_time & np.append(True, on_time[:-1]) & known


def _kinds(ecg: FilteredEcg, qrs_onset: np.ndarray, reliability: Reliability) -> list[np.ndarray]:
    """Sets of beats with like QRS complexes, and of those unlike all, masks `(beats,)`; too few are in none."""
    first, last = (round(side * WORKING_RATE) for side in QRS_SPAN_S)
    fewest = max(FEWEST, OF_STRETCH * len(qrs_onset))
    if len(qrs_onset) < 2 * fewest:
        return []
    start = np.round(qrs_onset).astype(int) + first
    rows = np.moveaxis(windows(ecg.band, start, last - first)[..., ::QRS_STEP], 1, 0)
    rows = (rows - rows[..., :1]) * reliability.leads[:, None]
    rows = rows.reshape(len(rows), -1)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    alike = rows @ rows.T > ALIKE_QRS
    kinds, left = [], np.ones(len(rows), dtype=bool)
    while left.sum() >= fewest:
        kind = alike[(alike & left).sum(axis=1).argmax()] & left
        kinds.append(kind if kind.sum() >= fewest else left)
        left = left & ~kinds[-1]
    return kinds


@dataclass(frozen=True)
class _Stretch:
    """Beats that are judged together: as in `find_repeats`, and the RR interval before each, `(beats,)` samples or NaN."""

    deviation: np.ndarray
    room: np.ndarray
    before: np.ndarray
    weights: np.ndarray
    settings: WaveSettings

    def told_together(self) -> tuple[np.ndarray, np.ndarray]:
        """Whether the line before each beat repeats, `(beats,)`, and the size of the usual one, `(beats, samples)`."""
        every = np.ones(len(self.room), dtype=bool)
        template = self._template(every)
        coherence = self._coherence(template)
        there = coherence > self.settings.p_coherence
        if not self._repeats(coherence, every):
            there = np.zeros_like(there)
        shape = np.repeat(self._size(template), len(every), axis=0)
        return self._of_other_foci(there, shape, every) if there.any() else (there, shape)

    def told_on_time(self) -> tuple[np.ndarray, np.ndarray]:
        """The same with the beats that are not premature: premature ones, and the pauses after them, make a sinus rhythm neither
        irregular nor unlike itself. Where the other intervals are uneven as well, nothing is told."""
        on_time, calm = on_time_and_calm(self.before)
        template = self._template(on_time)
        coherence = self._coherence(template)
        there = coherence > self.settings.p_coherence
        told = coherence[on_time & self.room]
        enough = not on_time.all() and calm.sum() >= FEWEST_CALM and len(told) >= FEWEST
        # Waves of fibrillation may be in step before half of the beats, not before three of four.
        if not (enough and percentile(told, 25) > LIKE_MAIN and self._repeats(coherence, on_time, ON_TIME, calm)):
            there = np.zeros_like(there)
        shape = np.repeat(self._size(template), len(there), axis=0)
        return self._of_other_foci(there, shape, np.ones_like(there)) if there.any() else (there, shape)

    def told_by(self, kinds: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The same with one kind of beats after another, those first that come late, as premature ones do not; the beats of
        other kinds must show the P waves of the first that has any."""
        for main in sorted(kinds, key=lambda kind: -float(nan_median(self.before[kind]))):
            template = self._template(main)
            coherence = self._coherence(template)
            if self._repeats(coherence, main, OF_ONE_KIND):
                break
        else:
            return np.zeros(len(self.room), dtype=bool), self._size(self.deviation.mean(axis=1))
        there = coherence > self.settings.p_coherence
        for kind in kinds:
            if kind is not main and not self._median(coherence, kind) > LIKE_MAIN:
                there &= ~kind
        shape = np.repeat(self._size(template), len(there), axis=0)
        return self._of_other_foci(there, shape, main)

    def told_by_foci(self) -> tuple[np.ndarray, np.ndarray]:
        """The same where two atrial foci lead about as many beats each, so that no line is the usual one of all. Nothing is told in a
        rhythm as uneven as fibrillation: each of its waves is a little like one of any two."""
        nothing = np.zeros(len(self.room), dtype=bool), self._size(self.deviation.mean(axis=1))
        # Two intervals at a time are even in bigeminy, too.
        pairs = self.before[1:] + self.before[:-1]
        if min(self._variation(self.before), self._variation(pairs)) > FIBRILLATION_RR_VARIABILITY:
            return nothing
        like = np.array([self._coherence(self.deviation[:, beat]) for beat in range(len(self.room))]) > LIKE_OF_FOCUS
        like &= self.room & self.room[:, None]
        first = like[like.sum(axis=1).argmax()]
        if first.sum() < FEWEST:
            return nothing
        template = self._template(first)
        coherence = self._coherence(template)
        second = self.room & ~(coherence > LIKE_OF_FOCUS)
        if second.sum() < FEWEST_OF_FOCUS:
            return nothing
        best = np.maximum(coherence, self._coherence(self._template(second)))
        if np.mean(best[self.room] > LIKE_MAIN) < OF_TWO_FOCI or not self._repeats(best, self.room):
            return nothing
        shape = np.repeat(self._size(template), len(first), axis=0)
        return self._of_other_foci(coherence > self.settings.p_coherence, shape, np.ones_like(first))

    def _of_other_foci(self, there: np.ndarray, shape: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`there` and `shape` with beats of the `kind` whose P waves are like each other, though unlike the usual ones."""
        others = kind & ~there
        count = (others & self.room).sum()
        if count < FEWEST_OF_FOCUS:
            return there, shape
        template = self._template(others)
        coherence = self._coherence(template)
        if not self._repeats(coherence, others, OF_SHORT_FOCUS if count < FEWEST else SEVERAL_FOCI):
            return there, shape
        others &= coherence > self.settings.p_coherence
        return there | others, np.where(others[:, None], self._size(template), shape)

    def _template(self, beats: np.ndarray) -> np.ndarray:
        """The usual line before `beats`, `(leads, samples)`."""
        told = beats & self.room
        return median(self.deviation[:, told], axis=1) if told.sum() > 1 else self.deviation.mean(axis=1)

    def _size(self, template: np.ndarray) -> np.ndarray:
        leads = median(self.weights, axis=1)[:, None]
        return weighted_size(template[:, None], leads)

    def _coherence(self, template: np.ndarray) -> np.ndarray:
        """Correlation of every beat's window with the template over all leads, each by its weight, `(beats,)`."""
        # A lead of half the weight counts a sixteenth: what moves it is far larger than a P wave.
        power = np.square(np.square(self.weights))
        shared = (power * (self.deviation @ template[..., None])[..., 0]).sum(axis=0)
        own = (power * np.einsum("lbw,lbw->lb", self.deviation, self.deviation)).sum(axis=0)
        energy = own * (np.einsum("lw,lw->l", template, template) @ power)
        return shared / np.sqrt(np.maximum(energy, 1e-12))

    def _repeats(
        self, coherence: np.ndarray, beats: np.ndarray, more: float = 0.0, intervals: np.ndarray | None = None
    ) -> bool:
        """Whether the windows repeat well enough for P waves; irregular rhythms (by the `intervals`, else all before `beats`) must
        repeat better."""
        variation = self._variation(self.before[beats if intervals is None else intervals])
        needed = self.settings.p_median_coherence
        needed += self.settings.p_irregularity * float(np.clip(variation - 0.06, 0, 0.3))
        return self._median(coherence, beats) > needed + more * (1 - needed)

    @staticmethod
    def _variation(before: np.ndarray) -> float:
        """SD of the known RR intervals `before` beats over their mean."""
        rr = before[np.isfinite(before)]
        return float(spread(rr)) / max(float(mean(rr)), 1.0) if len(rr) > 1 else 0.0

    def _median(self, coherence: np.ndarray, beats: np.ndarray) -> float:
        told = coherence[beats & self.room]
        return float(median(told)) if len(told) else 0.0


__all__ = ["Repeats", "find_repeats", "on_time_and_calm"]
