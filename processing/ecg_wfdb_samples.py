# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The storage formats of WFDB signal files, signal(5), as integers.

The `wfdb` package is not used for this: it parses the header again, more strictly than people write headers, takes five
times as long, and fails on frames of format 61 (4.3.1).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .ecg_raw import check_inflated, check_size
from .ecg_wfdb_header import BYTES_PER_SAMPLE, FLAC_FORMATS, WfdbSignal
from .errors_gem import EcgFormatError

# "No sample": the lowest number of each format; differences (8) have none.
_NO_SAMPLE = {
    "80": -(2**7),
    "508": -(2**7),
    "310": -(2**9),
    "311": -(2**9),
    "212": -(2**11),
    "16": -(2**15),
    "61": -(2**15),
    "160": -(2**15),
    "516": -(2**15),
    "24": -(2**23),
    "524": -(2**23),
    "32": -(2**31),
}
# Formats whose samples share bytes: samples and bytes of a block.
BYTES_IN_FLAC = 4  # FLAC's samples are delivered in 32 bits
_BLOCKS = {"212": (2, 3), "310": (3, 4), "311": (3, 4)}


def no_sample(fmt: str) -> int | None:
    """The count that marks a missing sample in a storage format."""
    return _NO_SAMPLE.get(fmt)


def read_signal_file(path: Path, signals: Sequence[WfdbSignal], frames: int | None, name: str) -> list[np.ndarray]:
    """The ADC counts of each signal.

    A signal with a skew begins `skew` frames later in the file, and may therefore be shorter than the others.

    Args:
        path: the signal file.
        signals: all signals that the header assigns to this file.
        frames: number of frames that the header declares; `None`: as many as the file holds.
        name: of the record, for messages.

    Raises:
        EcgFormatError: the file holds fewer frames, the signals have unlike formats, or it is too large.
    """
    fmt = signals[0].fmt
    if any((signal.fmt, signal.offset) != (fmt, signals[0].offset) for signal in signals):
        raise EcgFormatError(f"{name}: {path.name} stores signals in several formats; correct the header.")
    frame = sum(signal.samples_per_frame for signal in signals)
    skew = max(signal.skew for signal in signals)
    wanted = None if frames is None else frames + skew
    flat = (
        _flac(path, signals, wanted, name)
        if fmt in FLAC_FORMATS
        else _uncompressed(path, signals[0], wanted, frame, name)
    )
    table = flat[: len(flat) // frame * frame].reshape(-1, frame)
    if len(table) == 0 or (frames is not None and len(table) < frames):
        raise EcgFormatError(
            f"{name}: {path.name} is truncated: it holds {len(table)} of {frames or 'some'} frames of {frame} samples. "
            "Copy the file again."
        )
    counts, column = [], 0
    for signal in signals:
        values = table[:, column : column + signal.samples_per_frame].ravel()
        column += signal.samples_per_frame
        if fmt == "8":
            values = np.cumsum(values, dtype=np.int64) + signal.initial
        first = signal.skew * signal.samples_per_frame
        last = None if frames is None else first + frames * signal.samples_per_frame
        counts.append(values[first:last])
    return counts


def _uncompressed(path: Path, signal: WfdbSignal, frames: int | None, frame: int, name: str) -> np.ndarray:
    available = int((path.stat().st_size - signal.offset) / BYTES_PER_SAMPLE[signal.fmt])
    values = available if frames is None else min(available, frames * frame)
    check_size((max(values, 0),), name)
    per_block, block = _BLOCKS.get(signal.fmt, (1, int(BYTES_PER_SAMPLE[signal.fmt])))
    data = np.fromfile(path, dtype=np.uint8, count=-(-values // per_block) * block, offset=signal.offset)
    # The last block of a file may be cut where it holds no more samples.
    data = np.concatenate((data, np.zeros(-len(data) % block, np.uint8)))
    return _DECODERS[signal.fmt](data)[:values]


def _bytes_24(data: np.ndarray) -> np.ndarray:
    wide = np.zeros((len(data) // 3, 4), np.uint8)
    wide[:, 1:] = data.reshape(-1, 3)
    return wide.ravel().view("<i4") >> 8


def _bits_212(data: np.ndarray) -> np.ndarray:
    first, middle, last = data.reshape(-1, 3).astype(np.int16).T
    return _signed(np.stack((first | ((middle & 0x0F) << 8), last | ((middle & 0xF0) << 4)), axis=1), 12)


def _bits_310(data: np.ndarray) -> np.ndarray:
    low, high = data.view("<u2").reshape(-1, 2).astype(np.int16).T
    third = ((low >> 11) & 0x1F) | (((high >> 11) & 0x1F) << 5)
    return _signed(np.stack(((low >> 1) & 0x3FF, (high >> 1) & 0x3FF, third), axis=1), 10)


def _bits_311(data: np.ndarray) -> np.ndarray:
    packed = data.view("<u4")
    parts = [((packed >> shift) & 0x3FF).astype(np.int16) for shift in (0, 10, 20)]
    return _signed(np.stack(parts, axis=1), 10)


def _signed(values: np.ndarray, bits: int) -> np.ndarray:
    sign = 1 << (bits - 1)
    return ((values ^ sign) - sign).ravel()


_DECODERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "8": lambda data: data.view(np.int8),
    "16": lambda data: data.view("<i2"),
    "24": _bytes_24,
    "32": lambda data: data.view("<i4"),
    "61": lambda data: data.view(">i2"),
    "80": lambda data: data.astype(np.int16) - 128,
    "160": lambda data: data.view("<u2").astype(np.int32) - 32768,
    "212": _bits_212,
    "310": _bits_310,
    "311": _bits_311,
}


def _flac(path: Path, signals: Sequence[WfdbSignal], frames: int | None, name: str) -> np.ndarray:
    """FLAC: one channel per signal, all of one number of samples per frame; `offset` counts samples."""
    import soundfile

    spf = signals[0].samples_per_frame
    if any(signal.samples_per_frame != spf for signal in signals):
        raise EcgFormatError(f"{name}: {path.name} is FLAC with signals of several rates, which it cannot hold.")
    with soundfile.SoundFile(path) as file:
        if file.channels != len(signals) or file.format != "FLAC":
            raise EcgFormatError(
                f"{name}: {path.name} holds {file.channels} channels of {file.format}, {len(signals)} of FLAC are "
                "declared; copy it again."
            )
        available = file.frames - signals[0].offset
        samples = available if frames is None else min(available, frames * spf)
        check_size((samples, file.channels), name)
        check_inflated(samples * file.channels * BYTES_IN_FLAC, path.stat().st_size, name)
        file.seek(signals[0].offset)
        # Samples are delivered in the upper bits of 32.
        bits = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}[file.subtype]
        counts = file.read(samples, dtype="int32", always_2d=True) >> (32 - bits)
    # In frames as in the other formats: all samples of a signal within a frame are adjacent.
    return counts[: len(counts) // spf * spf].reshape(-1, spf, len(signals)).transpose(0, 2, 1).ravel()


__all__ = ["no_sample", "read_signal_file"]
