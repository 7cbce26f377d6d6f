# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Reads the words that matter on an ECG page (lead names, paper speed, gain) by comparison with rendered words."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..ecg_record import STANDARD_LEADS
from .paper import PX_PER_MM
from .pulses import GAINS_MM

# Typefaces that come with matplotlib: sans and serif, regular and bold, as near as it has to Arial, Times and Courier.
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "STIXGeneral", "STIXGeneralBol", "DejaVuSerif", "cmss10", "DejaVuSansMono")
LEAD_WORDS = {
    **{lead: lead for lead in STANDARD_LEADS},
    **{f"-{lead}": f"-{lead}" for lead in ("aVR",)},
    **{lead.upper(): lead for lead in ("aVR", "aVL", "aVF")},
}
SPEEDS = ("12.5", "25", "50")
GAINS = tuple(f"{gain:g}" for gain in GAINS_MM)
SCALE_WORDS = {
    f"{number}{space}{unit}": (unit, float(number))
    for numbers, unit in ((SPEEDS, "mm/s"), (GAINS, "mm/mV"))
    for number in numbers
    for space in ("", " ")
}
HEIGHT_PX = 24  # of a word when it is compared
PAD_PX = 5
LETTER_MM = (1.0, 8.0)  # lowest and highest letters
TOUCH_PX = 2  # a trace that is so near to a letter may have cut it
WORD_GAP, PHRASE_GAP = 0.45, 1.1  # between letters of a word, words of a phrase, in heights of the taller
STRETCH = 1.35  # how much wider or narrower a word may be than its template
READ_FROM = 0.62  # likeness from which a word counts as the name of a lead
SCALE_FROM, SCALE_LEAD = 0.7, 0.02  # likeness of a scale to its words, and how much less its rivals


@dataclass(frozen=True)
class Word:
    """
    A word on the page.

    Attributes:
        box: (left, top, right, bottom) px.
        likeness: 0 to 1, to the name of every lead.
        is_whole: no trace touches it, so that it cannot have lost letters or parts of them.
    """

    box: tuple[int, int, int, int]
    likeness: dict[str, float]
    is_whole: bool = True

    @property
    def middle(self) -> float:
        """Its height on the page, px from the top."""
        return (self.box[1] + self.box[3]) / 2

    @property
    def lead(self) -> str:
        """The lead whose name it is most like."""
        return max(self.likeness, key=lambda lead: self.likeness[lead])

    @property
    def clarity(self) -> float:
        """How like that name it is, 0 to 1."""
        return max(self.likeness.values())


def read_words(ink: np.ndarray, traces: np.ndarray) -> tuple[list[Word], dict[str, float]]:
    """The words that may be names of leads, and the scales that the page states.

    Args:
        ink: of the flattened page, without frames.
        traces: true where the ink is a trace's.

    Returns:
        words, and `{"mm/s": 25.0, "mm/mV": 10.0}` as far as they stand on the page.
    """
    beside = cv2.dilate(traces.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    text = np.where(beside, 0, ink).astype(np.float32)
    letters = _letters(text)
    words = []
    for box in _joined(letters, WORD_GAP):
        likeness = _likeness(text, box, _lead_templates())
        if likeness and max(likeness.values()) >= READ_FROM:
            words.append(Word(box, likeness, not _around(beside, box).any()))
    return words, _scales(text, letters)


def _around(mask: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The part of a mask in which letters of a word, or parts of them, would lie."""
    left, top, right, bottom = box
    beside = round(WORD_GAP * (bottom - top))
    return mask[max(top - TOUCH_PX, 0) : bottom + TOUCH_PX, max(left - beside, 0) : right + beside]


def clearest(words: Sequence[Word]) -> list[Word]:
    """Of words that overlap the clearest."""
    kept: list[Word] = []
    for word in sorted(words, key=lambda word: -word.clarity):
        left, top, right, bottom = word.box
        if all(a[2] <= left or right <= a[0] or a[3] <= top or bottom <= a[1] for a in (each.box for each in kept)):
            kept.append(word)
    return kept


def _scales(text: np.ndarray, letters: list[tuple[int, int, int, int]]) -> dict[str, float]:
    found: dict[str, tuple[float, float]] = {}
    for box in _joined(letters, PHRASE_GAP):
        if box[2] - box[0] < 2 * (box[3] - box[1]):
            continue
        likeness = _likeness(text, box, _scale_templates())
        ranked = sorted(likeness.items(), key=lambda item: -item[1])
        if not ranked or ranked[0][1] < SCALE_FROM:
            continue
        unit, number = SCALE_WORDS[ranked[0][0]]
        rivals = [value for name, value in ranked if SCALE_WORDS[name] != (unit, number)]
        if ranked[0][1] - max(rivals, default=0.0) >= SCALE_LEAD and ranked[0][1] > found.get(unit, (0.0, 0.0))[1]:
            found[unit] = number, ranked[0][1]
    return {unit: number for unit, (number, _) in found.items()}


def _letters(text: np.ndarray) -> list[tuple[int, int, int, int]]:
    count, _, stats, _ = cv2.connectedComponentsWithStats((text > 0.4).astype(np.uint8), connectivity=8)
    low, high = (side * PX_PER_MM for side in LETTER_MM)
    boxes = []
    for left, top, width, height, area in stats[1:count]:
        tall = low <= height <= high and width <= 1.6 * high
        # Full stops, strokes of a slash or a minus are parts of words, specks are not.
        small = 0.15 * low <= height < low and width < high and area >= 6
        if tall or small:
            boxes.append((int(left), int(top), int(left + width), int(top + height)))
    return boxes


def _joined(boxes: list[tuple[int, int, int, int]], gap: float) -> list[tuple[int, int, int, int]]:
    """Boxes of letters that stand side by side, as boxes of words."""
    words: list[tuple[int, int, int, int]] = []
    for box in sorted(boxes):
        best = None
        for index, word in enumerate(words):
            height = max(word[3] - word[1], box[3] - box[1])
            overlap = min(word[3], box[3]) - max(word[1], box[1])
            near = box[0] - word[2] <= gap * height
            if near and overlap > 0.5 * min(word[3] - word[1], box[3] - box[1]):
                best = index if best is None or words[best][2] < word[2] else best
        if best is None:
            words.append(box)
        else:
            word = words[best]
            words[best] = (min(word[0], box[0]), min(word[1], box[1]), max(word[2], box[2]), max(word[3], box[3]))
    low, high = (side * PX_PER_MM for side in LETTER_MM)
    return [word for word in words if low <= word[3] - word[1] <= high]


def _likeness(
    text: np.ndarray, box: tuple[int, int, int, int], templates: list[tuple[str, np.ndarray]]
) -> dict[str, float]:
    left, top, right, bottom = box
    width = (right - left) * HEIGHT_PX / (bottom - top)
    crop = text[top:bottom, left:right]
    likeness: dict[str, float] = {}
    resized: dict[int, np.ndarray] = {}
    for name, template in templates:
        own = template.shape[1] - 2 * PAD_PX
        if not own / STRETCH <= width + 2 <= (own + 2) * STRETCH + 2:
            continue
        if own not in resized:
            resized[own] = _normal(cv2.resize(crop, (own, HEIGHT_PX), interpolation=cv2.INTER_AREA))
        stretched = abs(np.log((width + 3) / (own + 3)))
        value = float((resized[own] * template).sum()) - 0.15 * stretched
        likeness[name] = max(likeness.get(name, 0.0), value)
    return likeness


def _normal(crop: np.ndarray) -> np.ndarray:
    padded = cv2.GaussianBlur(np.pad(crop, PAD_PX).astype(np.float32), (0, 0), 1.0)
    padded -= padded.mean()
    return padded / max(float(np.sqrt((padded**2).sum())), 1e-6)


@lru_cache(maxsize=1)
def _lead_templates() -> list[tuple[str, np.ndarray]]:
    return [(lead, template) for word, lead in LEAD_WORDS.items() for template in _rendered(word)]


@lru_cache(maxsize=1)
def _scale_templates() -> list[tuple[str, np.ndarray]]:
    return [(word, template) for word in SCALE_WORDS for template in _rendered(word)]


def _rendered(word: str) -> list[np.ndarray]:
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    templates = []
    for font in FONTS:
        face = ImageFont.truetype(str(folder / f"{font}.ttf"), 64)
        box = face.getbbox(word)
        picture = Image.new("L", (int(box[2] - box[0]), int(box[3] - box[1])))
        ImageDraw.Draw(picture).text((-box[0], -box[1]), word, fill=255, font=face)
        pixels = np.asarray(picture, np.float32) / 255
        rows, columns = (np.flatnonzero(pixels.max(axis=axis) > 0.4) for axis in (1, 0))
        pixels = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        width = max(round(pixels.shape[1] * HEIGHT_PX / pixels.shape[0]), 2)
        templates.append(_normal(cv2.resize(pixels, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA)))
    return templates


__all__ = ["READ_FROM", "Word", "clearest", "read_words"]
