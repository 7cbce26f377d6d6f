# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What the grounding check says of one sentence; simulated ECGs that differ in one thing."""

from functools import cache

from processing.ecg_features import EcgFeatures, extract_features
from processing.grounding.check import check_grounding
from processing.simulator.simulator import simulate_ecg

ECGS = {
    "normal": {"heart_rate": 72, "pr_interval": 160, "qrs_duration": 90, "qtc": 410, "axis": 50, "seed": 3},
    "fibrillation": {"rhythm": "atrial_fibrillation", "heart_rate": 128, "seed": 5},
    "infarction": {"ischemia": "inferior_stemi", "heart_rate": 84, "seed": 7},
    "lbbb": {"conduction": "lbbb", "heart_rate": 64, "seed": 9},
    "long PR": {"rhythm": "av_block_1", "heart_rate": 58, "pr_interval": 260, "seed": 11},
    "PVCs": {"rhythm": "ventricular_premature", "heart_rate": 75, "seed": 13},
    "complete block": {"rhythm": "av_block_3", "heart_rate": 38, "seed": 4},
    "tachycardia": {"heart_rate": 130, "seed": 6},
}


def verdict(text: str, features: EcgFeatures) -> str:
    """The verdict on `text`, which makes exactly one claim."""
    (checked,) = check_grounding(text, features).claims
    return checked.verdict


@cache
def simulated_features(name: str) -> EcgFeatures:
    """The measurements of one of `ECGS`, made once."""
    return extract_features(simulate_ecg(**ECGS[name]).record)


def verdicts(name: str, sentence: str) -> list[str]:
    """The verdicts on all claims of a sentence about one of `ECGS`."""
    return [item.verdict for item in check_grounding(sentence, simulated_features(name)).claims]


__all__ = ["ECGS", "simulated_features", "verdict", "verdicts"]
