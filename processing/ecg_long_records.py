# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Features of long records: measured window by window, so that memory is bounded and time grows with the length."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .ecg_order_statistics import nan_median
from .ecg_record import EcgRecord
from .ecg_record_measures import findings, voltages

if TYPE_CHECKING:
    from .ecg_features import EcgFeatures

LONG_RECORD_S = 3600.0  # what is longer is measured in windows
WINDOW_S = 600.0
MARGIN_S = 15.0  # what a window sees beyond its ends: the filters' run-in and some beats
JOINED_WITHIN_S = 0.05  # parts that were left out on both sides of a window's end are one part
MEDIANS = ("p_duration", "pr_interval", "qrs_duration", "qt_interval", "qtc_bazett", "qtc_fridericia")
AXES = ("p_axis", "qrs_axis", "t_axis")
WORDS = ("rhythm_regularity", "limb_lead_reversal", "chest_lead_swap", "inverted_lead")

P_WORDS = ("p_present", "p_unclear", "flutter_waves")  # whether there are P waves, and what is known else: one answer

Progress = Callable[[int, int], None]


def measure_in_windows(
    record: EcgRecord, measure: Callable[[EcgRecord], "EcgFeatures"], progress: Progress | None = None
) -> "EcgFeatures":
    """The features of a long record, joined from its ten-minute windows.

    Beats, waves and sequences are those of the windows, which overlap by 30 s and are joined between two beats. Rate and
    variability are computed from all RR intervals. Intervals and levels are medians over the windows, axes their mean
    direction, shares their mean; words and the plausibility are those of most windows.

    Args:
        record: longer than some windows.
        measure: the features of a short record.
        progress: called with (windows finished, windows in all).
    """
    count = max(1, round(record.duration / WINDOW_S))
    ends = np.linspace(0, record.duration, count + 1)[1:]
    parts: list[EcgFeatures] = []
    begin = 0.0
    for number, end in enumerate(ends.tolist(), start=1):
        first = round(max(0.0, end - record.duration / count - MARGIN_S) * record.sampling_rate) / record.sampling_rate
        part = measure(record.between(first, end + MARGIN_S - first))
        cut = record.duration + 1 if number == count else _between_beats(part.beat_times + first, end)
        parts.append(moved(part, first, begin, cut))
        begin = cut
        if progress is not None:
            progress(number, count)
    return _joined(record, parts)


def windows_of(record: EcgRecord) -> Iterator[tuple[float, EcgRecord]]:
    """The record in windows of about ten minutes that do not overlap, each with its start in s."""
    count = max(1, round(record.duration / WINDOW_S))
    length = record.num_samples / record.sampling_rate / count
    for number in range(count):
        start = round(number * length * record.sampling_rate) / record.sampling_rate
        yield start, record.between(start, round((number + 1) * length, 3) - start)


def _between_beats(times: np.ndarray, moment: float) -> float:
    """The middle between the two beats around `moment`, in s; `moment` itself where none are near."""
    after = int(np.searchsorted(times, moment))
    if not 0 < after < len(times):
        return moment
    middle = float(times[after - 1] + times[after]) / 2
    return middle if abs(middle - moment) < MARGIN_S / 2 else moment


def moved(part: "EcgFeatures", offset: float, begin: float = -math.inf, end: float = math.inf) -> "EcgFeatures":
    """What a window that starts at `offset` found from `begin` to `end`, in the times of the record (s)."""
    times = np.round(part.beat_times + offset, 4)
    kept = (times >= begin) & (times < end)
    lone, spikes = part.lone_p_waves + offset, part.pacing_spikes + offset
    left_out = (
        (lead, max(start + offset, begin), min(stop + offset, end), reason)
        for lead, start, stop, reason in part.left_out
    )
    return replace(
        part,
        beat_times=times[kept],
        sequences={name: values[:, kept] for name, values in part.sequences.items()},
        waves={wave: marks[:, kept] + offset for wave, marks in part.waves.items()},
        beat_waves={wave: marks[kept] + offset for wave, marks in part.beat_waves.items()},
        lone_p_waves=lone[(lone[:, 1] >= begin) & (lone[:, 1] < end)],
        pacing_spikes=spikes[(spikes >= begin) & (spikes < end)],
        left_out=tuple(span for span in left_out if span[1] < span[2]),
    )


def _joined(record: EcgRecord, parts: Sequence["EcgFeatures"]) -> "EcgFeatures":
    measured = [part for part in parts if len(part.beat_times)]
    quality = {lead: joined_quality([part.quality[lead] for part in parts]) for lead in record.leads}
    left_out = tuple(without_seams(span for part in parts for span in part.left_out))
    verdict = _most(part.plausibility.verdict for part in parts)
    plausibility = next(part.plausibility for part in parts if part.plausibility.verdict == verdict)
    if not measured:
        return replace(parts[0], duration=record.duration, quality=quality, plausibility=plausibility)
    values = {
        name: nan_median(np.stack([part.lead_values[name] for part in measured]), axis=0)
        for name in measured[0].lead_values
    }
    scalars: dict[str, Any] = {
        **{name: float(nan_median(np.array([getattr(part, name) for part in measured]))) for name in MEDIANS},
        **{name: _mean_direction([getattr(part, name) for part in measured]) for name in AXES},
        **{name: _most(getattr(part, name) for part in measured) for name in WORDS},
        **dict(zip(P_WORDS, _most(tuple(getattr(part, name) for name in P_WORDS) for part in measured), strict=True)),
        **voltages(record.leads, values),
        **findings(record.leads, values),
    }
    joined = replace(
        measured[0],
        duration=record.duration,
        beat_times=np.concatenate([part.beat_times for part in measured]),
        sequences={name: _concatenated(part.sequences[name] for part in measured) for name in measured[0].sequences},
        waves={wave: _concatenated(part.waves[wave] for part in measured) for wave in measured[0].waves},
        beat_waves={
            wave: np.concatenate([part.beat_waves[wave] for part in measured]) for wave in measured[0].beat_waves
        },
        lone_p_waves=np.concatenate([part.lone_p_waves for part in measured]),
        pacing_spikes=np.concatenate([part.pacing_spikes for part in measured]),
        left_out=left_out,
        lead_values=values,
        **scalars,
        qrs_patterns={lead: _most(part.qrs_patterns.get(lead, "") for part in measured) for lead in record.leads},
        quality=quality,
        plausibility=plausibility,
    )
    rr = joined.rr_intervals[np.isfinite(joined.rr_intervals)]
    mean = float(rr.mean()) if len(rr) else math.nan
    variability = float(rr.std()) / mean if len(rr) > 1 else math.nan
    return replace(joined, heart_rate=60000 / mean, rr_interval=mean, rr_variability=variability)


def _concatenated(rows: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(rows), axis=1)


def _most(words: Iterable[Any]) -> Any:
    """The most frequent of `words`; of equally frequent ones the first."""
    return Counter(words).most_common(1)[0][0]


def _mean_direction(degrees: Sequence[float]) -> float:
    """The direction of the sum of unit vectors, in degrees; NaN where no window has one."""
    known = np.radians([angle for angle in degrees if math.isfinite(angle)])
    return math.degrees(math.atan2(np.sin(known).sum(), np.cos(known).sum())) if len(known) else math.nan


def without_seams(spans: Iterable[tuple[str, float, float, str]]) -> list[tuple[str, float, float, str]]:
    """Unused parts in time order; those that continue from one window into the next are joined."""
    found: list[tuple[str, float, float, str]] = []
    last: dict[tuple[str, str], int] = {}
    for lead, start, end, reason in spans:
        before = last.get((lead, reason))
        if before is not None and start - found[before][2] < JOINED_WITHIN_S:
            found[before] = (lead, found[before][1], end, reason)
            continue
        last[lead, reason] = len(found)
        found.append((lead, start, end, reason))
    return [(lead, round(start, 3), round(end, 3), reason) for lead, start, end, reason in sorted(found, key=_start)]


def _start(span: tuple[str, float, float, str]) -> float:
    return span[1]


def joined_quality(windows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The quality of one lead: shares and disturbances as means and medians over the windows, the verdict of most."""
    joined: dict[str, Any] = {}
    for name in windows[0]:
        values = [window[name] for window in windows]
        known = [value for value in values if value is not None]
        if name == "verdict":
            joined[name] = _most(values)
        elif name.endswith("_share"):
            joined[name] = float(np.mean(known))
        elif name == "peak_to_peak_mv":
            joined[name] = max(known, default=None)
        else:
            joined[name] = float(np.median(known))
    return joined


__all__ = ["LONG_RECORD_S", "Progress", "joined_quality", "measure_in_windows", "moved", "windows_of", "without_seams"]
