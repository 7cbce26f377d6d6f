# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The header of a WFDB record, checked before any file that it names is opened.

A header names the files to read: names with a folder, a drive, a URL or `..` are refused. Reference: WFDB Applications
Guide, header(5).
"""

import re
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path

from .ecg_raw import decoded_text
from .errors_gem import EcgFormatError

# Bytes per sample of the storage formats (signal(5)); the FLAC formats are compressed, so their size says nothing.
BYTES_PER_SAMPLE = {
    "8": Fraction(1),
    "16": Fraction(2),
    "24": Fraction(3),
    "32": Fraction(4),
    "61": Fraction(2),
    "80": Fraction(1),
    "160": Fraction(2),
    "212": Fraction(3, 2),
    "310": Fraction(4, 3),
    "311": Fraction(4, 3),
}
FLAC_FORMATS = ("508", "516", "524")
DEFAULT_GAIN = 200.0
_DEFAULT_RATE = 250.0
_MAX_HEADER_BYTES = 2**20
_MAX_LINE = 4096
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][-\w]*(\.\w+)?")
_FORMAT_FIELD = re.compile(r"(?P<fmt>\d+)(?:x(?P<spf>\d+))?(?::(?P<skew>\d+))?(?:\+(?P<offset>\d+))?")
_GAIN_FIELD = re.compile(r"(?P<gain>-?[\d.]+(?:e[+-]?\d+)?)?(?:\((?P<baseline>-?\d+)\))?(?:/(?P<unit>\S*))?", re.I)
# header(5) writes the time first and the day first; data sets (CinC 2017) write ISO dates.
_DATES = ("%H:%M:%S %d/%m/%Y", "%H:%M:%S.%f %d/%m/%Y", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S.%f")


@dataclass(frozen=True)
class WfdbSignal:
    """One signal line. `unit` is `None` where it states none, `gain` 0 where it states none; `skew` counts frames."""

    file_name: str
    fmt: str
    samples_per_frame: int
    offset: int
    skew: int
    gain: float
    baseline: int
    unit: str | None
    initial: int
    checksum: int | None
    name: str


@dataclass(frozen=True)
class WfdbHeader:
    """A record's header.

    Args:
        rate: frames per second; `rate_step` is the last digit that the header writes of it.
        num_samples: frames; `None` where the header leaves it open (absent or 0).
        segments: (name, frames) of a multi-segment record's parts, `"~"` for a gap.
    """

    path: Path
    rate: float
    rate_step: float
    num_samples: int | None
    signals: tuple[WfdbSignal, ...]
    segments: tuple[tuple[str, int], ...]
    comments: tuple[str, ...]
    date: str

    @property
    def is_layout(self) -> bool:
        """Whether this is the first segment of a variable layout, which describes signals without storing any."""
        return bool(self.signals) and all(signal.file_name == "~" for signal in self.signals)

    def signal_rate(self, signal: WfdbSignal) -> float:
        """Hz of one signal; the frame rate is a rounded number, its multiples are not (0.976562 x 64 is 62.5)."""
        rate = self.rate * signal.samples_per_frame
        rounded = (round(rate, digits) for digits in range(4))
        return next((r for r in rounded if abs(r - rate) <= self.rate_step * signal.samples_per_frame), rate)

    @property
    def start_time(self) -> datetime | None:
        """Start of the recording; `None` where the header states none, or in no known form."""
        for form in _DATES:
            try:
                return datetime.strptime(self.date, form)
            except ValueError:
                continue
        try:
            return datetime.fromisoformat(self.date)
        except ValueError:
            return None


def parse_header(path: Path, name: str) -> WfdbHeader:
    """The header at `path`; text in UTF-8 or Latin-1.

    Raises:
        EcgFormatError: truncated, no WFDB header, unknown storage formats, or it points outside of its own folder.
    """
    if path.stat().st_size > _MAX_HEADER_BYTES:
        raise EcgFormatError(
            f"{name}: {path.name} is larger than {_MAX_HEADER_BYTES:,} bytes; that is not a WFDB header."
        )
    lines = [line.strip() for line in decoded_text(path.read_bytes()).splitlines() if line.strip()]
    comments = tuple(line.lstrip("# ").strip() for line in lines if line.startswith("#"))
    fields = [line for line in lines if not line.startswith("#")]
    if not fields or any(len(line) > _MAX_LINE for line in fields):
        raise EcgFormatError(
            f"{name}: {path.name} is not a WFDB header (no record line, or endless lines); copy it again."
        )
    record_line = fields[0].split()
    try:
        _, _, num_segments = record_line[0].partition("/")
        num_signals = int(record_line[1])
        rate_text = re.split(r"[/(]", record_line[2])[0] if len(record_line) > 2 else str(_DEFAULT_RATE)
        rate = float(rate_text)
        # Some writers leave out the number of samples, but not the date after it.
        counted = len(record_line) > 3 and not re.search(r"\d[:/-]\d", record_line[3])
        num_samples = int(record_line[3]) if counted else 0
        segments_declared = int(num_segments) if num_segments else 0
    except (ValueError, IndexError) as error:
        raise EcgFormatError(
            f"{name}: the record line {fields[0][:80]!r} of {path.name} is not WFDB's 'name signals rate "
            "samples'; copy the header again."
        ) from error
    rows = fields[1:]
    expected = segments_declared or num_signals
    if num_signals <= 0 or len(rows) < expected:
        raise EcgFormatError(
            f"{name}: {path.name} declares {expected} {'segments' if segments_declared else 'signals'} but describes "
            f"{len(rows)}; the header is truncated or has no signals; copy it again."
        )
    if not 0 < rate < float("inf") or num_samples < 0:
        raise EcgFormatError(
            f"{name}: {path.name} states a sampling rate of {rate_text[:20]} Hz and {num_samples} samples; correct it."
        )
    signals = () if segments_declared else tuple(_parse_signal(row, path, name) for row in rows[:expected])
    if num_samples and any(signal.skew >= num_samples for signal in signals):
        raise EcgFormatError(
            f"{name}: {path.name} states a skew of {max(signal.skew for signal in signals)} frames in a recording of "
            f"{num_samples}; correct it."
        )
    return WfdbHeader(
        path=path,
        rate=rate,
        rate_step=10.0 ** -len(rate_text.partition(".")[2]) if "." in rate_text else 0.0,
        num_samples=num_samples or None,
        signals=signals,
        segments=tuple(_parse_segment(row, path, name) for row in rows[:expected]) if segments_declared else (),
        comments=comments,
        date=" ".join(record_line[4 if counted else 3 :]),
    )


def _parse_segment(row: str, path: Path, name: str) -> tuple[str, int]:
    parts = row.split()
    if len(parts) < 2 or not parts[1].isdecimal():
        raise EcgFormatError(
            f"{name}: {path.name} has a segment line that is not WFDB's: {row[:80]!r}; copy it again."
        )
    return parts[0] if parts[0] == "~" else _plain(parts[0], path, name), int(parts[1])


def _parse_signal(row: str, path: Path, name: str) -> WfdbSignal:
    parts = row.split(None, 8)
    storage = _FORMAT_FIELD.fullmatch(parts[1]) if len(parts) > 1 else None
    scale = _GAIN_FIELD.fullmatch(parts[2]) if len(parts) > 2 else None
    if storage is None or (len(parts) > 2 and scale is None):
        raise EcgFormatError(f"{name}: {path.name} has a signal line that is not WFDB's: {row[:80]!r}; copy it again.")
    fmt = storage["fmt"]
    empty = parts[0] == "~" and fmt == "0"
    if not empty and fmt not in BYTES_PER_SAMPLE and fmt not in FLAC_FORMATS:
        raise EcgFormatError(
            f"{name}: {path.name} names storage format {fmt!r}; WFDB has {[*BYTES_PER_SAMPLE, *FLAC_FORMATS]}. "
            "Convert it, or copy the header again."
        )
    try:
        gain = float(scale["gain"]) if scale and scale["gain"] else 0.0
        zero = int(parts[4]) if len(parts) > 4 else 0
        # Without a baseline, the ADC's zero is the count of 0 mV (header(5)); so it is of the first sample.
        baseline = int(scale["baseline"]) if scale and scale["baseline"] else zero
        initial = int(parts[5]) if len(parts) > 5 else zero
        checksum = int(parts[6]) if len(parts) > 6 else None
    except ValueError as error:
        raise EcgFormatError(
            f"{name}: {path.name} has a value that is not a number in {row[:80]!r}; correct it."
        ) from error
    return WfdbSignal(
        file_name="~" if empty else _plain(parts[0], path, name),
        fmt=fmt,
        samples_per_frame=int(storage["spf"] or 1),
        offset=int(storage["offset"] or 0),
        skew=int(storage["skew"] or 0),
        gain=gain,
        baseline=baseline,
        unit=(scale["unit"] or None) if scale else None,
        initial=initial,
        checksum=checksum,
        name=parts[8] if len(parts) > 8 else "",
    )


def _plain(file_name: str, path: Path, name: str) -> str:
    """`file_name` if it can only mean a file beside the header."""
    if not _PLAIN_NAME.fullmatch(file_name):
        raise EcgFormatError(
            f"{name}: {path.name} points to {file_name[:80]!r}. A header may only name files in its own folder (no "
            "folders, '..', drives or URLs); put the signal file beside the header and name it plainly."
        )
    return file_name


__all__ = ["BYTES_PER_SAMPLE", "DEFAULT_GAIN", "FLAC_FORMATS", "WfdbHeader", "WfdbSignal", "parse_header"]
