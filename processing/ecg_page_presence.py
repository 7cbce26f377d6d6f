# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Whether a picture can be an ECG page at all (`shows_ecg_page`): long thin dark traces on light paper."""

import numpy as np
from PIL import Image

SIDE_PX = 1000  # enough for a trace of a 12-lead page to stay connected
PAPER_WINDOW = 0.06  # of the side: wider than any stroke, narrower than a shadow
PAPER_LEVEL = 0.8  # of the paper around it
INK_LEVEL = 0.65
MIN_PAPER = 0.55  # a photo shows some of the table too
TRACE_WIDTH = 0.12  # of the picture's width; half of what one lead of a 3 x 4 page takes
TRACE_HEIGHT = 0.012  # of the picture's height: ruled lines are flatter
MAX_TRACE_FILL = 0.35  # of its bounding box: strokes are thin, dark things are not
MIN_TRACE_LENGTH = 2.0  # all traces together, in widths of the picture; a page of 12 leads has 2.6 and more


def shows_ecg_page(picture: Image.Image) -> bool:
    """A coarse look that tells ECG pages, printed, scanned or photographed, from pictures of other things.

    The brighter the paper's colour channel the less its coloured grid shows, so the brightest channel is taken, measured
    against the paper around it. A page is mostly paper and has traces: long, thin, dark and not straight.

    Args:
        picture: upright, of any size and mode.
    """
    paper, traces = page_signs(picture)
    return paper >= MIN_PAPER and traces >= MIN_TRACE_LENGTH


def page_signs(picture: Image.Image) -> tuple[float, float]:
    """The share of paper, and the length of all traces in widths of the picture."""
    from scipy import ndimage

    small = picture.convert("RGB")
    small.thumbnail((SIDE_PX, SIDE_PX))
    bright = np.asarray(small).max(axis=2).astype(np.float32)
    window = max(3, round(PAPER_WINDOW * max(bright.shape)))
    around = ndimage.gaussian_filter(ndimage.maximum_filter(bright, window), window / 2) + 1
    level = bright / around
    ink = level < INK_LEVEL
    labels, _ = ndimage.label(ink, structure=np.ones((3, 3)))
    height, width = ink.shape
    length = 0.0
    sizes = np.bincount(labels.ravel())
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        wide, high = columns.stop - columns.start, rows.stop - rows.start
        thin = sizes[number] <= MAX_TRACE_FILL * wide * high
        if wide >= TRACE_WIDTH * width and high >= TRACE_HEIGHT * height and thin:
            length += wide / width
    return float((level > PAPER_LEVEL).mean()), length


__all__ = ["shows_ecg_page"]
