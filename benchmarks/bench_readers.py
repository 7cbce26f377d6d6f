# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""CPU time of `load_ecg` and `inspect_record` beside the libraries that users call today, in one run.

    OMP_NUM_THREADS=1 python benchmarks/bench_readers.py

Reads the PTB-XL records and device samples of the shared folder (environment variable GEM_SHARED, else ../shared).
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from processing.ecg_quality import inspect_record
from processing.ecg_readers import load_ecg

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"


def cpu_ms(read: Callable[[Path], object], paths: Sequence[Path], repeats: int) -> float:
    """Least CPU milliseconds per file over `repeats` rounds, after one round to warm up."""
    best = float("inf")
    for _ in range(repeats + 1):
        start = time.process_time()
        for path in paths:
            read(path)
        best = min(best, (time.process_time() - start) / len(paths) * 1000)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10, help="rounds; the least time counts (default 10)")
    repeats = parser.parse_args().repeats
    warnings.simplefilter("ignore")
    import wfdb
    from ecgdatakit import FileParser

    records = sorted(SHARED.glob("ptbxl_wfdb/records500/*/*.hea"))
    if not records:
        parser.error(f"no PTB-XL records under {SHARED}; set GEM_SHARED to the folder that holds data/ptbxl_wfdb")
    formats = SHARED / "loaders" / "formats"
    rows = [
        ("PTB-XL WFDB, 12 x 5000", records, "wfdb.rdsamp", lambda path: wfdb.rdsamp(str(path.with_suffix("")))),
        ("GE MUSE XML, 8 x 5000", [formats / "MUSE_example.xml"], "ecgdatakit", FileParser().parse),
        ("DICOM, 12 x 5000", [formats / "sample.dcm"], "ecgdatakit", FileParser().parse),
    ]
    print(f"{'file':24} {'load_ecg ms':>12} {'other ms':>10}  {'other':12} {'ratio':>6}")
    for name, paths, other, read in rows:
        ours, theirs = cpu_ms(load_ecg, paths, repeats), cpu_ms(read, paths, repeats)
        print(f"{name:24} {ours:12.2f} {theirs:10.2f}  {other:12} {theirs / ours:6.2f}")
    loaded = {path: load_ecg(path) for path in records}
    print(f"{'inspect_record':24} {cpu_ms(lambda path: inspect_record(loaded[path]), records, repeats):12.2f}")


if __name__ == "__main__":
    main()
