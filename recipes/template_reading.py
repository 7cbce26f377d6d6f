# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A reading in prose from the measurements alone: step by step, every value with its lead, and its beats where they differ."""

import math
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from processing.ecg_features import EcgFeatures

TEMPLATE_VERSION = "v1"
EARLY = 0.85  # a beat is early when its RR is below this share of the median RR
WIDER_MS = 40.0  # one small square of the paper more than the usual beat
MOST_BEATS_NAMED = 3
PR_LIMIT_MS = 200.0  # ACC/AHA/HRS 2018, bradycardia and conduction delay
WIDE_QRS_MS = 120.0  # AHA/ACCF/HRS 2009, part III
NORMAL_AXIS = (-30.0, 90.0)  # degrees, AHA/ACCF/HRS 2009, part III
ST_LIMIT_MV, ST_LIMIT_V2_V3_MV = 0.1, 0.2  # elevation, fourth universal definition of myocardial infarction, 2018
SOKOLOW_LIMIT_MV = 3.5  # Sokolow and Lyon 1949


def long_reading(features: EcgFeatures, impression: Sequence[str]) -> str:
    """
    Args:
        features: of an ECG with beats.
        impression: settled diagnoses in words.
    """
    sentences = [
        *_rate(features),
        *_rhythm(features, impression),
        *_p_wave(features, impression),
        *_axis(features),
        *_qrs(features),
        *_progression(features),
        *_st(features),
        *_t_wave(features),
        *_qt(features),
    ]
    return " ".join([*sentences, f"Impression: {'; '.join(impression)}."])


def is_rhythm(words: str) -> bool:
    """A diagnosis that names the rhythm."""
    return any(part in words for part in ("rhythm", "fibrillation", "flutter", "sinus", "tachycardia", "bradycardia"))


def beats_in_words(numbers: Sequence[int]) -> str:
    """`beat 5`, `beats 3-6 and 9` from beat numbers."""
    runs = [
        [number for _, number in run]
        for _, run in groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0])
    ]
    parts = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"beat{'s' if len(numbers) > 1 else ''} {listed}"


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _sequence(features: EcgFeatures, name: str, lead: str) -> np.ndarray:
    return features.sequence(name, lead).astype(np.float64)


def _median(features: EcgFeatures, name: str, lead: str) -> float:
    if lead not in features.leads:
        return math.nan
    values = _sequence(features, name, lead)
    return float(np.median(values[np.isfinite(values)])) if np.isfinite(values).any() else math.nan


def _lead_value(features: EcgFeatures, name: str, lead: str) -> float:
    return features.lead_value(name, lead) if lead in features.leads else math.nan


def _rr(features: EcgFeatures) -> np.ndarray:
    """ms to the previous beat, NaN at the first."""
    return np.concatenate([[np.nan], np.diff(features.beat_times) * 1000])


def _rate(features: EcgFeatures) -> list[str]:
    if math.isnan(features.heart_rate):
        return ["The heart rate is not measurable."]
    rr = _rr(features)[1:]
    return [
        f"The heart rate is {features.heart_rate:.0f} bpm, with RR intervals from {rr.min():.0f} to {rr.max():.0f} ms."
    ]


def _rhythm(features: EcgFeatures, impression: Sequence[str]) -> list[str]:
    rhythm = next((words for words in impression if is_rhythm(words)), None)
    sentences = []
    if features.rhythm_regularity:
        named = f", {rhythm}" if rhythm else ""
        sentences.append(f"The rhythm is {features.rhythm_regularity}{named}.")
    rr = _rr(features)
    early = np.flatnonzero(rr < EARLY * np.nanmedian(rr)) + 1 if len(rr) > 3 else np.zeros(0, dtype=int)
    if features.rhythm_regularity != "irregular" and 0 < len(early) <= MOST_BEATS_NAMED:
        sentences += [
            f"Beat {number} comes early, {rr[number - 1]:.0f} ms after beat {number - 1}." for number in early
        ]
    if features.lone_p_waves.size and features.p_present:
        sentences.append(f"{len(features.lone_p_waves)} P waves are not followed by a QRS complex.")
    return sentences


def _p_wave(features: EcgFeatures, impression: Sequence[str]) -> list[str]:
    lead = _rhythm_lead(features)
    fibrillates = any("fibrillation" in words or "flutter" in words for words in impression)
    sinus = any("sinus" in words or words == "normal ECG" for words in impression)
    if (fibrillates and features.p_present) or (sinus and not features.p_present):
        return []  # what speaks against a settled finding is left out
    if not features.p_present:
        return ["No P waves precede the QRS complexes, so that the PR interval is not measurable."]
    height, width, pr = (_median(features, name, lead) for name in ("P Amplitude", "P Duration", "PR Interval"))
    if math.isnan(pr):
        return ["The PR interval is not measurable."]
    sentences = [
        f"In lead {lead} the P wave is {height:.2f} mV high and {width:.0f} ms long, and the PR interval is {pr:.0f} ms."
    ]
    values = _sequence(features, "PR Interval", lead)
    long = np.flatnonzero(values > PR_LIMIT_MS) + 1
    if len(long) and features.pr_interval > PR_LIMIT_MS:
        every = "in all beats" if len(long) == len(values) else f"in {beats_in_words(long.tolist())}"
        sentences.append(f"The PR interval is prolonged beyond 200 ms in lead {lead} {every}.")
    return sentences


def _axis(features: EcgFeatures) -> list[str]:
    axis = features.qrs_axis
    if math.isnan(axis):
        return ["The QRS axis is not measurable."]
    low, high = NORMAL_AXIS
    if low <= axis <= high:
        return [f"The QRS axis is normal at {axis:.0f} degrees."]
    side = "left" if -90 <= axis < low else "right" if high < axis <= 180 else "far right"
    if side == "far right":
        return [f"The QRS axis is {axis:.0f} degrees."]
    return [f"The QRS axis is {axis:.0f} degrees, {side} axis deviation."]


def _qrs(features: EcgFeatures) -> list[str]:
    if math.isnan(features.qrs_duration):
        return ["The QRS duration is not measurable."]
    width = features.qrs_duration
    text = f"The QRS duration is {width:.0f} ms" + (", wider than 120 ms" if width > WIDE_QRS_MS else "")
    forms = [
        f"the complex in {lead} is {features.qrs_patterns[lead]}"
        for lead in ("V1", "V6")
        if lead in features.qrs_patterns
    ]
    sentences = [f"{'; '.join([text, *forms])}."]
    sentences += _wide_beats(features)
    if features.pathological_q:
        sentences.append(f"Pathological Q waves stand in {listed(features.pathological_q)}.")
        depths = {lead: abs(_lead_value(features, "q_amplitude", lead)) for lead in features.pathological_q}
        deepest = max(depths, key=lambda lead: depths[lead] if math.isfinite(depths[lead]) else 0.0)
        if len(depths) > 1 and math.isfinite(depths[deepest]):
            sentences.append(f"The Q wave in lead {deepest} is {depths[deepest]:.2f} mV deep.")
    if math.isfinite(features.sokolow_lyon):
        beyond = ", above 3.5 mV" if features.sokolow_lyon >= SOKOLOW_LIMIT_MV else ""
        sentences.append(f"The Sokolow-Lyon voltage is {features.sokolow_lyon:.2f} mV{beyond}.")
    if features.low_voltage:
        sentences.append("There is low voltage.")
    return sentences


def _wide_beats(features: EcgFeatures) -> list[str]:
    """The few beats that are much wider than the others in lead II."""
    lead = _rhythm_lead(features)
    values = _sequence(features, "QRS Duration", lead)
    usual = np.nanmedian(values) if np.isfinite(values).any() else np.nan
    wide = np.flatnonzero(values > usual + WIDER_MS) + 1
    if len(wide) > MOST_BEATS_NAMED:
        return []
    return [
        f"In lead {lead} beat {number} is wide, with a QRS duration of {values[number - 1]:.0f} ms." for number in wide
    ]


def _rhythm_lead(features: EcgFeatures) -> str:
    return "II" if "II" in features.leads else features.leads[0]


def _progression(features: EcgFeatures) -> list[str]:
    first, fourth = (_lead_value(features, "r_amplitude", lead) for lead in ("V1", "V4"))
    if math.isnan(first) or math.isnan(fourth):
        return []
    text = f"The R wave measures {max(first, 0):.2f} mV in V1 and {max(fourth, 0):.2f} mV in V4"
    if features.poor_r_progression:
        return [f"{text}, a poor R progression."]
    return [f"{text}; it exceeds the S wave from {features.r_transition} on." if features.r_transition else f"{text}."]


def _st(features: EcgFeatures) -> list[str]:
    levels = {lead: _lead_value(features, "st_j60", lead) for lead in features.leads if lead != "aVR"}
    measured = {lead: level for lead, level in levels.items() if math.isfinite(level)}
    if not measured:
        return ["The ST segment is not measurable."]
    limits = {lead: ST_LIMIT_V2_V3_MV if lead in ("V2", "V3") else ST_LIMIT_MV for lead in measured}
    raised = [f"{lead} ({level:.2f} mV)" for lead, level in measured.items() if level >= limits[lead]]
    lowered = [f"{lead} ({level:.2f} mV)" for lead, level in measured.items() if level <= -ST_LIMIT_MV]
    sentences = []
    if raised:
        sentences.append(f"The ST segment is elevated in {listed(raised)}.")
    if lowered:
        sentences.append(f"The ST segment is depressed in {listed(lowered)}.")
    if not sentences:
        largest = max(measured, key=lambda lead: abs(measured[lead]))
        sentences.append(
            f"There is no significant ST elevation or depression; the ST level is {round(measured[largest], 2) + 0.0:.2f} mV "
            f"in lead {largest}."
        )
    return sentences


def _t_wave(features: EcgFeatures) -> list[str]:
    def amplitudes(leads: Sequence[str], keep: Callable[[float], bool]) -> list[str]:
        values = ((lead, _lead_value(features, "t_amplitude", lead)) for lead in leads)
        return [f"{lead} ({value:.2f} mV)" for lead, value in values if math.isfinite(value) and keep(value)]

    inverted = amplitudes(
        [lead for lead in features.t_inversion if lead not in ("aVR", "V1")], lambda value: value < 0
    )
    upright = amplitudes(("II", "V5"), lambda value: value > 0.05)
    sentences = [f"The T wave is inverted in {listed(inverted)}."] if inverted else []
    if upright:
        sentences.append(f"The T wave is upright in {listed(upright)}.")
    return sentences


def _qt(features: EcgFeatures) -> list[str]:
    if math.isnan(features.qt_interval):
        return ["The QT interval is not measurable."]
    text = f"The QT interval is {features.qt_interval:.0f} ms"
    if math.isnan(features.qtc_bazett):
        return [f"{text}."]
    return [f"{text}, corrected by Bazett's formula QTc {features.qtc_bazett:.0f} ms."]


__all__ = ["TEMPLATE_VERSION", "beats_in_words", "is_rhythm", "listed", "long_reading"]
