# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""DICOM waveform objects -> `RawEcg`. Reference: DICOM PS3.3, C.10.9 (Waveform Module), 2024."""

import io
import warnings
import zlib
from typing import Any

import numpy as np

from .ecg_identity import known_device, named, quoted, split_signatures
from .ecg_parts import Strip, merged, without_calibration
from .ecg_raw import (
    RawEcg,
    ReadOptions,
    check_inflated,
    check_size,
    decoded_text,
    parsed_age,
    parsed_sex,
    wrapped,
)
from .ecg_record import STANDARD_LEADS, canonical_lead
from .ecg_units import mv_per_unit
from .errors_gem import EcgFormatError
from .extras_gem import require

_DEFLATED_TRANSFER_SYNTAX = b"1.2.840.10008.1.2.1.99"
_INFLATED_AT_ONCE = 2**20
# Elements of a channel's definition (PS3.6).
_SOURCE, _UNITS = 0x003A_0208, 0x003A_0211
_SENSITIVITY, _CORRECTION, _BASELINE = 0x003A_0210, 0x003A_0212, 0x003A_0213
_TIME_SKEW, _SAMPLE_SKEW = 0x003A_0214, 0x003A_0215
_BITS_STORED = 0x003A_021A
_LABEL, _CODE_VALUE, _CODE_MEANING = 0x003A_0203, 0x0008_0100, 0x0008_0104
_SAMPLE_TYPES = {"SB": "i1", "UB": "u1", "SS": "i2", "US": "u2", "SL": "i4", "UL": "u4"}
# A padding value among the true samples marks padding only in a run at an end that no heart's pause explains.
_MIN_PADDING_S = 1.0
# Share of the range of the samples: a padding value so near to them cannot be distinguished from a sample.
_APART = 0.5


def is_dicom(data: bytes) -> bool:
    """Whether `DICM` follows the preamble of 128 bytes (DICOM PS3.10, 7.1)."""
    return data[128:132] == b"DICM"


def read_dicom(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """A DICOM waveform object: its original multiplex groups in physical units on one time axis.

    value = sample * sensitivity * correction factor + baseline, per channel (C.10.9.1.4). The Multiplex Group Time
    Offset and a channel's skew say where the samples stand; groups of other rates are resampled to the highest one.
    Derived groups (median beats) are read only where there is no original one, and then the longest of them.
    Of fewer bits stored than allocated, both ways of writing negative numbers are understood. Padding becomes NaN: a
    padding value that is also a sample's value (0) counts only in a run of a second or more at an end.

    Raises:
        EcgFormatError: no waveforms (e.g. an image), truncated waveform data, compressed sample encodings, or groups
            that contradict each other.
        MissingDependencyError: pydicom is not installed (`gem-ecg[dicom]`).
    """
    pydicom = require("pydicom", "DICOM")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check_deflated(data, name)
            dataset = pydicom.dcmread(io.BytesIO(data))
            if not dataset.get("WaveformSequence"):
                raise EcgFormatError(
                    f"{name}: a DICOM object without waveforms (modality {str(dataset.get('Modality', '?'))[:16]}); "
                    "an ECG has a Waveform Sequence. A scanned page in DICOM: export it as PNG."
                )
            return _read_groups(dataset, options, name)
    except Exception as error:
        raise wrapped(name, "DICOM", error) from error


def _check_deflated(data: bytes, name: str) -> None:
    """Refuses a deflated data set that is out of proportion, before pydicom inflates it without a bound.

    It follows the File Meta Information (PS3.10, 7.1), which says its own length first.
    """
    if _DEFLATED_TRANSFER_SYNTAX not in data:
        return
    if data[132:138] != b"\x02\0\0\0UL":
        raise EcgFormatError(f"{name}: a deflated DICOM whose head does not say its length; store it uncompressed.")
    start = 144 + int.from_bytes(data[140:144], "little")
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    size, rest = 0, data[start:]
    while rest and not inflater.eof:
        size += len(inflater.decompress(rest, _INFLATED_AT_ONCE))
        check_inflated(size, len(data), name)
        rest = inflater.unconsumed_tail


def _read_groups(dataset: Any, options: ReadOptions, name: str) -> RawEcg:
    groups = list(dataset.WaveformSequence)
    original = [group for group in groups if str(group.get("WaveformOriginality", "ORIGINAL")) == "ORIGINAL"]
    chosen = original or [max(groups, key=lambda group: int(group.get("NumberOfWaveformSamples", 0)))]
    order = "<" if dataset.original_encoding[1] is not False else ">"
    notes: list[str] = []
    strips = [strip for part, group in enumerate(chosen) for strip in _group(group, part, order, name, notes)]
    raw = merged(strips, name, options.index)
    raw.notes += dict.fromkeys(notes)
    others = [_in_words(group) for group in groups if group not in chosen]
    if others:
        raw.notes.append(f"left out derived waveforms: {', '.join(map(quoted, others))}")
    if not original:
        raw.notes.append("the waveform is marked as derived (a median beat, or filtered)")
    _describe(dataset, raw)
    return without_calibration(raw)


def _in_words(group: Any) -> str:
    """A group that is not read, e.g. `"I, II, V1 (600 samples)"`."""
    names = [canonical_lead(_lead(channel)) for channel in group.get("ChannelDefinitionSequence") or []]
    return f"{', '.join(names)} ({group.get('NumberOfWaveformSamples', 0)} samples)"


def _group(group: Any, part: int, order: str, name: str, notes: list[str]) -> list[Strip]:
    counts = _counts(group, order, name)
    rate = float(group.SamplingFrequency)
    start = float(group.get("MultiplexGroupTimeOffset", 0.0) or 0.0) / 1000
    padding = _padding_value(group, counts.dtype)
    apart = padding is not None and _stands_apart(counts, padding)
    strips = []
    for row, channel in zip(counts, group.ChannelDefinitionSequence, strict=True):
        lead = _lead(channel)
        if not _text(channel, _SENSITIVITY):
            raise EcgFormatError(f"{name}: channel {lead} has no sensitivity; without it the amplitudes are unknown.")
        factor = _decimal(channel, _SENSITIVITY, 1.0) * (_decimal(channel, _CORRECTION, 1.0) or 1.0)
        if factor == 0 or not np.isfinite(factor):
            raise EcgFormatError(f"{name}: channel {lead} has a sensitivity of {factor}; export the file again.")
        missing = _missing(row, padding, apart, rate)
        bits = _integer(channel, _BITS_STORED, counts.dtype)
        row = _stored_bits(np.where(missing, 0, row) if missing.any() else row, bits, lead, notes)
        signal = row * factor + _decimal(channel, _BASELINE, 0.0)
        signal[missing] = np.nan
        skew = _decimal(channel, _SAMPLE_SKEW, 0.0) / rate + _decimal(channel, _TIME_SKEW, 0.0)
        strips.append(Strip(lead, signal, rate, _unit(channel), start + skew, part))
    return strips


def _counts(group: Any, order: str, name: str) -> np.ndarray:
    """The integers of one multiplex group, `(channels, samples)`, in the file's byte order."""
    channels, samples = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    check_size((channels, samples), name)
    interpretation = str(group.WaveformSampleInterpretation)
    if interpretation not in _SAMPLE_TYPES:
        raise EcgFormatError(
            f"{name}: samples are encoded as {interpretation!r}; read are {list(_SAMPLE_TYPES)}; export it uncompressed."
        )
    dtype = np.dtype(order + _SAMPLE_TYPES[interpretation])
    allocated = int(group.get("WaveformBitsAllocated", 0) or 0) or 8 * dtype.itemsize
    if allocated != 8 * dtype.itemsize:
        raise EcgFormatError(
            f"{name}: samples are {interpretation!r} of {8 * dtype.itemsize} bits, but {allocated} bits are allocated "
            "for each; export it again."
        )
    packed = bytes(group.WaveformData)
    needed = channels * samples * dtype.itemsize
    if len(packed) < needed or len(group.ChannelDefinitionSequence) != channels:
        raise EcgFormatError(
            f"{name}: truncated: {channels} channels of {samples} samples need {needed:,} bytes, {len(packed):,} are "
            f"there for {len(group.ChannelDefinitionSequence)} channel definitions."
        )
    # One row of memory per channel: every further step goes along it.
    return np.ascontiguousarray(np.frombuffer(packed[:needed], dtype=dtype).reshape(samples, channels).T)


def _stored_bits(row: np.ndarray, bits: int, lead: str, notes: list[str]) -> np.ndarray:
    """Signed samples of fewer bits than allocated: the sign is the highest stored bit, whatever is above it.

    Writers that extend the sign and writers that leave the upper bits zero both exist. A channel whose samples need more
    bits than it says to store is read as it is stored.
    """
    if row.dtype.kind != "i" or not 0 < bits < 8 * row.dtype.itemsize or row.size == 0:
        return row
    sign, lowest, highest = 1 << (bits - 1), int(row.min()), int(row.max())
    if -sign <= lowest and highest < sign:
        return row
    if lowest < 0 or highest >= 2 * sign:
        notes.append(
            f"{named([lead])}: samples of more than the {bits} bits that are stated to be stored; read as they stand"
        )
        return row
    notes.append(f"sign taken from the highest of {bits} stored bits")
    return (row.astype(np.int64) ^ sign) - sign


def _padding_value(group: Any, dtype: np.dtype) -> int | None:
    padding = group.get("WaveformPaddingValue")
    if isinstance(padding, bytes) and len(padding) >= dtype.itemsize:
        return int(np.frombuffer(padding[: dtype.itemsize], dtype=dtype)[0])
    return None


def _stands_apart(counts: np.ndarray, padding: int) -> bool:
    """Whether a padding value lies so far from all samples of its group that it can be none of them."""
    others = counts[counts != padding]
    if others.size == 0:
        return True
    low, high = int(others.min()), int(others.max())
    return not low - _APART * (high - low) <= padding <= high + _APART * (high - low)


def _missing(row: np.ndarray, padding: int | None, apart: bool, rate: float) -> np.ndarray:
    """Where `row` holds padding, or the lowest number of 16 or 32 bits, which devices write for "no sample"."""
    signed = row.dtype.kind == "i" and row.dtype.itemsize > 1
    missing = row == np.iinfo(row.dtype).min if signed else np.zeros(len(row), bool)
    if padding is None:
        return missing
    padded = row == padding
    if apart:
        return missing | padded
    shortest = round(_MIN_PADDING_S * rate)
    ahead = len(row) if padded.all() else int(np.argmin(padded))
    behind = int(np.argmin(padded[::-1]))
    if ahead >= shortest:
        missing[:ahead] = True
    if behind >= shortest:
        missing[len(row) - behind :] = True
    return missing


def _text(dataset: Any, tag: int) -> str:
    """A text or decimal as the file writes it; pydicom's conversion of each would take longer than all else here."""
    if tag not in dataset:
        return ""
    value = dataset.get_item(tag).value
    return (decoded_text(value) if isinstance(value, bytes) else str("" if value is None else value)).strip(" \0")


def _decimal(dataset: Any, tag: int, default: float) -> float:
    text = _text(dataset, tag)
    return float(text) if text else default


def _integer(dataset: Any, tag: int, samples: np.dtype) -> int:
    """A number of 16 bits in the byte order of `samples`; 0 where it is absent."""
    value = dataset.get_item(tag).value if tag in dataset else 0
    if isinstance(value, bytes):
        return int.from_bytes(value, "big" if samples.byteorder == ">" else "little")
    return int(value or 0)


def _unit(channel: Any) -> str | None:
    """The unit by its UCUM code or, if that is not a unit, by its meaning; `None` where nothing is stated."""
    sequence = channel.get(_UNITS)
    texts = (
        [_text(sequence.value[0], tag) for tag in (_CODE_VALUE, _CODE_MEANING)] if sequence and sequence.value else []
    )
    known = [text for text in texts if mv_per_unit(text) is not None]
    return next(iter(known + [text for text in texts if text]), None)


def _lead(channel: Any) -> str:
    """The channel's lead by code or meaning, whichever is one of the standard twelve."""
    sequence = channel.get(_SOURCE)
    names = (
        [_text(sequence.value[0], tag) for tag in (_CODE_VALUE, _CODE_MEANING)] if sequence and sequence.value else []
    )
    names.append(_text(channel, _LABEL))
    known = [text for text in names if canonical_lead(text) in STANDARD_LEADS]
    return canonical_lead(known[0]) if known else next(filter(None, [*names[1:], names[0]]), "")


def _describe(dataset: Any, raw: RawEcg) -> None:
    texts = [str(item.UnformattedTextValue) for item in dataset.get("WaveformAnnotationSequence", []) if
             "UnformattedTextValue" in item]  # fmt: skip
    report, signed = split_signatures(texts)
    raw.report = ". ".join(report) or None
    raw.metadata = {
        "age": parsed_age(dataset.get("PatientAge", "")),
        "sex": parsed_sex(dataset.get("PatientSex", "")),
        "device": known_device(
            " ".join(str(dataset.get(key, "")) for key in ("Manufacturer", "ManufacturerModelName"))
        ),
    }
    raw.identifying = {
        "patient name": str(dataset.get("PatientName", "")),
        "patient id": str(dataset.get("PatientID", "")),
        "birth date": str(dataset.get("PatientBirthDate", "")),
        "study date": str(dataset.get("AcquisitionDateTime", "") or dataset.get("StudyDate", "")),
        "instance uid": str(dataset.get("SOPInstanceUID", "")),
        "signatures": signed,
    }


__all__ = ["is_dicom", "read_dicom"]
