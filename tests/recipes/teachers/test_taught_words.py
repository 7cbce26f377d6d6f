# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Words that the embedded model was not taught are named."""

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.simulator.simulator import simulate_ecg
from recipes.teachers.grounded_answer import QUESTIONS
from recipes.teachers.hurried import TYPO_SHARE
from recipes.teachers.questions import BEYOND, KINDS, WHOLE, Known, ask
from recipes.teachers.taught_words import untaught


@pytest.fixture(scope="module")
def known() -> Known:
    return Known(extract_features(simulate_ecg(seed=3).record), {"AMI": 100.0, "LVH": 100.0})


@pytest.mark.parametrize("kind", [*KINDS, WHOLE, BEYOND])
def test_only_mistyped_questions_of_the_training_have_unknown_words(known, kind):
    rng = np.random.default_rng(0)
    unknown = [question for question in (ask(kind, known, rng)[0] for _ in range(200)) if untaught(question)]
    assert len(unknown) <= 3 * TYPO_SHARE * 200


def test_standard_questions_are_known():
    for kind in ("full_text", "rhythm", "axis", "p_wave", "q_wave", "st", "t_wave", "impression"):
        assert not any(map(untaught, QUESTIONS[kind]))
    assert untaught(" what is the RHYTHM? ") is None


def test_unknown_words_are_named_once():
    said = untaught("Is there a zigzag, or any zigzag near the apex in lead V3?")
    assert said and "was not taught 'zigzag', 'apex'" in said
