# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Writes the sample records that come with the package, simulated ECGs and no patient's, and what is true of them.

python -m recipes.dataset.samples
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from processing.simulator.simulator import SimulatedEcg, simulate_ecg
from recipes.files import atomic_write, write_json
from recipes.sources.statements import RHYTHMS, STATEMENTS

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "processing" / "samples"
TRUTH = SAMPLES / "truth.json"
TABLE = ROOT / "recipes" / "configs" / "build_samples.csv"
# Training draws its seeds below 2**31 (`recipes.embedded.records.simulated_items`).
BEYOND_TRAINING = 2**31
RECORDS: dict[str, dict[str, Any]] = {
    "normal": {"heart_rate": 68, "seed": 3},
    "atrial_fibrillation": {"rhythm": "atrial_fibrillation", "heart_rate": 105, "seed": 5},
    "left_bundle_branch_block": {"conduction": "lbbb", "heart_rate": 74, "seed": 7},
    "inferior_infarction": {"ischemia": "old_inferior_infarction", "heart_rate": 80, "seed": 11},
    "atrial_flutter": {"rhythm": "atrial_flutter", "seed": BEYOND_TRAINING},
    "first_degree_av_block": {"rhythm": "av_block_1", "heart_rate": 66, "seed": BEYOND_TRAINING + 1},
    "ventricular_paced": {
        "rhythm": "ventricular_paced_alone", "pacing": "bipolar", "heart_rate": 70, "seed": BEYOND_TRAINING + 3,
    },
    "ventricular_tachycardia": {"rhythm": "ventricular_tachycardia", "seed": BEYOND_TRAINING + 4},
}  # fmt: skip
# SCP-ECG statement -> SNOMED CT, which WFDB headers state as CinC's do. SNOMED's list there has no code of a normal ECG.
SNOMED_CODES = {
    "SR": "426783006", "AFIB": "164889003", "AFLT": "164890007", "CLBBB": "164909002", "IMI": "164865005", "1AVB": "270492004",
    "PACE": "251266004", "VTACH": "164895002",
}  # fmt: skip
WORDS = {"VTACH": "ventricular tachycardia"}


def truth_of(ecg: SimulatedEcg) -> dict[str, Any]:
    """What is true of a simulated ECG: SCP-ECG codes, rhythm and diagnoses in words, intervals (bpm, ms, degrees), how it was drawn."""
    words = {**RHYTHMS, **{code: said for code, (_, said) in STATEMENTS.items()}, **WORDS}
    codes = list(ecg.labels)
    return {
        "codes": codes,
        "rhythm": next((words[code] for code in codes if code in {**RHYTHMS, **WORDS}), words["SR"]),
        "diagnoses": [words[code] for code in codes],
        "intervals": {name: round(value) for name, value in ecg.intervals.items() if not math.isnan(value)},
        "settings": {name: value for name, value in ecg.settings.items() if isinstance(value, (str, int, float))},
    }


def main() -> None:
    """Signals, `truth.json`, and the table of labels for `gem build-dataset recipes/configs/build_samples.yaml`."""
    SAMPLES.mkdir(exist_ok=True)
    truth, table = {}, ["file,labels"]
    for name, settings in RECORDS.items():
        ecg = simulate_ecg(**settings)
        truth[name] = truth_of(ecg)
        scp = [code for code in ecg.labels if code in STATEMENTS or code in RHYTHMS]
        if scp:
            table.append(f"{name}.hea,{';'.join(scp)}")
        _write(name, ecg)
    write_json(TRUTH, truth, indent=1)
    atomic_write(TABLE, "\n".join(table) + "\n")


def _write(name: str, ecg: SimulatedEcg) -> None:
    record = ecg.record
    codes = ",".join(SNOMED_CODES[code] for code in ecg.labels if code in SNOMED_CODES)
    wfdb.wrsamp(
        name,
        fs=record.sampling_rate,
        units=["mV"] * len(record.leads),
        sig_name=list(record.leads),
        d_signal=np.round(record.signal.T * 1000).astype(np.int64),
        fmt=["16"] * len(record.leads),
        adc_gain=[1000.0] * len(record.leads),
        baseline=[0] * len(record.leads),
        comments=[f"Dx: {codes}", f"simulated by gem-ecg: {name.replace('_', ' ')}"],
        write_dir=str(SAMPLES),
    )


if __name__ == "__main__":
    main()
