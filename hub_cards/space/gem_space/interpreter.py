# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The Space's model: one for all users; every request sends it the whole conversation."""

from typing import Any

from processing.chat_gem import Modality
from processing.errors_gem import GemError
from recipes.models import load_gem
from recipes.serving.answer import Answer
from recipes.serving.batcher import Batcher

from .uploads import Upload

MAX_QUESTION = 500
MAX_NEW_TOKENS = 256
MAX_FOLLOW_UPS = 4  # the oldest are forgotten, so that a conversation stays within the model's context
ANSWER_S = 300.0  # from the question on


class Interpreter:
    """Answers questions about ECGs; questions that wait at the same time are answered in one batch."""

    def __init__(self, model: str = "") -> None:
        network, self.processor = load_gem(model)
        self.batcher = Batcher(network, self.processor)
        tokenizer = self.processor.tokenizer
        self._special = sorted({*tokenizer.all_special_tokens, *self.processor.all_special_multimodal_tokens})

    def plain(self, question: str) -> str:
        """A question without anything that the prompt gives a meaning to: no placeholder, no turn of its own.

        Raises:
            GemError: longer than 500 characters.
        """
        if len(question) > MAX_QUESTION:
            raise GemError(f"The question has {len(question):,} characters; ask with {MAX_QUESTION} at most.")
        for token in self._special:
            question = question.replace(token, " ".join(token))
        return question.strip()

    def start(self, upload: Upload, question: str, modality: Modality) -> list[dict]:
        """The conversation that asks a first question about an upload.

        Raises:
            GemError: the upload lacks what the modality needs.
        """
        source: Any = upload.record if upload.record is not None else upload.picture
        return self.processor.build_conversation(source, question=self.plain(question) or None, modality=modality)

    def follow_up(self, chat: list[dict], question: str) -> list[dict]:
        """The conversation with one more question.

        Raises:
            GemError: no question, or one too long.
        """
        text = self.plain(question)
        if not text:
            raise GemError("Write a question first.")
        kept = chat[:2] + chat[2:][-2 * (MAX_FOLLOW_UPS - 1) :]
        return [*kept, {"role": "user", "content": [{"type": "text", "text": text}]}]

    def answer(self, chat: list[dict], client: str, session: str, temperature: float = 0.0) -> Answer:
        """The answer to a conversation, on its way; see `Batcher.ask`.

        Raises:
            TooBusyError: too many are waiting.
        """
        return self.batcher.ask(chat, client, session, MAX_NEW_TOKENS, ANSWER_S, temperature)


__all__ = ["Interpreter"]
