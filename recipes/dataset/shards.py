# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Shards as Parquet: drafts -> rows -> one file, written at once or not at all, the same bytes every time."""

import errno
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from processing.ecg_identity import unquoted
from processing.ecg_record import EcgRecord
from processing.errors_gem import BuildError
from recipes.files import atomic_path
from recipes.sources import Rejection
from recipes.sources.statements import in_words

from .plan import Shard, patient_hash
from .schema import schema, to_counts
from .settings import BuildSettings
from .source_files import first_changed, from_json, to_json
from .stages import Batch, RowDraft

# 64 records, about 3 MB: what a streaming reader fetches at least.
ROW_GROUP = 64
# Counts differ little from sample to sample: deltas halve what zstd alone makes of them (benchmarks/bench_dataset.py).
DELTA_ENCODED = ("signal.list.element.list.element",)
ZSTD_LEVEL = 3


@dataclass(frozen=True)
class ShardNote:
    """The note beside a complete shard, by which another run recognises it.

    Args:
        file: path in the data set's folder; there is none where every record was left out.
        sha256: of the file; empty without one.
        unanswered: of the rejections, those for which an endpoint gave no answer.
    """

    file: str
    rows: int
    bytes: int
    sha256: str
    unanswered: int
    rejections: tuple[Rejection, ...]

    def to_json(self) -> str:
        """The note as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The note that `to_json` wrote."""
        content = json.loads(text)
        return cls(**content | {"rejections": tuple(Rejection(**one) for one in content["rejections"])})


def write_shard(batch: Batch, shard: Shard, settings: BuildSettings) -> ShardNote:
    """
    Writes the shard's file and, after it, the note that it is complete. Where every record was left out there is no file:
    `datasets` cannot read Parquet without rows.

    Raises:
        BuildError: the disk is full or the folder cannot be written; complete shards stay as they are.
    """
    with batch.timed("write"):
        content = _write_rows(batch.drafts, shard, settings)
    note = ShardNote(
        file=shard.file,
        rows=len(batch.drafts),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest() if content else "",
        unanswered=batch.unanswered,
        rejections=tuple(batch.rejections),
    )
    with atomic_file(note_path(shard, settings).with_suffix(".files")) as file:
        file.write(to_json(batch.files).encode())
    with atomic_file(note_path(shard, settings)) as file:
        file.write(note.to_json().encode())
    with atomic_file(note_path(shard, settings).with_suffix(".spent")) as file:
        file.write(json.dumps(batch.spent).encode())
    return note


def _write_rows(drafts: Sequence[RowDraft], shard: Shard, settings: BuildSettings) -> bytes:
    """What was written, empty where there is nothing to write."""
    path = settings.folder / shard.file
    if not drafts:
        path.unlink(missing_ok=True)
        return b""
    table = to_table(
        [to_row(draft, shard, settings) for draft in drafts], schema(settings.page.embed, settings.several_ecgs)
    )
    with atomic_file(path) as file:
        write_parquet(table, file)
    return path.read_bytes()


def note_path(shard: Shard, settings: BuildSettings) -> Path:
    """Where the note of a shard lies in the build's folder."""
    return settings.folder / ".build" / "shards" / f"{shard.name}.json"


def finished_note(shard: Shard, settings: BuildSettings) -> ShardNote | None:
    """The note of a shard that is complete, `None` for one to be built (again)."""
    try:
        note = ShardNote.from_json(note_path(shard, settings).read_text(encoding="utf-8"))
        complete = not note.rows or (settings.folder / shard.file).stat().st_size == note.bytes
    except (OSError, json.JSONDecodeError):
        return None
    return note if complete else None


def changed_file(shard: Shard, settings: BuildSettings) -> str | None:
    """A file that the finished shard was made of and that has changed since, or is gone."""
    return first_changed(from_json(note_path(shard, settings).with_suffix(".files").read_text(encoding="utf-8")))


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """
    `atomic_path`, opened; its errors say how to continue a build.

    Raises:
        BuildError: no space, or not writable.
    """
    try:
        with atomic_path(path) as part, part.open("wb") as file:
            yield file
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else f"cannot be written ({error.strerror or error})"
        cure = "free some space" if full else "make the folder writable"
        raise BuildError(
            f"{path}: {what}. All shards that were finished are complete; {cure} and run the same command again: it continues "
            "there."
        ) from error


def to_table(rows: Sequence[dict[str, Any]], features: Features) -> pa.Table:
    """Rows as an Arrow table of the schema; signals go in as arrays, not as Python numbers."""
    target = features.arrow_schema
    columns = []
    for field in target:
        values = [row[field.name] for row in rows]
        if field.name == "signal":
            columns.append(_signal_array(values))
        elif isinstance(field.type, pa.JsonType):
            columns.append(pa.array(values, pa.string()).cast(field.type))
        else:
            columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=target)


def _signal_array(signals: Sequence[np.ndarray]) -> pa.ListArray:
    """int16 arrays `(leads, samples)` as list<list<int16>>."""
    samples = np.concatenate([signal.ravel() for signal in signals]) if signals else np.zeros(0, np.int16)
    lengths = [signal.shape[1] for signal in signals for _ in range(signal.shape[0])]
    leads = pa.ListArray.from_arrays(_offsets(lengths), pa.array(samples, pa.int16()))
    return pa.ListArray.from_arrays(_offsets([len(signal) for signal in signals]), leads)


def _offsets(lengths: Iterable[int]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(list(lengths), dtype=np.int64)]).astype(np.int32))


def write_parquet(table: pa.Table, file: IO[bytes]) -> None:
    """One Parquet file; the same table always gives the same bytes."""
    leaves = _leaf_paths(table.schema)
    deltas = [leaf for leaf in leaves if leaf in DELTA_ENCODED]
    pq.write_table(
        table,
        file,
        row_group_size=ROW_GROUP,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=[leaf for leaf in leaves if leaf not in deltas],
        column_encoding=dict.fromkeys(deltas, "DELTA_BINARY_PACKED"),
        write_page_index=True,
    )


def _leaf_paths(arrow: pa.Schema) -> list[str]:
    empty = pa.BufferOutputStream()
    pq.write_table(arrow.empty_table(), empty)
    parquet = pq.read_metadata(pa.BufferReader(empty.getvalue())).schema
    return [parquet.column(number).path for number in range(len(parquet))]


def to_row(draft: RowDraft, shard: Shard, settings: BuildSettings) -> dict[str, Any]:
    """A finished draft in the columns of `dataset_schema`; the signal stays an array."""
    entry, record = draft.entry, draft.records[0]
    row = _signal_columns(record) | {
        "id": entry.id,
        "source": entry.source,
        "patient": patient_hash(entry, settings.split.salt),
        # The column `id` names the record, and `gem publish` changes it there.
        "features": _json(replace(draft.features, record_id=None).to_dict(full=True))
        if draft.features is not None
        else None,
        "report": entry.report,
        "report_kind": entry.report_kind,
        "labels": [
            {"code": code, "text": in_words(code, entry.label_system), "likelihood": likelihood}
            for code, likelihood in entry.labels.items()
        ],
        "label_system": entry.label_system,
        "sex": entry.sex or record.metadata.get("sex"),
        "age": entry.age if entry.age is not None else record.metadata.get("age"),
        "messages": list(draft.messages),
        "teacher": asdict(draft.teacher) if draft.teacher is not None else None,
        "structured": _json(draft.structured) if draft.structured is not None else None,
        "split": shard.split,
        "image": {"bytes": draft.image, "path": None} if draft.image is not None else None,
        "other_ecgs": [_listed(_signal_columns(other)) for other in draft.records[1:]],
    }
    row["notes"] = [*map(unquoted, record.history), *row["notes"]]
    return row


def _signal_columns(record: EcgRecord) -> dict[str, Any]:
    counts, gains, exact = to_counts(record.signal)
    return {
        "signal": counts,
        "gain": gains.tolist(),
        "sampling_rate": record.sampling_rate,
        "leads": list(record.leads),
        "notes": [] if exact else [f"rounded to steps of {1000 / gains.min():.3g} microvolts or finer"],
    }


def _listed(columns: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in columns.items() if key != "notes"} | {"signal": columns["signal"].tolist()}


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


__all__ = [
    "ShardNote",
    "atomic_file",
    "changed_file",
    "finished_note",
    "note_path",
    "to_row",
    "to_table",
    "write_parquet",
    "write_shard",
]
