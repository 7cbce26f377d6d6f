# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`digitize_ecg`: the picture of an ECG page becomes an `EcgRecord`, or is refused with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from ..ecg_lead_evidence import LeadEvidence
from ..ecg_photo import load_page_picture
from ..ecg_record import STANDARD_LEADS, EcgRecord
from ..errors_gem import EcgQualityError
from .confidence import LEAST_CONFIDENCE, judge
from .labels import read_words
from .layout import PageOrder, Stretch, find_order
from .paper import PX_PER_MM, Paper, even_light, flatten, grid_of
from .pulses import Pulse, find_pulses, without_pulses
from .timing import SAMPLING_RATE, Scale, find_scale, samples_of, with_times
from .traces import between_pulses, find_blocks, find_rows, follow, without_frames

MAX_SIDE_PX = 3000  # larger pictures are shrunk before they are looked at
LEAST_SCALE = 2.2  # px per mm; with fewer the 1-mm grid and small waves cannot be told


@dataclass(frozen=True)
class DigitizedPage:
    """What was found on a page, and the way from (lead, s, mV) to the picture's pixels.

    Attributes:
        layout: such as "3x4+1".
        scale: paper speed and gain, and where each is from.
        confidence: of each lead, 0 to 1.
        stretches: for each part of the page its lead, time and trace.
        zeros: position of 0 mV in each part, px on the flattened page.
        to_picture: homography from the flattened page to the picture.
        simultaneous: whether its columns show the same seconds.
    """

    layout: str
    scale: Scale
    confidence: Mapping[str, float]
    stretches: tuple[Stretch, ...] = field(repr=False)
    to_picture: np.ndarray = field(repr=False)
    simultaneous: bool = False

    @property
    def lowest_confidence(self) -> float:
        """Of all leads, 0 to 1."""
        return min(self.confidence.values())

    def outlines(self) -> list[tuple[str, np.ndarray]]:
        """The recovered traces as (lead, points (n, 2) px of the picture), a list entry a stretch; NaN where there is a gap."""
        found = []
        for stretch in self.stretches:
            trace = stretch.trace
            x = trace.x
            inside = (x >= stretch.left) & (x <= stretch.right)
            points = np.stack([x[inside], trace.height[inside]], axis=1)
            moved = cv2.perspectiveTransform(np.nan_to_num(points)[None], self.to_picture)[0]
            found.append((stretch.lead, np.where(np.isfinite(points[:, 1:]), moved, np.nan)))
        return found


def digitize_ecg(
    picture: Image.Image | np.ndarray | str | Path | bytes | BinaryIO,
    *,
    layout: str | None = None,
    speed: float | None = None,
    gain: float | None = None,
    name: str | None = None,
) -> EcgRecord:
    """The ECG that a page shows, recovered from a picture of it.

    Args:
        picture: a scan, photo or print: a path, a Pillow picture, uint8 `(height, width, 3)` RGB, or what
            `load_page_picture` takes.
        layout: rows x columns + rhythm strips, such as "3x4+1"; read from the page if not given. Stated, the leads are in the
            usual order.
        speed: paper speed in mm/s, if the page does not state it. If neither does, 25 is assumed, and marked as assumed.
        gain: mm per mV, if the page shows neither a calibration pulse nor text. If none is known, 10 is assumed, and marked as
            assumed.
        name: for messages, and as `record_id`.

    Returns:
        A record at 500 Hz, with NaN where the page does not show a lead. `metadata["page"]` is the `DigitizedPage`, with the
        confidence in each lead; the history says what was read and what was assumed.

    Raises:
        EcgQualityError: no grid, no traces, unreadable names of leads, or leads that contradict each other; the message says which.
        EcgFormatError: not a picture.
        MissingDependencyError: OpenCV is not installed (`gem-ecg[photo]`).
    """
    pixels, called = _pixels(picture)
    name = name or called
    try:
        return _digitized(pixels, layout, speed, gain, name)
    except EcgQualityError as error:
        raise EcgQualityError(f"{name}: cannot be digitised: {error}.") from error


def _pixels(picture: Image.Image | np.ndarray | str | Path | bytes | BinaryIO) -> tuple[np.ndarray, str]:
    if isinstance(picture, np.ndarray):
        return picture, "picture"
    if not isinstance(picture, Image.Image):
        called = Path(picture).name if isinstance(picture, (str, Path)) else "picture"
        return np.asarray(load_page_picture(picture)), called
    return np.asarray(picture.convert("RGB")), "picture"


def _digitized(
    pixels: np.ndarray, layout: str | None, speed: float | None, gain: float | None, name: str
) -> EcgRecord:
    shrink = min(MAX_SIDE_PX / max(pixels.shape[:2]), 1.0)
    if shrink < 1:
        pixels = cv2.resize(pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    light = even_light(pixels)
    paper = _flattened(light)
    ink = without_frames(paper.ink)
    blocks, traces = find_blocks(ink)
    pulses = find_pulses(ink)
    words, printed = read_words(without_pulses(ink, pulses), traces)
    rows = [follow(ink, block, _baselines(traces, block, pulses)) for block in blocks]
    rows = [block for block in rows if block]
    if not rows:
        raise EcgQualityError("no traces were found on it")
    order = find_order(rows, words, pulses, layout)
    scale = find_scale(pulses, printed, speed, gain)
    stretches, together = with_times(order, scale)
    parts = [samples_of(stretch, scale, pulses, _is_cut(stretch, order, pulses)) for stretch in stretches]
    signal = _signal(stretches, parts)
    confidence, doubts = judge(stretches, parts, order)
    lowest = min(confidence.values())
    if lowest < LEAST_CONFIDENCE:
        raise EcgQualityError("; ".join(doubts) or f"confidence {lowest:.2f} is below {LEAST_CONFIDENCE:g}")
    back = np.diag([1 / shrink, 1 / shrink, 1.0]) @ paper.to_picture
    page = DigitizedPage(order.name, scale, confidence, stretches, back, together)
    leads = tuple(lead for lead in (*STANDARD_LEADS, *sorted(signal)) if lead in signal)
    leads = tuple(dict.fromkeys(leads))
    evidence = LeadEvidence(
        gain="assumed" if scale.gain_from == "convention" else "stated",
        rate="assumed" if scale.speed_from == "convention" else "stated",
    )
    return EcgRecord(
        np.stack([signal[lead] for lead in leads]),
        leads,
        SAMPLING_RATE,
        record_id=Path(name).stem,
        source=name,
        metadata={"page": page},
        history=_history(page, order),
        evidence=dict.fromkeys(leads, evidence),
    )


def _baselines(traces: np.ndarray, block: tuple[int, int], pulses: Sequence[Pulse]) -> list[float]:
    """The rows of a block, px from the top."""
    near = 25 * PX_PER_MM
    feet = [pulse.foot for pulse in pulses if -near < pulse.left - block[0] < near]
    return between_pulses(find_rows(traces, block), feet)


def _flattened(light: np.ndarray) -> Paper:
    grid = grid_of(light)
    if grid is None:
        raise EcgQualityError("no millimetre grid was found on it")
    if min(grid.px_per_mm) < LEAST_SCALE:
        raise EcgQualityError(f"{min(grid.px_per_mm):.1f} pixels per mm are too few; scan or photograph it larger")
    return flatten(light, grid.to_mm, grid)


def _is_cut(stretch: Stretch, order: PageOrder, pulses: Sequence[Pulse]) -> bool:
    """Whether another column, or a pulse, touches the stretch."""
    if any(abs(pulse.right - stretch.left) < 1 for pulse in pulses):
        return True
    edges = [edge for column in order.columns for edge in (column.left, column.right)]
    return not stretch.is_rhythm and any(edges.count(edge) > 1 for edge in (stretch.left, stretch.right))


def _signal(stretches: Sequence[Stretch], parts: Sequence[tuple[int, np.ndarray]]) -> dict[str, np.ndarray]:
    """All that the page shows of each lead; where it shows something twice, the rhythm strip goes first."""
    length = max(first + len(samples) for first, samples in parts)
    signal: dict[str, np.ndarray] = {}
    for stretch, (first, samples) in sorted(
        zip(stretches, parts, strict=True), key=lambda item: not item[0].is_rhythm
    ):
        row = signal.setdefault(stretch.lead, np.full(length, np.nan))
        place = row[first : first + len(samples)]
        place[:] = np.where(np.isnan(place), samples, place)
    return signal


def _history(page: DigitizedPage, order: PageOrder) -> tuple[str, ...]:
    read, total = order.names_read
    names = "names of leads as stated" if order.is_stated else f"{read} of {total} names of leads read"
    same = ", columns show the same seconds" if page.simultaneous else ""
    lowest = min(page.confidence, key=lambda lead: page.confidence[lead])
    return (
        f"digitised from a picture: {page.layout}{same}, {page.scale}; {names}",
        f"confidence {page.confidence[lowest]:.2f} at least ({lowest})",
    )


__all__ = ["DigitizedPage", "digitize_ecg"]
