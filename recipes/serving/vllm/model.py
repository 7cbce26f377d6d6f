# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""GEM as a model of vLLM: our towers and projectors with vLLM's own language model."""

import re
from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import nn
from vllm.config import VllmConfig
from vllm.model_executor.models.interfaces import MultiModalEmbeddings, SupportsMultiModal
from vllm.model_executor.models.utils import (
    AutoWeightsLoader,
    WeightsMapper,
    init_vllm_registered_model,
    maybe_prefix,
)
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.sequence import IntermediateTensors

from modeling_gem import GemModel

from .inputs import GemDummyInputs, GemProcessing, GemProcessingInfo
from .settings import body_architecture


class GemTowers(GemModel):
    """All of a GEM but its language model, under the same names."""

    def build_language_model(self) -> nn.Module:
        """Nothing: it is vLLM's."""
        return nn.Identity()


@MULTIMODAL_REGISTRY.register_processor(GemProcessing, info=GemProcessingInfo, dummy_inputs=GemDummyInputs)
class GemForVllm(nn.Module, SupportsMultiModal):
    """What vLLM builds for a checkpoint of `GemForConditionalGeneration`."""

    # How vLLM joins layers of Llama and similar models, for quantised checkpoints.
    packed_modules_mapping: ClassVar = {
        "qkv_proj": ["q_proj", "k_proj", "v_proj"],
        "gate_up_proj": ["gate_proj", "up_proj"],
    }
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            "model.language_model.": "language_model.model.",
            "lm_head.": "language_model.lm_head.",
            "model.": "towers.",
        }
    )

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:
        """In the chat API an ECG is `audio`."""
        return {"ecg": "<ecg>", "audio": "<ecg>", "image": "<image>"}.get(modality)

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config = vllm_config.model_config.hf_config
        self.config = config
        text = config.text_config
        text.tie_word_embeddings = config.tie_word_embeddings
        self.configure_mm_token_handling(text.vocab_size, [config.ecg_token_id, config.image_token_id])
        with self._mark_tower_model(vllm_config, {"ecg", "image"}):
            # The parts of the configuration keep the type that the checkpoint was saved with.
            self.towers = GemTowers(config).to(vllm_config.model_config.dtype)
        with self._mark_language_model(vllm_config):
            self.language_model = init_vllm_registered_model(
                vllm_config=vllm_config,
                hf_config=text,
                prefix=maybe_prefix(prefix, "language_model"),
                architectures=[body_architecture(config)],
            )

    def embed_multimodal(
        self,
        ecg_values: torch.Tensor | None = None,
        pixel_values: torch.Tensor | list[torch.Tensor] | None = None,
        image_sizes: torch.Tensor | None = None,
    ) -> MultiModalEmbeddings:
        """The projected tokens of each ECG or picture; vLLM asks for one modality at a time."""
        tokens: list[torch.Tensor] = []
        if ecg_values is not None:
            tokens += self.towers.get_ecg_features(ecg_values, return_dict=True).pooler_output
        if isinstance(pixel_values, torch.Tensor):
            tokens += self._picture_tokens(pixel_values, image_sizes)
        elif pixel_values is not None and image_sizes is not None:  # with different numbers of tiles
            for picture, size in zip(pixel_values, image_sizes, strict=True):
                tokens += self._picture_tokens(picture[None], size[None])
        return tokens

    def _picture_tokens(self, pixel_values: torch.Tensor, image_sizes: torch.Tensor | None) -> list[torch.Tensor]:
        return self.towers.get_image_features(pixel_values, image_sizes=image_sizes, return_dict=True).pooler_output

    def forward(
        self,
        input_ids: torch.Tensor | None,
        positions: torch.Tensor,
        intermediate_tensors: IntermediateTensors | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: object,
    ) -> torch.Tensor | IntermediateTensors:
        """Hidden states of a batch of tokens, from embeddings where there are ECGs or pictures."""
        return self.language_model(input_ids, positions, intermediate_tensors, inputs_embeds=inputs_embeds)

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        """Scores of the next tokens."""
        return self.language_model.compute_logits(hidden_states)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """A weight that a checkpoint lacks is an error of vLLM's loader, and so is one too many here."""
        unused = [re.compile(pattern) for pattern in self.towers._keys_to_ignore_on_load_unexpected or ()]
        wanted = (
            (name, tensor)
            for name, tensor in weights
            if name.startswith("lm_head.") or not any(pattern.search(name) for pattern in unused)
        )
        return AutoWeightsLoader(self).load_weights(wanted, mapper=self.hf_to_vllm_mapper)


__all__ = ["GemForVllm"]
