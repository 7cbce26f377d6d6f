# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Styles of ECG paper, and grid, lines and text put onto an array of pixels.

x runs right, y runs down, pixel edges lie at whole numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .errors_gem import GemError

Color = tuple[int, int, int]
# Below each resolution (px per mm): trace, label and text in points. The first row is for one 336-px tile, where
# 1.5 pt gives 83 % ink in the darkest pixel of a column against 53 % with 0.75 pt; the second is for 672 px.
_WIDTHS_PT = ((2.0, (1.5, 17.0, 15.0)), (4.0, (1.0, 16.0, 12.0)), (float("inf"), (1.0, 14.0, 9.0)))
_PAPER_FIELDS = ("paper", "minor", "major", "grid", "grid_pt", "minor_over_major", "frame_pt")


@dataclass(frozen=True)
class PageStyle:
    """Colours (0-255 RGB) and widths (typographic points, 1/72 inch) of a page.

    `trace_pt`, `pulse_pt`, `label_pt` and `text_pt` follow the resolution where they are 0, because the image tower
    sees a 0.75 pt line on a 336-pixel page as 0.4 pixels of grey; `at` settles them and makes small labels bold.
    `grid` is `"mm"` (1-mm and 5-mm lines), `"major"` (5-mm lines) or `"none"`; `minor_over_major` draws it as
    matplotlib's `axis.grid` does, where the level 1-mm lines cut the upright 5-mm lines into dashes.
    """

    paper: Color = (255, 255, 255)
    minor: Color = (252, 228, 228)
    major: Color = (240, 160, 160)
    trace: Color = (15, 15, 25)
    text: Color = (15, 15, 25)
    grid: str = "mm"
    grid_pt: float = 0.5
    minor_over_major: bool = False
    trace_pt: float = 0.0
    pulse_pt: float = 0.0
    separator_pt: float = 1.0
    label_pt: float = 0.0
    text_pt: float = 0.0
    bold_labels: bool = False
    frame_pt: float = 0.0
    halo_mm: float = 0.5

    def __post_init__(self) -> None:
        if self.grid not in ("mm", "major", "none"):
            raise GemError(f'`grid` must be "mm", "major" or "none", got {self.grid!r}.')
        for name in ("paper", "minor", "major", "trace", "text"):
            color = getattr(self, name)
            if len(color) != 3 or not all(0 <= channel <= 255 for channel in color):
                raise GemError(f"`{name}` must be three numbers from 0 to 255, got {color!r}.")

    def at(self, px_per_mm: float) -> "PageStyle":
        """This style with every width that follows the resolution settled."""
        trace_pt, label_pt, text_pt = next(widths for bound, widths in _WIDTHS_PT if px_per_mm < bound)
        settled = self.trace_pt or trace_pt
        return replace(
            self,
            trace_pt=settled,
            pulse_pt=self.pulse_pt or settled,
            label_pt=self.label_pt or label_pt,
            text_pt=self.text_pt or text_pt,
            bold_labels=self.bold_labels or (not self.label_pt and px_per_mm < 2),
        )

    def without_ink(self) -> "PageStyle":
        """The same paper and grid for whatever is drawn on it."""
        plain = PageStyle()
        return replace(plain, **{name: getattr(self, name) for name in _PAPER_FIELDS})

    @classmethod
    def random(cls, rng: Any) -> "PageStyle":
        """A style as scanners and carts vary: a preset's paper, other greys and widths.

        Args:
            rng: a `numpy.random.Generator`; one seed gives one style.
        """
        base = STYLES[str(rng.choice(list(STYLES)))]
        grey = int(rng.integers(0, 52))
        grid_shift = rng.integers(-15, 16, size=3)
        return replace(
            base,
            trace=(grey, grey, min(grey + int(rng.integers(0, 20)), 255)),
            minor=_shifted(base.minor, grid_shift),
            major=_shifted(base.major, grid_shift),
            trace_pt=float(rng.uniform(0.7, 1.6)),
            pulse_pt=0.0,
            grid_pt=float(rng.uniform(0.3, 0.7)),
            label_pt=float(rng.uniform(11, 18)),
            frame_pt=0.0,
        )


def _shifted(color: Color, shift: Any) -> Color:
    red, green, blue = (min(max(int(channel + change), 0), 255) for channel, change in zip(color, shift, strict=True))
    return red, green, blue


STYLES = {
    "clinical": PageStyle(),
    # The authors' page: matplotlib's colours (1, 0, 0) and (0.996, 0.8745, 0.8588). Its trace is a random grey of
    # 0 to 0.2; ours is fixed at the middle.
    "gem": PageStyle(
        minor=(254, 223, 219),
        major=(255, 0, 0),
        trace=(26, 26, 26),
        text=(0, 0, 0),
        trace_pt=0.75,
        pulse_pt=1.125,
        separator_pt=2.25,
        label_pt=11.0,
        text_pt=11.0,
        frame_pt=0.8,
        minor_over_major=True,
        halo_mm=0.0,
    ),
    "blue": PageStyle(minor=(226, 236, 250), major=(150, 185, 230)),
    "green": PageStyle(minor=(224, 242, 228), major=(150, 205, 165)),
    "bw": PageStyle(minor=(236, 236, 236), major=(190, 190, 190), trace=(0, 0, 0), text=(0, 0, 0)),
    "plain": PageStyle(grid="none", trace=(0, 0, 0), text=(0, 0, 0)),
}


Cap = Literal["butt", "projecting"]
POINTS_PER_MM = 72 / 25.4
# Below this resolution (px per mm) lines moved to whole pixels would be spaced unevenly.
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
        # One for all lines: a new one reads matplotlib's settings.
        self._context = self._renderer.new_gc()
        self._context.set_joinstyle("round")
        self._context.set_antialiased(True)
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

        context = self._context
        context.set_linewidth(width)
        red, green, blue = (channel / 255 for channel in color)
        context.set_foreground((red, green, blue, 1.0), isRGBA=True)
        context.set_capstyle(cap)
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


# Training draws small pages in some forty shapes; a printer's page has 15 MB.
SMALL_PX = 2**19


def _kept(draw: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """`draw`, which keeps its last results by their shape: 64 small ones, 4 large ones."""
    small, large = (lru_cache(maxsize=count)(draw) for count in (64, 4))

    @wraps(draw)
    def kept(shape: tuple[int, int], *others: Any) -> np.ndarray:
        return (small if shape[0] * shape[1] <= SMALL_PX else large)(shape, *others)

    return kept


@_kept
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
        px_per_mm: resolution.
        origin: the paper's top left corner in px.
        paper_mm: (width, height) of the paper in mm.
        style: colours and line widths.
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
        pixels: RGB, 0-255.
        text: one line.
        x: of the anchor, px from the left.
        y: of the anchor, px from the top.
        size: em in px.
        color: RGB, 0-255.
        anchor: Pillow's two letters for the point of the text that lies at (x, y); "ls" is the left end of the baseline.
        halo: colour of an outline that sets the letters off from the background; `None`: no outline.
        halo_px: width of the outline, px.
        bold: use the bold font.
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


__all__ = ["POINTS_PER_MM", "STYLES", "Color", "InkCanvas", "PageStyle", "draw_text", "grid_background", "text_box"]
