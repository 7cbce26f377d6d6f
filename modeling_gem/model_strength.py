# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The measured accuracy of a model in one line, from its card, to be shown beside its answers."""

from pathlib import Path

from huggingface_hub import EvalResult, ModelCard
from transformers.utils import cached_file
from yaml import YAMLError

from processing.chat_gem import Modality

# What is in the line, as cards call it; the modality follows in parentheses where there are several.
FIGURES = ("rhythm accuracy", "superclass macro F1")
UNKNOWN = "the accuracy of this model is unknown: its card has no figures for rhythm and diagnosis"


def model_strength(source: str | Path, modality: Modality = "both") -> str:
    """The measured accuracy of a model by the `model-index` of its card, or a note that it was not measured.

    Args:
        source: folder or Hub id.
        modality: what the model saw; the figures are those of this modality.

    Examples:
        >>> from modeling_gem import default_checkpoint
        >>> model_strength(default_checkpoint()).partition(":")[0]
        'gem-ecg-tiny on PTB-XL, fold 9, from signal and page'
    """
    path = cached_file(
        str(source),
        "README.md",
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if path is None:
        return UNKNOWN
    try:
        data = ModelCard.load(path, ignore_metadata_errors=True).data
    except (ValueError, YAMLError):  # no front matter that can be read
        return UNKNOWN
    found = [(name, result) for name in FIGURES if (result := _figure(data.eval_results or [], name, modality))]
    if not found:
        return UNKNOWN
    first = found[0][1]
    where = f"{first.dataset_name}, {first.dataset_split}" if first.dataset_split else first.dataset_name
    figures = ", ".join(f"{name} {result.metric_value:.2f}" for name, result in found)
    seen = {"both": "signal and page", "signal": "the signal", "image": "the page"}[modality]
    return f"{data.model_name or Path(str(source)).name} on {where}, from {seen}: {figures}"


def _figure(results: list[EvalResult], name: str, modality: Modality) -> EvalResult | None:
    """The result called `name` of a modality; of a card that knows no modalities the only one."""
    numbers = [result for result in results if isinstance(result.metric_value, int | float)]
    by_name = {result.metric_name: result for result in reversed(numbers)}
    return by_name.get(f"{name} ({modality})", by_name.get(name))


__all__ = ["UNKNOWN", "model_strength"]
