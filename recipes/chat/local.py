# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A causal language model in this process, for teachers and judges."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from processing.errors_gem import TeacherError

from .replies import ChatFailure, ChatReply, ChatUsage, Description, Key, Messages, Schema, with_schema_in_words
from .settings import LocalSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class LocalModel:
    """Any Transformers causal language model with a chat template: greedy, in batches. A schema is added to the messages."""

    is_local = True

    def __init__(self, settings: LocalSettings) -> None:
        """
        Raises:
            TeacherError: the model has no chat template.
            OSError: there is no such model.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.settings = settings
        self.name = settings.model.rstrip("/").split("/")[-1]
        self.description: Description = {"kind": "local", "model": settings.model, "temperature": 0.0}
        options = {"gguf_file": settings.gguf_file} if settings.gguf_file else {}
        self.tokenizer = AutoTokenizer.from_pretrained(settings.model, padding_side="left", **options)
        if not self.tokenizer.chat_template:
            raise TeacherError(f"{settings.model}: no chat template; an instruction-tuned model is needed.")
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        device = settings.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        model = AutoModelForCausalLM.from_pretrained(settings.model, dtype=settings.dtype, **options)
        self.model = model.to(device).eval()

    def complete_all(
        self, requests: Iterable[tuple[Key, Messages]], schema: Schema | None = None
    ) -> Iterator[tuple[Key, ChatReply | ChatFailure]]:
        """Answers many chats, in their order; a prompt beyond the model's context is a failure (`bad_request`)."""
        source = iter(requests)
        while batch := list(islice(source, self.settings.batch_size)):
            ready: list[tuple[Key, list[int]]] = []
            for key, messages in batch:
                try:
                    limit = getattr(self.model.config, "max_position_embeddings", None)
                    ids = prompt_ids(self.tokenizer, messages, schema, limit, self.settings.max_new_tokens)
                    ready.append((key, ids))
                except ChatFailure as failure:
                    yield key, failure
            answers = self._generate([ids for _, ids in ready]) if ready else []
            for (key, _), reply in zip(ready, answers, strict=True):
                yield key, reply.judged(schema)

    def close(self) -> None:
        """Frees the model's memory."""
        del self.model

    def _generate(self, prompts: list[list[int]]) -> list[ChatReply]:
        import torch

        inputs = self.tokenizer.pad({"input_ids": prompts}, return_tensors="pt")
        with torch.inference_mode():
            output = self.model.generate(
                **inputs.to(self.model.device),
                max_new_tokens=self.settings.max_new_tokens,
                do_sample=False,
                pad_token_id=self.tokenizer.pad_token_id,
            )
        rows = output[:, inputs["input_ids"].shape[1] :].tolist()
        return [self._reply(len(ids), row) for ids, row in zip(prompts, rows, strict=True)]

    def _reply(self, prompt_tokens: int, row: list[int]) -> ChatReply:
        ends = self.model.generation_config.eos_token_id
        ends = set(ends) if isinstance(ends, list) else {ends, self.tokenizer.eos_token_id}
        stop = next((place for place, token in enumerate(row) if token in ends), None)
        text = self.tokenizer.decode(row[:stop], skip_special_tokens=True).strip()
        usage = ChatUsage(prompt_tokens, len(row) if stop is None else stop, 0.0)
        return ChatReply(text, usage, "length" if stop is None else "stop")


def prompt_ids(
    tokenizer: "PreTrainedTokenizerBase", messages: Messages, schema: Schema | None, limit: int | None, to_write: int
) -> list[int]:
    """The token ids of a chat. A schema is described in its text.

    Args:
        tokenizer: of the model.
        messages: the chat.
        schema: JSON schema of the answer; `None` for free text.
        limit: context length of the model in tokens; `None` if unknown.
        to_write: tokens to reserve for the answer.

    Raises:
        ChatFailure: (`bad_request`) chat and answer do not fit into the context.
    """
    chat = list(messages) if schema is None else with_schema_in_words(messages, schema)
    text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if limit and len(ids) + to_write > limit:
        raise ChatFailure(
            "bad_request",
            f"{len(ids)} tokens and {to_write} to write exceed the model's {limit}; "
            "shorten the prompt (of a teacher: lower the guider's max_tokens)",
            ChatUsage(len(ids)),
        )
    return ids


__all__ = ["LocalModel", "prompt_ids"]
