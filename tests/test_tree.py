# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Rules for every source file of the checkout."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LICENCE = "# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0."
FOLDERS = ("modeling_gem", "processing", "recipes", "hub_cards", "benchmarks", "docs", "tests")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def test_every_source_file_begins_with_the_licence_line():
    assert len(SOURCES) > 100
    without = [str(path.relative_to(ROOT)) for path in SOURCES if path.read_text("utf-8").split("\n", 1)[0] != LICENCE]
    assert not without, f"without the licence line at the top: {without}"


@pytest.mark.parametrize(
    ("ci", "code", "said"), [("", 0, "NOT RUN: 15 test(s) skipped"), ("true", 1, "FAILED, the data are there: 15")]
)
def test_skipped_tests_are_named_and_fail_in_ci_where_the_data_are(ci, code, said, tmp_path):
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "tests/processing/test_ecg_features_ludb.py"]
    environment = {**os.environ, "CI": ci, "GEM_SHARED": str(tmp_path)}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == code, run.stdout + run.stderr
    assert said in run.stdout and "15 x data/ludb/data is not here" in run.stdout


def test_contributing_groups_every_flat_file_of_processing_once():
    table = (ROOT / "CONTRIBUTING.md").read_text().split("| job | files")[1].split("\n\n")[0]
    cells = re.sub(r"\([^)]*\)", "", table.split("\n", 2)[2])
    named = [name if name.endswith(".py") else f"ecg_{name}.py" for name in re.findall(r"`([\w.]+)`", cells)]
    flat = [path.name for path in (ROOT / "processing").glob("*.py") if path.name != "__init__.py"]
    assert sorted(named) == sorted(flat)
