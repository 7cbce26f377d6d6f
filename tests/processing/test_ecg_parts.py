# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Recordings that their files keep in parts: every part is read to its last count, or the file is refused."""

import numpy as np
import pytest

from processing.ecg_parts import Strip, merged, without_calibration
from processing.ecg_raw import RawEcg
from processing.ecg_readers import load_ecg
from processing.errors_gem import EcgFormatError
from tests.helpers.ecg_files import (
    INDEPENDENT,
    LEADS,
    aecg_series,
    aecg_set,
    aecg_xml,
    dicom_bytes,
    dicom_group,
    edf_bytes,
    microvolts,
    muse_block,
    muse_xml,
    sierra_xml,
)

COUNTS = microvolts()
COLUMNS = [range(0, 3), range(3, 6), range(6, 9), range(9, 12)]


def page_in_columns() -> np.ndarray:
    """`COUNTS` as far as a page of 3 x 4 columns of 2.5 s shows them, NaN elsewhere."""
    shown = np.full(COUNTS.shape, np.nan)
    for k, rows in enumerate(COLUMNS):
        shown[rows, 1250 * k : 1250 * (k + 1)] = COUNTS[rows, 1250 * k : 1250 * (k + 1)]
    return shown


def strip(lead: str, values: list[float], rate: float = 100, **fields) -> Strip:
    return Strip(lead, np.array(values, dtype=float), rate, fields.pop("unit", "mV"), **fields)


def test_pieces_of_a_lead_are_joined_and_gaps_are_missing() -> None:
    raw = merged([strip("II", [1, 2]), strip("II", [3, 4], start=0.03, part=1)], "x")
    np.testing.assert_array_equal(raw.signal, [[1, 2, np.nan, 3, 4]])
    assert raw.leads == ["II"] and raw.sampling_rate == 100


def test_units_of_pieces_are_brought_together() -> None:
    raw = merged([strip("II", [1, 2]), strip("II", [3000.0], unit="uV", start=0.02, part=1)], "x")
    np.testing.assert_allclose(raw.signal, [[1, 2, 3]])
    with pytest.raises(EcgFormatError, match="mmHg"):
        merged([strip("II", [1, 2]), strip("II", [3.0], unit="mmHg", start=0.02, part=1)], "x")


def test_a_lead_stored_twice_is_read_once() -> None:
    whole = list(np.sin(np.arange(100)))
    raw = merged([strip("II", whole[:25]), strip("II", whole, part=1)], "x")
    np.testing.assert_array_equal(raw.signal, [whole])


def test_a_shorter_strip_beside_a_longer_one_is_named() -> None:
    raw = merged([strip("II", [9.0] * 20), strip("II", list(np.arange(100.0)), part=1)], "x")
    np.testing.assert_array_equal(raw.signal, [np.arange(100.0)])
    assert any("left out II of 0.2 s" in note for note in raw.notes)


def test_contradicting_parts_are_refused_and_can_be_chosen() -> None:
    strips = [strip("II", [1.0] * 50), strip("II", [2.0] * 50, part=1)]
    with pytest.raises(EcgFormatError, match=r"rec: lead II .*index=0"):
        merged(strips, "rec")
    np.testing.assert_array_equal(merged(strips, "rec", index=1).signal, [[2.0] * 50])
    with pytest.raises(EcgFormatError, match="no part 2"):
        merged(strips, "rec", index=2)


def test_a_part_years_away_is_refused() -> None:
    for start in (1e9, float("inf"), float("nan")):
        with pytest.raises(EcgFormatError, match="rec"):
            merged([strip("I", [1.0]), strip("II", [1.0], start=start, part=1)], "rec")


def test_parts_hours_apart_are_refused_and_can_be_read_one_by_one() -> None:
    strips = [strip("II", [1.0] * 500), strip("II", [2.0] * 500, start=24 * 3600.0, part=1)]
    with pytest.raises(EcgFormatError, match=r"rec: .*far apart.*index=0"):
        merged(strips, "rec")
    np.testing.assert_array_equal(merged(strips, "rec", index=1).signal, [[2.0] * 500])


# DICOM multiplex groups


@pytest.mark.parametrize("sizes", [(6, 6), (4, 4, 4), (3, 3, 3, 3), (3, 3, 2, 2, 2)])
def test_dicom_leads_in_several_groups(sizes: tuple[int, ...]) -> None:
    pytest.importorskip("pydicom")
    ends = np.cumsum(sizes)
    groups = [dicom_group(COUNTS[end - n : end], LEADS[end - n : end]) for n, end in zip(sizes, ends, strict=True)]
    record = load_ecg(dicom_bytes(groups=groups))
    assert record.leads == LEADS
    np.testing.assert_allclose(record.signal, (COUNTS * 2.5 + 10) / 1000, atol=2e-6)
    assert any(f"joined {len(sizes)} parts" in note for note in record.history)


def test_dicom_columns_of_a_page_keep_their_time_beside_a_rhythm_strip() -> None:
    pytest.importorskip("pydicom")
    groups = [
        dicom_group(COUNTS[rows][:, 1250 * k : 1250 * (k + 1)], [LEADS[row] for row in rows], offset_ms=2500 * k)
        for k, rows in enumerate(COLUMNS)
    ]
    groups.append(dicom_group(COUNTS[1:2], ["II"], offset_ms=0))
    record = load_ecg(dicom_bytes(groups=groups))
    truth = page_in_columns()
    truth[1] = COUNTS[1]
    np.testing.assert_allclose(record.signal, (truth * 2.5 + 10) / 1000, atol=2e-6)


def test_dicom_groups_of_other_rates_come_to_the_highest() -> None:
    pytest.importorskip("pydicom")
    time = np.arange(5000) / 500
    wave = np.round(400 * np.sin(2 * np.pi * 3 * time))[None]
    groups = [dicom_group(wave[:, ::2], ["I"], rate=250), dicom_group(wave, ["V1"], rate=500)]
    record = load_ecg(dicom_bytes(groups=groups))
    assert record.sampling_rate == 500 and record.leads == ("I", "V1")
    np.testing.assert_allclose(record.signal[0, 100:-100], record.signal[1, 100:-100], atol=0.005)
    assert any("250 Hz to 500 Hz" in note for note in record.history)


@pytest.mark.parametrize("originality", ["DERIVED", "ORIGINAL"])
def test_dicom_median_beat_beside_the_rhythm_is_left_out_and_named(originality: str) -> None:
    pytest.importorskip("pydicom")
    beat = np.round(COUNTS[:, 100:700] * 0.9)
    record = load_ecg(dicom_bytes(groups=[dicom_group(beat, originality=originality), dicom_group(COUNTS)]))
    np.testing.assert_allclose(record.signal, (COUNTS * 2.5 + 10) / 1000, atol=2e-6)
    assert any("left out" in note and "II" in note for note in record.history)


def test_dicom_groups_that_contradict_each_other_are_chosen_by_index() -> None:
    pytest.importorskip("pydicom")
    data = dicom_bytes(groups=[dicom_group(COUNTS), dicom_group(COUNTS // 2)])
    with pytest.raises(EcgFormatError, match="index=1"):
        load_ecg(data)
    np.testing.assert_allclose(load_ecg(data, index=1).signal, ((COUNTS // 2) * 2.5 + 10) / 1000, atol=2e-6)


# EDF


def interrupted_edf(starts: list[float]) -> bytes:
    """EDF+D: eleven leads and, in place of V6, the start of each record of 1 s."""
    counts = COUNTS.copy()
    for record, start in enumerate(starts):
        text = f"+{start:g}\x14\x14\0".encode().ljust(1000, b"\0")
        counts[11, 500 * record : 500 * (record + 1)] = np.frombuffer(text, "<i2")
    data = edf_bytes(counts).replace(b"ECG V6          ", b"EDF Annotations ")
    return data[:192] + b"EDF+D" + data[197:]


def test_edf_of_an_interrupted_recording_keeps_its_times() -> None:
    pytest.importorskip("edfio")
    starts = [0, 1, 2, 3, 7.5, 8.5, 9.5, 10.5, 11.5, 12.5]
    record = load_ecg(interrupted_edf(starts))
    assert record.leads[:11] == LEADS[:11] and record.num_samples == 6750
    truth = np.full((11, 6750), np.nan)
    truth[:, :2000], truth[:, 3750:] = COUNTS[:11, :2000], COUNTS[:11, 2000:]
    np.testing.assert_allclose(record.signal[:11], truth / 1000, atol=1e-6)
    later = load_ecg(interrupted_edf(starts), index=1)
    np.testing.assert_allclose(later.signal[:11], COUNTS[:11, 2000:] / 1000, atol=1e-6)


def test_edf_marked_as_interrupted_without_a_gap_is_one_piece() -> None:
    pytest.importorskip("edfio")
    record = load_ecg(interrupted_edf([float(second) for second in range(10)]))
    np.testing.assert_allclose(record.signal[:11], COUNTS[:11] / 1000, atol=1e-6)


# HL7 aECG


@pytest.mark.parametrize(
    "starts", [("0", "2.5", "5.0", "7.5"), [f"202001011200{s}" for s in ("00.0", "02.5", "05", "07.5")]]
)
@pytest.mark.parametrize("together", [True, False], ids=["one series", "a series per column"])
def test_aecg_columns_of_a_page_keep_their_time(starts: list[str], together: bool) -> None:
    sets = [
        aecg_set(COUNTS[rows][:, 1250 * k : 1250 * (k + 1)], [LEADS[row] for row in rows], start=starts[k])
        for k, rows in enumerate(COLUMNS)
    ]
    series = [aecg_series(*sets)] if together else [aecg_series(one, low="20200101120000") for one in sets]
    record = load_ecg(aecg_xml(series=series).encode())
    assert record.leads == LEADS
    np.testing.assert_allclose(record.signal, page_in_columns() * 5e-3, atol=2e-6)
    assert any("one after another" in note for note in record.history)


def test_aecg_columns_beside_a_rhythm_strip() -> None:
    sets = [
        aecg_set(COUNTS[rows][:, 1250 * k : 1250 * (k + 1)], [LEADS[row] for row in rows], start=str(2.5 * k))
        for k, rows in enumerate(COLUMNS)
    ]
    record = load_ecg(aecg_xml(series=[aecg_series(*sets, aecg_set(COUNTS[1:2], ["II"], start="0"))]).encode())
    truth = page_in_columns()
    truth[1] = COUNTS[1]
    np.testing.assert_allclose(record.signal, truth * 5e-3, atol=2e-6)


BEAT = COUNTS[:, 100:600] * 9 // 10


@pytest.mark.parametrize(
    "series",
    [
        [aecg_series(aecg_set(COUNTS), derived=aecg_set(BEAT))],
        [aecg_series(aecg_set(BEAT), code="REPRESENTATIVE_BEAT"), aecg_series(aecg_set(COUNTS))],
        [aecg_series(aecg_set(BEAT), aecg_set(COUNTS))],
        [aecg_series(aecg_set(BEAT, start="0"), aecg_set(COUNTS))],
    ],
    ids=["derived series", "series of its own", "sequence set", "with relative times"],
)
def test_aecg_representative_beat_beside_the_rhythm_is_left_out_and_named(series: list[str]) -> None:
    record = load_ecg(aecg_xml(series=series).encode())
    np.testing.assert_allclose(record.signal, COUNTS * 5e-3, atol=2e-6)
    assert any(note.startswith("left out") and ("beat" in note or "longer strips" in note) for note in record.history)


def test_aecg_of_several_recordings_needs_an_index() -> None:
    times = ("20200101120000", "20200101120500")
    series = [aecg_series(aecg_set(COUNTS // (k + 1), start=time), low=time) for k, time in enumerate(times)]
    data = aecg_xml(series=series).encode()
    with pytest.raises(EcgFormatError, match="index=0"):
        load_ecg(data)
    for k in range(2):
        np.testing.assert_allclose(load_ecg(data, index=k).signal, (COUNTS // (k + 1)) * 5e-3, atol=2e-6)


# GE MUSE


def test_muse_rhythm_blocks_of_several_leads_are_merged() -> None:
    halves = [muse_block(COUNTS[:6], LEADS[:6]), muse_block(COUNTS[6:], LEADS[6:])]
    record = load_ecg(muse_xml(blocks=halves).encode())
    assert record.leads == LEADS
    np.testing.assert_allclose(record.signal, COUNTS * 4.88e-3, atol=2e-6)


@pytest.mark.parametrize("element", ["WaveformStartTime", "LeadTimeOffset"])
def test_muse_blocks_recorded_one_after_another(element: str) -> None:
    blocks = [
        muse_block(
            COUNTS[rows][:, 1250 * k : 1250 * (k + 1)], [LEADS[row] for row in rows], **{element: str(2500 * k)}
        )
        for k, rows in enumerate(COLUMNS)
    ]
    record = load_ecg(muse_xml(blocks=blocks).encode())
    np.testing.assert_allclose(record.signal, page_in_columns() * 4.88e-3, atol=2e-6)


def test_muse_blocks_that_contradict_each_other_are_chosen_by_index() -> None:
    data = muse_xml(blocks=[muse_block(COUNTS, LEADS), muse_block(COUNTS // 2, LEADS)]).encode()
    with pytest.raises(EcgFormatError, match="index=1"):
        load_ecg(data)
    np.testing.assert_allclose(load_ecg(data, index=1).signal, (COUNTS // 2) * 4.88e-3, atol=2e-6)


def test_muse_median_beat_is_named() -> None:
    data = muse_xml(blocks=[muse_block(BEAT, LEADS, WaveformType="Median"), muse_block(COUNTS, LEADS)]).encode()
    record = load_ecg(data)
    np.testing.assert_allclose(record.signal, COUNTS * 4.88e-3, atol=2e-6)
    assert any("Median" in note for note in record.history)


# Calibration pulses


def calibrated(seconds: int = 1, height: int = 200, leads: int = 12) -> np.ndarray:
    """10 s of ECG and a pulse of `height` counts in every lead, at 500 Hz."""
    pulse = np.zeros(500 * seconds)
    pulse[100:300] = height
    return np.concatenate([COUNTS[:leads], np.tile(pulse, (leads, 1))], axis=1).astype(np.int16)


@pytest.mark.parametrize("seconds", [1, 2])
def test_philips_calibration_at_the_end_is_cut_and_noted(seconds: int) -> None:
    pytest.importorskip("ecgdatakit")
    record = load_ecg(sierra_xml(calibrated(seconds)).encode())
    assert record.duration == 10
    np.testing.assert_allclose(record.signal, COUNTS * 5e-3, atol=2e-6)
    assert any(f"the last {seconds} s" in note for note in record.history)


@pytest.mark.parametrize(
    "signal",
    [
        COUNTS / 200,
        calibrated(height=0) / 200,
        calibrated(height=600) / 200,
        calibrated(leads=2) / 200,
        np.zeros((12, 5000)),
        calibrated()[:, 5000:] / 200,
    ],
    ids=["ECG", "flat end", "3 mV", "two leads", "flat", "nothing else"],
)
def test_what_is_no_calibration_stays(signal: np.ndarray) -> None:
    raw = RawEcg(signal, list(LEADS[: len(signal)]), 500.0, "mV")
    assert without_calibration(raw).signal.shape == signal.shape and raw.notes == []


def test_an_ecg_that_ends_in_the_same_height_everywhere_is_no_calibration() -> None:
    raw = RawEcg(np.tile(COUNTS[1] / 1000, (len(INDEPENDENT), 1)), list(INDEPENDENT), 500.0, "mV")
    raw.signal[0, -600:] *= 0.9
    assert without_calibration(raw).signal.shape[1] == 5000
