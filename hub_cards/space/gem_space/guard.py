# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The doors of the server: who may come in under which name, and what nobody gets to see."""

import asyncio
import hmac
import ipaddress
import os
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from processing.errors_gem import GemError

STEP_S = 120.0  # whatever it is, one step of an event takes no longer
NOT_UPLOADED = "This file was not uploaded here; choose it again."
FAILED = "This did not work; load the page again. If it happens once more the server's log says why."


def is_local(host: str) -> bool:
    """Whether a server bound to `host` is out of reach for other machines."""
    return host in ("localhost", "127.0.0.1", "::1")


def own_names(host: str, others: Iterable[str] = ()) -> set[str]:
    """The names under which a server bound to `host` may be called, beside addresses in figures: its own and `others`."""
    names = {"localhost", host, *others}
    if not is_local(host):
        names |= {socket.gethostname(), socket.getfqdn(), os.environ.get("SPACE_HOST", "")}
    return {name.lower() for name in names if name}


class HostCheck:
    """Refuses requests to a name that is not the server's: another site's name that leads here (DNS rebinding)."""

    def __init__(self, app: ASGIApp, names: set[str]) -> None:
        self.app = app
        self.names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers 421 where its `Host` header is not a name of this server."""
        app: Any = self.app
        if scope["type"] in ("http", "websocket") and not self._is_known(Headers(scope=scope).get("host", "")):
            said = (
                "This server is not called so. Start it with this name as --allow-host, or call it by its address.\n"
            )
            app = PlainTextResponse(said, status_code=421)
        await app(scope, receive, send)

    def _is_known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self.names or bool(ipaddress.ip_address(name))
        except ValueError:
            return False


def login(password: str) -> Any:
    """The `auth` of `gradio.Blocks.launch`: any name, and this password; none where there is no password."""

    def check(name: str, given: str) -> bool:
        return hmac.compare_digest(given.encode(), password.encode())

    return check if password else None


def client_of(request: gr.Request) -> str:
    """The address of who asks. On Hugging Face's Spaces all requests come from a proxy, which adds the address it saw."""
    seen = str(request.headers.get("x-forwarded-for", "")) if "SPACE_ID" in os.environ else ""
    client = request.client
    return seen.rpartition(",")[2].strip() or (client.host if client else "")


def in_words(error: Exception) -> str:
    """What a user may read of an error: no path of the server, and never nothing."""
    if isinstance(error, GemError) and str(error):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"The server could not read this: {error.strerror}. Try again."
    return FAILED


class GuardedBlocks(gr.Blocks):
    """Blocks whose every step has a deadline, and whose every error has words, and whose sessions do not grow."""

    async def process_api(self, *args: Any, state: Any = None, **options: Any) -> dict[str, Any]:
        """One event of the app, within `STEP_S` seconds; every failure becomes a `gr.Error` in words."""
        try:
            async with asyncio.timeout(STEP_S):
                return await super().process_api(*args, state=state, **options)
        except gr.Error:
            raise
        except TimeoutError as error:
            raise gr.Error(f"No result within {STEP_S:.0f} s; try again.", print_exception=False) from error
        except gr.exceptions.InvalidPathError as error:
            raise gr.Error(NOT_UPLOADED, print_exception=False) from error
        except Exception as error:
            raise gr.Error(in_words(error)) from error
        finally:
            # Gradio 6 gives a component a new number with every update, and keeps what was shown under the old ones.
            for number in [number for number in getattr(state, "config_values", ()) if number not in self.blocks]:
                del state.config_values[number]


__all__ = ["GuardedBlocks", "HostCheck", "client_of", "in_words", "is_local", "login", "own_names"]
