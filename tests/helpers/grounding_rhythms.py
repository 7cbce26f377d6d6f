# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Simulated and real ECGs of rhythms and conduction, and what the grounding check says of sentences about them."""

from functools import cache

import numpy as np
import pyarrow.parquet as pq

from processing.ecg_features import EcgFeatures, extract_features
from processing.grounding.check import check_grounding
from processing.simulator.simulator import simulate_ecg
from tests.helpers.shared_data import shared_path

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
    "tachycardia": {"heart_rate": 118, "seed": 9},
    "tachycardia with lbbb": {"heart_rate": 115, "conduction": "lbbb", "seed": 21},
    "fast tachycardia with rbbb": {"heart_rate": 130, "conduction": "rbbb", "seed": 203},
    "fibrillation with lbbb": {"rhythm": "atrial_fibrillation", "conduction": "lbbb", "heart_rate": 120, "seed": 22},
    "VT": {"rhythm": "ventricular_tachycardia", "seed": 29},
    "dissociated VT": {"rhythm": "ventricular_tachycardia_dissociated", "seed": 101},
    "SVT": {"rhythm": "supraventricular_tachycardia", "heart_rate": 180, "seed": 30},
    "retrograde SVT": {"rhythm": "supraventricular_tachycardia_retrograde", "seed": 101},
    "flutter": {"rhythm": "atrial_flutter", "seed": 16},
    "flutter 4:1": {"rhythm": "atrial_flutter", "heart_rate": 75, "seed": 101},
    "junctional": {"rhythm": "junctional", "seed": 36},
    "complete block": {"rhythm": "av_block_3", "seed": 6},  # 8 P waves are found, 76 a minute, and 35 beats a minute
    "constant block": {"rhythm": "av_block_2_mobitz_2", "seed": 33},
    "2:1 block": {"rhythm": "av_block_2_to_1", "seed": 34},
    "paced alone": {"rhythm": "ventricular_paced_alone", "seed": 28},
    "atrial paced": {"rhythm": "atrial_paced", "seed": 26},
    "P waves followed by a pacemaker": {"rhythm": "ventricular_paced", "seed": 27},
    "dual paced": {"rhythm": "dual_paced", "seed": 12},
    "slow": {"heart_rate": 44, "pr_interval": 250, "seed": 8},
}


@cache
def rhythm_features(name: str) -> EcgFeatures:
    """The measurements of one of `RHYTHM_ECGS`, made once."""
    return extract_features(simulate_ecg(**RHYTHM_ECGS[name]).record)


def verdict_of(name: str, sentence: str) -> str:
    """The verdict on a sentence about one of `RHYTHM_ECGS`: the gravest of its claims, a false one before an open one."""
    found = {checked.verdict for checked in check_grounding(sentence, rhythm_features(name)).claims}
    return next(one for one in ("contradicted", "not_measurable", "supported") if one in found)


@cache
def ptbxl_features(number: int) -> EcgFeatures:
    """The measurements of a record of PTB-XL; the test is skipped where the shared data are not there."""
    table = pq.read_table(shared_path("data/ptbxl"), columns=["signal_uv"], filters=[("ecg_id", "=", number)])
    signal = np.array(table["signal_uv"][0].as_py(), dtype=np.float32).reshape(12, -1) / 1000
    return extract_features(signal, 500)


__all__ = ["RHYTHM_ECGS", "ptbxl_features", "rhythm_features", "verdict_of"]
