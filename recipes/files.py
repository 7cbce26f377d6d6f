# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Atomic writing of files and folders, locks for one writer, and JSON Lines files that a killed run may have cut off."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from processing.errors_gem import GemError


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """
    A temporary file in the folder of `path`, which is made if necessary. When the block ends, the file is flushed to the disk and
    renamed to `path`; after an error it is removed, and `path` is unchanged.

    Raises:
        OSError: no space, or not writable.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """As `atomic_path`, for a folder, which replaces the one at `path`."""
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        shutil.rmtree(path, ignore_errors=True)
        os.replace(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


@contextmanager
def one_writer(path: str | os.PathLike, error: type[GemError]) -> Iterator[None]:
    """Lets one process at a time write `path`, a file or folder; a process that dies leaves no lock behind.

    The lock is `.NAME.lock` beside it, which stays.

    Raises:
        error: Another process writes there, or the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
        lock.acquire()
    except Timeout as taken:
        raise error(f"{path}: another run is writing here. Wait for it, or give this one its own output.") from taken
    except OSError as failed:
        raise error(f"{path}: cannot be written ({failed.strerror}); choose another output.") from failed
    try:
        yield
    finally:
        lock.release()


def atomic_write(path: str | os.PathLike, content: str | bytes) -> None:
    """Writes `content` (text as UTF-8) to `path` atomically, see `atomic_path`."""
    with atomic_path(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: str | os.PathLike, value: Any, **options: Any) -> None:
    """`value` as a JSON file with a newline at its end; `options` are those of `json.dumps`."""
    atomic_write(path, json.dumps(value, **options) + "\n")


def safetensors_damage(file: Path) -> str | None:
    """The damage of a safetensors file, found from its header and length; `None` if it is intact."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= size - 8:
            return "has no whole header"
        try:
            header = json.loads(stream.read(length))
            end = max(
                (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0
            )
        except (ValueError, AttributeError, KeyError, IndexError, TypeError):  # JSON, but no header
            return "has no whole header"
    return None if size == 8 + length + end else f"has {size:,} bytes instead of {8 + length + end:,}"


def json_lines(rows: Iterable[Any], **options: Any) -> str:
    """`rows` as JSON Lines, characters beyond ASCII as they are; `options` are those of `json.dumps`."""
    return "".join(json.dumps(row, ensure_ascii=False, **options) + "\n" for row in rows)


def read_json_lines(
    path: str | os.PathLike, damaged: Callable[[int, ValueError], object]
) -> Iterator[tuple[int, Any]]:
    """
    Line numbers, from 1, and values of a JSON Lines file. Empty lines are skipped.

    Args:
        path: the file.
        damaged: called with the number and the error of each line that is not JSON, such as the half-written last line of a
            killed run. If it does not raise, the line is skipped.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError as error:
                damaged(number, error)
                continue
            yield number, value


__all__ = [
    "atomic_folder",
    "atomic_path",
    "atomic_write",
    "json_lines",
    "one_writer",
    "read_json_lines",
    "safetensors_damage",
    "write_json",
]
