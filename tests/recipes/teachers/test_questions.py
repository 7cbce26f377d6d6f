# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Answers to common questions: each is supported by the features it was written from, and is scored as right."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.grounding.check import check_grounding
from processing.grounding.verdicts import CONTRADICTED
from processing.simulator.simulator import simulate_ecg
from recipes.embedded.question_scores import BY_LABEL, is_right
from recipes.teachers.grounded_answer import MOST_WORDS, grounded_answer, pr_text
from recipes.teachers.off_topic import OFF_TOPIC
from recipes.teachers.questions import (
    ALL_KINDS,
    BEYOND,
    ELSE,
    KINDS,
    NAMED,
    YES_OR_NO,
    Known,
    any_question,
    ask,
    ask_some,
)
from recipes.teachers.wordings import BEYOND_AN_ECG
from recipes.teachers.yes_or_no import BRIEFLY, QA_INSTRUCTION

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
        assert question and "{" not in question and answer[-1] == "."
        if kind in (
            *BY_LABEL,
            "named diagnosis",
            "impression",
            "why",
        ):  # what they say beside the measurements is the label's
            continue
        judged = check_grounding(answer, known.features).claims
        assert not [one.explanation for one in judged if one.verdict == CONTRADICTED], answer


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_the_right_answer_is_right_and_one_to_another_question_is_not(kind, known):
    _, answer = ask(kind, known, np.random.default_rng(0))
    assert is_right(kind, answer, answer, known) in (True, None)
    assert is_right(kind, "The moon is full.", answer, known) in (False, None)


def test_questions_that_no_ecg_can_answer_are_declined(known):
    rng = np.random.default_rng(0)
    asked = {question: what for what, questions in BEYOND_AN_ECG.items() for question in questions}
    told = dict(ask(BEYOND, known, rng) for _ in range(300))
    assert set(told.values()) == {f"An ECG cannot tell {what}." for what in BEYOND_AN_ECG}
    assert all(told[question] == f"An ECG cannot tell {asked[question]}." for question in set(told) & set(asked))
    assert {ask(ELSE, known, rng)[1] for _ in range(50)} == {OFF_TOPIC}


def test_questions_about_a_place_are_answered_by_the_leads_that_show_it():
    drawn, codes = ECGS["inferior"]
    known = Known(extract_features(simulate_ecg(**drawn, seed=4).record), codes)
    rng = np.random.default_rng(0)
    worded = "Is there ST elevation in the {wall} leads?"
    told = dict(ask("ST elevation by wall", known, rng, worded) for _ in range(30))
    assert told["Is there ST elevation in the inferior leads?"] == "Yes, ST elevation in II, III and aVF."
    assert told["Is there ST elevation in the anterior leads?"] == "No, no ST elevation in the anterior leads."


def test_a_named_diagnosis_is_answered_by_what_is_stated(known):
    rng = np.random.default_rng(0)
    for _ in range(60):
        question, answer = ask("named diagnosis", known, rng, "{diagnosis}")
        verdict, _, part = answer.partition(" ")
        text = next(text for text, names in NAMED.items() if question in names)
        assert verdict == ("Yes." if f" {text}" in f" {part.lower()}" else "No.")
        assert part in (known.answer.rhythm, known.answer.impression)
    assert "incomplete left" not in NAMED  # "complete left bundle branch block" would be found in it


@pytest.mark.parametrize("kind", YES_OR_NO)
def test_who_asks_for_yes_or_no_alone_gets_an_answer_that_can_be_checked(kind, known):
    rng = np.random.default_rng(0)
    asked = [ask(kind, known, rng) for _ in range(150)]
    brief = [(question, answer) for question, answer in asked if question.endswith((*BRIEFLY, QA_INSTRUCTION))]
    assert 5 < len(brief) < 60
    assert all(answer.startswith(("Yes", "No")) and len(answer.split()) > 1 for _, answer in asked)


def test_kinds_that_are_asked_often_come_more_often(known):
    rng = np.random.default_rng(0)
    counts = Counter(answer for _ in range(300) for _, answer in ask_some(4, known, rng))
    assert 1.5 * counts[f"{pr_text(known.features, known.codes)}."] < counts[OFF_TOPIC]


def test_normal_is_true_however_it_is_asked(known):
    _, answer = ask("normal", known, np.random.default_rng(0))
    assert answer.startswith("Normal." if "NORM" in known.codes else "Abnormal.")


def test_poor_leads_are_what_was_measured():
    record = simulate_ecg(seed=4).record
    signal = record.signal.copy()
    signal[8] = 0
    known = Known(extract_features(replace(record, signal=signal)), {})
    rng = np.random.default_rng(0)
    assert (
        ask("quality", known, rng)[1] == "No signal in V3." and ask("noise", known, rng)[1] == "Yes. No signal in V3."
    )
    told = dict(ask("noise by lead", known, rng, "{lead}") for _ in range(60))
    assert told["V3"] == "Yes. No signal in V3." and told["V4"] == "No. Good quality in V4."
    for answer in ("No signal in V3.", "Yes. No signal in V3.", *told.values()):
        assert [item.verdict for item in check_grounding(answer, known.features).claims] == ["supported"], answer
    wrong = check_grounding("No. Good quality in all leads. Poor quality in V4.", known.features).claims
    assert [item.verdict for item in wrong] == ["contradicted", "contradicted"]


def test_a_question_about_no_ecg_in_particular_has_no_placeholder():
    rng = np.random.default_rng(0)
    questions = {any_question(rng) for _ in range(300)}
    assert len(questions) > 250 and not any("{" in question for question in questions)


def test_an_interpretation_has_at_most_120_words_and_keeps_its_first_statements(known):
    every = dict.fromkeys(
        ("SR", "IMI", "ASMI", "ILMI", "NDT", "ISCAL", "LNGQT", "LAFB", "CRBBB", "1AVB", "LVH", "RVH", "PVC"), 100.0
    )
    features = known.features
    text = Known(features, every).answer.full_text()
    assert len(text.split()) <= MOST_WORDS and "Impression: inferior myocardial infarction; " in text
    short = grounded_answer(features, {"SR": 0.0, "LAFB": 100.0}).full_text()
    assert "left anterior fascicular block (axis " in short
