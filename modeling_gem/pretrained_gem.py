# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What every class of GEM shares: how it is loaded, and whether other processes hold a part of its weights."""

import torch
from torch import nn
from transformers import PreTrainedModel

from .configuration_gem import GemConfig


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


def runs_distributed() -> bool:
    """Also with one process: DDP asks for the gradient of every parameter even then."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def is_sharded(module: nn.Module) -> bool:
    """By FSDP2 (`DTensor`) or DeepSpeed ZeRO-3 (which marks parameters with `ds_id`), outside of its own forward."""
    return any(hasattr(parameter, "device_mesh") or hasattr(parameter, "ds_id") for parameter in module.parameters())


__all__ = ["GemPreTrainedModel", "is_sharded", "runs_distributed"]
