# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Likelihoods with a shared prompt equal those of whole texts, for any batch, template and tokens."""

import numpy as np
import pytest
import torch

from modeling_gem import GemError
from modeling_gem.chat_templates import CHATML, LLAVA_V1, PLAIN, WORDED
from recipes.evaluation.likelihood import label_log_likelihoods
from tests.helpers.tiny_gem import chat, tiny_model, tiny_processor

LABELS = ["normal ECG", "sinus rhythm", "PR interval 160 ms, first degree AV block", "Q"]


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def from_whole_texts(model, processor, conversation, labels, prefix=""):
    """One full pass per label, without a cache: the log probabilities of the tokens that differ from the prompt's."""

    def ids(answer):
        message = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
        begun = [*conversation, message] if answer else conversation
        ending = {"continue_final_message": True} if answer else {"add_generation_prompt": True}
        return processor.apply_chat_template(
            begun, tokenize=True, return_dict=True, return_tensors="pt", draw_page=False, **ending
        )

    rows = [ids(prefix + label) for label in labels]
    prompt = ids(prefix)["input_ids"][0].tolist()
    texts = [row["input_ids"][0].tolist() for row in rows]
    shared = min(
        next((i for i, (a, b) in enumerate(zip(prompt, text, strict=False)) if a != b), len(prompt)) for text in texts
    )
    scores = []
    for row in rows:
        with torch.inference_mode():
            logits = model(**row).logits[0].log_softmax(-1)
        tokens = row["input_ids"][0]
        scores.append(float(logits[shared - 1 : -1].gather(-1, tokens[shared:, None]).sum()))
    return np.array(scores)


@pytest.mark.parametrize("template", [PLAIN, WORDED, LLAVA_V1, CHATML], ids=["plain", "worded", "llava", "chatml"])
@pytest.mark.parametrize("prefix", ["", "Sinus rhythm, PR ", "Sinus"])
def test_equal_to_whole_texts(model, template, prefix):
    processor = tiny_processor(chat_template=template)
    conversations = [chat(0), chat(1, image=False), chat(2, ecg=False), chat(3, text="Rate?")]
    found = label_log_likelihoods(model, processor, conversations, LABELS, answer_prefix=prefix)
    assert found.shape == (4, len(LABELS)) and found.dtype == np.float64 and (found < 0).all()
    for row, conversation in zip(found, conversations, strict=True):
        np.testing.assert_allclose(
            row, from_whole_texts(model, processor, conversation, LABELS, prefix), rtol=1e-4, atol=1e-4
        )


def test_every_conversation_may_have_a_beginning_of_its_own(model):
    processor = tiny_processor()
    conversations, prefixes = [chat(0), chat(1, image=False), chat(2)], ["Sinus rhythm, PR ", "", "Rate 70, PR "]
    found = label_log_likelihoods(model, processor, conversations, LABELS, answer_prefix=prefixes)
    for row, conversation, prefix in zip(found, conversations, prefixes, strict=True):
        np.testing.assert_allclose(
            row, from_whole_texts(model, processor, conversation, LABELS, prefix), rtol=1e-4, atol=1e-4
        )
    with pytest.raises(GemError, match="3 conversations need as many prefixes, got 2"):
        label_log_likelihoods(model, processor, conversations, LABELS, answer_prefix=prefixes[:2])


def test_a_label_that_merges_with_the_prompt_counts_right(model):
    """ "interval" after "PR " is one token with the space: the prompt's own last token is not what the label follows."""
    processor = tiny_processor()
    plain = processor.tokenizer("PR ", add_special_tokens=False)["input_ids"]
    merged = processor.tokenizer("PR interval", add_special_tokens=False)["input_ids"]
    assert merged[: len(plain)] != plain
    labels = ["interval", "axis"]
    found = label_log_likelihoods(model, processor, [chat()], labels, answer_prefix="PR ")
    np.testing.assert_allclose(found[0], from_whole_texts(model, processor, chat(), labels, "PR "), rtol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 64])
def test_batches_change_nothing(model, batch_size):
    processor = tiny_processor()
    conversations = [chat(seed, image=seed % 2 == 0) for seed in range(5)]
    alone = np.concatenate([label_log_likelihoods(model, processor, [c], LABELS, 1) for c in conversations])
    found = label_log_likelihoods(model, processor, conversations, LABELS, batch_size)
    np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-4)
    assert np.ptp(alone, axis=0).min() > 1e-3, "the ECG must make a difference"


def test_normalised_and_contrast(model):
    processor = tiny_processor()
    conversations = [chat(0), chat(1)]
    plain = label_log_likelihoods(model, processor, conversations, LABELS)
    mean = label_log_likelihoods(model, processor, conversations, LABELS, normalize=True)
    lengths = plain / mean
    np.testing.assert_allclose(lengths, np.round(lengths), rtol=1e-6)
    assert (lengths >= 1).all() and len(set(lengths[0].round())) > 1
    odds = label_log_likelihoods(model, processor, conversations, LABELS[:2], negations=LABELS[2:])
    np.testing.assert_allclose(odds, plain[:, :2] - plain[:, 2:], rtol=1e-5, atol=1e-5)


def test_the_chats_stay_as_they_were(model):
    conversation = chat()
    before = str(conversation)
    label_log_likelihoods(model, tiny_processor(), [conversation], LABELS, answer_prefix="Sinus ")
    assert str(conversation) == before


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"labels": []}, "non-empty strings"),
        ({"labels": "normal"}, "non-empty strings"),
        ({"labels": ["a", " "]}, "non-empty strings"),
        ({"labels": ["a", "b"], "negations": ["c"]}, "as many negations"),
        ({"labels": ["a"], "batch_size": 0}, "at least 1"),
    ],
)
def test_bad_arguments(model, arguments, message):
    with pytest.raises(GemError, match=message):
        label_log_likelihoods(model, tiny_processor(), [chat()], **arguments)


def test_a_finished_answer_is_refused(model):
    with pytest.raises(GemError, match="user's turn"):
        label_log_likelihoods(model, tiny_processor(), [chat(answer="done")], ["a"])
