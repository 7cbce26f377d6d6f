# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Frozen towers run once per record: their states are kept, and training reads these instead of signals and pictures."""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from processing.chat_gem import Modality
from processing.errors_gem import GemError, TrainingError
from processing.processing_gem import GemProcessor
from recipes.files import write_json

MODALITIES = ("ecg", "image")
# Batches of few lengths: a CPU prepares its matrix products once for each shape.
PADDED_TO = 32


@dataclass
class TowerStates:
    """
    Last states of both towers, `(records, tokens, width)` each, by record id.
    """

    ids: list[str]
    ecg: np.ndarray
    image: np.ndarray

    def __post_init__(self) -> None:
        self.rows = {record_id: row for row, record_id in enumerate(self.ids)}

    def row(self, record_id: str) -> int:
        """The row that holds the states of a record.

        Raises:
            GemError: No state of this record is kept.
        """
        if record_id not in self.rows:
            raise GemError(
                f"No tower states of {record_id!r} are kept: build them from the same records and seed as the data."
            )
        return self.rows[record_id]

    def save(self, folder: str | Path) -> None:
        """Writes `ecg.npy`, `image.npy` and, last, `ids.json`: without it the folder is not complete."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ids.json").unlink(missing_ok=True)
        for name in MODALITIES:
            np.save(folder / f"{name}.npy", getattr(self, name))
        write_json(folder / "ids.json", self.ids)

    @classmethod
    def load(cls, folder: str | Path) -> "TowerStates":
        """Opens the kept states in a folder.

        Raises:
            GemError: the folder holds no complete cache.
        """
        folder = Path(folder)
        if not (folder / "ids.json").is_file():
            raise GemError(f"{folder}: no complete cache of tower states (ids.json is missing); build it again.")
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in MODALITIES}
        return cls(json.loads((folder / "ids.json").read_text()), **arrays)


class CachedTower(nn.Module):
    """Stands where a frozen tower stood and hands on the states that it is given as input."""

    def __init__(self, dtype: torch.dtype, layer: int = -1):
        super().__init__()
        self.dtype = dtype
        self.layer = layer

    def forward(self, states: torch.Tensor, **kwargs: Any) -> BaseModelOutput:
        """Returns the kept states, `(records, tokens, width)`, as a tower would."""
        return BaseModelOutput(last_hidden_state=states, hidden_states={self.layer: states})


@contextmanager
def cached_towers(model: nn.Module) -> Iterator[None]:
    """Within it `model` takes tower states as `ecg_values` and `pixel_values`; the towers are put back at the end."""
    body = model.model
    towers = {name: getattr(body, name) for name in ("ecg_tower", "vision_tower")}
    layer = model.config.vision_feature_layer % (model.config.vision_config.num_hidden_layers + 1)
    try:
        for name, tower in towers.items():
            setattr(body, name, CachedTower(tower.dtype, layer))
        yield
    finally:
        for name, tower in towers.items():
            setattr(body, name, tower)


@torch.no_grad()
def run_towers(model: nn.Module, batches: Iterable[dict[str, torch.Tensor]]) -> Iterator[dict[str, torch.Tensor]]:
    """Batches of `ecg_values` and `pixel_values` -> batches of `ecg` and `image` states."""
    body = model.model
    layer = model.config.vision_feature_layer % (model.config.vision_config.num_hidden_layers + 1)
    for batch in batches:
        pixels = batch["pixel_values"].to(body.vision_tower.dtype)
        signal = batch["ecg_values"].to(body.ecg_tower.dtype)
        yield {
            "ecg": body.ecg_tower(signal).last_hidden_state,
            "image": body.vision_tower(pixels, output_hidden_states=True).hidden_states[layer],
        }


@torch.no_grad()
def whiten_projectors(model: nn.Module, states: TowerStates, records: int = 400, floor: float = 0.3) -> None:
    """
    Starts fresh projectors so that what is behind the shared projector's first layer sees both towers whitened: zero mean
    and equal variance in every direction. Tower states vary a hundred times more in some directions than in others, and a
    number may lie in a small one, where training would hardly ever find it.

    Args:
        model: GEM with a linear ECG projector.
        states: Of its towers.
        records: How many of them to look at.
        floor: Standard deviation below which a direction counts as noise and is not raised any further.

    Raises:
        TrainingError: Fewer states than a tower is wide: they vary in no more directions than they are many.
    """
    transforms = {}
    for name in MODALITIES:
        tokens = torch.from_numpy(np.asarray(getattr(states, name)[:records], dtype=np.float32)).flatten(0, 1)
        if len(tokens) < tokens.shape[1]:
            raise TrainingError(
                f"`whiten`: {len(tokens)} {name} states of width {tokens.shape[1]} are too few to tell how they vary. Keep the "
                "states of more records, or say `whiten: false`."
            )
        mean = tokens.mean(dim=0)
        _, spread, directions = torch.linalg.svd((tokens - mean) / len(tokens) ** 0.5, full_matrices=False)
        transforms[name] = (mean, directions / spread.clamp(min=floor)[:, None])
    (ecg_mean, ecg_whiten), (image_mean, image_whiten) = transforms["ecg"], transforms["image"]
    shared, ecg = model.model.multi_modal_projector.linear_1, model.model.ecg_projector.linear_1
    mixing = torch.randn(shared.out_features, shared.in_features) / shared.in_features**0.5
    shared.weight.copy_(mixing @ image_whiten)
    shared.bias.copy_(-shared.weight @ image_mean)
    common = min(len(ecg_whiten), len(image_whiten))  # towers of different widths share the largest directions
    ecg.weight.copy_(torch.linalg.inv(image_whiten)[:, :common] @ ecg_whiten[:common])
    ecg.bias.copy_(image_mean - ecg.weight @ ecg_mean)


@dataclass
class CachedCollator:
    """
    Examples with `id` and `messages` (questions and answers) -> batches for a model within `cached_towers`. All
    examples of a batch show the same modality, so that no padding is computed.

    Args:
        processor: Gives tokenizer, chat template and the number of tokens per ECG and picture.
        states: What the towers said about the records.
        modality_mix: Weights of `"both"`, `"signal"` and `"image"`.
    """

    processor: GemProcessor
    states: TowerStates
    modality_mix: dict[Modality, float] = field(default_factory=lambda: {"both": 1.0})

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """A batch with one modality mix for all samples, and the kept states in place of signals and pixels."""
        names = list(self.modality_mix)
        # By the examples, not by how many batches came before: the same in any process, and after a break.
        chance = torch.Generator().manual_seed(zlib.crc32(repr(examples).encode()))
        weights = torch.tensor([float(self.modality_mix[name]) for name in names])
        return self.collate(examples, names[int(torch.multinomial(weights, 1, generator=chance))])

    def collate(self, examples: Sequence[dict[str, Any]], kept: Modality) -> dict[str, torch.Tensor]:
        """A batch that shows `kept`."""
        shown = [name for name in MODALITIES if kept in ("both", {"ecg": "signal", "image": "image"}[name])]
        batch = self._text(examples, shown)
        rows = [self.states.row(example["id"]) for example in examples]
        for name, argument in (("ecg", "ecg_values"), ("image", "pixel_values")):
            if name in shown:
                batch[argument] = torch.from_numpy(getattr(self.states, name)[rows]).float()
        return batch

    def _text(self, examples: Sequence[dict[str, Any]], shown: list[str]) -> dict[str, torch.Tensor]:
        rows = [conversation_tokens(self.processor, example["messages"], shown) for example in examples]
        ids, labels = zip(*rows, strict=True)
        return {
            "input_ids": _padded(ids, self.processor.tokenizer.pad_token_id),
            "attention_mask": _padded([torch.ones_like(row) for row in ids], 0),
            "labels": _padded(labels, -100),
        }


def _padded(rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
    """`(rows, tokens)`, the tokens a multiple of `PADDED_TO`."""
    batch = nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)
    return nn.functional.pad(batch, (0, -batch.shape[1] % PADDED_TO), value=value)


def conversation_tokens(
    processor: GemProcessor,
    messages: Sequence[dict[str, str]],
    shown: Sequence[str],
    add_generation_prompt: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Tokens `(length,)` of a conversation in front of whose first question stand the placeholders of `shown` (of `MODALITIES`),
    and the same with -100 for what is not an answer.
    """
    first, *others = messages
    media = [{"type": name} for name in shown]
    turns = [{"role": first["role"], "content": [*media, {"type": "text", "text": first["content"]}]}]
    turns += [{"role": turn["role"], "content": [{"type": "text", "text": turn["content"]}]} for turn in others]
    encoded = processor.tokenizer.apply_chat_template(
        turns,
        chat_template=processor.chat_template,
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
        add_generation_prompt=add_generation_prompt,
    )
    tokens = torch.tensor(encoded["input_ids"])
    repeats = torch.ones_like(tokens)
    repeats[tokens == processor.ecg_token_id] = processor.num_ecg_tokens
    repeats[tokens == processor.image_token_id] = processor.num_image_tokens
    answered = torch.tensor(encoded["assistant_masks"]).bool()
    labels = torch.where(answered, tokens, -100)
    return tokens.repeat_interleave(repeats), labels.repeat_interleave(repeats)


__all__ = [
    "CachedCollator",
    "CachedTower",
    "TowerStates",
    "cached_towers",
    "conversation_tokens",
    "run_towers",
    "whiten_projectors",
]
