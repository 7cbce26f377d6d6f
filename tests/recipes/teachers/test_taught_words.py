# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Words that the embedded model was not taught are named."""

import numpy as np
import pytest

from modeling_gem import GemProcessor, default_checkpoint
from processing.ecg_features import extract_features
from processing.question_words import doubt_about
from processing.simulator.simulator import simulate_ecg
from recipes.teachers.grounded_answer import QUESTIONS
from recipes.teachers.hurried import TYPO_SHARE
from recipes.teachers.questions import BEYOND, KINDS, WHOLE, Known, ask
from recipes.teachers.taught_words import taught_words

TAUGHT = frozenset(taught_words())


@pytest.fixture(scope="module")
def known() -> Known:
    return Known(extract_features(simulate_ecg(seed=3).record), {"AMI": 100.0, "LVH": 100.0})


@pytest.mark.parametrize("kind", [*KINDS, WHOLE, BEYOND])
def test_only_mistyped_questions_of_the_training_have_unknown_words(known, kind):
    rng = np.random.default_rng(0)
    unknown = [
        question for question in (ask(kind, known, rng)[0] for _ in range(200)) if doubt_about(question, TAUGHT)
    ]
    assert len(unknown) <= 3 * TYPO_SHARE * 200


def test_standard_questions_are_known():
    for kind in ("full_text", "rhythm", "axis", "p_wave", "q_wave", "st", "t_wave", "impression"):
        assert not any(doubt_about(question, TAUGHT) for question in QUESTIONS[kind])
    assert doubt_about(" what is the RHYTHM? ", TAUGHT) is None


def test_unknown_words_are_named_once():
    said = doubt_about("Is there a zigzag, or any zigzag near the helipad in lead V3?", TAUGHT)
    assert said and "was not taught 'zigzag', 'helipad'" in said


def test_the_embedded_model_knows_what_it_was_taught():
    processor = GemProcessor.from_pretrained(default_checkpoint())
    assert processor.taught_words == " ".join(taught_words())
    last, first = ([{"role": "user", "content": text}] for text in ("Is there a zigzag?", "What is the rhythm?"))
    assert processor.question_doubt(first) is None
    said = processor.question_doubt([*first, {"role": "assistant", "content": "Sinus rhythm."}, *last])
    assert said == "The model was not taught 'zigzag' and may answer something else than 'Is there a zigzag?'."
    processor.taught_words = None
    assert processor.question_doubt(last) is None
