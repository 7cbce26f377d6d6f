# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Credit for single claims: who is blamed for what, on sample ECGs."""

import pytest
import torch
from transformers import AutoTokenizer

from modeling_gem import default_checkpoint, load_ecg
from recipes.training.claim_credit import claim_credit, judged_parts

RIGHT = "Sinus rhythm at 68 bpm. PR 132 ms. No pathological Q waves."
WRONG = "Sinus rhythm at 68 bpm. PR 320 ms. No pathological Q waves."


@pytest.fixture(scope="module")
def normal():
    return load_ecg("processing/samples/normal.hea")


@pytest.fixture(scope="module")
def infarction():
    return load_ecg("processing/samples/inferior_infarction.hea")


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(default_checkpoint())


def credit_of(tokenizer, texts, record, groups=None) -> list[list[tuple[str, float]]]:
    """Of each text its tokens, as texts, with their credit."""
    answers = [torch.tensor(tokenizer.encode(text, add_special_tokens=False)) for text in texts]
    length = max(map(len, answers))
    credit = claim_credit(tokenizer, answers, [record] * len(texts), groups or [0] * len(texts), length)
    assert credit.shape == (len(texts), length)
    return [
        list(zip(tokenizer.batch_decode(ids[:, None]), row.tolist(), strict=False))
        for ids, row in zip(answers, credit, strict=True)
    ]


def test_the_wrong_claim_alone_is_blamed(tokenizer, normal):
    right, wrong = credit_of(tokenizer, [RIGHT, WRONG], normal)
    assert {value for _, value in right} == {0.0, 0.5} and {value for _, value in wrong} == {0.0, -0.5}
    for tokens in (right, wrong):
        judged = "".join(token for token, value in tokens if value)
        assert "PR" in judged and "6" not in judged and "Q waves" not in judged


def test_answers_are_compared_with_those_to_the_same_prompt(tokenizer, normal):
    credit = credit_of(tokenizer, [RIGHT, RIGHT, WRONG, WRONG], normal, groups=[0, 0, 1, 1])
    assert all(value == 0 for tokens in credit for _, value in tokens)


def test_wrong_leads_are_told_from_right_ones(infarction):
    text = "Pathological Q waves in III and V5."
    leads = {
        text[part.start : part.end]: part.right for part in judged_parts(text, infarction) if "leads" in part.kind
    }
    assert leads == {"III": True, "V5": False}


def test_what_physicians_decide_is_left_to_the_labels(normal):
    assert judged_parts("Left ventricular hypertrophy. Anterior infarction.", normal) == []
    assert judged_parts("Good morning.", normal) == []


def test_no_credit_without_a_signal(tokenizer):
    assert all(value == 0 for tokens in credit_of(tokenizer, [RIGHT, WRONG], None) for _, value in tokens)
