# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Writes a grounded interpretation from measured features and known labels: every line names its leads and values."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from processing.ecg_features import EcgFeatures
from processing.ecg_limits import SOKOLOW_LYON_MV, incomplete_block_limit
from processing.ecg_record import MAIN_WALLS, WALLS
from processing.ecg_rules import (
    abnormal_t_inversion_leads,
    axis_sector,
    is_long_pr,
    is_low_voltage,
    pathological_q_leads,
    st_depressed_leads,
    st_elevated_leads,
    st_levels,
)
from recipes.sources.statements import RHYTHMS, STATEMENTS, superclass_of, superclasses_of

RHYTHMS_WITHOUT_PR = ("AFIB", "AFLT", "PACE")
# How an interpretation names PTB-XL's superclasses, each with a yes or a no: a closed question has a probability.
CLASS_NAMES = {
    "NORM": "Normal",
    "MI": "Infarction",
    "STTC": "ST-T change",
    "CD": "Conduction disturbance",
    "HYP": "Hypertrophy",
}


@dataclass(frozen=True)
class GroundedAnswer:
    """The lines of an interpretation, each a claim that the features bear out."""

    rhythm: str
    intervals: str
    axis: str
    st: str
    t_wave: str
    q_wave: str
    voltage: str
    classes: str
    impression: str

    def full_text(self) -> str:
        """All parts as one text, the superclasses behind the measurements."""
        # Classes behind the measurements: asked for them at once, the embedded model tells them apart less well.
        return (
            f"Rhythm: {self.rhythm}. Intervals: {self.intervals}. Axis: {self.axis}. ST: {self.st}. T waves: {self.t_wave}. "
            f"Q waves: {self.q_wave}. Voltage: {self.voltage}. {self.classes}. "
            f"Impression: {self.impression}."
        )


def grounded_answer(features: EcgFeatures, codes: Mapping[str, float]) -> GroundedAnswer:
    """The answer that the embedded model learns, written from measurements and labels.

    Args:
        features: Measurements of the record.
        codes: SCP statements of the record with their likelihoods.
    """
    rhythm = next((text for code, text in reversed(RHYTHMS.items()) if code in codes), "undetermined rhythm")
    pr_interval = math.nan if any(code in codes for code in RHYTHMS_WITHOUT_PR) else features.pr_interval
    regularity = f", {features.rhythm_regularity}" if features.rhythm_regularity else ""
    return GroundedAnswer(
        rhythm=f"{rhythm}{regularity}, {number(features.heart_rate)} bpm",
        intervals=(
            f"PR {milliseconds(pr_interval)}, QRS {milliseconds(features.qrs_duration)}, "
            f"QT {milliseconds(features.qt_interval)}, QTc {milliseconds(features.qtc_bazett)}"
        ),
        axis=_axis(features),
        st=_st(features),
        t_wave=f"inverted in {', '.join(leads)}"
        if (leads := abnormal_t_inversion_leads(features))
        else "no inversion",
        q_wave=f"pathological in {', '.join(pathological_q_leads(features))}"
        if pathological_q_leads(features)
        else "not pathological",
        voltage=_voltage(features),
        classes=classes_text(superclasses_of(codes)),
        impression=_impression(features, codes),
    )


def number(value: float) -> str:
    """A whole number, or "not measurable" for NaN."""
    return "not measurable" if math.isnan(value) else f"{value:.0f}"


def milliseconds(value: float) -> str:
    """Rounded to 2 ms, the sampling interval at 500 Hz."""
    return "not measurable" if math.isnan(value) else f"{2 * round(value / 2)} ms"


def _axis(features: EcgFeatures) -> str:
    axis, sector = features.qrs_axis, axis_sector(features.qrs_axis, features.age)
    if sector is None:
        return "not measurable"
    kind = {"normal": "normal", "left": "left deviation"}.get(sector, "right deviation")
    return f"{5 * round(axis / 5)} degrees, {kind}"


def _st(features: EcgFeatures) -> str:
    at_j, later = st_levels(features, "st_j"), st_levels(features)
    raised = {lead: at_j[lead] for lead in st_elevated_leads(features)}
    lowered = {lead: later[lead] for lead in st_depressed_leads(features)}
    parts = []
    if raised:
        parts.append(f"elevated in {', '.join(raised)} (up to {max(raised.values()):.1f} mV)")
    if lowered:
        parts.append(f"depressed in {', '.join(lowered)} (down to {min(lowered.values()):.1f} mV)")
    return "; ".join(parts) or "no deviation"


def _voltage(features: EcgFeatures) -> str:
    sokolow = "not measurable" if math.isnan(features.sokolow_lyon) else f"{features.sokolow_lyon:.1f} mV"
    return f"Sokolow-Lyon {sokolow}{', low voltage' if is_low_voltage(features) else ''}"


def classes_text(stated: Collection[str]) -> str:
    """All superclasses, a yes behind those in `stated`, as an answer says it."""
    return ". ".join(f"{name}: {'yes' if code in stated else 'no'}" for code, name in CLASS_NAMES.items())


def _impression(features: EcgFeatures, codes: Mapping[str, float]) -> str:
    stated = [code for code in STATEMENTS if code in codes and (codes[code] >= 50 or superclass_of(code) is None)]
    if stated != ["NORM"] and "NORM" in stated:
        stated.remove("NORM")
    findings = [f"{STATEMENTS[code][1]}{_evidence(code, features)}" for code in stated]
    return "; ".join(findings) or "no diagnostic statement"


def _evidence(code: str, features: EcgFeatures) -> str:
    """What in the measurements speaks for a statement, in brackets; empty where nothing measured does."""
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
    "st": ("Are there ST changes?", "Is there ST elevation or depression?"),
    "t_wave": ("Are the T waves inverted?", "Describe the T waves."),
    "classes": ("Is this ECG normal?", "Which groups of findings are there?"),
    "impression": ("What is the diagnosis?", "What is your impression?"),
}


def answer_to(kind: str, answer: GroundedAnswer) -> str:
    """The part of `answer` that a question of `kind` (a key of `QUESTIONS`) asks for, as a sentence."""
    if kind == "full_text":
        return answer.full_text()
    text = getattr(answer, kind)
    if kind == "st":
        text = f"ST {text}"
    elif kind == "t_wave":
        text = f"T waves {text}"
    return f"{text[0].upper()}{text[1:]}."
