# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A build's questions for a batch endpoint: what its teacher would still have to ask, as files; the replies into its store."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from processing.errors_gem import BuildError, TeacherError
from recipes.chat_batch import BatchExport, BatchImport, export_batch, import_batch
from recipes.chat_client import Messages
from recipes.chat_store import request_key
from recipes.teachers.language_models import RemoteTeacher, messages_for
from recipes.teachers.teacher import Draft, TeacherJob

from .plan import make_plan
from .settings import BuildSettings
from .stages import checked, measure, teacher_of


def export_requests(
    settings: BuildSettings, path: str | Path, progress: Callable[[str, int, int], None] | None = None
) -> BatchExport:
    """
    Writes every request that a build of `settings` would send now: the first questions, and, where the store holds a
    first answer that fails the checks, the second ones.

    Args:
        path: JSONL file; long lists go on in `path` with `-2`, `-3` ...
        progress: called with (what, done, in all).

    Raises:
        BuildError: the teacher of the settings is no endpoint with a store on disk.
        TeacherError: the requests could cost more than the budget; or the data may not leave this machine.
    """
    teacher = _remote(settings)
    return export_batch(teacher.client, _unasked(settings, teacher, progress), path, teacher.guider.schema)


def import_replies(settings: BuildSettings, path: str | Path) -> BatchImport:
    """
    Stores the replies in a batch's output file; the build then finds them there.

    Raises:
        BuildError: the teacher of the settings is no endpoint with a store on disk.
        TeacherError: the file is no batch output.
    """
    return import_batch(_remote(settings).client, path)


def _remote(settings: BuildSettings) -> RemoteTeacher:
    teacher = teacher_of(settings)
    if not isinstance(teacher, RemoteTeacher) or teacher.client.settings.cache_dir is None:
        raise BuildError(
            "Batches need `teacher: {kind: remote, chat: {cache_dir: ...}}`: replies are kept in cache_dir."
        )
    return teacher


def _unasked(
    settings: BuildSettings, teacher: RemoteTeacher, progress: Callable[[str, int, int], None] | None
) -> Iterator[tuple[str, Messages]]:
    plan, done = make_plan(settings), 0
    without_pages = dataclasses.replace(settings, page=dataclasses.replace(settings.page, embed=False))
    for shard in plan.shards:
        asking = _FromStore(teacher)
        drafts = [draft for draft in measure(shard.records, without_pages).drafts if not draft.entry.messages]
        for _ in checked(drafts, settings, asking):
            pass
        yield from asking.unasked
        done += len(shard.records)
        if progress is not None:
            progress("records", done, plan.records)


class _FromStore:
    """A teacher that knows only what its endpoint has answered before; `unasked` gathers the rest."""

    listens = True

    def __init__(self, teacher: RemoteTeacher) -> None:
        self.teacher = teacher
        self.name, self.version, self.remote = teacher.name, teacher.version, teacher.remote
        self.unasked: list[tuple[str, list[dict[str, Any]]]] = []

    def write(self, jobs: Iterable[TeacherJob]) -> Iterator[Draft]:
        client, guider = self.teacher.client, self.teacher.guider
        for job in jobs:
            try:
                messages = messages_for(guider, job)
            except TeacherError as error:
                yield Draft(job, "", "", failure=f"prompt: {error}")
                continue
            if client.store.get(request_key(client.settings, messages, guider.schema)) is not None:
                yield from self.teacher.write([job])
            else:
                self.unasked.append((job.request.key, messages))
                yield Draft(job, "", "", failure="not asked yet", answered=False)

    def close(self) -> None:
        """The teacher behind it stays open."""


__all__ = ["export_requests", "import_replies"]
