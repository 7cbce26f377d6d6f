# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`EcgPage`: a drawn page, the mapping between (lead, s, mV) and its pixels, and the part of it that a model sees."""

import io
import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .ecg_page_ink import PageStyle
from .ecg_page_layout import PageLayout, Panel
from .ecg_photo import known_as_page
from .ecg_record import EcgRecord, canonical_lead
from .errors_gem import EcgLeadError, GemError

IMAGE_MODES = ("ori", "pad", "stretch", "anyres")
# The side of the CLIP tower that GEM uses.
TOWER_PX = 336
SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".pdf": "PDF"}


class EcgPageWarning(UserWarning):
    """A page does not show, or an image mode does not keep, all that was asked for."""


@dataclass(frozen=True)
class PlacedLabel:
    """A label as drawn: its Pillow `anchor` stands at `position`, `box` is (left, top, right, bottom), all px."""

    lead: str
    text: str
    position: tuple[float, float]
    size: float
    anchor: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class PageVisibility:
    """What is left of a page after an image mode's resizing and cropping.

    `leads` maps each lead to the share 0..1 of its drawn time that is left; `hidden_labels` names the labels that are
    not wholly inside; `pulses` is (left, drawn).
    """

    mode: str
    fraction: float
    leads: Mapping[str, float]
    hidden_labels: tuple[str, ...]
    num_labels: int
    pulses: tuple[int, int]

    @property
    def is_complete(self) -> bool:
        """Whether every sample, label and calibration pulse of the page can be seen."""
        return self.fraction > 1 - 1e-9 and not self.hidden_labels and self.pulses[0] == self.pulses[1]

    def __str__(self) -> str:
        cut = [f"{lead} {100 * share:.0f} %" for lead, share in self.leads.items() if share < 1 - 1e-9]
        return (
            f"mode {self.mode!r} keeps {100 * self.fraction:.1f} % of the drawn signal, "
            f"{self.num_labels - len(self.hidden_labels)} of {self.num_labels} lead labels and "
            f"{self.pulses[0]} of {self.pulses[1]} calibration pulses"
            + (f"; cut leads: {', '.join(cut)}" if cut else "")
            + (f"; hidden labels: {', '.join(self.hidden_labels)}" if self.hidden_labels else "")
        )


@dataclass(frozen=True, eq=False)
class EcgPage:
    """A drawn page.

    Args:
        pixels: uint8 `(height, width, 3)` RGB.
        layout: the geometry in mm.
        px_per_mm: scale.
        origin: (x, y) px of the paper's top left corner; not 0 where the picture has another shape than the paper.
        style: the style with all widths settled.
        record: what was drawn.
        labels: the lead labels as drawn.
        marks: the labels of highlighted spans as drawn.
        notes: what the page says about itself in the footer (gain halved, part of the record shown, missing leads).
    """

    pixels: np.ndarray
    layout: PageLayout
    px_per_mm: float
    origin: tuple[float, float]
    style: PageStyle
    record: EcgRecord
    labels: tuple[PlacedLabel, ...] = ()
    marks: tuple[PlacedLabel, ...] = ()
    notes: tuple[str, ...] = ()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.pixels, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return f"EcgPage({self.layout.name!r}, {self.record.name!r}, {width} x {height} px, {self.dpi:.1f} dpi)"

    @property
    def dpi(self) -> float:
        """Pixels per inch."""
        return self.px_per_mm * 25.4

    def to_pil(self) -> Image.Image:
        """The page as an RGB picture that the processor knows as a drawn page."""
        return known_as_page(Image.fromarray(self.pixels))

    def save(self, path: str | os.PathLike, **options: Any) -> Path:
        """Writes a PNG, a JPEG or a PDF of one page; each carries the resolution, so that it prints to scale.

        Args:
            path: ends in `.png`, `.jpg`, `.jpeg` or `.pdf`.
            options: passed to `PIL.Image.Image.save`; JPEG and PDF default to quality 95 without chroma subsampling.

        Raises:
            GemError: another suffix.
        """
        path = Path(path)
        image_format = SUFFIXES.get(path.suffix.lower())
        if image_format is None:
            raise GemError(
                f"{path}: a page is saved as .png, .jpg, .jpeg or .pdf, not {path.suffix or 'without suffix'!r}."
            )
        if image_format != "PNG":
            options = {"quality": 95, "subsampling": 0} | options
        encoded = io.BytesIO()
        self.to_pil().save(encoded, image_format, dpi=(self.dpi, self.dpi), **options)
        path.write_bytes(encoded.getbuffer())
        return path

    def mm_to_px(self, x: Any, y: Any) -> tuple[Any, Any]:
        """mm from the paper's top left corner -> px (pixel edges at whole numbers)."""
        return self.origin[0] + np.asarray(x) * self.px_per_mm, self.origin[1] + np.asarray(y) * self.px_per_mm

    def px_to_mm(self, x: Any, y: Any) -> tuple[Any, Any]:
        """px -> mm from the paper's top left corner."""
        return (np.asarray(x) - self.origin[0]) / self.px_per_mm, (np.asarray(y) - self.origin[1]) / self.px_per_mm

    def panels_of(self, lead: str) -> tuple[Panel, ...]:
        """The panels that show a lead, its rhythm strip last.

        Raises:
            EcgLeadError: the page does not show the lead.
        """
        canonical = canonical_lead(lead)
        panels = tuple(panel for panel in self.layout.panels if panel.lead == canonical)
        if not panels:
            raise EcgLeadError(f"This page shows no lead {lead!r}; it shows {list(self.layout.leads)}.")
        return panels

    def samples_of(self, panel: Panel) -> tuple[int, np.ndarray] | None:
        """What a panel shows (see `panel_samples`)."""
        return panel_samples(self.record, panel)

    def to_px(self, lead: str, t: Any, mv: Any = 0.0, *, panel: Panel | None = None) -> tuple[Any, Any]:
        """Where a point of a lead is on the picture.

        Args:
            lead: lead name.
            t: s from the start of the record (number or array).
            mv: mV as recorded.
            panel: one of `panels_of(lead)`; by default, for each `t`, the first that shows it.

        Returns:
            (x, y) px; NaN for times that the page does not show.

        Raises:
            EcgLeadError: the page does not show the lead.
        """
        t, mv = np.broadcast_arrays(np.asarray(t, float), np.asarray(mv, float))
        x, y = np.full(t.shape, np.nan), np.full(t.shape, np.nan)
        for candidate in reversed(self.panels_of(lead) if panel is None else (panel,)):
            shown = (t >= candidate.start - 1e-9) & (t <= candidate.stop + 1e-9)
            mm_x = candidate.x + (t - candidate.start) * self.layout.speed
            mm_y = candidate.baseline - candidate.sign * mv * self.layout.gain
            px_x, px_y = self.mm_to_px(mm_x, mm_y)
            x, y = np.where(shown, px_x, x), np.where(shown, px_y, y)
        return x[()], y[()]

    def from_px(self, x: float, y: float, *, lead: str | None = None) -> tuple[str, float, float] | None:
        """The (lead, s, mV) of a point of the picture, or `None` where no panel is.

        Args:
            x: px from the left.
            y: px from the top.
            lead: lead on whose axis the point is read; by default the lead with the nearest baseline.
        """
        mm_x, mm_y = self.px_to_mm(x, y)
        panels = self.layout.panels if lead is None else self.panels_of(lead)
        over = [p for p in panels if -1e-6 <= mm_x - p.x <= (p.stop - p.start) * self.layout.speed + 1e-6]
        if not over:
            return None
        panel = min(over, key=lambda p: (abs(p.baseline - mm_y), abs(p.x - mm_x)))
        seconds = panel.start + (mm_x - panel.x) / self.layout.speed
        return panel.lead, float(seconds), float(panel.sign * (panel.baseline - mm_y) / self.layout.gain)

    def visible_box(self, mode: str) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) px of what an image mode leaves of the picture.

        `"ori"` is the CLIP image processor alone: shortest side to 336 px, then the central square. `"pad"`,
        `"stretch"` and `"anyres"` keep everything.

        Raises:
            GemError: another mode.
        """
        if mode not in IMAGE_MODES:
            raise GemError(f"There is no image mode {mode!r}; choose one of {', '.join(IMAGE_MODES)}.")
        height, width = self.pixels.shape[:2]
        if mode != "ori":
            return 0.0, 0.0, float(width), float(height)
        tile, short = TOWER_PX, min(width, height)
        # Rounding as in transformers' `get_resize_output_image_size` and `center_crop`.
        resized = [int(tile * side / short) for side in (width, height)]
        edges = [((side - tile) // 2, full / side) for side, full in zip(resized, (width, height), strict=True)]
        (left, x_scale), (top, y_scale) = edges
        return left * x_scale, top * y_scale, (left + tile) * x_scale, (top + tile) * y_scale

    def visibility(self, mode: str) -> PageVisibility:
        """What is left of leads, labels and pulses under `mode` (see `visible_box`)."""
        left, top, right, bottom = self.visible_box(mode)
        drawn: dict[str, list[float]] = {}
        for panel in self.layout.panels:
            x0, y = self.mm_to_px(panel.x, panel.baseline)
            x1, _ = self.mm_to_px(panel.x + (panel.stop - panel.start) * self.layout.speed, panel.baseline)
            seen = max(min(x1, right) - max(x0, left), 0.0) if top <= y <= bottom else 0.0
            total = drawn.setdefault(panel.lead, [0.0, 0.0])
            total[0] += seen
            total[1] += x1 - x0
        hidden = tuple(
            label.text
            for label in self.labels
            if label.box[0] < left or label.box[1] < top or label.box[2] > right or label.box[3] > bottom
        )
        pulse_x = [self.mm_to_px(x, baseline)[0] for x, baseline in self.layout.pulses]
        return PageVisibility(
            mode=mode,
            fraction=sum(seen for seen, _ in drawn.values()) / sum(total for _, total in drawn.values()),
            leads={lead: seen / total for lead, (seen, total) in drawn.items()},
            hidden_labels=hidden,
            num_labels=len(self.labels),
            pulses=(sum(bool(left <= x <= right) for x in pulse_x), len(pulse_x)),
        )

    def visible_fraction(self, mode: str) -> float:
        """The share 0..1 of the drawn lead-seconds that `mode` leaves (see `visible_box`)."""
        return self.visibility(mode).fraction

    def warn_if_hidden(self, mode: str) -> bool:
        """Warns (`EcgPageWarning`) if `mode` hides signal, labels or pulses; says whether it does."""
        visibility = self.visibility(mode)
        if not visibility.is_complete:
            is_square = self.layout.name == "square_12x1"
            cure = (
                "Draw it larger." if is_square else "Use layout 'square_12x1', or mode 'pad', 'stretch' or 'anyres'."
            )
            warnings.warn(f"{self.layout.name} page: {visibility}. {cure}", EcgPageWarning, stacklevel=2)
        return not visibility.is_complete


def panel_samples(record: EcgRecord, panel: Panel) -> tuple[int, np.ndarray] | None:
    """Index of the first sample in a panel and its samples in mV; `None` if nothing was recorded there."""
    if panel.lead not in record.leads:
        return None
    first = math.ceil(panel.start * record.sampling_rate - 1e-6)
    last = math.floor(panel.stop * record.sampling_rate + 1e-6)
    samples = record.lead(panel.lead)[first : last + 1]
    # The first sample mostly tells.
    return (first, samples) if len(samples) and (math.isfinite(samples[0]) or np.isfinite(samples).any()) else None


__all__ = ["IMAGE_MODES", "EcgPage", "EcgPageWarning", "PageVisibility", "PlacedLabel", "panel_samples"]
