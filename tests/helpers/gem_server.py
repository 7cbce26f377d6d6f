# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A running `gem serve` in a thread of this process, for tests that speak HTTP with it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import uvicorn

from recipes.serving.app import GemServer
from recipes.serving.gate import GateLimits
from recipes.serving.server import ServeSettings, config_of, gated, make_server

START_S = 60


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
