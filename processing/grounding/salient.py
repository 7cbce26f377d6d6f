# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The salient findings of an ECG, which an interpretation should mention, from its measurements."""

import math
from dataclasses import dataclass

from processing.claims.finding import LeadRule
from processing.claims.findings import FINDINGS
from processing.ecg_features import EcgFeatures
from processing.ecg_limits import (
    CLEAR_QRS_MARGIN_MS,
    CLEAR_ST_MARGIN_MV,
    CLEARLY_HIGH_SOKOLOW_LYON_MV,
    CLEARLY_LONG_PR_MS,
    CLEARLY_LOW_VOLTAGE_SHARE,
)
from processing.ecg_rules import (
    abnormal_t_inversion_leads,
    is_clear_axis_deviation,
    is_clearly_long_qtc,
    is_wide_qrs,
    low_voltage_share,
    pathological_q_leads,
    st_depressed_leads,
    st_elevated_leads,
    walls_of,
)

# Salient finding -> the kinds of claims that mention it.
MENTIONED_BY: dict[str, tuple[str, ...]] = {
    name: tuple(row.kind for row in FINDINGS if name in (*row.mentions, row.salient))
    for finding in FINDINGS
    for name in (*finding.mentions, finding.salient)
    if name is not None
}


@dataclass(frozen=True)
class SalientFinding:
    """A finding that should be mentioned, by any supported claim of one of `kinds` (in one of `leads`)."""

    name: str
    kinds: tuple[str, ...]
    leads: tuple[str, ...] = ()
    polarity: str | None = None
    values: tuple[str, ...] = ()


def salient_findings(features: EcgFeatures) -> list[SalientFinding]:
    """Always rate, rhythm, PR (where there are P waves), QRS, QT and axis; beyond that what is clearly abnormal.

    Clearly: ST of 0.1 mV (in V2, V3 more) or an inverted T (aVR and V1 apart) or a pathological Q in two leads of a
    wall; PR above 210 ms, QRS from 130 ms on, QTc (Bazett and Fridericia) 10 ms above its limit, an axis 10 degrees outside
    the normal, limits by sex and age where known; Sokolow-Lyon above 3.85 mV, voltage below 90 % of the limits, P waves without QRS, pacing
    spikes, and the findings whose row names a salient one of their own.
    """
    if not len(features.beat_times):
        return []
    always = {
        "heart rate": math.isfinite(features.heart_rate),
        "rhythm": True,
        "PR interval": features.p_present,
        "QRS duration": True,
        "QT interval": math.isfinite(features.qt_interval),
        "QRS axis": math.isfinite(features.qrs_axis),
    }
    measured = [SalientFinding(name, MENTIONED_BY[name]) for name, holds in always.items() if holds]
    return measured + abnormal_findings(features) + by_wall(features)


def abnormal_findings(features: EcgFeatures) -> list[SalientFinding]:
    """Clear abnormalities of the record as a whole, and findings that their own leads show."""
    found = []
    if features.p_present and features.pr_interval > CLEARLY_LONG_PR_MS:
        found.append(_salient("prolonged PR", values=("prolonged",)))
    if is_wide_qrs(features, margin=CLEAR_QRS_MARGIN_MS):
        found.append(_salient("wide QRS"))
    if is_clearly_long_qtc(features):
        found.append(_salient("prolonged QTc"))
    if is_clear_axis_deviation(features):
        found.append(_salient("axis deviation"))
    if features.sokolow_lyon > CLEARLY_HIGH_SOKOLOW_LYON_MV:
        found.append(_salient("high voltage"))
    if low_voltage_share(features.leads, features.lead_values["qrs_amplitude"]) < CLEARLY_LOW_VOLTAGE_SHARE:
        found.append(_salient("low voltage", polarity="affirmed"))
    if len(features.lone_p_waves) > 1:
        found.append(_salient("P waves without QRS", polarity="affirmed"))
    if len(features.pacing_spikes) > 2:
        found.append(_salient("pacing", values=("paced rhythm",)))
    for finding in FINDINGS:
        if finding.salient is not None and isinstance(finding.rule, LeadRule):
            leads = finding.rule.leads(features, margin=CLEAR_ST_MARGIN_MV)
            if len(leads) >= finding.rule.least:
                name = f"{finding.salient} in {', '.join(leads)}"
                found.append(SalientFinding(name, MENTIONED_BY[finding.salient], leads, "affirmed"))
    return found


def _salient(name: str, polarity: str | None = None, values: tuple[str, ...] = ()) -> SalientFinding:
    return SalientFinding(name, MENTIONED_BY[name], polarity=polarity, values=values)


def by_wall(features: EcgFeatures, st_factor: float = 1.0) -> list[SalientFinding]:
    """ST, T and Q findings that two leads of a wall share; `st_factor` raises the limits of ST."""
    found = []
    for name, leads in (
        (
            "ST elevation",
            st_elevated_leads(features, factor=st_factor, margin=CLEAR_ST_MARGIN_MV),
        ),
        (
            "ST depression",
            st_depressed_leads(features, factor=st_factor, margin=CLEAR_ST_MARGIN_MV),
        ),
        ("T inversion", abnormal_t_inversion_leads(features)),
        ("pathological Q", pathological_q_leads(features)),
    ):
        for here in walls_of(leads).values():
            found.append(SalientFinding(f"{name} in {', '.join(here)}", MENTIONED_BY[name], here, "affirmed"))
    return found


__all__ = ["SalientFinding", "abnormal_findings", "by_wall", "salient_findings"]
