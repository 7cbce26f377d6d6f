# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What TRL needs to know about ECGs: a collator that carries them, a trainer that does not drop their column."""

import copy
import functools
import hashlib
import json
import re
import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import torch
from PIL import Image
from torch import nn
from transformers import PreTrainedModel, TrainerCallback, TrainingArguments
from transformers.image_utils import load_image
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.utils import logging
from trl import SFTTrainer, TrlParser
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling
from trl.trainer.utils import FusedCausalLMOutput
from yaml import YAMLError

from processing.ecg_record import EcgRecord
from processing.errors_gem import (
    EcgFormatError,
    EcgLeadError,
    EcgQualityError,
    GemError,
    PlaceholderError,
    TrainingError,
)
from processing.feature_extraction_gem import load_ecgs
from processing.processing_gem import MODALITIES, GemProcessor, Modality

DATA_COLUMNS = ["messages", "ecg", "sampling_rate", "image", "images", "id"]
RECORD_ERRORS = (EcgFormatError, EcgLeadError, EcgQualityError)
logger = logging.get_logger(__name__)


@dataclass
class GemDataCollator(DataCollatorForVisionLanguageModeling):
    """
    Examples with `messages` (string or structured content), `ecg` (one ECG or a list, in any form `load_ecg` takes),
    `image`/`images` and perhaps `id` -> a training batch. A modality without placeholders in the messages gets them in
    front of the first user turn, ECGs before pictures. A record that cannot be read is reported and left out of its
    batch; where nothing else is in it, an example that was read before stands there without a label.

    Args:
        modality_mix: Share of samples that keep `"both"`, only the `"signal"` or only the `"image"` (modality dropout).
            Drawn from the sample itself and `epoch`, so that neither workers, nor ranks, nor resuming change it.
            Default: all keep both.
        image_only: Allow batches without any ECG. Otherwise they raise: stock TRL would train on without it.
        max_length: Longest sequence, media tokens included. Longer ones lose the end of their last answer; placeholders
            are never cut.
        mix_seed: Other draws of `modality_mix`.

    Raises:
        PlaceholderError: A batch without ECGs, ECGs without placeholders, placeholders behind `max_length`, or an
            example without a token to learn from, by name.
    """

    modality_mix: dict[Modality, float] = field(default_factory=lambda: {"both": 1.0})
    image_only: bool = False
    max_length: int | None = None
    mix_seed: int = 0

    def __post_init__(self) -> None:
        # A sample that is to be signal-only must not get a page drawn behind the collator's back.
        self.processor: GemProcessor = copy.copy(self.processor)
        self.processor.draw_page = False
        # A tokenizer would cut through placeholders; `_shorten` knows better.
        self.length_limit, self.max_length = self.max_length, None
        # Shared, so that persistent workers hear of a new epoch.
        self.epoch = torch.zeros(1, dtype=torch.long).share_memory_()
        self.stand_in: dict[str, Any] | None = None
        unknown = set(self.modality_mix) - set(MODALITIES)
        if unknown or sum(self.modality_mix.values()) <= 0 or min(self.modality_mix.values()) < 0:
            raise GemError(f"`modality_mix` weighs 'both', 'signal' and 'image', got {self.modality_mix}.")

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
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
                f"{name_of(examples[int(masked.nonzero()[0])])}: no token left to learn from. Either `max_length` "
                f"({self.length_limit}) cut the whole answer off, or there is no answer, or the chat template lacks "
                "{% generation %} around answers."
            )
        return batch

    def prepare(self, example: dict[str, Any]) -> dict[str, Any]:
        """`messages` whose blocks hold their records, and `images`, of the modalities that the sample keeps."""
        records = (
            [] if example.get("ecg") is None else load_ecgs(example["ecg"], sampling_rate=example.get("sampling_rate"))
        )
        images = list(example.get("images") or ([example["image"]] if example.get("image") is not None else []))
        messages = [self._structured(message) for message in example["messages"]]
        first = next((message["content"] for message in messages if message["role"] == "user"), None)
        if first is None:
            raise PlaceholderError(f"{name_of(example)}: no user turn to put the ECG into.")
        written = {block["type"] for message in messages for block in message["content"]}
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
    """What a user can find the example by: its id, or how its first turn begins."""
    if example.get("id") is not None:
        return f"Sample {example['id']!r}"
    content = example["messages"][0]["content"] if example.get("messages") else ""
    text = content if isinstance(content, str) else " ".join(block.get("text") or "" for block in content)
    return f"The sample that begins with {text[:60]!r}"


def last_checkpoint(folder: str | Path) -> str | None:
    """The newest checkpoint that is complete: a `Trainer` writes its state last, and may be stopped before."""
    found = [state.parent for state in Path(folder).glob("checkpoint-*/trainer_state.json")]
    return str(max(found, key=lambda path: int(path.name.rpartition("-")[2]))) if found else None


def parse_settings(parser: TrlParser, arguments: Sequence[str] | None) -> tuple[Any, ...]:
    """
    What `parser` makes of a command line (that of the process if `None`) and its `--config FILE`; the line wins.

    Raises:
        TrainingError: No such file, no YAML, or a setting that does not exist or does not fit the others.
    """
    try:
        return parser.parse_args_and_config(arguments)
    except YAMLError as error:
        raise TrainingError(f"The training settings are not YAML ({' '.join(str(error).split())}).") from error
    except (OSError, ValueError) as error:
        raise TrainingError(f"The training settings cannot be used: {error}") from error


def checkpoint_to_resume(training: TrainingArguments) -> str | None:
    """
    The folder that `resume_from_checkpoint` names; with true the newest complete one, or none: nothing to resume from is a
    first start, so that a job that is queued again keeps one command.

    Raises:
        TrainingError: It names no checkpoint.
    """
    asked = str(training.resume_from_checkpoint).lower()
    if asked in ("none", "false", ""):
        return None
    if asked in ("true", "last"):
        return last_checkpoint(training.output_dir)
    if not (Path(training.resume_from_checkpoint) / "trainer_state.json").is_file():
        raise TrainingError(
            f"`resume_from_checkpoint` {training.resume_from_checkpoint}: no complete checkpoint there (trainer_state.json is "
            "missing). Say true for the newest complete one of OUTPUT_DIR, or false to start anew."
        )
    return training.resume_from_checkpoint


def _as_stored(dataset: Any) -> Any:
    """Samplers look at lengths alone; behind a transform each of them would decode a signal and draw a page."""
    return dataset.with_format(None) if isinstance(dataset, datasets.Dataset) else dataset


class EpochLengthGroups(LengthGroupedSampler):
    """In the same epoch the same order, also where training goes on in its middle (the stock one asks the global generator)."""

    def __init__(self, batch_size: int, lengths: list[int], seed: int) -> None:
        super().__init__(batch_size, lengths=lengths)
        self.seed = seed
        self.epoch = 0

    def __iter__(self) -> Any:
        self.generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return super().__iter__()


class GemSFTTrainer(SFTTrainer):
    """
    `SFTTrainer` that keeps the ECG column (the stock one drops it and trains without ECGs), that stops at a loss or
    gradient that is no number, before it reaches the weights or a checkpoint (the stock one averages it away), that
    resumes exactly with `group_by_length` too, and that on CPUs computes no more logits than it needs.
    """

    _signature_columns: list[str] | None
    data_collator: Any
    length_groups: EpochLengthGroups | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_callback(_TellEpoch(self))
        if self.args.device.type == "cpu":
            model = self.model
            score_answers_only(model.get_base_model() if hasattr(model, "get_base_model") else model)

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            self._signature_columns = [*DATA_COLUMNS, self.args.length_column_name]

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        dataset = _as_stored(self.train_dataset if train_dataset is None else train_dataset)
        sampler = super()._get_train_sampler(dataset)
        if isinstance(sampler, LengthGroupedSampler):
            seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
            sampler = self.length_groups = EpochLengthGroups(sampler.batch_size, sampler.lengths, seed)
        return sampler

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        return super()._get_eval_sampler(_as_stored(eval_dataset))

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        training = self.data_collator
        if not isinstance(training, GemDataCollator):
            return super().get_eval_dataloader(eval_dataset)
        # Every evaluation sees the same modalities: `epoch` of a copy stays where it is.
        try:
            self.data_collator = copy.copy(training)
            self.data_collator.epoch = torch.zeros(1, dtype=torch.long)
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = training

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss = super().training_step(*args, **kwargs)
        self._check_finite(loss, "loss")
        return loss

    def _get_grad_norm(self, model: torch.nn.Module, grad_norm: Any = None) -> Any:
        grad_norm = super()._get_grad_norm(model, grad_norm)
        # With fp16 the loss scaler provokes overflows and skips their steps.
        if grad_norm is not None and not self.args.fp16:
            self._check_finite(grad_norm, "gradient")
        return grad_norm

    def _check_finite(self, value: Any, what: str) -> None:
        if bool(torch.isfinite(torch.as_tensor(value)).all()):
            return
        last = last_checkpoint(self.args.output_dir)
        raise TrainingError(
            f"The {what} at step {self.state.global_step + 1} is {float(value)}. Lower `learning_rate`, raise "
            "`warmup_steps`, or look at the data of this step. "
            + (f"{last} is untouched: go on from it with `resume_from_checkpoint`." if last else "No checkpoint yet.")
        )


class _TellEpoch(TrainerCallback):
    """
    Tells collator and sampler which pass over the data it is: other modalities of a sample in each, and the same order again
    where training is resumed.
    """

    def __init__(self, trainer: GemSFTTrainer) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        epoch = int((state.epoch or 0) + 1e-6)
        if isinstance(self.trainer.data_collator, GemDataCollator):
            self.trainer.data_collator.epoch.fill_(epoch)
        if self.trainer.length_groups is not None:
            self.trainer.length_groups.epoch = epoch


def score_answers_only(model: PreTrainedModel) -> None:
    """
    Of a model with TRL's fused head (`add_fused_lm_head`): it computes the vocabulary's logits for answers alone. TRL's own
    does so with Triton only; elsewhere it scores every position of ECG, picture and question too, twice.
    """
    fused = model.forward

    @functools.wraps(type(model).forward)
    def forward(self: nn.Module, *args: Any, fused_lm_head: bool = False, labels: Any = None, **kwargs: Any) -> Any:
        if not fused_lm_head or labels is None:
            return fused(*args, fused_lm_head=fused_lm_head, labels=labels, **kwargs)
        mask = labels[:, 1:] != -100
        kwargs = {**kwargs, "use_cache": False, "logits_to_keep": nn.functional.pad(mask, (0, 1))}
        total = kwargs.pop("num_items_in_batch", None)
        scores = fused(*args, **kwargs).logits.float().log_softmax(dim=-1)
        tokens = labels[:, 1:][mask]
        log_probs = scores.gather(1, tokens[:, None])[:, 0]
        known = scores.detach()
        per_token = log_probs, -(known.exp() * known).sum(dim=-1), known.argmax(dim=-1) == tokens
        spread = [values.new_zeros(mask.shape).masked_scatter(mask, values) for values in per_token]
        loss = -log_probs.sum() / (mask.sum().clamp(min=1) if total is None else total)
        return FusedCausalLMOutput(loss, *spread[:2], is_top1=spread[2], label_mask=mask)

    model.forward = types.MethodType(forward, model)


def freeze_towers(model: torch.nn.Module) -> None:
    """Both towers frozen, projectors and language model trained (the paper's setting)."""
    for name in ("ecg_tower", "vision_tower"):
        getattr(model.model, name).requires_grad_(False)


def keep_trained_in_float32(model: torch.nn.Module) -> None:
    """What is trained in float32, what is frozen as it is: at 2e-5 most updates of a bfloat16 weight would round to nothing."""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.is_floating_point():
            parameter.data = parameter.data.float()


__all__ = [
    "DATA_COLUMNS",
    "RECORD_ERRORS",
    "GemDataCollator",
    "GemSFTTrainer",
    "checkpoint_to_resume",
    "freeze_towers",
    "keep_trained_in_float32",
    "last_checkpoint",
    "name_of",
    "parse_settings",
]
