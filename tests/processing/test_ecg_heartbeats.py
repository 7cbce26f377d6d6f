# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Signals without heartbeats are refused: noise, tones, steps, copies. ECGs of every kind, noisy ones too, are not."""

import itertools

import numpy as np
import pytest

from processing.ecg_check import check_ecg
from processing.ecg_features import extract_features
from processing.ecg_quality import inspect_record
from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import EcgQualityError
from processing.simulator.simulator import simulate_ecg
from tests.helpers.delineation_scoring import read_ludb
from tests.helpers.disturbances import emg, mains, movement, white
from tests.helpers.retimed_beats import Beats
from tests.helpers.retimed_rhythms import RETIMED
from tests.helpers.rhythm_ecgs import SIMULATED, simulated_rhythm
from tests.helpers.shared_data import shared_path

RATE, SAMPLES = 500, 5000
TIME = np.arange(SAMPLES) / RATE


def array(signal: np.ndarray) -> EcgRecord:
    return EcgRecord(np.asarray(signal, dtype=np.float32), STANDARD_LEADS, RATE)


def tones(generator: np.random.Generator) -> np.ndarray:
    return np.sin(2 * np.pi * generator.uniform(0.5, 40) * TIME + generator.uniform(0, 6, (12, 1)))


def squares(generator: np.random.Generator) -> np.ndarray:
    return np.sign(np.sin(2 * np.pi * generator.uniform(0.5, 3) * TIME + generator.uniform(0, 6, (12, 1))))


def steps(generator: np.random.Generator) -> np.ndarray:
    jumps = (generator.random((12, SAMPLES)) < 0.004) * generator.normal(size=(12, SAMPLES))
    return jumps.cumsum(axis=1) + 0.01 * generator.normal(size=(12, SAMPLES))


def walks(generator: np.random.Generator) -> np.ndarray:
    return generator.normal(size=(12, SAMPLES)).cumsum(axis=1) / 30


def noise(kind):
    return lambda generator: kind(generator, 12, SAMPLES, RATE)


@pytest.mark.parametrize(
    "kind", [tones, squares, steps, walks, *map(noise, (white, emg, movement, mains))], ids=lambda kind: kind.__name__
)
@pytest.mark.parametrize("seed", range(3))
def test_what_shows_no_heartbeat_is_refused_by_every_entry_point(kind, seed):
    record = array(kind(np.random.default_rng(seed)))
    with pytest.raises(EcgQualityError, match=r"asystole, ventricular fibrillation or not an ECG"):
        check_ecg(record)
    features = extract_features(record)
    assert features.plausibility.verdict == "refused" and not len(features.beat_times)
    assert inspect_record(record)["verdict"] == "refused"


def test_twelve_copies_of_one_lead_are_refused():
    record = simulate_ecg(heart_rate=72, seed=3).record
    assert check_ecg(record) is record
    with pytest.raises(EcgQualityError, match="copies of one signal"):
        check_ecg(array(record.lead("II") * np.linspace(-1, 2, 12)[:, None]))


def test_a_long_record_is_an_ecg_if_a_part_of_it_is():
    signal = np.tile(simulate_ecg(heart_rate=72, seed=3).record.signal, 12)
    noisy = np.random.default_rng(1).normal(size=signal.shape)
    half = np.arange(signal.shape[1]) < signal.shape[1] // 2
    assert check_ecg(array(np.where(half, noisy, signal)))
    with pytest.raises(EcgQualityError, match="heartbeat"):
        check_ecg(array(noisy))


@pytest.mark.parametrize("leads", [("II",), ("V1",), ("I", "II"), STANDARD_LEADS])
@pytest.mark.parametrize("rate", [38, 72, 150])
def test_ecgs_of_few_leads_and_noisy_ones_are_accepted(leads, rate):
    record = simulate_ecg(heart_rate=rate, seed=rate).record
    rows = [STANDARD_LEADS.index(lead) for lead in leads]
    quiet = EcgRecord(record.signal[rows], leads, RATE)
    assert check_ecg(quiet) is quiet
    muscles = 0.03 * emg(np.random.default_rng(2), len(rows), record.num_samples, RATE)
    assert check_ecg(EcgRecord((record.signal[rows] + muscles).astype(np.float32), leads, RATE))


@pytest.mark.parametrize("group", SIMULATED)
def test_no_rhythm_is_taken_for_noise(group):
    """Not even ventricular tachycardia, which has no isoelectric line between beats. The limits were set on even seeds."""
    for seed in (1, 3, 5):
        ecg = simulated_rhythm(group, seed).ecg
        assert check_ecg(array(ecg.signal)), seed


def test_no_rhythm_made_of_real_beats_is_taken_for_noise():
    beats = Beats.of(read_ludb(shared_path("data/ludb/data"))[1::2])
    for group, seed in itertools.product(("VT", "VT, dissociated P", "flutter 2:1, wide QRS"), range(1, 13, 2)):
        assert check_ecg(array(RETIMED[group](np.random.default_rng(seed), beats).ecg.signal)), (group, seed)


def test_ventricular_tachycardia_of_a_real_patient_is_accepted():
    record = load_ecg(shared_path("data/loaders/ningbo/JS45542.hea"))
    assert check_ecg(record) is record
