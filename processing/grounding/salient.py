# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The salient findings of an ECG by its measurements: what an interpretation ought to mention."""

import math
from dataclasses import dataclass

from processing.ecg_features import EcgFeatures
from processing.ecg_limits import (
    CLEAR_ST_MARGIN_MV,
    CLEARLY_HIGH_SOKOLOW_LYON_MV,
    CLEARLY_LEFT_AXIS_DEG,
    CLEARLY_LONG_PR_MS,
    CLEARLY_LONG_QTC_MS,
    CLEARLY_RIGHT_AXIS_DEG,
    CLEARLY_WIDE_QRS_MS,
)
from processing.ecg_rules import (
    abnormal_t_inversion_leads,
    is_low_voltage,
    pathological_q_leads,
    st_depressed_leads,
    st_elevated_leads,
    walls_of,
)


@dataclass(frozen=True)
class SalientFinding:
    """Something that ought to be mentioned: any claim of one of `kinds` that is borne out (in one of `leads`) does."""

    name: str
    kinds: tuple[str, ...]
    leads: tuple[str, ...] = ()
    polarity: str | None = None
    values: tuple[str, ...] = ()


def salient_findings(features: EcgFeatures) -> list[SalientFinding]:
    """Always rate, rhythm, PR (where there are P waves), QRS, QT and axis; beyond that what is clearly abnormal.

    Clearly: ST of 0.1 mV (0.2 mV in V2, V3) or an inverted T (aVR and V1 apart) or a pathological Q in two leads of a
    wall; PR above 210 ms, QRS above 125 ms, QTc (Bazett and Fridericia) above 470 ms, an axis 10 degrees outside the
    normal, Sokolow-Lyon above 3.8 mV, low voltage, P waves without QRS, pacing spikes.
    """
    if not len(features.beat_times):
        return []
    found = [SalientFinding("heart rate", ("heart_rate",))] if math.isfinite(features.heart_rate) else []
    found.append(SalientFinding("rhythm", ("rhythm", "regularity", "p_waves", "bigeminy")))
    if features.p_present:
        found.append(SalientFinding("PR interval", ("pr_interval", "av_block")))
    found.append(SalientFinding("QRS duration", ("qrs_duration", "rbbb", "lbbb", "bundle_branch_block", "ivcd")))
    if math.isfinite(features.qt_interval):
        found.append(
            SalientFinding("QT interval", ("qt_interval", "qtc_interval", "qtc_bazett", "qtc_fridericia", "long_qt"))
        )
    if math.isfinite(features.qrs_axis):
        found.append(SalientFinding("QRS axis", ("qrs_axis", "lafb", "lpfb")))
    return found + abnormal_findings(features) + by_wall(features)


def abnormal_findings(features: EcgFeatures) -> list[SalientFinding]:
    """What is clearly abnormal in the record as a whole."""
    found = []
    if features.p_present and features.pr_interval > CLEARLY_LONG_PR_MS:
        found.append(SalientFinding("prolonged PR", ("pr_interval", "av_block"), values=("prolonged",)))
    if features.qrs_duration > CLEARLY_WIDE_QRS_MS:
        found.append(SalientFinding("wide QRS", ("qrs_duration", "rbbb", "lbbb", "bundle_branch_block", "ivcd")))
    if min(features.qtc_bazett, features.qtc_fridericia) > CLEARLY_LONG_QTC_MS:
        found.append(
            SalientFinding("prolonged QTc", ("qtc_interval", "qtc_bazett", "qtc_fridericia", "qt_interval", "long_qt"))
        )
    if features.qrs_axis < CLEARLY_LEFT_AXIS_DEG or features.qrs_axis > CLEARLY_RIGHT_AXIS_DEG:
        found.append(SalientFinding("axis deviation", ("qrs_axis", "lafb", "lpfb")))
    if features.sokolow_lyon > CLEARLY_HIGH_SOKOLOW_LYON_MV:
        found.append(SalientFinding("high voltage", ("lvh", "sokolow_lyon", "cornell")))
    if is_low_voltage(features):
        found.append(SalientFinding("low voltage", ("low_voltage",), polarity="affirmed"))
    if len(features.lone_p_waves) > 1:
        found.append(SalientFinding("P waves without QRS", ("av_block",), polarity="affirmed"))
    if len(features.pacing_spikes) > 2:
        found.append(SalientFinding("pacing", ("rhythm",), values=("paced rhythm",)))
    return found


def by_wall(features: EcgFeatures, st_factor: float = 1.0) -> list[SalientFinding]:
    """ST, T and Q findings that two leads of a wall share; `st_factor` raises the limits of ST."""
    found = []
    for name, kinds, leads in (
        (
            "ST elevation",
            ("st_elevation", "infarction"),
            st_elevated_leads(features, factor=st_factor, margin=CLEAR_ST_MARGIN_MV),
        ),
        (
            "ST depression",
            ("st_depression", "ischemia"),
            st_depressed_leads(features, factor=st_factor, margin=CLEAR_ST_MARGIN_MV),
        ),
        ("T inversion", ("t_inversion", "t_abnormality"), abnormal_t_inversion_leads(features)),
        ("pathological Q", ("pathological_q", "infarction"), pathological_q_leads(features)),
    ):
        for here in walls_of(leads).values():
            found.append(SalientFinding(f"{name} in {', '.join(here)}", kinds, here, "affirmed"))
    return found


__all__ = ["SalientFinding", "abnormal_findings", "by_wall", "salient_findings"]
