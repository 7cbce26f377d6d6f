# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Rows of a data set as prompts that a model answers by itself: for rewards, preferences and the report on both."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from processing.errors_gem import PlaceholderError
from processing.feature_extraction_gem import load_ecgs
from processing.processing_gem import GemProcessor

from .collator import GemDataCollator, name_of


def as_prompt(collator: GemDataCollator, example: dict[str, Any]) -> dict[str, Any]:
    """
    A row for training with prompts. Its columns: `prompt`, the turns without the last answer, with the records and pictures of the
    modalities that the row keeps in their blocks; `reference`, the last answer, or `None`; `record`, the first ECG, shown to the
    model or not, or `None`; and the other columns of the example.

    Args:
        collator: fills the blocks and chooses the modalities.
        example: a row with `messages` (or `prompt`), and with `ecg`, `image` or blocks that hold them.

    Raises:
        PlaceholderError: there is neither an ECG nor a picture.
    """
    messages = list(example.get("messages") or example["prompt"])
    reference = text_of(messages.pop()) if messages[-1]["role"] == "assistant" else None
    given = example.get("ecg")
    records = [] if given is None else load_ecgs(given, sampling_rate=example.get("sampling_rate"))
    sample = collator.prepare({**example, "messages": messages, "ecg": records or None})
    pictures = iter(sample["images"])
    shown = [block for block in blocks(sample["messages"]) if block["type"] in ("ecg", "image")]
    for block in shown:
        if block["type"] == "image" and "image" not in block:
            block["image"] = next(pictures)
        elif block["type"] == "ecg" and "ecg" not in block:
            block["ecg"] = load_ecgs(block.pop("path"))[0]
    if not shown:
        raise PlaceholderError(
            f"{name_of({**example, 'messages': messages})}: no ECG and no picture to look at (columns {sorted(example)}). "
            "Name the column `ecg`, or put `{'type': 'ecg', ...}` blocks into the prompt."
        )
    records += [block["ecg"] for block in shown if block["type"] == "ecg"]
    rest = {name: value for name, value in example.items() if name not in ("messages", "ecg", "image", "images")}
    return {**rest, "prompt": sample["messages"], "reference": reference, "record": records[0] if records else None}


def model_inputs(
    processor: GemProcessor, prompts: Sequence[list[dict[str, Any]]], device: torch.device
) -> dict[str, Any]:
    """Padded tensors of prompts that wait for an answer."""
    inputs = processor.apply_chat_template(
        list(prompts),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )
    return {name: value.to(device) for name, value in inputs.items() if name != "mm_token_type_ids"}


@torch.no_grad()
def answer(
    model: PreTrainedModel,
    processor: GemProcessor,
    prompts: Sequence[list[dict[str, Any]]],
    rows_at_once: int = 8,
    **generation: Any,
) -> list[torch.Tensor]:
    """Token ids of the model's answers without padding. With `num_return_sequences`, the answers to one prompt are adjacent.

    Args:
        model: the GEM.
        processor: its processor with `draw_page` off, as in a `GemDataCollator`.
        prompts: chats of `as_prompt`.
        rows_at_once: prompts per batch.
        **generation: arguments of `generate`.
    """
    was_training, answers = model.training, []
    model.eval()
    pad = processor.tokenizer.pad_token_id
    for first in range(0, len(prompts), rows_at_once):
        inputs = model_inputs(processor, prompts[first : first + rows_at_once], model.device)
        ids = model.generate(**inputs, **generation)
        answers += [row[row != pad].cpu() for row in ids[:, inputs["input_ids"].shape[1] :]]
    model.train(was_training)
    return answers


def blocks(messages: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The content blocks of a conversation; content that is plain text has none."""
    return (block for message in messages if isinstance(message["content"], list) for block in message["content"])


def text_of(message: dict[str, Any]) -> str:
    """What a turn says."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(block.get("text") or "" for block in content)


__all__ = ["answer", "as_prompt", "blocks", "model_inputs", "text_of"]
