# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""No array makes the measurement fail. GEM_HOSTILE_ARRAYS=5000 tries that many (default 300)."""

import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processing.ecg_features import extract_features
from processing.ecg_record import STANDARD_LEADS
from processing.simulator.simulator import simulate_ecg

ARRAYS = int(os.environ.get("GEM_HOSTILE_ARRAYS", "300"))
ECGS = [simulate_ecg(seed=seed, duration=5).record.signal for seed in range(3)]


def _base(rng, kind, leads, samples):
    if kind == "ecg":
        ecg = ECGS[int(rng.integers(len(ECGS)))]
        return np.resize(ecg, (12, max(samples, 1)))[:leads].astype(np.float64)
    if kind == "noise":
        return rng.normal(0, 1, (leads, samples))
    if kind == "walk":
        return np.cumsum(rng.normal(0, 0.1, (leads, samples)), axis=1)
    if kind == "steps":
        return np.repeat(rng.normal(0, 1, (leads, samples // 50 + 1)), 50, axis=1)[:, :samples]
    if kind == "impulses":
        return (rng.random((leads, samples)) < 0.01) * rng.normal(0, 5, (leads, samples))
    if kind == "sine":
        return np.sin(np.arange(samples) * rng.uniform(0.001, 1.5)) * np.ones((leads, 1))
    return np.full((leads, samples), float(rng.normal()))


def _spoil(rng, signal, spoils):
    leads, samples = signal.shape
    for spoil in spoils:
        if spoil == "scale":
            signal = signal * 10.0 ** rng.uniform(-8, 8)
        elif spoil == "offset":
            signal = signal + 10.0 ** rng.uniform(-3, 6)
        elif spoil == "gap":
            start = int(rng.integers(samples))
            signal = signal.copy()
            signal[int(rng.integers(leads)) :, start : start + int(rng.integers(1, samples + 1))] = np.nan
        elif spoil == "infinite":
            signal = np.where(rng.random(signal.shape) < 0.01, np.inf, signal)
        elif spoil == "clip":
            signal = np.clip(signal, -0.2, 0.2)
        elif spoil == "dead":
            signal = signal.copy()
            signal[: int(rng.integers(leads + 1))] = 0
        elif spoil == "huge":
            signal = signal.copy()
            signal[:, int(rng.integers(samples))] = 1e30
    return signal


@settings(max_examples=ARRAYS, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["ecg", "ecg", "noise", "walk", "steps", "impulses", "sine", "constant"]),
    spoils=st.lists(st.sampled_from(["scale", "offset", "gap", "infinite", "clip", "dead", "huge"]), max_size=3),
    leads=st.integers(1, 12),
    samples=st.one_of(st.integers(1, 60), st.integers(100, 2500)),
    rate=st.sampled_from([50, 100, 125, 250, 257, 360, 500, 1000, 5000]),
    compat=st.sampled_from([None, "featuredb"]),
)
def test_any_array_is_measured_or_found_to_have_no_beats(seed, kind, spoils, leads, samples, rate, compat):
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        signal = _spoil(rng, _base(rng, kind, leads, samples), spoils).astype(np.float32)
    measured = extract_features(signal, rate, leads=STANDARD_LEADS[: len(signal)], compat=compat)
    beats = len(measured.beat_times)
    assert set(STANDARD_LEADS[: len(signal)]) <= set(measured.leads)  # limb leads are derived from any two
    assert all(values.shape == (len(measured.leads), beats) for values in measured.sequences.values())
    assert bool(measured.note) == (beats == 0)
    for marks in measured.waves.values():
        known = marks[np.isfinite(marks).all(axis=-1)]
        assert (np.diff(known, axis=-1) >= 0).all()
    rr = measured.sequences["RR Interval 2"]
    assert (rr[np.isfinite(rr)] > 0).all()
    json.dumps(measured.to_dict(full=True), allow_nan=False)
    assert measured.to_text(300)


@pytest.mark.parametrize("samples", [1, 2, 3, 10, 49, 100, 199, 250])
def test_a_few_samples_give_features_without_beats(samples):
    measured = extract_features(np.ones((12, samples)), 500)
    assert len(measured.beat_times) == 0 and "no heartbeat" in measured.note
