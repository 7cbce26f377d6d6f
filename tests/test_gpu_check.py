# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A small run of `benchmarks/gpu_check.py` on a CPU: every part runs, and a failure becomes a row and does not stop the run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: str, library: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} | ({"PYTHONPATH": str(library)} if library else {})
    command = [sys.executable, "benchmarks/gpu_check.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False)


def results(file: Path) -> dict[str, str]:
    """Part and case -> result."""
    return {f"{row['part']}: {row['case']}": row["result"] for row in json.loads(file.read_text())["rows"]}


def test_a_dry_run_of_all_that_needs_one_process(tmp_path):
    done = run("--dry-run", "parity", "batch", "large", "qlora", "--output", str(tmp_path / "rows.json"))
    assert done.returncode == 0, done.stdout
    found = results(tmp_path / "rows.json")
    # Flash attention needs CUDA, 4 bit an extra.
    not_always = ["parity: bfloat16 flash_attention_2", "qlora: QLoRA, 4 samples a step"]
    assert {found.pop(case) for case in not_always} <= {"ok", "not run"}
    assert len(found) == 13 and set(found.values()) == {"ok"}
    assert "| large | LoRA, 4 samples a step | ok | samples_per_s" in done.stdout


def test_what_fails_is_a_row_and_the_next_part_runs(tmp_path):
    (tmp_path / "trl.py").write_text("raise OSError('no kernel image for this device')\n")
    done = run("--dry-run", "large", "batch", "--output", str(tmp_path / "rows.json"), library=tmp_path)
    found = results(tmp_path / "rows.json")
    assert done.returncode == 1 and found.pop("large: LoRA, 4 samples a step") == "FAILED"
    assert "OSError: no kernel image for this device" in done.stdout
    assert len(found) == 6 and set(found.values()) == {"ok"}


@pytest.mark.devices
def test_a_dry_run_of_the_launchers(tmp_path):
    done = run("--dry-run", "launch", "--output", str(tmp_path / "rows.json"))
    assert done.returncode == 0, done.stdout
    found = results(tmp_path / "rows.json")
    assert list(found)[:3] == ["launch: no launcher", "launch: ddp, 1 process", "launch: fsdp2, 1 process"]
    assert [result for case, result in found.items() if "zero" not in case] == ["ok"] * 3


def test_without_a_gpu_it_says_so():
    done = run("parity")
    if "PyTorch sees no GPU" not in done.stderr:
        pytest.skip("there is a GPU: run benchmarks/gpu_check.py itself")
    assert done.returncode == 2 and "--dry-run" in done.stderr
