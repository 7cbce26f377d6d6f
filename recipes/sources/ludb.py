# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""LUDB (Kalyakulina et al. 2020, doi:10.13026/eegm-h675): `ludb.csv` and `data/`; its header gains are wrong.

The reader takes the stored integers as microvolts, by which Einthoven's law holds to the count.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from processing.errors_gem import EcgFormatError

from .source_record import EcgFile, SourceRecord, stated_age, table_rows
from .statements import labels_report

SOURCE = "ludb"
# Columns of ludb.csv that are findings, in the order in which they are read.
FINDINGS = (
    "Rhythms", "Electric axis of the heart", "Conduction abnormalities", "Extrasystolies", "Hypertrophies",
    "Cardiac pacing", "Ischemia", "Non-specific repolarization abnormalities", "Other states",
)  # fmt: skip


def import_ludb(path: str) -> Iterator[SourceRecord]:
    """The records of LUDB.

    Args:
        path: the published folder.

    Raises:
        EcgFormatError: there is no `ludb.csv`.
    """
    folder = Path(path)
    table = folder / "ludb.csv"
    if not table.is_file():
        raise EcgFormatError(f"{folder}: no ludb.csv; give LUDB's folder.")
    for row in table_rows(table, dtype=str):
        number = row["ID"].strip()
        findings = [text for column in FINDINGS for text in _lines(row.get(column))]
        name = f"{SOURCE}/{number}"
        yield SourceRecord(
            id=name,
            source=SOURCE,
            ecgs=(EcgFile(str(folder / "data" / number), {"record_id": name, "dataset": "ludb"}),),
            report=labels_report(findings, "ludb"),
            report_kind="physician" if findings else "none",
            labels=dict.fromkeys(findings, 100.0),
            label_system="ludb",
            sex=sex if (sex := str(row["Sex"]).strip()) in ("F", "M") else None,
            age=stated_age(str(row["Age"]).strip().lstrip("><")),
        )


def _lines(cell: Any) -> list[str]:
    return [line.strip().rstrip(".") for line in cell.splitlines() if line.strip()] if isinstance(cell, str) else []


__all__ = ["import_ludb"]
