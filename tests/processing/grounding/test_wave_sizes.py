# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Waves that are larger in one lead than in another, and what else is said of the waves that are compared."""

import pytest

from processing.claims.claims import extract_claims
from tests.processing.grounding.test_fresh_sentences import CONTRADICTED, OPEN, SUPPORTED, worst

SIZES = [
    ("sinus", "R wave amplitude in V6 exceeds that in V5.", CONTRADICTED),
    ("sinus", "The R wave is taller in V1 than in V4.", CONTRADICTED),
    ("sinus", "R waves are taller in V6 than in V4.", CONTRADICTED),
    ("sinus", "R wave in V1 > R wave in V5.", CONTRADICTED),
    ("sinus", "R-wave height is greatest in V1.", CONTRADICTED),
    ("sinus", "R-wave height is greatest in V4.", OPEN),  # V5 is as tall
    ("sinus", "The S wave is deeper in V6 than in V2.", CONTRADICTED),
    ("sinus", "The S wave is deeper in V2 than in V6.", SUPPORTED),
    ("sinus", "The T wave is tallest in V6.", CONTRADICTED),
    ("sinus", "The T wave in lead III is larger than that in lead II.", CONTRADICTED),
    ("sinus", "In lead III the R wave is taller than in lead II.", CONTRADICTED),
    ("sinus", "P waves are tallest in aVR.", CONTRADICTED),
    ("sinus", "The T wave is taller in V3 than in V6.", SUPPORTED),
    ("sinus", "The R wave is smaller in V1 than in V4.", SUPPORTED),
    ("sinus", "The R wave is not taller in V1 than in V4.", SUPPORTED),
    (12, "The R wave is taller in V1 than in V5.", CONTRADICTED),
    (12, "The R wave is taller in V5 than in V1.", SUPPORTED),
    ("sinus", "The tallest R wave is in V4.", OPEN),  # V5 is as tall
]


@pytest.mark.parametrize(("ecg", "sentence", "expected"), SIZES)
def test_sizes_are_compared_between_leads(ecg, sentence, expected):
    assert worst(sentence, ecg) == expected


def test_each_number_of_a_series_has_its_own_leads():
    assert worst("In V3 the T wave measures 0.7 mV and in V6 0.35 mV.", 12) == SUPPORTED
    assert worst("In V3 the T wave is 0.7 mV, in V6 0.35 mV.", 12) == SUPPORTED
    assert worst("In V3 the T wave measures 0.35 mV and in V6 0.7 mV.", 12) == CONTRADICTED


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("The R wave is taller in V5 than in V4, and the T wave is inverted in III.", ["t_inversion"]),
        ("T waves are larger than the R waves in V3.", []),
        ("The R wave is taller than normal in V5.", []),
        ("ST elevation is greater in III than in II.", ["st_elevation"]),
        ("R wave 1.2 mV in V5, more than in V4.", ["r_amplitude"]),
    ],
)
def test_other_statements_stay_what_they_are(text, kinds):
    assert [claim.kind for claim in extract_claims(text) if claim.kind != "wave_size"] == kinds
