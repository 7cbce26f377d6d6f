# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Builds a data set from ECGs: plan, shards (resumable, in several processes or on Ray), then card, report, checksums."""

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from processing.errors_gem import BuildError
from recipes.files import one_writer
from recipes.sources import Rejection

from .card import CHECKSUMS, OWN_FILES, write_card
from .plan import BuildPlan, Shard, make_plan
from .pool import Made, in_processes
from .report import REJECTS_IN_FULL, write_report
from .settings import BuildSettings
from .shards import ShardNote, atomic_file, changed_file, finished_note, write_shard
from .stages import Batch, answer, measure

Progress = Callable[[str, int, int], None]
Engine = Callable[[list[Shard], BuildSettings], Iterable[ShardNote]]


@dataclass(frozen=True)
class BuildResult:
    """The result of a build.

    Args:
        rows: number of rows of the whole data set.
        rejected: number of records that were left out.
        unanswered: number of rejected records to which an endpoint gave no answer; another run asks again.
        built: number of shards made by this run.
        resumed: number of shards that were complete already.
        spent: CPU seconds per stage, tokens and cost, of the whole data set.
    """

    folder: Path
    rows: int
    rejected: int
    unanswered: int
    built: int
    resumed: int
    spent: dict[str, float]


def build_dataset(
    settings: BuildSettings, *, engine: Engine | None = None, fresh: bool = False, progress: Progress | None = None
) -> BuildResult:
    """
    Builds the data set of `settings` in `settings.output`, or continues an interrupted build. The files have the same bytes
    however often the build was interrupted, and with any number of `workers` and any engine.

    Args:
        settings: sources, teacher, splits and output.
        engine: what makes the shards: by default `settings.workers` processes of this machine, else a `RayEngine`.
        fresh: delete earlier output and start again.
        progress: called with (what, done, in all).

    Raises:
        BuildError: the folder is in use, belongs to other settings or sources, no row is left, or the disk is full.
    """
    report = progress or (lambda what, done, total: None)
    with ExitStack() as held:
        try:
            held.enter_context(one_writer(settings.folder / ".build" / "build", BuildError))
        except BuildError as error:
            if fresh or not _cannot_be_written(error) or not (settings.folder / CHECKSUMS).is_file():
                raise
            return _verified(settings, report)
        return _built(settings, engine or local_engine, fresh, report)


def _built(settings: BuildSettings, engine: Engine, fresh: bool, report: Progress) -> BuildResult:
    if fresh:
        _clear(settings.folder)
    _check_same_settings(settings)
    plan = make_plan(settings, lambda count: report("records listed", count, 0))
    _check_same_sources(plan, settings)
    found = {shard.name: finished_note(shard, settings) for shard in plan.shards}
    notes = {name: note for name, note in found.items() if note is not None and not note.unanswered}
    todo = [shard for shard in plan.shards if shard.name not in notes]
    _check_same_files([shard for shard in plan.shards if shard.name in notes], settings)
    resumed, done = len(notes), sum(len(s.records) for s in plan.shards if s.name in notes)
    report("records", done, plan.records)
    by_file = {shard.file: shard for shard in todo}
    for note in engine(todo, settings):
        shard = by_file[note.file]
        notes[shard.name] = note
        done += len(shard.records)
        report("records", done, plan.records)
    ordered = [notes[shard.name] for shard in plan.shards]
    _remove_halves(settings.folder)
    statistics, rejections = write_report(plan, ordered, settings)
    written = [note for note in ordered if note.rows]
    if not written:
        raise _nothing_left(settings.folder, rejections)
    write_card(written, statistics, settings)
    return _result(settings, ordered, rejected=len(rejections), built=len(todo), resumed=resumed)


def _result(
    settings: BuildSettings, notes: Sequence[ShardNote], rejected: int, built: int, resumed: int
) -> BuildResult:
    return BuildResult(
        folder=settings.folder,
        rows=sum(note.rows for note in notes),
        rejected=rejected,
        unanswered=sum(note.unanswered for note in notes),
        built=built,
        resumed=resumed,
        spent=spent_on(settings.folder),
    )


def _cannot_be_written(error: BuildError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.EROFS, errno.EACCES, errno.EPERM)


def _verified(settings: BuildSettings, report: Progress) -> BuildResult:
    """A finished build in a folder that cannot be written: its settings, sources and files, checked against what they were.

    Raises:
        BuildError: they differ, or a shard is not finished.
    """
    _check_same_settings(settings)
    plan = make_plan(settings, lambda count: report("records listed", count, 0))
    _check_same_sources(plan, settings)
    notes = [finished_note(shard, settings) for shard in plan.shards]
    finished = [note for note in notes if note is not None]
    if len(finished) < len(notes):
        raise BuildError(
            f"{settings.folder}: {len(notes) - len(finished)} shards are not finished and nothing can be written here; make the "
            "folder writable, or choose another `output`."
        )
    _check_same_files(plan.shards, settings)
    lines = (settings.folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        digest, _, name = line.partition("  ")
        if not _has_digest(settings.folder / name, digest):
            raise BuildError(
                f"{settings.folder}: {name} is not the file that was built; copy it again, or build it again with --fresh."
            )
        report("files checked", number, len(lines))
    rejected = len(plan.rejections) + sum(len(note.rejections) for note in finished)
    return _result(settings, finished, rejected, built=0, resumed=len(finished))


def _has_digest(path: Path, digest: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


def _nothing_left(folder: Path, rejections: Sequence[Rejection]) -> BuildError:
    first = rejections[0]
    return BuildError(
        f"{folder}: no row is left, all {len(rejections):,} records were left out; {first.id} for example, at {first.stage}: "
        f"{first.reason[:300].rstrip('.')}. The others are in {REJECTS_IN_FULL}. Fix the cause and run the same command with --fresh; answers that an endpoint gave are in "
        "its cache."
    )


def build_shard(shard: Shard, settings: BuildSettings) -> ShardNote:
    """All stages of one shard, in this process; its note."""
    return write_shard(answer(measure(shard.records, settings), settings), shard, settings)


def measure_shard(shard: Shard, settings: BuildSettings) -> Batch:
    return measure(shard.records, settings)


def local_engine(shards: list[Shard], settings: BuildSettings) -> Iterator[ShardNote]:
    """Shards in `settings.workers` processes; with 1, in this one.

    A model or endpoint teaches in this process alone, so that its memory, rate limits and budget exist once; the others
    measure meanwhile.
    """
    if settings.workers == 1 or len(shards) < 2:
        for shard in shards:
            yield build_shard(shard, settings)
        return
    if settings.teacher["kind"] in ("template", "none"):
        yield from (note for _, note in _pooled(partial(build_shard, settings=settings), shards, settings.workers))
        return
    for shard, batch in _pooled(partial(measure_shard, settings=settings), shards, settings.workers):
        yield write_shard(answer(batch, settings), shard, settings)


def _pooled(work: Callable[[Shard], Made], shards: list[Shard], workers: int) -> Iterator[tuple[Shard, Made]]:
    """Shards and what `work` made of them; few at a time, for a measured shard is some 100 MB."""
    for shard, made in in_processes(work, shards, workers, ahead=workers + 1):
        if isinstance(made, BrokenProcessPool):
            raise BuildError(
                f"A process died while it made {shard.file} (out of memory?). All shards that were finished "
                "are complete; run the same command again with fewer `workers`, or build again from scratch with a smaller `shard_size`."
            ) from made
        yield shard, made


def spent_on(folder: Path) -> dict[str, float]:
    """The sum over all shards; stored outside of the data set's own files, which must not vary."""
    total: dict[str, float] = {}
    for path in sorted((folder / ".build" / "shards").glob("*.spent")):
        for name, amount in json.loads(path.read_text()).items():
            total[name] = total.get(name, 0.0) + amount
    return total


def _clear(folder: Path) -> None:
    """Removes only the files of builds; a folder that no build began is left alone."""
    if not (folder / ".build" / "settings.json").is_file():
        return
    for name in ("data", "plots", ".build/shards"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (*OWN_FILES, REJECTS_IN_FULL, ".build/settings.json", ".build/sources"):
        (folder / name).unlink(missing_ok=True)


def _check_same_settings(settings: BuildSettings) -> None:
    path = settings.folder / ".build" / "settings.json"
    content = settings.content()
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        now = json.loads(json.dumps(content))
        changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        if changed:
            raise BuildError(
                f"{settings.folder}: begun with other settings; changed: {', '.join(sorted(changed))}. Finish it with the old "
                "ones, choose another `output`, or start again with --fresh."
            )
        return
    if any((settings.folder / "data").glob("**/*.parquet")):
        raise BuildError(
            f"{settings.folder}: holds Parquet files of something else in data/; choose an empty `output`."
        )
    with atomic_file(path) as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False).encode())


def _check_same_sources(plan: BuildPlan, settings: BuildSettings) -> None:
    path = settings.folder / ".build" / "sources"
    if not path.is_file():
        with atomic_file(path) as file:
            file.write(plan.fingerprint().encode())
    elif path.read_text() != plan.fingerprint():
        raise BuildError(
            f"{settings.folder}: the sources list other records than when this build began. Restore them, or start again "
            "with --fresh."
        )


def _check_same_files(finished: Sequence[Shard], settings: BuildSettings) -> None:
    for shard in finished:
        changed = changed_file(shard, settings)
        if changed is not None:
            raise BuildError(
                f"{settings.folder}: {changed} has changed since {shard.file} was made of it, or is gone. Restore it, or start again "
                "with --fresh."
            )


def _remove_halves(folder: Path) -> None:
    """Half-written files of builds that were killed."""
    for path in folder.rglob(".*.part"):
        path.unlink(missing_ok=True)


__all__ = ["BuildResult", "build_dataset", "build_shard", "local_engine", "spent_on"]
