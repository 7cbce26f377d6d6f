# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""WFDB records (PhysioNet: PTB-XL, MIMIC-IV-ECG, CinC challenges, LUDB ...) -> `RawEcg`.

The header is checked by us before the `wfdb` package opens anything, because a header names the files to read: names
with a folder, a drive, a URL or `..` are refused, declared sizes are compared with the files that are there.
Reference: WFDB Applications Guide, header(5) and signal(5).
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from .ecg_raw import RawEcg, ReadOptions, check_size, parsed_age, parsed_sex, same_rate, wrapped
from .ecg_record import canonical_lead
from .errors_gem import EcgFormatError

# Bytes per sample of the storage formats (signal(5)); the FLAC formats are compressed, so their size says nothing.
_BYTES_PER_SAMPLE = {
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
_FLAC_FORMATS = ("508", "516", "524")
_DEFAULT_GAIN = 200.0
_INVALID_16_BIT = -(2**15)
_DEFAULT_RATE = 250.0
_MAX_HEADER_BYTES = 2**20
_MAX_LINE = 4096
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][-\w]*(\.\w+)?")
_FORMAT_FIELD = re.compile(r"(?P<fmt>\d+)(?:x(?P<spf>\d+))?(?::(?P<skew>\d+))?(?:\+(?P<offset>\d+))?")
_GAIN_FIELD = re.compile(r"(?P<gain>-?[\d.]+(?:e[+-]?\d+)?)?(?:\((?P<baseline>-?\d+)\))?(?:/(?P<unit>\S+))?", re.I)


@dataclass(frozen=True)
class _Signal:
    file_name: str
    fmt: str
    samples_per_frame: int
    offset: int
    skew: int
    gain: float
    baseline: int
    unit: str | None
    checksum: int | None
    name: str


@dataclass(frozen=True)
class _Header:
    path: Path
    rate: float
    num_samples: int | None
    signals: tuple[_Signal, ...]
    segments: tuple[str, ...]
    comments: tuple[str, ...]
    date: str


def wfdb_header_path(path: Path) -> Path | None:
    """The header of the record that `path` (with or without `.hea`, or its signal file) means, if there is one."""
    if not path.name:
        return None
    candidates = [path] if path.suffix == ".hea" else [path.with_name(path.name + ".hea")]
    if path.suffix in (".dat", ".mat"):
        candidates.append(path.with_suffix(".hea"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def read_wfdb(header_path: Path, options: ReadOptions, name: str) -> RawEcg:
    """Reads one WFDB record with the gains of its header.

    Every storage format that the `wfdb` package knows, `.mat` signal files, several samples per frame and
    multi-segment records. Invalid samples become NaN.

    LUDB (`dataset="ludb"`): its header gains stretch every lead to exactly 1.0 mV peak to peak, so amplitudes read
    through them break Einthoven's law by 56 %. The stored integers are microvolts: they obey Einthoven's law to the
    count and their medians equal PTB-XL's. They are therefore divided by 1000 and the header's gains ignored. A record
    is taken for LUDB without being told only if its header has LUDB's `<age>:`/`<diagnoses>:` comments and both facts
    hold for its samples.

    Raises:
        EcgFormatError: header or signal file are absent, truncated, corrupt, too large, or the header names a file
            outside of its own folder.
    """
    header = _parse_header(header_path, name)
    if header.segments:
        for segment in dict.fromkeys(header.segments):
            _check_segment(header, segment, name)
        check_size((max(1, _num_leads(header, name)), header.num_samples or 0), name)
    else:
        _check_signal_files(header, name)
    return _read_signals(header, options, name)


def _parse_header(path: Path, name: str) -> _Header:
    if path.stat().st_size > _MAX_HEADER_BYTES:
        raise EcgFormatError(
            f"{name}: {path.name} is larger than {_MAX_HEADER_BYTES:,} bytes; that is no WFDB header."
        )
    text = path.read_bytes().decode("ascii", errors="ignore")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
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
        rate = float(re.split(r"[/(]", record_line[2])[0]) if len(record_line) > 2 else _DEFAULT_RATE
        num_samples = int(record_line[3]) if len(record_line) > 3 else None
        segments_declared = int(num_segments) if num_segments else 0
    except (ValueError, IndexError) as error:
        raise EcgFormatError(
            f"{name}: the record line {fields[0][:80]!r} of {path.name} is not WFDB's 'name signals rate "
            "samples'; copy the header again."
        ) from error
    date = " ".join(record_line[4:])
    rows = fields[1:]
    expected = segments_declared or num_signals
    if num_signals <= 0 or len(rows) < expected:
        raise EcgFormatError(
            f"{name}: {path.name} declares {expected} {'segments' if segments_declared else 'signals'} but describes "
            f"{len(rows)}; the header is truncated or has no signals; copy it again."
        )
    if segments_declared:
        segments = tuple(_plain(row.split()[0], path, name) for row in rows[:expected] if row.split()[0] != "~")
        return _Header(path, rate, num_samples, (), segments, comments, date)
    signals = tuple(_parse_signal(row, path, name) for row in rows[:expected])
    return _Header(path, rate, num_samples, signals, (), comments, date)


def _parse_signal(row: str, path: Path, name: str) -> _Signal:
    parts = row.split(None, 8)
    storage = _FORMAT_FIELD.fullmatch(parts[1]) if len(parts) > 1 else None
    scale = _GAIN_FIELD.fullmatch(parts[2]) if len(parts) > 2 else None
    if storage is None or (len(parts) > 2 and scale is None):
        raise EcgFormatError(f"{name}: {path.name} has a signal line that is not WFDB's: {row[:80]!r}; copy it again.")
    fmt = storage["fmt"]
    if parts[0] == "~" and fmt == "0":
        return _Signal("~", fmt, 1, 0, 0, 1.0, 0, None, None, parts[8] if len(parts) > 8 else "")
    if fmt not in _BYTES_PER_SAMPLE and fmt not in _FLAC_FORMATS:
        raise EcgFormatError(
            f"{name}: {path.name} names storage format {fmt!r}; WFDB has {[*_BYTES_PER_SAMPLE, *_FLAC_FORMATS]}. "
            "Convert it, or copy the header again."
        )
    try:
        gain = float(scale["gain"]) if scale and scale["gain"] else 0.0
        # Without a baseline, the ADC's zero is the count of 0 mV (header(5)).
        baseline = int(scale["baseline"]) if scale and scale["baseline"] else int(parts[4]) if len(parts) > 4 else 0
        checksum = int(parts[6]) if len(parts) > 6 else None
    except ValueError as error:
        raise EcgFormatError(f"{name}: {path.name} has a number that is none in {row[:80]!r}.") from error
    return _Signal(
        file_name=_plain(parts[0], path, name),
        fmt=fmt,
        samples_per_frame=int(storage["spf"] or 1),
        offset=int(storage["offset"] or 0),
        skew=int(storage["skew"] or 0),
        gain=gain,
        baseline=baseline,
        unit=scale["unit"] if scale else None,
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


def _check_segment(header: _Header, segment: str, name: str) -> None:
    path = header.path.with_name(segment + ".hea")
    if not path.is_file():
        raise EcgFormatError(f"{name}: the segment {path.name} that {header.path.name} names is not in its folder.")
    inner = _parse_header(path, name)
    if inner.segments:
        raise EcgFormatError(
            f"{name}: the segment {path.name} consists of segments itself; WFDB allows one level. "
            "Name its own segments instead."
        )
    # A layout segment (variable layout) describes signals without storing any: its file is "~".
    if inner.num_samples != 0:
        _check_signal_files(inner, name)


def _num_leads(header: _Header, name: str) -> int:
    return max(len(_parse_header(header.path.with_name(s + ".hea"), name).signals) for s in header.segments)


def _check_signal_files(header: _Header, name: str) -> None:
    """The signal files are there and long enough for what the header declares."""
    if header.num_samples == 0:
        raise EcgFormatError(
            f"{name}: {header.path.name} declares 0 samples; there is no ECG in this record. Leave it out."
        )
    frame = sum(signal.samples_per_frame for signal in header.signals)
    check_size((frame, header.num_samples or 1), name)
    for file_name in dict.fromkeys(signal.file_name for signal in header.signals):
        signals = [signal for signal in header.signals if signal.file_name == file_name]
        path = header.path.with_name(file_name)
        if not path.is_file():
            raise EcgFormatError(
                f"{name}: {file_name}, the signal file of {header.path.name}, is not in its folder; copy it there."
            )
        available = path.stat().st_size - signals[0].offset
        if available <= 0:
            raise EcgFormatError(f"{name}: the signal file {file_name} is empty; copy it again.")
        if signals[0].fmt in _FLAC_FORMATS or header.num_samples is None:
            continue
        values = header.num_samples * sum(signal.samples_per_frame for signal in signals)
        needed = int(values * _BYTES_PER_SAMPLE[signals[0].fmt])
        if available < needed:
            raise EcgFormatError(
                f"{name}: {file_name} is truncated: {available:,} bytes of signal, but {header.path.name} declares "
                f"{header.num_samples} samples of {len(signals)} signals = {needed:,} bytes. Copy the file again."
            )


def _read_signals(header: _Header, options: ReadOptions, name: str) -> RawEcg:
    plain = all(s.fmt == "16" and s.samples_per_frame == 1 and s.skew == 0 for s in header.signals)
    # The date as a `datetime` is asked for only together with everything else that identifies the patient.
    digital: np.ndarray | None
    if plain and not header.segments and not options.keep_phi:
        raw, digital = _read_16_bit(header)
    else:
        raw, digital = _read_with_wfdb(header, name)
    if digital is not None:
        _check_checksums(header, digital, raw)
        _undo_ludb_gains(header, digital, raw, options)
    if options.gain is not None and digital is not None:
        raw.signal, raw.units = digital, None
    unscaled = [signal.name for signal in header.signals if signal.gain == 0]
    if unscaled and options.gain is None:
        raw.notes.append(
            f"no gain (0) in the header for {', '.join(unscaled)}: WFDB's default {_DEFAULT_GAIN:g} per mV assumed, "
            "amplitudes are uncertain"
        )
    _read_comments(header.comments, raw)
    raw.identifying["record date"] = header.date
    return raw


def _read_16_bit(header: _Header) -> tuple[RawEcg, np.ndarray]:
    """The layout of nearly all 12-lead data sets, read directly: wfdb spends most of its time on the header."""
    blocks = []
    for file_name in dict.fromkeys(signal.file_name for signal in header.signals):
        signals = [signal for signal in header.signals if signal.file_name == file_name]
        count = -1 if header.num_samples is None else header.num_samples * len(signals)
        values = np.fromfile(header.path.with_name(file_name), dtype="<i2", count=count, offset=signals[0].offset)
        blocks.append(values[: len(values) // len(signals) * len(signals)].reshape(-1, len(signals)).T)
    samples = min(block.shape[1] for block in blocks)
    counts = np.concatenate([block[:, :samples] for block in blocks])
    gains = np.array([signal.gain or _DEFAULT_GAIN for signal in header.signals])
    baselines = np.array([signal.baseline for signal in header.signals])
    physical = (counts - baselines[:, None]) / gains[:, None]
    physical[counts == _INVALID_16_BIT] = np.nan
    names = [signal.name or f"signal {row}" for row, signal in enumerate(header.signals)]
    return RawEcg(physical, names, header.rate, [signal.unit or "mV" for signal in header.signals]), counts


def _read_with_wfdb(header: _Header, name: str) -> tuple[RawEcg, np.ndarray | None]:
    """Every other layout; the counts only of a single segment with one sampling rate."""
    import wfdb

    # An absolute local path without `pn_dir` is what keeps wfdb off the network.
    stem = str(header.path.absolute().with_suffix(""))
    if "::" in stem or "://" in stem:
        raise EcgFormatError(f"{name}: a WFDB record is a local path without '::' or '://', got {stem!r}.")
    in_frames = any(signal.samples_per_frame > 1 for signal in header.signals)
    try:
        record = wfdb.rdrecord(stem, physical=bool(header.segments), smooth_frames=not in_frames)
        physical = record.p_signal.T if header.segments else record.dac(expanded=in_frames)
    except Exception as error:
        raise wrapped(name, "WFDB", error) from error
    names = [lead or f"signal {row}" for row, lead in enumerate(record.sig_name)]
    raw = RawEcg(physical, names, header.rate, record.units, start_time=record.base_datetime)
    if header.segments:
        raw.notes.append(f"joined {len(header.segments)} segments")
        return raw, None
    if not in_frames:
        raw.signal = physical.T
        return raw, record.d_signal.T
    rates = [header.rate * signal.samples_per_frame for signal in header.signals]
    raw.signal, raw.sampling_rate = same_rate(physical, rates, names)
    if len(set(rates)) > 1:
        raw.notes.append(
            f"resampled signals of {', '.join(f'{rate:g}' for rate in sorted(set(rates)))} Hz to the highest"
        )
    return raw, None


def _check_checksums(header: _Header, digital: np.ndarray, raw: RawEcg) -> None:
    """A checksum is the 16-bit sum of a signal's samples (header(5)); many published headers carry false ones."""
    if header.num_samples is None:
        return
    sums = digital.sum(axis=1, dtype=np.int64)
    false = [
        signal.name
        for signal, total in zip(header.signals, sums, strict=True)
        if signal.checksum is not None and (int(total) - signal.checksum) % 65536
    ]
    if false:
        raw.notes.append(f"checksum of {', '.join(false)} differs from the header's: header or samples were edited")


def _undo_ludb_gains(header: _Header, digital: np.ndarray, raw: RawEcg, options: ReadOptions) -> None:
    told = (options.dataset or "").lower() == "ludb"
    if not told and not _is_ludb(header, digital):
        return
    raw.signal, raw.units = digital / 1000.0, "mV"
    raw.notes.append(
        "LUDB: header gains ignored (they stretch each lead to 1 mV peak to peak), samples are microvolts"
    )


def _is_ludb(header: _Header, digital: np.ndarray) -> bool:
    comments = [comment.lower() for comment in header.comments]
    if not any(comment.startswith("<diagnoses>") for comment in comments):
        return False
    leads = [canonical_lead(signal.name) for signal in header.signals]
    if not {"I", "II", "III"} <= set(leads) or any(signal.gain == 0 for signal in header.signals):
        return False
    spans = np.ptp(digital, axis=1) / np.array([signal.gain for signal in header.signals])
    lead_i, lead_ii, lead_iii = (digital[leads.index(lead)].astype(np.int64) for lead in ("I", "II", "III"))
    # The stored integers obey Einthoven's law to the rounding although each lead is "1 mV" high by its own gain.
    return bool(np.abs(spans - 1.0).max() < 0.01 and np.abs(lead_i + lead_iii - lead_ii).max() <= 2)


def _read_comments(comments: tuple[str, ...], raw: RawEcg) -> None:
    """Age, sex and diagnosis codes of CinC, PTB-XL and LUDB headers; every other comment may identify the patient."""
    others: list[str] = []
    diagnoses: list[str] | None = None
    for comment in comments:
        key, separator, value = comment.partition(":")
        key, value = key.strip().strip("<>").lower(), value.strip()
        if separator and key == "age":
            raw.metadata["age"] = parsed_age(value)
        elif separator and key in ("sex", "gender"):
            raw.metadata["sex"] = parsed_sex(value)
        elif separator and key == "dx":
            codes = [code.strip() for code in value.split(",") if code.strip() not in ("", "Unknown")]
            raw.labels = dict.fromkeys(codes, 1.0)
        elif separator and key == "diagnoses":
            diagnoses = [value] if value else []
        elif diagnoses is not None:
            diagnoses.append(comment)
        elif value.lower() not in ("", "unknown") or not separator:
            others.append(comment)
    if diagnoses:
        raw.report = " ".join(diagnoses)
    if others:
        raw.identifying["header comments"] = others


__all__ = ["read_wfdb", "wfdb_header_path"]
