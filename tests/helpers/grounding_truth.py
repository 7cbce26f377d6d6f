# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
What is exactly known of simulated ECGs: intervals, levels and sizes of waves of the clean signal.

The simulator knows where a wave mathematically begins and ends. Readers, and our delineation, which is calibrated on LUDB's
cardiologists, mark the QRS earlier and later than that. `reading_offsets` measures the difference on other records, and `Truth` adds it
to the intervals. `truths(offsets=None)` leaves it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_record import STANDARD_LEADS
from processing.simulator.simulator import SimulatedEcg, simulate_ecg

INTERVALS = ("pr_interval", "qrs_duration", "qt_interval", "qtc_bazett")
SCENARIOS: tuple[dict[str, Any], ...] = (
    {}, {"heart_rate": 48}, {"heart_rate": 118}, {"axis": -60, "conduction": "lafb"}, {"axis": 125}, {"qtc": 0.0},
    {"ischemia": "inferior_stemi"}, {"ischemia": "anterior_stemi"}, {"ischemia": "lateral_stemi"},
    {"ischemia": "anterior_t_inversion"}, {"ischemia": "subendocardial_ischemia"}, {"ischemia": "old_anterior_infarction"},
    {"rhythm": "atrial_fibrillation"}, {"rhythm": "atrial_fibrillation"}, {"rhythm": "av_block_1"}, {"rhythm": "ventricular_paced"},
    {"conduction": "lbbb"}, {"conduction": "rbbb"}, {"hypertrophy": "lvh"}, {"repolarization": "long_qt"},
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """What is exactly known of a simulated ECG, and its measurements."""

    ecg: SimulatedEcg
    features: EcgFeatures
    numbers: Mapping[str, float]
    st: Mapping[str, float]
    t: Mapping[str, float]
    q_ms: Mapping[str, float]
    q_mv: Mapping[str, float]

    @property
    def p_waves(self) -> bool:
        return bool(np.isfinite(self.ecg.beat_fiducials["P"][:, 0]).any())


def reading_offsets(seeds: range = range(9000, 9024)) -> dict[str, float]:
    """How much longer readers mark each interval than the simulator's waves mathematically last, ms (median)."""
    differences: dict[str, list[float]] = {name: [] for name in INTERVALS}
    for seed in seeds:
        ecg = simulate_ecg(seed=seed)
        features = extract_features(ecg.record)
        for name in INTERVALS:
            differences[name].append(getattr(features, name) - ecg.intervals[name])
    return {name: float(np.median(values)) for name, values in differences.items()}


def truths(count: int, offsets: Mapping[str, float] | None, first_seed: int = 100) -> list[Truth]:
    """`count` ECGs of all scenarios."""
    result = []
    for i in range(count):
        arguments = {key: value for key, value in SCENARIOS[i % len(SCENARIOS)].items() if value}
        result.append(truth_of(simulate_ecg(**arguments, seed=first_seed + i), offsets))
    return result


def truth_of(ecg: SimulatedEcg, offsets: Mapping[str, float] | None) -> Truth:
    numbers = {name: float(value) for name, value in ecg.intervals.items()}
    for name, offset in (offsets or {}).items():
        numbers[name] += offset
    numbers["qtc_interval"] = numbers["qtc_bazett"]
    rate = ecg.record.sampling_rate
    t_peaks, st = ecg.fiducials["T"], {lead: levels["J+60"] for lead, levels in ecg.st_level.items()}
    t, q_ms, q_mv, r, s = {}, {}, {}, {}, {}
    for row, lead in enumerate(STANDARD_LEADS):
        peaks = t_peaks[row, :, 1]
        at = (peaks[np.isfinite(peaks)] * rate).astype(int)
        at = at[(at >= 0) & (at < ecg.clean.shape[1])]
        t[lead] = float(np.median(ecg.clean[row, at])) if len(at) else 0.0
        q_ms[lead], q_mv[lead], r[lead], s[lead] = _q_r_s(ecg, row)
    numbers["sokolow_lyon"] = s["V1"] + max(r["V5"], r["V6"])
    return Truth(ecg, extract_features(ecg.record), numbers, st, t, q_ms, q_mv)


def _q_r_s(ecg: SimulatedEcg, row: int) -> tuple[float, float, float, float]:
    """Median over the beats: ms and mV of what is negative before R, R and S in mV, of the clean signal."""
    rate, values = ecg.record.sampling_rate, []
    for onset, _, offset in ecg.beat_fiducials["QRS"]:
        window = ecg.clean[row, max(int(onset * rate), 0) : int(offset * rate) + 1]
        if len(window) < 10:
            continue
        peak = int(window.argmax())
        has_r = window[peak] >= 0.05
        before = window[:peak] if has_r else window
        after = window[peak:] if has_r else window
        values.append(
            (
                1000 * float((before < -0.02).sum()) / rate,
                float(-min(before.min(initial=0), 0)),
                float(max(window[peak], 0)),
                float(-min(after.min(), 0)),
            )
        )
    q_ms, q_mv, r, s = np.median(np.array(values), axis=0)
    return float(q_ms), float(q_mv), float(r), float(s)


__all__ = ["Truth", "reading_offsets", "truth_of", "truths"]
