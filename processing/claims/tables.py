# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Markdown tables in ECG texts: columns of reference values, which are no measurements."""

import re
from itertools import pairwise

_ROW = re.compile(r"^[^\S\n]*\|.*\|[^\S\n]*$", re.MULTILINE)
_RULE = re.compile(r"[\s|:-]+")
_REFERENCE = re.compile(
    r"normal|reference|ref\.?|normal\s+(?:range|values?|limits?)|reference\s+(?:range|values?|interval|limits?)|expected(?:\s+range)?|range|limits?",
    re.IGNORECASE,
)


def without_reference_columns(text: str) -> str:
    """`text` with the cells under headings such as `Normal range` blanked, of the same length.

    Example:
        >>> print(without_reference_columns("| | Value | Normal |\\n|---|---|---|\\n| PR | 238 ms | 120-200 ms |"))
        | | Value | Normal |
        |---|---|---|
        | PR | 238 ms |            |
    """
    if "|" not in text:
        return text
    blanked = list(text)
    columns: list[int] = []
    rows = list(_ROW.finditer(text))
    for number, row in enumerate(rows):
        cells = _cells(row)
        if number + 1 < len(rows) and _RULE.fullmatch(rows[number + 1].group()):
            columns = [i for i, cell in enumerate(cells) if _REFERENCE.fullmatch(_words(text, cell))]
        elif not _RULE.fullmatch(row.group()):
            for start, end in (cells[i] for i in columns if i < len(cells)):
                blanked[start:end] = " " * (end - start)
        if number + 1 == len(rows) or rows[number + 1].start() != row.end() + 1:
            columns = []
    return "".join(blanked)


def _cells(row: re.Match[str]) -> list[tuple[int, int]]:
    bars = [row.start() + i for i, character in enumerate(row.group()) if character == "|"]
    return [(left + 1, right) for left, right in pairwise(bars)]


def _words(text: str, cell: tuple[int, int]) -> str:
    return re.sub(r"[*_`]|\([^)]*\)", " ", text[cell[0] : cell[1]]).strip()


__all__ = ["without_reference_columns"]
