# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The flat page that a picture shows, and what tells its scale: the millimetre grid, else a calibration pulse, else the file."""

import cv2
import numpy as np

from ..errors_gem import EcgQualityError
from .paper import Paper, flatten, grid_of
from .pulses import Pulse, find_pulses
from .timing import USUAL_GAIN, USUAL_SPEED, Scale

LEAST_SCALE = 2.2  # px per mm; with fewer the 1-mm grid and small waves cannot be told
# Without a grid a pulse has to look as most do, 1 mV high and 0.2 s wide: 10 mm and 5 mm, to that share of their ratio. Other gains and
# speeds would have to be guessed.
PULSE_HEIGHT_MM, PULSE_WIDTH_MM, OFF_RATIO = USUAL_GAIN, 0.2 * USUAL_SPEED, 0.04
GUESSED_MM = 270.0  # longest side of a page until its pulse is measured
MAX_SKEW, SKEW_STEP = 4.0, 0.1  # degrees
SKEW_PX = 1000  # longest side of the picture that skew is looked for in
# The resolution that a file states is believed if it makes the picture a sheet of paper (A4, Letter, A5, Legal) in mm, to that share: most
# files state a screen's.
SHEETS_MM, OFF_SHEET = ((297.0, 210.0), (279.4, 215.9), (210.0, 148.5), (355.6, 215.9)), 0.02
NO_GRID = "no millimetre grid was found on it"


def flat_paper(light: np.ndarray, dpi: float | None = None) -> Paper:
    """The page that an evenly lit picture shows, as seen from the front.

    Args:
        light: brightness as returned by `even_light`.
        dpi: pixels an inch, as the picture's file states.

    Raises:
        EcgQualityError: nothing tells its scale, or it has too few pixels a mm.
    """
    grid = grid_of(light)
    if grid is not None:
        to_mm, px_per_mm, scaled_by = grid.to_mm, min(grid.px_per_mm), "grid"
    else:
        straight = _straightened(light)
        px_per_mm, scaled_by = _scale_without_grid(light, straight, dpi)
        to_mm = np.diag([1 / px_per_mm, 1 / px_per_mm, 1.0]) @ straight
    if px_per_mm < LEAST_SCALE:
        raise EcgQualityError(f"{px_per_mm:.1f} pixels per mm are too few; scan or photograph it larger")
    return flatten(light, to_mm, scaled_by)


def check_scale(paper: Paper, scale: Scale) -> None:
    """Whether a page without a grid has the scale by which its millimetre was told.

    Raises:
        EcgQualityError: the page has no grid, and its gain and speed are not those by which its scale was told.
    """
    if paper.scaled_by == "pulse" and (scale.speed, scale.gain) != (USUAL_SPEED, USUAL_GAIN):
        raise EcgQualityError(
            f"{NO_GRID}, and its pulse tells the scale of pages of {USUAL_SPEED:g} mm/s and {USUAL_GAIN:g} mm/mV only, not "
            f"of {scale.speed:g} mm/s and {scale.gain:g} mm/mV"
        )
    if paper.scaled_by == "file" and "convention" in (scale.speed_from, scale.gain_from):
        raise EcgQualityError(f"{NO_GRID}, no calibration pulse, and no paper speed and gain")


def _scale_without_grid(light: np.ndarray, straight: np.ndarray, dpi: float | None) -> tuple[float, str]:
    """Pixels per mm, and what tells them: `"pulse"` or `"file"`.

    Raises:
        EcgQualityError: neither does.
    """
    scale = max(light.shape[:2]) / GUESSED_MM
    pulses: list[Pulse] = []
    for _ in range(2):  # again when their size is known, which makes them 0.2 % more exact
        pulses = find_pulses(flatten(light, np.diag([1 / scale, 1 / scale, 1.0]) @ straight, "pulse").ink)
        if not pulses:
            break
        height = float(np.median([pulse.height_mm for pulse in pulses]))
        width = float(np.median([pulse.width_mm for pulse in pulses]))
        if abs(height / width * PULSE_WIDTH_MM / PULSE_HEIGHT_MM - 1) > OFF_RATIO:
            raise EcgQualityError(f"{NO_GRID}, and its calibration pulses are not twice as high as wide")
        # From leg to leg; a foot may stand on another stroke, so that the height is less exact.
        scale *= width / PULSE_WIDTH_MM
    if pulses:
        return scale, "pulse"
    if dpi is not None and dpi > 0 and _is_sheet(light.shape[:2], dpi):
        return dpi / 25.4, "file"
    raise EcgQualityError(f"{NO_GRID}, and no calibration pulse")


def _is_sheet(shape: tuple[int, ...], dpi: float) -> bool:
    """Whether a picture of this resolution has the size of a sheet of paper."""
    longer, shorter = (25.4 / dpi * side for side in (max(shape), min(shape)))
    return any(abs(longer / a - 1) < OFF_SHEET and abs(shorter / b - 1) < OFF_SHEET for a, b in SHEETS_MM)


def _straightened(light: np.ndarray) -> np.ndarray:
    """The rotation 3 x 3 that makes lines of text and baselines level: by the skew at which rows hold the most or no ink."""
    shrink = max(light.shape[:2]) / SKEW_PX
    small = cv2.resize(light.min(axis=2), None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    y, x = np.nonzero(small < 0.6)
    angles = np.radians(np.arange(-MAX_SKEW, MAX_SKEW + SKEW_STEP / 2, SKEW_STEP))
    clearness = []
    for angle in angles:
        rows = np.rint(y - x * np.tan(angle)).astype(int)
        clearness.append(np.sum(np.bincount(rows - rows.min(initial=0)).astype(float) ** 2))
    sine, cosine = np.sin(angles[int(np.argmax(clearness))]), np.cos(angles[int(np.argmax(clearness))])
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])


__all__ = ["NO_GRID", "check_scale", "flat_paper"]
