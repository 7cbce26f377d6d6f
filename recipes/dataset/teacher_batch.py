# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A build with a batch endpoint: writes the open questions of its teacher to files, and imports the replies into its store."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from processing.errors_gem import BuildError
from processing.guider.guider import DiagnosisGuider
from recipes.chat.batch import BatchExport, BatchImport, export_batch, import_batch
from recipes.chat.client import ChatClient
from recipes.chat.replies import ChatFailure, ChatReply, Key, Messages, Schema
from recipes.chat.store import request_key
from recipes.teachers.language_models import LanguageModelTeacher

from .plan import make_plan
from .settings import BuildSettings
from .stages import checked, measure, teacher_of


def export_requests(
    settings: BuildSettings, path: str | Path, progress: Callable[[str, int, int], None] | None = None
) -> BatchExport:
    """
    Writes every request that a build of `settings` would send next: the first question for each record, or the second one if
    the store holds a first answer that fails the checks.

    Args:
        settings: of the build.
        path: JSONL file; long lists continue in files with `-2`, `-3` ... added to the name.
        progress: called with (what, done, in all).

    Raises:
        BuildError: the teacher of the settings is not an endpoint with a store on disk.
        TeacherError: the requests could cost more than the budget, or the data may not leave this machine.
    """
    client, guider = _endpoint(settings)
    return export_batch(client, _unasked(settings, client, guider, progress), path, guider.schema)


def import_replies(settings: BuildSettings, path: str | Path) -> BatchImport:
    """
    Stores the replies in a batch's output file; the build then finds them there.

    Raises:
        BuildError: the teacher of the settings is not an endpoint with a store on disk.
        TeacherError: the file is not the output of a batch.
    """
    return import_batch(_endpoint(settings)[0], path)


def _endpoint(settings: BuildSettings) -> tuple[ChatClient, DiagnosisGuider]:
    teacher = teacher_of(settings)
    if isinstance(teacher, LanguageModelTeacher):
        model, guider = teacher.model, teacher.guider
        if isinstance(model, ChatClient) and model.settings.cache_dir is not None:
            return model, guider
    raise BuildError("Batches need `teacher: {kind: remote, chat: {cache_dir: ...}}`: replies are kept in cache_dir.")


def _unasked(
    settings: BuildSettings,
    client: ChatClient,
    guider: DiagnosisGuider,
    progress: Callable[[str, int, int], None] | None,
) -> Iterator[tuple[object, Messages]]:
    plan, done = make_plan(settings), 0
    without_pages = settings.with_images(False)
    for shard in plan.shards:
        asked_before = _AskedBefore(client)
        drafts = [draft for draft in measure(shard.records, without_pages).drafts if not draft.entry.messages]
        for _ in checked(drafts, settings, LanguageModelTeacher(asked_before, guider)):
            pass
        yield from asked_before.unasked
        done += len(shard.records)
        if progress is not None:
            progress("records", done, plan.records)


class _AskedBefore:
    """The endpoint as far as it has answered before; `unasked` gathers the rest."""

    def __init__(self, client: ChatClient) -> None:
        self.client = client
        self.name, self.is_local, self.description = client.name, client.is_local, client.description
        self.unasked: list[tuple[object, Messages]] = []

    def complete_all(
        self, requests: Iterable[tuple[Key, Messages]], schema: Schema | None = None
    ) -> Iterator[tuple[Key, ChatReply | ChatFailure]]:
        for key, messages in requests:
            stored = self.client.store.get(request_key(self.client.settings, messages, schema))
            if stored is None:
                self.unasked.append((key, messages))
                yield key, ChatFailure("connection", "not asked yet")
            else:
                yield key, stored.judged(schema, cached=True)

    def close(self) -> None:
        """The endpoint stays open."""


__all__ = ["export_requests", "import_replies"]
