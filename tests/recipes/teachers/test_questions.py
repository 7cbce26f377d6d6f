# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Answers to common questions: each is supported by the features it was written from, and is scored as right."""

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.grounding.check import check_grounding
from processing.grounding.verdicts import CONTRADICTED
from processing.simulator.simulator import simulate_ecg
from recipes.embedded.question_scores import BY_LABEL, is_right
from recipes.teachers.grounded_answer import MOST_WORDS, grounded_answer
from recipes.teachers.questions import BEYOND_AN_ECG, KINDS, Known, ask

ECGS = {
    "normal": ({"rhythm": "sinus", "heart_rate": 72.0}, {"SR": 0.0, "NORM": 100.0}),
    "fibrillation": ({"rhythm": "atrial_fibrillation"}, {"AFIB": 0.0, "LVH": 100.0}),
    "inferior": ({"rhythm": "sinus", "heart_rate": 60.0, "ischemia": "inferior_stemi"}, {"SR": 0.0, "IMI": 100.0}),
}


@pytest.fixture(scope="module", params=ECGS)
def known(request) -> Known:
    drawn, codes = ECGS[request.param]
    return Known(extract_features(simulate_ecg(**drawn, seed=4).record), codes)


@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_is_contradicted_by_its_own_measurements(kind, known):
    rng = np.random.default_rng(0)
    for _ in range(4):
        question, answer = ask(kind, known, rng)
        assert question[-1] in "?." and answer[-1] == "."
        if kind in (*BY_LABEL, "impression", "why"):  # what they say beside the measurements is the label's
            continue
        judged = check_grounding(answer, known.features).claims
        assert not [one.explanation for one in judged if one.verdict == CONTRADICTED], answer


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_answer_is_right_and_one_to_another_question_is_not(kind, known):
    _, answer = ask(kind, known, np.random.default_rng(0))
    assert is_right(kind, answer, answer, known) in (True, None)
    assert is_right(kind, "The moon is full.", answer, known) in (False, None)


def test_questions_that_no_ecg_can_answer_are_declined(known):
    rng = np.random.default_rng(0)
    told = dict(ask("beyond an ECG", known, rng) for _ in range(200))
    assert told == {question: f"An ECG cannot tell {what}." for question, what in BEYOND_AN_ECG.items()}


def test_questions_about_a_place_are_answered_by_the_leads_that_show_it():
    drawn, codes = ECGS["inferior"]
    known = Known(extract_features(simulate_ecg(**drawn, seed=4).record), codes)
    rng = np.random.default_rng(0)
    told = dict(ask("ST elevation by wall", known, rng) for _ in range(30))
    assert told["Is there ST elevation in the inferior leads?"] == "Yes, ST elevation in II, III and aVF."
    assert told["Is there ST elevation in the anterior leads?"] == "No, no ST elevation in the anterior leads."


def test_an_interpretation_has_at_most_120_words_and_keeps_its_first_statements(known):
    every = dict.fromkeys(
        ("SR", "IMI", "ASMI", "ILMI", "NDT", "ISCAL", "LNGQT", "LAFB", "CRBBB", "1AVB", "LVH", "RVH", "PVC"), 100.0
    )
    features = known.features
    text = Known(features, every).answer.full_text()
    assert len(text.split()) <= MOST_WORDS and "Impression: inferior myocardial infarction; " in text
    short = grounded_answer(features, {"SR": 0.0, "LAFB": 100.0}).full_text()
    assert "left anterior fascicular block (axis " in short
