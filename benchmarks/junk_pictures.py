# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Pictures that are not ECG pages, drawn from a seed: charts, texts, tables, drawings, noise, photos; for `benchmarks.abstention`."""

import io
import string
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.junk_signals import KINDS as SIGNALS
from benchmarks.junk_signals import junk

Draw = Callable[[np.random.Generator], Image.Image]


def _size(generator: np.random.Generator) -> tuple[int, int]:
    return int(generator.integers(400, 1600)), int(generator.integers(400, 1600))


def _figure(generator: np.random.Generator, rows: int = 1) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=tuple(generator.uniform(5, 12, 2)), dpi=100)
    axes = [figure.add_subplot(rows, 1, row + 1) for row in range(rows)]
    for one in axes:
        if generator.integers(2):
            one.grid(color="salmon", linewidth=0.5)
    return figure, axes


def _drawn(figure: Any) -> Image.Image:
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return Image.open(stream).convert("RGB")


def blank(generator: np.random.Generator) -> Image.Image:
    return Image.new("RGB", _size(generator), tuple(generator.integers(0, 256, 3).tolist()))


def noise(generator: np.random.Generator) -> Image.Image:
    width, height = _size(generator)
    pixels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(float(generator.choice([0, 1, 4]))))


def gradient(generator: np.random.Generator) -> Image.Image:
    width, height = _size(generator)
    weights = generator.normal(size=2)
    ramp = weights[0] * np.linspace(0, 1, width) + weights[1] * np.linspace(0, 1, height)[:, None]
    return Image.fromarray((255 * (ramp - ramp.min()) / np.ptp(ramp)).astype(np.uint8))


def text(generator: np.random.Generator) -> Image.Image:
    width, height = _size(generator)
    page = Image.new("RGB", (width, height), "white")
    pen, letters = ImageDraw.Draw(page), list(string.ascii_letters + " " * 12)
    step = int(generator.integers(14, 40))
    for top in range(step, height - step, step):
        pen.text((40, top), "".join(generator.choice(letters, 200)), "black", font_size=0.7 * step)
    return page


def table(generator: np.random.Generator) -> Image.Image:
    width, height = _size(generator)
    page = Image.new("RGB", (width, height), "white")
    pen, step = ImageDraw.Draw(page), int(generator.integers(24, 80))
    for left in range(0, width, 2 * step):
        pen.line([(left, 0), (left, height)], "black")
        for top in range(0, height, step):
            pen.line([(0, top), (width, top)], "black")
            pen.text((left + 4, top + 4), f"{generator.normal():.2f}", "black", font_size=12)
    return page


def shapes(generator: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", _size(generator), "white")
    pen = ImageDraw.Draw(page)
    for _ in range(generator.integers(3, 40)):
        x, y = (generator.integers(0, side, 2) for side in page.size)
        box = (min(x), min(y), max(x), max(y))
        draw = (pen.ellipse, pen.rectangle, pen.line)[generator.integers(3)]
        draw(box, tuple(generator.integers(0, 256, 3).tolist()))
    return page


def scribble(generator: np.random.Generator) -> Image.Image:
    """Handwriting: slow curves of the pen in lines."""
    page = Image.new("RGB", _size(generator), "white")
    pen = ImageDraw.Draw(page)
    for top in range(60, page.height - 40, int(generator.integers(50, 120))):
        time = np.linspace(0, generator.uniform(20, 80), 900)
        x = 30 + (page.width - 60) * time / time[-1] + 8 * np.sin(time * generator.uniform(3, 6))
        y = top + 12 * np.sin(time * generator.uniform(4, 8)) * (1 + 0.5 * np.sin(time))
        pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), "black", width=2)
    return page


def bars(generator: np.random.Generator) -> Image.Image:
    figure, (axes,) = _figure(generator)
    axes.bar(np.arange(20), generator.gamma(2, size=20))
    return _drawn(figure)


def scatter(generator: np.random.Generator) -> Image.Image:
    figure, (axes,) = _figure(generator)
    axes.scatter(*generator.normal(size=(2, 300)), s=float(generator.uniform(2, 40)))
    return _drawn(figure)


def pie(generator: np.random.Generator) -> Image.Image:
    figure, (axes,) = _figure(generator)
    axes.pie(generator.gamma(2, size=7))
    return _drawn(figure)


def heat(generator: np.random.Generator) -> Image.Image:
    figure, (axes,) = _figure(generator)
    axes.imshow(generator.normal(size=(30, 40)), aspect="auto")
    return _drawn(figure)


def stocks(generator: np.random.Generator) -> Image.Image:
    figure, (axes,) = _figure(generator)
    axes.plot(generator.normal(size=(400, int(generator.integers(1, 5)))).cumsum(axis=0), linewidth=1)
    return _drawn(figure)


def spectrum(generator: np.random.Generator) -> Image.Image:
    """Lines of a spectrum: thin peaks on a line, though at no regular places."""
    figure, (axes,) = _figure(generator)
    peaks = generator.uniform(0, 10, 12)
    x = np.linspace(0, 10, 2000)
    axes.plot(x, sum(generator.gamma(1) * np.exp(-(((x - peak) / 0.03) ** 2)) for peak in peaks), "k", linewidth=0.8)
    return _drawn(figure)


def other_signals(generator: np.random.Generator) -> Image.Image:
    """Rows of noises, tones and other signals of the body, as a recorder prints them."""
    rows = int(generator.integers(1, 9))
    figure, axes = _figure(generator, rows)
    signal = junk(str(generator.choice(list(SIGNALS))), generator)
    for row, one in enumerate(axes):
        one.plot(signal[row, :: int(generator.integers(1, 6))], "k", linewidth=float(generator.uniform(0.4, 1.2)))
        one.axis("off" if generator.integers(2) else "on")
    return _drawn(figure)


@cache
def _files() -> list[Path]:
    """Pictures of at least 150 pixels a side among the installed packages' own: icons, plots, screenshots, photos."""
    import sklearn

    packages = Path(sklearn.__file__).parents[1]
    found = [
        path
        for suffix in ("png", "jpg")
        for path in (*packages.rglob(f"*.{suffix}"), *Path("/usr/share").rglob(f"*.{suffix}"))
    ]
    return sorted(path for path in found if _large(path))


def _large(path: Path) -> bool:
    with Image.open(path) as picture:
        return min(picture.size) >= 150


def installed(generator: np.random.Generator) -> Image.Image:
    """Part of a picture of an installed package, turned or mirrored now and then."""
    files = _files()
    with Image.open(files[generator.integers(len(files))]) as opened:
        picture = opened.convert("RGB")
    left, top = (int(generator.uniform(0, 0.2) * side) for side in picture.size)
    right, bottom = (int(generator.uniform(0.8, 1) * side) for side in picture.size)
    return picture.crop((left, top, right, bottom)).rotate(90 * int(generator.integers(4)), expand=True)


KINDS: dict[str, Draw] = {
    draw.__name__: draw
    for draw in (
        blank, noise, gradient, text, table, shapes, scribble, bars, scatter, pie, heat, stocks, spectrum, other_signals,
        installed,
    )
}  # fmt: skip
