# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Real P waves and QRS-T complexes, cut out of marked ECGs and put together in other rhythms: their marks go with them.

Independent of the simulator, so that code which finds what the simulator draws can be checked on waves that nobody drew.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from tests.helpers.delineation_scoring import WAVES, MarkedEcg

RATE = 500
MARGIN_S = 0.5  # waves nearer to the ends are not scored: they may be cut
HIDDEN_SHARE = 0.3  # a P wave more of which than this lies within QRS complexes and T waves is hidden
MARKED_LEADS = 6  # of 12, in which a wave must be marked to be cut out
LEAD_IN_S, LEAD_OUT_S = 0.008, 0.012  # what is cut out beside the outermost marks
WIDE_S, NARROW_S = 0.130, 0.110
ALIKE = 0.9
NOISE_MV, WANDER_MV = 0.005, 0.02
T = TypeVar("T")


@dataclass(frozen=True)
class Piece:
    """A cut-out P wave or QRS-T: `(12, samples)` mV from 0 to 0, and wave -> `(12, 3)` samples from its start, NaN where unmarked."""

    signal: np.ndarray
    marks: dict[str, np.ndarray]

    @property
    def onset(self) -> float:
        return float(np.nanmedian(next(iter(self.marks.values()))[:, 0]))

    @property
    def qrs_s(self) -> float:
        """From the earliest to the latest lead's mark, without the outermost lead on either side."""
        return (self.last("QRS") - float(np.nanpercentile(self.marks["QRS"][:, 0], 10))) / RATE

    @property
    def qt_s(self) -> float:
        return (self.last("T") - self.onset) / RATE

    def from_onset(self, seconds: float) -> np.ndarray:
        """`(12, samples)` mV from the onset on."""
        start = round(self.onset)
        return self.signal[:, start : start + round(seconds * RATE)]

    def last(self, wave: str) -> float:
        return float(np.nanpercentile(self.marks[wave][:, 2], 90))

    def stretched(self, first: float, last: float, factor: float) -> "Piece":
        """The same with what lies between the samples `first` and `last` lasting `factor` times as long."""
        old = np.array([0.0, first, last, self.signal.shape[1] - 1])
        new = np.cumsum([0.0, first, (last - first) * factor, old[3] - last])
        back = np.interp(np.arange(int(new[3]) + 1), new, old)
        samples = np.arange(self.signal.shape[1])
        signal = np.stack([np.interp(back, samples, row) for row in self.signal])
        return replace(
            self, signal=signal, marks={wave: np.interp(rows, old, new) for wave, rows in self.marks.items()}
        )

    def with_qt(self, seconds: float) -> "Piece":
        """The same with all between J point and end of T stretched or compressed to this QT."""
        j_point, end = self.last("QRS"), self.last("T")
        wanted = seconds * RATE + self.onset - j_point
        return self.stretched(j_point, end, wanted / (end - j_point))


@dataclass
class Source:
    """What was cut out of one record: QRS-T complexes behind a P wave, those without (ventricular beats), and P waves."""

    name: str
    conducted: list[Piece] = field(default_factory=list)
    ventricular: list[Piece] = field(default_factory=list)
    p: list[Piece] = field(default_factory=list)


def cut(record: MarkedEcg) -> Source:
    """All whole beats of a record (500 Hz) that are marked in enough leads and end before the next P wave begins."""
    source = Source(record.name)
    beats = _beats(record)
    if len(beats) < 3:
        return source
    signal = _level(record.signal, np.array([_first(beat["QRS"]) for beat in beats]))
    # The first beat may be marked from its QRS on, whatever goes before.
    for beat, following in zip(beats[1:], [*beats[2:], {}], strict=True):
        if not {"QRS", "T"} <= beat.keys():
            continue
        end = _last(beat["T"]) + LEAD_OUT_S * RATE
        if end > min((_first(rows) for rows in following.values()), default=np.inf):
            continue
        piece = _cut_out(
            signal, {wave: beat[wave] for wave in ("QRS", "T")}, _first(beat["QRS"]) - LEAD_IN_S * RATE, end
        )
        (source.conducted if "P" in beat else source.ventricular).append(piece)
        if "P" in beat and _last(beat["P"]) < _first(beat["QRS"]):
            last = min(_last(beat["P"]) + LEAD_OUT_S * RATE, _first(beat["QRS"]))
            source.p.append(_cut_out(signal, {"P": beat["P"]}, _first(beat["P"]) - LEAD_OUT_S * RATE, last))
    return source


def _beats(record: MarkedEcg) -> list[dict[str, np.ndarray]]:
    """Per beat wave -> `(12, 3)` samples of what is marked in enough leads."""
    peaks = np.sort(np.concatenate([lead["QRS"][:, 1] for lead in record.marks]))
    groups = np.split(peaks, np.flatnonzero(np.diff(peaks) > 0.15 * RATE) + 1)
    centres = [float(np.median(group)) for group in groups if len(group) >= MARKED_LEADS]
    beats = []
    for number, centre in enumerate(centres):
        after = centres[number + 1] if number + 1 < len(centres) else np.inf
        before = centres[number - 1] if number else -np.inf
        spans = {
            "P": (max(centre - 0.4 * RATE, before + 0.25 * RATE), centre),
            "QRS": (centre - 0.1 * RATE, centre + 0.1 * RATE),
            "T": (centre, min(after, centre + 0.6 * RATE)),
        }
        found = {wave: _within(record.marks, wave, *span) for wave, span in spans.items()}
        beats.append(
            {wave: rows for wave, rows in found.items() if np.isfinite(rows).all(axis=1).sum() >= MARKED_LEADS}
        )
    return [beat for beat in beats if "QRS" in beat]


def _within(marks: list[dict[str, np.ndarray]], wave: str, first: float, last: float) -> np.ndarray:
    rows = np.full((len(marks), 3), np.nan)
    for row, lead in zip(rows, marks, strict=True):
        inside = lead[wave][
            (lead[wave][:, 1] > first) & (lead[wave][:, 1] < last) & np.isfinite(lead[wave]).all(axis=1)
        ]
        if len(inside):
            row[:] = inside[-1] if wave == "P" else inside[0]
    return rows


def _first(rows: np.ndarray) -> float:
    return float(np.nanpercentile(rows[:, 0], 10))


def _last(rows: np.ndarray) -> float:
    return float(np.nanpercentile(rows[:, 2], 90))


def _level(signal: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    """The signal against the line through the levels just before every QRS."""
    knots = np.round(onsets).astype(int) - 3
    knots = knots[knots >= 3]
    levels = np.mean([signal[:, knots + shift] for shift in range(-3, 3)], axis=0)
    line = np.stack([np.interp(np.arange(signal.shape[1]), knots, row) for row in levels])
    return signal - line


def _cut_out(signal: np.ndarray, marks: dict[str, np.ndarray], first: float, last: float) -> Piece:
    start, stop = max(int(first), 0), min(int(last) + 1, signal.shape[1])
    cut_signal = signal[:, start:stop]
    ends = cut_signal[:, :3].mean(axis=1), cut_signal[:, -3:].mean(axis=1)
    share = np.linspace(0, 1, stop - start)
    level = cut_signal - np.outer(ends[0], 1 - share) - np.outer(ends[1], share)
    fade = np.clip(np.minimum(np.arange(stop - start), np.arange(stop - start)[::-1]) / 4, 0, 1)
    return Piece(level * fade, {wave: rows - start for wave, rows in marks.items()})


@dataclass(frozen=True)
class RhythmEcg:
    """An ECG whose rhythm is known.

    Attributes:
        ecg: signal and marks of what can be seen.
        excused: per lead wave -> `(waves, 2)` samples (first, last) in which a mark is neither right nor wrong: hidden P waves,
            waves that are marked in other leads only, and those near the ends.
        beat_times: s. has_p: whether P waves lead the beats. axis: of the QRS in degrees, NaN where beats differ. spikes: s.
    """

    ecg: MarkedEcg
    excused: list[dict[str, np.ndarray]]
    beat_times: np.ndarray
    has_p: bool
    axis: float = np.nan
    spikes: np.ndarray = field(default_factory=lambda: np.zeros(0))


class Strip:
    """Ten seconds on which pieces are put; overlapping ones add up."""

    def __init__(self, rng: np.random.Generator, seconds: float = 10.0) -> None:
        self.rng = rng
        self.samples = round(seconds * RATE)
        self.signal = np.zeros((12, self.samples))
        self.placed: dict[str, list[np.ndarray]] = {wave: [] for wave in WAVES}
        self.spikes: list[float] = []

    def put(self, piece: Piece, onset: float) -> None:
        """Adds the piece, its first wave beginning at `onset` s."""
        start = round(onset * RATE - piece.onset)
        first, last = max(start, 0), min(start + piece.signal.shape[1], self.samples)
        if first < last:
            self.signal[:, first:last] += piece.signal[:, first - start : last - start]
            for wave, rows in piece.marks.items():
                self.placed[wave].append(rows + start)

    def stimulate(self, times: Iterable[float], size: tuple[float, float], after_potential: float) -> None:
        """Spikes of one sample at `times`, as large as `size` (mV) in the lead that shows them best, in leads that obey Einthoven."""
        limb = self.rng.normal(size=2)
        lead_i, lead_ii = limb
        frontal = [
            lead_i,
            lead_ii,
            lead_ii - lead_i,
            -(lead_i + lead_ii) / 2,
            lead_i - lead_ii / 2,
            lead_ii - lead_i / 2,
        ]
        vector = np.concatenate([frontal, self.rng.normal(size=6)])
        vector *= self.rng.uniform(*size) / np.abs(vector).max()
        shape = np.concatenate([[1.0], -after_potential * np.exp(-np.arange(15) / 4)])
        for time in times:
            first = round(time * RATE)
            if 0 <= first < self.samples - len(shape):
                self.signal[:, first : first + len(shape)] += np.outer(vector, shape)
                self.spikes.append(first / RATE)

    def fibrillate(self, size_mv: float) -> None:
        """Fibrillation waves: two sources of noise of 4 to 8 Hz, largest in V1."""
        spectrum = np.fft.rfft(self.rng.normal(size=(2, self.samples)))
        hertz = np.fft.rfftfreq(self.samples, 1 / RATE)
        spectrum[:, (hertz < 4) | (hertz > 8)] = 0
        sources = np.fft.irfft(spectrum, self.samples)
        sources *= size_mv / np.sqrt(2) / sources.std(axis=1, keepdims=True)
        seen = self.rng.normal(size=(2, 8)) * np.array([0.25, 0.4, 1.0, 0.6, 0.4, 0.3, 0.25, 0.2])
        lead_i, lead_ii, *chest = seen.T @ sources
        frontal = [
            lead_i,
            lead_ii,
            lead_ii - lead_i,
            -(lead_i + lead_ii) / 2,
            lead_i - lead_ii / 2,
            lead_ii - lead_i / 2,
        ]
        self.signal += np.stack([*frontal, *chest])

    def finished(self, name: str, rhythm: str, has_p: bool, one_shape: bool = True) -> RhythmEcg:
        """The strip with faint noise, and its truth."""
        time = np.arange(self.samples) / RATE
        slow = np.sin(2 * np.pi * (self.rng.uniform(0.1, 0.3) * time + self.rng.uniform(size=(12, 1))))
        noise = NOISE_MV * self.rng.normal(size=self.signal.shape) + WANDER_MV * slow
        placed = {wave: np.array(sorted(rows, key=_first)).reshape(-1, 12, 3) for wave, rows in self.placed.items()}
        ecg = MarkedEcg(name, self.signal + noise, RATE, [], rhythm)
        truth = marked(ecg, placed, hidden_p(placed))
        beats = np.nanmedian(placed["QRS"][:, :, 0], axis=1) / RATE
        beats = beats[(beats >= 0) & (beats < self.samples / RATE)]
        axis = net_axis(self.signal, placed["QRS"]) if one_shape else np.nan
        return replace(truth, beat_times=beats, has_p=has_p, axis=axis, spikes=np.array(sorted(self.spikes)))


def marked(ecg: MarkedEcg, placed: dict[str, np.ndarray], hidden: np.ndarray) -> RhythmEcg:
    """`ecg` with per-lead marks from wave -> `(waves, 12, 3)` samples.

    A wave that is `hidden`, NaN in a lead or near the ends of the record is excused there.
    """
    marks, excused = [], []
    margin = MARGIN_S * ecg.sampling_rate
    first, last = margin, ecg.signal.shape[1] - margin
    for lead in range(len(ecg.signal)):
        seen, spans = {}, {}
        for wave, rows in placed.items():
            counts = (rows[:, lead, 1] >= first) & (rows[:, lead, 1] <= last)
            if wave == "P":
                counts &= ~hidden
            seen[wave] = rows[counts, lead]
            spans[wave] = np.array([(_first(row), _last(row)) for row in rows[~counts]]).reshape(-1, 2)
        marks.append(seen | {"span": np.array([first, last])})
        excused.append(spans)
    return RhythmEcg(replace(ecg, marks=marks), excused, np.zeros(0), has_p=False)


def hidden_p(placed: dict[str, np.ndarray]) -> np.ndarray:
    """Which P waves lie within QRS complexes and T waves by more than `HIDDEN_SHARE`, `(waves,)` bool."""
    others = [(_first(row), _last(row)) for wave in ("QRS", "T") for row in placed[wave]]
    result = []
    for row in placed["P"]:
        time = np.linspace(np.nanmedian(row[:, 0]), np.nanmedian(row[:, 2]), 101)
        covered = np.any([(time >= first) & (time <= last) for first, last in others], axis=0)
        result.append(np.mean(covered) > HIDDEN_SHARE)
    return np.array(result, dtype=bool)


def net_axis(signal: np.ndarray, qrs: np.ndarray) -> float:
    """Frontal axis in degrees of the median net area of I and aVF over the marked complexes, `(beats, 12, 3)` samples."""
    areas = []
    for rows in qrs:
        start, stop = int(_first(rows)), int(_last(rows)) + 1
        if start >= 0 and stop <= signal.shape[1]:
            areas.append(signal[[0, 5], start:stop].sum(axis=1))
    lead_i, avf = np.median(areas, axis=0)
    return float(np.degrees(np.arctan2(2 / np.sqrt(3) * avf, lead_i)))


# Rhythms ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Beats:
    """Records with P waves and narrow complexes, and sets of wide complexes of one record that look alike."""

    narrow: list[Source]
    wide: list[list[Piece]]

    @classmethod
    def of(cls, records: Iterable[MarkedEcg]) -> "Beats":
        """What the records have to give; those with a pacemaker are left out, as their spikes would come along."""
        sources = [cut(record) for record in records if not any("pacing" in comment for comment in record.comments)]
        narrow = [source for source in sources if len(source.p) > 3 and _usual_qrs(source.conducted) < NARROW_S]
        groups = [pieces for source in sources for pieces in (source.conducted, source.ventricular)]
        wide = [alike for pieces in groups for alike in _alike([piece for piece in pieces if piece.qrs_s >= WIDE_S])]
        return cls(narrow, wide)


def _alike(pieces: list[Piece]) -> list[list[Piece]]:
    """The pieces in sets, each complex correlated by `ALIKE` or more with the first of its set."""
    sets: list[list[Piece]] = []
    for piece in pieces:
        for others in sets:
            if np.corrcoef(*(other.from_onset(WIDE_S).ravel() for other in (others[0], piece)))[0, 1] >= ALIKE:
                others.append(piece)
                break
        else:
            sets.append([piece])
    return sets


def _usual_qrs(pieces: list[Piece]) -> float:
    return float(np.median([piece.qrs_s for piece in pieces]))


def _walk(rng: np.random.Generator, rr: float, variation: float) -> np.ndarray:
    """Times in s, `rr` apart, from before a strip's beginning to behind its end."""
    steps = rr * (1 + variation * rng.normal(size=round(12 / rr) + 2))
    return np.cumsum(steps) - rng.uniform(1, 2) * rr


def _shortened(piece: Piece, rr: float) -> Piece:
    """The complex with a T wave that ends before the next beat, as fast hearts repolarise faster."""
    return piece.with_qt(min(piece.qt_s, max(0.88 * rr, piece.qrs_s + 0.09)))


def _tachycardia(strip: Strip, pieces: list[Piece], rr: float) -> None:
    for number, onset in enumerate(_walk(strip.rng, rr, 0.004)):
        strip.put(_shortened(pieces[number % len(pieces)], rr), onset)


def supraventricular_tachycardia(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """Narrow complexes without their P waves, 150 to 220 a minute."""
    strip, source = Strip(rng), _pick(rng, beats.narrow)
    _tachycardia(strip, source.conducted, 60 / rng.uniform(150, 220))
    return strip.finished(source.name, "supraventricular tachycardia", has_p=False)


def ventricular_tachycardia(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """Wide complexes of one record, 130 to 220 a minute, as fast as their width allows."""
    strip, pieces = Strip(rng), _pick(rng, beats.wide)
    _tachycardia(strip, pieces, max(60 / rng.uniform(130, 220), _usual_qrs(pieces) + 0.11))
    return strip.finished("wide", "ventricular tachycardia", has_p=False)


def dissociated_tachycardia(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """The same with sinus P waves that go their own way."""
    strip, pieces, atria = Strip(rng), _pick(rng, beats.wide), _pick(rng, beats.narrow)
    _tachycardia(strip, pieces, max(60 / rng.uniform(130, 190), _usual_qrs(pieces) + 0.11))
    for number, onset in enumerate(_walk(rng, 60 / rng.uniform(70, 105), 0.02)):
        strip.put(atria.p[number % len(atria.p)], onset)
    return strip.finished(atria.name, "ventricular tachycardia with AV dissociation", has_p=False)


def fibrillation(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """Narrow complexes as irregular as in fibrillation, with fine to coarse waves below."""
    strip, source, mean = Strip(rng), _pick(rng, beats.narrow), 60 / rng.uniform(65, 120)
    onset = -rng.uniform(0, 1) * mean
    while onset < 11:
        rr = float(np.clip(rng.gamma(18, mean / 18), 0.36, 1.8))
        strip.put(_shortened(_pick(rng, source.conducted), rr), onset)
        onset += rr
    strip.fibrillate(rng.uniform(0.02, 0.09))
    return strip.finished(source.name, "atrial fibrillation", has_p=False)


def wandering_pacemaker(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """Complexes of one record behind the P waves of three, some beats each, every one with its own PR interval."""
    strip, source = Strip(rng), _pick(rng, beats.narrow)
    sites = [(_pick(rng, beats.narrow).p, rng.uniform(0.13, 0.19)) for _ in range(3)]
    site, left, rr = 0, 2, 60 / rng.uniform(56, 80)
    for onset in _walk(rng, rr, 0.05):
        waves, pr = sites[site]
        strip.put(_shortened(_pick(rng, source.conducted), rr), onset)
        strip.put(_pick(rng, waves), onset - pr)
        left -= 1
        if left == 0:
            site, left = (site + int(rng.integers(1, 3))) % 3, int(rng.integers(2, 5))
    return strip.finished(source.name, "wandering pacemaker", has_p=True)


def bigeminy(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """Every sinus beat is followed by a wide one, early and without a P wave."""
    strip, source, pieces, rr = Strip(rng), _pick(rng, beats.narrow), _pick(rng, beats.wide), 60 / rng.uniform(60, 80)
    coupling, pr = max(rng.uniform(0.52, 0.66) * rr, 0.45), rng.uniform(0.13, 0.18)
    for onset in _walk(rng, 2 * rr, 0.015):
        strip.put(_shortened(_pick(rng, source.conducted), coupling), onset)
        strip.put(_pick(rng, source.p), onset - pr)
        strip.put(_pick(rng, pieces), onset + coupling)
    return strip.finished(source.name, "bigeminy", has_p=True, one_shape=False)


def complete_block(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """P waves at one rate and complexes at another, narrow or wide; where they meet they add up."""
    strip, atria = Strip(rng), _pick(rng, beats.narrow)
    pieces = _pick(rng, beats.wide) if rng.random() < 0.5 else _pick(rng, beats.narrow).conducted
    for onset in _walk(rng, 60 / rng.uniform(32, 50), 0.01):
        strip.put(_pick(rng, pieces), onset)
    for onset in _walk(rng, 60 / rng.uniform(68, 100), 0.02):
        strip.put(_pick(rng, atria.p), onset)
    return strip.finished(atria.name, "complete AV block", has_p=False)


# mV in the lead that shows the spike best, and the share of it that swings back.
UNIPOLAR, BIPOLAR = ((2.0, 8.0), 0.04), ((0.2, 0.5), 0.0)


def _pacing(
    chambers: str, spike: tuple[tuple[float, float], float]
) -> Callable[[np.random.Generator, Beats], RhythmEcg]:
    """Beats that follow spikes: the P wave, the wide complex, or both."""

    def rhythm(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
        strip, source = Strip(rng), _pick(rng, beats.narrow)
        pieces = source.conducted if chambers == "atrial" else _pick(rng, beats.wide)
        pr, rr, latency = rng.uniform(0.15, 0.19), 60 / rng.uniform(60, 85), rng.uniform(0.008, 0.030)
        onsets = _walk(rng, rr, 0.0)
        for onset in onsets:
            strip.put(_pick(rng, pieces), onset)
            if chambers != "ventricular":
                strip.put(_pick(rng, source.p), onset - pr)
        if chambers != "ventricular":
            strip.stimulate(onsets - pr - 0.012, *spike)
        if chambers != "atrial":
            strip.stimulate(onsets - latency, *spike)
        return strip.finished(source.name, f"{chambers} pacing", has_p=chambers != "ventricular")

    return rhythm


def wide_qrs(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """Sinus rhythm with wide complexes, stretched to 140 to 200 ms."""
    strip, source, pieces = Strip(rng), _pick(rng, beats.narrow), _pick(rng, beats.wide)
    factor, rr, pr = rng.uniform(0.14, 0.20) / _usual_qrs(pieces), 60 / rng.uniform(58, 85), rng.uniform(0.15, 0.19)
    for onset in _walk(rng, rr, 0.02):
        piece = _pick(rng, pieces)
        strip.put(piece.stretched(piece.onset, piece.last("QRS"), max(factor, 1.0)), onset)
        strip.put(_pick(rng, source.p), onset - pr)
    return strip.finished(source.name, "wide QRS", has_p=True)


def long_qt(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """Sinus rhythm with ST segment and T wave stretched to a QT of 480 to 560 ms."""
    strip, source, rr = Strip(rng), _pick(rng, beats.narrow), 60 / rng.uniform(55, 70)
    qt, pr = rng.uniform(0.48, 0.56), rng.uniform(0.13, 0.18)
    for onset in _walk(rng, rr, 0.02):
        strip.put(_pick(rng, source.conducted).with_qt(qt), onset)
        strip.put(_pick(rng, source.p), onset - pr)
    return strip.finished(source.name, "long QT", has_p=True)


def _pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


RETIMED: dict[str, Callable[[np.random.Generator, Beats], RhythmEcg]] = {
    "SVT": supraventricular_tachycardia,
    "VT": ventricular_tachycardia,
    "VT, dissociated P": dissociated_tachycardia,
    "AF": fibrillation,
    "wandering pacemaker": wandering_pacemaker,
    "bigeminy": bigeminy,
    "complete AV block": complete_block,
    "atrial pacing, unipolar": _pacing("atrial", UNIPOLAR),
    "atrial pacing, bipolar": _pacing("atrial", BIPOLAR),
    "ventricular pacing, unipolar": _pacing("ventricular", UNIPOLAR),
    "ventricular pacing, bipolar": _pacing("ventricular", BIPOLAR),
    "dual pacing, unipolar": _pacing("dual chamber", UNIPOLAR),
    "dual pacing, bipolar": _pacing("dual chamber", BIPOLAR),
    "wide QRS": wide_qrs,
    "long QT": long_qt,
}
