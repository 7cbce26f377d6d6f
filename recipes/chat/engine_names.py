# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The names of engines, for options and settings files; importing this loads no engine."""

from urllib.parse import urlparse

from processing.errors_gem import GemError

ENGINES = ("transformers", "vllm")
ENGINE_HELP = "transformers, vllm, or the URL of a server that answers as OpenAI does (http://HOST:PORT/v1)"


def as_engine(name: str) -> str:
    """The name of an engine or the URL of a server, checked.

    Raises:
        GemError: it is not an engine.
    """
    if name in ENGINES or is_url(name):
        return name
    raise GemError(f"An engine is {ENGINE_HELP}; got {name!r}.")


def is_url(name: str) -> bool:
    """Whether a name is the URL of a server."""
    parsed = urlparse(name)
    return parsed.scheme in ("http", "https") and bool(parsed.netloc)


def engine_settings(engine: str) -> dict[str, str]:
    """What a file of answers keeps of its engine, so that none mixes two: nothing of `transformers`, and no address.

    Raises:
        GemError: it is no engine.
    """
    kind = "server" if is_url(as_engine(engine)) else engine
    return {} if kind == "transformers" else {"engine": kind}


__all__ = ["ENGINES", "ENGINE_HELP", "as_engine", "engine_settings", "is_url"]
