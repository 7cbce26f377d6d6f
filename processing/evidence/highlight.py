# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Marks parts of leads on a drawn page, to show the evidence of a statement."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import ImageColor

from processing.ecg_page_ink import POINTS_PER_MM, Color, draw_text, text_box
from processing.ecg_page_layout import Panel
from processing.ecg_page_picture import EcgPage, EcgPageWarning, PlacedLabel
from processing.errors_gem import GemError

# Okabe and Ito's colours that stay apart for colour-blind readers, without the reds that ECG paper is printed in.
HIGHLIGHT_COLORS: tuple[Color, ...] = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233))
FILL_OPACITY = 0.3
EDGE_OPACITY = 0.9
EDGE_MM = 0.4
MARGIN_MM = 2.0
MIN_WIDTH_MM = 1.0
MIN_HEIGHT_MM = 6.0
TAG_OPACITY = 0.85

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Span:
    """A stretch of a lead: `start`..`end` in s of the record, a short `label`, a colour (RGB, `"#rrggbb"` or a name).

    Spans with the same label share a colour where none is given.
    """

    lead: str
    start: float
    end: float
    label: str = ""
    color: Color | str | None = None


def highlight(page: EcgPage, spans: Iterable[Span | Sequence]) -> EcgPage:
    """A copy of the page with spans marked: a translucent band behind the trace, the label beside it.

    The band multiplies the paper's colour, so trace and grid stay as dark as they were. A span of a lead that the page
    shows twice is marked in both places. A span that the page does not show is warned about (`EcgPageWarning`).

    Args:
        page: from `render_ecg`.
        spans: `Span`s or tuples `(lead, start, end[, label[, colour]])`.

    Raises:
        EcgLeadError: the page does not show a lead.
        GemError: a span ends before it starts, or a colour is not valid.
    """
    wanted = [span if isinstance(span, Span) else Span(*span) for span in spans]
    pixels = page.pixels.copy()
    bands: list[tuple[Box, Span, Color]] = []
    for span, color in zip(wanted, _colors(wanted), strict=True):
        if not span.start <= span.end:
            raise GemError(
                f"A span of lead {span.lead} runs from {span.start!r} to {span.end!r} s: give start <= end."
            )
        panels = page.panels_of(span.lead)
        shown = [panel for panel in panels if span.end >= panel.start and span.start <= panel.stop]
        if not shown:
            stretches = " and ".join(f"{panel.start:g}-{panel.stop:g} s" for panel in panels)
            warnings.warn(
                f"{span.lead} {span.start:g}-{span.end:g} s ({span.label or 'no label'}) is not on this "
                f"{page.layout.name} page, which shows {stretches} of that lead.",
                EcgPageWarning,
                stacklevel=2,
            )
        for panel in shown:
            box = span_box(page, panel, span)
            tint(pixels, box, color, max(round(EDGE_MM * page.px_per_mm), 1))
            bands.append((box, span, color))
    marks = _write_tags(page, pixels, bands)
    return replace(page, pixels=pixels, marks=page.marks + marks)


def _colors(spans: Sequence[Span]) -> list[Color]:
    labels = list(dict.fromkeys(span.label for span in spans if span.color is None))
    colors = []
    for span in spans:
        if span.color is None:
            colors.append(HIGHLIGHT_COLORS[labels.index(span.label) % len(HIGHLIGHT_COLORS)])
        elif isinstance(span.color, str):
            try:
                red, green, blue = ImageColor.getrgb(span.color)[:3]
            except ValueError as error:
                raise GemError(f"{span.color!r} is not a colour: give RGB, '#rrggbb' or an HTML name.") from error
            colors.append((red, green, blue))
        else:
            colors.append(span.color)
    return colors


def span_box(page: EcgPage, panel: Panel, span: Span) -> Box:
    """(left, top, right, bottom) px around the trace of a span, clipped to the picture."""
    start, end = max(span.start, panel.start), min(span.end, panel.stop)
    rate = page.record.sampling_rate
    samples = page.samples_of(panel)
    extent = np.zeros(1)
    if samples is not None:
        first, values = samples
        inside = values[max(int(start * rate) - first, 0) : int(np.ceil(end * rate)) - first + 1]
        extent = inside[np.isfinite(inside)] if np.isfinite(inside).any() else extent
    heights = panel.sign * page.layout.gain * np.array([extent.max(), extent.min()], float)
    top_mm, bottom_mm = panel.baseline - heights.max() - MARGIN_MM, panel.baseline - heights.min() + MARGIN_MM
    lacking = max(MIN_HEIGHT_MM - (bottom_mm - top_mm), 0) / 2
    left_mm = panel.x + (start - panel.start) * page.layout.speed
    right_mm = panel.x + (end - panel.start) * page.layout.speed
    widen = max(MIN_WIDTH_MM - (right_mm - left_mm), 0) / 2
    left, top = page.mm_to_px(left_mm - widen, top_mm - lacking)
    right, bottom = page.mm_to_px(right_mm + widen, bottom_mm + lacking)
    height, width = page.pixels.shape[:2]
    return max(round(left), 0), max(round(top), 0), min(round(right), width), min(round(bottom), height)


def tint(pixels: np.ndarray, box: Box, color: Color, edge: int) -> None:
    """Multiplies a band's pixels with a light tone of `color`, its lower and upper edge with a strong one."""
    left, top, right, bottom = box
    inner_top, inner_bottom = top + edge, max(bottom - edge, top + edge)
    for first, last, opacity in (
        (top, inner_top, EDGE_OPACITY),
        (inner_top, inner_bottom, FILL_OPACITY),
        (inner_bottom, bottom, EDGE_OPACITY),
    ):
        tone = 1 - opacity * (1 - np.array(color, np.float32) / 255)
        region = pixels[first:last, left:right]
        region[:] = np.rint(region * tone)


def _write_tags(page: EcgPage, pixels: np.ndarray, bands: list[tuple[Box, Span, Color]]) -> tuple[PlacedLabel, ...]:
    """Writes each band's label above or below it, where least ink and no other label is."""
    size = page.style.text_pt / POINTS_PER_MM * page.px_per_mm
    darkest_paper = min(max(page.style.major), max(page.style.minor), max(page.style.paper))
    red, green, blue = np.moveaxis(page.pixels, -1, 0)
    ink = np.maximum(np.maximum(red, green), blue) < (max(page.style.trace) + darkest_paper) / 2
    taken = np.zeros(ink.shape, bool)
    written = [label.box for label in (*page.labels, *page.marks)]
    for left, top, right, bottom in [*written, *(box for box, _, _ in bands)]:
        taken[max(top, 0) : bottom, max(left, 0) : right] = True
    marks = []
    for box, span, color in bands:
        text = " ".join(span.label.split())
        if not text:
            continue
        place = left, top, right, bottom = _free_place(page, box, text, size, ink, taken)
        region = pixels[top:bottom, left:right]
        region[:] = np.rint(region + (np.array(page.style.paper, np.float32) - region) * TAG_OPACITY)
        middle = ((left + right) / 2, (top + bottom) / 2)
        red, green, blue = (int(channel * 0.6) for channel in color)
        draw_text(pixels, text, *middle, size, (red, green, blue), anchor="mm", bold=True)
        taken[top:bottom, left:right] = True
        marks.append(PlacedLabel(span.lead, text, middle, size, "mm", place))
    return tuple(marks)


def _free_place(page: EcgPage, band: Box, text: str, size: float, ink: np.ndarray, taken: np.ndarray) -> Box:
    """The box nearest to a band, above or below it, that holds a label and the least of ink and other labels."""
    height, width = ink.shape
    padding = max(round(size / 5), 1)
    left, top, right, bottom = text_box(text, 0, 0, size, bold=True)
    box_width, box_height = right - left + 2 * padding, bottom - top + 2 * padding
    reach = max(int(0.6 * page.layout.row_pitch * page.px_per_mm), box_height)
    centre = (band[0] + band[2]) // 2 - box_width // 2
    places = [
        (
            min(max(centre + shift, 0), max(width - box_width, 0)),
            min(max(y, 0), max(height - box_height, 0)),
            step,
            shift,
        )
        for step in range(0, reach, max(box_height // 3, 1))
        for y in (band[1] - box_height - step, band[3] + step)
        for shift in (0, *(side * box_width // 4 for side in (1, -1, 2, -2, 3, -3)))
    ]

    def cost(place: tuple[int, int, int, int]) -> float:
        x, y, step, shift = place
        box = np.s_[y : y + box_height, x : x + box_width]
        return 100 * ink[box].mean() + 400 * taken[box].mean() + (step + abs(shift)) / box_height

    x, y, _, _ = min(places, key=cost)
    return x, y, min(x + box_width, width), min(y + box_height, height)


__all__ = ["HIGHLIGHT_COLORS", "Span", "highlight", "span_box", "tint"]
