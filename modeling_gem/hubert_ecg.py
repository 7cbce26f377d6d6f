# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
HuBERT-ECG (Coppola et al. 2024, doi:10.1101/2024.11.14.24317328) as the signal tower of a GEM, and the pattern for other open
encoders: its own preprocessing is part of the tower, so that a GEM's processor and data sets stay as they are.

The authors' weights are under CC BY-NC 4.0 (no commercial use); none of them come with gem-ecg.
"""

import re
from functools import cache

import numpy as np
import torch
from huggingface_hub.dataclasses import strict
from torch.nn import functional
from transformers import HubertConfig, HubertModel
from transformers.modeling_outputs import BaseModelOutput
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs

from processing.errors_gem import CheckpointError

PUBLISHED_TYPE = "hubert_ecg"
LICENCE = "CC BY-NC 4.0: no commercial use"
# The authors' preprocessing (code/utils.py and dataset.py of Edoar-do/HuBERT-ECG): filter at 500 Hz, each lead to -1 .. 1, the
# first 5 s, all leads one after the other, every fifth sample.
RATE_HZ, BAND_HZ, TAPS = 500, (0.05, 47.0), 151
SECONDS, DECIMATION = 5, 5
SCALE_SMOOTHING = 1e-8
# Half of the length beyond which the impulse response of the decimation filter is below 1e-7.
DECIMATION_REACH = 300
# Heads of the pretraining, of no use after it.
PRETRAINING_HEADS = re.compile(r"^(final_proj|label_embedding)\.\d+\.")
# Names under which old and new versions of PyTorch keep a weight-normalised convolution.
WEIGHT_NORM = ((r"\.conv\.weight_g$", ".conv.parametrizations.weight.original0"),
               (r"\.conv\.weight_v$", ".conv.parametrizations.weight.original1"))  # fmt: skip


@strict
class HubertEcgConfig(HubertConfig):
    r"""
    Configuration of HuBERT-ECG, by default its `base` size (`small`: 512 wide, 8 blocks of 8 heads, 2048; `large`: 960 wide, 16
    blocks of 12 heads, 3840). In training no tokens are masked and no blocks are left out, other than in its pretraining.

    Args:
        num_leads (`int`, *optional*, defaults to 12): Leads in the standard order, as a GEM's processor gives them.
        seq_length (`int`, *optional*, defaults to 5000): Samples per lead at 500 Hz; the tower sees the first 5 s.
    """

    model_type = "gem_hubert_ecg"

    num_leads: int = 12
    seq_length: int = 5000
    conv_dim: list[int] | tuple[int, ...] = (512, 512, 512, 512, 512)
    conv_stride: list[int] | tuple[int, ...] = (4, 2, 2, 2, 2)
    conv_kernel: list[int] | tuple[int, ...] = (10, 3, 3, 2, 2)
    mask_time_prob: float | int = 0.33
    mask_time_length: int = 1
    apply_spec_augment: bool = False
    layerdrop: float | int = 0.0

    @property
    def num_tokens(self) -> int:
        """93 as published: the samples of all leads, one after the other, through five convolutions."""
        length = self.num_leads * SECONDS * RATE_HZ // DECIMATION
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            length = (length - kernel) // stride + 1
        return length

    def validate_architecture(self):
        """Checks that the input holds what the encoder uses.

        Raises:
            ValueError: `seq_length` is shorter than `SECONDS` at `RATE_HZ`.
        """
        super().validate_architecture()
        if self.seq_length < SECONDS * RATE_HZ:
            raise ValueError(
                f"`seq_length` ({self.seq_length}) must cover the {SECONDS} s at {RATE_HZ} Hz that are used."
            )


class HubertEcgModel(HubertModel):
    """`HubertModel` that takes ECGs in mV; see the module's docstring. `last_hidden_state` are the tokens a GEM reads."""

    config: HubertEcgConfig
    main_input_name = "ecg_values"

    def forward(self, ecg_values: torch.Tensor, **kwargs: Unpack[TransformersKwargs]) -> BaseModelOutput:
        r"""
        ecg_values (`torch.Tensor` of shape `(num_ecgs, num_leads, seq_length)`):
            Signals in mV, leads in the standard order, 500 Hz.
        """
        expected = (self.config.num_leads, self.config.seq_length)
        if ecg_values.dim() != 3 or tuple(ecg_values.shape[1:]) != expected:
            raise ValueError(
                f"`ecg_values` must have shape (num_ecgs, {expected[0]} leads, {expected[1]} samples), got "
                f"{tuple(ecg_values.shape)}."
            )
        return super().forward(as_hubert_input(ecg_values.float()).to(self.dtype), **kwargs)


def as_hubert_input(ecg_values: torch.Tensor) -> torch.Tensor:
    """mV `(num_ecgs, leads, samples)`, 500 Hz -> what HuBERT-ECG was trained on, `(num_ecgs, leads * 500)`: 5 s at 100 Hz, -1 .. 1."""
    filtered = _zero_phase(ecg_values, _band_pass())
    low, high = filtered.amin(dim=2, keepdim=True), filtered.amax(dim=2, keepdim=True)
    scaled = 2 * (filtered - low) / (high - low + SCALE_SMOOTHING) - 1
    in_a_row = scaled[:, :, : SECONDS * RATE_HZ].flatten(1)[:, None]
    return _zero_phase(in_a_row, _decimation(), DECIMATION)[:, 0]


def _zero_phase(signal: torch.Tensor, response: np.ndarray, stride: int = 1) -> torch.Tensor:
    """`signal` `(batch, rows, samples)` with a symmetric impulse response; the ends are extended by point reflection at their last sample."""
    reach = len(response) // 2
    first, last = signal[..., :1], signal[..., -1:]
    before, after = signal[..., 1 : reach + 1].flip(-1), signal[..., -reach - 1 : -1].flip(-1)
    extended = torch.cat([2 * first - before, signal, 2 * last - after], dim=-1)
    kernel = torch.as_tensor(response, dtype=signal.dtype, device=signal.device)[None, None]
    rows = functional.conv1d(extended.flatten(0, 1)[:, None], kernel, stride=stride)
    return rows.view(*signal.shape[:2], -1)


@cache
def _band_pass() -> np.ndarray:
    """Forwards and backwards through the window-design FIR of `TAPS` taps, as biosppy's `filter_signal` does."""
    from scipy.signal import firwin

    taps = firwin(TAPS, BAND_HZ, pass_zero=False, fs=RATE_HZ)
    return np.convolve(taps, taps[::-1])


@cache
def _decimation() -> np.ndarray:
    """Forwards and backwards through the Chebyshev filter of `scipy.signal.decimate`."""
    from scipy.signal import cheby1, sosfiltfilt

    impulse = np.zeros(4 * DECIMATION_REACH + 1)
    impulse[2 * DECIMATION_REACH] = 1
    response = sosfiltfilt(cheby1(8, 0.05, 0.8 / DECIMATION, output="sos"), impulse)
    return response[DECIMATION_REACH:-DECIMATION_REACH].copy()


def convert_config(published: dict[str, object]) -> HubertEcgConfig:
    """The configuration of a published HuBERT-ECG as ours."""
    kept = set(HubertEcgConfig().to_dict()) - {"model_type", "architectures", "apply_spec_augment", "layerdrop"}
    return HubertEcgConfig(**{key: value for key, value in published.items() if key in kept})


def convert_weights(weights: dict[str, torch.Tensor], where: str) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Weights of a published HuBERT-ECG under our names, and the keys of its pretraining heads, which are left out.

    Raises:
        CheckpointError: it has no HuBERT encoder.
    """
    kept, heads = {}, []
    for key, tensor in weights.items():
        if PRETRAINING_HEADS.match(key):
            heads.append(key)
            continue
        for pattern, name in WEIGHT_NORM:
            key = re.sub(pattern, name, key)
        kept[key] = tensor
    if not any(key.startswith("encoder.layers.") for key in kept):
        raise CheckpointError(f"{where}: there is no HuBERT encoder in it (no `encoder.layers.*`).")
    return kept, heads


__all__ = ["HubertEcgConfig", "HubertEcgModel", "as_hubert_input"]
