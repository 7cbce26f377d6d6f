# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A picture that was digitised as a sheet on which claims have places."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from processing.ecg_page_ink import draw_text
from processing.ecg_record import EcgRecord

from .highlight import EDGE_MM, MARGIN_MM, Box, Span, tint

if TYPE_CHECKING:  # its steps import OpenCV
    from processing.photo import DigitizedPage

NUMBER_MM = 3.0  # height of the numbers beside the marks
NUMBER_DARKNESS = 0.6


@dataclass(frozen=True)
class PhotoSheet:
    """The picture of a page, and what was found on it.

    Args:
        picture: that was digitised, or one of its size.
        page: see `DigitizedPage`.
    """

    picture: Image.Image
    page: "DigitizedPage"

    @property
    def px_per_mm(self) -> float:
        """Pixels of the picture in a mm of the paper, in its middle."""
        return self.page.px_per_mm(self.picture.width / 2, self.picture.height / 2)

    def to_pil(self) -> Image.Image:
        """The picture."""
        return self.picture

    def boxes(self, lead: str, start: float, end: float) -> list[Box]:
        """(left, top, right, bottom) px around every trace of a lead between two times in s."""
        margin = MARGIN_MM * self.px_per_mm
        found = []
        for points in self.page.places(lead, start, end):
            low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
            left, top = np.maximum(np.rint(low), 0).astype(int)
            right, bottom = np.minimum(np.rint(high), self.picture.size).astype(int)
            found.append((int(left), int(top), int(right), int(bottom)))
        return found

    def marked(self, spans: list[Span]) -> np.ndarray:
        """The picture with bands in the colours of `spans`, and their labels above, uint8 `(height, width, 3)`."""
        pixels = np.array(self.picture.convert("RGB"))
        edge = max(round(EDGE_MM * self.px_per_mm), 1)
        size = max(NUMBER_MM * self.px_per_mm, 9.0)
        for span in spans:
            assert isinstance(span.color, tuple)
            for left, top, right, bottom in self.boxes(span.lead, span.start, span.end):
                tint(pixels, (left, top, right, bottom), span.color, edge)
                if span.label:
                    red, green, blue = (int(channel * NUMBER_DARKNESS) for channel in span.color)
                    at = (left + right) / 2, max(top, size)
                    draw_text(pixels, span.label, *at, size, (red, green, blue), anchor="ms", bold=True)
        return pixels


def photo_sheet(picture: Image.Image | None, record: EcgRecord | None) -> PhotoSheet | None:
    """The sheet of a picture and of the record that was digitised from it; `None` where there are no such two."""
    page = record.metadata.get("page") if record is not None else None
    return PhotoSheet(picture, page) if picture is not None and page is not None else None


__all__ = ["PhotoSheet", "photo_sheet"]
