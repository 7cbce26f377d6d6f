# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Simulated ECGs with exact marks, one group per scenario, in the layout of the LUDB scoring."""

from collections.abc import Iterator

import numpy as np

from processing.simulator.patterns import CONDUCTION, ISCHEMIA, REPOLARIZATION
from processing.simulator.rhythms import RHYTHMS
from processing.simulator.simulator import simulate_ecg
from tests.helpers.delineation_scoring import WAVES, MarkedEcg

MARGIN_S = 0.5  # waves at the edges are cut: they do not count
FLUTTER_RATES = {"2:1": 150, "3:1": 100, "4:1": 75}


def scenarios() -> dict[str, dict]:
    """Name -> arguments of `simulate_ecg`."""
    result: dict[str, dict] = {name: {"rhythm": name} for name in RHYTHMS if name != "atrial_flutter"}
    for ratio, rate in FLUTTER_RATES.items():
        result[f"atrial_flutter {ratio}"] = {"rhythm": "atrial_flutter", "heart_rate": rate}
    for argument, table in (("conduction", CONDUCTION), ("ischemia", ISCHEMIA), ("repolarization", REPOLARIZATION)):
        result |= {name: {argument: name} for name in table if name != "normal"}
    return result | {"sinus, noise x 5": {"noise": 5.0}, "sinus 130/min": {"heart_rate": 130}}


def simulated_records(arguments: dict, seeds: range) -> Iterator[MarkedEcg]:
    return (simulated_record(arguments, seed) for seed in seeds)


def simulated_record(arguments: dict, seed: int) -> MarkedEcg:
    ecg = simulate_ecg(**arguments, seed=seed)
    rate = ecg.record.sampling_rate
    marks = []
    for lead in range(len(ecg.record.leads)):
        own = {wave: ecg.fiducials[wave][lead] * rate for wave in WAVES}
        own = {wave: rows[np.isfinite(rows[:, 1])] for wave, rows in own.items()}
        own["span"] = np.array([MARGIN_S, ecg.record.duration - MARGIN_S]) * rate
        marks.append(own)
    return MarkedEcg(ecg.record.name, ecg.record.signal, rate, marks, ecg.settings["rhythm"])
