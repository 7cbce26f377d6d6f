# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`benchmarks/bench_large.py` in small: sharded weights converted without holding them, the result loaded with a part on disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

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
