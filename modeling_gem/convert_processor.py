# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The tokenizer and processor that fit a GEM config."""

from typing import Any

from processing.feature_extraction_gem import GemFeatureExtractor
from processing.image_processing_gem import GemImageProcessor
from processing.processing_gem import GemProcessor

from .configuration_gem import GemConfig


def build_processor(
    config: GemConfig,
    tokenizer: Any,
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
        GemFeatureExtractor(num_samples=ecg.seq_length, compat=compat),
        tokenizer,
        chat_template=chat_template,
        num_ecg_tokens=ecg.num_tokens,
        num_image_tokens=(side // vision.patch_size) ** 2 + class_tokens,
        image_merge_type=config.image_merge_type,
        page_layout="gem_12x1" if compat == "gem" else "square_12x1",
        page_size=None if compat == "gem" else [side, side],
        compat=compat,
    )


def add_placeholders(tokenizer: Any) -> tuple[int, int]:
    """Gives `tokenizer` the two placeholders, left padding, and returns the ids of `<ecg>` and `<image>`."""
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<ecg>", "<image>"]}, replace_extra_special_tokens=False
    )
    tokenizer.padding_side = "left"
    tokenizer.init_kwargs["padding_side"] = "left"  # else it is saved only where the source's file names it
    return tokenizer.convert_tokens_to_ids("<ecg>"), tokenizer.convert_tokens_to_ids("<image>")


__all__ = ["add_placeholders", "build_processor"]
