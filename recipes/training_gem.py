# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What TRL needs to know about ECGs: a collator that carries them, a trainer that does not drop their column."""

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from processing.errors_gem import GemError, PlaceholderError
from processing.feature_extraction_gem import load_ecgs

DATA_COLUMNS = ["messages", "ecg", "sampling_rate", "image", "images"]


@dataclass
class GemDataCollator(DataCollatorForVisionLanguageModeling):
    """
    Examples with `messages` (string or structured content), `ecg` (one ECG or a list, in any form `load_ecg` takes) and
    `image`/`images` -> a training batch. Messages without placeholders get theirs in the first user turn, ECGs first.

    Args:
        modality_mix: Share of samples that keep `"both"`, only the `"signal"` or only the `"image"`; sampled per example
            (modality dropout). Default: all keep both.
        image_only: Allow batches without any ECG. Otherwise they raise: stock TRL would train on without it.

    Raises:
        PlaceholderError: A batch without ECGs, ECGs without placeholders, or an answer that truncation cut away.
    """

    modality_mix: dict[str, float] = field(default_factory=lambda: {"both": 1.0})
    image_only: bool = False

    def __post_init__(self) -> None:
        # A sample that is to be signal-only must not get a page drawn behind the collator's back.
        self.processor: Any = copy.copy(self.processor)
        self.processor.draw_page = False
        unknown = set(self.modality_mix) - {"both", "signal", "image"}
        if unknown or sum(self.modality_mix.values()) <= 0:
            raise GemError(f"`modality_mix` weighs 'both', 'signal' and 'image', got {self.modality_mix}.")

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        prepared = [self._with_placeholders(example) for example in examples]
        batch = super().torch_call(prepared)
        if "ecg_values" not in batch and "image" not in self.modality_mix and not self.image_only:
            raise PlaceholderError(
                f"No example of the batch holds an ECG (columns: {sorted(examples[0])}). Name the column `ecg`, or train on "
                "pictures alone with `image_only=True`."
            )
        if (batch["labels"] != -100).sum(dim=1).eq(0).any():
            raise PlaceholderError(
                "An answer has no token left to learn from: raise `max_length` or shorten the example."
            )
        return batch

    def _with_placeholders(self, example: dict[str, Any]) -> dict[str, Any]:
        records = (
            [] if example.get("ecg") is None else load_ecgs(example["ecg"], sampling_rate=example.get("sampling_rate"))
        )
        images = list(example.get("images") or ([example["image"]] if example.get("image") is not None else []))
        if records and images:
            kept = self._sample_modality()
            records = [] if kept == "image" else records
            images = [] if kept == "signal" else images
        messages = [_structured(message) for message in example["messages"]]
        if not any(block["type"] in ("ecg", "image") for message in messages for block in message["content"]):
            first = next(message for message in messages if message["role"] == "user")
            media = [{"type": "ecg"}] * len(records) + [{"type": "image"}] * len(images)
            first["content"] = media + first["content"]
        return {"messages": _filled(messages, records, keep_images=bool(images)), "images": images}

    def _sample_modality(self) -> str:
        names = list(self.modality_mix)
        weights = torch.tensor([float(self.modality_mix[name]) for name in names])
        return names[int(torch.multinomial(weights, 1))]


def _structured(message: dict[str, Any]) -> dict[str, Any]:
    """A copy with content blocks; Arrow gives every block all keys, empty ones as None."""
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {**message, "content": [{k: v for k, v in block.items() if v is not None} for block in blocks]}


def _filled(messages: list[dict[str, Any]], records: list[Any], keep_images: bool) -> list[dict[str, Any]]:
    """Puts records into ECG blocks that hold none, in order; placeholders of a dropped modality go."""
    pending = list(records)
    filled = []
    for message in messages:
        content = []
        for block in message["content"]:
            if block["type"] == "ecg" and "ecg" not in block and "path" not in block:
                if not records:
                    continue
                if not pending:
                    raise PlaceholderError(f"The messages hold more ECG blocks than the {len(records)} ECG(s) given.")
                block = {"type": "ecg", "ecg": pending.pop(0)}
            elif block["type"] == "image" and "image" not in block and not keep_images:
                continue
            content.append(block)
        filled.append({**message, "content": content})
    if pending:
        raise PlaceholderError(f"{len(pending)} ECG(s) have no ECG block in the messages.")
    return filled


class GemSFTTrainer(SFTTrainer):
    """`SFTTrainer` that keeps the ECG column (the stock one drops it and trains without ECGs)."""

    _signature_columns: list[str] | None

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            self._signature_columns = DATA_COLUMNS


def freeze_towers(model: torch.nn.Module) -> None:
    """Both towers frozen, projectors and language model trained (the paper's setting)."""
    for name in ("ecg_tower", "vision_tower"):
        getattr(model.model, name).requires_grad_(False)


__all__ = ["GemDataCollator", "GemSFTTrainer", "freeze_towers"]
