# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""More ECGs to learn from than PTB-XL's training folds have: simulated ones."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from processing.simulator.patterns import CONDUCTION, HYPERTROPHY, ISCHEMIA, REPOLARIZATION
from processing.simulator.rhythms import RHYTHMS
from processing.simulator.simulator import simulate_ecg
from recipes.sources.ptbxl import PtbxlItem

SIMULATED = 2400
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


__all__ = ["simulated_items"]
