# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Replaces ids of the user's own records by hashes in a published data set, because file names may name patients."""

import hmac
import secrets
from hashlib import file_digest
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from processing.errors_gem import PublishError
from recipes.dataset.card import CHECKSUMS
from recipes.dataset.report import REJECTS
from recipes.dataset.shards import write_parquet
from recipes.files import atomic_write, json_lines, read_json_lines
from recipes.sources import PUBLISHED_SOURCES

IdsChoice = Literal["hash", "stem"]
KEY_FILE = ".build/publish.key"
KEY_BYTES = 32
# Of a hash in hexadecimal: 64 bits, so that among a million records two are equal with a chance of 3 in 10^8.
SHOWN = 16
_HIDDEN = ("id", "patient")


def hide_private_ids(folder: Path, stage: Path) -> int:
    """
    Replaces the ids and patients of records from `folder` sources, which belong to no published database, in the staged tables, and
    their ids in `rejects.jsonl`: `own/jones_mary` becomes `own/` and a keyed hash. Checksums are updated.

    The key is random and is stored in `KEY_FILE` of `folder`. With it the owner can find a record again, and a second publication
    has the same ids. Without it names cannot be guessed and tried.

    Args:
        folder: the data set on this machine; its tables keep their ids.
        stage: links to its files; changed files are written there.

    Returns:
        The number of changed rows.

    Raises:
        PublishError: the key cannot be stored.
    """
    tables = [path for path in sorted(stage.rglob("*.parquet")) if _private_rows(path)]
    rejects = _read_rejects(stage / REJECTS)
    if not tables and not any(map(_is_private, rejects)):
        return 0
    key = _key(folder)
    rows = sum(_hide_in_table(path, key) for path in tables)
    changed = list(tables)
    if any(map(_is_private, rejects)):
        _hide_in_rejects(stage / REJECTS, rejects, key)
        changed.append(stage / REJECTS)
    _renew_checksums(stage, changed)
    return rows


def private_id(value: str, source: str, key: bytes) -> str:
    """The id or patient of a record as published: `SOURCE/` stays in front of an id."""
    digest = hmac.new(key, value.encode(), "sha256").hexdigest()[:SHOWN]
    return f"{source}/{digest}" if value.startswith(f"{source}/") else digest


def _private_rows(path: Path) -> bool:
    if not {"id", "source"} <= set(pq.read_schema(path).names):
        return False
    sources = pq.read_table(path, columns=["source"])["source"].unique().to_pylist()
    return any(source not in PUBLISHED_SOURCES for source in sources)


def _hide_in_table(path: Path, key: bytes) -> int:
    table = pq.read_table(path)
    sources = table["source"].to_pylist()
    private = [source not in PUBLISHED_SOURCES for source in sources]
    for name in _HIDDEN:
        if name in table.column_names:
            place = table.schema.get_field_index(name)
            values = [
                private_id(str(value), str(source), key) if hide and value is not None else value
                for value, source, hide in zip(table[name].to_pylist(), sources, private, strict=True)
            ]
            table = table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))
    path.unlink()
    with path.open("wb") as file:
        write_parquet(table, file)
    return sum(private)


def _read_rejects(path: Path) -> list[Any]:
    """The lines of `rejects.jsonl`; none where there is no such file."""

    def damaged(number: int, error: ValueError) -> None:
        raise PublishError(f"{path.name}, line {number}: no JSON ({error}). Build the data set again.")

    return [line for _, line in read_json_lines(path, damaged)] if path.is_file() else []


def _is_private(line: Any) -> bool:
    return isinstance(line, dict) and {"id", "source"} <= line.keys() and line["source"] not in PUBLISHED_SOURCES


def _hide_in_rejects(path: Path, lines: list[Any], key: bytes) -> None:
    hidden = [
        line | {"id": private_id(str(line["id"]), str(line["source"]), key)} if _is_private(line) else line
        for line in lines
    ]
    path.unlink()
    path.write_text(json_lines(hidden), encoding="utf-8")


def _renew_checksums(stage: Path, changed: list[Path]) -> None:
    sums = stage / CHECKSUMS
    if not sums.is_file():
        return
    lines = (line.partition("  ") for line in sums.read_text(encoding="utf-8").splitlines())
    known = {name: digest for digest, _, name in lines}
    for path in changed:
        with path.open("rb") as file:
            known[path.relative_to(stage).as_posix()] = file_digest(file, "sha256").hexdigest()
    sums.unlink()
    sums.write_text("".join(f"{known[name]}  {name}\n" for name in sorted(known)), encoding="utf-8")


def _key(folder: Path) -> bytes:
    path = folder / KEY_FILE
    try:
        if not path.is_file():
            atomic_write(path, secrets.token_hex(KEY_BYTES))
            path.chmod(0o600)
        return path.read_bytes()
    except OSError as error:
        raise PublishError(
            f"{path}: the key to the published ids cannot be kept ({error.strerror}). Make the folder writable, or publish the ids as "
            "they are with --ids stem, if no file is named after a patient."
        ) from error


__all__ = ["KEY_FILE", "IdsChoice", "hide_private_ids", "private_id"]
