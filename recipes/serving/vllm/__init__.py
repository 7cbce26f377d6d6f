# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""GEM in vLLM, as a plugin: vLLM calls `register` by its entry point, and nothing here imports vLLM before."""


def register() -> None:
    """Makes GEM known to vLLM, which calls this in each of its processes, and may call it twice.

    A vLLM that is too old for GEM can still serve other models; the problem is logged.
    """
    import logging

    import vllm

    import modeling_gem  # noqa: F401 (registers configuration and processor with Transformers)
    from processing.errors_gem import GemError

    from .proven import check_version

    try:
        check_version(vllm.__version__)
    except GemError as error:
        logging.getLogger(__name__).error("%s", error)
        return
    from .media import register_connector
    from .settings import register_model

    register_model()
    register_connector()


__all__ = ["register"]
