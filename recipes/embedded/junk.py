# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Inputs that are not ECGs, and how the model declines them: flat lines, noise, one second, blank pages, foreign pictures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from processing.ecg_page import render_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.grounding.denied_ecg import DECLINES

from .corpus import LEARNT_FOLDS, RATE, SAMPLES, Corpus
from .page_augment import augment_page
from .tower_data import PAGE_SIZE

REASONS = {
    "flat": "the signal is a flat line",
    "noise": "the signal is noise",
    "second": "one second is too short",
    "blank": "the page is blank",
    "foreign": "the picture shows no ECG",
}
# A foreign picture has no signal beside it; what stands for one is a flat line.
OF_PICTURES = ("blank", "foreign")


@dataclass(frozen=True)
class Junk:
    """An input that is not an ECG.

    Attributes:
        name: of the example.
        kind: of `REASONS`.
        signal: `(12, 5000)` mV.
        picture: uint8 `(height, width, 3)`.
    """

    name: str
    kind: str
    signal: np.ndarray
    picture: np.ndarray

    @property
    def answer(self) -> str:
        """The right answer: what it is instead of an ECG."""
        return f"{DECLINES}{REASONS[self.kind]}."


def kinds_in_turn(pictures: int) -> tuple[str, ...]:
    """All kinds, those of pictures `pictures` times."""
    return (*(kind for kind in REASONS if kind not in OF_PICTURES), *(OF_PICTURES * pictures))


def declines(text: str) -> bool:
    """Whether an answer declines to read its input."""
    return text.startswith(DECLINES)


def junk(
    count: int,
    seed: int,
    ecgs: Callable[[int], np.ndarray],
    kinds: Sequence[str] = tuple(REASONS),
) -> Iterator[Junk]:
    """
    `count` examples, the kinds in turn; the same for the same seed.

    Args:
        count: number of examples.
        seed: of the random numbers.
        ecgs: gives the signal `(12, 5000)` mV of any number, of which the examples of one second are cut.
        kinds: of `REASONS`, in turn.
    """
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        kind = kinds[number % len(kinds)]
        cut = partial(_second, ecgs(int(rng.integers(2**31))))
        makers: dict[str, Callable[[np.random.Generator], np.ndarray]] = {"noise": _noise, "second": cut}
        signal = makers.get(kind, _flat)(rng)
        if kind in OF_PICTURES:
            picture = _blank(rng) if kind == "blank" else _foreign(rng)
        else:
            picture = render_ecg(EcgRecord(signal, STANDARD_LEADS, RATE), size=(PAGE_SIZE, PAGE_SIZE)).pixels
        yield Junk(f"junk/{seed}-{number:05d}-{kind}", kind, signal, picture)


def junk_of(corpus: Corpus, count: int, seed: int, kinds: Sequence[str] = tuple(REASONS)) -> Iterator[Junk]:
    """`junk` whose single seconds are cut from the records of `corpus` that are learned from."""
    learnt = [number for number, row in enumerate(corpus.rows) if row["fold"] in LEARNT_FOLDS]
    return junk(count, seed, lambda number: corpus.item(learnt[number % len(learnt)]).record.signal, kinds)


def _flat(rng: np.random.Generator) -> np.ndarray:
    """Within the last bit of a recorder, at any offset."""
    offset = rng.normal(scale=0.2, size=(len(STANDARD_LEADS), 1)) * (rng.random() < 0.5)
    jitter = rng.normal(scale=10 ** rng.uniform(-4, -2.5), size=(len(STANDARD_LEADS), SAMPLES))
    return (offset + jitter).astype(np.float32)


def _noise(rng: np.random.Generator) -> np.ndarray:
    """White, coloured, mains or a wandering line, of the size of an ECG."""
    shape = (len(STANDARD_LEADS), SAMPLES)
    white = rng.standard_normal(shape)
    kind = rng.integers(4)
    if kind == 1:
        white = gaussian_filter(white, (0, rng.uniform(1, 30)))
    elif kind == 2:
        white = white.cumsum(axis=1)
        white -= white.mean(axis=1, keepdims=True)
    elif kind == 3:
        phase = rng.uniform(0, 2 * np.pi, (len(STANDARD_LEADS), 1))
        white = np.sin(2 * np.pi * rng.uniform(0.2, 60) * np.arange(SAMPLES) / RATE + phase) + 0.1 * white
    return (white / white.std() * 10 ** rng.uniform(-1, 0.3)).astype(np.float32)


def _second(signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One second of an ECG, and nothing behind it, as the feature extractor pads it."""
    samples, start = int(RATE), int(rng.integers(SAMPLES - int(RATE)))
    cut = np.zeros_like(signal)
    cut[:, :samples] = signal[:, start : start + samples]
    return cut


def _blank(rng: np.random.Generator) -> np.ndarray:
    """Paper of one colour or with a grid, at times as if photographed."""
    colour = rng.integers(200, 256, 3) if rng.random() < 0.8 else rng.integers(0, 256, 3)
    page = np.tile(colour.astype(np.uint8), (PAGE_SIZE, PAGE_SIZE, 1))
    if rng.random() < 0.5:
        step = int(rng.integers(4, 30))
        ink = np.array([230, 160, 160], dtype=np.uint8)
        page[::step], page[:, ::step] = ink, ink
    return augment_page(page, rng) if rng.random() < 0.5 else page


def _foreign(rng: np.random.Generator) -> np.ndarray:
    """A picture of something else: clouds, shapes, writing or a chart."""
    maker = (_clouds, _shapes, _writing, _chart)[int(rng.integers(4))]
    picture = np.asarray(maker(rng).convert("RGB").resize((PAGE_SIZE, PAGE_SIZE)))
    return augment_page(picture, rng) if rng.random() < 0.3 else picture


def _clouds(rng: np.random.Generator) -> Image.Image:
    size, total = 128, np.zeros((128, 128, 3))
    for scale in (2, 5, 12, 30):
        layer = gaussian_filter(rng.standard_normal((size, size, 3)), (scale, scale, 0))
        total += layer / layer.std() * rng.uniform(0, 1)
    shades = (total - total.min()) / np.ptp(total)
    return Image.fromarray((255 * shades).astype(np.uint8))


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def _shapes(rng: np.random.Generator) -> Image.Image:
    picture = Image.new("RGB", (PAGE_SIZE, PAGE_SIZE), _colour(rng))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(3, 40))):
        corners = [(float(x), float(y)) for x, y in rng.uniform(0, PAGE_SIZE, (int(rng.integers(3, 7)), 2))]
        draw.polygon(corners, fill=_colour(rng))
    return picture


def _writing(rng: np.random.Generator) -> Image.Image:
    picture = Image.new("RGB", (PAGE_SIZE, PAGE_SIZE), "white")
    draw = ImageDraw.Draw(picture)
    letters = "abcdefghijklmnopqrstuvwxyz      .,0123456789"
    for line in range(10, PAGE_SIZE - 10, int(rng.integers(11, 24))):
        words = "".join(letters[i] for i in rng.integers(len(letters), size=int(rng.integers(5, 60))))
        draw.text((int(rng.integers(5, 40)), line), words, fill=_colour(rng) if rng.random() < 0.2 else "black")
    return picture


def _chart(rng: np.random.Generator) -> Image.Image:
    """Bars, or one line that goes where no heart does."""
    picture = Image.new("RGB", (PAGE_SIZE, PAGE_SIZE), "white")
    draw = ImageDraw.Draw(picture)
    draw.line([(30, 10), (30, 310), (330, 310)], fill="black", width=2)
    values = rng.uniform(20, 290, int(rng.integers(4, 25)))
    places = np.linspace(40, 325, len(values))
    if rng.random() < 0.5:
        for x, height in zip(places, values, strict=True):
            draw.rectangle([x - 4, 310 - height, x + 4, 310], fill=_colour(rng))
    else:
        draw.line([(float(x), float(y)) for x, y in zip(places, values, strict=True)], fill=_colour(rng), width=3)
    return picture


__all__ = ["REASONS", "Junk", "declines", "junk", "junk_of", "kinds_in_turn"]
