# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Runs the benchmarks and writes docs/benchmarks.md: `OMP_NUM_THREADS=1 python -m benchmarks.all [--full]`.

Each job runs one benchmark of this folder in its own process. The page shows the command and its unchanged output; the first table
compares the main figures with those of other libraries. Rivals are installed by the user into a folder of their own, which PYTHONPATH
names: some are under the GPL, none is needed by gem-ecg. By default few records are measured, with `--full` all; do not compare figures
of the two. If a job fails or lacks a library, the page says so.
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
    "gem-ecg", "torch", "transformers", "numpy", "scipy", "matplotlib", "datasets", "neurokit2", "openecg", "ai-edge-litert", "ecgdeli",
    "wavedet", "wfdb", "pmecg", "ecg-plot", "dicom-ecg-plot", "ecgdatakit", "pydicom", "edfio",
)  # fmt: skip
RIVALS = (
    "pip install --target RIVALS --no-deps --ignore-requires-python neurokit2 'pywavelets<1.10' openecg opendsp ai-edge-litert flatbuffers "
    "protobuf ml-dtypes backports.strenum ecgdeli wavedet pmecg ecg-plot==0.2.8 dicom-ecg-plot edfio"
)
DELINEATORS = ("openecg", "ecgdeli", "neurokit2 dwt", "neurokit2 prominence", "wavedet", "wfdb xqrs")
RENDERERS = ("pmecg", "ecg_plot", "dicom-ecg-plot")


@dataclass(frozen=True)
class Row:
    """A row of the first table.

    Attributes:
        label: what is measured.
        ours: the expression that finds our figure in the output of the job.
        others: name -> the expression that finds that library's figure.
        is_time: the figures are times: the row states how many times ours the others take.
    """

    label: str
    ours: str
    others: tuple[tuple[str, str], ...] = ()
    is_time: bool = False


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


def named(names: tuple[str, ...], pattern: str) -> tuple[tuple[str, str], ...]:
    """Each name with the pattern that follows it on a line."""
    return tuple((name, rf"^.*?\b{re.escape(name)}\s+{pattern}") for name in names)


def delineation_row(label: str, column: str) -> Row:
    """A row of the comparison on LUDB, whose first group is that of all records."""
    return Row(label, named(("gem-ecg",), rf"{column}")[0][1], named(DELINEATORS, column))


def reader_row(label: str, file: str, other: str) -> Row:
    """A row of the readers: theirs is the second figure of a line that ends with their name."""
    line = rf"^{re.escape(file)}\s+"
    theirs = rf"{line}[\d.]+\s+([\d.]+)\s+{re.escape(other)}"
    return Row(label, rf"{line}([\d.]+)\s+[\d.]+\s+{re.escape(other)}", ((other, theirs),), is_time=True)


JOBS = (
    Job(
        "Delineators on LUDB",
        "bench_features",
        ("--parts", "ludb", "--rival-records", "1"),
        ("--parts", "ludb", "--rival-records", "25"),
        (
            delineation_row("LUDB, P waves: F1", r"([\d.]+) [\d.]+ +\S+ +\|"),
            delineation_row("LUDB, QRS complexes: F1", r"\S+ +([\d.]+) +\S+ +\|"),
            delineation_row("LUDB, T waves: F1", r"[\d.]+ [\d.]+ ([\d.]+) \|"),
            delineation_row("LUDB, onset of the QRS: SD in ms", r"\S+ +\S+ +\S+ +\| +\d+ \| +\S+ +([\d.]+)"),
        ),
    ),
    Job(
        "Speed of the measurements",
        "bench_features",
        ("--parts", "speed", "--rival-records", "2"),
        ("--parts", "speed"),
        (
            Row(
                "marks of all waves in 12 leads of 10 s, CPU ms (xqrs: QRS only)",
                r"^\s*gem-ecg, marks only\s+([\d.]+) ms",
                named(DELINEATORS, r"([\d.]+) ms"),
                is_time=True,
            ),
            Row("marks and all measurements of it, CPU ms", r"^\s*gem-ecg, all features\s+([\d.]+) ms"),
        ),
    ),
    Job(
        "Page renderers",
        "bench_renderers",
        ("--runs", "2"),
        (),
        (
            Row(
                "a page of 12 rows at 200 dpi, CPU ms",
                r"^gem-ecg \S+\s+([\d.]+)",
                named(RENDERERS, r"([\d.]+)"),
                is_time=True,
            ),
            Row(
                "its ink against the samples, RMS error in uV",
                r"^gem-ecg \S+\s+(?:[\d.]+\s+){4}([\d.]+)",
                named(RENDERERS, r"(?:[\d.]+\s+){4}([\d.]+)"),
            ),
        ),
    ),
    Job("Fidelity of our pages", "bench_page_fidelity", ("--layouts", "gem_12x1"), ()),
    Job("Speed of our pages", "bench_page", ("--runs", "3"), ()),
    Job(
        "Processors",
        "bench_processors",
        ("--runs", "2"),
        (),
        (
            Row(
                "question, page and signal to tensors, CPU ms",
                r"^GemProcessor\s+([\d.]+) ms",
                (("matplotlib and CLIPImageProcessor", r"^matplotlib page.*tokenizer\s+([\d.]+) ms"),),
                is_time=True,
            ),
        ),
    ),
    Job(
        "Readers",
        "bench_readers",
        ("--repeats", "2"),
        (),
        (
            reader_row("a WFDB record of PTB-XL, CPU ms", "PTB-XL WFDB, 12 x 5000", "wfdb.rdsamp"),
            reader_row("MUSE XML, CPU ms", "GE MUSE XML, 8 x 5000", "ecgdatakit"),
            reader_row("DICOM, CPU ms", "DICOM, 12 x 5000", "ecgdatakit"),
            reader_row("EDF, CPU ms", "EDF, 1 x 12000", "edfio"),
        ),
    ),
    Job(
        "Model",
        "bench_model",
        ("forward", "--rounds", "2"),
        ("forward", "--rounds", "5"),
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
                "reading a data set, CPU ms per record",
                r"^stream\(\): records and rows\s+([\d.]+) ms",
                (("load_dataset", r"^rows as Python \(plain load_dataset\)\s+([\d.]+) ms"),),
                is_time=True,
            ),
            Row("building it without pictures, CPU ms per record", r"^all of these without pictures\s+([\d.]+) ms"),
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
        (
            Row(
                "hand-written statements that were held back, precision of the verdicts",
                r"^handwritten, held_back: precision ([\d.]+)",
            ),
        ),
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
            atomic_write(
                options.output, page(outcomes, options.full)
            )  # after every job: a stopped run leaves its part
    print(f"-> {options.output}")
    if failed := [outcome.job.title for outcome in outcomes if outcome.error is not None]:
        sys.exit(f"failed: {', '.join(failed)}")


def run(job: Job, is_full: bool, timeout: float) -> Outcome:
    """Runs a job in its own process on one thread, so that its memory and imports do not affect the others."""
    start = time.monotonic()
    places = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": places,
        "PYTHONWARNINGS": "ignore",
        "MPLBACKEND": "Agg",
    }
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
        "The first table compares the main figures with those of other libraries; in brackets, how many times ours they take. The "
        "sections show each benchmark's command and its output. Times are CPU times of one thread; on another machine compare ratios, "
        "not milliseconds. The others were installed into a folder of their own that PYTHONPATH names, because some are under the GPL, "
        f"and without their requirements, because neurokit2 changes pandas: `{RIVALS}`. wavedet asks for Python 3.12, but runs on 3.11.",
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
    lines = ["| | gem-ecg | others |", "|---|---|---|"]
    for outcome in outcomes:
        for row in outcome.job.rows:
            ours = first_figure(row.ours, outcome.printed)
            others = []
            for name, pattern in row.others:
                if (figure := first_figure(pattern, outcome.printed)) is not None:
                    ratio = f" ({times(float(figure) / float(ours))})" if row.is_time and ours is not None else ""
                    others.append(f"{name} {figure}{ratio}")
            lines.append(f"| {row.label} | {ours or 'not measured in this run'} | {', '.join(others)} |")
    return lines


def times(ratio: float) -> str:
    """`3.7 x`, `14 x`."""
    return f"{ratio:.0f} x" if ratio >= 10 else f"{ratio:.2g} x"


def first_figure(pattern: str, printed: str) -> str | None:
    """The figure on the first line that matches."""
    found = re.search(pattern, printed, re.MULTILINE)
    return found[1] if found else None


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
