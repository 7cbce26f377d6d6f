# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Finds the calibration pulses of a flattened page: boxes without a bottom, 1 mV high."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .paper import PX_PER_MM
from .traces import INK, Trace

HEIGHTS_MM = (2.0, 24.0)
WIDTHS_MM = (2.2, 11.5)
LEGS, ROOF = 0.85, 0.85  # share of a pulse's sides and top that is ink
INSIDE = 0.06  # and of what lies between them
ALIKE = 0.08  # pulses of one page are as high as each other, to that share
MIN_HEIGHT_MM = 1.8
NEAR_END_MM, SAME_PLACE_MM = 25.0, 2.0
GAINS_MM = (2.5, 5.0, 10.0, 20.0)  # the height of pulses at the usual gains
LEG_MM, LEVEL_MM, MOST_ROWS = (
    1.0,
    0.5,
    0.6,
)  # how wide a leg may be, how level the top of a pulse is, and the share of a block's rows that begin with one


@dataclass(frozen=True)
class Pulse:
    """A calibration pulse in px of the flattened page: the middle of its strokes."""

    left: float
    right: float
    top: float
    foot: float

    @property
    def height_mm(self) -> float:
        """The mm that stand for 1 mV."""
        return (self.foot - self.top) / PX_PER_MM

    @property
    def width_mm(self) -> float:
        """The mm from leg to leg."""
        return (self.right - self.left) / PX_PER_MM


def find_pulses(ink: np.ndarray) -> list[Pulse]:
    """The pulses that are as high as most, left to right."""
    strokes = (ink > INK).astype(np.uint8)
    least = round(MIN_HEIGHT_MM * PX_PER_MM)
    upright = cv2.morphologyEx(strokes, cv2.MORPH_OPEN, np.ones((least, 1), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(upright, connectivity=8)
    legs = [
        (int(left), int(top), int(left + width), int(top + height))
        for left, top, width, height, _ in stats[1:]
        if width <= 0.9 * PX_PER_MM and height <= 1.7 * HEIGHTS_MM[1] * PX_PER_MM
    ]
    legs.sort()
    found = []
    for index, first in enumerate(legs):
        for second in legs[index + 1 :]:
            width = (second[0] - first[0]) / PX_PER_MM
            if width > WIDTHS_MM[1]:
                break
            if width >= WIDTHS_MM[0] and (pulse := _pulse(ink, strokes, first, second)) is not None:
                found.append(pulse)
    if not found:
        return []
    # Of many boxes those are the pulses that most others equal which stand above or below them.
    heights, lefts, feet = (
        np.array(each) for each in zip(*[(p.height_mm, p.left, p.foot) for p in found], strict=True)
    )
    alike = np.abs(heights[:, None] / heights[None] - 1) < ALIKE
    stacked = (np.abs(lefts[:, None] - lefts) < SAME_PLACE_MM * PX_PER_MM) & (np.abs(feet[:, None] - feet) > PX_PER_MM)
    votes = (alike & stacked).sum(axis=1) * len(found) + alike.sum(axis=1)
    height = np.median(heights[alike[votes.argmax()]])
    return [pulse for pulse in found if abs(pulse.height_mm / height - 1) < ALIKE]


def where_pulses_stand(pulses: Sequence[Pulse], blocks: Sequence[tuple[int, int]]) -> list[Pulse]:
    """The pulses at the ends of a block, and those that stand above each other. A lone box amid traces is a part of one.

    Args:
        pulses: as found.
        blocks: (left, right) px of the stretches that hold traces.
    """
    ends = [edge for block in blocks for edge in block]
    near, apart = NEAR_END_MM * PX_PER_MM, SAME_PLACE_MM * PX_PER_MM
    return [
        pulse
        for pulse in pulses
        if any(abs(pulse.left - end) < near or abs(pulse.right - end) < near for end in ends)
        or sum(abs(pulse.left - other.left) < apart for other in pulses) > 1
    ]


def pulses_in_traces(rows: Sequence[Trace]) -> list[Pulse]:
    """The pulses that the traces of a block begin with, where a first beat hides their right legs.

    No heart holds most leads at once at 2.5, 5, 10 or 20 mm for some mm. The foot is taken to be the row's baseline.

    Args:
        rows: all traces of the block.
    """
    found = []
    for trace in rows:
        seen = np.flatnonzero(np.isfinite(trace.height))
        if len(seen) < 2 * WIDTHS_MM[1] * PX_PER_MM:
            continue
        x, above = trace.x[seen], (trace.baseline - trace.height[seen]) / PX_PER_MM
        # Behind the left leg, of which the curve makes what it likes.
        leg, wide = x - x[0] < LEG_MM * PX_PER_MM, x - x[0] < WIDTHS_MM[0] * PX_PER_MM
        level = float(np.median(above[~leg & wide]))
        left_it = ~leg & (np.abs(above - level) > LEVEL_MM)
        width = float(x[left_it.argmax()] - x[0]) / PX_PER_MM if left_it.any() else 0.0
        if level > HEIGHTS_MM[0] and WIDTHS_MM[0] <= width <= WIDTHS_MM[1]:
            right, top = float(x[0]) + width * PX_PER_MM, trace.baseline - level * PX_PER_MM
            found.append(Pulse(float(x[0]), right, top, trace.baseline))
    if len(found) < max(2, MOST_ROWS * len(rows)):
        return []
    tall = float(np.median([pulse.height_mm for pulse in found]))
    usual = min(abs(tall / gain - 1) for gain in GAINS_MM) < ALIKE
    width = float(np.median([pulse.width_mm for pulse in found]))
    alike = [pulse for pulse in found if abs(pulse.width_mm - width) < LEVEL_MM]
    return alike if usual and len(alike) >= max(2, MOST_ROWS * len(rows)) else []


def without_pulses(ink: np.ndarray, pulses: list[Pulse]) -> np.ndarray:
    """The ink without the strokes of pulses, which stand close to the names of leads."""
    left_out = ink.copy()
    for pulse in pulses:
        top, foot, left, right = (round(side) for side in (pulse.top, pulse.foot, pulse.left, pulse.right))
        rows = slice(max(top - 4, 0), foot + 5)
        for column in (left, right):
            left_out[rows, max(column - 3, 0) : column + 3] = 0
        left_out[max(top - 4, 0) : top + 4, max(left - 3, 0) : right + 3] = 0
    return left_out


def _pulse(
    ink: np.ndarray, strokes: np.ndarray, first: tuple[int, int, int, int], second: tuple[int, int, int, int]
) -> Pulse | None:
    """The pulse between two upright strokes, if there is one."""
    top = max(first[1], second[1])
    foot = min(first[3], second[3])
    inner = slice(first[2], second[0])
    if abs(first[1] - second[1]) > 0.6 * PX_PER_MM or inner.stop - inner.start < PX_PER_MM:
        return None
    if not HEIGHTS_MM[0] <= (foot - top) / PX_PER_MM <= HEIGHTS_MM[1]:
        return None
    start = max(min(first[1], second[1]) - 2, 0)
    above = strokes[start : top + round(0.8 * PX_PER_MM), inner]
    if above.max(axis=0).mean() < ROOF:
        return None
    roof = start + _centre(ink[start : top + round(0.8 * PX_PER_MM), inner].mean(axis=1))
    inside = strokes[round(roof + 0.6 * PX_PER_MM) : foot - round(0.6 * PX_PER_MM), inner]
    if inside.size and inside.mean() > INSIDE:
        return None
    below = _foot(ink, first, second, foot)
    left = first[0] - 1 + _centre(ink[top:foot, max(first[0] - 1, 0) : first[2] + 1].mean(axis=0))
    right = second[0] - 1 + _centre(ink[top:foot, second[0] - 1 : second[2] + 1].mean(axis=0))
    return Pulse(left, right, roof, below)


def _foot(ink: np.ndarray, first: tuple[int, int, int, int], second: tuple[int, int, int, int], foot: int) -> float:
    """Where the legs end, less half of a level stroke where they stand on one."""
    ends = []
    for leg, beside in ((first, slice(first[0] - 9, first[0] - 3)), (second, slice(second[2] + 3, second[2] + 9))):
        level = ink[max(foot - 8, 0) : foot + 8, max(beside.start, 0) : beside.stop]
        if level.size and level.max(axis=0).mean() > 2 * INK:
            ends.append(max(foot - 8, 0) + _centre(level.mean(axis=1)))
        else:
            ends.append(_end_of(ink, leg))
    return min(ends, key=lambda end: abs(end - foot))


def _end_of(ink: np.ndarray, leg: tuple[int, int, int, int]) -> float:
    """Where an upright stroke ends, px from the top: strokes end half their width after their last point."""
    left, top, right, bottom = leg
    start = (top + bottom) // 2
    along = ink[start : bottom + 3, max(left - 1, 0) : right + 1].sum(axis=1)
    width = float(np.median(along[: max(bottom - start, 1)]))
    return start + float(np.clip(along / max(width, 1e-6), 0, 1).sum()) - width / 2


def _centre(profile: np.ndarray) -> float:
    """The centre of mass of a profile, px from its beginning (pixel edges at whole numbers)."""
    weight = np.clip(profile - profile.min(), 0, None)
    return float((weight * (np.arange(len(weight)) + 0.5)).sum() / max(weight.sum(), 1e-6))


__all__ = ["GAINS_MM", "Pulse", "find_pulses", "pulses_in_traces", "where_pulses_stand", "without_pulses"]
