# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Broken and hostile files: each gives a GemError that names the file, in bounded time and memory."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from processing.ecg_photo import load_page_picture
from processing.ecg_readers import load_ecg
from processing.errors_gem import EcgFormatError, GemError, ReadBudgetError
from processing.untrusted.budget import ReadBudget
from processing.untrusted.reading import load_untrusted, load_untrusted_picture
from tests.helpers.bad_files import CASES


@pytest.mark.parametrize("name", CASES)
def test_bad_file_gets_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    maker, error = CASES[name]
    path = maker(tmp_path)
    with pytest.raises(GemError) as caught:
        load_ecg(path)
    assert type(caught.value) is error
    message = str(caught.value)
    assert path.stem in message, message
    assert "root:" not in message, "the content of a foreign file leaked into the message"


def test_the_corpus_is_large_enough() -> None:
    assert len(CASES) >= 100


# --- pictures


def png_bomb() -> bytes:
    """A PNG header that declares 100,000 x 100,000 pixels over a few bytes of data."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(10**6))),
        (b"IEND", b""),
    ]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def _jpeg() -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((400, 300), 50).save(stream, "JPEG")
    return stream.getvalue()


def _tiny() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (20, 20)).save(stream, "PNG")
    return stream.getvalue()


PICTURES = {
    "bomb.png": png_bomb,
    "truncated.jpg": lambda: _jpeg()[:2000],
    "text.png": lambda: b"this is no picture",
    "empty.png": lambda: b"",
    "head_only.png": lambda: b"\x89PNG\r\n\x1a\n",
    "tiny.png": _tiny,
    "page.pdf": lambda: b"%PDF-1.7\n" + bytes(1000),
    "page.heic": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(1000),
    "vector.eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 900 900\n",
}


@pytest.mark.parametrize("name", PICTURES)
def test_bad_picture_gets_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    if name.endswith(".pdf"):
        pytest.importorskip("pypdfium2")
    elif name.endswith(".heic"):
        pytest.importorskip("pillow_heif")
    (tmp_path / name).write_bytes(PICTURES[name]())
    with pytest.raises(EcgFormatError, match=name):
        load_page_picture(tmp_path / name)


def test_absent_picture_gets_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(EcgFormatError, match=r"absent\.png"):
        load_page_picture(tmp_path / "absent.png")


# --- bounds


def test_no_bad_file_needs_a_limit_from_outside(tmp_path: Path) -> None:
    """The readers refuse each file themselves; the kernel's limits of memory and time are never reached."""
    budget = ReadBudget(wall_seconds=120)
    for index, (maker, error) in enumerate(CASES.values()):
        folder = tmp_path / str(index)
        folder.mkdir()
        with pytest.raises(error) as caught:
            load_untrusted(maker(folder), budget=budget)
        assert not isinstance(caught.value, ReadBudgetError), caught.value
    (tmp_path / "bomb.png").write_bytes(png_bomb())
    with pytest.raises(EcgFormatError, match=r"bomb\.png: .* bomb"):
        load_untrusted_picture(tmp_path / "bomb.png", budget=budget)
