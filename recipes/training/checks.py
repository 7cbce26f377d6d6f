# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Checks before the first training step, and the lengths of samples."""

import io
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from PIL import Image
from transformers import PreTrainedModel
from transformers.utils import logging

from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import CheckpointError, PlaceholderError, TrainingError
from processing.processing_gem import GemProcessor
from recipes.dataset.schema import PageStyleChoice, is_built

from .collator import DATA_COLUMNS, RECORD_ERRORS, GemDataCollator, name_of

PEEK = 2
# Stands for an ECG where only their number matters.
STAND_IN = EcgRecord(np.zeros((12, 1), np.float32), STANDARD_LEADS, 500.0)
logger = logging.get_logger(__name__)


def check_columns(dataset: Any, name: str, image_only: bool = False) -> None:
    """Checks that a data set has what training needs.

    Raises:
        TrainingError: `dataset` lacks `messages`, or ECGs that it should have.
    """
    columns = list(dataset.column_names or next(iter(dataset), {}))
    if "messages" not in columns:
        raise TrainingError(
            f"{name}: no column `messages` (columns: {columns}). GEM trains on `messages` (a list of role and content), "
            f"`ecg`, `sampling_rate` and optionally `image`; rename yours with `dataset.rename_column`."
        )
    has_ecg = "ecg" in columns and not _all_null(dataset, "ecg")
    inline = not has_ecg and any(
        isinstance(message["content"], list) and any(block.get("type") == "ecg" for block in message["content"])
        for message in next(iter(dataset), {"messages": []})["messages"]
    )
    if not (has_ecg or inline or image_only):
        state = "the column `ecg` is empty" if "ecg" in columns else f"no column `ecg` (columns: {columns})"
        raise TrainingError(
            f"{name}: a data set without signals: {state}. Name the column `ecg`, or train on pictures alone with "
            "`image_only: true`."
        )
    without = null_count(dataset, "ecg") if has_ecg and not image_only else 0
    if without:
        raise TrainingError(
            f"{name}: {without} of {len(dataset)} rows have no ECG. Drop them (`dataset.filter`), or train on "
            "their pictures alone with `image_only: true`."
        )


def check_messages(dataset: Any, name: str, processor: GemProcessor) -> None:
    """
    Reads all messages, but neither signals nor pictures unless placeholders are written out.

    Raises:
        TrainingError: An example without a question or without an answer.
        PlaceholderError: More or fewer written placeholders than ECGs or pictures.
    """
    if isinstance(dataset, datasets.IterableDataset):
        return
    texts = dataset.select_columns([c for c in ("messages", "id") if c in dataset.column_names]).with_format(None)
    collator = GemDataCollator(processor, assistant_only_loss=True)
    for index, example in enumerate(texts):
        where = f"{name}, row {index}: {name_of(example)}"
        roles = [message.get("role") for message in example["messages"]]
        if "user" not in roles:
            raise TrainingError(f"{where} has no user turn (roles: {roles}).")
        if not any(m["role"] == "assistant" and _has_text(m["content"]) for m in example["messages"]):
            raise TrainingError(f"{where} has no answer to learn from (roles: {roles}).")
        if _has_placeholders(example["messages"], processor):
            try:
                collator.prepare(dataset[index])
            except PlaceholderError as error:
                raise PlaceholderError(f"{name}, row {index}: {error}") from error
            except RECORD_ERRORS as error:
                logger.warning(f"{where} will be left out of its batch: {error}")


def check_first_batch(dataset: Any, collator: GemDataCollator) -> None:
    """Builds a small batch: records, pictures, chat template, labels and lengths are tried on real data.

    Raises:
        GemError: An error that the first training step would raise.
    """
    examples = [example for _, example in zip(range(PEEK), dataset, strict=False)]
    if not examples:
        raise TrainingError("The data set is empty.")
    collator([dict(example) for example in examples])


def check_vocabulary(model: PreTrainedModel, processor: GemProcessor) -> None:
    """Checks that model and processor have the same vocabulary and placeholders.

    Raises:
        CheckpointError: Tokenizer, processor and model do not belong together.
    """
    config, tokenizer = model.config, processor.tokenizer
    rows = model.get_input_embeddings().num_embeddings  # its weight is empty where ZeRO-3 has sharded it
    placeholders = {config.ecg_token_id, config.image_token_id}
    outside = {token: i for token, i in tokenizer.get_vocab().items() if i >= rows and i not in placeholders}
    if outside:
        token, index = max(outside.items(), key=lambda item: item[1])
        raise CheckpointError(
            f"The tokenizer has another vocabulary: {len(outside)} of its tokens, e.g. {token!r} ({index}), are outside of "
            f"the {rows} rows of the model's embedding. Use the tokenizer the checkpoint came with."
        )
    for kind in ("ecg", "image"):
        ours, theirs = getattr(config, f"{kind}_token_id"), getattr(processor, f"{kind}_token_id")
        if ours != theirs:
            raise CheckpointError(
                f"The processor writes {kind} placeholders as token {theirs}, the model expects {ours}: they belong to "
                "different checkpoints."
            )
    if processor.num_ecg_tokens != config.ecg_config.num_tokens:
        raise CheckpointError(
            f"The processor gives an ECG {processor.num_ecg_tokens} tokens, the model {config.ecg_config.num_tokens}: they "
            "belong to different checkpoints."
        )


def with_lengths(
    dataset: datasets.Dataset,
    processor: GemProcessor,
    column: str = "length",
    num_proc: int | None = None,
    page: PageStyleChoice | None = None,
) -> datasets.Dataset:
    """`dataset` with the length in tokens of every sample, media tokens included, for sampling by length. With modality
    dropout this is the length of the whole sample. Neither signals nor pixels are read where one cell is one ECG. `page` is
    the one that the collator draws where a sample has no picture."""
    if is_built(dataset):
        return _built_with_lengths(dataset, processor, column, num_proc)
    light = dataset.select_columns([c for c in DATA_COLUMNS if c in dataset.column_names]).with_format(None)
    for name in {"image", "images"} & set(light.column_names):
        light = light.cast_column(name, _undecoded(light.features[name]))
    one_ecg_per_cell = isinstance(light.features.get("ecg"), (datasets.Array2D, datasets.Value, dict))
    if one_ecg_per_cell:
        present = light.select_columns("ecg").with_format("arrow")
        present = present.map(lambda t: pa.table({"ecg": t["ecg"].is_valid()}), batched=True, desc="ECGs")
        light = light.remove_columns("ecg").add_column("ecg", present.with_format(None)["ecg"][:])

    def length(example: dict[str, Any]) -> dict[str, int]:
        if one_ecg_per_cell:
            example["ecg"] = [STAND_IN] if example["ecg"] else None
        pictures = [*(example.pop("images", None) or []), example.pop("image", None)]
        sizes = [_size(picture) for picture in pictures if picture is not None]
        if page is not None and not sizes and example.get("ecg") is not None:
            sizes = [(page.size, page.size)]
        return {column: _token_length(example, sizes, processor)}

    lengths = light.map(length, remove_columns=light.column_names, num_proc=num_proc, desc="lengths")
    return dataset.add_column(column, lengths[column][:])


def _built_with_lengths(
    dataset: datasets.Dataset, processor: GemProcessor, column: str, num_proc: int | None
) -> datasets.Dataset:
    """The same for a split of `gem build-dataset` after `with_transform`: nothing is decoded or drawn."""
    rows = dataset.format["format_kwargs"]["transform"]
    stored = dataset.with_format(None)
    light = stored.select_columns([c for c in ("messages", "other_ecgs", "image") if c in stored.column_names])
    if "image" in light.column_names:
        light = light.cast_column("image", _undecoded(light.features["image"]))

    def length(example: dict[str, Any]) -> dict[str, int]:
        ecgs = 1 + len(example.get("other_ecgs") or ())
        picture = example.get("image")
        size = (rows.page.size, rows.page.size) if picture is None else _size(picture)
        plain = {"messages": example["messages"], "ecg": [STAND_IN] * ecgs}
        return {column: _token_length(plain, [size] if rows.images else [], processor)}

    lengths = light.map(length, remove_columns=light.column_names, num_proc=num_proc, desc="lengths")
    return stored.add_column(column, lengths[column][:]).with_transform(rows)


def _token_length(example: dict[str, Any], sizes: list[tuple[int, int]], processor: GemProcessor) -> int:
    collator = GemDataCollator(processor, assistant_only_loss=True)
    messages = collator.prepare(example | {"images": sizes})["messages"]
    text = processor.apply_chat_template(messages, tokenize=False, draw_page=False)
    tokens = len(processor.tokenizer(text, add_special_tokens=False)["input_ids"])
    tokens += text.count(processor.ecg_token) * (processor.num_ecg_tokens - 1)
    return tokens + sum(processor.image_length(size) - 1 for size in sizes)


def _undecoded(feature: Any) -> Any:
    if isinstance(feature, datasets.Image):
        return datasets.Image(decode=False)
    return datasets.List(_undecoded(feature.feature)) if isinstance(feature, datasets.List) else feature


def _size(picture: dict[str, Any] | str) -> tuple[int, int]:
    """Height and width from the file's header."""
    stored: dict[str, Any] = {"path": picture} if isinstance(picture, str) else picture
    with Image.open(io.BytesIO(stored["bytes"]) if stored.get("bytes") else stored["path"]) as opened:
        return opened.height, opened.width


def _has_text(content: Any) -> bool:
    texts = [content] if isinstance(content, str) else [block.get("text") or "" for block in content or []]
    return any(text.strip() for text in texts)


def _has_placeholders(messages: list[dict[str, Any]], processor: GemProcessor) -> bool:
    tokens = (processor.ecg_token, processor.image_token)
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            if block["type"] != "text" or any(token in (block.get("text") or "") for token in tokens):
                return True
    return False


def _all_null(dataset: Any, column: str) -> bool:
    """A data set that streams is taken at its first example."""
    if isinstance(dataset, datasets.Dataset):
        return null_count(dataset, column) == len(dataset)
    first: dict[str, Any] = next(iter(dataset), {})
    return first.get(column) is None


def null_count(dataset: Any, column: str) -> int:
    """By Arrow's own count; none are known of a data set that streams."""
    return dataset.data.column(column).null_count if isinstance(dataset, datasets.Dataset) else 0


__all__ = ["check_columns", "check_first_batch", "check_messages", "check_vocabulary", "null_count", "with_lengths"]
