# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A small run of `benchmarks/bench_large.py`: sharded weights are converted one by one, the result is loaded partly to disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modeling_gem.checkpoint_files import read_weights

ROOT = Path(__file__).resolve().parents[2]


def test_a_sharded_checkpoint_is_converted_and_runs_from_the_disk(tmp_path):
    command = [sys.executable, "benchmarks/bench_large.py", "--shape", "tiny", "--memory", "0.0005"]
    subprocess.run(
        [*command, "--folder", str(tmp_path), "--output", str(tmp_path / "figures.json")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        timeout=600,
    )
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert len(figures["shards_gb"]) > 2
    assert figures["convert"]["anonymous_gb"] < max(figures["shards_gb"]) + 1
    assert figures["generate"]["modules_on_disk"] > 0 and figures["generate"]["modules_in_memory"] > 0
    assert list(tmp_path.iterdir()) == [tmp_path / "figures.json"]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="maps of a process are told by Linux")
def test_a_weight_that_is_dropped_leaves_memory(tmp_path):
    file = tmp_path / "model.safetensors"
    save_file({name: torch.ones(100_000) for name in ("a", "b")}, file)
    mapped = lambda: Path("/proc/self/maps").read_text().count(str(file))  # noqa: E731
    weights = dict(read_weights(file))
    assert mapped() == 2
    del weights["a"]
    assert mapped() == 1 and weights["b"].sum() == 100_000
