# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Scores P/QRS/T marks against LUDB's cardiologist marks: per lead, and per beat over all leads."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from processing.ecg_delineation import Delineation
from processing.ecg_order_statistics import nan_median

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
WAVES = ("P", "QRS", "T")
POINTS = ("onset", "peak", "offset")
SYMBOLS = {"p": "P", "N": "QRS", "t": "T"}
TOLERANCE_S = 0.150  # the tolerance of ANSI/AAMI-EC57:1998, as in the delineation literature


@dataclass
class MarkedEcg:
    """A record with reference marks: `marks[lead][wave]` is `(waves, 3)` samples (onset, peak, offset)."""

    name: str
    signal: np.ndarray
    sampling_rate: float
    marks: list[dict[str, np.ndarray]]
    rhythm: str
    comments: list[str] = field(default_factory=list)


def read_ludb(folder: Path, every: int = 1) -> list[MarkedEcg]:
    """All LUDB records of a folder, in mV (digital values are microvolts; the header's gains rescale every lead)."""
    import wfdb

    records = []
    for header in sorted(Path(folder).glob("*.hea"), key=lambda path: int(path.stem))[::every]:
        stem = str(header.with_suffix(""))
        record = wfdb.rdrecord(stem, physical=False)
        marks = [_read_marks(stem, lead.lower()) for lead in LEADS]
        comments = [line.strip() for line in record.comments]
        rhythm = next((line.split(":")[1].strip(" .") for line in comments if line.startswith("Rhythm")), "unknown")
        records.append(MarkedEcg(header.stem, record.d_signal.T / 1000.0, record.fs, marks, rhythm, comments))
    return records


def _read_marks(stem: str, extension: str) -> dict[str, np.ndarray]:
    import wfdb

    annotation = wfdb.rdann(stem, extension)
    samples, symbols = annotation.sample, annotation.symbol
    waves = defaultdict(list)
    for i, symbol in enumerate(symbols):
        if symbol in SYMBOLS:
            onset = samples[i - 1] if i and symbols[i - 1] == "(" else np.nan
            offset = samples[i + 1] if i + 1 < len(symbols) and symbols[i + 1] == ")" else np.nan
            waves[SYMBOLS[symbol]].append((onset, samples[i], offset))
    marks = {wave: np.array(waves[wave], dtype=float).reshape(-1, 3) for wave in WAVES}
    marks["span"] = np.array([samples[0], samples[-1]], dtype=float) if len(samples) else np.zeros(2)
    return marks


def match(truth: np.ndarray, found: np.ndarray, tolerance: float) -> list[tuple[int, int]]:
    """One-to-one pairs (truth index, found index), nearest first, no farther apart than `tolerance`."""
    if not len(truth) or not len(found):
        return []
    distance = np.abs(found[None] - truth[:, None])
    pairs, taken = [], set()
    for i in np.argsort(distance.min(axis=1)):
        j = int(distance[i].argmin())
        if distance[i, j] <= tolerance and j not in taken:
            taken.add(j)
            pairs.append((int(i), j))
    return pairs


class DelineationScore:
    """Counts and errors (ms) of detections against truth; `add` per record, then `table` or `row`."""

    def __init__(self) -> None:
        self.counts = {(wave, point): np.zeros(3, dtype=int) for wave in WAVES for point in POINTS}
        self.errors: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.beat_errors: dict[str, list[float]] = defaultdict(list)

    def add(self, record: MarkedEcg, found: list[dict[str, np.ndarray]], leads: range | None = None) -> None:
        """`found` has the layout of `record.marks`; only what lies between a lead's first and last mark counts."""
        for lead in leads if leads is not None else range(len(record.marks)):
            self._add_lead(record.marks[lead], found[lead], record.sampling_rate)
        if leads is None:
            self._add_beats(record.marks, found, record.sampling_rate)

    def _add_lead(self, truth: dict[str, np.ndarray], found: dict[str, np.ndarray], rate: float) -> None:
        first, last = truth["span"]
        for wave in WAVES:
            for column, point in enumerate(POINTS):
                reference = truth[wave][:, column]
                reference = reference[np.isfinite(reference)]
                marks = np.asarray(found[wave], dtype=float).reshape(-1, 3)[:, column]
                marks = marks[np.isfinite(marks)]
                pairs = match(reference, marks, TOLERANCE_S * rate)
                spare = np.delete(marks, [j for _, j in pairs])
                extra = int(((spare >= first) & (spare <= last)).sum())
                self.counts[wave, point] += (len(pairs), len(reference) - len(pairs), extra)
                self.errors[wave, point] += [(marks[j] - reference[i]) / rate * 1000 for i, j in pairs]

    def _add_beats(self, truth: list[dict], found: list[dict], rate: float) -> None:
        reference, marks = median_beats(truth, rate), median_beats(found, rate)
        for i, j in match(reference["R"], marks["R"], 0.1 * rate):
            for name in reference:
                error = (marks[name][j] - reference[name][i]) / rate * 1000
                if name != "R" and np.isfinite(error) and abs(error) <= TOLERANCE_S * 1000:
                    self.beat_errors[name].append(error)

    def f1(self, wave: str) -> float:
        hits, missed, extra = self.counts[wave, "peak"]
        return 2 * hits / max(2 * hits + missed + extra, 1)

    def sensitivity_ppv(self, wave: str) -> tuple[float, float]:
        hits, missed, extra = self.counts[wave, "peak"]
        return hits / max(hits + missed, 1), hits / max(hits + extra, 1)

    def summary(self) -> dict[str, tuple[float, float]]:
        """(mean, SD) in ms of every mark per lead, and of every median mark and interval per beat."""
        result = {f"{wave} {point}": _mean_sd(self.errors[wave, point]) for wave in WAVES for point in POINTS}
        return result | {f"global {name}": _mean_sd(errors) for name, errors in self.beat_errors.items()}


def marks_of(delineation: Delineation | None, leads: int = 12) -> list[dict[str, np.ndarray]]:
    """Our delineation in the layout of `MarkedEcg.marks`, including P waves without a QRS."""
    if delineation is None:
        return [{wave: np.zeros((0, 3)) for wave in WAVES} for _ in range(leads)]
    return [
        {
            "P": np.concatenate([delineation.p.per_lead[lead], delineation.lone_p.per_lead[lead]]),
            "QRS": delineation.qrs.per_lead[lead],
            "T": delineation.t.per_lead[lead],
        }
        for lead in range(len(delineation.live))
    ]


def _mean_sd(values: list[float]) -> tuple[float, float]:
    return (float(np.mean(values)), float(np.std(values))) if values else (float("nan"), float("nan"))


def median_beats(marks: list[dict[str, np.ndarray]], rate: float) -> dict[str, np.ndarray]:
    """Per beat the median over the leads of every mark (samples) and of PR, QRS, QT taken from these medians."""
    peaks = np.sort(np.concatenate([lead["QRS"][:, 1] for lead in marks]))
    peaks = peaks[np.isfinite(peaks)]
    if not len(peaks):
        return {"R": np.zeros(0)}
    groups = np.split(peaks, np.flatnonzero(np.diff(peaks) > 0.2 * rate) + 1)
    beats = np.array([np.median(group) for group in groups if len(group) >= len(marks) / 4])
    result = {"R": beats}
    for wave in WAVES:
        per_lead = np.stack([_waves_of_beats(lead[wave], beats, wave, rate) for lead in marks])
        counts = np.isfinite(per_lead[:, :, 1]).sum(axis=0)
        per_lead[:, counts < max(1, len(marks) // 4)] = np.nan
        medians = nan_median(per_lead, axis=0)
        result |= {f"{wave} {point}": medians[:, column] for column, point in enumerate(POINTS)}
    result["PR"] = result["QRS onset"] - result["P onset"]
    result["QRS"] = result["QRS offset"] - result["QRS onset"]
    result["QT"] = result["T offset"] - result["QRS onset"]
    return result


def _waves_of_beats(waves: np.ndarray, beats: np.ndarray, wave: str, rate: float) -> np.ndarray:
    """The wave that belongs to each beat, `(beats, 3)`: the last P before, the QRS at, the first T after it."""
    result = np.full((len(beats), 3), np.nan)
    waves = np.asarray(waves, dtype=float).reshape(-1, 3)
    waves = waves[np.isfinite(waves[:, 1])]
    for i, beat in enumerate(beats):
        before = beats[i - 1] if i else -np.inf
        after = beats[i + 1] if i + 1 < len(beats) else np.inf
        if wave == "QRS":
            chosen = waves[np.abs(waves[:, 1] - beat) < 0.1 * rate][:1]
        elif wave == "P":
            chosen = waves[(waves[:, 1] > max(before, beat - 0.5 * rate)) & (waves[:, 1] < beat)][-1:]
        else:
            chosen = waves[(waves[:, 1] > beat) & (waves[:, 1] < min(after, beat + 0.7 * rate))][:1]
        if len(chosen):
            result[i] = chosen[0]
    return result
