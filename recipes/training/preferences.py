# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Pairs of answers for DPO: a GEM answers every row several times, and the rewards rank the answers."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from transformers import PreTrainedModel, set_seed

from processing.chat_gem import Modality
from processing.errors_gem import GemError, TrainingError
from recipes.dataset.schema import is_built, with_transform
from recipes.files import atomic_folder, atomic_write, json_lines, one_writer, read_json_lines
from recipes.models import load_gem

from .collator import GemDataCollator, name_of
from .grounding_rewards import GROUNDING_REWARDS
from .prompts import answer, as_prompt

# As the GRPO recipes weigh them.
WEIGHTS: Mapping[str, float] = {
    "precision": 1.0,
    "recall": 0.5,
    "detail": 0.5,
    "leads": 0.5,
    "labels": 0.5,
    "form": 0.25,
}
PAIRS_FILE = "pairs.jsonl"


@dataclass(frozen=True)
class PreferenceSettings:
    """
    How pairs of a better and a worse answer are made.

    Attributes:
        model: folder or Hub id; "" is the model that comes with gem-ecg.
        answers: number of answers to each row.
        temperature: of the sampling.
        max_new_tokens: length limit of an answer.
        margin: smallest difference in reward of a pair; rows whose answers are closer give no pair.
        modality: what the model sees.
        seed: of the sampling.
    """

    model: str = ""
    answers: int = 8
    temperature: float = 0.9
    max_new_tokens: int = 256
    margin: float = 0.1
    modality: Modality = "both"
    seed: int = 0


@dataclass(frozen=True)
class Preferences:
    """Rows with a pair, rows whose answers were too close, and rows that could not be used, each with the reason."""

    pairs: int
    close: int
    failed: dict[str, str]


def reward_of(text: str, row: dict[str, Any]) -> float:
    """The weighted mean of the rewards that apply to an answer."""
    columns = {"record": [row["record"]], "reference": [row["reference"]]}
    earned = {name: GROUNDING_REWARDS[name]([text], **columns)[0] for name in WEIGHTS}
    known = {name: value for name, value in earned.items() if value is not None}
    return sum(WEIGHTS[name] * value for name, value in known.items()) / sum(WEIGHTS[name] for name in known)


def build_preferences(
    split: datasets.Dataset,
    output: Path,
    settings: PreferenceSettings | None = None,
    rows: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Preferences:
    """
    Writes a data set with the columns of `split` and `chosen`, `rejected`, `chosen_reward`, `rejected_reward`. Open it with
    `datasets.load_from_disk`, train on it with `gem train --method dpo`. Repeat the call to continue an interrupted run.

    Args:
        split: a split of `gem build-dataset`, or one with `messages`, `ecg` and optionally `image`.
        output: folder to write; until it is complete, OUTPUT.pairs.jsonl holds the answers judged so far.
        settings: model, sampling and rewards.
        rows: use the first `rows` rows only; all if `None`.
        progress: called with (rows finished, rows in all).

    Raises:
        TrainingError: the folder exists already, another process is writing it, or no row gave a pair.
    """
    settings = settings or PreferenceSettings()
    if settings.answers < 2:
        raise TrainingError(f"A pair needs two answers at least; `answers` is {settings.answers}.")
    if output.exists():
        raise TrainingError(f"{output} exists. Name another folder, or remove it.")
    output.parent.mkdir(parents=True, exist_ok=True)
    working = output.with_name(f"{output.name}.{PAIRS_FILE}")
    with one_writer(working, TrainingError):
        judged = _judged(split, working, settings, rows, progress)
        kept = [entry for entry in judged if "chosen" in entry]
        if not kept:
            raise TrainingError(
                f"No row gave a pair: of {len(judged)}, {len(judged) - len(kept)} were too close or failed."
            )
        chosen = split.with_format(None).select([entry["row"] for entry in kept])
        for name in ("chosen", "rejected", "chosen_reward", "rejected_reward"):
            chosen = chosen.add_column(name, [entry[name] for entry in kept])
        with atomic_folder(output) as folder:
            datasets.DatasetDict({"train": chosen}).save_to_disk(str(folder))
        working.unlink()
    failed = {entry["name"]: entry["failed"] for entry in judged if "failed" in entry}
    return Preferences(len(kept), len(judged) - len(kept) - len(failed), failed)


def _judged(
    split: datasets.Dataset,
    working: Path,
    settings: PreferenceSettings,
    rows: int | None,
    progress: Callable[[int, int], None] | None,
) -> list[dict[str, Any]]:
    """One entry per row, those of an interrupted run included."""
    count = min(len(split), rows or len(split))
    done = _judged_before(working, settings)
    network, processor = load_gem(settings.model)
    collator = GemDataCollator(processor, modality_mix={settings.modality: 1.0})
    readable = with_transform(split, images=settings.modality != "signal") if is_built(split) else split
    # Written again, without the half line of a run that was killed.
    atomic_write(working, json_lines([asdict(settings), *done]))
    with working.open("a", encoding="utf-8") as file:
        for number in range(len(done), count):
            example = dict(readable[number])
            try:
                entry = {"row": number, **_pair(example, number, network, collator, settings)}
            except GemError as error:
                entry = {"row": number, "name": name_of(example), "failed": str(error)}
            file.write(json_lines([entry]))
            file.flush()
            done.append(entry)
            if progress is not None:
                progress(number + 1, count)
    return done


def _judged_before(working: Path, settings: PreferenceSettings) -> list[dict[str, Any]]:
    """What an interrupted run judged.

    Raises:
        TrainingError: It had other settings.
    """
    if not working.is_file():
        return []
    kept = [value for _, value in read_json_lines(working, damaged=lambda number, error: None)]
    if kept and kept[0] != asdict(settings):
        raise TrainingError(
            f"{working}: an interrupted run with other settings ({kept[0]}). Repeat those, or remove the file."
        )
    return kept[1:]


def _pair(
    example: dict[str, Any],
    number: int,
    network: PreTrainedModel,
    collator: GemDataCollator,
    settings: PreferenceSettings,
) -> dict[str, Any]:
    """The best and the worst of the answers to a row, if they differ by the margin."""
    row = as_prompt(collator, example)
    set_seed(settings.seed + number)  # so that a continued run writes the same as an uninterrupted one
    ids = answer(
        network,
        collator.processor,
        [row["prompt"]],
        do_sample=True,
        temperature=settings.temperature,
        num_return_sequences=settings.answers,
        max_new_tokens=settings.max_new_tokens,
    )
    texts = [collator.processor.decode(one, skip_special_tokens=True).strip() for one in ids]
    rewards = [reward_of(text, row) for text in texts]
    best, worst = int(np.argmax(rewards)), int(np.argmin(rewards))
    if rewards[best] - rewards[worst] < settings.margin or not texts[worst]:
        return {}
    return {
        "chosen": texts[best],
        "rejected": texts[worst],
        "chosen_reward": round(rewards[best], 4),
        "rejected_reward": round(rewards[worst], 4),
    }


__all__ = ["PreferenceSettings", "Preferences", "build_preferences", "reward_of"]
