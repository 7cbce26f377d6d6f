# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The embedded model says which questions it was taught."""

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.simulator.simulator import simulate_ecg
from recipes.teachers.grounded_answer import QUESTIONS
from recipes.teachers.questions import BEYOND_AN_ECG, KINDS, Known, ask
from recipes.teachers.taught_questions import taught_questions, untaught


@pytest.mark.parametrize("kind", KINDS)
def test_every_question_that_is_asked_in_training_is_known(kind):
    known = Known(extract_features(simulate_ecg(seed=3).record), {"AMI": 100.0, "LVH": 100.0})
    rng = np.random.default_rng(0)
    assert {ask(kind, known, rng)[0] for _ in range(60)} <= taught_questions()


def test_whole_interpretations_and_what_no_ecg_can_tell_are_among_them():
    assert set(QUESTIONS["full_text"]) | set(BEYOND_AN_ECG) <= taught_questions()
    assert untaught("Interpret this ECG.") is None and untaught(" What is the rhythm? ") is None


def test_another_wording_is_named_with_the_nearest_that_are_known():
    said = untaught("How fast is the heart beating?")
    assert said and "How fast is the heart?" in said and "not taught 'How fast is the heart beating?'" in said
