# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A signal in mV as int16 counts with a gain per lead: exact wherever the recorder's own counts can be found again."""

from collections.abc import Sequence
from typing import Any

import numpy as np

# Never a count: WFDB's format 16 marks invalid samples so, too.
GAP = -32768
MAX_COUNT = 32767
# Counts per mV that recorders and published data sets use, most frequent first.
COMMON_GAINS = (1000.0, 200.0, 204.8, 205.0, 250.0, 400.0, 409.6, 500.0, 800.0, 1024.0, 2000.0, 4000.0)
# Where no step of the recorder can be found: 0.125 microvolts, a fortieth of common recorders' 5 microvolts. Finer
# counts would store noise: each doubling costs a bit per sample.
FINEST_GAIN = 8000.0
# A count recovered from float32 mV is off by at most 2**-24 of itself, 0.002 at full scale.
COUNT_TOLERANCE = 4e-3


def to_counts(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """
    Args:
        signal: mV, `(leads, samples)`; NaN where nothing was recorded.

    Returns:
        int16 counts with `GAP` for NaN, float32 counts per mV of each lead, and whether `counts / gains` is the signal
        to float32 precision. Where no common gain and no own step of the recorder fits, the step is 1 / `FINEST_GAIN`,
        or as fine as the lead's peak allows.
    """
    finite = np.isfinite(signal)
    values = np.where(finite, signal, 0).astype(np.float64)
    gain = next((gain for gain in COMMON_GAINS if _fits(values, gain)), None)
    gains = [gain or _own_gain(row) for row in values]
    exact = all(_fits(row, gain) for row, gain in zip(values, gains, strict=True))
    stored = np.array(gains, dtype=np.float32)
    counts = np.rint(values * stored[:, None].astype(np.float64))
    # Rounding the gain to float32 may lift the highest count by one.
    counts = np.clip(counts, -MAX_COUNT, MAX_COUNT).astype(np.int16)
    counts[~finite] = GAP
    return counts, stored, exact


def to_millivolts(counts: Any, gains: Sequence[float] | np.ndarray) -> np.ndarray:
    """`counts` (leads, samples) as float32 mV; `GAP` becomes NaN."""
    whole = np.asarray(counts, dtype=np.int16)
    signal = whole / np.asarray(gains, dtype=np.float32)[:, None]
    signal[whole == GAP] = np.nan
    return signal


def _fits(values: np.ndarray, gain: float) -> bool:
    scaled = values * gain
    return bool(np.abs(scaled).max() <= MAX_COUNT and np.abs(scaled - np.rint(scaled)).max() <= COUNT_TOLERANCE)


def _own_gain(row: np.ndarray) -> float:
    """The recorder's counts per mV, from the smallest step in the lead; otherwise the finest that fits."""
    steps = np.diff(np.unique(row))
    steps = steps[steps > 1e-5]  # float32 noise of values up to 100 mV
    if len(steps):
        span = row.max() - row.min()
        # The mean over all single steps: float32's noise on one of them would miscount a span of thousands.
        step = steps[steps < 1.5 * steps.min()].mean()
        gain = float(round(span / step) / span)
        if _fits(row, gain):
            return gain
    peak = float(np.abs(row).max())
    return min(MAX_COUNT / peak, FINEST_GAIN) if peak else COMMON_GAINS[0]


__all__ = ["GAP", "to_counts", "to_millivolts"]
