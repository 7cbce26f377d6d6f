# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Requests to language models and their results: a reply, or a failure with a name."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar, get_args

import json_repair

from processing.errors_gem import TeacherError

Message = Mapping[str, Any]
Messages = Sequence[Message]
Schema = Mapping[str, Any]
Description = Mapping[str, str | float | None]
Key = TypeVar("Key")
# It answered, but not with what was asked. It did not answer, in spite of all retries, or not to this request. The run stops.
Unusable = Literal["refusal", "content_filter", "truncated", "empty", "invalid_json"]
Unanswered = Literal["timeout", "connection", "rate_limit", "server", "malformed", "bad_request"]
Fatal = Literal["budget", "quota", "authentication", "not_found", "storage"]
FailureKind = Unusable | Unanswered | Fatal


@dataclass(frozen=True)
class ChatUsage:
    """Tokens of one reply, 0 where the endpoint does not count. `cost`: USD, `None` where it is not known."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None


class ChatFailure(TeacherError):
    """
    A request without a usable answer.

    Attributes:
        kind: why there is none, one of `FailureKind`.
        usage: the tokens that it took.
        text: the unusable answer, if there was one.
        cached: it came from the store.
        fatal: no further request can succeed, so the run stops.
    """

    def __init__(
        self, kind: FailureKind, message: str, usage: ChatUsage = ChatUsage(), text: str = "", cached: bool = False
    ) -> None:
        super().__init__(message)
        self.kind, self.usage, self.text, self.cached = kind, usage, text, cached
        self.fatal = kind in get_args(Fatal)


@dataclass(frozen=True)
class ChatReply:
    """
    An answer as it arrived. It is stored before it is judged, so that an unusable answer is not paid for twice.

    Attributes:
        finish_reason: as stated by the endpoint.
        refusal: as stated by the endpoint.
        parsed: the JSON object, if a schema was requested.
        cached: whether it came from the store; `usage` then has the original cost.
    """

    text: str
    usage: ChatUsage = ChatUsage()
    finish_reason: str = "stop"
    refusal: str | None = None
    parsed: Mapping[str, Any] | None = None
    cached: bool = False

    @classmethod
    def from_completion(cls, completion: Mapping[str, Any]) -> "ChatReply":
        """The reply in a chat completion of OpenAI's protocol.

        Raises:
            LookupError, TypeError, AttributeError: it is no chat completion.
        """
        choice, counted = completion["choices"][0], completion.get("usage") or {}
        usage = ChatUsage(counted.get("prompt_tokens") or 0, counted.get("completion_tokens") or 0)
        message = choice["message"]
        finished = choice.get("finish_reason") or "stop"
        return cls(message.get("content") or "", usage, finished, message.get("refusal"))

    def judged(self, schema: Schema | None, cached: bool = False) -> "ChatReply | ChatFailure":
        """The reply with its JSON, or a failure if it is a refusal, cut off, filtered, empty or not the requested JSON."""

        def failure(kind: Unusable, message: str) -> ChatFailure:
            return ChatFailure(kind, message, self.usage, self.text, cached)

        if self.refusal:
            return failure("refusal", f"the model refuses: {self.refusal[:200]}")
        if self.finish_reason == "content_filter":
            return failure("content_filter", "the endpoint's content filter held the answer back.")
        if self.finish_reason == "length":
            written = self.usage.completion_tokens
            return failure("truncated", f"cut off after {written} tokens; raise max_tokens or ask for less.")
        if not self.text.strip():
            return failure("empty", "the answer is empty.")
        if schema is None:
            return replace(self, cached=cached)
        import jsonschema

        parsed, _ = read_object(self.text)
        if parsed is None:
            return failure("invalid_json", f"the answer is no JSON object: {self.text[:120]!r}")
        try:
            jsonschema.validate(parsed, schema)
        except jsonschema.ValidationError as error:
            return failure("invalid_json", f"the answer breaks the schema at {error.json_path}: {error.message[:200]}")
        return replace(self, parsed=parsed, cached=cached)


class ChatModel(Protocol):
    """A language model that answers chats. `description`: its name for reports; `is_local`: no data leaves this machine."""

    name: str
    is_local: bool
    description: Description

    def complete_all(
        self, requests: Iterable[tuple[Key, Messages]], schema: Schema | None = None
    ) -> Iterator[tuple[Key, ChatReply | ChatFailure]]:
        """Answers by the caller's keys, in any order; `requests` is read as needed."""
        ...

    def close(self) -> None:
        """Releases connections or memory; no call follows."""


def with_schema_in_words(messages: Messages, schema: Schema) -> list[Message]:
    """The chat with the schema in its text, for models that cannot be constrained to one."""
    demand = (
        "Answer with one JSON object and nothing else. It must be valid against this JSON schema:\n"
        f"{json.dumps(schema, ensure_ascii=False)}"
    )
    first = messages[0]
    if first["role"] == "system" and isinstance(first["content"], str):
        return [{**first, "content": f"{first['content']}\n\n{demand}"}, *messages[1:]]
    return [{"role": "system", "content": demand}, *messages]


def read_object(text: str) -> tuple[dict[str, Any] | None, str | None]:
    """The first JSON object in an answer, repaired if it is broken, and a description of the defects."""
    body = text.strip().removesuffix("```")
    start = body.find("{")
    if start < 0:
        return None, f"no JSON object: {text[:60]!r}"
    try:
        # `json_repair` alone would take what follows a whole object for a part of it.
        return json.JSONDecoder().raw_decode(body, start)[0], None
    except json.JSONDecodeError as error:
        repaired = json_repair.loads(body[start:])
        return repaired if isinstance(repaired, dict) else None, f"repaired JSON ({error})"
