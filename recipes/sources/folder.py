# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The user's own ECGs: a folder of files in any format that `load_ecg` reads, with an optional table about them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from processing.ecg_raw import parsed_sex
from processing.errors_gem import EcgFormatError
from processing.folders.listing import ecg_folder

from .source_record import EcgFile, Rejection, SourceRecord, stated_age, table_rows
from .statements import SYSTEMS

COLUMNS = ("file", "patient", "report", "labels", "split", "sex", "age")


def import_folder(
    path: str, *, source: str = "own", table: str | None = None, sampling_rate: float | None = None
) -> Iterator[SourceRecord | Rejection]:
    """The ECG files of a folder, with labels and reports from a table.

    Args:
        path: folder of ECG files.
        source: name of the source.
        table: CSV with the column `file` (relative to the folder) and any of `patient`, `report`, `labels` (SCP
            codes separated by semicolons), `split`, `sex`, `age`. Without it all files are taken, each as a patient of its own,
            and other files are named in a `Rejection` after the last record.
        sampling_rate: Hz, for files that do not say.

    Raises:
        EcgFormatError: the folder or the table does not exist, the table lacks `file`, or has unknown columns or labels.
    """
    folder = Path(path)
    left_out: dict[str, str] = {}
    if table:
        rows = _table(Path(table))
    else:
        found = ecg_folder(folder)
        rows = [{"file": str(file.relative_to(folder))} for file in found.records]
        left_out = found.left_out_in(folder)
    options = {} if sampling_rate is None else {"sampling_rate": sampling_rate}
    for row in rows:
        name = f"{source}/{Path(row['file']).with_suffix('').as_posix()}"
        ecg = EcgFile(str(folder / row["file"]), {"record_id": name, **options})
        if not ecg.exists():
            yield Rejection(name, source, "import", "no_file", f"{row['file']}: not in {folder.name}.")
            continue
        codes = [code.strip() for code in row.get("labels", "").split(";") if code.strip()]
        if unknown := [code for code in codes if code not in SYSTEMS["scp"]]:
            raise EcgFormatError(
                f"{table}: {row['file']} has the labels {unknown}, which are not SCP statements ({', '.join(SYSTEMS['scp'])})."
            )
        yield SourceRecord(
            id=name,
            source=source,
            ecgs=(ecg,),
            patient_id=row.get("patient") or None,
            report=row.get("report", ""),
            report_kind="physician" if row.get("report") else "none",
            labels=dict.fromkeys(codes, 100.0),
            label_system="scp" if codes else "",
            split=row.get("split") or None,
            sex=parsed_sex(row.get("sex")),
            age=stated_age(row.get("age")),
        )
    for file, reason in left_out.items():
        yield Rejection(f"{source}/{file}", source, "import", "left_out", f"{file}: {reason}.")


def _table(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise EcgFormatError(f"{path}: there is no such table.")
    rows = list(table_rows(path, dtype=str, keep_default_na=False))
    present = set(rows[0]) if rows else set()
    if "file" not in present or present - set(COLUMNS):
        raise EcgFormatError(
            f"{path}: columns are {list(COLUMNS)}, of which `file` must be there; got {sorted(present)}."
        )
    return rows


__all__ = ["import_folder"]
