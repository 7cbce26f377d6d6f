# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`digitize_ecg`: the picture of an ECG page becomes an `EcgRecord`, or is refused with the reason."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from ..ecg_lead_evidence import Evidence, LeadEvidence
from ..ecg_photo import MAX_DIGITIZED_PX, load_page_picture
from ..ecg_picture_files import PDF_SOURCE
from ..ecg_record import STANDARD_LEADS, EcgRecord
from ..errors_gem import EcgQualityError
from .confidence import LEAST_CONFIDENCE, judge
from .direction import quarters_upright, shows_names
from .flat import check_scale, flat_paper
from .labels import Word, clearest, read_words
from .layout import PageOrder, Stretch, find_orders
from .paper import CELL, MAX_PAPER_MM, PX_PER_MM, Paper, even_light, even_strokes, shrunk
from .pdf_strokes import drawn_page
from .pulses import Pulse, find_pulses, pulses_in_traces, where_pulses_stand, without_pulses
from .refine import refined
from .timing import SAMPLING_RATE, Scale, find_scale, samples_of, with_times
from .traces import (
    Trace,
    alike_in_blocks,
    along_curves,
    beside_pulses,
    between_pulses,
    find_blocks,
    find_rows,
    follow,
    without_frames,
)
from .vectors import vector_page

WITHOUT_GRID = 0.8  # of the confidence in a page whose scale its grid does not tell
STROKE_MM = 0.5  # width of a pen
# Origin of a scale (`Scale.speed_from`, `Scale.gain_from`) -> the same of a lead's facts.
EVIDENCE: dict[str, Evidence] = {"pulse": "stated", "text": "stated", "stated": "given", "convention": "assumed"}
SCALED_BY = {
    "grid": "",
    "pulse": ", without a grid: the pulse is assumed to be 5 mm wide and 10 mm high",
    "file": ", without a grid: pixels per mm as the file states",
}


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

    @property
    def finest_detail(self) -> float:
        """s; what is shorter is drowned in the width of a stroke. Two leads do not show it alike."""
        return STROKE_MM / self.scale.speed

    @property
    def quarters(self) -> int:
        """How many quarters the picture has to be turned, counterclockwise, so that the page stands upright."""
        ends = np.array([[[0.0, 0.0], [PX_PER_MM, 0.0]]])
        across, down = np.diff(cv2.perspectiveTransform(ends, self.to_picture)[0], axis=0)[0]
        return round(math.degrees(math.atan2(down, across)) / 90) % 4

    def outlines(self) -> list[tuple[str, np.ndarray]]:
        """The recovered traces as (lead, points (n, 2) px of the picture), a list entry a stretch; NaN where there is a gap."""
        return [(stretch.lead, self._on_picture(stretch, stretch.left, stretch.right)) for stretch in self.stretches]

    def places(self, lead: str, start: float, end: float) -> list[np.ndarray]:
        """Where the page shows a lead between two times (s of the record): points (n, 2) px of the picture, an entry a stretch."""
        per_second = self.scale.speed * PX_PER_MM
        found = []
        for stretch in self.stretches:
            if stretch.lead == lead and start <= stretch.stop and end >= stretch.start:
                left = stretch.left + (max(start, stretch.start) - stretch.start) * per_second
                right = stretch.left + (min(end, stretch.stop) - stretch.start) * per_second
                points = self._on_picture(stretch, left, right)
                found.append(points[np.isfinite(points[:, 1])])
        return [points for points in found if len(points)]

    def px_per_mm(self, x: float, y: float) -> float:
        """Pixels of the picture that a mm of the paper takes near a point of the picture."""
        to_flat = np.linalg.inv(self.to_picture)
        corner = np.array([[[x, y], [x + 1, y], [x, y + 1]]], float)
        point, right, below = cv2.perspectiveTransform(corner, to_flat)[0]
        area = abs(float(np.linalg.det(np.stack([right - point, below - point]))))
        return PX_PER_MM / float(np.sqrt(area))

    def _on_picture(self, stretch: Stretch, left: float, right: float) -> np.ndarray:
        """A stretch's trace between two places, px of the flattened page, as points (n, 2) px of the picture."""
        x, height = stretch.trace.x, stretch.trace.height
        inside = (x >= left) & (x <= right)
        points = np.stack([x[inside], height[inside]], axis=1)
        if not len(points):
            return points
        moved = cv2.perspectiveTransform(np.nan_to_num(points)[None], self.to_picture)[0]
        return np.where(np.isfinite(points[:, 1:]), moved, np.nan)


def digitize_ecg(
    picture: Image.Image | np.ndarray | str | Path | bytes | BinaryIO,
    *,
    layout: str | None = None,
    speed: float | None = None,
    gain: float | None = None,
    name: str | None = None,
) -> EcgRecord:
    """The ECG that a page shows, recovered from a picture of it, or from the lines of a PDF.

    Args:
        picture: a scan, photo or print: a path, a Pillow picture, uint8 `(height, width, 3)` RGB, or what
            `load_page_picture` takes. A page of a PDF, given as file or as `load_page_picture` returns it, is read from the lines
            that it draws, where its traces, grid and names of leads are lines and letters.
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
        EcgQualityError: nothing tells the scale, no traces, unreadable names of leads, several pages, a mirrored page, or leads
            that contradict each other; the message says which.
        EcgFormatError: not a picture.
        MissingDependencyError: OpenCV is not installed (`gem-ecg[photo]`).
    """
    opened, called = _opened(picture)
    name = name or called
    try:
        read = _from_lines(opened, layout, speed, gain) if isinstance(opened, Image.Image) else None
        return (read or _from_pixels(opened, layout, speed, gain)).to_record(name)
    except EcgQualityError as error:
        raise EcgQualityError(f"{name}: cannot be digitised: {error}.") from error


@dataclass(frozen=True)
class _Reading:
    """What was read of a page: its arrangement, and for each stretch the number of its first sample and its samples in mV."""

    order: PageOrder
    scale: Scale
    stretches: tuple[Stretch, ...]
    parts: Sequence[tuple[int, np.ndarray]]
    simultaneous: bool
    to_picture: np.ndarray
    source: str
    scaled_by: str = "grid"

    @cached_property
    def judged(self) -> tuple[dict[str, float], list[str]]:
        """The confidence in each lead, and what lowers it."""
        return judge(self.stretches, self.parts, self.order)

    @property
    def lowest(self) -> float:
        """The confidence in the worst lead."""
        return min(self.judged[0].values())

    def to_record(self, name: str) -> EcgRecord:
        """The record, if its leads agree.

        Raises:
            EcgQualityError: they contradict each other, or too little is seen of one.
        """
        signal = _signal(self.stretches, self.parts)
        confidence, doubts = self.judged
        if self.lowest < LEAST_CONFIDENCE:
            raise EcgQualityError("; ".join(doubts) or f"confidence {self.lowest:.2f} is below {LEAST_CONFIDENCE:g}")
        if self.scaled_by != "grid":
            confidence = {lead: WITHOUT_GRID * value for lead, value in confidence.items()}
        page = DigitizedPage(
            self.order.name, self.scale, confidence, self.stretches, self.to_picture, self.simultaneous
        )
        leads = tuple(dict.fromkeys(lead for lead in (*STANDARD_LEADS, *sorted(signal)) if lead in signal))
        return EcgRecord(
            np.stack([signal[lead] for lead in leads]),
            leads,
            SAMPLING_RATE,
            record_id=Path(name).stem,
            source=name,
            metadata={"page": page},
            history=_history(page, self.order, self.source, SCALED_BY[self.scaled_by]),
            evidence=dict.fromkeys(leads, self._evidence()),
        )

    def _evidence(self) -> LeadEvidence:
        """Where each fact comes from. Traces are in mm, so that their unit follows from the gain; names that are not read, from the rest."""
        read, total = self.order.names_read
        named: Evidence = "given" if self.order.is_stated else "stated" if read == total else "derived"
        gain, rate = (EVIDENCE[origin] for origin in (self.scale.gain_from, self.scale.speed_from))
        if self.scaled_by == "pulse":
            gain = rate = "assumed"
        return LeadEvidence(name=named, unit="derived", gain=gain, rate=rate)


def _opened(
    picture: Image.Image | np.ndarray | str | Path | bytes | BinaryIO,
) -> tuple[Image.Image | np.ndarray, str]:
    if isinstance(picture, (np.ndarray, Image.Image)):
        return picture, "picture"
    called = Path(picture).name if isinstance(picture, (str, Path)) else "picture"
    return load_page_picture(picture), called


def _from_lines(picture: Image.Image, layout: str | None, speed: float | None, gain: float | None) -> _Reading | None:
    """What the lines of a PDF's page say; `None` of other pictures, and of pages whose ECG is a picture itself."""
    if PDF_SOURCE not in picture.info:
        return None
    drawn = drawn_page(*picture.info[PDF_SOURCE])
    page = vector_page(drawn) if drawn is not None else None
    if drawn is None or page is None or layout not in (None, page.order.name):
        return None
    scale = find_scale(page.pulses, page.printed, speed, gain)
    stretches, together = with_times(page.order, scale)
    parts = [page.samples_of(number, stretch, scale) for number, stretch in enumerate(stretches)]
    across, down = page.per_paper_mm
    to_picture = np.diag([picture.width / drawn.width / across, picture.height / drawn.height / down, 1.0])
    return _Reading(page.order, scale, stretches, parts, together, to_picture, "the lines of a PDF")


def _from_pixels(
    picture: Image.Image | np.ndarray, layout: str | None, speed: float | None, gain: float | None
) -> _Reading:
    pixels, shrink = shrunk(picture, MAX_DIGITIZED_PX)
    dpi = picture.info.get("dpi") if isinstance(picture, Image.Image) else None
    paper = flat_paper(even_light(pixels), float(dpi[0]) * shrink if dpi else None)
    back = np.diag([1 / shrink, 1 / shrink, 1.0])
    try:
        read = _read(paper, layout, speed, gain)
    except EcgQualityError as error:
        read = _read_turned(paper, layout, speed, gain, error)
    return replace(read, to_picture=back @ read.to_picture)


def _read(paper: Paper, layout: str | None, speed: float | None, gain: float | None) -> _Reading:
    ink = without_frames(even_strokes(paper.ink))
    blocks, traces = find_blocks(ink)
    if paper.is_cut and any(left < CELL or right > ink.shape[1] - CELL for left, right in blocks):
        raise EcgQualityError(
            f"by its grid its traces are longer than the {MAX_PAPER_MM:g} mm that are read; cut the picture into shorter ones"
        )
    pulses = where_pulses_stand(find_pulses(ink), blocks)
    without = without_pulses(ink, pulses)
    words, printed = read_words(without, traces)
    as_printed = np.where(ink > 0, paper.ink, 0)

    def ordered(baselines: Sequence[list[float]]) -> list[PageOrder]:
        rows = [follow(ink, block, lines) for block, lines in zip(blocks, baselines, strict=True)]
        rows = [refined(as_printed, traces, block) for block in rows if block]
        if not rows:
            raise EcgQualityError("no traces were found on it")
        if not pulses:
            pulses.extend(pulse for block in rows for pulse in pulses_in_traces(block))
        return _with_hidden_names(rows, words, without, lambda names: find_orders(rows, names, pulses, layout))

    attempts = _rows_to_try(traces, blocks, pulses)
    for attempt in attempts:
        try:
            orders = ordered(attempt)
            break
        except EcgQualityError:
            if attempt is attempts[-1]:
                raise
    scale = find_scale(pulses, printed, speed, gain)
    check_scale(paper, scale)
    readings = (_by_order(order, scale, pulses, paper) for order in orders)
    likeliest = next(readings)
    agreeing = (read for read in (likeliest, *readings) if read.lowest >= LEAST_CONFIDENCE)
    return next(agreeing, likeliest)


def _by_order(order: PageOrder, scale: Scale, pulses: Sequence[Pulse], paper: Paper) -> _Reading:
    stretches, together = with_times(order, scale)
    parts = [samples_of(stretch, scale, pulses, _is_cut(stretch, order, pulses)) for stretch in stretches]
    return _Reading(order, scale, stretches, parts, together, paper.to_picture, "a picture", paper.scaled_by)


def _with_hidden_names(
    rows: Sequence[Sequence[Trace]],
    words: list[Word],
    ink: np.ndarray,
    find: Callable[[list[Word]], list[PageOrder]],
) -> list[PageOrder]:
    """The orders by the names that stand alone; where some are missing, by those that touch a trace, too.

    Raises:
        EcgQualityError: neither tells them.
    """
    try:
        found, failed = find(words), None
    except EcgQualityError as error:
        found, failed = [], error
    if found and (found[0].is_stated or found[0].names_read[0] == found[0].names_read[1]):
        return found
    hidden, _ = read_words(ink, along_curves(rows, ink.shape))
    try:
        return find(clearest(words + hidden))
    except EcgQualityError as error:
        if failed is not None:
            raise failed from error
        return found


def _read_turned(
    paper: Paper, layout: str | None, speed: float | None, gain: float | None, error: EcgQualityError
) -> _Reading:
    """What a page says that lies on its side or on its head.

    Raises:
        EcgQualityError: `error`, if no names of leads can be read in any of these ways; or it is mirrored.
    """
    quarters = quarters_upright(paper, (2, 1, 3))
    if quarters is not None:
        read = _read(paper.turned(quarters), layout, speed, gain)
        return replace(read, source=f"a picture, turned by {90 * (4 - quarters)} degrees")
    if shows_names(np.ascontiguousarray(paper.ink[:, ::-1])):
        raise EcgQualityError("it is mirrored: left and right are exchanged; mirror the picture back") from error
    raise error


def _rows_to_try(
    traces: np.ndarray, blocks: Sequence[tuple[int, int]], pulses: Sequence[Pulse]
) -> list[list[list[float]]]:
    """The rows of each block, px from the top: all, and with ever fewer of those beyond the pulses."""
    baselines = alike_in_blocks([_baselines(traces, block, pulses) for block in blocks])
    feet = [_feet(block, pulses) for block in blocks]
    attempts = [baselines]
    for beyond in (True, False):
        inner = [beside_pulses(lines, sorted(own), beyond) for lines, own in zip(baselines, feet, strict=True)]
        attempts += [inner] if inner not in attempts else []
    return attempts


def _baselines(traces: np.ndarray, block: tuple[int, int], pulses: Sequence[Pulse]) -> list[float]:
    """The rows of a block, px from the top."""
    return between_pulses(find_rows(traces, block), _feet(block, pulses))


def _feet(block: tuple[int, int], pulses: Sequence[Pulse]) -> list[float]:
    """Of the pulses that stand where a block begins, px from the top."""
    near = 25 * PX_PER_MM
    return [pulse.foot for pulse in pulses if -near < pulse.left - block[0] < near]


def _is_cut(stretch: Stretch, order: PageOrder, pulses: Sequence[Pulse]) -> tuple[bool, bool]:
    """Whether another column, or a pulse, touches the stretch on its left and on its right."""
    edges = [edge for column in order.columns for edge in (column.left, column.right)]
    left, right = (not stretch.is_rhythm and edges.count(edge) > 1 for edge in (stretch.left, stretch.right))
    return left or any(abs(pulse.right - stretch.left) < 1 for pulse in pulses), right


def _signal(stretches: Sequence[Stretch], parts: Sequence[tuple[int, np.ndarray]]) -> dict[str, np.ndarray]:
    """All that the page shows of each lead: where it shows something twice, the mean."""
    length = max(first + len(samples) for first, samples in parts)
    total = {stretch.lead: np.zeros(length) for stretch in stretches}
    times = {stretch.lead: np.zeros(length, int) for stretch in stretches}
    for stretch, (first, samples) in zip(stretches, parts, strict=True):
        span = slice(first, first + len(samples))
        total[stretch.lead][span] += np.nan_to_num(samples)
        times[stretch.lead][span] += np.isfinite(samples)
    return {lead: np.where(times[lead] > 0, total[lead] / np.maximum(times[lead], 1), np.nan) for lead in total}


def _history(page: DigitizedPage, order: PageOrder, source: str, scaled: str) -> tuple[str, ...]:
    read, total = order.names_read
    names = "names of leads as stated" if order.is_stated else f"{read} of {total} names of leads read"
    same = ", columns show the same seconds" if page.simultaneous else ""
    lowest = min(page.confidence, key=lambda lead: page.confidence[lead])
    return (
        f"digitised from {source}: {page.layout}{same}, {page.scale}{scaled}; {names}",
        f"confidence {page.confidence[lowest]:.2f} at least ({lowest})",
    )


__all__ = ["DigitizedPage", "digitize_ecg"]
