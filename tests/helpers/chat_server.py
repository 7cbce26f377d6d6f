# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""An HTTP server with scripted chat completions, for tests of the clients."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from recipes.chat.replies import ChatFailure, ChatModel, ChatReply, Messages, Schema


@dataclass(frozen=True)
class Answer:
    """A chat completion. `usage=None` leaves the counts out."""

    text: str | None = "fine"
    finish_reason: str = "stop"
    refusal: str | None = None
    usage: tuple[int, int] | None = (10, 5)
    seconds: float = 0.0


@dataclass(frozen=True)
class Status:
    """An HTTP error in OpenAI's layout."""

    code: int
    message: str = "no"
    headers: Mapping[str, str] = field(default_factory=dict)
    error_code: str | None = None


@dataclass(frozen=True)
class Raw:
    """Unchanged bytes with status 200."""

    body: bytes


Reply = Answer | Status | Raw


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # the default of 5 turns away clients that open many connections at once
    daemon_threads = True


class ChatServer:
    """
    Answers every request with the next reply of `script`, the last one again and again; or with what `script(body)` gives.

    `requests` holds the bodies in the order of arrival, `most_at_once` the highest number under way at a time. `models` are the
    names that it lists.

    Example:
        >>> from recipes import ChatClient, ChatSettings
        >>> with ChatServer([Answer("hello")]) as server:
        ...     client = ChatClient(ChatSettings(model="m", base_url=server.url))
        ...     answer_of(client, [{"role": "user", "content": "Good morning."}]).text
        'hello'
    """

    def __init__(
        self, script: Sequence[Reply] | Callable[[dict[str, Any]], Reply] = (Answer(),), models: Sequence[str] = ("m",)
    ) -> None:
        self.script = script
        self.served = [{"id": name, "object": "model", "created": 1, "owned_by": "us"} for name in models]
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> "ChatServer":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def count(self) -> int:
        return len(self.requests)

    def _next(self, body: dict[str, Any], headers: dict[str, str]) -> Reply:
        with self._lock:
            self.requests.append(body)
            self.headers.append(headers)
            self.times.append(time.monotonic())
            if callable(self.script):
                return self.script(body)
            return self.script[min(len(self.requests), len(self.script)) - 1]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send(200, json.dumps({"object": "list", "data": outer.served}).encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer._lock:
                    outer._at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer._at_once)
                try:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    self.reply(outer._next(body, headers), body)
                except (BrokenPipeError, ConnectionResetError):  # the client has given up waiting
                    pass
                finally:
                    with outer._lock:
                        outer._at_once -= 1

            def reply(self, reply: Reply, body: dict[str, Any]) -> None:
                if isinstance(reply, Raw):
                    self.send(200, reply.body)
                elif isinstance(reply, Status):
                    error = {"message": reply.message, "type": "error", "code": reply.error_code}
                    self.send(reply.code, json.dumps({"error": error}).encode(), reply.headers)
                else:
                    time.sleep(reply.seconds)
                    self.send(200, json.dumps(completion(reply, body["model"])).encode())

            def send(self, code: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
                self.send_response(code)
                for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def completion(answer: Answer, model: str = "m") -> dict[str, Any]:
    """The JSON of a chat completion."""
    message = {"role": "assistant", "content": answer.text, "refusal": answer.refusal}
    made: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
    }
    if answer.usage is not None:
        prompt, written = answer.usage
        made["usage"] = {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
        }
    return made


def answer_of(client: ChatModel, messages: Messages, schema: Schema | None = None) -> ChatReply:
    """The reply to one chat. Raises its failure."""
    ((_, result),) = client.complete_all([(None, messages)], schema)
    if isinstance(result, ChatFailure):
        raise result
    return result
