# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""P waves without QRS: real beats put together as a complete AV block."""

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.simulator.simulator import simulate_ecg
from tests.helpers.delineation_scoring import match, read_ludb
from tests.helpers.retimed_beats import Beats
from tests.helpers.retimed_rhythms import RETIMED
from tests.helpers.shared_data import shared_path


def test_complete_av_block_of_real_beats_shows_its_p_waves():
    beats = Beats.of(read_ludb(shared_path("data/ludb/data"), every=4))
    hits = truths = 0
    for seed in range(10):
        truth = RETIMED["complete AV block"](np.random.default_rng(seed), beats)
        features = extract_features(truth.ecg.signal, truth.ecg.sampling_rate)
        found = np.concatenate([features.lone_p_waves[:, 1], features.beat_waves["P"][:, 1]]) * truth.ecg.sampling_rate
        own = truth.ecg.marks[1]["P"][:, 1]
        hits, truths = hits + len(match(own, found[np.isfinite(found)], 50)), truths + len(own)
    assert hits >= 0.85 * truths


@pytest.mark.parametrize("rate", [42, 50, 58])
def test_slow_sinus_rhythm_keeps_its_p_waves_with_their_beats(rate):
    for seed in range(3):
        features = extract_features(simulate_ecg(heart_rate=rate, seed=seed).record)
        assert features.p_present and not len(features.lone_p_waves)
