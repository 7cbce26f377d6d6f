# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Files packed by gzip, bzip2 or xz, inflated within a bound."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from .ecg_raw import most_inflated
from .errors_gem import EcgFormatError

# An hour of 12 leads at 500 Hz takes 250 MB as text.
MAX_INFLATED_BYTES = 2**28
_MAX_DICTIONARY_BYTES = 2**27
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


__all__ = ["MAX_INFLATED_BYTES", "inflated"]
