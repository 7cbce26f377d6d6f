# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The server's requests as pydantic models. Unknown or unsupported fields are refused, never ignored."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from modeling_gem.interpretation import ANSWERS, Grounding
from processing.chat_gem import Modality
from recipes.settings import Settings

MAX_NEW_TOKENS = 512
MAX_QUESTION = 2000
Part = Annotated[dict[str, Any], Field(description="A part of a message: `file`, `audio_url`, `ecg` or `image_url`.")]


class ChatRequest(Settings):
    """A chat completion of OpenAI's, as far as a GEM can do it; `grounding` is ours."""

    model: str
    messages: list[dict[str, Any]] = Field(min_length=1)
    stream: bool = False
    stream_options: dict[Literal["include_usage"], bool] | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(0.0, ge=0, le=2, description="0, the default: the greedy answer.")
    grounding: Grounding = "off"
    n: Literal[1] | None = None
    top_p: Annotated[float | None, Field(ge=1, le=1)] = None
    frequency_penalty: Annotated[float | None, Field(ge=0, le=0)] = None
    presence_penalty: Annotated[float | None, Field(ge=0, le=0)] = None
    seed: int | None = Field(None, description="Of no effect on greedy answers; refused with a temperature.")
    response_format: dict[Literal["type"], Literal["text"]] | None = None
    user: str | None = Field(None, description="Not looked at.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.seed is not None and self.temperature:
            raise ValueError(
                "has a seed: answers are sampled in a batch with others; only temperature 0 can be repeated"
            )
        if self.stream and self.grounding in ("select", "correct"):
            raise ValueError(f"cannot stream: grounding {self.grounding!r} chooses when all is written")
        return self

    @property
    def length(self) -> int:
        """Tokens that the answer may have."""
        return min(self.max_completion_tokens or self.max_tokens or MAX_NEW_TOKENS, MAX_NEW_TOKENS)


class MeasureRequest(Settings):
    """The request for measurements: one ECG, as for `gem features`."""

    ecg: Part


class InterpretRequest(MeasureRequest):
    """The request for an interpretation, as for `gem interpret`."""

    page: Part | None = None
    question: str | None = Field(None, max_length=MAX_QUESTION)
    modality: Modality = "both"
    grounding: Grounding = "flag"
    n: int = Field(ANSWERS, ge=1, le=16, description="Largest number of answers that select and correct try.")
    max_new_tokens: int = Field(256, ge=1, le=MAX_NEW_TOKENS)


class PageRequest(MeasureRequest):
    """The request for a page, as for `gem render`; the default layout is that of the model's page."""

    layout: str | None = Field(None, max_length=40)
    speed: float = Field(25.0, description="mm/s, 25 or 50")
    mm_per_mv: float = Field(10.0, description="2.5, 5, 10 or 20")


__all__ = ["ChatRequest", "InterpretRequest", "MeasureRequest", "PageRequest"]
