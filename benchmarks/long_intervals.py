# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Very long PR and QT intervals, and dropped beats: `OMP_NUM_THREADS=1 python -m benchmarks.long_intervals`.

Calm sinus rhythms of LUDB and PTB-XL get a rest in each PR or ST segment (`tests/helpers/lengthened.py`); what is measured must be longer by as much.
Or every fourth QRS complex and T wave is taken out and the P wave stays: it must be found as one without a QRS.
"""

import argparse
import warnings
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.bench_features import SHARED
from benchmarks.ptbxl_rows import read_rows
from processing.ecg_features import EcgFeatures, extract_features
from tests.helpers.delineation_scoring import read_ludb
from tests.helpers.lengthened import Lengthener, is_calm

RATE = 500.0
RESTS_S = {"PR": (0.0, 0.08, 0.16, 0.20, 0.24, 0.30), "QT": (0.0, 0.08, 0.16, 0.20, 0.24, 0.28)}
WRONG_MS, EVERY = 25.0, 4
SLOW_BPM = 66


def calm_records(shared: Path, count: int) -> dict[str, list[Lengthener]]:
    """Calm sinus rhythms among LUDB's records and the first `count` of PTB-XL."""
    ludb = (record.signal for record in read_ludb(shared / "data/ludb/data"))
    ptbxl = (row.signal for row in islice(read_rows(shared / "data/ptbxl"), count))
    return {
        name: [one for one in (Lengthener(signal, measured(signal)) for signal in signals) if is_calm(one.features)]
        for name, signals in (("LUDB", ludb), ("PTB-XL", ptbxl))
    }


def measured(signal: np.ndarray) -> EcgFeatures:
    """The measurements of a signal `(12, samples)` mV at 500 Hz."""
    return extract_features(signal, RATE)


def lengthened_row(records: list[Lengthener], interval: str, rest_s: float) -> str:
    """The interval's median length and error, how often it is wrong or missing, and in how many records P waves seem to be without QRS."""
    found = [measured(one.with_pr(rest_s) if interval == "PR" else one.with_st(rest_s)) for one in records]
    name = {"PR": "pr_interval", "QT": "qt_interval"}[interval]
    before, after = (np.array([getattr(f, name) for f in some]) for some in ([one.features for one in records], found))
    errors = after - before - 1000 * rest_s
    wrong = np.mean(np.abs(errors[np.isfinite(errors)]) > WRONG_MS)
    lone = sum(len(features.lone_p_waves) > 0 for features in found)
    return (
        f"{np.median(before) + 1000 * rest_s:5.0f} ms | {np.nanmedian(errors):+4.0f} ms | {wrong:5.1%} | "
        f"{np.isnan(errors).mean():5.1%} | {lone}"
    )


def dropped_row(records: list[Lengthener]) -> str:
    """How many of the P waves whose beats were taken out are found, and in how many records none."""
    counts = []
    for one in records:
        signal, taken = one.without_every(EVERY)
        if taken > 1:
            counts.append((min(len(measured(signal).lone_p_waves), taken), taken))
    found, taken = np.sum(counts, axis=0)
    return f"{found} of {taken} | {sum(not hits for hits, _ in counts)} of {len(counts)} records without any"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with data/ludb and data/ptbxl")
    parser.add_argument("--records", type=int, default=300, help="of PTB-XL, of which the calm ones count (300)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, records in calm_records(options.shared, options.records).items():
        print(
            f"{name}: {len(records)} calm records\n   length | error  | off by more than {WRONG_MS:.0f} ms | missing | lone P"
        )
        for interval, rests in RESTS_S.items():
            for rest in rests:
                print(f"{interval} {lengthened_row(records, interval, rest)}", flush=True)
        for label, slow in ((f"below {SLOW_BPM} a minute", True), ("faster", False)):
            some = [one for one in records if (one.features.heart_rate < SLOW_BPM) is slow]
            print(f"every {EVERY}th beat dropped, {label}: {dropped_row(some)}", flush=True)


if __name__ == "__main__":
    main()
