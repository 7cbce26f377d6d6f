# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Sums of the waves of two leads: S in V1 and R in V5 or V6 are Sokolow and Lyon's, R in aVL and S in V3 Cornell's."""

import pytest

from processing.claims.claims import extract_claims
from processing.ecg_features import extract_features
from processing.grounding.check import CONTRADICTED, SUPPORTED, check_grounding
from processing.grounding.correction import correct_answer
from processing.simulator.simulator import simulate_ecg


@pytest.fixture(scope="module")
def measured():
    """Sokolow-Lyon 2.61 mV, Cornell 0.88 mV."""
    return extract_features(
        simulate_ecg(heart_rate=72, pr_interval=160, qrs_duration=80, qtc=410, axis=45, seed=1).record
    )


@pytest.mark.parametrize(
    "text",
    [
        "SV1 + RV5 = 26 mm",
        "SV1+RV5 26 mm.",
        "S-V1 + R-V5: 2.6 mV.",
        "S V1 + R V6 = 2.6 mV",
        "S in V1 plus R in V5 is 26 mm.",
        "The sum of the S wave in V1 and the R wave in V5 is 26 mm.",
        "RV5 + SV1 = 26 mm.",
        "SV1 + RV5/6 = 26 mm.",
        "SV1 + RV5 or RV6 measures 26 mm.",
        "The S-wave depth in V1 plus the R-wave height in V5 totals 26 mm.",
        "R in lead V5 + S in lead V1: 2.6 mV",
    ],
)
def test_a_sum_of_s_and_r_is_sokolow_lyon(text, measured):
    (claim,) = extract_claims(text)
    assert (claim.kind, claim.value, claim.unit, claim.leads) == ("sokolow_lyon", 2.6, "mV", ())
    wrong = text.replace("26 mm", "45 mm").replace("2.6 mV", "4.5 mV")
    assert [checked.verdict for checked in check_grounding(text, measured).claims] == [SUPPORTED]
    assert [checked.verdict for checked in check_grounding(wrong, measured).claims] == [CONTRADICTED]
    assert correct_answer(wrong, measured)[0] == text.replace("26 mm", "[26 mm]").replace("2.6 mV", "[2.6 mV]")


@pytest.mark.parametrize("text", ["RaVL + SV3 = 9 mm", "R in aVL plus S in V3 is 0.9 mV", "S V3 + R aVL: 9 mm"])
def test_a_sum_of_avl_and_v3_is_cornell(text, measured):
    (checked,) = check_grounding(text, measured).claims
    assert (checked.claim.kind, checked.claim.value, checked.verdict) == ("cornell", 0.9, SUPPORTED)


def test_no_word_is_cut_when_a_sum_is_corrected(measured):
    text = "SV1 + RV5 = 45 mm, meeting criteria for LVH."
    assert correct_answer(text, measured)[0] == "SV1 + RV5 = [26 mm], meeting criteria for [struck out]."


def test_waves_with_a_size_each_stay_amplitudes(measured):
    checked = check_grounding("SV1 10 mm, RV5 16 mm.", measured).claims
    assert [(item.claim.kind, item.claim.leads, item.verdict) for item in checked] == [
        ("s_amplitude", ("V1",), SUPPORTED),
        ("r_amplitude", ("V5",), SUPPORTED),
    ]


def test_a_limit_that_is_not_met(measured):
    assert [
        checked.verdict
        for checked in check_grounding("Sokolow-Lyon criterion (SV1 + RV5 > 35 mm) is not met.", measured).claims
    ] == [SUPPORTED]
    both = check_grounding("The voltage criterion for LVH (SV1+RV5 >= 35 mm) is not fulfilled.", measured).claims
    assert [(item.claim.kind, item.verdict) for item in both] == [("lvh", SUPPORTED), ("sokolow_lyon", SUPPORTED)]
    met = check_grounding("Sokolow-Lyon criterion (SV1 + RV5 > 35 mm) is met.", measured).claims
    assert [item.verdict for item in met] == [CONTRADICTED]
