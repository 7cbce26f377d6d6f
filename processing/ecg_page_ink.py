# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Puts grid, lines and text onto an array of pixels; x runs right, y runs down, pixel edges lie at whole numbers."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .ecg_page_style import Color, PageStyle

Cap = Literal["butt", "projecting"]
POINTS_PER_MM = 72 / 25.4
# Below this resolution (px per mm) lines moved to whole pixels would stand unevenly.
SNAP_FROM = 4.0
# matplotlib's default `path.simplify_threshold` (px), with which the authors' pages were drawn.
SIMPLIFY_PX = 1 / 9


class InkCanvas:
    """Anti-aliased polylines over a background, drawn by Agg (the rasteriser of matplotlib, hence of GEM's pages).

    Args:
        background: RGBA `(height, width, 4)`; it is copied.
    """

    def __init__(self, background: np.ndarray) -> None:
        from matplotlib.backends.backend_agg import RendererAgg
        from matplotlib.transforms import Affine2D

        height, width = background.shape[:2]
        # At 72 dpi a point is a pixel.
        self._renderer = RendererAgg(width, height, 72)
        self._flip = Affine2D().scale(1, -1).translate(0, height)
        self.background = background
        self.rgba = np.asarray(self._renderer.buffer_rgba())
        np.copyto(self.rgba, background)

    def stroke(
        self, vertices: np.ndarray, width: float, color: Color, cap: Cap = "projecting", snap: bool = False
    ) -> None:
        """Draws `vertices` (n, 2) px with a line of `width` px; the line breaks where a vertex is not finite.

        With `snap`, upright and level lines move to whole pixels.
        """
        from matplotlib.path import Path as AggPath

        context = self._renderer.new_gc()
        context.set_linewidth(width)
        red, green, blue = (channel / 255 for channel in color)
        context.set_foreground((red, green, blue, 1.0), isRGBA=True)
        context.set_joinstyle("round")
        context.set_capstyle(cap)
        context.set_antialiased(True)
        context.set_snap(snap)
        path = AggPath(vertices)
        path.should_simplify = True
        path.simplify_threshold = SIMPLIFY_PX
        self._renderer.draw_path(context, path, self._flip)

    def ink_in(self, box: tuple[int, int, int, int]) -> int:
        """How many pixels of (left, top, right, bottom) px differ from the background."""
        left, top, right, bottom = (max(edge, 0) for edge in box)
        region = np.s_[top:bottom, left:right]
        return int((self.rgba[region] != self.background[region]).any(-1).sum())

    def to_rgb(self) -> np.ndarray:
        """A fresh `(height, width, 3)` uint8 array."""
        pixels = np.empty((*self.rgba.shape[:2], 3), np.uint8)
        # Channel by channel: five times as fast as one copy of the slice.
        for channel in range(3):
            pixels[..., channel] = self.rgba[..., channel]
        return pixels


@lru_cache(maxsize=4)
def grid_background(
    shape: tuple[int, int],
    px_per_mm: float,
    origin: tuple[float, float],
    paper_mm: tuple[float, float],
    style: PageStyle,
) -> np.ndarray:
    """Paper and grid as read-only RGBA `(height, width, 4)`; the grid's origin is the bottom left corner.

    Args:
        shape: (height, width) in px.
        origin: the paper's top left corner in px.
        paper_mm: (width, height) of the paper in mm.
    """
    left, top = origin
    right, bottom = left + paper_mm[0] * px_per_mm, top + paper_mm[1] * px_per_mm
    line_px, frame_px = (points / POINTS_PER_MM * px_per_mm for points in (style.grid_pt, style.frame_pt))
    canvas = InkCanvas(np.full((*shape, 4), (*style.paper, 255), np.uint8))

    def rule(ends: list[tuple[float, float]], width: float, color: Color) -> None:
        canvas.stroke(np.array(ends), width, color, cap="butt", snap=px_per_mm >= SNAP_FROM)

    def upright(x: float) -> list[tuple[float, float]]:
        return [(x, bottom), (x, top)]

    def level(y: float) -> list[tuple[float, float]]:
        return [(left, y), (right, y)]

    for is_level, is_minor in _grid_order(style):
        mm = np.arange(0, paper_mm[is_level])
        for offset in mm[(mm % 5 != 0) == is_minor] * px_per_mm:
            ends = level(bottom - offset) if is_level else upright(left + offset)
            rule(ends, line_px, style.minor if is_minor else style.major)
    if style.frame_pt:
        for ends in (upright(left), upright(right), level(bottom), level(top)):
            rule(ends, frame_px, (0, 0, 0))
    canvas.rgba.setflags(write=False)
    return canvas.rgba


def _grid_order(style: PageStyle) -> list[tuple[bool, bool]]:
    """(level, 1-mm) of the sets of lines, first drawn first."""
    if style.grid == "none":
        return []
    if style.grid == "major":
        return [(False, False), (True, False)]
    if style.minor_over_major:
        return [(False, False), (False, True), (True, False), (True, True)]
    return [(False, True), (True, True), (False, False), (True, False)]


@lru_cache(maxsize=32)
def _font(size: float, bold: bool) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, the font that matplotlib ships."""
    from matplotlib import get_data_path

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(get_data_path(), "fonts", "ttf", name)), size)


def _font_size(size: float) -> float:
    return max(round(size * 4) / 4, 1.0)


def text_box(
    text: str, x: float, y: float, size: float, anchor: str = "ls", bold: bool = False
) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) px of `text` set in `size` px at the Pillow anchor (x, y)."""
    left, top, right, bottom = _text_extent(text, _font_size(size), anchor, bold)
    column, row = round(x), round(y)
    return column + left, row + top, column + right, row + bottom


@lru_cache(maxsize=512)
def _text_extent(text: str, size: float, anchor: str, bold: bool) -> tuple[int, int, int, int]:
    left, top, right, bottom = _font(size, bold).getbbox(text, anchor=anchor)
    return int(np.floor(left)), int(np.floor(top)), int(np.ceil(right)), int(np.ceil(bottom))


@lru_cache(maxsize=512)
def _text_mask(text: str, size: float, anchor: str, stroke: int, bold: bool) -> tuple[np.ndarray, int, int]:
    """Coverage 0..1 of a text and the offset of its top left pixel from the anchor."""
    font = _font(size, bold)
    left, top, right, bottom = font.getbbox(text, anchor=anchor, stroke_width=stroke)
    column, row = int(np.floor(left)), int(np.floor(top))
    mask = Image.new("L", (int(np.ceil(right)) - column + 1, int(np.ceil(bottom)) - row + 1))
    ImageDraw.Draw(mask).text(
        (-column, -row), text, fill=255, font=_font(size, bold), anchor=anchor, stroke_width=stroke
    )
    coverage = np.asarray(mask, np.float32) / 255
    coverage.setflags(write=False)
    return coverage, column, row


def draw_text(
    pixels: np.ndarray,
    text: str,
    x: float,
    y: float,
    size: float,
    color: Color,
    *,
    anchor: str = "ls",
    halo: Color | None = None,
    halo_px: float = 0.0,
    bold: bool = False,
) -> None:
    """Writes `text` in DejaVu Sans into `pixels` (height, width, 3), in place.

    Args:
        size: em in px.
        anchor: Pillow's two letters for what (x, y) is; "ls" is the left end of the text's baseline.
        halo: colour of an outline of `halo_px`, which keeps the letters apart from what they are written over.
    """
    if not text.strip():
        return
    size = _font_size(size)
    layers = [] if halo is None or halo_px < 0.5 else [(round(halo_px), halo)]
    for stroke, layer_color in [*layers, (0, color)]:
        mask, column, row = _text_mask(text, size, anchor, stroke, bold)
        _blend_mask(pixels, mask, round(x) + column, round(y) + row, layer_color)


def _blend_mask(pixels: np.ndarray, mask: np.ndarray, left: int, top: int, color: Color) -> None:
    """Blends `color` where `mask` covers; what falls outside the picture is cut."""
    height, width = pixels.shape[:2]
    rows = slice(max(-top, 0), max(min(height - top, mask.shape[0]), 0))
    columns = slice(max(-left, 0), max(min(width - left, mask.shape[1]), 0))
    share = mask[rows, columns, None]
    region = pixels[top + rows.start : top + rows.stop, left + columns.start : left + columns.stop]
    if share.size:
        region[:] = np.rint(region + (np.array(color, np.float32) - region) * share)


__all__ = ["POINTS_PER_MM", "InkCanvas", "draw_text", "grid_background", "text_box"]
