"""Puts grid, lines and text onto an array of pixels; x runs right, y runs down, pixel edges lie at whole numbers."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .ecg_page_style import Color, PageStyle

POINTS_PER_MM = 72 / 25.4
# Below this resolution (px per mm) lines moved to whole pixels would stand unevenly.
SNAP_FROM = 4.0
# matplotlib's default `path.simplify_threshold` (px), with which the authors' pages were drawn.
SIMPLIFY_PX = 1 / 9


@lru_cache(maxsize=4)
def grid_background(
    shape: tuple[int, int],
    px_per_mm: float,
    origin: tuple[float, float],
    paper_mm: tuple[float, float],
    style: PageStyle,
) -> np.ndarray:
    """Paper and grid as read-only RGBA `(height, width, 4)`.

    The grid's origin is the bottom left corner. Order as in matplotlib's `axis.grid`: vertical 5-mm, vertical 1-mm,
    horizontal 5-mm, horizontal 1-mm lines, so the fine horizontal lines cross over the bold vertical ones.

    Args:
        shape: (height, width) in px.
        origin: the paper's top left corner in px.
        paper_mm: (width, height) of the paper in mm.
    """
    height, width = shape
    left, top = origin
    right, bottom = left + paper_mm[0] * px_per_mm, top + paper_mm[1] * px_per_mm
    rows, columns = slice(round(top), min(round(bottom), height)), slice(round(left), round(right))
    line_px, frame_px = (points / POINTS_PER_MM * px_per_mm for points in (style.grid_pt, style.frame_pt))
    snap = px_per_mm >= SNAP_FROM
    along_x, along_y = _grid_positions(paper_mm, px_per_mm, left, bottom, style.grid)
    inks = (style.major, style.minor)

    def coverage(lines: np.ndarray, line_width: float, length: int) -> np.ndarray:
        return _line_coverage(lines, line_width, length, snap)

    verticals = np.tile(np.array(style.paper, np.float64), (width, 1))
    for lines, ink in zip(along_x, inks, strict=True):
        _blend(verticals[columns], coverage(lines, line_px, width)[columns], ink)
    horizontals = [coverage(lines, line_px, height) for lines in along_y]
    sides = coverage(np.array([left, right]), frame_px, width)
    ends = coverage(np.array([top, bottom]), frame_px, height)

    page = np.full((height, width, 4), 255, np.uint8)
    page[..., :3] = style.paper
    # Row by row, because a whole page of floats would take 90 MB; rows without a horizontal line are all the same.
    plain: np.ndarray | None = None
    for row in range(rows.start, rows.stop):
        is_plain = not (horizontals[0][row] or horizontals[1][row] or ends[row])
        if plain is None or not is_plain:
            pixels = verticals.copy()
            for lines, ink in zip(horizontals, inks, strict=True):
                _blend(pixels[columns], lines[row], ink)
            _blend(pixels, sides, (0, 0, 0))
            _blend(pixels, ends[row], (0, 0, 0))
            pixels = np.rint(pixels)
            plain = pixels if is_plain else plain
        page[row, :, :3] = pixels if plain is None or not is_plain else plain
    page.setflags(write=False)
    return page


def _grid_positions(
    paper_mm: tuple[float, float], px_per_mm: float, left: float, bottom: float, grid: str
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """((vertical major, minor), (horizontal major, minor)) line centres in px."""
    axes = []
    for extent, origin, direction in ((paper_mm[0], left, 1), (paper_mm[1], bottom, -1)):
        mm = np.arange(0, extent)
        positions = origin + direction * mm * px_per_mm
        is_major = mm % 5 == 0
        is_minor = ~is_major & (grid == "mm")
        axes.append((positions[is_major & (grid != "none")], positions[is_minor]))
    return axes[0], axes[1]


def _line_coverage(centres: np.ndarray, width: float, length: int, snap: bool) -> np.ndarray:
    """The share of each of `length` pixels that lines of `width` px cover.

    Snapping follows Agg: the centre goes to a pixel's middle or edge, whichever suits the rounded width.
    """
    if snap:
        centres = np.floor(centres + 0.5) + 0.5 * (round(width) % 2)
    first, last = centres - width / 2, centres + width / 2
    coverage = np.zeros(length)
    for step in range(int(np.ceil(width)) + 2):
        pixel = np.floor(first).astype(int) + step
        share = np.clip(np.minimum(last, pixel + 1) - np.maximum(first, pixel), 0, 1)
        inside = (pixel >= 0) & (pixel < length)
        np.add.at(coverage, pixel[inside], share[inside])
    return np.minimum(coverage, 1)


def _blend(pixels: np.ndarray, coverage: np.ndarray | float, color: Color) -> None:
    """Blends `color` over `pixels` (n, 3) in place, with one coverage for all or one for each."""
    if np.any(coverage):
        pixels += (np.array(color) - pixels) * np.reshape(coverage, (-1, 1))


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

    def stroke(self, vertices: np.ndarray, width: float, color: Color) -> None:
        """Draws `vertices` (n, 2) px with a line of `width` px; the line breaks where a vertex is not finite."""
        from matplotlib.path import Path as AggPath

        context = self._renderer.new_gc()
        context.set_linewidth(width)
        red, green, blue = (channel / 255 for channel in color)
        context.set_foreground((red, green, blue, 1.0), isRGBA=True)
        context.set_joinstyle("round")
        context.set_capstyle("projecting")
        context.set_antialiased(True)
        context.set_snap(False)
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
