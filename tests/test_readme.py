"""What the README and the pages of docs/ show works as shown: their Python blocks run, their `gem` commands succeed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = {path.name: path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}


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
COMMANDS = {
    name: lines
    for name, block in blocks("bash").items()
    if (lines := [line.split("  #")[0] for line in block.replace("\\\n", " ").splitlines() if runnable(line)])
}


def run(arguments: list[str], folder: Path) -> None:
    # The README is read in the project's folder; what it writes goes elsewhere.
    for name in ("processing", "tests", "recipes", "hub_cards"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        arguments, capture_output=True, text=True, cwd=folder, env=environment, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]


def test_there_is_something_to_run():
    assert len(PYTHON) >= 4 and sum(map(len, COMMANDS.values())) >= 5
    assert "make demo" in README and "make test" in README


@pytest.mark.parametrize("name", PYTHON)
def test_python_blocks(name, tmp_path):
    run([sys.executable, "-W", "ignore", "-c", PYTHON[name]], tmp_path)


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name, tmp_path):
    entry = "import sys; sys.argv[0] = 'gem'; from recipes.cli import main; main()"
    for command in COMMANDS[name]:
        run([sys.executable, "-W", "ignore", "-c", entry, *shlex.split(command)[1:]], tmp_path)


def test_pictures_exist():
    for name, page in PAGES.items():
        folder = ROOT if name == "README.md" else ROOT / "docs"
        for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page):
            assert (folder / picture).is_file(), f"{name}: {picture}"
