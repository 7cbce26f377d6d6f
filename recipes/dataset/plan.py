# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The plan of a build, made before any ECG is read: the records of all sources, their splits and their shards."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from processing.errors_gem import BuildError
from recipes.sources import Rejection, SourceRecord, import_source

from .schema import SPLITS, Split
from .settings import BuildSettings, SourceSettings

# A patient whose records the publishers put into several splits goes to the one that is furthest from training.
_HELD_OUT_FIRST: tuple[Split, ...] = ("test", "validation", "train")


def patient_key(record: SourceRecord) -> str:
    """The patient of a record: the source's patient number, or the record's own id if there is none."""
    return f"{record.source}:{record.patient_id or record.id}"


def patient_hash(record: SourceRecord, salt: str) -> str:
    """The hash that replaces the patient number in the data set."""
    return hashlib.sha256(f"{salt}:patient:{patient_key(record)}".encode()).hexdigest()[:16]


def hashed_split(patient: str, fractions: Mapping[str, float], salt: str) -> Split:
    """The split of a patient by a hash of the key: even over patients, independent of order and machine."""
    drawn = int.from_bytes(hashlib.sha256(f"{salt}:split:{patient}".encode()).digest()[:8], "big") / 2**64
    reached = 0.0
    for split in SPLITS:
        reached += fractions.get(split, 0.0)
        if drawn < reached:
            return split
    return next(split for split in reversed(SPLITS) if fractions.get(split, 0.0) > 0)


def split_by_patient(
    records: Sequence[SourceRecord], method: str, fractions: Mapping[str, float], salt: str
) -> tuple[list[Split | Rejection], int]:
    """The split of each record; all records of a patient are in one.

    Args:
        records: all records of the sources.
        method: `official`: the publishers' split where the patient's records have one, else by hash; `hash`: by hash for
            all records.
        fractions: split -> its share of the patients that are assigned by hash.
        salt: added to the patient id before hashing; another salt gives another split.

    Returns:
        The split of each record, or the reason why it has none (it compares ECGs of patients in different splits), and the
        number of patients whom the publishers put in several splits.
    """
    published: dict[str, set[str]] = {}
    if method == "official":
        for record in records:
            if record.split in SPLITS:
                published.setdefault(patient_key(record), set()).add(record.split)

    def split_of(patient: str) -> Split:
        stated = published.get(patient, ())
        return next((split for split in _HELD_OUT_FIRST if split in stated), None) or hashed_split(
            patient, fractions, salt
        )

    return [_one_split(record, split_of) for record in records], sum(len(splits) > 1 for splits in published.values())


def _one_split(record: SourceRecord, split_of: Callable[[str], Split]) -> Split | Rejection:
    patients = [patient_key(record), *(f"{record.source}:{other}" for other in record.other_patients)]
    splits = {split_of(patient) for patient in patients}
    if len(splits) == 1:
        return splits.pop()
    return Rejection(
        record.id,
        record.source,
        "split",
        "several_splits",
        f"compares ECGs of patients in different splits ({_names(splits)}).",
    )


def _names(splits: Iterable[str]) -> str:
    return ", ".join(sorted(splits))


@dataclass(frozen=True)
class Shard:
    """One Parquet file to be: part `number` of `of` of a configuration's split."""

    config: str
    split: Split
    number: int
    of: int
    records: tuple[SourceRecord, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """`CONFIG-SPLIT-NUMBER`, which names the shard's files."""
        return f"{self.config}-{self.split}-{self.number:05d}"

    @property
    def file(self) -> str:
        """Path in the data set's folder, as `datasets` names shards."""
        return f"data/{self.config}/{self.split}-{self.number:05d}-of-{self.of:05d}.parquet"


@dataclass(frozen=True)
class BuildPlan:
    """The shards in order, and what was left out before an ECG was read.

    Args:
        patients_in_several_splits: in the publishers' own splits; each went to the most held-out one.
    """

    shards: tuple[Shard, ...]
    rejections: tuple[Rejection, ...]
    patients_in_several_splits: int

    @property
    def records(self) -> int:
        """Records of all shards."""
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
    """Lists the sources' records, splits them by patient and divides them into shards.

    Args:
        settings: of the build.
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
                    Rejection(item.id, item.source, "import", "twice", "this id occurs twice; the first was taken.")
                )
            else:
                seen.add(item.id)
                listed.append((source.name, item))
                if progress is not None and len(listed) % 1000 == 0:
                    progress(len(listed))
    records = [record for _, record in listed]
    choice = settings.split
    splits, moved = split_by_patient(records, choice.method, choice.fractions, choice.salt)
    grouped: dict[tuple[str, Split], list[SourceRecord]] = {
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


def _shards(config: str, split: Split, records: list[SourceRecord], settings: BuildSettings) -> Iterator[Shard]:
    size = settings.shard_size
    of = -(-len(records) // size)
    for number in range(of):
        yield Shard(config, split, number, of, tuple(records[number * size : (number + 1) * size]))


__all__ = ["BuildPlan", "Shard", "hashed_split", "make_plan", "patient_hash", "patient_key", "split_by_patient"]
