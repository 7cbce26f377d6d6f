# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""PyTorch GEM: an ECG tower and an image tower whose tokens reach a causal language model through one projector."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.generation import LogitsProcessorList
from transformers.image_processing_utils import select_best_resolution
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import (
    BaseModelOutputWithPast,
    BaseModelOutputWithPooling,
    CausalLMOutputWithPast,
)
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.processing_utils import Unpack
from transformers.utils import (
    TransformersKwargs,
    can_return_tuple,
    is_torchdynamo_compiling,
    logging,
    torch_compilable_check,
)
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs, maybe_install_capturing_hooks

from .configuration_gem import GemConfig, GemEcgConfig
from .transformers_compat import check_chunked_prefill, only_hidden_state, slice_logits_to_keep


@dataclass
class GemModelOutputWithPast(BaseModelOutputWithPast):
    r"""
    ecg_outputs, image_outputs (`BaseModelOutputWithPooling`, *optional*):
        What `get_ecg_features` and `get_image_features` gave: `pooler_output` lists the projected tokens of each ECG and
        picture of the batch, in the order of their placeholders. `None` if there were none.
    """

    ecg_outputs: BaseModelOutputWithPooling | None = None
    image_outputs: BaseModelOutputWithPooling | None = None


@dataclass
class GemCausalLMOutputWithPast(CausalLMOutputWithPast):
    r"""
    loss (`torch.Tensor` of shape `(1,)`, *optional*, returned when `labels` is given):
        Next-token cross entropy.
    logits (`torch.Tensor` of shape `(batch_size, sequence_length, vocab_size)`):
        Prediction scores before the softmax.
    ecg_outputs, image_outputs (`BaseModelOutputWithPooling`, *optional*):
        As in `GemModelOutputWithPast`.
    """

    ecg_outputs: BaseModelOutputWithPooling | None = None
    image_outputs: BaseModelOutputWithPooling | None = None


NOTICED_WITHOUT_ECG = 20  # steps of training after which it is said that none had an ECG
TRAINERS = "`GemSFTTrainer`, `GemGRPOTrainer` or `GemDataCollator` of `recipes.training`"
logger = logging.get_logger(__name__)

# Of every language model's output; its cache is called `past_key_values` up to Transformers 5.23 and `cache` from 5.24 on,
# which is why models here take it, and hand it on, among the keyword arguments.
BODY_OUTPUTS = {field.name for field in fields(BaseModelOutputWithPast)}


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Unpack[TransformersKwargs],
) -> tuple[torch.Tensor, torch.Tensor]:
    attn_weights = torch.matmul(query, key.transpose(-1, -2)) * scaling
    if attention_mask is not None:
        attn_weights = attn_weights + attention_mask
    attn_weights = nn.functional.softmax(attn_weights, dim=-1, dtype=torch.float32).to(query.dtype)
    attn_weights = nn.functional.dropout(attn_weights, p=dropout, training=module.training)
    return torch.matmul(attn_weights, value).transpose(1, 2).contiguous(), attn_weights


class GemEcgAttention(nn.Module):
    def __init__(self, config: GemEcgConfig):
        super().__init__()
        self.config = config
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.scaling = self.head_dim**-0.5
        self.is_causal = False
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        input_shape = hidden_states.shape[:-1]
        hidden_shape = (*input_shape, -1, self.head_dim)
        query = self.q_proj(hidden_states).view(hidden_shape).transpose(1, 2)
        key = self.k_proj(hidden_states).view(hidden_shape).transpose(1, 2)
        value = self.v_proj(hidden_states).view(hidden_shape).transpose(1, 2)
        attention_interface: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        attn_output, attn_weights = attention_interface(
            self,
            query,
            key,
            value,
            attention_mask,
            scaling=self.scaling,
            dropout=self.config.attention_dropout if self.training else 0.0,
            **kwargs,
        )
        return self.out_proj(attn_output.reshape(*input_shape, -1).contiguous()), attn_weights


class GemEcgMLP(nn.Module):
    def __init__(self, config: GemEcgConfig):
        super().__init__()
        self.activation_fn = ACT2FN[config.hidden_act]
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.activation_fn(self.fc1(hidden_states)))


class GemEcgEncoderLayer(GradientCheckpointingLayer):
    def __init__(self, config: GemEcgConfig):
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.self_attn = GemEcgAttention(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = GemEcgMLP(config)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> torch.Tensor:
        attended, _ = self.self_attn(self.layer_norm1(hidden_states), attention_mask=attention_mask, **kwargs)
        hidden_states = hidden_states + attended
        return hidden_states + self.mlp(self.layer_norm2(hidden_states))


class GemEcgStemBlock(nn.Module):
    """
    A residual block that shortens the signal. It has no norm: a norm over one ECG would remove its voltages, and batch norms
    that help in training fold into the convolutions (`torch.nn.utils.fusion.fuse_conv_bn_eval`).
    """

    def __init__(self, config: GemEcgConfig, inputs: int, outputs: int, stride: int):
        super().__init__()
        kernel, padding = config.stem_kernel_size, config.stem_kernel_size // 2
        self.activation_fn = ACT2FN[config.hidden_act]
        self.conv1 = nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=padding)
        self.conv2 = nn.Conv1d(outputs, outputs, kernel, padding=padding)
        self.shortcut = nn.Conv1d(inputs, outputs, stride, stride=stride, bias=False)

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        branch = self.conv2(self.activation_fn(self.conv1(signal)))
        return self.activation_fn(self.shortcut(signal) + branch)


class GemEcgStem(nn.Sequential):
    """`(num_ecgs, leads, samples)` -> `(num_ecgs, channels, samples / stem_stride)`: a convolution, then residual blocks."""

    def __init__(self, config: GemEcgConfig):
        first, *channels = config.stem_channels or []
        stride, *strides = config.stem_strides or []
        before = [first, *channels]
        kernel = stride * config.stem_kernel_size // 2 * 2 + 1
        super().__init__(
            nn.Conv1d(config.num_leads, first, kernel, stride=stride, padding=kernel // 2),
            ACT2FN[config.hidden_act],
            *(GemEcgStemBlock(config, *shape) for shape in zip(before, channels, strides, strict=False)),
        )


class GemEcgEmbeddings(nn.Module):
    """Patches of all leads at once, of the signal or of what a stem makes of it, a class token in front, learned positions."""

    def __init__(self, config: GemEcgConfig):
        super().__init__()
        self.config = config
        self.stem = GemEcgStem(config) if config.stem_channels else nn.Identity()
        size = config.patch_size // config.stem_stride
        channels = config.stem_channels[-1] if config.stem_channels else config.num_leads
        self.patch_embedding = nn.Conv1d(channels, config.hidden_size, kernel_size=size, stride=size, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(config.hidden_size))
        self.position_embedding = nn.Parameter(torch.empty(config.num_tokens, config.hidden_size))

    def forward(self, ecg_values: torch.Tensor) -> torch.Tensor:
        expected = (self.config.num_leads, self.config.seq_length)
        if ecg_values.dim() != 3 or tuple(ecg_values.shape[1:]) != expected:
            raise ValueError(
                f"`ecg_values` must have shape (num_ecgs, {expected[0]} leads, {expected[1]} samples), got "
                f"{tuple(ecg_values.shape)}. `GemFeatureExtractor` brings any record into this shape."
            )
        steps = self.stem(ecg_values.to(self.patch_embedding.weight.dtype))
        patches = self.patch_embedding(steps).transpose(1, 2)
        class_token = self.class_embedding.expand(patches.shape[0], 1, -1)
        return torch.cat([class_token, patches], dim=1) + self.position_embedding


class GemPreTrainedModel(PreTrainedModel):
    """What all classes of GEM share: loading, initialisation, and which attention implementations they support."""

    config: GemConfig
    base_model_prefix = "model"
    input_modalities: tuple[str, ...] = ("image", "time", "text")
    supports_gradient_checkpointing = True
    _no_split_modules: list[str] | set[str] = ["GemEcgEncoderLayer"]
    _skip_keys_device_placement = ["past_key_values", "cache"]
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path=None,
        *args,
        strict: bool | None = None,
        output_loading_info: bool = False,
        **kwargs,
    ):
        r"""
        As in every Transformers model, except that a weight is never lost or invented silently.

        Args:
            pretrained_model_name_or_path (`str` or `os.PathLike`, *optional*): As in `PreTrainedModel.from_pretrained`.
            args (*optional*): Passed on to it.
            kwargs (*optional*): Passed on to it.
            output_loading_info (`bool`, *optional*, defaults to `False`): Also return which weights are missing or unexpected.
            strict (`bool`, *optional*): Raise when the checkpoint lacks a weight or holds one that the model does not have.
                Defaults to `True`, but to `False` where `output_loading_info=True` asks for their names instead, and where
                there is no checkpoint (`None`). Weights of another shape raise whatever `strict` is, unless
                `ignore_mismatched_sizes=True` allows them.

        Raises:
            ValueError: Missing or unexpected weights, by name.
        """
        model, info = super().from_pretrained(pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs)
        if strict is None:
            strict = pretrained_model_name_or_path is not None and not output_loading_info
        if strict:
            problems = [
                f"{len(info[kind])} {kind.split('_')[0]} ({', '.join(sorted(map(str, info[kind]))[:5])} ...)"
                for kind in ("missing_keys", "unexpected_keys")
                if info[kind]
            ]
            if problems:
                raise ValueError(
                    f"The weights do not fit {cls.__name__}: {'; '.join(problems)}. Convert original checkpoints with "
                    "`gem convert`, or pass `strict=False` if new or ignored weights are what you want."
                )
        return (model, info) if output_loading_info else model

    @classmethod
    def is_custom_code(cls) -> bool:
        """False, so that remote code is initialised as the installed package is."""
        # In custom code Transformers passes over parts without weights of their own, such as CLIP's attention, when it
        # initialises what a checkpoint lacks, and their blocks would start from other weights than in a new model.
        return False

    def post_init(self):
        """As in Transformers; `_no_split_modules` then names only classes that the model has."""
        super().post_init()
        # CLIP lists classes of its text tower, which accelerate's FSDP wrapping then misses in a vision-only model.
        self._no_split_modules = set(self._no_split_modules) & {type(module).__name__ for module in self.modules()}

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, GemEcgEmbeddings):
            init.normal_(module.class_embedding, std=module.config.initializer_range)
            init.normal_(module.position_embedding, std=module.config.initializer_range)
        elif isinstance(module, GemModel) and module.image_newline is not None:
            init.normal_(module.image_newline, std=module.config.text_config.hidden_size**-0.5)


class GemEcgModel(GemPreTrainedModel):
    r"""
    The ECG-CoCa signal tower. `last_hidden_state` is the raw output of the last block, class token first: what GEM
    reads. `pooler_output` is ECG-CoCa's contrastive path (layer norm of the class token, then the projection if there
    is one); patch tokens of that path are `post_layernorm(last_hidden_state)[:, 1:]`.
    """

    config: GemEcgConfig
    main_input_name = "ecg_values"
    input_modalities = ("time",)
    _input_embed_layer = "patch_embedding"
    _can_record_outputs = {"hidden_states": GemEcgEncoderLayer, "attentions": GemEcgAttention}

    def __init__(self, config: GemEcgConfig):
        super().__init__(config)
        self.embeddings = GemEcgEmbeddings(config)
        self.pre_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList([GemEcgEncoderLayer(config) for _ in range(config.num_hidden_layers)])
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.projection = (
            nn.Linear(config.hidden_size, config.projection_dim, bias=False)
            if config.projection_dim
            else nn.Identity()
        )
        self.gradient_checkpointing = False
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs(tie_last_hidden_states=False)
    def forward(self, ecg_values: torch.Tensor, **kwargs: Unpack[TransformersKwargs]) -> BaseModelOutputWithPooling:
        r"""
        ecg_values (`torch.Tensor` of shape `(num_ecgs, num_leads, seq_length)`):
            Signals in mV, leads in the standard order, 500 Hz.
        """
        hidden_states = self.pre_layernorm(self.embeddings(ecg_values))
        for layer in self.layers:
            hidden_states = layer(hidden_states, **kwargs)
        pooled = self.projection(self.post_layernorm(hidden_states[:, 0]))
        return BaseModelOutputWithPooling(last_hidden_state=hidden_states, pooler_output=pooled)


class GemProjector(nn.Module):
    """`linear`, or `mlp2x_gelu`: two layers with an activation between them."""

    def __init__(self, projector_type: str, in_features: int, out_features: int, hidden_act: str):
        super().__init__()
        self.linear_1 = nn.Linear(in_features, out_features)
        self.act = ACT2FN[hidden_act]
        self.linear_2 = nn.Linear(out_features, out_features) if projector_type == "mlp2x_gelu" else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = self.linear_1(features)
        return features if self.linear_2 is None else self.linear_2(self.act(features))


class GemModel(GemPreTrainedModel):
    r"""The towers, the projectors and the body of the language model, without its head."""

    _keys_to_ignore_on_load_unexpected = [r"lm_head"]

    def __init__(self, config: GemConfig):
        super().__init__(config)
        unused_blocks = config.cut_vision_config()
        vision, ecg, text = config.vision_config, config.ecg_config, config.text_config
        self.vision_tower = AutoModel.from_config(vision)
        self._keys_to_ignore_on_load_unexpected = [
            *self._keys_to_ignore_on_load_unexpected,
            *block_patterns(self.vision_tower, unused_blocks),
        ]
        # At the first call it would be too late for `torch.compile`: the lock around it breaks the graph.
        maybe_install_capturing_hooks(self.vision_tower)
        self.ecg_tower = (
            GemEcgModel._from_config(ecg) if ecg.model_type == GemEcgConfig.model_type else AutoModel.from_config(ecg)
        )
        act = config.projector_hidden_act
        self.ecg_projector = GemProjector(config.ecg_projector_type, ecg.hidden_size, vision.hidden_size, act)
        self.multi_modal_projector = GemProjector(config.projector_type, vision.hidden_size, text.hidden_size, act)
        self.image_newline = (
            nn.Parameter(torch.empty(text.hidden_size)) if config.image_merge_type == "spatial_unpad" else None
        )
        self.language_model = self.build_language_model()
        self._steps_without_ecg: int | None = 0  # of training; None from the first step with one on
        self.post_init()

    def build_language_model(self) -> nn.Module:
        """The body. Engines that bring one of their own override this."""
        return AutoModel.from_config(self.config.text_config)

    @can_return_tuple
    def get_ecg_features(
        self, ecg_values: torch.Tensor, **kwargs: Unpack[TransformersKwargs]
    ) -> tuple | BaseModelOutputWithPooling:
        r"""
        ecg_values (`torch.Tensor` of shape `(num_ecgs, num_leads, seq_length)`):
            Signals in mV.

        Returns an output whose `pooler_output` is a list with the projected tokens of each ECG.
        """
        outputs = self.ecg_tower(ecg_values, return_dict=True, **kwargs)
        features = self.multi_modal_projector(self.ecg_projector(outputs.last_hidden_state))
        outputs.pooler_output = list(features)
        return outputs

    @merge_with_config_defaults
    @can_return_tuple
    def get_image_features(
        self,
        pixel_values: torch.Tensor,
        image_sizes: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple | BaseModelOutputWithPooling:
        r"""
        pixel_values (`torch.Tensor` of shape `(num_images, 3, height, width)` or `(num_images, tiles, 3, height, width)`):
            Pictures; with tiles, the first one is the whole picture and surplus ones are padding.
        image_sizes (`torch.Tensor` of shape `(num_images, 2)`, *optional*):
            Original `(height, width)` of each picture; needed with tiles.

        Returns an output whose `pooler_output` is a list with the projected tokens of each picture.
        """
        tiles_per_image = None
        if pixel_values.dim() == 5:
            if image_sizes is None or not self.config.image_grid_pinpoints:
                raise ValueError("Tiled `pixel_values` need `image_sizes` and a config with `image_grid_pinpoints`.")
            grids = [self._tile_grid(size) for size in image_sizes.tolist()]
            tiles_per_image = [1 + rows * columns for rows, columns in grids]
            pixel_values = torch.cat([image[:n] for image, n in zip(pixel_values, tiles_per_image, strict=True)])

        last = self.config.vision_feature_layer % (self.config.vision_config.num_hidden_layers + 1)
        if kwargs.get("output_hidden_states") is not True:  # a list would be of the language model's states
            kwargs["output_hidden_states"] = only_hidden_state(last)
        outputs = self.vision_tower(pixel_values.to(self.vision_tower.dtype), return_dict=True, **kwargs)
        features = outputs.hidden_states[last]
        if self.config.vision_feature_select_strategy == "default":
            features = features[:, self.config.num_class_tokens :]
        features = self.multi_modal_projector(features)

        if tiles_per_image is None:
            outputs.pooler_output = list(features)
        else:
            per_image = features.split(tiles_per_image)
            if self.config.image_merge_type == "flat":
                outputs.pooler_output = [tiles.flatten(0, 1) for tiles in per_image]
            else:
                outputs.pooler_output = [
                    self._unpadded_grid(tiles, grid, size)
                    for tiles, grid, size in zip(per_image, grids, image_sizes.tolist(), strict=True)
                ]
        return outputs

    def _tile_grid(self, image_size: list[int]) -> tuple[int, int]:
        """Rows and columns of tiles behind the overview tile."""
        height, width = select_best_resolution(image_size, self.config.image_grid_pinpoints)
        tile = self.config.vision_config.image_size
        return height // tile, width // tile

    def _unpadded_grid(self, tiles: torch.Tensor, grid: tuple[int, int], image_size: list[int]) -> torch.Tensor:
        """Overview tokens, then the tokens of the joined tiles without padding, `image_newline` at each row's end."""
        (rows, columns), side = grid, int(tiles.shape[1] ** 0.5)
        joined = tiles[1:].view(rows, columns, side, side, -1).permute(0, 2, 1, 3, 4).flatten(2, 3).flatten(0, 1)
        top, left = letterbox(image_size, joined.shape[:2])
        joined = joined[top : joined.shape[0] - top, left : joined.shape[1] - left]
        newline = self.image_newline.to(joined.dtype).expand(joined.shape[0], 1, -1)
        return torch.cat([tiles[0], torch.cat([joined, newline], dim=1).flatten(0, 1)])

    def _waits_for_towers(self, num_tokens: int) -> bool:
        """
        Whether other processes wait for the towers even if this one has nothing to show them: the gradients of DDP in
        training, the weights of FSDP2 and DeepSpeed ZeRO-3 in every pass over a prompt.
        """
        if not runs_distributed():
            return False
        return self.training or (num_tokens > 1 and is_sharded(self.ecg_tower))

    def _absent_modality(self, modality: str) -> torch.Tensor:
        """Zero, computed by a tower on zeros and everything behind it that is trained."""
        if modality == "ecg":
            ecg = self.config.ecg_config
            zeros = torch.zeros(1, ecg.num_leads, ecg.seq_length, device=self.device)
            return 0 * torch.cat(self.get_ecg_features(zeros, return_dict=True).pooler_output).sum()
        vision = self.config.vision_config
        zeros = torch.zeros(1, vision.num_channels, vision.image_size, vision.image_size, device=self.device)
        # One picture without tiles, whatever the layout: the projected tokens of the overview.
        result = 0 * torch.cat(self.get_image_features(zeros, return_dict=True).pooler_output).sum()
        return result if self.image_newline is None else result + 0 * self.image_newline.sum()

    def placeholder_mask(
        self, modality: str, input_ids: torch.LongTensor | None, inputs_embeds: torch.Tensor | None = None
    ) -> torch.BoolTensor:
        """
        Where the placeholders of `"ecg"` or `"image"` stand, `(batch_size, sequence_length)`. Without `input_ids` they are
        the positions of `inputs_embeds` that hold the placeholder's own embedding.

        Raises:
            ValueError: The placeholder has no embedding to look for.
        """
        token_id = getattr(self.config, f"{modality}_token_id")
        if input_ids is not None:
            return input_ids == token_id
        if token_id >= self.config.text_config.vocab_size:
            raise ValueError(
                f"The {modality} placeholder (id {token_id}) lies outside of the embedding table, so it cannot be found in "
                "`inputs_embeds`: give `input_ids`, or give it a row with `model.resize_token_embeddings`."
            )
        token = torch.full((), token_id, dtype=torch.long, device=inputs_embeds.device)
        return (inputs_embeds == self.get_input_embeddings()(token)).all(-1)

    def _check_placeholders(self, modality: str, mask: torch.BoolTensor, num_features: int) -> None:
        num_tokens = mask.sum()
        torch_compilable_check(
            num_tokens == num_features,
            lambda: (
                f"The prompt holds {int(num_tokens)} {modality} placeholder tokens (id "
                f"{getattr(self.config, f'{modality}_token_id')}), but the {modality} input gives {num_features}. Let "
                f"`GemProcessor` expand one placeholder per {modality}; to train, use {TRAINERS}."
            ),
        )

    def _notice_blind_training(self, has_ecg: bool) -> None:
        """Trainers that do not know ECGs drop them from their batches silently, and train on."""
        if (
            is_torchdynamo_compiling()
            or not (self.training and torch.is_grad_enabled())
            or self._steps_without_ecg is None
        ):
            return
        self._steps_without_ecg = None if has_ecg else self._steps_without_ecg + 1
        if self._steps_without_ecg == NOTICED_WITHOUT_ECG:
            logger.warning(
                f"{NOTICED_WITHOUT_ECG} training steps, and not one ECG reached the model. Trainers of TRL drop a column `ecg`; "
                f"{TRAINERS} keep it. With pictures alone this is as it should be."
            )

    def _check_nothing_lost(
        self, modality: str, input_ids: torch.LongTensor | None, inputs_embeds: torch.Tensor
    ) -> None:
        """A prompt with placeholders for which nothing came would read as if it had been answered from the ECG."""
        in_table = getattr(self.config, f"{modality}_token_id") < self.config.text_config.vocab_size
        if inputs_embeds.shape[1] > 1 and (input_ids is not None or in_table) and not is_torchdynamo_compiling():
            self._check_placeholders(modality, self.placeholder_mask(modality, input_ids, inputs_embeds), 0)

    def _embed(self, input_ids: torch.LongTensor) -> torch.Tensor:
        # Placeholders are overwritten later and may lie outside of the table (as in PaliGemma).
        is_placeholder = (input_ids == self.config.ecg_token_id) | (input_ids == self.config.image_token_id)
        return self.get_input_embeddings()(input_ids.masked_fill(is_placeholder, 0))

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        ecg_values: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_sizes: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple | GemModelOutputWithPast:
        r"""
        ecg_values (`torch.Tensor` of shape `(num_ecgs, num_leads, seq_length)`, *optional*):
            Signals in mV of all samples of the batch, in the order of their placeholders.
        pixel_values, image_sizes (`torch.Tensor`, *optional*):
            Pictures of all samples of the batch, in the order of their placeholders; see `get_image_features`.
        inputs_embeds (`torch.Tensor` of shape `(batch_size, sequence_length, hidden_size)`, *optional*):
            In place of `input_ids`; placeholders are found by their embeddings, and their features put there.
        mm_encoder_outputs (`dict`, *optional*):
            Outputs of `get_ecg_features` (key `"ecg"`) and `get_image_features` (key `"image"`), to skip the towers.
            `None` under a key says that its placeholders stay without features on purpose.
        """
        if (input_ids is None) ^ (inputs_embeds is not None):
            raise ValueError("Give exactly one of `input_ids` and `inputs_embeds`.")
        encoded = dict(mm_encoder_outputs or {})
        asked = {name: True for name in ("output_attentions", "output_hidden_states") if kwargs.get(name) is True}
        # The ECG tower first, on every process: sharded towers meet the others' collectives in this order.
        waits_for_towers = self._waits_for_towers((inputs_embeds if input_ids is None else input_ids).shape[1])
        absent: torch.Tensor | int = 0
        if ecg_values is not None:
            encoded["ecg"] = self.get_ecg_features(ecg_values, return_dict=True, **asked)
        elif waits_for_towers and "ecg" not in encoded:
            absent = absent + self._absent_modality("ecg")
        if pixel_values is not None:
            encoded["image"] = self.get_image_features(
                pixel_values, image_sizes=image_sizes, return_dict=True, **asked
            )
        elif waits_for_towers and "image" not in encoded:
            absent = absent + self._absent_modality("image")
        given_embeds = self._embed(input_ids) if inputs_embeds is None else inputs_embeds
        inputs_embeds = given_embeds
        for modality in ("image", "ecg"):
            if encoded.get(modality) is not None:
                features = torch.cat(list(encoded[modality].pooler_output))
                mask = self.placeholder_mask(modality, input_ids, given_embeds)
                self._check_placeholders(modality, mask, features.shape[0])
                inputs_embeds = inputs_embeds.masked_scatter(
                    mask.unsqueeze(-1), features.to(inputs_embeds.device, inputs_embeds.dtype)
                )
            elif modality not in encoded:
                self._check_nothing_lost(modality, input_ids, given_embeds)
        if torch.is_tensor(absent):
            inputs_embeds = inputs_embeds + absent.to(inputs_embeds.dtype)
        self._notice_blind_training("ecg" in encoded)

        outputs = self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        return GemModelOutputWithPast(
            **{name: value for name, value in outputs.items() if name in BODY_OUTPUTS},
            ecg_outputs=encoded.get("ecg"),
            image_outputs=encoded.get("image"),
        )


class GemForConditionalGeneration(GemPreTrainedModel, GenerationMixin):
    r"""GEM with its language model head: ECG, picture and text in, text out."""

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}
    _tp_plan = {"lm_head": "colwise_gather_output"}
    _keys_to_ignore_on_load_unexpected: set[str] | None

    def __init__(self, config: GemConfig):
        super().__init__(config)
        self.model = GemModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()
        # `post_init` took this over from the body, which has no head; here a leftover of the head must raise.
        self._keys_to_ignore_on_load_unexpected = (self._keys_to_ignore_on_load_unexpected or set()) - {"lm_head"}

    def get_output_embeddings(self) -> nn.Module:
        """The language model's head, from hidden states to logits."""
        return self.lm_head

    def get_ecg_features(self, ecg_values: torch.Tensor, **kwargs: Unpack[TransformersKwargs]):
        """See [`GemModel.get_ecg_features`]."""
        return self.model.get_ecg_features(ecg_values, **kwargs)

    def get_image_features(
        self, pixel_values: torch.Tensor, image_sizes: torch.Tensor | None = None, **kwargs: Unpack[TransformersKwargs]
    ):
        """See [`GemModel.get_image_features`]."""
        return self.model.get_image_features(pixel_values, image_sizes=image_sizes, **kwargs)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        ecg_values: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_sizes: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple | GemCausalLMOutputWithPast:
        r"""
        labels (`torch.LongTensor` of shape `(batch_size, sequence_length)`, *optional*):
            Next-token targets aligned with `input_ids`; -100 is ignored (placeholders and prompts must be).
        logits_to_keep (`int` or `torch.Tensor`, *optional*, defaults to 0):
            Positions to compute logits for; 0 means all.

        Example:

        ```python
        >>> import modeling_gem
        >>> from transformers import AutoModelForMultimodalLM, AutoProcessor

        >>> model = AutoModelForMultimodalLM.from_pretrained(modeling_gem.default_checkpoint())
        >>> processor = AutoProcessor.from_pretrained(modeling_gem.default_checkpoint())
        >>> chat = [{"role": "user", "content": [{"type": "ecg", "path": "processing/samples/normal.hea"},
        ...                                      {"type": "text", "text": "Interpret this ECG."}]}]
        >>> inputs = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=True,
        ...                                        return_tensors="pt")
        >>> answer = model.generate(**inputs, max_new_tokens=20)
        >>> processor.decode(answer[0, inputs["input_ids"].shape[1] :])[:12]
        'Sinus rhythm'

        ```"""
        outputs = self.model(
            input_ids=input_ids,
            ecg_values=ecg_values,
            pixel_values=pixel_values,
            image_sizes=image_sizes,
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            mm_encoder_outputs=mm_encoder_outputs,
            return_dict=True,
            **kwargs,
        )
        logits = self.lm_head(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits=logits, labels=labels, vocab_size=self.config.text_config.vocab_size, **kwargs
            )
        others = {name: value for name, value in outputs.items() if name != "last_hidden_state"}
        return GemCausalLMOutputWithPast(loss=loss, logits=logits, **others)

    def prepare_inputs_for_generation(
        self,
        input_ids,
        inputs_embeds=None,
        past_key_values=None,
        cache=None,
        is_first_iteration=False,
        **kwargs,
    ):
        """As in Transformers; signals and pictures go in with the tokens that stand for them and not again."""
        # `generate` takes the arguments that stand in this signature; the cache has its second name from 5.24 on.
        caches = {"past_key_values": past_key_values, "cache": cache}
        model_inputs = super().prepare_inputs_for_generation(
            input_ids,
            inputs_embeds=inputs_embeds,
            is_first_iteration=is_first_iteration,
            **{name: value for name, value in caches.items() if value is not None},
            **kwargs,
        )
        if not is_first_iteration and kwargs.get("use_cache", True):
            # Transformers leaves pictures out here, and so must ECGs be: they are in the cache, or this pass is a draft of
            # assisted decoding, which is made without them and checked with them. Neither has lost anything.
            model_inputs.pop("ecg_values", None)
            model_inputs["mm_encoder_outputs"] = dict.fromkeys(("ecg", "image"))
        return model_inputs

    def _maybe_prepare_encoder_kwargs_for_generation(
        self, inputs_tensor, model_kwargs, model_input_name, generation_config
    ):
        """
        Encodes ECGs and pictures before the first pass, so that chunks of the prompt, beams and drafts need not. What
        lies in a cache that was handed in is not needed again.
        """
        if generation_config.prefill_chunk_size is not None:
            check_chunked_prefill()
        if is_sharded(self.model.ecg_tower):
            # Their weights are there within a whole pass only, and in the same order on every process.
            if max(generation_config.num_beams or 1, generation_config.num_return_sequences or 1) > 1:
                raise ValueError("A sharded model makes one sequence per row: repeat the rows of the batch instead.")
            return model_kwargs
        encoded = dict(model_kwargs.get("mm_encoder_outputs") or {})
        ecg_values, pixel_values, image_sizes = (
            model_kwargs.pop(name, None) for name in ("ecg_values", "pixel_values", "image_sizes")
        )
        if ecg_values is not None:
            encoded["ecg"] = self.get_ecg_features(ecg_values, return_dict=True)
        if pixel_values is not None:
            encoded["image"] = self.get_image_features(pixel_values, image_sizes=image_sizes, return_dict=True)
        past_length = cached_length(inputs_tensor, model_kwargs, generation_config)
        if past_length:
            prompt = {"input_ids" if model_input_name == "input_ids" else "inputs_embeds": inputs_tensor}
            encoded = {
                modality: output if output is None else self._behind_cache(modality, output, past_length, **prompt)
                for modality, output in encoded.items()
            }
        model_kwargs["mm_encoder_outputs"] = encoded
        return model_kwargs

    def _behind_cache(
        self,
        modality: str,
        output: BaseModelOutputWithPooling,
        past_length: int,
        input_ids: torch.LongTensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
    ) -> BaseModelOutputWithPooling | None:
        """Of the features of a whole prompt those behind `past_length` tokens; features of new ECGs alone stay as they are."""
        mask = self.model.placeholder_mask(modality, input_ids, inputs_embeds)
        features = torch.cat(list(output.pooler_output))
        if features.shape[0] != mask.sum():
            return output
        rows = mask.flatten().cumsum(0).view_as(mask) - 1
        rows = rows[:, past_length:][mask[:, past_length:]]
        return with_features(output, [features[rows]]) if len(rows) else None

    def _expand_multimodal_outputs(self, input_ids, mm_encoder_output, expand_size=1, inputs_embeds=None):
        """A row's ECGs and pictures are repeated as a whole: [A, B] becomes [A, B, A, B], not [A, A, B, B]."""
        expanded: dict[str, BaseModelOutputWithPooling | None] = {}
        for modality, output in mm_encoder_output.items():
            if output is None:
                expanded[modality] = None
                continue
            given_ids = input_ids if inputs_embeds is None else None
            mask = self.model.placeholder_mask(modality, given_ids, inputs_embeds)
            features = torch.cat(list(output.pooler_output))
            self.model._check_placeholders(modality, mask, features.shape[0])
            rows = features.split(mask.sum(-1).tolist())
            expanded[modality] = with_features(output, [row for row in rows for _ in range(expand_size)])
        return expanded

    def generate_batch(self, inputs, *args, **kwargs):
        r"""
        Continuous batching, as in every Transformers model; for prompts of text alone, since it takes nothing but ids.

        Raises:
            ValueError: A prompt holds placeholders of an ECG or a picture.
        """
        placeholders = {self.config.ecg_token_id, self.config.image_token_id}
        if any(placeholders.intersection(prompt) for prompt in inputs):
            raise ValueError(
                "Continuous batching takes token ids and nothing else: the ECGs and pictures of these prompts would be lost. "
                "Use `generate` with a padded batch."
            )
        return super().generate_batch(inputs, *args, **kwargs)

    def _get_logits_processor(self, *args, **kwargs):
        return InVocabularyLogitsProcessors(super()._get_logits_processor(*args, **kwargs))


class InVocabularyLogitsProcessors(LogitsProcessorList):
    """Shows placeholders to processors that look tokens up (repetition penalty ...) as token 0, since they may lie outside of the table."""

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs) -> torch.FloatTensor:
        return super().__call__(input_ids.masked_fill(input_ids >= scores.shape[-1], 0), scores, **kwargs)


def block_patterns(tower: nn.Module, numbers: range) -> list[str]:
    """Patterns of the weights of blocks of an image tower that ends before `numbers`."""
    lists = [
        name.rsplit(".", 1)[-1]
        for name, module in tower.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == tower.config.num_hidden_layers
    ]
    return [rf"vision_tower\..*{name}\.{number}\." for name in lists for number in numbers]


def with_features(output: BaseModelOutputWithPooling, features: list[torch.Tensor]) -> BaseModelOutputWithPooling:
    changed = copy.copy(output)
    changed.pooler_output = features
    return changed


def cached_length(inputs_tensor: torch.Tensor, model_kwargs: dict[str, Any], generation_config) -> int:
    """Tokens of a prompt that lie in a cache handed to `generate`; 0 if the prompt holds new tokens only."""
    cache = model_kwargs.get("past_key_values", model_kwargs.get("cache"))
    mask = model_kwargs.get("attention_mask")
    # `generate` drops a mask of ones and keeps its length.
    mask_length = getattr(generation_config, "_mask_length", None) if mask is None else mask.shape[1]
    return int(cache.get_seq_length()) if cache is not None and mask_length == inputs_tensor.shape[1] else 0


def letterbox(image_size: list[int], canvas: tuple[int, int]) -> tuple[int, int]:
    """Rows above (and below) and columns left (and right) of a picture scaled into the middle of a canvas, all (height, width)."""
    (height, width), (canvas_height, canvas_width) = image_size, canvas
    if width / height > canvas_width / canvas_height:
        return (canvas_height - int(height * (canvas_width / width))) // 2, 0
    return 0, (canvas_width - int(width * (canvas_height / height))) // 2


def runs_distributed() -> bool:
    """Also with one process: DDP asks for the gradient of every parameter even then."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def is_sharded(module: nn.Module) -> bool:
    """By FSDP2 (`DTensor`) or DeepSpeed ZeRO-3 (which marks parameters with `ds_id`), outside of its own forward."""
    return any(hasattr(parameter, "device_mesh") or hasattr(parameter, "ds_id") for parameter in module.parameters())


__all__ = ["GemEcgModel", "GemForConditionalGeneration", "GemModel", "GemPreTrainedModel"]
