# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Memory and time of long records: `OMP_NUM_THREADS=1 python -m benchmarks.long_records --hours 24 --rate 500`.

LUDB's records in random order, leads II, V1 and V5, in one WFDB file of 16 bits; a fresh process reads and measures it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.helpers.delineation_scoring import read_ludb

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
ROWS = {"II": 1, "V1": 6, "V5": 10}
WORK = """
import resource, sys, time
from processing.ecg_features import extract_features
from processing.ecg_readers import load_ecg

def stage(name, start):
    print(f"{name:10s} {time.process_time() - start:6.1f} CPU s, peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:6.0f} MB")

start = time.process_time()
record = load_ecg(sys.argv[1])
stage("read", start)
start = time.process_time()
features = extract_features(record)
stage("measured", start)
print(features)
print(features.events.to_text(3))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--rate", type=int, choices=[250, 500], default=250, help="Hz")
    parser.add_argument("--shared", type=Path, default=SHARED)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        header = write_day(Path(folder), options.shared / "data/ludb/data", options.hours, options.rate)
        print(f"{options.hours:g} h x {len(ROWS)} leads at {options.rate} Hz", flush=True)
        subprocess.run([sys.executable, "-c", WORK, str(header)], check=True)


def write_day(folder: Path, ludb: Path, hours: float, rate: int) -> Path:
    """The header of a WFDB record of LUDB's records, one after the other."""
    parts = []
    for record in read_ludb(ludb):
        rows = record.signal[list(ROWS.values()), :: 500 // rate]
        parts.append(np.round(1000 * (rows - np.median(rows, axis=1, keepdims=True))).astype("<i2"))
    generator, left = np.random.default_rng(0), round(hours * 3600 * rate)
    samples = left
    with (folder / "day.dat").open("wb") as file:
        while left:
            part = parts[generator.integers(len(parts))][:, :left]
            file.write(np.ascontiguousarray(part.T).tobytes())
            left -= part.shape[1]
    header = folder / "day.hea"
    lines = [f"day.dat 16 1000/mV 16 0 0 0 0 {lead}" for lead in ROWS]
    header.write_text("\n".join([f"day {len(ROWS)} {rate} {samples}", *lines]) + "\n")
    return header


if __name__ == "__main__":
    main()
