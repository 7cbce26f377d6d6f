# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The parts of a GEM under our names, checked for completeness: signal tower, image tower, language model, processor."""

import json
import re
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from processing.errors_gem import CheckpointError
from processing.feature_extraction_gem import GemFeatureExtractor
from processing.image_processing_gem import GemImageProcessor
from processing.processing_gem import GemProcessor

from . import hubert_ecg
from .checkpoint_files import ConversionReport, local_checkpoint, read_weights
from .configuration_gem import ECG_CONFIG_FIELDS, GemConfig, GemEcgConfig

# Weights of image models that no image tower needs, so that it does not matter whether a folder holds them.
UNUSED_PARTS = re.compile(r"(^|\.)(head|classifier|pooler|visual_projection|text_projection|text_model|logit_scale)\b")
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
    """The key under its new name by the first of the (pattern, replacement) pairs that matches, else `None`."""
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
    """The tower's configuration, inferred from the shapes of its converted weights."""
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


def read_ecg_encoder(path: str | Path, report: ConversionReport) -> tuple[PreTrainedConfig, dict[str, torch.Tensor]]:
    """
    Configuration and weights of a signal tower: the one inside an ECG-CoCa checkpoint, a saved `GemEcgModel`, a published
    HuBERT-ECG, or any saved model that can be one (see `ECG_CONFIG_FIELDS`).

    Raises:
        CheckpointError: the weights do not add up, or the folder holds something else.
    """
    path = local_checkpoint(path)
    if path.is_dir():
        report.sources["ecg_tower"] = str(path)
        return _saved_ecg_encoder(path, report)
    tower, other = {}, []
    for key, tensor in read_weights(path):
        bare = key.removeprefix("module.")
        if bare.startswith("ecg."):
            tower[bare.removeprefix("ecg.")] = tensor
        elif bare.startswith(("text.", "text_decoder.", "logit_scale")):
            other.append(key)
        else:
            raise CheckpointError(
                f"{path}: `{key}` is not a weight of an ECG-CoCa checkpoint (ecg., text., text_decoder.)."
            )
    report.sources["ecg_tower"] = str(path)
    report.drop("ECG-CoCa's text tower and decoder, which GEM does not use", other)
    weights = convert_ecg_tower_weights(tower, str(path))
    return ecg_config_from_weights(weights, str(path)), weights


def _saved_ecg_encoder(folder: Path, report: ConversionReport) -> tuple[PreTrainedConfig, dict[str, torch.Tensor]]:
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: no config.json; give the folder of a saved ECG tower.")
    settings = json.loads((folder / "config.json").read_text())
    model_type = settings.get("model_type")
    if model_type == hubert_ecg.PUBLISHED_TYPE:
        report.notes.append(f"ECG tower: the authors' weights of HuBERT-ECG are under {hubert_ecg.LICENCE}")
        weights, heads = hubert_ecg.convert_weights(dict(read_weights(folder)), str(folder))
        report.drop("heads of HuBERT-ECG's pretraining", heads)
        return hubert_ecg.convert_config(settings), weights
    if model_type == GemEcgConfig.model_type:
        return GemEcgConfig.from_pretrained(folder), dict(read_weights(folder))
    model = load_part(AutoModel, folder)
    if absent := [name for name in ECG_CONFIG_FIELDS if not hasattr(model.config, name)]:
        raise CheckpointError(f"{folder}: a `{model_type}` is not an ECG tower, its config lacks {', '.join(absent)}.")
    return model.config, model.state_dict()


def load_part(auto_class: type[AutoModel] | type[AutoModelForCausalLM], folder: Path) -> PreTrainedModel:
    """Loads a saved model and checks that no weight is missing; Transformers only warns and initialises missing ones."""
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
    """The vision half of the configuration in `folder`, without SigLIP's pooling head."""
    config = AutoConfig.from_pretrained(folder)
    config = getattr(config, "vision_config", config)
    if "siglip" in config.model_type:  # its pooling head, which no GEM needs
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
    """Mean and standard deviation of the channels as the image tower's preprocessor states them; empty if it does not."""
    file = folder / "preprocessor_config.json"
    settings = json.loads(file.read_text()) if file.is_file() else {}
    return {key: settings[key] for key in ("image_mean", "image_std") if key in settings}


def build_processor(
    config: GemConfig,
    tokenizer: PreTrainedTokenizerBase,
    chat_template: str,
    image_aspect_ratio: str = "ori",
    compat: str | None = None,
    **image_kwargs: Any,
) -> GemProcessor:
    """The processor that fits `config`."""
    vision, ecg = config.vision_config, config.ecg_config
    side = vision.image_size
    if config.image_grid_pinpoints:
        image_kwargs["image_grid_pinpoints"] = config.image_grid_pinpoints
    image_processor = GemImageProcessor(
        image_aspect_ratio=image_aspect_ratio,
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        **image_kwargs,
    )
    class_tokens = config.num_class_tokens if config.vision_feature_select_strategy == "full" else 0
    return GemProcessor(
        image_processor,
        GemFeatureExtractor(
            sampling_rate=getattr(ecg, "sampling_rate", 500), num_samples=ecg.seq_length, compat=compat
        ),
        tokenizer,
        chat_template=chat_template,
        num_ecg_tokens=ecg.num_tokens,
        num_image_tokens=(side // vision.patch_size) ** 2 + class_tokens,
        image_merge_type=config.image_merge_type,
        page_layout="gem_12x1" if compat == "gem" else "square_12x1",
        page_size=None if compat == "gem" else [side, side],
        compat=compat,
    )


def add_placeholders(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """Gives `tokenizer` the two placeholders, left padding, and returns the ids of `<ecg>` and `<image>`."""
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<ecg>", "<image>"]}, replace_extra_special_tokens=False
    )
    tokenizer.padding_side = "left"
    tokenizer.init_kwargs["padding_side"] = "left"  # else it is saved only where the source's file names it
    return tokenizer.convert_tokens_to_ids("<ecg>"), tokenizer.convert_tokens_to_ids("<image>")


__all__ = [
    "add_placeholders",
    "build_processor",
    "convert_ecg_tower_weights",
    "ecg_config_from_weights",
    "image_statistics",
    "load_part",
    "plain_vision_config",
    "read_ecg_encoder",
    "rename",
    "vision_weights",
]
