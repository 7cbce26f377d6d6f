# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""SPH (Liu et al. 2022, doi:10.1038/s41597-022-01403-5): `metadata.csv` with AHA codes, one HDF5 file per record."""

from collections.abc import Iterator
from pathlib import Path

from processing.errors_gem import EcgFormatError

from .source_record import EcgFile, SourceRecord, stated_age, table_rows
from .statements import labels_report

SOURCE = "sph"


def import_sph(path: str, *, metadata: str | None = None) -> Iterator[SourceRecord]:
    """The records of SPH.

    Args:
        path: the published folder; records lie in it or in `records/`, as `ECG_ID.h5`.
        metadata: the table, if it is not `metadata.csv` in the folder.

    Raises:
        EcgFormatError: there is no table.
    """
    folder = Path(path)
    table = Path(metadata) if metadata else folder / "metadata.csv"
    if not table.is_file():
        raise EcgFormatError(f"{table}: there is no such table; give SPH's folder, or name its metadata.")
    records = folder / "records" if (folder / "records").is_dir() else folder
    for row in table_rows(table, dtype={"AHA_Code": str, "ECG_ID": str}):
        codes = [code.strip() for code in str(row["AHA_Code"]).split(";") if code.strip()]
        name = f"{SOURCE}/{row['ECG_ID']}"
        yield SourceRecord(
            id=name,
            source=SOURCE,
            ecgs=(EcgFile(str(records / f"{row['ECG_ID']}.h5"), {"record_id": name, "dataset": "sph"}),),
            patient_id=str(row["Patient_ID"]),
            report=labels_report(codes, "aha"),
            report_kind="labels",
            labels=dict.fromkeys(codes, 100.0),
            label_system="aha",
            sex=row["Sex"] if row["Sex"] in ("F", "M") else None,
            age=stated_age(row["Age"]),
        )


__all__ = ["import_sph"]
