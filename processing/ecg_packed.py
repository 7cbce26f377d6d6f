# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Files packed by gzip, bzip2 or xz, inflated within a bound."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .ecg_raw import most_inflated
from .errors_gem import EcgFormatError

# An hour of 12 leads at 500 Hz takes 250 MB as text.
MAX_INFLATED_BYTES = 2**28
_MAX_DICTIONARY_BYTES = 2**27
PACKED_SUFFIXES = (".gz", ".bz2", ".xz")
_KINDS: tuple[tuple[bytes, str, Callable[[], Any]], ...] = (
    (b"\x1f\x8b\x08", "gzip", lambda: zlib.decompressobj(wbits=31)),
    (b"BZh", "bzip2", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", "xz", lambda: lzma.LZMADecompressor(memlimit=_MAX_DICTIONARY_BYTES)),
)


def inflated(data: bytes, name: str) -> bytes | None:
    """The content of a gzip, bzip2 or xz file; `None` if `data` is none.

    Raises:
        EcgFormatError: truncated, corrupt, packed twice, or inflating to more than `MAX_INFLATED_BYTES` or out of proportion.
    """
    found = next((kind for kind in _KINDS if data.startswith(kind[0])), None)
    if found is None:
        return None
    magic, what, decompressor = found
    parts: list[bytes] = []
    size, rest, most = 0, data, min(MAX_INFLATED_BYTES, most_inflated(len(data)))
    try:
        # One file may hold several packed streams, one after another.
        while rest.startswith(magic):
            stream = decompressor()
            part = stream.decompress(rest, most - size + 1)
            parts.append(part)
            size += len(part)
            if size > most:
                raise EcgFormatError(
                    f"{name}: its {what} content is larger than {most:,} bytes; unpack it and cut the file."
                )
            if not stream.eof:
                raise EcgFormatError(f"{name}: the {what} file ends early; copy it again.")
            rest = stream.unused_data
    except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError) as error:
        if isinstance(error, EcgFormatError):
            raise
        raise EcgFormatError(f"{name}: the {what} file is corrupt ({error}); copy it again.") from error
    content = b"".join(parts)
    if any(content.startswith(kind[0]) for kind in _KINDS):
        raise EcgFormatError(f"{name}: packed twice; unpack it once.")
    return content


def unpacked_path(path: Path) -> Path:
    """`ecg.csv` for `ecg.csv.gz`: the suffix decides the format of a text."""
    return path.with_suffix("") if path.suffix.lower() in PACKED_SUFFIXES else path


def unpacked_head(path: Path, size: int) -> bytes:
    """The first `size` bytes of a file, of a packed one of its content; what cannot be opened or unpacked is empty."""
    try:
        with path.open("rb") as file:
            data = file.read(size)
        found = next((kind for kind in _KINDS if data.startswith(kind[0])), None)
        return data if found is None else found[2]().decompress(data, size)
    except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError):
        return b""


__all__ = ["MAX_INFLATED_BYTES", "inflated", "unpacked_head", "unpacked_path"]
