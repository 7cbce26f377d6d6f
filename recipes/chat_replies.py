# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What an endpoint answers: a reply, or a failure that has a name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema

from processing.errors_gem import TeacherError

# Every further request would fail too: the run stops.
FATAL = ("budget", "quota", "authentication", "not_found", "storage")


@dataclass(frozen=True)
class ChatUsage:
    """Tokens of one reply. `estimated`: the endpoint did not say; counted from the characters. `cost`: USD."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    estimated: bool = False


@dataclass(frozen=True)
class ChatReply:
    """
    Attributes:
        text: the answer as it came. parsed: its JSON, where a schema was asked for.
        cached: it came from the store and cost nothing now; `usage` says what it cost then.
        finish_reason: of the endpoint, normally `stop`.
    """

    text: str
    parsed: Any = None
    usage: ChatUsage = ChatUsage()
    cached: bool = False
    finish_reason: str = "stop"


class ChatFailure(TeacherError):
    """
    No usable answer. `kind` is one of

    - `refusal`, `content_filter`, `truncated`, `empty`, `invalid_json`: it answered, but not with what was asked;
    - `timeout`, `connection`, `rate_limit`, `server`, `malformed`: it did not, in spite of all retries;
    - `bad_request`: this request is not accepted (too long, unknown parameter);
    - `budget`, `quota`, `authentication`, `not_found`, `storage`: no request can succeed, the run stops.

    `text` and `usage`: of an answer that came. `retry_after`: seconds that the endpoint asks to wait.
    `maybe_charged`: the request arrived and no answer came; the endpoint may charge it all the same.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        usage: ChatUsage | None = None,
        text: str = "",
        cached: bool = False,
        retry_after: float | None = None,
        maybe_charged: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind, self.text, self.cached = kind, text, cached
        self.usage = usage or ChatUsage()
        self.retry_after = retry_after
        self.maybe_charged = maybe_charged

    @property
    def fatal(self) -> bool:
        return self.kind in FATAL


@dataclass(frozen=True)
class RawReply:
    """What is stored: the answer before it is judged, so that a failure that was paid for is not paid for twice."""

    text: str
    refusal: str | None
    finish_reason: str
    usage: ChatUsage

    def to_json(self) -> str:
        return json.dumps({**self.__dict__, "usage": self.usage.__dict__}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "RawReply":
        fields = json.loads(text)
        return cls(**{**fields, "usage": ChatUsage(**fields["usage"])})

    def judged(self, model: str, schema: Mapping[str, Any] | None, cached: bool) -> ChatReply:
        """The reply.

        Raises:
            ChatFailure: it refuses, was cut off or filtered, is empty, or is not the JSON that was asked for.
        """

        def failure(kind: str, message: str) -> ChatFailure:
            return ChatFailure(kind, f"{model}: {message}", self.usage, self.text, cached)

        if self.refusal:
            raise failure("refusal", f"the model refuses: {self.refusal[:200]}")
        if self.finish_reason == "content_filter":
            raise failure("content_filter", "the endpoint's content filter held the answer back.")
        if self.finish_reason == "length":
            raise failure(
                "truncated",
                f"the answer was cut off after {self.usage.completion_tokens} tokens; raise max_tokens or ask for less.",
            )
        if not self.text.strip():
            raise failure("empty", "the answer is empty.")
        parsed = None
        if schema is not None:
            try:
                parsed = json_in(self.text)
                jsonschema.validate(parsed, schema)
            except json.JSONDecodeError as error:
                raise failure("invalid_json", f"the answer is no JSON ({error}): {self.text[:120]!r}") from error
            except jsonschema.ValidationError as error:
                place = error.json_path
                raise failure(
                    "invalid_json", f"the answer breaks the schema at {place}: {error.message[:200]}"
                ) from error
        return ChatReply(self.text, parsed, self.usage, cached, self.finish_reason)


def json_in(text: str) -> Any:
    """The JSON object or list of an answer that may wrap it in a code fence or a sentence.

    Raises:
        json.JSONDecodeError: there is none.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        starts = [place for place in (text.find("{"), text.find("[")) if place >= 0]
        if not starts:
            raise error
        return json.JSONDecoder().raw_decode(text, min(starts))[0]
