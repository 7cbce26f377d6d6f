# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Text tables (CSV, TSV, exports of watches, PhysioNet's tools, loggers) -> `RawEcg`."""

import io
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from .ecg_columns import Column, raw_from_columns
from .ecg_identity import named
from .ecg_raw import MAX_CHANNELS, RawEcg, ReadOptions, check_size, decoded_text, wrapped
from .ecg_table_head import COMMENTS, TableHead
from .ecg_table_layout import MAX_HEAD_LINES, MISSING, TableLayout, is_number, layout_of
from .ecg_time_axis import rises_evenly
from .ecg_units import mv_per_unit
from .errors_gem import EcgFormatError

_MAX_LINE_CHARS = 2**22
# Two hours at 500 Hz; each line takes 100 bytes beside its text. Longer recordings are kept in EDF or WFDB.
_MAX_LINES = 2**22
_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # those of `str.splitlines`
# Lines longer than 64 kB hold a lead each, cell by cell: 12 leads of 3 minutes at 500 Hz take 8 MB.
_LONG_LINE_CHARS, _MAX_LONG_LINES_CHARS = 2**16, 2**23
# Rows of leads are so much longer than a table of columns is wide.
_ROW_PER_LEAD = 10
_MAX_ROWS_OF_LEADS = 32
# MIT-BIH and PTB heartbeats of Kaggle: 187 samples and the class of the beat.
_KAGGLE_COLUMNS = (187, 188)


class _Rows(Sequence[tuple[int, str]]):
    """Lines with their numbers in the file, which of millions of lines take little room."""

    def __init__(self, numbers: Sequence[int], lines: list[str]) -> None:
        self.numbers, self.lines = numbers, lines

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return _Rows(self.numbers[place], self.lines[place])
        return self.numbers[place], self.lines[place]


def read_table(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """A table of text: one column per lead, or one row per lead.

    Separator, decimal mark and the block of numbers are found from the whole file. Above the numbers may stand names,
    units ("II [mV]", a row of units, "Unit,µV"), the sampling rate ("Sample Rate,512 hertz" in any language), the
    lead of a single column, and other lines, which may identify the patient. Columns of time (any name that only
    rises), counts, text and other channels are left out and named; a time column gives the sampling rate. Empty cells,
    `NaN`, `NA` and `-` are missing samples.

    Raises:
        EcgFormatError: no block of numbers, cells in it that are not numbers (named by line and column), rows of unequal
            length, or Kaggle's table of single beats, which have no unit.
    """
    text = decoded_text(data).replace("\0", "").replace("\u2212", "-").replace("\xa0", " ")
    ends = sum(map(text.count, _LINE_ENDS)) - text.count("\r\n")
    if ends > _MAX_LINES:
        raise EcgFormatError(
            f"{name}: a table of {ends:,} lines, {_MAX_LINES:,} at most are read; cut it, or keep the recording as EDF or WFDB."
        )
    comments: list[str] = []
    lines: list[str] = []
    numbers = array("L")
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith(COMMENTS):
            comments.append(line.strip())
        elif line.strip():
            lines.append(line)
            numbers.append(number)
    del text
    if len(comments) > MAX_HEAD_LINES:
        raise EcgFormatError(f"{name}: a table with {len(comments):,} lines of comments; export the samples alone.")
    if not lines:
        raise EcgFormatError(f"{name}: the table is empty; export it again.")
    _check_lines(lines, name)
    rows = _Rows(numbers, lines)
    layout = layout_of(lines, name)
    head = TableHead.of(lines[: layout.first], comments, layout)
    block = rows[layout.first : layout.last]
    if layout.last < len(lines):
        head.notes.append(f"left out {len(lines) - layout.last} line(s) of text below the numbers")
    check_size((len(block), layout.width), name)
    if _is_row_per_lead(len(block), head, layout):
        return _described(_from_rows(block, layout, name), head)
    if layout.width > MAX_CHANNELS:
        raise EcgFormatError(
            f"{name}: {layout.width:,} columns are not leads; an ECG table has one column per lead, or one row per lead."
        )
    return _described(_from_columns(_frame(block, layout, name), head, layout, name), head)


def _check_lines(lines: Sequence[str], name: str) -> None:
    longest = max(map(len, lines))
    if longest > _MAX_LINE_CHARS:
        raise EcgFormatError(
            f"{name}: one line of {longest:,} characters is not a table of an ECG; use one line per sample."
        )
    long = sum(len(line) for line in lines if len(line) > _LONG_LINE_CHARS) if longest > _LONG_LINE_CHARS else 0
    if long > _MAX_LONG_LINES_CHARS:
        raise EcgFormatError(
            f"{name}: {long:,} characters in lines of a lead each, {_MAX_LONG_LINES_CHARS:,} at most are read; use one line per "
            "sample, or cut the recording."
        )


def _is_row_per_lead(rows: int, head: TableHead, layout: TableLayout) -> bool:
    if len(layout.kinds) < _ROW_PER_LEAD * rows or rows > _MAX_ROWS_OF_LEADS or len(layout.kinds) in _KAGGLE_COLUMNS:
        return False
    return head.names is None or layout.kinds[0] == "text" or all(map(is_number, head.names[1:]))


def _from_rows(rows: Sequence[tuple[int, str]], layout: TableLayout, name: str) -> RawEcg:
    """One row per lead, with its name in a first column of text and perhaps its unit in a second; or without names."""
    texts = [column for column, kind in enumerate(layout.kinds) if kind == "text"]
    values = [column for column, kind in enumerate(layout.kinds) if kind != "text"][: layout.width - len(texts)]
    cells = [layout.cells(line) for _, line in rows]
    uneven = next((number for (number, _), row in zip(rows, cells, strict=True) if len(row) < layout.width), None)
    if uneven is not None:
        raise EcgFormatError(
            f"{name}: line {uneven} has fewer cells than the others; every lead needs as many samples."
        )
    try:
        signal = [_numbers([row[column] for column in values], layout) for row in cells]
    except ValueError:
        for column in values:
            if not all(is_number(row[column]) or row[column].lower() in MISSING for row in cells):
                _refuse_cell(rows, column, layout, name)
        raise
    if not texts:
        return RawEcg(np.stack(signal))
    names, *others = ([row[column] for row in cells] for column in texts)
    units = next(
        (words for words in others if all(mv_per_unit(word) is not None for word in words)), [None] * len(names)
    )
    return raw_from_columns([Column(*row) for row in zip(names, signal, units, strict=True)], name)


def _numbers(cells: list[str], layout: TableLayout) -> np.ndarray:
    if layout.decimal == "." and layout.thousands is None:
        try:
            return np.array(cells, dtype=np.float64)
        except ValueError:
            pass  # a missing sample, or no number
    return np.array([layout.number(cell) for cell in cells])


def _frame(rows: _Rows, layout: TableLayout, name: str) -> Any:
    """The block of numbers as a pandas DataFrame, vectorised; cell by cell only to name what is wrong."""
    import pandas as pd

    block = rows.lines
    quote = "'" if "'" in block[0] and '"' not in block[0] else '"'
    try:
        frame = pd.read_csv(
            io.BytesIO("\n".join(block).encode("utf-8", "replace")),
            header=None,
            sep=r"\s+" if layout.separator == " " else layout.separator,
            decimal=layout.decimal,
            thousands=layout.thousands,
            quotechar=quote,
            skipinitialspace=True,
            na_values=["-"],
            dtype={column: str for column, kind in enumerate(layout.kinds) if kind in ("clock", "text")},
            low_memory=False,
        )
    except Exception as error:
        _refuse_uneven(rows, layout, name)
        raise wrapped(name, "a table", error) from error
    # The last line may be cut off: what it lacks is missing.
    _refuse_uneven(
        [rows[row] for row in np.flatnonzero(frame[layout.width - 1].isna()).tolist() if row < len(rows) - 1],
        layout,
        name,
    )
    for column, kind in enumerate(layout.kinds):
        if kind == "number" and frame[column].dtype.kind not in "iuf":
            _refuse_cell(rows, column, layout, name)
    return frame


def _refuse_uneven(rows: Sequence[tuple[int, str]], layout: TableLayout, name: str) -> None:
    for number, line in rows:
        cells = layout.cells(line)
        if len(cells) < layout.width or any(cells[len(layout.kinds) :]):
            raise EcgFormatError(
                f"{name}: line {number} has {len(cells)} cells, most have {len(layout.kinds)}; which lead each belongs to is "
                "not known. Export the table again."
            )


def _refuse_cell(rows: Sequence[tuple[int, str]], column: int, layout: TableLayout, name: str) -> None:
    for number, line in rows:
        cells = layout.cells(line)
        if column < len(cells) and cells[column].lower() not in MISSING and not is_number(cells[column]):
            raise EcgFormatError(
                f"{name}: line {number}, column {column + 1}: {cells[column][:40]!r} is not a number. An ECG table has one "
                "column per lead and numbers below the head line."
            )
    raise EcgFormatError(f"{name}: column {column + 1} holds more than numbers; an ECG table has one column per lead.")


def _from_columns(frame: Any, head: TableHead, layout: TableLayout, name: str) -> RawEcg:
    """One column per lead."""
    _refuse_single_beats(frame, layout, name)
    names = head.names
    if names is not None and len(names) == layout.width - 1 and rises_evenly(frame[0].to_numpy()):
        names = ["index", *names]  # R names its rows in a column without a head
    if names is not None and len(names) != layout.width:
        raise EcgFormatError(
            f"{name}: {len(names)} column names {names[:20]} for {layout.width} columns; name each once."
        )
    if names is None and head.lead is not None and layout.width == 1:
        names = [head.lead]
    if names is None and set(layout.kinds[: layout.width]) == {"number"}:
        return RawEcg(frame.iloc[:, : layout.width].to_numpy().T)
    names = names or ["" if kind == "number" else kind for kind in layout.kinds]
    if not names[0] and any(names[1:]):
        names = ["index", *names[1:]]
    empty = [names[column] for column in range(layout.width) if layout.kinds[column] == "empty" and names[column]]
    if empty:
        head.notes.append(f"left out empty columns: {named(empty)}")
    units = [unit.strip("[]() -") or None for unit in head.units or [""] * layout.width]
    columns = [
        Column(names[column], frame[column].to_numpy(), units[column])
        for column in range(layout.width)
        if layout.kinds[column] != "empty"
    ]
    return raw_from_columns(columns, name, head.rate)


def _refuse_single_beats(frame: Any, layout: TableLayout, name: str) -> None:
    if frame.shape[1] not in _KAGGLE_COLUMNS or any(kind != "number" for kind in layout.kinds):
        return
    values = frame.to_numpy(dtype=np.float64)
    label = values[:, -1]
    if values[:, :-1].min() >= 0 and values[:, :-1].max() <= 1 and np.isin(label, range(5)).all():
        raise EcgFormatError(
            f"{name}: this is the table of single heartbeats from MIT-BIH or PTB that Kaggle offers ({frame.shape[1] - 1} "
            "samples at 125 Hz and a class per row), scaled to 0..1: no unit, no rhythm. Take the records from PhysioNet."
        )


def _described(raw: RawEcg, head: TableHead) -> RawEcg:
    """`raw` with what the head says of all columns."""
    raw.notes = [*head.notes, *raw.notes]
    if head.unit is not None:
        units = (
            raw.units if raw.units is not None and not isinstance(raw.units, str) else [raw.units] * len(raw.signal)
        )
        raw.units = [unit or head.unit for unit in units]
    raw.sampling_rate = raw.sampling_rate or head.rate
    if head.others:
        raw.identifying["lines above the table"] = head.others
    return raw


__all__ = ["read_table"]
