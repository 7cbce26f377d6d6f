# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Words that deny or exceed "normal", "regular" and other qualities."""

import pytest

from processing.claims.claims import extract_claims
from tests.helpers.grounding_verdicts import verdicts

TRUE = [
    ("long PR", "The PR interval is far from normal."),
    ("lbbb", "The QRS duration can no longer be called normal."),
    ("long PR", "Nothing about the PR interval is normal."),
    ("lbbb", "QRS duration is greater than normal."),
    ("tachycardia", "The heart rate is higher than normal."),
    ("normal", "The heart rate is not higher than normal."),
    ("tachycardia", "The rate is twice as fast as normal."),
    ("lbbb", "QRS is 1.4 times wider than normal."),
    ("lbbb", "The QRS is far from narrow."),
    ("normal", "The QRS is far from wide."),
    ("fibrillation", "The rhythm is far from regular."),
    ("fibrillation", "The rhythm is hardly regular."),
    ("fibrillation", "The RR intervals are anything but constant."),
    ("normal", "There is hardly any ST elevation in V2."),
    ("normal", "A diagnosis of LBBB cannot be made."),
]  # fmt: skip
FALSE = [
    ("normal", "The PR interval is far from normal."),
    ("normal", "The QTc is hardly normal."),
    ("normal", "R wave progression is anything but normal."),
    ("normal", "The QRS duration can no longer be called normal."),
    ("normal", "Nothing about the PR interval is normal."),
    ("normal", "QRS duration is greater than normal."),
    ("normal", "The heart rate is higher than normal."),
    ("tachycardia", "The heart rate is no higher than normal."),
    ("tachycardia", "The heart rate is lower than normal."),
    ("normal", "The T waves are taller than normal in V2 to V4."),
    ("normal", "The rate is twice as fast as normal."),
    ("normal", "The PR interval is twice the normal value."),
    ("normal", "QRS is 1.4 times wider than normal."),
    ("lbbb", "The QRS is far from wide."),
    ("lbbb", "The QRS duration is smaller than normal, hardly wide."),
    ("fibrillation", "The rhythm is by no means irregular."),
    ("normal", "The rhythm is anything but regular."),
    ("normal", "The T waves are anything but normal."),
    ("infarction", "There is hardly any ST elevation in II, III and aVF."),
    ("normal", "The QTc deviates from normal."),
    ("lbbb", "There is nothing here to support a diagnosis of LBBB."),
    ("normal", "It is untrue that the rhythm is sinus rhythm."),
]  # fmt: skip
UNDECIDED = [
    ("lbbb", "The QRS is larger than normal."),
    ("normal", "The QRS duration is less than normal."),
]  # fmt: skip


@pytest.mark.parametrize(("ecg", "sentence"), TRUE)
def test_true_sentences_are_supported(ecg, sentence):
    assert set(verdicts(ecg, sentence)) - {"not_measurable"} == {"supported"}


@pytest.mark.parametrize(("ecg", "sentence"), FALSE)
def test_false_sentences_are_contradicted(ecg, sentence):
    assert set(verdicts(ecg, sentence)) - {"not_measurable"} == {"contradicted"}


@pytest.mark.parametrize(("ecg", "sentence"), UNDECIDED)
def test_what_may_be_wide_or_tall_is_not_decided(ecg, sentence):
    assert set(verdicts(ecg, sentence)) <= {"not_measurable"}


@pytest.mark.parametrize(
    ("text", "kind", "value", "polarity"),
    [
        ("The PR interval is longer than normal.", "pr_interval", "prolonged", "affirmed"),
        ("The PR interval is no longer than normal.", "pr_interval", "prolonged", "negated"),
        ("The heart rate is not lower than normal.", "heart_rate", "bradycardia", "negated"),
        ("The QTc is nowhere near normal.", "qtc_interval", "normal", "negated"),
        ("Q waves in III are deeper than normal.", "pathological_q", None, "affirmed"),
        ("The PR interval is 80 ms longer than normal.", "pr_interval", "prolonged", "affirmed"),
    ],
)
def test_what_is_read(text, kind, value, polarity):
    claims = [claim for claim in extract_claims(text) if claim.unit is None]
    assert [(claim.kind, claim.value, claim.polarity) for claim in claims] == [(kind, value, polarity)]
