# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The body of a request, what it can cost at most, and the reply in an endpoint's response."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .chat_replies import ChatFailure, ChatUsage, RawReply
from .chat_settings import ChatSettings

# How an answer is held to a schema, strictest first; an endpoint that refuses one is asked with the next.
FORMATS = ("json_schema", "json_object", "words")
CHARACTERS_PER_TOKEN = 4  # of English; used only where an endpoint does not count


def request_body(
    settings: ChatSettings, messages: Sequence[Mapping[str, Any]], schema: Mapping[str, Any] | None, format: str
) -> dict[str, Any]:
    """The fields of a chat completion request; below `json_schema` the schema stands in the messages."""
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": list(messages),
        settings.max_tokens_field: settings.max_tokens,
    }
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    if settings.seed is not None:
        body["seed"] = settings.seed
    if settings.extra_body:
        body["extra_body"] = dict(settings.extra_body)
    if schema is not None:
        if format == "json_schema":
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": dict(schema), "strict": True},
            }
        else:
            body["messages"] = _with_schema_in_words(messages, schema)
            if format == "json_object":
                body["response_format"] = {"type": "json_object"}
    return body


def _with_schema_in_words(messages: Sequence[Mapping[str, Any]], schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    demand = (
        "Answer with one JSON object and nothing else. It must be valid against this JSON schema:\n"
        f"{json.dumps(schema, ensure_ascii=False)}"
    )
    first = messages[0]
    if first["role"] == "system" and isinstance(first["content"], str):
        return [{**first, "content": f"{first['content']}\n\n{demand}"}, *messages[1:]]
    return [{"role": "system", "content": demand}, *messages]


def tokens_at_most(body: Mapping[str, Any], tokens_per_picture: int) -> int:
    """An upper bound of a prompt's tokens: no tokenizer makes more of a text than it has bytes (16 a message for roles)."""
    count = len(json.dumps(body.get("response_format", "")))
    for message in body["messages"]:
        content = message.get("content") or ""
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in parts:
            count += len(part["text"].encode()) if part.get("type") == "text" else tokens_per_picture
        count += 16
    return count


def raw_reply(response: str | Mapping[str, Any], body: Mapping[str, Any], settings: ChatSettings) -> RawReply:
    """What a chat completion, the response to `body`, says.

    Raises:
        ChatFailure: (`malformed`) it is not one.
    """
    try:
        completion = json.loads(response) if isinstance(response, str) else response
        choice = completion["choices"][0]
        message = choice["message"]
        text = message.get("content") or ""
    except (json.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
        raise ChatFailure(
            "malformed",
            f"{settings.url} ({settings.model}): no chat completion came back: {str(response)[:120]!r}",
            maybe_charged=True,
        ) from error
    counted = completion.get("usage") or {}
    estimated = "prompt_tokens" not in counted
    prompt = counted.get("prompt_tokens", 0)
    written = counted.get("completion_tokens", 0)
    if estimated:
        prompt = tokens_at_most(body, settings.tokens_per_picture) // CHARACTERS_PER_TOKEN
        written = len(text) // CHARACTERS_PER_TOKEN
    usage = ChatUsage(prompt, written, settings.cost(prompt, written), estimated)
    return RawReply(text, message.get("refusal"), choice.get("finish_reason") or "stop", usage)
