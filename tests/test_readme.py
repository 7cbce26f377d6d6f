"""What the README shows works as it is shown: its Python blocks run, its `gem` commands succeed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
# Commands on the reader's own files and data are named as such and cannot run here.
RUNNABLE = [
    line.split("  #")[0] for line in COMMANDS if line.startswith("gem ") and "my_" not in line and "PTBXL" not in line
]


def run(arguments: list[str], folder: Path) -> None:
    # The README is read in the project's folder; what it writes goes elsewhere.
    for name in ("processing", "tests"):
        (folder / name).symlink_to(ROOT / name)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        arguments, capture_output=True, text=True, cwd=folder, env=environment, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]


def test_there_is_something_to_run():
    assert len(PYTHON) >= 4 and len(RUNNABLE) >= 5
    assert "make demo" in COMMANDS and "make test" in COMMANDS


@pytest.mark.parametrize("index", range(len(PYTHON)))
def test_python_blocks(index, tmp_path):
    run([sys.executable, "-W", "ignore", "-c", PYTHON[index]], tmp_path)


@pytest.mark.parametrize("command", RUNNABLE)
def test_commands(command, tmp_path):
    entry = "import sys; sys.argv[0] = 'gem'; from recipes.cli import main; main()"
    run([sys.executable, "-W", "ignore", "-c", entry, *shlex.split(command)[1:]], tmp_path)


def test_pictures_exist():
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file(), picture
