# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The stages between a source's record and a row: import, features, page, teach (with its checks). No stage is fatal."""

import atexit
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from operator import methodcaller
from pathlib import Path
from typing import Any, Literal

from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import EcgFormatError, EcgLeadError, EcgQualityError, GemError, MissingDependencyError
from recipes.sources import Rejection, SourceRecord
from recipes.sources.source_record import REJECTED_FOR, Message, RejectedAt, load_as_untrusted
from recipes.teachers.checks import CheckSettings, teach
from recipes.teachers.grounded_answer import QUESTIONS
from recipes.teachers.language_models import build_teacher
from recipes.teachers.teacher import Teacher, TeacherAnswer, TeacherRequest

from .settings import TEACH_OPTIONS, BuildSettings, PageSettings
from .source_files import FileState, states_of

_CODES: dict[type[Exception], str] = {
    EcgFormatError: "unreadable",
    EcgLeadError: "leads",
    EcgQualityError: "quality",
    MissingDependencyError: "library",
}
Stage = RejectedAt | Literal["teach", "write"]


@dataclass(frozen=True)
class TeacherNote:
    """The author of a row's conversation, for the column `teacher`. Of a published conversation only the name is known."""

    name: str
    version: str = ""
    prompt_hash: str = ""
    attempts: int = 0


@dataclass
class RowDraft:
    """A row in the making."""

    entry: SourceRecord
    records: list[EcgRecord]
    features: EcgFeatures | None = None
    image: bytes | None = None
    messages: tuple[Message, ...] = ()
    teacher: TeacherNote | None = None
    structured: Mapping[str, Any] | None = None


@dataclass
class Batch:
    """The drafts of a shard, the rejected records, and the cost.

    Args:
        files: the files that were read, as they were before.
        unanswered: rejected because an endpoint did not answer at all; another run may have more luck.
        spent: CPU seconds per stage, tokens and cost.
    """

    drafts: list[RowDraft] = field(default_factory=list)
    files: Mapping[str, FileState] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    unanswered: int = 0
    spent: dict[str, float] = field(default_factory=dict)

    def count(self, answer: TeacherAnswer) -> None:
        """Adds what a teacher's answer cost."""
        self.unanswered += not answer.answered
        usage = answer.usage
        for name, amount in (("tokens", usage.prompt_tokens + usage.completion_tokens), ("cost", usage.cost or 0.0)):
            if amount:
                self.spent[name] = self.spent.get(name, 0.0) + amount

    def reject(self, entry: SourceRecord, stage: RejectedAt, code: str, reason: str, answer: str = "") -> None:
        """Notes that a record is left out, at which stage and why."""
        self.rejections.append(Rejection(entry.id, entry.source, stage, code, reason, answer))

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Adds the CPU seconds of the block to the stage."""
        started = time.process_time()
        yield
        self.spent[stage] = self.spent.get(stage, 0.0) + time.process_time() - started

    def keep(self, stage: RejectedAt, work: Callable[[RowDraft], None]) -> None:
        """`work` on every draft; one that raises is reported and left out."""
        kept = []
        with self.timed(stage):
            for draft in self.drafts:
                try:
                    work(draft)
                    kept.append(draft)
                except MemoryError:
                    raise
                except Exception as error:
                    self.reject(draft.entry, stage, _code(error), _reason(error))
        self.drafts = kept


def measure(entries: Sequence[SourceRecord], settings: BuildSettings) -> Batch:
    """Imports, measures and draws: all stages that need only this machine."""
    batch = Batch(files=states_of(entries))
    load = load_as_untrusted if settings.untrusted else methodcaller("load")
    with batch.timed("import"):
        for entry in entries:
            try:
                batch.drafts.append(
                    RowDraft(entry, [_prepared(load(ecg), settings) for ecg in (entry.first_ecg, *entry.ecgs[1:])])
                )
            except MemoryError:
                raise
            except Exception as error:
                batch.reject(entry, "import", _code(error), _without_folders(_reason(error), entry))
    batch.keep("features", _measure)
    if settings.page.embed:
        batch.keep("page", lambda draft: _draw(draft, settings.page))
    return batch


def answer(batch: Batch, settings: BuildSettings) -> Batch:
    """The answers, checked: published conversations stay, the others are written by the teacher of the settings.

    Raises:
        TeacherError: no answer can be written at all (settings, key, budget, or data that may not leave this machine).
    """
    for draft in batch.drafts:
        if draft.entry.messages:
            draft.messages = draft.entry.messages
            draft.teacher = TeacherNote(draft.entry.provenance)
    waiting = {draft.entry.id: draft for draft in batch.drafts if not draft.messages}
    if settings.teacher["kind"] == "none" or not waiting:
        return batch
    with batch.timed("teach"):
        for given in checked(waiting.values(), settings, teacher_of(settings)):
            draft = waiting[given.key]
            batch.count(given)
            if given.accepted:
                _take(draft, given)
            else:
                reason = given.rejected_reason or ""
                batch.reject(draft.entry, "verify", _code_of_answer(reason), reason, given.text)
    batch.drafts = [draft for draft in batch.drafts if draft.messages]
    return batch


def checked(drafts: Iterable[RowDraft], settings: BuildSettings, teacher: Teacher) -> Iterator[TeacherAnswer]:
    """The teacher's answers to measured drafts, with the checks of the settings."""
    requests = (
        TeacherRequest(
            key=draft.entry.id,
            features=draft.features,
            report=draft.entry.report if draft.entry.report_kind != "labels" else "",
            labels=draft.entry.labels,
            source=draft.entry.source,
            label_system=draft.entry.label_system,
        )
        for draft in drafts
        if draft.features is not None
    )
    own = settings.teacher
    return teach(
        requests,
        teacher,
        settings=CheckSettings(**own.get("checks", {})),
        attempts=own.get("attempts", 2),
        allow_credentialed_remote=own.get("allow_credentialed_remote", False),
    )


def teacher_of(settings: BuildSettings) -> Teacher:
    """The teacher of a process: loading a model or opening a cache is done once."""
    own = {key: value for key, value in settings.teacher.items() if key not in TEACH_OPTIONS}
    return _teacher_of(json.dumps(own, sort_keys=True))


@lru_cache(maxsize=1)
def _teacher_of(settings: str) -> Teacher:
    teacher = build_teacher(json.loads(settings))
    atexit.register(teacher.close)
    return teacher


def _take(draft: RowDraft, answer: TeacherAnswer) -> None:
    draft.messages = (
        {"role": "user", "content": _question(draft.entry.id)},
        {"role": "assistant", "content": answer.text},
    )
    draft.structured = answer.structured
    draft.teacher = TeacherNote(answer.teacher, answer.version, answer.prompt_hash, answer.attempts)


def _reason(error: Exception) -> str:
    """Ours as they are; what a library raised, with its kind: one broken record must not end a long build."""
    return str(error) if isinstance(error, GemError) else f"{type(error).__name__}: {error}"


def _code(error: Exception) -> str:
    """Of `REJECTED_FOR`, by the kind of error."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), "failed")


def _code_of_answer(reason: str) -> str:
    """Of `REJECTED_FOR`: the first check that the last attempt did not pass."""
    code = f"answer_{reason.rsplit('|| ', 1)[-1].split(':')[0]}"
    return code if code in REJECTED_FOR else "no_answer"


def _without_folders(reason: str, entry: SourceRecord) -> str:
    """Rejects are equal wherever they are built: files by their names alone."""
    for ecg in entry.ecgs:
        reason = reason.replace(f"{Path(ecg.path).parent}{os.sep}", "")
    return reason


def _prepared(record: EcgRecord, settings: BuildSettings) -> EcgRecord:
    """Standard lead order where all twelve are there, otherwise as recorded; resampled only if asked for."""
    record.check_quality()
    if set(STANDARD_LEADS) <= set(record.leads):
        record = record.select_leads(STANDARD_LEADS)
    return record if settings.sampling_rate is None else record.resample(settings.sampling_rate)


def _measure(draft: RowDraft) -> None:
    draft.features = extract_features(draft.records[0]).check_plausibility()


def _draw(draft: RowDraft, page: PageSettings) -> None:
    """The published picture where there is one, else ours."""
    if draft.entry.image is not None:
        draft.image = Path(draft.entry.image).read_bytes()
        return
    buffer = io.BytesIO()
    page.style.draw(draft.records[0]).save(buffer, format="PNG")
    draft.image = buffer.getvalue()


def _question(record_id: str) -> str:
    """One of the wordings, always the same for a record."""
    wordings = QUESTIONS["full_text"]
    return wordings[int.from_bytes(hashlib.sha256(record_id.encode()).digest()[:4], "big") % len(wordings)]


__all__ = ["Batch", "RowDraft", "checked", "measure", "teach", "teacher_of"]
