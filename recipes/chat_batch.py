# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Requests as files for a batch endpoint (half the price, within a day), and its results into the client's store."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from processing.errors_gem import TeacherError

from .chat_client import ChatClient, Messages, Schema
from .chat_replies import ChatFailure
from .chat_requests import raw_reply, request_body, tokens_at_most
from .chat_store import request_key

# OpenAI's limits of one batch file: 50,000 requests, 200 MB.
MAX_REQUESTS, MAX_BYTES = 50_000, 190_000_000


@dataclass(frozen=True)
class BatchExport:
    """`files` to upload; `requests` in them, `cached` ones left out; `usd_at_most`: what they cost at worst."""

    files: tuple[Path, ...]
    requests: int
    cached: int
    usd_at_most: float | None


@dataclass
class BatchImport:
    """How many replies were stored; `failed`: request -> why there is none; it is asked again on the next run."""

    stored: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def export_batch(
    client: ChatClient, requests: Iterable[tuple[Any, Messages]], path: str | Path, schema: Schema | None = None
) -> BatchExport:
    """
    Writes what the store does not hold yet as JSONL files for `POST /v1/batches`: `path`, then `path` with `-2`, `-3` ...

    Raises:
        TeacherError: the requests could cost more than is left of the budget; nothing is written then.
    """
    path = Path(path)
    settings = client.settings
    seen: set[str] = set()
    cached, usd = 0, 0.0
    parts = _Parts(path)
    try:
        for _, messages in requests:
            key = request_key(settings, messages, schema)
            if key in seen:
                continue
            if client.store.get(key) is not None:
                cached += 1
                continue
            seen.add(key)
            body = request_body(settings, messages, schema, "json_schema")
            tokens = tokens_at_most(body, settings.tokens_per_picture)
            usd += settings.batch_price_factor * (settings.cost(tokens, settings.max_tokens) or 0.0)
            body |= body.pop("extra_body", {})
            parts.add({"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body})
        if settings.budget_usd is not None and client.store.spent() + usd > settings.budget_usd:
            raise TeacherError(
                f"{path}: the {len(seen)} requests may cost up to ${usd:.4f}, ${client.store.spent():.4f} of the budget of "
                f"${settings.budget_usd:.4f} is spent. Raise budget_usd, lower max_tokens or export fewer requests."
            )
        files = parts.finish()
    except BaseException:
        parts.drop()
        raise
    known = settings.cost(0, 0) is not None
    return BatchExport(tuple(files), len(seen), cached, usd if known else None)


class _Parts:
    """Files of at most `MAX_REQUESTS` lines and `MAX_BYTES`, written as the lines come; they appear all at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: list[Path] = []
        self.open: BinaryIO | None = None
        self.lines = self.size = 0

    def add(self, line: Mapping[str, Any]) -> None:
        content = (json.dumps(line, ensure_ascii=False) + "\n").encode()
        if self.open is None or self.lines == MAX_REQUESTS or self.size + len(content) > MAX_BYTES:
            self._next()
        assert self.open is not None
        self.open.write(content)
        self.lines, self.size = self.lines + 1, self.size + len(content)

    def _next(self) -> None:
        self._close()
        number = len(self.files) + 1
        self.files.append(self.path if number == 1 else self.path.with_stem(f"{self.path.stem}-{number}"))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.open, self.lines, self.size = self._half(self.files[-1]).open("wb"), 0, 0

    def finish(self) -> list[Path]:
        self._close()
        for file in self.files:
            os.replace(self._half(file), file)
        return self.files

    def drop(self) -> None:
        self._close()
        for file in self.files:
            self._half(file).unlink(missing_ok=True)

    def _close(self) -> None:
        if self.open is not None:
            self.open.close()

    @staticmethod
    def _half(file: Path) -> Path:
        return file.with_name(f".{file.name}.part")


def import_batch(client: ChatClient, path: str | Path) -> BatchImport:
    """Stores the replies of a batch's output file; a line without a usable reply is reported, the rest is stored.

    A file may be imported again: what is stored is neither replaced nor charged twice.

    Raises:
        TeacherError: the file is no batch output.
    """
    result = BatchImport()
    settings = client.settings
    with open(path, encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                line = json.loads(text)
                key, error, response = line["custom_id"], line.get("error"), line.get("response") or {}
            except (json.JSONDecodeError, LookupError, TypeError, AttributeError) as problem:
                raise TeacherError(
                    f"{path}, line {number}: not a line of a batch's output file (custom_id, response): {text[:80]!r}"
                ) from problem
            body = response.get("body") or {}
            if error or response.get("status_code") != 200:
                result.failed[key] = str(error or body.get("error") or f"status {response.get('status_code')}")
                continue
            if client.store.get(key) is None:
                try:
                    raw = raw_reply(body, {"messages": []}, settings)
                except ChatFailure as failure:
                    result.failed[key] = str(failure)
                    continue
                usd = (raw.usage.cost or 0.0) * settings.batch_price_factor
                raw = replace(raw, usage=replace(raw.usage, cost=usd if raw.usage.cost is not None else None))
                client.store.put(key, settings.model, raw, client.store.reserve(usd, settings.model, budget=None))
            result.stored += 1
    return result


__all__ = ["BatchExport", "BatchImport", "export_batch", "import_batch"]
