# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Pacing spikes: where a pacemaker stimulates, and the ECG without its stimuli."""

import numpy as np

from .ecg_order_statistics import differences, median
from .ecg_record import interpolate_gaps

RATE = 500  # Hz
SPIKE_MIN_MV = 0.15  # a pacing spike jumps by at least this within one sample (2 ms)
ABRUPT = 5.0  # ... and by so many times what came just before
ELSEWHERE = 0.1  # ... at the same instant by this share in a second lead; a pop of one amplifier does not
# ... few spikes in half of the leads; a pop of an arm's electrode shows by a third in the chest leads
RARE_ELSEWHERE = 0.35
OVER = 0.7  # 10 ms later nothing is as steep any more ...
# ... or, as a wide stimulus ends with an edge as steep as its first, 16 ms later all is quiet
WIDE_OVER, WIDE_SAMPLES = 0.2, 8
LONG_OVER, LONGEST_SAMPLES = 0.15, 15  # ... or 30 ms later, where a recorder's filter rings
REFRACTORY_S = 0.02  # one stimulus has two or more edges
MIN_RATE, OFTEN, MAX_RATE = 0.2, 0.5, 6.0  # per s: one is an electrode pop, few must show in all leads, more are noise
QUIET_SAMPLES = 15  # 30 ms
EDGE_SHARE = 0.1  # a stimulus lasts while the signal jumps by this share of its first edge, and by SPIKE_MIN_MV
# After-potentials and what a recorder's filter leaves of a stimulus hide the heart for 14 ms, and after a tall one longer.
SHORTEST_SAMPLES, SAMPLES_PER_MV = 7, 1.5


def find_spikes(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First sample of every pacing spike in `(leads, samples)` at 500 Hz, and the first after it, `(spikes,)` each.

    A spike jumps out of quiet in many leads at once, again and again. A heart's own waves gather speed over several samples.
    """
    none = np.zeros(0, dtype=int)
    jumps = np.abs(differences(signal))
    jump = jumps.max(axis=0)
    high = np.flatnonzero(jump > max(SPIKE_MIN_MV, 8 * float(median(jump[::3]))))
    ordered = np.sort(jumps[:, high], axis=0)[::-1] / jump[high]
    second, half = ordered[min(1, len(signal) - 1)], ordered[max(1, len(signal) // 2) - 1]
    high, half = high[second > ELSEWHERE], half[second > ELSEWHERE]
    # Infinite before the ECG begins, because it is unknown whether it was quiet.
    padded = np.concatenate([np.full(QUIET_SAMPLES, np.inf), jump, np.zeros(2 * LONGEST_SAMPLES)])

    def after(places: np.ndarray, first: int, last: int) -> np.ndarray:
        """The jumps `first` to `last` samples after each of `places`."""
        return padded[places[:, None] + np.arange(first, last + 1) + QUIET_SAMPLES]

    def largest(first: int, last: int) -> np.ndarray:
        return after(high, first, last).max(axis=1)

    abrupt = jump[high] > ABRUPT * largest(-QUIET_SAMPLES, -2)
    if not abrupt.any():
        return none, none
    high, half = high[abrupt], half[abrupt]
    # The steepest part of a steep QRS is still to come.
    over = largest(5, 10) < OVER * largest(0, 4)
    over |= largest(WIDE_SAMPLES, WIDE_SAMPLES + 5) < WIDE_OVER * largest(0, WIDE_SAMPLES - 1)
    over |= largest(LONGEST_SAMPLES, LONGEST_SAMPLES + 5) < LONG_OVER * largest(0, LONGEST_SAMPLES - 1)
    found, half = high[over], half[over]
    first = np.diff(found, prepend=-RATE) > REFRACTORY_S * RATE
    found, half = found[first], half[first]
    seconds = signal.shape[1] / RATE
    if len(found) < OFTEN * seconds:
        found = found[half > RARE_ELSEWHERE]
    if not max(2, MIN_RATE * seconds) <= len(found) <= MAX_RATE * seconds:
        return none, none
    edges = after(found, 0, LONGEST_SAMPLES)
    hidden = SHORTEST_SAMPLES + np.floor(SAMPLES_PER_MV * edges.max(axis=1)).astype(int)
    edges = edges >= np.maximum(SPIKE_MIN_MV, EDGE_SHARE * edges[:, :3].max(axis=1, keepdims=True))
    last = LONGEST_SAMPLES - edges[:, ::-1].argmax(axis=1)
    return found, found + np.maximum(last + 2, np.minimum(hidden, LONGEST_SAMPLES))


def remove_spikes(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`signal` `(leads, samples)` with its pacing spikes bridged in all leads, and what `find_spikes` found."""
    if signal.shape[1] < RATE // 5:
        return signal, np.zeros(0, dtype=int), np.zeros(0, dtype=int)
    starts, ends = find_spikes(signal)
    if len(starts):
        affected = np.zeros(signal.shape[1], dtype=bool)
        for start, end in zip(starts, ends, strict=True):
            affected[max(start - 1, 0) : end] = True
        signal = interpolate_gaps(np.where(affected, np.nan, signal)).astype(signal.dtype)
    return signal, starts, ends


__all__ = ["find_spikes", "remove_spikes"]
