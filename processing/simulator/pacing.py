# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Pacing spikes: the size of a pacemaker's stimuli on the skin, and their drawing."""

import math
from dataclasses import dataclass

import numpy as np

SPIKE_S = 0.002
LARGEST_SMEAR_S = 0.002  # SD of a Gaussian filter of 66 Hz (3 dB)
USUAL_SPIKE = (0.5, -1.0, 0.7)  # mV


@dataclass(frozen=True)
class Stimulus:
    """Dipole of a spike in mV, smallest and largest, and the share of it that swings back and fades (after-potential)."""

    size: tuple[float, float]
    after_potential: float = 0.0
    fading_s: float = 0.008


# A unipolar stimulus runs between the electrode's tip and the can of the device, a bipolar one along some 2 cm of lead.
PACING = {"unipolar": Stimulus((3.0, 8.0), after_potential=0.04), "bipolar": Stimulus((0.25, 0.60))}


def draw_stimuli(
    rng: np.random.Generator,
    dipole: np.ndarray,
    times: np.ndarray,
    pacing: str | None,
    rotation: np.ndarray,
    rate: float,
) -> None:
    """Adds spikes of 2 ms at `times` (s) to `dipole` `(3, samples)`.

    Without `pacing` they are sharp, 1.3 mV and point up; with it their direction is drawn, and how much the recorder's filter
    smears them.
    """
    if not len(times):
        return
    width = max(1, round(SPIKE_S * rate))
    shape, vector, early = np.ones(width), np.array(USUAL_SPIKE), 0
    if pacing is not None:
        stimulus = PACING[pacing]
        vector = rng.normal(size=3)
        vector *= rng.uniform(*stimulus.size) / np.linalg.norm(vector)
        after = np.arange(round(5 * stimulus.fading_s * rate)) / (stimulus.fading_s * rate)
        shape = np.concatenate([shape, -stimulus.after_potential * np.exp(-after)])
        smear = max(rng.uniform(0, LARGEST_SMEAR_S) * rate, 0.1)
        early = math.ceil(3 * smear)
        shape = np.convolve(shape, np.exp(-0.5 * np.square(np.arange(-early, early + 1) / smear)))
        shape /= shape.max()
    spike = np.outer(rotation @ vector, shape)
    for time in times:
        first = round(time * rate) - early
        start, stop = max(first, 0), min(first + len(shape), dipole.shape[1])
        dipole[:, start:stop] += spike[:, start - first : stop - first]


__all__ = ["PACING", "Stimulus", "draw_stimuli"]
