# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""More ECGs to learn from than PTB-XL's training folds have: their records recorded again, and simulated ones."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from processing.ecg_features import EcgFeatures
from processing.ecg_record import EcgRecord
from processing.simulator.patterns import CONDUCTION, HYPERTROPHY, ISCHEMIA, REPOLARIZATION
from processing.simulator.rhythms import RHYTHMS
from processing.simulator.simulator import simulate_ecg
from recipes.sources.ptbxl import PtbxlItem

SIMULATED = 2400
# A heart beats a few percent faster or slower without its ECG meaning anything else.
LARGEST_PACE_CHANGE = 0.08
# Where a beat's T wave has mostly ended and the next one's P wave not begun, as a share of the RR interval.
BETWEEN_BEATS = 0.65
# What the simulator learned later is left out, so that the same seed still gives the same training set.
LATER = (
    "rbbb_dome", "rbbb_notched", "lbbb_dome", "lbbb_notched", "long_qt_u", "ventricular_paced_alone", "atrial_paced",
    "dual_paced", "supraventricular_tachycardia", "supraventricular_tachycardia_retrograde", "ventricular_tachycardia",
    "ventricular_tachycardia_dissociated", "atrial_fibrillation_coarse", "wandering_pacemaker",
)  # fmt: skip
# How often a simulated ECG has a finding of each kind.
FINDINGS = {
    "conduction": (0.35, [name for name in CONDUCTION if name not in ("normal", *LATER)]),
    "ischemia": (0.25, list(ISCHEMIA)),
    "hypertrophy": (0.15, list(HYPERTROPHY)),
    "repolarization": (0.15, [name for name in REPOLARIZATION if name not in LATER]),
}
SINUS_SHARE = 0.55
# Atria in sinus rhythm, which PTB-XL states beside the block; a junctional rhythm has no words in its vocabulary.
BLOCKS, UNNAMED_RHYTHMS = ("2AVB", "3AVB"), ("junctional",)


def whole_beats(record: EcgRecord, features: EcgFeatures) -> np.ndarray:
    """
    The piece of `record` from between two beats to the same moment some beats later, `(leads, samples)` mV: its end goes on
    with its beginning. All of it where there are fewer than three beats.
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
    contact, muscle noise, baseline wander and at times a lost electrode. What is measured of it must be measured anew;
    `version` is added to the record's name.
    """
    record, samples = item.record, item.record.num_samples
    pace = np.exp(rng.uniform(-LARGEST_PACE_CHANGE, LARGEST_PACE_CHANGE))
    signal = read_round(beats, samples, int(rng.integers(beats.shape[1])), pace)
    turns = np.arange(samples) / samples * rng.uniform(1, 5) + rng.uniform(size=(len(signal), 1))
    wander = 0.05 * rng.standard_normal((len(signal), 1)) * np.sin(2 * np.pi * turns)
    signal = signal * rng.uniform(0.95, 1.05) + wander + rng.normal(scale=0.01, size=signal.shape)
    if rng.random() < 0.2:
        signal[rng.integers(6, len(signal))] = 0  # a chest lead: a lost limb electrode would take several leads along
    changed = record.changed(
        f"recorded again at {pace:.3f} times the pace",
        signal=signal.astype(np.float32),
        record_id=f"{record.record_id}#{version}",
    )
    return dataclasses.replace(item, record=changed)


def simulated_items(count: int, seed: int) -> Iterator[PtbxlItem]:
    """`count` simulated ECGs of 10 s, all rhythms and findings of `simulate_ecg`, with its labels as SCP codes."""
    rng = np.random.default_rng(seed)
    others = [name for name in RHYTHMS if name not in ("sinus", *UNNAMED_RHYTHMS, *LATER)]
    for number in range(count):
        sinus = rng.random() < SINUS_SHARE
        findings: dict[str, Any] = {
            kind: str(rng.choice(names)) for kind, (share, names) in FINDINGS.items() if rng.random() < share
        }
        ecg = simulate_ecg(
            "sinus" if sinus else str(rng.choice(others)),
            **findings,
            heart_rate=float(rng.uniform(45, 130)) if sinus else None,
            amplitude=float(rng.uniform(0.6, 1.4)),
            seed=int(rng.integers(2**31)),
        )
        codes = dict(ecg.labels)
        if codes.keys() & set(BLOCKS):
            codes["SR"] = 100.0
        yield PtbxlItem(dataclasses.replace(ecg.record, record_id=f"simulated/{seed}-{number:05d}"), codes, fold=0)


__all__ = ["recorded_again", "simulated_items", "whole_beats"]
