# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""From a photographed page to flat paper: even light, straight lines, and the ink without the grid."""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from .grid import Grid, find_grid

# Of the flattened page: 5 ms and 12.5 uV a pixel at the usual scales.
PX_PER_MM = 8
GRID_DARKNESS = 0.35  # strokes are clipped at that, so that a grid's lines count as much as they do
STROKE_DARKNESS = 0.55
CELL = 5 * PX_PER_MM
THICK_PX = 24  # 3 mm
STEEP_PX = 9  # an upright stroke is longer; level ones are thinner
FAINTEST = 0.3  # ink of an upright stroke that is still one
MAX_PAPER_MM = 600.0  # two columns of ten seconds take 500


@dataclass(frozen=True)
class Paper:
    """A flattened page.

    Attributes:
        ink: float32 `(height, width)`, 0 on paper and grid, 1 in the middle of a stroke; `PX_PER_MM` pixels a mm.
        to_picture: homography 3 x 3 from the pixels of `ink` to those of the picture.
        scaled_by: what told the scale: `"grid"`, `"pulse"` or `"file"`.
        is_cut: the picture shows more than `MAX_PAPER_MM`; the rest is not in `ink`.
    """

    ink: np.ndarray
    to_picture: np.ndarray
    scaled_by: str
    is_cut: bool = False

    def turned(self, quarters: int) -> "Paper":
        """The page turned counterclockwise by so many quarters."""
        height, width = self.ink.shape
        back = {
            1: [[0, -1, width], [1, 0, 0], [0, 0, 1]],
            2: [[-1, 0, width], [0, -1, height], [0, 0, 1]],
            3: [[0, 1, 0], [-1, 0, height], [0, 0, 1]],
        }[quarters]
        ink = np.ascontiguousarray(np.rot90(self.ink, quarters))
        return Paper(ink, self.to_picture @ np.array(back, float), self.scaled_by, self.is_cut)


def shrunk(picture: Image.Image | np.ndarray, longest_px: int) -> tuple[np.ndarray, float]:
    """The pixels of a picture, uint8 RGB, with sides of `longest_px` at most, and by how much they were shrunk."""
    pixels = np.asarray(picture.convert("RGB") if isinstance(picture, Image.Image) else picture)
    factor = min(longest_px / max(pixels.shape[:2]), 1.0)
    if factor < 1:
        pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return pixels, factor


def even_light(picture: np.ndarray) -> np.ndarray:
    """The picture with its paper at 1 everywhere: float32 `(height, width, 3)`, shadows and coloured light taken out."""
    height, width = picture.shape[:2]
    shrink = max(round(max(height, width) / 280), 1)
    small = cv2.resize(picture, (max(width // shrink, 8), max(height // shrink, 8)), interpolation=cv2.INTER_AREA)
    window = max(small.shape[1] // 28, 3) | 1
    # The brightest around a place is paper, unless everything there is ink.
    paper = cv2.dilate(cv2.medianBlur(small, 3), np.ones((window, window), np.uint8))
    paper = cv2.GaussianBlur(paper.astype(np.float32), (0, 0), window / 2)
    return picture / np.maximum(cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR), 16.0)


def grid_of(light: np.ndarray) -> Grid | None:
    """The grid of an evenly lit page."""
    darkness = np.clip(1 - light.min(axis=2), 0, None)
    lines = np.minimum(darkness, GRID_DARKNESS)
    # Strokes are no lines of the grid: they are filled with what is usual on the page.
    strokes = cv2.dilate((light.max(axis=2) < 1 - STROKE_DARKNESS).astype(np.uint8), np.ones((3, 3), np.uint8))
    lines[strokes > 0] = lines.mean()
    return find_grid(lines)


def flatten(light: np.ndarray, to_mm: np.ndarray, scaled_by: str) -> Paper:
    """The page without perspective, as seen from the front.

    Args:
        light: brightness as returned by `even_light`.
        to_mm: homography from pixels to mm.
        scaled_by: see `Paper`.
    """
    height, width = light.shape[:2]
    corners = np.array([[[0, 0]], [[width, 0]], [[width, height]], [[0, height]]], np.float64)
    in_mm = cv2.perspectiveTransform(corners, to_mm)[:, 0]
    low, high = in_mm.min(axis=0), in_mm.max(axis=0)
    is_cut = bool((high - low).max() > MAX_PAPER_MM)
    high = np.minimum(high, low + MAX_PAPER_MM)
    low = np.floor(low / 5) * 5  # 5-mm lines keep their place in the cells
    size = np.ceil((high - low) / 5).astype(int) * CELL
    to_flat = np.diag([PX_PER_MM, PX_PER_MM, 1.0]) @ np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]]) @ to_mm
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # pixel centres of OpenCV lie at whole numbers
    warp = np.linalg.inv(half) @ to_flat @ half
    flat = cv2.warpPerspective(
        light, warp, (int(size[0]), int(size[1])), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    inside = cv2.warpPerspective(np.ones((height, width), np.uint8), warp, (int(size[0]), int(size[1])))
    # In the light of its own colour a grid is as bright as the paper.
    clearest = np.minimum(np.clip(1 - flat[::4, ::4], 0, None), GRID_DARKNESS).mean(axis=(0, 1)).argmin()
    darkness = np.clip(1 - flat[..., clearest], 0, 1)
    darkness[inside == 0] = 0
    darkness = np.clip(darkness - _grid_in_cells(darkness), 0, 1)
    # What is thicker than any stroke is the desk beside the page, a thumb, a stamp.
    thick = cv2.morphologyEx(
        (darkness > 0.3).astype(np.uint8), cv2.MORPH_OPEN, np.ones((THICK_PX, THICK_PX), np.uint8)
    )
    darkness[cv2.dilate(thick, np.ones((THICK_PX, THICK_PX), np.uint8)) > 0] = 0
    stroke = float(np.mean(np.sort(darkness[::4, ::4].ravel())[-max(darkness.size // 16 // 250, 1) :]))
    ink = np.clip(darkness / max(stroke, 0.15), 0, 1).astype(np.float32)
    return Paper(ink, np.linalg.inv(to_flat), scaled_by, is_cut)


def even_strokes(ink: np.ndarray) -> np.ndarray:
    """The ink with steep strokes as dark as level ones: where a pen or a scanner's pixel was too slow they are thin and pale."""
    steep = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((STEEP_PX, 1), np.uint8))
    darkest = cv2.dilate(steep, np.ones((1, 5), np.uint8))
    factor = np.where(darkest > FAINTEST, np.clip(0.8 / np.maximum(darkest, 1e-3), 1, 0.8 / FAINTEST), 0)
    return np.clip(np.maximum(ink, steep * factor), 0, 1).astype(np.float32)


def _grid_in_cells(darkness: np.ndarray) -> np.ndarray:
    """How dark the grid is at every place: what most of the 5-mm squares show there."""
    rows, columns = darkness.shape[0] // CELL, darkness.shape[1] // CELL
    cells = darkness.reshape(rows, CELL, columns, CELL)
    usual = np.median(cells.transpose(0, 2, 1, 3).reshape(rows * columns, CELL, CELL)[::3], axis=0)
    return np.tile(usual, (rows, columns))


__all__ = ["CELL", "MAX_PAPER_MM", "PX_PER_MM", "Paper", "even_light", "even_strokes", "flatten", "grid_of", "shrunk"]
