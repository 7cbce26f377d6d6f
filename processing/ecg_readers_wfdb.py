# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""WFDB records (PhysioNet: PTB-XL, MIMIC-IV-ECG, CinC challenges, LUDB ...) -> `RawEcg`."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .ecg_identity import named, split_signatures
from .ecg_lead_evidence import Evidence
from .ecg_parts import Strip, empty_rows, merged
from .ecg_raw import RawEcg, ReadOptions, check_size, parsed_age, parsed_sex, wrapped
from .ecg_record import canonical_lead
from .ecg_wfdb_header import BYTES_PER_SAMPLE, DEFAULT_GAIN, FLAC_FORMATS, WfdbHeader, WfdbSignal, parse_header
from .ecg_wfdb_samples import no_sample, read_signal_file
from .errors_gem import EcgFormatError

# MIMIC's recordings of days have some thousand segments of eight signals.
_MAX_STRIPS = 2**16


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

    Every storage format of signal(5) and FLAC, `.mat` signal files, several samples per frame (other rates are resampled
    to the highest one), skews, and multi-segment records (gaps are NaN). A number of samples of 0 means that it is left
    open, as if it were absent. Invalid samples become NaN. Without a unit, mV is taken, and without a gain 200 per mV,
    as header(5) says; both are noted.

    LUDB (`dataset="ludb"`): its header gains stretch every lead to exactly 1.0 mV peak to peak, so amplitudes read
    through them break Einthoven's law by 56 %. The stored integers are microvolts: they obey Einthoven's law to the
    count and their medians equal PTB-XL's. They are therefore divided by 1000 and the header's gains ignored. A record
    is taken for LUDB without being told only if its header has LUDB's `<age>:`/`<diagnoses>:` comments and both facts
    hold for its samples.

    Raises:
        EcgFormatError: header or signal file are absent, truncated, corrupt, too large, or the header names a file
            outside of its own folder.
    """
    header = parse_header(header_path, name)
    try:
        raw = _read_segments(header, options, name) if header.segments else _read_single(header, options, name)
    except Exception as error:
        raise wrapped(name, "WFDB", error) from error
    _read_comments(header.comments, raw)
    raw.start_time = header.start_time
    raw.identifying["record date"] = header.date
    return raw


def _read_single(header: WfdbHeader, options: ReadOptions, name: str) -> RawEcg:
    _check_signal_files(header, name)
    counts = _read_counts(header, name)
    notes = _notes_on(header, counts, options)
    if _is_ludb(header, counts, options):
        notes.append(
            "LUDB: header gains ignored (they stretch each lead to 1 mV peak to peak), samples are microvolts"
        )
        names = _names(header.signals)
        raw = RawEcg(np.stack(counts) / 1000.0, names, header.rate, "mV", evidence={"gain": "derived"})
    else:
        raw = merged(_strips(header, counts, options), name)
    raw.notes += notes
    return raw


def _read_segments(header: WfdbHeader, options: ReadOptions, name: str) -> RawEcg:
    """A record of segments; those of a variable layout hold some of its signals each."""
    names = dict.fromkeys(segment for segment, _ in header.segments if segment != "~")
    inner = {segment: _segment_header(header, segment, name) for segment in names}
    if not inner:
        raise EcgFormatError(f"{name}: {header.path.name} names no segment but gaps; there is no ECG in this record.")
    check_size((max(len(segment.signals) for segment in inner.values()), header.num_samples or 1), name)
    _check_strips(header, inner, name)
    leads = dict.fromkeys(lead for segment in inner.values() for lead in _names(segment.signals))
    order = {lead: place for place, lead in enumerate(leads)}
    strips: list[Strip] = []
    notes: list[str] = []
    frames = 0
    for part, (segment, declared) in enumerate(header.segments):
        if segment != "~" and not inner[segment].is_layout:
            counts = _read_counts(inner[segment], name)
            notes += _notes_on(inner[segment], counts, options)
            strips += _strips(inner[segment], counts, options, start=frames / header.rate, part=part)
        frames += declared
    if not strips:
        raise EcgFormatError(
            f"{name}: no segment of {header.path.name} holds samples; there is no ECG in this record."
        )
    strips.sort(key=lambda strip: order[strip.lead])
    raw = merged(strips, name, options.index, end=max(header.num_samples or 0, frames) / header.rate)
    raw.notes += dict.fromkeys(notes)
    recorded = {strip.lead for strip in strips}
    absent = [lead for lead in order if lead not in recorded]
    if absent:
        raw.notes.append(f"in no segment: {named(absent)}")
    return raw


def _check_strips(header: WfdbHeader, inner: dict[str, WfdbHeader], name: str) -> None:
    """All segments together are a recording that can be read; a header may name one of them over and over."""
    strips = frames = 0
    for segment, declared in header.segments:
        if segment != "~":
            strips += len(inner[segment].signals)
            frames += max(declared, inner[segment].num_samples or 0) * len(inner[segment].signals)
    if strips > _MAX_STRIPS:
        raise EcgFormatError(
            f"{name}: {len(header.segments):,} segments with {strips:,} signals, {_MAX_STRIPS:,} at most are read; name fewer "
            "of its segments in a header of their own."
        )
    check_size((frames or 1,), name)


def _segment_header(header: WfdbHeader, segment: str, name: str) -> WfdbHeader:
    path = header.path.with_name(segment + ".hea")
    if not path.is_file():
        raise EcgFormatError(f"{name}: the segment {path.name} that {header.path.name} names is not in its folder.")
    inner = parse_header(path, name)
    if inner.segments:
        raise EcgFormatError(
            f"{name}: the segment {path.name} consists of segments itself; WFDB allows one level. "
            "Name its own segments instead."
        )
    if not inner.is_layout:
        _check_signal_files(inner, name)
    return inner


def _check_signal_files(header: WfdbHeader, name: str) -> None:
    """The signal files are there and long enough for what the header declares."""
    frame = sum(signal.samples_per_frame for signal in header.signals)
    check_size((frame, header.num_samples or 1), name)
    for file_name, signals in _by_file(header).items():
        path = header.path.with_name(file_name)
        if not path.is_file():
            raise EcgFormatError(
                f"{name}: {file_name}, the signal file of {header.path.name}, is not in its folder; copy it there."
            )
        if path.resolve().parent not in (header.path.parent.resolve(), header.path.resolve().parent):
            raise EcgFormatError(
                f"{name}: {file_name} is a link to a file outside of the folder of {header.path.name}; put the file itself there."
            )
        available = path.stat().st_size - signals[0].offset
        if path.stat().st_size == 0 or (signals[0].fmt not in FLAC_FORMATS and available <= 0):
            raise EcgFormatError(f"{name}: the signal file {file_name} is empty; copy it again.")
        if signals[0].fmt in FLAC_FORMATS or header.num_samples is None:
            continue
        values = header.num_samples * sum(signal.samples_per_frame for signal in signals)
        needed = int(values * BYTES_PER_SAMPLE[signals[0].fmt])
        if available < needed:
            raise EcgFormatError(
                f"{name}: {file_name} is truncated: {available:,} bytes of signal, but {header.path.name} declares "
                f"{header.num_samples} samples of {len(signals)} signals = {needed:,} bytes. Copy the file again."
            )


def _by_file(header: WfdbHeader) -> dict[str, list[WfdbSignal]]:
    files: dict[str, list[WfdbSignal]] = {}
    for signal in header.signals:
        files.setdefault(signal.file_name, []).append(signal)
    return files


def _read_counts(header: WfdbHeader, name: str) -> list[np.ndarray]:
    """The stored integers of each signal, in the header's order."""
    counts: dict[int, np.ndarray] = {}
    for file_name, signals in _by_file(header).items():
        rows = read_signal_file(header.path.with_name(file_name), signals, header.num_samples, name)
        counts.update({id(signal): row for signal, row in zip(signals, rows, strict=True)})
    rows = [counts[id(signal)] for signal in header.signals]
    if header.num_samples is None:
        # Files of one record may end a little apart; what the header does not declare ends with the shortest.
        frames = min(len(row) // signal.samples_per_frame for signal, row in zip(header.signals, rows, strict=True))
        rows = [row[: frames * signal.samples_per_frame] for signal, row in zip(header.signals, rows, strict=True)]
    return rows


def _names(signals: Sequence[WfdbSignal]) -> list[str]:
    return [signal.name or f"signal {row}" for row, signal in enumerate(signals)]


def _strips(
    header: WfdbHeader, counts: list[np.ndarray], options: ReadOptions, start: float = 0.0, part: int = 0
) -> list[Strip]:
    """Each signal in its unit; in counts above the baseline where the caller gives the gain."""
    strips = []
    rows = empty_rows([len(row) for row in counts])
    for signal, lead, row, physical in zip(header.signals, _names(header.signals), counts, rows, strict=True):
        np.subtract(row, signal.baseline, out=physical, dtype=physical.dtype, casting="unsafe")
        physical /= 1.0 if options.gain is not None else signal.gain or DEFAULT_GAIN
        if no_sample(signal.fmt) is not None:
            physical[row == no_sample(signal.fmt)] = np.nan
        evidence: dict[str, Evidence] = {
            "unit": "stated" if signal.unit else "assumed",
            "gain": "stated" if signal.gain else "assumed",
        }
        strips.append(Strip(lead, physical, header.signal_rate(signal), signal.unit or "mV", start, part, evidence))
    return strips


def _notes_on(header: WfdbHeader, counts: list[np.ndarray], options: ReadOptions) -> list[str]:
    """What is doubtful about a header.

    A checksum is the 16-bit sum of a signal's samples (header(5)); many published headers carry false ones, and some
    tools fill the fields of checksum and initial value with zeros.
    """
    notes = []
    false = [
        signal.name
        for signal, row in zip(header.signals, counts, strict=True)
        if header.num_samples is not None
        and signal.checksum is not None
        and (signal.checksum or signal.initial)
        and signal.skew == 0
        and (int(row.sum(dtype=np.int64)) - signal.checksum) % 65536
    ]
    if false:
        notes.append(f"checksum of {named(false)} differs from the header's: header or samples were edited")
    unscaled = [signal.name for signal in header.signals if signal.gain == 0]
    if unscaled and options.gain is None:
        notes.append(
            f"no gain (0) in the header for {named(unscaled)}: WFDB's default {DEFAULT_GAIN:g} per mV assumed, "
            "amplitudes are uncertain"
        )
    unitless = [signal.name for signal in header.signals if signal.unit is None]
    if unitless and options.gain is None and options.unit is None:
        notes.append(f"no unit in the header for {named(unitless)}: mV by WFDB's definition")
    return notes


def _is_ludb(header: WfdbHeader, counts: list[np.ndarray], options: ReadOptions) -> bool:
    if options.gain is not None or len({len(row) for row in counts}) > 1:
        return False
    if (options.dataset or "").lower() == "ludb":
        return True
    comments = [comment.lower() for comment in header.comments]
    if not any(comment.startswith("<diagnoses>") for comment in comments):
        return False
    leads = [canonical_lead(signal.name) for signal in header.signals]
    if not {"I", "II", "III"} <= set(leads) or any(signal.gain == 0 for signal in header.signals):
        return False
    spans = np.array([np.ptp(row) / signal.gain for signal, row in zip(header.signals, counts, strict=True)])
    lead_i, lead_ii, lead_iii = (counts[leads.index(lead)].astype(np.int64) for lead in ("I", "II", "III"))
    # The stored integers obey Einthoven's law to the rounding although each lead is "1 mV" high by its own gain.
    return bool(np.abs(spans - 1.0).max() < 0.01 and np.abs(lead_i + lead_iii - lead_ii).max() <= 2)


SNOMED_CODE = re.compile(r"\d{6,18}")


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
            codes = [code.strip() for code in value.split(",")]
            raw.labels = {code: 1.0 for code in codes if SNOMED_CODE.fullmatch(code)}
            others += [code for code in codes if code and code not in raw.labels and code != "Unknown"]
        elif separator and key == "diagnoses":
            diagnoses = [value] if value else []
        elif diagnoses is not None:
            diagnoses.append(comment)
        elif value.lower() not in ("", "unknown") or not separator:
            others.append(comment)
    if diagnoses:
        report, signed = split_signatures(diagnoses)
        raw.report = " ".join(report) or None
        others += signed
    if others:
        raw.identifying["header comments"] = others


__all__ = ["SNOMED_CODE", "read_wfdb", "wfdb_header_path"]
