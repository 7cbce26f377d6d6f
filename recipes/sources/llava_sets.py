# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""LANSG/ECG-Grounding, PULSE ECGInstruct, PULSE ECGBench and ECG-R1's protocol-guided CoT: rows with an ECG and turns."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from processing.errors_gem import EcgFormatError

from .conversations import FileMap, Patients, database_of, to_messages
from .source_record import EcgFile, Rejection, SourceRecord

Imported = Iterator[SourceRecord | Rejection]
Row = Mapping[str, Any]


def import_rows(kind: str, ecg_path: Callable[[Row], str | None]) -> Callable[..., Imported]:
    """The importer of a conversation set.

    Args:
        kind: name of the set (a key of `PUBLISHERS`), the first part of the ids.
        ecg_path: the published path of a row's ECG.
    """

    def import_set(
        path: str, *, files: Mapping[str, str], images: str | None = None, patients: Mapping[str, str] | None = None
    ) -> Imported:
        mapped, known = FileMap(files), Patients(patients or {})
        for number, row in enumerate(read_rows(Path(path))):
            yield _record(kind, number, row, ecg_path(row), mapped, known, images)

    import_set.__doc__ = f"""
    {PUBLISHERS[kind]}.

    Args:
        path: the JSON, JSON Lines or Parquet file, or a folder of Parquet files.
        files: beginning of a published ECG path -> folder here.
        images: folder of the published pictures; only used where the data set embeds pictures.
        patients: `ptb-xl` -> its ptbxl_database.csv, `code-15` -> its exams.csv: for splits by patient.
    """
    return import_set


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a JSON list, JSON Lines, Parquet file or folder of Parquet files.

    Raises:
        EcgFormatError: there is no such file, or it is none of these.
    """
    if path.is_dir() or path.suffix == ".parquet":
        yield from _parquet_rows(path)
        return
    if not path.is_file():
        raise EcgFormatError(f"{path}: there is no such file of conversations.")
    with path.open(encoding="utf-8") as file:
        first = file.read(1)
        file.seek(0)
        try:
            if first == "[":
                yield from json.load(file)
                return
            for line in file:
                if line.strip():
                    yield json.loads(line)
        except json.JSONDecodeError as error:
            raise EcgFormatError(f"{path}: neither a JSON list nor JSON Lines ({error}); copy it again.") from error


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq

    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise EcgFormatError(f"{path}: no Parquet files in this folder.")
    for file in files:
        wanted = [name for name in pq.read_schema(file).names if name != "image"]
        for batch in pq.ParquetFile(file).iter_batches(columns=wanted):
            yield from batch.to_pylist()


def _record(
    kind: str,
    number: int,
    row: Row,
    published: str | None,
    files: FileMap,
    patients: Patients,
    images: str | None,
) -> SourceRecord | Rejection:
    name = f"{kind}/{row.get('id', row.get('question_id', number))}"
    if not published:
        return Rejection(name, kind, "import", "no_ecg", f"row {number} names no ECG.")
    source, study, patient = database_of(published)
    path = files.find(published)
    if path is None:
        return Rejection(
            name, source or kind, "import", "no_file", f"{published}: not found; name its folder in `files`."
        )
    if source is not None and study is not None and patient is None:
        patient = patients.of(source, study) or study
    try:
        messages = to_messages(row.get("conversations", row.get("messages")), name)
    except EcgFormatError as error:
        return Rejection(name, source or kind, "import", "conversation", str(error))
    report = row.get("report") or ""
    picture = Path(images) / str(row["image"]) if images and isinstance(row.get("image"), str) else None
    return SourceRecord(
        id=name,
        source=source or kind,
        ecgs=(EcgFile(str(path), {"record_id": name}),),
        patient_id=patient,
        report=report if isinstance(report, str) else "; ".join(map(str, report)),
        report_kind="machine" if report else "none",
        messages=messages,
        provenance=PUBLISHERS[kind],
        image=str(picture) if picture is not None and picture.is_file() else None,
    )


def _grounding_ecg(row: Row) -> str | None:
    return row.get("ecg")


def _picture_ecg(row: Row) -> str | None:
    """ECGInstruct and ECGBench name only the picture: its path without the page number is the ECG's."""
    picture = row.get("image") if isinstance(row.get("image"), str) else row.get("image_path")
    if not picture:
        return None
    path = Path(str(picture))
    stem = path.stem.rsplit("-", 1)[0] if path.stem.rsplit("-", 1)[-1].isdigit() else path.stem
    return str(path.with_name(stem))


def _cot_ecg(row: Row) -> str | None:
    paths = (row.get("objects") or {}).get("ecg") or []
    return paths[0] if paths else None


# Set -> who publishes it.
PUBLISHERS = {
    "ecg-grounding": "LANSG/ECG-Grounding",
    "ecg-instruct": "PULSE-ECG/ECGInstruct",
    "ecg-bench": "PULSE-ECG/ECGBench",
    "ecg-r1": "PKUDigitalHealth/ECG-Protocol-Guided-Grounding-CoT",
}
import_ecg_grounding = import_rows("ecg-grounding", _grounding_ecg)
import_ecg_instruct = import_rows("ecg-instruct", _picture_ecg)
import_ecgbench = import_rows("ecg-bench", _picture_ecg)
import_ecg_r1 = import_rows("ecg-r1", _cot_ecg)

__all__ = [
    "PUBLISHERS",
    "import_ecg_grounding",
    "import_ecg_instruct",
    "import_ecg_r1",
    "import_ecgbench",
    "read_rows",
]
