# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Teaches a small signal or image tower to see: SCP statements and measurements of PTB-XL, by the Trainer.

python -m recipes.embedded.towers --data PTBXL --tower ecg --simulated 1200 --soft outputs/soft_statements.json \\
    --output outputs/ecg_tower
python -m recipes.embedded.towers --data PTBXL --tower vision --output outputs/vision_tower
"""

import json
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import DataLoader, Dataset, default_collate
from transformers import CLIPVisionConfig, CLIPVisionModel, PreTrainedModel, Trainer, TrainingArguments

from modeling_gem import GemEcgConfig, GemEcgModel
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_page import EcgPage, render_ecg
from processing.ecg_record import EcgRecord
from processing.feature_extraction_gem import GemFeatureExtractor
from recipes.console import run_command
from recipes.files import write_json
from recipes.sources.ptbxl import TRAIN_FOLDS, VALIDATION_FOLD, PtbxlItem, read_ptbxl
from recipes.sources.statements import RHYTHMS, STATEMENTS, SUPERCLASSES

from .records import LARGEST_PACE_CHANGE, simulated_items

# Target -> (mean, standard deviation) over PTB-XL, to bring every regression to the same scale.
RECORD_TARGETS = {
    "heart_rate": (75, 20),
    "pr_interval": (165, 30),
    "qrs_duration": (100, 22),
    "qt_interval": (390, 40),
    "qtc_bazett": (425, 35),
    "sokolow_lyon": (2.2, 1.0),
}
# How a measurement changes when the heart runs faster: rate in proportion, durations inversely, Bazett's QTc between them.
PACE_POWERS = {
    "heart_rate": 1.0,
    "pr_interval": -1.0,
    "qrs_duration": -1.0,
    "qt_interval": -1.0,
    "qtc_bazett": -0.5,
    "sokolow_lyon": 0.0,
}
LEAD_TARGETS = {
    "st_j60": (0.0, 0.1),
    "t_amplitude": (0.15, 0.3),
    "r_amplitude": (0.7, 0.5),
    "s_amplitude": (-0.5, 0.5),
    "q_amplitude": (-0.1, 0.15),
}
# Mean and standard deviation of the drawn pages per colour (RGB, 0-1). With CLIP's, the white paper would be a large
# constant in which a small tower finds the traces only slowly.
PAGE_MEAN, PAGE_STD = (0.93, 0.89, 0.89), (0.18, 0.17, 0.16)
# What every token of a signal tower tells: seconds to the nearest P onset, QRS onset, QRS offset and T offset, and the RR
# interval around it; and the lowest and highest sample of each of twelve leads. Scaled to about 1, unknown beyond half a second.
TOKEN_TARGETS = {"beats": 5, "extremes": 24}
EXTREME_SCALE_MV = 0.3
MOST_BEATS, RECORD_S = 48, 10.0
FARTHEST_S, DISTANCE_SCALE_S = 0.6, 0.2
RR_MEAN_S, RR_SD_S = 0.8, 0.2
# Statements of fewer training records teach nothing.
STATEMENT_NAMES = [
    code for code in (*STATEMENTS, *RHYTHMS) if code not in ("IPLMI", "IPMI", "PMI", "2AVB", "3AVB", "PSVT")
]


def statement_targets(item: PtbxlItem) -> np.ndarray:
    """(superclasses + statements,) 0/1."""
    superclasses = [name in item.superclasses for name in SUPERCLASSES]
    return np.array(superclasses + [name in item.codes for name in STATEMENT_NAMES], dtype=np.float32)


def measurement_targets(features: EcgFeatures) -> np.ndarray:
    """Standardised measurements, NaN where absent: record level, axis as cosine and sine, then lead by lead."""
    record = [(getattr(features, name) - mean) / sd for name, (mean, sd) in RECORD_TARGETS.items()]
    axis = np.deg2rad(features.qrs_axis)
    leads = [(features.lead_values[name] - mean) / sd for name, (mean, sd) in LEAD_TARGETS.items()]
    return np.concatenate([record, [np.cos(axis), np.sin(axis)], *leads]).astype(np.float32).clip(-5, 5)


def beat_marks(features: EcgFeatures) -> np.ndarray:
    """`(4, MOST_BEATS)` s: P onset, QRS onset, QRS offset and T offset of the beats, NaN behind the last."""
    columns = (("P", 0), ("QRS", 0), ("QRS", 2), ("T", 2))
    marks = np.full((len(columns), MOST_BEATS), np.nan, dtype=np.float32)
    for row, (wave, column) in enumerate(columns):
        times = features.beat_waves[wave][:MOST_BEATS, column]
        marks[row, : len(times)] = times
    return marks


def rr_around(features: EcgFeatures, num_tokens: int = 100, duration: float = 10.0) -> np.ndarray:
    """`(tokens,)` s: the RR interval in which the middle of each token lies, NaN without one."""
    if len(features.beat_times) < 2:
        return np.full(num_tokens, np.nan, dtype=np.float32)
    centres = (np.arange(num_tokens) + 0.5) * duration / num_tokens
    after = np.searchsorted(features.beat_times, centres).clip(1, len(features.beat_times) - 1)
    return np.diff(features.beat_times)[after - 1].astype(np.float32)


def beat_targets(
    marks: torch.Tensor, rr: torch.Tensor, start: torch.Tensor, pace: torch.Tensor, duration: float = 10.0
) -> torch.Tensor:
    """
    What every token tells (see `BEAT_TARGETS`) of signals read from `start` on, round their end, `pace` times as fast.

    Args:
        marks: `(batch, 4, beats)` s, of `beat_marks`.
        rr: `(batch, tokens)` s, of `rr_around`.
        start: `(batch,)` s.
        pace: `(batch,)`.

    Returns:
        `(batch, tokens, 5)`, scaled to about 1; NaN where unknown.
    """
    tokens = rr.shape[1]
    centres = (torch.arange(tokens) + 0.5) * duration / tokens
    source = start[:, None] + centres * pace[:, None]
    distances = marks[:, None] - source[:, :, None, None]
    distances = (distances + duration / 2) % duration - duration / 2
    order = distances.abs().nan_to_num(torch.inf).argmin(dim=-1, keepdim=True)
    nearest = distances.gather(-1, order).squeeze(-1) / pace[:, None, None]
    nearest = nearest.masked_fill(nearest.abs() > FARTHEST_S, torch.nan) / DISTANCE_SCALE_S
    around = rr.gather(1, (source % duration / duration * tokens).long().clamp(max=tokens - 1)) / pace[:, None]
    return torch.cat([nearest, ((around - RR_MEAN_S) / RR_SD_S)[..., None]], dim=-1).clamp(-5, 5)


def lead_extremes(signal: torch.Tensor, tokens: int = 100) -> torch.Tensor:
    """mV `(batch, leads, samples)` -> lowest and highest sample of every lead under each token, `(batch, tokens, 2 * leads)`, scaled."""
    pieces = signal.unflatten(2, (tokens, -1))
    extremes = torch.cat([pieces.amin(dim=-1), pieces.amax(dim=-1)], dim=1)
    return (extremes.transpose(1, 2) / EXTREME_SCALE_MV).clamp(-10, 10)


class TowerWithHeads(nn.Module):
    """
    A tower and two linear heads, on the mean of its tokens (what the mean says, the tokens must hold) and, if that is a
    summary, on the first token: there a language model finds in one place what it would have to gather. Further heads make
    the tokens tell where they are and what they see: a signal's by the waves around them (`beat_targets`) and the voltages under
    them (`lead_extremes`), a picture's by the traces, each column of patches its own stretch of time. A picture of thin lines
    teaches a small tower nothing else to begin with.
    """

    def __init__(
        self,
        tower: PreTrainedModel,
        num_statements: int,
        num_measurements: int,
        trace_shape: tuple[int, ...] = (),
        token_targets: Mapping[str, int] = MappingProxyType({}),
        has_summary: bool = True,
    ):
        super().__init__()
        self.tower = tower
        self.has_summary = has_summary
        width = tower.config.hidden_size
        self.norm = nn.LayerNorm(width)
        self.statements = nn.Linear(width, num_statements)
        self.measurements = nn.Linear(width, num_measurements)
        self.per_token = nn.ModuleDict({name: nn.Linear(width, count) for name, count in token_targets.items()})
        self.trace_shape = trace_shape
        if trace_shape:
            columns, *per_column = trace_shape
            self.traces = nn.Linear(columns * width, int(np.prod(per_column)))

    def forward(
        self,
        values: torch.Tensor,
        labels: torch.Tensor | None = None,
        measured: torch.Tensor | None = None,
        traces: torch.Tensor | None = None,
        beats: torch.Tensor | None = None,
        extremes: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Predictions of all heads, with the loss where targets are given; unknown targets are NaN."""
        tokens = self.tower(values).last_hidden_state
        readings = [tokens.mean(dim=1), tokens[:, 0]] if self.has_summary else [tokens.mean(dim=1)]
        pooled = self.norm(torch.stack(readings))
        logits, measurements = self.statements(pooled), self.measurements(pooled)
        outputs = {"logits": logits.mean(dim=0), "measurements": measurements.mean(dim=0)}
        if labels is not None and measured is not None:
            loss = 4 * nn.functional.binary_cross_entropy_with_logits(logits, labels.expand_as(logits))
            measured = measured.expand_as(measurements)
            of_record = len(RECORD_TARGETS) + 2  # with both parts of the axis: few among many, and what is asked for
            loss = loss + 6 * known_error(measurements[..., :of_record], measured[..., :of_record])
            loss = loss + known_error(measurements[..., of_record:], measured[..., of_record:])
            if traces is not None:
                loss = loss + 4 * known_error(self._read_traces(tokens), traces)
            targets = {"beats": beats, "extremes": extremes}
            for name, head in self.per_token.items():
                if (target := targets[name]) is not None:
                    loss = loss + 2 * known_error(head(self.norm(tokens[:, 1:])), target)
            outputs["loss"] = loss
        return outputs

    def _read_traces(self, tokens: torch.Tensor) -> torch.Tensor:
        """(batch, columns, ...) from the patch tokens of each column of a square grid."""
        columns = self.trace_shape[0]
        grid = self.norm(tokens[:, 1:]).unflatten(1, (columns, columns)).transpose(1, 2)
        return self.traces(grid.flatten(2)).view(-1, *self.trace_shape)


def known_error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Smooth L1 error over the targets that are finite."""
    known = target.isfinite()
    return nn.functional.smooth_l1_loss(predicted[known], target[known])


class Recordings(torch.utils.data.Dataset):
    """
    The records with their targets, in memory: `values` are mV (leads, samples) or a page (H, W). Where `likelihoods` of
    `recipes/embedded/second_opinions.py` tell of a record, its labels are the mean of theirs and its own.
    """

    def __init__(
        self,
        items: Iterable[PtbxlItem],
        tower: str,
        image_size: int = 336,
        likelihoods: Mapping[str, list[float]] | None = None,
    ):
        extract = GemFeatureExtractor()
        columns: dict[str, list[np.ndarray]] = {"values": [], "labels": [], "measured": []}
        for item in items:
            if tower == "ecg":
                columns["values"].append(extract(item.record)["ecg_values"][0])
            else:
                page = render_ecg(item.record, layout="square_12x1", size=(image_size, image_size))
                columns["values"].append(page.pixels)
                columns.setdefault("traces", []).append(trace_targets(item.record, page))
            labels = statement_targets(item)
            soft = (likelihoods or {}).get(str(item.record.record_id))
            if soft is not None:
                labels = (labels + np.array(soft, dtype=np.float32)) / 2
            columns["labels"].append(labels)
            features = extract_features(item.record)
            columns["measured"].append(measurement_targets(features))
            if tower == "ecg":
                columns.setdefault("marks", []).append(beat_marks(features))
                columns.setdefault("rr", []).append(rr_around(features))
        self.columns = {name: np.stack(rows) for name, rows in columns.items()}

    def __len__(self) -> int:
        return len(self.columns["values"])

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {name: rows[index] for name, rows in self.columns.items()}


def trace_targets(record: EcgRecord, page: EcgPage, patch_size: int = 28, pixels_per_bin: int = 2) -> np.ndarray:
    """
    What a page shows, as (columns of patches, leads, bins, 2): mean and range of the samples under every two pixels, mV,
    scaled to about 1; NaN beside the trace.
    """
    left, _ = page.to_px("I", 0.0)
    right, _ = page.to_px("I", 1.0)
    width = page.pixels.shape[1]
    edges = (np.arange(0, width + 1, pixels_per_bin) - left) / (right - left) * record.sampling_rate
    starts, stops = np.round(edges[:-1]).astype(int), np.round(edges[1:]).astype(int)
    targets = np.full((len(starts), len(record.leads), 2), np.nan, dtype=np.float32)
    for index, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        if 0 <= start < stop <= record.num_samples:
            piece = record.signal[:, start:stop]
            targets[index] = np.stack([piece.mean(axis=1), np.ptp(piece, axis=1)], axis=-1)
    per_column = targets.reshape(width // patch_size, -1, len(record.leads), 2).transpose(0, 2, 1, 3)
    return (per_column / 0.3).clip(-5, 5)


class SignalAugmentation:
    """
    Collates signals; in training with another start and pace, random gain, noise, wander and missing leads, a batch at
    once. Targets that depend on the pace change with it.
    """

    def __init__(self, training: bool):
        self.training = training

    def __call__(self, examples: list[dict[str, np.ndarray]]) -> dict[str, torch.Tensor]:
        """A batch of signals `(records, leads, samples)` in mV with targets; in training turned, stretched and disturbed."""
        batch = default_collate(examples)
        signal = batch["values"]
        count, _, samples = signal.shape
        start, pace = torch.zeros(count), torch.ones(count)
        if self.training:
            start = torch.randint(0, samples, (count,)).float()
            pace = torch.exp(LARGEST_PACE_CHANGE * (2 * torch.rand(count) - 1))
            signal = read_round(signal, start, pace)
            batch["values"] = self.disturb(signal)
            batch["measured"] = measured_at(batch["measured"], pace)
        batch["extremes"] = lead_extremes(signal)  # what is disturbed or missing is to be seen through
        marks, rr = batch.pop("marks"), batch.pop("rr")
        batch["beats"] = beat_targets(marks, rr, start * RECORD_S / samples, pace, RECORD_S)
        return batch

    @staticmethod
    def disturb(signal: torch.Tensor) -> torch.Tensor:
        """Signals with another gain, noise and baseline wander, and each lead missing with a probability of 0.08."""
        count, leads, samples = signal.shape
        # One gain for all leads: the ratio of leads is what the axis is read from.
        signal = signal * (0.95 + 0.1 * torch.rand(count, 1, 1)) + 0.01 * torch.randn_like(signal)
        turns = torch.arange(samples) / samples * (1 + 4 * torch.rand(count, 1, 1))
        wander = torch.sin(2 * torch.pi * (torch.rand(count, leads, 1) + turns))
        signal = signal + 0.05 * torch.randn(count, leads, 1) * wander
        return signal * (torch.rand(count, leads, 1) > 0.08)


def read_round(signal: torch.Tensor, start: torch.Tensor, pace: torch.Tensor) -> torch.Tensor:
    """`(batch, leads, samples)` read from sample `start` `(batch,)` on, round the end, `pace` `(batch,)` times as fast."""
    samples = signal.shape[2]
    position = (start[:, None] + torch.arange(samples) * pace[:, None]) % samples
    before = position.floor()
    share = (position - before)[:, None]
    index = before.long().clamp(max=samples - 1)[:, None].expand(-1, signal.shape[1], -1)
    return signal.gather(2, index) * (1 - share) + signal.gather(2, (index + 1) % samples) * share


def measured_at(measured: torch.Tensor, pace: torch.Tensor) -> torch.Tensor:
    """Standardised measurements `(batch, targets)` of ECGs that run `pace` `(batch,)` times as fast."""
    measured = measured.clone()
    for column, (name, (mean, sd)) in enumerate(RECORD_TARGETS.items()):
        value = (measured[:, column] * sd + mean) * pace ** PACE_POWERS[name]
        measured[:, column] = (value - mean) / sd
    return measured


class PageAugmentation:
    """Collates pages (normalised as the image processor does); in training re-lit."""

    def __init__(self, training: bool):
        self.training = training
        self.mean = torch.tensor(PAGE_MEAN).view(3, 1, 1)
        self.std = torch.tensor(PAGE_STD).view(3, 1, 1)

    def __call__(self, examples: list[dict[str, np.ndarray]]) -> dict[str, torch.Tensor]:
        """A batch of normalised pages `(records, 3, height, width)`; in training of varying brightness."""
        batch = default_collate(examples)
        pixels = batch["values"].permute(0, 3, 1, 2).float()
        if self.training:
            pixels = (pixels * (0.9 + 0.15 * torch.rand(len(pixels), 1, 1, 1))).clamp(0, 255)
        batch["values"] = (pixels / 255 - self.mean) / self.std
        return batch


def superclass_auc(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean AUC of the superclasses, the first columns of both."""
    count = len(SUPERCLASSES)
    return float(roc_auc_score(labels[:, :count], logits[:, :count], average="macro"))


def evaluate(
    logits: np.ndarray, measurements: np.ndarray, labels: np.ndarray, measured: np.ndarray
) -> dict[str, float]:
    """AUC of the superclasses and of the statements that occur; mean absolute errors in ms, bpm, degrees and mV."""
    count = len(SUPERCLASSES)
    occurring = [i for i in range(count, labels.shape[1]) if labels[:, i].sum() >= 5]
    scores = {f"auc_{name}": roc_auc_score(labels[:, i], logits[:, i]) for i, name in enumerate(SUPERCLASSES)}
    scores["auc_superclasses"] = superclass_auc(logits, labels)
    scores["auc_statements"] = float(np.mean([roc_auc_score(labels[:, i], logits[:, i]) for i in occurring]))
    error = np.abs(measurements - measured)
    for i, (name, (_, sd)) in enumerate(RECORD_TARGETS.items()):
        scores[f"mae_{name}"] = float(np.nanmean(error[:, i]) * sd)
    cosine, sine = len(RECORD_TARGETS), len(RECORD_TARGETS) + 1
    angles = [np.arctan2(values[:, sine], values[:, cosine]) for values in (measurements, measured)]
    difference = np.rad2deg(np.angle(np.exp(1j * (angles[0] - angles[1]))))
    scores["mae_qrs_axis"] = float(np.nanmean(np.abs(difference)))
    return scores


def build_tower(kind: str) -> PreTrainedModel:
    """The tiny towers of the embedded model: one token per 100 ms of signal, one per 28 x 28 pixels of page."""
    if kind == "ecg":
        return GemEcgModel(
            GemEcgConfig(hidden_size=192, intermediate_size=768, num_hidden_layers=6, num_attention_heads=3)
        )
    return CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=192,
            intermediate_size=768,
            num_hidden_layers=5,
            num_attention_heads=3,
            image_size=336,
            patch_size=28,
            projection_dim=192,
            hidden_act="gelu",
        )
    )


def main(
    data: Annotated[Path, typer.Option(help="PTB-XL: its folder as published, or Parquet files.")],
    tower: Annotated[Literal["ecg", "vision"], typer.Option(help="Signal or picture.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    epochs: Annotated[float, typer.Option()] = 30,
    batch_size: Annotated[int, typer.Option()] = 32,
    learning_rate: Annotated[float, typer.Option()] = 1e-3,
    simulated: Annotated[int, typer.Option(help="Simulated ECGs beside PTB-XL's.")] = 0,
    soft: Annotated[
        Path | None, typer.Option(help="Likelihoods that recipes/embedded/second_opinions.py wrote.")
    ] = None,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Teach a small signal or image tower to see: SCP statements and measurements of PTB-XL.

    \b
    python -m recipes.embedded.towers --data PTBXL --tower ecg --simulated 1200 --output outputs/ecg_tower
    python -m recipes.embedded.towers --data PTBXL --tower vision --output outputs/vision_tower
    """
    torch.manual_seed(seed)
    likelihoods = json.loads(soft.read_text())["likelihoods"] if soft else None
    items = chain(read_ptbxl(data, TRAIN_FOLDS), simulated_items(simulated, seed))
    train = Recordings(items, tower, likelihoods=likelihoods)
    validation = Recordings(read_ptbxl(data, (VALIDATION_FOLD,)), tower)
    shapes = {name: rows.shape[1:] for name, rows in train.columns.items()}
    model = TowerWithHeads(
        build_tower(tower),
        shapes["labels"][0],
        shapes["measured"][0],
        shapes.get("traces", ()),
        TOKEN_TARGETS if tower == "ecg" else {},
    )
    collate = SignalAugmentation if tower == "ecg" else PageAugmentation
    trainer = TowerTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(output / "trainer"),
            num_train_epochs=epochs,
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=64,
            learning_rate=learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=0.05,
            weight_decay=0.1,
            eval_strategy="epoch",
            save_strategy="no",
            logging_steps=20,
            report_to="none",
            bf16=torch.cuda.is_available(),
            use_cpu=not torch.cuda.is_available(),
            remove_unused_columns=False,
            label_names=["labels", "measured"],
            seed=seed,
        ),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=collate(training=True),
        compute_metrics=lambda p: evaluate(*p.predictions, *p.label_ids),
    )
    trainer.eval_collator = collate(training=False)
    trainer.train()
    model.tower.save_pretrained(output)
    scores = trainer.evaluate()
    history = {"scores": scores, "soft": soft is not None, "log": trainer.state.log_history}
    write_json(output / "pretraining.json", history, indent=2)
    print(json.dumps(scores, indent=2))


class TowerTrainer(Trainer):
    """Augments in training only."""

    data_collator: Any
    eval_collator: Any = None

    def get_eval_dataloader(self, eval_dataset: Dataset | str | None = None) -> DataLoader:
        """As in Transformers, without augmentation."""
        training_collator, self.data_collator = self.data_collator, self.eval_collator
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = training_collator


if __name__ == "__main__":
    run_command(main)
