# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""EDF, EDF+ and BioSemi's BDF -> `RawEcg`, by the `edfio` library, with the liberties that devices take.

Format: Kemp et al., Electroencephalogr Clin Neurophysiol 82 (1992) 391, and EDF+, https://www.edfplus.info.
"""

import re
import warnings
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from .ecg_identity import known_device, named
from .ecg_lead_names import STANDARD_LEADS, canonical_lead, is_other_channel
from .ecg_parts import Strip, empty_rows, merged
from .ecg_raw import RawEcg, ReadOptions, check_size, parsed_sex, wrapped
from .errors_gem import EcgFormatError
from .extras_gem import require

_MAX_SIGNALS = 4096
_RECORD_START = re.compile(rb"([+-]\d{1,9}(?:\.\d{0,9})?)\x14\x14")
_SAME_TIME_S = 1e-3


def is_edf(data: bytes) -> bool:
    """EDF (version field `0`) or BioSemi's BDF."""
    return (data[:8] == b"0       " or data[:8] == b"\xffBIOSEMI") and data[184:192].strip().isdigit()


def read_edf(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """EDF, EDF+ or BDF: the channels labelled ECG, EKG or as a lead; if there are none, all that may be an ECG.

    Header text is Latin-1, as devices write it (the standard asks for ASCII). A number of records of -1 (a recording
    that was not closed) means as many as the file holds; impossible dates are left out; a blank dimension is a unit
    that is not stated. A channel whose physical or digital minimum equals its maximum has no amplitudes: its samples
    are missing. So are samples of -32768 (BDF: -8388608), the value of no sample, and the gaps of an interrupted
    recording (EDF+D). Channels of lower sampling rates are resampled to the highest one. Patient and recording fields
    are identifying.

    Raises:
        EcgFormatError: truncated, interrupted without saying when, corrupt, or no samples.
        MissingDependencyError: edfio is not installed (`gem-ecg[edf]`).
    """
    edfio = require("edfio", "EDF")
    size = _checked_size(data, name)
    read = edfio.read_bdf if data[:1] == b"\xff" else edfio.read_edf
    try:
        with warnings.catch_warnings():
            # It warns of what is handled here: record counts and degenerate ranges.
            warnings.simplefilter("ignore")
            file = read(memoryview(data)[:size], header_encoding="latin-1")
            runs = _runs(data, file, name) if file.reserved.startswith(("EDF+D", "BDF+D")) else None
            channels = file.signals
            labels = [channel.label.strip() for channel in channels]
            chosen = _ecg_channels(labels)
            notes: list[str] = []
            rows = empty_rows([file.num_data_records * channels[row].samples_per_data_record for row in chosen])
            strips = [_strip(channels[row], labels[row], out, notes) for row, out in zip(chosen, rows, strict=True)]
    except Exception as error:
        raise wrapped(name, "EDF", error) from error
    if not strips:
        raise EcgFormatError(f"{name}: no channel of {labels} is an ECG by its label; export the ECG channels.")
    if min(len(strip.signal) for strip in strips) == 0:
        raise EcgFormatError(f"{name}: the EDF file holds no samples; export it again.")
    if len(notes) == len(strips):
        raise EcgFormatError(f"{name}: no channel has a scale (its minimum equals its maximum); export it again.")
    raw = merged(strips if runs is None else _in_runs(strips, channels, chosen, runs), name, options.index)
    raw.notes += notes
    if len(chosen) < len(labels):
        raw.notes.append(f"left out channels {named(x for i, x in enumerate(labels) if i not in chosen)}")
    _describe(file, raw)
    return raw


def _ecg_channels(labels: list[str]) -> list[int]:
    ecg = [
        channel
        for channel, label in enumerate(labels)
        if "ECG" in label.upper() or "EKG" in label.upper() or canonical_lead(label) in STANDARD_LEADS
    ]
    return ecg or [channel for channel, label in enumerate(labels) if not is_other_channel(label)]


def _strip(channel: Any, label: str, signal: np.ndarray, notes: list[str]) -> Strip:
    """One channel in its physical unit, written into `signal`; missing where it has no scale or says "no sample"."""
    counts = channel.digital
    (low, high), (bottom, top) = channel.physical_range, channel.digital_range
    if low == high or bottom == top:
        notes.append(
            f"channel {named([label])}: its minimum equals its maximum, so it has no amplitudes: taken as missing"
        )
        signal[:] = np.nan
    else:
        np.subtract(counts, bottom, out=signal, dtype=signal.dtype, casting="unsafe")
        signal *= (high - low) / (top - bottom)
        signal += low
        signal[counts == (-(2**15) if counts.dtype.itemsize == 2 else -(2**23))] = np.nan
    return Strip(label, signal, channel.sampling_frequency, channel.physical_dimension.strip() or None)


def _runs(data: bytes, file: Any, name: str) -> list[tuple[int, int, float]]:
    """The unbroken parts of an interrupted recording: first record, record after the last, and start in s.

    Each record of EDF+D begins its annotations with its own start, `+12.5` and two bytes 20 (EDF+, 2.2.4).
    """
    signals, width = int(data[252:256]), 3 if data[:1] == b"\xff" else 2
    labels = [data[256 + 16 * i : 272 + 16 * i].strip() for i in range(signals)]
    place = next((i for i, label in enumerate(labels) if label in (b"EDF Annotations", b"BDF Annotations")), None)
    starts: list[float] = []
    if place is not None:
        sizes = [width * int(data[256 + 216 * signals + 8 * i :][:8]) for i in range(signals)]
        first = 256 * (signals + 1) + sum(sizes[:place])
        for record in range(file.num_data_records):
            found = _RECORD_START.match(data, first + record * sum(sizes))
            starts += [float(found[1])] if found else []
    if len(starts) != file.num_data_records:
        raise EcgFormatError(
            f"{name}: the recording was interrupted (EDF+D), but its records do not say when they begin. Export its "
            "continuous parts as EDF+C."
        )
    seconds = file.data_record_duration
    begins = [0, *(k for k in range(1, len(starts)) if abs(starts[k] - starts[k - 1] - seconds) > _SAME_TIME_S)]
    return [(a, b, starts[a]) for a, b in zip(begins, [*begins[1:], len(starts)], strict=True)]


def _in_runs(strips: list[Strip], channels: Any, chosen: list[int], runs: list[tuple[int, int, float]]) -> list[Strip]:
    return [
        replace(strip, signal=strip.signal[first * size : last * size], start=start, part=part)
        for part, (first, last, start) in enumerate(runs)
        for strip, size in zip(strips, (channels[row].samples_per_data_record for row in chosen), strict=True)
    ]


def _checked_size(data: bytes, name: str) -> int:
    """The bytes of header and declared records, if the header's numbers are numbers and the records fit the file."""
    try:
        header_bytes, records = int(data[184:192]), int(data[236:244])
        signals, seconds = int(data[252:256]), float(data[244:252])
        if not 0 < signals <= _MAX_SIGNALS or header_bytes != 256 * (signals + 1) or len(data) < header_bytes:
            raise ValueError(f"{signals} signals in a header of {header_bytes} bytes")
        start = 256 + 216 * signals
        samples = [int(data[start + 8 * i : start + 8 * i + 8]) for i in range(signals)]
    except ValueError as error:
        raise EcgFormatError(
            f"{name}: the EDF header is broken ({error}); the file is truncated or corrupt. Copy it again."
        ) from error
    record_bytes = sum(samples) * (3 if data[:1] == b"\xff" else 2)
    if records < 0 and min(samples) > 0:
        records = (len(data) - header_bytes) // record_bytes
    if records == 0 or min(samples) <= 0 or not seconds > 0:
        raise EcgFormatError(
            f"{name}: the EDF header declares no samples ({records} records of {samples[:9]} samples in {seconds:g} s); "
            "export it again."
        )
    needed = header_bytes + records * record_bytes
    if needed > len(data):
        raise EcgFormatError(
            f"{name}: truncated: {needed:,} bytes are declared, {len(data):,} are there. Copy it again."
        )
    check_size((records, sum(samples)), name)
    return needed


def _describe(file: Any, raw: RawEcg) -> None:
    patient, recording = file.patient, file.recording
    raw.start_time = _start_time(file)
    # In plain EDF both fields are free text, whose words may be anything.
    plus = file.local_recording_identification.startswith("Startdate ")
    raw.metadata = {
        "sex": parsed_sex(patient.sex) if plus else None,
        "device": known_device(_stated(recording.equipment_code)) if plus else "",
    }
    raw.identifying = {
        "patient": " ".join(filter(None, map(_stated, file.local_patient_identification.split()))),
        "recording": " ".join(filter(None, map(_stated, file.local_recording_identification.split()))),
    }


def _stated(subfield: str) -> str:
    """EDF+ writes `X` for an unknown value, and `_` for a space."""
    return "" if subfield in ("X", "Startdate") else subfield.replace("_", " ")


def _start_time(file: Any) -> datetime | None:
    with warnings.catch_warnings():
        # EDF+ writes the date twice; where both differ, edfio takes the longer form and warns.
        warnings.simplefilter("ignore")
        try:
            return datetime.combine(file.startdate, file.starttime)
        except ValueError:
            return None


__all__ = ["is_edf", "read_edf"]
