# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Writes small ECG files of every format from the formats' own definitions, without using the readers under test."""

import base64
import binascii
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
INDEPENDENT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
_SCP_NUMBERS = {"I": 1, "II": 2, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64} | {f"V{i}": i + 2 for i in range(1, 7)}


def microvolts(leads: Sequence[str] = LEADS, rate: float = 500, seconds: float = 10, seed: int = 0) -> np.ndarray:
    """int16 `(leads, samples)` in uV: 75 spikes a minute and noise on I, II, V1-V6; limb leads by Einthoven's law."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(rate * seconds)) / rate
    beat = np.exp(-0.5 * (((time % 0.8) - 0.4) / 0.012) ** 2) + 0.2 * np.exp(
        -0.5 * (((time % 0.8) - 0.65) / 0.04) ** 2
    )
    height = {"I": 600, "II": 1000, "V1": -500, "V2": -700, "V3": 400, "V4": 1200, "V5": 1300, "V6": 1000}
    rows = {lead: np.round(height[lead] * beat + rng.normal(0, 8, len(time))) for lead in INDEPENDENT}
    rows["III"] = rows["II"] - rows["I"]
    rows["aVR"] = np.round(-(rows["I"] + rows["II"]) / 2)
    rows["aVL"] = np.round(rows["I"] - rows["II"] / 2)
    rows["aVF"] = np.round(rows["II"] - rows["I"] / 2)
    return np.stack([rows[lead] for lead in leads]).astype(np.int16)


def write_wfdb(folder: Path, name: str, counts: np.ndarray, leads: Sequence[str] = LEADS, rate: float = 500, **fields):
    """One record by the `wfdb` package; `fields` are `wfdb.wrsamp`'s. Returns the header's path."""
    import wfdb

    rows = len(counts)
    settings = {"fmt": ["16"] * rows, "adc_gain": [1000.0] * rows, "baseline": [0] * rows, "units": ["mV"] * rows}
    wfdb.wrsamp(
        name,
        rate,
        sig_name=list(leads),
        d_signal=counts.T.astype(np.int64),
        write_dir=str(folder),
        **{key: fields.pop(key, default) for key, default in settings.items() if key != "units"},
        units=fields.pop("units", settings["units"]),
        **fields,
    )
    return folder / f"{name}.hea"


def muse_block(
    counts: np.ndarray, leads: Sequence[str] = INDEPENDENT, rate: int = 500, scale: str = "4.88", **patch
) -> str:
    """One `Waveform`; `patch` replaces an element's text in it or in every lead, e.g. `LeadSampleCountTotal="7"`."""
    parts = []
    for lead, row in zip(leads, counts, strict=True):
        packed = row.astype("<i2").tobytes()
        fields = {
            "LeadTimeOffset": "0",
            "LeadSampleCountTotal": str(len(row)),
            "LeadAmplitudeUnitsPerBit": scale,
            "LeadAmplitudeUnits": "MICROVOLTS",
            "LeadID": lead,
            "LeadSampleSize": "2",
            "LeadOff": "FALSE",
            "LeadDataCRC32": str(zlib.crc32(packed)),
            "WaveFormData": base64.b64encode(packed).decode(),
        } | {key: value for key, value in patch.items() if key.startswith(("Lead", "WaveForm"))}
        parts.append("<LeadData>" + "".join(f"<{k}>{v}</{k}>" for k, v in fields.items()) + "</LeadData>")
    head = {"WaveformType": "Rhythm", "WaveformStartTime": "0", "SampleBase": rate, "SampleExponent": "0"}
    head |= {key: value for key, value in patch.items() if key in head}
    return f"<Waveform>{''.join(f'<{k}>{v}</{k}>' for k, v in head.items())}{''.join(parts)}</Waveform>"


def muse_xml(counts: np.ndarray | None = None, *args, blocks: Sequence[str] = (), **patch) -> str:
    """GE MUSE `RestingECG` of one rhythm block (see [`muse_block`]), or of `blocks`."""
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?><!DOCTYPE RestingECG SYSTEM "restecg.dtd"><RestingECG>'
        "<PatientDemographics><PatientID>4711</PatientID><PatientAge>94</PatientAge><AgeUnits>YEARS</AgeUnits>"
        "<DateofBirth>01-02-1930</DateofBirth><Gender>FEMALE</Gender><PatientLastName>Doe</PatientLastName>"
        "<PatientFirstName>Jane</PatientFirstName></PatientDemographics><Diagnosis><DiagnosisStatement>"
        "<StmtText>Sinus rhythm</StmtText></DiagnosisStatement><DiagnosisStatement><StmtFlag>ENDSLINE</StmtFlag>"
        "<StmtText>with PVCs</StmtText></DiagnosisStatement><DiagnosisStatement><StmtFlag>USERINSERT</StmtFlag>"
        "<StmtText>Confirmed by Smith, John</StmtText></DiagnosisStatement></Diagnosis>"
        f"{''.join(blocks) or muse_block(counts, *args, **patch)}</RestingECG>"
    )


def aecg_set(
    counts: np.ndarray, leads: Sequence[str] = LEADS, rate: int = 500, scale: str = "5", start: str = "", **patch
) -> str:
    """One sequence set; `patch`: `increment`, `unit`, `origin`, `origin_unit`, `digits`.

    `start` is a time stamp (`TIME_ABSOLUTE`, by default 2020-01-01 12:00:00) or seconds (`TIME_RELATIVE`).
    """
    increment, unit = patch.get("increment", repr(1 / rate)), patch.get("unit", "uV")
    absolute = not start or len(start) >= 14
    code, kind = ("TIME_ABSOLUTE", "GLIST_TS") if absolute else ("TIME_RELATIVE", "GLIST_PQ")
    head = f'<head value="{start or "20200101120000"}"/>' if absolute else f'<head value="{start}" unit="s"/>'
    sequences = [
        f'<component><sequence><code code="{code}"/><value xsi:type="{kind}">{head}'
        f'<increment value="{increment}" unit="s"/></value></sequence></component>'
    ]
    for lead, row in zip(leads, counts, strict=True):
        digits = patch.get("digits", " ".join(map(str, row)))
        sequences.append(
            f'<component><sequence><code code="MDC_ECG_LEAD_{lead.upper()}" codeSystem="2.16.840.1.113883.6.24"/>'
            f'<value xsi:type="SLIST_PQ"><origin value="{patch.get("origin", "0")}" '
            f'unit="{patch.get("origin_unit", unit)}"/>'
            f'<scale value="{scale}" unit="{unit}"/><digits>{digits}</digits></value>'
            "</sequence></component>"
        )
    return f"<component><sequenceSet>{''.join(sequences)}</sequenceSet></component>"


def aecg_series(*sets: str, code: str = "RHYTHM", low: str = "", derived: str = "") -> str:
    """One series of sequence sets, with the sets of a derived series in it."""
    time = f'<effectiveTime><low value="{low}"/></effectiveTime>' if low else ""
    inner = f'<derivation><derivedSeries><code code="REPRESENTATIVE_BEAT"/>{derived}</derivedSeries></derivation>'
    return (
        f'<component><series><code code="{code}"/>{time}{"".join(sets)}{inner if derived else ""}</series></component>'
    )


def aecg_xml(counts: np.ndarray | None = None, *args, series: Sequence[str] = (), **patch) -> str:
    """HL7 `AnnotatedECG` of one rhythm series with one sequence set (see [`aecg_set`]), or of `series`."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><AnnotatedECG xmlns="urn:hl7-org:v3" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><effectiveTime><low value="20200101120000"/>'
        "</effectiveTime><componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject>"
        '<id extension="SUBJ-1"/><subjectDemographicPerson><name>Jane Doe</name><administrativeGenderCode code="F"/>'
        '<birthTime value="19530508"/></subjectDemographicPerson></trialSubject></subject></subjectAssignment>'
        "</componentOf></timepointEvent></componentOf>"
        f"{''.join(series) or aecg_series(aecg_set(counts, *args, **patch))}</AnnotatedECG>"
    )


def sierra_xml(counts: np.ndarray, leads: Sequence[str] = LEADS, rate: int = 500, resolution: str = "5.0") -> str:
    """Philips Sierra 1.04, uncompressed base64 of 16-bit counts, lead after lead."""
    packed = base64.b64encode(counts.astype("<i2").tobytes()).decode()
    milliseconds = round(counts.shape[1] / rate * 1000)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo>'
        "<documenttype>SierraECG</documenttype><documentversion>1.04</documentversion></documentinfo><dataacquisition>"
        f"<signalcharacteristics><samplingrate>{rate}</samplingrate><resolution>{resolution}</resolution>"
        f"<numberchannelsallocated>{len(leads)}</numberchannelsallocated><signalsigned>True</signalsigned>"
        "</signalcharacteristics></dataacquisition><patient><generalpatientdata><name><lastname>Doe</lastname>"
        f'</name></generalpatientdata></patient><waveforms><parsedwaveforms durationperchannel="{milliseconds}" '
        f'dataencoding="Base64" compression="Uncompressed" leadlabels="{" ".join(leads)}" '
        f'numberofleads="{len(leads)}">{packed}</parsedwaveforms></waveforms></restingecgdata>'
    )


def dicom_group(counts: np.ndarray, leads: Sequence[str] = LEADS, rate: float = 500, **patch):
    """A multiplex group: 2.5 uV per count, baseline 10 uV, correction 1.0.

    `patch` sets values of the group or of its channels, among them `offset_ms`, `originality`, `bits`, `padding` (a
    count), `order` (`">"`: big-endian) and `unit_meaning`.
    """
    from pydicom.dataset import Dataset

    dtype = np.dtype(patch.get("order", "<") + "i2")
    channels = []
    for lead in leads:
        source, unit, channel = Dataset(), Dataset(), Dataset()
        source.CodeValue, source.CodingSchemeDesignator = f"2:{_SCP_NUMBERS[lead]}", "MDC"
        source.CodeMeaning = "Lead"
        unit.CodeValue, unit.CodingSchemeDesignator = patch.get("unit", "uV"), "UCUM"
        unit.CodeMeaning = patch.get("unit_meaning", "")
        channel.ChannelSourceSequence, channel.ChannelSensitivityUnitsSequence = [source], [unit]
        channel.ChannelSensitivity = patch.get("sensitivity", "2.5")
        channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = "1", patch.get("baseline", "10")
        channel.WaveformBitsStored = patch.get("bits", 16)
        channels.append(channel)
    group = Dataset()
    group.WaveformOriginality = patch.get("originality", "ORIGINAL")
    if "offset_ms" in patch:
        group.MultiplexGroupTimeOffset = str(patch["offset_ms"])
    group.NumberOfWaveformChannels, group.SamplingFrequency = len(leads), str(rate)
    group.NumberOfWaveformSamples = patch.get("samples", counts.shape[1])
    group.ChannelDefinitionSequence = channels
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = patch.get("interpretation", "SS")
    if "padding" in patch:
        group.add_new(0x5400100A, "OW", np.array(patch["padding"]).astype(dtype).tobytes())
    group.WaveformData = counts.T.astype(dtype).tobytes()
    group["WaveformData"].VR = "OW"
    return group


def dicom_bytes(counts: np.ndarray | None = None, leads: Sequence[str] = LEADS, rate: float = 500, **patch) -> bytes:
    """A 12-lead ECG object of one group (`patch`: see [`dicom_group`]), or of `groups`; `order=">"`: big-endian."""
    import io
    import warnings

    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

    warnings.simplefilter("ignore")
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.9.1.1", "1.2.3.4"
    dataset.Modality, dataset.PatientName, dataset.PatientID = "ECG", "Doe^Jane", "4711"
    dataset.PatientSex, dataset.PatientAge, dataset.PatientBirthDate = "F", "056Y", "19530508"
    dataset.AcquisitionDateTime = "20200101120000"
    if not patch.get("no_waveforms"):
        dataset.WaveformSequence = patch.get("groups") or [dicom_group(counts, leads, rate, **patch)]
    dataset.file_meta = FileMetaDataset()
    big = patch.get("order") == ">"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian if big else ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def edf_bytes(
    counts: np.ndarray,
    leads: Sequence[str] = LEADS,
    rate: int = 500,
    unit: str = "uV",
    ranges: Sequence[tuple[int, int]] | None = None,
    date: str = "01.01.20",
    declared_records: int | None = None,
) -> bytes:
    """EDF by its definition: 256 bytes of header, 256 per signal, data records of 1 s; 1 count = 1 unit.

    `ranges` are the physical (and digital) minimum and maximum of each signal, else those of 16 bits.
    """
    rows, samples = counts.shape
    records = samples // rate
    ranges = ranges or [(-32768, 32767)] * rows
    minima, maxima = [str(low) for low, _ in ranges], [str(high) for _, high in ranges]

    def column(text: str, width: int) -> bytes:
        return text.ljust(width)[:width].encode("latin-1")

    head = [
        column("0", 8), column("4711 F 08-MAY-1953 Jane_Doe", 80), column("Startdate 01-JAN-2020 X X X", 80),
        column(date, 8), column("12.00.00", 8), column(str(256 * (rows + 1)), 8), column("", 44),
        column(str(records if declared_records is None else declared_records), 8), column("1", 8), column(str(rows), 4),
    ]  # fmt: skip
    for values, width in (
        ([f"ECG {lead}" for lead in leads], 16), ([""] * rows, 80), ([unit] * rows, 8), (minima, 8),
        (maxima, 8), (minima, 8), (maxima, 8), ([""] * rows, 80),
        ([str(rate)] * rows, 8), ([""] * rows, 32),
    ):  # fmt: skip
        head += [column(value, width) for value in values]
    blocks = counts[:, : records * rate].reshape(rows, records, rate).transpose(1, 0, 2)
    return b"".join(head) + blocks.astype("<i2").tobytes()


def scp_bytes(
    counts: np.ndarray,
    leads: Sequence[str] = INDEPENDENT,
    rate: int = 500,
    difference: int = 0,
    huffman: bool = False,
    starts: Sequence[int] | None = None,
    ranges: Sequence[tuple[int, int]] | None = None,
    patient: str = "Doe",
    measured: bytes = b"",
) -> bytes:
    """SCP-ECG (EN 1064) with sections 0, 1, 3, 6 and, for `huffman`, the default code table of section 2.

    Amplitudes in uV counts (multiplier 1000 nV); `difference` 0, 1 or 2 is the order of difference encoding; `starts`
    are the first samples of leads that were not recorded together, `ranges` the first and last sample of each lead as
    another writer counts them; `measured` is section 7, the device's values.
    """
    coded = counts.astype(np.int64)
    if difference:
        coded = np.concatenate((coded[:, :difference], np.diff(coded, n=difference, axis=1)), axis=1)
    rows = [_huffman(row) if huffman else row.astype("<i2").tobytes() for row in coded]
    rows = [row + b"\0" * (len(row) % 2) for row in rows]
    tags = b"".join(
        struct.pack("<BH", tag, len(value)) + value
        for tag, value in (
            (0, f"{patient}\0".encode()),
            (2, b"4711\0"),
            (25, struct.pack("<HBB", 2020, 1, 1)),
            (8, b"\x02"),
            (255, b""),
        )
    )
    samples = counts.shape[1]
    ranges = ranges or [(start + 1, start + samples) for start in starts or [0] * len(leads)]
    definition = struct.pack("<BB", len(leads), 0x04 | (len(leads) << 3)) + b"".join(
        struct.pack("<IIB", first, last, _SCP_NUMBERS[lead]) for lead, (first, last) in zip(leads, ranges, strict=True)
    )
    rhythm = struct.pack("<HHBB", 1000, 1_000_000 // rate, difference, 0)
    rhythm += b"".join(struct.pack("<H", len(row)) for row in rows) + b"".join(rows)
    bodies = {1: tags, 3: definition, 6: rhythm} | ({2: struct.pack("<H", 19999)} if huffman else {})
    bodies |= {7: measured} if measured else {}
    return _scp_record({number: bodies[number] for number in sorted(bodies)})


def _scp_record(bodies: dict[int, bytes]) -> bytes:
    bodies = {number: body + b"\0" * (len(body) % 2) for number, body in bodies.items()}
    position = 7 + 16 + 10 * 12
    pointers = {0: (16 + 120, 7)}
    for number, body in bodies.items():
        pointers[number] = (16 + len(body), position)
        position += 16 + len(body)
    table = b"".join(struct.pack("<HII", number, *pointers.get(number, (0, 0))) for number in range(12))
    sections = _scp_section(0, table) + b"".join(_scp_section(number, body) for number, body in bodies.items())
    record = struct.pack("<I", 6 + len(sections)) + sections
    return struct.pack("<H", binascii.crc_hqx(record, 0xFFFF)) + record


def _scp_section(number: int, body: bytes) -> bytes:
    text = b"SCPECG" if number == 0 else b"\0" * 6
    content = struct.pack("<HIBB", number, 16 + len(body), 20, 20) + text + body
    return struct.pack("<H", binascii.crc_hqx(content, 0xFFFF)) + content


def _huffman(values: np.ndarray) -> bytes:
    """EN 1064's default table: 0 -> 0, +-n -> n ones, 0, sign; 8-bit and 16-bit escapes of ten bits."""
    bits = []
    for value in values.tolist():
        if value == 0:
            bits.append("0")
        elif -8 <= value <= 8:
            bits.append("1" * abs(value) + "0" + ("1" if value < 0 else "0"))
        elif -128 <= value < 128:
            bits.append("1111111110" + f"{value & 0xFF:08b}")
        else:
            bits.append("1111111111" + f"{value & 0xFFFF:016b}")
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


_ISHNE_CODES = {lead: code for code, lead in enumerate(("X", "Y", "Z", *LEADS, "ES", "AS", "AI"), start=2)}


def ishne_bytes(counts: np.ndarray, leads: Sequence[str] = LEADS, rate: int = 500, **patch) -> bytes:
    """ISHNE 1.0 by Badilini 1998; leads that are no standard ones get code 0 (unknown).

    `patch`: `resolutions` (nV per count, 1000 each by default), `text`, `declared` (samples per lead), `checksum`.
    """
    text = patch.get("text", "Holter of Jane Doe").encode("latin-1")
    rows, samples = counts.shape
    codes = [_ISHNE_CODES.get(lead, 0) for lead in leads]
    resolutions = list(patch.get("resolutions", [1000] * rows))

    def twelve(values: Sequence[int]) -> bytes:
        return struct.pack("<12h", *values, *[-9] * (12 - rows))

    block = b"".join(
        (
            struct.pack("<4ih", len(text), patch.get("declared", samples), 522, 522 + len(text), 1),
            b"Jane".ljust(40, b"\0"), b"Doe".ljust(40, b"\0"), b"4711".ljust(20, b"\0"),
            struct.pack("<2h", 2, 0), struct.pack("<3h", 8, 5, 1953), struct.pack("<3h", 1, 1, 2020),
            struct.pack("<3h", 2, 1, 2020), struct.pack("<3h", 12, 0, 0), struct.pack("<h", rows), twelve(codes),
            twelve([1] * rows), twelve(resolutions), struct.pack("<h", 0), b"digital".ljust(40, b"\0"),
            struct.pack("<h", rate), bytes(80), bytes(80), bytes(88),
        )
    )  # fmt: skip
    assert len(block) == 512
    crc = patch.get("checksum", binascii.crc_hqx(block + text, 0xFFFF))
    return b"ISHNE1.0" + struct.pack("<H", crc) + block + text + counts.T.astype("<i2").tobytes()
