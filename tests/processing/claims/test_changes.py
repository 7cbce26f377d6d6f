# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What has ended, has become normal or has turned into something else is denied; of numbers that changed the last one is stated."""

import pytest

from processing.claims.claims import extract_claims
from tests.helpers.grounding_verdicts import verdicts

TRUE = [
    ("normal", "Atrial fibrillation is no longer present."),
    ("normal", "LBBB has resolved."),
    ("lbbb", "LBBB has not resolved."),
    ("lbbb", "The left bundle branch block has not yet disappeared."),
    ("normal", "ST elevation in II, III and aVF is no longer present."),
    ("normal", "The ST elevation in V2 has normalized."),
    ("normal", "Complete resolution of the ST elevation in V2 and V3."),
    ("infarction", "No resolution of the inferior ST elevation."),
    ("infarction", "The inferior ST elevation has only partially resolved."),
    ("normal", "PVCs have subsided."),
    ("normal", "AF has terminated."),
    ("normal", "The LBBB seen before is gone."),
    ("fibrillation", "The patient is no longer in sinus rhythm."),
    ("fibrillation", "The patient has left sinus rhythm."),
    ("normal", "The QRS is no longer wide."),
    ("normal", "The ventricular rate is no longer above 100 bpm."),
    ("normal", "Atrial fibrillation has converted to sinus rhythm."),
    ("fibrillation", "Sinus rhythm has converted to atrial fibrillation."),
    ("fibrillation", "Sinus rhythm has given way to atrial fibrillation."),
    ("normal", "The rhythm has changed from atrial fibrillation to sinus rhythm."),
    ("normal", "Atrial fibrillation at 150 bpm has converted to sinus rhythm at 72 bpm."),
    ("fibrillation", "Atrial fibrillation has replaced sinus rhythm."),
    ("fibrillation", "Atrial fibrillation has not converted to sinus rhythm."),
    ("fibrillation", "Loss of P waves."),
    ("tachycardia", "Heart rate has risen from 72 to 130 bpm."),
    ("normal", "Heart rate has fallen from 130 to 72 bpm."),
    ("normal", "The QTc has shortened from 510 ms to 420 ms."),
    ("normal", "The heart rate is 72 bpm, down from 130 bpm."),
    ("normal", "The heart rate has slowed to 72 bpm."),
    ("normal", "The QRS has narrowed from 150 to 100 ms."),
    ("normal", "The heart rate ranges from 65 to 80 bpm."),
]  # fmt: skip
FALSE = [
    ("fibrillation", "Atrial fibrillation is no longer present."),
    ("lbbb", "LBBB has resolved."),
    ("infarction", "ST elevation in II, III and aVF is no longer present."),
    ("infarction", "ST elevation in II, III and aVF has normalised."),
    ("infarction", "ST elevation in III has disappeared."),
    ("infarction", "Interval resolution of inferior ST elevation."),
    ("infarction", "The inferior leads no longer show ST elevation."),
    ("infarction", "Inferior ST elevation, now resolved."),
    ("PVCs", "PVCs have subsided."),
    ("fibrillation", "AF has terminated."),
    ("lbbb", "The LBBB seen before is gone."),
    ("long PR", "First-degree AV block is no longer evident."),
    ("long PR", "Resolution of first-degree AV block."),
    ("complete block", "The complete heart block has resolved."),
    ("normal", "The patient is no longer in sinus rhythm."),
    ("lbbb", "The QRS is no longer wide."),
    ("fibrillation", "The ventricular rate is no longer above 100 bpm."),
    ("fibrillation", "Atrial fibrillation has converted to sinus rhythm."),
    ("normal", "Sinus rhythm has been replaced by atrial fibrillation."),
    ("normal", "Heart rate has risen from 72 to 130 bpm."),
    ("tachycardia", "Heart rate fell from 130 to 72."),
    ("normal", "The QTc has lengthened from 420 milliseconds to 510 milliseconds."),
]  # fmt: skip
UNDECIDED = [
    ("normal", "The QTc has shortened since yesterday."),
]  # fmt: skip


@pytest.mark.parametrize(("ecg", "sentence"), TRUE)
def test_true_sentences_are_supported(ecg, sentence):
    assert set(verdicts(ecg, sentence)) - {"not_measurable"} == {"supported"}


@pytest.mark.parametrize(("ecg", "sentence"), FALSE)
def test_false_sentences_are_contradicted(ecg, sentence):
    assert set(verdicts(ecg, sentence)) - {"not_measurable"} == {"contradicted"}


@pytest.mark.parametrize(("ecg", "sentence"), UNDECIDED)
def test_what_says_only_that_something_changed_is_not_decided(ecg, sentence):
    assert set(verdicts(ecg, sentence)) <= {"not_measurable"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Atrial fibrillation at 150 bpm has converted to sinus rhythm at 72 bpm.", [("rhythm", "atrial fibrillation", "negated"), ("rhythm", "sinus rhythm", "affirmed"), ("heart_rate", 72, "affirmed")]),
        ("Conversion of atrial flutter to sinus rhythm.", [("rhythm", "atrial flutter", "negated"), ("rhythm", "sinus rhythm", "affirmed")]),
        ("AF with LBBB has changed to sinus rhythm.", [("rhythm", "atrial fibrillation", "negated"), ("lbbb", True, "affirmed"), ("rhythm", "sinus rhythm", "affirmed")]),
        ("P waves are replaced by fibrillatory waves.", [("p_waves", "present", "negated"), ("rhythm", "atrial fibrillation", "affirmed")]),
        ("The QTc has shortened from 510 ms to 420 ms.", [("qtc_interval", 420, "affirmed")]),
        ("The QTc is shortened.", [("qtc_interval", "short", "affirmed")]),
        ("The patient has prolonged PR intervals.", [("pr_interval", "prolonged", "affirmed")]),
        ("PR prolonged to 240 ms.", [("pr_interval", "prolonged", "affirmed"), ("pr_interval", 240, "affirmed")]),
        ("The axis has shifted from 60 to -30 degrees.", [("qrs_axis", -30, "affirmed")]),
        ("ST depression has progressed to 3 mm in V5.", [("st_depression", 0.3, "affirmed")]),
        ("The PR interval is no longer than 200 ms.", [("pr_interval", 200, "affirmed")]),
        ("Sinus rhythm with normalised T waves.", [("rhythm", "sinus rhythm", "affirmed"), ("t_abnormality", None, "negated")]),
        ("Well-resolved P waves are present.", [("p_waves", "present", "affirmed")]),
    ],
)  # fmt: skip
def test_what_is_read(text, expected):
    assert [(claim.kind, claim.value, claim.polarity) for claim in extract_claims(text)] == expected


def test_a_number_that_grows_along_the_chest_has_not_changed():
    first, last = extract_claims("R waves increase from 0.2 mV in V1 to 1.5 mV in V5.")
    assert (first.value, first.leads, last.value, last.leads) == (0.2, ("V1",), 1.5, ("V5",))
