# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Joins a recording that is stored in parts (multiplex groups, sequence sets, waveform blocks, segments) to one `RawEcg`.

All parts are placed on one time axis; if that is not possible the file is refused. Samples that were not recorded are NaN.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .ecg_identity import named
from .ecg_lead_evidence import Evidence
from .ecg_lead_names import is_other_channel
from .ecg_raw import RawEcg, check_size
from .ecg_record import EcgRecord
from .ecg_units import mv_per_unit
from .errors_gem import EcgFormatError

# Longer recordings (an hour of 12 leads at 400 Hz) are read in single precision, which holds 24 bits.
_MAX_DOUBLES = 2**24
# Gaps may take up to this many values; of longer recordings a share at least has to be recorded.
_MAX_GAPS, _MIN_RECORDED = 2**22, 0.01
ONE_AFTER_ANOTHER = "leads were recorded one after another: missing samples where a lead was not recorded"
# The same samples stored twice differ by rounding only: this share of the lead's range.
_SAME = 1e-3
# Pieces that follow each other may overlap by this many samples, because their start is rounded to one.
_ROUNDING_SAMPLES = 2
# A calibration pulse is 1 mV high by convention; devices differ by some percent.
_PULSE_MV = (0.8, 1.25)
# Leads that carry one and the same pulse differ by noise of the amplifiers only.
_SAME_PULSE_MV = 0.02
_MIN_LEADS_WITH_PULSE = 3
_MAX_CALIBRATION_S = 5


@dataclass(frozen=True, eq=False)
class Strip:
    """One lead of one part of a recording.

    Args:
        lead: its name as the file writes it.
        signal: `(samples,)` in `unit`.
        rate: Hz.
        unit: `None` where the file states none.
        start: seconds from the recording's beginning to the first sample.
        part: number of the part, from 0.
        evidence: see `RawEcg.evidence`, for this lead.
    """

    lead: str
    signal: np.ndarray
    rate: float
    unit: str | None = None
    start: float = 0.0
    part: int = 0
    evidence: Mapping[str, Evidence] = field(default_factory=dict)


def merged(strips: Sequence[Strip], name: str, index: int | None = None, end: float = 0.0) -> RawEcg:
    """All `strips` on one time axis at the highest of their sampling rates, leads in order of appearance.

    Pieces of one lead are joined. If a lead is stored twice for the same time (a printed column beside its rhythm strip, a
    representative beat beside the rhythm), the longer strip is kept and the other one named in the notes.

    Args:
        strips: the parts of the recording.
        name: of the file, for messages.
        index: read this part only.
        end: the least length of the recording in s, for gaps at its end.

    Raises:
        EcgFormatError: a lead has different samples in several parts and the file does not say which are valid, its units
            do not fit together, there is no such part, or the whole would be too large.
    """
    notes: list[str] = []
    parts = sorted({strip.part for strip in strips})
    if index is not None:
        strips = _only_part(strips, parts, index, name, notes)
    elif len(parts) > 1:
        notes.append(f"joined {len(parts)} parts of the recording")
    strips = _at_one_rate(strips, notes)
    rate = strips[0].rate
    rows = _rows(strips, name)
    first = min(strip.start for strip in strips)
    last = max(max(strip.start - first + len(strip.signal) / rate for strip in strips), end - first)
    if not np.isfinite([last, *(strip.start for strip in strips)]).all():
        raise EcgFormatError(f"{name}: a part of the recording has a start that is not a number; export it again.")
    samples = round(last * rate)
    check_size((len(rows), samples), name)
    if all(len(row) == 1 and len(row[0].signal) == samples for row in rows):
        signal = _stacked([row[0].signal for row in rows])
    else:
        _check_gaps(rows, samples, name)
        covered: dict[float, list[str]] = {}
        signal = np.full(
            (len(rows), samples), np.nan, np.float32 if len(rows) * samples > _MAX_DOUBLES else np.float64
        )
        for row, place in zip(rows, signal, strict=True):
            _place(row, place, first, name, covered)
        for seconds, leads in covered.items():
            notes.append(f"left out {named(leads)} of {seconds:g} s: longer strips of the same leads were recorded")
        if len({tuple((strip.start, len(strip.signal)) for strip in row) for row in rows}) > 1:
            notes.append(ONE_AFTER_ANOTHER)
    # A record keeps a read-only array without copying it.
    signal.setflags(write=False)
    return RawEcg(
        signal,
        [row[0].lead for row in rows],
        rate,
        [row[0].unit for row in rows],
        notes=notes,
        evidence={
            what: [row[0].evidence.get(what) for row in rows]
            for what in dict.fromkeys(what for row in rows for what in row[0].evidence)
        },
        is_chosen=index is not None,
    )


def empty_rows(lengths: Sequence[int]) -> list[np.ndarray]:
    """An array to fill for each signal of the given length; those of one length are rows of one array.

    `merged` does not copy such rows, so that a day's recording is in memory once.
    """
    dtype = np.float32 if sum(lengths) > _MAX_DOUBLES else np.float64
    if len(set(lengths)) == 1:
        return list(np.empty((len(lengths), lengths[0]), dtype))
    return [np.empty(length, dtype) for length in lengths]


def _stacked(rows: list[np.ndarray]) -> np.ndarray:
    whole = rows[0].base
    if whole is None or whole.shape != (len(rows), len(rows[0])):
        return np.stack(rows)
    starts = [row.ctypes.data for row in rows]
    if starts != [whole[place].ctypes.data for place in range(len(rows))]:
        return np.stack(rows)
    return whole


def _only_part(
    strips: Sequence[Strip], parts: Sequence[int], index: int, name: str, notes: list[str]
) -> Sequence[Strip]:
    if not 0 <= index < len(parts):
        raise EcgFormatError(
            f"{name}: there is no part {index}; the recording has {len(parts)}, `index=0` to `index={len(parts) - 1}`."
        )
    if len(parts) > 1:
        others = {strip.lead: None for strip in strips if strip.part != parts[index]}
        notes.append(f"took part {index} of {len(parts)} as asked, left out {named(others)}")
    return [strip for strip in strips if strip.part == parts[index]]


def _at_one_rate(strips: Sequence[Strip], notes: list[str]) -> Sequence[Strip]:
    """The strips at the highest rate of those that may be ECG; where rates differ, only these are kept."""
    if len({strip.rate for strip in strips}) == 1:
        return strips
    kept = [strip for strip in strips if _may_be_ecg(strip)]
    if kept and len(kept) < len(strips):
        others = [f"{strip.lead} ({strip.unit})" for strip in strips if not _may_be_ecg(strip)]
        notes.append(f"left out channels that are not ECG: {named(dict.fromkeys(others))}")
        strips = kept
    rates = sorted({strip.rate for strip in strips})
    if len(rates) == 1:
        return strips
    notes.append(f"resampled leads of {', '.join(f'{rate:g}' for rate in rates[:-1])} Hz to {rates[-1]:g} Hz")
    return [_resampled(strip, rates[-1]) for strip in strips]


def _may_be_ecg(strip: Strip) -> bool:
    return (strip.unit is None or mv_per_unit(strip.unit) is not None) and not is_other_channel(strip.lead)


def _resampled(strip: Strip, rate: float) -> Strip:
    if strip.rate == rate:
        return strip
    record = EcgRecord(strip.signal[None], (strip.lead,), strip.rate).resample(rate)
    return replace(strip, signal=record.signal[0], rate=rate)


def _rows(strips: Iterable[Strip], name: str) -> list[list[Strip]]:
    """The strips of each lead, in its first strip's unit; a name that occurs twice within one part is two rows."""
    rows: dict[tuple[str, int], list[Strip]] = {}
    seen: dict[tuple[int, str], int] = {}
    for strip in strips:
        count = seen[strip.part, strip.lead] = seen.get((strip.part, strip.lead), 0) + 1
        row = rows.setdefault((strip.lead, count), [])
        row.append(_in_unit(strip, row[0].unit if row else strip.unit, name))
    return list(rows.values())


def _in_unit(strip: Strip, unit: str | None, name: str) -> Strip:
    if strip.unit == unit:
        return strip
    ours = mv_per_unit(strip.unit) if strip.unit else None
    theirs = mv_per_unit(unit) if unit else None
    if ours is None or theirs is None:
        raise EcgFormatError(
            f"{name}: lead {strip.lead} is in {unit or 'no stated unit'} in one part of the recording and in "
            f"{strip.unit or 'no stated unit'} in another; read one part with `index=`, or pass `unit=`."
        )
    return replace(strip, signal=strip.signal * (ours / theirs), unit=unit)


def _check_gaps(rows: Sequence[Sequence[Strip]], samples: int, name: str) -> None:
    """Refuses a long recording that is all but empty: its parts are recordings of their own, or their times are wrong."""
    values, recorded = len(rows) * samples, sum(len(strip.signal) for row in rows for strip in row)
    if values > _MAX_GAPS and recorded < _MIN_RECORDED * values:
        raise EcgFormatError(
            f"{name}: the parts of the recording lie far apart: {recorded:,} of {values:,} samples were recorded. Read one "
            "part with `index=0`, `index=1` ..., or correct the times."
        )


def _place(strips: list[Strip], row: np.ndarray, first: float, name: str, covered: dict[float, list[str]]) -> None:
    """Enters one lead's strips in `row`; the longest first, so that shorter ones only fill what it lacks.

    Shorter strips that differ from what a longer one holds for their time are entered in `covered`, by their seconds.
    """
    spans: list[tuple[int, int]] = []
    for strip in sorted(strips, key=lambda strip: -len(strip.signal)):
        start = round((strip.start - first) * strip.rate)
        stop = min(start + len(strip.signal), len(row))
        place, new = row[start:stop], strip.signal[: stop - start]
        stored = ~np.isnan(place)
        twice = stored & ~np.isnan(new)
        tolerance = _SAME * float(np.ptp(place[twice])) if twice.any() else 0.0
        if twice.sum() <= _ROUNDING_SAMPLES or (np.abs(place[twice] - new[twice]) <= tolerance).all():
            place[~stored] = new[~stored]
        elif any(a <= start and stop <= b and stop - start < b - a for a, b in spans):
            covered.setdefault(len(new) / strip.rate, []).append(strip.lead)
        else:
            raise EcgFormatError(
                f"{name}: lead {strip.lead} stands in several parts of the recording with different samples for the "
                "same time; choose the part with `index=0`, `index=1` ..."
            )
        spans.append((start, stop))


def without_calibration(raw: RawEcg) -> RawEcg:
    """`raw` without whole seconds at its end in which every lead holds one and the same calibration pulse.

    Devices that append it (Philips 1.03) do not mark it. No heart does this: were I, II and III equal, all were zero by
    Einthoven's law.
    """
    if raw.sampling_rate is None or len(raw.signal) < _MIN_LEADS_WITH_PULSE or raw.signal.ndim != 2:
        return raw
    units = [raw.units] * len(raw.signal) if isinstance(raw.units, str) or raw.units is None else raw.units
    scales = [mv_per_unit(unit) if unit else None for unit in units]
    if any(scale is None for scale in scales):
        return raw
    tail = raw.signal[:, -round(_MAX_CALIBRATION_S * raw.sampling_rate) :] * np.array(scales, dtype=float)[:, None]
    same = np.ptp(tail, axis=0) <= _SAME_PULSE_MV
    length = int(np.argmin(same[::-1])) if not same.all() else len(same)
    seconds = int(length / raw.sampling_rate + 0.05)
    cut = min(round(seconds * raw.sampling_rate), length)
    if cut == 0 or cut >= raw.signal.shape[1] or not _PULSE_MV[0] <= np.ptp(tail[0, -cut:]) <= _PULSE_MV[1]:
        return raw
    raw.signal = raw.signal[:, :-cut]
    raw.notes.append(f"cut off the calibration pulse at the end: the last {cut / raw.sampling_rate:g} s of every lead")
    return raw


__all__ = ["ONE_AFTER_ANOTHER", "Strip", "empty_rows", "merged", "without_calibration"]
