# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The `curl` lines and Python blocks of docs/serving.md are run against a server."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

pytest.importorskip("fastapi", reason="`gem serve` needs the extra `serve`")

from recipes.cli import app
from recipes.models import load_gem
from tests.helpers.gem_server import running

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "serving.md").read_text()
LINES = [line for block in re.findall(r"```shell\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
CURLS = [line for line in LINES if line.startswith("curl ")]
BLOCKS = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
HERE = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def server():
    with running(load_gem()) as found:
        yield found


def test_there_is_something_to_run():
    assert len(CURLS) >= 4 and len(BLOCKS) >= 2 and all(HERE in text for text in (*CURLS, *BLOCKS))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("line", CURLS)
def test_curl(line, server, tmp_path):
    (tmp_path / "processing").symlink_to(ROOT / "processing")
    command = shlex.split(line.replace(HERE, server.url))
    run = subprocess.run([*command, "--fail", "--silent"], cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    written = b"".join(path.read_bytes() for path in tmp_path.glob("*.png"))
    assert b'"gem":' in run.stdout or written.startswith(b"\x89PNG")


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python(block, server):
    pytest.importorskip("openai", reason="the client comes with the extra `teacher`")
    run = subprocess.run(
        [sys.executable, "-c", block.replace(HERE, server.url)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "not a medical device" in run.stdout or "no_ecg" in run.stdout, run.stdout


def test_its_commands_are_understood():
    command = get_command(app).commands["serve"]
    lines = [line for line in LINES if line.startswith("gem serve")]
    assert len(lines) >= 2
    for line in lines:
        command.make_context("serve", shlex.split(line)[2:])
