# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Finds the millimetre grid of a photographed page, with its perspective and rotation."""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import maximum_filter, median_filter

TILE_PX = 512  # side of the windows whose spectra are averaged
MAX_TURN = 12.0  # degrees; a page lies straighter than that, or is refused
TURN_STEP = 0.25
# Of the 5-mm grid, px: from 45 dpi, where 1 mm has two pixels, to 1000 dpi.
MIN_PITCH_PX, MAX_PITCH_PX = 3.5, 150.0
HIGHEST_FREQUENCY = 0.35  # cycles per px
# Heights of spectral lines in logarithms above their surroundings: what counts as one, what a missing one costs, and how much
# all those of a comb have to rise above that together.
TOOTH, MISSING_TOOTH, MIN_TEETH = 0.5, -0.3, 1.5
TEETH = 10
TALLEST = 3.0  # higher lines count no more than that
# Lines that are drawn to whole pixels repeat, fainter, with 3/2 of their pitch. Such a comb has more teeth, but those that it does
# not share with the true one are lower by at least `ALIAS`.
REPEATED, SAME_PITCH, ALIAS = 1.5, 0.01, 0.5
MAX_RESIDUAL_MM = 0.35  # of the fitted page to the lines that were seen, at the median
CLEAR = 0.35  # of what most places that show lines have
# Of the places that show millimetre lines the most that are in one part, the least in each panel, and the share of all in such ones.
MOST_IN_ONE, LEAST_PANEL, ALL_PANELS = 0.8, 0.02, 0.9
COHERENT = 0.8  # how far the places of a panel agree on its lines
OFF_SCALE = 0.005  # of mm that were counted across gaps
WINDOW_PITCHES = 4.0  # of a local look at the grid, in 5-mm squares


@dataclass(frozen=True)
class Grid:
    """A page's grid.

    Attributes:
        to_mm: homography 3 x 3 from pixels (x, y) to mm of the paper; the origin lies on a crossing of 5-mm lines.
        px_per_mm: the scale in the middle of the picture, (horizontal, vertical).
        residual_mm: median distance of the detected lines from their positions by `to_mm`.
        has_both_lines: whether 1-mm and 5-mm lines were distinguished; else the pitch may be 1 mm, see `rescaled`.
    """

    to_mm: np.ndarray
    px_per_mm: tuple[float, float]
    residual_mm: float
    has_both_lines: bool

    def rescaled(self, factor: float) -> "Grid":
        """The same lines, standing for `factor` times as many mm."""
        return Grid(
            np.diag([factor, factor, 1.0]) @ self.to_mm,
            (self.px_per_mm[0] / factor, self.px_per_mm[1] / factor),
            self.residual_mm * factor,
            self.has_both_lines,
        )


@dataclass(frozen=True)
class _Lines:
    """One family of parallel lines: the frequency vector (cycles per px) of its 5-mm pitch, and how clear it is."""

    frequency: np.ndarray
    contrast: float
    has_both: bool


def find_grid(lines: np.ndarray) -> Grid | None:
    """The grid in a picture of its lines.

    Args:
        lines: float32 `(height, width)`, 0 on paper, larger on whatever is printed; strokes much darker than a grid clipped.

    Returns:
        The grid, or `None` where there is none, or one too faint or too crooked to measure by.
    """
    spectra = _spectra(lines)
    upright, level = (_clearest_lines(spectra, direction) for direction in (0.0, 90.0))
    if upright is None or level is None:
        return None
    upright, level = _same_pitch(upright, level)
    u, v = _local_phases(lines, upright), _local_phases(lines, level)
    if len(u) < 8 or len(v) < 8:
        return None
    to_cells, residual = _fit_homography(u, v)
    has_both = upright.has_both and level.has_both
    panels = _of_panels(lines, (upright, level))
    if to_cells is not None and 5 * residual <= MAX_RESIDUAL_MM:
        to_mm = np.diag([5.0, 5.0, 1.0]) @ to_cells
        if panels is None or not _scales_differ(to_mm, panels[0], lines.shape):
            return Grid(to_mm, _scale_at(to_mm, lines.shape), 5 * residual, has_both)
    return Grid(panels[0], _scale_at(panels[0], lines.shape), panels[1], has_both) if panels is not None else None


def _scales_differ(one: np.ndarray, other: np.ndarray, shape: tuple[int, int]) -> bool:
    ratios = np.divide(_scale_at(one, shape), _scale_at(other, shape))
    return bool(np.abs(ratios - 1).max() > OFF_SCALE)


def _spectra(lines: np.ndarray) -> list[np.ndarray]:
    """The amplitudes of windowed tiles, each `(TILE_PX, TILE_PX)`, zero frequency in the middle."""
    height, width = lines.shape
    window = np.outer(np.hanning(TILE_PX), np.hanning(TILE_PX)).astype(np.float32)
    spectra = []
    for top in _steps(height):
        for left in _steps(width):
            tile = lines[top : top + TILE_PX, left : left + TILE_PX]
            padded = np.zeros_like(window)
            padded[: tile.shape[0], : tile.shape[1]] = tile - tile.mean()
            real_imaginary = cv2.dft(padded * window, flags=cv2.DFT_COMPLEX_OUTPUT)
            spectra.append(np.fft.fftshift(cv2.magnitude(real_imaginary[..., 0], real_imaginary[..., 1])))
    return spectra


def _clearest_lines(spectra: list[np.ndarray], direction: float) -> _Lines | None:
    """The lines of the page as a whole or, where perspective blurs those, of the tile that shows them best."""
    found = _find_lines(np.mean(spectra, axis=0), direction)
    if found is not None:
        return found
    tiles = [lines for spectrum in spectra if (lines := _find_lines(spectrum, direction)) is not None]
    return max(tiles, key=lambda lines: lines.contrast, default=None)


def _steps(side: int) -> list[int]:
    count = max(1, min(4, round(side / TILE_PX)))
    return [round(step) for step in np.linspace(0, max(side - TILE_PX, 0), count)]


def _ray(spectrum: np.ndarray, angle: float, frequencies: np.ndarray) -> np.ndarray:
    """Amplitudes at `frequencies` (cycles per px) in the direction `angle` (degrees)."""
    x = TILE_PX / 2 + TILE_PX * frequencies * np.cos(np.radians(angle))
    y = TILE_PX / 2 + TILE_PX * frequencies * np.sin(np.radians(angle))
    return cv2.remap(spectrum, x.astype(np.float32)[None], y.astype(np.float32)[None], cv2.INTER_CUBIC)[0]


def _find_lines(spectrum: np.ndarray, direction: float) -> _Lines | None:
    """The family of lines whose frequency points to within `MAX_TURN` of `direction`."""
    frequencies = np.arange(0.25 / TILE_PX, HIGHEST_FREQUENCY, 0.25 / TILE_PX)
    turns = direction + np.arange(-MAX_TURN, MAX_TURN + 1e-6, TURN_STEP)
    rays = np.log(np.stack([_ray(spectrum, turn, frequencies) for turn in turns]).clip(1e-3))
    # A grid's spectral lines are above their neighbours along the ray, and above the same frequency at other angles.
    height = rays - median_filter(rays, (1, 61), mode="nearest")
    height = np.minimum(height, rays - np.median(rays, axis=0)).clip(0)
    height[:, frequencies < 0.9 / MAX_PITCH_PX] = 0
    best = int((height.clip(0, TALLEST) ** 2).sum(axis=1).argmax())
    # Perspective spreads a line over neighbouring frequencies.
    return _fundamental(maximum_filter(height[best], 5), frequencies, float(turns[best]))


def _fundamental(height: np.ndarray, frequencies: np.ndarray, angle: float) -> _Lines | None:
    """The pitch in a ray of a spectrum: of all combs the one whose teeth explain most lines and of which few are missing."""
    pitches = np.exp(np.arange(np.log(MIN_PITCH_PX), np.log(MAX_PITCH_PX), 0.003))

    def tooth(number: int, pitch: np.ndarray) -> np.ndarray:
        return np.interp(number / pitch, frequencies, height, right=0.0)

    def teeth(pitch: float) -> np.ndarray:
        return tooth(1, pitch / np.arange(1, int(HIGHEST_FREQUENCY * pitch) + 1))

    score = np.zeros(len(pitches))
    for number in range(1, TEETH + 1):
        reached = number / pitches < HIGHEST_FREQUENCY
        score += np.where(reached, np.maximum(tooth(number, pitches).clip(0, TALLEST) - TOOTH, MISSING_TOOTH), 0.0)
    best = int(score.argmax())
    if score[best] < MIN_TEETH:
        return None
    pitch = float(pitches[best])
    nearby = pitches[np.abs(pitches * REPEATED / pitch - 1) < SAME_PITCH]
    finer = max(nearby, key=lambda each: teeth(each).mean(), default=pitch)
    own = np.arange(1, int(HIGHEST_FREQUENCY * pitch) + 1)
    left = teeth(pitch)[np.abs(own / REPEATED - np.rint(own / REPEATED)) > 0.01]
    if finer < pitch and teeth(finer).mean() > left.mean() + ALIAS:
        pitch = float(finer)
    fourth, fifth, sixth = (float(tooth(number, np.array([pitch]))[0].clip(0, TALLEST)) for number in (4, 5, 6))
    has_both = fifth > max((fourth + sixth) / 2, 0.3) + 0.25
    turn = np.radians(angle)
    return _Lines(np.array([np.cos(turn), np.sin(turn)]) / pitch, float(score[best]), has_both)


def _same_pitch(upright: _Lines, level: _Lines) -> tuple[_Lines, _Lines]:
    """Both families with the pitch of the clearer, where one is some multiple of the other."""
    pitches = [1 / np.hypot(*family.frequency) for family in (upright, level)]
    ratio = pitches[0] / pitches[1]
    if 0.8 < ratio < 1.25:
        return upright, level
    clear, dim = (0, 1) if upright.contrast > level.contrast else (1, 0)
    families = [upright, level]
    angle = families[dim].frequency * pitches[dim]
    families[dim] = _Lines(angle / pitches[clear], families[dim].contrast, families[clear].has_both)
    return families[0], families[1]


def _local_phases(lines: np.ndarray, family: _Lines) -> np.ndarray:
    """Where lines run: rows (x, y, number of the line, weight), one for every place that shows them clearly."""
    return _unwrapped(*_local(lines, family.frequency), family.frequency)


def _local(lines: np.ndarray, frequency: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How lines of a frequency stand around places of a raster, as strength and phase of a wave, and the places' x and y."""
    pitch = 1 / np.hypot(*frequency)
    height, width = lines.shape
    wave = _wave(lines.shape, frequency)
    sigma = WINDOW_PITCHES * pitch / 2.5
    step = max(int(1.5 * pitch), 1)
    # Smoothed on a coarser raster: the product with the wave varies slowly where there are lines.
    shrink = max(int(pitch / 6), 1)
    parts = []
    for part in (wave.real, -wave.imag):
        product = cv2.resize(lines * part, (width // shrink, height // shrink), interpolation=cv2.INTER_AREA)
        parts.append(cv2.GaussianBlur(product, (0, 0), sigma / shrink, borderType=cv2.BORDER_CONSTANT))
    local = parts[0] + 1j * parts[1]
    ys = np.arange(step // 2, height, step)
    xs = np.arange(step // 2, width, step)
    sampled = local[np.minimum(ys // shrink, local.shape[0] - 1)][:, np.minimum(xs // shrink, local.shape[1] - 1)]
    return sampled, xs, ys


def _of_panels(lines: np.ndarray, families: tuple[_Lines, _Lines]) -> tuple[np.ndarray, float] | None:
    """
    Of a flat page whose leads have grids of their own, with bare paper between them: the way from pixels to mm, and the residual
    in mm (circular deviation of the largest grid's lines). `None` of other pages.

    The 5-mm lines of such grids do not continue each other, so that a count of them across the gaps is some per cent off. Within
    one, from place to place, the count is right.
    """
    rows, residual = [], 0.0
    for family in families:
        frequency = 5 * family.frequency
        if np.hypot(*frequency) > HIGHEST_FREQUENCY:
            return None
        local, xs, ys = _local(lines, frequency)
        clear = np.abs(local) > CLEAR * np.quantile(np.abs(local), 0.9)
        count, part, stats, _ = cv2.connectedComponentsWithStats(clear.astype(np.uint8), connectivity=4)
        sizes = stats[1:, cv2.CC_STAT_AREA] / max(clear.sum(), 1)
        if count < 3 or sizes.max() > MOST_IN_ONE or sizes[sizes > LEAST_PANEL].sum() < ALL_PANELS:
            return None
        slope = frequency + np.array([_drift(local, part, xs, 1), _drift(local, part, ys, 0)])
        largest = int(sizes.argmax()) + 1
        first, coherence = _first(local, part == largest, xs, ys, slope, frequency)
        if coherence < COHERENT:
            return None
        residual = max(residual, float(np.sqrt(-2 * np.log(coherence)) / (2 * np.pi)))
        left, top, wide, high = stats[largest, :4]
        fives = _of_fives(lines, family, slope, xs[[left, left + wide - 1]], ys[[top, top + high - 1]])
        rows.append([*slope, first + np.round(5 * fives - first)])
    return np.array([*rows, [0.0, 0.0, 1.0]]), residual


def _of_fives(lines: np.ndarray, family: _Lines, slope: np.ndarray, across: np.ndarray, down: np.ndarray) -> float:
    """The number of the 5-mm line, 0 to 1, at the origin of the picture, by those of a box; `slope` is that of 1-mm lines."""
    local, xs, ys = _local(lines, family.frequency)
    inside = ((ys >= down[0]) & (ys <= down[1]))[:, None] & ((xs >= across[0]) & (xs <= across[1]))
    return _first(local, inside, xs, ys, slope / 5, family.frequency)[0]


def _drift(local: np.ndarray, part: np.ndarray, at: np.ndarray, axis: int) -> float:
    """By how many cycles per px the lines are closer than the wave, along an axis of the raster, between neighbours of one part."""
    before, behind = (np.take(local, range(a, local.shape[axis] - b), axis) for a, b in ((0, 1), (1, 0)))
    same = np.take(part, range(local.shape[axis] - 1), axis) == np.take(part, range(1, local.shape[axis]), axis)
    same &= np.take(part, range(1, local.shape[axis]), axis) > 0
    turned = np.angle(behind[same] * before[same].conj()) / (2 * np.pi)
    return float(turned.mean() / (at[1] - at[0])) if len(turned) else 0.0


def _first(
    local: np.ndarray, chosen: np.ndarray, xs: np.ndarray, ys: np.ndarray, slope: np.ndarray, frequency: np.ndarray
) -> tuple[float, float]:
    """The number of the line, 0 to 1, at the origin of the picture, by the chosen places, and how far they agree, 0 to 1."""
    row, column = np.nonzero(chosen)
    x, y = xs[column] + 0.5, ys[row] + 0.5
    away = (frequency - slope) @ np.stack([x, y])
    unit = local[chosen] / np.maximum(np.abs(local[chosen]), 1e-12) * np.exp(2j * np.pi * away)
    mean = unit.mean() if len(unit) else 0j
    return float(np.angle(mean) / (2 * np.pi)), float(abs(mean))


def _wave(shape: tuple[int, int], frequency: np.ndarray) -> np.ndarray:
    x = np.exp(2j * np.pi * frequency[0] * (np.arange(shape[1]) + 0.5)).astype(np.complex64)
    y = np.exp(2j * np.pi * frequency[1] * (np.arange(shape[0]) + 0.5)).astype(np.complex64)
    return y[:, None] * x[None]


def _unwrapped(local: np.ndarray, xs: np.ndarray, ys: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Numbers the lines from the clearest place outwards, neighbour by neighbour."""
    strength = np.abs(local)
    limit = CLEAR * np.quantile(strength, 0.9)
    offset = -np.angle(local) / (2 * np.pi)  # cycles by which the lines lag behind the wave
    number = np.full(local.shape, np.nan)
    first = np.unravel_index(strength.argmax(), local.shape)
    number[first] = offset[first]
    queue = deque([first])
    while queue:
        row, column = queue.popleft()
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            inside = 0 <= r < local.shape[0] and 0 <= c < local.shape[1]
            if inside and np.isnan(number[r, c]) and strength[r, c] > limit:
                step = (offset[r, c] - number[row, column] + 0.5) % 1 - 0.5
                number[r, c] = number[row, column] + step
                queue.append((r, c))
    rows, columns = np.nonzero(np.isfinite(number))
    x, y = xs[columns] + 0.5, ys[rows] + 0.5
    count = frequency[0] * x + frequency[1] * y - number[rows, columns]
    return np.stack([x, y, count, strength[rows, columns] / strength.max()], axis=1)


def _fit_homography(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray | None, float]:
    """The homography that takes pixels to (u, v) numbers of lines, and its median residual in pitches."""
    centre, scale = u[:, :2].mean(axis=0), u[:, :2].std() + 1e-9
    keep = [np.ones(len(u), bool), np.ones(len(v), bool)]
    fitted, residual = None, np.inf
    for _ in range(4):
        rows, values, weights = [], [], []
        for axis, (points, kept) in enumerate(zip((u, v), keep, strict=True)):
            x, y = ((points[kept, :2] - centre) / scale).T
            number, weight = points[kept, 2], points[kept, 3]
            block = np.zeros((len(x), 8))
            block[:, 3 * axis : 3 * axis + 3] = np.stack([x, y, np.ones_like(x)], axis=1)
            block[:, 6:] = -number[:, None] * np.stack([x, y], axis=1)
            rows.append(block)
            values.append(number)
            weights.append(weight)
        weight = np.concatenate(weights)
        solution = np.linalg.lstsq(np.vstack(rows) * weight[:, None], np.concatenate(values) * weight, rcond=None)[0]
        fitted = np.array([solution[0:3], solution[3:6], [solution[6], solution[7], 1.0]])
        errors = []
        for axis, points in enumerate((u, v)):
            x, y = ((points[:, :2] - centre) / scale).T
            seen = fitted @ np.stack([x, y, np.ones_like(x)])
            errors.append(np.abs(seen[axis] / seen[2] - points[:, 2]))
        residual = float(np.median(np.concatenate(errors)))
        keep = [error < max(4 * residual, 0.02) for error in errors]
        if min(kept.sum() for kept in keep) < 8:
            return None, np.inf
    assert fitted is not None
    return fitted @ np.array(
        [[1 / scale, 0, -centre[0] / scale], [0, 1 / scale, -centre[1] / scale], [0, 0, 1]]
    ), residual


def _scale_at(to_mm: np.ndarray, shape: tuple[int, int]) -> tuple[float, float]:
    """px per mm along and across in the middle of the picture."""
    x, y = shape[1] / 2, shape[0] / 2
    points = np.array([[[x, y]], [[x + 1, y]], [[x, y + 1]]], np.float64)
    middle, right, below = cv2.perspectiveTransform(points, to_mm)[:, 0]
    return float(1 / np.hypot(*(right - middle))), float(1 / np.hypot(*(below - middle)))


__all__ = ["Grid", "find_grid"]
