# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Runs the benchmarks and writes docs/benchmarks.md: `OMP_NUM_THREADS=1 python -m benchmarks.all [--full]`.

Each job runs one benchmark of this folder in its own process. The page shows the command and its unchanged output; the first table repeats
the main figures. By default few records are measured, with `--full` all; do not compare figures of the two. If a job fails or lacks a
library, the page says so.
"""

import argparse
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from recipes.evaluation.report import commit
from recipes.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "gem-ecg", "torch", "transformers", "numpy", "scipy", "wfdb", "neurokit2", "openecg", "ecgdeli", "wavedet", "ecgdatakit", "pydicom", "matplotlib",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A row of the first table: its label, and the expression that finds its figures in the output of the job."""

    label: str
    pattern: str


@dataclass(frozen=True)
class Job:
    """A benchmark: its module, its arguments in quick and full mode, and its rows of the first table."""

    title: str
    module: str
    quick: tuple[str, ...]
    full: tuple[str, ...]
    rows: tuple[Row, ...] = ()

    def command(self, is_full: bool) -> list[str]:
        """The arguments after `python -m`."""
        return [f"benchmarks.{self.module}", *(self.full if is_full else self.quick)]


JOBS = (
    Job(
        "Delineators on LUDB",
        "bench_features",
        ("--parts", "ludb", "--rival-records", "1"),
        ("--parts", "ludb", "--rival-records", "25"),
        (
            Row("P waves of 100 LUDB records: F1", r"^\s+P\s+F1 ([\d.]+)"),
            Row("QRS complexes of these: F1", r"^\s+QRS\s+F1 ([\d.]+)"),
            Row("T waves of these: F1", r"^\s+T\s+F1 ([\d.]+)"),
        ),
    ),
    Job(
        "Speed of the measurements",
        "bench_features",
        ("--parts", "speed", "--rival-records", "2"),
        ("--parts", "speed"),
        (
            Row("all measurements of a 10 s record", r"^\s*gem-ecg, all features\s+([\d.]+ ms)"),
            Row("wave marks only, by neurokit2 (dwt)", r"^\s*neurokit2 dwt\s+([\d.]+ ms)"),
        ),
    ),
    Job(
        "Pages",
        "bench_page",
        ("--runs", "3"),
        (),
        (
            Row("drawing a page of 2200 x 1700 px", r"^gem_12x1, 2200 x 1700, render_ecg\s+([\d.]+ ms)"),
            Row("the same page by a matplotlib Figure", r"^gem_12x1, 2200 x 1700, matplotlib Figure\s+([\d.]+ ms)"),
            Row("question, page and signal to tensors", r"^question, page and signal to tensors\s+(.+)$"),
        ),
    ),
    Job(
        "Readers",
        "bench_readers",
        ("--repeats", "2"),
        (),
        (
            Row("reading a WFDB record, ms", r"^PTB-XL WFDB, 12 x 5000\s+([\d.]+)"),
            Row("the same record by wfdb.rdsamp, ms", r"^PTB-XL WFDB, 12 x 5000\s+[\d.]+\s+([\d.]+)"),
        ),
    ),
    Job(
        "Model and processor",
        "bench_model",
        ("forward", "--rounds", "2"),
        (),
        (
            Row(
                "time of a forward pass, divided by that of its towers and language model",
                r"^forward, batch 4, 421 tokens, overhead .* ms\s+([\d.]+)",
            ),
        ),
    ),
    Job(
        "Speed of data sets",
        "bench_dataset",
        ("--records", "10"),
        (),
        (
            Row(
                "building a data set without pictures, time per record",
                r"^all of these without pictures\s+([\d.]+ ms)",
            ),
            Row("reading it, time per record", r"^stream\(\): records and rows\s+([\d.]+ ms)"),
        ),
    ),
    Job(
        "Sentences of other authors",
        "report_sentences",
        (),
        (),
        (
            Row(
                "share of the claims in published answers that are found",
                r"^\| published answer \| \d+ \| \d+ \| ([\d.]+)",
            ),
        ),
    ),
    Job(
        "Grounding check",
        "bench_grounding_check",
        ("--parts", "handwritten"),
        (),
        (Row("verdicts on hand-written statements that were held back", r"^handwritten, held_back: (.+)$"),),
    ),
)


@dataclass(frozen=True)
class Outcome:
    """The output of a job, the error if it failed, and its wall time in s."""

    job: Job
    printed: str
    error: str | None
    seconds: float


def main() -> None:
    """Runs the jobs in turn and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", "-o", type=Path, default=ROOT / "docs/benchmarks.md", help="the page")
    parser.add_argument("--full", action="store_true", help="all records, not a few")
    parser.add_argument(
        "--only", nargs="+", choices=sorted({job.module for job in JOBS}), help="some of the benchmarks"
    )
    parser.add_argument("--timeout", type=float, default=3600, help="seconds that one job may take (default: 3600)")
    options = parser.parse_args()
    outcomes = []
    for job in JOBS:
        if options.only is None or job.module in options.only:
            print("running", *job.command(options.full), flush=True)
            outcomes.append(run(job, options.full, options.timeout))
    atomic_write(options.output, page(outcomes, options.full))
    print(f"-> {options.output}")
    if failed := [outcome.job.title for outcome in outcomes if outcome.error is not None]:
        sys.exit(f"failed: {', '.join(failed)}")


def run(job: Job, is_full: bool, timeout: float) -> Outcome:
    """Runs a job in its own process on one thread, so that its memory and imports do not affect the others."""
    start = time.monotonic()
    places = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": places, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", *job.command(is_full)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        printed = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        return Outcome(job, printed, f"stopped after {timeout:.0f} s", timeout)
    last = done.stderr.strip().splitlines()[-1:] or ["no message"]
    error_text = None if done.returncode == 0 else f"exit status {done.returncode}: {last[0]}"
    return Outcome(job, done.stdout, error_text, time.monotonic() - start)


def page(outcomes: list[Outcome], is_full: bool) -> str:
    """The page as Markdown."""
    mode = " --full" if is_full else ""
    lines = [
        "# Benchmarks",
        "",
        f"This page was written by `python -m benchmarks.all{mode}` at commit {commit()}. {machine()}",
        "",
        "The sections show each benchmark's command and its output. The first table repeats the main figures. Times are CPU times of one "
        "thread; on another machine compare ratios, not milliseconds.",
        "",
        *main_table(outcomes),
        "",
        f"Versions: {versions()}.",
        "",
    ]
    for outcome in outcomes:
        lines += [f"## {outcome.job.title}", "", "```", f"$ python -m {' '.join(outcome.job.command(is_full))}"]
        lines += [outcome.printed.strip(), "```", ""]
        if outcome.error is not None:
            lines += [f"Failed: {outcome.error}.", ""]
    return "\n".join(lines)


def main_table(outcomes: list[Outcome]) -> list[str]:
    """The first table. A row whose figure was not printed says so."""
    lines = ["| | measured |", "|---|---|"]
    for outcome in outcomes:
        for row in outcome.job.rows:
            found = re.search(row.pattern, outcome.printed, re.MULTILINE)
            figures = " ".join(found[1].split()).replace("|", "/") if found else "not measured in this run"
            lines.append(f"| {row.label} | {figures} |")
    return lines


def machine() -> str:
    """The processor, its cores and their load."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file() and (found := re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())):
        name = found[1]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return f"Machine: {name}, {os.cpu_count()} cores, load {load:.0f} at the end; Python {platform.python_version()}."


def versions() -> str:
    """Versions of the packages, or that they are not installed."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{package} not installed")
    return ", ".join(found)


if __name__ == "__main__":
    main()
