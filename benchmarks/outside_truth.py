# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""LUDB as a table of outside truth for `gem train --method grpo --outside_truth`: `python -m benchmarks.outside_truth --output outputs/outside`.

Rate, PR, QRS and QT are medians of the cardiologists' marks, the rhythm is their word. Intervals are left out where the rhythm is
no regular sinus rhythm, since a median says little there.
"""

import argparse
import csv
from pathlib import Path

import wfdb

from benchmarks.bench_features import SHARED
from benchmarks.checker_truth import of_marks
from processing.ecg_record import STANDARD_LEADS
from recipes.training.outside_truth import RHYTHM, TOLERATED
from tests.helpers.delineation_scoring import MarkedEcg, read_ludb


def write(record: MarkedEcg, folder: Path) -> dict[str, str | float]:
    """One record as WFDB, in microvolts; the table's row."""
    wfdb.wrsamp(
        record.name,
        fs=record.sampling_rate,
        units=["mV"] * len(STANDARD_LEADS),
        sig_name=list(STANDARD_LEADS),
        p_signal=record.signal.T,
        fmt=["16"] * len(STANDARD_LEADS),
        adc_gain=[1000] * len(STANDARD_LEADS),
        baseline=[0] * len(STANDARD_LEADS),
        write_dir=str(folder),
    )
    rhythm = record.rhythm.lower()
    numbers = of_marks(record) if rhythm.startswith("sinus") and "irregular" not in rhythm else {}
    known = {name: round(value, 1) for name, value in numbers.items() if name in TOLERATED}
    return {"ecg": f"{record.name}.hea", RHYTHM: rhythm if "irregular" not in rhythm else "", **known}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ludb", type=Path, default=SHARED / "data/ludb")
    parser.add_argument("--output", type=Path, required=True, help="folder for the records and truth.csv")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    rows = [write(record, given.output) for record in read_ludb(given.ludb / "data")]
    with (given.output / "truth.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["ecg", RHYTHM, *TOLERATED], restval="")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} records -> {given.output / 'truth.csv'}")


if __name__ == "__main__":
    main()
