# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""From a reader's `RawEcg` to an `EcgRecord`: which rows are leads, their unit and rate, and the source of each fact."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .ecg_columns import UNEVEN
from .ecg_identity import OTHER_LEAD, is_lead_name, named, quoted
from .ecg_lead_evidence import Evidence, LeadEvidence
from .ecg_lead_names import (
    STANDARD_LEADS,
    UNNAMED_LEADS,
    canonical_lead,
    doubled_names,
    is_number_name,
    is_other_channel,
    leads_of_channels,
)
from .ecg_limits import MAX_PLAUSIBLE_MV
from .ecg_plausibility import marks_of_missing
from .ecg_raw import (
    LEAD_AXIS_SIZES,
    MAX_CHANNELS,
    MAX_SAMPLING_RATE,
    MAX_STATED_AGE,
    MIN_SAMPLING_RATE,
    RawEcg,
    ReadOptions,
    check_only_record,
    check_size,
    chosen_record,
)
from .ecg_record import EcgRecord
from .ecg_time_axis import rate_of_axis, rises_evenly
from .ecg_units import mv_per_unit
from .errors_gem import EcgFormatError, EcgLeadError

# The caller's name for a row that is not a lead: `leads=["II", "-", "-"]`.
NO_LEAD = "-"
# Without a unit the numbers are mV only if they can be: no lead of an ECG in mV moves by less, see `_check_span`.
_MIN_SPAN_MV = 0.05
# So many samples of a lead tell how far it moves.
_SAMPLES_OF_SPAN = 20_000


@dataclass
class _Channel:
    """A row of the source that is a lead, on its way into the record."""

    row: int
    lead: str
    unit: str | None
    named_by: Evidence

    @property
    def is_standard(self) -> bool:
        return self.lead in STANDARD_LEADS


def to_record(
    raw: RawEcg, options: ReadOptions, name: str, source: str | None, record_id: str | None = None
) -> EcgRecord:
    """The record that `load_ecg` returns. Names, units, rate and limits are checked, limb leads completed, and all changes noted.

    Raises:
        EcgLeadError: no row is a lead, it is not known which rows are leads, or a name occurs twice.
        EcgFormatError: unit or sampling rate are unknown or not possible for an ECG.
    """
    notes = list(raw.notes)
    signal = np.asarray(raw.signal)
    if signal.ndim < 3 and not raw.is_chosen:
        check_only_record(options.index, name)
    signal = _two_dimensional(signal, options, name, notes)
    check_size(signal.shape, name)
    if len(signal) > MAX_CHANNELS:
        raise EcgLeadError(
            f"{name}: {len(signal):,} rows are not leads; an ECG is a (leads, samples) array. Transpose it, or cut the file."
        )
    channels = _channels(signal, raw, options, name, notes)
    rate = _stated_rate(raw, options, name, notes)
    marked = marks_of_missing(signal)
    exact, channels = _in_mv(signal, channels, raw, options, name, notes)
    leads = tuple(channel.lead for channel in channels)
    exact = _without_marks(exact, marked[[channel.row for channel in channels]], leads, notes)
    duplicates = doubled_names(leads)
    if duplicates:
        raise EcgLeadError(
            f"{name}: lead name(s) {duplicates} occur more than once in {list(leads)}; which row is right? "
            "Name the rows yourself with `leads=[...]`."
        )
    return EcgRecord(
        signal=_finite_or_nan(exact, leads, notes),
        leads=leads,
        sampling_rate=rate,
        record_id=options.record_id or record_id or name,
        source=source,
        start_time=raw.start_time if options.keep_phi else None,
        metadata=_patient_free(raw, options, notes),
        report=raw.report or None,
        labels=raw.labels,
        history=tuple(notes),
        evidence={channel.lead: _evidence(channel, raw, options) for channel in channels},
    ).with_limb_leads(exact)


def _without_marks(signal: np.ndarray, marked: np.ndarray, leads: tuple[str, ...], notes: list[str]) -> np.ndarray:
    """`signal` with NaN in place of a device's code for missing samples."""
    if not marked.any():
        return signal
    shares = [f"{named([lead])} {row.mean():.1%}" for lead, row in zip(leads, marked, strict=True) if row.any()]
    notes.append(f"marks for missing samples (such as -32768) removed: {', '.join(shares)}")
    return np.where(marked, np.nan, signal)


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


def _channels(signal: np.ndarray, raw: RawEcg, options: ReadOptions, name: str, notes: list[str]) -> list[_Channel]:
    """The rows that are leads, with their names: those of the caller, of the source, or of a set without names."""
    names = [str(lead or "").strip() for lead in raw.leads] if raw.leads else [""] * len(signal)
    if len(names) != len(signal):
        raise EcgLeadError(f"{name}: {len(names)} lead names {names} for {len(signal)} rows; name each row once.")
    units = [raw.units] * len(signal) if raw.units is None or isinstance(raw.units, str) else list(raw.units)
    if options.leads and len(options.leads) == len(signal):
        rows = list(range(len(signal)))
    else:
        rows = _without_other_channels(signal, names, units, raw, name, notes)
    if options.leads:
        found = _named_by_caller(rows, names, options.leads, name, notes)
    elif not any(names[row] for row in rows):
        found = _named_by_number(rows, signal, name, notes)
    else:
        found = _named_by_source(rows, names, raw, name, notes)
    return [_Channel(row, lead, (units[row] or "").strip() or None, evidence) for row, lead, evidence in found]


def _without_other_channels(
    signal: np.ndarray, names: Sequence[str], units: Sequence[str | None], raw: RawEcg, name: str, notes: list[str]
) -> list[int]:
    """The rows that may be leads: not those that are not ECG by their name, and no axis of time or count of samples."""
    others = [row for row, channel in enumerate(names) if channel and is_other_channel(channel)]
    others += _accelerometer(names, units)
    axes = [
        row
        for row, channel in enumerate(names)
        if row not in others and canonical_lead(channel) not in STANDARD_LEADS and rises_evenly(signal[row])
    ]
    if raw.sampling_rate is None and axes:
        raw.sampling_rate = rate_of_axis(names[axes[0]], None, signal[axes[0]])
        raw.evidence["rate"] = "derived"
    if others:
        left_out = [quoted(f"{names[row]} ({units[row]})" if units[row] else names[row]) for row in others]
        notes.append(f"left out channels that are not ECG: {', '.join(left_out)}")
    if axes:
        called = ", ".join(quoted(names[row]) if names[row] else f"row {row + 1}" for row in axes)
        notes.append(f"left out {called}: evenly rising, a time or a count of samples")
    rows = [row for row in range(len(signal)) if row not in others and row not in axes]
    if not rows:
        raise EcgFormatError(
            f"{name}: no channel of {list(names)} is an ECG by its name. If one is, name all rows with `leads=[...]`, "
            f"{NO_LEAD!r} for those that are none."
        )
    return rows


def _accelerometer(names: Sequence[str], units: Sequence[str | None]) -> list[int]:
    """Rows x, y, z that state no unit, beside other channels that are no set of leads: a movement, not Frank's leads."""
    axes = [row for row, channel in enumerate(names) if channel.lower() in ("x", "y", "z") and not units[row]]
    standard = sum(canonical_lead(channel) in STANDARD_LEADS for channel in names)
    return axes if len(axes) == 3 < len(names) and standard < LEAD_AXIS_SIZES[0] else []


def _named_by_caller(
    rows: list[int], names: Sequence[str], leads: tuple[str, ...], name: str, notes: list[str]
) -> list[tuple[int, str, Evidence]]:
    if len(leads) != len(rows):
        raise EcgLeadError(
            f"{name}: {len(leads)} lead names {list(leads)} for {len(rows)} rows; name each row once, {NO_LEAD!r} for a "
            "row that is not a lead."
        )
    before = [names[row] for row in rows]
    if any(before) and [canonical_lead(lead) for lead in before] != [canonical_lead(lead) for lead in leads]:
        notes.append(f"lead names {named(leads)} given by the caller, the file has {named(before)}")
    found: list[tuple[int, str, Evidence]] = [
        (row, canonical_lead(lead), "given") for row, lead in zip(rows, leads, strict=True) if lead.strip() != NO_LEAD
    ]
    if not found:
        raise EcgLeadError(f"{name}: `leads` names no lead.")
    return found


def _named_by_number(
    rows: list[int], signal: np.ndarray, name: str, notes: list[str]
) -> list[tuple[int, str, Evidence]]:
    """The leads of rows without any name: twelve or eight in the standard order."""
    leads = UNNAMED_LEADS.get(len(rows))
    if leads is None:
        raise EcgLeadError(
            f"{name}: {len(rows)} row(s) without lead names, array of shape {signal.shape}. Name them with "
            "`leads=['I', 'II', ...]`; an array is (leads, samples)."
        )
    notes.append(f"no lead names in the source: {len(rows)} rows taken as {', '.join(leads)}")
    return [(row, lead, "assumed") for row, lead in zip(rows, leads, strict=True)]


def _named_by_source(
    rows: list[int], names: Sequence[str], raw: RawEcg, name: str, notes: list[str]
) -> list[tuple[int, str, Evidence]]:
    leads = leads_of_channels(tuple(names[row] for row in rows))
    found: list[tuple[int, str, Evidence]] = []
    for row, lead in zip(rows, leads, strict=True):
        if lead:
            assumed = lead in STANDARD_LEADS and is_number_name(names[row])
            called = lead if is_lead_name(lead) else f"{OTHER_LEAD} {row + 1}"
            found.append((row, called, "assumed" if assumed else raw.evidence_of("name", row) or "stated"))
    unknown = [names[row] or f"row {row + 1}" for row, lead in zip(rows, leads, strict=True) if not lead]
    if not found:
        raise EcgLeadError(
            f"{name}: the channels are called {unknown}, which are numbers and not leads. Say which they are with "
            f"`leads=['II', ...]`, one per channel, {NO_LEAD!r} for one that is not an ECG."
        )
    if unknown:
        notes.append(f"left out channels of unknown lead: {', '.join(map(quoted, unknown))}; name them with `leads`")
    renamed = [
        f"{named([names[row]])} to {named([lead])}" for row, lead, _ in found if names[row].lower() != lead.lower()
    ]
    if renamed:
        guessed = any(evidence == "assumed" for _, _, evidence in found)
        notes.append(f"renamed leads {', '.join(renamed)}{' (assumed from the whole set)' if guessed else ''}")
    return found


def _stated_rate(raw: RawEcg, options: ReadOptions, name: str, notes: list[str]) -> float:
    rate = options.sampling_rate if options.sampling_rate is not None else raw.sampling_rate
    if rate is None:
        uneven = next((f" ({note})" for note in raw.notes if note.endswith(UNEVEN)), "")
        raise EcgFormatError(
            f"{name}: the source states no sampling rate{uneven}. Pass it in Hz, e.g. `sampling_rate=500`."
        )
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.integer, np.floating)):
        raise EcgFormatError(f"{name}: `sampling_rate` must be a number in Hz, got {rate!r}.")
    if not MIN_SAMPLING_RATE <= rate <= MAX_SAMPLING_RATE:
        raise EcgFormatError(
            f"{name}: a sampling rate of {rate:g} Hz is not possible for an ECG ({MIN_SAMPLING_RATE:g} to {MAX_SAMPLING_RATE:g} Hz). "
            "State the true one in Hz with `sampling_rate=...`."
        )
    if options.sampling_rate is not None and raw.sampling_rate not in (None, rate):
        notes.append(f"sampling rate {rate:g} Hz given by the caller, the file says {raw.sampling_rate:g} Hz")
    return float(rate)


def _evidence(channel: _Channel, raw: RawEcg, options: ReadOptions) -> LeadEvidence:
    """The origin of each fact about a lead; the caller overrides the source."""
    unit, gain, rate = (raw.evidence_of(what, channel.row) for what in ("unit", "gain", "rate"))
    stated = channel.unit is not None or raw.gain is not None
    scale_given = options.unit is not None or options.gain is not None
    return LeadEvidence(
        name=channel.named_by,
        unit="given" if scale_given else unit or ("stated" if stated else "assumed"),
        gain="given" if options.gain is not None else gain or (None if raw.gain is None else "stated"),
        rate="given" if options.sampling_rate is not None else rate or "stated",
    )


def _in_mv(
    signal: np.ndarray, channels: list[_Channel], raw: RawEcg, options: ReadOptions, name: str, notes: list[str]
) -> tuple[np.ndarray, list[_Channel]]:
    """The rows of `channels` in mV, and those of them that are a voltage."""
    gain = options.gain if options.gain is not None else raw.gain if options.unit is None else None
    if gain is not None:
        return _divided_by_gain(signal, channels, gain, name, notes), channels
    if options.unit is None:
        channels = _with_known_units(signal, channels, name, notes)
    else:
        _note_unit_of_caller(options.unit, channels, name, notes)
    units = [options.unit or channel.unit or "mV" for channel in channels]
    factors = np.array([mv_per_unit(unit) for unit in units], dtype=np.float64)
    changed = sorted({unit for unit, factor in zip(units, factors, strict=True) if factor != 1.0})
    if changed:
        notes.append(f"converted {', '.join(changed)} to mV")
    rows = _rows(signal, channels)
    if (factors != 1.0).any() or signal.dtype.kind in "iu":
        rows = rows * factors[:, None]
    return rows, channels


def _rows(signal: np.ndarray, channels: list[_Channel]) -> np.ndarray:
    chosen = [channel.row for channel in channels]
    return signal if chosen == list(range(len(signal))) else signal[chosen]


def _note_unit_of_caller(unit: str, channels: list[_Channel], name: str, notes: list[str]) -> None:
    if mv_per_unit(unit) is None:
        raise EcgFormatError(f"{name}: unit {unit!r} is unknown; use 'V', 'mV', 'uV' or 'nV'.")
    others = sorted({c.unit for c in channels if c.unit is not None and mv_per_unit(c.unit) != mv_per_unit(unit)})
    if others:
        notes.append(f"unit {unit} given by the caller, the file says {', '.join(map(quoted, others))}")


def _with_known_units(signal: np.ndarray, channels: list[_Channel], name: str, notes: list[str]) -> list[_Channel]:
    """The channels that are voltages. If no channel has a unit, they are taken as mV if plausible; the unit of one is not taken for others.

    Raises:
        EcgFormatError: a lead's unit is not a voltage, or unknown.
    """
    wrong = [channel for channel in channels if channel.unit is not None and mv_per_unit(channel.unit) is None]
    for channel in wrong:
        if channel.is_standard or len(wrong) == len(channels):
            raise EcgFormatError(
                f"{name}: lead {channel.lead} is in {channel.unit!r}, which is not a voltage; an ECG is in V, mV, uV or nV. "
                "If you know the unit, pass e.g. `unit='mV'`."
            )
    if wrong:
        dropped = ", ".join(quoted(f"{channel.lead} ({channel.unit})") for channel in wrong)
        notes.append(f"dropped channels that are not voltages: {dropped}")
    kept = [channel for channel in channels if channel not in wrong]
    silent = [channel for channel in kept if channel.unit is None]
    if len(silent) == len(kept):
        _check_span(_rows(signal, kept), name)
        notes.append("no unit in the source: taken as mV")
        return kept
    stated = [channel for channel in kept if channel.unit is not None]
    if any(channel.is_standard for channel in silent) or (silent and not any(c.is_standard for c in stated)):
        raise EcgFormatError(
            f"{name}: lead {silent[0].lead} has no unit, while {stated[0].lead} is in {stated[0].unit}. "
            f"If all leads have that unit, pass `unit={stated[0].unit!r}`."
        )
    if silent:
        notes.append(f"left out channels without a unit: {named(channel.lead for channel in silent)}")
    return stated


def _check_span(rows: np.ndarray, name: str) -> None:
    """Refuses numbers without a unit that cannot be mV.

    Raises:
        EcgFormatError: integers, or whole numbers as large; most leads move by more than an ECG in mV can, or none by as
            much as the smallest one does.
    """
    cure = "Pass `unit='uV'` (or 'mV', 'V'), or `gain=` in counts per mV."
    if rows.dtype.kind in "iu":
        raise EcgFormatError(f"{name}: the samples are integers without a unit. {cure}")
    every = max(1, rows.shape[1] // _SAMPLES_OF_SPAN)
    spans = []
    for row in rows[:, ::every]:
        finite = row[np.isfinite(row)]
        spans.append(float(np.subtract(*np.percentile(finite, (99.5, 0.5)))) if len(finite) else 0.0)
    span = float(np.median(spans))
    if span > MAX_PLAUSIBLE_MV:
        whole = bool((rows[np.isfinite(rows)] % 1 == 0).all())
        what = "integers without a unit" if whole else "numbers without a unit"
        raise EcgFormatError(f"{name}: the samples are {what} and span {span:.4g}: no ECG in mV does. {cure}")
    if 0 < max(spans) < _MIN_SPAN_MV:
        raise EcgFormatError(
            f"{name}: the samples have no unit and span {max(spans):.2g} at most: too little for an ECG in mV. {cure}"
        )


def _divided_by_gain(
    signal: np.ndarray, channels: list[_Channel], gain: Any, name: str, notes: list[str]
) -> np.ndarray:
    """Counts over counts per mV; the gains are one for all, one per row of the source, or one per lead."""
    gains = np.atleast_1d(np.asarray(gain, dtype=np.float64))
    if gains.size == len(signal) > 1:
        gains = gains[[channel.row for channel in channels]]
    if gains.size not in (1, len(channels)) or not np.isfinite(gains).all() or (gains == 0).any():
        raise EcgFormatError(
            f"{name}: `gain` is in counts per mV, one non-zero number or one per lead ({len(channels)}), got {gain!r}."
        )
    notes.append(f"divided by the gain {', '.join(f'{value:g}' for value in np.unique(gains))} per mV")
    return _rows(signal, channels) / gains.reshape(-1, 1)


def _finite_or_nan(signal: np.ndarray, leads: tuple[str, ...], notes: list[str]) -> np.ndarray:
    with np.errstate(over="ignore"):
        signal = signal.astype(np.float32, copy=False)
    if all(np.isfinite(row).all() for row in signal):
        return signal
    infinite = np.isinf(signal)
    if infinite.any():
        signal = np.where(infinite, np.float32(np.nan), signal)
        worst = [lead for lead, row in zip(leads, infinite, strict=True) if row.any()]
        notes.append(f"{int(infinite.sum())} infinite samples in {named(worst)} marked as missing")
    missing = np.isnan(signal)
    shares = [f"{named([lead])} {row.mean():.1%}" for lead, row in zip(leads, missing, strict=True) if row.any()]
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


__all__ = ["NO_LEAD", "to_record"]
