# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""README and docs/ work as shown: their Python blocks run, their `gem` commands succeed."""

import json
import re
import runpy
import shlex
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from recipes.cli import app
from tests.helpers.page_blocks import run_block
from tests.helpers.readers_files import write_readers_files

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
# The blocks of a tutorial build on each other: tests/test_tutorials.py runs them.
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "notes").glob("*.md"))]
PAGES = {path.name: path.read_text() for path in FILES}


def blocks(language: str) -> dict[str, str]:
    """Page and number of the block -> its text."""
    return {
        f"{name}-{number}": block
        for name, page in PAGES.items()
        for number, block in enumerate(re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL))
    }


def runnable(line: str) -> bool:
    """Commands on the reader's own files and data are named as such and cannot run here."""
    return line.startswith("gem ") and "my_" not in line and "PTBXL" not in line


PYTHON = {name: block for name, block in blocks("python").items() if "my_" not in block}
# The commands of one block run in one folder, in order: a later one may read what an earlier one wrote.
LINES = {
    name: [line.split("  #")[0].strip() for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    for name, block in blocks("bash").items()
}
COMMANDS = {name: lines for name, block in LINES.items() if (lines := list(filter(runnable, block)))}
NOT_RUN = [line for block in LINES.values() for line in block if not runnable(line)]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The README is read in the project's folder; what it writes goes elsewhere."""
    for name in ("processing", "tests", "recipes", "hub_cards"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_is_short_and_its_results_are_the_cards():
    made = runpy.run_path(str(ROOT / "docs" / "make_results.py"))
    assert made["with_results"](README, made["CARD"].read_text()) == README, "run `python docs/make_results.py`"
    assert len(README.splitlines()) < 120


def test_there_is_something_to_run():
    assert len(PYTHON) >= 4 and sum(map(len, COMMANDS.values())) >= 5
    assert "make demo" in README and "make test" in README


def gem(command: str, text: str | None = None) -> str:
    """What `gem ...` prints, run in this process: `tests/recipes/cli/test_cli.py` starts the program itself."""
    result = CliRunner().invoke(app, shlex.split(command)[1:], input=text)
    assert result.exit_code == 0, (command, result.output[-2000:], result.exception)
    return result.stdout


@pytest.mark.parametrize("name", PYTHON)
def test_python_blocks(name, folder):
    assert run_block(PYTHON[name], folder) == ""


def test_a_block_that_forgets_an_import_fails(folder):
    code = "from transformers import AutoConfig\nprint(AutoConfig.for_model('gem'))"
    assert "gem" in run_block(code, folder)
    assert run_block(f"import modeling_gem\n{code}", folder) == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name, folder):
    for command in COMMANDS[name]:
        gem(command)


# What of these needs more than a few files: a whole test set, a Hub or an endpoint (their own tests start one), weights of 7B, a cluster, a browser.
NEEDS_MORE = r"csn|\bme/|gpt-|http|ray:|auto$|batch|my_llava|my_cpt|my_pulse|my_gem|my_adapter|my_instructions|review|demo|vllm|my_mimic.yaml|my_sph|my_device_files|my_ecg_qa"
ON_READERS_FILES = [line for line in NOT_RUN if line.startswith("gem ") and not re.search(NEEDS_MORE, line)]


def test_commands_on_the_readers_own_files(folder):
    """In one folder, with small files of the names that the pages use."""
    write_readers_files(folder)
    build = [line for line in ON_READERS_FILES if "build-dataset" in line]
    others = [line for line in ON_READERS_FILES if line not in build]
    assert build and len(others) >= 8
    for line in (*build, *others):
        if line in build:
            shutil.rmtree("my_dataset", ignore_errors=True)
        text = None
        for part in line.split(" | "):
            text = json.loads(text)["interpretation"] if part == "jq -r .interpretation" else gem(part, text)


@pytest.mark.parametrize("line", [line for line in NOT_RUN if line.startswith("gem ")])
def test_commands_on_the_readers_own_files_are_understood(line):
    """Subcommand, arguments and options are parsed without the files."""
    for part in line.split(" | "):
        if part.startswith("gem "):
            understood(shlex.split(part)[1:])


def understood(arguments: list[str]) -> None:
    command, context = typer.main.get_command(app), None
    while hasattr(command, "commands"):
        context = command.context_class(command, parent=context)
        command = command.commands[arguments.pop(0)]
    try:
        command.make_context(command.name, arguments, parent=context)
    except Exception as error:
        # What does not exist here is the one thing that may be wrong.
        if type(error).__name__ != "BadParameter" or "does not exist" not in str(error):
            raise


@pytest.mark.parametrize(
    "line", [line for line in NOT_RUN if re.search(r"(python|launch.*) -m (recipes|benchmarks)\.", line)]
)
def test_modules_that_need_data_or_machines_have_these_options(line):
    module, arguments = re.search(r" -m ((?:recipes|benchmarks)[\w.]+)(.*)", line).groups()
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    for word in shlex.split(arguments):
        if word.startswith("--"):
            parameter = rf"\b{word.removeprefix('--').replace('-', '_')}: "  # of a typed command
            known = f'"{word}"' in source or re.search(parameter, source)
            assert known or (
                module in ("recipes.training.sft", "recipes.training.grpo", "recipes.training.dpo")
                and word == "--config"
            )  # TRL's own
        elif word.startswith("recipes/"):
            assert (ROOT / word).is_file()


def test_pictures_exist():
    for path in FILES:
        for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", path.read_text()):
            assert (path.parent / picture).is_file(), f"{path.name}: {picture}"
