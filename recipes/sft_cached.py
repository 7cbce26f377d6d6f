# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Supervised fine-tuning with TRL on kept states of frozen towers (`recipes/feature_cache.py`): many times faster.

python -m recipes.sft_cached --config recipes/configs/sft_tiny.yaml
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import datasets
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import SFTConfig, SFTTrainer, TrlParser

import modeling_gem  # noqa: F401 (registers GEM)

from .feature_cache import CachedCollator, TowerStates, cached_towers, whiten_projectors
from .training_gem import checkpoint_to_resume, freeze_towers


@dataclass
class CachedArguments:
    """Arguments besides those of `SFTConfig`."""

    model_name_or_path: str = field(metadata={"help": "GEM to start from; its towers stay as they are."})
    dataset: str = field(metadata={"help": "Folder written by `save_to_disk`, with `id`, `messages` and `length`."})
    states: str = field(metadata={"help": "Folder of tower states, made with the same towers."})
    whiten: bool = field(default=False, metadata={"help": "Start fresh projectors from the statistics of the states."})
    both: float = field(default=1.0, metadata={"help": "Weight of batches that show signal and picture."})
    signal: float = field(default=0.0, metadata={"help": "Weight of batches that show the signal only."})
    image: float = field(default=0.0, metadata={"help": "Weight of batches that show the picture only."})


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains as told, from the last checkpoint of OUTPUT_DIR with `resume_from_checkpoint: true`, and saves the result."""
    script, training = TrlParser((CachedArguments, SFTConfig)).parse_args_and_config(arguments)
    training.dataset_kwargs = {"skip_prepare_dataset": True}
    training.max_length = None
    training.remove_unused_columns = False

    torch.manual_seed(training.seed)
    model = AutoModelForImageTextToText.from_pretrained(script.model_name_or_path, dtype="float32")
    processor = AutoProcessor.from_pretrained(script.model_name_or_path)
    freeze_towers(model)
    mix = {"both": script.both, "signal": script.signal, "image": script.image}
    states = TowerStates.load(script.states)
    if script.whiten:
        whiten_projectors(model, states)
    collator = CachedCollator(processor, states, {name: weight for name, weight in mix.items() if weight})
    with cached_towers(model):
        trainer = SFTTrainer(
            model=model,
            args=training,
            train_dataset=datasets.load_from_disk(script.dataset)["train"],
            processing_class=processor,
            data_collator=collator,
        )
        trainer.train(resume_from_checkpoint=checkpoint_to_resume(training))
    model.save_pretrained(training.output_dir)
    processor.save_pretrained(training.output_dir)
    log = Path(training.output_dir) / "training_log.json"
    log.write_text(json.dumps(trainer.state.log_history, indent=1) + "\n")


if __name__ == "__main__":
    main()
