# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Sizes of QRS complexes, by which a wrong gain is suspected: `python -m benchmarks.qrs_sizes`.

Prints the first and 99th percentile of R + S in every lead of PTB-XL's folds 1 to 8, the values of `ecg_limits.QRS_SIZE`. Then, on
fold 9 and on LUDB, the share of suspected records with the correct gain, and with a gain five times too large or too small, for
12 leads and for some of them.
"""

import argparse
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.ptbxl_rows import RATE, read_rows
from processing.ecg_features import extract_features
from processing.ecg_limits import QRS_SIZE
from processing.ecg_record import STANDARD_LEADS
from processing.ecg_rules import suspected_gain
from tests.helpers.delineation_scoring import read_ludb

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
FACTORS = {"correct": 1.0, "x 5": 5.0, "x 0.2": 0.2}
SOME_LEADS = (STANDARD_LEADS, STANDARD_LEADS[:6], ("II", "V1", "V5"), ("II", "V5"), ("I",), ("II",))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with data/ptbxl and data/ludb")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    learned, held_back = [], []
    for row in read_rows(options.shared / "data/ptbxl"):
        if row.fold == 9:
            held_back.append(row.signal)
        else:
            learned.append(sizes(row.signal))
    print(f"R + S in mV, 1 and 99 % of {len(learned)} records (in ecg_limits)")
    for lead, low, high in zip(STANDARD_LEADS, *np.nanpercentile(learned, [1, 99], axis=0), strict=True):
        print(f"{lead:4s} {low:.2f} {high:.2f} ({QRS_SIZE[lead].low:.2f} {QRS_SIZE[lead].high:.2f})")
    suspected("PTB-XL fold 9", held_back)
    suspected("LUDB", [record.signal for record in read_ludb(options.shared / "data/ludb/data")])


def sizes(signal: np.ndarray) -> np.ndarray:
    """R + S of every lead in mV, `(leads,)`, of a signal at 500 Hz."""
    return extract_features(signal, RATE).lead_values["qrs_amplitude"]


def suspected(name: str, signals: Iterable[np.ndarray]) -> None:
    listed = list(signals)
    measured = {factor: [sizes(signal * factor) for signal in listed] for factor in FACTORS.values()}
    print(f"\n{name}, {len(listed)} records: suspected, % ({', '.join(FACTORS)})")
    for leads in SOME_LEADS:
        rows = [STANDARD_LEADS.index(lead) for lead in leads]
        shares = [
            np.mean([suspected_gain(leads, row[rows].tolist()) is not None for row in measured[f]]) for f in measured
        ]
        print(f"{' '.join(leads):48s} {' '.join(f'{share:6.1%}' for share in shares)}")


if __name__ == "__main__":
    main()
