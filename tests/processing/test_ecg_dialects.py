# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Variants of the device formats: each is read exactly, and what a file leaves open is reported."""

import io
import struct
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from processing.ecg_readers import load_ecg
from processing.errors_gem import EcgFormatError
from tests.helpers.ecg_files import (
    INDEPENDENT,
    LEADS,
    aecg_xml,
    dicom_bytes,
    edf_bytes,
    microvolts,
    muse_xml,
    scp_bytes,
    write_wfdb,
)

COUNTS = microvolts()
EIGHT = microvolts(INDEPENDENT)
DICOM_MV = (COUNTS * 2.5 + 10) / 1000


# DICOM


def test_dicom_in_implicit_vr() -> None:
    pydicom = pytest.importorskip("pydicom")
    dataset = pydicom.dcmread(io.BytesIO(dicom_bytes(COUNTS, padding=-32768)))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    stream = io.BytesIO()
    dataset.save_as(stream, implicit_vr=True, little_endian=True)
    record = load_ecg(stream.getvalue())
    assert record.leads == LEADS
    np.testing.assert_allclose(record.signal, DICOM_MV, atol=2e-6)


def test_dicom_in_big_endian() -> None:
    pytest.importorskip("pydicom")
    np.testing.assert_allclose(load_ecg(dicom_bytes(COUNTS, order=">")).signal, DICOM_MV, atol=2e-6)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("extended", [True, False])
def test_dicom_12_bits_in_16_with_and_without_sign_extension(extended: bool, order: str) -> None:
    pytest.importorskip("pydicom")
    counts = np.clip(COUNTS, -2048, 2047)
    stored = counts if extended else (counts & 0xFFF)
    record = load_ecg(dicom_bytes(stored, bits=12, order=order))
    np.testing.assert_allclose(record.signal, (counts * 2.5 + 10) / 1000, atol=2e-6)


def test_dicom_that_stores_more_bits_than_it_says_is_read_as_it_stands() -> None:
    pytest.importorskip("pydicom")
    record = load_ecg(dicom_bytes(COUNTS, bits=10))
    np.testing.assert_allclose(record.signal, DICOM_MV, atol=2e-6)
    assert any("more than the 10 bits" in note for note in record.history)


@pytest.mark.parametrize(
    ("code", "meaning", "factor"),
    [("", "microvolt", 1e-3), ("99X", "millivolt", 1.0), ("uV", "", 1e-3), ("mV", "microvolt", 1.0)],
)
def test_dicom_unit_by_code_or_meaning(code: str, meaning: str, factor: float) -> None:
    pytest.importorskip("pydicom")
    record = load_ecg(dicom_bytes(COUNTS, unit=code, unit_meaning=meaning, baseline="0", sensitivity="1"))
    np.testing.assert_allclose(record.signal, COUNTS * factor, rtol=1e-6, atol=1e-6)


def test_dicom_padding_of_0_leaves_samples_of_0_alone() -> None:
    pytest.importorskip("pydicom")
    counts = COUNTS.copy()
    counts[:, 1000:1250] = 0
    counts[:, -600:] = 0
    record = load_ecg(dicom_bytes(counts, padding=0))
    assert not np.isnan(record.signal[:, :-600]).any()
    assert np.isnan(record.signal[:, -600:]).all()


def test_dicom_padding_of_0_leaves_a_lead_alone_that_rests_at_0() -> None:
    pytest.importorskip("pydicom")
    counts = np.maximum(COUNTS, 0)
    record = load_ecg(dicom_bytes(counts, padding=0))
    assert not np.isnan(record.signal).any()
    np.testing.assert_allclose(record.signal, (counts * 2.5 + 10) / 1000, atol=2e-6)


def test_dicom_padding_beside_12_stored_bits() -> None:
    pytest.importorskip("pydicom")
    counts = np.clip(COUNTS, -2048, 2047)
    stored = (counts & 0xFFF).astype(np.int16)
    stored[2, 40:60] = -32768
    record = load_ecg(dicom_bytes(stored, bits=12, padding=-32768))
    truth = (counts * 2.5 + 10) / 1000
    truth[2, 40:60] = np.nan
    np.testing.assert_allclose(record.signal, truth, atol=2e-6)


@pytest.mark.parametrize("padding", [-32768, 30000])
def test_dicom_padding_outside_of_the_samples_is_missing_everywhere(padding: int) -> None:
    pytest.importorskip("pydicom")
    counts = COUNTS.copy()
    counts[3, 70:75] = padding
    record = load_ecg(dicom_bytes(counts, padding=padding))
    assert np.flatnonzero(np.isnan(record.signal[3])).tolist() == [70, 71, 72, 73, 74]
    assert int(np.isnan(record.signal).sum()) == 5


# EDF


def test_edf_dimension_with_a_micro_sign() -> None:
    pytest.importorskip("edfio")
    np.testing.assert_allclose(load_ecg(edf_bytes(COUNTS, unit="µV")).signal, COUNTS / 1000, atol=1e-6)


def test_edf_dead_channel_is_missing_and_named() -> None:
    pytest.importorskip("edfio")
    ranges = [(-32768, 32767)] * 12
    ranges[7] = (0, 0)
    record = load_ecg(edf_bytes(COUNTS, ranges=ranges))
    assert np.isnan(record.lead("V2")).all()
    kept = [row for row in range(12) if row != 7]
    np.testing.assert_allclose(record.signal[kept], COUNTS[kept] / 1000, atol=1e-6)
    assert any("V2" in note and "no amplitudes" in note for note in record.history)


@pytest.mark.parametrize("date", ["00.00.00", "31.02.20", "2020-1-1", "", "99.99.99"])
def test_edf_date_that_is_none(date: str) -> None:
    pytest.importorskip("edfio")
    data = edf_bytes(COUNTS, date=date).replace(b"Startdate 01-JAN-2020", b"Startdate 99-FOO-2020")
    for keep_phi in (False, True):
        np.testing.assert_allclose(load_ecg(data, keep_phi=keep_phi).signal, COUNTS / 1000, atol=1e-6)


def test_edf_that_was_never_closed_is_read_to_its_end() -> None:
    pytest.importorskip("edfio")
    data = edf_bytes(COUNTS, declared_records=-1)
    np.testing.assert_allclose(load_ecg(data).signal, COUNTS / 1000, atol=1e-6)
    cut = load_ecg(data[: len(data) - 100])
    np.testing.assert_allclose(cut.signal, COUNTS[:, :4500] / 1000, atol=1e-6)


def test_edf_bytes_behind_the_declared_records_are_no_samples() -> None:
    pytest.importorskip("edfio")
    assert load_ecg(edf_bytes(COUNTS) + b"\7" * 50_000).num_samples == 5000


def test_edf_channels_of_other_rates_come_to_the_highest() -> None:
    pytest.importorskip("edfio")
    data = edf_bytes(COUNTS[:2], LEADS[:2])
    head = bytearray(data[: 256 * 3])
    # "samples per record" follows 216 bytes per signal: the second channel gets 250 of them.
    head[256 + 2 * 216 + 8 : 256 + 2 * 216 + 16] = b"250     "
    blocks = np.frombuffer(data[256 * 3 :], "<i2").reshape(10, 1000)
    packed = np.concatenate([blocks[:, :500], blocks[:, 500::2]], axis=1).astype("<i2").tobytes()
    record = load_ecg(bytes(head) + packed).recorded_leads_only()
    assert record.sampling_rate == 500 and record.leads == ("I", "II")
    np.testing.assert_allclose(record.signal[0], COUNTS[0] / 1000, atol=1e-6)


def test_edf_lowest_number_is_no_sample() -> None:
    pytest.importorskip("edfio")
    counts = COUNTS.copy()
    counts[4, 100:200] = -32768
    record = load_ecg(edf_bytes(counts))
    assert np.flatnonzero(np.isnan(record.signal[4])).tolist() == list(range(100, 200))


# SCP-ECG


@pytest.mark.parametrize("ranges", [(0, 5000), (0, 4999)])
def test_scp_leads_counted_from_0(ranges: tuple[int, int]) -> None:
    pytest.importorskip("ecgdatakit")
    record = load_ecg(scp_bytes(EIGHT, ranges=[ranges] * 8)).recorded_leads_only()
    np.testing.assert_allclose(record.signal, EIGHT / 1000, atol=1e-6)
    assert any("counts samples from 0" in note for note in record.history)
    assert not any("CRC" in note for note in record.history)


def test_scp_compressed_leads_counted_from_0() -> None:
    pytest.importorskip("ecgdatakit")
    data = scp_bytes(EIGHT, difference=2, huffman=True, ranges=[(0, 5000)] * 8)
    np.testing.assert_allclose(load_ecg(data).recorded_leads_only().signal, EIGHT / 1000, atol=1e-6)


def test_scp_calibration_channels_are_left_out_and_named() -> None:
    pytest.importorskip("ecgdatakit")
    # Lead 31 of EN 1064 is the calibration pulse of lead I; here it takes the place of V6, lead 8.
    definition = struct.pack("<IIB", 1, 5000, 8)
    data = scp_bytes(EIGHT).replace(definition, struct.pack("<IIB", 1, 5000, 31))
    record = load_ecg(data).recorded_leads_only()
    assert record.leads == INDEPENDENT[:-1]
    np.testing.assert_allclose(record.signal, EIGHT[:-1] / 1000, atol=1e-6)
    assert any("I-cal" in note for note in record.history)


def test_scp_false_checksum_stays_noticed_when_leads_are_counted_from_0() -> None:
    pytest.importorskip("ecgdatakit")
    data = bytearray(scp_bytes(EIGHT, ranges=[(0, 5000)] * 8))
    data[0] ^= 1
    assert any("CRC" in note for note in load_ecg(bytes(data)).history)


def test_scp_ranges_that_end_before_they_begin_are_refused() -> None:
    pytest.importorskip("ecgdatakit")
    data = scp_bytes(EIGHT).replace(struct.pack("<II", 1, 5000), struct.pack("<II", 0, 0))
    with pytest.raises(EcgFormatError):
        load_ecg(data)


# XML


@pytest.mark.parametrize(
    ("unit", "scale", "origin_unit", "origin"),
    [("uV", "5", "mV", "0.5"), ("mV", "0.005", "uV", "500"), ("nV", "5000", "V", "0.0005"), ("uV", "5", "uV", "500")],
)
def test_aecg_origin_and_scale_in_units_of_their_own(unit: str, scale: str, origin_unit: str, origin: str) -> None:
    record = load_ecg(aecg_xml(COUNTS, scale=scale, unit=unit, origin=origin, origin_unit=origin_unit).encode())
    np.testing.assert_allclose(record.signal, COUNTS * 5e-3 + 0.5, atol=2e-6)


def test_aecg_origin_that_is_no_voltage_is_refused() -> None:
    with pytest.raises(EcgFormatError, match="mm"):
        load_ecg(aecg_xml(COUNTS, origin="0.5", origin_unit="mm").encode())


@pytest.mark.parametrize(
    "write", [lambda counts: aecg_xml(counts, scale="4.88"), lambda counts: muse_xml(counts, LEADS)]
)
def test_xml_lowest_number_is_no_sample(write) -> None:
    counts = COUNTS.copy()
    counts[5, 300:320] = -32768
    record = load_ecg(write(counts).encode())
    assert np.flatnonzero(np.isnan(record.signal[5])).tolist() == list(range(300, 320))
    np.testing.assert_allclose(record.signal[:5], COUNTS[:5] * 4.88e-3, atol=2e-6)


# WFDB


def wfdb_record(folder: Path, header: str, **files: bytes) -> Path:
    """A record `r` with the given header and signal files (`dat=...` is `r.dat`)."""
    (folder / "r.hea").write_bytes(header.encode() if isinstance(header, str) else header)
    for name, data in files.items():
        (folder / f"r.{name}").write_bytes(data)
    return folder / "r"


TWO = COUNTS[:2]
TWO_DAT = TWO.T.astype("<i2").tobytes()
TWO_MV = TWO / 1000


@pytest.mark.parametrize("record_line", ["r 2 500 0", "r 2 500", "r 2 500 0 12:00:00", "r 2 500/500(0) 0"])
@pytest.mark.parametrize("fmt", ["16", "212"])
def test_wfdb_0_samples_are_as_many_as_there_are(record_line: str, fmt: str, tmp_path: Path) -> None:
    rows = "".join(f"r.dat {fmt} 1000/mV 16 0 0 0 0 {lead}\n" for lead in ("I", "II"))
    if fmt == "212":
        pairs = TWO.T.astype(np.int16)
        packed = np.stack(
            (pairs[:, 0] & 0xFF, ((pairs[:, 0] >> 8) & 0xF) | ((pairs[:, 1] >> 4) & 0xF0), pairs[:, 1] & 0xFF)
        )
        data = packed.T.astype(np.uint8).tobytes()
    else:
        data = TWO_DAT
    record = load_ecg(wfdb_record(tmp_path, f"{record_line}\n{rows}", dat=data)).recorded_leads_only()
    np.testing.assert_allclose(record.signal, TWO_MV, atol=1e-6)


@pytest.mark.parametrize("keep_phi", [False, True])
@pytest.mark.parametrize(
    "date", ["2014-05-08 05:05:15", "05:05:15 08/05/2014", "2014-05-08T05:05:15", "05:05:15.000 08/05/2014"]
)
def test_wfdb_dates(date: str, keep_phi: bool, tmp_path: Path) -> None:
    header = f"r 2 500 5000 {date}\nr.dat 16 1000/mV 16 0 0 0 0 I\nr.dat 16 1000/mV 16 0 0 0 0 II\n"
    record = load_ecg(wfdb_record(tmp_path, header, dat=TWO_DAT), keep_phi=keep_phi)
    np.testing.assert_allclose(record.recorded_leads_only().signal, TWO_MV, atol=1e-6)
    assert record.start_time == (datetime(2014, 5, 8, 5, 5, 15) if keep_phi else None)


def test_wfdb_date_without_a_number_of_samples(tmp_path: Path) -> None:
    header = "r 2 500 2014-05-08 05:05:15\nr.dat 16 1000/mV 16 0 0 0 0 I\nr.dat 16 1000/mV 16 0 0 0 0 II\n"
    record = load_ecg(wfdb_record(tmp_path, header, dat=TWO_DAT), keep_phi=True)
    assert record.start_time == datetime(2014, 5, 8, 5, 5, 15) and record.num_samples == 5000


@pytest.mark.parametrize("date", ["yesterday", "99:99:99 08/05/2014", "25/12/2014"])
def test_wfdb_dates_in_no_known_form_are_kept_as_text(date: str, tmp_path: Path) -> None:
    header = f"r 2 500 5000 {date}\nr.dat 16 1000/mV 16 0 0 0 0 I\nr.dat 16 1000/mV 16 0 0 0 0 II\n"
    record = load_ecg(wfdb_record(tmp_path, header, dat=TWO_DAT), keep_phi=True)
    assert record.start_time is None and record.metadata["phi"]["record date"] == date


@pytest.mark.parametrize(
    ("gain", "millivolts", "assumed"),
    [
        ("1/µV", 1e-3, ()),
        ("1/uV", 1e-3, ()),
        ("1000/mV", 1e-3, ()),
        ("1000/", 1e-3, ("unit",)),
        ("1000", 1e-3, ("unit",)),
        ("0/mV", 1 / 200, ("gain",)),
        ("0", 1 / 200, ("unit", "gain")),
        ("1000(50)/", 1e-3, ("unit",)),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_wfdb_gains_and_units(gain: str, millivolts: float, assumed: tuple, encoding: str, tmp_path: Path) -> None:
    header = f"r 2 500 5000\nr.dat 16 {gain} 16 0 0 0 0 I\nr.dat 16 {gain} 16 0 0 0 0 II\n# Müller, 10 µV\n"
    record = load_ecg(wfdb_record(tmp_path, header.encode(encoding), dat=TWO_DAT))
    baseline = 50 if "(50)" in gain else 0
    np.testing.assert_allclose(
        record.recorded_leads_only().signal, (TWO - baseline) * millivolts, rtol=1e-6, atol=1e-6
    )
    assert record.evidence["I"].assumed == assumed
    kept = load_ecg(tmp_path / "r", keep_phi=True)
    assert kept.metadata["phi"]["header comments"] == ["Müller, 10 µV"]


PACKERS = {
    "16": lambda values: values.astype("<i2").tobytes(),
    "32": lambda values: values.astype("<i4").tobytes(),
    "61": lambda values: values.astype(">i2").tobytes(),
    "80": lambda values: (values + 128).astype(np.uint8).tobytes(),
    "160": lambda values: (values + 32768).astype("<u2").tobytes(),
    "24": lambda values: values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes(),
}


@pytest.mark.parametrize("fmt", PACKERS)
def test_wfdb_frames_of_monitors(fmt: str, tmp_path: Path) -> None:
    """Frames of 1.024 s: 64 samples of the ECG, 1 of a number; the header rounds 0.9765625 frames a second."""
    ecg = np.clip(COUNTS[1, :1280], -127, 127).astype(np.int64)
    header = f"r 2 0.976562 20\nr.dat {fmt}x64 1000/mV 16 0 0 0 0 ECG II\nr.num {fmt} 1/undef 16 0 0 0 0 QRS_SYNC\n"
    path = wfdb_record(tmp_path, header, dat=PACKERS[fmt](ecg), num=PACKERS[fmt](np.arange(20)))
    record = load_ecg(path)
    assert record.sampling_rate == 62.5 and record.leads == ("II",)
    np.testing.assert_allclose(record.signal[0], ecg / 1000, atol=1e-6)
    assert any("QRS_SYNC" in note for note in record.history)


@pytest.mark.parametrize("fmt", PACKERS)
def test_wfdb_signals_of_several_rates_in_one_file(fmt: str, tmp_path: Path) -> None:
    import wfdb

    frames = np.clip(COUNTS[0, :3000].reshape(1000, 3), -127, 127).astype(np.int64)
    header = f"r 2 250 1000\nr.dat {fmt}x2 1000/mV 16 0 0 0 0 II\nr.dat {fmt} 1000/mV 16 0 0 0 0 V1\n"
    record = load_ecg(wfdb_record(tmp_path, header, dat=PACKERS[fmt](frames.ravel())))
    assert record.sampling_rate == 500
    np.testing.assert_allclose(record.lead("II"), frames[:, :2].ravel() / 1000, atol=1e-6)
    if fmt != "61":
        other = wfdb.rdrecord(str(tmp_path / "r"), physical=True, smooth_frames=False)
        np.testing.assert_allclose(record.lead("II"), other.e_p_signal[0], atol=1e-6)


def test_wfdb_first_differences(tmp_path: Path) -> None:
    import wfdb

    counts = np.clip(COUNTS[:2, ::5], -60, 60).astype(np.int64) + np.array([[7], [-300]])
    steps = np.diff(counts, axis=1, prepend=np.array([[0], [0]]))
    steps[:, 0] = 0
    header = f"r 2 100 1000\nr.dat 8 1000/mV 16 0 {counts[0, 0]} 0 0 I\nr.dat 8 1000/mV 16 0 {counts[1, 0]} 0 0 II\n"
    record = load_ecg(wfdb_record(tmp_path, header, dat=steps.T.astype(np.int8).tobytes())).recorded_leads_only()
    np.testing.assert_allclose(record.signal, counts / 1000, atol=1e-6)
    np.testing.assert_allclose(record.signal.T, wfdb.rdsamp(str(tmp_path / "r"))[0], atol=1e-6)


@pytest.mark.parametrize("fmt", ["16", "24", "32", "61", "80", "160", "212", "310", "311"])
def test_wfdb_missing_samples_of_every_format(fmt: str, tmp_path: Path) -> None:
    lowest = -(2 ** {"80": 7, "212": 11, "310": 9, "311": 9, "24": 23, "32": 31}.get(fmt, 15)) * 1
    values = np.array([5, -6, lowest, 7, -8, 9], dtype=np.int64)
    packers = PACKERS | {
        "212": lambda v: (
            np.stack((v[0::2] & 0xFF, ((v[0::2] >> 8) & 0xF) | ((v[1::2] >> 4) & 0xF0), v[1::2] & 0xFF)).T
        ),
        "310": lambda v: np.stack(
            (
                ((v[0::3] & 0x3FF) << 1) | ((v[2::3] & 0x1F) << 11),
                ((v[1::3] & 0x3FF) << 1) | (((v[2::3] >> 5) & 0x1F) << 11),
            )
        ).T.astype("<u2"),
        "311": lambda v: ((v[0::3] & 0x3FF) | ((v[1::3] & 0x3FF) << 10) | ((v[2::3] & 0x3FF) << 20)).astype("<u4"),
    }
    packed = packers[fmt](values)
    data = packed if isinstance(packed, bytes) else packed.astype(np.uint8 if fmt == "212" else packed.dtype).tobytes()
    record = load_ecg(wfdb_record(tmp_path, f"r 1 500 6\nr.dat {fmt} 1000/mV 16 0 0 0 0 II\n", dat=data))
    np.testing.assert_allclose(record.signal[0], [0.005, -0.006, np.nan, 0.007, -0.008, 0.009], atol=1e-7)


def test_wfdb_skewed_signals_stand_where_wfdb_puts_them(tmp_path: Path) -> None:
    import wfdb

    header = "r 2 500 5000\nr.dat 16 1000/mV 16 0 0 0 0 I\nr.dat 16:20 1000/mV 16 0 0 0 0 II\n"
    path = wfdb_record(tmp_path, header, dat=TWO_DAT)
    truth = wfdb.rdrecord(str(path)).p_signal.T
    np.testing.assert_allclose(load_ecg(path).recorded_leads_only().signal, truth, atol=1e-6)
    # What the file holds after the declared end belongs to the skewed signal.
    path = wfdb_record(tmp_path, header.replace("5000", "4980"), dat=TWO_DAT)
    np.testing.assert_allclose(load_ecg(path).lead("II"), TWO_MV[1, 20:], atol=1e-6)


def test_wfdb_gain_given_by_the_caller_holds_above_the_baseline(tmp_path: Path) -> None:
    header = "r 2 500 5000\nr.dat 16 200(1024)/mV 11 1024 0 0 0 I\nr.dat 16 200(1024)/mV 11 1024 0 0 0 II\n"
    path = wfdb_record(tmp_path, header, dat=(TWO + 1024).T.astype("<i2").tobytes())
    np.testing.assert_allclose(load_ecg(path, gain=1000).recorded_leads_only().signal, TWO_MV, atol=1e-6)


def test_wfdb_segments_of_a_variable_layout_with_other_gains_and_a_gap_at_the_end(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "m_1", COUNTS[:2, :1000], ["I", "II"])
    write_wfdb(tmp_path, "m_2", COUNTS[[1, 6], 1000:2500], ["II", "V1"], adc_gain=[500.0, 1000.0])
    (tmp_path / "m_0.hea").write_text(
        "m_0 3 500 0\n" + "".join(f"~ 0 1000/mV 16 0 0 0 0 {x}\n" for x in ("V1", "II", "I"))
    )
    (tmp_path / "loose.hea").write_text("loose/4 3 500 3000\nm_0 0\nm_1 1000\nm_2 1500\n~ 500\n")
    record = load_ecg(tmp_path / "loose").recorded_leads_only()
    assert record.leads == ("V1", "II", "I") and record.num_samples == 3000
    truth = np.full((3, 3000), np.nan)
    truth[0, 1000:2500] = COUNTS[6, 1000:2500] / 1000
    truth[1, :1000], truth[1, 1000:2500] = COUNTS[1, :1000] / 1000, COUNTS[1, 1000:2500] / 500
    truth[2, :1000] = COUNTS[0, :1000] / 1000
    np.testing.assert_allclose(record.signal, truth, atol=1e-6)
