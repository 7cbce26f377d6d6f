# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""docs/publishing.md, line by line, against the local Hub: also what `tests/test_readme.py` cannot run without one."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from recipes.cli import app
from recipes.embedded.answer_scores import score
from tests.helpers.hub_server import WRITE_TOKEN, HubServer
from tests.helpers.tiny_gem import tiny_config, tiny_model, tiny_processor

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "publishing.md").read_text()
ANSWER = "Rhythm: sinus rhythm, 70 bpm. Intervals: PR 160 ms, QRS 90 ms, QT 400 ms, QTc 420 ms. Axis: 30 degrees."


@pytest.fixture
def readers_files(tmp_path, monkeypatch):
    """The files that the page calls `my_...`: a trained model, its scores, a data set, a Space."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    config = tiny_config()
    tiny_model(config).save_pretrained("my_sft_output")
    tiny_processor(config).save_pretrained("my_sft_output")
    state = {"global_step": 4, "epoch": 1.0, "log_history": [{"loss": 3.0}, {"loss": 2.0}, {"train_runtime": 3600.0}]}
    Path("my_sft_output/trainer_state.json").write_text(json.dumps(state))
    Path("my_scores.json").write_text(
        json.dumps({"fold": 9, "records": 1, "scores": {"signal": score([ANSWER], [ANSWER])}})
    )
    Path("my_grounding_data").mkdir()
    pq.write_table(pa.table({"id": ["1"], "source": ["ptbxl"]}), "my_grounding_data/train-00000-of-00001.parquet")
    Path("my_space").mkdir()
    Path("my_space/app.py").write_text("print(1)\n")
    Path("my_space/README.md").write_text(
        "---\ntitle: T\nsdk: gradio\nsdk_version: 6.31.0\napp_file: app.py\nlicense: mit\n---\n"
    )


def test_every_command_and_the_code_that_loads_the_model(readers_files, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.helpers.hub_server.USER", "me")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    lines = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    load = next(block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "my_model" in block)
    with HubServer() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        for line in lines:
            result = CliRunner().invoke(app, shlex.split(line)[1:])
            assert result.exit_code == 0, (line, result.output, result.exception)
        card = hub.files("model", "me/my-gem")["README.md"].decode()
        assert hub.repos["model", "me/my-gem"].private and "= 0.065 kWh" in card and "fold 9, 1 records" in card
        assert set(hub.files("dataset", "me/ecg-grounding-small", "v2")) == {
            "README.md",
            "train-00000-of-00001.parquet",
        }
        environment = {
            **os.environ,
            **hub.environment(tmp_path / "home"),
            "PYTHONPATH": str(ROOT),
            "HF_HUB_OFFLINE": "0",
        }
        loaded = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", load], env=environment, capture_output=True, text=True, check=False
        )
        assert loaded.returncode == 0, loaded.stderr[-2000:]
