# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The names under which a server may be called."""

import ipaddress
import os
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


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
            said = "This server does not accept this host name. Start it with --allow-host NAME, or call it by its address.\n"
            app = PlainTextResponse(said, status_code=421)
        await app(scope, receive, send)

    def _is_known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self.names or bool(ipaddress.ip_address(name))
        except ValueError:
            return False


__all__ = ["HostCheck", "is_local", "own_names"]
