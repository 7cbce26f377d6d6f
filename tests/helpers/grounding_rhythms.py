# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Simulated ECGs of rhythms and conduction, and what the grounding check says of sentences about them."""

from functools import cache

from processing.ecg_features import EcgFeatures, extract_features
from processing.grounding.check import check_grounding
from processing.simulator.simulator import simulate_ecg

RHYTHM_ECGS = {
    "sinus": {"heart_rate": 72, "pr_interval": 160, "qrs_duration": 80, "qtc": 410, "axis": 45, "seed": 1},
    "PVCs": {"rhythm": "ventricular_premature", "heart_rate": 75, "seed": 7},  # beats 4, 9 and 12
    "one PVC": {"rhythm": "ventricular_premature", "seed": 101},  # beat 6
    "PACs": {"rhythm": "atrial_premature", "heart_rate": 70, "seed": 35},  # beats 2, 5 and 12
    "bigeminy": {"rhythm": "bigeminy", "seed": 25},
    "pause": {"rhythm": "sinus_pause", "seed": 14},  # 2.21 s after beat 6
    "lbbb": {"heart_rate": 70, "conduction": "lbbb", "seed": 4},
    "fibrillation": {"rhythm": "atrial_fibrillation", "heart_rate": 120, "seed": 3},
    "progressive block": {"rhythm": "av_block_2_mobitz_1", "seed": 15},  # blocked P waves at 1.6, 4.55 and 7.48 s
}


@cache
def rhythm_features(name: str) -> EcgFeatures:
    """The measurements of one of `RHYTHM_ECGS`, made once."""
    return extract_features(simulate_ecg(**RHYTHM_ECGS[name]).record)


def verdict_of(name: str, sentence: str) -> str:
    """The verdict on a sentence about one of `RHYTHM_ECGS`: the gravest of its claims, a false one before an open one."""
    found = {checked.verdict for checked in check_grounding(sentence, rhythm_features(name)).claims}
    return next(one for one in ("contradicted", "not_measurable", "supported") if one in found)


__all__ = ["RHYTHM_ECGS", "rhythm_features", "verdict_of"]
