# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Writes a grounded interpretation from measured features and known labels: a paragraph that names leads, beats and values."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from processing.ecg_features import EcgFeatures
from processing.ecg_limits import PREMATURE_RR_SHARE, SOKOLOW_LYON_MV, incomplete_block_limit
from processing.ecg_record import MAIN_WALLS, WALLS
from processing.ecg_rules import (
    abnormal_t_inversion_leads,
    axis_sector,
    has_sinus_p_waves,
    is_irregular,
    is_long_pr,
    is_long_qtc,
    is_low_voltage,
    is_short_pr,
    is_wide_qrs,
    pathological_q_leads,
    st_depressed_leads,
    st_elevated_leads,
    st_levels,
)
from recipes.sources.statements import RHYTHMS, STATEMENTS, superclass_of, superclasses_of

from .template_reading import beats_in_words, listed

RHYTHMS_WITHOUT_PR = ("AFIB", "AFLT", "PACE")
# How an interpretation names PTB-XL's superclasses, each called likely or unlikely: a closed question has a probability.
CLASS_NAMES = {
    "NORM": "a normal ECG",
    "MI": "infarction",
    "STTC": "ST-T change",
    "CD": "conduction disturbance",
    "HYP": "hypertrophy",
}
VERDICTS = (" unlikely", " likely")
MOST_EARLY_BEATS = 3
MOST_WORDS = 120


@dataclass(frozen=True)
class GroundedAnswer:
    """The steps of an interpretation, each one or more sentences that are supported by the features or the labels."""

    rhythm: str
    intervals: str
    axis: str
    p_wave: str
    qrs: str
    q_wave: str
    st: str
    t_wave: str
    classes: str
    impression: str

    def full_text(self) -> str:
        """All parts as one text, the superclasses after the measurements."""
        # Classes come after the measurements: if they come first, the embedded model is less accurate.
        return " ".join(
            (
                self.rhythm,
                self.intervals,
                self.axis,
                self.p_wave,
                self.qrs,
                self.q_wave,
                self.st,
                self.t_wave,
                self.classes,
                self.impression,
            )
        )


def grounded_answer(features: EcgFeatures, codes: Mapping[str, float]) -> GroundedAnswer:
    """The answer that the embedded model learns, written from measurements and labels.

    Args:
        features: Measurements of the record.
        codes: SCP statements of the record with their likelihoods.
    """
    answer = GroundedAnswer(
        rhythm=_rhythm(features, codes),
        intervals=_intervals(features, codes),
        axis=_axis(features),
        p_wave=_p_wave(features, codes),
        qrs=_qrs(features),
        q_wave=_q_wave(features),
        st=_st(features),
        t_wave=_t_wave(features),
        classes=f"{classes_text(superclasses_of(codes))}.",
        impression="",
    )
    # An impression that is too long is shortened: first the evidence is dropped, then its last statements.
    findings = _impression(features, codes)
    shorter = [words.partition(" (")[0] for words in findings]
    ways = [findings, *(shorter[:count] for count in range(len(shorter), 0, -1))]
    tried = [replace(answer, impression=f"Impression: {'; '.join(way)}.") for way in ways]
    return next((one for one in tried if len(one.full_text().split()) <= MOST_WORDS), tried[-1])


def number(value: float) -> str:
    """A whole number, or "not measurable" for NaN."""
    return "not measurable" if math.isnan(value) else f"{value:.0f}"


def milliseconds(value: float) -> str:
    """Rounded to 2 ms, the sampling interval at 500 Hz."""
    return "not measurable" if math.isnan(value) else f"{2 * round(value / 2)} ms"


def known_rhythm(codes: Mapping[str, float]) -> str:
    """The rhythm that SCP statements name, in words."""
    return next((text for code, text in reversed(RHYTHMS.items()) if code in codes), "undetermined rhythm")


def _rhythm(features: EcgFeatures, codes: Mapping[str, float]) -> str:
    rhythm = known_rhythm(codes)
    regularity = f", {features.rhythm_regularity}" if features.rhythm_regularity else ""
    rate = "rate not measurable" if math.isnan(features.heart_rate) else f"at {features.heart_rate:.0f} bpm"
    early = early_beats(features)
    verb = "comes" if len(early) == 1 else "come"
    premature = f" {_sentence(beats_in_words(early))[:-1]} {verb} early." if early else ""
    return f"{_sentence(f'{rhythm}{regularity}, {rate}')}{premature}"


def early_beats(features: EcgFeatures) -> list[int]:
    """Numbers of the few beats that come early in an otherwise regular rhythm."""
    rr = features.rr_intervals
    if is_irregular(features) or np.isfinite(rr).sum() < 3:
        return []
    early = np.flatnonzero(rr < PREMATURE_RR_SHARE * np.nanmedian(rr)) + 2  # the beat that ends the interval
    return early.tolist() if len(early) <= MOST_EARLY_BEATS else []


def measured_pr(features: EcgFeatures, codes: Mapping[str, float]) -> float:
    """ms; NaN in a rhythm without a PR interval."""
    return math.nan if any(code in codes for code in RHYTHMS_WITHOUT_PR) else features.pr_interval


def pr_text(features: EcgFeatures, codes: Mapping[str, float]) -> str:
    """The PR interval and whether it is beyond its limits, as an answer says it."""
    value = measured_pr(features, codes)
    if math.isnan(value):
        return "PR not measurable"
    beyond = " (prolonged)" if is_long_pr(features) else " (short)" if is_short_pr(features) else ""
    return f"PR {milliseconds(value)}{beyond}"


def qrs_text(features: EcgFeatures) -> str:
    """The QRS duration and whether it is wide, as an answer says it."""
    return f"QRS {milliseconds(features.qrs_duration)}{' (wide)' if is_wide_qrs(features) else ''}"


def qtc_text(features: EcgFeatures) -> str:
    """QTc by Bazett's formula and whether it is prolonged, as an answer says it."""
    return f"QTc {milliseconds(features.qtc_bazett)}{' (prolonged)' if is_long_qtc(features) else ''}"


def _intervals(features: EcgFeatures, codes: Mapping[str, float]) -> str:
    qt = f"QT {milliseconds(features.qt_interval)}"
    return f"{pr_text(features, codes)}, {qrs_text(features)}, {qt}, {qtc_text(features)}."


def _axis(features: EcgFeatures) -> str:
    axis, sector = features.qrs_axis, axis_sector(features.qrs_axis, features.age)
    if sector is None:
        return "The QRS axis is not measurable."
    kind = "normal" if sector == "normal" else f"{sector} axis deviation"
    return f"The QRS axis is {5 * round(axis / 5)} degrees, {kind}."


def _p_wave(features: EcgFeatures, codes: Mapping[str, float]) -> str:
    there = has_sinus_p_waves(features)
    # Where the label denies P waves that are measured, one of the two errs.
    if there is None or (there and ("AFIB" in codes or "AFLT" in codes)):
        return "P waves cannot be told."
    if not there:
        return "No P waves precede the QRS complexes."
    if not features.p_present:
        return "P waves are present, without a fixed relation to the QRS complexes."
    return "P waves precede the QRS complexes."


def _qrs(features: EcgFeatures) -> str:
    forms = [f"{form} in {lead}" for lead in ("V1", "V6") if (form := features.qrs_patterns.get(lead))]
    sokolow = features.sokolow_lyon
    voltage = "" if math.isnan(sokolow) else f"Sokolow-Lyon voltage {sokolow:.1f} mV"
    shape = f"QRS is {' and '.join(forms)}" if forms else ""
    low = "low voltage" if is_low_voltage(features) else ""
    return _sentence(", ".join(filter(None, (shape, voltage, low))) or "QRS form not measurable")


def _q_wave(features: EcgFeatures) -> str:
    leads = pathological_q_leads(features)
    return f"Pathological Q waves in {listed(leads)}." if leads else "No pathological Q waves."


def _st(features: EcgFeatures) -> str:
    at_j, later = st_levels(features, "st_j"), st_levels(features)
    if not later:
        return "The ST segment is not measurable."
    raised = {lead: at_j[lead] for lead in st_elevated_leads(features)}
    lowered = {lead: later[lead] for lead in st_depressed_leads(features)}
    parts = []
    if raised:
        parts.append(f"ST is elevated in {listed(list(raised))} (up to {max(raised.values()):.1f} mV).")
    if lowered:
        parts.append(f"ST is depressed in {listed(list(lowered))} (down to {min(lowered.values()):.1f} mV).")
    return " ".join(parts) or "No significant ST elevation or depression."


def _t_wave(features: EcgFeatures) -> str:
    leads = abnormal_t_inversion_leads(features)
    if not leads:
        return "No abnormal T wave inversion."
    deepest = min(features.lead_value("t_amplitude", lead) for lead in leads)
    return f"T waves are inverted in {listed(leads)} (down to {deepest:.1f} mV)."


def classes_text(stated: Collection[str]) -> str:
    """All superclasses, those in `stated` called likely, as an answer says it."""
    verdicts = (f"{name} is{VERDICTS[code in stated]}" for code, name in CLASS_NAMES.items())
    return _sentence(", ".join(verdicts))[:-1]


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _impression(features: EcgFeatures, codes: Mapping[str, float]) -> list[str]:
    stated = [code for code in STATEMENTS if code in codes and (codes[code] >= 50 or superclass_of(code) is None)]
    if stated != ["NORM"] and "NORM" in stated:
        stated.remove("NORM")
    findings = [f"{STATEMENTS[code][1]}{_evidence(code, features)}" for code in stated]
    return findings or ["no diagnostic statement"]


def _evidence(code: str, features: EcgFeatures) -> str:
    """The measurements that support a statement, in brackets; empty if there are none."""
    found = ""
    if code == "1AVB" and is_long_pr(features):
        found = f"PR {milliseconds(features.pr_interval)}"
    elif code in ("CLBBB", "CRBBB", "IVCD", "IRBBB", "ILBBB") and features.qrs_duration >= incomplete_block_limit(
        features.age
    ):
        found = f"QRS {milliseconds(features.qrs_duration)}"
    elif code in ("LAFB", "LPFB") and not math.isnan(features.qrs_axis):
        found = f"axis {5 * round(features.qrs_axis / 5)} degrees"
    elif code == "LVH" and features.sokolow_lyon >= SOKOLOW_LYON_MV:
        found = f"Sokolow-Lyon {features.sokolow_lyon:.1f} mV"
    elif code == "LNGQT" and not math.isnan(features.qtc_bazett):
        found = f"QTc {milliseconds(features.qtc_bazett)}"
    elif superclass_of(code) == "MI":
        found = _listed("Q in", (lead for lead in _leads_of(code) if lead in pathological_q_leads(features)))
    elif superclass_of(code) == "STTC":
        found = _listed(
            "T inverted in", (lead for lead in _leads_of(code) if lead in abnormal_t_inversion_leads(features))
        )
    return f" ({found})" if found else ""


def _listed(what: str, leads: Iterable[str]) -> str:
    names = ", ".join(leads)
    return f"{what} {names}" if names else ""


def _leads_of(code: str) -> list[str]:
    name = STATEMENTS[code][1].replace("antero", "anterior ").replace("infero", "inferior ")
    leads = [lead for wall in MAIN_WALLS if wall in name for lead in WALLS[wall]]
    return leads or [lead for wall in MAIN_WALLS for lead in WALLS[wall]]


# Questions -> which part of the answer they get. The first question of "full_text" is the processor's default.
QUESTIONS = {
    "full_text": (
        "Interpret this ECG.",
        "Please interpret this ECG.",
        "What does this ECG show?",
        "Describe this electrocardiogram.",
    ),
    "rhythm": ("What is the rhythm?", "What is the heart rate and rhythm?"),
    "intervals": ("What are the intervals?", "How long are the PR, QRS and QT intervals?"),
    "axis": ("What is the axis?", "Is the QRS axis normal?"),
    "p_wave": ("Are there P waves?", "Describe the P waves."),
    "qrs": ("Describe the QRS complexes.", "What do the QRS complexes look like?"),
    "q_wave": ("Are there pathological Q waves?", "Describe the Q waves."),
    "st": ("Are there ST changes?", "Is there ST elevation or depression?"),
    "t_wave": ("Are the T waves inverted?", "Describe the T waves."),
    "classes": ("Which groups of findings are there?", "Which findings are likely?"),
    "impression": ("What is the diagnosis?", "What is your impression?"),
}


def answer_to(kind: str, answer: GroundedAnswer) -> str:
    """The part of `answer` that a question of `kind` (a key of `QUESTIONS`) asks for."""
    return answer.full_text() if kind == "full_text" else getattr(answer, kind)
