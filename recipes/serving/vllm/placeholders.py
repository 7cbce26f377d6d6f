# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Placeholders in a prompt that have no ECG or picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from processing.errors_gem import PlaceholderError


def check_placeholders(prompt: Sequence[int], given: Mapping[str, Any], tokens: Mapping[str, int]) -> None:
    """Looks for more placeholders than ECGs or pictures, such as one that somebody wrote into a question.

    vLLM looks for fewer itself.

    Args:
        prompt: tokens, with one placeholder per ECG and picture.
        given: ECGs and pictures by modality, one or a list.
        tokens: the placeholder of each modality; several modalities may share one.

    Raises:
        PlaceholderError: there are more placeholders.
    """
    for token in set(tokens.values()):
        modalities = [modality for modality, own in tokens.items() if own == token]
        items = sum(_number(given.get(modality)) for modality in modalities)
        if (found := sum(one == token for one in prompt)) > items:
            name = modalities[0]
            raise PlaceholderError(
                f"The text holds {found} <{name}> placeholder(s), but {items} {name}(s) came with it. Placeholders are written by the "
                "chat template; leave them out of the text."
            )


def _number(items: Any) -> int:
    if items is None:
        return 0
    return len(items) if isinstance(items, (list, tuple)) else 1


__all__ = ["check_placeholders"]
