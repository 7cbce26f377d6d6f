# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""PTB-XL (Wagner et al. 2020, doi:10.1038/s41597-020-0495-6): its folder as published, or Parquet with its columns."""

import ast
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import EcgFormatError, GemError

from .source_record import EcgFile, EcgSource, SourceRecord, parquets_with, stated_age, table_rows
from .statements import rhythm_of, superclasses_of

logger = logging.getLogger(__name__)

SOURCE = "ptb-xl"
TRAIN_FOLDS, VALIDATION_FOLD = tuple(range(1, 9)), 9
SEXES = {0: "M", 1: "F"}  # PTB-XL's own coding
# Records that PTB-XL 1.0.3 removed as duplicates of others; older copies still hold them.
DUPLICATES = frozenset((137, 139, 140, 141, 142, 143, 145, 456, 458, 459, 461, 462))
# Where a copy of PTB-XL says only that a statement's likelihood is above 0, it counts as certain.
KNOWN_AS_POSITIVE = 100.0


@dataclass(frozen=True, slots=True)
class ParquetSignal:
    """Row `row` of a Parquet file with a column `signal_uv`: int16 microvolts, lead after lead."""

    path: str
    row: int
    record_id: str
    sampling_rate: float = 500.0

    def load(self) -> EcgRecord:
        """Reads the row of the Parquet file: 12 leads at 500 Hz, in mV.

        Raises:
            EcgFormatError: the row is not there, or its values are not 12 leads of equal length.
        """
        signals = _signals(self.path)
        if self.row >= len(signals):
            raise EcgFormatError(f"{self.path}: no row {self.row}; the file has changed since it was listed.")
        microvolts = np.asarray(signals[self.row].values, dtype=np.int16)
        if microvolts.size == 0 or microvolts.size % len(STANDARD_LEADS):
            raise EcgFormatError(
                f"{self.record_id}: {microvolts.size} values in `signal_uv` are not 12 leads of equal length."
            )
        signal = microvolts.reshape(len(STANDARD_LEADS), -1) / np.float32(1000)
        return EcgRecord(signal, STANDARD_LEADS, self.sampling_rate, record_id=self.record_id, source=self.path)

    def exists(self) -> bool:
        """Whether the Parquet file is there."""
        return Path(self.path).is_file()


@lru_cache(maxsize=2)
def _signals(path: str) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=["signal_uv"], use_threads=False)["signal_uv"].combine_chunks()


def import_ptbxl(path: str, *, resolution: int = 500, reports: str = "original") -> Iterator[SourceRecord]:
    """The records of PTB-XL.

    Args:
        path: folder with `ptbxl_database.csv` and `records500/`, or with Parquet files: a row per record with the table's columns
            and `signal_uv`. `sampling_rate` (Hz) may stand beside them, and, where `scp_codes` is empty, `labels` with
            `scp_codes_positive`, two JSON lists: all statements, and those with a likelihood above 0. Rows without `ecg_id` are of
            another source and are skipped, as are `DUPLICATES`.
        resolution: 500 or 100 Hz (the published folder has both).
        reports: `original` (mostly German) or `english` (column `report_en`, a machine translation, where it exists).

    Raises:
        EcgFormatError: the folder is neither, or an option is unknown.
    """
    folder = Path(path)
    # Others, such as earlier answers, may lie beside them.
    parquets = parquets_with("signal_uv", sorted(folder.glob("*.parquet")))
    table = folder / "ptbxl_database.csv"
    if not parquets and not table.is_file():
        raise EcgFormatError(f"{folder}: neither ptbxl_database.csv nor Parquet files; give PTB-XL's folder.")
    if resolution not in (100, 500) or reports not in ("original", "english"):
        raise EcgFormatError(
            f"ptbxl: resolution is 500 or 100, reports is original or english; got {resolution}, {reports}."
        )
    if not parquets:
        column = "filename_hr" if resolution == 500 else "filename_lr"
        for row in table_rows(table):
            if int(row["ecg_id"]) in DUPLICATES:
                continue
            name = f"{SOURCE}/{int(row['ecg_id']):05d}"
            yield _record(row, EcgFile(str(folder / row[column]), {"record_id": name}), reports)
        return
    import pyarrow.parquet as pq

    for file in parquets:
        columns = [name for name in pq.read_schema(file).names if name != "signal_uv"]
        for number, row in enumerate(pq.read_table(file, columns=columns).to_pylist()):
            if row.get("ecg_id") is None or int(row["ecg_id"]) in DUPLICATES:
                continue
            name = f"{SOURCE}/{int(row['ecg_id']):05d}"
            rate = float(row.get("sampling_rate") or 500)
            yield _record(row, ParquetSignal(str(file), number, name, rate), reports)


def _record(row: dict[str, Any], ecg: EcgSource, reports: str) -> SourceRecord:
    report = row.get("report_en") if reports == "english" and isinstance(row.get("report_en"), str) else row["report"]
    patient = row["patient_id"]
    return SourceRecord(
        id=f"{SOURCE}/{int(row['ecg_id']):05d}",
        source=SOURCE,
        ecgs=(ecg,),
        patient_id=None if pd.isna(patient) else str(int(patient)),
        report=" ".join(str(report).split()) if isinstance(report, str) else "",
        report_kind="physician" if row.get("validated_by_human") else "machine",
        labels=_statements(row),
        label_system="scp",
        split=_split(int(row["strat_fold"])),
        fold=int(row["strat_fold"]),
        sex=SEXES.get(row["sex"]),
        age=stated_age(row["age"]),
    )


def _statements(row: dict[str, Any]) -> dict[str, float]:
    """SCP statement -> likelihood in percent."""
    if row["scp_codes"] is not None:
        return {code: float(likelihood) for code, likelihood in ast.literal_eval(row["scp_codes"]).items()}
    positive = set(json.loads(row["scp_codes_positive"]))
    return {code: KNOWN_AS_POSITIVE if code in positive else 0.0 for code in json.loads(row["labels"])}


def _split(fold: int) -> str:
    """The publishers' recommendation: folds 1-8 train, 9 validation, 10 test; no patient is in two folds."""
    return "train" if fold in TRAIN_FOLDS else "validation" if fold == VALIDATION_FOLD else "test"


@dataclass(frozen=True)
class PtbxlItem:
    """A record that was read, and what PTB-XL says about it. `codes`: SCP statement -> likelihood in percent (0: not stated)."""

    record: EcgRecord
    codes: dict[str, float]
    fold: int

    @property
    def superclasses(self) -> set[str]:
        """The diagnostic superclasses of the codes: NORM, MI, STTC, CD, HYP."""
        return superclasses_of(self.codes)

    @property
    def rhythm(self) -> str | None:
        """The rhythm that the codes name, if they name one."""
        return rhythm_of(self.codes)


def read_ptbxl(folder: str | Path, folds: tuple[int, ...] = (*TRAIN_FOLDS, VALIDATION_FOLD)) -> Iterator[PtbxlItem]:
    """
    The records of the given folds, read. A record that cannot be read is logged as a warning and left out.

    Raises:
        EcgFormatError: `folder` is not PTB-XL, see `import_ptbxl`.
    """
    for listed in import_ptbxl(str(folder)):
        if listed.fold in folds:
            try:
                yield PtbxlItem(listed.first_ecg.load(), dict(listed.labels), listed.fold)
            except (GemError, FileNotFoundError) as error:
                logger.warning("left out: %s", error)


__all__ = ["TRAIN_FOLDS", "VALIDATION_FOLD", "ParquetSignal", "PtbxlItem", "import_ptbxl", "read_ptbxl"]
