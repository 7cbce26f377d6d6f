# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Teaches a small signal or image tower to see: SCP statements and measurements of PTB-XL, by the Trainer.

python -m recipes.embedded.towers --records outputs/records --tower ecg --output outputs/ecg_tower
python -m recipes.embedded.towers --records outputs/records --tower vision --output outputs/vision_tower
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from safetensors.torch import load_model
from sklearn.metrics import roc_auc_score
from torch import nn
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.utils import SAFE_WEIGHTS_NAME

from modeling_gem import GemEcgModel
from recipes.console import run_command
from recipes.files import write_json
from recipes.models import computes_in_bfloat16, default_device
from recipes.sources.statements import SUPERCLASSES
from recipes.training.checkpoints import last_checkpoint

from .corpus import CHOICE_FOLD, LEARNT_FOLDS, MICROVOLTS, SIMULATED_FOLD, Corpus
from .junk import REASONS, junk_of
from .residual import ResidualTower
from .signal_shapes import Shape, build_signal_tower, fold_batch_norms
from .targets import RECORD_TARGETS, TOKEN_TARGETS
from .tower_data import (
    OWN_LAYOUT,
    OWN_LAYOUT_SHARE,
    PAGE_SIZE,
    PHOTOGRAPHED_SHARE,
    PageAugmentation,
    Pages,
    SignalAugmentation,
    Signals,
)

# Of the parts of the loss; 1 is a measurement of a single lead.
STATEMENT_WEIGHT, RECORD_WEIGHT, SUMMARY_WEIGHT = 4.0, 6.0, 0.3
TRACE_WEIGHT, TOKEN_WEIGHT, TEACHER_WEIGHT = 4.0, 0.5, 4.0
# A tenth as many pictures of something else as pages.
OTHERS_SHARE = 0.1


class TowerWithHeads(nn.Module):
    """
    A tower and two linear heads on the mean of its tokens: what the mean says, the tokens must hold. The heads also read the
    first token alone where that is a summary, with less weight because it learns more slowly: there a language model finds in
    one place what it would have to gather. Further heads make the tokens tell where they are and what they see: a signal's by
    the waves around them (`beat_targets`) and the voltages under them (`lead_extremes`), a picture's by the traces, each column
    of patches its own stretch of time. A picture of thin lines teaches a small tower nothing else to begin with. A picture's mean
    may also tell what a trained signal tower has in its own mean: more than the statements of a few thousand records say.
    """

    def __init__(
        self,
        tower: PreTrainedModel,
        num_statements: int,
        num_measurements: int,
        trace_shape: tuple[int, ...] = (),
        token_targets: Mapping[str, int] = MappingProxyType({}),
        has_summary: bool = True,
        teacher_width: int = 0,
    ):
        super().__init__()
        self.tower = tower
        self.has_summary = has_summary
        width = tower.config.hidden_size
        self.norm = nn.LayerNorm(width)
        self.statements = nn.Linear(width, num_statements)
        self.measurements = nn.Linear(width, num_measurements)
        self.per_token = nn.ModuleDict({name: nn.Linear(width, count) for name, count in token_targets.items()})
        self.teacher = nn.Linear(width, teacher_width) if teacher_width else None
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
        taught: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Predictions from the mean, with the loss of all heads where targets are given; unknown targets are NaN."""
        tokens = self.tower(values).last_hidden_state
        logits, measurements = self._read(tokens.mean(dim=1))
        outputs = {"logits": logits, "measurements": measurements}
        if labels is not None and measured is not None:
            loss = self._record_loss(logits, measurements, labels, measured)
            if self.has_summary:
                loss = loss + SUMMARY_WEIGHT * self._record_loss(*self._read(tokens[:, 0]), labels, measured)
            if traces is not None:
                loss = loss + TRACE_WEIGHT * known_error(self._read_traces(tokens), traces)
            if self.teacher is not None and taught is not None:
                loss = loss + TEACHER_WEIGHT * known_error(self.teacher(self.norm(tokens.mean(dim=1))), taught)
            targets = {"beats": beats, "extremes": extremes}
            for name, head in self.per_token.items():
                if (target := targets[name]) is not None:
                    loss = loss + TOKEN_WEIGHT * known_error(head(self.norm(tokens[:, 1:])), target)
            outputs["loss"] = loss
        return outputs

    def _read(self, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`(batch, width)` -> logits of the statements and measurements."""
        state = self.norm(state)
        return self.statements(state), self.measurements(state)

    @staticmethod
    def _record_loss(
        logits: torch.Tensor, measurements: torch.Tensor, labels: torch.Tensor, measured: torch.Tensor
    ) -> torch.Tensor:
        of_record = len(RECORD_TARGETS) + 2  # with both parts of the axis: few among many, and what is asked for
        return (
            STATEMENT_WEIGHT * nn.functional.binary_cross_entropy_with_logits(logits, labels)
            + RECORD_WEIGHT * known_error(measurements[:, :of_record], measured[:, :of_record])
            + known_error(measurements[:, of_record:], measured[:, of_record:])
        )

    def _read_traces(self, tokens: torch.Tensor) -> torch.Tensor:
        """(batch, columns, ...) from the patch tokens of each column of a square grid."""
        columns = self.trace_shape[0]
        grid = self.norm(tokens[:, 1:]).unflatten(1, (columns, columns)).transpose(1, 2)
        return self.traces(grid.flatten(2)).view(-1, *self.trace_shape)


def known_error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Smooth L1 error over the targets that are finite."""
    known = target.isfinite()
    return nn.functional.smooth_l1_loss(predicted[known], target[known])


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


@torch.no_grad()
def tower_means(folder: Path, corpus: Corpus, batch_size: int = 64) -> np.ndarray:
    """The mean state of every record in the signal tower of `folder`, each dimension standardised, `(records, width)`."""
    tower = GemEcgModel.from_pretrained(folder, dtype=torch.float32).eval()
    batches = range(0, len(corpus), batch_size)
    signals = (corpus.signals[first : first + batch_size].astype(np.float32) / MICROVOLTS for first in batches)
    means = torch.cat([tower(torch.from_numpy(some)).last_hidden_state.mean(dim=1) for some in signals])
    return ((means - means.mean(dim=0)) / means.std(dim=0)).numpy()


WIDTH = {"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 3}


def build_tower(kind: str, shape: Shape = "stem") -> PreTrainedModel | ResidualTower:
    """A small tower of the embedded model to train: of a signal (`shape`), or of a page, one token per 28 x 28 pixels."""
    if kind == "ecg":
        return build_signal_tower(shape, WIDTH)
    vision = CLIPVisionModel(
        CLIPVisionConfig(
            **WIDTH,
            num_hidden_layers=5,
            image_size=PAGE_SIZE,
            patch_size=28,
            projection_dim=192,
            hidden_act="gelu",
            attn_implementation="eager",  # on a CPU with bfloat16 a third faster than PyTorch's fused attention
        )
    )
    embeddings = vision.embeddings
    embeddings.patch_embedding = PatchLinear(embeddings.patch_embedding)
    return vision


class PatchLinear(nn.Conv2d):
    """
    A convolution over patches that do not overlap, computed as one matrix product: a training step takes 0.27 s instead of 0.33 on two
    cores with AMX, where the convolution's backward pass is slow.

    Args:
        convolution: whose weight it shares.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        size = convolution.kernel_size
        super().__init__(convolution.in_channels, convolution.out_channels, size, stride=size, bias=False)
        self.weight = convolution.weight

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`(batch, channels, height, width)` -> `(batch, out channels, rows of patches, columns of patches)`."""
        height, width = self.kernel_size
        patches = pixels.unflatten(3, (-1, width)).unflatten(2, (-1, height)).permute(0, 2, 4, 1, 3, 5)
        return nn.functional.linear(patches.flatten(3), self.weight.flatten(1)).permute(0, 3, 1, 2)


def _collator(tower: str, config: Any, training: bool) -> SignalAugmentation | PageAugmentation:
    return SignalAugmentation(training, config.num_patches) if tower == "ecg" else PageAugmentation(training)


def other_picture(corpus: Corpus, number: int) -> np.ndarray:
    """A picture that is no ECG, uint8 `(PAGE_SIZE, PAGE_SIZE, 3)`: one of `recipes.embedded.junk`, of any kind."""
    kind = list(REASONS)[number % len(REASONS)]
    return next(junk_of(corpus, 1, number, (kind,))).picture


def load_start(model: TowerWithHeads, folder: Path) -> None:
    """The weights of an earlier run in `folder`; of a tower alone, its weights behind fresh heads.

    Raises:
        typer.BadParameter: neither is there.
    """
    if (before := last_checkpoint(folder / "trainer")) is not None:
        load_model(model, Path(before) / SAFE_WEIGHTS_NAME, strict=False)  # a teacher's head may be new
    elif (folder / SAFE_WEIGHTS_NAME).is_file():
        load_model(model.tower, folder / SAFE_WEIGHTS_NAME)
    else:
        raise typer.BadParameter(
            f"--start {folder}: neither a complete checkpoint in `trainer` nor {SAFE_WEIGHTS_NAME}."
        )


class StopAfter(TrainerCallback):
    """Ends the training after some of its epochs, with a checkpoint of the last."""

    def __init__(self, epochs: float) -> None:
        self.epochs = epochs

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Called by the trainer."""
        control.should_training_stop |= (state.epoch or 0) >= self.epochs


def main(
    records: Annotated[list[Path], typer.Option(help="What `recipes.embedded.corpus` wrote; repeatable.")],
    tower: Annotated[Literal["ecg", "vision"], typer.Option(help="Signal or picture.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    epochs: Annotated[float, typer.Option()] = 30,
    stop_after: Annotated[
        float | None, typer.Option(help="Epochs after which to stop; another run does the rest, with --resume-from.")
    ] = None,
    resume_from: Annotated[
        Path | None, typer.Option(help="Folder of a run that was stopped: optimizer and schedule go on, too.")
    ] = None,
    shape: Annotated[Shape, typer.Option(help="Of the signal tower.")] = "stem",
    layout: Annotated[str | None, typer.Option(help="Of all pages to learn from. Default: any.")] = None,
    photographed: Annotated[float, typer.Option(help="Share of pages as if photographed.")] = PHOTOGRAPHED_SHARE,
    own_share: Annotated[float, typer.Option(help="Share of pages in the processor's layout.")] = OWN_LAYOUT_SHARE,
    start: Annotated[
        Path | None, typer.Option(help="Folder of a run of this program, or a tower, to go on from.")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Trained signal tower: a picture's tower learns to see what it sees.")
    ] = None,
    more: Annotated[bool, typer.Option(help="Also learn from records that were kept at 100 Hz.")] = True,
    simulated: Annotated[int, typer.Option(help="How many simulated ECGs to learn from, too.")] = 1200,
    uses: Annotated[int, typer.Option(help="In how many epochs a page is shown before it is drawn anew.")] = 1,
    batch_size: Annotated[int, typer.Option()] = 32,
    learning_rate: Annotated[float, typer.Option()] = 1e-3,
    threads: Annotated[int | None, typer.Option(help="Of the processor. Default: all.")] = None,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Teach a small signal or image tower to see: SCP statements and measurements of PTB-XL.

    \b
    python -m recipes.embedded.towers --records outputs/records --tower ecg --output outputs/ecg_tower
    python -m recipes.embedded.towers --records outputs/records --tower vision --output outputs/vision_tower
    """
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    corpus = Corpus.load(*records)
    wanted = {row["id"] for row in [row for row in corpus.rows if row["fold"] == SIMULATED_FOLD][:simulated]}
    learnt = corpus.where(
        lambda row: row["id"] in wanted or (row["fold"] in LEARNT_FOLDS and (more or row["rate"] > 100))
    )
    chosen = corpus.where(lambda row: row["fold"] == CHOICE_FOLD)
    network = build_tower(tower, shape)
    train: Signals | Pages
    evaluation: dict[str, Signals | Pages]
    augment, show = (_collator(tower, network.config, training) for training in (True, False))
    if tower == "ecg":
        train, evaluation = Signals(learnt), {"fold 8": Signals(chosen)}
    else:
        train = Pages(
            learnt,
            layout,
            photographed,
            own_share,
            others=int(len(learnt) * OTHERS_SHARE),
            other=partial(other_picture, learnt),
            uses=uses,
            folder=output / "pages" if uses > 1 else None,
            seed=seed,
        )
        if teacher:
            train.columns["taught"] = tower_means(teacher, learnt)
        evaluation = {
            "fold 8": Pages(chosen, OWN_LAYOUT, 0.0),
            "photographed 3x4+1": Pages(chosen, "3x4+1", 1.0),
        }
    example = train[0]
    model = TowerWithHeads(
        network,
        len(example["labels"]),
        len(example["measured"]),
        example["traces"].shape if tower == "vision" else (),
        TOKEN_TARGETS if tower == "ecg" and shape != "residual" else {},
        has_summary=shape != "residual" or tower == "vision",
        teacher_width=len(example.get("taught", ())),
    )
    if start:
        load_start(model, start)
    trainer = Trainer(
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
            save_strategy="epoch",
            save_total_limit=1,
            logging_steps=20,
            report_to="none",
            bf16=computes_in_bfloat16(default_device()),
            use_cpu=not torch.cuda.is_available(),
            remove_unused_columns=False,
            label_names=["labels", "measured"],
            dataloader_num_workers=2 * int(tower == "vision"),  # draw the next pages meanwhile
            seed=seed,
        ),
        train_dataset=train,
        data_collator=augment,
        compute_metrics=lambda p: evaluate(*p.predictions, *p.label_ids),
        callbacks=[StopAfter(stop_after)] if stop_after is not None else None,
    )
    begun = last_checkpoint(output / "trainer")
    if begun is None and resume_from is not None and (begun := last_checkpoint(resume_from / "trainer")) is None:
        raise typer.BadParameter(f"--resume-from {resume_from}: no complete checkpoint in `trainer`.")
    trainer.train(resume_from_checkpoint=begun)
    trainer.data_collator = show
    if isinstance(train, Pages) and train.kept is not None:
        train.kept.delete()
    scores = {name: trainer.evaluate(dataset, metric_key_prefix="") for name, dataset in evaluation.items()}
    if isinstance(network, GemEcgModel):
        network = fold_batch_norms(network)
    if isinstance(network, PreTrainedModel):
        network.save_pretrained(output)
    write_json(output / "pretraining.json", {"scores": scores, "log": trainer.state.log_history}, indent=2)
    print(json.dumps(scores, indent=2))


if __name__ == "__main__":
    run_command(main)
