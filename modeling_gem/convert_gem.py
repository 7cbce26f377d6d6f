# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Original GEM, PULSE, LLaVA and ECG-CoCa checkpoints -> ours, and fresh GEMs from parts. Every weight is accounted for."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from processing.errors_gem import CheckpointError

from .chat_templates import LLAVA_V1, multimodal_chat_template
from .checkpoint_files import ConversionReport, local_checkpoint, read_weights, save_model
from .configuration_gem import GemConfig
from .gem_parts import (
    add_placeholders,
    build_processor,
    convert_ecg_tower_weights,
    ecg_config_from_weights,
    image_statistics,
    load_part,
    plain_vision_config,
    read_ecg_encoder,
    rename,
    vision_weights,
)
from .modeling_gem import GemEcgModel, GemForConditionalGeneration, GemProjector

# Original names outside of the towers -> ours.
MODEL_NAMES = (
    (r"^lm_head\.", "lm_head."),
    (r"^model\.(embed_tokens|layers|norm)\.", r"model.language_model.\1."),
    (r"^model\.mm_projector\.0\.", "model.multi_modal_projector.linear_1."),
    (r"^model\.mm_projector\.2\.", "model.multi_modal_projector.linear_2."),
    (r"^model\.mm_projector\.(weight|bias)$", r"model.multi_modal_projector.linear_1.\1"),
    (r"^model\.ecg_projector\.0\.", "model.ecg_projector.linear_1."),
    (r"^model\.ecg_projector\.2\.", "model.ecg_projector.linear_2."),
    (r"^model\.ecg_projector\.(weight|bias)$", r"model.ecg_projector.linear_1.\1"),
    (r"^model\.image_newline$", "model.image_newline"),
)
ECG_PREFIX = "model.ecg_tower.ecg_tower."
VISION_PREFIX = re.compile(r"^model\.vision_tower\.vision_tower\.(vision_model\.)?")
TEXT_MODEL_TYPES = {
    "llava": "llama",
    "llava_llama": "llama",
    "llava_mistral": "mistral",
    "llava_qwen": "qwen2",
    "llava_qwen2": "qwen2",
}
# openai/clip-vit-*: (hidden, intermediate, layers, heads). The original checkpoints name their tower but do not describe it.
OPENAI_CLIP = {"base": (768, 3072, 12, 12), "large": (1024, 4096, 24, 16)}
MERGE_TYPES = ("flat", "spatial_unpad")


def convert_original_checkpoint(
    checkpoint: str | Path,
    output: str | Path,
    vision_tower: str | Path | None = None,
    max_shard_size: str = "5GB",
    ecg_encoder: str | Path | None = None,
    seed: int = 0,
) -> ConversionReport:
    """
    A checkpoint in the LLaVA layout (GEM, PULSE, LLaVA-1.5/1.6) -> a GEM folder with model, tokenizer and processor.
    One without an ECG tower (PULSE, LLaVA) needs `ecg_encoder` and gets a new, untrained linear ECG projector. The paper's
    training starts from such a model.

    Args:
        checkpoint: Folder, or model on the Hub (see `local_checkpoint`), with `config.json`, weights and tokenizer. The parts
            below may be folders or models on the Hub too.
        output: Folder to write.
        vision_tower: The CLIP model that `config.mm_vision_tower` names. Its weights are used where the
            original uses them: when the config lacks `unfreeze_mm_vision_tower`, the original ignores the tower inside
            the checkpoint. Looked for beside the checkpoint if not given.
        max_shard_size: Largest file to write.
        ecg_encoder: ECG-CoCa `.pt`, or a saved ECG tower (see `read_ecg_encoder`), for a checkpoint that has none.
        seed: Of the new ECG projector.

    Raises:
        CheckpointError: A leftover or missing weight, or a tower that only exists elsewhere.
    """
    checkpoint, output = local_checkpoint(checkpoint), Path(output)
    if not (checkpoint / "config.json").is_file():
        raise CheckpointError(
            f"{checkpoint}: no config.json; give the folder of an original GEM, PULSE or LLaVA checkpoint."
        )
    original = json.loads((checkpoint / "config.json").read_text())
    report = ConversionReport(str(output))
    weights, tower, vision = {}, {}, {}
    for key, tensor in read_weights(checkpoint):
        if key.startswith(ECG_PREFIX):
            tower[key.removeprefix(ECG_PREFIX)] = tensor
        elif VISION_PREFIX.match(key):
            vision[VISION_PREFIX.sub("", key)] = tensor
        elif (name := rename(key, MODEL_NAMES)) is not None:
            weights[name] = tensor
        else:
            raise CheckpointError(f"{checkpoint}: `{key}` is not a weight of a GEM, PULSE or LLaVA checkpoint.")
    report.sources["language_model"] = report.sources["projectors"] = str(checkpoint)
    ecg_config, tower, is_new = _ecg_tower(tower, checkpoint, ecg_encoder, report)
    weights |= {f"model.ecg_tower.{k}": tensor.to(weights["lm_head.weight"].dtype) for k, tensor in tower.items()}

    vision_folder = _find_vision_tower(checkpoint, original, vision_tower)
    vision_config = _vision_config(original, vision_folder, checkpoint)
    if original.get("unfreeze_mm_vision_tower"):
        if not vision:
            raise CheckpointError(
                f"{checkpoint}: the config says that the image tower was tuned, but its weights are absent."
            )
        report.sources["vision_tower"] = f"{checkpoint} (unfreeze_mm_vision_tower)"
    else:
        report.drop(
            "image tower inside the checkpoint, which the original ignores", [f"vision_tower.{k}" for k in vision]
        )
        if vision_folder is None:
            raise CheckpointError(
                f"{checkpoint}: the original takes its image tower from {original.get('mm_vision_tower')!r}, not from this "
                "checkpoint (no `unfreeze_mm_vision_tower`). Give that CLIP model with `--vision-tower`, its folder or Hub id."
            )
        vision = vision_weights(vision_folder, report)
        report.sources["vision_tower"] = str(vision_folder)
    weights |= {f"model.vision_tower.{key}": tensor for key, tensor in vision.items()}
    del key, tensor, tower, vision  # only `weights` holds them: what is saved leaves memory

    text_config = _text_config(original)
    tokenizer = _original_tokenizer(checkpoint, text_config)
    ecg_token_id, image_token_id = add_placeholders(tokenizer)
    aspect_ratio, merge_type, pinpoints = _picture_layout(original, checkpoint)
    if merge_type == "flat" and weights.pop("model.image_newline", None) is not None:
        report.drop("`image_newline`, which this picture layout does not use", ["model.image_newline"])
    config = GemConfig(
        text_config=text_config,
        vision_config=vision_config,
        ecg_config=ecg_config,
        ecg_token_id=ecg_token_id,
        image_token_id=image_token_id,
        ecg_projector_type=original.get("ecg_projector_type", "linear"),
        projector_type=original.get("mm_projector_type", "linear"),
        vision_feature_layer=original.get("mm_vision_select_layer", -2),
        vision_feature_select_strategy="full"
        if original.get("mm_vision_select_feature") == "cls_patch"
        else "default",
        image_merge_type=merge_type,
        image_grid_pinpoints=pinpoints,
        tie_word_embeddings=original.get("tie_word_embeddings", False),
    )
    if is_new:
        torch.manual_seed(seed)
        projector = _new_projector(config, "ecg_projector")
        weights |= {f"model.ecg_projector.{key}": value for key, value in projector.items()}
        report.new.append("model.ecg_projector")
    save_model(GemForConditionalGeneration, config, weights, report, tokenizer, max_shard_size)
    processor = build_processor(config, tokenizer, LLAVA_V1, image_aspect_ratio=aspect_ratio, compat="gem")
    processor.save_pretrained(output)
    return report


def _ecg_tower(
    inside: dict[str, torch.Tensor], checkpoint: Path, ecg_encoder: str | Path | None, report: ConversionReport
) -> tuple[PreTrainedConfig, dict[str, torch.Tensor], bool]:
    """Configuration and weights of the ECG tower, and whether it comes from elsewhere."""
    if inside and ecg_encoder is not None:
        raise CheckpointError(f"{checkpoint}: has an ECG tower of its own; convert it without `--ecg-encoder`.")
    if inside:
        report.sources["ecg_tower"] = str(checkpoint)
        weights = convert_ecg_tower_weights(inside, str(checkpoint))
        return ecg_config_from_weights(weights, str(checkpoint)), weights, False
    if ecg_encoder is None:
        raise CheckpointError(
            f"{checkpoint}: there is no ECG tower in this checkpoint (PULSE and LLaVA have none). Give one, to train a GEM "
            f"from it: `gem convert {checkpoint} OUT --ecg-encoder ECG_COCA.pt`."
        )
    return *read_ecg_encoder(ecg_encoder, report), True


def _text_config(original: dict[str, Any]) -> PreTrainedConfig:
    model_type = TEXT_MODEL_TYPES.get(original.get("model_type", ""))
    if model_type is None:
        raise CheckpointError(
            f"model_type {original.get('model_type')!r} is not one of the original layouts {sorted(TEXT_MODEL_TYPES)}."
        )
    prefixes = ("mm_", "ecg_", "image_", "tokenizer_", "tune_", "freeze_", "unfreeze_", "open_clip", "use_mm")
    drop = {"model_type", "architectures", "transformers_version", "_name_or_path", "auto_map"}
    kept = {k: v for k, v in original.items() if k not in drop and not k.startswith(prefixes)}
    return CONFIG_MAPPING[model_type].from_dict(kept)


def _picture_layout(original: dict[str, Any], checkpoint: Path) -> tuple[str, str, list[list[int]] | None]:
    """`image_aspect_ratio`, `image_merge_type` and `image_grid_pinpoints` in our terms."""
    aspect_ratio = original.get("image_aspect_ratio") or "ori"
    merge_type = original.get("mm_patch_merge_type", "flat")
    unknown = {
        "image_aspect_ratio": aspect_ratio if aspect_ratio.startswith("anyres_") else None,
        "mm_patch_merge_type": merge_type if aspect_ratio == "anyres" and merge_type not in MERGE_TYPES else None,
        "mm_use_im_start_end": original.get("mm_use_im_start_end") or None,
    }
    for name, value in unknown.items():
        if value is not None:
            raise CheckpointError(
                f"{checkpoint}: `{name}={value}` in config.json is a picture layout that GEM does not have."
            )
    if aspect_ratio != "anyres":
        # LLaVA's fallback for any other value is the processor's own resize and crop, which the authors call "ori".
        return "pad" if aspect_ratio == "pad" else "ori", "flat", None
    pinpoints = original["image_grid_pinpoints"]
    if isinstance(pinpoints, str):
        pinpoints = ast.literal_eval(pinpoints)
    # The original writes (width, height).
    return "anyres", merge_type, [[height, width] for width, height in pinpoints]


def _find_vision_tower(checkpoint: Path, original: dict[str, Any], given: str | Path | None) -> Path | None:
    if given is not None:
        folder = local_checkpoint(given)
        if not (folder / "config.json").is_file():
            raise CheckpointError(
                f"{given}: no config.json; `--vision-tower` takes the folder or Hub id of the CLIP model."
            )
        return folder
    name = original.get("mm_vision_tower") or ""
    candidates = [folder / name for folder in (checkpoint, *list(checkpoint.resolve().parents)[:2])]
    return next((folder for folder in candidates if name and (folder / "config.json").is_file()), None)


def _vision_config(original: dict[str, Any], folder: Path | None, checkpoint: Path) -> PreTrainedConfig:
    if folder is not None:
        return plain_vision_config(folder)
    name = str(original.get("mm_vision_tower"))
    match = re.search(r"clip-vit-(base|large)-patch(\d+)(?:-(\d+))?", name)
    if match is None:
        raise CheckpointError(
            f"{checkpoint}: the image tower {name!r} is not described in the checkpoint and not a known CLIP model. Give its "
            "folder (config.json at least) or Hub id with `--vision-tower`."
        )
    hidden, intermediate, layers, heads = OPENAI_CLIP[match.group(1)]
    return CONFIG_MAPPING["clip_vision_model"](
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        patch_size=int(match.group(2)),
        image_size=int(match.group(3) or 224),
    )


def _original_tokenizer(checkpoint: Path, text_config: PreTrainedConfig) -> PreTrainedTokenizerBase:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, config=text_config)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token
    return tokenizer


def convert_ecg_coca(checkpoint: str | Path, output: str | Path) -> ConversionReport:
    """An ECG-CoCa `.pt` -> a saved `GemEcgModel`.

    Raises:
        CheckpointError: A leftover or missing weight.
    """
    report = ConversionReport(str(output))
    config, weights = read_ecg_encoder(checkpoint, report)
    save_model(GemEcgModel, config, weights, report)
    return report


def assemble_gem(
    ecg_encoder: str | Path,
    vision_tower: str | Path,
    language_model: str | Path,
    output: str | Path,
    ecg_projector_type: str = "linear",
    projector_type: str = "mlp2x_gelu",
    max_shard_size: str = "5GB",
    seed: int = 0,
) -> ConversionReport:
    """
    A GEM with new projectors from an ECG encoder (see `read_ecg_encoder`), any Transformers image tower with patch tokens, and
    any causal language model with a plain head: folders, or ids on the Hub (see `local_checkpoint`). To be trained before use.

    Raises:
        CheckpointError: A part cannot be used; the message names it.
    """
    report = ConversionReport(str(output))
    ecg_config, tower = read_ecg_encoder(ecg_encoder, report)
    vision_tower, language_model = local_checkpoint(vision_tower), local_checkpoint(language_model)
    language = load_part(AutoModelForCausalLM, language_model)
    head = language.get_output_embeddings()
    if getattr(head, "bias", None) is not None:
        raise CheckpointError(
            f"{language_model}: its language model head has a bias, which GEM's plain head would lose."
        )
    if language.config.get_text_config() is not language.config:
        raise CheckpointError(
            f"{language_model}: a `{language.config.model_type}` is multimodal; give a text-only model."
        )
    report.sources |= {"language_model": str(language_model), "vision_tower": str(vision_tower), "projectors": "new"}
    weights = {f"model.language_model.{key}": value for key, value in language.base_model.state_dict().items()}
    weights["lm_head.weight"] = head.weight.detach()
    parts = {"ecg_tower": tower, "vision_tower": vision_weights(vision_tower, report)}
    for name, part in parts.items():
        weights |= {f"model.{name}.{key}": tensor.to(head.weight.dtype) for key, tensor in part.items()}

    tokenizer = AutoTokenizer.from_pretrained(language_model)
    tokenizer.chat_template = multimodal_chat_template(tokenizer.chat_template)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    ecg_token_id, image_token_id = add_placeholders(tokenizer)
    vision_config = plain_vision_config(vision_tower)
    try:
        config = GemConfig(
            text_config=language.config,
            vision_config=vision_config,
            ecg_config=ecg_config,
            ecg_token_id=ecg_token_id,
            image_token_id=image_token_id,
            ecg_projector_type=ecg_projector_type,
            projector_type=projector_type,
            vision_feature_select_strategy="full" if "siglip" in vision_config.model_type else "default",
            tie_word_embeddings=language.config.tie_word_embeddings,
        )
    except StrictDataclassError as error:
        raise CheckpointError(f"{language_model}, {vision_tower}: no GEM can be made of these. {error}") from error
    if config.tie_word_embeddings:
        weights.pop("lm_head.weight")
    torch.manual_seed(seed)
    for name in ("ecg_projector", "multi_modal_projector"):
        weights |= {f"model.{name}.{key}": value for key, value in _new_projector(config, name).items()}
        report.new.append(f"model.{name}")
    save_model(GemForConditionalGeneration, config, weights, report, tokenizer, max_shard_size)
    statistics = image_statistics(vision_tower)
    build_processor(config, tokenizer, tokenizer.chat_template, **statistics).save_pretrained(output)
    return report


def _new_projector(config: GemConfig, name: str) -> dict[str, torch.Tensor]:
    """Fresh weights of one of the two projectors."""
    vision_width = config.vision_config.hidden_size
    kind, widths = {
        "ecg_projector": (config.ecg_projector_type, (config.ecg_config.hidden_size, vision_width)),
        "multi_modal_projector": (config.projector_type, (vision_width, config.text_config.hidden_size)),
    }[name]
    projector = GemProjector(kind, *widths, config.projector_hidden_act)
    return projector.to(config.text_config.dtype or torch.float32).state_dict()


__all__ = ["assemble_gem", "convert_ecg_coca", "convert_original_checkpoint"]
