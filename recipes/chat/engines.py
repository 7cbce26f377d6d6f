# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Engines, chosen by name: `transformers` (in this process), `vllm` (in its own processes), or the URL of a server."""

from typing import TYPE_CHECKING

from .engine_names import as_engine, is_url

if TYPE_CHECKING:
    import torch

    from .gem_models import GemEngine
    from .replies import ChatModel
    from .settings import LocalSettings


def gem_engine(
    engine: str,
    model: str,
    *,
    device: "torch.device | str | None" = None,
    trust_remote_code: bool = False,
    at_once: int = 8,
) -> "GemEngine":
    """The engine that answers questions about ECGs with a GEM.

    Args:
        engine: one of `ENGINES`, or a server's URL.
        model: folder or Hub id of the GEM. For a server, its processor prepares the requests.
        device: device for Transformers; vLLM uses the one that it was built for.
        trust_remote_code: allow the model's own code to run.
        at_once: chats in a forward pass, or parallel requests to a server; vLLM batches by itself.

    Raises:
        GemError: no such engine; vLLM is not installed, or too old; the server serves another model.
    """
    if as_engine(engine) == "vllm":
        from .vllm_models import VllmGem

        return VllmGem(model)
    if is_url(engine):
        from .served import ServedGem

        return ServedGem(engine, model, trust_remote_code=trust_remote_code, at_once=at_once)
    from recipes.models import load_pipeline

    from .gem_models import TransformersGem

    return TransformersGem(load_pipeline(model, device=device, trust_remote_code=trust_remote_code), at_once)


def language_model(settings: "LocalSettings") -> "ChatModel":
    """A language model without ECGs, for teachers and judges, on the engine of its settings.

    Raises:
        GemError: as in `gem_engine`; the model has no chat template.
    """
    if settings.engine == "vllm":
        from .vllm_models import VllmModel

        return VllmModel(settings)
    if is_url(settings.engine):
        from .client import ChatClient
        from .settings import ChatSettings

        asked = ChatSettings(
            model=settings.model,
            base_url=settings.engine,
            max_tokens=settings.max_new_tokens,
            max_concurrency=settings.batch_size,
        )
        return ChatClient(asked)
    from .local import LocalModel

    return LocalModel(settings)


__all__ = ["gem_engine", "language_model"]
