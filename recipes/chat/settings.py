# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Settings of a chat endpoint (address, rate, budget) and of a model in this process."""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlparse

from pydantic import AfterValidator, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from processing.errors_gem import TeacherError
from recipes.settings import Settings

from .engine_names import as_engine

OPENAI_URL = "https://api.openai.com/v1"


class ChatSection(Settings):
    """A section of a settings file."""

    section: ClassVar[str]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """The settings in a mapping, as a YAML file holds them.

        Raises:
            TeacherError: a key is unknown, `model` is missing, or a value is out of range.
        """
        return cls.read(dict(values), cls.section, TeacherError)


class AccessSettings(ChatSection):
    """Address, key, rate limits and budget. Except for the address they do not change an answer."""

    base_url: str | None = None  # up to and with /v1; without it OPENAI_BASE_URL, else OpenAI
    azure_endpoint: str | None = None  # of an Azure resource, instead of `base_url`
    api_key_env: str = "OPENAI_API_KEY"  # the variable that holds the key, which is never in a settings file
    max_concurrency: PositiveInt = 8  # requests under way at a time
    requests_per_minute: PositiveFloat | None = None  # limits of the account
    tokens_per_minute: PositiveFloat | None = None
    timeout: PositiveFloat = 120.0  # seconds of one attempt
    max_retries: NonNegativeInt = 6  # further attempts after 408, 409, 429, 5xx, time limits and lost connections
    cache_dir: Path | None = None  # replies and spending, on a local disk; `None`: in memory only
    price_per_million_input: NonNegativeFloat | None = None  # USD
    price_per_million_output: NonNegativeFloat | None = None
    budget_usd: NonNegativeFloat | None = None  # never exceeded, over all runs on `cache_dir`
    batch_price_factor: NonNegativeFloat = 0.5  # of a batch against single requests: half at OpenAI and Azure


class ChatSettings(AccessSettings):
    """
    Any OpenAI-compatible endpoint: OpenAI, Azure, vLLM, `transformers serve`, the Hugging Face router, llama.cpp.

    The fields of this class are part of a reply's key: they can change the answer.
    """

    section: ClassVar[str] = "chat settings"
    model: str  # as the endpoint knows it (Azure: name of the deployment)
    temperature: float | None = 0.0  # `None` leaves it out, for models that accept none
    seed: int | None = None
    max_tokens: PositiveInt = 2048  # of one answer
    max_tokens_field: str = "max_tokens"  # `max_completion_tokens` for models that want this name
    azure_api_version: str = "2024-10-21"
    extra_body: dict[str, Any] = {}  # further fields of the request, such as {"top_p": 1}

    @model_validator(mode="after")
    def _a_budget_has_prices(self) -> Self:
        if self.budget_usd is not None and self.cost(0, 0) is None:
            raise ValueError("budget_usd needs price_per_million_input and price_per_million_output (0 if free)")
        return self

    @property
    def url(self) -> str:
        """The address that requests go to."""
        return self.azure_endpoint or self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL

    @property
    def shaping(self) -> dict[str, Any]:
        """The settings that can change an answer, and the address, because another server may have another model of that name."""
        return self.model_dump(exclude=set(AccessSettings.model_fields)) | {"url": self.url.rstrip("/")}

    @property
    def is_local(self) -> bool:
        """Whether the endpoint runs on this machine, so that no data leaves it."""
        host = urlparse(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def api_key(self) -> str:
        """The endpoint's key, from the environment variable that the settings name.

        Raises:
            TeacherError: the environment holds no key, and the endpoint is not on this machine.
        """
        if key := os.environ.get(self.api_key_env) or ("none" if self.is_local else ""):
            return key
        raise TeacherError(f"{self.url}: no key; set the environment variable {self.api_key_env} (api_key_env) to it.")

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float | None:
        """USD, `None` without prices."""
        if self.price_per_million_input is None or self.price_per_million_output is None:
            return None
        return (prompt_tokens * self.price_per_million_input + completion_tokens * self.price_per_million_output) / 1e6

    def most_tokens(self, body: bytes) -> tuple[int, int]:
        """Upper bounds of the tokens that a request is charged, for prompt and answers. A text has at most one token per byte."""
        limits = [self.extra_body.get(name, 0) for name in ("max_tokens", "max_completion_tokens")]
        return len(body), max(self.max_tokens, *limits) * self.extra_body.get("n", 1)


class LocalSettings(ChatSection):
    """A causal language model on this machine."""

    section: ClassVar[str] = "local settings"
    model: str  # folder or Hub id of one with a chat template; its name at the server, where `engine` is a URL
    engine: Annotated[str, AfterValidator(as_engine)] = "transformers"  # or vllm, or the URL of a server
    gguf_file: str | None = None  # of a GGUF folder
    batch_size: PositiveInt = 4  # prompts at a time; vLLM makes batches of its own
    max_new_tokens: PositiveInt = 1024  # of one answer
    dtype: str = "auto"  # as in `from_pretrained`
    device: str = "auto"  # a GPU where there is one


__all__ = ["ChatSettings", "LocalSettings"]
