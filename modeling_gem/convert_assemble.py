# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A fresh GEM from an ECG encoder, an image tower and a language model; its projectors are new."""

from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoModelForCausalLM, AutoTokenizer

from processing.errors_gem import CheckpointError

from .chat_templates import multimodal_chat_template
from .checkpoint_files import ConversionReport, save_model
from .configuration_gem import GemConfig
from .convert_parts import image_statistics, load_part, plain_vision_config, vision_weights
from .convert_processor import add_placeholders, build_processor
from .gem_parts import read_ecg_coca
from .modeling_gem import GemForConditionalGeneration, GemProjector


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
    A GEM with new projectors from an ECG-CoCa `.pt` (or a saved `GemEcgModel`), the folder of any Transformers image tower
    with patch tokens, and the folder of any causal language model with a plain head. To be trained before use.

    Raises:
        CheckpointError: A part cannot be used; the message names it.
    """
    report = ConversionReport(str(output))
    ecg_config, tower = read_ecg_coca(ecg_encoder, report)
    language = load_part(AutoModelForCausalLM, Path(language_model))
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
    parts = {"ecg_tower": tower, "vision_tower": vision_weights(Path(vision_tower), report)}
    for name, part in parts.items():
        weights |= {f"model.{name}.{key}": tensor.to(head.weight.dtype) for key, tensor in part.items()}

    tokenizer = AutoTokenizer.from_pretrained(language_model)
    tokenizer.chat_template = multimodal_chat_template(tokenizer.chat_template)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    ecg_token_id, image_token_id = add_placeholders(tokenizer)
    vision_config = plain_vision_config(Path(vision_tower))
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
        weights |= {f"model.{name}.{key}": value for key, value in new_projector(config, name).items()}
        report.new.append(f"model.{name}")
    save_model(GemForConditionalGeneration, config, weights, report, tokenizer, max_shard_size)
    statistics = image_statistics(Path(vision_tower))
    build_processor(config, tokenizer, tokenizer.chat_template, **statistics).save_pretrained(output)
    return report


def new_projector(config: GemConfig, name: str) -> dict[str, torch.Tensor]:
    """Fresh weights of one of the two projectors."""
    vision_width = config.vision_config.hidden_size
    kind, widths = {
        "ecg_projector": (config.ecg_projector_type, (config.ecg_config.hidden_size, vision_width)),
        "multi_modal_projector": (config.projector_type, (vision_width, config.text_config.hidden_size)),
    }[name]
    projector = GemProjector(kind, *widths, config.projector_hidden_act)
    return projector.to(config.text_config.dtype or torch.float32).state_dict()


__all__ = ["assemble_gem", "new_projector"]
