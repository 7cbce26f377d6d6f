# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A GEM ready to answer: from a folder, a Hub id, or the small model that comes with gem-ecg."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from modeling_gem import GemForConditionalGeneration, GemPipeline, GemProcessor

TINY = "tiny"


def model_source(model: str | Path = "") -> str:
    """The folder or Hub id that is meant: nothing and `tiny` stand for the model that comes with gem-ecg."""
    import modeling_gem

    return str(modeling_gem.default_checkpoint()) if str(model) in ("", TINY) else str(model)


def default_device() -> "torch.device":
    """The GPU where there is one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def default_dtype(device: "torch.device | str") -> "torch.dtype | str":
    """The checkpoint's own type on a GPU, float32 on a CPU: half precision has no fast path on most CPUs."""
    import torch

    return torch.float32 if torch.device(device).type == "cpu" else "auto"


def load_gem(
    model: str | Path = "", *, dtype: "torch.dtype | str | None" = None, trust_remote_code: bool = False
) -> tuple["GemForConditionalGeneration", "GemProcessor"]:
    """
    Network (in evaluation mode, on `default_device()`) and processor of a GEM.

    Args:
        model: folder, Hub id, or nothing for the model that comes with gem-ecg.
        dtype: of the weights; `default_dtype` if not given.
        trust_remote_code: let the folder bring its own code.

    Raises:
        OSError: there is no such model.
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor

    source, device = model_source(model), default_device()
    processor = AutoProcessor.from_pretrained(source, trust_remote_code=trust_remote_code)
    network = AutoModelForImageTextToText.from_pretrained(
        source, dtype=dtype or default_dtype(device), trust_remote_code=trust_remote_code
    )
    return network.to(device).eval(), processor


def load_pipeline(
    model: str | Path = "",
    *,
    device: "torch.device | str | int | None" = None,
    dtype: "torch.dtype | str | None" = None,
    trust_remote_code: bool = False,
) -> "GemPipeline":
    """The pipeline of a GEM, with `load_gem`'s defaults; `device` as `transformers.pipeline` takes it."""
    from transformers import pipeline

    from modeling_gem import GEM_TASK

    device = default_device() if device is None else device
    return pipeline(
        GEM_TASK,
        model=model_source(model),
        device=device,
        dtype=dtype or default_dtype(device),
        trust_remote_code=trust_remote_code,
    )


__all__ = ["TINY", "default_device", "default_dtype", "load_gem", "load_pipeline", "model_source"]
