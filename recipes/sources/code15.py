# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""CODE-15 % (Ribeiro et al. 2021, doi:10.5281/zenodo.4916206): `exams.csv` and `exams_part*.hdf5`, 400 Hz."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from processing.ecg_readers_matlab import read_code15_exam
from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgFormatError

from .source_record import EcgFile, EcgSource, Rejection, SourceRecord, stated_age, table_rows
from .statements import CODE15, labels_report

SOURCE = "code-15"


@dataclass(frozen=True, slots=True)
class Code15Exam:
    """Exam `exam_id` of a part file; its row is found by the file's own list of exams."""

    path: str
    exam_id: int
    record_id: str

    def load(self) -> EcgRecord:
        """Reads the exam from its HDF5 part.

        Raises:
            EcgFormatError: the file has no such exam.
        """
        row = exam_rows(self.path).get(self.exam_id)
        if row is None:
            raise EcgFormatError(f"{Path(self.path).name}: no exam {self.exam_id}; the file and exams.csv differ.")
        return read_code15_exam(self.path, row, self.record_id)

    def exists(self) -> bool:
        """Whether the HDF5 part is there."""
        return Path(self.path).is_file()


@lru_cache(maxsize=32)
def exam_rows(path: str) -> dict[int, int]:
    """Exam -> its row in a part file."""
    from processing.extras_gem import require

    h5py = require("h5py", "CODE-15")
    try:
        with h5py.File(path, "r") as file:
            return {int(exam): row for row, exam in enumerate(file["exam_id"][()])}
    except (OSError, KeyError) as error:
        raise EcgFormatError(f"{Path(path).name}: not a part file of CODE-15 ({error}); copy it again.") from error


def import_code15(path: str) -> Iterator[SourceRecord | Rejection]:
    """The records of CODE-15%.

    Args:
        path: folder with `exams.csv` and the part files (HDF5) it names; records may also lie singly as `EXAM.mat`.

    Raises:
        EcgFormatError: there is no `exams.csv`.
    """
    folder = Path(path)
    table = folder / "exams.csv"
    if not table.is_file():
        raise EcgFormatError(f"{folder}: no exams.csv; give the folder of CODE-15 that holds it.")
    for row in table_rows(table):
        exam = int(row["exam_id"])
        name = f"{SOURCE}/{exam}"
        ecg = _source(folder, row, exam, name)
        if ecg is None:
            yield Rejection(
                name,
                SOURCE,
                "import",
                "no_file",
                f"{row.get('trace_file')}: not in {folder.name}; download that part.",
            )
            continue
        labels = {code: 100.0 for code in CODE15 if _true(row.get(code))}
        male = row.get("is_male")
        yield SourceRecord(
            id=name,
            source=SOURCE,
            ecgs=(ecg,),
            patient_id=None if pd.isna(row.get("patient_id")) else str(int(row["patient_id"])),
            report=labels_report(labels, "code15"),
            report_kind="labels" if labels else "none",
            labels=labels,
            label_system="code15",
            sex=None if male is None or pd.isna(male) else "M" if _true(male) else "F",
            age=stated_age(row.get("age")),
        )


def _source(folder: Path, row: dict[str, Any], exam: int, name: str) -> EcgSource | None:
    part = folder / str(row.get("trace_file"))
    if part.is_file():
        return Code15Exam(str(part), exam, name)
    single = folder / f"{exam}.mat"
    return EcgFile(str(single), {"record_id": name, "dataset": "code15"}) if single.is_file() else None


def _true(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "1", "1.0")


__all__ = ["Code15Exam", "import_code15"]
