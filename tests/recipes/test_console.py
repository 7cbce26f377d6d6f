# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Errors and names are printed completely and unchanged."""

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


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("seed: 1", "{missing}"),
        ("learning_rte: 1e-3", "learning_rte"),
        ("seed: [", "are not YAML"),
        (None, "No such file"),
    ],
)
def test_a_recipe_ends_in_one_line(tmp_path, config, message):
    missing, file = tmp_path / "no[data]", tmp_path / "config.yaml"
    if config is not None:
        file.write_text(config)
    command = ["recipes.embedded.sft_cached", "--output_dir", tmp_path, "--model_name_or_path", missing]
    command += ["--dataset", missing, "--states", missing, "--bf16", "false", "--use_cpu", "true", "--config", file]
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        timeout=300,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and message.format(missing=missing) in done.stderr.splitlines()[-1]


def test_a_typed_function_is_a_command(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from recipes.console import run_command\n"
        "def main(count: int, name: str = 'x') -> None:\n"
        "    if count > 2: raise FileNotFoundError('absent')\n"
        "    print(count, name)\n"
        "run_command(main)\n"
    )

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, env=environment)

    assert run("2", "--name", "y").stdout == "2 y\n"
    wrong = run("3")
    assert (wrong.returncode, wrong.stderr) == (2, "error: absent\n")
    assert run("many").returncode == 2 and run().returncode == 2
