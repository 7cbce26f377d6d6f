# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A GEM on a server: `gem serve`, `vllm serve` with GEM's plugin, or any other with the same wire format."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from typing import Any

import numpy as np
import openai
from PIL import Image

from modeling_gem.interpretation import MoreAnswers
from processing.ecg_features import EcgFeatures
from processing.ecg_record import EcgRecord
from processing.errors_gem import GemError
from processing.grounding.cut_off import as_answer
from processing.processing_gem import GemProcessor
from recipes.models import checkpoint_errors
from recipes.serving.wire import data_url

from .client import ChatClient
from .replies import ChatFailure, ChatReply, Messages
from .settings import ChatSettings

Chat = list[dict[str, Any]]


class ServedGem:
    """Sends the same signal and page that a GEM in this process would read, so that the server gives the same answer."""

    def __init__(self, url: str, model: str, *, trust_remote_code: bool = False, at_once: int = 8) -> None:
        """
        Args:
            url: of the server, including /v1.
            model: folder or Hub id of the GEM that is served; its processor builds the chats and draws the pages.
            trust_remote_code: allow the processor's own code to run.
            at_once: number of parallel requests, which the server can join to a batch.

        Raises:
            CheckpointError: the processor's files cannot be used.
            GemError: the server cannot be reached, or serves several models and none of this name.
        """
        from transformers import AutoProcessor

        with checkpoint_errors(model):
            self.processor: GemProcessor = AutoProcessor.from_pretrained(model, trust_remote_code=trust_remote_code)
        self.at_once = at_once
        settings = ChatSettings(model=model, base_url=url, max_concurrency=at_once)
        self.client = ChatClient(settings.model_copy(update={"model": served_model(settings)}))

    def answers(self, chats: Sequence[Chat], max_new_tokens: int) -> list[str | GemError]:
        """See `GemEngine`."""
        greedy = self.client.with_settings(max_tokens=max_new_tokens)
        found = dict(greedy.complete_all((number, self._messages(chat)) for number, chat in enumerate(chats)))
        return [text_or_error(found[number]) for number in range(len(chats))]

    def more(self, chat: Chat, features: EcgFeatures, seed: int, max_new_tokens: int) -> MoreAnswers:
        """Whole answers, sampled at temperature 1; those that the server refuses are left out. A server that answers many at
        once cannot repeat itself: `seed` has no effect."""
        numbers, messages = count(), self._messages(chat)

        def ask(number: int) -> ChatReply | ChatFailure:
            # Equal requests would be sent only once; the server ignores `user`.
            other = {"user": f"answer {number}"}
            sampled = self.client.with_settings(max_tokens=max_new_tokens, temperature=1.0, extra_body=other)
            ((_, result),) = sampled.complete_all([(number, messages)])
            return result

        def sample(number: int) -> list[str]:
            with ThreadPoolExecutor(number) as threads:
                texts = map(text_or_error, threads.map(ask, list(islice(numbers, number))))
                return [text for text in texts if isinstance(text, str)]

        return sample

    def close(self) -> None:
        """Closes the connections."""
        self.client.close()

    def _messages(self, chat: Chat) -> Messages:
        """A finished chat as the messages of a request."""
        return [
            {**message, "content": list(map(self._part, message["content"]))}
            if isinstance(message["content"], list)
            else message
            for message in chat
        ]

    def _part(self, block: dict[str, Any]) -> dict[str, Any]:
        if block["type"] == "ecg":
            extractor, record = self.processor.feature_extractor, block["ecg"]
            # What the tower reads of it; a whole recording may be longer than a server takes.
            record = record if extractor.compat == "gem" else extractor.prepare(record)
            return {"type": "audio_url", "audio_url": {"url": ecg_url(record)}}
        if block["type"] == "image":
            return {"type": "image_url", "image_url": {"url": picture_url(block["image"])}}
        return {"type": "text", "text": block["text"]}


def served_model(settings: ChatSettings) -> str:
    """The server's name of the model: the requested one, or the only one that is served.

    Raises:
        GemError: the server cannot be reached, or serves several others.
    """
    try:
        with openai.OpenAI(base_url=settings.url, api_key=settings.api_key(), timeout=settings.timeout) as api:
            names = [served.id for served in api.models.list()]
    except openai.OpenAIError as error:
        raise GemError(
            f"{settings.url}/models: {error}. Is a server of GEM running there, and does the URL end in /v1?"
        ) from error
    if settings.model in names:
        return settings.model
    if len(names) != 1:
        raise GemError(f"{settings.url} serves {', '.join(names) or 'nothing'}; name one of them as the model.")
    return names[0]


def ecg_url(record: EcgRecord) -> str:
    """A record as a data URL of an NPZ file: its samples bit for bit."""
    file = io.BytesIO()
    np.savez(
        file,
        signal=record.signal,
        sampling_rate=record.sampling_rate,
        leads=np.array(record.leads),
        unit=np.array("mV"),
    )
    return data_url(file.getvalue())


def picture_url(picture: Image.Image) -> str:
    """A picture as a data URL of a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return data_url(file.getvalue(), "image/png")


def text_or_error(result: ChatReply | ChatFailure) -> str | GemError:
    """The text of a reply. An answer that reached its length limit (a `CutOff`), or is empty, is valid, as in every engine.

    Raises:
        ChatFailure: the server cannot be reached or is too busy; another run may ask again.
    """
    if isinstance(result, ChatReply) or result.kind in ("truncated", "empty"):
        return as_answer(result.text.strip(), isinstance(result, ChatFailure) and result.kind == "truncated")
    if result.kind in ("bad_request", "refusal", "content_filter"):
        return result
    raise result


__all__ = ["ServedGem", "ecg_url", "picture_url", "served_model"]
