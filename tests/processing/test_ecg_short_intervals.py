# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Fast rhythms: a T wave is not taken for a P wave, and a P wave on a T wave is still found."""

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.ecg_rules import has_sinus_p_waves
from processing.simulator.simulator import simulate_ecg
from tests.helpers.delineation_scoring import read_ludb
from tests.helpers.ptbxl_signals import read_ptbxl
from tests.helpers.retimed_beats import Beats
from tests.helpers.retimed_rhythms import RETIMED
from tests.helpers.shared_data import shared_path

FAST = range(130, 216, 9)


@pytest.mark.parametrize("conduction", ["normal", "rbbb", "lbbb"])
def test_the_t_wave_of_a_fast_rhythm_without_p_waves_is_no_p_wave(conduction):
    errors = []
    for seed, rate in enumerate(FAST):
        ecg = simulate_ecg("junctional", conduction=conduction, heart_rate=rate, seed=seed)
        features = extract_features(ecg.record)
        assert not features.p_present and np.isnan(features.pr_interval), rate
        assert not len(features.lone_p_waves), rate
        found, truth = features.beat_waves["T"][1:-1, 1], ecg.beat_fiducials["T"][:, 1]
        assert np.isfinite(found).mean() > 0.9, rate
        errors.append(np.nanmedian(np.abs(found[:, None] - truth[np.isfinite(truth)]).min(axis=1)))
    assert np.median(errors) < 0.02, "and the T wave is found where it is"


def test_sinus_tachycardia_keeps_the_p_waves_that_the_t_wave_does_not_hide():
    kept = []
    for seed, rate in enumerate(range(130, 165, 5)):
        features = extract_features(simulate_ecg(heart_rate=rate, pr_interval=115, seed=seed).record)
        kept.append(features.p_present and features.pr_interval == pytest.approx(115, abs=35))
    assert sum(kept) >= len(kept) - 2


@pytest.mark.parametrize("conduction", ["rbbb", "lbbb"])
def test_where_wide_beats_are_so_fast_that_p_and_t_merge_nothing_is_said_of_p_waves(conduction):
    for seed, rate in enumerate(range(130, 165, 5)):
        features = extract_features(
            simulate_ecg(conduction=conduction, heart_rate=rate, pr_interval=115, seed=seed).record
        )
        if features.p_present:
            assert features.pr_interval == pytest.approx(115, abs=35)
        elif features.p_present is None:
            assert np.isnan(features.pr_interval) and "P waves not measurable (fast wide beats)" in features.to_text()
            assert has_sinus_p_waves(features) is None
    flutter = [
        extract_features(simulate_ecg("atrial_flutter", conduction=conduction, seed=seed).record) for seed in range(10)
    ]
    assert not any(features.p_present for features in flutter)


def test_real_sinus_tachycardia_with_wide_beats_keeps_its_p_waves():
    def wanted(codes: set[str]) -> bool:
        return "STACH" in codes and bool(codes & {"CLBBB", "CRBBB", "ILBBB", "IRBBB", "IVCD"})

    measured = [extract_features(signal, 500) for signal in read_ptbxl(shared_path("data/ptbxl"), wanted, 12)]
    assert len(measured) >= 8
    assert all(features.p_present is not None for features in measured)
    assert sum(bool(features.p_present) for features in measured) >= len(measured) - 1


@pytest.mark.parametrize("group", ["SVT", "VT"])
def test_tachycardias_of_real_beats_have_no_p_waves(group):
    beats = Beats.of(read_ludb(shared_path("data/ludb/data"), every=4))
    ecgs = [RETIMED[group](np.random.default_rng(seed), beats).ecg for seed in range(12)]
    assert sum(bool(extract_features(ecg.signal, ecg.sampling_rate).p_present) for ecg in ecgs) <= 1
