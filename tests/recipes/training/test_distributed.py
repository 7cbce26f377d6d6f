# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Two processes train as one, with every shipped configuration of accelerate: same losses, gradients and weights, whatever
modalities their batches lack, and after one of them was killed. `make devices` runs all of them, other test runs the quick
ones."""

import functools
import importlib.util
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from tests.helpers.distributed_training import METHODS, ROOT, STEPS, Result, train, train_until_killed, write_inputs

needs_deepspeed = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None,
    reason="DeepSpeed is not installed: pip install 'gem-ecg[deepspeed]'",
)
ZERO = [pytest.mark.devices, needs_deepspeed]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    write_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def alone(folder):
    """Results of one process with the same settings, by method."""

    @functools.cache
    def trained(method: str) -> Result:
        train(folder, folder / f"alone_{method}", None, METHODS[method])
        return Result.of(folder / f"alone_{method}")

    return trained


def check_equal(together: Result, alone: Result, what: str) -> None:
    assert together.steps.shape == alone.steps.shape == (STEPS, 2)
    assert together.weights.keys() == alone.weights.keys()
    steps = (together.steps - alone.steps).abs().max(dim=0).values
    evaluations = (together.evaluations - alone.evaluations).abs().max()
    weights = max(float((together.weights[name] - value).abs().max()) for name, value in alone.weights.items())
    print(f"| {what} | {steps[0]:.0e} | {evaluations:.0e} | {steps[1]:.0e} | {weights:.0e} |")
    assert float(steps.max()) < 1e-4 and float(evaluations) < 1e-5
    # A step moves a weight by the learning rate, 1e-3.
    assert weights < 1e-5


@pytest.mark.parametrize(
    ("sharding", "method"),
    [
        ("ddp", "full"),
        ("fsdp2", "full"),
        pytest.param("ddp", "LoRA", marks=pytest.mark.devices),
        pytest.param("fsdp2", "LoRA", marks=pytest.mark.devices),
        *(pytest.param(zero, method, marks=ZERO) for zero in ("zero2", "zero3") for method in METHODS),
    ],
)
def test_two_processes_equal_one(folder, alone, tmp_path, sharding, method):
    train(folder, tmp_path, sharding, METHODS[method])
    together = Result.of(tmp_path)
    check_equal(together, alone(method), f"{sharding} | {method}")
    if method == "full":
        start = load_file(folder / "gem" / "model.safetensors")
        assert (together.weights["lm_head.weight"] - start["lm_head.weight"]).abs().max() > STEPS / 2 * 1e-3
        saved = AutoModelForImageTextToText.from_pretrained(tmp_path)
        assert saved.config.architectures == ["GemForConditionalGeneration"]
        assert torch.equal(saved.lm_head.weight, together.weights["lm_head.weight"])
    samples = [path.read_text() for path in sorted(tmp_path.glob("samples/*/samples.jsonl"))]
    expected = sorted((folder / f"alone_{method}").glob("samples/*/samples.jsonl"))
    assert samples == [path.read_text() for path in expected] and samples


@pytest.mark.parametrize(
    "sharding",
    [
        "ddp",
        pytest.param("fsdp2", marks=pytest.mark.devices),
        *(pytest.param(zero, marks=ZERO) for zero in ("zero2", "zero3")),
    ],
)
def test_after_a_process_was_killed_the_same_command_goes_on(folder, alone, tmp_path, sharding):
    train_until_killed(folder, tmp_path, sharding, [])
    assert not list(tmp_path.glob("*.safetensors")) and not (tmp_path / f"checkpoint-{STEPS}").exists()
    checkpoint = tmp_path / f"checkpoint-{STEPS // 2}" / "trainer_state.json"
    written = checkpoint.stat().st_mtime_ns
    train(folder, tmp_path, sharding, [])
    assert checkpoint.stat().st_mtime_ns == written  # it went on, and did not begin again
    check_equal(Result.of(tmp_path), alone("full"), f"{sharding} | full, killed and resumed")


@pytest.mark.parametrize(
    "file", sorted((ROOT / "recipes" / "configs" / "accelerate").glob("*.yaml")), ids=lambda f: f.stem
)
def test_precision_is_that_of_the_training_settings(file: Path):
    assert yaml.safe_load(file.read_text())["mixed_precision"] == "no"
