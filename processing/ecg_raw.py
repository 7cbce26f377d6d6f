# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Shared by all ECG readers: `RawEcg`, the content of a file before it is checked, the caller's options, limits, helpers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from .ecg_lead_evidence import Evidence
from .ecg_limits import Sex
from .errors_gem import EcgFormatError, GemError, ReadBudgetError

# Bounds that keep a hostile or broken file from filling the memory: 2**27 values are a day of 3 leads at 500 Hz.
MAX_VALUES = 2**27
MAX_FILE_BYTES = 2**30
# What a packed file may inflate to: 64 MB in any case (half an hour of 12 leads at 500 Hz in double precision is 86 MB, and takes
# more than a megabyte packed), else so many times its own size. ECGs pack to a third or a tenth, dead channels included.
_FREE_INFLATED_BYTES, _MAX_INFLATION = 2**26, 64
# No recorder has more channels; beyond them rows are samples.
MAX_CHANNELS = 4096
# Clinical ECG is sampled at 100-1000 Hz, pacemaker detection at up to 75 kHz (AHA/ACC/HRS 2007, part I).
MIN_SAMPLING_RATE, MAX_SAMPLING_RATE = 20.0, 100_000.0
# Ages above 89 identify a person (HIPAA safe harbor, 45 CFR 164.514(b)(2)(i)(C)); PTB-XL writes them as 300.
MAX_STATED_AGE = 89

# What devices write for "no sample": the lowest number of 16 bits.
NO_SAMPLE_16 = -(2**15)
# Sizes of a second axis that can only be the leads.
LEAD_AXIS_SIZES = (8, 12, 15)


@dataclass
class RawEcg:
    """The content of a file, before names, units and limits are checked.

    Args:
        signal: `(leads, samples)` numbers in `units`; NaN for missing samples.
        leads: names as the file writes them, `None` if it has none.
        sampling_rate: Hz, `None` if the file has none.
        units: one unit for all rows or one per row; `None` where the file states none.
        gain: counts per mV, one number or one per row, where the file says it that way instead of by units.
        metadata: patient-free facts.
        identifying: facts that may identify the patient; kept as `metadata["phi"]` only on request.
        start_time: kept only on request: an exact date identifies a patient.
        evidence: where `"name"`, `"unit"`, `"gain"` or `"rate"` come from, if it is not the source that says it: one
            word for all rows, or one per row (`None`: as usual). What is absent here is "stated"; a unit that is `None`
            is not. A gain that the reader applied itself is stated here too: `{"gain": ["stated", "assumed"]}`.
        is_chosen: whether the reader took `ReadOptions.index` into account; `to_record` refuses one that names nothing.
    """

    signal: np.ndarray
    leads: Sequence[str] | None = None
    sampling_rate: float | None = None
    units: Sequence[str | None] | str | None = None
    gain: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    identifying: dict[str, Any] = field(default_factory=dict)
    report: str | None = None
    labels: Mapping[str, float] = field(default_factory=dict)
    start_time: datetime | None = None
    notes: list[str] = field(default_factory=list)
    evidence: dict[str, Evidence | Sequence[Evidence | None]] = field(default_factory=dict)
    is_chosen: bool = False

    def evidence_of(self, what: str, row: int) -> Evidence | None:
        """What the reader says of `what` ("name", "unit", "gain", "rate") of one row."""
        said = self.evidence.get(what)
        return said if said is None or isinstance(said, str) else said[row]


@dataclass(frozen=True)
class ReadOptions:
    """The caller's statements about a file; see [`load_ecg`] for the meaning of each."""

    sampling_rate: float | None = None
    leads: tuple[str, ...] | None = None
    unit: str | None = None
    gain: float | tuple[float, ...] | None = None
    record_id: str | None = None
    keep_phi: bool = False
    dataset: str | None = None
    index: int | None = None


def decoded_text(data: bytes) -> str:
    """The text of a file: by its byte order mark (UTF-8, UTF-16), else UTF-8, else Latin-1. No byte is dropped."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def check_size(shape: Iterable[int], name: str) -> None:
    """Refuses an array that would not fit into bounded memory.

    Raises:
        EcgFormatError: no samples, or more than `MAX_VALUES`.
    """
    sizes = [int(size) for size in shape]
    if any(size <= 0 for size in sizes):
        raise EcgFormatError(f"{name}: the file declares no samples (shape {tuple(sizes)}); is it truncated?")
    total = 1
    for size in sizes:
        total *= size
    if total > MAX_VALUES:
        raise EcgFormatError(
            f"{name}: {total:,} values (shape {tuple(sizes)}) are more than the {MAX_VALUES:,} that are read at once. "
            "Cut the recording into shorter files, or is the file corrupt?"
        )


def most_inflated(packed: int) -> int:
    """Bytes that a file of `packed` bytes may inflate to."""
    return max(_FREE_INFLATED_BYTES, _MAX_INFLATION * packed)


def check_inflated(inflated: int, packed: int, name: str) -> None:
    """Refuses a file whose content is out of all proportion to its size.

    Raises:
        EcgFormatError: `inflated` bytes are more than `most_inflated(packed)`.
    """
    if inflated > most_inflated(packed):
        raise EcgFormatError(
            f"{name}: {packed:,} bytes inflate to {inflated:,} or more; no ECG does (decompression bomb?). Save the signal "
            "alone, or uncompressed."
        )


def chosen_record(shape: Sequence[int], index: int | None, name: str) -> int:
    """The record meant in an array `(records, ., .)`.

    Raises:
        EcgFormatError: there are several and `index` names none of them.
    """
    if index is None and shape[0] == 1:
        return 0
    if index is None or not 0 <= index < shape[0]:
        raise EcgFormatError(
            f"{name}: {shape[0]} records in one array of shape {tuple(shape)}; choose one with `index=0` to "
            f"`index={shape[0] - 1}`."
        )
    return index


def check_only_record(index: int | None, name: str) -> None:
    """Refuses to look for another record in a source that holds one.

    Raises:
        EcgFormatError: `index` is neither `None` nor 0.
    """
    if index not in (None, 0):
        raise EcgFormatError(f"{name}: there is 1 record, and `index={index}` names none; leave out `index`.")


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory is at its end; libraries in C (pandas, HDF5) say it in words."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in said or "memory allocation failed" in said


def wrapped(name: str, what: str, error: Exception) -> GemError:
    """The error of a library as ours, naming the file; ours pass through."""
    if isinstance(error, GemError):
        return error
    if is_out_of_memory(error):
        return ReadBudgetError(
            f"{name}: there is not enough memory to read it as {what}; cut the file, or free memory."
        )
    reason = " ".join(str(error).split())[:200] or "no reason given"
    return EcgFormatError(
        f"{name}: cannot be read as {what} ({type(error).__name__}: {reason}). The file is truncated or corrupt, "
        "or of another format; export it again."
    )


def parsed_age(text: Any) -> int | None:
    """Whole years from `"56"`, `"056Y"`, `"56 years"`, `"18M"` (months); `None` where no age is stated."""
    match = re.match(r"^\s*(\d{1,3})(?:\.\d+)?\s*(?:([YMWD])\w*)?\s*$", str(text), re.IGNORECASE)
    if not match:
        return None
    per_year = {"Y": 1, "M": 12, "W": 52, "D": 365}[(match[2] or "Y").upper()]
    return int(match[1]) // per_year


_SEXES: dict[str, Sex] = {"F": "F", "FEMALE": "F", "M": "M", "MALE": "M"}


def parsed_sex(text: Any) -> Sex | None:
    """`"F"` or `"M"` from `"Female"`, `"m"`, `"MALE"`; `None` for anything else."""
    return _SEXES.get(str(text).strip().upper())


def patient_facts(sex: Any, age: Any) -> dict[str, Any]:
    """`sex` and `age` as a record's metadata hold them, from what a table states; those that it does not state are left out.
    An age above 89 years identifies a person (HIPAA safe harbor) and is stated as 90."""
    years = parsed_age(age)
    known = {"sex": parsed_sex(sex), "age": None if years is None else min(years, MAX_STATED_AGE + 1)}
    return {name: value for name, value in known.items() if value is not None}


__all__ = [
    "MAX_CHANNELS",
    "MAX_FILE_BYTES",
    "MAX_VALUES",
    "NO_SAMPLE_16",
    "RawEcg",
    "ReadOptions",
    "check_inflated",
    "check_only_record",
    "check_size",
    "chosen_record",
    "decoded_text",
    "is_out_of_memory",
    "most_inflated",
    "parsed_age",
    "parsed_sex",
    "patient_facts",
    "wrapped",
]
