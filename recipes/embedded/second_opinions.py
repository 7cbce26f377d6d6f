# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How likely every statement of a PTB-XL training record is, said by networks that never saw the record.

python -m recipes.embedded.second_opinions --data PTBXL --output outputs/soft_statements.json

A tower that learns labels alone knows its training records by heart before it knows hearts. Taught the mean of a label and
what a network of another kind thinks of the record, trained on other patients, it goes on learning (distillation: Hinton
et al. 2015, arXiv:1503.02531; PTB-XL's folds keep patients apart).
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import torch
import typer
from scipy.special import expit
from sklearn.metrics import balanced_accuracy_score, f1_score
from torch import nn
from torch.utils.data import Subset
from transformers import Trainer, TrainingArguments
from transformers.modeling_outputs import BaseModelOutput

from recipes.console import run_command
from recipes.files import write_json
from recipes.sources.ptbxl import TRAIN_FOLDS, VALIDATION_FOLD, PtbxlItem, read_ptbxl
from recipes.sources.statements import SUPERCLASSES, superclass_of

from .towers import STATEMENT_NAMES, Recordings, SignalAugmentation, TowerWithHeads, superclass_auc

COLUMNS = (*SUPERCLASSES, *STATEMENT_NAMES)
LIMITS = np.arange(0.05, 0.8, 0.01)
# Statements of a superclass are read beside its likeliest one from this share of its likelihood on.
SHARE_OF_LIKELIEST = 0.5


def best_limits(likelihoods: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """
    From which likelihood on a superclass is stated: where the mean of F1 and balanced accuracy is largest.

    Args:
        likelihoods: `(records, superclasses)`, of networks that did not see these records.
        truth: `(records, superclasses)`, 0 or 1.
    """

    def worth(limit: float, column: int) -> float:
        stated = likelihoods[:, column] >= limit
        labels = truth[:, column] > 0
        return f1_score(labels, stated, zero_division=0) + balanced_accuracy_score(labels, stated)

    best = (max(LIMITS, key=lambda limit: worth(limit, column)) for column in range(len(SUPERCLASSES)))
    return {name: round(float(limit), 2) for name, limit in zip(SUPERCLASSES, best, strict=True)}


@dataclasses.dataclass(frozen=True)
class SecondReader:
    """`likelihoods`: record id -> one per name in `COLUMNS`; `limits`: of `best_limits`."""

    likelihoods: Mapping[str, list[float]]
    limits: Mapping[str, float]

    @classmethod
    def load(cls, path: str | Path) -> "SecondReader":
        """Reads what `recipes/embedded/second_opinions.py` wrote."""
        content = json.loads(Path(path).read_text())
        return cls(content["likelihoods"], content["limits"])

    def __call__(self, item: PtbxlItem) -> PtbxlItem | None:
        """
        The item with the networks' diagnostic statements in the place of its own; rhythm and extra beats stay. None where they
        have not read the record (of one recorded again, they know the original).
        """
        row = self.likelihoods.get(str(item.record.record_id).partition("#")[0])
        if row is None:
            return None
        likely = dict(zip(COLUMNS, row, strict=True))
        kept = {code: likelihood for code, likelihood in item.codes.items() if superclass_of(code) is None}
        return dataclasses.replace(item, codes=self._stated(likely) | kept)

    def _stated(self, likely: Mapping[str, float]) -> dict[str, float]:
        stated: dict[str, float] = {}
        for name in SUPERCLASSES:
            if likely[name] >= self.limits[name]:
                members = [code for code in STATEMENT_NAMES if superclass_of(code) == name]
                enough = SHARE_OF_LIKELIEST * max(likely[code] for code in members)
                stated |= {code: 100.0 for code in members if likely[code] >= enough}
        return stated


# Networks, each of which leaves out its share of the training folds.
GROUPS = 4
WIDTHS = (32, 64, 96, 160)


class ResidualBlock(nn.Module):
    """Halves the time; `inputs` -> `outputs` channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 7):
        super().__init__()
        padding = kernel // 2
        self.body = nn.Sequential(
            nn.Conv1d(inputs, outputs, kernel, stride=2, padding=padding, bias=False),
            nn.BatchNorm1d(outputs),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv1d(outputs, outputs, kernel, padding=padding, bias=False),
            nn.BatchNorm1d(outputs),
        )
        self.shortcut = nn.Conv1d(inputs, outputs, 1, stride=2, bias=False)

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu(self.body(signal) + self.shortcut(signal))


class ResidualTower(nn.Module):
    """A 1-D residual network at 100 Hz in the place of a tower: `(batch, 12, 5000)` mV -> tokens `(batch, 63, 160)`."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=WIDTHS[-1])
        self.stem = nn.Sequential(
            nn.Conv1d(12, WIDTHS[0], 9, padding=4, bias=False), nn.BatchNorm1d(WIDTHS[0]), nn.ReLU()
        )
        pairs = zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False)
        self.blocks = nn.Sequential(*(ResidualBlock(before, after) for before, after in pairs))

    def forward(self, signal: torch.Tensor) -> BaseModelOutput:
        features = self.blocks(self.stem(nn.functional.avg_pool1d(signal, 5)))
        return BaseModelOutput(last_hidden_state=features.transpose(1, 2))


def out_of_fold(
    train: Recordings, folds: np.ndarray, validation: Recordings, epochs: float, output: Path, seed: int = 0
) -> dict:
    """Logits of all of `train`, each by the network that did not see it, and those of `validation`, the mean of all."""
    shapes = {name: rows.shape[1:] for name, rows in train.columns.items()}
    logits, unseen = np.zeros_like(train.columns["labels"]), 0.0
    for group in range(GROUPS):
        left_out = folds % GROUPS == group
        torch.manual_seed(seed + group)
        trainer = Trainer(
            model=TowerWithHeads(ResidualTower(), shapes["labels"][0], shapes["measured"][0], has_summary=False),
            args=TrainingArguments(
                output_dir=str(output.parent / "soft_statements"),
                num_train_epochs=epochs,
                per_device_train_batch_size=32,
                per_device_eval_batch_size=64,
                learning_rate=3e-3,
                lr_scheduler_type="cosine",
                warmup_steps=0.1,
                weight_decay=0.05,
                save_strategy="no",
                logging_steps=100,
                report_to="none",
                use_cpu=not torch.cuda.is_available(),
                remove_unused_columns=False,
                label_names=["labels", "measured"],
                seed=seed + group,
            ),
            train_dataset=Subset(train, np.flatnonzero(~left_out).tolist()),
            data_collator=SignalAugmentation(training=True),
        )
        trainer.train()
        trainer.data_collator = SignalAugmentation(training=False)
        logits[left_out] = trainer.predict(Subset(train, np.flatnonzero(left_out).tolist())).predictions[0]
        unseen = unseen + trainer.predict(validation).predictions[0] / GROUPS
    return {"train": logits, "validation": unseen}


def main(
    data: Annotated[Path, typer.Option(help="PTB-XL: its folder as published, or Parquet files.")],
    output: Annotated[Path, typer.Option(help="JSON: record id -> likelihoods, what they are worth, and limits.")],
    epochs: Annotated[float, typer.Option()] = 25,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Say how likely every statement of a PTB-XL training record is, by networks that never saw the record.

    Example: python -m recipes.embedded.second_opinions --data PTBXL --output outputs/soft_statements.json
    """
    items = list(read_ptbxl(data, TRAIN_FOLDS))
    train = Recordings(items, "ecg")
    validation = Recordings(read_ptbxl(data, (VALIDATION_FOLD,)), "ecg")
    folds = np.array([item.fold for item in items])
    logits = out_of_fold(train, folds, validation, epochs, output, seed)
    likelihoods, truth = expit(logits["train"]), train.columns["labels"]
    scores = {
        "superclass AUC, training records by the network that left them out": superclass_auc(logits["train"], truth),
        "superclass AUC, validation fold by all": superclass_auc(logits["validation"], validation.columns["labels"]),
    }
    by_record = {item.record.record_id: row.round(4).tolist() for item, row in zip(items, likelihoods, strict=True)}
    limits = best_limits(likelihoods[:, : len(SUPERCLASSES)], truth[:, : len(SUPERCLASSES)])
    write_json(output, {"scores": scores, "limits": limits, "likelihoods": by_record})
    print(json.dumps(scores, indent=2))


__all__ = ["COLUMNS", "SecondReader", "best_limits"]

if __name__ == "__main__":
    run_command(main)
