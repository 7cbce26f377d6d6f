# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Long records: joined windows give the results of the whole, in bounded memory; events are found where they were put."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing import ecg_long_records
from processing.ecg_events import LONG_PAUSE_S, find_events
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_long_records import measure_in_windows
from processing.ecg_quality import inspect_record
from processing.ecg_record import EcgRecord
from processing.simulator.simulator import simulate_ecg
from tests.helpers.delineation_scoring import match, read_ludb
from tests.helpers.shared_data import shared_path

ROOT = Path(__file__).parents[2]
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


@pytest.fixture(scope="module", params=["simulated", "LUDB"])
def minutes(request):
    """Five minutes of one simulated heart, and of hearts in turn that differ in everything."""
    if request.param == "simulated":
        record = simulate_ecg(duration=300, heart_rate=68, seed=3, sampling_rate=250).record
        return record.select_leads(["II", "V1", "V5"])
    records = read_ludb(shared_path("data/ludb/data"), every=20)
    levelled = [record.signal - np.median(record.signal, axis=1, keepdims=True) for record in records]
    return EcgRecord(np.concatenate(levelled * 6, axis=1)[:, : 300 * 500], LEADS, 500)


def test_windows_join_to_the_whole(minutes, monkeypatch):
    monkeypatch.setattr(ecg_long_records, "WINDOW_S", 60.0)
    told = []
    joined = measure_in_windows(minutes, extract_features, lambda done, total: told.append((done, total)))
    whole = extract_features(minutes)
    assert told == [(number, 5) for number in range(1, round(minutes.duration / 60) + 1)]
    assert joined.duration == whole.duration and joined.leads == whole.leads
    assert (np.diff(joined.beat_times) > 0.2).all(), "no beat occurs twice where windows meet"
    pairs = match(whole.beat_times, joined.beat_times, 0.02)
    assert len(pairs) > 0.99 * max(len(whole.beat_times), len(joined.beat_times))
    first, second = (np.array(index) for index in zip(*pairs, strict=True))
    moved = np.abs(whole.beat_waves["QRS"][first] - joined.beat_waves["QRS"][second])[:, [0, 2]]
    assert np.mean(moved < 0.005) > 0.95
    assert joined.heart_rate == pytest.approx(whole.heart_rate, rel=0.02)
    for values in (*joined.sequences.values(), *joined.waves.values()):
        assert values.shape[:2] == (len(minutes.leads), len(joined.beat_times))
    again = EcgFeatures.from_dict(joined.to_dict(full=True))
    assert np.array_equal(again.beat_times, joined.beat_times)


def test_one_heart_has_the_measures_of_the_whole(monkeypatch):
    monkeypatch.setattr(ecg_long_records, "WINDOW_S", 60.0)
    record = simulate_ecg(duration=180, seed=5, sampling_rate=250).record
    joined, whole = measure_in_windows(record, extract_features), extract_features(record)
    for name in ("heart_rate", "pr_interval", "qrs_duration", "qt_interval", "qrs_axis", "sokolow_lyon"):
        assert getattr(joined, name) == pytest.approx(getattr(whole, name), rel=0.02, abs=2), name
    for name in ("p_present", "rhythm_regularity", "qrs_patterns", "r_transition", "t_inversion"):
        assert getattr(joined, name) == getattr(whole, name), name


def test_a_gap_over_the_seam_is_one_gap(monkeypatch):
    monkeypatch.setattr(ecg_long_records, "WINDOW_S", 60.0)
    record = simulate_ecg(duration=180, seed=5, sampling_rate=250).record.select_leads(["II", "V5"])
    signal = record.signal.copy()
    signal[:, 55 * 250 : 65 * 250] = np.nan
    found = measure_in_windows(record.changed("gap", signal=signal), extract_features)
    gaps = [(round(start), round(end)) for lead, start, end, _ in found.left_out if lead == "all"]
    assert gaps == [(55, 65)]
    assert not ((found.beat_times > 55.2) & (found.beat_times < 64.8)).any()


def test_no_window_has_a_beat():
    found = measure_in_windows(EcgRecord(np.zeros((2, 100 * 1300)), ("II", "V5"), 100), extract_features)
    assert not len(found.beat_times) and found.note and found.duration == 1300
    assert {quality["verdict"] for quality in found.quality.values()} == {"flat"}


def test_an_hour_and_more_is_inspected_in_windows():
    minute = simulate_ecg(duration=60, seed=1, sampling_rate=100).record.select_leads(["II", "V1", "V5"])
    signal = np.tile(minute.signal, 61)
    signal[1, : 100 * 700] = 0
    summary = inspect_record(EcgRecord(signal, minute.leads, 100))
    assert summary["duration_s"] == 3660 and summary["samples"] == 366000
    assert [summary["lead_quality"][lead]["verdict"] for lead in minute.leads] == ["good", "good", "good"]
    assert summary["lead_quality"]["V1"]["flat_share"] == pytest.approx(700 / 3660, abs=0.01)
    assert "in 1 of 6 windows: lead V1 is flat: electrode off, or not recorded" in summary["suspicions"]


MEMORY = """
import resource
import numpy as np
from processing.ecg_features import extract_features
from processing.ecg_record import EcgRecord
from processing.simulator.simulator import simulate_ecg

ecg = simulate_ecg(duration=60, seed=1, sampling_rate=250).record.select_leads(["II", "V1", "V5"])
record = EcgRecord(np.tile(ecg.signal, 61), ecg.leads, 250)
extract_features(ecg)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
features = extract_features(record)
print(len(features.beat_times), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_more_than_an_hour_takes_the_memory_of_minutes():
    """As a whole it takes 0.9 GB more; a ten-minute window takes 0.2."""
    run = subprocess.run([sys.executable, "-c", MEMORY], cwd=ROOT, capture_output=True, text=True, check=True)
    beats, kilobytes = map(int, run.stdout.split())
    assert beats > 61 * 50 and kilobytes < 350_000


def rhythm(rr, width=90.0):
    """What `find_events` asks of features: beats after `rr` (s), the first at 1 s, with QRS of `width` (ms)."""
    times = np.concatenate(([1.0], 1.0 + np.cumsum(rr)))
    half = np.broadcast_to(np.asarray(width) / 2000, len(times))
    qrs = np.stack([times - half, times, times + half], axis=1)
    return SimpleNamespace(beat_times=times, rr_intervals=1000 * np.asarray(rr), beat_waves={"QRS": qrs})


@settings(deadline=None)
@given(st.integers(20, 400), st.floats(0.5, 1.2), st.integers(1, 12), st.booleans(), st.data())
def test_a_run_and_a_pause_are_found_where_they_are(beats, usual, premature, wide, data):
    at = data.draw(st.integers(8, beats - 8), label="first premature beat")
    rr = np.full(beats + premature, usual)
    rr[at - 1 : at - 1 + premature] = 0.6 * usual
    rr[4] = LONG_PAUSE_S
    width = np.full(len(rr) + 1, 90.0)
    width[at : at + premature] = 140.0 if wide else 90.0
    few = premature < 0.2 * beats  # more are no exception any more
    events = find_events(rhythm(rr, width))
    assert [round(pause.seconds, 3) for pause in events.pauses] == [LONG_PAUSE_S]
    if few:
        counted = (events.wide_premature, events.narrow_premature)
        assert counted == ((premature, 0) if wide else (0, premature))
        assert [run.beats for run in events.runs] == ([premature] if premature >= 3 else [])
        assert [run.kind for run in events.runs] == ["wide" if wide else "narrow"] * (premature >= 3)
        assert all(run.rate == pytest.approx(60 / (0.6 * usual), abs=0.1) for run in events.runs)
    assert events.ectopy_share == (events.wide_premature + events.narrow_premature) / (len(rr) + 1)


def test_bigeminy_is_half_premature_and_fibrillation_is_not():
    rr = np.tile([0.5, 1.1], 100)
    wide = find_events(rhythm(rr, np.append(np.tile([90.0, 140.0], 100), 90.0)))
    assert (wide.wide_premature, wide.narrow_premature, wide.runs) == (100, 0, ())
    irregular = np.random.default_rng(0).uniform(0.4, 1.1, 500)
    assert find_events(rhythm(irregular)).ectopy_share == 0


def test_seconds_that_were_left_out_are_no_pause():
    rr = np.full(60, 0.8)
    rr[30] = np.nan
    events = find_events(rhythm(np.where(np.isnan(rr), 5.0, rr)))
    assert len(events.pauses) == 1
    features = rhythm(np.where(np.isnan(rr), 5.0, rr))
    features.rr_intervals = 1000 * rr
    assert find_events(features).pauses == ()


def test_rates_and_text_of_a_simulated_record():
    features = extract_features(simulate_ecg("ventricular_premature", duration=90, seed=2).record)
    events = features.events
    assert events.wide_premature >= 3
    assert events.lowest_rate[1] <= features.heart_rate <= events.highest_rate[1]
    assert "premature beats" in events.to_text() and "0:0" in events.to_text()
    assert features.to_dict(full=True)["record"]["events"] == events.to_dict()
    assert "events" not in extract_features(simulate_ecg(seed=2).record).to_dict(full=True)["record"]
    nothing = extract_features(np.zeros((1, 5000)), 500, leads=["II"]).events
    assert (nothing.beats, nothing.ectopy_share, nothing.lowest_rate, nothing.pauses) == (0, 0.0, None, ())
