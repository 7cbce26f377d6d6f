# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Pacing spikes: how large a pacemaker's stimuli are on the skin, and how they are drawn."""

from dataclasses import dataclass

import numpy as np

SPIKE_S = 0.002
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
    """Adds spikes of 2 ms at `times` (s) to `dipole` `(3, samples)`; without `pacing` they are 1.3 mV and point up."""
    if not len(times):
        return
    width = max(1, round(SPIKE_S * rate))
    if pacing is None:
        shape, vector = np.ones(width), np.array(USUAL_SPIKE)
    else:
        stimulus = PACING[pacing]
        vector = rng.normal(size=3)
        vector *= rng.uniform(*stimulus.size) / np.linalg.norm(vector)
        after = np.arange(round(5 * stimulus.fading_s * rate)) / (stimulus.fading_s * rate)
        shape = np.concatenate([np.ones(width), -stimulus.after_potential * np.exp(-after)])
    spike = np.outer(rotation @ vector, shape)
    for time in times:
        first = round(time * rate)
        room = dipole[:, first : first + len(shape)]
        room += spike[:, : room.shape[1]]


__all__ = ["PACING", "Stimulus", "draw_stimuli"]
