# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What the programs print of errors and names: all of it, as it is."""

import os
import subprocess
import sys

import pytest

from processing.errors_gem import TrainingError
from recipes.console import run_script

AWKWARD = "records [I, II]/[/left].csv: needs h5py; pip install gem-ecg[hdf5] " + "and more " * 30


@pytest.mark.parametrize("error", [TrainingError, FileNotFoundError])
def test_an_error_is_one_line_with_all_its_words(error, capsys):
    def main():
        raise error(AWKWARD)

    with pytest.raises(SystemExit) as end:
        run_script(main)
    assert end.value.code == 2
    assert capsys.readouterr().err == f"error: {AWKWARD}\n"


def test_other_errors_are_ours_and_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_script(lambda: 1 / 0)


def test_a_recipe_ends_in_one_line(tmp_path):
    missing = tmp_path / "no[data]"
    command = ["recipes.embedded.sft_cached", "--output_dir", tmp_path, "--model_name_or_path", missing]
    command += ["--dataset", missing, "--states", missing, "--bf16", "false", "--use_cpu", "true"]
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        timeout=300,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and str(missing) in done.stderr.splitlines()[-1]
