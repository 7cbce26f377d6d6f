# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""MIMIC-IV-ECG (Gow et al. 2023, doi:10.13026/4nqg-sb35): `record_list.csv`, `machine_measurements.csv`, WFDB files.

Its leads lie in the order I, II, III, aVR, aVF, aVL, V1-V6; records are read by lead name and stored in standard order.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from processing.errors_gem import EcgFormatError

from .source_record import EcgFile, SourceRecord

SOURCE = "mimic-iv-ecg"
REPORT_COLUMNS = tuple(f"report_{number}" for number in range(18))
_NO_FINDING = re.compile(
    r"^-|^(abnormal|borderline|otherwise normal) ecg|warning|data quality|quality data|unsuitable|not entered|suspect|"
    r"missing|analysis|compared (to|with)|previous|report|clinical correlation",
    re.IGNORECASE,
)


def import_mimic(path: str) -> Iterator[SourceRecord]:
    """The records of MIMIC-IV-ECG.

    Args:
        path: the published folder, with `record_list.csv` and, for reports, `machine_measurements.csv`.

    Raises:
        EcgFormatError: there is no `record_list.csv`.
    """
    folder = Path(path)
    records = folder / "record_list.csv"
    if not records.is_file():
        raise EcgFormatError(f"{folder}: no record_list.csv; give the folder of MIMIC-IV-ECG that holds it.")
    reports = _reports(folder / "machine_measurements.csv")
    columns = ["subject_id", "study_id", "path"]
    for chunk in pd.read_csv(records, usecols=columns, dtype=str, chunksize=50_000):
        for subject, study, file in chunk[columns].itertuples(index=False):
            report = reports.get(study, "")
            name = f"{SOURCE}/{study}"
            yield SourceRecord(
                id=name,
                source=SOURCE,
                ecgs=(EcgFile(str(folder / file), {"record_id": name}),),
                patient_id=subject,
                report=report,
                report_kind="machine" if report else "none",
                labels=dict.fromkeys(_findings(report), 100.0),
                label_system="text",
            )


def _findings(report: str) -> list[str]:
    """The statements that say something about the heart, and not about the recording or the report as a whole."""
    return [text for text in report.split("; ") if text and not _NO_FINDING.search(text)]


def _reports(path: Path) -> dict[str, str]:
    """Study -> the statements of the cart's own report, joined in order."""
    if not path.is_file():
        return {}
    reports: dict[str, str] = {}
    wanted = {"study_id", *REPORT_COLUMNS}
    for chunk in pd.read_csv(path, usecols=lambda name: name in wanted, dtype=str, chunksize=50_000):
        present = [name for name in REPORT_COLUMNS if name in chunk.columns]
        for study, *lines in chunk[["study_id", *present]].fillna("").itertuples(index=False):
            reports[study] = "; ".join(text for line in lines if (text := line.strip().rstrip(".;")))
    return reports


__all__ = ["REPORT_COLUMNS", "import_mimic"]
