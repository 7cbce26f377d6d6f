# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A running `gem serve` in a thread of this process, for tests that speak HTTP with it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn

from processing.ecg_readers import load_ecg
from recipes.serving.app import GemServer
from recipes.serving.gate import GateLimits
from recipes.serving.server import ServeSettings, config_of, gated, make_server

SAMPLES = Path(__file__).resolve().parents[2] / "processing" / "samples"
START_S = 60
MODEL = "gem-ecg-tiny"
LENGTH = 40  # tokens of an answer


@dataclass(frozen=True)
class Running:
    """A server that answers at `url`."""

    url: str
    server: GemServer


@contextmanager
def running(gem, limits: GateLimits | None = None, **settings) -> Iterator[Running]:
    """Serves `gem`, a network and its processor, on a free port."""
    chosen = replace(ServeSettings(port=0), **settings)
    server = make_server(chosen, *gem)
    uvicorn_server = uvicorn.Server(config_of(gated(server, chosen, limits), chosen))
    thread = threading.Thread(target=uvicorn_server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_S
    while not uvicorn_server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    port = uvicorn_server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Running(f"http://127.0.0.1:{port}", server)
    finally:
        uvicorn_server.should_exit = True
        thread.join(START_S)
    assert not thread.is_alive()


def client_of(server: Running, key: str = "none") -> Any:
    """OpenAI's client of a server."""
    from openai import OpenAI

    return OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0, timeout=120)


def ask(client: Any, messages: list[dict[str, Any]], **options: Any) -> Any:
    """The greedy answer to a conversation."""
    return client.chat.completions.create(
        model=MODEL, messages=messages, **{"max_tokens": LENGTH, "temperature": 0, **options}
    )


def as_array(name: str, **options: Any) -> dict[str, Any]:
    """An `ecg` part of a message: the values of a sample."""
    record = load_ecg(SAMPLES / f"{name}.hea")
    return {
        "type": "ecg",
        "signal": record.signal.tolist(),
        "leads": list(record.leads),
        "sampling_rate": record.sampling_rate,
        "unit": "mV",
        **options,
    }


def form(name: str = "normal") -> list[tuple[str, tuple[str, bytes]]]:
    """The files of a sample as the fields of a form."""
    return [("file", (f"{name}.{kind}", (SAMPLES / f"{name}.{kind}").read_bytes())) for kind in ("hea", "dat")]


def chat_of(*parts: dict[str, Any], text: str = "Interpret this ECG.") -> list[dict[str, Any]]:
    """One message: the parts, then a question."""
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]
