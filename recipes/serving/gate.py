# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The gate before the routes: checks keys, limits the size and number of requests, and logs a line for each request."""

import asyncio
import contextlib
import hmac
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .wire import MAX_FILE_BYTES

log = logging.getLogger(__name__)
# Seen without a key: whether the server lives, and how it is used.
OPEN_PATHS = ("/health", "/docs", "/openapi.json")
DRAIN_S = 10.0
MEDIA_TYPES = ("application/json", "multipart/form-data")


@dataclass(frozen=True)
class GateLimits:
    """Limits of open requests.

    Args:
        requests: number of open requests, waiting or being answered.
        body_bytes: size of one request: a file of the largest size in base64, and some text.
        held_bytes: size of all open requests together.
        body_s: time limit for the arrival of a request, s.
    """

    requests: int = 64
    body_bytes: int = MAX_FILE_BYTES * 4 // 3 + 2**20
    held_bytes: int = 256 * 2**20
    body_s: float = 30.0


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message


class Gate:
    """ASGI middleware.

    Args:
        keys: accepted keys; a request sends one as `Authorization: Bearer KEY`. Empty: no key is needed.
        retry_after: s after which a refused client may try again.
        headers: of every response.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: Iterable[str] = (),
        limits: GateLimits | None = None,
        retry_after: Callable[[], float] = lambda: 1.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.app = app
        self.keys = [key.encode() for key in keys]
        self.limits = limits or GateLimits()
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        self.inside = 0
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes allowed requests on, and answers the others."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, request_id = time.monotonic(), uuid.uuid4().hex[:16]
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                head = MutableHeaders(scope=message)
                head.update({**self.headers, "x-request-id": request_id})
                if status in (429, 503):
                    head["retry-after"] = str(max(1, round(self.retry_after())))
            await send(message)

        try:
            await self._let_in(scope, receive, answer)
        except _Refused as refused:
            if refused.status in (401, 413, 415, 429):
                await _drain(receive, 2 * self.limits.body_bytes)
            await _respond(answer, refused)
        finally:
            # No unknown path, no address, no text of a request.
            route = getattr(scope.get("route"), "path", "-")
            log.info(
                "%s %s %s %d %.0f ms", request_id, scope["method"], route, status, 1000 * (time.monotonic() - began)
            )

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = Headers(scope=scope)
        if scope["path"] not in OPEN_PATHS:
            self._check_key(head)
        if scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        if head.get("content-type", "").partition(";")[0].strip().lower() not in MEDIA_TYPES:
            raise _Refused(415, "media_type", f"Send {' or '.join(MEDIA_TYPES)}, as the header Content-Type says.")
        if head.get("content-encoding", "identity") != "identity":
            raise _Refused(415, "media_type", "Send requests without Content-Encoding.")
        if self.inside >= self.limits.requests:
            raise _Refused(429, "too_busy", "Too many requests are waiting; try again after Retry-After.")
        self.inside += 1
        body = bytearray()
        try:
            await self._receive(body, head.get("content-length", ""), receive)
            await self.app(scope, _replayed(body, receive), send)
        finally:
            self.inside -= 1
            self.held -= len(body)

    def _check_key(self, head: Headers) -> None:
        if not self.keys:
            return
        kind, _, key = head.get("authorization", "").partition(" ")
        given = key.strip().encode() if kind.lower() == "bearer" else b""
        # All keys are compared, so that the response time reveals nothing.
        if not sum(hmac.compare_digest(given, known) for known in self.keys):
            raise _Refused(401, "no_key", "Give the key of this server: Authorization: Bearer KEY.")

    async def _receive(self, body: bytearray, announced: str, receive: Receive) -> None:
        """Fills `body`.

        Raises:
            _Refused: too large, too slow, or broken off.
        """
        most = self.limits.body_bytes
        too_large = _Refused(413, "request_too_large", f"A request has {most:,} bytes at most; send the ECG alone.")
        if announced.isdigit() and int(announced) > most:
            raise too_large
        try:
            async with asyncio.timeout(self.limits.body_s):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Refused(400, "broken_off", "The request ended early.")
                    part, more = message.get("body", b""), message.get("more_body", False)
                    if len(body) + len(part) > most:
                        raise too_large
                    if self.held + len(part) > self.limits.held_bytes:
                        raise _Refused(429, "too_busy", "Too much was sent at once; try again after Retry-After.")
                    body += part
                    self.held += len(part)
        except TimeoutError as error:
            raise _Refused(408, "too_slow", f"The request was not there within {self.limits.body_s:.0f} s.") from error


def _replayed(body: bytearray, receive: Receive) -> Receive:
    """`receive` for an app that has not seen the body yet."""
    waiting = True

    async def replay() -> Message:
        nonlocal waiting
        if waiting:
            waiting = False
            return {"type": "http.request", "body": bytes(body), "more_body": False}
        return await receive()

    return replay


def error_body(status: int, code: str, message: str, param: str = "") -> dict[str, Any]:
    """An error in OpenAI's layout."""
    kind = "invalid_request_error" if status < 429 else "server_error" if status >= 500 else "rate_limit_error"
    return {"error": {"message": message, "type": kind, "param": param or None, "code": code}}


async def _respond(send: Send, refused: _Refused) -> None:
    content = json.dumps(error_body(refused.status, refused.code, refused.message)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    if refused.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _drain(receive: Receive, most: int) -> None:
    """Reads and discards the rest of a request, because a client that is cut off while it sends does not read the answer."""
    taken, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while more and taken < most:
                message = await receive()
                taken += len(message.get("body", b""))
                more = message.get("more_body", False)


__all__ = ["Gate", "GateLimits", "error_body"]
