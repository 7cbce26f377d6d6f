# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A pacing spike shows in several leads at once. It is distinguished from the QRS and removed, and the QRS after it is measured."""

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.ecg_filters import condition
from processing.ecg_record import STANDARD_LEADS
from processing.simulator.simulator import simulate_ecg
from tests.helpers.delineation_scoring import match
from tests.helpers.disturbances import electrode_leads
from tests.helpers.ptbxl_signals import read_ptbxl
from tests.helpers.shared_data import shared_path

RATE = 500
LATENCY_S = 0.012
SIZES_MV = {"bipolar": 0.5, "unipolar": 5.0}
TURNED_DEG = {"bipolar": 15, "unipolar": 25}  # a tall stimulus hides the first 28 ms
AFTER_POTENTIAL, AFTER_S = 0.03, 0.008


def stimulated(chambers: str, kind: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """A rhythm with wide beats and spikes of one sample before them: signal, spikes in s, true QRS onsets in s, true axis."""
    generator = np.random.default_rng(seed)
    ecg = simulate_ecg("junctional" if chambers == "ventricle" else "sinus", conduction="lbbb", noise=0.5, seed=seed)
    signal, onsets = ecg.record.signal.astype(float), ecg.beat_fiducials["QRS"][:, 0]
    p_onsets = ecg.beat_fiducials["P"][:, 0]
    times = {"ventricle": [onsets], "atrium": [p_onsets], "both": [onsets, p_onsets]}[chambers]
    spikes = np.concatenate(times) - LATENCY_S
    spikes = np.round(spikes[(spikes > 0.1) & (spikes < 9.8)] * RATE) / RATE
    one, two, *chest = generator.normal(size=8)
    direction = np.array([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, *chest])
    shape = np.concatenate([[1.0], -AFTER_POTENTIAL * np.exp(-np.arange(20) / (AFTER_S * RATE))])
    for spike in np.round(spikes * RATE).astype(int):
        signal[:, spike : spike + len(shape)] += SIZES_MV[kind] * np.outer(direction / np.abs(direction).max(), shape)
    return signal, np.sort(spikes), onsets, ecg.intervals["qrs_axis"]


@pytest.mark.parametrize("kind", SIZES_MV)
@pytest.mark.parametrize("chambers", ["ventricle", "atrium", "both"])
def test_spikes_are_found_and_the_beats_behind_them_measured(chambers, kind):
    turned = []
    for seed in range(4):
        signal, spikes, onsets, axis = stimulated(chambers, kind, seed)
        measured = extract_features(signal, RATE, leads=STANDARD_LEADS)
        assert len(match(spikes, measured.pacing_spikes, 0.006)) == len(spikes) == len(measured.pacing_spikes)
        marks = measured.beat_waves["QRS"][:, 0]
        late = np.array([marks[np.abs(marks - onset).argmin()] - onset for onset in onsets]) * 1000
        assert np.median(np.abs(late)) <= 20, "readers put the onset some 13 ms before its mathematical support"
        turned.append(abs((measured.qrs_axis - axis + 180) % 360 - 180))
        assert measured.p_present is (chambers != "ventricle")
    assert max(turned) <= TURNED_DEG[kind]


def test_pops_of_one_electrode_are_no_spikes():
    """A chest electrode affects one lead. An arm electrode affects nine: pops of it at every beat would look like stimuli."""
    for electrode, times in (("V4", np.arange(0.5, 9.5)), ("LA", np.array([1.23, 4.56, 8.9]))):
        signal = simulate_ecg(seed=1).record.signal.astype(float)
        signal[:, (times * RATE).astype(int)] += 1.5 * electrode_leads(electrode)[:, None]
        assert not len(extract_features(signal, RATE).pacing_spikes)


def test_most_paced_records_show_spikes_and_few_others():
    folder = shared_path("data/ptbxl")
    paced, others = (
        [len(condition(signal, RATE)[2]) > 0 for signal in signals]
        for signals in (
            read_ptbxl(folder, lambda codes: "PACE" in codes, 40),
            read_ptbxl(folder, lambda codes: "PACE" not in codes, 200, 5),
        )
    )
    assert np.mean(paced) >= 0.9 and np.mean(others) <= 0.01
