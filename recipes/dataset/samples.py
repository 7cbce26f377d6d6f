# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Writes the sample records that come with the package: simulated ECGs, no patient's.

python -m recipes.dataset.samples
"""

from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from processing.simulator.simulator import simulate_ecg

SAMPLES = Path(__file__).resolve().parents[2] / "processing" / "samples"
RECORDS: dict[str, dict[str, Any]] = {
    "normal": {"heart_rate": 68, "seed": 3},
    "atrial_fibrillation": {"rhythm": "atrial_fibrillation", "heart_rate": 105, "seed": 5},
    "left_bundle_branch_block": {"conduction": "lbbb", "heart_rate": 74, "seed": 7},
    "inferior_infarction": {"ischemia": "old_inferior_infarction", "heart_rate": 80, "seed": 11},
}


def main() -> None:
    SAMPLES.mkdir(exist_ok=True)
    for name, settings in RECORDS.items():
        record = simulate_ecg(**settings).record
        wfdb.wrsamp(
            name,
            fs=record.sampling_rate,
            units=["mV"] * len(record.leads),
            sig_name=list(record.leads),
            d_signal=np.round(record.signal.T * 1000).astype(np.int64),
            fmt=["16"] * len(record.leads),
            adc_gain=[1000.0] * len(record.leads),
            baseline=[0] * len(record.leads),
            comments=[f"simulated by gem-ecg: {name.replace('_', ' ')}"],
            write_dir=str(SAMPLES),
        )


if __name__ == "__main__":
    main()
