# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""PDF pages whose traces are drawn as lines are read from these lines: no pixel is looked at."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..ecg_record import STANDARD_LEADS
from .labels import Word
from .layout import Column, PageOrder, Stretch, named_rows
from .paper import PX_PER_MM
from .pdf_strokes import DrawnPage, PrintedWord, Style, line_positions
from .pulses import GAINS_MM, HEIGHTS_MM, WIDTHS_MM, Pulse
from .timing import SAMPLING_RATE, SNAP, Scale, zero_of
from .traces import Trace

LEAST_POINTS = 60  # of a trace
LEAST_TRACE_MM = 15.0
BACKWARDS_MM = 0.02  # a trace never goes back, but for rounding
GRID_LINE_MM = 20.0
LEAST_LINES = 8
UNEVEN = 0.05  # how far a line may lie from its place, in distances of lines
PAPER_MM = (1.0, 5.0)  # what the distance of two grid lines may stand for
AS_PRINTED = 0.03  # a grid that is drawn to scale has these distances on paper too, to that share
SAME_END_MM = 1.5  # traces of one column begin and end together, to that
JOINT_MM = 0.6  # columns that are nearer touch: one sample lies between them
SPEED, GAIN = re.compile(r"([\d.]+)\s*mm/s"), re.compile(r"([\d.]+)\s*mm/mV", re.IGNORECASE)
NAMES = {name.lower(): lead for lead in STANDARD_LEADS for name in (lead, lead.replace("aV", "av"))}


@dataclass(frozen=True)
class VectorPage:
    """The traces of a page, as drawn.

    Attributes:
        order: which lead stands where, px of a page of `PX_PER_MM` pixels a mm.
        lines: the points of each stretch of `order`, `(n, 2)` px.
        pulses: calibration pulses, px.
        printed: the scales that the page states, `{"mm/s": 25.0}`.
        per_paper_mm: px, across and down, that a mm of paper takes.
    """

    order: PageOrder
    lines: tuple[np.ndarray, ...]
    pulses: tuple[Pulse, ...]
    printed: dict[str, float]
    per_paper_mm: tuple[float, float]

    def samples_of(self, number: int, stretch: Stretch, scale: Scale) -> tuple[int, np.ndarray]:
        """Number of the first sample of stretch `number` at `SAMPLING_RATE`, and the samples in mV: the line at their times."""
        x, y = self.lines[number].T
        zero = zero_of(float(np.median(y)), self.pulses)
        seconds = stretch.start + (x - stretch.left) / PX_PER_MM / scale.speed
        first = int(np.ceil(seconds[0] * SAMPLING_RATE - 1e-3))
        count = int(np.floor(seconds[-1] * SAMPLING_RATE + 1e-3)) - first + 1
        times = (first + np.arange(count)) / SAMPLING_RATE
        return first, np.interp(times, seconds, stretch.sign * (zero - y) / PX_PER_MM / scale.gain)


def vector_page(drawn: DrawnPage) -> VectorPage | None:
    """The ECG that a page draws with lines; `None` where its traces, grid or names of leads are no lines and letters."""
    traces, pulses = [], []
    for stroke in drawn.strokes:
        found = _pulse(stroke.points)
        if found is not None:
            pulses.append(found[0])
            stroke = replace(stroke, points=stroke.points[found[1] :])
        if _is_trace(stroke.points):
            traces.append(stroke.points)
    printed = _printed(drawn.words)
    pitches = [_pitch(line_positions(drawn.strokes, axis, GRID_LINE_MM)) for axis in (0, 1)]
    if not traces or pitches[0] is None or pitches[1] is None:
        return None
    stands_for = _stands_for(pitches[1], pulses, printed)
    if stands_for is None:
        return None
    across, down = (PX_PER_MM * stands_for / pitch[0] for pitch in (pitches[0], pitches[1]))
    lines = [points * (across, down) for points in traces]
    words = [_as_word(word, across, down) for word in drawn.words if word.text.lower() in NAMES]
    placed = _order(lines, words)
    if placed is None:
        return None
    order, ordered = placed
    return VectorPage(order, ordered, tuple(_in_px(each, across, down) for each in pulses), printed, (across, down))


def _is_trace(points: np.ndarray) -> bool:
    if len(points) < LEAST_POINTS or points[-1, 0] - points[0, 0] < LEAST_TRACE_MM:
        return False
    return bool(np.diff(points[:, 0]).min() > -BACKWARDS_MM and np.ptp(points[:, 1]) > BACKWARDS_MM)


def _pulse(points: np.ndarray) -> tuple[Pulse, int] | None:
    """The calibration pulse that a stroke is or begins with, in mm, and the number of the first point behind it."""
    steps = np.diff(points[:60], axis=0)
    legs = np.flatnonzero((np.abs(steps[:, 0]) < 0.05) & (np.abs(steps[:, 1]) >= HEIGHTS_MM[0]))
    for up, down in pairwise(legs):
        height, width = -steps[up, 1], points[down, 0] - points[up, 0]
        roof = points[up + 1 : down + 1, 1]
        alike = abs(steps[down, 1] - height) < 0.02 * abs(height) and np.ptp(roof) < 0.05
        if height > 0 and alike and WIDTHS_MM[0] <= width <= WIDTHS_MM[1] and height <= HEIGHTS_MM[1]:
            left, right = float(points[up, 0]), float(points[down, 0])
            return Pulse(left, right, float(roof[0]), float(points[down + 1, 1])), int(down) + 1
    return None


def _in_px(pulse: Pulse, across: float, down: float) -> Pulse:
    return Pulse(pulse.left * across, pulse.right * across, pulse.top * down, pulse.foot * down)


def _printed(words: Sequence[PrintedWord]) -> dict[str, float]:
    text = " ".join(word.text for word in words)
    found = {}
    for unit, pattern in (("mm/s", SPEED), ("mm/mV", GAIN)):
        said = {float(number) for number in pattern.findall(text) if number.count(".") < 2 and number != "."}
        if len(said) == 1:
            found[unit] = said.pop()
    return found


def _pitch(positions: dict[Style, np.ndarray]) -> tuple[float, bool] | None:
    """The distance of the finest regular lines in mm of paper, and whether coarser ones mark every fifth of them."""
    pitches = []
    for places in (*positions.values(), np.unique(np.concatenate([*positions.values(), []]))):
        gaps = np.diff(places)
        gaps = gaps[gaps > 0.2]
        if len(gaps) < LEAST_LINES:
            continue
        pitch = float(np.median(gaps))
        steps = np.rint((places - places[0]) / pitch)
        pitch = float(np.polyfit(steps, places, 1)[0]) if steps[-1] > 0 else pitch
        off = np.abs((places - places[0]) / pitch - np.rint((places - places[0]) / pitch))
        if np.mean(off < UNEVEN) > 0.9:
            pitches.append(pitch)
    if not pitches:
        return None
    finest = min(pitches)
    return finest, any(abs(pitch / finest / 5 - 1) < UNEVEN for pitch in pitches)


def _stands_for(level: tuple[float, bool], pulses: Sequence[Pulse], printed: dict[str, float]) -> float | None:
    """The mm that the distance of two grid lines stands for; `None` where nothing tells."""
    pitch, has_both = level
    if has_both:
        return 1.0
    if pulses:
        height = float(np.median([pulse.foot - pulse.top for pulse in pulses])) / pitch  # in distances of lines
        gains = [printed["mm/mV"]] if "mm/mV" in printed else GAINS_MM
        fitting = [mm for mm in PAPER_MM if any(abs(height * mm / gain - 1) < SNAP for gain in gains)]
        if len(fitting) == 1:
            return fitting[0]
    return next((mm for mm in PAPER_MM if abs(pitch / mm - 1) < AS_PRINTED), None)


def _as_word(word: PrintedWord, across: float, down: float) -> Word:
    left, top, right, bottom = (
        round(side * scale) for side, scale in zip(word.box, (across, down, across, down), strict=True)
    )
    return Word((left, top, right, bottom), {NAMES[word.text.lower()]: 1.0})


def _order(lines: Sequence[np.ndarray], words: Sequence[Word]) -> tuple[PageOrder, tuple[np.ndarray, ...]] | None:
    """The arrangement, and the lines in the order of its stretches; `None` if a trace has no name."""
    columns: list[list[np.ndarray]] = []
    for line in sorted(lines, key=lambda line: float(line[0, 0])):
        if columns and line[0, 0] - columns[-1][0][0, 0] < SAME_END_MM * PX_PER_MM:
            columns[-1].append(line)
        else:
            columns.append([line])
    columns = [sorted(column, key=lambda line: float(np.median(line[:, 1]))) for column in columns]
    shortest = min(float(line[-1, 0] - line[0, 0]) for column in columns for line in column)
    found: list[Column] = []
    stretches: list[Stretch] = []
    strips: list[Stretch] = []
    ordered: list[np.ndarray] = []
    of_strips: list[np.ndarray] = []
    for index, column in enumerate(columns):
        left = min(float(line[0, 0]) for line in column)
        short = [line for line in column if line[-1, 0] - line[0, 0] < shortest + 2 * SAME_END_MM * PX_PER_MM]
        right = max(float(line[-1, 0]) for line in short or column)
        if index + 1 < len(columns):
            beyond = min(float(line[0, 0]) for line in columns[index + 1])
            right = beyond if 0 < beyond - right < JOINT_MM * PX_PER_MM else right
        traces = [_trace(line) for line in column]
        names = named_rows(Column(left, right, ()), words, [trace.baseline for trace in traces])
        grid = []
        for line, trace, name in zip(column, traces, names, strict=True):
            if name is None:
                return None
            stretch = Stretch(name.lead, 1, trace, left, float(line[-1, 0]), False)
            if len(columns) > 1 and not any(line is each for each in short):
                strips.append(replace(stretch, is_rhythm=True))
                of_strips.append(line)
            else:
                stretches.append(stretch)
                ordered.append(line)
                grid.append(trace)
        found.append(Column(left, right, tuple(grid)))
    rows = {len(column.traces) for column in found}
    leads = [stretch.lead for stretch in stretches]
    if len(rows) != 1 or len(set(leads)) != len(leads):
        return None
    layout = f"{rows.pop()}x{len(found)}" + (f"+{len(strips)}" if strips else "")
    total = len(stretches) + len(strips)
    return PageOrder(layout, (*stretches, *strips), tuple(found), (total, total)), (*ordered, *of_strips)


def _trace(line: np.ndarray) -> Trace:
    """A line as the steps behind expect it: its height at the edges and in the middle of every px, and the edges of its stroke."""
    left, right = int(np.floor(line[0, 0])), int(np.ceil(line[-1, 0]))
    x = left + np.arange(2 * (right - left) + 1) / 2
    height = np.interp(x, line[:, 0], line[:, 1])
    height[(x < line[0, 0]) | (x > line[-1, 0])] = np.nan
    of_columns = np.stack([height[:-2:2], height[1::2], height[2::2]])
    seen = np.isfinite(of_columns).all(axis=0)
    upper = np.where(seen, of_columns.min(axis=0) - 1, np.nan)
    lower = np.where(seen, of_columns.max(axis=0) + 1, np.nan)
    inked = seen.astype(float)
    return Trace(
        left, float(np.median(line[:, 1])), upper, lower, height, float(seen.mean()), inked, np.zeros(len(seen))
    )


__all__ = ["VectorPage", "vector_page"]
