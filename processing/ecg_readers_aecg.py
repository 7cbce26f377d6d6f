# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""HL7 aECG (`AnnotatedECG`) -> `RawEcg`. Reference: HL7 Implementation Guide for aECG 1.0 (2005)."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from .ecg_parts import Strip, merged
from .ecg_raw import RawEcg, ReadOptions, parsed_sex
from .ecg_units import mv_per_unit
from .ecg_xml import check_equal_lengths, children, find, local_name, number, numbers, text_at
from .errors_gem import EcgFormatError

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_BEAT = "REPRESENTATIVE_BEAT"
_TIME_STAMP = re.compile(r"(\d{4,14})(\.\d+)?")
_EPOCH = datetime(1970, 1, 1)


def read_aecg(root: Any, options: ReadOptions, name: str) -> RawEcg:
    """The rhythm of an aECG: all its sequence sets on one time axis, `origin + digits * scale`.

    A digitised page keeps one sequence set per column, each with its own start: what was not recorded is NaN. A
    representative beat (a series of that code, or a derived series) is not a rhythm; the notes name it. Series that hold
    the same leads at other times are several recordings, of which `options.index` chooses one.

    Raises:
        EcgFormatError: no rhythm series, no time increment, no scale, or sets that contradict each other.
    """
    series = [found for component in children(root, "component") for found in children(component, "series")]
    rhythms = [item for item in series if _code(item) != _BEAT]
    derived = [
        found for item in series for part in children(item, "derivation") for found in children(part, "derivedSeries")
    ]
    beats = len(series) - len(rhythms) + len(derived)
    zero = _earliest(rhythms)
    strips: list[Strip] = []
    for number_of_series, item in enumerate(rhythms):
        low = _low(item)
        for number_of_set, sequences in enumerate(_sets(item)):
            part = number_of_series if len(rhythms) > 1 else number_of_set
            strips += _strips(sequences, zero if low is None else low, part, options, name)
    if not strips:
        raise EcgFormatError(
            f"{name}: this aECG has no rhythm series (component/series/component/sequenceSet); export it again."
        )
    if options.index is None and len(rhythms) > 1:
        _check_one_recording(strips, name)
    raw = merged(strips, name, options.index)
    if beats:
        raw.notes.append(f"left out {beats} representative beat(s) beside the rhythm")
    _describe(root, raw)
    return raw


def _code(item: Any) -> str:
    code = find(item, "code")
    return "" if code is None else code.get("code", "")


def _sets(series: Any) -> list[list[Any]]:
    """The sequences of each sequence set of a series."""
    sets = [found for component in children(series, "component") for found in children(component, "sequenceSet")]
    return [
        [sequence for part in children(item, "component") for sequence in children(part, "sequence")] for item in sets
    ]


def _low(series: Any) -> float | None:
    low = find(series, "effectiveTime/low")
    return None if low is None else _time_stamp(low.get("value", ""))


def _earliest(series: Sequence[Any]) -> float:
    """The earliest time that any series or set states, in seconds; 0 where none does."""
    heads = [
        _time_stamp(find(sequence, "value/head").get("value", ""))
        for item in series
        for sequences in _sets(item)
        for sequence in sequences
        if _code(sequence) == "TIME_ABSOLUTE" and find(sequence, "value/head") is not None
    ]
    return min((time for time in [*heads, *map(_low, series)] if time is not None), default=0.0)


def _time_stamp(text: str) -> float | None:
    """Seconds since 1970 of an HL7 time stamp (YYYYMMDDHHMMSS.s, may end early; time zones are left out)."""
    match = _TIME_STAMP.match(text)
    if match is None:
        return None
    try:
        time = datetime.strptime(match[1] + "00000101000000"[len(match[1]) :], "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return (time - _EPOCH) / timedelta(seconds=1) + float(match[2] or 0)


def _strips(sequences: Sequence[Any], zero: float, part: int, options: ReadOptions, name: str) -> list[Strip]:
    """The leads of one sequence set, which share its time sequence; relative times count from `zero`."""
    rate, start = options.sampling_rate, zero
    leads: list[tuple[str, Any]] = []
    for sequence in sequences:
        label, value = _code(sequence), find(sequence, "value")
        if value is None or not label:
            continue
        if not label.startswith("TIME_"):
            leads.append((label, value))
            continue
        head = find(value, "head")
        stated = "" if head is None else head.get("value", "")
        if options.sampling_rate is None:
            rate = _rate(value, name)
        if label == "TIME_ABSOLUTE":
            time = _time_stamp(stated)
            start = zero if time is None else time
        else:
            unit = "s" if head is None else head.get("unit", "s")
            start = zero + number(stated or "0", "the start of a sequence set", name) * _SECONDS.get(unit, 1.0)
    if rate is None and leads:
        raise EcgFormatError(f"{name}: a sequence set has no time sequence; pass `sampling_rate`.")
    strips = []
    for label, value in leads:
        row, unit = _samples(value, label, name)
        strips.append(Strip(label, row, float(rate or 0), unit, start, part))
    check_equal_lengths({strip.lead: len(strip.signal) for strip in strips}, name)
    return strips


def _rate(value: Any, name: str) -> float:
    increment = find(value, "increment")
    step = number(increment.get("value", "") if increment is not None else "", "the time increment", name)
    unit = increment.get("unit", "s") if increment is not None else "s"
    if step <= 0 or unit not in _SECONDS:
        raise EcgFormatError(
            f"{name}: a time increment of {step} {unit!r} gives no sampling rate; pass `sampling_rate`."
        )
    rate = 1.0 / (step * _SECONDS[unit])
    return round(rate) if abs(rate - round(rate)) < 1e-6 * rate else rate


def _samples(value: Any, label: str, name: str) -> tuple[np.ndarray, str | None]:
    """`origin + digits * scale` in the unit of the scale."""
    origin, scale = find(value, "origin"), find(value, "scale")
    if scale is None:
        raise EcgFormatError(f"{name}: lead {label} has no scale; without it the amplitudes are unknown.")
    factor = number(scale.get("value", ""), f"lead {label}'s scale", name)
    offset = number(origin.get("value", "0"), f"lead {label}'s origin", name) if origin is not None else 0.0
    if factor == 0:
        raise EcgFormatError(f"{name}: lead {label} has a scale of 0; export it again.")
    unit = scale.get("unit")
    stated = origin.get("unit", unit) if origin is not None else unit
    if offset and stated != unit:
        ours, theirs = mv_per_unit(stated or ""), mv_per_unit(unit or "")
        if ours is None or theirs is None:
            raise EcgFormatError(f"{name}: lead {label} has its origin in {stated!r} but its scale in {unit!r}.")
        offset *= ours / theirs
    return numbers(text_at(value, "digits"), label, name) * factor + offset, unit


def _check_one_recording(strips: Sequence[Strip], name: str) -> None:
    """No lead is recorded by several series at times apart."""
    by_lead: dict[str, list[Strip]] = {}
    for strip in sorted(strips, key=lambda strip: strip.start):
        by_lead.setdefault(strip.lead, []).append(strip)
    for lead, pieces in by_lead.items():
        if any(
            before.part != after.part and before.start + len(before.signal) / before.rate <= after.start
            for before, after in pairwise(pieces)
        ):
            raise EcgFormatError(
                f"{name}: several recordings ({lead} is recorded again later); choose one with `index=0`, `index=1` ..."
            )


def _describe(root: Any, raw: RawEcg) -> None:
    person = next((item for item in root.iter() if local_name(item.tag) == "subjectDemographicPerson"), None)
    subject = next((item for item in root.iter() if local_name(item.tag) == "trialSubject"), None)
    if person is not None:
        gender = find(person, "administrativeGenderCode")
        raw.metadata["sex"] = parsed_sex(gender.get("code", "")) if gender is not None else None
        birth = find(person, "birthTime")
        raw.identifying["patient name"] = (
            " ".join(" ".join(find(person, "name").itertext()).split()) if (find(person, "name") is not None) else ""
        )
        raw.identifying["birth date"] = birth.get("value", "") if birth is not None else ""
    subject_id = find(subject, "id")
    if subject_id is not None:
        raw.identifying["patient id"] = subject_id.get("extension", "") or subject_id.get("root", "")
    low = find(root, "effectiveTime/low")
    if low is not None:
        raw.identifying["acquisition date"] = low.get("value", "")


__all__ = ["read_aecg"]
