# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""From which likelihood on a trained model calls a finding likely, chosen on fold 8; and the model's last form.

python -m recipes.embedded.limits --corpus outputs/records --model outputs/sft_seen --output outputs/gem-ecg-tiny
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from sklearn.metrics import balanced_accuracy_score, f1_score
from transformers import PreTrainedTokenizerBase, pipeline

from modeling_gem import GEM_TASK, GemForConditionalGeneration, GemProcessor
from processing.chat_gem import Modality
from recipes.console import run_command
from recipes.files import write_json
from recipes.sources.statements import SUPERCLASSES, superclasses_of
from recipes.teachers.grounded_answer import CLASS_NAMES
from recipes.teachers.taught_words import taught_words

from .corpus import CHOICE_FOLD, Corpus
from .scores import class_likelihoods, interpretations

LIMITS = np.arange(0.05, 0.8, 0.01)
VIEWS: tuple[Modality, ...] = ("both", "image")  # one limit holds for what is read from a page alone, too


def best_limits(likelihoods: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """
    From which likelihood on a superclass is stated: where the mean of F1 and balanced accuracy is largest, all views alike.

    Args:
        likelihoods: `(views, records, superclasses)`, of a model that did not see these records.
        truth: `(records, superclasses)`, 0 or 1.
    """

    def worth(limit: float, column: int) -> float:
        labels = truth[:, column] > 0
        stated = likelihoods[:, :, column] >= limit
        return sum(f1_score(labels, view, zero_division=0) + balanced_accuracy_score(labels, view) for view in stated)

    best = (max(LIMITS, key=lambda limit: worth(limit, column)) for column in range(len(SUPERCLASSES)))
    return {name: round(float(limit), 2) for name, limit in zip(SUPERCLASSES, best, strict=True)}


def likely_bias(tokenizer: PreTrainedTokenizerBase, limits: Mapping[str, float]) -> list[list[Any]]:
    """
    `sequence_bias` of a generation config: "likely" is written behind a superclass from its limit on, not from one half. Not
    for the first, a normal ECG, whose limit is near one half, and whose words begin in many ways.
    """
    _, *findings = CLASS_NAMES.items()
    ids = [tokenizer.encode(f", {name} is likely", add_special_tokens=False) for _, name in findings]
    odds = [(1 - limits[code]) / limits[code] for code, _ in findings]
    return [[tokens, round(math.log(odd), 3)] for tokens, odd in zip(ids, odds, strict=True)]


def take_mean(network: torch.nn.Module, others: Sequence[Path]) -> None:
    """Gives a network the mean of its weights and those of other models of the same shape."""
    states = [GemForConditionalGeneration.from_pretrained(folder, dtype="float32").state_dict() for folder in others]
    own = network.state_dict()
    network.load_state_dict(
        {name: sum((state[name] for state in states), own[name]) / (1 + len(states)) for name in own}
    )


def main(
    corpus: Annotated[Path, typer.Option(help="What `recipes.embedded.corpus records` wrote.")],
    model: Annotated[
        list[Path], typer.Option(help="Trained model; of several, stages of one run, the mean of their weights.")
    ],
    output: Annotated[Path, typer.Option(help="Folder for the model with its limits, in bfloat16.")],
    batch_size: Annotated[int, typer.Option(help="Records per forward pass.")] = 16,
    limit: Annotated[int | None, typer.Option(help="Only the first records, for a trial.")] = None,
) -> None:
    """Choose on fold 8 from which likelihood on the model states a finding, and save it in bfloat16 with the words it was taught.

    Example: python -m recipes.embedded.limits --corpus outputs/records --model outputs/sft_seen --output outputs/gem-ecg-tiny
    """
    chosen = Corpus.load(corpus).where(lambda row: row["fold"] == CHOICE_FOLD)
    items = [chosen.item(number) for number in range(len(chosen))][:limit]
    truth = np.array([[name in superclasses_of(item.codes) for name in SUPERCLASSES] for item in items])
    first, *others = model
    interpret = pipeline(GEM_TASK, model=str(first), dtype="float32")
    take_mean(interpret.model, others)
    interpret.model.generation_config.sequence_bias = None
    records = [item.record for item in items]
    likelihoods = []
    for view in VIEWS:
        answers = interpretations(interpret, records, view, batch_size)
        likelihoods.append(class_likelihoods(interpret, records, answers, view, batch_size))
    limits = best_limits(np.stack(likelihoods), truth)

    finished = GemForConditionalGeneration.from_pretrained(first, dtype=torch.bfloat16)
    finished.load_state_dict(interpret.model.state_dict())
    processor = GemProcessor.from_pretrained(first)
    processor.taught_words = " ".join(taught_words())
    finished.generation_config.sequence_bias = likely_bias(processor.tokenizer, limits)
    for tower in (finished.config.ecg_config, finished.config.vision_config):
        tower.name_or_path = ""  # folders of the machine it was trained on
    finished.save_pretrained(output)
    processor.save_pretrained(output)
    write_json(output.with_suffix(".limits.json"), limits, indent=1)
    print(json.dumps(limits))


__all__ = ["best_limits", "likely_bias", "take_mean"]

if __name__ == "__main__":
    run_command(main)
