# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A trained LoRA adapter and its base model -> one GEM folder that needs no peft."""

from pathlib import Path

import torch
from peft import PeftConfig, PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor

import modeling_gem  # noqa: F401 (registers GEM)
from processing.errors_gem import CheckpointError
from recipes.files import atomic_folder
from recipes.models import checkpoint_errors


def merge_adapter(
    adapter: str | Path, output: str | Path, base: str | Path | None = None, dtype: str | torch.dtype = "auto"
) -> int:
    """
    Writes base + adapter as a GEM with its processor. The output folder is written atomically.

    Args:
        adapter: Folder with `adapter_config.json`, as `gem train` with LoRA or QLoRA writes it.
        output: Folder to write; must not hold a model yet.
        base: The base model, if the adapter does not name it or it has moved. A QLoRA adapter is merged into the unquantised
            base.
        dtype: Type of the written weights; `"auto"` is that of the base.

    Returns:
        The number of parameters.

    Raises:
        CheckpointError: No adapter, no base, damaged files, or an output folder in use.
    """
    adapter, output = Path(adapter), Path(output)
    if not (adapter / "adapter_config.json").is_file():
        raise CheckpointError(f"{adapter}: no adapter_config.json; give the folder that LoRA training wrote.")
    if output.exists() and any(output.iterdir()):
        raise CheckpointError(f"{output}: not empty; give a new folder.")
    with checkpoint_errors(adapter):
        source = str(base or PeftConfig.from_pretrained(adapter).base_model_name_or_path or "")
    if not source:
        raise CheckpointError(f"{adapter}: the adapter does not name its base model; give it with `--base`.")
    try:
        with checkpoint_errors(source):
            model = AutoModelForImageTextToText.from_pretrained(source, dtype=dtype)
    except OSError as error:
        raise CheckpointError(f"{source}: the adapter's base model was not found; give it with `--base`.") from error
    with checkpoint_errors(adapter):
        try:
            merged = PeftModel.from_pretrained(model, adapter).merge_and_unload(safe_merge=True)
        except RuntimeError as error:
            raise CheckpointError(f"{adapter}: the adapter does not fit {source} ({error}).") from error
    holder = adapter if (adapter / "processor_config.json").is_file() else source
    with checkpoint_errors(holder):
        processor = AutoProcessor.from_pretrained(holder)

    with atomic_folder(output) as part:
        merged.save_pretrained(part)
        processor.save_pretrained(part)
    return sum(parameter.numel() for parameter in merged.parameters())


__all__ = ["merge_adapter"]
