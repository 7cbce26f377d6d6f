# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The rate of a rhythm: a number behind its name, and how fast the ventricles respond to fibrillation, in words."""

import pytest

from processing.claims.claims import extract_claims
from processing.ecg_features import extract_features
from processing.grounding.check import check_grounding
from processing.simulator.simulator import simulate_ecg
from tests.helpers.grounding_verdicts import verdicts

TRUE = [
    ("normal", "Sinus rhythm at 72."),
    ("normal", "Sinus rhythm, 72."),
    ("normal", "NSR @ 72, axis 50."),
    ("normal", "Normal sinus rhythm at about 75 with normal intervals."),
    ("tachycardia", "Sinus tachycardia at 130"),
    ("fibrillation", "Atrial fibrillation at 120 to 130."),
]  # fmt: skip


@pytest.mark.parametrize(("ecg", "sentence"), TRUE)
def test_true_sentences_are_supported(ecg, sentence):
    assert set(verdicts(ecg, sentence)) - {"not_measurable"} == {"supported"}


@pytest.mark.parametrize(
    ("ecg", "sentence"),
    [
        ("normal", "Sinus rhythm at 190."),
        ("normal", "Sinus rhythm, 190."),
        ("normal", "Normal sinus rhythm at 110."),
        ("normal", "Sinus rhythm @ 45, PR 160 ms."),
        ("fibrillation", "Atrial fibrillation at 60."),
        ("tachycardia", "Sinus tachycardia at 180."),
    ],
)
def test_another_rate_is_contradicted(ecg, sentence):
    assert verdicts(ecg, sentence)[:2] == ["supported", "contradicted"]


@pytest.mark.parametrize(
    "text",
    [
        "Sinus rhythm, 12 leads.",
        "Sinus rhythm, 2:1.",
        "Sinus rhythm, 1995.",
        "Sinus rhythm at 25 mm/s.",
        "Sinus rhythm for 10 s.",
        "Sinus rhythm, 65 years old.",
        "Sinus rhythm, 45 degrees.",
        "Sinus rhythm, 24 beats.",
        "Sinus rhythm at 100 Hz.",
        "Sinus rhythm at 12:30.",
        "Sinus rhythm on 12 March 2024.",
        "Sinus rhythm at 12.",
        "Sinus rhythm, 72 electrodes.",
        "Atrial flutter at 300.",
    ],
)
def test_other_numbers_are_no_rate(text):
    assert [claim.kind for claim in extract_claims(text)] == ["rhythm"]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("Sinus rhythm at 72", 72, None), ("AF at 60-80.", 60, 80), ("Sinus bradycardia, 45, with a long PR.", 45, None)],
)
def test_the_rate_that_is_read(text, low, high):
    (rate,) = [claim for claim in extract_claims(text) if claim.kind == "heart_rate"]
    assert (rate.value, rate.high, rate.unit, rate.polarity) == (low, high, "bpm", "affirmed")


@pytest.fixture(scope="module")
def by_rate():
    """Measurements of fibrillation, by the measured rate in bpm."""
    ecgs = [simulate_ecg(rhythm="atrial_fibrillation", heart_rate=rate, seed=5) for rate in (65, 77, 128)]
    return {round(features.heart_rate): features for features in (extract_features(ecg.record) for ecg in ecgs)}


@pytest.mark.parametrize(
    ("words", "right", "wrong"),
    [
        ("with controlled ventricular response", (76, 90), (140,)),
        ("with a well controlled ventricular rate", (76, 90), (140,)),
        ("with uncontrolled ventricular response", (140,), (76, 90)),
        ("with rapid ventricular response", (140,), (76, 90)),
        ("with RVR", (140,), (76, 90)),
        ("with slow ventricular response", (), (76, 90, 140)),
        ("; the ventricular response is not controlled", (140,), (76, 90)),
        (", rate-controlled", (76, 90), (140,)),
    ],
)
def test_the_ventricular_response_in_words(by_rate, words, right, wrong):
    for rate, features in by_rate.items():
        fibrillation, response = check_grounding(f"Atrial fibrillation {words}.", features).claims
        assert fibrillation.verdict == "supported" and response.claim.kind == "heart_rate"
        assert response.verdict == ("supported" if rate in right else "contradicted"), (words, rate)
        assert rate in right + wrong and response.measured == round(features.heart_rate)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("No sinus rhythm at 190", ["rhythm"]),
        ("No sinus rhythm at 190 bpm.", ["rhythm"]),
        ("Not in sinus rhythm at a rate of 72 bpm.", ["rhythm"]),
        ("AF rather than sinus rhythm at 72.", ["rhythm", "rhythm"]),
        ("No PR interval of 160 ms.", []),
        ("No sinus rhythm, rate 130 bpm.", ["rhythm", "heart_rate"]),
        ("No sinus rhythm, 130 bpm.", ["rhythm", "heart_rate"]),
        ("No P waves at a rate of 130 bpm.", ["p_waves", "heart_rate"]),
        ("No prolonged PR interval at 160 ms.", ["pr_interval", "pr_interval"]),
    ],
)
def test_a_number_of_what_is_denied_is_not_claimed(text, kinds):
    assert [claim.kind for claim in extract_claims(text)] == kinds
