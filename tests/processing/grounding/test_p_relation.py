# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How P waves go with the QRS complexes: on a sinus rhythm, on a complete AV block, and where it cannot be told."""

from dataclasses import replace

import pytest

from processing.grounding.check import check_grounding
from tests.helpers.grounding_verdicts import simulated_features, verdicts

TRUE = [
    ("normal", "Each P wave is followed by a QRS complex."),
    ("normal", "There is 1:1 AV conduction."),
    ("complete block", "Not every P wave is followed by a QRS complex."),
    ("normal", "Each QRS complex is preceded by a P wave."),
    ("complete block", "P waves bear no relation to the QRS complexes."),
    ("complete block", "P waves march through the QRS complexes."),
    ("complete block", "There are P waves that are not followed by a QRS complex."),
    ("normal", "There are no dropped beats."),
    ("long PR", "The PR is prolonged but every P wave conducts."),
    ("complete block", "P waves are present."),
]  # fmt: skip
FALSE = [
    ("complete block", "Each P wave is followed by a QRS complex."),
    ("complete block", "Every P wave conducts."),
    ("complete block", "There is 1:1 AV conduction."),
    ("normal", "Not every P wave is followed by a QRS complex."),
    ("fibrillation", "Each P wave is followed by a QRS complex."),
    ("normal", "P waves fail to precede the QRS complexes."),
    ("normal", "P waves are seen after rather than before each QRS."),
    ("normal", "The P waves follow the QRS complexes."),
    ("normal", "Only some QRS complexes are preceded by P waves."),
    ("normal", "Not every QRS complex is preceded by a P wave."),
    ("complete block", "Each QRS complex is preceded by a P wave."),
    ("fibrillation", "Each QRS complex is preceded by a P wave."),
    ("normal", "P waves bear no relation to the QRS complexes."),
    ("normal", "The P waves are dissociated from the QRS complexes."),
    ("normal", "There are blocked P waves."),
    ("complete block", "There are no blocked P waves."),
]  # fmt: skip
UNDECIDED = [
    ("fibrillation", "Not every P wave is followed by a QRS complex."),
    ("PVCs", "Only some QRS complexes are preceded by P waves."),
    ("PVCs", "Each QRS complex is preceded by a P wave."),
]  # fmt: skip


@pytest.mark.parametrize(("ecg", "sentence"), TRUE)
def test_true_sentences_are_supported(ecg, sentence):
    assert set(verdicts(ecg, sentence)) - {"not_measurable"} == {"supported"}


@pytest.mark.parametrize(("ecg", "sentence"), FALSE)
def test_false_sentences_are_contradicted(ecg, sentence):
    assert set(verdicts(ecg, sentence)) - {"not_measurable"} == {"contradicted"}


@pytest.mark.parametrize(("ecg", "sentence"), UNDECIDED)
def test_what_cannot_be_told_is_not_decided(ecg, sentence):
    assert set(verdicts(ecg, sentence)) <= {"not_measurable"}


@pytest.mark.parametrize(
    "said", ["Each P wave is followed by a QRS complex.", "P waves bear no relation to the QRS complexes."]
)
def test_p_waves_that_cannot_be_seen_decide_nothing(said):
    hidden = replace(simulated_features("normal"), p_present=None, p_unclear="they merge with T waves")
    (checked,) = check_grounding(said, hidden).claims
    assert checked.verdict == "not_measurable"


def test_what_is_measured_is_named():
    (checked,) = check_grounding(
        "Each P wave is followed by a QRS complex.", simulated_features("complete block")
    ).claims
    assert (checked.claim.kind, checked.measured) == ("p_relation", 13)
    assert "13 P waves without QRS" in checked.explanation
