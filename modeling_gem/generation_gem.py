# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How GEM generates: ECGs and pictures are encoded once, before the first pass over the prompt."""

import copy
from typing import Any

import torch
from transformers import GenerationMixin
from transformers.generation import LogitsProcessorList
from transformers.modeling_outputs import BaseModelOutputWithPooling

from .pretrained_gem import is_sharded
from .transformers_compat import check_chunked_prefill


class GemGenerationMixin(GenerationMixin):
    """`generate` for a model whose body, `self.model`, is a [`GemModel`]."""

    def prepare_inputs_for_generation(
        self,
        input_ids,
        inputs_embeds=None,
        past_key_values=None,
        cache=None,
        is_first_iteration=False,
        **kwargs,
    ):
        """As in Transformers; signals and pictures are given in the pass that holds their placeholders, and not again."""
        # `generate` passes the arguments that this signature names; the cache is called `cache` from 5.24 on.
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
            # Their weights are gathered only within a whole pass, in the same order on every process.
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
            self.model.check_placeholders(modality, mask, features.shape[0])
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


__all__ = ["GemGenerationMixin"]
