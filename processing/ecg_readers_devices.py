# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What `ecgdatakit` decodes: SCP-ECG and Philips Sierra XML -> `RawEcg`."""

import binascii
import os
import struct
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .ecg_identity import known_device, named, quoted, split_signatures
from .ecg_parts import Strip, merged, without_calibration
from .ecg_raw import NO_SAMPLE_16, RawEcg, ReadOptions, parsed_sex, wrapped
from .errors_gem import EcgFormatError
from .extras_gem import require

_SCP_SECTION_HEADER = 16
# Both decoders below run bit by bit: a resting ECG has 20-300 KB, larger input would take minutes.
_MAX_SCP_BYTES = 2**20
_MAX_SIERRA_BYTES = 2**23
_MAX_XLI_BYTES = 2**19
# How EN 1064 calls the calibration pulse of a lead: "I-cal".
_CALIBRATION = "-cal"


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

    Leads start at sample 1 by the standard; some writers (Contec) count from 0, which is understood too. Leads that
    were not recorded together keep their times.

    Raises:
        EcgFormatError: truncated, corrupt, or of a kind that the library does not decode (bimodal compression).
        MissingDependencyError: ecgdatakit is not installed (`gem-ecg[vendor]`).
    """
    if len(data) > _MAX_SCP_BYTES:
        raise EcgFormatError(
            f"{name}: an SCP-ECG file of {len(data):,} bytes is not a resting ECG (up to {_MAX_SCP_BYTES:,})."
        )
    parsers = require("ecgdatakit.parsing.parsers.scp_ecg", "SCP-ECG")
    counted_from_1 = _counted_from_1(data)
    raw = _from_ecgdatakit(parsers.SCPECGParser(), counted_from_1, ".scp", "SCP-ECG", name)
    if counted_from_1 != data:
        raw.notes.append("section 3 counts samples from 0 (the standard counts from 1)")
    return raw


def _counted_from_1(data: bytes) -> bytes:
    """`data` with every lead of section 3 counted from sample 1; unchanged where no lead starts at 0.

    Whether `0-2000` means 2000 or 2001 samples, the bytes of section 6 say, unless they are compressed: then Contec's
    meaning, 2000, is taken.
    """
    section_3, section_6 = _scp_section(data, 3), _scp_section(data, 6)
    if section_3 is None or section_6 is None or section_3[1] - section_3[0] < 2:
        return data
    at, end = section_3
    leads = data[at]
    if end - at < 2 + 9 * leads or section_6[1] - section_6[0] < 6 + 2 * leads:
        return data
    compressed = _scp_section(data, 2) is not None
    sizes = struct.unpack_from(f"<{leads}H", data, section_6[0] + 6)
    patched = bytearray(data)
    for lead, size in enumerate(sizes):
        start, stop = struct.unpack_from("<II", data, at + 2 + 9 * lead)
        if start == 0 < stop:
            struct.pack_into("<II", patched, at + 2 + 9 * lead, 1, stop if compressed else min(stop + 1, size // 2))
    if patched != data:
        _renew_checksum(data, patched, at - _SCP_SECTION_HEADER, end)
        _renew_checksum(data, patched, 0, len(data))
    return bytes(patched)


def _scp_section(data: bytes, number: int) -> tuple[int, int] | None:
    """Where the content of a section begins and ends in `data`, by the pointers of section 0; `None` if it is absent."""
    pointers = (struct.unpack_from("<I", data, 10)[0] - _SCP_SECTION_HEADER) // 10
    for pointer in range(min(pointers, (len(data) - 22) // 10)):
        section, length, index = struct.unpack_from("<HII", data, 22 + 10 * pointer)
        if section == number and index > 0 and _SCP_SECTION_HEADER < length <= len(data) - index + 1:
            return index - 1 + _SCP_SECTION_HEADER, index - 1 + length
    return None


def _renew_checksum(data: bytes, patched: bytearray, start: int, end: int) -> None:
    """The CRC at `start` over the rest up to `end` holds for `patched` if it held for `data`."""
    if struct.unpack_from("<H", data, start)[0] == binascii.crc_hqx(data[start + 2 : end], 0xFFFF):
        struct.pack_into("<H", patched, start, binascii.crc_hqx(bytes(patched[start + 2 : end]), 0xFFFF))


def read_sierra(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """Philips Sierra XML, plain or XLI-compressed, without its calibration second (1.03). The caller has parsed `data`
    safely before.

    Raises:
        EcgFormatError: truncated, corrupt, or of an unknown version.
        MissingDependencyError: ecgdatakit is not installed (`gem-ecg[vendor]`).
    """
    compressed = b"XLI" in data.replace(b"\0", b"").upper()
    limit = _MAX_XLI_BYTES if compressed else _MAX_SIERRA_BYTES
    if len(data) > limit:
        raise EcgFormatError(f"{name}: a Philips XML of {len(data):,} bytes is not a resting ECG (up to {limit:,}).")
    parsers = require("ecgdatakit.parsing.parsers.sierra_xml", "Philips Sierra XML")
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
    strips, calibrations = [], []
    for lead in parsed.leads:
        if lead.label.lower().endswith(_CALIBRATION):
            calibrations.append(lead.label)
            continue
        if not lead.resolution or not lead.resolution_unit:
            raise EcgFormatError(
                f"{name}: lead {lead.label} has a gain of 0; the amplitudes are unknown. Export it again."
            )
        rate, start = float(lead.sampling_rate), int(lead.annotations.get("start_sample", 1)) - 1
        if len(lead.samples) == 0 or start < 0:
            raise EcgFormatError(
                f"{name}: lead {lead.label} has {len(lead.samples)} samples from sample {start + 1} on; export it again."
            )
        physical = (lead.to_physical() if lead.is_raw else lead).convert_units("mV")
        signal = np.where(lead.samples == NO_SAMPLE_16, np.nan, physical.samples) if lead.is_raw else physical.samples
        strips.append(Strip(lead.label, np.asarray(signal, dtype=np.float64), rate, "mV", start / rate))
    if not strips:
        raise EcgFormatError(f"{name}: this {what} file holds calibration pulses only; export it with the rhythm.")
    raw = merged(strips, name)
    if calibrations:
        raw.notes.append(f"left out calibration channels {named(calibrations)}")
    raw.notes += sorted({f"reader's warning: {quoted(warning.message)}" for warning in caught})
    _describe_ecgdatakit(parsed, raw)
    return without_calibration(raw)


def _describe_ecgdatakit(parsed: Any, raw: RawEcg) -> None:
    patient, recording = parsed.patient, parsed.recording
    statements = [" ".join(filter(None, pair)) for pair in parsed.interpretation.statements]
    report, signed = split_signatures(statements)
    raw.report = ". ".join(report) or None
    raw.metadata = {
        "age": patient.age,
        "sex": parsed_sex(patient.sex),
        "device": known_device(" ".join(filter(None, (recording.device.manufacturer, recording.device.model)))),
    }
    raw.start_time = recording.date
    raw.identifying = {
        "patient name": f"{patient.first_name} {patient.last_name}".strip(),
        "patient id": patient.patient_id,
        "birth date": patient.birth_date.date().isoformat() if patient.birth_date else "",
        "clinical history": patient.clinical_history,
        "signatures": signed + [x for x in (recording.technician, recording.referring_physician) if x],
    }


__all__ = ["is_scp", "read_scp", "read_sierra"]
