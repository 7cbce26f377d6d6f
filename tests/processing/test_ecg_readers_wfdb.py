# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`load_ecg` on WFDB records: storage formats, gains, segments, comments."""

import socket
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS
from processing.errors_gem import EcgFormatError
from processing.folders.listing import list_ecg_files
from tests.helpers.ecg_files import (
    LEADS,
    microvolts,
    write_wfdb,
)

COUNTS = microvolts()
MV = (COUNTS / 1000).astype(np.float32)


def _packed_310(values: np.ndarray) -> bytes:
    first, second, third = (values & 0x3FF).reshape(-1, 3).T
    pairs = np.stack(((first << 1) | ((third & 0x1F) << 11), (second << 1) | ((third >> 5) << 11)), axis=1)
    return pairs.astype("<u2").tobytes()


def _packed_311(values: np.ndarray) -> bytes:
    first, second, third = (values & 0x3FF).reshape(-1, 3).T
    return (first | (second << 10) | (third << 20)).astype("<u4").tobytes()


# The formats that the wfdb package reads but does not write, by WFDB's signal(5).
_PACKERS = {
    "61": lambda values: values.astype(">i2").tobytes(),
    "160": lambda values: (values + 32768).astype("<u2").tobytes(),
    "310": _packed_310,
    "311": _packed_311,
}


@pytest.mark.parametrize("fmt", ["16", "24", "32", "61", "80", "160", "212", "310", "311", "508", "516", "524"])
def test_wfdb_storage_formats(fmt: str, tmp_path: Path) -> None:
    limit = {"80": 127, "508": 127, "310": 511, "311": 511, "212": 2047}.get(fmt, 32000)
    counts = np.clip(COUNTS[:3], -limit, limit)
    if fmt in _PACKERS:
        write_wfdb(tmp_path, "r", counts, LEADS[:3], fmt=["16"] * 3)
        (tmp_path / "r.dat").write_bytes(_PACKERS[fmt](counts.T.ravel().astype(np.int64)))
        header = tmp_path / "r.hea"
        header.write_text(header.read_text().replace("r.dat 16 ", f"r.dat {fmt} "))
    else:
        write_wfdb(tmp_path, "r", counts, LEADS[:3], fmt=[fmt] * 3)
    record = load_ecg(tmp_path / "r")
    np.testing.assert_allclose(record.recorded_leads_only().signal, counts / 1000, atol=1e-6)
    assert record.history == ("derived aVR, aVL, aVF from I and II",)


@pytest.mark.parametrize("suffix", ["", ".hea", ".dat"])
def test_wfdb_by_any_of_its_names(suffix: str, tmp_path: Path) -> None:
    write_wfdb(tmp_path, "rec", COUNTS)
    record = load_ecg(tmp_path / f"rec{suffix}")
    assert record.record_id == "rec" and record.source == str(tmp_path / "rec.hea")


def test_wfdb_gain_baseline_and_unit_of_each_lead(tmp_path: Path) -> None:
    gains, baselines = [200.0, 0.5, 1000.0], [100, 0, -50]
    write_wfdb(
        tmp_path,
        "r",
        COUNTS[:3],
        LEADS[:3],
        adc_gain=gains,
        baseline=baselines,
        units=["mV", "uV", "mV"],
        fmt=["16"] * 3,
    )
    record = load_ecg(tmp_path / "r").recorded_leads_only()
    truth = [(COUNTS[0] - 100.0) / 200, COUNTS[1] / 0.5 / 1000, (COUNTS[2] + 50.0) / 1000]
    np.testing.assert_allclose(record.signal, truth, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "line", ["r.dat 16 200 12 -100 5 0 0 I", "r.dat 16", "r.dat 16 500.5(7)/uV 16 3 0 0 0 I", "r.dat 16+100 2e2/mV"]
)
def test_wfdb_scaling_rules_equal_the_wfdb_packages(line: str, tmp_path: Path) -> None:
    import wfdb

    write_wfdb(tmp_path, "r", COUNTS[:1], LEADS[:1])
    (tmp_path / "r.hea").write_text(f"r 1 500 4950\n{line}\n")
    record = load_ecg(tmp_path / "r", leads=["I"])
    truth, fields = wfdb.rdsamp(str(tmp_path / "r"))
    scale = 1000 if fields["units"] == ["uV"] else 1
    np.testing.assert_allclose(record.signal[0], truth[:, 0] / scale, rtol=1e-6, atol=1e-9)


def test_wfdb_signals_in_two_files_without_a_length(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(COUNTS[:2].T.astype("<i2").tobytes())
    (tmp_path / "b.dat").write_bytes(COUNTS[6].astype("<i2").tobytes())
    (tmp_path / "r.hea").write_text("r 3 500\na.dat 16 1000 16 0 0\na.dat 16 1000\nb.dat 16 1000\n")
    record = load_ecg(tmp_path / "r", leads=["I", "II", "V1"]).recorded_leads_only()
    np.testing.assert_allclose(record.signal, MV[[0, 1, 6]], atol=1e-6)


def test_wfdb_gain_zero_is_reported_and_can_be_given(tmp_path: Path) -> None:
    header = write_wfdb(tmp_path, "r", COUNTS[:1], LEADS[:1])
    header.write_text(header.read_text().replace("1000.0(0)/mV", "0"))
    record = load_ecg(header)
    np.testing.assert_allclose(record.signal[0], COUNTS[0] / 200, rtol=1e-6)
    assert any("no gain (0)" in note for note in record.history)
    given = load_ecg(header, gain=1000)
    np.testing.assert_allclose(given.signal[0], COUNTS[0] / 1000, rtol=1e-6)
    assert not any("no gain" in note for note in given.history)


def test_wfdb_invalid_samples_are_missing(tmp_path: Path) -> None:
    counts = COUNTS[:2].copy()
    counts[0, 10:20] = -32768
    write_wfdb(tmp_path, "r", counts, LEADS[:2])
    record = load_ecg(tmp_path / "r")
    assert np.flatnonzero(np.isnan(record.signal[0])).tolist() == list(range(10, 20))
    assert not np.isnan(record.signal[1]).any()


def test_wfdb_changed_samples_are_noticed(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "r", COUNTS[:2], LEADS[:2])
    data = bytearray((tmp_path / "r.dat").read_bytes())
    data[0] ^= 1
    (tmp_path / "r.dat").write_bytes(bytes(data))
    assert any(note.startswith("checksum of I differs") for note in load_ecg(tmp_path / "r").history)


def test_wfdb_segments_and_gaps(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "m_1", COUNTS[:2, :1000], LEADS[:2])
    write_wfdb(tmp_path, "m_2", COUNTS[:2, 1000:2500], LEADS[:2])
    (tmp_path / "m_0.hea").write_text("m_0 2 500 0\n~ 0 1000.0(0)/mV 16 0 0 0 0 I\n~ 0 1000.0(0)/mV 16 0 0 0 0 II\n")
    (tmp_path / "fixed.hea").write_text("fixed/2 2 500 2500\nm_1 1000\nm_2 1500\n")
    (tmp_path / "loose.hea").write_text("loose/4 2 500 3000\nm_0 0\nm_1 1000\n~ 500\nm_2 1500\n")
    fixed = load_ecg(tmp_path / "fixed").recorded_leads_only()
    np.testing.assert_allclose(fixed.signal, MV[:2, :2500], atol=1e-6)
    loose = load_ecg(tmp_path / "loose").recorded_leads_only()
    assert np.isnan(loose.signal[:, 1000:1500]).all()
    np.testing.assert_allclose(np.delete(loose.signal, np.s_[1000:1500], axis=1), MV[:2, :2500], atol=1e-6)
    assert [path.name for path in list_ecg_files(tmp_path)] == ["fixed.hea", "loose.hea"]


def test_wfdb_signals_of_different_rates_come_to_the_highest(tmp_path: Path) -> None:
    import wfdb

    slow = np.round(500 * np.sin(2 * np.pi * 3 * np.arange(1000) / 250)).astype(np.int64)
    fast = np.round(500 * np.sin(2 * np.pi * 3 * np.arange(2000) / 500)).astype(np.int64)
    wfdb.wrsamp(
        "r", 250, ["mV", "mV"], ["I", "II"], e_d_signal=[slow, fast], samps_per_frame=[1, 2], fmt=["16", "16"],
        adc_gain=[1000, 1000], baseline=[0, 0], write_dir=str(tmp_path),
    )  # fmt: skip
    record = load_ecg(tmp_path / "r")
    assert record.sampling_rate == 500
    np.testing.assert_allclose(record.signal[0, 50:-50], record.signal[1, 50:-50], atol=0.01)
    assert any("resampled" in note for note in record.history)


def test_wfdb_channels_that_are_no_voltage_are_left_out(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "r", COUNTS[:2], ["II", "ABP"], units=["mV", "mmHg"])
    record = load_ecg(tmp_path / "r")
    assert record.leads == ("II",)
    assert any("ABP (mmHg)" in note for note in record.history)


def test_wfdb_comments_give_age_sex_and_codes_but_no_free_text(tmp_path: Path) -> None:
    comments = ["Age: 56", "Sex: Female", "Dx: 426783006,164889003", "Rx: Unknown", "Patient: Jane Doe"]
    start = datetime(2020, 2, 1, 12)
    write_wfdb(tmp_path, "r", COUNTS, comments=comments, base_time=start.time(), base_date=start.date())
    record = load_ecg(tmp_path / "r")
    assert dict(record.metadata) == {"age": 56, "sex": "F"}
    assert dict(record.labels) == {"426783006": 1.0, "164889003": 1.0}
    assert "Doe" not in repr((record.history, record.metadata, record.report))
    kept = load_ecg(tmp_path / "r", keep_phi=True)
    assert kept.metadata["phi"] == {"header comments": ["Patient: Jane Doe"], "record date": "12:00:00 01/02/2020"}
    assert kept.start_time == datetime(2020, 2, 1, 12)
    np.testing.assert_array_equal(kept.signal, record.signal)


def test_wfdb_never_asks_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    (tmp_path / "100.hea").write_text("100 1 360 650000\n100.dat 212 200 11 1024 995 -22131 0 MLII\n")
    for source in (
        tmp_path / "100",
        "mitdb/100",
        "100",
        "s3://bucket/100",
        "https://physionet.org/files/mitdb/1.0.0/100",
    ):
        with pytest.raises(EcgFormatError):
            load_ecg(source)


def test_comments_like_ludbs_alone_do_not_undo_gains(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "r", COUNTS, adc_gain=[500.0] * 12, comments=["<age>: 51", "<diagnoses>:", "Rhythm: Sinus."])
    np.testing.assert_allclose(load_ecg(tmp_path / "r").signal, COUNTS / 500, atol=1e-6)
    np.testing.assert_allclose(load_ecg(tmp_path / "r", dataset="ludb").signal, MV, atol=1e-6)


def test_mimics_lead_order_is_kept_by_name_and_can_be_reordered(tmp_path: Path) -> None:
    order = ["I", "II", "III", "aVR", "aVF", "aVL", *LEADS[6:]]
    rows = COUNTS[[LEADS.index(lead) for lead in order]]
    comments = ["subject_id: 10000032", "study_id: 40689238"]
    write_wfdb(tmp_path, "40689238", rows, order, adc_gain=[200.0] * 12, comments=comments)
    record = load_ecg(tmp_path / "40689238")
    assert record.leads == tuple(order) and "10000032" not in repr((record.metadata, record.history))
    np.testing.assert_allclose(record.select_leads(STANDARD_LEADS).signal, COUNTS / 200, atol=1e-6)
