# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The stages between a source's record and a row: import, features, page, teach (with its checks). No stage is fatal."""

import hashlib
import io
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import BuildError, GemError

from .build_settings import BuildSettings, PageSettings
from .grounded_answer import QUESTIONS, grounded_answer
from .importers import Rejection, SourceRecord
from .importers.source_record import Message
from .importers.statements import scp_statements


@dataclass
class Draft:
    """A row in the making."""

    entry: SourceRecord
    records: list[EcgRecord]
    features: EcgFeatures | None = None
    image: bytes | None = None
    messages: tuple[Message, ...] = ()
    teacher: dict[str, Any] = field(default_factory=dict)


@dataclass
class Batch:
    """The drafts of a shard, what fell out of them, and CPU seconds per stage."""

    drafts: list[Draft] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def reject(self, entry: SourceRecord, stage: str, reason: str, answer: str = "") -> None:
        self.rejections.append(Rejection(entry.id, entry.source, stage, reason, answer))

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        started = time.process_time()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.process_time() - started

    def keep(self, stage: str, work: Callable[[Draft], None]) -> None:
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
                    self.reject(draft.entry, stage, _reason(error))
        self.drafts = kept


def measure(entries: Iterable[SourceRecord], settings: BuildSettings) -> Batch:
    """Import, features and page: everything that needs only this machine."""
    batch = Batch()
    with batch.timed("import"):
        for entry in entries:
            try:
                batch.drafts.append(Draft(entry, [_prepared(ecg.load(), settings) for ecg in entry.ecgs]))
            except MemoryError:
                raise
            except Exception as error:
                batch.reject(entry, "import", _reason(error))
    batch.keep("features", _measure)
    if settings.page.embed:
        batch.keep("page", lambda draft: _draw(draft, settings.page))
    return batch


def teach(batch: Batch, settings: BuildSettings) -> Batch:
    """The answers: published conversations stay, the others are written by the teacher of the settings."""
    kind = settings.teacher["kind"]
    for draft in batch.drafts:
        if draft.entry.messages:
            draft.messages = draft.entry.messages
            draft.teacher = _provenance(draft.entry.provenance)
    if kind != "none":
        batch.keep("teach", _template_answer)
    return batch


def _reason(error: Exception) -> str:
    """Ours as they are; what a library raised, with its kind: one broken record must not end a long build."""
    return str(error) if isinstance(error, GemError) else f"{type(error).__name__}: {error}"


def _prepared(record: EcgRecord, settings: BuildSettings) -> EcgRecord:
    """Standard lead order where all twelve are there, otherwise as recorded; resampled only if asked for."""
    record.check_quality()
    if set(STANDARD_LEADS) <= set(record.leads):
        record = record.select_leads(STANDARD_LEADS)
    return record if settings.sampling_rate is None else record.resample(settings.sampling_rate)


def _measure(draft: Draft) -> None:
    draft.features = extract_features(draft.records[0])


def _draw(draft: Draft, page: PageSettings) -> None:
    """The published picture where there is one, else ours."""
    if draft.entry.image is not None:
        draft.image = Path(draft.entry.image).read_bytes()
        return
    buffer = io.BytesIO()
    page.style.draw(draft.records[0]).save(buffer, format="PNG")
    draft.image = buffer.getvalue()


def _template_answer(draft: Draft) -> None:
    if draft.messages:
        return
    features = draft.features
    if features is None or not len(features.beat_times):
        raise BuildError(f"no heartbeat found ({features.note if features else 'not measured'}).")
    codes = scp_statements(draft.entry.labels, draft.entry.label_system)
    answer = grounded_answer(features, codes).full_text()
    draft.messages = ({"role": "user", "content": _question(draft.entry.id)}, {"role": "assistant", "content": answer})
    draft.teacher = _provenance("template")


def _question(record_id: str) -> str:
    """One of the wordings, always the same for a record."""
    wordings = QUESTIONS["full_text"]
    return wordings[int.from_bytes(hashlib.sha256(record_id.encode()).digest()[:4], "big") % len(wordings)]


def _provenance(name: str, model: str = "", prompt: str = "", checks: Iterable[str] = ()) -> dict[str, Any]:
    return {"name": name, "model": model, "prompt": prompt, "checks": list(checks)}


__all__ = ["Batch", "Draft", "measure", "teach"]
