# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""GE MUSE, HL7 aECG and Schiller XML -> `RawEcg`; Philips Sierra XML goes on to its own reader.

Every document is parsed by `defusedxml`: entity declarations (entity bombs, external entities) are refused.
"""

import base64
import binascii
import re
import zlib
from typing import Any

import numpy as np

from .ecg_raw import RawEcg, ReadOptions, check_size, parsed_age, parsed_sex, split_signatures, wrapped
from .ecg_readers_devices import read_sierra
from .errors_gem import EcgFormatError

MAX_XML_BYTES = 64 * 2**20
_MUSE_MEASUREMENTS = (
    "VentricularRate", "AtrialRate", "PRInterval", "QRSDuration", "QTInterval", "QTCorrected",
    "PAxis", "RAxis", "TAxis",
)  # fmt: skip
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


def is_xml(data: bytes) -> bool:
    """Whether `data` starts like an XML document (with or without byte order mark, UTF-8 or UTF-16)."""
    head = data[:128].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe").lstrip()
    return head.startswith(b"<") and not head[:15].lower().startswith((b"<html", b"<!doctype html"))


def read_xml(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """An ECG in XML, told apart by its root element.

    - GE MUSE `RestingECG`: the rhythm waveform, base64 of 16-bit little-endian counts times their
      `LeadAmplitudeUnitsPerBit`.
    - HL7 aECG `AnnotatedECG`: the rhythm series, `origin + digits * scale` (HL7 Implementation Guide for aECG 1.0).
    - Schiller `SchillerEDI`: `ECG_RHYTHMS` channels.
    - Philips `restingecgdata` (Sierra): needs `gem-ecg[vendor]`.

    Raises:
        EcgFormatError: not well-formed, entity declarations, another kind of document, or broken waveforms.
    """
    if len(data) > MAX_XML_BYTES:
        raise EcgFormatError(
            f"{name}: an XML file of {len(data):,} bytes is no resting ECG (limit {MAX_XML_BYTES:,}); export it alone."
        )
    root = _parse(data, name)
    kind = _local(root.tag)
    if kind == "RestingECG":
        return _read_muse(root, name)
    if kind == "AnnotatedECG":
        return _read_aecg(root, name)
    if kind.endswith("SchillerEDI"):
        return _read_schiller(root, name)
    if kind == "restingecgdata":
        return read_sierra(data, options, name)
    raise EcgFormatError(
        f"{name}: XML with the root element <{kind[:60]}> is no known ECG; known are RestingECG (GE MUSE), "
        "AnnotatedECG (HL7), restingecgdata (Philips) and SchillerEDI. Export it as one of them or as DICOM."
    )


def _parse(data: bytes, name: str) -> Any:
    from defusedxml import DefusedXmlException, ElementTree

    try:
        return ElementTree.fromstring(data)
    except DefusedXmlException as error:
        raise EcgFormatError(
            f"{name}: the XML declares entities or external references ({type(error).__name__}), which are never "
            "expanded. No ECG device writes them; export the file again."
        ) from error
    except Exception as error:
        raise wrapped(name, "XML", error) from error


def _local(tag: Any) -> str:
    return str(tag).rpartition("}")[2]


def _children(element: Any, name: str) -> list[Any]:
    return [child for child in element if _local(child.tag) == name]


def _find(element: Any, path: str) -> Any:
    """The first element at `path` (local names joined by `/`), or `None`."""
    for part in path.split("/"):
        element = next(iter(_children(element, part)), None) if element is not None else None
    return element


def _text(element: Any, path: str, default: str = "") -> str:
    found = _find(element, path)
    return (found.text or "").strip() if found is not None else default


def _float(text: str, what: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise EcgFormatError(f"{name}: {what} is {text[:40]!r}, not a number; the file is corrupt.")
    return value


def _stacked(rows: list[np.ndarray], leads: list[str], name: str) -> np.ndarray:
    if not rows:
        raise EcgFormatError(f"{name}: the document has no rhythm waveform (only measurements or median beats).")
    lengths = {lead: len(row) for lead, row in zip(leads, rows, strict=True)}
    if len(set(lengths.values())) > 1:
        raise EcgFormatError(f"{name}: leads of unequal length {lengths}; the file is truncated.")
    check_size((len(rows), len(rows[0])), name)
    return np.stack(rows)


def _read_muse(root: Any, name: str) -> RawEcg:
    waveforms = _children(root, "Waveform")
    rhythms = [waveform for waveform in waveforms if _text(waveform, "WaveformType").lower() == "rhythm"]
    if not rhythms:
        kinds = [_text(waveform, "WaveformType") for waveform in waveforms]
        raise EcgFormatError(f"{name}: MUSE XML without a rhythm waveform (it has {kinds}); export it with waveforms.")
    rhythm = rhythms[0]
    exponent = _float(_text(rhythm, "SampleExponent") or "0", "SampleExponent", name)
    rate = _float(_text(rhythm, "SampleBase"), "SampleBase", name) * 10.0**exponent
    leads, rows, units, notes = [], [], [], []
    for lead in _children(rhythm, "LeadData"):
        lead_id = _text(lead, "LeadID")
        row, intact = _muse_samples(lead, lead_id, name)
        if not intact:
            notes.append(f"lead {lead_id}: its CRC-32 does not match the samples, they may be damaged")
        if _text(lead, "LeadOff").upper() == "TRUE":
            notes.append(f"lead {lead_id}: the device reports the electrode as off")
        leads.append(lead_id)
        rows.append(row)
        units.append(_text(lead, "LeadAmplitudeUnits") or None)
    if len(rhythms) > 1:
        notes.append(f"took the first of {len(rhythms)} rhythm waveforms")
    report, signed = split_signatures(_muse_statement_lines(root))
    patient = _find(root, "PatientDemographics")
    raw = RawEcg(_stacked(rows, leads, name), leads, rate, units, report=". ".join(report) or None, notes=notes)
    raw.metadata = {
        "age": _muse_age(patient),
        "sex": parsed_sex(_text(patient, "Gender")),
        "device": _text(root, "TestDemographics/AcquisitionDevice"),
        "high_pass_hz": _filter_hz(_text(rhythm, "HighPassFilter"), 100),
        "low_pass_hz": _filter_hz(_text(rhythm, "LowPassFilter"), 1),
        "device_measurements": _muse_measurements(root),
    }
    raw.identifying = {
        "patient id": _text(patient, "PatientID"),
        "patient name": " ".join(filter(None, (_text(patient, f"Patient{n}Name") for n in ("First", "Last")))),
        "birth date": _text(patient, "DateofBirth"),
        "acquisition date": _text(root, "TestDemographics/AcquisitionDate"),
        "signatures": signed,
    }
    return raw


def _muse_statement_lines(root: Any) -> list[str]:
    """The diagnosis: one line of text may be spread over several statements, the last of which is flagged."""
    lines: list[str] = []
    parts: list[str] = []
    diagnosis = _find(root, "Diagnosis")
    for statement in _children(diagnosis, "DiagnosisStatement") if diagnosis is not None else []:
        parts.append(_text(statement, "StmtText"))
        flags = [(flag.text or "").strip() for flag in _children(statement, "StmtFlag")]
        if "ENDSLINE" in flags or "USERINSERT" in flags:
            lines.append(" ".join(parts))
            parts = []
    return [*lines, " ".join(parts)]


def _muse_samples(lead: Any, lead_id: str, name: str) -> tuple[np.ndarray, bool]:
    """The counts of one lead times its scale, and whether its checksum holds."""
    size = _text(lead, "LeadSampleSize") or "2"
    if size != "2":
        raise EcgFormatError(f"{name}: lead {lead_id} has {size[:8]} bytes per sample; MUSE exports 2.")
    try:
        packed = base64.b64decode("".join(_text(lead, "WaveFormData").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise EcgFormatError(f"{name}: lead {lead_id} is not base64 ({error}); the file is corrupt.") from error
    declared = _text(lead, "LeadSampleCountTotal")
    if len(packed) % 2 or not packed or (declared.isdecimal() and int(declared) != len(packed) // 2):
        raise EcgFormatError(
            f"{name}: lead {lead_id} holds {len(packed)} bytes, {declared or 'some'} samples of 2 bytes were "
            "declared; the file is truncated."
        )
    scale = _float(_text(lead, "LeadAmplitudeUnitsPerBit"), f"lead {lead_id}'s LeadAmplitudeUnitsPerBit", name)
    if scale == 0:
        raise EcgFormatError(f"{name}: lead {lead_id} has a gain of 0 (LeadAmplitudeUnitsPerBit); export it again.")
    checksum = _text(lead, "LeadDataCRC32")
    intact = not checksum.isdecimal() or int(checksum) == zlib.crc32(packed)
    return np.frombuffer(packed, dtype="<i2") * scale, intact


def _muse_age(patient: Any) -> int | None:
    unit = {"YEARS": "Y", "MONTHS": "M", "WEEKS": "W", "DAYS": "D"}.get(_text(patient, "AgeUnits").upper(), "Y")
    return parsed_age(_text(patient, "PatientAge") + unit)


def _filter_hz(text: str, divisor: int) -> float | None:
    """MUSE writes the high-pass corner in hundredths of Hz, the low-pass in Hz."""
    return int(text) / divisor if text.isdecimal() else None


def _muse_measurements(root: Any) -> dict[str, int]:
    block = _find(root, "RestingECGMeasurements")
    values = {key: _text(block, key) for key in _MUSE_MEASUREMENTS}
    return {key: int(text) for key, text in values.items() if re.fullmatch(r"-?\d{1,5}", text)}


def _read_aecg(root: Any, name: str) -> RawEcg:
    series = [found for component in _children(root, "component") for found in _children(component, "series")]
    sets = [
        found
        for item in series
        for component in _children(item, "component")
        for found in _children(component, "sequenceSet")
    ]
    if not sets:
        raise EcgFormatError(
            f"{name}: this aECG has no rhythm series (component/series/component/sequenceSet); export it again."
        )
    leads: list[str] = []
    rows: list[np.ndarray] = []
    units: list[str | None] = []
    rate = None
    for component in _children(sets[0], "component"):
        sequence = _find(component, "sequence")
        code = _find(sequence, "code")
        value = _find(sequence, "value")
        if sequence is None or code is None or value is None:
            continue
        label = code.get("code", "")
        if label.startswith("TIME_"):
            rate = _aecg_rate(value, name)
            continue
        row, unit = _aecg_samples(value, label, name)
        leads.append(label)
        rows.append(row)
        units.append(unit)
    notes = [f"took the first of {len(sets)} sequence sets"] if len(sets) > 1 else []
    raw = RawEcg(_stacked(rows, leads, name), leads, rate, units, notes=notes)
    _describe_aecg(root, raw)
    return raw


def _aecg_rate(value: Any, name: str) -> float:
    increment = _find(value, "increment")
    step = _float(increment.get("value", "") if increment is not None else "", "the time increment", name)
    unit = increment.get("unit", "s") if increment is not None else "s"
    if step <= 0 or unit not in _SECONDS:
        raise EcgFormatError(
            f"{name}: a time increment of {step} {unit!r} gives no sampling rate; pass `sampling_rate`."
        )
    rate = 1.0 / (step * _SECONDS[unit])
    return round(rate) if abs(rate - round(rate)) < 1e-6 * rate else rate


def _aecg_samples(value: Any, label: str, name: str) -> tuple[np.ndarray, str | None]:
    origin, scale = _find(value, "origin"), _find(value, "scale")
    if scale is None:
        raise EcgFormatError(f"{name}: lead {label} has no scale; without it the amplitudes are unknown.")
    factor = _float(scale.get("value", ""), f"lead {label}'s scale", name)
    offset = _float(origin.get("value", "0"), f"lead {label}'s origin", name) if origin is not None else 0.0
    if factor == 0:
        raise EcgFormatError(f"{name}: lead {label} has a scale of 0; export it again.")
    unit = scale.get("unit")
    if origin is not None and offset and origin.get("unit", unit) != unit:
        raise EcgFormatError(
            f"{name}: lead {label} has its origin in {origin.get('unit')!r} but its scale in {unit!r}."
        )
    return _numbers(_text(value, "digits"), label, name) * factor + offset, unit


def _describe_aecg(root: Any, raw: RawEcg) -> None:
    person = next((item for item in root.iter() if _local(item.tag) == "subjectDemographicPerson"), None)
    subject = next((item for item in root.iter() if _local(item.tag) == "trialSubject"), None)
    if person is not None:
        gender = _find(person, "administrativeGenderCode")
        raw.metadata["sex"] = parsed_sex(gender.get("code", "")) if gender is not None else None
        birth = _find(person, "birthTime")
        raw.identifying["patient name"] = (
            " ".join(" ".join(_find(person, "name").itertext()).split()) if (_find(person, "name") is not None) else ""
        )
        raw.identifying["birth date"] = birth.get("value", "") if birth is not None else ""
    subject_id = _find(subject, "id")
    if subject_id is not None:
        raw.identifying["patient id"] = subject_id.get("extension", "") or subject_id.get("root", "")
    low = _find(root, "effectiveTime/low")
    if low is not None:
        raw.identifying["acquisition date"] = low.get("value", "")


def _numbers(text: str, label: str, name: str) -> np.ndarray:
    """Integers or decimals separated by blanks, commas or semicolons."""
    try:
        return np.array([float(sample) for sample in text.replace(",", " ").replace(";", " ").split()])
    except ValueError as error:
        raise EcgFormatError(
            f"{name}: lead {label} has a sample that is no number ({error}); export it again."
        ) from error


def _read_schiller(root: Any, name: str) -> RawEcg:
    waves = [item for item in root.iter() if _local(item.tag) == "wavedata" and _text(item, "type") == "ECG_RHYTHMS"]
    if not waves:
        raise EcgFormatError(f"{name}: Schiller XML without ECG_RHYTHMS; export it with the rhythm.")
    wave = waves[0]
    scale = _float(_text(wave, "resolution/yres/unitperbit"), "unitperbit", name)
    if scale == 0:
        raise EcgFormatError(f"{name}: a gain of 0 (unitperbit); export it again.")
    rate = _float(_text(wave, "resolution/samplerate/value"), "samplerate", name)
    leads, rows = [], []
    for channel in _children(wave, "channel"):
        leads.append(_text(channel, "name"))
        rows.append(_numbers(_text(channel, "data"), leads[-1], name) * scale)
        declared = _text(channel, "samplecount")
        if declared.isdecimal() and int(declared) != len(rows[-1]):
            raise EcgFormatError(
                f"{name}: lead {leads[-1]} has {len(rows[-1])} of {declared} samples; it is truncated."
            )
    raw = RawEcg(_stacked(rows, leads, name), leads, rate, _text(wave, "resolution/yres/units") or None)
    patient = _find(root, "patdata")
    raw.metadata = {
        "sex": parsed_sex(_text(patient, "gender")),
        "device": _text(root, "examdescript/aquiringdevice/hardware/model"),
    }
    raw.identifying = {
        "patient id": _text(patient, "id"),
        "patient name": f"{_text(patient, 'firstname')} {_text(patient, 'lastname')}".strip(),
        "birth date": _text(patient, "birthdate"),
        "acquisition date": _text(root, "examdescript/startdatetime/date"),
    }
    return raw


__all__ = ["is_xml", "read_xml"]
