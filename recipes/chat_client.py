# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Asks any OpenAI-compatible endpoint: many requests at a time, each paid for once, failures by name."""

import asyncio
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any

import openai

from .chat_limits import RateLimit, backoff
from .chat_replies import ChatFailure, ChatReply, RawReply
from .chat_requests import FORMATS, raw_reply, request_body, tokens_at_most
from .chat_settings import ChatSettings
from .chat_store import ChatStore, request_key

Message = Mapping[str, Any]
Messages = Sequence[Message]
Schema = Mapping[str, Any]
_KINDS = {
    402: "quota",
    401: "authentication",
    403: "authentication",
    404: "not_found",
    429: "rate_limit",
    408: "timeout",
}
_RETRIED_STATUS = (408, 409, 429)


@dataclass
class ChatTotals:
    """What a client has done so far. `cost`: USD of this run, 0 without prices."""

    replies: int = 0
    failures: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def add(self, result: ChatReply | ChatFailure) -> None:
        self.replies += isinstance(result, ChatReply)
        self.failures += isinstance(result, ChatFailure)
        self.cached += result.cached
        if not result.cached:
            self.prompt_tokens += result.usage.prompt_tokens
            self.completion_tokens += result.usage.completion_tokens
            self.cost += result.usage.cost or 0.0


class ChatClient:
    """
    Example:
        >>> client = ChatClient(ChatSettings("my-model", base_url="http://localhost:8000/v1", cache_dir="replies"))
        >>> requests = (("a", [{"role": "user", "content": "Hello"}]),)
        >>> for key, result in client.complete_all(requests):  # doctest: +SKIP
        ...     print(key, result if isinstance(result, ChatFailure) else result.text)
    """

    def __init__(self, settings: ChatSettings) -> None:
        """
        Raises:
            ChatFailure: (`storage`) `cache_dir` cannot be written.
        """
        self.settings = settings
        self.store = ChatStore(settings.cache_dir)
        self.totals = ChatTotals()
        self._limit = RateLimit(settings.requests_per_minute, settings.tokens_per_minute)
        self._format = 0  # index into FORMATS: the strictest one that the endpoint is known to take
        self._loop: asyncio.AbstractEventLoop | None = None
        # Connections and semaphores belong to the event loop that made them.
        self._lanes: weakref.WeakKeyDictionary[Any, tuple[openai.AsyncOpenAI, asyncio.Semaphore]] = (
            weakref.WeakKeyDictionary()
        )

    def __enter__(self) -> "ChatClient":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def complete(self, messages: Messages, schema: Schema | None = None, sample: int = 0) -> ChatReply:
        """The answer to a chat, from the store where it was asked before.

        Args:
            messages: `{"role", "content"}` each.
            schema: JSON schema of the answer; `parsed` then holds it. An endpoint that takes no schema is told in words.
            sample: another number asks again where the store has an answer (for temperatures above 0).

        Raises:
            ChatFailure: see its kinds.
        """
        result = await self._result(messages, schema, sample)
        if isinstance(result, ChatFailure):
            raise result
        return result

    def complete_all(
        self,
        requests: Iterable[tuple[Any, Messages]],
        schema: Schema | None = None,
        progress: Callable[[ChatTotals], None] | None = None,
    ) -> Iterator[tuple[Any, ChatReply | ChatFailure]]:
        """Answers many chats, in the order in which they come back; `requests` is read only as fast as they do.

        Args:
            requests: a key of yours and the messages, each.
            schema: as in `complete`.
            progress: called with the running totals after every answer.

        Yields:
            The key with a reply or with a failure.

        Raises:
            ChatFailure: a fatal one (budget, key, unknown model, full disk), after all that was under way is handed out.
        """
        loop = self._background_loop()
        pending: dict[Future, Any] = {}
        source = iter(requests)
        fatal: ChatFailure | None = None
        exhausted = False
        try:
            while True:
                while not (exhausted or fatal) and len(pending) < self.settings.max_concurrency:
                    try:
                        key, messages = next(source)
                    except StopIteration:
                        exhausted = True
                        break
                    pending[asyncio.run_coroutine_threadsafe(self._result(messages, schema, 0), loop)] = key
                if not pending:
                    break
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    key, result = pending.pop(future), future.result()
                    if isinstance(result, ChatFailure) and result.fatal:
                        fatal = fatal or result
                        continue
                    if progress is not None:
                        progress(self.totals)
                    yield key, result
        finally:
            for future in pending:
                future.cancel()
        if fatal is not None:
            raise fatal

    def complete_now(self, messages: Messages, schema: Schema | None = None, sample: int = 0) -> ChatReply:
        """`complete` for programs without an event loop."""
        coroutine = self._result(messages, schema, sample)
        result = asyncio.run_coroutine_threadsafe(coroutine, self._background_loop()).result()
        if isinstance(result, ChatFailure):
            raise result
        return result

    def close(self) -> None:
        """Ends the background thread and closes the store; the client cannot be used afterwards."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._let_go(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = None
        self.store.close()

    async def _let_go(self) -> None:
        """Ends what is still under way in this loop, and its connections."""
        loop = asyncio.get_running_loop()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if loop in self._lanes:
            await self._lanes[loop][0].close()

    def _background_loop(self) -> asyncio.AbstractEventLoop:
        """Runs on while the caller works, so that answers are received and time limits mean what they say."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="chat-client", daemon=True)
            self._thread.start()
        return self._loop

    async def _result(self, messages: Messages, schema: Schema | None, sample: int) -> ChatReply | ChatFailure:
        result: ChatReply | ChatFailure
        try:
            key = request_key(self.settings, messages, schema, sample)
            raw = self.store.get(key)
            cached = raw is not None
            if raw is None:
                async with self._lane()[1]:
                    raw = await self._ask(key, messages, schema)
            result = raw.judged(self.settings.model, schema, cached)
        except ChatFailure as failure:
            result = failure
        self.totals.add(result)
        return result

    def _lane(self) -> tuple[openai.AsyncOpenAI, asyncio.Semaphore]:
        loop = asyncio.get_running_loop()
        if loop not in self._lanes:
            self._lanes[loop] = (self._endpoint(), asyncio.Semaphore(self.settings.max_concurrency))
        return self._lanes[loop]

    def _endpoint(self) -> openai.AsyncOpenAI:
        settings = self.settings
        # The library's own retries wait 8 s at most, for one request alone, and would escape rate limit and budget.
        if settings.azure_endpoint:
            return openai.AsyncAzureOpenAI(
                azure_endpoint=settings.azure_endpoint,
                api_version=settings.azure_api_version,
                api_key=settings.api_key(),
                timeout=settings.timeout,
                max_retries=0,
            )
        return openai.AsyncOpenAI(
            base_url=settings.url, api_key=settings.api_key(), timeout=settings.timeout, max_retries=0
        )

    async def _ask(self, key: str, messages: Messages, schema: Schema | None) -> RawReply:
        """One answer, stored; through retries, and through plainer formats where the endpoint refuses a schema."""
        start = self._format
        refused: ChatFailure | None = None
        for level in range(start if schema is not None else len(FORMATS) - 1, len(FORMATS)):
            body = request_body(self.settings, messages, schema, FORMATS[level])
            try:
                raw = await self._ask_patiently(key, body)
            except ChatFailure as failure:
                if failure.kind != "bad_request":
                    raise
                refused = refused or failure
            else:
                if schema is not None:
                    self._format = max(self._format, level)
                return raw
        assert refused is not None
        raise refused

    async def _ask_patiently(self, key: str, body: dict[str, Any]) -> RawReply:
        settings = self.settings
        for attempt in range(settings.max_retries + 1):
            prompt_tokens = tokens_at_most(body, settings.tokens_per_picture)
            # Text has three bytes a token or more; the worst case of the budget counts every byte as one.
            await self._limit.wait(prompt_tokens // 3 + settings.max_tokens)
            reserved = await self._reserve(prompt_tokens)
            try:
                raw = await self._attempt(body)
            except ChatFailure as failure:
                # An attempt that timed out or broke off may have been charged: it stays counted in full.
                self._settle(reserved, None if failure.maybe_charged else 0.0)
                pause = self._pause_after(failure, attempt)
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            except BaseException:  # the caller has gone; the endpoint may charge what it was asked
                self._settle(reserved)
                raise
            else:
                self.store.put(key, settings.model, raw, reserved)
                return raw
        raise AssertionError("the last attempt returns or raises")

    def _pause_after(self, failure: ChatFailure, attempt: int) -> float | None:
        """Seconds until the next attempt; `None`: there is none."""
        asked_for = failure.retry_after or 0.0
        retried = failure.kind in ("timeout", "connection", "rate_limit", "server", "malformed")
        if not retried or attempt >= self.settings.max_retries or asked_for > self.settings.max_retry_wait:
            return None
        pause = max(asked_for, backoff(attempt, self.settings.max_retry_wait))
        if failure.kind == "rate_limit":
            self._limit.pause(pause)
        return pause

    async def _reserve(self, prompt_tokens: int) -> int | None:
        worst = self.settings.cost(prompt_tokens, self.settings.max_tokens)
        if worst is None:
            return None
        while (reserved := self.store.reserve(worst, self.settings.model, self.settings.budget_usd)) is None:
            await asyncio.sleep(0.05)
        return reserved

    def _settle(self, reserved: int | None, usd: float | None = None) -> None:
        if reserved is not None:
            self.store.settle(reserved, usd)

    async def _attempt(self, body: dict[str, Any]) -> RawReply:
        try:
            response = await self._lane()[0].chat.completions.with_raw_response.create(**body)
            return raw_reply(response.text, body, self.settings)
        except openai.APIStatusError as error:
            raise self._refused(error) from error
        except openai.APIConnectionError as error:  # a time limit is one of them
            cause = error.__cause__ or error
            arrived = type(cause).__name__ not in ("ConnectError", "ConnectTimeout", "PoolTimeout")
            if isinstance(error, openai.APITimeoutError):
                kind, what = "timeout", f"no answer within {self.settings.timeout:g} s"
            else:
                kind, what = "connection", f"{'broke off' if arrived else 'cannot be reached'} ({cause})"
            raise ChatFailure(kind, self._said(what), maybe_charged=arrived) from error

    def _refused(self, error: openai.APIStatusError) -> ChatFailure:
        status = error.status_code
        kind = _KINDS.get(status) or ("server" if status >= 500 or status in _RETRIED_STATUS else "bad_request")
        if error.code == "insufficient_quota":
            kind = "quota"
        cure = {
            "authentication": f"; check the key in {self.settings.api_key_env}",
            "not_found": f"; does it serve {self.settings.model!r}, and does base_url end in /v1?",
        }.get(kind, "")
        return ChatFailure(
            kind,
            self._said(f"answered {status}: {_short(error)}{cure}"),
            retry_after=_seconds(error.response.headers),
        )

    def _said(self, what: str) -> str:
        return f"{self.settings.url} ({self.settings.model}): {what}"


def _short(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return str(message or body or error.message)[:300]


def _seconds(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds, from milliseconds, seconds or a date (RFC 9110, section 10.2.3)."""
    try:
        if "retry-after-ms" in headers:
            return float(headers["retry-after-ms"]) / 1000
        if "retry-after" in headers:
            value = headers["retry-after"]
            if value[:1].isdigit():
                return float(value)
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        pass
    return None


__all__ = ["ChatClient", "ChatFailure", "ChatReply", "ChatSettings", "ChatTotals"]
