# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Low and normal voltage of the leads that are named; a normal voltage is neither low nor high."""

import math
from dataclasses import replace

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.grounding.check import check_grounding
from processing.simulator.simulator import simulate_ecg
from tests.helpers.feature_values import with_values
from tests.helpers.grounding_rhythms import ptbxl_features
from tests.helpers.grounding_verdicts import verdict

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "not_measurable"
LIMB = ("I", "II", "III", "aVR", "aVL", "aVF")


@pytest.fixture(scope="module")
def ecgs():
    normal = simulate_ecg(heart_rate=72, pr_interval=160, qrs_duration=80, qtc=410, axis=45, seed=1).record
    factors = np.array([0.35 if lead in LIMB else 1.0 for lead in normal.leads])
    low = replace(normal, signal=(np.asarray(normal.signal) * factors[:, None]).astype(np.float32))
    high = simulate_ecg(heart_rate=66, hypertrophy="lvh_strain", seed=13).record
    return {name: extract_features(record) for name, record in (("normal", normal), ("low", low), ("high", high))}


@pytest.mark.parametrize(
    ("ecg", "sentence", "expected"),
    [
        ("low", "Low voltage.", SUPPORTED),
        ("low", "Low voltage in the limb leads.", SUPPORTED),
        ("low", "Low limb lead voltage.", SUPPORTED),
        ("low", "Low voltage in II.", SUPPORTED),
        ("low", "Normal voltage in the chest leads.", SUPPORTED),
        ("low", "No low voltage in the chest leads.", SUPPORTED),
        ("low", "Voltages are not normal.", SUPPORTED),
        ("low", "Low voltage in the chest leads.", CONTRADICTED),
        ("low", "Low precordial voltages.", CONTRADICTED),
        ("low", "Low voltage in V5.", CONTRADICTED),
        ("low", "Low voltage in all leads.", CONTRADICTED),
        ("low", "No low voltage in the limb leads.", CONTRADICTED),
        ("low", "Normal voltage in the limb leads.", CONTRADICTED),
        ("low", "QRS voltages are normal.", CONTRADICTED),
        ("high", "High voltage.", SUPPORTED),
        ("high", "No low voltage.", SUPPORTED),
        ("high", "Voltages are not low.", SUPPORTED),
        ("high", "QRS voltages are not normal.", SUPPORTED),
        ("high", "QRS voltages are within normal limits.", CONTRADICTED),
        ("normal", "QRS voltages are within normal limits.", SUPPORTED),
        ("normal", "Low voltage in the limb leads.", CONTRADICTED),
        ("normal", "Low voltage in all leads.", CONTRADICTED),
        ("normal", "Voltages are not normal.", CONTRADICTED),
    ],
)
def test_voltage_of_the_named_leads(ecg, sentence, expected, ecgs):
    assert verdict(sentence, ecgs[ecg]) == expected


@pytest.mark.parametrize(
    ("ecg", "sentence", "expected"),
    [
        ("low", "Low voltage in the limb leads, normal in the precordial leads.", [SUPPORTED, SUPPORTED]),
        ("low", "Low voltage in the precordial leads, normal in the limb leads.", [CONTRADICTED, CONTRADICTED]),
    ],
)
def test_low_in_some_leads_and_normal_in_others(ecg, sentence, expected, ecgs):
    claims = check_grounding(sentence, ecgs[ecg]).claims
    assert [(checked.verdict, checked.claim.polarity) for checked in claims] == [
        (expected[0], "affirmed"), (expected[1], "negated"),
    ]  # fmt: skip


@pytest.mark.parametrize(("sokolow", "expected"), [(3.4, SUPPORTED), (3.6, OPEN), (3.9, CONTRADICTED)])
def test_a_normal_voltage_is_below_the_criteria_of_a_high_one(sokolow, expected, ecgs):
    assert verdict("Normal QRS voltage.", with_values(ecgs["normal"], sokolow_lyon=sokolow)) == expected
    assert verdict("Normal voltage in the limb leads.", with_values(ecgs["normal"], sokolow_lyon=sokolow)) == SUPPORTED


def test_a_group_a_little_above_its_limit_beside_a_low_one_is_not_decided(ecgs):
    sizes = {f"V{i}__qrs_amplitude": 0.7 for i in range(1, 7)} | {f"{lead}__qrs_amplitude": 0.4 for lead in LIMB}
    found = [
        verdict("Low voltage in all leads.", with_values(ecgs["low"], **sizes | {"II__qrs_amplitude": size}))
        for size in (0.4, 0.55, 0.59, 0.61)
    ]
    assert found == [SUPPORTED, OPEN, OPEN, CONTRADICTED]


def test_leads_that_are_not_measured_are_not_judged(ecgs):
    unknown = with_values(ecgs["low"], **{f"{lead}__qrs_amplitude": math.nan for lead in LIMB[:5]})
    assert verdict("Low voltage in the limb leads.", unknown) == OPEN
    assert verdict("Low voltage in I.", unknown) == OPEN
    assert verdict("Low voltage in aVF.", unknown) == SUPPORTED


@pytest.mark.parametrize(
    ("number", "limb", "chest"),
    [(442, SUPPORTED, CONTRADICTED), (2536, SUPPORTED, CONTRADICTED), (2452, CONTRADICTED, SUPPORTED)],
)
def test_real_low_voltages(number, limb, chest):
    features = ptbxl_features(number)
    assert verdict("Low voltage in the limb leads.", features) == limb
    assert verdict("Low voltage in the chest leads.", features) == chest
    assert verdict("Low voltage in all leads.", features) == CONTRADICTED
    assert verdict("Low voltage.", features) == SUPPORTED
