# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The tutorials, block by block, as a reader follows them: one folder for each page, what a block writes is there for the next one."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recipes.cli import app
from tests.helpers.page_blocks import run_block

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(r"^```(python|bash|yaml)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# The installation, which the tests stand on.
SETUP = ("make setup", "source .venv/bin/activate")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_word_by_word(page, tmp_path, monkeypatch):
    for name in ("processing", "tests", "recipes"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    done = 0
    for block in BLOCK.finditer(text):
        language, code = block.groups()
        if language == "yaml":
            Path(re.findall(r"Save this as `([\w.-]+)`", text[: block.start()])[-1]).write_text(code)
        elif language == "python":
            assert run_block(code, tmp_path) == ""
        else:
            for line in filter(lambda line: line not in SETUP, code.splitlines()):
                program, *arguments = shlex.split(line)
                assert program == "gem", line
                result = CliRunner().invoke(app, arguments)
                assert result.exit_code == 0, (line, result.output[-2000:], result.exception)
        done += 1
    assert done >= 4
