# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`GemSFTTrainer`: TRL's trainer with ECGs, exact resuming, frozen towers and float32 for trained weights."""

import copy
import functools
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import datasets
import torch
from torch import nn
from transformers import AutoModelForImageTextToText, PreTrainedModel, Trainer, TrainerCallback
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl import SFTTrainer, TrlParser
from trl.trainer.utils import FusedCausalLMOutput
from yaml import YAMLError

from processing.errors_gem import TrainingError

from .checkpoints import last_checkpoint
from .collator import DATA_COLUMNS, GemDataCollator
from .towers import TowerRates


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


def _as_stored(dataset: Any) -> Any:
    """Samplers look at lengths alone; after a transform each of them would decode a signal and draw a page."""
    return dataset.with_format(None) if isinstance(dataset, datasets.Dataset) else dataset


class EpochLengthGroups(LengthGroupedSampler):
    """The same order in the same epoch, even if training is resumed within it (the stock sampler uses the global generator)."""

    def __init__(self, batch_size: int, lengths: list[int], seed: int) -> None:
        super().__init__(batch_size, lengths=lengths)
        self.seed = seed
        self.epoch = 0

    def __iter__(self) -> Any:
        self.generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return super().__iter__()


class GemSFTTrainer(TowerRates, SFTTrainer):
    """
    `SFTTrainer` with these changes: it keeps the ECG column (the stock trainer drops it and trains without ECGs); it stops at a loss or
    gradient that is not a number before weights or checkpoints are affected (the stock trainer averages it away); it resumes exactly
    with `group_by_length` too; on CPUs it computes only the logits that it needs.
    """

    _signature_columns: list[str] | None
    data_collator: Any
    length_groups: EpochLengthGroups | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_callback(_TellEpoch(self))
        score_answers_only_on_cpu(self)

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
        """As in TRL; every evaluation sees the same modalities."""
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
        """As in TRL.

        Raises:
            TrainingError: the loss is not a number; the weights are as they were.
        """
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
            + (
                f"{last} is unchanged: continue from it with `resume_from_checkpoint`."
                if last
                else "No checkpoint yet."
            )
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


@contextmanager
def reference_by_auto_class(module: types.ModuleType) -> Iterator[None]:
    """While a trainer of TRL is made: its `module` looks for the class of the reference model in Transformers itself; GEM's is
    registered with its AutoClasses."""
    stock = module.create_model_from_path
    module.create_model_from_path = functools.partial(stock, architecture=AutoModelForImageTextToText)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.create_model_from_path = stock  # type: ignore[attr-defined]


def score_answers_only_on_cpu(trainer: Trainer, temperature: float = 1.0) -> None:
    """`score_answers_only` of a trainer's model, below its adapter, and of its reference model where it has one."""
    if trainer.args.device.type != "cpu":
        return
    for model in filter(None, (trainer.accelerator.unwrap_model(trainer.model), getattr(trainer, "ref_model", None))):
        score_answers_only(model.get_base_model() if hasattr(model, "get_base_model") else model, temperature)


def score_answers_only(model: PreTrainedModel, temperature: float = 1.0) -> None:
    """
    Makes TRL's fused head (`add_fused_lm_head`) compute logits for the tokens of answers only. TRL's own head does so with Triton
    only; without Triton it computes them for every position of ECG, picture and question too, twice.

    Args:
        model: with TRL's fused head.
        temperature: divisor of the logits, the same as the fused head's.
    """
    fused = model.forward

    @functools.wraps(type(model).forward)
    def forward(self: nn.Module, *args: Any, fused_lm_head: bool = False, labels: Any = None, **kwargs: Any) -> Any:
        if not fused_lm_head or labels is None:
            return fused(*args, fused_lm_head=fused_lm_head, labels=labels, **kwargs)
        mask = labels[:, 1:] != -100
        kwargs = {**kwargs, "use_cache": False, "logits_to_keep": nn.functional.pad(mask, (0, 1))}
        total = kwargs.pop("num_items_in_batch", None)
        logits = fused(*args, **kwargs).logits.float() / temperature
        log_probs, entropy, best = token_scores(logits, labels[:, 1:][mask])
        per_token = [spread(values, mask) for values in (log_probs, entropy, best, logits.detach().mean(dim=-1))]
        loss = -log_probs.sum() / (mask.sum().clamp(min=1) if total is None else total)
        return FusedCausalLMOutput(
            loss, *per_token[:2], is_top1=per_token[2], mean_logits=per_token[3], label_mask=mask
        )

    model.forward = types.MethodType(forward, model)


def token_scores(logits: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of `tokens` `(n,)` by `logits` `(n, vocabulary)`: log-probabilities, entropies (nats, without gradient), whether they are the likeliest."""
    scores = logits.log_softmax(dim=-1)
    known = scores.detach()
    log_probs = scores.gather(1, tokens[:, None])[:, 0]
    return log_probs, -(known.exp() * known).sum(dim=-1), known.argmax(dim=-1) == tokens


def spread(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """`values` where `mask` is true, row by row, and 0 elsewhere."""
    return values.new_zeros(mask.shape).masked_scatter(mask, values)


def keep_trained_in_float32(model: torch.nn.Module) -> None:
    """Keeps trained weights in float32, frozen ones as they are: at 2e-5 most updates of a bfloat16 weight would be rounded to zero."""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.is_floating_point():
            parameter.data = parameter.data.float()


__all__ = [
    "GemSFTTrainer",
    "keep_trained_in_float32",
    "parse_settings",
    "reference_by_auto_class",
    "score_answers_only",
    "score_answers_only_on_cpu",
    "spread",
    "token_scores",
]
