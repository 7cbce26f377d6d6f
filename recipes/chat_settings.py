# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How a chat endpoint is reached, how fast it may be asked and what it may cost."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from processing.errors_gem import TeacherError

OPENAI_URL = "https://api.openai.com/v1"


@dataclass(frozen=True)
class ChatSettings:
    """
    Any OpenAI-compatible endpoint: OpenAI, Azure, vLLM, `transformers serve`, the Hugging Face router, llama.cpp.

    Attributes:
        model: name of the model as the endpoint knows it (Azure: of the deployment).
        base_url: address up to and with `/v1`; without it `OPENAI_BASE_URL`, else OpenAI.
        api_key_env: environment variable that holds the key; the key itself never stands in a settings file.
        temperature: `None` leaves it out, for models that accept none.
        seed: sent where given.
        max_tokens: limit of one answer. max_tokens_field: `max_completion_tokens` for models that want this name.
        max_concurrency: requests under way at a time.
        requests_per_minute, tokens_per_minute: limits of the account; `None`: none.
        timeout: seconds for one attempt. max_retries: further attempts after 408, 409, 429, 5xx, lost connections.
        max_retry_wait: longest pause between two attempts, s; an endpoint that asks for more gets a failure.
        cache_dir: folder of the replies and the spending, on a local disk; `None`: kept in memory only.
        price_per_million_input, price_per_million_output: USD. budget_usd: never exceeded, over all runs on `cache_dir`.
        batch_price_factor: what a batch costs against single requests (half at OpenAI and Azure).
        tokens_per_picture: what a picture in a message is counted as, before the endpoint says.
        azure_endpoint, azure_api_version: of an Azure resource, instead of `base_url`.
        extra_body: further fields of the request, such as `{"top_p": 1}`.
    """

    model: str
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    temperature: float | None = 0.0
    seed: int | None = None
    max_tokens: int = 2048
    max_tokens_field: str = "max_tokens"
    max_concurrency: int = 8
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout: float = 120.0
    max_retries: int = 6
    max_retry_wait: float = 300.0
    cache_dir: str | Path | None = None
    price_per_million_input: float | None = None
    price_per_million_output: float | None = None
    budget_usd: float | None = None
    batch_price_factor: float = 0.5
    tokens_per_picture: int = 3000
    azure_endpoint: str | None = None
    azure_api_version: str = "2024-10-21"
    extra_body: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.budget_usd is not None and None in (self.price_per_million_input, self.price_per_million_output):
            raise TeacherError(
                "ChatSettings: budget_usd needs price_per_million_input and price_per_million_output (0 if free)."
            )
        for name in ("max_tokens", "max_concurrency", "timeout", "requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise TeacherError(f"ChatSettings: {name}={value} must be above 0.")

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> "ChatSettings":
        """The settings of a YAML section.

        Raises:
            TeacherError: a key is unknown, `model` is missing, or a value is out of range.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(settings) - set(known)):
            raise TeacherError(f"chat settings: unknown {', '.join(unknown)}; known are {', '.join(known)}.")
        if "model" not in settings:
            raise TeacherError("chat settings: 'model' is missing: the model's name as the endpoint knows it.")
        return cls(**settings)

    @property
    def url(self) -> str:
        """The address that is really asked."""
        return self.azure_endpoint or self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL

    @property
    def is_local(self) -> bool:
        """The endpoint runs on this machine: what is sent to it does not leave."""
        host = urlparse(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def api_key(self) -> str:
        """
        Raises:
            TeacherError: the environment holds no key, and the endpoint is not on this machine.
        """
        if key := os.environ.get(self.api_key_env):
            return key
        if self.is_local:
            return "none"
        raise TeacherError(f"{self.url}: no key; set the environment variable {self.api_key_env} (api_key_env) to it.")

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float | None:
        """USD, `None` without prices."""
        if self.price_per_million_input is None or self.price_per_million_output is None:
            return None
        return (prompt_tokens * self.price_per_million_input + completion_tokens * self.price_per_million_output) / 1e6
