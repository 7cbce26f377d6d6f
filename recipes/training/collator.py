# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The collator: examples with ECGs and pictures -> training batches, by TRL's collator for pictures."""

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from transformers.image_utils import load_image
from transformers.utils import logging
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from processing.chat_gem import MODALITIES, Modality
from processing.ecg_record import EcgRecord
from processing.errors_gem import (
    EcgFormatError,
    EcgLeadError,
    EcgQualityError,
    GemError,
    PlaceholderError,
)
from processing.feature_extraction_gem import load_ecgs
from processing.processing_gem import GemProcessor
from recipes.dataset.schema import PageStyleChoice

from .published import published_example

DATA_COLUMNS = ["messages", "conversations", "ecg", "sampling_rate", "image", "images", "id"]
RECORD_ERRORS = (EcgFormatError, EcgLeadError, EcgQualityError)
logger = logging.get_logger(__name__)


@dataclass
class GemDataCollator(DataCollatorForVisionLanguageModeling):
    """
    Examples with `messages` (string or structured content), `ecg` (one ECG or a list, in any form `load_ecg` takes),
    `image`/`images` and optionally `id` -> a training batch. Rows in ECG-Grounding's published form, with `conversations` instead of
    `messages`, are accepted too. If the messages have no placeholders for a modality, these are added before the first user turn,
    ECGs before pictures. A record that cannot be read is reported and left out of its batch; if the batch would be empty, an
    earlier example takes its place without a label.

    Args:
        modality_mix: Share of samples that keep `"both"`, only the `"signal"` or only the `"image"` (modality dropout).
            Drawn from the sample itself and `epoch`, so that neither workers, nor ranks, nor resuming change it.
            Default: all keep both.
        image_only: Allow batches without any ECG. Otherwise they raise an error; stock TRL would silently train without ECGs.
        max_length: Longest sequence, media tokens included. Longer ones lose the end of their last answer; placeholders
            are never cut.
        mix_seed: Seed of `modality_mix`.
        page: Style of the page for an example that has an ECG and no picture. Default: no page, so it stays signal-only.
        files: For published rows: beginning of an ECG's path -> local folder, as in `gem build-dataset`.
        images: For published rows: folder of the pictures.

    Raises:
        PlaceholderError: A batch without ECGs, ECGs without placeholders, placeholders after `max_length`, or an
            example without a token to train on; the message names the example.
    """

    modality_mix: dict[Modality, float] = field(default_factory=lambda: {"both": 1.0})
    image_only: bool = False
    max_length: int | None = None
    mix_seed: int = 0
    page: PageStyleChoice | None = None
    files: Mapping[str, str] | None = None
    images: str | None = None

    def __post_init__(self) -> None:
        # A sample that is to be signal-only must not get a page drawn behind the collator's back.
        original: GemProcessor = self.processor
        self.processor: GemProcessor = copy.copy(original)
        self.processor.draw_page = False
        # A trainer that works with this copy saves what it was made of: a trained model draws pages as before.
        self.processor.save_pretrained = original.save_pretrained  # type: ignore[method-assign]
        # Pages of a data set were drawn from its records, or are what it is about.
        self.processor.judge_pictures = False
        # A tokenizer would cut through placeholders; `_shorten` knows better.
        self.length_limit, self.max_length = self.max_length, None
        # Shared, so that persistent workers hear of a new epoch.
        self.epoch = torch.zeros(1, dtype=torch.long).share_memory_()
        self.stand_in: dict[str, Any] | None = None
        unknown = set(self.modality_mix) - set(MODALITIES)
        if unknown or sum(self.modality_mix.values()) <= 0 or min(self.modality_mix.values()) < 0:
            raise GemError(f"`modality_mix` weighs 'both', 'signal' and 'image', got {self.modality_mix}.")

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """The batch as tensors; records that cannot be read are left out.

        Raises:
            GemError: no record of the batch can be read, and there is no stand-in.
        """
        try:
            batch = self._collate(examples)
        except RECORD_ERRORS:
            examples = [example for example in examples if self.is_readable(example)]
            if examples:
                batch = self._collate(examples)
            elif self.stand_in is not None:
                batch = self._collate([self.stand_in])
                batch["labels"].fill_(-100)
            else:
                raise
        self.stand_in = self.stand_in or examples[0]
        return batch

    def _collate(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().torch_call([self.prepare(example) for example in examples])
        self._shorten(batch, examples)
        if "ecg_values" not in batch and "image" not in self.modality_mix and not self.image_only:
            raise PlaceholderError(
                f"No example of the batch holds an ECG ({name_of(examples[0])} has the columns {sorted(examples[0])}). Name the "
                "column `ecg`, or allow examples with a picture alone by `image_only=True`."
            )
        masked = (batch["labels"][:, 1:] != -100).sum(dim=1).eq(0)
        if masked.any():
            raise PlaceholderError(
                f"{name_of(examples[int(masked.nonzero()[0])])}: no token is left to train on. Either `max_length` "
                f"({self.length_limit}) cut the whole answer off, or there is no answer, or the chat template lacks "
                "{% generation %} around answers."
            )
        return batch

    def prepare(self, example: dict[str, Any]) -> dict[str, Any]:
        """`messages` whose blocks hold their records, and `images`, of the modalities that the sample keeps."""
        if example.get("messages") is None and example.get("conversations") is not None:
            example = published_example(example, self.files, self.images)
        records = (
            [] if example.get("ecg") is None else load_ecgs(example["ecg"], sampling_rate=example.get("sampling_rate"))
        )
        images = list(example.get("images") or ([example["image"]] if example.get("image") is not None else []))
        images = [_read_picture(image) if isinstance(image, str) else image for image in images]
        messages = [self._structured(message) for message in example["messages"]]
        first = next((message["content"] for message in messages if message["role"] == "user"), None)
        if first is None:
            raise PlaceholderError(f"{name_of(example)}: no user turn to put the ECG into.")
        written = {block["type"] for message in messages for block in message["content"]}
        if self.page is not None and records and not images and "image" not in written:
            images = [self.page.draw(records[0])]
        media = [{"type": "ecg"}] * len(records) if "ecg" not in written else []
        media += [{"type": "image"}] * len(images) if "image" not in written else []
        first[:0] = media
        try:
            messages = _filled(messages, records, len(images))
        except PlaceholderError as error:
            raise PlaceholderError(f"{name_of(example)}: {error}") from error
        shown = {block["type"] for message in messages for block in message["content"]}
        kept = self._sample_modality(example, records) if {"ecg", "image"} <= shown else "both"
        dropped = {"signal": "image", "image": "ecg"}.get(kept)
        for message in messages:
            message["content"] = [block for block in message["content"] if block["type"] != dropped]
        return {"messages": messages, "images": [] if kept == "signal" else images}

    def _structured(self, message: dict[str, Any]) -> dict[str, Any]:
        """A copy with content blocks, written-out placeholders as such; Arrow gives every block all keys, empty ones as None."""
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        structured: list[dict[str, Any]] = []
        for block in blocks:
            block = {key: value for key, value in block.items() if value is not None}
            tokens = {self.processor.ecg_token: "ecg", self.processor.image_token: "image"}
            pieces = re.split("|".join(f"({re.escape(token)})" for token in tokens), block.get("text", ""))
            if len(pieces) == 1:
                structured.append(block)
                continue
            structured += [{"type": tokens[piece]} for piece in pieces if piece in tokens]
            text = "".join(piece for piece in pieces if piece and piece not in tokens).strip()
            structured += [{"type": "text", "text": text}] if text else []
        return {**message, "content": structured}

    def _sample_modality(self, example: dict[str, Any], records: list[EcgRecord]) -> Modality:
        words = json.dumps(
            [self.mix_seed, int(self.epoch), example.get("id"), example["messages"]],
            default=lambda value: type(value).__name__,
        )
        signal = records[0].signal[:, :50].tobytes() if records else b""
        digest = hashlib.blake2b(words.encode() + signal, digest_size=4).digest()
        share = int.from_bytes(digest, "big") / 2**32 * sum(self.modality_mix.values())
        for modality, weight in self.modality_mix.items():
            share -= weight
            if share < 0:
                return modality
        return modality

    def _shorten(self, batch: dict[str, Any], examples: list[dict[str, Any]]) -> None:
        limit, length = self.length_limit, batch["input_ids"].shape[1]
        if limit is None or length <= limit:
            return
        beyond = batch["input_ids"][:, limit:]
        media = (beyond == self.processor.ecg_token_id) | (beyond == self.processor.image_token_id)
        if media.any():
            row = int(media.any(dim=1).nonzero()[0])
            raise PlaceholderError(
                f"{name_of(examples[row])}: the ECG or picture reaches beyond `max_length` ({limit}); the sample is "
                f"{int(batch['attention_mask'][row].sum())} tokens long. Raise `max_length` or shorten the turns before it."
            )
        logger.warning_once(f"Answers that reach beyond `max_length` ({limit}) lose their end. This is shown once.")
        for key in ("input_ids", "attention_mask", "labels", "mm_token_type_ids"):
            if key in batch:
                batch[key] = batch[key][:, :limit]

    def is_readable(self, example: dict[str, Any]) -> bool:
        """Whether all ECGs of a sample can be read; the reason is logged where one cannot."""
        try:
            for block in (b for message in self.prepare(example)["messages"] for b in message["content"]):
                if block["type"] == "ecg":
                    self.processor.feature_extractor(block.get("ecg", block.get("path")))
        except RECORD_ERRORS as error:
            logger.warning(f"{name_of(example)} is left out of its batch: {error}")
            return False
        return True


def _filled(messages: list[dict[str, Any]], records: list[Any], num_images: int) -> list[dict[str, Any]]:
    """Puts records into ECG blocks that hold none, in order, as many as there are blocks; reads pictures of blocks' own."""
    pending = list(records)
    empty_images = 0
    for message in messages:
        content = []
        for block in message["content"]:
            if block["type"] == "ecg" and "ecg" not in block and "path" not in block:
                if not pending:
                    raise PlaceholderError(f"The messages hold more ECG blocks than the {len(records)} ECG(s) given.")
                block = {"type": "ecg", "ecg": pending.pop(0)}
            elif block["type"] == "image" and (source := {"url", "path", "base64"} & set(block)):
                block = {"type": "image", "image": _read_picture(block[source.pop()])}
            elif block["type"] == "image" and "image" not in block:
                empty_images += 1
            content.append(block)
        message["content"] = content
    if pending:
        raise PlaceholderError(f"{len(pending)} ECG(s) have no ECG block in the messages.")
    if empty_images != num_images:
        raise PlaceholderError(f"The messages hold {empty_images} picture block(s), but {num_images} picture(s) came.")
    return messages


def _read_picture(source: str) -> Image.Image:
    try:
        return load_image(source)
    except (OSError, ValueError) as error:
        raise EcgFormatError(f"{str(source)[:80]}: a picture that cannot be read ({error}).") from error


def name_of(example: dict[str, Any]) -> str:
    """A name by which a user can find the example: its id, or the beginning of its first turn."""
    if example.get("id") is not None:
        return f"Sample {example['id']!r}"
    content = example["messages"][0]["content"] if example.get("messages") else ""
    text = content if isinstance(content, str) else " ".join(block.get("text") or "" for block in content)
    return f"The sample that begins with {text[:60]!r}"


__all__ = ["DATA_COLUMNS", "RECORD_ERRORS", "GemDataCollator", "name_of"]
