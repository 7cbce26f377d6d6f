# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Binary formats of devices and archives: EDF/BDF, DICOM waveforms, SCP-ECG, Philips Sierra -> `RawEcg`."""

import io
import os
import struct
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .ecg_raw import (
    RawEcg,
    ReadOptions,
    check_size,
    parsed_age,
    parsed_sex,
    require,
    same_rate,
    split_signatures,
    wrapped,
)
from .ecg_record import STANDARD_LEADS, canonical_lead
from .errors_gem import EcgFormatError

_DEFLATED_TRANSFER_SYNTAX = b"1.2.840.10008.1.2.1.99"
_MAX_DEFLATED_BYTES = 2**20
_MAX_EDF_SIGNALS = 4096
_SCP_SECTION_HEADER = 16
# Both decoders below run bit by bit: a resting ECG has 20-300 KB, larger input would take minutes.
_MAX_SCP_BYTES = 2**20
_MAX_SIERRA_BYTES = 2**23
_MAX_XLI_BYTES = 2**19


@contextmanager
def _as_file(data: bytes, suffix: str) -> Iterator[str]:
    """`data` as a file with a neutral name, for libraries that only read from paths."""
    handle, path = tempfile.mkstemp(suffix=suffix)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        yield path
    finally:
        os.unlink(path)


def is_edf(data: bytes) -> bool:
    """EDF (version field `0`) or BioSemi's BDF."""
    return (data[:8] == b"0       " or data[:8] == b"\xffBIOSEMI") and data[184:192].strip().isdigit()


def read_edf(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """EDF, EDF+ or BDF: the ECG channels (label with ECG/EKG or a lead's name; all voltages if none is labelled so).

    Channels of lower sampling rates are resampled to the highest one. Patient and recording fields are identifying.

    Raises:
        EcgFormatError: truncated, discontinuous (EDF+D), corrupt, or no samples.
        MissingDependencyError: pyedflib is not installed (`gem-ecg[edf]`).
    """
    pyedflib = require("pyedflib", "edf", "EDF")
    _check_edf_size(data, name)
    try:
        with _as_file(data, ".edf") as path, pyedflib.EdfReader(path, pyedflib.DO_NOT_READ_ANNOTATIONS) as reader:
            labels = [label.strip() for label in reader.getSignalLabels()]
            chosen = _ecg_channels(labels)
            rates = [float(reader.getSampleFrequency(channel)) for channel in chosen]
            signals = [reader.readSignal(channel) for channel in chosen]
            units = [reader.getPhysicalDimension(channel).strip() or None for channel in chosen]
            header = reader.getHeader()
    except Exception as error:
        raise wrapped(name, "EDF", error) from error
    if not signals or min(len(signal) for signal in signals) == 0:
        raise EcgFormatError(f"{name}: the EDF file holds no samples.")
    names = [labels[channel] for channel in chosen]
    signal, rate = same_rate(signals, rates, names) if len(set(rates)) > 1 else (np.stack(signals), rates[0])
    raw = RawEcg(signal, names, rate, units, start_time=header.get("startdate"))
    if len(set(rates)) > 1:
        raw.notes.append(f"resampled channels of {sorted(set(rates))} Hz to {rate:g} Hz")
    if len(chosen) < len(labels):
        raw.notes.append(f"left out channels {[x for i, x in enumerate(labels) if i not in chosen]}")
    raw.metadata = {"sex": parsed_sex(header.get("sex", "")), "device": header.get("equipment", "")}
    raw.identifying = {
        "patient name": header.get("patientname", ""),
        "patient id": header.get("patientcode", ""),
        "birth date": header.get("birthdate", ""),
        "header text": " ".join(
            str(header.get(key, ""))
            for key in ("patient_additional", "recording_additional", "technician", "admincode")
        ).strip(),
    }
    return raw


def _ecg_channels(labels: list[str]) -> list[int]:
    ecg = [
        channel
        for channel, label in enumerate(labels)
        if "ECG" in label.upper() or "EKG" in label.upper() or canonical_lead(label) in STANDARD_LEADS
    ]
    return ecg or [channel for channel, label in enumerate(labels) if "annotation" not in label.lower()]


def _check_edf_size(data: bytes, name: str) -> None:
    """The declared records fit the file: pyedflib trusts some of these fields when it allocates."""
    try:
        header_bytes, records = int(data[184:192]), int(data[236:244])
        signals = int(data[252:256])
        if not 0 < signals <= _MAX_EDF_SIGNALS or header_bytes != 256 * (signals + 1) or len(data) < header_bytes:
            raise ValueError(f"{signals} signals in a header of {header_bytes} bytes")
        start = 256 + 216 * signals
        samples = [int(data[start + 8 * i : start + 8 * i + 8]) for i in range(signals)]
    except ValueError as error:
        raise EcgFormatError(
            f"{name}: the EDF header is broken ({error}); the file is truncated or corrupt."
        ) from error
    if records == 0 or min(samples) <= 0:
        raise EcgFormatError(
            f"{name}: the EDF header declares no samples ({records} records of {samples[:9]}); export it again."
        )
    bytes_per_sample = 3 if data[:1] == b"\xff" else 2
    needed = header_bytes + max(records, 1) * sum(samples) * bytes_per_sample
    if needed > len(data):
        raise EcgFormatError(
            f"{name}: truncated: {needed:,} bytes are declared, {len(data):,} are there. Copy it again."
        )
    check_size((max(records, 1), sum(samples)), name)


def is_dicom(data: bytes) -> bool:
    return data[128:132] == b"DICM"


def read_dicom(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """A DICOM waveform object: its rhythm multiplex group in physical units (PS3.3 C.10.9.1.4).

    value = sample * sensitivity * correction factor + baseline, per channel; padding values become NaN. Of several
    groups the longest original one is taken (median beats are derived and short).

    Raises:
        EcgFormatError: no waveforms (e.g. an image), truncated waveform data, compressed sample encodings.
        MissingDependencyError: pydicom is not installed (`gem-ecg[dicom]`).
    """
    pydicom = require("pydicom", "dicom", "DICOM")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The transfer syntax stands in the uncompressed head; pydicom would inflate without a bound.
            if _DEFLATED_TRANSFER_SYNTAX in data[:2048] and len(data) > _MAX_DEFLATED_BYTES:
                raise EcgFormatError(f"{name}: a deflated DICOM of {len(data):,} bytes; store it uncompressed.")
            dataset = pydicom.dcmread(io.BytesIO(data))
            if not dataset.get("WaveformSequence"):
                raise EcgFormatError(
                    f"{name}: a DICOM object without waveforms (modality {str(dataset.get('Modality', '?'))[:16]}); "
                    "an ECG has a Waveform Sequence. A scanned page in DICOM: export it as PNG."
                )
            return _dicom_record(dataset, name)
    except Exception as error:
        raise wrapped(name, "DICOM", error) from error


def _dicom_record(dataset: Any, name: str) -> RawEcg:
    groups = list(dataset.WaveformSequence)
    rhythm = max(groups, key=_dicom_group_rank)
    signal = _dicom_samples(rhythm, name)
    channels = rhythm.ChannelDefinitionSequence
    leads, units = [], []
    for row, channel in enumerate(channels):
        unit = channel.get("ChannelSensitivityUnitsSequence")
        if "ChannelSensitivity" not in channel or not unit:
            raise EcgFormatError(
                f"{name}: channel {row + 1} has no sensitivity; without it the amplitudes are unknown."
            )
        factor = float(channel.ChannelSensitivity) * float(
            channel.get("ChannelSensitivityCorrectionFactor", 1.0) or 1.0
        )
        if factor == 0 or not np.isfinite(factor):
            raise EcgFormatError(f"{name}: channel {row + 1} has a sensitivity of {factor}; export the file again.")
        signal[row] = signal[row] * factor + float(channel.get("ChannelBaseline", 0.0) or 0.0)
        units.append(str(unit[0].get("CodeValue", "")))
        leads.append(_dicom_lead(channel))
    raw = RawEcg(signal, leads, float(rhythm.SamplingFrequency), units)
    if len(groups) > 1:
        raw.notes.append(
            f"took the longest original of {len(groups)} waveform groups, left out {_other_leads(groups, rhythm)}"
        )
    _describe_dicom(dataset, raw)
    return raw


def _other_leads(groups: list[Any], chosen: Any) -> str:
    """The leads of the groups that are not read, e.g. `"I, II, V1 (600 samples)"`."""
    parts = []
    for group in groups:
        if group is not chosen:
            names = ", ".join(
                canonical_lead(_dicom_lead(channel)) for channel in group.get("ChannelDefinitionSequence") or []
            )
            parts.append(f"{names} ({group.get('NumberOfWaveformSamples', 0)} samples)")
    return "; ".join(parts)


def _dicom_group_rank(group: Any) -> tuple[bool, int]:
    return str(group.get("WaveformOriginality", "ORIGINAL")) == "ORIGINAL", int(
        group.get("NumberOfWaveformSamples", 0)
    )


def _dicom_samples(group: Any, name: str) -> np.ndarray:
    """float64 `(channels, samples)` of one multiplex group, padding as NaN."""
    channels, samples = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    check_size((channels, samples), name)
    kinds = {"SB": "i1", "UB": "u1", "SS": "<i2", "US": "<u2", "SL": "<i4", "UL": "<u4"}
    interpretation = str(group.WaveformSampleInterpretation)
    if interpretation not in kinds:
        raise EcgFormatError(
            f"{name}: samples are encoded as {interpretation!r}; read are {list(kinds)}; export it uncompressed."
        )
    dtype = np.dtype(kinds[interpretation])
    packed = bytes(group.WaveformData)
    needed = channels * samples * dtype.itemsize
    if len(packed) < needed or len(group.ChannelDefinitionSequence) != channels:
        raise EcgFormatError(
            f"{name}: truncated: {channels} channels of {samples} samples need {needed:,} bytes, {len(packed):,} are "
            f"there for {len(group.ChannelDefinitionSequence)} channel definitions."
        )
    counts = np.frombuffer(packed[:needed], dtype=dtype).reshape(samples, channels).T
    signal = counts.astype(np.float64)
    padding = group.get("WaveformPaddingValue")
    if isinstance(padding, bytes) and len(padding) >= dtype.itemsize:
        signal[counts == np.frombuffer(padding[: dtype.itemsize], dtype=dtype)[0]] = np.nan
    return signal


def _dicom_lead(channel: Any) -> str:
    """The channel's lead by code or meaning, whichever is one of the standard twelve."""
    source = (channel.get("ChannelSourceSequence") or [{}])[0]
    names = [str(source.get(key, "")) for key in ("CodeValue", "CodeMeaning")] + [str(channel.get("ChannelLabel", ""))]
    known = [canonical_lead(text) for text in names if canonical_lead(text) in STANDARD_LEADS]
    return known[0] if known else names[1] or names[2] or names[0]


def _describe_dicom(dataset: Any, raw: RawEcg) -> None:
    texts = [str(item.UnformattedTextValue) for item in dataset.get("WaveformAnnotationSequence", []) if
             "UnformattedTextValue" in item]  # fmt: skip
    report, signed = split_signatures(texts)
    raw.report = ". ".join(report) or None
    raw.metadata = {
        "age": parsed_age(dataset.get("PatientAge", "")),
        "sex": parsed_sex(dataset.get("PatientSex", "")),
        "device": " ".join(str(dataset.get(key, "")) for key in ("Manufacturer", "ManufacturerModelName")).strip(),
    }
    raw.identifying = {
        "patient name": str(dataset.get("PatientName", "")),
        "patient id": str(dataset.get("PatientID", "")),
        "birth date": str(dataset.get("PatientBirthDate", "")),
        "study date": str(dataset.get("AcquisitionDateTime", "") or dataset.get("StudyDate", "")),
        "instance uid": str(dataset.get("SOPInstanceUID", "")),
        "signatures": signed,
    }


def is_scp(data: bytes) -> bool:
    """SCP-ECG: section 0 with its pointers follows the six bytes of CRC and record length (EN 1064, 5.2)."""
    if len(data) < 6 + _SCP_SECTION_HEADER + 10:
        return False
    section, length = struct.unpack("<HI", data[8:14])
    first_pointer_section, _, first_index = struct.unpack("<HII", data[22:32])
    return (
        section == 0 and length >= 26 and (length - 16) % 10 == 0 and first_pointer_section == 0 and first_index == 7
    )


def read_scp(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """SCP-ECG (EN 1064, ISO 11073-91064): the rhythm of section 6, Huffman and reference beats undone.

    Raises:
        EcgFormatError: truncated, corrupt, or of a kind that the library does not decode (bimodal compression).
        MissingDependencyError: ecgdatakit is not installed (`gem-ecg[vendor]`).
    """
    if len(data) > _MAX_SCP_BYTES:
        raise EcgFormatError(
            f"{name}: an SCP-ECG file of {len(data):,} bytes is no resting ECG (up to {_MAX_SCP_BYTES:,})."
        )
    parsers = require("ecgdatakit.parsing.parsers.scp_ecg", "vendor", "SCP-ECG")
    return _from_ecgdatakit(parsers.SCPECGParser(), data, ".scp", "SCP-ECG", name)


def read_sierra(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """Philips Sierra XML, plain or XLI-compressed. The caller has parsed `data` safely before.

    Raises:
        EcgFormatError: truncated, corrupt, or of an unknown version.
        MissingDependencyError: ecgdatakit is not installed (`gem-ecg[vendor]`).
    """
    compressed = b"XLI" in data.replace(b"\0", b"").upper()
    limit = _MAX_XLI_BYTES if compressed else _MAX_SIERRA_BYTES
    if len(data) > limit:
        raise EcgFormatError(f"{name}: a Philips XML of {len(data):,} bytes is no resting ECG (up to {limit:,}).")
    parsers = require("ecgdatakit.parsing.parsers.sierra_xml", "vendor", "Philips Sierra XML")
    return _from_ecgdatakit(parsers.SierraXMLParser(), data, ".xml", "Philips Sierra XML", name)


def _from_ecgdatakit(parser: Any, data: bytes, suffix: str, what: str, name: str) -> RawEcg:
    try:
        with _as_file(data, suffix) as path, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            parsed = parser.parse(path)
    except Exception as error:
        raise wrapped(name, what, error) from error
    if not parsed.leads:
        raise EcgFormatError(f"{name}: this {what} file holds no rhythm leads.")
    leads, signals, rates = [], [], []
    for lead in parsed.leads:
        if not lead.resolution or not lead.resolution_unit:
            raise EcgFormatError(
                f"{name}: lead {lead.label} has a gain of 0; the amplitudes are unknown. Export it again."
            )
        physical = lead.to_physical() if lead.is_raw else lead
        leads.append(lead.label)
        signals.append(np.asarray(physical.convert_units("mV").samples, dtype=np.float64))
        rates.append(float(lead.sampling_rate))
    starts = [int(lead.annotations.get("start_sample", 1)) - 1 for lead in parsed.leads]
    lengths = {start + len(signal) for start, signal in zip(starts, signals, strict=True)}
    if len(set(rates)) > 1 or any(len(signal) == 0 for signal in signals) or min(starts) < 0:
        raise EcgFormatError(
            f"{name}: leads of {sorted(set(rates))} Hz with {sorted(lengths)} samples; export it again."
        )
    check_size((len(signals), max(lengths)), name)
    raw = RawEcg(_aligned(signals, starts), leads, rates[0], "mV")
    if len(lengths) > 1 or any(starts):
        raw.notes.append("leads were recorded one after another: missing samples where a lead was not recorded")
    raw.notes += sorted({f"reader's warning: {warning.message}" for warning in caught})
    _describe_ecgdatakit(parsed, raw)
    return raw


def _aligned(signals: list[np.ndarray], starts: list[int]) -> np.ndarray:
    """Each lead at its own first sample in a common `(leads, samples)` array of missing samples."""
    ends = [start + len(signal) for start, signal in zip(starts, signals, strict=True)]
    aligned = np.full((len(signals), max(ends)), np.nan)
    for row, signal, start, end in zip(aligned, signals, starts, ends, strict=True):
        row[start:end] = signal
    return aligned


def _describe_ecgdatakit(parsed: Any, raw: RawEcg) -> None:
    patient, recording = parsed.patient, parsed.recording
    statements = [" ".join(filter(None, pair)) for pair in parsed.interpretation.statements]
    report, signed = split_signatures(statements)
    raw.report = ". ".join(report) or None
    raw.metadata = {
        "age": patient.age,
        "sex": parsed_sex(patient.sex),
        "device": " ".join(filter(None, (recording.device.manufacturer, recording.device.model))),
    }
    raw.start_time = recording.date
    raw.identifying = {
        "patient name": f"{patient.first_name} {patient.last_name}".strip(),
        "patient id": patient.patient_id,
        "birth date": patient.birth_date.date().isoformat() if patient.birth_date else "",
        "clinical history": patient.clinical_history,
        "signatures": signed + [x for x in (recording.technician, recording.referring_physician) if x],
    }


__all__ = ["is_dicom", "is_edf", "is_scp", "read_dicom", "read_edf", "read_scp", "read_sierra"]
