# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The training command on a tiny GEM, with one process or with two by `accelerate launch` and a shipped configuration."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
import yaml
from datasets import Dataset, DatasetDict, Features, Image, List, Value
from safetensors.torch import load_file

from recipes.training.checkpoints import last_checkpoint
from tests.helpers import tiny_gem
from tests.helpers.cpu_as_accelerator import STUCK_AFTER

ROOT = Path(__file__).resolve().parents[2]
STEPS = 8
GLOBAL_BATCH = 4
ANSWERS = ("Sinus rhythm.", "QRS duration. " * 6, "PR interval, PR interval.", "Sinus rhythm, QRS duration.")
FEATURES = Features(
    {
        "id": Value("string"),
        "ecg": List(List(Value("float32"))),
        "sampling_rate": Value("float32"),
        "images": List(Image()),
        "messages": List({"role": Value("string"), "content": Value("string")}),
    }
)
SETTINGS = {
    "image_only": True,
    "max_steps": STEPS,
    # One process accumulates two batches, two processes take one each.
    "global_batch_size": GLOBAL_BATCH,
    "per_device_train_batch_size": GLOBAL_BATCH // 2,
    "per_device_eval_batch_size": GLOBAL_BATCH // 2,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "constant",
    "train_sampling_strategy": "sequential",
    "gradient_checkpointing": True,
    "logging_steps": 1,
    "eval_strategy": "steps",
    "eval_steps": STEPS // 2,
    "generated_samples": 1,
    "generated_tokens": 4,
    "save_strategy": "steps",
    "save_steps": STEPS // 2,
    "resume_from_checkpoint": "true",
    "bf16": False,
    "dataloader_pin_memory": False,
    "report_to": "none",
}
METHODS = {"full": [], "LoRA": ["--use_peft", "true", "--lora_r", "4", "--lora_dropout", "0"]}


def example(number: int) -> dict[str, Any]:
    """Two processes take samples 0, 1 and 2, 3 of each step: one of them sees no picture or no ECG, or has none at all,
    and their answers differ in length."""
    step, place = divmod(number, GLOBAL_BATCH)
    has_ecg, has_image = [
        ((True, False), (False, True)),
        ((True, True), (False, False)),
        ((False, True), (True, False)),
    ][step % 3][place // 2]
    return {
        "id": str(number),
        "ecg": tiny_gem.signal(number).tolist() if has_ecg else None,
        "sampling_rate": 500.0,
        "images": [tiny_gem.picture(number)] if has_image else [],
        "messages": [
            {"role": "user", "content": "Interpret this ECG."},
            {"role": "assistant", "content": ANSWERS[number % 4]},
        ],
    }


def write_inputs(folder: Path) -> None:
    """A tiny GEM, its data and the settings."""
    tiny_gem.tiny_model().save_pretrained(folder / "gem")
    tiny_gem.tiny_processor().save_pretrained(folder / "gem")
    rows = [example(number) for number in range(STEPS * GLOBAL_BATCH)]
    splits = {"train": rows, "validation": rows[: 2 * GLOBAL_BATCH]}
    DatasetDict({k: Dataset.from_list(v, features=FEATURES) for k, v in splits.items()}).save_to_disk(folder / "data")
    inputs = {"model_name_or_path": str(folder / "gem"), "dataset": str(folder / "data")}
    (folder / "settings.yaml").write_text(yaml.safe_dump(SETTINGS | inputs))


def command(
    folder: Path, output: Path, sharding: str | None, more: list[str], processes: int = 2, on_cpu: bool = True
) -> list[str]:
    """By `accelerate launch` with `sharding`, the name of a shipped configuration; with `None` one process without it."""
    python = [sys.executable, "-W", "ignore"]
    settings = ["--config", str(folder / "settings.yaml"), "--output_dir", str(output), *more]
    training = ["-m", "recipes.training.sft", *settings, "--use_cpu", str(on_cpu).lower()]
    if sharding is None:
        return [*python, *training]
    if on_cpu and sharding != "ddp":
        training = ["-m", "tests.helpers.cpu_as_accelerator", *settings]
    launcher = ["-m", "accelerate.commands.launch", "--num_processes", str(processes), "--main_process_port", "0"]
    return [*python, *launcher, "--config_file", str(ROOT / f"recipes/configs/accelerate/{sharding}.yaml"), *training]


ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "DS_ACCELERATOR": "cpu", STUCK_AFTER: "300"}
# How Python begins the stacks of a process that is stuck.
STUCK = "Timeout ("
# The limit finds two processes that wait for each other for ever; DeepSpeed first compiles its own gloo.
LONGEST = 400


def train(folder: Path, output: Path, sharding: str | None, more: list[str]) -> None:
    """
    Under fsdp2, two processes on two busy cores waited for each other after the evaluation, once in some fifty runs of all tests. If it
    happens again, their stacks become a warning and the same command goes on; a second time it is a failure.
    """
    result = run_training(folder, output, sharding, more)
    if result.returncode and STUCK in result.stderr:
        warnings.warn(f"{sharding} was stuck:\n{result.stderr[result.stderr.index(STUCK) :]}", stacklevel=2)
        result = run_training(folder, output, sharding, more)
    assert result.returncode == 0, result.stderr[-3000:]


def run_training(
    folder: Path, output: Path, sharding: str | None, more: list[str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, output, sharding, more),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT},
        timeout=LONGEST,
        check=False,
    )


def train_until_killed(folder: Path, output: Path, sharding: str, more: list[str]) -> None:
    """One of the two processes is killed as soon as a checkpoint is complete; the launcher must then end by itself."""
    launched = subprocess.Popen(
        command(folder, output, sharding, more),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT},
    )
    try:
        ends = time.monotonic() + LONGEST
        while last_checkpoint(output) is None:
            assert launched.poll() is None and time.monotonic() < ends, "training ended without a checkpoint"
            time.sleep(0.02)
        workers = psutil.Process(launched.pid).children()
        assert len(workers) == 2, workers
        workers[-1].send_signal(signal.SIGKILL)
        assert launched.wait(LONGEST) != 0
    finally:
        launched.kill()


@dataclass
class Result:
    """What training logged, per step `(loss, gradient norm)`, its evaluation losses, and what it saved."""

    steps: torch.Tensor
    evaluations: torch.Tensor
    weights: dict[str, torch.Tensor]

    @classmethod
    def of(cls, output: Path) -> "Result":
        log = json.loads((output / f"checkpoint-{STEPS}" / "trainer_state.json").read_text())["log_history"]
        steps = [(entry["loss"], entry["grad_norm"]) for entry in log if "loss" in entry]
        evaluations = [entry["eval_loss"] for entry in log if "eval_loss" in entry]
        weights = next(output.glob("*model.safetensors"))
        return cls(torch.tensor(steps), torch.tensor(evaluations), load_file(weights))
