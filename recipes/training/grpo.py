# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Reinforcement learning with TRL's GRPO: answers are rewarded by the measurements of their ECG.

gem train recipes/configs/grpo_tiny.yaml --method grpo
python -m recipes.training.grpo --config recipes/configs/grpo_tiny.yaml
accelerate launch --config_file recipes/configs/accelerate/ddp.yaml -m recipes.training.grpo --config recipes/configs/grpo_lora.yaml
"""

if __name__ == "__main__":  # before what may not be installed
    from recipes.console import run_module

    run_module("recipes.training.grpo")

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trl import GRPOConfig, ModelConfig, TrlParser

from modeling_gem import default_checkpoint
from processing.errors_gem import TrainingError
from recipes.dataset.schema import is_built

from .checkpoints import train_and_save
from .checks import check_messages
from .grounding_rewards import GROUNDING_REWARDS, Reward
from .grpo_trainer import GemGRPOTrainer
from .outside_truth import read_outside_truth
from .quality_report import QualityReport
from .rewards import diagnosis_reward, evidence_reward, format_reward
from .sft import (
    DataArguments,
    adapter_config,
    is_evaluated,
    load_processor,
    load_splits,
    model_to_train,
    set_rates_and_precision,
)
from .trainer import parse_settings

# ECG-R1's need a column `solution`.
REWARDS: dict[str, Reward] = {
    **GROUNDING_REWARDS,
    "ecg_r1_diagnosis": diagnosis_reward,
    "ecg_r1_evidence": evidence_reward,
    "ecg_r1_format": format_reward,
}


@dataclass
class GrpoArguments(DataArguments):
    """Arguments besides those of `GRPOConfig` and `ModelConfig`."""

    rewards: list[str] = field(
        default_factory=lambda: ["precision", "recall", "detail", "leads", "labels", "form"],
        metadata={"help": f"Rewards to use, from {', '.join(REWARDS)}; weighted by `reward_weights`."},
    )
    claim_credit: float = field(
        default=0.0,
        metadata={
            "help": "Weight of the advantage that the tokens of each claim get for this claim alone, against the same claims in the "
            "other answers to the prompt; 0: every token of an answer has the advantage of the whole."
        },
    )
    report_rows: int = field(
        default=64,
        metadata={
            "help": "Rows of `eval_split` answered before and after, see OUTPUT_DIR/answer_quality.json; 0: none."
        },
    )
    outside_truth: str | None = field(
        default=None,
        metadata={
            "help": "CSV of ECGs with what readers or devices found in them (columns `ecg`, `heart_rate`, `pr_interval`, "
            "`qrs_duration`, `qt_interval`, `qrs_axis`, `rhythm`): the report also says how often answers agree."
        },
    )


def parse(arguments: Sequence[str] | None = None) -> tuple[GrpoArguments, GRPOConfig, ModelConfig]:
    """
    Command line (that of the process if `None`) and `--config FILE`; the line wins. Without `model_name_or_path` the model
    that comes with gem-ecg is trained.

    Raises:
        TrainingError: A setting or a reward that does not exist, or weights that are not one per reward.
    """
    parser = TrlParser((GrpoArguments, GRPOConfig, ModelConfig))
    parser.set_defaults(model_name_or_path=str(default_checkpoint()))
    script, training, model_config = parse_settings(parser, arguments)
    script.check_towers(model_config)
    unknown = [name for name in script.rewards if name not in REWARDS]
    if unknown or not script.rewards:
        raise TrainingError(f"`rewards` are some of {', '.join(REWARDS)}; got {script.rewards}.")
    if training.reward_weights is not None and len(training.reward_weights) != len(script.rewards):
        raise TrainingError(
            f"`reward_weights` holds {len(training.reward_weights)} numbers for the {len(script.rewards)} rewards "
            f"{', '.join(script.rewards)}: one for each is needed."
        )
    return script, training, model_config


def build_trainer(script: GrpoArguments, training: GRPOConfig, model_config: ModelConfig) -> GemGRPOTrainer:
    """
    The trainer, ready for the first step, after all checks that are possible before it.

    Raises:
        GemError: The data, the checkpoint or the settings have an error.
    """
    evaluates = is_evaluated(training)
    outside = read_outside_truth(Path(script.outside_truth)) if script.outside_truth else []
    splits = load_splits(
        script, [script.train_split, *([script.eval_split] if evaluates or script.report_rows else [])]
    )
    processor = load_processor(training, model_config)
    for name, split in splits.items():
        if not is_built(split):
            check_messages(split, f"{script.dataset}[{name}]", processor)
    model = model_to_train(script, training, model_config, processor)
    trainer = GemGRPOTrainer(
        model,
        [REWARDS[name] for name in script.rewards],
        training,
        modality_mix=script.modality_mix,
        page=script.page_to_draw(),
        claim_credit=script.claim_credit,
        train_dataset=splits[script.train_split],
        eval_dataset=splits.get(script.eval_split) if evaluates else None,
        processing_class=processor,
        peft_config=adapter_config(model, model_config),
    )
    set_rates_and_precision(trainer, script)
    if script.report_rows:
        held_out = splits[script.eval_split]
        rows = [held_out[n] for n in range(min(script.report_rows, len(held_out)))]
        trainer.add_callback(QualityReport(trainer, rows, outside))
    return trainer


def main(arguments: Sequence[str] | None = None) -> GemGRPOTrainer:
    """Trains by the settings, from the last checkpoint of OUTPUT_DIR with `resume_from_checkpoint: true`, and saves the result."""
    script, training, model_config = parse(arguments)
    trainer = build_trainer(script, training, model_config)
    train_and_save(trainer)
    return trainer
