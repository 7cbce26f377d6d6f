# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECG-QA (Oh et al. 2023, arXiv 2306.15681; CC BY 4.0): questions about one ECG of PTB-XL, or about two."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from processing.errors_gem import EcgFormatError

from .llava_sets import read_rows
from .ptbxl import import_ptbxl
from .source_record import Rejection, SourceRecord

KIND, PUBLISHER = "ecg-qa", "ECG-QA"
SPLITS = {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}


def import_ecg_qa(path: str, *, ptbxl: str) -> Iterator[SourceRecord | Rejection]:
    """The questions of ECG-QA with their ECGs of PTB-XL.

    Args:
        path: a JSON file of ECG-QA, or a folder of them; a row's split is its `split` or its folder's name.
        ptbxl: PTB-XL's folder, whose ECGs the questions are about.

    Raises:
        EcgFormatError: a file is not JSON of ECG-QA, or the folder is not PTB-XL's.
    """
    records = {int(record.id.rsplit("/", 1)[1]): record for record in import_ptbxl(ptbxl)}
    folder = Path(path)
    for file in sorted(folder.rglob("*.json")) if folder.is_dir() else [folder]:
        for row in read_rows(file):
            yield _question(row, records, SPLITS.get(row.get("split") or file.parent.name), file)


def _question(
    row: Mapping[str, Any], records: dict[int, SourceRecord], split: str | None, file: Path
) -> SourceRecord | Rejection:
    try:
        numbers = [int(number) for number in row["ecg_id"]]
        question, answer = row["question"], "; ".join(map(str, row["answer"])) or "none"
        name = f"{KIND}/{file.stem}-{split or 'all'}-{row['sample_id']}"
    except (KeyError, TypeError, ValueError) as error:
        raise EcgFormatError(
            f"{file}: a row is not ECG-QA's (ecg_id, question, answer, sample_id): {error!r}."
        ) from error
    missing = [number for number in numbers if number not in records]
    if missing:
        return Rejection(
            name, "ptb-xl", "import", "no_file", f"ECG {', '.join(map(str, missing))} of PTB-XL is not in its folder."
        )
    found = [records[number] for number in numbers]
    first = found[0]
    return SourceRecord(
        id=name,
        source=first.source,
        ecgs=tuple(record.ecgs[0] for record in found),
        patient_id=first.patient_id,
        other_patients=tuple(record.patient_id or record.id for record in found[1:]),
        report=first.report,
        report_kind=first.report_kind,
        labels=first.labels,
        label_system=first.label_system,
        split=first.split,
        sex=first.sex,
        age=first.age,
        messages=({"role": "user", "content": question}, {"role": "assistant", "content": answer}),
        provenance=PUBLISHER,
    )


__all__ = ["import_ecg_qa"]
