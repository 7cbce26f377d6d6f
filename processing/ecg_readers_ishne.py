# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ISHNE Holter files (`.ecg`) -> `RawEcg`.

Format: Badilini F., "The ISHNE Holter Standard Output File Format", Ann Noninvasive Electrocardiol 3 (1998) 263.
"""

import binascii
import struct
from datetime import datetime

import numpy as np

from .ecg_identity import known_device
from .ecg_raw import NO_SAMPLE_16, RawEcg, ReadOptions, check_size
from .errors_gem import EcgFormatError

_MAGIC = b"ISHNE1.0"
_HEADER_BYTES = 522
_MAX_LEADS = 12
_NV_PER_MV = 1e6
# Lead specifications, table 1; 0 is unknown and 1 a bipolar lead of no name.
_LEADS = {
    2: "X", 3: "Y", 4: "Z", 5: "I", 6: "II", 7: "III", 8: "aVR", 9: "aVL", 10: "aVF",
    11: "V1", 12: "V2", 13: "V3", 14: "V4", 15: "V5", 16: "V6", 17: "ES", 18: "AS", 19: "AI",
}  # fmt: skip
_SEXES = {1: "M", 2: "F"}


def is_ishne(data: bytes) -> bool:
    """Whether the file begins with ISHNE's magic number."""
    return data.startswith(_MAGIC)


def read_ishne(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """A Holter recording: interleaved 16-bit samples times each lead's resolution in nV.

    Leads without a name are called by their number (`ECG1`), which says nothing of their place; -32768 is a missing
    sample. A lead without a resolution is in counts.

    Raises:
        EcgFormatError: truncated within the header or before the first frame, or no leads.
    """
    if len(data) < _HEADER_BYTES:
        raise EcgFormatError(
            f"{name}: an ISHNE header has {_HEADER_BYTES} bytes, {len(data)} are there; copy it again."
        )
    checksum, variable, declared = struct.unpack_from("<Hii", data, 8)
    leads, rate = _short(data, 156), _short(data, 272)
    start = _HEADER_BYTES + variable
    if not 0 < leads <= _MAX_LEADS or rate <= 0 or variable < 0:
        raise EcgFormatError(
            f"{name}: the ISHNE header declares {leads} leads of {rate} Hz and {variable} bytes of text; 1 to "
            f"{_MAX_LEADS} leads are possible. The file is corrupt; copy it again."
        )
    frames = (len(data) - start) // (2 * leads)
    if frames <= 0:
        raise EcgFormatError(f"{name}: the ISHNE file holds no samples; copy it again.")
    check_size((leads, frames), name)
    counts = np.frombuffer(data, "<i2", frames * leads, start).reshape(frames, leads).T
    codes = struct.unpack_from(f"<{leads}h", data, 158)
    resolutions = struct.unpack_from(f"<{leads}h", data, 206)
    raw = _in_mv(counts, resolutions, rate)
    raw.leads = [_LEADS.get(code, f"ECG{row + 1}") for row, code in enumerate(codes)]
    if checksum and checksum not in _checksums(data[10:start]):
        raw.notes.append("the checksum of the ISHNE header is wrong: the header was edited or is damaged")
    # Writers count samples of one lead or of all; some write a number that means neither.
    if declared not in (frames, frames * leads):
        doubt = "it may be cut" if frames < declared else "the rest may not be ECG"
        raw.notes.append(f"the header declares {declared} samples, the file holds {frames} per lead: {doubt}")
    _describe(data, variable, raw)
    return raw


def _short(data: bytes, position: int) -> int:
    return int(struct.unpack_from("<h", data, position)[0])


def _in_mv(counts: np.ndarray, resolutions: tuple[int, ...], rate: int) -> RawEcg:
    """In mV where a lead has a resolution, else in counts; single precision, as a day of Holter is long."""
    signal = np.empty(counts.shape, np.float32)
    for row, (lead, resolution) in enumerate(zip(counts, resolutions, strict=True)):
        signal[row] = lead * np.float32(resolution / _NV_PER_MV if resolution > 0 else 1.0)
        signal[row][lead == NO_SAMPLE_16] = np.nan
    # A record keeps a read-only array without copying it.
    signal.flags.writeable = False
    units = ["mV" if resolution > 0 else None for resolution in resolutions]
    return RawEcg(signal, sampling_rate=float(rate), units=units, evidence={"gain": "stated"} if all(units) else {})


def _checksums(block: bytes) -> tuple[int, int]:
    """CRC-CCITT of header and text in both byte orders, which the format leaves open."""
    crc = binascii.crc_hqx(block, 0xFFFF)
    return crc, (crc & 0xFF) << 8 | crc >> 8


def _describe(data: bytes, variable: int, raw: RawEcg) -> None:
    def text(position: int, size: int) -> str:
        return data[position : position + size].split(b"\0")[0].decode("latin-1").strip()

    raw.metadata = {"sex": _SEXES.get(_short(data, 128)), "device": known_device(text(232, 40))}
    raw.start_time = _date_time(data)
    raw.identifying = {
        "patient name": " ".join(filter(None, (text(28, 40), text(68, 40)))),
        "patient id": text(108, 20),
        "birth date": "-".join(str(part) for part in struct.unpack_from("<3h", data, 132) if part > 0),
        "header text": text(_HEADER_BYTES, variable),
    }


def _date_time(data: bytes) -> datetime | None:
    (day, month, year), clock = struct.unpack_from("<3h", data, 138), struct.unpack_from("<3h", data, 150)
    try:
        return datetime(year, month, day, *clock)
    except ValueError:
        return None


__all__ = ["is_ishne", "read_ishne"]
