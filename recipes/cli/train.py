# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem train`: the training recipe on one device; several are started with accelerate or torchrun."""

from pathlib import Path
from typing import Annotated

import typer

# What comes behind CONFIG is not typer's: any setting of the config may be overridden.
SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}


def train(
    context: typer.Context,
    config: Annotated[
        Path, typer.Argument(help="YAML settings, see recipes/configs/sft_*.yaml and docs/training.md.")
    ],
) -> None:
    """Train a GEM with TRL; any setting of CONFIG can be overridden behind it.

    \b
    gem train recipes/configs/sft_lora.yaml --model_name_or_path GEM --dataset DATA --output_dir OUT
    gem train recipes/configs/sft_small.yaml --learning_rate 5e-4 --max_steps 100
    gem train CONFIG --resume_from_checkpoint true          go on from the last checkpoint
    Several devices:
    accelerate launch --config_file recipes/configs/accelerate/ddp.yaml -m recipes.training.sft --config CONFIG
    """
    from recipes.training import sft

    if not config.is_file():
        raise typer.BadParameter(f"{config} does not exist", param_hint="CONFIG")
    sft.main(["--config", str(config), *context.args])


__all__ = ["SETTINGS", "train"]
