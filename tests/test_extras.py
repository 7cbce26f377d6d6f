# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Every command where libraries are missing: what works without extras works, the rest names the extra in one line, and the extra that
is named is enough.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement

import recipes
from processing.errors_gem import MissingDependencyError
from processing.extras_gem import LIBRARIES
from recipes.cli import app
from recipes.extras import EXTRAS as EXTRAS_OF_ROOMS
from tests.helpers.bare_environment import EXTRAS, PROJECT, bare_environment, modules_of, required
from tests.helpers.every_command import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
UNIONS = (
    "all",
    "dev",
    "docs",
    "data",
    "ray",
    "qlora",
    "deepspeed",
)  # that bring other extras, or serve the project alone
# Without any extra: command -> the extra that it names, `None` where it needs none.
NAMED = {
    "inspect": None, "features": None, "render": None, "interpret": None, "check": None, "info": None, "convert": None,
    "train": "train", "merge": "train", "build-dataset": "data", "build-dataset ray": "data",
    "build-preferences": "train",
    **dict.fromkeys([name for name in COMMANDS if name.startswith("eval ")], "eval"),
    "eval reasoning": None,
    "eval measurements": None,
    **dict.fromkeys([name for name in COMMANDS if name.startswith("publish ")], "publish"),
    "demo": "demo", "serve": "serve",
}  # fmt: skip
# With an extra's libraries blocked, in an environment that has all others: commands that come near them.
BLOCKED = {
    "train": ["train", "merge", "eval probe"],
    "teacher": ["build-dataset", "eval judge"],
    "eval": ["eval ecgbench", "eval review-export", "eval ptbxl"],
    "publish": ["publish model", "publish dataset", "publish space", "build-dataset", "train"],
    "ray": ["build-dataset ray"],
    "demo": ["demo"],
    "serve": ["serve"],
}


def every_command(python: Path | str, folder: Path, commands: list[str], absent: set[str] = frozenset()) -> dict:
    """Exit code and output by command."""
    run = subprocess.run(
        [
            str(python),
            "-W",
            "ignore",
            "-m",
            "tests.helpers.every_command",
            str(folder),
            ",".join(absent),
            ",".join(commands),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.splitlines()[-1])


def check_ended_in_words(ended: dict) -> None:
    for name, end in ended.items():
        assert "Traceback" not in end["said"], f"gem {name}: {end['said']}"
        assert end["code"] in (0, 1, 2), (name, end)
        if end["code"] == 2:
            assert end["said"].strip().splitlines()[-1].startswith("error: "), (name, end)


def named_extra(said: str) -> str | None:
    found = re.search(
        r'needs the library \'\w+\': pip install "gem-ecg\[([a-z0-9]+)\]" \(the library alone: pip install "', said
    )
    return found[1] if found else None


def test_every_command_is_started():
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    names = {
        f"{name} {verb}".strip() for name, command in commands.items() for verb in getattr(command, "commands", [""])
    }
    assert names <= set(COMMANDS)


def test_without_extras_in_an_environment_of_its_own(tmp_path):
    python = bare_environment(tmp_path / "environment")
    (tmp_path / "out").mkdir()
    ended = every_command(python, tmp_path / "out", list(COMMANDS))
    check_ended_in_words(ended)
    assert {name: named_extra(end["said"]) for name, end in ended.items()} == NAMED
    assert [name for name, end in ended.items() if end["code"] == 0] == list(NAMED)[:6]


@pytest.mark.parametrize("extra", BLOCKED)
def test_an_extra_whose_libraries_are_missing_is_named(extra, tmp_path):
    absent = modules_of(required([extra])) - modules_of(required(["data"] if extra == "ray" else []))
    ended = every_command(sys.executable, tmp_path, BLOCKED[extra], absent)
    check_ended_in_words(ended)
    assert any(named_extra(end["said"]) for end in ended.values())


@pytest.mark.parametrize("extra", ["train", "eval", "publish", "data"])
def test_the_extra_that_is_named_is_enough(extra, tmp_path):
    python = bare_environment(tmp_path / "environment", [extra])
    (tmp_path / "out").mkdir()
    commands = [name for name, needed in NAMED.items() if needed == extra and name != "build-dataset ray"]
    ended = every_command(python, tmp_path / "out", commands)
    check_ended_in_words(ended)
    assert {name: named_extra(end["said"]) for name, end in ended.items()} == dict.fromkeys(commands)


@pytest.mark.parametrize("method", ["sft", "grpo", "dpo"])
def test_what_launchers_start_names_the_extra_too(method):
    program = (
        "import runpy, sys; from tests.helpers.every_command import Absent; sys.meta_path.insert(0, Absent({'trl'})); "
        f"runpy.run_module('recipes.training.{method}', run_name='__main__')"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert named_extra(ended.stderr) == "train" and len(ended.stderr.splitlines()) == 1, ended.stderr


def test_the_table_of_libraries_is_that_of_the_project():
    stated = {
        extra: {Requirement(line).name for line in lines} - {"gem-ecg"}
        for extra, lines in EXTRAS.items()
        if extra not in UNIONS
    }
    brought = {Requirement(line).name for line in PROJECT["dependencies"]}
    for module, library in LIBRARIES.items():
        name = Requirement(library.name).name
        owners = {extra for extra, names in stated.items() if name in names}
        if module in ("ray", "bitsandbytes"):
            assert name in {Requirement(line).name for line in EXTRAS[library.extras[0]]}
        else:
            assert set(library.extras) == owners, module
            assert owners or name in brought, module
    listed = {Requirement(library.name).name for library in LIBRARIES.values()}
    assert set().union(*stated.values()) <= listed
    assert {extra for extra, _ in EXTRAS_OF_ROOMS.values()} <= set(EXTRAS)


def test_importing_a_name_says_it_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.delitem(sys.modules, "recipes.training.adapter", raising=False)
    recipes.__dict__.pop("merge_adapter", None)
    with pytest.raises(MissingDependencyError, match=r"gem-ecg\[train\]"):
        recipes.merge_adapter  # noqa: B018
