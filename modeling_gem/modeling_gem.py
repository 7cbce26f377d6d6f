# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""PyTorch GEM: an ECG tower and an image tower whose tokens reach a causal language model through one projector."""

from collections.abc import Callable
from dataclasses import dataclass, fields

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
from transformers.utils import TransformersKwargs, can_return_tuple, is_torchdynamo_compiling, torch_compilable_check
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs, maybe_install_capturing_hooks

from .configuration_gem import GemConfig, GemEcgConfig
from .transformers_compat import only_hidden_state, slice_logits_to_keep


@dataclass
class GemModelOutputWithPast(BaseModelOutputWithPast):
    r"""
    ecg_hidden_states (`torch.Tensor` of shape `(num_ecg_tokens, hidden_size)`, *optional*):
        Projected ECG tokens of the batch, in the order of their placeholders.
    image_hidden_states (`torch.Tensor` of shape `(num_image_tokens, hidden_size)`, *optional*):
        Projected image tokens of the batch, in the order of their placeholders.
    """

    ecg_hidden_states: torch.Tensor | None = None
    image_hidden_states: torch.Tensor | None = None


@dataclass
class GemCausalLMOutputWithPast(CausalLMOutputWithPast):
    r"""
    loss (`torch.Tensor` of shape `(1,)`, *optional*, returned when `labels` is given):
        Next-token cross entropy.
    logits (`torch.Tensor` of shape `(batch_size, sequence_length, vocab_size)`):
        Prediction scores before the softmax.
    ecg_hidden_states, image_hidden_states (`torch.Tensor`, *optional*):
        As in `GemModelOutputWithPast`.
    """

    ecg_hidden_states: torch.Tensor | None = None
    image_hidden_states: torch.Tensor | None = None


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


class GemEcgEmbeddings(nn.Module):
    """Patches of all leads at once, a class token in front, learned positions."""

    def __init__(self, config: GemEcgConfig):
        super().__init__()
        self.config = config
        self.patch_embedding = nn.Conv1d(
            config.num_leads, config.hidden_size, kernel_size=config.patch_size, stride=config.patch_size, bias=False
        )
        self.class_embedding = nn.Parameter(torch.empty(config.hidden_size))
        self.position_embedding = nn.Parameter(torch.empty(config.num_tokens, config.hidden_size))

    def forward(self, ecg_values: torch.Tensor) -> torch.Tensor:
        expected = (self.config.num_leads, self.config.seq_length)
        if ecg_values.dim() != 3 or tuple(ecg_values.shape[1:]) != expected:
            raise ValueError(
                f"`ecg_values` must have shape (num_ecgs, {expected[0]} leads, {expected[1]} samples), got "
                f"{tuple(ecg_values.shape)}. `GemFeatureExtractor` brings any record into this shape."
            )
        patches = self.patch_embedding(ecg_values.to(self.patch_embedding.weight.dtype)).transpose(1, 2)
        class_token = self.class_embedding.expand(patches.shape[0], 1, -1)
        return torch.cat([class_token, patches], dim=1) + self.position_embedding


class GemPreTrainedModel(PreTrainedModel):
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
    def from_pretrained(cls, *args, strict: bool = True, output_loading_info: bool = False, **kwargs):
        r"""
        As in every Transformers model, except that a weight is never lost or invented silently.

        Args:
            strict (`bool`, *optional*, defaults to `True`): Raise when the checkpoint lacks a weight, holds one that the
                model does not have, or one of another shape.

        Raises:
            ValueError: Missing, unexpected or mismatched weights, by name.
        """
        model, info = super().from_pretrained(*args, output_loading_info=True, **kwargs)
        if strict:
            problems = [
                f"{len(info[kind])} {kind.split('_')[0]} ({', '.join(sorted(map(str, info[kind]))[:5])} ...)"
                for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")
                if info[kind]
            ]
            if problems:
                raise ValueError(
                    f"The weights do not fit {cls.__name__}: {'; '.join(problems)}. Convert original checkpoints with "
                    "`gem convert`, or pass `strict=False` if new or ignored weights are what you want."
                )
        return (model, info) if output_loading_info else model

    def post_init(self):
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
        vision, ecg, text = config.vision_config, config.ecg_config, config.text_config
        self.vision_tower = AutoModel.from_config(vision)
        unused = drop_unused_blocks(self.vision_tower, config.vision_feature_layer)
        self._keys_to_ignore_on_load_unexpected = [*self._keys_to_ignore_on_load_unexpected, *unused]
        # At the first call it would be too late for `torch.compile`: the lock around it breaks the graph.
        maybe_install_capturing_hooks(self.vision_tower)
        self.ecg_tower = GemEcgModel._from_config(ecg) if isinstance(ecg, GemEcgConfig) else AutoModel.from_config(ecg)
        act = config.projector_hidden_act
        self.ecg_projector = GemProjector(config.ecg_projector_type, ecg.hidden_size, vision.hidden_size, act)
        self.multi_modal_projector = GemProjector(config.projector_type, vision.hidden_size, text.hidden_size, act)
        self.image_newline = (
            nn.Parameter(torch.empty(text.hidden_size)) if config.image_merge_type == "spatial_unpad" else None
        )
        self.language_model = AutoModel.from_config(text)
        self.post_init()

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
        kwargs["output_hidden_states"] = kwargs.get("output_hidden_states") or only_hidden_state(last)
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

    def _waits_for_towers(self, input_ids: torch.LongTensor | None) -> bool:
        """
        Whether other processes wait for the towers even if this one has nothing to show them: the gradients of DDP in
        training, the weights of FSDP2 and DeepSpeed ZeRO-3 in every pass over a prompt.
        """
        if not runs_on_many_processes() or input_ids is None:
            return False
        return self.training or (input_ids.shape[1] > 1 and is_sharded(self.ecg_tower))

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

    def _placeholder_mask(self, input_ids: torch.LongTensor, modality: str, num_features: int) -> torch.BoolTensor:
        token_id = getattr(self.config, f"{modality}_token_id")
        mask = input_ids == token_id
        num_tokens = mask.sum()
        torch_compilable_check(
            num_tokens == num_features,
            lambda: (
                f"The prompt holds {int(num_tokens)} {modality} placeholder tokens (id {token_id}), but the {modality} "
                f"input gives {num_features}. Let `GemProcessor` expand one placeholder per {modality}."
            ),
        )
        return mask.unsqueeze(-1)

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
        mm_encoder_outputs (`dict`, *optional*):
            Outputs of `get_ecg_features` (key `"ecg"`) and `get_image_features` (key `"image"`), to skip the towers.
        """
        if (input_ids is None) ^ (inputs_embeds is not None):
            raise ValueError("Give exactly one of `input_ids` and `inputs_embeds`.")
        encoded = dict(mm_encoder_outputs or {})
        # The ECG tower first, on every process: sharded towers meet the others' collectives in this order.
        waits_for_towers = self._waits_for_towers(input_ids)
        absent: torch.Tensor | int = 0
        if ecg_values is not None:
            encoded["ecg"] = self.get_ecg_features(ecg_values, return_dict=True)
        elif waits_for_towers and "ecg" not in encoded:
            absent = absent + self._absent_modality("ecg")
        if pixel_values is not None:
            encoded["image"] = self.get_image_features(pixel_values, image_sizes=image_sizes, return_dict=True)
        elif waits_for_towers and "image" not in encoded:
            absent = absent + self._absent_modality("image")
        if inputs_embeds is None:
            inputs_embeds = self._embed(input_ids)
        elif encoded:
            raise ValueError(
                "ECGs and pictures are placed by their placeholders: give `input_ids`, not `inputs_embeds`."
            )

        projected = {}
        for modality in ("image", "ecg"):
            if encoded.get(modality) is not None:
                features = torch.cat(list(encoded[modality].pooler_output))
                features = features.to(inputs_embeds.device, inputs_embeds.dtype)
                mask = self._placeholder_mask(input_ids, modality, features.shape[0])
                inputs_embeds = inputs_embeds.masked_scatter(mask, features)
                projected[modality] = features
            elif input_ids is not None and input_ids.shape[1] > 1 and not is_torchdynamo_compiling():
                self._placeholder_mask(input_ids, modality, 0)
        if torch.is_tensor(absent):
            inputs_embeds = inputs_embeds + absent.to(inputs_embeds.dtype)

        outputs = self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        return GemModelOutputWithPast(
            **{name: value for name, value in outputs.items() if name in BODY_OUTPUTS},
            ecg_hidden_states=projected.get("ecg"),
            image_hidden_states=projected.get("image"),
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
        return self.lm_head

    def get_ecg_features(self, ecg_values: torch.Tensor, **kwargs: Unpack[TransformersKwargs]):
        return self.model.get_ecg_features(ecg_values, **kwargs)

    def get_image_features(
        self, pixel_values: torch.Tensor, image_sizes: torch.Tensor | None = None, **kwargs: Unpack[TransformersKwargs]
    ):
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
        >>> processor.decode(answer[0, inputs["input_ids"].shape[1] :])[:7]
        'Rhythm:'

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

    def prepare_inputs_for_generation(self, input_ids, inputs_embeds=None, is_first_iteration=False, **kwargs):
        # Once the ECG is in the cache it must not come again; `generate` knows this of its own modalities only.
        if not is_first_iteration and kwargs.get("use_cache", True):
            kwargs.pop("ecg_values", None)
        return super().prepare_inputs_for_generation(
            input_ids, inputs_embeds=inputs_embeds, is_first_iteration=is_first_iteration, **kwargs
        )

    def _expand_inputs_for_generation(self, expand_size=1, is_encoder_decoder=False, input_ids=None, **model_kwargs):
        """A row's group of ECGs is repeated as a whole: [A, B] becomes [A, B, A, B], not [A, A, B, B]."""
        ecg_values = model_kwargs.pop("ecg_values", None)
        if ecg_values is not None and expand_size > 1:
            tokens_per_row = (input_ids == self.config.ecg_token_id).sum(-1)
            groups = ecg_values.split((tokens_per_row // self.config.ecg_config.num_tokens).tolist())
            ecg_values = torch.cat([group for group in groups for _ in range(expand_size)])
        input_ids, model_kwargs = super()._expand_inputs_for_generation(
            expand_size, is_encoder_decoder, input_ids, **model_kwargs
        )
        if ecg_values is not None:
            model_kwargs["ecg_values"] = ecg_values
        return input_ids, model_kwargs

    def _get_logits_processor(self, *args, **kwargs):
        return InVocabularyLogitsProcessors(super()._get_logits_processor(*args, **kwargs))


class InVocabularyLogitsProcessors(LogitsProcessorList):
    """Shows placeholders to processors that look tokens up (repetition penalty ...) as token 0, since they may lie outside of the table."""

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs) -> torch.FloatTensor:
        return super().__call__(input_ids.masked_fill(input_ids >= scores.shape[-1], 0), scores, **kwargs)


def drop_unused_blocks(tower: nn.Module, feature_layer: int) -> list[str]:
    """
    Removes the blocks of an image tower behind hidden state `feature_layer`, so that they are neither stored nor run.
    Returns patterns of the removed weights; towers without one plain list of blocks are left whole.
    """
    num_layers = getattr(tower.config, "num_hidden_layers", None)
    if num_layers is None:
        raise ValueError(
            f"Image tower `{tower.config.model_type}` has no `num_hidden_layers`: it gives no patch tokens."
        )
    if not -num_layers - 1 <= feature_layer <= num_layers:
        raise ValueError(f"`vision_feature_layer={feature_layer}` does not exist in a tower of {num_layers} blocks.")
    needed = feature_layer % (num_layers + 1)
    patterns = []
    for name, module in tower.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == num_layers and needed < num_layers:
            for index in range(needed, num_layers):
                patterns.append(rf"vision_tower\..*{name.rsplit('.', 1)[-1]}\.{index}\.")
            del module[needed:]
    return patterns


def letterbox(image_size: list[int], canvas: tuple[int, int]) -> tuple[int, int]:
    """Rows above (and below) and columns left (and right) of a picture scaled into the middle of a canvas, all (height, width)."""
    (height, width), (canvas_height, canvas_width) = image_size, canvas
    if width / height > canvas_width / canvas_height:
        return (canvas_height - int(height * (canvas_width / width))) // 2, 0
    return 0, (canvas_width - int(width * (canvas_height / height))) // 2


def runs_on_many_processes() -> bool:
    return (
        torch.distributed.is_available()
        and torch.distributed.is_initialized()
        and torch.distributed.get_world_size() > 1
    )


def is_sharded(module: nn.Module) -> bool:
    """By FSDP2 (`DTensor`) or DeepSpeed ZeRO-3 (which marks parameters with `ds_id`), outside of its own forward."""
    return any(hasattr(parameter, "device_mesh") or hasattr(parameter, "ds_id") for parameter in module.parameters())


__all__ = ["GemEcgModel", "GemForConditionalGeneration", "GemModel", "GemPreTrainedModel"]
