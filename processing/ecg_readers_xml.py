# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""GE MUSE and Schiller XML -> `RawEcg`; HL7 aECG and Philips Sierra XML go on to their own readers."""

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from .ecg_identity import known_device, named, quoted, split_signatures
from .ecg_parts import Strip, merged, without_calibration
from .ecg_raw import NO_SAMPLE_16, RawEcg, ReadOptions, parsed_age, parsed_sex
from .ecg_readers_aecg import read_aecg
from .ecg_readers_devices import read_sierra
from .ecg_xml import (
    check_equal_lengths,
    children,
    find,
    local_name,
    number,
    numbers,
    parsed_xml,
    text_at,
)
from .errors_gem import EcgFormatError

MAX_XML_BYTES = 64 * 2**20
_MUSE_MEASUREMENTS = (
    "VentricularRate", "AtrialRate", "PRInterval", "QRSDuration", "QTInterval", "QTCorrected",
    "PAxis", "RAxis", "TAxis",
)  # fmt: skip


def is_xml(data: bytes) -> bool:
    """Whether `data` starts like an XML document (with or without byte order mark, UTF-8 or UTF-16)."""
    head = data[:128].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe").lstrip()
    return head.startswith(b"<") and not head[:15].lower().startswith((b"<html", b"<!doctype html"))


def read_xml(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """An ECG in XML, distinguished by its root element.

    - GE MUSE `RestingECG`: all rhythm waveforms, base64 of 16-bit little-endian counts times their
      `LeadAmplitudeUnitsPerBit`; `WaveformStartTime` and `LeadTimeOffset` in ms.
    - HL7 aECG `AnnotatedECG`: see `read_aecg`.
    - Schiller `SchillerEDI`: all `ECG_RHYTHMS` channels.
    - Philips `restingecgdata` (Sierra): needs `gem-ecg[vendor]`.

    Raises:
        EcgFormatError: not well-formed, entity declarations, another kind of document, or broken waveforms.
    """
    if len(data) > MAX_XML_BYTES:
        raise EcgFormatError(
            f"{name}: an XML file of {len(data):,} bytes is not a resting ECG (limit {MAX_XML_BYTES:,}); export it alone."
        )
    root = parsed_xml(data, name)
    kind = local_name(root.tag)
    if kind == "RestingECG":
        return without_calibration(_read_muse(root, options, name))
    if kind == "AnnotatedECG":
        return without_calibration(read_aecg(root, options, name))
    if kind.endswith("SchillerEDI"):
        return without_calibration(_read_schiller(root, options, name))
    if kind == "restingecgdata":
        return read_sierra(data, options, name)
    raise EcgFormatError(
        f"{name}: XML with the root element <{kind[:60]}> is not a known ECG format; known are RestingECG (GE MUSE), "
        "AnnotatedECG (HL7), restingecgdata (Philips) and SchillerEDI. Export it as one of them or as DICOM."
    )


def _read_muse(root: Any, options: ReadOptions, name: str) -> RawEcg:
    waveforms = children(root, "Waveform")
    kinds = [text_at(waveform, "WaveformType") for waveform in waveforms]
    rhythms = [waveform for waveform, kind in zip(waveforms, kinds, strict=True) if kind.lower() == "rhythm"]
    notes: list[str] = []
    strips = [strip for part, block in enumerate(rhythms) for strip in _muse_strips(block, part, name, notes)]
    if not strips:
        raise EcgFormatError(f"{name}: MUSE XML without a rhythm waveform (it has {kinds}); export it with waveforms.")
    raw = merged(strips, name, options.index)
    raw.notes += notes
    others = [kind for kind in kinds if kind.lower() != "rhythm"]
    if others:
        raw.notes.append(f"left out waveforms that are no rhythm: {', '.join(map(quoted, others))}")
    _describe_muse(root, rhythms[0], raw)
    return raw


def _muse_strips(block: Any, part: int, name: str, notes: list[str]) -> Iterator[Strip]:
    exponent = number(text_at(block, "SampleExponent") or "0", "SampleExponent", name)
    rate = number(text_at(block, "SampleBase"), "SampleBase", name) * 10.0**exponent
    if rate <= 0:
        raise EcgFormatError(f"{name}: a sampling rate (SampleBase) of {rate:g} Hz; export it again.")
    start = number(text_at(block, "WaveformStartTime") or "0", "WaveformStartTime", name)
    lengths: dict[str, int] = {}
    for lead in children(block, "LeadData"):
        lead_id = text_at(lead, "LeadID")
        row, intact = _muse_samples(lead, lead_id, name)
        if not intact:
            notes.append(f"lead {named([lead_id])}: its CRC-32 does not match the samples, they may be damaged")
        if text_at(lead, "LeadOff").upper() == "TRUE":
            notes.append(f"lead {named([lead_id])}: the device reports the electrode as off")
        offset = number(text_at(lead, "LeadTimeOffset") or "0", f"lead {lead_id}'s LeadTimeOffset", name)
        lengths[lead_id] = len(row)
        unit = text_at(lead, "LeadAmplitudeUnits") or None
        yield Strip(lead_id, row, rate, unit, (start + offset) / 1000, part)
    check_equal_lengths(lengths, name)


def _describe_muse(root: Any, rhythm: Any, raw: RawEcg) -> None:
    report, signed = split_signatures(_muse_statement_lines(root))
    raw.report = ". ".join(report) or None
    patient = find(root, "PatientDemographics")
    raw.metadata = {
        "age": _muse_age(patient),
        "sex": parsed_sex(text_at(patient, "Gender")),
        "device": known_device(text_at(root, "TestDemographics/AcquisitionDevice")),
        "high_pass_hz": _filter_hz(text_at(rhythm, "HighPassFilter"), 100),
        "low_pass_hz": _filter_hz(text_at(rhythm, "LowPassFilter"), 1),
        "device_measurements": _muse_measurements(root),
    }
    raw.identifying = {
        "patient id": text_at(patient, "PatientID"),
        "patient name": " ".join(filter(None, (text_at(patient, f"Patient{n}Name") for n in ("First", "Last")))),
        "birth date": text_at(patient, "DateofBirth"),
        "acquisition date": text_at(root, "TestDemographics/AcquisitionDate"),
        "signatures": signed,
    }


def _muse_statement_lines(root: Any) -> list[str]:
    """The diagnosis: one line of text may be spread over several statements, the last of which is flagged."""
    lines: list[str] = []
    parts: list[str] = []
    diagnosis = find(root, "Diagnosis")
    for statement in children(diagnosis, "DiagnosisStatement") if diagnosis is not None else []:
        parts.append(text_at(statement, "StmtText"))
        flags = [(flag.text or "").strip() for flag in children(statement, "StmtFlag")]
        if "ENDSLINE" in flags or "USERINSERT" in flags:
            lines.append(" ".join(parts))
            parts = []
    return [*lines, " ".join(parts)]


def _muse_samples(lead: Any, lead_id: str, name: str) -> tuple[np.ndarray, bool]:
    """The counts of one lead times its scale, and whether its checksum holds."""
    size = text_at(lead, "LeadSampleSize") or "2"
    if size != "2":
        raise EcgFormatError(f"{name}: lead {lead_id} has {size[:8]} bytes per sample; MUSE exports 2.")
    try:
        packed = base64.b64decode("".join(text_at(lead, "WaveFormData").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise EcgFormatError(f"{name}: lead {lead_id} is not base64 ({error}); the file is corrupt.") from error
    declared = text_at(lead, "LeadSampleCountTotal")
    if len(packed) % 2 or not packed or (declared.isdecimal() and int(declared) != len(packed) // 2):
        raise EcgFormatError(
            f"{name}: lead {lead_id} holds {len(packed)} bytes, {declared or 'some'} samples of 2 bytes were "
            "declared; the file is truncated."
        )
    scale = number(text_at(lead, "LeadAmplitudeUnitsPerBit"), f"lead {lead_id}'s LeadAmplitudeUnitsPerBit", name)
    if scale == 0:
        raise EcgFormatError(f"{name}: lead {lead_id} has a gain of 0 (LeadAmplitudeUnitsPerBit); export it again.")
    checksum = text_at(lead, "LeadDataCRC32")
    intact = not checksum.isdecimal() or int(checksum) == zlib.crc32(packed)
    counts = np.frombuffer(packed, dtype="<i2")
    return np.where(counts == NO_SAMPLE_16, np.nan, counts * scale), intact


def _muse_age(patient: Any) -> int | None:
    unit = {"YEARS": "Y", "MONTHS": "M", "WEEKS": "W", "DAYS": "D"}.get(text_at(patient, "AgeUnits").upper(), "Y")
    return parsed_age(text_at(patient, "PatientAge") + unit)


def _filter_hz(text: str, divisor: int) -> float | None:
    """MUSE writes the high-pass corner in hundredths of Hz, the low-pass in Hz."""
    return int(text) / divisor if text.isdecimal() else None


def _muse_measurements(root: Any) -> dict[str, int]:
    block = find(root, "RestingECGMeasurements")
    values = {key: text_at(block, key) for key in _MUSE_MEASUREMENTS}
    return {key: int(text) for key, text in values.items() if re.fullmatch(r"-?\d{1,5}", text)}


def _read_schiller(root: Any, options: ReadOptions, name: str) -> RawEcg:
    waves = [
        item for item in root.iter() if local_name(item.tag) == "wavedata" and text_at(item, "type") == "ECG_RHYTHMS"
    ]
    strips = [strip for part, wave in enumerate(waves) for strip in _schiller_strips(wave, part, name)]
    if not strips:
        raise EcgFormatError(f"{name}: Schiller XML without ECG_RHYTHMS; export it with the rhythm.")
    raw = merged(strips, name, options.index)
    patient = find(root, "patdata")
    raw.metadata = {
        "sex": parsed_sex(text_at(patient, "gender")),
        "device": known_device(text_at(root, "examdescript/aquiringdevice/hardware/model")),
    }
    raw.identifying = {
        "patient id": text_at(patient, "id"),
        "patient name": f"{text_at(patient, 'firstname')} {text_at(patient, 'lastname')}".strip(),
        "birth date": text_at(patient, "birthdate"),
        "acquisition date": text_at(root, "examdescript/startdatetime/date"),
    }
    return raw


def _schiller_strips(wave: Any, part: int, name: str) -> Iterator[Strip]:
    scale = number(text_at(wave, "resolution/yres/unitperbit"), "unitperbit", name)
    rate = number(text_at(wave, "resolution/samplerate/value"), "samplerate", name)
    if scale == 0 or rate <= 0:
        raise EcgFormatError(f"{name}: a gain (unitperbit) of {scale:g} and a rate of {rate:g} Hz; export it again.")
    unit = text_at(wave, "resolution/yres/units") or None
    lengths: dict[str, int] = {}
    for channel in children(wave, "channel"):
        lead = text_at(channel, "name")
        row = numbers(text_at(channel, "data"), lead, name) * scale
        declared = text_at(channel, "samplecount")
        if declared.isdecimal() and int(declared) != len(row):
            raise EcgFormatError(f"{name}: lead {lead} has {len(row)} of {declared} samples; it is truncated.")
        lengths[lead] = len(row)
        yield Strip(lead, row, rate, unit, part=part)
    check_equal_lengths(lengths, name)


__all__ = ["is_xml", "read_xml"]
