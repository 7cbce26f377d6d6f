# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The tutorials, block by block, in the order of a reader: one folder per page, in which later blocks find earlier files."""

import re
import shlex
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recipes.cli import app
from recipes.models import load_gem
from tests.helpers.page_blocks import run_block

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(r"^```(python|bash|yaml)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# The installation, which the tests have already.
SETUP = ("make setup", "source .venv/bin/activate")
SERVER = "http://127.0.0.1:8000"


class Reader:
    """Runs a page's commands in the working directory; a server that it starts runs until `servers` is closed."""

    def __init__(self, servers: ExitStack) -> None:
        self.servers = servers
        self.url = SERVER

    def python(self, code: str) -> None:
        assert run_block(code.replace(SERVER, self.url), Path.cwd()) == ""

    def bash(self, code: str) -> None:
        for line in filter(lambda line: line not in SETUP, code.splitlines()):
            program, *arguments = shlex.split(line.replace(SERVER, self.url))
            if line.startswith("gem serve --port"):
                self.start_server()
            elif program == "curl":
                self.curl(arguments)
            else:
                assert program == "gem", line
                result = CliRunner().invoke(app, arguments)
                assert result.exit_code == 0, (line, result.output[-2000:], result.exception)

    def start_server(self) -> None:
        pytest.importorskip("fastapi", reason="`gem serve` needs the extra `serve`")
        from tests.helpers.gem_server import running

        self.url = self.servers.enter_context(running(load_gem())).url

    def curl(self, arguments: list[str]) -> None:
        if shutil.which("curl") is not None:
            subprocess.run(["curl", "--fail", "--silent", *arguments], check=True, capture_output=True, timeout=120)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_word_by_word(page, tmp_path, monkeypatch):
    for name in ("processing", "tests", "recipes"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) >= 4
    with ExitStack() as servers:
        reader = Reader(servers)
        for block in blocks:
            language, code = block.groups()
            if language == "yaml":
                Path(re.findall(r"Save this as `([\w.-]+)`", text[: block.start()])[-1]).write_text(code)
            else:
                getattr(reader, language)(code)
