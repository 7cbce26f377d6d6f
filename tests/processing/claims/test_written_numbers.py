# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Numbers in words: squares of the paper and decades; "low" and "high" within them are no verdicts."""

import pytest

from processing.claims.claims import extract_claims
from tests.helpers.grounding_verdicts import verdicts

TRUE = [
    ("normal", "The heart rate is in the low seventies."),
    ("normal", "Heart rate in the low 70s."),
    ("long PR", "Mild bradycardia in the high fifties."),
    ("infarction", "Heart rate is in the mid eighties."),
    ("fibrillation", "Heart rate in the high one-twenties."),
    ("normal", "The rate stays in the seventies."),
    ("normal", "The heart rate is on the low side of normal at 72."),
    ("normal", "The heart rate is low normal."),
    ("normal", "The PR interval spans four small squares."),
    ("normal", "The PR interval is 4 small boxes long."),
    ("long PR", "The PR interval exceeds five small squares."),
    ("normal", "The PR interval is less than one large square."),
    ("lbbb", "The QRS spans four small squares."),
    ("lbbb", "Broad QRS, about one large square wide."),
    ("normal", "The QRS is two and a half small squares wide."),
    ("normal", "The RR interval is about four large squares."),
    ("infarction", "ST elevation of three small squares in III."),
    ("normal", "The QTc is in the low 400s."),
    ("normal", "In the 30s recording the heart rate is 72 bpm."),
]  # fmt: skip
FALSE = [
    ("tachycardia", "The heart rate is in the low seventies."),
    ("normal", "Heart rate in the high 90s."),
    ("normal", "The heart rate is in the mid fifties."),
    ("normal", "Heart rate in the low hundreds."),
    ("tachycardia", "The heart rate is on the low side of normal."),
    ("normal", "The heart rate is low."),
    ("normal", "The PR interval spans eight small squares."),
    ("normal", "The PR interval exceeds five small squares."),
    ("long PR", "The PR interval is less than one large square."),
    ("lbbb", "The QRS spans two small squares."),
    ("normal", "The RR interval is two large squares."),
    ("normal", "ST elevation of three small squares in III."),
    ("normal", "The QTc is in the low 500s."),
]  # fmt: skip
UNDECIDED = [
    ("normal", "A small square is worth 40 ms."),
]  # fmt: skip


@pytest.mark.parametrize(("ecg", "sentence"), TRUE)
def test_true_sentences_are_supported(ecg, sentence):
    assert set(verdicts(ecg, sentence)) - {"not_measurable"} == {"supported"}


@pytest.mark.parametrize(("ecg", "sentence"), FALSE)
def test_false_sentences_are_contradicted(ecg, sentence):
    assert set(verdicts(ecg, sentence)) - {"not_measurable"} == {"contradicted"}


@pytest.mark.parametrize(("ecg", "sentence"), UNDECIDED)
def test_what_is_said_of_the_paper_is_not_decided(ecg, sentence):
    assert set(verdicts(ecg, sentence)) <= {"not_measurable"}


@pytest.mark.parametrize(
    ("text", "kind", "low", "high"),
    [
        ("The heart rate is in the low seventies.", "heart_rate", 70, 73),
        ("The heart rate is in the mid-70s.", "heart_rate", 74, 76),
        ("The heart rate is in the high seventies.", "heart_rate", 76, 79),
        ("The heart rate is in the low to mid 70s.", "heart_rate", 70, 76),
        ("The heart rate is in the one-thirties.", "heart_rate", 130, 139),
        ("The heart rate is in the low hundreds.", "heart_rate", 100, 130),
        ("QTc in the mid 400s.", "qtc_interval", 440, 460),
        ("The PR interval is half a large square.", "pr_interval", 100, None),
        ("The PR interval is three to four small squares.", "pr_interval", 120, 160),
        ("The QT interval is 2 large boxes.", "qt_interval", 400, None),
        ("The RR interval is about four large squares.", "rr_interval", 750, 850),
        ("The R wave in V5 is 15 small squares tall.", "r_amplitude", 1.5, None),
        ("ST depression of a small square in V5.", "st_depression", 0.1, None),
    ],
)
def test_numbers_in_words(text, kind, low, high):
    claims = [claim for claim in extract_claims(text) if claim.unit is not None]
    assert [(claim.kind, claim.value, claim.high) for claim in claims] == [(kind, pytest.approx(low), high)]


@pytest.mark.parametrize(
    "text", ["T waves of two small squares.", "The P wave is one small square.", "He is in his low seventies."]
)
def test_squares_that_may_be_a_width_or_a_height_state_no_number(text):
    assert extract_claims(text) == []
