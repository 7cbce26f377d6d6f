# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Two processes train as one: same weights, same losses, whatever modalities their batches lack."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from tests.helpers.tiny_gem import tiny_model

ROOT = Path(__file__).resolve().parents[3]


def run(processes: int, output: Path) -> None:
    launcher = (
        [] if processes == 1 else ["torch.distributed.run", "--nproc_per_node", str(processes), "--standalone", "-m"]
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", *launcher, "tests.helpers.distributed_training", str(output)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        timeout=400,  # a process that waits for another one for ever is what this is about
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for processes in (1, 2):
        run(processes, folder / str(processes))
    return folder


@pytest.mark.parametrize(
    ("kind", "trained"), [("ddp", "lm_head.weight"), ("ddp_lora", None), ("fsdp2", "lm_head.weight")]
)
def test_two_processes_equal_one(runs, kind, trained):
    alone, together = (load_file(runs / str(n) / kind / "result.safetensors") for n in (1, 2))
    assert alone.keys() == together.keys()
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=0, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}")
    trained = trained or next(name for name in alone if "lora_B" in name)
    start = dict(tiny_model().named_parameters()).get(trained, torch.zeros(()))
    assert (together[trained] - start).abs().max() > 1e-3  # there was something to agree on


def test_what_fsdp2_saves_loads(runs):
    weights = load_file(runs / "2" / "fsdp2" / "result.safetensors")
    saved = AutoModelForImageTextToText.from_pretrained(runs / "2" / "fsdp2" / "model")
    assert torch.equal(saved.lm_head.weight, weights["lm_head.weight"])
    assert saved.config.architectures == ["GemForConditionalGeneration"]
