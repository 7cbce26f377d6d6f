# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Configuration of GEM and of its ECG tower."""

import copy
import math
from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig

from .transformers_compat import CompositeConfig, SubConfigSpec

# Settings of a text config that change the logits after the linear head. GEM's head is plain, so anything but the
# neutral value would be silently wrong.
NON_PLAIN_HEADS = {
    "final_logit_softcapping": None,
    "logit_scale": None,
    "logits_scaling": 1.0,
    "lm_head_multiplier": 1.0,
    "lm_head_bias": False,
}
# Families whose head is not plain although no config field says so.
REFUSED_TEXT_MODELS = {
    "gpt2": "its embedding is not called `embed_tokens`",
    "opt": "its embedding is not called `embed_tokens`",
    "phi": "its language model head has a bias",
    "mamba2": "it has no key/value cache",
}

# What a GEM reads of the configuration of any ECG tower: the shape of its input, and width and number of its tokens.
ECG_CONFIG_FIELDS = ("num_leads", "seq_length", "hidden_size", "num_tokens")


@strict
class GemEcgConfig(PreTrainedConfig):
    r"""
    Configuration of the ECG-CoCa signal tower, a one-dimensional patch transformer. A convolutional stem may stand in
    front of it, which learns beats from fewer records than patches alone.

    Args:
        hidden_size (`int`, *optional*, defaults to 768): Width of the tower.
        intermediate_size (`int`, *optional*, defaults to 3072): Width of the feed-forward blocks.
        num_hidden_layers (`int`, *optional*, defaults to 12): Number of blocks.
        num_attention_heads (`int`, *optional*, defaults to 12): Heads per block (ECG-CoCa: one per 64 channels).
        num_leads (`int`, *optional*, defaults to 12): Rows of the signal.
        seq_length (`int`, *optional*, defaults to 5000): Samples per lead (10 s at 500 Hz).
        patch_size (`int`, *optional*, defaults to 50): Samples per patch (100 ms at 500 Hz).
        stem_channels (`list[int]`, *optional*): Channels of a convolutional stem before the patches: of its first convolution,
            then of each residual block. `None`: no stem, as in ECG-CoCa.
        stem_strides (`list[int]`, *optional*): By how much each of them shortens the signal. `patch_size` must be a multiple
            of their product, and still counts samples of the signal.
        stem_kernel_size (`int`, *optional*, defaults to 9): Steps that a convolution of the stem spans, odd: the first of
            what it gives, the blocks of what they get.
        hidden_act (`str`, *optional*, defaults to `"gelu"`): Activation; ECG-CoCa uses the exact (erf) GELU.
        layer_norm_eps (`float`, *optional*, defaults to 1e-5): Epsilon of the layer norms.
        attention_dropout (`float`, *optional*, defaults to 0.0): Dropout of the attention weights.
        projection_dim (`int`, *optional*): Width of the contrastive embedding in `pooler_output`; `None` leaves the
            projection out and `pooler_output` is the normalised class token. GEM itself never uses it.
        initializer_range (`float`, *optional*, defaults to 0.02): Standard deviation of new weights.
    """

    model_type = "gem_ecg"
    base_config_key = "ecg_config"

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    num_leads: int = 12
    seq_length: int = 5000
    patch_size: int = 50
    stem_channels: list[int] | None = None
    stem_strides: list[int] | None = None
    stem_kernel_size: int = 9
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-5
    attention_dropout: float | int = 0.0
    projection_dim: int | None = None
    initializer_range: float = 0.02

    @property
    def stem_stride(self) -> int:
        """Samples of the signal per step behind the stem; 1 without one."""
        return math.prod(self.stem_strides or [])

    @property
    def num_patches(self) -> int:
        """Patches in time: `seq_length` samples by `patch_size`."""
        return self.seq_length // self.patch_size

    @property
    def num_tokens(self) -> int:
        """Tokens per ECG: the patches and the class token."""
        return self.num_patches + 1

    def validate_architecture(self):
        """Checks that widths and lengths divide.

        Raises:
            ValueError: `hidden_size` is no multiple of `num_attention_heads`, or `seq_length` none of `patch_size`.
        """
        super().validate_architecture()
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"`hidden_size` ({self.hidden_size}) must be a multiple of `num_attention_heads` "
                f"({self.num_attention_heads})."
            )
        if self.seq_length % self.patch_size:
            raise ValueError(
                f"`seq_length` ({self.seq_length}) must be a multiple of `patch_size` ({self.patch_size})."
            )
        channels, strides = self.stem_channels or [], self.stem_strides or []
        if len(channels) != len(strides):
            raise ValueError(
                f"`stem_channels` ({channels}) and `stem_strides` ({strides}) must name the same number of convolutions."
            )
        if min([*channels, *strides], default=1) < 1 or self.stem_kernel_size % 2 == 0:
            raise ValueError(
                "`stem_channels` and `stem_strides` must be positive and `stem_kernel_size` odd, got "
                f"{channels}, {strides} and {self.stem_kernel_size}."
            )
        if self.patch_size % self.stem_stride:
            raise ValueError(
                f"`patch_size` ({self.patch_size}) must be a multiple of the product of `stem_strides` ({strides})."
            )


@strict
class GemConfig(CompositeConfig):
    r"""
    Configuration of GEM: an ECG tower and an image tower whose tokens reach a causal language model through one shared
    projector (the ECG tokens pass the ECG projector first).

    Args:
        ecg_config (`PreTrainedConfig` or `dict`, *optional*): The signal tower: any model registered with `AutoModel` that
            takes signals `(num_ecgs, leads, samples)` and returns token states, see `ECG_CONFIG_FIELDS`. Defaults to
            ECG-CoCa's (`GemEcgConfig`).
        vision_config (`PreTrainedConfig` or `dict`, *optional*): Any image tower that gives patch tokens (CLIP, SigLIP,
            DINOv2 ...). Defaults to CLIP ViT-L/14 at 336 px.
        text_config (`PreTrainedConfig` or `dict`, *optional*): Any causal language model whose head is a plain linear
            layer. Defaults to LLaMA.
        ecg_token_id (`int`, *optional*, defaults to 32001): Placeholder for one ECG token. May lie outside of the
            embedding table, since placeholders are never embedded.
        image_token_id (`int`, *optional*, defaults to 32000): Placeholder for one image token.
        ecg_projector_type (`"linear"` or `"mlp2x_gelu"`, *optional*, defaults to `"linear"`): ECG width -> image width.
        projector_type (`"linear"` or `"mlp2x_gelu"`, *optional*, defaults to `"mlp2x_gelu"`): The shared projector,
            image width -> text width.
        projector_hidden_act (`str`, *optional*, defaults to `"gelu"`): Activation of two-layer projectors.
        vision_feature_layer (`int`, *optional*, defaults to -2): Hidden state of the image tower that is used. A model
            builds no block behind it, and its config then names the shorter tower, with -1.
        vision_feature_select_strategy (`"default"` or `"full"`, *optional*, defaults to `"default"`): `"default"` drops
            the tokens in front of the patches (class token, registers), `"full"` keeps them.
        image_merge_type (`"flat"` or `"spatial_unpad"`, *optional*, defaults to `"flat"`): How the tiles of an `anyres`
            picture are joined: one after the other, or as one grid without its padding and with `image_newline` at
            every row's end (LLaVA-1.6).
        image_grid_pinpoints (`list`, *optional*): `(height, width)` canvases of `anyres` pictures. `None`: one tile.
        tie_word_embeddings (`bool`, *optional*, defaults to `False`): Follows the text config.
    """

    model_type = "gem"
    sub_configs_defaults = {
        "vision_config": SubConfigSpec(
            config_class=AutoConfig,
            model_type="clip_vision_model",
            init_kwargs={
                "hidden_size": 1024,
                "intermediate_size": 4096,
                "num_hidden_layers": 24,
                "num_attention_heads": 16,
                "image_size": 336,
                "patch_size": 14,
                "projection_dim": 768,
            },
        ),
        "ecg_config": SubConfigSpec(config_class=GemEcgConfig),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama"),
    }

    vision_config: dict | PreTrainedConfig | None = None
    ecg_config: dict | PreTrainedConfig | None = None
    text_config: dict | PreTrainedConfig | None = None
    ecg_token_id: int = 32001
    image_token_id: int = 32000
    ecg_projector_type: Literal["linear", "mlp2x_gelu"] = "linear"
    projector_type: Literal["linear", "mlp2x_gelu"] = "mlp2x_gelu"
    projector_hidden_act: str = "gelu"
    vision_feature_layer: int = -2
    vision_feature_select_strategy: Literal["default", "full"] = "default"
    image_merge_type: Literal["flat", "spatial_unpad"] = "flat"
    image_grid_pinpoints: list | None = None
    tie_word_embeddings: bool = False

    @property
    def num_class_tokens(self) -> int:
        """Tokens that the image tower puts in front of its patches: the class token and registers."""
        if "siglip" in self.vision_config.model_type:
            return 0
        return 1 + getattr(self.vision_config, "num_register_tokens", 0)

    def cut_vision_config(self) -> range:
        """
        Ends the image tower where its hidden state `vision_feature_layer` is, and returns the numbers of the blocks that
        go. Called again, it finds none.

        Raises:
            ValueError: The image tower has no such hidden state.
        """
        depth = getattr(self.vision_config, "num_hidden_layers", None)
        if depth is None:
            raise ValueError(
                f"Image tower `{self.vision_config.model_type}` has no `num_hidden_layers`: it gives no patch tokens."
            )
        if not -depth - 1 <= self.vision_feature_layer <= depth:
            raise ValueError(
                f"`vision_feature_layer={self.vision_feature_layer}` does not exist in a tower of {depth} blocks."
            )
        needed = self.vision_feature_layer % (depth + 1)
        if needed < depth:
            self.vision_config = copy.deepcopy(self.vision_config)  # the caller's may serve another model
            self.vision_config.num_hidden_layers = needed
            if hasattr(
                self.vision_config, "stage_names"
            ):  # of towers that may also serve as backbones, such as DINOv2
                self.vision_config.stage_names = self.vision_config.stage_names[: needed + 1]
                self.vision_config.set_output_features_output_indices(None, None)
        self.vision_feature_layer = -1
        return range(needed, depth)

    def __post_init__(self, **kwargs):
        if isinstance(self.ecg_config, dict):
            self.ecg_config = ecg_config_from_dict(self.ecg_config)
        super().__post_init__(**kwargs)
        if not self.tie_word_embeddings and self.text_config.tie_word_embeddings:
            self.tie_word_embeddings = True

    def validate_architecture(self):
        """Checks that GEM can compute what the text model does.

        Raises:
            ValueError: the type of text model is refused, or it scales or caps its logits in a way that GEM does not.
        """
        super().validate_architecture()
        text = self.text_config
        if text.model_type in REFUSED_TEXT_MODELS:
            raise ValueError(
                f"Text models of type `{text.model_type}` are refused: {REFUSED_TEXT_MODELS[text.model_type]}, which GEM "
                "cannot reproduce. Use e.g. llama, mistral, qwen3, phi3, gemma3_text."
            )
        for name, neutral in NON_PLAIN_HEADS.items():
            value = getattr(text, name, neutral)
            if value is not None and value != neutral:
                raise ValueError(
                    f"Text models of type `{text.model_type}` with `{name}={value}` are refused: GEM's head is a plain "
                    "linear layer and would give other logits than the source."
                )
        if absent := [name for name in ECG_CONFIG_FIELDS if not hasattr(self.ecg_config, name)]:
            raise ValueError(
                f"The ECG tower's configuration (`{self.ecg_config.model_type}`) lacks {', '.join(absent)}: a GEM needs "
                f"{', '.join(ECG_CONFIG_FIELDS)} of it. `HubertEcgConfig` of gem-ecg shows how to adapt an open encoder."
            )
        if self.ecg_token_id == self.image_token_id:
            raise ValueError("`ecg_token_id` and `image_token_id` must differ.")
        if self.image_merge_type == "spatial_unpad" and not self.image_grid_pinpoints:
            raise ValueError("`image_merge_type='spatial_unpad'` needs `image_grid_pinpoints`.")


def ecg_config_from_dict(settings: dict) -> PreTrainedConfig:
    """The configuration of an ECG tower by its `model_type`; ours, which remote code need not register, without one."""
    model_type = settings.get("model_type", GemEcgConfig.model_type)
    if model_type == GemEcgConfig.model_type:
        return GemEcgConfig(**settings)
    try:
        return AutoConfig.for_model(**{**settings, "model_type": model_type})
    except ValueError as error:
        raise ValueError(
            f"The ECG tower is of the type `{model_type}`, which Transformers does not know here. Import the package that "
            "registers it; gem-ecg (`import modeling_gem`) registers `gem_ecg` and `gem_hubert_ecg`."
        ) from error


__all__ = ["GemConfig", "GemEcgConfig"]
