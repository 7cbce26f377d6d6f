# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Very long PR and QT intervals and dropped beats, in simulated ECGs and in real ones that were lengthened."""

import numpy as np
import pytest

from processing.ecg_features import EcgFeatures, extract_features
from processing.simulator.simulator import simulate_ecg
from tests.helpers.delineation_scoring import read_ludb
from tests.helpers.lengthened import Lengthener, is_calm
from tests.helpers.shared_data import shared_path


@pytest.fixture(scope="module")
def calm() -> list[Lengthener]:
    records = read_ludb(shared_path("data/ludb/data"), every=5)
    found = [Lengthener(record.signal, extract_features(record.signal, record.sampling_rate)) for record in records]
    return [one for one in found if is_calm(one.features)]


def measured(signal: np.ndarray) -> EcgFeatures:
    return extract_features(signal, 500.0)


@pytest.mark.parametrize(("rate", "qtc"), [(75, 590), (60, 610), (50, 640), (85, 560)])
def test_a_very_long_qt_is_measured(rate, qtc):
    ecg = simulate_ecg(seed=4, heart_rate=rate, qtc=qtc)
    assert abs(extract_features(ecg.record).qt_interval - ecg.intervals["qt_interval"]) < 20


@pytest.mark.parametrize(
    ("rate", "pr"), [(50, 340), (50, 400), (50, 500), (60, 360), (60, 450), (60, 500), (75, 360), (75, 400)]
)
def test_a_very_long_pr_is_measured_and_conducted(rate, pr):
    features = extract_features(simulate_ecg(seed=4, heart_rate=rate, pr_interval=pr, noise=0.5).record)
    assert features.p_present and abs(features.pr_interval - pr) < 20 and not len(features.lone_p_waves)


@pytest.mark.parametrize("seconds", [0.14, 0.20, 0.24])
def test_a_longer_st_segment_makes_a_longer_qt(calm, seconds):
    errors = [measured(one.with_st(seconds)).qt_interval - one.features.qt_interval - 1000 * seconds for one in calm]
    assert len(errors) > 8 and np.mean(np.abs(errors) < 30) >= 0.85 and max(np.abs(errors)) < 80


@pytest.mark.parametrize("seconds", [0.12, 0.18, 0.24])
def test_a_longer_pr_segment_makes_a_longer_pr(calm, seconds):
    found = [measured(one.with_pr(seconds)) for one in calm]
    errors = np.array([
        features.pr_interval - one.features.pr_interval - 1000 * seconds
        for features, one in zip(found, calm, strict=True)
    ])  # fmt: skip
    assert np.mean(np.abs(errors) < 20) >= 0.75
    assert not any(len(features.lone_p_waves) > 2 for features in found)


def test_p_waves_of_dropped_beats_are_found_however_slow_the_atria(calm):
    taken = [one.without_every(4) for one in calm]
    found = [min(len(measured(signal).lone_p_waves), count) for signal, count in taken]
    assert sum(found) >= 0.6 * sum(count for _, count in taken)
    for seed in (1, 3, 6):
        assert len(extract_features(simulate_ecg("av_block_2_mobitz_2", seed=seed).record).lone_p_waves) >= 2


def test_no_p_wave_is_invented_between_beats_that_are_all_conducted(calm):
    assert not any(len(one.features.lone_p_waves) for one in calm)


def test_coarse_records_have_rates_and_no_intervals(calm):
    for one in calm[:4]:
        coarse = extract_features(one.signal[:, ::10], 50.0)
        assert abs(coarse.heart_rate - one.features.heart_rate) < 2
        assert np.isnan([coarse.pr_interval, coarse.qrs_duration, coarse.qt_interval, coarse.qtc_bazett]).all()
        assert not coarse.pathological_q and np.isnan(list(coarse.st_level["V2"].values())).all()
        assert "withheld" in coarse.to_text() and "wide QRS" not in coarse.to_text()
        usual = extract_features(one.signal[:, ::5], 100.0)
        assert abs(usual.qrs_duration - one.features.qrs_duration) < 20


def test_few_leads_are_not_called_low_voltage():
    record = simulate_ecg(seed=3, amplitude=0.7).record
    whole = extract_features(record.signal, 500.0, leads=record.leads)
    rows = [record.leads.index(lead) for lead in ("aVL", "V1")]
    few = extract_features(record.signal[rows], 500.0, leads=("aVL", "V1"))
    assert not whole.low_voltage and max(few.lead_values["qrs_amplitude"]) < 1.0 and not few.low_voltage
