# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Moves traced curves until a pen that runs along them would leave the ink that the page shows.

The edges of a steep stroke lie in few columns, so that its curve can be read there to half a pixel only; all of its ink together tells a
few hundredths. The curves of all rows are fitted at once (Gauss-Newton with Levenberg's damping), so that the ink of one is not taken
for that of another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from scipy.special import erf

from .traces import Trace

STEPS = 5
# A tip is the highest of so many columns of a stroke; its curve is short of it by more than that.
TIP_COLUMNS, SHORT_PX = 5, 1.0
KNOT = 0.5  # px between two knots of a curve
FLAT_KNOTS, FLAT_PX = 19, 0.8  # a stroke is flat where its curve stays within that; there the pen is measured
STEEP_KNOTS, STEEP_PX = 9, 3.0  # and steep where it leaves that; only there the edges do not suffice
MARGIN_KNOTS = 10  # beside steep places that are fitted too
LEAST_FLAT = 50  # columns
THIN_SHARE = 0.25  # of the flat columns
# Slope of a steep limb (px down per px), px beside it that are looked at, ink that is none, and how many limbs are enough.
STEEP_LIMB, ACROSS_PX, FAINT, LEAST_LIMBS = 5.0, 7, 0.08, 20
PROFILE_PX, PROFILE_STEP = 5.0, 0.25  # distances from the curve at which the pen is measured
RADII, BLURS = np.arange(0.3, 4.01, 0.1), np.arange(0.3, 1.61, 0.1)
# How much a knot may bend away from its neighbours, and move in a step, against an ink of 1 in a pixel.
STIFFNESS, DAMPING = 0.02, 0.002
MISSED_PX = 2.0  # ink farther from a curve than its pen reaches, and that, is not explained by it
LONGEST_STEP = 0.5  # of the height that the curve has around a knot; 1 px where it is flat


@dataclass(frozen=True)
class Pen:
    """How dark a stroke is at a distance from its curve: a disc of `radius` px, blurred by `blur` px, `darkness` within."""

    radius: float
    blur: float
    darkness: float

    @property
    def reach(self) -> float:
        """Beyond that distance it leaves no ink, px."""
        return self.radius + 2.5 * self.blur

    def ink(self, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Its ink at distances in px, and by how much that changes with a px more."""
        near, far = ((self.radius + side * distance) / self.blur for side in (-1, 1))
        ink = self.darkness / 2 * (erf(near / np.sqrt(2)) + erf(far / np.sqrt(2)))
        slope = self.darkness / self.blur / np.sqrt(2 * np.pi) * (np.exp(-(far**2) / 2) - np.exp(-(near**2) / 2))
        return ink, slope


def refined(ink: np.ndarray, strokes: np.ndarray, traces: Sequence[Trace]) -> list[Trace]:
    """The traces of a block with their curves fitted to the ink where they are steep, and with the ink that none of them reaches.

    Args:
        ink: of the flattened page, 0 to 1.
        strokes: true where the ink is a trace's.
        traces: all rows of one block, which begin and end in the same columns.
    """
    columns = slice(traces[0].left, traces[0].left + len(traces[0].upper))
    part = ink[:, columns]
    heights = np.stack([trace.height for trace in traces])
    pen = find_pen(part, heights)
    if pen is None:
        return list(traces)
    free = _beside(np.any(_range(heights, STEEP_KNOTS) > STEEP_PX, axis=0), MARGIN_KNOTS)
    heights = _with_tips(heights, traces, pen)
    for _ in range(STEPS if free.any() else 0):
        heights = _fitted(part, heights, pen, free)
    missed = _missed(strokes[:, columns], heights, pen.reach + MISSED_PX)
    return [
        replace(trace, height=height, doubtful=trace.doubtful + left_out)
        for trace, height, left_out in zip(traces, heights, missed, strict=True)
    ]


def _with_tips(heights: np.ndarray, traces: Sequence[Trace], pen: Pen) -> np.ndarray:
    """The curves with those tips of their strokes that their pen does not reach: the fit moves a tip by a px a step only."""
    reach = int(2 * pen.radius)
    caps = np.sqrt(pen.radius**2 - (np.arange(-reach, reach + 1) / 2) ** 2)
    steep = _range(heights, STEEP_KNOTS)[:, 1::2] > STEEP_PX
    tipped = heights.copy()
    for sign, edges in ((1, [trace.upper for trace in traces]), (-1, [trace.lower for trace in traces])):
        edge = np.where(np.isfinite(edges), sign * np.array(edges), np.inf)
        curve = np.where(np.isfinite(heights), sign * heights, np.inf)
        padded = np.pad(curve, ((0, 0), (reach, reach)), constant_values=np.inf)
        covered = np.min([padded[:, at : at + curve.shape[1]] - cap for at, cap in enumerate(caps)], axis=0)[:, 1::2]
        is_tip = edge == minimum_filter1d(edge, TIP_COLUMNS, axis=1)
        known = np.isfinite(edge) & np.isfinite(heights[:, 1::2])
        missing = known & is_tip & steep & (covered > edge + SHORT_PX)
        tipped[:, 1::2] = np.where(missing, sign * (edge + pen.radius), tipped[:, 1::2])
    return tipped


def find_pen(ink: np.ndarray, heights: np.ndarray) -> Pen | None:
    """The pen that drew the flat parts of curves; `None` where too few are flat.

    Args:
        ink: `(height, columns)`.
        heights: `(rows, 2 * columns + 1)` px, at the edges and in the middle of each column.
    """
    flat = (_range(heights, FLAT_KNOTS)[:, 1::2] < FLAT_PX) & np.isfinite(heights[:, 1::2])
    if flat.sum() < LEAST_FLAT:
        return None
    row, column = np.nonzero(flat)
    height = heights[row, 2 * column + 1]
    around = np.rint(height)[:, None] + np.arange(-PROFILE_PX, PROFILE_PX)
    distance = np.abs(around + 0.5 - height[:, None])
    seen = ink[np.clip(around.astype(int), 0, len(ink) - 1), column[:, None]]
    # A trembling curve is wider than its pen: the pen is measured where the stroke is thin.
    width = seen.sum(axis=1)
    thin = width <= np.quantile(width, THIN_SHARE)
    seen, distance = seen[thin], distance[thin]
    bins = (distance / PROFILE_STEP).astype(int)
    number = int(PROFILE_PX / PROFILE_STEP)
    at = (np.arange(number) + 0.5) * PROFILE_STEP
    profile = np.array([np.median(seen[bins == each]) if np.any(bins == each) else np.nan for each in range(number)])
    known = np.isfinite(profile)
    best: tuple[float, Pen | None] = (np.inf, None)
    for radius in RADII:
        for blur in BLURS:
            shape, _ = Pen(radius, blur, 1.0).ink(at[known])
            darkness = float(shape @ profile[known] / (shape @ shape))
            error = float(((profile[known] - darkness * shape) ** 2).sum())
            if error < best[0]:
                best = error, Pen(float(radius), float(blur), darkness)
    pen = best[1]
    across = _width_across(ink, heights)
    if pen is None or across is None:
        return pen
    return replace(pen, radius=min(max(across / pen.darkness / 2, RADII[0]), pen.radius))


def _width_across(ink: np.ndarray, heights: np.ndarray) -> float | None:
    """How much ink a level line meets that crosses a steep limb, px; `None` where too few are steep. A curve that trembles widens its
    level stroke everywhere, but not its limbs."""
    rise = np.diff(heights, axis=1)
    row, knot = np.nonzero(np.abs(rise) > STEEP_LIMB * KNOT)  # NaN is not steep
    y = ((heights[row, knot] + heights[row, knot + 1]) / 2).astype(int)
    x = np.rint(KNOT * (knot + 0.5) - 0.5).astype(int)[:, None] + np.arange(-ACROSS_PX, ACROSS_PX + 1)
    inside = (x[:, 0] >= 0) & (x[:, -1] < ink.shape[1]) & (y >= 0) & (y < len(ink))
    met = ink[y[inside, None], x[inside]]
    seen = met > FAINT
    left = np.minimum.accumulate(seen[:, ACROSS_PX::-1], axis=1)
    right = np.minimum.accumulate(seen[:, ACROSS_PX:], axis=1)
    alone = ~left[:, -1] & ~right[:, -1] & seen[:, ACROSS_PX]
    if alone.sum() < LEAST_LIMBS:
        return None
    width = (met[:, ACROSS_PX::-1] * left).sum(axis=1) + (met[:, ACROSS_PX:] * right).sum(axis=1) - met[:, ACROSS_PX]
    slope = np.abs(rise[row, knot])[inside]
    return float(np.quantile((width * slope / np.hypot(slope, KNOT))[alone], THIN_SHARE))


def _missed(strokes: np.ndarray, heights: np.ndarray, reach: float) -> np.ndarray:
    """`(rows, columns)` px of strokes that are farther than `reach` from every curve, each counted for the row that is nearest to it."""
    of_columns = np.stack([heights[:, :-2:2], heights[:, 1::2], heights[:, 2::2]])
    beside = 2 * int(np.ceil(reach)) + 1
    top = minimum_filter1d(np.where(np.isfinite(of_columns), of_columns, np.inf).min(axis=0), beside, axis=1) - reach
    foot = maximum_filter1d(np.where(np.isfinite(of_columns), of_columns, -np.inf).max(axis=0), beside, axis=1) + reach
    y, x = np.nonzero(strokes)
    away = np.maximum(top[:, x] - y, y + 1 - foot[:, x])
    nearest = away.argmin(axis=0)
    least = away.min(axis=0)
    left_out = (least > 0) & np.isfinite(least)
    number = nearest[left_out] * strokes.shape[1] + x[left_out]
    return np.bincount(number, minlength=heights.shape[0] * strokes.shape[1]).reshape(len(heights), -1)


def _range(heights: np.ndarray, knots: int) -> np.ndarray:
    """How much a curve rises and falls around every knot; 0 in gaps."""
    known = np.isfinite(heights)
    high = maximum_filter1d(np.where(known, heights, -np.inf), knots, axis=1)
    low = minimum_filter1d(np.where(known, heights, np.inf), knots, axis=1)
    return np.where(known, high - low, 0.0)


def _beside(knots: np.ndarray, margin: int) -> np.ndarray:
    return maximum_filter1d(knots.astype(np.uint8), 2 * margin + 1) > 0


def _fitted(ink: np.ndarray, heights: np.ndarray, pen: Pen, free: np.ndarray) -> np.ndarray:
    """The curves after one step."""
    rows, knots = heights.shape
    known = np.isfinite(heights)
    y = np.where(known, heights, 0.0)
    # Knots of all rows in one series; no stroke leads from one row to the next.
    may_move = (known & free).ravel()
    diagonals = np.zeros((3, rows * knots))  # of the symmetric matrix: the main one and those above
    gradient = np.zeros(rows * knots)
    segment, share, error, slope = _explained(ink, heights, pen, _beside(free, MARGIN_KNOTS))
    first, second = slope * (1 - share), slope * share
    diagonals[0] += np.bincount(segment, first**2, rows * knots) + np.bincount(segment + 1, second**2, rows * knots)
    diagonals[1] += np.bincount(segment, first * second, rows * knots)
    gradient += np.bincount(segment, first * error, rows * knots)
    gradient += np.bincount(segment + 1, second * error, rows * knots)
    steep = _range(heights, STEEP_KNOTS)
    _stiffen(diagonals, gradient, y, known, STIFFNESS / (1 + steep**2))
    diagonals[0] += DAMPING
    for offset in (1, 2):
        joined = np.append(may_move[:-offset] & may_move[offset:], np.zeros(offset, bool))
        diagonals[offset] = np.where(joined, diagonals[offset], 0.0)
    gradient[~may_move] = 0.0
    banded = np.stack([np.roll(diagonals[offset], offset) for offset in (2, 1, 0)])
    moved = solveh_banded(banded, gradient).reshape(rows, knots)
    most = np.maximum(LONGEST_STEP * steep, 1.0)
    return np.where(known, y + np.clip(moved, -most, most), np.nan)


def _stiffen(
    diagonals: np.ndarray, gradient: np.ndarray, y: np.ndarray, known: np.ndarray, stiffness: np.ndarray
) -> None:
    """Adds the cost of bends, which is `stiffness` times the square of each second difference."""
    whole = np.zeros(y.shape, bool)
    whole[:, 1:-1] = known[:, :-2] & known[:, 1:-1] & known[:, 2:]
    at = np.flatnonzero(whole)
    weight, flat = stiffness.ravel()[at], y.ravel()
    bend = weight * (flat[at - 1] - 2 * flat[at] + flat[at + 1])
    for offset, factor in ((-1, 1.0), (0, -2.0), (1, 1.0)):
        gradient[at + offset] -= factor * bend
        diagonals[0, at + offset] += factor**2 * weight
    diagonals[1, at - 1] -= 2 * weight
    diagonals[1, at] -= 2 * weight
    diagonals[2, at - 1] += weight


def _explained(
    ink: np.ndarray, heights: np.ndarray, pen: Pen, looked_at: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For every pixel near a curve: the piece of curve that is nearest (number of its first knot, all rows in one series), where on it
    (0 to 1), how much more ink the page shows there than the pen leaves, and by how much that ink grows where the piece moves down by
    1 px."""
    _, knots = heights.shape
    joined = np.isfinite(heights[:, :-1]) & np.isfinite(heights[:, 1:]) & (looked_at[:-1] & looked_at[1:])
    row, knot = np.nonzero(joined)
    start, end = heights[row, knot], heights[row, knot + 1]
    # Every piece with the pixels of its box.
    width = int(np.ceil(2 * pen.reach + KNOT)) + 1
    left = np.floor(knot * KNOT - pen.reach).astype(int)
    top = np.floor(np.minimum(start, end) - pen.reach).astype(int)
    count = (np.floor(np.maximum(start, end) + pen.reach).astype(int) - top + 1) * width
    piece = np.repeat(np.arange(len(row)), count)
    number = np.arange(len(piece)) - np.repeat(np.cumsum(count) - count, count)
    y, x = top[piece] + number // width, left[piece] + number % width
    inside = (x >= 0) & (x < ink.shape[1]) & (y >= 0) & (y < len(ink))
    piece, y, x = piece[inside], y[inside], x[inside]
    right, down, rise = x + 0.5 - KNOT * knot[piece], y + 0.5 - start[piece], (end - start)[piece]
    share = np.clip((KNOT * right + rise * down) / (KNOT**2 + rise**2), 0, 1)
    below = down - share * rise
    distance = np.hypot(right - share * KNOT, below).astype(np.float32)
    near = distance < pen.reach
    pixel = (y * ink.shape[1] + x)[near]
    nearest = np.full(ink.size, np.inf, np.float32)
    np.minimum.at(nearest, pixel, distance[near])
    owner = np.full(ink.size, -1, np.int32)
    candidates = np.flatnonzero(near)
    closest = candidates[distance[near] == nearest[pixel]]
    owner[y[closest] * ink.shape[1] + x[closest]] = closest
    own = owner[owner >= 0]
    drawn, slope = pen.ink(distance[own])
    # Between two limbs of a spike both leave ink. Theirs adds up, but to no more than a stroke is dark.
    turns = np.full(ink.size, 0.0, np.float32)
    turns[owner >= 0] = rise[own]
    back = near.copy()
    back[near] = turns[pixel] * rise[near] < -(KNOT**2)
    back &= (share > 0) & (share < 1)
    second = np.full(ink.size, np.inf, np.float32)
    np.minimum.at(second, (y * ink.shape[1] + x)[back], distance[back])
    beyond, _ = pen.ink(second[owner >= 0])
    together = drawn + beyond
    slope = np.where(together > pen.darkness, 0.0, slope)
    error = ink[y[own], x[own]] - np.minimum(together, np.maximum(pen.darkness, drawn))
    down_slope = -slope * below[own] / np.maximum(distance[own], 1e-6)
    return row[piece[own]] * knots + knot[piece[own]], share[own], error, down_slope


__all__ = ["Pen", "find_pen", "refined"]
