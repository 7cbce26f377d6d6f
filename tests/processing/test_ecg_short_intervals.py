# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Fast rhythms: the T wave is no P wave, and a P wave on the T wave is still one."""

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.simulator.simulator import simulate_ecg
from tests.helpers.delineation_scoring import read_ludb
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


@pytest.mark.parametrize("conduction", ["normal", "rbbb"])
def test_sinus_tachycardia_keeps_the_p_waves_that_the_t_wave_does_not_hide(conduction):
    kept = []
    for seed, rate in enumerate(range(130, 165, 5)):
        ecg = simulate_ecg(conduction=conduction, heart_rate=rate, pr_interval=115, seed=seed)
        features = extract_features(ecg.record)
        kept.append(features.p_present and features.pr_interval == pytest.approx(115, abs=35))
    assert sum(kept) >= len(kept) - 2, "a T wave against a wide QRS hides more of them"


@pytest.mark.parametrize("group", ["SVT", "VT"])
def test_tachycardias_of_real_beats_have_no_p_waves(group):
    beats = Beats.of(read_ludb(shared_path("data/ludb/data"), every=4))
    ecgs = [RETIMED[group](np.random.default_rng(seed), beats).ecg for seed in range(12)]
    assert sum(bool(extract_features(ecg.signal, ecg.sampling_rate).p_present) for ecg in ecgs) <= 1
