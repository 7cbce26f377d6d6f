# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Files of unknown origin: time and memory for hostile files, and the overhead of a separate process for ordinary ones.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_untrusted

- hostile: each file of `tests.helpers.hostile_files` read by `load_ecg` in a fresh process: CPU seconds, highest resident memory
  (of which 210 MB are Python and the libraries), and what came of it; `>` where it was ended after 30 s of CPU time.
- overhead: milliseconds per reading by `load_ecg` and by `load_untrusted`, in turns: the least and the median of all, which
  grows with what else the machine does, and CPU time of all processes that take part.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from processing.ecg_readers import load_ecg
from processing.untrusted.reading import load_untrusted, warm_up
from tests.helpers.hostile_files import HOSTILE

SAMPLE = Path(__file__).resolve().parents[1] / "processing" / "samples" / "normal.hea"
PARTS = ("hostile", "overhead")
LIMIT_S = 30
PROGRAM = f"""
import resource, signal, sys, time
from processing.ecg_photo import check_ecg_page, load_page_picture
from processing.ecg_readers import load_ecg
from processing.errors_gem import GemError
from processing.untrusted.answering import load_libraries
load_libraries()
resource.setrlimit(resource.RLIMIT_AS, (7 << 30, 7 << 30))
signal.setitimer(signal.ITIMER_PROF, {LIMIT_S})
started = time.process_time()
try:
    path = sys.argv[1]
    check_ecg_page(load_page_picture(path), path) if path.endswith(".png") else load_ecg(path)
    what = "read"
except GemError as error:
    what = "refused: " + str(error).partition(": ")[2][:70]
highest = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(f"{{time.process_time() - started:.2f}} | {{highest / 1024:.0f}} | {{what}}")
"""


def hostile(names: list[str]) -> None:
    print("| file | bytes | CPU s | MB | what came of it |\n|---|---|---|---|---|")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            path = HOSTILE[name](Path(folder))
            result = subprocess.run([sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True)
            ended = f"> {LIMIT_S} | | ended by signal {-result.returncode}"
            print(f"| {name} | {path.stat().st_size:,} | {result.stdout.strip() or ended} |", flush=True)


def overhead(repeats: int) -> None:
    warm_up()
    wall: dict[Callable, list[float]] = {load_ecg: [], load_untrusted: []}
    cpu = dict.fromkeys(wall, 0.0)
    for _ in range(repeats):
        for load, milliseconds in wall.items():
            before, started = cpu_ms(), time.perf_counter()
            load(SAMPLE)
            milliseconds.append(1000 * (time.perf_counter() - started))
            cpu[load] += (cpu_ms() - before) / repeats
    for load, milliseconds in wall.items():
        least, usual = min(milliseconds), statistics.median(milliseconds)
        print(f"{SAMPLE.name}, {load.__name__}: least {least:.1f} ms, median {usual:.1f} ms, CPU {cpu[load]:.1f} ms")


def cpu_ms() -> float:
    """CPU milliseconds of this process and of those below it (Linux)."""
    family = [os.getpid()]
    for pid in family:
        for task in Path(f"/proc/{pid}/task").iterdir():
            family += map(int, (task / "children").read_text().split())
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in family) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--files", nargs="+", default=list(HOSTILE), choices=list(HOSTILE), metavar="FILE")
    parser.add_argument("--repeats", type=int, default=200)
    options = parser.parse_args()
    if "overhead" in options.parts:
        overhead(options.repeats)
    if "hostile" in options.parts:
        hostile(options.files)


if __name__ == "__main__":
    main()
