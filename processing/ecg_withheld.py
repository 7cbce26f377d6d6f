# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Withholds measurements if the scale, the leads or the time base of the record are in doubt, or its sampling rate is too low.

A value that depends on something doubtful becomes unknown (NaN, no finding), so that no text, rule or teacher can state it.
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .ecg_beat_measures import SEQUENCES
from .ecg_limits import INTERVALS_FROM_HZ

if TYPE_CHECKING:
    from .ecg_features import EcgFeatures

AMPLITUDE_SEQUENCES: Final = ("P Amplitude", "QRS Amplitude", "T Amplitude", "ST Form")
# All other sequences are times, or made of times.
TIME_SEQUENCES: Final = tuple(name for name in SEQUENCES if name not in AMPLITUDE_SEQUENCES)
TIME_LEAD_VALUES: Final = ("q_duration",)
AREA_LEAD_VALUES: Final = ("qrs_area",)
INTERVALS: Final = (
    "heart_rate", "rr_interval", "p_duration", "pr_interval", "qrs_duration", "qt_interval", "qtc_bazett",
    "qtc_fridericia",
)  # fmt: skip
AXES: Final = ("p_axis", "qrs_axis", "t_axis")
# What needs no more than where the beats are.
OF_RATE: Final = ("heart_rate", "rr_interval", "Heart Rate", "RR Interval 1", "RR Interval 2")
ST_LEVELS: Final = ("st_j", "st_j60", "st_j80")


def without_doubtful(features: "EcgFeatures") -> "EcgFeatures":
    """`features` without the values that depend on something that its `plausibility` doubts.

    Scale: amplitudes, ST levels and forms, voltages, patterns, inverted T and pathological Q waves. Leads: these and the
    axes. Time base: rate, intervals, durations, and pathological Q waves, which are judged by their duration too. A sampling rate below
    `INTERVALS_FROM_HZ`: these but the rate, and ST.
    """
    changes: dict[str, Any] = {}
    lost: set[str] = set()
    lost_lead_values: set[str] = set()
    doubts = features.plausibility
    if doubts.doubts_about("scale", "leads"):
        lost.update(AMPLITUDE_SEQUENCES)
        lost_lead_values.update(name for name in features.lead_values if name not in TIME_LEAD_VALUES)
        changes |= {"sokolow_lyon": math.nan, "cornell": math.nan, "r_transition": None, "qrs_patterns": {}}
        changes |= {"poor_r_progression": False, "low_voltage": False, "t_inversion": (), "pathological_q": ()}
    if doubts.doubts_about("leads"):
        changes |= dict.fromkeys(AXES, math.nan)
    if doubts.doubts_about("time base"):
        lost.update(TIME_SEQUENCES)
        lost_lead_values.update((*TIME_LEAD_VALUES, *AREA_LEAD_VALUES))
        changes |= {**dict.fromkeys(INTERVALS, math.nan), "pathological_q": ()}
    if features.sampling_rate < INTERVALS_FROM_HZ:
        lost.update(name for name in (*TIME_SEQUENCES, "ST Form") if name not in OF_RATE)
        lost_lead_values.update((*TIME_LEAD_VALUES, *ST_LEVELS))
        changes |= {name: math.nan for name in INTERVALS if name not in OF_RATE} | {"pathological_q": ()}
    if not changes:
        return features
    changes["sequences"] = {
        name: _unknown(values) if name in lost else values for name, values in features.sequences.items()
    }
    changes["lead_values"] = {
        name: _unknown(values) if name in lost_lead_values else values for name, values in features.lead_values.items()
    }
    return replace(features, **changes)


def withheld_in_words(features: "EcgFeatures") -> str:
    """A sentence with the verdict on the record and the withheld values; `""` if nothing is in doubt."""
    doubts = features.plausibility
    if doubts.verdict == "ok":
        return ""
    parts = []
    if doubts.doubts_about("scale", "leads"):
        parts.append("amplitudes and everything derived from them")
    if doubts.doubts_about("leads"):
        parts.append("axes")
    if doubts.doubts_about("time base"):
        parts.append("rate and intervals")
    reasons = str(doubts).rstrip(".")
    return f"{reasons}. Withheld: {', '.join(parts)}." if parts else f"{reasons}."


def _unknown(values: np.ndarray) -> np.ndarray:
    return np.full(values.shape, None if values.dtype == object else np.nan, dtype=values.dtype)


__all__ = ["withheld_in_words", "without_doubtful"]
