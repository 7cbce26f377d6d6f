"""Features of many ECGs: folders, lists or `datasets`, in several processes, resumable; failures are reported."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from .ecg_features import EcgFeatures, extract_features
from .errors_gem import EcgFormatError, GemError

CHUNK = 16  # records per task: starting a task costs about as much as a tenth of a record
Progress = Callable[[int, int | None], None]
Result = tuple[str, dict[str, Any] | None, str | None]


@dataclass
class FeatureBatchReport:
    """What a batch did: ids that were measured, already there, without heartbeats (why), and failures (why)."""

    done: int = 0
    resumed: int = 0
    without_beats: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

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
    """Measures many ECGs into a JSON Lines file, one `{"id", "features" | "error"}` per record in order of arrival.

    Lines are written as they come, to `output` with `.part` added, which becomes `output` at the end; a run that was
    stopped goes on there. Failures are tried again by the next run.

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
    report = FeatureBatchReport()
    known = _recover(output, part) if resume else set()
    if not resume:
        part.unlink(missing_ok=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    items, total = _items(source)
    todo = _unmeasured(items, known, report)
    options = (compat, dict(load_kwargs or {}))
    with part.open("a", encoding="utf-8") as file:
        for record_id, features, error in _results(todo, options, workers):
            line = {"id": record_id, "features": features} if error is None else {"id": record_id, "error": error}
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            _count(report, record_id, features, error)
            if progress is not None:
                progress(report.done + report.resumed + len(report.failed), total)
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


def _count(report: FeatureBatchReport, record_id: str, features: dict[str, Any] | None, error: str | None) -> None:
    if features is None:
        report.failed[record_id] = error or "unknown error"
        return
    report.done += 1
    note = features["record"]["note"]
    if note:
        report.without_beats[record_id] = note


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


def _recover(output: Path, part: Path) -> set[str]:
    """Ids already measured; their lines, and nothing else, are left in `part`. A line cut off by a stop goes."""
    kept: dict[str, str] = {}
    for path in (output, part):
        if not path.exists():
            continue
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue
            if isinstance(line, dict) and "features" in line and "id" in line:
                kept[line["id"]] = text
    fresh = part.with_name(part.name + ".tmp")
    if kept or part.exists():
        fresh.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text("".join(f"{text}\n" for text in kept.values()), encoding="utf-8")
        os.replace(fresh, part)
    return set(kept)


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


def _unmeasured(
    items: Iterable[tuple[str, Any]], known: set[str], report: FeatureBatchReport
) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for record_id, item in items:
        if record_id in seen:
            raise EcgFormatError(f"record {record_id!r} stands twice in the source; give every record its own id.")
        seen.add(record_id)
        if record_id in known:
            report.resumed += 1
        else:
            yield record_id, item


def _measure_chunk(chunk: list[tuple[str, Any]], options: tuple[str | None, dict[str, Any]]) -> list[Result]:
    return [_measure(record_id, item, options) for record_id, item in chunk]


def _measure(record_id: str, item: Any, options: tuple[str | None, dict[str, Any]]) -> Result:
    from .ecg_readers import load_ecg

    compat, load_kwargs = options
    try:
        record = load_ecg(item, **load_kwargs)
        return record_id, extract_features(record, compat=compat).to_dict(full=True), None
    except GemError as error:
        return record_id, None, str(error)
    except Exception as error:
        # One broken record must not end a batch of a million; what happened is in the report.
        return record_id, None, f"{type(error).__name__}: {error}"


def _results(
    todo: Iterator[tuple[str, Any]], options: tuple[str | None, dict[str, Any]], workers: int | None
) -> Iterator[Result]:
    count = os.cpu_count() or 1 if workers is None else workers
    if count < 1:
        for record_id, item in todo:
            yield _measure(record_id, item, options)
        return
    chunks = iter(lambda: list(islice(todo, CHUNK)), [])
    while True:
        try:
            yield from _pooled(chunks, options, count)
            return
        except _PoolDied as death:
            for record_id, _ in death.lost:
                yield record_id, None, "the process that measured this record died (out of memory?)"


class _PoolDied(Exception):
    def __init__(self, lost: list[tuple[str, Any]]) -> None:
        self.lost = lost


def _pooled(chunks: Iterator[list], options: tuple[str | None, dict[str, Any]], count: int) -> Iterator[Result]:
    """Results of a pool with at most two chunks per process under way, so that no data set is held in memory."""
    with ProcessPoolExecutor(count, initializer=_single_threaded) as pool:
        pending: dict[Future, list] = {}

        def submit(number: int) -> None:
            for chunk in islice(chunks, number):
                pending[pool.submit(_measure_chunk, chunk, options)] = chunk

        submit(2 * count)
        while pending:
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                try:
                    results = future.result()
                except BrokenProcessPool as error:
                    raise _PoolDied([item for chunk in pending.values() for item in chunk]) from error
                del pending[future]
                yield from results
            submit(len(finished))


def _single_threaded() -> None:
    """One thread per process: the processes already take all cores."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


__all__ = ["FeatureBatchReport", "extract_features_batch", "read_features"]
