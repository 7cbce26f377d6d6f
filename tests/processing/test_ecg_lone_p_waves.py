# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""P waves without QRS: real beats put together as a complete AV block."""

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.simulator.simulator import simulate_ecg
from tests.helpers.delineation_scoring import match, read_ludb
from tests.helpers.retimed_beats import Beats
from tests.helpers.retimed_rhythms import RETIMED
from tests.helpers.rhythm_ecgs import RhythmEcg, simulated_rhythm
from tests.helpers.shared_data import shared_path


def p_waves_found(truth: RhythmEcg) -> tuple[int, int]:
    """How many of the P waves that lead II shows are found, led or lone, and how many there are."""
    features = extract_features(truth.ecg.signal, truth.ecg.sampling_rate)
    found = np.concatenate([features.lone_p_waves[:, 1], features.beat_waves["P"][:, 1]]) * truth.ecg.sampling_rate
    own = truth.ecg.marks[1]["P"][:, 1]
    return len(match(own, found[np.isfinite(found)], 50)), len(own)


def test_complete_av_block_of_real_beats_shows_its_p_waves():
    beats = Beats.of(read_ludb(shared_path("data/ludb/data"), every=4))
    counts = [p_waves_found(RETIMED["complete AV block"](np.random.default_rng(seed), beats)) for seed in range(10)]
    hits, truths = np.sum(counts, axis=0)
    assert hits >= 0.87 * truths


def test_p_waves_close_to_a_qrs_are_marked_where_their_train_is_known():
    hits, truths = np.sum([p_waves_found(simulated_rhythm("complete AV block", seed)) for seed in range(12)], axis=0)
    assert hits >= 0.93 * truths


def test_waves_of_fibrillation_make_no_train():
    for seed in range(12):
        truth = simulated_rhythm("AF", seed)
        assert not len(extract_features(truth.ecg.signal, truth.ecg.sampling_rate).lone_p_waves)


@pytest.mark.parametrize("rate", [42, 50, 58])
def test_slow_sinus_rhythm_keeps_its_p_waves_with_their_beats(rate):
    for seed in range(3):
        features = extract_features(simulate_ecg(heart_rate=rate, seed=seed).record)
        assert features.p_present and not len(features.lone_p_waves)
