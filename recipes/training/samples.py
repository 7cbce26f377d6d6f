# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Sample answers during training, beside the picture and the reference: a folder per evaluation, and trackers."""

import importlib
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import TensorBoardCallback
from trl.data_utils import prepare_multimodal_messages

from processing.processing_gem import GemProcessor
from recipes.files import atomic_write, json_lines

from .collator import GemDataCollator
from .trainer import GemSFTTrainer

Pictures = list[Image.Image | None]


class SampleWriter(TrainerCallback):
    """
    After each evaluation, answers the first questions of the evaluation data greedily and writes
    `OUTPUT_DIR/samples/step-N/samples.jsonl` with one picture each, and a `samples` entry to the trackers in `report_to`.

    Every process generates, since a sharded model needs all of them; the first one writes.

    Args:
        trainer: Whose model, processor and trackers are used.
        dataset: Rows as for `GemDataCollator`.
        count: How many of them; records that cannot be read are skipped.
        max_new_tokens: Longest answer.
    """

    def __init__(self, trainer: GemSFTTrainer, dataset: Any, count: int, max_new_tokens: int = 256) -> None:
        self.trainer = trainer
        page = getattr(trainer.data_collator, "page", None)
        self.collator = GemDataCollator(trainer.processing_class, assistant_only_loss=True, page=page)
        self.processor: GemProcessor = self.collator.processor
        self.examples = list(itertools.islice(filter(self.collator.is_readable, dataset), count))
        self.max_new_tokens = max_new_tokens

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: PreTrainedModel,
        **kwargs: Any,
    ) -> None:
        """Answers the first questions of the evaluation split and writes them with reference and picture."""
        rows: list[dict[str, Any]] = []
        pictures: Pictures = []
        for number, example in enumerate(self.examples):
            row, picture = self._answer(model, example)
            rows.append({"step": state.global_step, "picture": f"{number:02d}.png" if picture else None, **row})
            pictures.append(picture)
        if state.is_world_process_zero and rows:
            write_samples(Path(args.output_dir) / "samples" / f"step-{state.global_step:08d}", rows, pictures)
            self._track(args.report_to, state.global_step, rows, pictures)

    @torch.no_grad()
    def _answer(self, model: PreTrainedModel, example: dict[str, Any]) -> tuple[dict[str, Any], Image.Image | None]:
        sample = self.collator.prepare(example)
        messages = prepare_multimodal_messages(sample["messages"], images=sample["images"])
        last = max(i for i, message in enumerate(messages) if message["role"] == "assistant")
        inputs = self.processor.apply_chat_template(
            messages[:last],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            draw_page=False,
        ).to(model.device)
        was_training = model.training
        model.eval()
        with self.trainer.accelerator.autocast():
            ids = model.generate(**inputs, max_new_tokens=self.max_new_tokens, do_sample=False)
        model.train(was_training)
        row = {
            "id": example.get("id"),
            "question": text_of(messages[last - 1]),
            "reference": text_of(messages[last]),
            "generated": self.processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True),
        }
        picture, record = self.processor.picture(messages), self.processor.record(messages)
        if picture is None and record is not None:
            picture = self.processor.page(record)
        return row, picture

    def _track(self, trackers: list[str], step: int, rows: list[dict[str, Any]], pictures: Pictures) -> None:
        pixels = [None if picture is None else np.asarray(picture.convert("RGB")) for picture in pictures]
        for callback in self.trainer.callback_handler.callbacks:
            if isinstance(callback, TensorBoardCallback) and callback.tb_writer is not None:
                for number, (row, image) in enumerate(zip(rows, pixels, strict=True)):
                    callback.tb_writer.add_text(f"samples/{number}", as_markdown(row), step)
                    if image is not None:
                        callback.tb_writer.add_image(f"samples/{number}", image, step, dataformats="HWC")
        for name in {"wandb", "trackio"} & set(trackers):
            tracker = importlib.import_module(name)
            columns = list(rows[0])
            table = tracker.Table(columns=columns, data=[[row[column] for column in columns] for row in rows])
            images = {
                f"samples/{number}": tracker.Image(image, caption=row["generated"])
                for number, (row, image) in enumerate(zip(rows, pixels, strict=True))
                if image is not None
            }
            tracker.log({"samples": table, **images})


def write_samples(folder: Path, rows: list[dict[str, Any]], pictures: Pictures) -> None:
    """The list comes last and at once: where it exists, the pictures are complete."""
    folder.mkdir(parents=True, exist_ok=True)
    for row, picture in zip(rows, pictures, strict=True):
        if picture is not None:
            picture.save(folder / row["picture"])
    atomic_write(folder / "samples.jsonl", json_lines(rows))


def text_of(message: dict[str, Any]) -> str:
    return "".join(block.get("text", "") for block in message["content"] if block["type"] == "text")


def as_markdown(row: dict[str, Any]) -> str:
    return f"**{row['question']}**\n\ngenerated: {row['generated']}\n\nreference: {row['reference']}"


__all__ = ["SampleWriter", "write_samples"]
