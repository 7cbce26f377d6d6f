# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Reads the rows of PTB-XL that benchmarks measure: signals in mV with their labels, fold, sex and age."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RATE = 500
# Duplicates that PTB-XL 1.0.3 removed.
REMOVED = {137, 139, 140, 141, 142, 143, 145, 456, 458, 459, 461, 462}
_COLUMNS = ["ecg_id", "age", "sex", "scp_codes", "heart_axis", "infarction_stadium1", "strat_fold", "signal_uv"]


@dataclass(frozen=True)
class PtbXlRow:
    """One record: `signal` is `(12, 5000)` in mV at 500 Hz; `codes` are SCP codes with their likelihood in percent, 0 where
    it is not stated; `sex`, `age` (years), the labels of the `axis` and of an infarct's `stadium` are `None` where unknown."""

    ecg_id: int
    signal: np.ndarray
    codes: dict[str, float]
    fold: int
    sex: str | None
    age: float | None
    axis: str | None
    stadium: str | None


def read_rows(folder: Path) -> Iterator[PtbXlRow]:
    """Every row of the Parquet files in `folder`, in their order, without the duplicates."""
    import pyarrow.parquet as pq

    for path in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(64, columns=_COLUMNS):
            for row in batch.to_pylist():
                if row["ecg_id"] not in REMOVED:
                    yield PtbXlRow(
                        ecg_id=row["ecg_id"],
                        signal=np.array(row["signal_uv"], dtype=np.float32).reshape(12, -1) / 1000,
                        codes=ast.literal_eval(row["scp_codes"]),
                        fold=row["strat_fold"],
                        sex={0: "M", 1: "F"}.get(row["sex"]),
                        age=row["age"],
                        axis=row["heart_axis"],
                        stadium=row["infarction_stadium1"],
                    )
