# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The yardstick: a plain one-dimensional residual network of 0.9 M parameters, of which a signal tower has to be worth more."""

from itertools import pairwise
from types import SimpleNamespace

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

WIDTHS = (48, 48, 64, 96, 128, 160)


class ResidualBlock(nn.Module):
    """Halves the time; `inputs` -> `outputs` channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 9):
        super().__init__()
        padding = kernel // 2
        self.body = nn.Sequential(
            nn.Conv1d(inputs, outputs, kernel, stride=2, padding=padding, bias=False),
            nn.BatchNorm1d(outputs),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Conv1d(outputs, outputs, kernel, padding=padding, bias=False),
            nn.BatchNorm1d(outputs),
        )
        self.shortcut = nn.Conv1d(inputs, outputs, 1, stride=2, bias=False)

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        """`(batch, inputs, samples)` -> `(batch, outputs, samples / 2)`."""
        return nn.functional.relu(self.body(signal) + self.shortcut(signal))


class ResidualTower(nn.Module):
    """Stands where a signal tower stands in training: `(batch, 12, 5000)` mV at 500 Hz -> tokens `(batch, 32, 160)`, seen at 100 Hz."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=WIDTHS[-1], num_patches=50)
        self.stem = nn.Sequential(
            nn.Conv1d(12, WIDTHS[0], 9, padding=4, bias=False), nn.BatchNorm1d(WIDTHS[0]), nn.ReLU()
        )
        pairs = pairwise(WIDTHS)
        self.blocks = nn.Sequential(*(ResidualBlock(before, after) for before, after in pairs))

    def forward(self, signal: torch.Tensor) -> BaseModelOutput:
        """Tokens of signals, as a signal tower gives them."""
        features = self.blocks(self.stem(nn.functional.avg_pool1d(signal, 5)))
        return BaseModelOutput(last_hidden_state=features.transpose(1, 2))
