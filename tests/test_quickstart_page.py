# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""docs/quickstart_8gpu.md, line by line: from the published JSON and a tree like MIMIC-IV-ECG's to a model on a local Hub, which a fresh
process without gem-ecg loads."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import load_dataset
from huggingface_hub import constants
from safetensors.torch import load_file
from typer.testing import CliRunner

import modeling_gem
from recipes import decode
from recipes.cli import app
from tests.helpers.hub_server import WRITE_TOKEN, HubServer
from tests.helpers.page_blocks import run_block
from tests.helpers.source_trees import grounding_rows, mimic_tree

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "quickstart_8gpu.md").read_text()
# (patient, study): eight studies of six patients, and one whose files were not downloaded.
STUDIES = [
    *(("10000032", "40689238"), ("10000032", "44458630"), ("10000117", "45090959"), ("10000117", "48446569")),
    *(("10000285", "46989724"), ("10000560", "47330121"), ("10000635", "42300001"), ("10000826", "44300002")),
    ("10000980", "49300003"),
]
# The page in miniature: two CPU processes in place of eight GPUs, two steps of four samples, small adapters.
PROCESSES = ("--num_processes 8", "--num_processes 2")
CPU = {"dtype": "float32", "bf16": "false", "use_cpu": "true", "max_steps": "2", "lora_r": "4", "lora_alpha": "8"}
CPU |= {"global_batch_size": "4", "per_device_train_batch_size": "1", "save_steps": "2"}
FAST = [part for key, value in CPU.items() for part in (f"--{key}", value)]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that the page expects in the working directory, and its two configurations."""
    folder = tmp_path_factory.mktemp("quickstart")
    (folder / "recipes").symlink_to(ROOT / "recipes")
    (folder / "my_mimic").mkdir()
    signals = mimic_tree(folder / "my_mimic", STUDIES)
    rows = grounding_rows(STUDIES)
    (folder / "my_grounding_train.json").write_text(json.dumps(rows))
    (folder / "my_grounding_test.json").write_text(json.dumps(rows[:2]))
    shutil.copytree(modeling_gem.default_checkpoint(), folder / "my_gem")
    for name, text in zip(("my_mimic.yaml", "my_lora.yaml"), blocks("yaml"), strict=True):
        (folder / name).write_text(text)
    np.savez(folder / "signals.npz", **signals)
    return folder


@pytest.fixture
def run(folder, monkeypatch):
    """Runs a line of the page in the folder: `gem` in this process, launchers in their own; training on CPUs."""
    monkeypatch.chdir(folder)

    def run_line(line: str) -> None:
        program, *arguments = shlex.split(line.replace(*PROCESSES))
        training = "train" in arguments or "recipes.training.sft" in arguments
        arguments += FAST if training else []
        if program == "gem":
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, (line, result.output[-2000:], result.exception)
            return
        assert program == "accelerate" and arguments.pop(0) == "launch"
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "accelerate.commands.launch",
            "--main_process_port",
            "0",
            *arguments,
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        launched = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
        assert launched.returncode == 0, launched.stderr[-2000:]

    return run_line


def test_from_the_published_files_to_the_hub_and_back(folder, run, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.helpers.hub_server.USER", "me")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    lines = [
        line for block in blocks("bash") for line in block.splitlines() if re.match("gem (?!train)|accelerate", line)
    ]
    assert len(lines) == 6 and PROCESSES[0] in lines[1]
    with HubServer() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        for line in lines:
            run(line)
        check_data(folder)
        check_weights(folder)
        check_scores(folder)
        assert hub.files("model", "me/gem-mimic")["model.safetensors"] == weights(folder / "my_gem_mimic").read_bytes()
        environment = {**os.environ, **hub.environment(tmp_path / "home"), "PYTHONPATH": "", "HF_HUB_OFFLINE": "0"}
        (tmp_path / "my_mimic").symlink_to(folder / "my_mimic")
        loaded = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", next(block for block in blocks("python") if "my_model" in block)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert loaded.returncode == 0, loaded.stderr[-2000:]
    question, *answer = loaded.stdout.splitlines()
    assert question.startswith("Interpret the provided ECG image") and answer


def check_data(folder: Path) -> None:
    """Signals by lead name to the count, published conversations, patients apart, the missing study named."""
    signals = np.load(folder / "signals.npz")
    data = load_dataset(str(folder / "my_grounded"))
    patients = {name: set(split["patient"]) for name, split in data.items()}
    assert set(patients) == {"train", "validation"} and not patients["train"] & patients["validation"]
    rows = [row for split in data.values() for row in split]
    assert len(rows) == len(STUDIES) - 1
    for row in rows:
        record = decode(row)
        assert record.leads[4:6] == ("aVL", "aVF")
        np.testing.assert_allclose(record.signal * 200, signals[row["id"].rpartition("/")[2]], atol=1e-3)
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
    assert STUDIES[-1][1] in (folder / "my_grounded" / "rejects.jsonl").read_text()


def weights(folder: Path) -> Path:
    return folder / "model.safetensors"


def check_weights(folder: Path) -> None:
    state = json.loads((folder / "my_adapter" / "checkpoint-2" / "trainer_state.json").read_text())
    assert state["global_step"] == 2 and (folder / "my_adapter" / "checkpoint-2" / "rng_state_1.pth").is_file()
    start, merged = load_file(weights(folder / "my_gem")), load_file(weights(folder / "my_gem_mimic"))
    assert start.keys() == merged.keys()
    changed = {name for name, value in start.items() if not torch.equal(value.float(), merged[name].float())}
    assert "model.ecg_projector.linear_1.weight" in changed and not any("tower" in name for name in changed)


def check_scores(folder: Path) -> None:
    """Scores of the merged model on both test rows; after two training steps their values do not matter."""
    report = json.loads((folder / "my_scores" / "report.json").read_text())
    assert report["model"]["name"] == "my_gem_mimic" and report["problems"] == []
    (claims,) = report["tables"]
    assert claims["records"] == 2 and {"precision", "recall"} <= {row["metric"] for row in claims["rows"]}


def test_the_rows_of_the_json_train_as_they_are(folder, run):
    run(next(line for block in blocks("bash") for line in block.splitlines() if line.startswith("gem train")))
    assert (folder / "my_adapter_2" / "adapter_model.safetensors").is_file()
    block = next(block for block in blocks("python") if "GemSFTTrainer(" in block)
    assert (
        run_block(block.replace("max_steps=2", "max_steps=2, use_cpu=True, bf16=False, report_to='none'"), folder)
        == ""
    )
