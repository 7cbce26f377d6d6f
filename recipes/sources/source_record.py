# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`SourceRecord`, which every importer yields: a record with its ECGs, not yet read, and the source's facts about it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import pandas as pd

from processing.ecg_raw import MAX_STATED_AGE, patient_facts
from processing.ecg_readers import load_ecg
from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgFormatError
from processing.untrusted.reading import load_untrusted

from .statements import LabelSystem

Message = dict[str, str]
ReportKind = Literal["physician", "machine", "labels", "none"]
# Where a record falls out: in the source's table or file, between splits, or at a stage of a build.
RejectedAt = Literal["import", "split", "features", "page", "verify"]
# Why, in words that hold for any file: what a published list says.
REJECTED_FOR = {
    "no_ecg": "The row names no ECG.",
    "left_out": "The file in the folder is no ECG of its own.",
    "no_file": "The file that the source names is not there.",
    "conversation": "The conversation is not of the published form.",
    "twice": "This id occurs twice; the first was taken.",
    "several_splits": "It compares ECGs of patients in different splits.",
    "unreadable": "The file cannot be read as an ECG.",
    "leads": "Its leads are not known, or one occurs twice.",
    "quality": "The signal cannot be an ECG's, or there is too little of it.",
    "library": "A library that reads this format is not installed.",
    "failed": "Reading or measuring it failed.",
    "no_answer": "The teacher gave no answer that could be used.",
    "answer_length": "The answer is too short or too long.",
    "answer_report": "The answer speaks of the report or of given figures.",
    "answer_leads": "The answer names leads that the ECG does not have.",
    "answer_diagnosis": "The answer names a diagnosis that is not among the settled findings.",
    "answer_measurements": "The answer contradicts the measurements.",
    "answer_grounding": "The answer states too few values that are measured.",
}

# Data bases under a data use agreement of PhysioNet's credentialed access, which forbids to hand records on. MIMIC-IV-ECG's
# signals and reports are open; what is linked to MIMIC-IV's hospital tables and notes is not, and a column cannot tell.
_CREDENTIALED = re.compile(r"mimic|eicu", re.IGNORECASE)


class EcgSource(Protocol):
    """The place of an ECG; small and picklable, so that it can be read in another process or on another machine."""

    @property
    def path(self) -> str:
        """The file that holds the signal."""

    def load(self) -> EcgRecord:
        """Reads the record.

        Raises:
            GemError: it cannot be read.
        """

    def exists(self) -> bool:
        """Whether the file is there."""


@dataclass(frozen=True, slots=True)
class EcgFile:
    """A file that `load_ecg` reads.

    Args:
        path: WFDB record with or without suffix, or any other ECG file.
        options: keyword arguments of `load_ecg`.
    """

    path: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> EcgRecord:
        """Reads the file with the source's options, see `load_ecg`."""
        return load_ecg(self.path, **self.options)

    def exists(self) -> bool:
        """Whether the file, or its WFDB header, is there."""
        path = Path(self.path)
        return path.is_file() or path.with_name(path.name + ".hea").is_file()


@dataclass(frozen=True, slots=True)
class _OfPatient:
    """An ECG whose source states the patient's `sex` and `age` beside it."""

    ecg: EcgSource
    sex: str | None
    age: int | None

    @property
    def path(self) -> str:
        return self.ecg.path

    def load(self) -> EcgRecord:
        return self.described(self.ecg.load())

    def described(self, record: EcgRecord) -> EcgRecord:
        """`record` with what the source states of its patient."""
        return replace(record, metadata={**record.metadata, **patient_facts(self.sex, self.age)})

    def exists(self) -> bool:
        return self.ecg.exists()


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record of which only the entries in the source's tables were read.

    Args:
        id: unique in the data set to be built, `source/name`.
        source: the data base that the ECG comes from, e.g. `ptb-xl`; a conversation set names the ECGs' data base.
        ecgs: one ECG, or several for questions that compare them.
        patient_id: the data base's own number of the patient; `None` where it publishes none (each record is then a
            patient of its own).
        report: report of a physician or a machine, or the labels in words.
        report_kind: `physician`, `machine`, `labels` (made from the labels) or `none`.
        labels: code of the source -> likelihood in percent.
        label_system: system of the codes; empty without labels.
        split: the split that the source's publishers put the record into, if they did.
        fold: the publishers' number of the part for cross-validation.
        messages: a published conversation.
        provenance: who wrote `messages`.
        image: file of the published page picture.
    """

    id: str
    source: str
    ecgs: tuple[EcgSource, ...]
    patient_id: str | None = None
    report: str = ""
    report_kind: ReportKind = "none"
    labels: Mapping[str, float] = field(default_factory=dict)
    label_system: LabelSystem = ""
    split: str | None = None
    fold: int | None = None
    sex: str | None = None
    age: int | None = None
    messages: tuple[Message, ...] = ()
    provenance: str = ""
    image: str | None = None
    other_patients: tuple[str, ...] = ()

    @property
    def first_ecg(self) -> EcgSource:
        """The first of `ecgs`; the record that it loads states the patient's sex and age, as far as the source does."""
        return _OfPatient(self.ecgs[0], self.sex, self.age)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that was left out.

    Args:
        stage: the stage at which it was left out.
        code: the reason as a key of `REJECTED_FOR`; only this is published beside the id.
        reason: the full reason. It may quote the file and is not published.
        answer: the teacher's answer that was not kept; it is not published.
    """

    id: str
    source: str
    stage: RejectedAt
    code: str
    reason: str
    answer: str = ""

    def __post_init__(self) -> None:
        if self.code not in REJECTED_FOR:
            raise ValueError(f"code {self.code!r} is none of {list(REJECTED_FOR)}")

    def published(self) -> dict[str, str]:
        """The line for a published list, without content of the file."""
        told = {"id": self.id, "source": self.source, "stage": self.stage, "code": self.code}
        return told | {"reason": REJECTED_FOR[self.code]}


def load_as_untrusted(ecg: EcgSource) -> EcgRecord:
    """As `ecg.load()`, but single files are read by `load_untrusted`. Rows of a database's large files are read as usual.

    Raises:
        GemError: see `load_untrusted`.
    """
    if isinstance(ecg, _OfPatient):
        return ecg.described(load_as_untrusted(ecg.ecg))
    return load_untrusted(ecg.path, **ecg.options) if isinstance(ecg, EcgFile) else ecg.load()


def is_credentialed(text: str) -> bool:
    """Whether a source's name, or a text about data, names a data base that may be under a data use agreement."""
    return _CREDENTIALED.search(text) is not None


def stated_age(age: Any) -> int | None:
    """Whole years, at most 90: higher ages identify a person (HIPAA safe harbor); PTB-XL writes those as 300."""
    try:
        years = int(float(age))
    except (TypeError, ValueError, OverflowError):
        return None
    return None if years < 0 else min(years, MAX_STATED_AGE + 1)


def table_rows(path: Path, **options: Any) -> Iterator[dict[str, Any]]:
    """The rows of a CSV table as dictionaries; `options` are those of `pandas.read_csv`."""
    for chunk in pd.read_csv(path, chunksize=50_000, **options):
        for row in chunk.to_dict("records"):
            yield {str(key): value for key, value in row.items()}


def parquets_with(column: str, files: Iterable[Path]) -> list[Path]:
    """Those of the Parquet files that have a column.

    Raises:
        EcgFormatError: one is no Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = []
    for file in files:
        try:
            if column in pq.read_schema(file).names:
                found.append(file)
        except pa.ArrowInvalid as error:
            raise EcgFormatError(
                f"{file}: no Parquet file, or a damaged one ({error}); remove it or copy it again."
            ) from error
    return found


__all__ = [
    "REJECTED_FOR",
    "EcgFile",
    "EcgSource",
    "Message",
    "Rejection",
    "SourceRecord",
    "is_credentialed",
    "load_as_untrusted",
    "parquets_with",
    "stated_age",
    "table_rows",
]
