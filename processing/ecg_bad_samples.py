# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Repair of artefacts: gaps, holes, saturation and flat stretches are bridged, steps of the level are removed.

Otherwise the filters would smear each of them over more than a second.
"""

import math

import numpy as np

from .ecg_limits import MAX_PLAUSIBLE_MV
from .ecg_order_statistics import differences, median, percentile, true_in_rows
from .ecg_record import interpolate_gaps

MAX_ABS_MV = 1e3  # beyond this a value cannot be kept in float32 arithmetic; no amplifier records a volt
HOLE_SHARE = 20.0  # a hole lies this many times farther from the median than three quarters of the samples
# Equal samples for that long: nothing is connected, unless such a share of the rest is made of shorter stretches, as in a drawing without
# noise, where they are the heart's pauses. Of PTB-XL all 250 records of fold 8 begin or end with 0.1 s of them, and one lead in five has more.
DEAD_S, DRAWN_S, DRAWN_SHARE = 1.0, 0.10, 0.25
# A plateau at a lead's own extreme, so far from its median: the amplifier was at its end.
RAIL_S, RAIL_FROM_MV = 0.10, 0.5
STEP_MV = 0.3
STEP_S = 0.006  # the length of a step through a recorder's low-pass
STEP_ALONE_S, STEP_ABRUPT = 0.020, 5.0  # around a step nothing is nearly as steep ...
STEP_LEVEL_S, STEP_STAYS = 0.100, 0.4  # ... and the level stays changed, to within this share


def repair(signal: np.ndarray, sampling_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """`signal` without artefacts, and a mask of the repaired samples.

    Args:
        signal: `(leads, samples)` in mV; non-finite samples are gaps.
        sampling_rate: Hz.

    Returns:
        float32 `(leads, samples)` with the median of every lead at 0, and a mask of the bridged samples.
    """
    bad = np.zeros(signal.shape, dtype=bool)
    if not max(signal.max(), -signal.min()) < MAX_ABS_MV:  # NaN is not
        bad = ~(np.abs(signal) < MAX_ABS_MV)
        signal = interpolate_gaps(np.where(bad, np.nan, signal))
    signal = np.asarray(signal, dtype=np.float32)
    signal = signal - median(signal[:, ::3], axis=1)[:, None]
    highest, lowest = signal.max(axis=1), signal.min(axis=1)
    if max(highest.max(), -lowest.min()) > MAX_PLAUSIBLE_MV:
        size = np.abs(signal)
        usual = percentile(size[:, ::3], 75, axis=1)
        bad |= size > np.maximum(MAX_PLAUSIBLE_MV, HOLE_SHARE * usual)[:, None]
    _mark_plateaus(bad, signal, highest, lowest, sampling_rate)
    if bad.any():
        signal = interpolate_gaps(np.where(bad, np.nan, signal))
    return _without_steps(signal, sampling_rate), bad


def _mark_plateaus(bad: np.ndarray, signal: np.ndarray, highest: np.ndarray, lowest: np.ndarray, rate: float) -> None:
    """Adds to `bad` the stretches at a rail, and dead ones of a lead that is alive elsewhere."""
    shortest = max(3, int(RAIL_S * rate))
    if signal.shape[1] <= shortest:
        return
    railed = at_extremes(signal, highest, lowest) >= shortest
    for lead in np.flatnonzero(railed | may_hold_plateau(signal, max(3, math.ceil(DEAD_S * rate)))):
        row = signal[lead]
        starts, lengths = equal_runs(row)
        level = row[starts]
        rail = ((level == row.max()) | (level == row.min())) & (np.abs(level) >= RAIL_FROM_MV) & (lengths >= shortest)
        dead = (lengths >= DEAD_S * rate) & (lengths < len(row))
        rest = lengths[~dead]
        if dead.any() and rest[rest >= DRAWN_S * rate].sum() >= DRAWN_SHARE * rest.sum():
            dead[:] = False
        for start, length in zip(starts[rail | dead], lengths[rail | dead], strict=True):
            bad[lead, start : start + length] = True


def at_extremes(signal: np.ndarray, highest: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    """How many samples of each lead of `signal` `(leads, samples)` are at its highest or its lowest value, `(leads,)`."""
    return true_in_rows((signal == highest[:, None]) | (signal == lowest[:, None]))


def equal_runs(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First samples and lengths of the runs of equal samples in `row` `(samples,)`; a missing sample is a run of its own."""
    starts = np.concatenate(([0], np.flatnonzero(row[1:] != row[:-1]) + 1))
    return starts, np.diff(np.concatenate((starts, [len(row)])))


def may_hold_plateau(signal: np.ndarray, shortest: int) -> np.ndarray:
    """Whether a lead of `(leads, samples)` may hold `shortest` equal samples in a row (3 or more), `(leads,)`: so many hold
    a whole block of half the length, wherever they begin. Few leads do, and need a closer look."""
    if signal.shape[1] < shortest:
        return np.zeros(len(signal), dtype=bool)
    equal, block = signal[:, 1:] == signal[:, :-1], shortest // 2
    blocks = equal[:, : equal.shape[1] // block * block].reshape(len(signal), -1, block)
    return blocks.all(axis=2).any(axis=1)


def _without_steps(signal: np.ndarray, rate: float) -> np.ndarray:
    """The signal without the jumps of its level, removed where they are."""
    width, alone, level = max(1, round(STEP_S * rate)), max(2, round(STEP_ALONE_S * rate)), round(STEP_LEVEL_S * rate)
    if signal.shape[1] < 2 * level + width or level < 2:
        return signal
    size = np.abs(signal[:, width:] - signal[:, :-width])
    tall = size[:, level : size.shape[1] - level] > STEP_MV
    leads, places = np.divmod(
        np.flatnonzero(tall), tall.shape[1]
    )  # `np.nonzero` of two axes takes four times the time
    places += level
    # The largest of its surroundings, and steeper by far than what is around it: than its neighbours, then than all.
    largest = size[leads, places] >= size[leads, places - 1]
    largest &= size[leads, places] > size[leads, places + 1]
    leads, places = leads[largest], places[largest]
    height = signal[leads, places + width] - signal[leads, places]
    beside = np.abs(signal[leads, places] - signal[leads, places - 1])
    steeper = np.abs(height) > STEP_ABRUPT * beside
    leads, places, height = leads[steeper], places[steeper], height[steeper]
    if not len(places):
        return signal

    def steepest(first: np.ndarray) -> np.ndarray:
        window = signal[leads[:, None], first[:, None] + np.arange(alone + 1)]
        return np.abs(differences(window)).max(axis=1)

    around = np.maximum(steepest(places - alone), steepest(places + width))
    abrupt = np.abs(height) > STEP_ABRUPT * around
    if not abrupt.any():
        return signal
    leads, places, height = leads[abrupt], places[abrupt], height[abrupt]
    before = median(signal[leads[:, None], places[:, None] - np.arange(level)], axis=1)
    after = median(signal[leads[:, None], places[:, None] + width + np.arange(level)], axis=1)
    stays = np.abs(after - before - height) < STEP_STAYS * np.abs(height)
    if not stays.any():
        return signal
    change = np.diff(signal.astype(np.float64), axis=1, prepend=signal[:, :1])
    for lead, place in zip(leads[stays], places[stays], strict=True):
        change[lead, place + 1 : place + width + 1] = 0
    return (signal[:, :1] + np.cumsum(change, axis=1)).astype(np.float32)


__all__ = ["MAX_ABS_MV", "at_extremes", "equal_runs", "may_hold_plateau", "repair"]
