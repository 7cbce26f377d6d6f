# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Real P waves and QRS-T complexes, cut out of marked ECGs together with their marks."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from tests.helpers.delineation_scoring import MarkedEcg
from tests.helpers.rhythm_ecgs import first_of, last_of

RATE = 500
MARKED_LEADS = 6  # of 12, in which a wave must be marked to be cut out
LEAD_IN_S, LEAD_OUT_S = 0.008, 0.012  # what is cut out beside the outermost marks
WIDE_S, NARROW_S = 0.130, 0.110
ALIKE = 0.9
TORN_MV = 0.2  # a step this high from one sample to the next after the QRS complex is not a wave


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
        return (last_of(self.marks["QRS"]) - first_of(self.marks["QRS"])) / RATE

    @property
    def qt_s(self) -> float:
        return (last_of(self.marks["T"]) - self.onset) / RATE

    def from_onset(self, seconds: float) -> np.ndarray:
        """`(12, samples)` mV from the onset on."""
        start = round(self.onset)
        return self.signal[:, start : start + round(seconds * RATE)]

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
        j_point, end = last_of(self.marks["QRS"]), last_of(self.marks["T"])
        wanted = seconds * RATE + self.onset - j_point
        return self.stretched(j_point, end, wanted / (end - j_point))


@dataclass
class Source:
    """Waves cut out of one record: QRS-T complexes after a P wave, those without one (ventricular beats), and P waves."""

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
    signal = _level(record.signal, np.array([first_of(beat["QRS"]) for beat in beats]))
    # The first beat may be marked from its QRS on, whatever goes before.
    for beat, following in zip(beats[1:], [*beats[2:], {}], strict=True):
        if not {"QRS", "T"} <= beat.keys():
            continue
        end = last_of(beat["T"]) + LEAD_OUT_S * RATE
        if end > min((first_of(rows) for rows in following.values()), default=np.inf):
            continue
        piece = _cut_out(
            signal, {wave: beat[wave] for wave in ("QRS", "T")}, first_of(beat["QRS"]) - LEAD_IN_S * RATE, end
        )
        if np.abs(np.diff(piece.signal[:, int(last_of(piece.marks["QRS"])) + 3 :], axis=1)).max() > TORN_MV:
            continue
        (source.conducted if "P" in beat else source.ventricular).append(piece)
        if "P" in beat and last_of(beat["P"]) < first_of(beat["QRS"]):
            last = min(last_of(beat["P"]) + LEAD_OUT_S * RATE, first_of(beat["QRS"]))
            source.p.append(_cut_out(signal, {"P": beat["P"]}, first_of(beat["P"]) - LEAD_OUT_S * RATE, last))
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
class Beats:
    """Records with P waves and narrow complexes, and sets of wide complexes of one record that look alike."""

    narrow: list[Source]
    wide: list[list[Piece]]

    @classmethod
    def of(cls, records: Iterable[MarkedEcg]) -> "Beats":
        """What the records have to give; those with a pacemaker are left out, as their spikes would come along."""
        sources = [cut(record) for record in records if not any("pacing" in comment for comment in record.comments)]
        narrow = [source for source in sources if len(source.p) > 3 and usual_qrs(source.conducted) < NARROW_S]
        groups = [pieces for source in sources for pieces in (source.conducted, source.ventricular)]
        wide = [alike for pieces in groups for alike in _alike([piece for piece in pieces if piece.qrs_s >= WIDE_S])]
        return cls(narrow, wide)


def _alike(pieces: list[Piece]) -> list[list[Piece]]:
    """The pieces in sets, each complex correlated by `ALIKE` or more with the first of its set."""
    sets: list[list[Piece]] = []
    for piece in pieces:
        for others in sets:
            if np.corrcoef(others[0].from_onset(WIDE_S).ravel(), piece.from_onset(WIDE_S).ravel())[0, 1] >= ALIKE:
                others.append(piece)
                break
        else:
            sets.append([piece])
    return sets


def usual_qrs(pieces: list[Piece]) -> float:
    """Median QRS duration in s."""
    return float(np.median([piece.qrs_s for piece in pieces]))
