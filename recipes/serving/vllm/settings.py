# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Adapts the configuration of a GEM for vLLM before the model is built."""

from typing import Any

from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from vllm import ModelRegistry
from vllm.config import ModelConfig
from vllm.model_executor.models.config import MODELS_CONFIG_MAP, VerifyAndUpdateConfig
from vllm.renderers.registry import RENDERER_REGISTRY
from vllm.tokenizers.registry import TokenizerRegistry

from processing.errors_gem import CheckpointError

ARCHITECTURE = "GemForConditionalGeneration"
ROOM = __name__.rpartition(".")[0]
# vLLM chooses how a request becomes tokens by the mode of the tokenizer: this one has GEM's renderer and the usual tokenizer.
TOKENIZER_MODE = "gem"


def register_model() -> None:
    """Modules by their names: each is loaded in the process that needs it."""
    ModelRegistry.register_model(ARCHITECTURE, f"{ROOM}.model:GemForVllm")
    MODELS_CONFIG_MAP[ARCHITECTURE] = GemSettings
    if TOKENIZER_MODE not in RENDERER_REGISTRY.renderers:
        RENDERER_REGISTRY.register(TOKENIZER_MODE, f"{ROOM}.renderer", "GemRenderer")
        TokenizerRegistry.register(TOKENIZER_MODE, *TokenizerRegistry.tokenizers["hf"])


class GemSettings(VerifyAndUpdateConfig):
    """Looks at a GEM's configuration before vLLM uses it."""

    @staticmethod
    def verify_and_update_model_config(model_config: ModelConfig) -> None:
        """
        Answers are those of Transformers only with all of the generation config, of which vLLM reads a part.

        Raises:
            CheckpointError: see `body_architecture`.
        """
        body_architecture(model_config.hf_config)
        if model_config.tokenizer_mode in ("auto", "hf"):
            model_config.tokenizer_mode = TOKENIZER_MODE
        biases = f"{ROOM}.biases:GenerationBiases"
        given = list(model_config.logits_processors or ())
        if biases not in given:
            model_config.logits_processors = [*given, biases]


def body_architecture(config: Any) -> str:
    """vLLM's name of a GEM's language model.

    Raises:
        CheckpointError: vLLM has no such model.
    """
    kind = config.text_config.model_type
    name = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind, "")
    if name not in ModelRegistry.get_supported_archs():
        raise CheckpointError(
            f"vLLM has no language model of the type `{kind}` ({name or 'unknown to Transformers'}), which is the body of this GEM. "
            "Use --engine transformers."
        )
    return name


__all__ = ["ARCHITECTURE", "GemSettings", "body_architecture", "register_model"]
