# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""FeatureDB's definitions of the 14 sequences, for those who must reproduce measurements made with it.

FeatureDB (github.com/PKUDigitalHealth/FeatureDB, no licence; re-implemented from its behaviour) differs from the
field's definitions: its QT and QTc start at the END of the QRS (about 120 ms short: they are JT intervals), its T
duration does too, amplitudes have no sign and are taken against the sample at QRS onset, and one heart rate stands
for the whole record. Only the definitions are FeatureDB's here: the marks are ours.
"""

from typing import Any

import numpy as np

from .ecg_beat_measures import HORIZONTAL_ST_MV, MS, BeatMeasures, bazett, wave_windows
from .ecg_delineation import Delineation

BIPHASIC_SHARE = 0.25  # a wave has two lobes where the smaller has this share of the larger
LONGEST_P_S, LONGEST_JT_S = 0.2, 0.6


def featuredb_sequences(delineation: Delineation, beats: BeatMeasures) -> dict[str, np.ndarray]:
    """The 14 sequences by FeatureDB's definitions, each `(leads, beats)`; ms, unsigned mV, bpm.

    RR Interval 1 and 2 are not part of FeatureDB and stay as they are.
    """
    qrs, t = delineation.qrs.per_lead, delineation.t.per_lead
    shape = qrs.shape[:2]
    level = beats.level
    onset = np.clip(np.nan_to_num(qrs[..., 0]), 0, level.shape[1] - 1).astype(int)
    baseline = np.take_along_axis(level, onset, 1)
    mean_rr = float(np.mean(beats.rr_after[:-1])) if shape[1] > 1 else np.nan
    jt = (t[..., 2] - qrs[..., 2]) * MS
    after_qrs = np.stack([qrs[..., 2], t[..., 1], t[..., 2]], axis=-1)
    rate = 60000 / mean_rr
    values: dict[str, np.ndarray] = {
        "Heart Rate": np.full(shape, np.trunc(rate) if np.isfinite(rate) else np.nan),
        "RR Interval 1": np.broadcast_to(beats.rr_before, shape),
        "RR Interval 2": np.broadcast_to(beats.rr_after, shape),
        "P Amplitude": _two_lobes(level, delineation.p.per_lead, baseline, LONGEST_P_S),
        "P Duration": beats.p_duration,
        "PR Interval": beats.pr_interval,
        "QRS Amplitude": beats.r_amplitude - np.minimum(beats.q_amplitude, beats.s_amplitude),
        "QRS Duration": beats.qrs_duration,
        "T Amplitude": _two_lobes(level, after_qrs, baseline, LONGEST_JT_S),
        "T Duration": jt,
        "ST Duration": beats.st_duration,
        "ST Form": _st_form(level, np.stack([qrs[..., 2], qrs[..., 2], t[..., 0]], axis=-1)),
        "QT Interval": jt,
        "QTc Interval": bazett(jt, np.full(shape, mean_rr)),
    }
    unmeasured = ~np.isfinite(beats.qrs_duration)
    for name, value in values.items():
        absent: Any = None if value.dtype == object else np.nan
        values[name] = np.where(unmeasured, absent, value)
    return values


def _two_lobes(level: np.ndarray, marks: np.ndarray, baseline: np.ndarray, longest_s: float) -> np.ndarray:
    """Largest deviation from `baseline` without sign; of a biphasic wave the sum of both lobes."""
    window, inside = wave_windows(level, marks, longest_s)
    deviation = np.where(inside, window - baseline[..., None], 0)
    up, down = deviation.max(axis=2), -deviation.min(axis=2)
    larger, smaller = np.maximum(up, down), np.minimum(up, down)
    size = np.where(smaller >= BIPHASIC_SHARE * larger, larger + smaller, larger)
    return np.where(inside.any(axis=2), size, np.nan)


def _st_form(level: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """`horizontal` (range below 0.05 mV), else `upslope` or `declination` by the extreme sample against the first."""
    window, inside = wave_windows(level, marks, LONGEST_JT_S)
    change = np.where(inside, window - window[..., :1], 0)
    up, down = change.max(axis=2), -change.min(axis=2)
    form = np.where(up >= down, "upslope", "declination").astype(object)
    form[up + down < HORIZONTAL_ST_MV] = "horizontal"
    form[~inside.any(axis=2)] = None
    return form


__all__ = ["featuredb_sequences"]
