# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The liberties that writers of device formats take: each is read to the last count, with what it leaves open said."""

import struct

import numpy as np
import pytest

from processing.ecg_readers import load_ecg
from processing.errors_gem import EcgFormatError
from tests.helpers.ecg_files import INDEPENDENT, LEADS, dicom_bytes, edf_bytes, microvolts, scp_bytes

COUNTS = microvolts()
EIGHT = microvolts(INDEPENDENT)
DICOM_MV = (COUNTS * 2.5 + 10) / 1000


# DICOM


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
    # "samples per record" stands behind 216 bytes per signal: the second channel gets 250 of them.
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
