# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A record as if the same heart had been recorded once more: what a model may learn from again."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from processing.ecg_features import EcgFeatures
from processing.ecg_lead_names import CHEST_LEADS, LIMB_LEADS_FROM_I_II
from processing.ecg_record import EcgRecord
from recipes.sources.ptbxl import PtbxlItem

# A heart beats a few percent faster or slower without its ECG meaning anything else.
LARGEST_PACE_CHANGE = 0.08
# Where a beat's T wave has mostly ended and the next one's P wave not begun, as a share of the RR interval.
BETWEEN_BEATS = 0.65
WANDER_MV, NOISE_MV = 0.05, 0.01


def whole_beats(record: EcgRecord, features: EcgFeatures) -> np.ndarray:
    """
    The piece of `record` from between two beats to the same moment some beats later, `(leads, samples)` mV: repeated, it
    has no seam. All of it where there are fewer than three beats.
    """
    signal = np.nan_to_num(record.signal)
    beats = features.beat_times
    if len(beats) < 3:
        return signal
    between = BETWEEN_BEATS * np.median(np.diff(beats))
    last = beats[-1] if beats[-1] + between < record.duration else beats[-2]
    first, stop = (round((beat + between) * record.sampling_rate) for beat in (beats[0], last))
    return signal[:, first:stop]


def read_round(signal: np.ndarray, samples: int, start: int, pace: float) -> np.ndarray:
    """`samples` of `signal` `(leads, ...)` from `start` on, round its end, `pace` times as fast; between samples linearly."""
    length = signal.shape[1]
    position = (start + np.arange(samples) * pace) % length
    before = np.minimum(position.astype(int), length - 1)
    share = position - before
    return signal[:, before] * (1 - share) + signal[:, (before + 1) % length] * share


def recorded_again(item: PtbxlItem, beats: np.ndarray, version: str, rng: np.random.Generator) -> PtbxlItem:
    """
    The item as another recording of its `whole_beats` could look: from another moment on, a little faster or slower, with other
    contact, muscle noise, baseline wander and at times a lost chest electrode. Its measurements must be taken again;
    `version` is added to the record's name.
    """
    record, samples = item.record, item.record.num_samples
    pace = np.exp(rng.uniform(-LARGEST_PACE_CHANGE, LARGEST_PACE_CHANGE))
    signal = read_round(beats, samples, int(rng.integers(beats.shape[1])), pace)
    signal = signal * rng.uniform(0.95, 1.05) + _disturbance(record.leads, samples, rng)
    if rng.random() < 0.2:
        signal[record.leads.index(rng.choice(CHEST_LEADS))] = 0
    changed = record.changed(
        f"recorded again at {pace:.3f} times the pace",
        signal=signal.astype(np.float32),
        record_id=f"{record.record_id}#{version}",
    )
    return dataclasses.replace(item, record=changed)


def _disturbance(leads: Sequence[str], samples: int, rng: np.random.Generator) -> np.ndarray:
    """
    Wander and noise, `(leads, samples)` mV. Those of the limb leads follow from two of them, as in any ECG: leads that do not
    add up are taken for misnamed, and neither axis nor ST is then measured.
    """
    free = ("I", "II", *CHEST_LEADS)
    turns = np.arange(samples) / samples * rng.uniform(1, 5) + rng.uniform(size=(len(free), 1))
    wander = WANDER_MV * rng.standard_normal((len(free), 1)) * np.sin(2 * np.pi * turns)
    rows = dict(zip(free, wander + rng.normal(scale=NOISE_MV, size=wander.shape), strict=True))
    for lead, (of_i, of_ii) in LIMB_LEADS_FROM_I_II.items():
        rows[lead] = of_i * rows["I"] + of_ii * rows["II"]
    return np.stack([rows[lead] for lead in leads])


__all__ = ["recorded_again", "whole_beats"]
