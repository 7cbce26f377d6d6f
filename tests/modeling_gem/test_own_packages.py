# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A user's `processing.py` or `recipes/` that shadows gem-ecg's is named in the error, with the remedy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
USE = "import modeling_gem; print('loaded', modeling_gem.load_ecg.__module__)"


def run(folder: Path, *options: str, code: str = USE) -> subprocess.CompletedProcess[str]:
    """`code` as a script in `folder`, where gem-ecg is installed."""
    (folder / "my_script.py").write_text(code)
    return subprocess.run(
        [sys.executable, *options, "my_script.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("name", ["processing.py", "processing/__init__.py"])
def test_a_foreign_processing_is_named_and_the_remedy_helps(tmp_path, name):
    foreign = tmp_path / name
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text("MINE = True\n")
    refused = run(tmp_path)
    assert refused.returncode == 1
    last = refused.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ") and str(foreign) in last and str(ROOT / "processing") in last
    assert "python -P" in last
    if name == "processing.py":
        assert run(tmp_path, "-P").stdout == "loaded processing.ecg_readers\n"


def test_an_already_imported_one_is_named(tmp_path):
    (tmp_path / "processing.py").write_text("MINE = True\n")
    refused = run(tmp_path, code="import processing\n" + USE)
    assert str(tmp_path / "processing.py") in refused.stderr.strip().splitlines()[-1]


def test_foreign_recipes_are_a_warning(tmp_path):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "__init__.py").write_text("")
    warned = run(tmp_path)
    assert warned.stdout == "loaded processing.ecg_readers\n"
    assert f"{tmp_path / 'recipes' / '__init__.py'} is imported as `recipes`" in warned.stderr


def test_folders_that_are_not_packages_shadow_nothing(tmp_path):
    for name in ("processing", "recipes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("")
    plain = run(tmp_path)
    assert plain.stdout == "loaded processing.ecg_readers\n" and "is imported as" not in plain.stderr
