# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Ventricular and supraventricular tachycardia: P waves, irregular beats and pacing speak against them."""

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.ecg_readers import load_ecg
from tests.helpers.feature_values import with_values
from tests.helpers.grounding_rhythms import ptbxl_features, rhythm_features, verdict_of
from tests.helpers.grounding_verdicts import verdict

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "not_measurable"


@pytest.mark.parametrize(
    ("ecg", "sentence", "expected"),
    [
        ("VT", "Ventricular tachycardia.", SUPPORTED),
        ("VT", "Monomorphic VT", SUPPORTED),
        ("VT", "No ventricular tachycardia.", CONTRADICTED),
        ("VT", "SVT.", OPEN),
        ("dissociated VT", "Ventricular tachycardia.", SUPPORTED),
        ("SVT", "SVT.", SUPPORTED),
        ("SVT", "Ventricular tachycardia.", CONTRADICTED),
        ("retrograde SVT", "Supraventricular tachycardia.", SUPPORTED),
        ("tachycardia", "SVT", OPEN),
        ("tachycardia", "Ventricular tachycardia.", CONTRADICTED),
        ("tachycardia with lbbb", "Ventricular tachycardia.", CONTRADICTED),
        ("tachycardia with lbbb", "No ventricular tachycardia.", SUPPORTED),
        ("tachycardia with lbbb", "Supraventricular tachycardia with aberrancy.", OPEN),
        ("fast tachycardia with rbbb", "Ventricular tachycardia.", OPEN),
        ("fibrillation with lbbb", "Monomorphic VT", OPEN),
        ("fibrillation with lbbb", "SVT", CONTRADICTED),
        ("sinus", "Ventricular tachycardia.", CONTRADICTED),
        ("sinus", "SVT.", CONTRADICTED),
    ],
)
def test_tachycardias_of_the_simulator(ecg, sentence, expected):
    assert verdict_of(ecg, sentence) == expected


def test_the_sample_of_ventricular_tachycardia():
    features = extract_features(load_ecg("processing/samples/ventricular_tachycardia.hea"))
    assert verdict("Ventricular tachycardia.", features) == SUPPORTED


def test_a_paced_tachycardia_is_not_decided():
    paced = with_values(rhythm_features("VT"), pacing_spikes=np.arange(20) * 0.4)
    assert verdict("Ventricular tachycardia.", paced) == OPEN


@pytest.mark.parametrize(("run", "expected"), [((4, 5), CONTRADICTED), ((4, 5, 6), OPEN)])
def test_a_run_of_three_wide_beats_may_be_ventricular_tachycardia(run, expected, monkeypatch):
    rows = np.array([row - 1 for row in run]), np.ones(len(run), bool)
    monkeypatch.setattr("processing.grounding.rules_rhythm.premature_beat_rows", lambda features: rows)
    assert verdict("Ventricular tachycardia.", rhythm_features("PVCs")) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (279, (CONTRADICTED, OPEN)),  # sinus tachycardia of 115 bpm with left bundle branch block
        (3514, (CONTRADICTED, OPEN)),  # 110 bpm, QRS 131 ms
        (103, (CONTRADICTED, OPEN)),  # narrow sinus tachycardias
        (108, (CONTRADICTED, OPEN)),
        (428, (OPEN, CONTRADICTED)),  # atrial fibrillation with bundle branch block
    ],
)
def test_real_tachycardias_of_the_atria(number, expected):
    features = ptbxl_features(number)
    assert (verdict("Ventricular tachycardia.", features), verdict("SVT.", features)) == expected
