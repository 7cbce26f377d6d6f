# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What every ECG reader shares: the parts of a file before they are checked, units, limits and the final assembly."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from .ecg_lead_evidence import Evidence, LeadEvidence
from .ecg_plausibility import marks_of_missing
from .ecg_record import STANDARD_LEADS, EcgRecord, canonical_lead
from .errors_gem import EcgFormatError, EcgLeadError, GemError, MissingDependencyError

# Bounds that keep a hostile or broken file from filling the memory: 2**26 samples are 93 min of 12 leads at 1 kHz.
MAX_VALUES = 2**26
MAX_FILE_BYTES = 2**30
# Clinical ECG is sampled at 100-1000 Hz, pacemaker detection at up to 75 kHz (AHA/ACC/HRS 2007, part I).
MIN_SAMPLING_RATE, MAX_SAMPLING_RATE = 20.0, 100_000.0
# Ages above 89 identify a person (HIPAA safe harbor, 45 CFR 164.514(b)(2)(i)(C)); PTB-XL writes them as 300.
MAX_STATED_AGE = 89

_MV_PER_UNIT = {
    "v": 1e3,
    "volt": 1e3,
    "volts": 1e3,
    "mv": 1.0,
    "millivolt": 1.0,
    "millivolts": 1.0,
    "uv": 1e-3,
    "microvolt": 1e-3,
    "microvolts": 1e-3,
    "nv": 1e-6,
    "nanovolt": 1e-6,
    "nanovolts": 1e-6,
}
# The rows that an array without names can only be: the standard twelve, or the eight independent leads.
_UNNAMED_LEADS = {12: STANDARD_LEADS, 8: ("I", "II", *STANDARD_LEADS[6:])}
LEAD_AXIS_SIZES = (8, 12, 15)
# Lines of a report that name the person who signed it.
_SIGNATURE = re.compile(
    r"(confirmed|reviewed|signed|read|interpreted|verified|edited|overread)\s*(electronically\s*)?(by|:)|\bM\.?D\.?\b",
    re.IGNORECASE,
)


@dataclass
class RawEcg:
    """What a reader found in a file, before names, units and limits are checked.

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
            is not. A gain that the reader applied itself is told here too: `{"gain": ["stated", "assumed"]}`.
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

    def evidence_of(self, what: str, row: int) -> Evidence | None:
        """What the reader says of `what` ("name", "unit", "gain", "rate") of one row."""
        said = self.evidence.get(what)
        return said if said is None or isinstance(said, str) else said[row]


@dataclass(frozen=True)
class ReadOptions:
    """The caller's word on what a file may leave open; see [`load_ecg`] for the meaning of each."""

    sampling_rate: float | None = None
    leads: tuple[str, ...] | None = None
    unit: str | None = None
    gain: float | tuple[float, ...] | None = None
    record_id: str | None = None
    keep_phi: bool = False
    dataset: str | None = None
    index: int | None = None


def mv_per_unit(unit: str) -> float | None:
    """How many mV one `unit` is: `"uV"`, `"µV"`, `"Microvolts"` -> 0.001; `None` for what is no voltage."""
    return _MV_PER_UNIT.get(unit.strip().lower().replace("µ", "u").replace("μ", "u").replace("_", ""))


def decoded_text(data: bytes) -> str:
    """The text of a file: by its byte order mark (UTF-8, UTF-16), else UTF-8, else Latin-1. No byte is dropped."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def require(module: str, extra: str, what: str) -> Any:
    """The optional library `module`.

    Raises:
        MissingDependencyError: it is not installed; the message names the extra.
    """
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{what} needs the library {module.split('.')[0]!r}: pip install gem-ecg[{extra}]"
        ) from error


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


def wrapped(name: str, what: str, error: Exception) -> GemError:
    """The error of a library as ours, naming the file; ours pass through."""
    if isinstance(error, GemError):
        return error
    reason = " ".join(str(error).split())[:200] or "no reason given"
    return EcgFormatError(
        f"{name}: cannot be read as {what} ({type(error).__name__}: {reason}). The file is truncated or corrupt, "
        "or of another format; export it again."
    )


def split_signatures(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """`lines` of a report without those that name a person, and those."""
    kept: list[str] = []
    signed: list[str] = []
    for line in (" ".join(line.split()) for line in lines):
        if line:
            (signed if _SIGNATURE.search(line) else kept).append(line)
    return kept, signed


def same_rate(signals: Sequence[np.ndarray], rates: Sequence[float], leads: Sequence[str]) -> tuple[np.ndarray, float]:
    """Rows of different sampling rates as one `(leads, samples)` array at the highest of them (polyphase)."""
    highest = max(rates)
    rows = []
    for row, rate, lead in zip(signals, rates, leads, strict=True):
        rows.append(EcgRecord(row[None], (lead,), rate).resample(highest).signal[0])
    samples = min(len(row) for row in rows)
    return np.stack([row[:samples] for row in rows]), highest


def to_record(
    raw: RawEcg, options: ReadOptions, name: str, source: str | None, record_id: str | None = None
) -> EcgRecord:
    """Names, units, rate and limits checked, limb leads completed, every change written down: what `load_ecg` returns."""
    notes = list(raw.notes)
    signal = _two_dimensional(np.asarray(raw.signal), options, name, notes)
    check_size(signal.shape, name)
    leads = _named_leads(signal, raw, options, name, notes)
    rate = _stated_rate(raw, options, name, notes)
    marked = marks_of_missing(signal)
    signal, leads, kept = _in_mv(signal, leads, raw, options, name, notes)
    signal = _without_marks(signal, marked[kept], leads, notes)
    leads = _canonical_leads(leads, notes)
    evidence = {lead: _evidence(raw, options, row) for lead, row in zip(leads, kept, strict=True)}
    exact, signal = signal, _finite_or_nan(signal, leads, notes)
    metadata = _patient_free(raw, options, notes)
    duplicates = sorted({lead for lead in leads if leads.count(lead) > 1})
    if duplicates:
        raise EcgLeadError(
            f"{name}: lead name(s) {duplicates} stand more than once in {list(leads)}; which row is right? "
            "Name the rows yourself with `leads=[...]`."
        )
    return EcgRecord(
        signal=signal,
        leads=leads,
        sampling_rate=rate,
        record_id=options.record_id or record_id or name,
        source=source,
        start_time=raw.start_time if options.keep_phi else None,
        metadata=metadata,
        report=raw.report or None,
        labels=raw.labels,
        history=tuple(notes),
        evidence=evidence,
    ).with_limb_leads(exact)


def _two_dimensional(signal: np.ndarray, options: ReadOptions, name: str, notes: list[str]) -> np.ndarray:
    if signal.dtype.kind not in "iuf":
        raise EcgFormatError(f"{name}: an ECG holds real numbers, got an array of {signal.dtype}; convert it.")
    if signal.ndim == 3:
        signal = signal[chosen_record(signal.shape, options.index, name)]
    if signal.ndim == 1 and options.leads:
        rows = len(options.leads)
        if signal.size and signal.size % rows == 0:
            signal = signal.reshape(rows, -1)
            if rows > 1:
                notes.append(f"reshaped a flat array to {rows} leads x {signal.shape[1]} samples")
    elif signal.ndim == 1:
        signal = signal[None]
    if signal.ndim != 2:
        raise EcgFormatError(f"{name}: an ECG is a (leads, samples) array, got shape {signal.shape}.")
    rows, columns = signal.shape
    lead_axis = (len(options.leads),) if options.leads else LEAD_AXIS_SIZES
    if columns in lead_axis and rows not in lead_axis and rows > 10 * columns:
        notes.append(f"transposed from (samples, leads) = ({rows}, {columns})")
        return signal.T
    return signal


def _named_leads(
    signal: np.ndarray, raw: RawEcg, options: ReadOptions, name: str, notes: list[str]
) -> tuple[str, ...]:
    if options.leads:
        if raw.leads and [canonical_lead(x) for x in raw.leads] != [canonical_lead(x) for x in options.leads]:
            notes.append(f"lead names {', '.join(options.leads)} given by the caller, the file has {list(raw.leads)}")
        leads = options.leads
    elif raw.leads:
        leads = tuple(str(lead) for lead in raw.leads)
    elif len(signal) in _UNNAMED_LEADS:
        leads = _UNNAMED_LEADS[len(signal)]
        notes.append(f"no lead names in the source: {len(signal)} rows taken as {', '.join(leads)}")
    else:
        raise EcgLeadError(
            f"{name}: {len(signal)} row(s) without lead names, array of shape {signal.shape}. Name them with "
            "`leads=['I', 'II', ...]`; an array is (leads, samples)."
        )
    if len(leads) != len(signal):
        raise EcgLeadError(
            f"{name}: {len(leads)} lead names {list(leads)} for {len(signal)} rows; name each row once."
        )
    return leads


def _stated_rate(raw: RawEcg, options: ReadOptions, name: str, notes: list[str]) -> float:
    rate = options.sampling_rate if options.sampling_rate is not None else raw.sampling_rate
    if rate is None:
        raise EcgFormatError(
            f"{name}: the source states no sampling rate. Pass it in Hz, e.g. `sampling_rate=500` "
            "(`gem` commands: --sampling-rate 500)."
        )
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.integer, np.floating)):
        raise EcgFormatError(f"{name}: `sampling_rate` must be a number in Hz, got {rate!r}.")
    if not MIN_SAMPLING_RATE <= rate <= MAX_SAMPLING_RATE:
        raise EcgFormatError(
            f"{name}: a sampling rate of {rate:g} Hz is no ECG's ({MIN_SAMPLING_RATE:g} to {MAX_SAMPLING_RATE:g} Hz). "
            "State the true one in Hz with `sampling_rate=...`."
        )
    if options.sampling_rate is not None and raw.sampling_rate not in (None, rate):
        notes.append(f"sampling rate {rate:g} Hz given by the caller, the file says {raw.sampling_rate:g} Hz")
    return float(rate)


def _evidence(raw: RawEcg, options: ReadOptions, row: int) -> LeadEvidence:
    """Where the facts of one row come from: the caller overrides the source."""
    unit = raw.units if raw.units is None or isinstance(raw.units, str) else raw.units[row]
    stated = bool(unit and unit.strip()) or raw.gain is not None
    return LeadEvidence(
        name="given" if options.leads else raw.evidence_of("name", row) or ("stated" if raw.leads else "assumed"),
        unit="given"
        if options.unit or options.gain is not None
        else raw.evidence_of("unit", row) or ("stated" if stated else "assumed"),
        gain="given"
        if options.gain is not None
        else raw.evidence_of("gain", row) or (None if raw.gain is None else "stated"),
        rate="given" if options.sampling_rate is not None else raw.evidence_of("rate", row) or "stated",
    )


def _in_mv(
    signal: np.ndarray, leads: tuple[str, ...], raw: RawEcg, options: ReadOptions, name: str, notes: list[str]
) -> tuple[np.ndarray, tuple[str, ...], list[int]]:
    gain = options.gain if options.gain is not None else raw.gain if options.unit is None else None
    if gain is not None:
        return _divided_by_gain(signal, leads, gain, name, notes), leads, list(range(len(leads)))
    units = _one_unit_per_row(raw, options, len(leads), name, notes)
    if signal.dtype.kind in "iu" and all(unit is None for unit in units):
        raise EcgFormatError(
            f"{name}: the samples are integers without a unit. Pass `unit='uV'`, or `gain=` in counts per mV."
        )
    if all(unit is None for unit in units):
        notes.append("no unit in the source: taken as mV")
    scales = []
    for lead, unit in zip(leads, units, strict=True):
        scale = 1.0 if unit is None else mv_per_unit(unit)
        if scale is None and canonical_lead(lead) in STANDARD_LEADS:
            raise EcgFormatError(
                f"{name}: lead {lead} is in {unit!r}, which is no voltage; an ECG is in V, mV, uV or nV. "
                "If you know the unit, pass e.g. `unit='mV'`."
            )
        scales.append(scale)
    kept = [row for row, scale in enumerate(scales) if scale is not None]
    if not kept:
        raise EcgFormatError(
            f"{name}: no channel is a voltage: {dict(zip(leads, units, strict=True))}; an ECG is in mV or uV."
        )
    if len(kept) < len(leads):
        dropped = [f"{leads[row]} ({units[row]})" for row in range(len(leads)) if row not in kept]
        notes.append(f"dropped channels that are no voltage: {', '.join(dropped)}")
    changed = sorted({str(units[row]) for row in kept if scales[row] != 1.0})
    if changed:
        notes.append(f"converted {', '.join(changed)} to mV")
    factors = np.array([scales[row] for row in kept], dtype=np.float64)
    signal = signal[kept] if len(kept) < len(leads) else signal
    if (factors != 1.0).any() or signal.dtype.kind in "iu":
        signal = signal * factors[:, None]
    return signal, tuple(leads[row] for row in kept), kept


def _without_marks(signal: np.ndarray, marked: np.ndarray, leads: tuple[str, ...], notes: list[str]) -> np.ndarray:
    """`signal` with NaN where a device wrote its mark for a missing sample."""
    if not marked.any():
        return signal
    shares = [f"{lead} {row.mean():.1%}" for lead, row in zip(leads, marked, strict=True) if row.any()]
    notes.append(f"marks for missing samples (such as -32768) removed: {', '.join(shares)}")
    return np.where(marked, np.nan, signal)


def _one_unit_per_row(raw: RawEcg, options: ReadOptions, rows: int, name: str, notes: list[str]) -> list[str | None]:
    if isinstance(raw.units, str) or raw.units is None:
        stated: list[str | None] = [raw.units] * rows
    else:
        stated = list(raw.units)
    stated = [unit if unit and unit.strip() else None for unit in stated]
    if options.unit is None:
        return stated
    if mv_per_unit(options.unit) is None:
        raise EcgFormatError(f"{name}: unit {options.unit!r} is unknown; use 'V', 'mV', 'uV' or 'nV'.")
    if any(unit is not None and mv_per_unit(unit) != mv_per_unit(options.unit) for unit in stated):
        notes.append(f"unit {options.unit} given by the caller, the file says {sorted({str(u) for u in stated})}")
    return [options.unit] * rows


def _divided_by_gain(signal: np.ndarray, leads: tuple[str, ...], gain: Any, name: str, notes: list[str]) -> np.ndarray:
    gains = np.atleast_1d(np.asarray(gain, dtype=np.float64))
    if gains.size not in (1, len(leads)) or not np.isfinite(gains).all() or (gains == 0).any():
        raise EcgFormatError(
            f"{name}: `gain` is in counts per mV, one non-zero number or one per lead ({len(leads)}), got {gain!r}."
        )
    notes.append(f"divided by the gain {', '.join(f'{value:g}' for value in np.unique(gains))} per mV")
    return signal / gains.reshape(-1, 1)


def _canonical_leads(leads: tuple[str, ...], notes: list[str]) -> tuple[str, ...]:
    canonical = tuple(canonical_lead(lead) for lead in leads)
    renamed = [f"{old} to {new}" for old, new in zip(leads, canonical, strict=True) if old.lower() != new.lower()]
    if renamed:
        notes.append(f"renamed leads {', '.join(renamed)}")
    return canonical


def _finite_or_nan(signal: np.ndarray, leads: tuple[str, ...], notes: list[str]) -> np.ndarray:
    with np.errstate(over="ignore"):
        signal = signal.astype(np.float32)
    infinite = np.isinf(signal)
    if infinite.any():
        signal[infinite] = np.nan
        worst = [lead for lead, row in zip(leads, infinite, strict=True) if row.any()]
        notes.append(f"{int(infinite.sum())} infinite samples in {', '.join(worst)} marked as missing")
    missing = np.isnan(signal)
    if missing.any():
        shares = [f"{lead} {row.mean():.1%}" for lead, row in zip(leads, missing, strict=True) if row.any()]
        notes.append(f"missing samples kept as NaN: {', '.join(shares)}")
    return signal


def _patient_free(raw: RawEcg, options: ReadOptions, notes: list[str]) -> dict[str, Any]:
    metadata = {key: value for key, value in raw.metadata.items() if value not in (None, "", {}, [])}
    age = metadata.get("age")
    if isinstance(age, (int, float)) and age > MAX_STATED_AGE and not options.keep_phi:
        metadata["age"] = MAX_STATED_AGE + 1
        notes.append(f"age above {MAX_STATED_AGE} stated as {MAX_STATED_AGE + 1}")
    identifying = {key: value for key, value in raw.identifying.items() if value not in (None, "", [], {})}
    if options.keep_phi and identifying:
        metadata["phi"] = identifying
    elif identifying or raw.start_time:
        hidden = sorted({*identifying, *(["start time"] if raw.start_time else [])})
        notes.append(f"left out what may identify the patient: {', '.join(hidden)}")
    return metadata


def parsed_age(text: Any) -> int | None:
    """Whole years from `"56"`, `"056Y"`, `"56 years"`, `"18M"` (months); `None` where no age is stated."""
    match = re.match(r"^\s*(\d{1,3})(?:\.\d+)?\s*(?:([YMWD])\w*)?\s*$", str(text), re.IGNORECASE)
    if not match:
        return None
    per_year = {"Y": 1, "M": 12, "W": 52, "D": 365}[(match[2] or "Y").upper()]
    return int(match[1]) // per_year


def parsed_sex(text: Any) -> str | None:
    """`"F"` or `"M"` from `"Female"`, `"m"`, `"MALE"`; `None` for anything else."""
    first = str(text).strip()[:1].upper()
    return first if first in ("F", "M") and str(text).strip().upper() in ("F", "M", "FEMALE", "MALE") else None


__all__ = [
    "MAX_FILE_BYTES",
    "MAX_VALUES",
    "RawEcg",
    "ReadOptions",
    "check_size",
    "chosen_record",
    "decoded_text",
    "mv_per_unit",
    "parsed_age",
    "parsed_sex",
    "require",
    "same_rate",
    "split_signatures",
    "to_record",
    "wrapped",
]
