# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Follows the traces of a flattened page: finds the rows, assigns ink to them, and measures their height in every column."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.signal import find_peaks

from .paper import PX_PER_MM

INK = 0.4  # from there on a pixel counts as a stroke
MIN_TRACE_MM = 18.0  # a connected stroke that is wider belongs to a trace; text and pulses are narrower
FRAME_MM = 55.0  # no trace is as straight for that long
UPRIGHT_MM = 6.5  # higher than any letter
FLAT_PIECE_MM = 9.0  # of a trace between two upright strokes: wider than a letter
FLAT_MM = 1.2  # a column's run of ink that is shorter belongs to a flat stretch
MIN_ROW_MM = 7.0  # between neighbouring rows
SAME_ROW_MM = 4.0  # between the baselines of one row in blocks side by side
MIN_ROW_SHARE = 0.25  # of the clearest row's ink
MIN_GAP_MM = 1.5  # without any trace between columns that were printed apart
MIN_BLOCK_MM = 20.0
REACH_ROWS = 1.6  # how far a trace may run from its baseline, in distances of rows
MAX_REACH_MM = 45.0
# How far a row may lie from a whole number of distances, in such distances, and the same of one without a pulse beyond those with one.
OFF_PITCH, OFF_BEYOND = 0.16, 0.1
# What it costs to follow a path by one pixel: on ink, on paper, and per mm away from the baseline.
ON_INK, ON_PAPER, AWAY = 0.004, 1.0, 0.002
# Two paths on one stroke are so near; where they stay so for longer than a QRS complex takes, one of them is on the wrong trace. The
# stroke reaches that far from its path.
SAME_PATH_PX, SHARED_MM, STROKE_REACH_PX = 2.0, 2.5, 4
SURE_INK = 0.5  # from there on a pixel costs what ink costs


@dataclass(frozen=True)
class Trace:
    """One row of a block, column of pixels by column.

    Attributes:
        left: the first column.
        baseline: px, down from the top.
        upper, lower: the edges of its stroke, px; NaN where there is none.
        height: where the curve itself runs, px from the top, at the edges and in the middle of each column; NaN where it does not.
        ink: share of its columns that hold ink.
        darkness: of its path in each column, 0 to 1; it tells where between two columns a stroke begins or ends.
        doubtful: px of ink in each column that may belong to it though its curve does not reach there: ink that is joined to its stroke
            and was taken for another row's, or that no row's curve explains.
    """

    left: int
    baseline: float
    upper: np.ndarray
    lower: np.ndarray
    height: np.ndarray
    ink: float
    darkness: np.ndarray
    doubtful: np.ndarray

    @property
    def x(self) -> np.ndarray:
        """Where `height` is given, px."""
        return self.left + np.arange(len(self.height)) / 2

    def edge(self, column: int, step: int) -> float:
        """Where its stroke begins (`step` -1) or ends (1) that has `column`, counted from `left`, as its last; px."""
        beyond = self.darkness[column + step] if 0 <= column + step < len(self.darkness) else 0.0
        inside = self.darkness[column]
        share = (inside - INK) / (inside - beyond) if beyond < INK < inside else 0.5
        return self.left + column + 0.5 + step * float(share)


def find_blocks(ink: np.ndarray) -> tuple[list[tuple[int, int]], np.ndarray]:
    """The stretches (left, right) px of the page that hold traces, and the ink of traces alone (text and pulses left out).

    Args:
        ink: without frames.
    """
    strokes = (ink > INK).astype(np.uint8)
    # Without its upright strokes a pulse or a spike no longer ties text to a trace.
    upright = cv2.morphologyEx(strokes, cv2.MORPH_OPEN, np.ones((round(UPRIGHT_MM * PX_PER_MM), 1), np.uint8))
    lying = np.where(cv2.dilate(upright, np.ones((1, 3), np.uint8)) > 0, 0, strokes).astype(np.uint8)
    traces = _wide(strokes) & ((upright > 0) | _wide(lying, FLAT_PIECE_MM))
    covered = np.count_nonzero(_wide(strokes), axis=0) > 0
    gap = round(MIN_GAP_MM * PX_PER_MM)
    closed = cv2.morphologyEx(covered.astype(np.uint8)[None], cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))[0]
    edges = np.flatnonzero(np.diff(np.pad(closed, 1).astype(int)))
    blocks = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [block for block in blocks if block[1] - block[0] >= MIN_BLOCK_MM * PX_PER_MM], traces


def _wide(strokes: np.ndarray, least_mm: float = MIN_TRACE_MM) -> np.ndarray:
    """The connected strokes that are at least so wide."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    keep = stats[:, cv2.CC_STAT_WIDTH] >= least_mm * PX_PER_MM
    keep[0] = False
    return keep[labels]


def without_frames(ink: np.ndarray) -> np.ndarray:
    """The ink without straight lines that are longer than any stretch of a trace: frames around pages and between parts."""
    strokes = (ink > INK).astype(np.uint8)
    long = round(FRAME_MM * PX_PER_MM)
    lines = np.zeros(strokes.shape, bool)
    for kernel, rim in (((1, long), (5, 1)), ((long, 1), (1, 5))):
        straight = cv2.morphologyEx(strokes, cv2.MORPH_OPEN, np.ones(kernel, np.uint8))
        lines |= cv2.dilate(straight, np.ones(rim, np.uint8)) > 0
    return np.where(lines, 0, ink).astype(np.float32)


def along_curves(blocks: Sequence[Sequence[Trace]], shape: tuple[int, int]) -> np.ndarray:
    """True where the strokes of followed traces are. What else is joined to them may be names that touch them."""
    shift = 4  # binary digits of a pixel in which OpenCV places a point
    drawn = np.zeros(shape, np.uint8)
    for trace in (trace for rows in blocks for trace in rows if np.isfinite(trace.upper).any()):
        wide = float(np.nanmedian(trace.lower - trace.upper)) + 1
        points = np.stack([trace.x, trace.height], axis=1) - 0.5
        for piece in np.split(points, np.flatnonzero(~np.isfinite(trace.height))):
            line = np.rint(piece[np.isfinite(piece[:, 1])] * 2**shift).astype(np.int32)
            if len(line):
                cv2.polylines(drawn, [line[None]], False, 1, round(wide) + 1, cv2.LINE_8, shift)
    return drawn > 0


def find_rows(traces: np.ndarray, block: tuple[int, int]) -> list[float]:
    """The baselines of a block's rows in px: where the flat stretches of traces lie."""
    part = traces[:, block[0] : block[1]]
    top, bottom = _runs(part)
    flat = part & (bottom - top + 1 <= FLAT_MM * PX_PER_MM)
    profile = gaussian_filter1d(flat.sum(axis=1).astype(float), 0.9 * PX_PER_MM)
    padded = np.pad(profile, 1)
    peaks, _ = find_peaks(padded, distance=MIN_ROW_MM * PX_PER_MM, height=MIN_ROW_SHARE * padded.max())
    return [float(peak - 1) for peak in peaks]


def between_pulses(rows: list[float], feet: list[float]) -> list[float]:
    """The rows with a calibration pulse, and those whole distances of rows away from them, between two pulses all of these.

    Others are levels where waves linger, or the rim of the paper. A row that wanders has no level of its own, and a pulse that text
    touches is not seen: such a row lies where its neighbours' distance says.

    Args:
        rows: baselines, px.
        feet: of the pulses beside the rows, px.
    """
    if len(feet) < 2:
        return rows
    feet = sorted(feet)
    distances = np.diff(feet)
    pitch = _row_pitch(distances[distances > MIN_ROW_MM * PX_PER_MM])
    if len(rows) > 2 * len(feet):  # names may cover most pulses: what is seen of them stands some rows apart
        steps = pitch / float(np.median(np.diff(rows)))
        pitch = pitch / round(steps) if steps > 1.5 and abs(steps - round(steps)) < OFF_PITCH else pitch
    marked = [min(rows, key=lambda row: abs(row - foot)) for foot in feet]
    marked = [row for row, foot in zip(marked, feet, strict=True) if abs(row - foot) < 0.3 * pitch]
    if not marked:
        return rows

    def fits(row: float) -> bool:
        steps = min(abs(row - other) for other in marked) / pitch
        return steps > 0.5 and abs(steps - round(steps)) < OFF_PITCH

    kept = [row for row in rows if row in marked or fits(row)]
    kept += [foot for foot in feet if min(abs(foot - row) for row in kept) > 0.5 * pitch and fits(foot)]
    for upper, lower in pairwise(feet):
        steps = round((lower - upper) / pitch)
        if steps > 1 and abs((lower - upper) / pitch - steps) < OFF_PITCH:
            levels = np.linspace(upper, lower, steps + 1)[1:-1]
            kept += [float(level) for level in levels if min(abs(level - row) for row in kept) > 0.5 * pitch]
    return sorted(kept)


def _row_pitch(distances: np.ndarray) -> float:
    """The distance of two rows: the least of `distances` (px) where all are multiples of it, as a pulse may not be seen; else the median."""
    if not len(distances):
        return 0.0
    steps = distances / distances.min()
    return float(distances.min() if np.abs(steps - np.round(steps)).max() < OFF_PITCH else np.median(distances))


def beside_pulses(rows: list[float], feet: list[float], beyond: bool = False) -> list[float]:
    """The rows from the first calibration pulse to the last: beyond them lie printed lines and the rim of the paper.

    Args:
        rows: baselines, px.
        feet: of the pulses beside the rows, px.
        beyond: also a row one distance of rows above the first, or below the last: its pulse may be cut off.
    """
    if not feet or len(rows) < 2:
        return rows
    pitch = float(np.median(np.diff(feet if len(feet) > 1 else rows)))
    first, last = min(feet), max(feet)

    def belongs(row: float) -> bool:
        away = max(first - row, row - last)
        return away < 0.5 * pitch or (beyond and abs(away - pitch) < OFF_BEYOND * pitch)

    return [row for row in rows if belongs(row)]


def alike_in_blocks(rows: Sequence[list[float]]) -> list[list[float]]:
    """The rows of blocks side by side, with those that a block lacks where all of its own are also rows of the fullest one.

    A lead whose trace is never flat has no level that `find_rows` would see.

    Args:
        rows: baselines of every block, px.
    """
    fullest = max(rows, key=len, default=[])
    beside = SAME_ROW_MM * PX_PER_MM

    def completed(own: list[float]) -> list[float]:
        partner = [min(fullest, key=lambda row: abs(row - each)) for each in own]
        same = len(set(partner)) == len(own) and all(abs(a - b) < beside for a, b in zip(own, partner, strict=True))
        return sorted([*own, *(set(fullest) - set(partner))]) if own and same else own

    return [completed(own) for own in rows]


def follow(ink: np.ndarray, block: tuple[int, int], baselines: list[float]) -> list[Trace]:
    """Every row's trace through a block."""
    if not baselines:
        return []
    part = np.ascontiguousarray(ink[:, block[0] : block[1]])
    pitch = np.min(np.diff(baselines)) if len(baselines) > 1 else len(part) / 2
    reach = int(min(REACH_ROWS * pitch, MAX_REACH_MM * PX_PER_MM))
    paths = _paths(part, baselines, reach)
    for row, others in _followed_twice(paths, baselines).items():
        left_over = part.copy()
        for column, first, stop in others:
            left_over[first:stop, column] = 0
        paths[row] = _paths(left_over, baselines[row : row + 1], reach)[0]
    strokes = part > INK
    top, bottom = _runs(strokes)
    found = []
    low, high = paths.min(axis=2), paths.max(axis=2)  # (rows, columns): the stretch that a path takes of each column
    for row, baseline in enumerate(baselines):
        upper, lower, doubtful = _edges(part, strokes, top, bottom, low, high, row)
        height = _curve(upper, lower)
        darkness = _darkness(part, paths[row], np.isfinite(upper))
        inked = float(np.mean(np.isfinite(upper)))
        found.append(Trace(block[0], baseline, upper, lower, height, inked, darkness, doubtful))
    return found


def _runs(strokes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last row of the run of ink in the same column that every pixel belongs to (of any use on ink only)."""
    rows = np.arange(len(strokes), dtype=np.int32)[:, None]
    paper = np.where(strokes, np.int32(-1), rows)
    top = np.maximum.accumulate(paper, axis=0) + 1
    paper = np.where(strokes, np.int32(len(strokes)), rows)
    bottom = np.minimum.accumulate(paper[::-1], axis=0)[::-1] - 1
    return top, bottom


def _darkness(ink: np.ndarray, path: np.ndarray, inked: np.ndarray) -> np.ndarray:
    """How dark a path is in each column; beside the ends of its stroke, at the height of these ends."""
    columns = np.arange(len(path))
    entered, left = np.clip(path, 0, len(ink) - 1).T
    before, behind = np.roll(entered, 1), np.roll(left, -1)
    on_it = np.maximum(ink[entered, columns], ink[left, columns])
    return np.where(inked, on_it, np.maximum(ink[before, columns], ink[behind, columns]))


def _followed_twice(paths: np.ndarray, baselines: list[float]) -> dict[int, list[tuple[int, int, int]]]:
    """The rows whose path runs along another row's trace for longer than a crossing takes, and (column, top, bottom) of that trace.

    It belongs to the row that it is nearer to.
    """
    middle = paths.mean(axis=2)
    found: dict[int, list[tuple[int, int, int]]] = {}
    for upper, lower in pairwise(range(len(baselines))):
        together = (np.abs(middle[upper] - middle[lower]) < SAME_PATH_PX).astype(int)
        edges = np.flatnonzero(np.diff(np.pad(together, 1)))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            if stop - start < SHARED_MM * PX_PER_MM:
                continue
            level = float(np.median(middle[upper, start:stop]))
            away = level - baselines[upper] > baselines[lower] - level
            intruder, owner = (upper, lower) if away else (lower, upper)
            tops, bottoms = paths[owner, start:stop].min(axis=1), paths[owner, start:stop].max(axis=1)
            strip = zip(range(start, stop), tops, bottoms, strict=True)
            found.setdefault(intruder, []).extend(
                (column, max(int(top) - STROKE_REACH_PX, 0), int(bottom) + STROKE_REACH_PX + 1)
                for column, top, bottom in strip
            )
    return found


def _paths(ink: np.ndarray, baselines: list[float], reach: int) -> np.ndarray:
    """The cheapest path of every row from left to right: int `(rows, columns, 2)`, the pixel where it enters and leaves a column.

    A path moves to the right or, in a column, up and down; pixels on ink cost next to nothing (Dijkstra's shortest path on a
    grid without moves to the left, solved column by column).

    Args:
        ink: `(rows, columns)`, 0 on paper to 1 on a stroke.
        baselines: of the rows, px.
        reach: how far a path may run from its baseline, px.
    """
    rows = np.asarray(baselines)
    states = 2 * reach + 1
    first = np.rint(rows).astype(int) - reach
    padded = np.pad(ink, ((reach + 1, reach + 1), (0, 0)))
    index = np.clip(first[:, None] + np.arange(states) + reach + 1, 0, len(padded) - 1)  # (rows, states)
    away = AWAY * np.abs(np.arange(states) - reach) / PX_PER_MM
    columns = ink.shape[1]
    price = ON_INK + ON_PAPER * (1 - np.minimum(padded / SURE_INK, 1))
    kept = np.empty((columns, len(rows), states), np.float32)
    cost = np.zeros((len(rows), states)) + away
    for column in range(columns):
        here = price[:, column][index]
        stairs = np.cumsum(here, axis=1)
        arrived = cost + here + away
        down = np.minimum.accumulate(arrived - stairs, axis=1) + stairs
        lift = stairs - here
        up = np.minimum.accumulate((arrived + lift)[:, ::-1], axis=1)[:, ::-1] - lift
        cost = np.minimum(down, up)
        kept[column] = cost
    paths = np.empty((len(rows), columns, 2), np.int32)
    at = cost.argmin(axis=1)
    numbers = np.arange(len(rows))
    for column in range(columns - 1, -1, -1):
        here = price[:, column][index]
        stairs = np.cumsum(here, axis=1)
        before = (kept[column - 1] if column else away[None]) + here + away
        ending = stairs[numbers, at][:, None]
        climb = np.where(
            np.arange(states)[None] <= at[:, None],
            ending - stairs,
            (stairs - here) - (stairs - here)[numbers, at][:, None],
        )
        entry = (before + climb).argmin(axis=1)
        paths[:, column, 0], paths[:, column, 1] = first + entry, first + at
        at = entry
    return paths


def _edges(
    ink: np.ndarray,
    strokes: np.ndarray,
    top: np.ndarray,
    bottom: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    row: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Upper and lower edge of a row's stroke in every column, to fractions of a pixel; NaN without ink. And the px of ink joined to it
    that go to other rows."""
    height, columns = ink.shape
    everywhere = np.arange(columns)
    path_top, path_bottom = np.clip(low[row], 0, height - 1), np.clip(high[row], 0, height - 1)
    middle = (path_top + path_bottom) // 2
    on_top, on_bottom, on_middle = (strokes[at, everywhere] for at in (path_top, path_bottom, middle))
    on_ink = on_top | on_bottom | on_middle
    upper = np.where(on_top, top[path_top, everywhere], np.where(on_middle, top[middle, everywhere], path_top))
    lower = np.where(
        on_bottom, bottom[path_bottom, everywhere], np.where(on_middle, bottom[middle, everywhere], path_bottom)
    )
    upper, lower = np.minimum(upper, lower), np.maximum(upper, lower)
    whole = lower - upper
    # Ink beyond the path belongs to the row, unless another row's path runs there.
    for other in range(len(low)):
        if other == row:
            continue
        above = (high[other] < path_top) & (high[other] >= upper)
        upper = np.where(above, path_top, upper)
        below = (low[other] > path_bottom) & (low[other] <= lower)
        lower = np.where(below, path_bottom, lower)
    return *_to_fractions(ink, upper, lower, on_ink), np.where(on_ink, whole - (lower - upper), 0)


def _to_fractions(
    ink: np.ndarray, upper: np.ndarray, lower: np.ndarray, on_ink: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Edges where the ink's darkness passes `INK` between pixel centres; pixel edges lie at whole numbers."""
    columns = np.arange(ink.shape[1])
    last = len(ink) - 1

    def crossing(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
        a, b = ink[inside, columns], ink[np.clip(outside, 0, last), columns]
        share = np.where(a > b, (a - INK) / np.maximum(a - b, 1e-6), 0.5)
        return np.where(b >= INK, 0.5, np.clip(share, 0, 1))

    top = upper + 0.5 - crossing(upper, upper - 1)
    bottom = lower + 0.5 + crossing(lower, lower + 1)
    return np.where(on_ink, top, np.nan), np.where(on_ink, bottom, np.nan)


def _curve(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """The curve whose stroke has these edges, at the edges and in the middle of every column.

    A stroke is its curve widened by a disc. Shrunk by that disc, its upper edge gives back the curve's peaks but fills narrow
    valleys, and its lower edge the reverse (closing and opening of the curve, Serra 1982); which of them is right at a place
    is decided by widening each again: a missing peak leaves the upper edge uncovered, a missing valley the lower edge.
    """
    seen = np.isfinite(upper) & np.isfinite(lower)
    curve = np.full(2 * len(upper) + 1, np.nan)
    if seen.sum() < 2:
        return curve
    radius = max(float(np.quantile((lower - upper)[seen], 0.3)) / 2, 0.55)
    reach = int(2 * radius + 0.2)  # half columns
    caps = np.sqrt(np.maximum(radius**2 - (np.arange(-reach, reach + 1) / 2) ** 2, 0))
    top, bottom = np.full(len(curve), -np.inf), np.full(len(curve), np.inf)
    top[1::2][seen], bottom[1::2][seen] = upper[seen], lower[seen]
    peaks, valleys = _lowest(top, caps), -_lowest(-bottom, caps)
    known = np.isfinite(peaks) & np.isfinite(valleys)
    no_peak = np.where(known, -_lowest(np.where(known, -valleys, -np.inf), caps) - top, 0)
    no_valley = np.where(known, bottom - _lowest(np.where(known, peaks, -np.inf), caps), 0)
    uncovered = [
        maximum_filter1d(np.where(np.isfinite(part), np.maximum(part, 0), 0), 2 * reach + 1)
        for part in (no_peak, no_valley)
    ]
    share = (uncovered[0] + 0.3) / (uncovered[0] + uncovered[1] + 0.6)
    curve[known] = (share * np.where(known, peaks, 0) + (1 - share) * np.where(known, valleys, 0))[known]
    return curve


def _lowest(edge: np.ndarray, caps: np.ndarray) -> np.ndarray:
    """The lowest on the page (largest y) of an edge's neighbours, each moved down by its cap."""
    padded = np.pad(edge, len(caps) // 2, constant_values=-np.inf)
    return np.max([padded[step : step + len(edge)] + cap for step, cap in enumerate(caps)], axis=0)


__all__ = [
    "INK",
    "Trace",
    "alike_in_blocks",
    "along_curves",
    "between_pulses",
    "find_blocks",
    "find_rows",
    "follow",
    "without_frames",
]
