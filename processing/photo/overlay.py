# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws the recovered traces over the picture."""

import numpy as np
from PIL import Image, ImageDraw

from ..ecg_record import EcgRecord
from ..errors_gem import GemError
from .digitize import DigitizedPage

COLORS = ((220, 20, 60), (0, 90, 220), (0, 140, 60), (190, 90, 0))


def traces_over(picture: Image.Image, record: EcgRecord) -> Image.Image:
    """The faded picture with every recovered trace in colour and the name of its lead.

    Args:
        picture: the photo or scan.
        record: what `digitize_ecg` recovered from it.

    Raises:
        GemError: the record was not digitised from a picture.
    """
    page = record.metadata.get("page")
    if not isinstance(page, DigitizedPage):
        raise GemError(f"{record.name}: not digitised from a picture, so there is nothing to lay over one.")
    pixels = np.asarray(picture.convert("RGB")).astype(np.float32)
    over = Image.fromarray((255 - (255 - pixels) * 0.45).astype(np.uint8))
    draw = ImageDraw.Draw(over)
    size = max(round(min(over.size) / 55), 10)
    for number, (lead, points) in enumerate(page.outlines()):
        color = COLORS[number % len(COLORS)]
        gaps = np.flatnonzero(np.isnan(points[:, 1]))
        for part in np.split(points, gaps):
            seen = part[np.isfinite(part[:, 1])]
            if len(seen) > 1:
                draw.line([(float(x), float(y)) for x, y in seen], fill=color, width=max(over.width // 1100, 1))
        known = points[np.isfinite(points[:, 1])]
        if len(known):
            draw.text((float(known[0, 0]) + size, float(known[0, 1]) - 2.2 * size), lead, fill=color, font_size=size)
    return over


__all__ = ["traces_over"]
