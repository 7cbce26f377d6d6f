# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Training on preferred answers with TRL's DPO, on pairs from `gem build-preferences`.

gem build-preferences my_instructions --output my_preferences
gem train --method dpo recipes/configs/dpo_tiny.yaml --dataset my_preferences
accelerate launch --config_file recipes/configs/accelerate/ddp.yaml -m recipes.training.dpo --config recipes/configs/dpo_tiny.yaml
"""

if __name__ == "__main__":  # before what may not be installed
    from recipes.console import run_module

    run_module("recipes.training.dpo")

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from transformers import PreTrainedModel
from trl import DPOConfig, DPOTrainer, ModelConfig, TrlParser
from trl.trainer import dpo_trainer
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from modeling_gem import default_checkpoint
from processing.errors_gem import TrainingError

from .checkpoints import train_and_save
from .collator import GemDataCollator, name_of
from .sft import (
    DataArguments,
    adapter_config,
    is_evaluated,
    load_processor,
    load_splits,
    model_to_train,
    set_rates_and_precision,
)
from .towers import TowerRates
from .trainer import parse_settings, reference_by_auto_class, score_answers_only_on_cpu

SIDES = ("chosen", "rejected")


@dataclass
class GemPreferenceCollator(GemDataCollator):
    """
    Rows with `messages` (whose last answer, if there is one, is skipped), `chosen` and `rejected` (texts), `ecg` and perhaps
    `image` -> the batch of TRL's `DPOTrainer`: first all chosen, then all rejected answers, both after the same prompt with
    the same modalities.

    Raises:
        TrainingError: A row without a pair.
    """

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Chosen answers, then rejected ones, as one batch with a mask of the answers' tokens."""
        pairs = [(self._prompt(example), example) for example in examples]
        sides = [
            {"messages": [*prompt["messages"], self._answer(example, side)], "images": prompt["images"]}
            for side in SIDES
            for prompt, example in pairs
        ]
        batch = DataCollatorForVisionLanguageModeling.torch_call(self, sides)
        self._shorten(batch, [example for _ in SIDES for example in examples])
        batch["completion_mask"] = (batch.pop("labels") != -100).long()
        return batch

    def _prompt(self, example: dict[str, Any]) -> dict[str, Any]:
        messages = list(example.get("messages") or example["prompt"])
        if messages[-1]["role"] == "assistant":
            messages.pop()
        return self.prepare({**example, "messages": messages})

    def _answer(self, example: dict[str, Any], side: str) -> dict[str, Any]:
        text = example.get(side)
        if not isinstance(text, str) or not text.strip():
            raise TrainingError(
                f"{name_of(example)}: no text `{side}` (columns {sorted(example)}). Make pairs with `gem build-preferences`."
            )
        return self._structured({"role": "assistant", "content": text})


class GemDPOTrainer(TowerRates, DPOTrainer):
    """`DPOTrainer` for rows as `GemPreferenceCollator` takes them; the stock one passes on pictures only."""

    def __init__(self, model: PreTrainedModel | str, *args: Any, **kwargs: Any) -> None:
        with reference_by_auto_class(dpo_trainer):
            super().__init__(model, *args, **kwargs)
        self.args.remove_unused_columns = False  # which ones are used only the collator knows
        score_answers_only_on_cpu(self)

    # TRL takes rows without a picture for text, and tokenizes them before the ECG could be put in.
    @property
    def _is_vision_dataset(self) -> bool:
        return True

    @_is_vision_dataset.setter
    def _is_vision_dataset(self, found: bool) -> None:
        pass


def parse(arguments: Sequence[str] | None = None) -> tuple[DataArguments, DPOConfig, ModelConfig]:
    """
    Command line (that of the process if `None`) and `--config FILE`; the line wins. Without `model_name_or_path` the model
    that comes with gem-ecg is trained.

    Raises:
        TrainingError: A setting that does not exist or does not fit the others.
    """
    parser = TrlParser((DataArguments, DPOConfig, ModelConfig))
    # TRL's 1024 would be shorter than two pictures; only who asks for a limit gets one.
    parser.set_defaults(max_length=None, model_name_or_path=str(default_checkpoint()))
    script, training, model_config = parse_settings(parser, arguments)
    script.check_towers(model_config)
    return script, training, model_config


def build_trainer(script: DataArguments, training: DPOConfig, model_config: ModelConfig) -> GemDPOTrainer:
    """
    The trainer, ready for the first step, after all checks that are possible before it.

    Raises:
        GemError: The data, the checkpoint or the settings have an error.
    """
    evaluates = is_evaluated(training)
    splits = load_splits(script, [script.train_split, *([script.eval_split] if evaluates else [])])
    processor = load_processor(training, model_config)
    collator = GemPreferenceCollator(
        processor,
        assistant_only_loss=True,
        modality_mix=script.modality_mix,
        max_length=training.max_length,
        mix_seed=training.seed,
    )
    # The collator cuts answers, never placeholders; TRL would cut both.
    training = replace(training, max_length=None)
    collator([dict(splits[script.train_split][0])])
    model = model_to_train(script, training, model_config, processor)
    trainer = GemDPOTrainer(
        model,
        args=training,
        train_dataset=splits[script.train_split],
        eval_dataset=splits.get(script.eval_split) if evaluates else None,
        processing_class=processor,
        data_collator=collator,
        peft_config=adapter_config(model, model_config),
    )
    set_rates_and_precision(trainer, script)
    return trainer


def main(arguments: Sequence[str] | None = None) -> GemDPOTrainer:
    """Trains by the settings, from the last checkpoint of OUTPUT_DIR with `resume_from_checkpoint: true`, and saves the result."""
    script, training, model_config = parse(arguments)
    trainer = build_trainer(script, training, model_config)
    train_and_save(trainer)
    return trainer
