# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Requests as files for a batch endpoint (half the price, within a day), and its results into the client's store."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from processing.errors_gem import TeacherError

from .client import ChatClient, request_body
from .replies import ChatReply, Messages, Schema
from .store import request_key

# OpenAI's limits of one batch file: 50,000 requests, 200 MB.
MAX_REQUESTS, MAX_BYTES = 50_000, 190_000_000


@dataclass
class BatchExport:
    """Exported requests. `files`: to upload; `requests`: number in them; `cached`: number left out; `usd_at_most`: largest cost."""

    files: tuple[Path, ...] = ()
    requests: int = 0
    cached: int = 0
    usd_at_most: float | None = None


@dataclass
class BatchImport:
    """Number of stored replies; `failed`: request -> why it has no reply. Failed requests are sent again by the next run."""

    stored: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def export_batch(
    client: ChatClient, requests: Iterable[tuple[object, Messages]], path: str | Path, schema: Schema | None = None
) -> BatchExport:
    """
    Writes the requests that have no stored reply to JSONL files for `POST /v1/batches`: `path`, then `path` with `-2`, `-3` ...

    Raises:
        TeacherError: the requests could cost more than is left of the budget; nothing is written then.
    """
    path, settings = Path(path), client.settings
    export = BatchExport(usd_at_most=settings.cost(0, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.name}", dir=path.parent) as half:
        parts = _write_parts(_lines(client, requests, schema, export), Path(half) / path.name)
        spent, usd = client.store.spent(), export.usd_at_most or 0.0
        if settings.budget_usd is not None and spent + usd > settings.budget_usd:
            raise TeacherError(
                f"{path}: the {export.requests} requests may cost up to ${usd:.4f}, ${spent:.4f} of the budget of "
                f"${settings.budget_usd:.4f} is spent. Raise budget_usd, lower max_tokens or export fewer requests."
            )
        export.files = tuple(part.replace(path.with_name(part.name)) for part in parts)
    return export


def _lines(
    client: ChatClient, requests: Iterable[tuple[object, Messages]], schema: Schema | None, export: BatchExport
) -> Iterator[bytes]:
    """The batch's lines, each request once; counts them in `export`."""
    settings, seen = client.settings, set[str]()
    for _, messages in requests:
        key = request_key(settings, messages, schema)
        if key in seen:
            continue
        seen.add(key)
        if client.store.get(key) is not None:
            export.cached += 1
            continue
        export.requests += 1
        request = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions"}
        line = json.dumps(request | {"body": request_body(settings, messages, schema)}, ensure_ascii=False).encode()
        if export.usd_at_most is not None:
            worst = settings.cost(*settings.most_tokens(line)) or 0.0
            export.usd_at_most += settings.batch_price_factor * worst
        yield line + b"\n"


def _write_parts(lines: Iterable[bytes], path: Path) -> list[Path]:
    """Files of at most `MAX_REQUESTS` lines and `MAX_BYTES`."""
    parts: list[Path] = []
    count = size = 0
    for line in lines:
        if not parts or count == MAX_REQUESTS or size + len(line) > MAX_BYTES:
            parts.append(path.with_stem(f"{path.stem}-{len(parts) + 1}") if parts else path)
            count = size = 0
        with parts[-1].open("ab") as file:
            file.write(line)
        count, size = count + 1, size + len(line)
    return parts


def import_batch(client: ChatClient, path: str | Path) -> BatchImport:
    """Stores the replies of a batch's output file; a line without a usable reply is reported, the rest is stored.

    A file may be imported again: stored replies are neither replaced nor charged twice.

    Raises:
        TeacherError: the file is not the output of a batch.
    """
    result, settings, store = BatchImport(), client.settings, client.store
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
            body, status = response.get("body") or {}, response.get("status_code")
            try:
                reply = ChatReply.from_completion(body)
            except (LookupError, TypeError, AttributeError):
                error = error or body.get("error") or f"status {status}, no chat completion: {str(body)[:120]!r}"
            if error or status != 200:
                result.failed[key] = str(error or f"status {status}")
                continue
            if store.get(key) is None:
                usd = settings.cost(reply.usage.prompt_tokens, reply.usage.completion_tokens)
                if usd is not None:
                    usd *= settings.batch_price_factor
                    store.settle(store.reserve(usd))
                store.put(key, settings.model, replace(reply, usage=replace(reply.usage, cost=usd)))
            result.stored += 1
    return result


__all__ = ["BatchExport", "BatchImport", "export_batch", "import_batch"]
