# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Disturbances of ECGs as they occur on wards: noise, movement, mains, steps, rails, holes, pops, loose electrodes.

Signals are `(12, samples)` in mV in the standard order of the leads; a disturbance returns a new one.
"""

from collections.abc import Callable, Sequence

import numpy as np

HOLE_MV = -32.768  # the smallest 16-bit number at 1 uV, as writers mark missing samples
_LIMB_ELECTRODES = {"RA": 0, "LA": 1, "LL": 2}
# I, II, III, aVR, aVL, aVF by their electrodes RA, LA, LL (Einthoven, Goldberger).
_LIMB_LEADS = np.array(
    [[-1, 1, 0], [-1, 0, 1], [0, -1, 1], [1, -0.5, -0.5], [-0.5, 1, -0.5], [-0.5, -0.5, 1]], dtype=float
)


def electrode_leads(electrode: str) -> np.ndarray:
    """What 1 mV at `electrode` (RA, LA, LL, V1 ... V6) adds to the 12 leads; chest leads are measured against Wilson's terminal."""
    if electrode in _LIMB_ELECTRODES:
        return np.concatenate([_LIMB_LEADS[:, _LIMB_ELECTRODES[electrode]], np.full(6, -1 / 3)])
    return np.eye(12)[5 + int(electrode[1])]


def with_exchanged_arms(signal: np.ndarray) -> np.ndarray:
    """The leads as they are with the electrodes of the two arms exchanged (Einthoven, Goldberger)."""
    i, ii, iii, avr, avl, avf = signal[:6]
    return np.concatenate([[-i, iii, ii, avl, avr, avf], signal[6:]])


def _band(generator: np.random.Generator, rows: int, samples: int, rate: float, low: float, high: float) -> np.ndarray:
    """Noise of 1 mV rms between two frequencies, `(rows, samples)`."""
    from scipy.signal import butter, sosfiltfilt

    high = min(high, 0.45 * rate)
    white = generator.normal(size=(rows, samples + int(4 * rate)))
    noise = sosfiltfilt(butter(2, [low, high], "band", fs=rate, output="sos"), white)[:, int(2 * rate) :][:, :samples]
    return noise / noise.std(axis=1, keepdims=True)


def white(generator: np.random.Generator, rows: int, samples: int, rate: float) -> np.ndarray:
    return generator.normal(size=(rows, samples))


def emg(generator: np.random.Generator, rows: int, samples: int, rate: float) -> np.ndarray:
    """Muscle noise: 20 to 150 Hz."""
    return _band(generator, rows, samples, rate, 20, 150)


def movement(generator: np.random.Generator, rows: int, samples: int, rate: float) -> np.ndarray:
    """An electrode that moves: 0.5 to 8 Hz."""
    return _band(generator, rows, samples, rate, 0.5, 8)


def mains(generator: np.random.Generator, rows: int, samples: int, rate: float) -> np.ndarray:
    """50 Hz, of 1 mV rms."""
    phase = generator.uniform(0, 2 * np.pi, size=(rows, 1))
    return np.sqrt(2) * np.sin(2 * np.pi * 50 * np.arange(samples) / rate + phase)


Noise = Callable[[np.random.Generator, int, int, float], np.ndarray]
NOISES: dict[str, Noise] = {"white": white, "emg": emg, "movement": movement, "mains": mains}


def with_noise(
    signal: np.ndarray, rate: float, noise: Noise, size: float, leads: Sequence[int], span: slice, seed: int
) -> np.ndarray:
    """`size` mV rms of `noise` in `leads` within the samples of `span`, each lead its own."""
    disturbed = signal.copy()
    first, last, _ = span.indices(signal.shape[1])
    disturbed[list(leads), first:last] += size * noise(np.random.default_rng(seed), len(leads), last - first, rate)
    return disturbed


def with_loose_electrode(
    signal: np.ndarray, rate: float, noise: Noise, size: float, electrode: str, seed: int
) -> np.ndarray:
    """`size` mV rms of `noise` at one electrode for the whole record, in every lead that it enters."""
    row = noise(np.random.default_rng(seed), 1, signal.shape[1], rate)
    return signal + size * electrode_leads(electrode)[:, None] * row


def with_step(signal: np.ndarray, size: float, leads: Sequence[int], at: int) -> np.ndarray:
    """The level of `leads` jumps by `size` mV at sample `at`, and stays."""
    disturbed = signal.copy()
    disturbed[list(leads), at:] += size
    return disturbed


def with_rail(signal: np.ndarray, level: float, leads: Sequence[int], span: slice) -> np.ndarray:
    """`leads` stay at `level` mV for `span`: a saturated amplifier, or a hole of `HOLE_MV`."""
    disturbed = signal.copy()
    disturbed[list(leads), span] = level
    return disturbed


def with_pops(signal: np.ndarray, rate: float, size: float, lead: int, seed: int) -> np.ndarray:
    """Single samples of one lead jump by `size` mV, about once a second."""
    generator = np.random.default_rng(seed)
    disturbed = signal.copy()
    seconds = np.arange(int(signal.shape[1] / rate))
    at = ((seconds + generator.uniform(0.1, 0.9, size=len(seconds))) * rate).astype(int)
    disturbed[lead, at] += size
    return disturbed
