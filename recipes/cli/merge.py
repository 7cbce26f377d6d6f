# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem merge`: a LoRA adapter into the weights of its base model."""

from pathlib import Path
from typing import Annotated

import typer


def merge(
    adapter: Annotated[Path, typer.Argument(help="Folder that `gem train` with LoRA or QLoRA wrote.")],
    output: Annotated[Path, typer.Argument(help="Folder to write: a GEM that needs no peft.")],
    base: Annotated[Path | None, typer.Option(help="The base model, if it is no longer where it was.")] = None,
    dtype: Annotated[
        str, typer.Option(help="Of the written weights: auto (as the base), float32, bfloat16.")
    ] = "auto",
) -> None:
    """Merge a LoRA adapter into its base model.

    Example: gem merge outputs/sft_lora outputs/merged && gem interpret record.hea --model outputs/merged
    """
    from recipes.training.adapter import merge_adapter

    parameters = merge_adapter(adapter, output, base, dtype)
    typer.echo(f"{parameters:,} parameters -> {output}")


__all__ = ["merge"]
