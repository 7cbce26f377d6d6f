# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Marks of calm records that no reader has marked: the waves of the median beat, wherever that beat is repeated.

Coarse, but independent of the code under test: good for where waves are (within 150 ms), not for where they begin and end.
"""

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

from tests.helpers.delineation_scoring import MarkedEcg

RATE = 500
BEFORE = round(0.32 * RATE)
SHORTEST_AFTER, LONGEST_AFTER = round(0.42 * RATE), round(0.56 * RATE)
LONGEST_RR_CHANGE, LEAST_LIKENESS = 0.15, 0.97
SPIKE_MV = 0.8  # no heart's signal bends so sharply from sample to sample, but a pacemaker's spike
QUIET, EDGE = 0.06, 0.15  # shares of the QRS complex's steepest part, of a wave's peak
P_MV, T_MV = 0.03, 0.05


def mark_by_average(signal: np.ndarray, name: str) -> MarkedEcg | None:
    """Marks of `(12, samples)` mV at 500 Hz, onsets and offsets alike in all leads.

    `None` where beats are irregular or not alike, or where spikes show a pacemaker.
    """
    if np.abs(np.diff(signal, 2, axis=1)).max() > SPIKE_MV:
        return None
    calm = sosfiltfilt(butter(2, [0.5, 40], "bandpass", fs=RATE, output="sos"), signal)
    velocity = uniform_filter1d(np.linalg.norm(np.gradient(calm, axis=1), axis=0), 7)
    peaks, _ = find_peaks(velocity, distance=round(0.45 * RATE), height=0.4 * np.percentile(velocity, 99.5))
    rr = np.diff(peaks)
    if len(peaks) < 6 or rr.min() < BEFORE + SHORTEST_AFTER or rr.max() > (1 + LONGEST_RR_CHANGE) * rr.min():
        return None
    after = min(rr.min() - BEFORE, LONGEST_AFTER)
    peaks = peaks[(peaks >= BEFORE) & (peaks + after <= calm.shape[1])]
    beats = np.stack([calm[:, peak - BEFORE : peak + after] for peak in peaks])
    median = np.median(beats, axis=0)
    if min(np.corrcoef(median.ravel(), beat.ravel())[0, 1] for beat in beats) < LEAST_LIKENESS:
        return None
    waves = _waves(median)
    placed = {wave: rows[None] + (peaks - BEFORE)[:, None, None] for wave, rows in waves.items()}
    marks = []
    for lead in range(len(signal)):
        own = {wave: rows[:, lead][np.isfinite(rows[:, lead, 1])] for wave, rows in placed.items()}
        marks.append(own | {"span": np.array([peaks[0], peaks[-1]], dtype=float)})
    return MarkedEcg(name, signal, RATE, marks, "regular")


def _waves(median: np.ndarray) -> dict[str, np.ndarray]:
    """Wave -> `(12, 3)` samples in the median beat, NaN in leads that do not show it."""
    velocity = uniform_filter1d(np.linalg.norm(np.gradient(median, axis=1), axis=0), 7)
    around = velocity[BEFORE - 60 : BEFORE + 60]
    loud = np.flatnonzero(around > QUIET * around.max()) + BEFORE - 60
    groups = np.split(loud, np.flatnonzero(np.diff(loud) > 8) + 1)
    qrs = next(group for group in groups if group[0] <= BEFORE <= group[-1])
    onset, offset = int(qrs[0]), int(qrs[-1])
    level = median - median[:, onset - 4 : onset].mean(axis=1, keepdims=True)
    waves = {"QRS": _marks(level, onset, offset, 0.0)}
    waves["T"] = _wave(level, offset + round(0.06 * RATE), level.shape[1] - 5, T_MV)
    waves["P"] = _wave(level, max(onset - round(0.25 * RATE), 0), onset - 5, P_MV)
    return waves


def _wave(level: np.ndarray, first: int, last: int, least: float) -> np.ndarray:
    """The largest wave between two samples; it ends where the sum of all leads falls below a share of its peak."""
    part = level[:, first:last]
    line = np.linspace(part[:, 0], part[:, -1], part.shape[1], axis=1)
    size = np.linalg.norm(part - line, axis=0)
    peak = int(size.argmax())
    low = np.flatnonzero(size < EDGE * size[peak])
    before, after = low[low < peak], low[low > peak]
    start = first + (int(before[-1]) if len(before) else 0)
    stop = first + (int(after[0]) if len(after) else len(size) - 1)
    return _marks(level, start, stop, least)


def _marks(level: np.ndarray, start: int, stop: int, least: float) -> np.ndarray:
    part = level[:, start : stop + 1]
    size = np.abs(part - np.linspace(part[:, 0], part[:, -1], part.shape[1], axis=1))
    rows = np.column_stack([np.full(len(level), start), start + size.argmax(axis=1), np.full(len(level), stop)])
    return np.where(size.max(axis=1, keepdims=True) >= least, rows, np.nan)
