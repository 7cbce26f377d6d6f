# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""P waves are searched for in each stretch of a record and among beats of one kind."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from processing.ecg_features import extract_features
from processing.ecg_p_repeats import on_time_and_calm
from processing.ecg_rules import is_atrial_fibrillation
from processing.simulator.simulator import simulate_ecg
from tests.helpers.delineation_scoring import LEADS, match, read_ludb
from tests.helpers.retimed_beats import Beats
from tests.helpers.retimed_rhythms import RETIMED
from tests.helpers.rhythm_ecgs import simulated_rhythm
from tests.helpers.shared_data import shared_path

# None of these was used to set a constant. The first have premature beats; in the others waves before half of the beats are alike.
SINUS, FIBRILLATION = (242, 6860, 17786), (15586, 13386, 12150)


def test_an_episode_of_fibrillation_keeps_the_p_waves_around_it_and_has_none():
    parts = [simulate_ecg(rhythm, duration=60, seed=4) for rhythm in ("sinus", "atrial_fibrillation", "sinus")]
    signal = np.concatenate([part.record.signal for part in parts], axis=1)
    for leads in (LEADS, ("II", "V5")):
        rows = [LEADS.index(lead) for lead in leads]
        features = extract_features(signal[rows], 500, leads=leads)
        with_p = np.isfinite(features.beat_waves["P"][:, 1])
        minute = (features.beat_times // 60).astype(int)
        assert with_p[minute == 0].mean() > 0.9 and with_p[minute == 2].mean() > 0.9
        assert with_p[(features.beat_times > 75) & (features.beat_times < 105)].mean() < 0.05


def test_a_change_of_the_pr_interval_loses_no_p_wave():
    parts = [simulate_ecg(pr_interval=pr, heart_rate=70, duration=60, seed=6) for pr in (130, 240)]
    features = extract_features(
        np.concatenate([part.record.signal for part in parts], axis=1)[[1, 10]], 500, leads=("II", "V5")
    )
    pr = 1000 * (features.beat_waves["QRS"][:, 0] - features.beat_waves["P"][:, 0])
    assert np.isfinite(pr).mean() > 0.95
    assert np.nanmedian(pr[features.beat_times > 62]) - np.nanmedian(pr[features.beat_times < 58]) == pytest.approx(
        110, abs=15
    )


def test_a_focus_of_three_beats_keeps_its_p_waves():
    """The rhythm is a wandering pacemaker. With these seeds one focus leads only three beats."""
    for seed in (21, 27, 31, 33):
        truth = simulated_rhythm("wandering pacemaker", seed)
        features = extract_features(truth.ecg.signal, truth.ecg.sampling_rate)
        assert np.isfinite(features.beat_waves["P"][1:, 1]).mean() > 0.85


@pytest.mark.parametrize("group", ["wandering pacemaker", "dual pacing, bipolar"])
def test_neither_two_foci_nor_uneven_paced_beats_lose_all_p_waves(group):
    """Two foci may lead half of the beats each; paced beats may differ by a fifth in width. Seeds that set no constant."""
    for seed in range(100, 124):
        truth = simulated_rhythm(group, seed)
        features = extract_features(truth.ecg.signal, truth.ecg.sampling_rate)
        assert features.p_present, seed
        assert np.isfinite(features.beat_waves["P"][1:, 1]).mean() > 0.5, seed


@pytest.mark.parametrize("group", ["AF", "AF, coarse", "VT"])
def test_waves_of_fibrillation_are_no_two_foci(group):
    for seed in range(100, 124):
        truth = simulated_rhythm(group, seed)
        assert not extract_features(truth.ecg.signal, truth.ecg.sampling_rate).p_present, seed


def test_fibrillation_at_a_calm_rate_has_no_two_foci():
    for seed in range(60):
        features = extract_features(simulate_ecg("atrial_fibrillation", seed=seed).record)
        assert not features.p_present, seed


def test_bigeminy_of_real_beats_keeps_the_p_waves_of_its_sinus_beats():
    beats = Beats.of(read_ludb(shared_path("data/ludb/data"), every=4))
    kept, truths, more = [], 0, 0
    for seed in range(12):
        truth = RETIMED["bigeminy"](np.random.default_rng(seed), beats)
        features = extract_features(truth.ecg.signal, truth.ecg.sampling_rate)
        peaks = features.beat_waves["P"][:, 1] * truth.ecg.sampling_rate
        own = truth.ecg.marks[1]["P"][:, 1]
        peaks = peaks[np.isfinite(peaks)]
        hits = len(match(own, peaks, 50))
        kept.append(hits >= 0.75 * len(own))
        truths, more = truths + len(own), more + len(peaks) - hits
    assert sum(kept) >= 10 and more < 0.4 * truths


@pytest.fixture(scope="module")
def ptbxl():
    wanted = [("ecg_id", "in", [*SINUS, *FIBRILLATION])]
    table = pq.read_table(shared_path("data/ptbxl"), columns=["ecg_id", "signal_uv"], filters=wanted)
    return {
        row["ecg_id"]: np.array(row["signal_uv"], dtype=np.float32).reshape(12, -1) / 1000 for row in table.to_pylist()
    }


@pytest.mark.parametrize(("number", "fibrillates"), [*((n, False) for n in SINUS), *((n, True) for n in FIBRILLATION)])
def test_premature_beats_make_no_fibrillation_of_a_sinus_rhythm(ptbxl, number, fibrillates):
    features = extract_features(ptbxl[number], 500)
    assert features.p_present is not fibrillates
    assert is_atrial_fibrillation(features) is fibrillates


def test_beats_on_time_are_told_from_premature_ones_and_the_pauses_after_them():
    on_time, calm = on_time_and_calm(np.array([np.nan, 400, 410, 250, 550, 405, np.nan]))
    assert on_time.tolist() == [True, True, True, False, True, True, True]
    assert calm.tolist() == [False, True, True, False, False, True, False]
    assert not on_time_and_calm(np.array([np.nan, np.nan]))[1].any()


@pytest.mark.parametrize("seed", [0, 10])
def test_the_first_beat_of_bigeminy_is_not_judged_by_the_short_interval_after_it(seed):
    truth = simulated_rhythm("bigeminy", seed)
    features = extract_features(truth.ecg.signal, truth.ecg.sampling_rate)
    found = np.isfinite(features.beat_waves["P"][:, 1])
    assert found[:6].tolist() == [True, False] * 3
