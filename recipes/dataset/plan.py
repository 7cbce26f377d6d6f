# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What will be built, before any ECG is read: the records of all sources, their splits, and the shards they go to."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from processing.errors_gem import BuildError
from recipes.sources import Rejection, SourceRecord, import_source

from .patient_split import split_by_patient
from .schema import SPLITS
from .settings import BuildSettings, SourceSettings


@dataclass(frozen=True)
class Shard:
    """One Parquet file to be: part `number` of `of` of a configuration's split."""

    config: str
    split: str
    number: int
    of: int
    records: tuple[SourceRecord, ...] = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.config}-{self.split}-{self.number:05d}"

    @property
    def file(self) -> str:
        """Path in the data set's folder, as `datasets` names shards."""
        return f"data/{self.config}/{self.split}-{self.number:05d}-of-{self.of:05d}.parquet"


@dataclass(frozen=True)
class BuildPlan:
    """The shards in order, and what fell out before an ECG was read.

    Args:
        patients_in_several_splits: in the publishers' own splits; each went to the most held-out one.
    """

    shards: tuple[Shard, ...]
    rejections: tuple[Rejection, ...]
    patients_in_several_splits: int

    @property
    def records(self) -> int:
        return sum(len(shard.records) for shard in self.shards)

    def fingerprint(self) -> str:
        """Changes when the sources do: ids, patients, reports, labels, conversations and splits, not where files lie."""
        digest = hashlib.sha256()
        for shard in self.shards:
            digest.update(f"{shard.file}\n".encode())
            for r in shard.records:
                said = (r.id, r.source, r.patient_id, r.report, sorted(r.labels.items()), r.messages, r.sex, r.age)
                digest.update(f"{said}\n".encode())
        return digest.hexdigest()


def make_plan(settings: BuildSettings, progress: Callable[[int], None] | None = None) -> BuildPlan:
    """
    Args:
        progress: called with the number of records listed so far.

    Raises:
        BuildError: no record is left.
        EcgFormatError: a source lacks its table.
    """
    listed: list[tuple[str, SourceRecord]] = []
    rejections: list[Rejection] = []
    seen: set[str] = set()
    for source in settings.sources:
        for item in _listed(source):
            if isinstance(item, Rejection):
                rejections.append(item)
            elif item.id in seen:
                rejections.append(
                    Rejection(item.id, item.source, "import", "this id stands twice; the first was taken.")
                )
            else:
                seen.add(item.id)
                listed.append((source.name, item))
                if progress is not None and len(listed) % 1000 == 0:
                    progress(len(listed))
    records = [record for _, record in listed]
    choice = settings.split
    splits, moved = split_by_patient(records, choice.method, choice.fractions, choice.salt)
    grouped: dict[tuple[str, str], list[SourceRecord]] = {
        (source.name, split): [] for source in settings.sources for split in SPLITS
    }
    for (name, record), split in zip(listed, splits, strict=True):
        if isinstance(split, Rejection):
            rejections.append(split)
        else:
            grouped[name, split].append(record)
    shards = tuple(
        shard for (name, split), group in grouped.items() for shard in _shards(name, split, group, settings)
    )
    if not shards:
        reasons = "; ".join(f"{r.id}: {r.reason}" for r in rejections[:3]) or "the sources list none"
        raise BuildError(f"There is no record to build from ({reasons}). Check `path` and `files` of the sources.")
    return BuildPlan(shards, tuple(rejections), moved)


def _listed(source: SourceSettings) -> Iterator[SourceRecord | Rejection]:
    if not Path(source.path).exists():
        raise BuildError(f"source {source.name}: {source.path} does not exist.")
    return islice(import_source(source.format, source.path, **source.options), source.limit)


def _shards(config: str, split: str, records: list[SourceRecord], settings: BuildSettings) -> Iterator[Shard]:
    size = settings.shard_size
    of = -(-len(records) // size)
    for number in range(of):
        yield Shard(config, split, number, of, tuple(records[number * size : (number + 1) * size]))


__all__ = ["BuildPlan", "Shard", "make_plan"]
