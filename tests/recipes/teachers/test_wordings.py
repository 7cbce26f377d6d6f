# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Questions in many wordings."""

import json

import numpy as np
import pytest

from recipes.embedded.question_scores import UNSEEN
from recipes.teachers.hurried import hurried
from recipes.teachers.questions import ALL_KINDS, BEYOND, ELSE, WHOLE
from recipes.teachers.wordings import (
    ABOUT_NOTHING,
    BEYOND_AN_ECG,
    FINDINGS,
    IN_A_PLACE,
    SENTENCES,
    VALUES,
    wording,
)

WORDED = [kind for kind in (*ALL_KINDS, WHOLE) if kind not in (BEYOND, ELSE)]


@pytest.mark.parametrize("kind", WORDED)
def test_a_kind_has_many_wordings_and_the_placeholders_of_its_own(kind):
    rng = np.random.default_rng(0)
    drawn = {wording(kind, rng) for _ in range(300)}
    assert len(drawn) >= 9 if kind == "why" else len(drawn) >= 30
    expected = {"by lead": "{lead}", "by wall": "{wall}", "diagnosis": "{diagnosis}"}
    placeholder = next((mark for end, mark in expected.items() if kind.endswith(end)), None)
    assert all(text.count("{") == (placeholder is not None) and (placeholder or "") in text for text in drawn)
    assert not any("any a " in text or "any an " in text or "{place}" in text for text in drawn)


def test_every_table_is_about_a_known_kind():
    assert set(SENTENCES) == set(WORDED)
    assert set(VALUES) | set(FINDINGS) <= set(WORDED)
    assert {f"{finding} by {place}" for finding in IN_A_PLACE for place in ("lead", "wall")} <= set(WORDED)


def test_no_wording_stands_for_two_kinds():
    rng = np.random.default_rng(0)
    kinds: dict[str, str] = {}
    for kind in WORDED:
        for _ in range(400):
            text = wording(kind, rng)
            assert kinds.setdefault(text, kind) == kind, (text, kind, kinds[text])


def test_a_hurried_question_keeps_leads_and_names():
    rng = np.random.default_rng(0)
    question = "Is there ST elevation in lead V3?"
    drawn = {hurried(question, rng) for _ in range(400)}
    assert question in drawn and len(drawn) > 10
    assert all("v3" in text.lower() and "st " in text.lower() for text in drawn)


def test_unseen_wordings_are_not_among_the_taught_ones():
    rng = np.random.default_rng(0)
    for kind, texts in json.loads(UNSEEN.read_text()).items():
        if kind == BEYOND:
            taught = {text for texts in BEYOND_AN_ECG.values() for text in texts}
        else:
            taught = set(ABOUT_NOTHING) if kind == ELSE else {wording(kind, rng) for _ in range(3000)}
        bare = {text.lower().rstrip("?.") for text in taught}
        assert texts and not {text.lower().rstrip("?.") for text in texts} & bare, kind
