# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""PTB-XL in Parquet: records at 100 Hz, statements without a likelihood, and what is skipped."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recipes.sources.ptbxl import read_ptbxl


def row(ecg_id: int | None, rate: int, **codes: str | None) -> dict:
    known = {"scp_codes": None, "scp_codes_positive": None, "labels": None} | codes
    signal = (np.arange(12 * rate * 10) % 997).astype(np.int16).tolist()
    return known | {
        "ecg_id": ecg_id,
        "sampling_rate": rate,
        "patient_id": "7",
        "report": None,
        "sex": 0,
        "age": 60.0,
        "strat_fold": None if ecg_id is None else 3,
        "signal_uv": signal,
    }


def test_other_rates_and_signs_of_statements_are_read(tmp_path):
    rows = [
        row(502, 100, scp_codes="{'LVH': 50.0, 'SR': 0.0}"),
        row(1612, 500, labels=json.dumps(["IRBBB", "SR"]), scp_codes_positive=json.dumps(["IRBBB"])),
        row(461, 500, scp_codes="{'NORM': 100.0}"),  # a duplicate of 9823
        row(None, 500, labels="[]"),  # of another source
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "more.parquet")
    pq.write_table(pa.table({"id": ["ptb-xl/00502"]}), tmp_path / "answers.parquet")  # something else
    first, second = read_ptbxl(tmp_path, (3,))
    assert (first.record.sampling_rate, first.record.num_samples, first.codes) == (100, 1000, {"LVH": 50.0, "SR": 0.0})
    assert first.record.signal[0, 996] == np.float32(0.996) and first.superclasses == {"HYP"}
    assert second.codes == {"IRBBB": 100.0, "SR": 0.0} and second.record.sampling_rate == 500
    assert [item.record.record_id for item in (first, second)] == ["ptb-xl/00502", "ptb-xl/01612"]
