# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Saved Transformers models as parts of a GEM: an image tower, a language model, checked for completeness."""

import json
import re
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from processing.errors_gem import CheckpointError

from .checkpoint_files import ConversionReport
from .convert_read import read_weights

# Weights of image models that no image tower needs, so that it does not matter whether a folder holds them.
UNUSED_PARTS = re.compile(r"(^|\.)(head|classifier|pooler|visual_projection|text_projection|text_model|logit_scale)\b")


def load_part(auto_class: Any, folder: Path) -> PreTrainedModel:
    """A saved model whose files hold all of its weights: Transformers would make missing ones up, with a warning only."""
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: no config.json; give the folder of a saved Transformers model.")
    for _ in read_weights(folder):  # names an absent or damaged file
        pass
    try:
        model, info = auto_class.from_pretrained(folder, dtype="auto", output_loading_info=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{folder}: Transformers cannot load this model ({error}).") from error
    missing = sorted(key for key in info["missing_keys"] if not UNUSED_PARTS.search(key))
    leftover = sorted(key for key in info["unexpected_keys"] if not UNUSED_PARTS.search(key))
    if missing or leftover:
        raise CheckpointError(
            f"{folder}: the weights do not add up. Missing: {missing or 'none'}. Leftover: {leftover or 'none'}."
        )
    return model


def plain_vision_config(folder: Path) -> PreTrainedConfig:
    config = AutoConfig.from_pretrained(folder)
    config = getattr(config, "vision_config", config)
    if hasattr(config, "vision_use_head"):
        config.vision_use_head = False
    return config


def vision_weights(folder: Path, report: ConversionReport) -> dict[str, torch.Tensor]:
    """The image tower's weights without any head, of a tower or of a two-tower model."""
    model = load_part(AutoModel, folder)
    tower = getattr(model, "vision_model", model)
    weights = {key: tensor for key, tensor in tower.state_dict().items() if not key.startswith("head.")}
    used = {id(tensor) for tensor in tower.state_dict(keep_vars=True).values()}
    others = [key for key, tensor in model.state_dict(keep_vars=True).items() if id(tensor) not in used]
    report.drop("weights beside the image tower, which GEM does not use", others)
    return weights


def image_statistics(folder: Path) -> dict[str, Any]:
    file = folder / "preprocessor_config.json"
    settings = json.loads(file.read_text()) if file.is_file() else {}
    return {key: settings[key] for key in ("image_mean", "image_std") if key in settings}


__all__ = ["image_statistics", "load_part", "plain_vision_config", "vision_weights"]
