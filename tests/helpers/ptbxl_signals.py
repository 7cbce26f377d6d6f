# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""PTB-XL's signals by label, out of the Parquet tables of the shared data."""

import ast
from collections.abc import Callable
from pathlib import Path

import numpy as np


def read_ptbxl(folder: Path, wanted: Callable[[set[str]], bool], count: int, step: int = 1) -> list[np.ndarray]:
    """The first `count` signals of every `step`-th PTB-XL record whose SCP codes are wanted, `(12, 5000)` mV at 500 Hz."""
    import pyarrow.parquet as pq

    chosen: list[np.ndarray] = []
    for path in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(64, columns=["signal_uv", "scp_codes"]):
            for raw, codes in zip(batch["signal_uv"], batch["scp_codes"], strict=True):
                if len(chosen) == count * step:
                    return chosen[::step]
                if wanted(set(ast.literal_eval(codes.as_py()))):
                    values = raw.as_py()
                    row = np.frombuffer(values, np.int16) if isinstance(values, bytes) else np.array(values, np.int16)
                    chosen.append(row.reshape(12, 5000) / 1000)
    return chosen[::step]
