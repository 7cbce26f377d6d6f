# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Client of an OpenAI-compatible endpoint: parallel requests, each paid for only once, with named failures."""

import copy
import json
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Self

import openai

from .replies import ChatFailure, ChatReply, Description, FailureKind, Key, Messages, Schema, with_schema_in_words
from .settings import ChatSettings
from .store import ChatStore, request_key

# Ways to enforce a schema, the strictest first. If the endpoint refuses one, the next is used.
FORMATS = ("json_schema", "json_object", "words")
_KINDS: dict[int, FailureKind] = {401: "authentication", 402: "quota", 403: "authentication", 404: "not_found"}
_KINDS |= {408: "timeout", 409: "server", 429: "rate_limit"}
# Errors of the HTTP library at which the endpoint never saw the request and cannot charge it.
_NEVER_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout")


def request_body(
    settings: ChatSettings, messages: Messages, schema: Schema | None, form: str = FORMATS[0]
) -> dict[str, Any]:
    """The fields of a chat completion request; below `json_schema` the schema is in the messages."""
    body: dict[str, Any] = {"model": settings.model, "messages": list(messages)}
    body[settings.max_tokens_field] = settings.max_tokens
    body |= {name: value for name in ("temperature", "seed") if (value := getattr(settings, name)) is not None}
    if schema is not None and form == "json_schema":
        answer = {"name": "answer", "schema": dict(schema), "strict": True}
        body["response_format"] = {"type": form, "json_schema": answer}
    elif schema is not None:
        body["messages"] = with_schema_in_words(messages, schema)
        if form == "json_object":
            body["response_format"] = {"type": form}
    return body | settings.extra_body


@dataclass
class ChatTotals:
    """Totals of a client. `cost`: USD of this run, 0 without prices."""

    replies: int = 0
    failures: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def add(self, result: ChatReply | ChatFailure) -> None:
        """Counts a reply or a failure; what came from the store costs nothing."""
        self.replies += isinstance(result, ChatReply)
        self.failures += isinstance(result, ChatFailure)
        self.cached += result.cached
        if not result.cached:
            self.prompt_tokens += result.usage.prompt_tokens
            self.completion_tokens += result.usage.completion_tokens
            self.cost += result.usage.cost or 0.0


class _Stopped(ChatFailure, openai.OpenAIError):
    """A request may not leave. `openai` hands its own errors on at once, without a retry."""


class _Attempts(openai.DefaultHttpxClient):
    """HTTP below the library's retries: every attempt keeps the pace, and its worst case is set aside before it leaves."""

    def __init__(self, settings: ChatSettings, store: ChatStore, closing: threading.Event) -> None:
        super().__init__()
        self.settings, self.store, self.closing = settings, store, closing
        self._pace, self._next_start = threading.Lock(), 0.0

    def send(self, request: Any, **options: Any) -> Any:
        try:
            reserved = self._admit(*self.settings.most_tokens(request.content))
        except ChatFailure as failure:
            raise _Stopped(failure.kind, str(failure)) from failure
        try:
            response = super().send(request, **options)
        except BaseException as error:
            # An attempt that timed out or broke off may have been charged: it stays counted in full.
            self.store.settle(reserved, 0.0 if type(error).__name__ in _NEVER_SENT else None)
            raise
        response.extensions["reserved"] = reserved
        if response.is_error:
            self.store.settle(reserved, 0.0)
            if b"insufficient_quota" in response.content:  # a 429 that waiting does not resolve
                response.headers["x-should-retry"] = "false"
        return response

    def _admit(self, prompt: int, answer: int) -> int | None:
        """Waits for its turn; then the number of the money that is set aside, `None` without prices."""
        own, endless = self.settings, float("inf")
        # Text has three bytes a token or more; the worst case of the budget counts every byte as one.
        tokens = prompt // 3 + answer
        gap = max(60 / (own.requests_per_minute or endless), 60 * tokens / (own.tokens_per_minute or endless))
        with self._pace:
            start = max(time.monotonic(), self._next_start)
            self._next_start = start + gap
        pause, worst = start - time.monotonic(), own.cost(prompt, answer)
        while not self.closing.wait(pause):
            if worst is None or (reserved := self.store.reserve(worst, own.budget_usd)) is not None:
                return None if worst is None else reserved
            pause = 0.05
        raise ChatFailure("connection", f"{own.url}: the client was closed.")


class DataLeavesWarning(UserWarning):
    """What is asked goes to another machine."""


class ChatClient:
    """Sends parallel chats to an endpoint with OpenAI's protocol. Each reply is stored, and paid for only once.

    Examples:
        >>> client = ChatClient(ChatSettings(model="my-model", base_url="http://localhost:8000/v1"))
        >>> requests = (("a", [{"role": "user", "content": "Hello"}]),)
        >>> for key, result in client.complete_all(requests):  # doctest: +SKIP
        ...     print(key, result if isinstance(result, ChatFailure) else result.text)
    """

    def __init__(self, settings: ChatSettings) -> None:
        """Warns (`DataLeavesWarning`) where the endpoint is another machine.

        Raises:
            ChatFailure: (`storage`) `cache_dir` cannot be written.
        """
        if not settings.is_local:
            warnings.warn(
                f"{settings.url} is another machine, and receives all that it is asked about: signals, pages, measurements, reports. "
                "Make sure that your data may leave. The agreements of MIMIC and eICU forbid to pass theirs on.",
                DataLeavesWarning,
                stacklevel=2,
            )
        self.settings = settings
        self.name, self.is_local = settings.model, settings.is_local
        self.description: Description = {
            "kind": "endpoint",
            "model": settings.model,
            "url": settings.url,
            "temperature": settings.temperature,
        }
        self.store = ChatStore(settings.cache_dir)
        self.totals = ChatTotals()
        self._format = 0  # index into FORMATS: the strictest one that the endpoint is known to take
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._pool = ThreadPoolExecutor(settings.max_concurrency, "chat-client")
        self._api: openai.OpenAI | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def with_settings(self, **changes: Any) -> Self:
        """This client with other settings of an answer (`temperature`, `seed` ...): one store, one budget, the same connections."""
        self._endpoint()
        other = copy.copy(self)
        other.settings = self.settings.model_copy(update=changes)
        return other

    def complete_all(
        self, requests: Iterable[tuple[Key, Messages]], schema: Schema | None = None
    ) -> Iterator[tuple[Key, ChatReply | ChatFailure]]:
        """Answers many chats, in the order in which replies arrive. Requests that were answered before come from the store.

        Args:
            requests: pairs of a key of your choice and the messages (`{"role", "content"}`); read only as fast as replies arrive.
            schema: JSON schema of the answer, an object, which `parsed` then holds. If the endpoint does not support schemas,
                the schema is added to the messages.

        Raises:
            ChatFailure: a fatal failure (budget, key, unknown model, full disk), after the replies in progress were returned.
        """
        pending: dict[Future[ChatReply | ChatFailure], Key] = {}
        source = iter(requests)
        fatal: ChatFailure | None = None
        try:
            while True:
                for key, messages in islice(source, 0 if fatal else self.settings.max_concurrency - len(pending)):
                    pending[self._pool.submit(self._result, messages, schema)] = key
                if not pending:
                    break
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    key, result = pending.pop(future), future.result()
                    if isinstance(result, ChatFailure) and result.fatal:
                        fatal = fatal or result
                    else:
                        yield key, result
        finally:
            for future in pending:
                future.cancel()
        if fatal is not None:
            raise fatal

    def close(self) -> None:
        """Stores what the attempts under way still bring, sends no further one, and closes the store."""
        self._closing.set()
        self._pool.shutdown(cancel_futures=True)
        if self._api is not None:
            self._api.close()
        self.store.close()

    def _result(self, messages: Messages, schema: Schema | None) -> ChatReply | ChatFailure:
        result: ChatReply | ChatFailure
        try:
            key = request_key(self.settings, messages, schema)
            stored = self.store.get(key)
            result = (stored or self._ask(key, messages, schema)).judged(schema, cached=stored is not None)
        except ChatFailure as failure:
            result = failure
        with self._lock:
            self.totals.add(result)
        return result

    def _ask(self, key: str, messages: Messages, schema: Schema | None) -> ChatReply:
        """One answer, stored; through plainer formats where the endpoint refuses a schema."""
        refused: ChatFailure | None = None
        for level in range(self._format if schema is not None else len(FORMATS) - 1, len(FORMATS)):
            try:
                reply = self._send(key, request_body(self.settings, messages, schema, FORMATS[level]))
            except ChatFailure as failure:
                if failure.kind != "bad_request":
                    raise
                refused = refused or failure
            else:
                if schema is not None:
                    self._format = max(self._format, level)
                return reply
        assert refused is not None
        raise refused

    def _send(self, key: str, body: dict[str, Any]) -> ChatReply:
        rest = {name: value for name, value in body.items() if name not in ("model", "messages")}
        ask = self._endpoint().chat.completions.with_raw_response.create
        try:
            response = ask(model=body["model"], messages=body["messages"], extra_body=rest)
        except (openai.APIStatusError, openai.APIConnectionError) as error:
            raise self._named(error) from error
        usd: float | None = None  # what is no completion, or is not counted, may cost all that was set aside
        try:
            reply = ChatReply.from_completion(json.loads(response.text))
            if reply.usage.prompt_tokens:
                usd = self.settings.cost(reply.usage.prompt_tokens, reply.usage.completion_tokens)
                reply = replace(reply, usage=replace(reply.usage, cost=usd))
            self.store.put(key, self.settings.model, reply)
        except (json.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
            raise self._failure("malformed", f"no chat completion came back: {response.text[:120]!r}") from error
        finally:
            self.store.settle(response.http_response.extensions["reserved"], usd)
        return reply

    def _endpoint(self) -> openai.OpenAI:
        """Made with the first request: batches are exported without a key."""
        with self._lock:
            if self._api is None:
                own = self.settings
                common: dict[str, Any] = {"api_key": own.api_key(), "timeout": own.timeout}
                common |= {"max_retries": own.max_retries, "http_client": _Attempts(own, self.store, self._closing)}
                if own.azure_endpoint:
                    common |= {"azure_endpoint": own.azure_endpoint, "api_version": own.azure_api_version}
                    self._api = openai.AzureOpenAI(**common)
                else:
                    self._api = openai.OpenAI(base_url=own.url, **common)
            return self._api

    def _named(self, error: openai.APIStatusError | openai.APIConnectionError) -> ChatFailure:
        if isinstance(error, openai.APITimeoutError):
            return self._failure("timeout", f"no answer within {self.settings.timeout:g} s")
        if isinstance(error, openai.APIConnectionError):
            cause = error.__cause__ or error
            what = "cannot be reached" if type(cause).__name__ in _NEVER_SENT else "broke off"
            return self._failure("connection", f"{what} ({cause})")
        status = error.status_code
        kind = _KINDS.get(status) or ("server" if status >= 500 else "bad_request")
        if error.code == "insufficient_quota":
            kind = "quota"
        cure = {
            "authentication": f"; check the key in {self.settings.api_key_env}",
            "not_found": f"; does it serve {self.settings.model!r}, and does base_url end in /v1?",
        }.get(kind, "")
        said = error.body.get("message") if isinstance(error.body, dict) else None
        return self._failure(kind, f"answered {status}: {str(said or error.body or error.message)[:300]}{cure}")

    def _failure(self, kind: FailureKind, what: str) -> ChatFailure:
        return ChatFailure(kind, f"{self.settings.url} ({self.settings.model}): {what}")


__all__ = ["ChatClient", "ChatTotals", "DataLeavesWarning", "request_body"]
