# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""All tables beside those of others in one run: `OMP_NUM_THREADS=1 python -m benchmarks.all --output docs/benchmarks.md [--full]`.

Each job is one of the benchmarks of this folder, in a process of its own; what it prints stands in the page as it came, under the
command that printed it. The page's first table takes its lines from there. Quick jobs measure few records, `--full` all of them; figures of
the two are not to be mixed. A job that fails or is missing a library says so in its place.
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
    """A line of the first table: what it is, and the expression that finds its figures in what the job prints."""

    label: str
    pattern: str


@dataclass(frozen=True)
class Job:
    """A benchmark: its module, arguments in quick and full mode, and the rows that the first table takes from it."""

    title: str
    module: str
    quick: tuple[str, ...]
    full: tuple[str, ...]
    rows: tuple[Row, ...] = ()

    def command(self, is_full: bool) -> list[str]:
        """As it is typed behind `python -m`."""
        return [f"benchmarks.{self.module}", *(self.full if is_full else self.quick)]


JOBS = (
    Job(
        "Delineators on LUDB",
        "bench_features",
        ("--parts", "ludb", "--rival-records", "1"),
        ("--parts", "ludb", "--rival-records", "25"),
        (
            Row(
                "marks beside a rival on few records of LUDB (quick: one; all 100 below): F1 of P, QRS, T / false P / SD in ms",
                r"^all \(\d+\)\s+gem-ecg\s+(.+)$",
            ),
            Row("the same records, neurokit2 (dwt)", r"^all \(\d+\).*\n\s+neurokit2 dwt\s+(.+)$"),
        ),
    ),
    Job(
        "Time of measuring",
        "bench_features",
        ("--parts", "speed", "--rival-records", "2"),
        ("--parts", "speed"),
        (
            Row("measuring a record of 10 s, all features", r"^\s*gem-ecg, all features\s+(.+)$"),
            Row("marks alone by neurokit2 (dwt)", r"^\s*neurokit2 dwt\s+(.+)$"),
        ),
    ),
    Job(
        "Pages",
        "bench_page",
        ("--runs", "3"),
        (),
        (
            Row("a page of 2200 x 1700, beside matplotlib", r"^gem_12x1, 2200 x 1700, render_ecg\s+(.+)$"),
            Row("question, page and signal to tensors", r"^question, page and signal to tensors\s+(.+)$"),
        ),
    ),
    Job(
        "Readers",
        "bench_readers",
        ("--repeats", "2"),
        (),
        (Row("reading WFDB: ours, wfdb, ratio", r"^PTB-XL WFDB, 12 x 5000\s+(.+)$"),),
    ),
    Job(
        "Model and processor",
        "bench_model",
        ("forward", "--rounds", "2"),
        (),
        (Row("a forward pass over its parts", r"^forward, batch 4, 421 tokens, 1 \+ rest / parts\s+(.+)$"),),
    ),
    Job(
        "Data sets, samples a second",
        "bench_dataset",
        ("--records", "10"),
        (),
        (
            Row("building a data set, without pictures", r"^all of these without pictures\s+(.+)$"),
            Row("reading it back, records and rows", r"^stream\(\): records and rows\s+(.+)$"),
        ),
    ),
    Job(
        "Sentences that nobody here wrote",
        "report_sentences",
        (),
        (),
        (Row("claims found in published answers, of a reader's", r"^\| published answer \| \d+ \| \d+ \| ([\d.]+)"),),
    ),
    Job(
        "Grounding check",
        "bench_grounding_check",
        ("--parts", "handwritten"),
        (),
        (Row("handwritten statements, held back", r"^handwritten, held_back: (.+)$"),),
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What a job printed; `error`: why it did not end well. seconds: wall time."""

    job: Job
    printed: str
    error: str | None
    seconds: float


def main() -> None:
    """Runs the jobs one after the other and writes the page."""
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
    """In a process of its own, on one thread, so that one job's memory and imports weigh on no other."""
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
    mode = "--full " if is_full else ""
    lines = [
        "# Benchmarks",
        "",
        f"Written by `python -m benchmarks.all {mode}--output docs/benchmarks.md` at commit {commit()}. {machine()}",
        "",
        "Times are CPU time of one thread: ratios hold on other machines, milliseconds do not. What is quoted from papers is called published.",
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
            lines += [f"Not finished: {outcome.error}.", ""]
    return "\n".join(lines)


def main_table(outcomes: list[Outcome]) -> list[str]:
    """The rows that the jobs name; one whose figures were not printed says so."""
    lines = ["| | measured |", "|---|---|"]
    for outcome in outcomes:
        for row in outcome.job.rows:
            found = re.search(row.pattern, outcome.printed, re.MULTILINE)
            figures = " ".join(found[1].split()).replace("|", "/") if found else "not measured in this run"
            lines.append(f"| {row.label} | {figures} |")
    return lines


def machine() -> str:
    """The processor and its cores, and how busy they are."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file() and (found := re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())):
        name = found[1]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return f"Machine: {name}, {os.cpu_count()} cores, load {load:.0f} at the end; Python {platform.python_version()}."


def versions() -> str:
    """Of the packages that are installed; the others are named as missing."""
    told = []
    for package in PACKAGES:
        try:
            told.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            told.append(f"{package} not installed")
    return ", ".join(told)


if __name__ == "__main__":
    main()
