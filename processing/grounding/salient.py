# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The salient findings of an ECG by its measurements: what an interpretation ought to mention."""

import math
from dataclasses import dataclass

from processing.claims.tokens import TERRITORIES
from processing.ecg_features import EcgFeatures

from .verdicts import PR_MS, QTC_MS, SOKOLOW_MV, ST_MV, WIDE_QRS_MS

WALLS = ("inferior", "anterior", "lateral")


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
    if features.p_present and features.pr_interval > PR_MS[1] + 10:
        found.append(SalientFinding("prolonged PR", ("pr_interval", "av_block"), values=("prolonged",)))
    if features.qrs_duration > WIDE_QRS_MS + 5:
        found.append(SalientFinding("wide QRS", ("qrs_duration", "rbbb", "lbbb", "bundle_branch_block", "ivcd")))
    if min(features.qtc_bazett, features.qtc_fridericia) > QTC_MS[1] + 20:
        found.append(
            SalientFinding("prolonged QTc", ("qtc_interval", "qtc_bazett", "qtc_fridericia", "qt_interval", "long_qt"))
        )
    if features.qrs_axis < -40 or features.qrs_axis > 100:
        found.append(SalientFinding("axis deviation", ("qrs_axis", "lafb", "lpfb")))
    if features.sokolow_lyon > SOKOLOW_MV + 0.3:
        found.append(SalientFinding("high voltage", ("lvh", "sokolow_lyon", "cornell")))
    if features.low_voltage:
        found.append(SalientFinding("low voltage", ("low_voltage",), polarity="affirmed"))
    if len(features.lone_p_waves) > 1:
        found.append(SalientFinding("P waves without QRS", ("av_block",), polarity="affirmed"))
    if len(features.pacing_spikes) > 2:
        found.append(SalientFinding("pacing", ("rhythm",), values=("paced rhythm",)))
    return found


def by_wall(features: EcgFeatures, st_factor: float = 1.0) -> list[SalientFinding]:
    """ST, T and Q findings that two leads of a wall share; `st_factor` raises the limits of ST."""
    st = dict(zip(features.leads, features.lead_values["st_j60"].tolist(), strict=True))
    raised = [
        lead
        for lead, level in st.items()
        if level >= st_factor * (0.2 if lead in ("V2", "V3") else ST_MV) + 0.02 and lead != "aVR"
    ]
    lowered = [lead for lead, level in st.items() if level <= -st_factor * ST_MV - 0.02 and lead != "aVR"]
    inverted = [lead for lead in features.t_inversion if lead not in ("aVR", "V1")]
    found = []
    for name, kinds, leads in (
        ("ST elevation", ("st_elevation", "infarction"), raised),
        ("ST depression", ("st_depression", "ischemia"), lowered),
        ("T inversion", ("t_inversion", "t_abnormality"), inverted),
        ("pathological Q", ("pathological_q", "infarction"), list(features.pathological_q)),
    ):
        for wall in WALLS:
            here = tuple(lead for lead in TERRITORIES[wall] if lead in leads)
            if len(here) >= 2:
                found.append(SalientFinding(f"{name} in {', '.join(here)}", kinds, here, "affirmed"))
    return found


__all__ = ["SalientFinding", "abnormal_findings", "by_wall", "salient_findings"]
