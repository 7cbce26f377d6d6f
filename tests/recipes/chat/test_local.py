# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A language model in this process: order, limits, schema. The model is random; teachers and judges have their own tests."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from processing.errors_gem import TeacherError
from recipes.chat.local import LocalModel
from recipes.chat.replies import ChatFailure
from recipes.chat.settings import LocalSettings
from tests.helpers.tiny_gem import tiny_text_config, tiny_tokenizer

CHATS = [(n, [{"role": "user", "content": "Hello " * (n + 1)}]) for n in range(3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("llm") / "small-one"
    torch.manual_seed(0)
    LlamaForCausalLM(tiny_text_config(max_position_embeddings=512)).save_pretrained(folder)
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}\n{% endfor %}"
    tokenizer.save_pretrained(folder)
    return folder


def local(folder: Path, **settings: int) -> LocalModel:
    return LocalModel(LocalSettings(model=str(folder), **{"max_new_tokens": 5, **settings}))


def test_answers_come_in_order_and_do_not_depend_on_the_batch(folder):
    model = local(folder, batch_size=2)
    together = list(model.complete_all(CHATS))
    assert [key for key, _ in together] == [0, 1, 2] and model.name == "small-one" and model.is_local
    alone = list(local(folder, batch_size=1).complete_all(CHATS))
    assert [result.text for _, result in together] == [result.text for _, result in alone]
    prompts = [result.usage.prompt_tokens for _, result in together]
    assert prompts == sorted(set(prompts)), "the padding of a batch is not counted"


def test_an_answer_that_does_not_end_is_cut_off(folder):
    ((_, result),) = local(folder).complete_all(CHATS[:1])
    assert isinstance(result, ChatFailure) and result.kind == "truncated" and result.usage.completion_tokens == 5


def test_a_schema_is_added_to_the_prompt(folder):
    model = local(folder)
    ((_, plain),), ((_, told),) = (model.complete_all(CHATS[:1], schema) for schema in (None, {"type": "object"}))
    assert told.usage.prompt_tokens > plain.usage.prompt_tokens + 10


def test_a_prompt_beyond_the_context_spares_the_others(folder):
    results = dict(
        local(folder, batch_size=3).complete_all([(9, [{"role": "user", "content": "a b " * 900}]), *CHATS])
    )
    assert results[9].kind == "bad_request" and "exceed the model's 512" in str(results[9])
    assert all(results[n].usage.completion_tokens for n in range(3))


def test_a_model_without_a_chat_template_is_refused(tmp_path, folder):
    LlamaForCausalLM(tiny_text_config()).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(TeacherError, match="no chat template"):
        local(tmp_path)
