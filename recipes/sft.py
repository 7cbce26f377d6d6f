# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Supervised fine-tuning with TRL, towers frozen, on any data set with `messages`, `ecg` and optionally `image`.

python -m recipes.sft --config recipes/configs/sft_tiny.yaml
torchrun --nproc_per_node 2 -m recipes.sft --config recipes/configs/sft_tiny.yaml
"""

from dataclasses import dataclass, field
from pathlib import Path

import datasets
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import ModelConfig, SFTConfig, TrlParser, get_peft_config

import modeling_gem  # noqa: F401 (registers GEM)

from .training_gem import GemDataCollator, GemSFTTrainer, freeze_towers


@dataclass
class GemScriptArguments:
    """Arguments besides those of `SFTConfig` and `ModelConfig`."""

    dataset: str = field(metadata={"help": "Folder written by `save_to_disk`, or a data set for `load_dataset`."})
    train_split: str = field(default="train", metadata={"help": "Split to train on."})
    eval_split: str = field(
        default="validation", metadata={"help": "Split to evaluate on, if evaluation is asked for."}
    )
    both: float = field(default=1.0, metadata={"help": "Weight of samples that keep signal and picture."})
    signal: float = field(default=0.0, metadata={"help": "Weight of samples that keep the signal only."})
    image: float = field(default=0.0, metadata={"help": "Weight of samples that keep the picture only."})
    image_only: bool = field(default=False, metadata={"help": "Allow data without ECGs."})
    train_towers: bool = field(default=False, metadata={"help": "Train the towers too (the paper freezes them)."})


def load_splits(name: str) -> datasets.DatasetDict:
    loaded = datasets.load_from_disk(name) if Path(name).is_dir() else datasets.load_dataset(name)
    return loaded.with_format("numpy", columns=["ecg"], output_all_columns=True)


def main() -> None:
    parser = TrlParser((GemScriptArguments, SFTConfig, ModelConfig))
    script, training, model_config = parser.parse_args_and_config()
    training.dataset_kwargs = {"skip_prepare_dataset": True}
    training.max_length = None  # placeholders must never be cut

    torch.manual_seed(training.seed)
    dtype = model_config.dtype or "float32"
    model = AutoModelForImageTextToText.from_pretrained(model_config.model_name_or_path, dtype=dtype)
    processor = AutoProcessor.from_pretrained(model_config.model_name_or_path)
    if not script.train_towers:
        freeze_towers(model)
    splits = load_splits(script.dataset)
    mix = {"both": script.both, "signal": script.signal, "image": script.image}
    trainer = GemSFTTrainer(
        model=model,
        args=training,
        train_dataset=splits[script.train_split],
        eval_dataset=splits[script.eval_split] if training.eval_strategy != "no" else None,
        processing_class=processor,
        peft_config=get_peft_config(model_config),
        data_collator=GemDataCollator(
            processor,
            assistant_only_loss=True,
            modality_mix={name: weight for name, weight in mix.items() if weight},
            image_only=script.image_only,
        ),
    )
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    trainer.save_model(training.output_dir)
    processor.save_pretrained(training.output_dir)


if __name__ == "__main__":
    main()
