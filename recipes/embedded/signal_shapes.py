# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The shapes that the embedded model's signal tower may have, and the batch norms that its stem has while it is trained."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from modeling_gem import GemEcgConfig, GemEcgModel

from .residual import ResidualTower

Shape = Literal["stem", "patches", "residual"]
# `stem` is the embedded model's: one token per 200 ms; `patches`: one per 100 ms.
SHAPES: dict[str, dict[str, Any]] = {
    "stem": {
        "num_hidden_layers": 2,
        "patch_size": 100,
        "stem_channels": [64, 64, 96, 128],
        "stem_strides": [5, 2, 2, 5],
    },
    "patches": {"num_hidden_layers": 6, "patch_size": 50},
}


class NormedConvolution(nn.Sequential):
    """A convolution with a batch norm behind it."""

    def __init__(self, convolution: nn.Conv1d):
        convolution.reset_parameters()
        super().__init__(convolution, nn.BatchNorm1d(convolution.out_channels))

    def folded(self) -> nn.Conv1d:
        """The one convolution that computes the same in evaluation."""
        return fuse_conv_bn_eval(self[0], self[1])


def build_signal_tower(shape: Shape, width: Mapping[str, int]) -> GemEcgModel | ResidualTower:
    """A new signal tower to train, its transformer of `width`; `residual` is the plain network that it has to beat."""
    if shape == "residual":
        return ResidualTower()
    tower = GemEcgModel(GemEcgConfig(**width, **SHAPES[shape]))
    # Convolutions without a bias are the shortcuts, along which voltages pass unscaled.
    _replace(
        tower.embeddings.stem, lambda part: isinstance(part, nn.Conv1d) and part.bias is not None, NormedConvolution
    )
    return tower


def fold_batch_norms(tower: GemEcgModel) -> GemEcgModel:
    """`tower` after training, in evaluation mode, with its batch norms folded into the convolutions: what GEM loads."""
    tower.eval()
    _replace(tower.embeddings.stem, lambda part: isinstance(part, NormedConvolution), NormedConvolution.folded)
    return tower


def _replace(module: nn.Module, chosen: Callable[[nn.Module], bool], make: Callable[[Any], nn.Module]) -> None:
    for name, child in module.named_children():
        if chosen(child):
            setattr(module, name, make(child))
        else:
            _replace(child, chosen, make)
