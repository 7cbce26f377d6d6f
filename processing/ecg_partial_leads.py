# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Features of records that show each lead for a part of the time only, as a printed page of columns does.

A page of 3x4 leads shows every lead for 2.5 of 10 s. Each column is measured by itself, together with the leads that are shown all along
(the rhythm strip), and the columns are joined: beats and RR intervals in time order, every lead's values from its own column.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .ecg_beat_measures import bazett, fridericia
from .ecg_long_records import moved
from .ecg_order_statistics import median, nan_median
from .ecg_quality import doubts_of_beats, lead_quality
from .ecg_record import EcgRecord
from .ecg_record_measures import findings, rhythm, voltages
from .ecg_reliability import ALL_LEADS, NOT_SHOWN
from .ecg_rules import regularity

if TYPE_CHECKING:
    from .ecg_features import EcgFeatures

    Sources = Mapping[str, Sequence["EcgFeatures"]]  # lead -> the parts that show it

# A lead is shown in part where it spans less of the record. Columns of 6x2 leads span a half.
SPANS_ALL = 0.6
SHORTEST_COLUMN_S = 1.0  # what is shorter holds no heartbeat with its surroundings
SAME_COLUMN_S = 0.3  # leads whose ends differ by less stand in one column
SAME_BEAT_S = 0.15  # marks of one beat in two columns, or in a column and a rhythm strip, are nearer than that
# Between columns that are so near one beat may be cut, and is lost where the RR interval seems so many times the usual.
ADJOINING_S, BEAT_LOST = 0.3, 1.5
SAME_RATE = 0.2  # RR intervals differ by less, as a share
EDGE_S = 0.1  # from a column's edge, where a beat is cut
SHORTEST_HOLE_S = 0.1  # what is shorter is not called left out
# So many leads that are shown all along tell enough; a page with columns has three rhythm strips at most.
ENOUGH_LEADS = 6
# Why P waves cannot be told, and how far PR may differ between columns. Of 20 ECGs of PTB-XL with atrial fibrillation, shown as 3x4, 5 had
# columns with a "PR", in none of them those of most beats within 40 ms.
IRREGULAR, SAME_PR_MS, MOST_BEATS = "few irregular beats", 40.0, 0.7
RR_SEQUENCES = ("Heart Rate", "RR Interval 1", "RR Interval 2")
WAVE_MEASURES = ("p_duration", "pr_interval", "qrs_duration", "qt_interval")
AXES = ("p_axis", "qrs_axis", "t_axis")


@dataclass(frozen=True)
class Column:
    """What is shown at the same time: rows of the signal, from `start` to `end` in s."""

    rows: tuple[int, ...]
    start: float
    end: float


def columns_of(record: EcgRecord) -> tuple[tuple[int, ...], list[Column]]:
    """The rows that are shown all along, and the columns of the others in time order. No columns where `ENOUGH_LEADS` are shown all
    along: there, a lead that lacks more than half of its samples counts as missing."""
    finite, rate = np.isfinite(record.signal), record.sampling_rate
    if finite.all():
        return tuple(range(len(finite))), []
    first = finite.argmax(axis=1) / rate
    last = (finite.shape[1] - finite[:, ::-1].argmax(axis=1)) / rate
    span = np.where(finite.any(axis=1), last - first, 0.0)
    whole = tuple(np.flatnonzero(span >= SPANS_ALL * record.duration).tolist())
    if len(whole) >= ENOUGH_LEADS:
        return whole, []
    partly = np.flatnonzero((span >= SHORTEST_COLUMN_S) & (span < SPANS_ALL * record.duration))
    found: list[Column] = []
    for row in partly[np.argsort(first[partly], kind="stable")].tolist():
        start, end = float(first[row]), float(last[row])
        for number, column in enumerate(found):
            if max(abs(column.start - start), abs(column.end - end)) < SAME_COLUMN_S:
                rows = tuple(sorted((*column.rows, row)))
                found[number] = Column(rows, min(column.start, start), max(column.end, end))
                break
        else:
            found.append(Column((row,), start, end))
    return whole, found


def measure_in_columns(
    record: EcgRecord,
    whole: Sequence[int],
    columns: Sequence[Column],
    measure: Callable[..., "EcgFeatures"],
) -> "EcgFeatures | None":
    """The features of a record of columns, or `None` where no column shows a heartbeat.

    Rate and regularity come from all RR intervals but those across a time that no column shows. Intervals are medians over the
    columns, each counted by its beats, and axes those of the column that has them.

    Args:
        record: the record.
        whole: rows that are shown all along.
        columns: of the other rows.
        measure: the features of a record whose leads are shown all along; `sure=True`: it does show heartbeats.
    """
    strip = _measured(record, Column(tuple(whole), 0.0, record.duration), measure) if whole else None
    shown = [replace(column, rows=tuple(sorted({*whole, *column.rows}))) for column in columns]
    found = [_measured(record, column, measure) for column in shown]
    if strip is None and not any(found):
        return None
    # Where others show heartbeats, two or three beats of few leads need not prove that they are some, if they come as often.
    sure = partial(measure, sure=True)
    usual = _median(np.concatenate([np.diff(part.beat_times) for part in (strip, *found) if part is not None]))
    again = [part or _measured(record, column, sure) for part, column in zip(found, shown, strict=True)]
    found = [part if part in found or _beats_as(part, usual) else None for part in again]
    parts = [(column, part) for column, part in zip(columns, found, strict=True) if part is not None]
    if not parts:
        return None
    return _joined(record, strip, parts)


def _beats_as(part: "EcgFeatures | None", rr: float) -> bool:
    """Whether the beats of a column follow each other after about `rr` s."""
    if part is None:
        return False
    intervals = np.diff(part.beat_times)
    return bool(len(intervals) and np.abs(intervals / rr - 1).max() < SAME_RATE)


def _measured(
    record: EcgRecord, column: Column, measure: Callable[[EcgRecord], "EcgFeatures"]
) -> "EcgFeatures | None":
    """The features of a column in times of the record, or `None` if it shows no heartbeat."""
    shown = record.select_leads(record.leads[row] for row in column.rows)
    part = measure(shown.between(column.start, column.end - column.start))
    return moved(part, column.start) if len(part.beat_times) else None


def _joined(
    record: EcgRecord, strip: "EcgFeatures | None", parts: Sequence[tuple[Column, "EcgFeatures"]]
) -> "EcgFeatures":
    columns = [column for column, _ in parts]
    order = [*(part for _, part in parts), *([strip] if strip is not None else [])]
    times = _beats(order, _covered(record, columns) if strip is not None else [])
    unseen = _between_columns(record, times, parts) if strip is None else []
    rr = _rr_intervals(times, unseen)
    # The first part that has a beat tells of it.
    sources = {lead: found for lead in record.leads if (found := [part for part in order if lead in part.leads])}
    values = {name: _lead_values(record, sources, name) for name in order[0].lead_values}
    measured = _measures([part for _, part in parts], rr)
    signal = np.where(np.isfinite(record.signal), record.signal, np.nan)
    quality = dict(zip(record.leads, lead_quality(signal, record.sampling_rate), strict=True))
    first = {lead: found[0] for lead, found in sources.items()}
    return replace(
        order[0],
        leads=record.leads,
        duration=record.duration,
        beat_times=times,
        sequences=_sequences(record, sources, times, rr),
        waves=_waves(record, sources, times),
        beat_waves=_beat_waves(order, times),
        lead_values=values,
        **measured,
        **rhythm(rr[np.isfinite(rr)]),
        **voltages(record.leads, values),
        **findings(record.leads, values),
        qrs_patterns={lead: part.qrs_patterns[lead] for lead, part in first.items() if lead in part.qrs_patterns},
        limb_lead_reversal=next((part.limb_lead_reversal for part in order if part.limb_lead_reversal), None),
        chest_lead_swap=next((part.chest_lead_swap for part in order if part.chest_lead_swap), None),
        lone_p_waves=strip.lone_p_waves
        if strip is not None
        else np.concatenate([part.lone_p_waves for part in order]),
        pacing_spikes=np.unique(np.concatenate([part.pacing_spikes for part in order])),
        quality=quality
        | {
            # As good as what is shown of it.
            lead: {**part.quality[lead], "missing_share": quality[lead]["missing_share"]}
            for lead, part in first.items()
        },
        left_out=(*unseen, *_left_out(record, first, parts)),
        plausibility=record.plausibility().with_doubts(doubts_of_beats(record.leads, measured, values)),
    )


def _beats(order: Sequence["EcgFeatures"], covered: Sequence[tuple[float, float]]) -> np.ndarray:
    """Every beat once, in time order. The last of `order` adds only beats outside of `covered` (s), where other leads would show them; it
    marks them where it marks its other beats, and is put right by their distance."""
    found = np.zeros(0)
    for part in order:
        times = part.beat_times
        if covered and part is order[-1]:
            distance = times[:, None] - found
            nearest = distance[np.arange(len(times)), np.abs(distance).argmin(axis=1)]
            same = nearest[np.abs(nearest) < SAME_BEAT_S]
            times = times - (median(same) if len(same) else 0.0)
            times = times[[not any(start < time < end for start, end in covered) for time in times.tolist()]]
        new = [time for time in times.tolist() if not np.any(np.abs(found - time) < SAME_BEAT_S)]
        found = np.sort(np.append(found, new))
    return np.round(found, 4)


def _covered(record: EcgRecord, columns: Sequence[Column]) -> list[tuple[float, float]]:
    """Where columns show beats, in s: not at their edges, but up to the ends of the record."""
    return [
        (
            one.start + SAME_BEAT_S if one.start > EDGE_S else -math.inf,
            one.end - SAME_BEAT_S if one.end < record.duration - EDGE_S else math.inf,
        )
        for one in columns
    ]


def _lead_values(record: EcgRecord, sources: "Sources", name: str) -> np.ndarray:
    """One of `lead_values`, `(leads,)`: the median over the parts that show a lead, each counted by its beats."""
    medians = []
    for lead in record.leads:
        parts = sources.get(lead, [])
        counts = [len(part.beat_times) for part in parts]
        medians.append(float(nan_median(np.repeat([part.lead_value(name, lead) for part in parts], counts))))
    return np.array(medians)


def _between_columns(
    record: EcgRecord, times: np.ndarray, parts: Sequence[tuple[Column, "EcgFeatures"]]
) -> list[tuple[str, float, float, str]]:
    """The seconds that no lead shows, and where two columns adjoin and a beat may be lost between them."""
    spans = [(column.start, column.end) for column, _ in sorted(parts, key=lambda shown: shown[0].start)]
    intervals, found, end = np.diff(times), [], 0.0
    for start, next_end in [*spans, (record.duration, record.duration)]:
        if start - end > ADJOINING_S:
            found.append((ALL_LEADS, round(end, 3), round(start, 3), NOT_SHOWN))
        elif 0 < end < record.duration:
            across = intervals[(times[:-1] < end) & (times[1:] > end)]
            if (across > BEAT_LOST * _median(intervals)).any():
                found.append((ALL_LEADS, round(end - EDGE_S, 3), round(start + EDGE_S, 3), NOT_SHOWN))
        end = max(end, next_end)
    return found


def _rr_intervals(times: np.ndarray, unseen: Sequence[tuple[str, float, float, str]]) -> np.ndarray:
    """From every beat to the next in ms, `(beats - 1,)`; NaN across seconds that no lead shows."""
    intervals = np.diff(times) * 1000
    for _, start, end, _ in unseen:
        intervals[(times[:-1] < end) & (times[1:] > start)] = np.nan
    return intervals


def _measures(parts: Sequence["EcgFeatures"], rr: np.ndarray) -> dict[str, Any]:
    """Rate, intervals, axes and whether there are P waves. Where columns show pacing spikes, a QRS begins behind them."""
    angles = {name: next(filter(math.isfinite, (getattr(part, name) for part in parts)), math.nan) for name in AXES}
    parts = [part for part in parts if len(part.pacing_spikes)] or parts
    parts = [part for part in parts if _is_clear(part)] or parts
    counts = [len(part.beat_times) for part in parts]
    measured: dict[str, Any] = {
        name: float(nan_median(np.repeat([getattr(part, name) for part in parts], counts))) for name in WAVE_MEASURES
    }
    # All leads together begin before each of them and end after it: of 120 records of fold 7, shown as columns, the median of the
    # columns' QRS is 2 to 4 ms short and the longest up to 4 ms long.
    longest = max((part.qrs_duration for part in parts if math.isfinite(part.qrs_duration)), default=math.nan)
    measured["qrs_duration"] = (measured["qrs_duration"] + longest) / 2
    mean = _mean(rr)
    said = Counter({(part.p_present, part.p_unclear): 0 for part in parts})
    for part, count in zip(parts, counts, strict=True):
        said[part.p_present, part.p_unclear] += count
    p_present, p_unclear = said.most_common(1)[0][0]
    if p_present and regularity(rr[np.isfinite(rr)]) == "irregular" and not _agree_on_p(parts):
        p_present, p_unclear = None, IRREGULAR
    flutter = 2 * sum(count for part, count in zip(parts, counts, strict=True) if part.flutter_waves) > sum(counts)
    if not p_present:
        measured |= {"p_duration": math.nan, "pr_interval": math.nan}
    return measured | {
        "heart_rate": 60000 / mean,
        "rr_interval": mean,
        "qtc_bazett": float(bazett(measured["qt_interval"], mean)),
        "qtc_fridericia": float(fridericia(measured["qt_interval"], mean)),
        "p_present": p_present,
        "p_unclear": p_unclear,
        "flutter_waves": flutter,
        **angles,
    }


def _agree_on_p(parts: Sequence["EcgFeatures"]) -> bool:
    """Whether most columns show P waves, at one distance: among few irregular beats, waves of fibrillation seem to repeat."""
    known = [part for part in parts if part.p_present]
    beats = sum(len(part.beat_times) for part in known)
    most = beats > MOST_BEATS * sum(len(part.beat_times) for part in parts)
    return most and bool(np.ptp([part.pr_interval for part in known]) < SAME_PR_MS)


def _is_clear(part: "EcgFeatures") -> bool:
    """Whether most leads of a column are good: noise in them hides where a QRS begins and ends."""
    return 2 * sum(found["verdict"] == "good" for found in part.quality.values()) > len(part.quality)


def _median(values: np.ndarray) -> float:
    """NaN of no values, where every column shows a single beat."""
    return float(median(values)) if len(values) else math.nan


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _places(times: np.ndarray, part: "EcgFeatures", known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the record's beats that `part` has and that are not `known` yet, and their numbers in it; then they are."""
    distance = np.abs(times[:, None] - part.beat_times)
    nearest = distance.argmin(axis=1)
    new = np.flatnonzero((distance.min(axis=1) < SAME_BEAT_S) & ~known)
    known[new] = True
    return new, nearest[new]


def _sequences(record: EcgRecord, sources: "Sources", times: np.ndarray, rr: np.ndarray) -> dict[str, np.ndarray]:
    """The 14 sequences `(leads, beats)`; the RR intervals are the record's wherever a lead shows the beat."""
    shape = len(record.leads), len(times)
    like = next(iter(sources.values()))[0].sequences
    found = {name: np.full(shape, None if row.dtype == object else np.nan, row.dtype) for name, row in like.items()}
    for row, lead in enumerate(record.leads):
        known = np.zeros(len(times), dtype=bool)
        for part in sources.get(lead, []):
            here, there = _places(times, part, known)
            for name, values in found.items():
                values[row, here] = part.sequence(name, lead)[there]
    before, after = np.append(np.nan, rr), np.append(rr, np.nan)
    rate = 60000 / np.where(np.isfinite(before), before, after)
    shown = np.isfinite(found["QRS Duration"])
    for name, values in zip(RR_SEQUENCES, (rate, before, after), strict=True):
        found[name] = np.where(shown, values, np.nan)
    return found


def _waves(record: EcgRecord, sources: "Sources", times: np.ndarray) -> dict[str, np.ndarray]:
    """Marks `(leads, beats, 3)` in s of every wave, NaN where a lead is not shown."""
    like = next(iter(sources.values()))[0].waves
    found = {wave: np.full((len(record.leads), len(times), 3), np.nan) for wave in like}
    for row, lead in enumerate(record.leads):
        known = np.zeros(len(times), dtype=bool)
        for part in sources.get(lead, []):
            here, there = _places(times, part, known)
            for wave, marks in found.items():
                marks[row, here] = part.waves[wave][part.leads.index(lead), there]
    return found


def _beat_waves(order: Sequence["EcgFeatures"], times: np.ndarray) -> dict[str, np.ndarray]:
    """Marks `(beats, 3)` in s of the heart's own waves."""
    found = {wave: np.full((len(times), 3), np.nan) for wave in order[0].beat_waves}
    known = np.zeros(len(times), dtype=bool)
    for part in order:
        here, there = _places(times, part, known)
        for wave, marks in found.items():
            marks[here] = part.beat_waves[wave][there]
    return found


def _left_out(
    record: EcgRecord, first: dict[str, "EcgFeatures"], parts: Sequence[tuple[Column, "EcgFeatures"]]
) -> tuple[tuple[str, float, float, str], ...]:
    """Leads and seconds that were not used: what a lead's own part says, and what is not shown of it."""
    spans = {record.leads[row]: (column.start, column.end) for column, _ in parts for row in column.rows}
    found = []
    for lead, part in first.items():
        found += [span for span in part.left_out if span[0] == lead and span[2] - span[1] > SHORTEST_HOLE_S]
        begin, last = spans.get(lead, (0.0, record.duration))
        for start, end in ((0.0, begin), (last, record.duration)):
            if end - start > SHORTEST_HOLE_S:
                found.append((lead, round(start, 3), round(end, 3), NOT_SHOWN))
    return tuple(found)


__all__ = ["Column", "columns_of", "measure_in_columns"]
