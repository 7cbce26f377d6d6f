# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The layout of a text table: its separator, its decimal mark, the first and last line of numbers, the kinds of its columns."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .ecg_time_axis import is_clock
from .errors_gem import EcgFormatError

Kind = Literal["number", "clock", "text", "empty"]

_SEPARATORS = (";", "\t", "|", ",", " ")
# Marks of a missing sample; PhysioNet's tools write "-".
MISSING = frozenset({"", "-", "na", "n/a", "nan", "null", "none", "#n/a"})
# A number with a decimal point or comma. "064" is not: it is the rest of "0,064" after a split at its comma.
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9]\d*)(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?")
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(?:([.,])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
_WITH_MARKS = re.compile(r"(?<![\d:])[-+]?\d+(?:[.,]\d+)+")
# What a comma between thousands never is.
_FRACTION = re.compile(r"(?<!\d)0,|,\d{1,2}(?!\d)|,\d{4}")
# So many lines, spread over the file, and the beginnings of them tell how it is written.
_SAMPLED_LINES, _SAMPLED_CHARS = 50, 4_000
# Lines of text above and below the numbers.
MAX_HEAD_LINES, _MAX_FOOTER_LINES = 10_000, 50


@dataclass(frozen=True)
class TableLayout:
    """How a table is written.

    Args:
        separator: between cells; a blank means any number of blanks.
        decimal: mark before the fraction.
        thousands: mark between groups of three digits.
        first, last: the lines of numbers, `lines[first:last]`.
        kinds: what each column holds.
    """

    separator: str
    decimal: str
    thousands: str | None
    first: int
    last: int
    kinds: tuple[Kind, ...]

    @property
    def width(self) -> int:
        """Columns up to the last that holds anything; what a separator at the ends of lines opens is none."""
        return max((column + 1 for column, kind in enumerate(self.kinds) if kind != "empty"), default=0)

    def number(self, cell: str) -> float:
        """The value of a cell; NaN for a missing one.

        Raises:
            ValueError: it is not a number.
        """
        if cell.lower() in MISSING:
            return float("nan")
        return float(cell.replace(self.thousands or "", "").replace(self.decimal, "."))

    def cells(self, line: str) -> list[str]:
        """The cells of a line."""
        return split_cells(line, self.separator)


def split_cells(line: str, separator: str) -> list[str]:
    """The cells of a line without their quotes."""
    if separator == " ":
        cells = line.split()
    elif '"' in line:
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    else:
        cells = line.split(separator)
    return [cell.strip().strip("'\"").strip() for cell in cells]


def is_number(cell: str) -> bool:
    """Whether a cell is a number, digits grouped by thousands included."""
    return _NUMBER.fullmatch(cell) is not None or _GROUPED.fullmatch(cell) is not None


def layout_of(lines: Sequence[str], name: str) -> TableLayout:
    """The layout of a table's lines, of which none is blank.

    Raises:
        EcgFormatError: there are no lines of numbers.
    """
    sample = lines[:: max(1, len(lines) // _SAMPLED_LINES)]
    beginnings = [line[:_SAMPLED_CHARS] for line in sample]
    separator = max(_SEPARATORS, key=lambda mark: _merit(beginnings, mark))
    rows = [split_cells(line, separator) for line in sample]
    rows = [row for row in rows if any(map(is_number, row))]
    if not rows:
        raise EcgFormatError(
            f"{name}: no lines of numbers, e.g. {lines[0][:60]!r}; an ECG table has one column per lead and numbers below "
            "the head line."
        )
    # A truncated last line is shorter, a line of text may be longer.
    width = Counter(map(len, rows)).most_common(1)[0][0]
    kinds = tuple(_kind([row[column] for row in rows if len(row) == width]) for column in range(width))
    first, last = _block(lines, separator, kinds)
    decimal, thousands = _marks(lines[first:last], separator)
    return TableLayout(separator, decimal, thousands, first, last, kinds)


def _merit(sample: Sequence[str], separator: str) -> tuple[float, int]:
    """How much of a table is numbers if it is split so, and into how many columns."""
    shares, widths = [], []
    for line in sample:
        cells = split_cells(line, separator)
        full = [cell for cell in cells if cell.lower() not in MISSING]
        good = [is_number(cell) or is_clock(cell) for cell in full]
        shares.append(sum(good) / len(full) if full else 0.0)
        widths.append(len(cells))
    return round(sum(shares) / len(shares), 2), Counter(widths).most_common(1)[0][0]


def _kind(cells: Sequence[str]) -> Kind:
    full = [cell for cell in cells if cell.lower() not in MISSING]
    if not full:
        return "empty"
    if 2 * sum(map(is_number, full)) >= len(full):
        return "number"
    return "clock" if 2 * sum(map(is_clock, full)) >= len(full) else "text"


def _block(lines: Sequence[str], separator: str, kinds: Sequence[Kind]) -> tuple[int, int]:
    """The first line of numbers, and the one after the last."""

    first = 0
    for index in range(min(len(lines), MAX_HEAD_LINES)):
        rows = [split_cells(text, separator) for text in lines[index : index + 2]]
        fits = len(rows[0]) == len(kinds) and all(map(_fits, rows[0], kinds)) and any(map(is_number, rows[0]))
        if fits and (len(rows) == 1 or _numbers(rows[1], len(kinds)) >= 0.5 or index + 2 == len(lines)):
            first = index
            break
    # A broken line of numbers is no head: it is refused as what it is.
    while first > 0 and _is_broken_data(split_cells(lines[first - 1], separator), len(kinds)):
        first -= 1
    if _is_numbered_head(lines[first : first + 3], separator):
        first += 1
    last = len(lines)
    while last > max(first + 1, len(lines) - _MAX_FOOTER_LINES) and _is_footer(lines[last - 1], separator):
        last -= 1
    return first, last


def _numbers(cells: Sequence[str], width: int) -> float:
    """The share of numbers among the cells of a line of `width` cells; 0 for other lines."""
    full = [cell for cell in cells if cell.lower() not in MISSING]
    return sum(map(is_number, full)) / len(full) if full and len(cells) == width else 0.0


def _is_broken_data(cells: Sequence[str], width: int) -> bool:
    return _numbers(cells, width) > 0.5 and any(
        is_number(cell) and not cell.lstrip("+-").isdecimal() for cell in cells
    )


def _fits(cell: str, kind: Kind) -> bool:
    if cell.lower() in MISSING or kind == "text":
        return True
    return is_clock(cell) if kind == "clock" else is_number(cell)


def _is_numbered_head(lines: Sequence[str], separator: str) -> bool:
    """Whether the first of `lines` counts the columns: 0, 1, 2 ... or 1, 2, 3 ... above numbers that are none such."""
    rows = [split_cells(line, separator) for line in lines]
    names = [cell for place, cell in enumerate(rows[0]) if cell or place > 0]
    if len(rows) < 2 or len(names) < 2 or not all(cell.isdecimal() and len(cell) < 7 for cell in names):
        return False
    numbers = [int(cell) for cell in names]
    counts = numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] in (0, 1)
    return counts and (len(numbers) > 4 or not all(cell.lstrip("-+").isdecimal() for row in rows[1:] for cell in row))


def _is_footer(line: str, separator: str) -> bool:
    cells = split_cells(line, separator)
    return not any(is_number(cell) or is_clock(cell) for cell in cells)


def _marks(lines: Sequence[str], separator: str) -> tuple[str, str | None]:
    """Decimal mark and thousands mark, from every number of the file that has a mark."""
    text = "\n".join(lines)
    if "," not in text or (separator == "," and '"' not in text):
        return ".", None
    if separator == ",":
        text = "\n".join(re.findall(r'"([^"]*)"', text))
    if "." not in text and ":" not in text and _FRACTION.search(text):
        return ",", None
    marked = set(_WITH_MARKS.findall(text))
    commas = {number for number in marked if "," in number}
    points = {number for number in marked if "." in number}
    both = commas & points
    if both:
        decimal = "," if max(next(iter(both)).rfind(","), -1) > next(iter(both)).rfind(".") else "."
        return decimal, "." if decimal == "," else ","
    if not commas or _are_groups(commas, text, other=points):
        return ".", "," if commas else None
    return ",", "." if points and _are_groups(points, text, other=commas) else None


def _are_groups(marked: set[str], text: str, other: set[str]) -> bool:
    """Whether a mark parts thousands: always three digits after it, and smaller numbers go without it."""
    if not all(_GROUPED.fullmatch(number) for number in marked):
        return False
    if other or any(len(re.findall("[.,]", number)) > 1 for number in marked):
        return True
    whole = {int(number) for number in re.findall(r"(?<![\d.,])\d{1,9}(?![\d.,])", text)}
    return bool(whole) and max(whole) < 1000


__all__ = ["MAX_HEAD_LINES", "MISSING", "TableLayout", "is_number", "layout_of", "split_cells"]
