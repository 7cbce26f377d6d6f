# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Makes a clean ECG page look printed, folded, written on and photographed, for training."""

import io
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from processing.ecg_page_picture import EcgPage
from processing.errors_gem import GemError


@dataclass(frozen=True)
class ScanStyle:
    """How far each distortion may go; every page draws its own strength from 0 to that. 0 leaves a distortion out.

    Args:
        rotation: degrees to either side.
        perspective: how far a corner may move, as a share of the picture's sides.
        crop: how much of each side may be cut off, as a share.
        creases: how many folds run through the paper.
        crease_depth: how much darker, as a share, a fold is.
        shadow: how much darker, as a share, the far side of the page is.
        temperature: how much of the blue (warm light) or red (cold light) is lost, as a share.
        fade: how much of the contrast is lost, as a share.
        noise: standard deviation of the grain, grey levels.
        blur_mm: radius of the blur.
        handwriting: how many notes are written on the page. Their words say nothing about the heart.
        jpeg_loss: how far below 100 the JPEG quality may be.
    """

    rotation: float = 3.0
    perspective: float = 0.015
    crop: float = 0.01
    creases: int = 4
    crease_depth: float = 0.25
    shadow: float = 0.2
    temperature: float = 0.15
    fade: float = 0.25
    noise: float = 8.0
    blur_mm: float = 0.0
    handwriting: int = 3
    jpeg_loss: int = 60

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 0:
                raise GemError(
                    f"`{field.name}` is a strength and cannot be negative, got {getattr(self, field.name)!r}."
                )


def augment_page(
    image: EcgPage | Image.Image | np.ndarray, rng: np.random.Generator, style: ScanStyle | None = None
) -> np.ndarray:
    """A scan-like picture of a page; the same for one seed, in every process.

    Args:
        image: a page, a picture or uint8 `(height, width, 3)`; it stays as it is.
        rng: `numpy.random.default_rng(seed)`.
        style: how far each distortion may go.

    Returns:
        uint8 `(height, width, 3)`, as large as `image`.
    """
    style = style or ScanStyle()
    px_per_mm, picture = _as_picture(image)
    # Every distortion draws from a stream of its own, so that leaving one out does not change the others.
    streams = iter(rng.spawn(7))
    picture = _write_notes(picture, next(streams), style.handwriting, px_per_mm)
    picture = _fade(picture, next(streams), style.fade)
    picture = _darken(picture, _fold_shade(picture.size, next(streams), style.creases, style.crease_depth))
    picture = _warp(picture, next(streams), style)
    picture = _darken(picture, _shadow_shade(picture.size, next(streams), style.shadow))
    picture = _light(picture, next(streams), style.temperature)
    return np.array(_camera(picture, next(streams), style, px_per_mm))


def _as_picture(image: EcgPage | Image.Image | np.ndarray) -> tuple[float, Image.Image]:
    """px per mm (taken from the width of our pages where it is not known) and the picture."""
    if isinstance(image, EcgPage):
        return image.px_per_mm, image.to_pil()
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
            raise GemError(f"A page is uint8 (height, width, 3), got {image.dtype} {image.shape}.")
        image = Image.fromarray(image)
    return image.width / 280, image.convert("RGB")


def _fade(picture: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Worn toner: everything moves towards the paper's white."""
    share = rng.uniform(0, strength)
    return picture.point([round(255 - (255 - level) * (1 - share)) for level in range(256)] * 3)


def _fold_shade(size: tuple[int, int], rng: np.random.Generator, creases: int, depth: float) -> Image.Image | None:
    """Light 0-255 on folded paper: a fold is a dark valley beside a light ridge, and tilts one side of the sheet."""
    count = int(rng.integers(0, creases + 1)) if creases else 0
    if not count or not depth:
        return None
    width, height = (max(side // 3, 2) for side in size)
    x = np.linspace(-width / height, width / height, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    light = np.full((height, width), 0.97, np.float32)
    for _ in range(count):
        # Most folds run along or across the sheet.
        angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.12)
        offset = rng.uniform(-0.8, 0.8)
        strength = depth * rng.uniform(0.3, 1)
        sharpness = rng.uniform(60, 160)
        wander = 0.004 * np.sin(rng.uniform(3, 9) * (x - y) + rng.uniform(0, 6))
        distance = (np.cos(angle) * x + np.sin(angle) * y - offset + wander) * sharpness
        valley, ridge = np.exp(-np.abs(distance)), np.exp(-np.abs(distance - 3))
        light += strength * (0.6 * ridge - valley + 0.12 * np.tanh(distance / 8))
    shade = Image.fromarray(np.clip(light * 255, 0, 255).astype(np.uint8))
    return shade.resize(size, Image.Resampling.BILINEAR)


def _shadow_shade(size: tuple[int, int], rng: np.random.Generator, strength: float) -> Image.Image | None:
    """Light 0-255 that falls off across the page, as under a lamp or a hand."""
    if not strength:
        return None
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0, strength)
    x = np.linspace(-1, 1, 64)
    slope = np.cos(angle) * x + np.sin(angle) * x[:, None]
    fall = 1 / (1 + np.exp(-rng.uniform(1, 5) * (slope - rng.uniform(-0.5, 1))))
    shade = Image.fromarray(np.rint(255 * (1 - depth * fall)).astype(np.uint8))
    return shade.resize(size, Image.Resampling.BICUBIC)


def _darken(picture: Image.Image, shade: Image.Image | None) -> Image.Image:
    return picture if shade is None else ImageChops.multiply(picture, Image.merge("RGB", (shade, shade, shade)))


def _warp(picture: Image.Image, rng: np.random.Generator, style: ScanStyle) -> Image.Image:
    """Rotation, perspective and cropping in one resampling; what lies beside the paper is a desk of one colour."""
    if not (style.rotation or style.perspective or style.crop):
        return picture
    width, height = picture.size
    angle = np.radians(rng.uniform(-style.rotation, style.rotation))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    half = np.array([width, height]) / 2
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    margins = 1 - 2 * rng.uniform(0, style.crop, size=2) if style.crop else np.ones(2)
    seen = (corners * margins) @ rotation.T + half
    seen += rng.uniform(-1, 1, size=(4, 2)) * style.perspective * 2 * half
    desk = tuple(int(channel) for channel in rng.choice(_DESKS))
    coefficients = _homography(corners + half, seen)
    return picture.transform(
        picture.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR, fillcolor=desk
    )


_DESKS = np.array([(250, 250, 248), (225, 222, 215), (150, 120, 90), (70, 70, 75), (20, 20, 22)])


def _homography(target: np.ndarray, source: np.ndarray) -> tuple[float, ...]:
    """Pillow's eight coefficients that take each of four `target` points (x, y) to its `source` point."""
    rows, values = [], []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return tuple(float(value) for value in np.linalg.solve(np.array(rows), np.array(values)))


def _light(picture: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Warm light loses blue and some green, cold light loses red."""
    if not strength:
        return picture
    warmth = rng.uniform(-strength, strength)
    losses = (0.0, 0.4 * warmth, warmth) if warmth > 0 else (-warmth, -0.3 * warmth, 0.0)
    return picture.point([round(level * (1 - loss)) for loss in losses for level in range(256)])


def _camera(picture: Image.Image, rng: np.random.Generator, style: ScanStyle, px_per_mm: float) -> Image.Image:
    """Blur, grain and JPEG."""
    if style.blur_mm:
        picture = picture.filter(ImageFilter.BoxBlur(rng.uniform(0, style.blur_mm) * px_per_mm))
    if style.noise:
        # A pool of grain repeated with a period that is no divisor of the width is not seen to repeat.
        pool = rng.normal(128, rng.uniform(0, style.noise), size=(1 << 16) + 1).clip(0, 255).astype(np.uint8)
        grain = Image.fromarray(np.resize(pool, (picture.height, picture.width)))
        picture = ImageChops.add(picture, Image.merge("RGB", (grain, grain, grain)), scale=1, offset=-128)
    if style.jpeg_loss:
        encoded = io.BytesIO()
        picture.save(encoded, "JPEG", quality=int(100 - rng.uniform(0, min(style.jpeg_loss, 95))))
        picture = Image.open(encoded)
    return picture


# Strokes of handwriting: points "xy" on a grid with the baseline at y = 3, small letters up to 6, tall ones up to 9.
_LETTERS = {
    "a": "35 16 04 13 34 36 34 43",
    "b": "09 03 04 16 35 34 13 04",
    "c": "35 16 04 13 34",
    "d": "35 16 04 13 34 39 34 43",
    "e": "04 35 16 04 13 34",
    "f": "38 29 18 13|06 26",
    "h": "09 03 05 16 35 33 43",
    "i": "06 04 13 23|08 18",
    "k": "09 03|35 04 33",
    "l": "09 04 13 23",
    "m": "06 03 05 16 23 25 36 43",
    "n": "06 03 05 16 35 33 43",
    "o": "25 16 04 13 34 25",
    "p": "06 00 05 16 35 34 13 04",
    "r": "06 03 05 16 26",
    "s": "35 16 05 24 33 13 03",
    "t": "18 14 23 33|06 26",
    "u": "06 04 13 33 36 33 43",
    "v": "06 13 26",
    "w": "06 13 25 33 46",
    "y": "06 04 13 34|36 31 10 01",
    "0": "19 06 13 36 19",
    "1": "07 19 13",
    "2": "08 19 38 03 33",
    "3": "08 19 28 16 35 23 03",
    "4": "29 05 35|27 23",
    "5": "39 09 06 26 35 23 03",
    "7": "09 39 13",
    "9": "38 18 07 26 38 33",
    "/": "03 39",
}
_NOTES = ("seen", "checked", "copy", "to file", "for review", "ward 4", "bed 12", "ok", "repeat", "14/2", "3/11", "pm")
_PENS = ((25, 35, 130), (20, 20, 25), (60, 60, 70), (150, 25, 35))


def _write_notes(picture: Image.Image, rng: np.random.Generator, limit: int, px_per_mm: float) -> Image.Image:
    """Handwriting-like notes, each with its own size, slant, slope and pen."""
    if not limit:
        return picture
    picture = picture.copy()
    for _ in range(int(rng.integers(0, limit + 1))):
        strokes = _handwriting(str(rng.choice(_NOTES)), rng) * (px_per_mm * rng.uniform(0.7, 1.3))
        points = np.concatenate(strokes)
        corner = rng.uniform(0.02, 0.9, size=2) * picture.size - points.min(axis=0)
        # Twice as large and then halved, because Pillow draws lines without anti-aliasing.
        box = [int(side) + 8 for side in np.ptp(points, axis=0)]
        mask = Image.new("L", (2 * box[0], 2 * box[1]))
        draw = ImageDraw.Draw(mask)
        pen = max(round(2 * px_per_mm * rng.uniform(0.35, 0.6)), 1)
        for stroke in strokes:
            shifted = (stroke - points.min(axis=0) + 4) * 2
            draw.line([(float(x), float(y)) for x, y in shifted], fill=230, width=pen, joint="curve")
        left, top = (corner + points.min(axis=0) - 4).astype(int)
        picture.paste(tuple(rng.choice(_PENS).tolist()), (int(left), int(top)), mask.reduce(2))
    return picture


def _handwriting(text: str, rng: np.random.Generator) -> Any:
    """The strokes of a text, arrays (points, 2) with y downwards; small letters are about 3 high."""
    slant, slope, x = rng.uniform(-0.05, 0.45), rng.normal(0, 0.05), 0.0
    strokes = []
    for letter in text:
        outline = _LETTERS.get(letter, "")
        for stroke in filter(None, outline.split("|")):
            grid = np.array([[int(point[0]), int(point[1]) - 3] for point in stroke.split()], float)
            curve = _smooth(grid + rng.normal(0, 0.16, grid.shape))
            along = x + curve[:, 0] + slant * curve[:, 1]
            strokes.append(np.stack([along, -curve[:, 1] + slope * along], axis=1))
        x += 4.2 + rng.normal(0, 0.3)
    longest = max(len(stroke) for stroke in strokes)
    # One array for all strokes; the last point of a short stroke is repeated.
    return np.stack([np.pad(stroke, ((0, longest - len(stroke)), (0, 0)), mode="edge") for stroke in strokes])


def _smooth(points: np.ndarray, steps: int = 6) -> np.ndarray:
    """A Catmull-Rom curve through `points` (n, 2)."""
    before, after = np.vstack([points[:1], points[:-1]]), np.vstack([points[1:], points[-1:]])
    tangents = (after - before) / 2
    t = (np.arange(steps) / steps)[:, None, None]
    start, end = points[:-1], points[1:]
    curve = (
        (2 * t**3 - 3 * t**2 + 1) * start
        + (t**3 - 2 * t**2 + t) * tangents[:-1]
        + (3 * t**2 - 2 * t**3) * end
        + (t**3 - t**2) * tangents[1:]
    )
    return np.vstack([curve.swapaxes(0, 1).reshape(-1, 2), points[-1:]])


__all__ = ["ScanStyle", "augment_page"]
