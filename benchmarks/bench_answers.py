# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
The cost of a record in `gem interpret FOLDER --output` and in `gem build-dataset`, by step, and the gain of a second Ray worker.

`OMP_NUM_THREADS=1 python -m benchmarks.bench_answers [--records 128] [--workers 1 2]` runs the first on WFDB files, the second on Parquet
files of PTB-XL, on a Ray cluster of its own. Costs are CPU milliseconds. The rate is measured from the first to the last finished part, so that
it excludes the start of Ray and the loading of models.
"""

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import psutil
import wfdb

from benchmarks.ptbxl_rows import read_rows
from processing.ecg_record import STANDARD_LEADS
from recipes.dataset import answer_file
from recipes.dataset.answer_file import AnswerSettings, interpret_all
from recipes.dataset.answer_source import AnswerSource
from recipes.dataset.build import build_dataset, spent_on
from recipes.dataset.ray_answers import RayAnswers
from recipes.dataset.ray_engine import RayEngine
from recipes.dataset.settings import settings_from
from recipes.record_options import ReadingOptions

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
RECORDS_OF_MIMIC = 800_035
PART = 8


class Pace:
    """Records a second, from the first progress to the last."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, int]] = []

    def __call__(self, done: int) -> None:
        self.marks.append((time.perf_counter(), done))

    @property
    def per_second(self) -> float:
        (began, first), (ended, last) = self.marks[0], self.marks[-1]
        return (last - first) / (ended - began)


def as_wfdb(ptbxl: Path, records: int, folder: Path) -> None:
    """The first records of PTB-XL's Parquet files as WFDB files."""
    for row in islice(read_rows(ptbxl), records):
        wfdb.wrsamp(
            f"{row.ecg_id:05d}", 500, ["mV"] * 12, list(STANDARD_LEADS), row.signal.T.astype(float), write_dir=str(folder),
            fmt=["16"] * 12, adc_gain=[1000] * 12, baseline=[0] * 12,
        )  # fmt: skip


def cores(workers: int) -> int:
    """Of a cluster on which so many tasks run beside as many actors of half a core."""
    return math.ceil(1.5 * workers)


def answers(ptbxl: Path, records: int, output: Path, workers: int) -> tuple[float, dict[str, float]]:
    """Records a second, and CPU seconds by step, of answers with the embedded model."""
    pace = Pace()
    (folder := output.with_name(f"{output.name}_ecgs")).mkdir()
    as_wfdb(ptbxl, records, folder)
    settings = AnswerSettings(AnswerSource.at(str(folder), "train", ReadingOptions()), output)
    engine = RayAnswers("local", models=workers, local_cpus=cores(workers))
    spent = interpret_all(settings, engine, progress=lambda done, total: pace(done)).spent
    return pace.per_second, spent


def built(ptbxl: Path, records: int, output: Path, workers: int) -> tuple[float, dict[str, float]]:
    """Records a second, and CPU seconds by step, of a data set with the template teacher."""
    pace = Pace()
    sources = [{"format": "ptb-xl", "path": str(ptbxl), "limit": records}]
    settings = settings_from({"output": str(output), "sources": sources, "shard_size": PART})
    engine = RayEngine("local", teachers=workers, local_cpus=cores(workers))
    build_dataset(
        settings, engine=engine, progress=lambda what, done, total: pace(done) if what == "records" else None
    )
    return pace.per_second, spent_on(output)


def main() -> None:
    """Measures, and prints a table for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ptbxl", type=Path, default=SHARED / "data/ptbxl", help="PTB-XL as Parquet files")
    parser.add_argument("--records", type=int, default=128)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    answer_file.PART = PART
    print(f"{psutil.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name, run in (("gem interpret", answers), ("gem build-dataset", built)):
        with tempfile.TemporaryDirectory() as place:
            show(name, run, Path(place), options)


def show(
    name: str,
    run: Callable[[Path, int, Path, int], tuple[float, dict[str, float]]],
    place: Path,
    options: argparse.Namespace,
) -> None:
    """The table of one job."""
    paces, spent = [], {}
    for workers in options.workers:
        pace, spent = run(options.ptbxl, options.records, place / f"out{workers}", workers)
        paces.append(f"{workers}: {pace:.2f}")
    print(
        f"\n{name}: records per second, by workers: {', '.join(paces)}\n\n| | ms per record | {RECORDS_OF_MIMIC:,} records, core hours |\n|---|---:|---:|"
    )
    steps = {step: seconds for step, seconds in spent.items() if seconds > 0}
    for step, seconds in (*steps.items(), ("all", sum(steps.values()))):
        each = seconds / options.records
        print(f"| {step} | {1000 * each:.1f} | {RECORDS_OF_MIMIC * each / 3600:.1f} |")


if __name__ == "__main__":
    main()
