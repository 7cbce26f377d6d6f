# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECG-CoCa's signal tower under our names, out of its own checkpoint or out of an original GEM."""

import re
from pathlib import Path

import torch

from processing.errors_gem import CheckpointError

from .checkpoint_files import ConversionReport, save_model
from .configuration_gem import GemEcgConfig
from .convert_read import read_weights
from .modeling_gem import GemEcgModel

ECG_HEAD_WIDTH = 64  # open_clip's default, which ECG-CoCa keeps: one head per 64 channels
# Original names inside the signal tower -> ours; `attn.in_proj_*` is split into three.
ECG_TOWER_NAMES = (
    (r"^conv1\.weight$", "embeddings.patch_embedding.weight"),
    (r"^class_embedding$", "embeddings.class_embedding"),
    (r"^positional_embedding$", "embeddings.position_embedding"),
    (r"^ln_pre\.", "pre_layernorm."),
    (r"^ln_post\.", "post_layernorm."),
    (r"^proj$", "projection.weight"),
    (r"^transformer\.resblocks\.(\d+)\.ln_1\.", r"layers.\1.layer_norm1."),
    (r"^transformer\.resblocks\.(\d+)\.ln_2\.", r"layers.\1.layer_norm2."),
    (r"^transformer\.resblocks\.(\d+)\.attn\.", r"layers.\1.self_attn."),
    (r"^transformer\.resblocks\.(\d+)\.mlp\.c_fc\.", r"layers.\1.mlp.fc1."),
    (r"^transformer\.resblocks\.(\d+)\.mlp\.c_proj\.", r"layers.\1.mlp.fc2."),
)


def rename(key: str, names: tuple[tuple[str, str], ...]) -> str | None:
    for pattern, replacement in names:
        renamed, count = re.subn(pattern, replacement, key)
        if count:
            return renamed
    return None


def convert_ecg_tower_weights(weights: dict[str, torch.Tensor], where: str) -> dict[str, torch.Tensor]:
    """ECG-CoCa's tower weights under our names.

    Raises:
        CheckpointError: A key that an ECG-CoCa tower does not have.
    """
    converted = {}
    for key, tensor in weights.items():
        name = rename(key, ECG_TOWER_NAMES)
        if name is None:
            raise CheckpointError(f"{where}: the ECG tower holds the unknown weight `{key}`.")
        if "in_proj_" in name:
            for part, chunk in zip(("q", "k", "v"), tensor.chunk(3), strict=True):
                converted[name.replace("in_proj_", f"{part}_proj.")] = chunk.clone()
        else:
            converted[name] = tensor.T.contiguous() if key == "proj" else tensor
    return converted


def ecg_config_from_weights(weights: dict[str, torch.Tensor], where: str) -> GemEcgConfig:
    """The tower's configuration, read off the shapes of its converted weights."""
    patch_embedding = weights.get("embeddings.patch_embedding.weight")
    if patch_embedding is None:
        raise CheckpointError(f"{where}: there is no ECG tower (no `conv1.weight`).")
    width, leads, patch = patch_embedding.shape
    if width % ECG_HEAD_WIDTH:
        raise CheckpointError(
            f"{where}: an ECG tower of width {width} has no whole number of {ECG_HEAD_WIDTH}-wide heads."
        )
    layers = {int(match.group(1)) for key in weights if (match := re.match(r"layers\.(\d+)\.", key))}
    needed = ("embeddings.position_embedding", "layers.0.mlp.fc1.weight")
    if absent := [key for key in needed if key not in weights]:
        raise CheckpointError(f"{where}: the ECG tower lacks {', '.join(absent)}.")
    projection = weights.get("projection.weight")
    return GemEcgConfig(
        hidden_size=width,
        intermediate_size=weights["layers.0.mlp.fc1.weight"].shape[0],
        num_hidden_layers=len(layers),
        num_attention_heads=width // ECG_HEAD_WIDTH,
        num_leads=leads,
        patch_size=patch,
        seq_length=(weights["embeddings.position_embedding"].shape[0] - 1) * patch,
        projection_dim=None if projection is None else projection.shape[0],
    )


def read_ecg_coca(path: str | Path, report: ConversionReport) -> tuple[GemEcgConfig, dict[str, torch.Tensor]]:
    """Configuration and weights of the signal tower inside an ECG-CoCa checkpoint, or of a saved `GemEcgModel`."""
    path = Path(path)
    if path.is_dir():
        report.sources["ecg_tower"] = str(path)
        return GemEcgConfig.from_pretrained(path), dict(read_weights(path))
    tower, other = {}, []
    for key, tensor in read_weights(path):
        bare = key.removeprefix("module.")
        if bare.startswith("ecg."):
            tower[bare.removeprefix("ecg.")] = tensor
        elif bare.startswith(("text.", "text_decoder.", "logit_scale")):
            other.append(key)
        else:
            raise CheckpointError(
                f"{path}: `{key}` is no weight of an ECG-CoCa checkpoint (ecg., text., text_decoder.)."
            )
    report.sources["ecg_tower"] = str(path)
    report.drop("ECG-CoCa's text tower and decoder, which GEM does not use", other)
    weights = convert_ecg_tower_weights(tower, str(path))
    return ecg_config_from_weights(weights, str(path)), weights


def convert_ecg_coca(checkpoint: str | Path, output: str | Path) -> ConversionReport:
    """An ECG-CoCa `.pt` -> a saved `GemEcgModel`.

    Raises:
        CheckpointError: A leftover or missing weight.
    """
    report = ConversionReport(str(output))
    config, weights = read_ecg_coca(checkpoint, report)
    save_model(GemEcgModel, config, weights, report)
    return report


__all__ = ["convert_ecg_coca", "convert_ecg_tower_weights", "ecg_config_from_weights", "read_ecg_coca", "rename"]
