# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What a page of a PDF draws, as numbers: its strokes and its words, before anything is rendered."""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..extras_gem import require

POINTS_PER_INCH = 72.0
MM_PER_POINT = 25.4 / POINTS_PER_INCH
MAX_SEGMENTS = 2_000_000  # of a page; twelve leads of an hour at 500 Hz have more, a page of ten seconds 60,000
MAX_DEPTH = 5  # of forms inside of forms
TOUCHING_MM = 0.01  # a stroke that begins so near to the end of the one before goes on with it
THIN_MM = 0.4  # a filled box that is thinner is a line
WORD_GAP = 0.5  # between letters, in heights of the letter: two words

Style = tuple[int, int, int, int]  # red, green, blue, width in 1/100 mm


@dataclass(frozen=True)
class Stroke:
    """A line as drawn: `(n, 2)` mm of the paper from its top left corner, and its style."""

    points: np.ndarray
    style: Style


@dataclass(frozen=True)
class PrintedWord:
    """A word, and its box (left, top, right, bottom) in mm of the paper."""

    text: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class DrawnPage:
    """What a page of a PDF draws; mm of the paper as it is shown, from its top left corner."""

    strokes: tuple[Stroke, ...]
    words: tuple[PrintedWord, ...]
    width: float
    height: float


def drawn_page(data: bytes, index: int) -> DrawnPage | None:
    """The strokes and words of a page; `None` where it has more than `MAX_SEGMENTS` segments.

    Args:
        data: a PDF that has been opened before.
        index: the page, from 0.

    Raises:
        MissingDependencyError: pypdfium2 is not installed (`gem-ecg[pages]`).
    """
    pdfium = require("pypdfium2", "A PDF")
    document = pdfium.PdfDocument(data)
    try:
        page = document[index]
        to_mm = _to_mm(page)
        width, height = page.get_size()
        strokes = _strokes(page, to_mm)
        if strokes is None:
            return None
        size = width * MM_PER_POINT, height * MM_PER_POINT
        return DrawnPage(tuple(_joined(strokes)), tuple(_words(page, to_mm)), *size)
    finally:
        document.close()


def _to_mm(page: Any) -> np.ndarray:
    """Affine 3 x 3 from the page's coordinates (points, upwards, before its rotation) to mm of the paper as it is shown."""
    left, bottom, right, top = page.get_cropbox()
    turned = {
        0: [[1, 0, -left], [0, -1, top]],
        90: [[0, 1, -bottom], [1, 0, -left]],
        180: [[-1, 0, right], [0, 1, -bottom]],
        270: [[0, -1, top], [-1, 0, right]],
    }[page.get_rotation() % 360]
    return np.diag([MM_PER_POINT, MM_PER_POINT, 1.0]) @ np.array([*turned, [0, 0, 1]], float)


def _strokes(page: Any, to_mm: np.ndarray) -> list[Stroke] | None:
    found: list[Stroke] = []
    segments = 0
    for path, place in _paths(page.raw, to_mm, 0):
        style, is_filled = _style(path, place)
        for points in _subpaths(path, place):
            segments += len(points)
            if segments > MAX_SEGMENTS:
                return None
            if not is_filled:
                found.append(Stroke(points, style))
            elif (line := _thin(points)) is not None:
                found.append(Stroke(line, style))
    return found


def _paths(parent: Any, place: np.ndarray, depth: int) -> Iterator[tuple[Any, np.ndarray]]:
    """The paths of a page or of a form, with the way to mm of each."""
    from pypdfium2 import raw

    of_page = depth == 0
    count = raw.FPDFPage_CountObjects(parent) if of_page else raw.FPDFFormObj_CountObjects(parent)
    for number in range(count):
        item = raw.FPDFPage_GetObject(parent, number) if of_page else raw.FPDFFormObj_GetObject(parent, number)
        kind = raw.FPDFPageObj_GetType(item)
        if kind not in (raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_FORM):
            continue
        matrix = raw.FS_MATRIX()
        raw.FPDFPageObj_GetMatrix(item, matrix)
        own = np.array([[matrix.a, matrix.c, matrix.e], [matrix.b, matrix.d, matrix.f], [0, 0, 1]])
        if kind == raw.FPDF_PAGEOBJ_PATH:
            yield item, place @ own
        elif depth < MAX_DEPTH:
            yield from _paths(item, place @ own, depth + 1)


def _style(path: Any, place: np.ndarray) -> tuple[Style, bool]:
    """Colour and width, and whether the path is filled and not stroked."""
    from pypdfium2 import raw

    fill, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(path, fill, stroke)
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    color = raw.FPDFPageObj_GetStrokeColor if stroke.value else raw.FPDFPageObj_GetFillColor
    color(path, red, green, blue, alpha)
    width = ctypes.c_float()
    raw.FPDFPageObj_GetStrokeWidth(path, width)
    scale = float(np.sqrt(abs(np.linalg.det(place[:2, :2]))))
    return (red.value, green.value, blue.value, round(100 * width.value * scale)), not stroke.value


def _subpaths(path: Any, place: np.ndarray) -> Iterator[np.ndarray]:
    """The lines of a path, `(n, 2)` mm; a curve counts as the line to its end."""
    from pypdfium2 import raw

    points: list[tuple[float, float]] = []
    x, y = ctypes.c_float(), ctypes.c_float()
    controls = 0
    for number in range(raw.FPDFPath_CountSegments(path)):
        segment = raw.FPDFPath_GetPathSegment(path, number)
        kind = raw.FPDFPathSegment_GetType(segment)
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        if kind == raw.FPDF_SEGMENT_BEZIERTO:
            controls = (controls + 1) % 3
            if controls:
                continue
        elif kind == raw.FPDF_SEGMENT_MOVETO and points:
            yield _placed(points, place)
            points = []
        points.append((x.value, y.value))
        if raw.FPDFPathSegment_GetClose(segment):
            points.append(points[0])
    if points:
        yield _placed(points, place)


def _placed(points: list[tuple[float, float]], place: np.ndarray) -> np.ndarray:
    return np.asarray(points) @ place[:2, :2].T + place[:2, 2]


def _thin(points: np.ndarray) -> np.ndarray | None:
    """The middle of a filled box that is thin enough to be a line, `(2, 2)`."""
    low, high = points.min(axis=0), points.max(axis=0)
    if min(high - low) > THIN_MM:
        return None
    middle = (low + high) / 2
    along = int(np.argmax(high - low))
    ends = np.stack([middle, middle])
    ends[:, along] = low[along], high[along]
    return ends


def _joined(strokes: list[Stroke]) -> list[Stroke]:
    """Strokes that go on where the one before ended, as one: devices draw a trace in pieces, some sample by sample."""
    groups: list[list[Stroke]] = []
    for stroke in strokes:
        last = groups[-1][-1] if groups else None
        goes_on = (
            last is not None
            and last.style == stroke.style
            and np.abs(last.points[-1] - stroke.points[0]).max() < TOUCHING_MM
        )
        if goes_on:
            groups[-1].append(stroke)
        else:
            groups.append([stroke])
    return [
        Stroke(np.concatenate([group[0].points, *(each.points[1:] for each in group[1:])]), group[0].style)
        for group in groups
    ]


def _words(page: Any, to_mm: np.ndarray) -> Iterator[PrintedWord]:
    text = page.get_textpage()
    letters = []
    for number in range(text.count_chars()):
        letter = text.get_text_range(number, 1)
        left, bottom, right, top = text.get_charbox(number)
        corners = np.array([[left, bottom, 1], [right, top, 1]]) @ to_mm.T
        (x0, y0), (x1, y1) = corners[:, :2].min(axis=0), corners[:, :2].max(axis=0)
        letters.append((letter, (float(x0), float(y0), float(x1), float(y1))))
    start = 0
    for at, (letter, box) in enumerate([*letters, (" ", (0.0, 0.0, 0.0, 0.0))]):
        ends = not letter.strip()
        if not ends and at > start:
            before = letters[at - 1][1]
            height = max(box[3] - box[1], before[3] - before[1])
            ends = box[0] - before[2] > WORD_GAP * height or box[0] < before[0] or abs(box[3] - before[3]) > height
        if ends:
            if at > start:
                boxes = np.array([each for _, each in letters[start:at]])
                low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
                word = "".join(each for each, _ in letters[start:at])
                yield PrintedWord(word, (float(low[0]), float(low[1]), float(high[0]), float(high[1])))
            start = at if letter.strip() else at + 1


def line_positions(strokes: tuple[Stroke, ...], axis: int, least_mm: float) -> dict[Style, np.ndarray]:
    """Where straight lines across an axis (0: upright lines, 1: level ones) stand, by style, in mm and in order."""
    found: dict[Style, list[float]] = {}
    for stroke in strokes:
        for a, b in pairwise(stroke.points) if len(stroke.points) <= 5 else ():
            if abs(a[axis] - b[axis]) < TOUCHING_MM and abs(a[1 - axis] - b[1 - axis]) >= least_mm:
                found.setdefault(stroke.style, []).append(float(a[axis] + b[axis]) / 2)
    return {style: np.unique(np.round(positions, 3)) for style, positions in found.items()}


__all__ = ["DrawnPage", "PrintedWord", "Stroke", "drawn_page", "line_positions"]
