# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Loads a GEM from a folder or a Hub id, or the small model that comes with gem-ecg."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from processing.errors_gem import CheckpointError, GemError

if TYPE_CHECKING:
    import torch
    from transformers import ProcessorMixin

    from modeling_gem import GemForConditionalGeneration, GemPipeline, GemProcessor

TINY = "tiny"
NOT_A_DEVICE = "gem-ecg is research software, not a medical device. Do not use it for diagnosis or treatment."


def model_source(model: str | Path = "") -> str:
    """
    The folder or Hub id of a model; an empty name and `tiny` mean the model that comes with gem-ecg.

    Raises:
        CheckpointError: it can only be a folder, and there is none.
    """
    import modeling_gem

    if str(model) in ("", TINY):
        return str(modeling_gem.default_checkpoint())
    if _is_path(str(model)) and not Path(model).exists():
        raise CheckpointError(
            f"{model}: there is no such folder. Name one that `save_pretrained` wrote, a Hub id, or {TINY}."
        )
    return str(model)


def _is_path(model: str) -> bool:
    """Whether a name can only be a folder's."""
    return model.startswith((".", "~", "/")) or Path(model).is_absolute()


def default_device() -> "torch.device":
    """The GPU where there is one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def default_dtype(device: "torch.device | str") -> "torch.dtype | str":
    """The checkpoint's own type on a GPU, float32 on a CPU: half precision has no fast path on most CPUs."""
    import torch

    return torch.float32 if torch.device(device).type == "cpu" else "auto"


def computes_in_bfloat16(device: "torch.device | str") -> bool:
    """Whether matrix products in bfloat16 are the faster ones there: on GPUs, and on CPUs with AVX-512 BF16 or AMX."""
    import torch

    return torch.device(device).type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def checkpoint_errors(source: str | Path) -> Iterator[None]:
    """
    Context in which a model is loaded: errors of libraries about its files become a `CheckpointError` with one sentence.

    Raises:
        CheckpointError: a file is truncated, is a pickle with code in it, is not JSON, or belongs to another model.
        OSError: there is no such model.
    """
    import torch

    try:
        yield
    except (GemError, OSError, ImportError, MemoryError, torch.OutOfMemoryError):
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{source}: its weights are a pickle with more than numbers in it, which could run code, and are not opened. Ask for "
            "safetensors; `gem convert` reads legacy weights of numbers alone."
        ) from error
    # Each file has a library of its own, and none of them documents what it raises.
    except Exception as error:
        raise CheckpointError(
            f"{source}: cannot be loaded ({type(error).__name__}: {_first_line(error)}). A file is cut off, or of another kind of "
            "model. Download or save it again; `gem info` and `gem convert` tell what a folder holds."
        ) from error


def _first_line(error: Exception) -> str:
    """Of a message that may be a page; what it wraps says more where there are several."""
    text = str(error.__cause__ or error).strip()
    return text.splitlines()[0][:200] if text else "no reason given"


def check_chat_template(processor: "ProcessorMixin", source: str | Path) -> None:
    """
    Writes a chat of one word.

    Raises:
        CheckpointError: the chat template is not valid Jinja, or does something that the sandbox forbids.
    """
    from jinja2 import TemplateError

    try:
        processor.apply_chat_template([{"role": "user", "content": [{"type": "text", "text": "ECG"}]}], tokenize=False)
    except TemplateError as error:
        raise CheckpointError(
            f"{source}: its chat template cannot be used ({type(error).__name__}: {_first_line(error)}). Take chat_template.jinja of the "
            "model it was made from, or ask where it comes from."
        ) from error


def load_gem(
    model: str | Path = "", *, dtype: "torch.dtype | str | None" = None, trust_remote_code: bool = False
) -> tuple["GemForConditionalGeneration", "GemProcessor"]:
    """
    Network (in evaluation mode, on `default_device()`) and processor of a GEM.

    Args:
        model: folder or Hub id; empty for the model that comes with gem-ecg.
        dtype: of the weights; `default_dtype` if not given.
        trust_remote_code: allow the model's own code to run.

    Raises:
        OSError: there is no such model.
        CheckpointError: its files cannot be used.
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor

    source, device = model_source(model), default_device()
    with checkpoint_errors(source):
        processor = AutoProcessor.from_pretrained(source, trust_remote_code=trust_remote_code)
        network = AutoModelForImageTextToText.from_pretrained(
            source, dtype=dtype or default_dtype(device), trust_remote_code=trust_remote_code
        )
    check_chat_template(processor, source)
    return network.to(device).eval(), processor


def load_pipeline(
    model: str | Path = "",
    *,
    device: "torch.device | str | int | None" = None,
    dtype: "torch.dtype | str | None" = None,
    trust_remote_code: bool = False,
) -> "GemPipeline":
    """The pipeline of a GEM.

    Args:
        model: folder or Hub id; empty for the model that comes with gem-ecg.
        device: as `transformers.pipeline` takes it; `default_device()` if not given.
        dtype: of the weights; `default_dtype` if not given.
        trust_remote_code: allow the model's own code to run.

    Raises:
        OSError, CheckpointError: see `load_gem`.
    """
    from transformers import pipeline

    from modeling_gem import GEM_TASK

    device = default_device() if device is None else device
    source = model_source(model)
    with checkpoint_errors(source):
        loaded = pipeline(
            GEM_TASK,
            model=source,
            device=device,
            dtype=dtype or default_dtype(device),
            trust_remote_code=trust_remote_code,
        )
    check_chat_template(loaded.processor, source)
    return loaded


__all__ = [
    "NOT_A_DEVICE",
    "TINY",
    "check_chat_template",
    "checkpoint_errors",
    "computes_in_bfloat16",
    "default_device",
    "default_dtype",
    "load_gem",
    "load_pipeline",
    "model_source",
]
