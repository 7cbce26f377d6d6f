# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The model behind the Space: one for all users, every conversation given to it anew."""

import threading
from collections.abc import Iterator
from typing import Any

from processing.errors_gem import GemError
from processing.processing_gem import Modality
from recipes.models import load_gem

from .uploads import Upload

MAX_QUESTION = 500
MAX_NEW_TOKENS = 256
MAX_FOLLOW_UPS = 4  # the oldest are forgotten, so that a conversation stays within the model's context


class Interpreter:
    """Answers questions about an ECG in pieces, as they are written."""

    def __init__(self, model: str = "") -> None:
        self.network, self.processor = load_gem(model)
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
            GemError: the upload has not what the modality needs.
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

    def stream(self, chat: list[dict]) -> Iterator[str]:
        """The answer so far, again and again; closing the iterator stops the model.

        Raises:
            GemError: the model failed; the cause is chained.
        """
        from transformers import StoppingCriteriaList, TextIteratorStreamer

        inputs = self.processor.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt", draw_page=False
        ).to(self.network.device)
        streamer = TextIteratorStreamer(self.processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
        closed = threading.Event()
        failure: list[Exception] = []

        def generate() -> None:
            import torch

            def stop(ids: Any, scores: Any, **_: Any) -> Any:
                return torch.full((len(ids),), closed.is_set(), device=ids.device)

            try:
                with torch.inference_mode():
                    self.network.generate(
                        **inputs,
                        max_new_tokens=MAX_NEW_TOKENS,
                        do_sample=False,
                        streamer=streamer,
                        stopping_criteria=StoppingCriteriaList([stop]),
                    )
            except Exception as error:
                failure.append(error)
                streamer.end()

        thread = threading.Thread(target=generate, daemon=True)
        thread.start()
        text = ""
        try:
            for piece in streamer:
                text += piece
                yield text.strip()
        finally:
            closed.set()
            thread.join()
        if failure:
            raise GemError("The model could not answer; try a shorter question or another record.") from failure[0]


__all__ = ["Interpreter"]
