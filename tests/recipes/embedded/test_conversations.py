# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The conversations that the language model learns from."""

import pytest

from recipes.embedded.corpus import Corpus, write_corpus
from recipes.embedded.junk import declines, junk_of
from recipes.embedded.records import simulated_items
from recipes.embedded.tiny import conversations, refusals, training_prompts
from recipes.teachers.grounded_answer import QUESTIONS


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus") / "records"
    write_corpus(simulated_items(12, seed=0), folder, processes=1)
    found = Corpus.load(folder)
    for number, row in enumerate(found.rows):
        row["fold"] = 8 if number % 4 == 3 else 1
    return found


def test_every_record_is_interpreted_and_asked_about_in_its_fold_alone(corpus):
    rows = list(conversations(corpus, (1,), seed=0))
    assert rows == list(conversations(corpus, (1,), seed=0)) != list(conversations(corpus, (1,), seed=1))
    learned = {row["id"] for row in corpus.rows if row["fold"] == 1}
    assert {row["id"] for row in rows} == learned
    whole = [row for row in rows if "infarction is" in row["messages"][1]["content"]]
    assert len(learned) <= len(whole) < len(rows)
    assert {QUESTIONS["full_text"][0]} < {row["messages"][0]["content"] for row in whole}


def test_as_many_questions_are_asked_as_is_said_and_none_twice(corpus):
    for count in (1, 3):
        asked: dict[str, list[str]] = {}
        for row in conversations(corpus, (1,), seed=0, questions=count):
            question, answer = (turn["content"] for turn in row["messages"])
            if "infarction is" not in answer:
                asked.setdefault(row["id"], []).append(question)
        assert all(len(questions) == len(set(questions)) == count for questions in asked.values())


def test_questions_share_conversations_as_is_said(corpus):
    learned = {row["id"] for row in corpus.rows if row["fold"] == 1}
    rows = conversations(corpus, (1,), seed=0, questions=7, together=3)
    turns = [len(row["messages"]) // 2 for row in rows if "infarction is" not in row["messages"][1]["content"]]
    assert sorted(turns) == sorted([3, 3, 1] * len(learned))


def test_what_is_no_ecg_is_always_declined(corpus):
    rows = list(refusals(junk_of(corpus, 5, seed=0), seed=0))
    assert len(rows) == 10 and all(declines(row["messages"][1]["content"]) for row in rows)
    assert any(row["messages"][0]["content"] not in QUESTIONS["full_text"] for row in rows)


def test_prompts_hold_photographed_pages_and_pictures_to_decline(corpus):
    rows = training_prompts(corpus, count=8, held=2, photographed=0.5, junk_count=3, seed=0)
    ecgs, pictures = rows["train"][:-3], rows["train"][-3:]
    assert all(row["ecg"].shape == (12, 5000) and not declines(row["messages"][1]["content"]) for row in ecgs)
    shapes = [row["image"].width > row["image"].height for row in ecgs]
    assert any(shapes) and not all(shapes)
    assert all(row["ecg"] is None and declines(row["messages"][1]["content"]) for row in pictures)
    assert len(rows["validation"]) == 2 and all(
        row["image"].width == row["image"].height for row in rows["validation"]
    )
