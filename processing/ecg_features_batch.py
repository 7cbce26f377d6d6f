# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Features of many ECGs: folders, lists or `datasets`, in several processes, resumable; failures are reported."""

import io
import json
import multiprocessing.connection
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from .ecg_features import EcgFeatures, extract_features
from .errors_gem import EcgFormatError, GemError

CHUNK = 16  # records per task: starting a task costs about as much as a tenth of a record
AHEAD = 4  # chunks per process under way, so that no data set is held in memory
Progress = Callable[[int, int | None], None]
Line = dict[str, Any]  # {"id", "features"} or {"id", "error"}
Item = tuple[str, Any]


@dataclass
class FeatureBatchReport:
    """What a batch did: ids that were measured, already there, without heartbeats (why), and failures (why)."""

    done: int = 0
    resumed: int = 0
    without_beats: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def count(self, line: Line, resumed: bool = False) -> None:
        if "features" not in line:
            self.failed[line["id"]] = line.get("error", "unknown error")
            return
        self.done += not resumed
        self.resumed += resumed
        note = line["features"]["record"]["note"]
        if note:
            self.without_beats[line["id"]] = note

    def __str__(self) -> str:
        return (
            f"{self.done} measured, {self.resumed} already there, {len(self.without_beats)} without heartbeats, "
            f"{len(self.failed)} failed"
        )


def extract_features_batch(
    source: str | os.PathLike | Iterable[Any],
    output: str | os.PathLike,
    *,
    workers: int | None = None,
    resume: bool = True,
    compat: str | None = None,
    progress: Progress | None = None,
    load_kwargs: Mapping[str, Any] | None = None,
) -> FeatureBatchReport:
    """Measures many ECGs into a JSON Lines file, one `{"id", "features" | "error"}` per record in the source's order.

    Lines are written as they come, to `output` with `.part` added, which becomes `output` at the end. A run that was
    stopped, even killed, goes on behind its last whole line, and the file is the same to the byte. A run over a
    finished `output` measures only what is new, what failed, and what has other definitions (`compat`); features of
    records that are not in `source` stay, behind the others.

    Args:
        source: a folder, or an iterable (also a `datasets` split) of anything that `load_ecg` reads: paths, rows,
            `EcgRecord`s. The id of a record is its path, the row's `id`/`record_id`, else its number.
        output: JSON Lines file; `features` is `EcgFeatures.to_dict(full=True)`.
        workers: processes; 0 measures in this one; default: one per core.
        resume: keep what is already there; otherwise start anew.
        compat: see `extract_features`.
        progress: called with (records finished, records in all or `None`).
        load_kwargs: arguments of `load_ecg`, e.g. `{"sampling_rate": 500}`.

    Raises:
        EcgFormatError: the folder does not exist, or an id stands twice.
    """
    output = Path(output)
    part = output.with_name(output.name + ".part")
    output.parent.mkdir(parents=True, exist_ok=True)
    report = FeatureBatchReport()
    items, total = _items(source)
    written = _resume_part(part, compat, report) if resume else _start_anew(part)
    earlier = _whole_lines(output, compat) if resume and output.exists() else {}
    todo = ((name, None if name in earlier else item) for name, item in _distinct(items) if name not in written)
    with part.open("ab") as file, output.open("rb") if earlier else io.BytesIO() as old:
        for line in _lines_in_order(todo, (compat, dict(load_kwargs or {})), workers):
            if line["id"] in earlier:
                _copy_line(old, earlier.pop(line["id"]), file)
                report.resumed += 1
            else:
                file.write(json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n")
                report.count(line)
            file.flush()
            if progress is not None:
                progress(report.done + report.resumed + len(report.failed), total)
        for place in [place for record_id, place in earlier.items() if record_id not in written]:
            _copy_line(old, place, file)
    os.replace(part, output)
    return report


def read_features(path: str | os.PathLike) -> Iterator[tuple[str, EcgFeatures]]:
    """The ids and features in a file of `extract_features_batch`; failures are left out.

    Raises:
        EcgFormatError: a line is not JSON; the message has its number.
    """
    for record_id, line in _lines(Path(path)):
        if "features" in line:
            yield record_id, EcgFeatures.from_dict(line["features"])


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            try:
                line = json.loads(text)
                yield line["id"], line
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise EcgFormatError(
                    f"{path}, line {number}: not a line of features ({error}). Remove it and run again."
                ) from error


def _start_anew(part: Path) -> set[str]:
    part.unlink(missing_ok=True)
    return set()


def _resume_part(part: Path, compat: str | None, report: FeatureBatchReport) -> set[str]:
    """Ids whose lines a stopped run left in `part`; from the first line on that is cut off or foreign, the rest goes."""
    written: set[str] = set()
    if not part.exists():
        return written
    with part.open("r+b") as file:
        whole = 0
        for text in file:
            line = _parsed(text, compat)
            if line is None:
                break
            written.add(line["id"])
            report.count(line, resumed=True)
            whole += len(text)
        file.truncate(whole)
    return written


def _whole_lines(output: Path, compat: str | None) -> dict[str, int]:
    """Where in a finished file every record's features stand, id -> byte."""
    places, position = {}, 0
    with output.open("rb") as file:
        for text in file:
            line = _parsed(text, compat)
            if line is not None and "features" in line:
                places[line["id"]] = position
            position += len(text)
    return places


def _copy_line(source: BinaryIO, place: int, target: BinaryIO) -> None:
    source.seek(place)
    target.write(source.readline())


def _parsed(text: bytes, compat: str | None) -> Line | None:
    """A whole line of this kind of run, else `None`."""
    try:
        line = json.loads(text)
        whole = text.endswith(b"\n") and ("error" in line or line["features"]["record"]["compat"] == compat)
        return line if whole and isinstance(line["id"], str) else None
    except (ValueError, KeyError, TypeError):
        return None


def _items(source: Any) -> tuple[Iterator[tuple[str, Any]], int | None]:
    """(id, item) pairs of a source, and how many there are, if that is known."""
    if isinstance(source, (str, os.PathLike)):
        from .ecg_readers import list_ecg_files

        folder = Path(source)
        paths = list_ecg_files(folder)
        return ((path.relative_to(folder).as_posix(), path) for path in paths), len(paths)
    total = len(source) if hasattr(source, "__len__") else None
    return ((_identity(item, number), item) for number, item in enumerate(source)), total


def _identity(item: Any, number: int) -> str:
    if isinstance(item, (str, os.PathLike)):
        return str(item)
    if isinstance(item, Mapping):
        named = next((item[key] for key in ("id", "record_id") if item.get(key) is not None), None)
    else:
        named = getattr(item, "record_id", None)
    return str(number if named is None else named)


def _distinct(items: Iterable[Item]) -> Iterator[Item]:
    seen: set[str] = set()
    for record_id, item in items:
        if record_id in seen:
            raise EcgFormatError(f"record {record_id!r} stands twice in the source; give every record its own id.")
        seen.add(record_id)
        yield record_id, item


def _measure_chunk(chunk: Iterable[Item], options: tuple[str | None, dict[str, Any]]) -> list[Line]:
    return [_measure(record_id, item, options) for record_id, item in chunk]


def _measure(record_id: str, item: Any, options: tuple[str | None, dict[str, Any]]) -> Line:
    """The line of one record; without features or error where there is nothing to measure (`item` is `None`)."""
    from .ecg_readers import load_ecg

    compat, load_kwargs = options
    if item is None:
        return {"id": record_id}
    try:
        record = load_ecg(item, **load_kwargs)
        return {"id": record_id, "features": extract_features(record, compat=compat).to_dict(full=True)}
    except GemError as error:
        return {"id": record_id, "error": str(error)}
    except Exception as error:
        # One broken record must not end a batch of a million; what happened is in the report.
        return {"id": record_id, "error": f"{type(error).__name__}: {error}"}


def _lines_in_order(
    todo: Iterator[Item], options: tuple[str | None, dict[str, Any]], workers: int | None
) -> Iterator[Line]:
    count = os.cpu_count() or 1 if workers is None else workers
    if count < 1:
        for record_id, item in todo:
            yield _measure(record_id, item, options)
        return
    chunks = _chunks(todo)
    pending: deque[tuple[list[Item], Future]] = deque()
    pool = _pool(count)
    try:
        while True:
            for chunk in islice(chunks, AHEAD * count - len(pending)):
                try:
                    future = pool.submit(_measure_chunk, chunk, options)
                except BrokenProcessPool:
                    pool = _pool(count)
                    future = pool.submit(_measure_chunk, chunk, options)
                pending.append((chunk, future))
            if not pending:
                return
            chunk, future = pending.popleft()
            try:
                yield from future.result()
            except BrokenProcessPool:
                yield from (_measure_alone(item, options) for item in chunk)
    finally:
        pool.shutdown(cancel_futures=True)


def _chunks(todo: Iterator[Item]) -> Iterator[list[Item]]:
    while chunk := list(islice(todo, CHUNK)):
        yield chunk


def _measure_alone(item: Item, options: tuple[str | None, dict[str, Any]]) -> Line:
    """A record of a chunk whose process died, in a process of its own: only the one that kills it is lost."""
    with _pool(1) as pool:
        try:
            return pool.submit(_measure_chunk, [item], options).result()[0]
        except BrokenProcessPool:
            return {"id": item[0], "error": "the process that measured this record died (out of memory?)"}


def _pool(count: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, initializer=_start_worker)


def _start_worker() -> None:
    """One thread per process, as the processes already take all cores; and none of them outlives a killed parent."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


__all__ = ["FeatureBatchReport", "extract_features_batch", "read_features"]
