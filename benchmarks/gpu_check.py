# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Checks everything about a GEM that needs a GPU, by one command without network, in less than 8 minutes on one H100.

    python benchmarks/gpu_check.py --wheels wheels --output gpu_check.json    # installs from a folder of wheels first
    python benchmarks/gpu_check.py --output gpu_check.json parity batch       # parts of it, in this environment
    python benchmarks/gpu_check.py --dry-run                                  # tiny shapes on a CPU: does the program run?

Each part is a separate process with a time budget. A part that fails, is missing or takes too long becomes a row of the table, and
the next part begins. The exit code is 1 if a row failed. docs/training.md explains how to get the wheels.

    parity   the embedded model's logits in float32 and bfloat16 by every attention, beside float32 on the CPU
    batch    rows of a padded batch beside the same rows alone
    large    LLaMA-7B, CLIP ViT-L/14-336 and ECG-CoCa's tower with random weights: building, forward, generation, LoRA
    qlora    the same with the language model in 4 bit
    launch   every configuration of recipes/configs/accelerate, with one process, beside none
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

from gpu_parts import Figures, Rows, batch, environment, large, last_error, launch, parity, qlora

# Part -> what it may take, in seconds. Together with 40 s for the installation they stay below 8 minutes.
PARTS: dict[str, tuple[Callable[[Rows], None], float]] = {
    "parity": (parity, 110),
    "batch": (batch, 40),
    "large": (large, 100),
    "qlora": (qlora, 60),
    "launch": (launch, 120),
}
WHOLE = 470.0  # seconds, installation included


def install(wheels: Path, folder: Path) -> str:
    """A Python that has gem-ecg's libraries from `wheels`, and whatever this one has (often PyTorch)."""
    venv.create(folder, with_pip=True, system_site_packages=True)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(wheels)]
    subprocess.run([*pip, "gem-ecg[train]"], check=True)
    for extra in ("gem-ecg[qlora]", "gem-ecg[deepspeed]", "flash-attn"):
        if subprocess.run([*pip, extra], check=False, capture_output=True).returncode:
            print(f"{extra}: not among the wheels; what needs it will not be run", flush=True)
    return python


def run_part(python: str, part: str, seconds: float, dry_run: bool) -> list[Figures]:
    """The rows of a part; one more where it did not come to its end."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        file.touch()
        line = [python, "-W", "ignore", __file__, part, "--rows", str(file), *(["--dry-run"] if dry_run else [])]
        ended = "not run: no time was left"
        if seconds > 0:
            try:
                done = subprocess.run(
                    line, timeout=seconds, env=environment(), capture_output=True, text=True, check=False
                )
                ended = "" if done.returncode == 0 else last_error(done.stderr)
            except subprocess.TimeoutExpired:
                ended = f"stopped after {seconds:.0f} s"
        rows = [json.loads(text) for text in file.read_text().splitlines()]
        return [*rows, {"part": part, "case": "(the rest)", "result": "FAILED", "note": ended}] if ended else rows


def machine(python: str) -> Figures:
    code = (
        "import json, torch, transformers; there = torch.cuda.is_available(); print(json.dumps({'torch': torch.__version__, "
        "'transformers': transformers.__version__, 'device': torch.cuda.get_device_name() if there else 'CPU'}))"
    )
    return json.loads(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout)


def print_table(rows: list[Figures]) -> None:
    print("| part | case | result | figures | s |\n|---|---|---|---|---|")
    for row in rows:
        known = {"part", "case", "result", "note", "seconds"}
        figures = [f"{key} {value}" for key, value in row.items() if key not in known and value is not None]
        print(
            f"| {row['part']} | {row['case']} | {row['result']} | {', '.join(figures) or row.get('note', '')} | {row.get('seconds', '')} |"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument(
        "--wheels", type=Path, help="folder of wheels to install from, into an environment that is deleted"
    )
    parser.add_argument("--output", type=Path, help="the rows as JSON")
    parser.add_argument("--dry-run", action="store_true", help="tiny shapes on the CPU")
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)  # this process is a part
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no part {sorted(unknown)}; there are {', '.join(PARTS)}")
    if arguments.rows is not None:
        (part,) = arguments.parts
        PARTS[part][0](Rows(part, arguments.rows, arguments.dry_run))
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        python = install(arguments.wheels, Path(folder)) if arguments.wheels else sys.executable
        report: Figures = {**machine(python), "dry_run": arguments.dry_run, "rows": []}
        if not arguments.dry_run and report["device"] == "CPU":
            parser.error("PyTorch sees no GPU here; --dry-run tries the program on the CPU")
        for part in arguments.parts or PARTS:
            # On a shared CPU only the program is tried, not its speed.
            left = 900 if arguments.dry_run else WHOLE - (time.monotonic() - started)
            report["rows"] += run_part(
                python, part, min(left, 900 if arguments.dry_run else PARTS[part][1]), arguments.dry_run
            )
            report["seconds"] = round(time.monotonic() - started, 1)
            if arguments.output is not None:
                arguments.output.write_text(json.dumps(report, indent=1))
    print(
        f"{report['device']}, torch {report['torch']}, transformers {report['transformers']}: {report['seconds']} s\n"
    )
    print_table(report["rows"])
    return int(any(row["result"] == "FAILED" for row in report["rows"]))


if __name__ == "__main__":
    sys.exit(main())
