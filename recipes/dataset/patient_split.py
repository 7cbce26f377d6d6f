# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Splits by patient: every record of a patient goes to one split, the same one wherever and whenever it is built."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from recipes.sources import Rejection, SourceRecord

from .schema import SPLITS

# A patient whose records the publishers put into several splits goes to the one that is furthest from training.
_HELD_OUT_FIRST = ("test", "validation", "train")


def patient_key(record: SourceRecord) -> str:
    """Whose record it is: the source's number of the patient, or the record itself where there is none."""
    return f"{record.source}:{record.patient_id or record.id}"


def patient_hash(record: SourceRecord, salt: str) -> str:
    """What the data set says instead of the patient's number."""
    return hashlib.sha256(f"{salt}:patient:{patient_key(record)}".encode()).hexdigest()[:16]


def hashed_split(patient: str, fractions: Mapping[str, float], salt: str) -> str:
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
) -> tuple[list[str | Rejection], int]:
    """
    Args:
        method: `official`: the publishers' split of the patient's records where they made one, else by hash; `hash`:
            by hash throughout.

    Returns:
        The split of each record, or why it can be in none (it compares ECGs of patients in different splits), and how
        many patients the publishers had in several splits.
    """
    published: dict[str, set[str]] = {}
    if method == "official":
        for record in records:
            if record.split in SPLITS:
                published.setdefault(patient_key(record), set()).add(record.split)

    def split_of(patient: str) -> str:
        stated = published.get(patient, ())
        return next((split for split in _HELD_OUT_FIRST if split in stated), None) or hashed_split(
            patient, fractions, salt
        )

    return [_one_split(record, split_of) for record in records], sum(len(splits) > 1 for splits in published.values())


def _one_split(record: SourceRecord, split_of: Callable[[str], str]) -> str | Rejection:
    patients = [patient_key(record), *(f"{record.source}:{other}" for other in record.other_patients)]
    splits = {split_of(patient) for patient in patients}
    if len(splits) == 1:
        return splits.pop()
    return Rejection(
        record.id, record.source, "split", f"compares ECGs of patients in different splits ({_listed(splits)})."
    )


def _listed(splits: Iterable[str]) -> str:
    return ", ".join(sorted(splits))


__all__ = ["hashed_split", "patient_hash", "patient_key", "split_by_patient"]
