# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A glance at the beginning of a text: whether it is a table of an ECG. `read_table` reads it in earnest."""

import numpy as np

from processing.ecg_lead_names import STANDARD_LEADS, leads_of_channels
from processing.ecg_raw import decoded_text
from processing.ecg_table_head import COMMENTS, TableHead
from processing.ecg_table_layout import TableLayout, layout_of
from processing.ecg_units import name_and_unit
from processing.errors_gem import EcgFormatError

NO_NUMBERS = "a text without lines of numbers"
NO_SIGNAL = "a table that names no lead and has no column that runs like a signal"
# Of a signal without the name of a lead: so many samples are looked at, so many are needed, and neighbours differ by less than
# samples in any order do (the ratio of their mean squared differences, which is 1 for noise).
LOOKED_AT, NEEDED, MAX_STEPS = 500, 50, 0.5


def why_no_ecg_table(head: bytes, name: str, cut: bool) -> str | None:
    """Why a text is no table of an ECG: empty if it is one, `None` if the bytes are no text that could tell.

    Args:
        head: the first bytes of the file.
        name: of the file, for messages.
        cut: whether the file goes on behind them.
    """
    if not head.strip() or (b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff"))):
        return None
    text = decoded_text(head[: len(head) // 2 * 2]).replace("\0", "").replace("\u2212", "-").replace("\xa0", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    comments = [line.strip() for line in lines if line.lstrip().startswith(COMMENTS)]
    lines = [line for line in lines if not line.lstrip().startswith(COMMENTS)]
    if cut and len(lines) > 1:
        del lines[-1]
    if not lines:
        return NO_NUMBERS
    try:
        layout = layout_of(lines, name)
        stated = TableHead.of(lines[: layout.first], comments, layout)
    except EcgFormatError:
        # A head that names leads above broken numbers is a broken ECG, which the reader says.
        return (
            ""
            if any(_names_leads(line.replace(";", ",").replace("\t", ",").split(",")) for line in lines[:1])
            else NO_NUMBERS
        )
    rows = [layout.cells(line) for line in lines[layout.first : layout.last][:LOOKED_AT]]
    firsts = [row[0] for row in rows]
    if stated.rate is not None or stated.lead is not None or _names_leads(stated.names or []) or _names_leads(firsts):
        return ""
    return "" if _runs_like_a_signal(rows, layout) else NO_SIGNAL


def _names_leads(cells: list[str]) -> bool:
    names = tuple(name_and_unit(cell)[0] for cell in cells[:64])
    return any(lead in STANDARD_LEADS for lead in leads_of_channels(names))


def _runs_like_a_signal(rows: list[list[str]], layout: TableLayout) -> bool:
    """Whether a column of a table without text, or a long row, changes little from sample to sample and both rises and falls."""
    if "text" in layout.kinds:
        return False
    long = len(layout.kinds) > NEEDED and len(rows) < NEEDED
    wide = (
        [row[:LOOKED_AT] for row in rows]
        if long
        else zip(*(row for row in rows if len(row) == len(layout.kinds)), strict=True)
    )
    return any(_is_signal(list(cells), layout) for cells in wide)


def _is_signal(cells: list[str], layout: TableLayout) -> bool:
    try:
        values = np.array([layout.number(cell) for cell in cells])
    except ValueError:
        return False
    values = values[np.isfinite(values)]
    steps = np.diff(values)
    if len(values) < NEEDED or not (steps > 0).any() or not (steps < 0).any():
        return False
    return bool((steps**2).mean() < MAX_STEPS * 2 * values.var())


__all__ = ["why_no_ecg_table"]
