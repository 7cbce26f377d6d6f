# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Named columns (of a text table, a DataFrame or a dict) -> `RawEcg`: finds leads and time axes and drops other columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .ecg_identity import named, quoted
from .ecg_lead_names import STANDARD_LEADS, canonical_lead
from .ecg_raw import RawEcg
from .ecg_time_axis import is_clock, is_time_name, places_on_axis, rate_of_axis, rises_evenly, seconds_of_clock
from .ecg_units import name_and_unit
from .errors_gem import EcgFormatError

# Rates from two time columns of one file differ by less.
_SAME_RATE = 0.01
BRIDGED_S = 0.02  # between two samples of a table whose times have holes
UNEVEN = "its samples do not follow each other evenly, and no sampling rate is taken from it"


@dataclass
class Column:
    """A column of a table: its head, the unit if it stands elsewhere, and its cells: numbers, times or text."""

    head: str
    cells: np.ndarray
    unit: str | None = None

    def __post_init__(self) -> None:
        if self.unit is None:
            self.head, self.unit = name_and_unit(self.head)
        if self.cells.dtype.kind in "mM":
            self.cells, self.unit = self.cells.astype(f"{self.cells.dtype.kind}8[ns]").astype(np.int64), "ns"
        elif self.cells.dtype.kind in "OUST":
            self._as_numbers()

    def _as_numbers(self) -> None:
        """Cells of objects as numbers or seconds where they are, else as text."""
        try:
            self.cells = np.array([np.nan if cell is None else cell for cell in self.cells], dtype=np.float64)
        except (TypeError, ValueError):
            words = [str(cell) for cell in self.cells]
            if sum(map(is_clock, words[:100])) * 2 > min(len(words), 100):
                self.cells, self.unit = seconds_of_clock(words), "s"

    @property
    def is_numeric(self) -> bool:
        """Whether the cells are booleans, integers or floats."""
        return self.cells.dtype.kind in "iufb"

    @property
    def is_axis(self) -> bool:
        """Time or a count of samples, by its name or because it only rises."""
        if canonical_lead(self.head) in STANDARD_LEADS:
            return False
        return is_time_name(self.head) or rises_evenly(self.cells)


def raw_from_columns(columns: Sequence[Column], name: str, rate: float | None = None) -> RawEcg:
    """The leads among `columns`; the sampling rate from a time column, unless it is known to be `rate` (Hz).

    Raises:
        EcgFormatError: no column can be a lead.
    """
    raw = RawEcg(np.empty((0, 0)), sampling_rate=rate)
    text = [column for column in columns if not column.is_numeric]
    axes = [column for column in columns if column.is_numeric and column.is_axis]
    leads = [column for column in columns if column.is_numeric and not any(column is axis for axis in axes)]
    if not leads:
        raise EcgFormatError(
            f"{name}: no column of {[column.head for column in columns][:20]} is a lead; one column per lead is needed."
        )
    if text:
        raw.notes.append(f"left out columns of text: {named(column.head for column in text)}")
    for column in axes:
        raw.notes.append(f"left out the column {quoted(column.head)}: time or a count")
    _take_rate(raw, axes)
    raw.signal = _with_holes(raw, np.stack([column.cells for column in leads]), axes)
    raw.leads = [column.head for column in leads] if any(column.head for column in leads) else None
    raw.units = [column.unit for column in leads]
    return raw


def _take_rate(raw: RawEcg, axes: Sequence[Column]) -> None:
    rates = {column.head: rate_of_axis(column.head, column.unit, column.cells) for column in axes}
    told = {head: rate for head, rate in rates.items() if rate is not None}
    if raw.sampling_rate is None and told:
        raw.sampling_rate = next(iter(told.values()))
        raw.evidence["rate"] = "derived"
    for head, rate in told.items():
        if raw.sampling_rate and abs(rate - raw.sampling_rate) > _SAME_RATE * raw.sampling_rate:
            raw.notes.append(f"the column {head!r} gives {rate:g} Hz, not {raw.sampling_rate:g} Hz")


def _with_holes(raw: RawEcg, signal: np.ndarray, axes: Sequence[Column]) -> np.ndarray:
    """`signal` `(leads, samples)` as a time column places its samples; one that goes back is noted.

    Up to `BRIDGED_S` between two samples are interpolated, longer holes are NaN.
    """
    for column in axes:
        if rate_of_axis(column.head, column.unit, column.cells) is not None:
            return signal
        found = places_on_axis(column.head, column.unit, column.cells)
        if found is not None:
            places, rate = found
            grid = np.arange(places[-1] + 1)
            whole = np.stack([np.interp(grid, places, row) for row in signal])
            holes = np.diff(places)[np.searchsorted(places[1:], grid)]
            holes[places] = 1
            missing = holes > BRIDGED_S * rate
            whole[:, missing] = np.nan
            counts = {"missing": int(missing.sum()), "interpolated": len(grid) - len(places) - int(missing.sum())}
            told = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
            raw.notes.append(f"samples that the column {quoted(column.head)} leaves out: {told}")
            if raw.sampling_rate is None:
                raw.sampling_rate, raw.evidence["rate"] = rate, "derived"
            return whole
        if is_time_name(column.head) and (np.diff(column.cells.astype(np.float64)) < 0).any():
            raw.notes.append(f"the column {quoted(column.head)} goes back in time: {UNEVEN}")
    return signal


def is_frame(source: Any) -> bool:
    """Whether `source` is a DataFrame or a Series of pandas or polars, by its methods: neither is imported."""
    return hasattr(source, "to_frame") or (
        hasattr(source, "columns") and (hasattr(source, "iloc") or hasattr(source, "get_column"))
    )


def raw_from_frame(frame: Any, name: str) -> RawEcg:
    """A DataFrame or Series of pandas or polars: one column per lead, or (pandas) one row per lead named by the index.

    Raises:
        EcgFormatError: no column can be a lead.
    """
    if hasattr(frame, "to_frame"):
        frame = frame.to_frame()
    heads = [str(head) for head in frame.columns]
    if not hasattr(frame, "iloc"):
        return raw_from_columns([Column(head, frame.get_column(head).to_numpy()) for head in heads], name)
    index = frame.index
    rows = [str(row) for row in index[:100]]
    if len(index) < len(heads) and any(canonical_lead(row) in STANDARD_LEADS for row in rows):
        return raw_from_columns([Column(row, frame.iloc[place].to_numpy()) for place, row in enumerate(rows)], name)
    columns = [Column(head, frame.iloc[:, place].to_numpy()) for place, head in enumerate(heads)]
    if index.dtype.kind in "fmM":
        columns.insert(0, Column(str(index.name or "index"), index.to_numpy()))
    return raw_from_columns(columns, name)


def raw_from_leads(leads: Mapping[str, Any], name: str) -> RawEcg:
    """A dict of lead -> samples.

    Raises:
        EcgFormatError: the leads differ in their number of samples, or none can be a lead.
    """
    columns = [Column(str(head), np.asarray(samples)) for head, samples in leads.items()]
    sizes = {column.head: column.cells.shape for column in columns}
    if len(set(sizes.values())) > 1 or any(len(size) != 1 for size in sizes.values()):
        raise EcgFormatError(f"{name}: every lead needs the same number of samples in one row, got {sizes}.")
    return raw_from_columns(columns, name)


__all__ = ["Column", "is_frame", "raw_from_columns", "raw_from_frame", "raw_from_leads"]
