# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Photographed or scanned ECG pages: loads pictures of bounded size upright, and decides whether they show an ECG page.

`processing.photo` recovers signals from them.
"""

import io
import warnings
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .ecg_picture_files import chosen_page, enable_heif, is_heif, is_pdf, is_picture_data, pdf_page
from .ecg_raw import is_out_of_memory, wrapped
from .ecg_readers import likely_kind
from .errors_gem import EcgFormatError, EcgQualityError, MissingDependencyError

# Not imported by its name: a published model's code travels without it.
DIGITIZER = "processing.photo"
# A DIN A4 page at 600 dpi has 35 million pixels; phones deliver up to 200 million, which are refused with a cure.
MAX_PICTURE_PIXELS = 64_000_000
MAX_PICTURE_BYTES = 100 * 2**20
MIN_PICTURE_SIDE = 64
MAX_DIGITIZED_PX = 3000  # of the longest side: larger pictures are shrunk before they are digitised
_BAND_ROWS = 256
_PIL_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")  # JPEG opens MPO as well


def load_page_picture(source: str | Path | bytes | BinaryIO, index: int | None = None) -> Image.Image:
    """A photographed or scanned ECG page as an upright RGB picture (EXIF rotation applied, transparency on white).

    Args:
        source: path, bytes or binary file of a PNG, JPEG, TIFF, BMP, WebP, GIF (first frame), HEIC or PDF; the last
            two need the extra `pages`.
        index: the page of a PDF or TIFF of several, from 0.

    Raises:
        EcgFormatError: no picture, truncated, several pages and no `index`, smaller than 64 pixels a side, or beyond 64
            million pixels. The size is read from the header, so a decompression bomb is refused before a pixel is
            unpacked.
        MissingDependencyError: the library for HEIC or PDF is not installed; the message names the extra.
    """
    name, data = _picture_bytes(source)
    if is_pdf(data[:16]):
        page = pdf_page(data, index, name)
        _check_picture_size(page, name)
        return page
    formats: tuple[str, ...] = _PIL_FORMATS
    if is_heif(data[:16]):
        enable_heif()
        formats = ("HEIF",)
    try:
        with warnings.catch_warnings():
            # Pillow warns of damaged metadata, and at a size limit of its own; ours is checked before unpacking.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=formats) as picture:
                is_tiff = picture.format == "TIFF"
                page_index = chosen_page(getattr(picture, "n_frames", 1) if is_tiff else 1, index, name)
                if is_tiff:
                    picture.seek(page_index)
                _check_picture_size(picture, name)
                picture.load()
                ImageOps.exif_transpose(picture, in_place=True)
                return _on_white(picture)
    except EcgFormatError:
        raise
    except UnidentifiedImageError as error:
        raise EcgFormatError(_no_picture(data, name)) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise wrapped(name, "a picture", error) from error
        raise EcgFormatError(
            f"{name}: the picture is truncated, corrupt or a decompression bomb ({error}). Save it again as PNG."
        ) from error


def _no_picture(data: bytes, name: str) -> str:
    """What a file that Pillow does not know is instead, as far as that is known, and what to do."""
    if is_picture_data(data[:16]):
        return f"{name}: the picture is truncated or corrupt. Save it again as PNG."
    kind = likely_kind(data)
    return (
        f"{name}: not a picture{f' but {kind}' if kind else ''}. A page is a PNG, JPEG, TIFF, BMP, WebP, GIF, HEIC or PDF; "
        "convert it, or give a recording as the ECG itself."
    )


def _picture_bytes(source: str | Path | bytes | BinaryIO) -> tuple[str, bytes]:
    if isinstance(source, (str, Path)):
        path = Path(source)
        if not path.is_file():
            raise EcgFormatError(f"{path.name}: there is no such picture file ({path}).")
        if path.stat().st_size > MAX_PICTURE_BYTES:
            raise EcgFormatError(f"{path.name}: larger than {MAX_PICTURE_BYTES:,} bytes; save it smaller.")
        return path.name, path.read_bytes()
    data = source if isinstance(source, bytes) else source.read(MAX_PICTURE_BYTES + 1)
    name = "picture bytes" if isinstance(source, bytes) else str(getattr(source, "name", "picture file"))
    if len(data) > MAX_PICTURE_BYTES:
        raise EcgFormatError(f"{name}: larger than {MAX_PICTURE_BYTES:,} bytes; save it smaller.")
    return name, data


def _check_picture_size(picture: Image.Image, name: str) -> None:
    width, height = picture.size
    if width * height > MAX_PICTURE_PIXELS:
        raise EcgFormatError(
            f"{name}: {width} x {height} pixels are more than {MAX_PICTURE_PIXELS:,}; scan at 300 dpi or shrink it."
        )
    if min(width, height) < MIN_PICTURE_SIDE:
        raise EcgFormatError(
            f"{name}: {width} x {height} pixels cannot show an ECG page; a side has {MIN_PICTURE_SIDE} at least."
        )


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        page = Image.new("RGB", picture.size)
        # In bands: three layers of 64 million pixels would take 700 MB.
        for top in range(0, picture.height, _BAND_ROWS):
            box = (0, top, picture.width, min(top + _BAND_ROWS, picture.height))
            layer = picture.crop(box).convert("RGBA")
            band = Image.new("RGBA", layer.size, "white")
            band.alpha_composite(layer)
            page.paste(band.convert("RGB"), box)
        page.info = dict(picture.info)
        return page
    if picture.mode.startswith("I;16") or picture.mode == "I":
        # 16-bit scans: PIL's own conversion to 8 bit clips instead of scaling.
        return picture.point(lambda value: value / 256).convert("L").convert("RGB")
    return picture.convert("RGB")


SIDE_PX = 1000  # enough for a trace of a 12-lead page to stay connected
POOL_PX = 4  # the paper around a place is looked at so coarsely
PAPER_WINDOW = 0.06  # of the side: wider than any stroke, narrower than a shadow
PAPER_LEVEL = 0.8  # of the paper around it
INK_LEVEL = 0.65
FAINT_INK_LEVEL = 0.8  # where a page was made so small that its strokes are thinner than a pixel
SMALL_SIDE_PX = 500
SMALLEST_JUDGED_PX = 128
# Of `Image.transpose`, by quarters counterclockwise.
TURNS = {1: Image.Transpose.ROTATE_90, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_270}
PAGE_MARK = "shows an ECG page"  # key of `Image.info`
MIN_PAPER = 0.55  # a photo shows some of the table too
TRACE_WIDTH = 0.12  # of the picture's width; half of what one lead of a 3 x 4 page takes
TRACE_HEIGHT = 0.012  # of the picture's height: ruled lines are flatter
MAX_TRACE_FILL = 0.35  # of its bounding box: strokes are thin, dark things are not
# A trace of an ECG is as thin as its stroke for most of its way and stands up at every heartbeat: the tallest of 30 columns is at
# least three times as high as the usual one. Sines, random walks and handwriting stay below 2.8, frames of charts at 1.
STROKE_PX = 5
SPIKE_COLUMNS, SPIKE_HEIGHT, JOINT_SPIKE_HEIGHT = 0.97, 3.0, 5.0
# Beats in one width of the picture, and the share of columns that they fill: one lead of a row of 2.5 to 10 s. Waves that come more
# often are handwriting or another signal; one or two steep places in a width are outlines of a drawing.
BEATS_IN_WIDTH = (3, 40)
MAX_BEAT_SHARE = 0.25
# All such traces together, in widths of the picture: one lead is enough. Pages whose traces run into each other keep 0.9 and more.
MIN_TRACE_LENGTH = 0.8


def shows_ecg_page(picture: Image.Image) -> bool:
    """A coarse test that distinguishes ECG pages (printed, scanned or photographed) from other pictures.

    The brighter the paper's colour channel the less its coloured grid shows, so the brightest channel is taken, measured
    against the paper around it. A page is mostly paper and has traces: long, thin, dark, and with heartbeats.

    Args:
        picture: upright, of any size and mode.
    """
    paper, traces = page_signs(picture)
    return paper >= MIN_PAPER and traces >= MIN_TRACE_LENGTH


def known_as_page(picture: Image.Image) -> Image.Image:
    """The picture itself, marked as one of an ECG page, because it was drawn from a record or judged before.

    The mark is no text, so that no file can bring it in, and stays with copies.
    """
    picture.info[PAGE_MARK] = True
    return picture


def check_ecg_page(picture: Image.Image, name: str = "picture") -> Image.Image:
    """The picture itself, if it shows an ECG page or is marked as one, see `known_as_page`.

    A page that lies on its side is turned by the names of its leads, with OpenCV (`gem-ecg[photo]`).

    Raises:
        EcgQualityError: it shows none, or one on its side whose names cannot be read, or has fewer than 128 pixels a side,
            with which no trace can be told.
    """
    if picture.info.get(PAGE_MARK) is True:
        return picture
    width, height = picture.size
    if min(width, height) < SMALLEST_JUDGED_PX:
        raise EcgQualityError(
            f"{name}: {width} x {height} pixels are too few to tell an ECG page; a side has {SMALLEST_JUDGED_PX} at least."
        )
    if shows_ecg_page(picture):
        return known_as_page(picture)
    if not shows_ecg_page(picture.transpose(Image.Transpose.ROTATE_90)):
        raise EcgQualityError(
            f"{name}: this picture shows no ECG page. Photograph the page straight on, alone and in good light, or give "
            "the record itself."
        )
    turned = _turned_upright(picture)
    if turned is None:
        raise EcgQualityError(f"{name}: this page lies on its side; turn the picture so that it stands upright.")
    return known_as_page(turned)


def _turned_upright(picture: Image.Image) -> Image.Image | None:
    """A page that lies on its side, turned; `None` if nothing on it, or nobody here, can read which way."""
    try:
        photo = import_module(DIGITIZER)
    except (ModuleNotFoundError, MissingDependencyError):
        return None
    return photo.turned_upright(picture)


def page_signs(picture: Image.Image) -> tuple[float, float]:
    """The share of paper, and the length of all traces with heartbeats in widths of the picture."""
    from scipy import ndimage

    small = picture.convert("RGB")
    small.thumbnail((SIDE_PX, SIDE_PX))
    bright = np.asarray(small).max(axis=2).astype(np.float32)
    level = bright / _paper_around(bright)
    ink = level < (INK_LEVEL if max(bright.shape) >= SMALL_SIDE_PX else FAINT_INK_LEVEL)
    labels, _ = ndimage.label(ink, structure=np.ones((3, 3)))
    height, width = ink.shape
    length = 0.0
    sizes = np.bincount(labels.ravel())
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        wide, high = columns.stop - columns.start, rows.stop - rows.start
        thin = sizes[number] <= MAX_TRACE_FILL * wide * high
        long = wide >= TRACE_WIDTH * width and high >= TRACE_HEIGHT * height
        if thin and long and _has_heartbeats(labels[rows, columns] == number, width):
            length += wide / width
    return float((level > PAPER_LEVEL).mean()), length


def _paper_around(bright: np.ndarray) -> np.ndarray:
    """How bright the paper is around every pixel."""
    from scipy import ndimage

    window = max(3, round(PAPER_WINDOW * max(bright.shape) / POOL_PX))
    rows, columns = bright.shape
    padded = np.pad(bright, ((0, -rows % POOL_PX), (0, -columns % POOL_PX)), mode="edge")
    pooled = padded.reshape(padded.shape[0] // POOL_PX, POOL_PX, -1, POOL_PX).max(axis=(1, 3))
    around = ndimage.gaussian_filter(ndimage.maximum_filter(pooled, window), window / 2)
    return around.repeat(POOL_PX, axis=0).repeat(POOL_PX, axis=1)[:rows, :columns] + 1


def _has_heartbeats(trace: np.ndarray, width: int) -> bool:
    """Whether a connected stroke `(rows, columns)`, true where it is, is thin for most of its way and stands up now and then,
    in a picture of `width` columns.

    Traces that run into each other are one stroke: then its ink stands up, five times the usual.
    """
    heights = len(trace) - trace[::-1].argmax(axis=0) - trace.argmax(axis=0)
    usual, highest = float(np.median(heights)), float(np.quantile(heights, SPIKE_COLUMNS))
    if usual <= STROKE_PX:
        standing = heights > highest / 2
        beats = np.count_nonzero(np.diff(standing, prepend=False)) / 2 / (len(heights) / width)
        few, many = BEATS_IN_WIDTH
        seldom = np.mean(heights > 2 * usual) <= MAX_BEAT_SHARE
        return highest >= SPIKE_HEIGHT * usual and bool(few <= beats <= many and seldom)
    ink = trace.sum(axis=0)
    return float(np.quantile(ink, SPIKE_COLUMNS)) >= JOINT_SPIKE_HEIGHT * float(np.median(ink))


__all__ = [
    "DIGITIZER",
    "MAX_DIGITIZED_PX",
    "MAX_PICTURE_PIXELS",
    "PAGE_MARK",
    "check_ecg_page",
    "known_as_page",
    "load_page_picture",
    "shows_ecg_page",
]
