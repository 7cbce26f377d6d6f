# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Functions that older supported versions of Transformers lack; all other code is written for the newest version. When the lowest
version in `pyproject.toml` rises, only this file shrinks.

| name | needed below Transformers |
|---|---|
| `CompositeConfig`, `SubConfigSpec`, `generate_arguments` | 5.20 |
| `slice_logits_to_keep` | 5.21 |
| `check_chunked_prefill`, `only_hidden_state` | 5.23 |
"""

from typing import Any, ClassVar

import torch
from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, Pipeline, PreTrainedConfig
from transformers.generation import utils as generation_utils
from transformers.utils import output_capturing

try:
    from transformers.configuration_utils import SubConfigSpec
except ImportError:

    class SubConfigSpec:  # type: ignore[no-redef]
        """How to make a nested config out of nothing (`model_type` with `init_kwargs`) or out of a dict."""

        def __init__(
            self, config_class: Any, model_type: str | None = None, init_kwargs: dict[str, Any] | None = None
        ):
            self.config_class = config_class
            self.model_type = model_type
            self.init_kwargs = init_kwargs or {}

        def config(self, given: dict[str, Any] | PreTrainedConfig | None) -> PreTrainedConfig:
            """The sub-configuration from what was given: a configuration, its settings, or `None` for the default."""
            if isinstance(given, PreTrainedConfig):
                return given
            settings = dict(self.init_kwargs if given is None else given)
            if self.config_class is AutoConfig:
                return AutoConfig.for_model(settings.pop("model_type", self.model_type), **settings)
            return self.config_class(**settings)

    @strict
    class CompositeConfig(PreTrainedConfig):
        """Makes the nested configs that `sub_configs_defaults` names before anything is validated."""

        sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {}

        def __init_subclass__(cls, *args, **kwargs):
            super().__init_subclass__(*args, **kwargs)
            cls.sub_configs = {name: spec.config_class for name, spec in cls.sub_configs_defaults.items()}

        def __post_init__(self, **kwargs):
            for name, spec in self.sub_configs_defaults.items():
                setattr(self, name, spec.config(getattr(self, name)))
            super().__post_init__(**kwargs)
else:
    CompositeConfig = PreTrainedConfig  # type: ignore[misc]

try:
    from transformers.modeling_utils import slice_logits_to_keep
except ImportError:

    def slice_logits_to_keep(hidden_states: torch.Tensor, logits_to_keep: int | torch.Tensor) -> torch.Tensor:
        """
        Of `hidden_states` (batch, positions, width) the last `logits_to_keep` positions (0: all), those in a list, those
        in a list per row, or the true ones of a mask (batch, positions), which makes one row of them.
        """
        if isinstance(logits_to_keep, int):
            return hidden_states[:, -logits_to_keep:]
        if logits_to_keep.ndim == 1:
            return hidden_states[:, logits_to_keep]
        if logits_to_keep.dtype == torch.bool:
            return hidden_states[logits_to_keep]
        return torch.take_along_dim(hidden_states, logits_to_keep[..., None], dim=1)


def only_hidden_state(index: int) -> list[int] | bool:
    """
    `output_hidden_states` that keeps hidden state `index` (0: before the first block) in its place and no other. Before
    5.23 a list counted blocks, with other numbers: there all of them are kept.
    """
    return [index] if hasattr(output_capturing, "select_hidden_states") else True


def check_chunked_prefill() -> None:
    """Checks that this Transformers keeps ECGs in a prompt that is read in chunks.

    Raises:
        ValueError: This version of Transformers loses pictures and ECGs of a prompt that it reads in chunks.
    """
    if not hasattr(generation_utils, "_slice_mm_encoder_output"):
        raise ValueError("`prefill_chunk_size` with ECGs or pictures needs Transformers 5.23 or newer.")


def generate_arguments(pipeline: Pipeline, given: dict[str, Any], **fixed: Any) -> dict[str, Any]:
    """Arguments of `generate`: those `given` to the call over those of the pipeline, and what the pipeline has `fixed`."""
    if hasattr(pipeline, "_prepare_generate_kwargs"):
        return pipeline._prepare_generate_kwargs(given, **fixed)
    return {"generation_config": pipeline.generation_config, **given, **fixed}


__all__ = [
    "CompositeConfig",
    "SubConfigSpec",
    "check_chunked_prefill",
    "generate_arguments",
    "only_hidden_state",
    "slice_logits_to_keep",
]
