# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""vLLM's way from a request to tokens, which gives a placeholder without an ECG to the model as a word: here it is refused."""

from typing import Any

from vllm.inputs import MultiModalInput, TokensInput, TokensPrompt
from vllm.renderers.hf import HfRenderer

from .inputs import ON_THE_WIRE
from .placeholders import check_placeholders


class GemRenderer(HfRenderer):
    """The renderer of GEMs."""

    def _process_tokens(self, prompt: TokensPrompt, **options: Any) -> TokensInput | MultiModalInput:
        self._check(prompt)
        return super()._process_tokens(prompt, **options)

    async def _process_tokens_async(self, prompt: TokensPrompt, **options: Any) -> TokensInput | MultiModalInput:
        self._check(prompt)
        return await super()._process_tokens_async(prompt, **options)

    def _check(self, prompt: TokensPrompt) -> None:
        """
        Raises:
            PlaceholderError: see `check_placeholders`.
        """
        config = self.model_config.hf_config
        tokens = {"ecg": config.ecg_token_id, ON_THE_WIRE: config.ecg_token_id, "image": config.image_token_id}
        check_placeholders(prompt["prompt_token_ids"], prompt.get("multi_modal_data") or {}, tokens)


__all__ = ["GemRenderer"]
