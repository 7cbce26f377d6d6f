# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Records that show each lead for a part of the time are measured lead by lead, as pages of columns are."""

import math
from pathlib import Path

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.simulator.simulator import simulate_ecg

SAMPLES = sorted((Path(__file__).parents[2] / "processing" / "samples").glob("*.hea"))
PAGES = {"3x4": (3, 2.5), "6x2": (6, 5.0)}


def shown(record: EcgRecord, layout: str, strip: str | None = None, gap: float = 0.0) -> EcgRecord:
    """What a page of columns shows of a record; `gap` s at the end of each column are cut off."""
    leads, seconds = PAGES[layout]
    signal = np.full_like(record.signal, np.nan)
    rate = record.sampling_rate
    for number, lead in enumerate(STANDARD_LEADS):
        start = number // leads * seconds
        part = slice(round(start * rate), round((start + seconds - gap) * rate))
        signal[record.leads.index(lead), part] = record.signal[record.leads.index(lead), part]
    if strip:
        signal[record.leads.index(strip)] = record.signal[record.leads.index(strip)]
    return record.changed("shown as columns", signal=signal)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize(("layout", "strip"), [("3x4", None), ("3x4", "II"), ("6x2", None)])
def test_a_page_of_columns_is_measured_in_every_lead(sample, layout, strip):
    record = load_ecg(sample)
    whole, part = extract_features(record), extract_features(shown(record, layout, strip))
    assert part.leads == whole.leads and part.heart_rate == pytest.approx(whole.heart_rate, rel=0.1)
    assert part.qrs_duration == pytest.approx(whole.qrs_duration, abs=16)
    if math.isfinite(whole.pr_interval):
        assert part.pr_interval == pytest.approx(whole.pr_interval, abs=20)
    turn = (part.qrs_axis - whole.qrs_axis + 180) % 360 - 180
    assert abs(turn) < 16
    for name in ("r_amplitude", "st_j", "t_amplitude"):
        assert np.isfinite(part.lead_values[name]).all()
        if len(
            whole.pacing_spikes
        ):  # the limb leads do not show them, and there the QRS begins with its slow first part
            continue
        assert np.median(np.abs(part.lead_values[name] - whole.lead_values[name])) < 0.03
    # Every mark lies where its lead is shown.
    seconds = PAGES[layout][1]
    for row, lead in enumerate(part.leads):
        peaks = part.waves["QRS"][row, :, 1]
        peaks = peaks[np.isfinite(peaks)]
        start = STANDARD_LEADS.index(lead) // PAGES[layout][0] * seconds
        assert len(peaks) and (lead == strip or ((peaks > start) & (peaks < start + seconds)).all())


def test_what_a_page_does_not_show_is_said_and_no_beat_is_made_up():
    record = simulate_ecg(heart_rate=70, seed=4).record
    features = extract_features(shown(record, "3x4"))
    spans = [(lead, start, end) for lead, start, end, reason in features.left_out if reason == "not shown"]
    assert ("V1", 0.0, 5.0) in spans and ("V1", 7.5, 10.0) in spans
    distance = np.abs(features.beat_times[:, None] - extract_features(record).beat_times)
    assert distance.min(axis=1).max() < 0.05
    assert "V1 and V2 and V3 0.0-5.0 s (not shown)" in features.to_text()


@pytest.mark.parametrize("seed", range(4))
def test_rr_intervals_across_what_is_not_shown_do_not_count(seed):
    record = simulate_ecg(heart_rate=75 + 10 * seed, seed=seed).record
    features = extract_features(shown(record, "3x4", gap=0.6))
    expected = extract_features(record)
    assert features.heart_rate == pytest.approx(expected.heart_rate, rel=0.03)
    assert features.rhythm_regularity == expected.rhythm_regularity == "regular"
    assert np.isnan(features.rr_intervals).sum() == 3


def test_a_lead_that_is_lost_early_changes_no_other():
    record = simulate_ecg(heart_rate=70, seed=5).record
    signal = record.signal.copy()
    row = record.leads.index("V6")
    signal[row, 2000:] = np.nan
    lost, whole = extract_features(record.changed("V6 lost", signal=signal)), extract_features(record)
    others = [number for number in range(12) if number != row]
    assert lost.lead_values["r_amplitude"][others] == pytest.approx(whole.lead_values["r_amplitude"][others], abs=0.03)
    assert lost.pr_interval == pytest.approx(whole.pr_interval, abs=4)
    assert len(lost.beat_times) == len(whole.beat_times) and lost.quality["V6"]["verdict"] == "missing"


def test_a_lead_is_as_good_as_what_is_shown_of_it():
    quality = extract_features(shown(simulate_ecg(heart_rate=70, seed=5).record, "3x4")).quality
    assert {(found["verdict"], found["missing_share"]) for found in quality.values()} == {("good", 0.75)}


@pytest.mark.parametrize("strip", [None, "II"])
@pytest.mark.parametrize("column", [1, 2, 3])
@pytest.mark.parametrize("kind", ["noise", "flat"])
def test_a_column_of_noise_adds_no_beats_and_changes_no_other(kind, column, strip):
    record = simulate_ecg(heart_rate=80, seed=column).record
    signal = record.signal.copy()
    shape = 3, 1250
    bad = np.random.default_rng(column).normal(scale=0.3, size=shape) if kind == "noise" else np.zeros(shape)
    rows = [record.leads.index(lead) for lead in STANDARD_LEADS[3 * column : 3 * column + 3]]
    signal[rows, 1250 * column : 1250 * (column + 1)] = bad
    clean = extract_features(shown(record, "3x4", strip))
    noisy = extract_features(shown(record.changed(kind, signal=signal), "3x4", strip))
    assert noisy.heart_rate == pytest.approx(clean.heart_rate, rel=0.05)
    assert noisy.qrs_duration == pytest.approx(clean.qrs_duration, abs=12)
    assert noisy.pr_interval == pytest.approx(clean.pr_interval, abs=12)
    others = [row for row in range(12) if row not in rows]
    assert noisy.lead_values["r_amplitude"][others] == pytest.approx(
        clean.lead_values["r_amplitude"][others], abs=0.03
    )
    distance = np.abs(noisy.beat_times[:, None] - extract_features(record).beat_times)
    assert distance.min(axis=1).max() < 0.06


@pytest.mark.parametrize(("layout", "strip"), [("3x4", None), ("3x4", "II"), ("6x2", None)])
@pytest.mark.parametrize("heart_rate", [24, 30, 40])
def test_columns_of_one_beat_or_none_are_measured(heart_rate, layout, strip):
    features = extract_features(shown(simulate_ecg(heart_rate=heart_rate, seed=1).record, layout, strip))
    assert not features.heart_rate > 1.1 * heart_rate and features.heart_rate != 0


def test_fibrillation_in_columns_is_not_said_to_have_p_waves():
    record = load_ecg(next(path for path in SAMPLES if path.stem == "atrial_fibrillation"))
    for layout, strip in (("3x4", None), ("3x4", "II"), ("6x2", None)):
        features = extract_features(shown(record, layout, strip))
        assert not features.p_present and math.isnan(features.pr_interval)
    assert extract_features(shown(simulate_ecg(heart_rate=70, seed=3).record, "3x4")).p_present


def test_columns_of_noise_have_no_beats():
    noise = EcgRecord(np.random.default_rng(0).normal(size=(12, 5000)).astype(np.float32), STANDARD_LEADS, 500.0)
    assert not len(extract_features(shown(noise, "3x4")).beat_times)
