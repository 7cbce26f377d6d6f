# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The QRS lasts until all leads are back at rest: wide complexes with a plateau, noisy ones, beats of two kinds."""

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from processing.ecg_delineation import delineate
from processing.ecg_features import extract_features
from processing.simulator.simulator import simulate_ecg
from tests.helpers.disturbances import emg, with_noise
from tests.helpers.ptbxl_signals import read_ptbxl
from tests.helpers.shared_data import shared_path

RATE = 500
READERS_MS = 24  # readers put the QRS so much outside its mathematical support, and so do we
BLOCKS = {"CLBBB", "CRBBB"}
# A dipole in mV (left, feet, back) at shares of the QRS; the leads by rounded rows of a lead-field matrix.
# fmt: off
DIPOLE_TO_LEADS = np.array([
    (0.95, 0.05, 0.0), (0.35, 1.0, 0.05), (-0.35, 0.15, -0.85), (0.1, 0.15, -1.15), (0.55, 0.2, -1.0),
    (0.95, 0.25, -0.65), (1.0, 0.25, -0.15), (0.8, 0.2, 0.25),
])
SHAPES = {
    "dome": [(0.09, 0.18, 0.05, 0.24), (0.22, 0.6, 0.15, 0.8), (0.5, 0.6, 0.15, 0.8), (0.76, 0.56, 0.14, 0.75)],
    "notched top": [(0.1, 0.2, 0.03, 0.27), (0.25, 0.7, 0.1, 0.9), (0.5, 0.62, 0.04, 0.66), (0.75, 0.9, 0.0, 0.8)],
    "late R'": [
        (0.07, -0.1, 0.0, -0.15), (0.27, 0.95, 0.8, 0.2), (0.45, 0.2, 0.3, 0.4), (0.6, -0.27, 0.0, -0.36),
        (0.75, -0.25, 0.0, -0.33),
    ],
}
# fmt: on


def drawn(shape: str, duration: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """12 leads of 10 s with a QRS of that shape and an opposed T wave, `(12, 5000)` mV, and the onsets in s."""
    generator = np.random.default_rng(seed)
    time, onsets = np.arange(10 * RATE) / RATE, np.arange(0.5, 9.0, generator.uniform(0.7, 1.0))
    knots = np.array([(0, 0, 0, 0), *SHAPES[shape], (1, 0, 0, 0)])
    knots[:, 1:] *= generator.uniform(0.8, 1.25, size=3)
    curve = PchipInterpolator(duration * knots[:, 0], knots[:, 1:], axis=0, extrapolate=False)
    dipole = np.zeros((len(time), 3))
    for onset in onsets:
        dipole += np.nan_to_num(curve(time - onset))
        t_wave = np.clip((time - onset - duration - 0.06) / 0.2, 0, 1)
        dipole -= 0.3 * np.sin(np.pi * t_wave)[:, None] ** 2 * knots[2, 1:]
    eight = DIPOLE_TO_LEADS @ dipole.T + generator.normal(scale=0.004, size=(8, len(time)))
    one, two = eight[:2]
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.stack([*limb, *eight[2:]]), onsets


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("milliseconds", [140, 160, 180, 200])
def test_a_qrs_that_rests_at_its_top_is_measured_to_its_end(shape, milliseconds):
    for seed in range(3):
        signal, onsets = drawn(shape, milliseconds / 1000, seed)
        measured = extract_features(signal, RATE)
        assert len(measured.beat_times) == len(onsets)
        assert measured.qrs_duration == pytest.approx(milliseconds + READERS_MS, abs=25)


@pytest.fixture(scope="module")
def ptbxl():
    return shared_path("data/ptbxl")


def test_bundle_branch_blocks_are_wide_and_healthy_records_are_not(ptbxl):
    blocks = read_ptbxl(ptbxl, lambda codes: bool(codes & BLOCKS), 50)
    healthy = read_ptbxl(ptbxl, lambda codes: "NORM" in codes, 100)
    wide, narrow = (
        np.array([extract_features(signal, RATE).qrs_duration for signal in signals]) for signals in (blocks, healthy)
    )
    assert np.mean(wide >= 120) >= 0.96 and np.mean(narrow >= 120) <= 0.04


def test_muscle_noise_in_all_leads_does_not_shorten_the_qrs(ptbxl):
    signals = read_ptbxl(ptbxl, lambda codes: "SR" in codes and not codes & {"AFIB", "PACE"}, 20)
    errors = []
    for number, signal in enumerate(signals):
        noisy = with_noise(signal, RATE, emg, 0.05, range(12), slice(None), number)
        errors.append(extract_features(noisy, RATE).qrs_duration - extract_features(signal, RATE).qrs_duration)
    assert np.mean(np.abs(errors) <= 20) >= 0.95 and abs(np.median(errors)) <= 5


@pytest.mark.parametrize("seed", range(3))
def test_beats_of_two_kinds_keep_their_own_width_in_noise(seed):
    ecg = simulate_ecg("bigeminy", noise=0.2, duration=80, seed=seed)
    signal = with_noise(ecg.record.signal, RATE, emg, 0.05, range(12), slice(None), seed)
    found, true = delineate(signal, RATE), ecg.beat_fiducials["QRS"] * RATE
    marks = found.qrs.overall
    nearest = np.abs(marks[:, 1] - true[:, 1][:, None]).argmin(axis=1)
    errors = (marks[nearest, 2] - marks[nearest, 0] - (true[:, 2] - true[:, 0])) * 1000 / RATE - READERS_MS
    premature = np.array(ecg.beat_kinds) == "ventricular_premature"
    for kind in (premature, ~premature):
        assert abs(np.median(errors[kind])) <= 12 and np.mean(np.abs(errors[kind]) <= 25) >= 0.95
