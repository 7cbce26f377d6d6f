# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The ECG tower of GEM: ECG-CoCa's signal encoder, a transformer over patches of all leads."""

from collections.abc import Callable

import torch
from torch import nn
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .configuration_gem import GemEcgConfig
from .pretrained_gem import GemPreTrainedModel


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

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, GemEcgEmbeddings):
            init.normal_(module.class_embedding, std=module.config.initializer_range)
            init.normal_(module.position_embedding, std=module.config.initializer_range)

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


__all__ = ["GemEcgModel"]
