# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A number without a unit behind the name of a rhythm is its rate."""

import pytest

from processing.claims.claims import extract_claims
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
