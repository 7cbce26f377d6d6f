# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Events of a long record: pauses, premature beats and their runs, the lowest and the highest rate."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .ecg_limits import (
    LONG_PAUSE_S,
    MOSTLY_REGULAR_SHARE,
    PREMATURE_RR_SHARE,
    REGULAR_RR_SHARE,
    RUN_BEATS,
    WIDE_PREMATURE_MORE_MS,
    WIDE_PREMATURE_MS,
)
from .ecg_reliability import runs

if TYPE_CHECKING:
    from .ecg_features import EcgFeatures

EVENTS_FROM_S = 60.0  # the texts of longer records list their events too
LOCAL_BEATS = 301  # some four minutes: what a beat is compared with, and longer than most runs
USUAL_WIDTH_PERCENTILE = 30  # of the surrounding QRS: in bigeminy half of them are wide
RATE_BEATS = 8  # RR intervals that the lowest and the highest rate are the mean of


@dataclass(frozen=True)
class Pause:
    """An RR interval of `LONG_PAUSE_S` or more: the beat before it and its length, in s."""

    time: float
    seconds: float


@dataclass(frozen=True)
class Run:
    """Premature beats in a row: first beat (s), how many, their mean rate (bpm), and whether they are wide or narrow."""

    time: float
    beats: int
    rate: float
    kind: Literal["wide", "narrow"]


@dataclass(frozen=True)
class RhythmEvents:
    """Events of a record, in time order.

    Attributes:
        beats: number of beats.
        wide_premature: number of premature beats with a wide QRS.
        narrow_premature: number of premature beats with a narrow QRS.
        pauses: RR intervals of 2 s or more.
        runs: three or more premature beats of one kind in a row.
        lowest_rate, highest_rate: `(time in s, bpm)` over 8 RR intervals; `None` where there are not so many.
    """

    beats: int
    wide_premature: int
    narrow_premature: int
    pauses: tuple[Pause, ...]
    runs: tuple[Run, ...]
    lowest_rate: tuple[float, float] | None
    highest_rate: tuple[float, float] | None

    @property
    def ectopy_share(self) -> float:
        """Premature beats of all beats, 0 to 1."""
        return (self.wide_premature + self.narrow_premature) / self.beats if self.beats else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "ectopy_share": round(self.ectopy_share, 5)}

    def to_text(self, most: int = 10) -> str:
        """The events line by line in time order, with the `most` longest pauses and runs."""
        premature = f"{self.wide_premature} wide and {self.narrow_premature} narrow premature beats"
        lines = [f"{self.beats} beats, {premature} ({self.ectopy_share:.1%})"]
        if self.lowest_rate and self.highest_rate:
            (low_time, low), (high_time, high) = self.lowest_rate, self.highest_rate
            lines.append(f"rate {low:.0f} bpm at {_clock(low_time)} to {high:.0f} bpm at {_clock(high_time)}")
        lines.append(f"{len(self.pauses)} pauses of {LONG_PAUSE_S:g} s or more")
        longest = sorted(self.pauses, key=lambda pause: -pause.seconds)[:most]
        lines += [f"  {_clock(p.time)} {p.seconds:.1f} s" for p in sorted(longest, key=lambda pause: pause.time)]
        lines.append(f"{len(self.runs)} runs of {RUN_BEATS} or more premature beats")
        most_beats = sorted(self.runs, key=lambda run: -run.beats)[:most]
        by_time = sorted(most_beats, key=lambda run: run.time)
        return "\n".join(lines + [f"  {_clock(r.time)} {r.beats} {r.kind} beats, {r.rate:.0f} bpm" for r in by_time])


def _clock(seconds: float) -> str:
    return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{int(seconds % 60):02d}"


def find_events(features: "EcgFeatures") -> RhythmEvents:
    """The events of a measured record.

    A beat is premature if its RR interval is below 86 % of the usual one among the 301 intervals around it (their median or, in
    bigeminy, their mean). It is wide if its QRS is 20 ms wider than usual there and at least 108 ms. Narrow premature beats count
    only where 70 % of the intervals around them are regular, because in fibrillation every second beat would be premature. RR
    intervals that contain unused seconds are ignored. `ecg_limits` has the limits and their sources.
    """
    times, rr = features.beat_times, features.rr_intervals / 1000
    premature, wide = _premature(rr, features.beat_waves["QRS"])
    pauses = [Pause(round(float(times[i]), 3), round(float(rr[i]), 3)) for i in np.flatnonzero(rr >= LONG_PAUSE_S)]
    found = [*_runs(times, rr, premature & wide, "wide"), *_runs(times, rr, premature & ~wide, "narrow")]
    lowest, highest = _rates(times, rr)
    return RhythmEvents(
        beats=len(times),
        wide_premature=int((premature & wide).sum()),
        narrow_premature=int((premature & ~wide).sum()),
        pauses=tuple(pauses),
        runs=tuple(sorted(found, key=lambda run: run.time)),
        lowest_rate=lowest,
        highest_rate=highest,
    )


def _premature(rr: np.ndarray, qrs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which beats are premature, and which are wide, `(beats,)` each; `rr` in s, NaN where it is not known."""
    from scipy.ndimage import median_filter, percentile_filter, uniform_filter1d

    width = (qrs[:, 2] - qrs[:, 0]) * 1000
    premature, known = np.zeros(len(width), dtype=bool), np.isfinite(rr)
    if known.sum() < RUN_BEATS:
        return premature, premature.copy()
    filled = np.where(known, rr, np.median(rr[known]))
    median, mean = median_filter(filled, LOCAL_BEATS), uniform_filter1d(filled, LOCAL_BEATS)
    regular = uniform_filter1d((np.abs(filled / median - 1) <= REGULAR_RR_SHARE).astype(float), LOCAL_BEATS)
    usual = percentile_filter(width, USUAL_WIDTH_PERCENTILE, LOCAL_BEATS)
    wide = (width > usual + WIDE_PREMATURE_MORE_MS) & (width > WIDE_PREMATURE_MS)
    early = known & (rr < PREMATURE_RR_SHARE * np.maximum(median, mean))
    premature[1:] = early & (wide[1:] | (regular >= MOSTLY_REGULAR_SHARE))
    return premature, wide


def _runs(times: np.ndarray, rr: np.ndarray, ectopic: np.ndarray, kind: Literal["wide", "narrow"]) -> list[Run]:
    return [
        Run(round(float(times[start]), 3), int(end - start), round(60 / float(rr[start : end - 1].mean()), 1), kind)
        for start, end in runs(ectopic)
        if end - start >= RUN_BEATS
    ]


def _rates(times: np.ndarray, rr: np.ndarray) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    if len(rr) < RATE_BEATS:
        return None, None
    mean = np.lib.stride_tricks.sliding_window_view(rr, RATE_BEATS).mean(axis=1)
    known = np.flatnonzero(np.isfinite(mean))
    if not len(known):
        return None, None
    longest, shortest = known[mean[known].argmax()], known[mean[known].argmin()]
    lowest, highest = ((round(float(times[i]), 3), round(60 / float(mean[i]), 1)) for i in (longest, shortest))
    return lowest, highest


__all__ = ["EVENTS_FROM_S", "Pause", "RhythmEvents", "Run", "find_events"]
