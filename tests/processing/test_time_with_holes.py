# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Time that a recording leaves out: holes in a table's time column, and stretches in which all leads stand still."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from processing.ecg_features import extract_features
from processing.ecg_readers import load_ecg
from processing.errors_gem import EcgFormatError
from processing.simulator.simulator import simulate_ecg
from tests.helpers.shared_data import shared_path

RATE = 500


@pytest.fixture(scope="module")
def record():
    return simulate_ecg(heart_rate=66, seed=5, noise=0.01).record


def table(record, keep, folder, head="time", seconds_per_unit=1.0):
    """A CSV of the samples `keep`, with their times."""
    times = np.arange(record.signal.shape[1])[keep] / RATE / seconds_per_unit
    path = folder / "table.csv"
    columns = np.column_stack([times, record.signal[:, keep].T])
    heads = ",".join([head, *(f"{lead} (mV)" for lead in record.leads)])
    np.savetxt(path, columns, delimiter=",", header=heads, comments="", fmt="%.7f")
    return path


def test_lost_samples_are_put_where_the_time_column_says(record, tmp_path):
    rng = np.random.default_rng(0)
    keep = np.flatnonzero(rng.random(record.signal.shape[1]) > 0.1)
    keep = np.union1d(keep, [0, record.signal.shape[1] - 1])
    found = load_ecg(table(record, keep, tmp_path))
    assert found.sampling_rate == RATE and found.signal.shape == record.signal.shape
    assert any("interpolated" in note for note in found.history)
    measured, whole = (extract_features(one) for one in (found, record))
    assert measured.heart_rate == pytest.approx(whole.heart_rate, abs=0.5)
    assert measured.qrs_duration == pytest.approx(whole.qrs_duration, abs=6)
    assert measured.qt_interval == pytest.approx(whole.qt_interval, abs=8)


def test_a_long_hole_is_missing_and_no_interval_is_measured_across_it(record, tmp_path):
    keep = np.r_[0:1800, 2900 : record.signal.shape[1]]
    found = load_ecg(table(record, keep, tmp_path))
    assert np.isnan(found.signal[:, 1800:2900]).all() and np.isfinite(found.signal[:, :1800]).all()
    measured = extract_features(found)
    assert measured.heart_rate == pytest.approx(extract_features(record).heart_rate, abs=1)
    assert any("1,100 missing" in note for note in found.history)


def test_minutes_are_minutes(record, tmp_path):
    found = load_ecg(table(record, slice(None), tmp_path, head="time (min)", seconds_per_unit=60))
    assert found.sampling_rate == pytest.approx(RATE, rel=1e-3)


def test_a_column_that_goes_back_is_named_in_the_error(record, tmp_path):
    keep = np.r_[2500:5000, 0:2500]
    with pytest.raises(EcgFormatError, match=r'no sampling rate \(the column "time" goes back in time'):
        load_ecg(table(record, keep, tmp_path))


@pytest.fixture(scope="module")
def real():
    """Twenty records of PTB-XL with a regular rhythm; all begin or end with equal samples."""
    rows = pq.read_table(
        shared_path("data/ptbxl"), columns=["ecg_id", "signal_uv"], filters=[("strat_fold", "=", 8)]
    ).slice(0, 40)
    signals = [np.array(row.as_py(), np.float32).reshape(12, -1) / 1000 for row in rows["signal_uv"]]
    known = [(signal, extract_features(signal, RATE)) for signal in signals]
    return [(signal, found) for signal, found in known if found.rhythm_regularity == "regular"][:20]


@pytest.mark.parametrize("held", [False, True])
def test_a_stretch_without_any_change_in_all_leads_was_not_recorded(real, held):
    assert len(real) == 20
    for signal, found in real:
        for start, end in ((1000, 2500), (2000, 2800)):
            gap = signal.copy()
            gap[:, start:end] = signal[:, [start]] if held else 0
            measured = extract_features(gap, RATE)
            assert measured.heart_rate == pytest.approx(found.heart_rate, rel=0.05)
            out = [part for part in measured.left_out if part[0] == "all"]
            assert out and abs(out[0][1] - start / RATE) < 0.2 and abs(out[0][2] - end / RATE) < 0.2
