# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Requests to the Space like those of its page, without a browser: from any session and any address of this machine."""

import http.client
import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

WAIT_S = 600


class SpaceClient:
    """One tab of one client.

    Args:
        url: of the Space.
        session: the tab; a new one if not given.
        address: where the requests come from.
        host: the name that the server is called by; its own if not given.
    """

    def __init__(self, url: str, session: str = "", address: str = "127.0.0.1", host: str = "") -> None:
        self.place = urlsplit(url)
        self.session, self.address = session or uuid.uuid4().hex, address
        self.headers = {"Host": host} if host else {}

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and text of the reply; `body` is sent as JSON."""
        connection, reply = self._request(method, path, json.dumps(body).encode() if body is not None else None)
        with closing(connection):
            return reply.status, reply.read().decode()

    def upload(self, files: Sequence[Path]) -> list[dict[str, Any]]:
        """Sends files; what a click on "Upload" gives the server then."""
        parts = [
            f'--X\r\nContent-Disposition: form-data; name="files"; filename="{file.name}"\r\n\r\n'.encode()
            + file.read_bytes()
            for file in files
        ]
        kind = "multipart/form-data; boundary=X"
        connection, reply = self._request("POST", "/gradio_api/upload", b"\r\n".join([*parts, b"--X--\r\n"]), kind)
        with closing(connection):
            paths = json.loads(reply.read())
        return [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]

    def join(self, name: str, *data: Any) -> int:
        """Puts a click into the queue; the status of the reply."""
        body = {"data": list(data), "fn_index": self._functions[name], "session_hash": self.session}
        return self.call("POST", "/gradio_api/queue/join", body)[0]

    def events(self) -> Iterator[dict[str, Any]]:
        """The server's messages to this tab, until all its clicks are answered."""
        connection, reply = self._request("GET", f"/gradio_api/queue/data?session_hash={self.session}")
        with closing(connection):
            for line in reply:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    def outcome(self, name: str, *data: Any) -> dict[str, Any]:
        """The last message about one click."""
        assert self.join(name, *data) == 200
        return [event for event in self.events() if event["msg"] == "process_completed"][-1]

    @cached_property
    def _functions(self) -> dict[str, int]:
        told = json.loads(self.call("GET", "/config")[1])["dependencies"]
        return {function["api_name"]: function["id"] for function in told}

    def _request(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(
            str(self.place.hostname), self.place.port, timeout=WAIT_S, source_address=(self.address, 0)
        )
        connection.request(method, path, body, {"Content-Type": kind, **self.headers})
        return connection, connection.getresponse()
