# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The layout of a flattened page: columns and rows from the traces, lead names from the words beside them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..ecg_page_layout import CABRERA_LEADS
from ..ecg_record import STANDARD_LEADS
from ..errors_gem import EcgQualityError
from .labels import Word
from .paper import PX_PER_MM
from .pulses import Pulse
from .traces import Trace

COLUMNS = (1, 2, 3, 4, 6)
# A name stands no further than that, in mm, from where its column begins, and above or below its baseline.
BESIDE_MM = (-22.0, 12.0)
ABOVE_MM, BELOW_MM = 16.0, 10.0
ABOVE_ROWS = 0.5  # or that many distances of rows above it, where each lead has a frame of its own
SURE_STROKES = 0.9  # likeness from which strokes are a II or III where no other name is read
SINGLE_STROKE = 0.85  # likeness from which a single stroke counts as an I
HEIGHT_TOLERANCE = 0.3  # names of one page are as high as each other, to that share
ALIGNED_MM = 7.0  # names stand as high above their baselines as each other, to that
LEAST_NAMED = 0.3  # share of the panels whose names have to be read
MARGIN = 0.05  # by how much likeness a usual order of leads may fall behind what was read, a name
FREE_CLARITY = 0.8  # from which names in an unusual order are believed
ONE_IN = 5
MAX_STRIPS = 3
UNEXPLAINED = 2.0  # what a clear name counts against a layout that has no such lead there
MOST_UNEXPLAINED = 0.34  # share of the clear names, and more than one of them
WHOLE_MM = 0.5
PULSE_MM = 1.5  # a row that begins so near to where others have a pulse begins with one
AFTER_PULSE_MM = 7.0  # behind a pulse the traces begin so near, if there is a gap
FOOT_MM, LEVEL_MM = 2.0, 0.15  # a line after a pulse that is longer and as level leads to the traces


@dataclass(frozen=True)
class Stretch:
    """A trace, or a part of it, that shows one lead: px of the flattened page, and s of the record."""

    lead: str
    sign: int
    trace: Trace
    left: float
    right: float
    is_rhythm: bool
    start: float = 0.0
    stop: float = 0.0


@dataclass(frozen=True)
class Column:
    """Rows that begin and end together: px of the flattened page."""

    left: float
    right: float
    traces: tuple[Trace, ...]


@dataclass(frozen=True)
class PageOrder:
    """The layout that was found on a page.

    Attributes:
        name: such as "3x4+1".
        stretches: for each part its lead, without times.
        columns: the columns, left to right.
        names_read: number of lead names that were read, and their total number.
        is_stated: whether the user stated the layout.
        read: the leads whose names were read where they belong.
    """

    name: str
    stretches: tuple[Stretch, ...]
    columns: tuple[Column, ...]
    names_read: tuple[int, int]
    is_stated: bool = False
    read: frozenset[str] = frozenset()


def find_orders(
    blocks: Sequence[Sequence[Trace]], words: Sequence[Word], pulses: Sequence[Pulse], stated: str | None = None
) -> list[PageOrder]:
    """The arrangements that the names on a page allow, the likeliest first; the others leave no more names unexplained.

    Args:
        blocks: the traces of each block of the page, top to bottom.
        words: words that may be names of leads.
        pulses: the calibration pulses that were found.
        stated: the layout that the user states, such as "3x4+1": rows x columns + rhythm strips.

    Raises:
        EcgQualityError: the lead names cannot be read and no layout was stated, or the stated layout does not fit.
    """
    ends = [_ends(rows, pulses) for rows in blocks]
    words = _plausible(words)
    blocks = _without_rules(blocks, ends, words)
    if stated is not None:
        rows, columns, strips = parse_layout(stated)
        return [_stated(blocks, ends, rows, columns, strips, stated)]
    options = []
    if len(blocks) == 1:
        for number in COLUMNS:
            for strips in range(MAX_STRIPS + 1 if number > 1 else 1):
                if len(blocks[0]) > strips:
                    options.append(_divided(blocks[0], ends[0], number, strips))
    else:
        options.append([Column(*end, tuple(rows)) for rows, end in zip(blocks, ends, strict=True)])
    found = [order for option in options if (order := _read(option, blocks, ends, words)) is not None]
    if not found:
        _check_one_page(words)
        seen = " and ".join(str(len(block)) for block in blocks)
        raise EcgQualityError(
            f"the names of the leads beside {seen} rows of traces cannot be read; state the layout if you know it: `layout='3x4+1'`, on the command line --page layout=3x4+1"
        )
    orders = [
        order for _, order in sorted(found, key=lambda item: UNEXPLAINED * len(_unexplained(item[1], words)) - item[0])
    ]
    left = [_unexplained(order, words) for order in orders]
    if len(left[0]) > max(MOST_UNEXPLAINED * len(left[0] | orders[0].read), 1):
        raise EcgQualityError(
            f"it seems to be {orders[0].name}, but the names {', '.join(sorted(left[0]))} are read, too; state the layout if you know it: `layout='3x4+1'`, on the command line --page layout=3x4+1"
        )
    return [order for order, names in zip(orders, left, strict=True) if len(names) <= len(left[0])]


def _unexplained(order: PageOrder, words: Sequence[Word]) -> set[str]:
    """Leads whose names are read clearly, but not where a layout has them. I, II and III are easily made of other strokes."""
    return (
        {word.lead for word in words if word.clarity > FREE_CLARITY and word.is_whole}
        - order.read
        - {"I", "II", "III"}
    )


def _check_one_page(words: Sequence[Word]) -> None:
    """
    Raises:
        EcgQualityError: more leads have their names on it twice than there are rhythm strips.
    """
    names = [word.lead for word in words if word.clarity > FREE_CLARITY and word.lead not in ("I", "II", "III")]
    twice = {name for name in names if names.count(name) > 1}
    if len(twice) > MAX_STRIPS:
        raise EcgQualityError(
            f"it shows more than one page, for {len(twice)} leads are named twice; give each page alone"
        )


def parse_layout(name: str) -> tuple[int, int, int]:
    """Rows, columns and rhythm strips of a layout such as "3x4+1".

    Raises:
        EcgQualityError: it is not a layout.
    """
    grid, _, strips = name.partition("+")
    rows, _, columns = grid.partition("x")
    if not (rows.isdecimal() and columns.isdecimal() and (strips or "0").isdecimal()):
        raise EcgQualityError(f"`layout` is rows x columns + rhythm strips, such as '3x4+1' or '12x1', got {name!r}")
    return int(rows), int(columns), int(strips or 0)


def _ends(rows: Sequence[Trace], pulses: Sequence[Pulse]) -> tuple[float, float]:
    """Where the traces of a block begin, after a pulse that they may begin with, and end."""
    lefts, rights, feet, begun = [], [], [], []
    for trace in rows:
        inked = np.flatnonzero(np.isfinite(trace.upper))
        if not len(inked):
            continue
        first, last = trace.edge(int(inked[0]), -1), trace.edge(int(inked[-1]), 1)
        mine = [
            pulse
            for pulse in pulses
            if abs(pulse.foot - trace.baseline) < 8 * PX_PER_MM
            and first - 0.5 * PX_PER_MM < pulse.right
            and pulse.left < last
        ]
        leading = [pulse for pulse in mine if pulse.left < first + 12 * PX_PER_MM]
        if leading:
            begun.append(leading[0])
            first = _after(trace, inked, leading[0].right)
            if first == leading[0].right:
                feet.append(_foot_end(trace, leading[0]))
        closing = [pulse for pulse in mine if pulse.right > last - 12 * PX_PER_MM]
        if closing and closing[-1] not in leading:
            last = closing[-1].left
        lefts.append(first)
        rights.append(last)
    # A row that begins where the pulses of others do has one, too, which its trace or its name covers.
    lefts = [
        next((pulse.right for pulse in begun if abs(first - pulse.left) < PULSE_MM * PX_PER_MM), first)
        for first in lefts
    ]
    left, right = float(np.median(lefts)), float(np.median(rights))
    if len(feet) == len(lefts) and min(feet) > left + FOOT_MM * PX_PER_MM:
        left = min(feet)  # the pulses stand on a line that leads to the traces
    # Rows are printed a whole number of 5-mm squares wide; the rest is the width of the stroke's ends.
    width, square = right - left, 5 * PX_PER_MM
    whole = round(width / square) * square
    if abs(width - whole) < WHOLE_MM * PX_PER_MM:
        left, right = (left + right - whole) / 2, (left + right + whole) / 2
    return left, right


def _foot_end(trace: Trace, pulse: Pulse) -> float:
    """How far a trace stays level with the foot of its pulse."""
    behind = (trace.x > pulse.right + 0.5 * PX_PER_MM) & np.isfinite(trace.height)
    x, height = trace.x[behind], trace.height[behind]
    if not len(x):
        return pulse.right
    left_it = np.flatnonzero(np.abs(height - height[0]) > LEVEL_MM * PX_PER_MM)
    return float(x[left_it[0]]) if len(left_it) else float(x[-1])


def _after(trace: Trace, inked: np.ndarray, right: float) -> float:
    """Where a trace begins after a pulse: after a gap of the print close to it, or at its falling edge."""
    leg = right + 2  # the edge of the pulse's own stroke
    near = inked[(inked + trace.left > leg) & (inked + trace.left < right + AFTER_PULSE_MM * PX_PER_MM)]
    gaps = np.flatnonzero(np.diff(near, prepend=leg - trace.left) > 0.3 * PX_PER_MM)
    return trace.edge(int(near[gaps[-1]]), -1) if len(gaps) else right


def _divided(rows: Sequence[Trace], ends: tuple[float, float], number: int, strips: int) -> list[Column]:
    edges = np.linspace(*ends, number + 1)
    grid = tuple(rows[: len(rows) - strips])
    return [Column(float(a), float(b), grid) for a, b in pairwise(edges)]


def _without_rules(
    blocks: Sequence[Sequence[Trace]], ends: Sequence[tuple[float, float]], words: Sequence[Word]
) -> list[Sequence[Trace]]:
    """The blocks without rows at their top and bottom that have no name, where another block has fewer rows: parts of frames."""
    fewest = min(len(block) for block in blocks)
    kept: list[Sequence[Trace]] = []
    for block, end in zip(blocks, ends, strict=True):
        rows = list(block)
        names = named_rows(Column(*end, tuple(rows)), words, [trace.baseline for trace in rows])
        while len(rows) > fewest and names[0] is None:
            rows, names = rows[1:], names[1:]
        while len(rows) > fewest and names[-1] is None:
            rows, names = rows[:-1], names[:-1]
        kept.append(rows)
    return kept


def _plausible(words: Sequence[Word]) -> list[Word]:
    """The words of the height that most names of leads have: broken tips of waves look like an I."""
    sure = [word for word in words if word.lead not in ("I", "II", "III") and word.clarity > 0.7]
    if not sure:  # such as on a strip of lead II
        sure = [word for word in words if word.lead != "I" and word.clarity > SURE_STROKES and word.is_whole]
    if not sure:
        return []
    height = np.median([word.box[3] - word.box[1] for word in sure])
    alike = [word for word in words if abs((word.box[3] - word.box[1]) / height - 1) < HEIGHT_TOLERANCE]
    # A single stroke beside a trace is mostly a part of it.
    return [word for word in alike if word.lead != "I" or (word.clarity > SINGLE_STROKE and word.is_whole)]


def named_rows(column: Column, words: Sequence[Word], baselines: Sequence[float]) -> list[Word | None]:
    """The word beside each of a column's rows: as high above their baselines, or as far below, as each other."""
    beside = [
        word for word in words if BESIDE_MM[0] * PX_PER_MM < word.box[0] - column.left < BESIDE_MM[1] * PX_PER_MM
    ]
    best: list[Word | None] = [None] * len(baselines)
    value = 0.0
    apart = float(np.median(np.diff(baselines))) / PX_PER_MM if len(baselines) > 1 else 0.0
    for shift in np.arange(-max(ABOVE_MM, ABOVE_ROWS * apart), BELOW_MM + 0.1, 1.0) * PX_PER_MM:
        names: list[Word | None] = []
        total = 0.0
        for baseline in baselines:
            near = [word for word in beside if abs(word.middle - baseline - shift) < ALIGNED_MM * PX_PER_MM]
            word = max(
                near, key=lambda w: w.clarity - 0.05 * abs(w.middle - baseline - shift) / PX_PER_MM, default=None
            )
            names.append(word if word not in names else None)
            if names[-1] is not None and word is not None:
                total += word.clarity - 0.03 * abs(word.middle - baseline - shift) / PX_PER_MM
        if total > value:
            best, value = names, total
    return best


def _orders(number: int) -> Iterator[tuple[str, ...]]:
    """The usual orders of `number` leads, down the columns."""
    for leads in (STANDARD_LEADS, CABRERA_LEADS):
        if number == len(leads):
            yield tuple(leads)
    if number == 6:
        yield STANDARD_LEADS[:6]
        yield STANDARD_LEADS[6:]


def _read(
    columns: list[Column],
    blocks: Sequence[Sequence[Trace]],
    ends: Sequence[tuple[float, float]],
    words: Sequence[Word],
) -> tuple[float, PageOrder] | None:
    """How well a division into columns explains the words, and the arrangement by it."""
    panels = [(column, trace) for column in columns for trace in column.traces]
    strips = list(blocks[0][len(columns[0].traces) :]) if len(blocks) == 1 else []
    if len({len(column.traces) for column in columns}) > 1 and len(blocks) == 1:
        return None
    names: list[Word | None] = []
    strip_names: list[Word | None] = []
    for index, column in enumerate(columns):
        rows = list(column.traces) + (strips if index == 0 else [])
        named = named_rows(column, words, [trace.baseline for trace in rows])
        names += named[: len(column.traces)]
        strip_names += named[len(column.traces) :]
    if sum(word is not None for word in names) < max(LEAST_NAMED * len(panels), 1):
        return None
    order, best, number_read = _best_order(columns, names, may_be_free=not strips)
    if order is None:
        return None
    if strips and any(word is None for word in strip_names):
        return None
    stretches = [_stretch(lead, column, trace) for (column, trace), lead in zip(panels, order, strict=True)]
    for trace, word in zip(strips, strip_names, strict=True):
        assert word is not None
        best += word.clarity
        stretches.append(replace(_stretch(word.lead, Column(*ends[0], ()), trace), is_rhythm=True))
    total = len(panels) + len(strips)
    unread = len(panels) - number_read
    name = f"{len(columns[0].traces)}x{len(columns)}" + (f"+{len(strips)}" if strips else "")
    read = frozenset(word.lead for word in (*names, *strip_names) if word is not None)
    found = PageOrder(name, tuple(stretches), tuple(columns), (total - unread, total), read=read)
    return best - 0.6 * unread, found


def _best_order(
    columns: Sequence[Column], names: Sequence[Word | None], may_be_free: bool
) -> tuple[tuple[str, ...] | None, float, int]:
    """The order of leads that explains the names best, how well, and how many names say so; `None` where none does.

    Specks and grid lines look like an I: where the order has another lead, such a word counts for nothing. An order of its own (`may_be_free`) has to be read name by name.
    """
    best: tuple[tuple[str, ...] | None, float, int] = (None, 0.0, 0)
    for order in _every_order(columns):
        told = [
            (word, lead)
            for word, lead in zip(names, order, strict=True)
            if word is not None and (word.lead != "I" or lead == "I")
        ]
        value = sum(_like(word, lead) for word, lead in told)
        # Of every `ONE_IN` names one may be misread, if it was not read clearly, and each that touches a trace.
        lost = [
            word.clarity - _like(word, lead) for word, lead in told if word.clarity < FREE_CLARITY and word.is_whole
        ]
        forgiven = sum(sorted(lost, reverse=True)[: len(told) // ONE_IN])
        forgiven += sum(word.clarity - _like(word, lead) for word, lead in told if not word.is_whole)
        behind = sum(word.clarity for word, _ in told) - value - forgiven
        enough = len(told) >= LEAST_NAMED * len(names)
        if enough and behind <= MARGIN * len(told) and value > best[1]:
            best = order, value, len(told)
    read = [word for word in names if word is not None]
    leads = tuple(word.lead for word in read)
    clear = all(word.clarity > FREE_CLARITY for word in read)
    if may_be_free and best[0] is None and clear and len(set(leads)) == len(names):
        best = leads, sum(word.clarity for word in read), len(read)
    return best


def _like(word: Word | None, lead: str) -> float:
    return word.likeness.get(lead, 0.0) if word is not None else 0.0


def _every_order(columns: Sequence[Column]) -> Iterator[tuple[str, ...]]:
    """The usual orders of leads, for down the columns and for along the rows."""
    total, across, down = sum(len(column.traces) for column in columns), len(columns), len(columns[0].traces)
    for order in _orders(total):
        yield order
        if across == 2 and total == 12:
            yield (*STANDARD_LEADS[1::2], *STANDARD_LEADS[::2])  # the GEM authors' page of two columns
        if across > 1 and down > 1 and across * down == total:
            yield tuple(order[row * across + column] for column in range(across) for row in range(down))


def _stretch(lead: str, column: Column, trace: Trace) -> Stretch:
    return Stretch(lead.lstrip("-"), -1 if lead.startswith("-") else 1, trace, column.left, column.right, False)


def _stated(
    blocks: Sequence[Sequence[Trace]],
    ends: Sequence[tuple[float, float]],
    rows: int,
    columns: int,
    strips: int,
    name: str,
) -> PageOrder:
    """The arrangement that the user states, with the leads in the usual order."""
    if len(blocks) == 1 and len(blocks[0]) == rows + strips:
        parts = _divided(blocks[0], ends[0], columns, strips)
    elif len(blocks) == columns and not strips and all(len(block) == rows for block in blocks):
        parts = [Column(*end, tuple(block)) for block, end in zip(blocks, ends, strict=True)]
    else:
        seen = " and ".join(str(len(block)) for block in blocks)
        raise EcgQualityError(f"the page was said to be {name}, but {seen} rows of traces are seen")
    order = next(_orders(rows * columns), None)
    if order is None:
        raise EcgQualityError(f"{name} has {rows * columns} places, and the order of so many leads is not known")
    panels = [(column, trace) for column in parts for trace in column.traces]
    stretches = [_stretch(lead, column, trace) for (column, trace), lead in zip(panels, order, strict=True)]
    for trace, lead in zip(blocks[0][rows:], ("II", "V1", "V5"), strict=False):
        stretches.append(replace(_stretch(lead, Column(*ends[0], ()), trace), is_rhythm=True))
    return PageOrder(name, tuple(stretches), tuple(parts), (0, len(stretches)), is_stated=True)


__all__ = ["Column", "PageOrder", "Stretch", "find_orders", "named_rows", "parse_layout"]
