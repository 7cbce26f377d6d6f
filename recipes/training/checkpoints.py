# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Checkpoints of training: which ones are complete, and from which one training continues."""

import json
import zipfile
from pathlib import Path

from transformers import Trainer, TrainingArguments
from transformers.utils import logging

from processing.errors_gem import TrainingError
from recipes.files import safetensors_damage

logger = logging.get_logger(__name__)
STATE = "trainer_state.json"  # a `Trainer` writes it last
_ZIPPED = (".pt", ".pth", ".bin")  # as torch.save writes them, with the directory at the end


def damage(checkpoint: Path) -> str | None:
    """The damage of a checkpoint's first damaged file; `None` if all files are intact.

    A full disk or a power cut leaves truncated files. Safetensors must be as long as their header says, torch's files must have
    their directory, and JSON must parse; the numbers inside are not read.
    """
    if not (checkpoint / STATE).is_file():
        return f"{STATE} is missing"
    for file in sorted(path for path in checkpoint.rglob("*") if path.is_file()):
        wrong = None
        if file.suffix == ".safetensors":
            wrong = safetensors_damage(file)
        elif file.suffix in _ZIPPED and not zipfile.is_zipfile(file):
            wrong = "is cut off"
        elif file.suffix == ".json":
            wrong = _json_damage(file)
        if wrong:
            return f"{file.relative_to(checkpoint)} {wrong}"
    return None


def _json_damage(file: Path) -> str | None:
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return "is no JSON"
    return None


def last_checkpoint(folder: str | Path) -> str | None:
    """The newest complete checkpoint in `folder`; logs newer ones that are damaged."""
    found = [path for path in Path(folder).glob("checkpoint-*") if path.name.rpartition("-")[2].isdecimal()]
    for checkpoint in sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        wrong = damage(checkpoint)
        if wrong is None:
            return str(checkpoint)
        logger.warning(f"{checkpoint} is left out: {wrong}.")
    return None


def checkpoint_to_resume(training: TrainingArguments) -> str | None:
    """The folder that `resume_from_checkpoint` names; with true the newest complete one, or none.

    If there is none yet, training starts from the beginning, so that a job that is queued again can use the same command.

    Raises:
        TrainingError: It names something that is not a checkpoint, or a damaged one.
    """
    asked = str(training.resume_from_checkpoint).lower()
    if asked in ("none", "false", ""):
        return None
    if asked in ("true", "last"):
        return last_checkpoint(training.output_dir)
    wrong = damage(Path(training.resume_from_checkpoint))
    if wrong:
        raise TrainingError(
            f"`resume_from_checkpoint` {training.resume_from_checkpoint}: no complete checkpoint there ({wrong}). Say true for "
            "the newest complete one of OUTPUT_DIR, or false to start again."
        )
    return training.resume_from_checkpoint


def train_and_save(trainer: Trainer) -> None:
    """Trains, from the checkpoint that the settings name, and writes model and processor to their `output_dir`."""
    trainer.train(resume_from_checkpoint=checkpoint_to_resume(trainer.args))
    trainer.save_model(trainer.args.output_dir)
    if trainer.is_world_process_zero() and trainer.processing_class is not None:
        trainer.processing_class.save_pretrained(trainer.args.output_dir)


__all__ = ["checkpoint_to_resume", "damage", "last_checkpoint", "train_and_save"]
