# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How a page lies: upright, on a side or on its head, by the names of its leads."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..ecg_photo import TURNS
from ..ecg_picture_files import PDF_SOURCE
from ..errors_gem import EcgQualityError
from .flat import flat_paper
from .labels import read_words
from .paper import Paper, even_light, shrunk
from .traces import find_blocks

# So many different names as clear as that tell; those that read alike on their heads do not.
CLEAR_NAMES, CLEAR_NAME, SYMMETRIC = 3, 0.75, ("I", "II", "III")
LOOKED_AT_PX = 2000  # longest side; names are legible
ON_ITS_SIDE = (1, 3)  # quarters, counterclockwise


def turned_upright(picture: Image.Image) -> Image.Image | None:
    """A page that lies on its side, turned; `None` if no names of leads can be read on either side.

    Args:
        picture: of any size and mode.
    """
    pixels, _ = shrunk(picture, LOOKED_AT_PX)
    try:
        quarters = quarters_upright(flat_paper(even_light(pixels)), ON_ITS_SIDE)
    except EcgQualityError:
        return None
    if quarters is None:
        return None
    turned = picture.transpose(TURNS[quarters])
    turned.info.pop(PDF_SOURCE, None)  # the lines of the document lie on their sides too
    return turned


def quarters_upright(paper: Paper, quarters: Sequence[int]) -> int | None:
    """The first of these turns, counterclockwise by quarters, that makes names legible; `None` if none does."""
    return next((number for number in quarters if shows_names(paper.turned(number).ink)), None)


def shows_names(ink: np.ndarray) -> bool:
    """Whether several names of leads can be read that have an upright way.

    Args:
        ink: of a flattened page.
    """
    _, traces = find_blocks(ink)
    words, _ = read_words(ink, traces)
    clear = {word.lead for word in words if word.clarity > CLEAR_NAME and word.lead not in SYMMETRIC}
    return len(clear) >= CLEAR_NAMES


__all__ = ["quarters_upright", "shows_names", "turned_upright"]
