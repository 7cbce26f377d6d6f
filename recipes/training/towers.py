# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Which towers are trained, and at which learning rate each."""

from collections.abc import Collection, Mapping

import torch
from transformers import TrainingArguments

from processing.errors_gem import TrainingError

# As settings call them -> the module of the model.
TOWERS = {"ecg": "ecg_tower", "vision": "vision_tower"}
CHOICES = {
    "none": (), "false": (), "ecg": ("ecg",), "vision": ("vision",), "both": ("ecg", "vision"), "true": ("ecg", "vision"),
}  # fmt: skip


def towers_to_train(setting: str | bool) -> tuple[str, ...]:
    """`none`, `ecg`, `vision` or `both` (`false` and `true` are the first and the last) -> names in `TOWERS`.

    Raises:
        TrainingError: something else.
    """
    chosen = CHOICES.get(str(setting).lower())
    if chosen is None:
        raise TrainingError(f"`train_towers` is none, ecg, vision or both; got {setting!r}.")
    return chosen


def freeze_towers(model: torch.nn.Module, trained: Collection[str] = ()) -> None:
    """Freezes the towers of a GEM; projectors and language model stay trainable. The paper trains no tower.

    Args:
        model: the GEM.
        trained: towers that are trained, by their names in `TOWERS` (`ecg`, `vision`).
    """
    for name, module in TOWERS.items():
        if name not in trained:
            getattr(model.model, module).requires_grad_(False)


def set_tower_rates(optimizer: torch.optim.Optimizer, model: torch.nn.Module, rates: Mapping[str, float]) -> None:
    """
    Moves the parameters of towers into groups with their own learning rates. Call it before the first step; schedules multiply
    the rate of every group by the same factor.

    Args:
        optimizer: the optimizer of `model`.
        model: the GEM, or a PEFT model of one.
        rates: tower, by its name in `TOWERS` -> learning rate.
    """
    for tower, rate in rates.items():
        own = {id(weight) for name, weight in model.named_parameters() if f".{TOWERS[tower]}." in name}
        for group in list(optimizer.param_groups):
            moved = [weight for weight in group["params"] if id(weight) in own]
            if moved:
                group["params"] = [weight for weight in group["params"] if id(weight) not in own]
                settings = {key: value for key, value in group.items() if key != "params"}
                optimizer.add_param_group({**settings, "params": moved, "lr": rate})
    optimizer.param_groups[:] = [group for group in optimizer.param_groups if group["params"]]


class TowerRates:
    """For a `Trainer`: towers learn at `tower_learning_rates`, where it names them, and all else at the setting."""

    tower_learning_rates: Mapping[str, float] = {}

    args: TrainingArguments
    is_deepspeed_enabled: bool
    optimizer: torch.optim.Optimizer | None
    model: torch.nn.Module

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """As in Transformers, with the towers' own learning rates."""
        is_new = self.optimizer is None
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)  # type: ignore[misc]
        if is_new:  # the weights that it has are those of `model`, where a sharded one is given
            set_tower_rates(optimizer, self.model if model is None else model, self.tower_learning_rates)
        return optimizer


__all__ = ["TOWERS", "TowerRates", "freeze_towers", "set_tower_rates", "towers_to_train"]
