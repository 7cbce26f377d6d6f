# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Questions about one ECG, and their answers from its measurements and labels."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from processing.ecg_features import EcgFeatures
from processing.ecg_record import MAIN_WALLS, STANDARD_LEADS, WALLS
from processing.ecg_rules import (
    abnormal_t_inversion_leads,
    pathological_q_leads,
    st_depressed_leads,
    st_elevated_leads,
)
from processing.grounding.check import check_grounding
from processing.grounding.verdicts import CONTRADICTED
from recipes.sources.statements import STATEMENTS, superclass_of, superclasses_of

from .grounded_answer import GroundedAnswer, grounded_answer, milliseconds, pr_text, qrs_text, qtc_text
from .template_reading import listed

# Questions that no ECG can answer, with the words of the answer.
BEYOND_AN_ECG = {
    "What is the blood pressure?": "the blood pressure",
    "How old is the patient?": "the age",
    "Is the patient a man or a woman?": "the sex",
    "Does the patient have chest pain?": "symptoms",
    "What is the ejection fraction?": "the ejection fraction",
    "Which drugs does the patient take?": "the medication",
    "What is the patient's name?": "the name",
    "What is the troponin?": "the troponin",
    "How long will the patient live?": "the prognosis",
    "Are the coronary arteries narrowed?": "the coronary arteries",
}
CHEST_AND_LIMB_LEADS = tuple(lead for lead in STANDARD_LEADS if lead != "aVR")
HEART_BLOCKS = ("1AVB", "2AVB", "3AVB", "LAFB", "LPFB", "IRBBB", "CRBBB", "CLBBB", "ILBBB")


@dataclass(frozen=True)
class Known:
    """What is known about an ECG.

    Attributes:
        features: its measurements.
        codes: SCP statements with their likelihoods in percent.
    """

    features: EcgFeatures
    codes: Mapping[str, float]

    @property
    def answer(self) -> GroundedAnswer:
        """The steps of its interpretation."""
        return grounded_answer(self.features, self.codes)

    def stated(self, superclass: str) -> list[str]:
        """Statements of a superclass in words."""
        return [
            STATEMENTS[code][1]
            for code in STATEMENTS
            if self.codes.get(code, 0) > 0 and superclass_of(code) == superclass
        ]


Asked = tuple[str, str]  # question and answer


def _pick(rng: np.random.Generator, *wordings: str) -> str:
    return wordings[int(rng.integers(len(wordings)))]


def _rate(known: Known, rng: np.random.Generator) -> Asked:
    rate = known.features.heart_rate
    answer = "not measurable" if math.isnan(rate) else f"{rate:.0f} bpm"
    return _pick(rng, "What is the heart rate?", "How fast is the heart?"), f"The heart rate is {answer}."


def _interval(question: str, name: str, text: Callable[[Known], str]) -> Callable[[Known, np.random.Generator], Asked]:
    def ask(known: Known, rng: np.random.Generator) -> Asked:
        return _pick(rng, question, f"What is the {name}?"), f"{text(known)}."

    return ask


def _part(kind: str, *wordings: str) -> Callable[[Known, np.random.Generator], Asked]:
    def ask(known: Known, rng: np.random.Generator) -> Asked:
        return _pick(rng, *wordings), getattr(known.answer, kind)

    return ask


Finder = Callable[[EcgFeatures], tuple[str, ...]]
LEAD_FINDINGS: dict[str, Finder] = {
    "ST elevation": st_elevated_leads,
    "ST depression": st_depressed_leads,
    "T wave inversion": abnormal_t_inversion_leads,
    "pathological Q waves": pathological_q_leads,
}


def _cannot_be_denied(finding: str, lead: str, features: EcgFeatures) -> bool:
    """A lead may show by itself what its neighbours do not confirm."""
    return check_grounding(f"No {finding} in lead {lead}.", features).count(CONTRADICTED) > 0


def _in_place(finding: str, places: Mapping[str, tuple[str, ...]]) -> Callable[[Known, np.random.Generator], Asked]:
    def ask(known: Known, rng: np.random.Generator) -> Asked:
        shown = LEAD_FINDINGS[finding](known.features)
        # Half of the questions are about a place that shows it, where there is one: else the answer is nearly always no.
        likely = [place for place, leads in places.items() if set(leads) & set(shown)]
        names = likely if likely and rng.random() < 0.5 else list(places)
        place = names[int(rng.integers(len(names)))]
        found = [lead for lead in places[place] if lead in shown or _cannot_be_denied(finding, lead, known.features)]
        question = f"{'Are' if finding.endswith('waves') else 'Is'} there {finding} in {place}?"
        return question, f"Yes, {finding} in {listed(found)}." if found else f"No, no {finding} in {place}."

    return ask


def _verdict(superclass: str, what: str, *wordings: str) -> Callable[[Known, np.random.Generator], Asked]:
    def ask(known: Known, rng: np.random.Generator) -> Asked:
        stated = known.stated(superclass)
        return _pick(rng, *wordings), f"Yes, {listed(stated)}." if stated else f"No sign of {what}."

    return ask


def _normal(known: Known, rng: np.random.Generator) -> Asked:
    is_normal = "NORM" in superclasses_of(known.codes)
    question = _pick(rng, "Is this ECG normal?", "Is this a normal ECG?", "Is everything normal?")
    return question, f"{'Yes' if is_normal else 'No'}. {known.answer.impression}"


def _block(known: Known, rng: np.random.Generator) -> Asked:
    blocks = [STATEMENTS[code][1] for code in HEART_BLOCKS if known.codes.get(code, 0) > 0]
    question = _pick(rng, "Is there a block?", "Is there any bundle branch block or AV block?")
    return question, f"Yes, {listed(blocks)}." if blocks else "No sign of a block."


def _why(known: Known, rng: np.random.Generator) -> Asked:
    answer = known.answer
    steps = (answer.rhythm, answer.intervals, answer.axis, answer.qrs, answer.q_wave, answer.st, answer.t_wave)
    question = _pick(rng, "Why?", "Why do you think so?", "What speaks for your impression?")
    return question, " ".join((answer.impression, *steps))


def _beyond(known: Known, rng: np.random.Generator) -> Asked:
    question, what = list(BEYOND_AN_ECG.items())[int(rng.integers(len(BEYOND_AN_ECG)))]
    return question, f"An ECG cannot tell {what}."


_WALLS = {f"the {wall} leads": WALLS[wall] for wall in MAIN_WALLS}
_LEADS = {f"lead {lead}": (lead,) for lead in CHEST_AND_LIMB_LEADS}
# Kind -> a question of it and its answer, for an ECG of which this much is known. ECG-QA's templates of one ECG ("Does this ECG
# show symptoms of ...?") are among the wordings.
KINDS: dict[str, Callable[[Known, np.random.Generator], Asked]] = {
    "rhythm": _part("rhythm", "What is the rhythm?", "What is the heart rate and rhythm?", "Is this sinus rhythm?"),
    "rate": _rate,
    "axis": _part("axis", "What is the axis?", "Is the QRS axis normal?", "What direction is this ECG deviated to?"),
    "PR": _interval("How long is the PR interval?", "PR interval", lambda known: pr_text(known.features, known.codes)),
    "QRS": _interval("How wide is the QRS complex?", "QRS duration", lambda known: qrs_text(known.features)),
    "QT": _interval(
        "How long is the QT interval?", "QT interval", lambda known: f"QT {milliseconds(known.features.qt_interval)}"
    ),
    "QTc": _interval("How long is the QTc?", "corrected QT interval", lambda known: qtc_text(known.features)),
    "ST": _part("st", "Are there ST changes?", "Is there ST elevation or depression?"),
    "T waves": _part("t_wave", "Are the T waves inverted?", "Describe the T waves."),
    "Q waves": _part("q_wave", "Are there pathological Q waves?", "Describe the Q waves."),
    "P waves": _part("p_wave", "Are there P waves?", "Describe the P waves."),
    **{f"{finding} by lead": _in_place(finding, _LEADS) for finding in LEAD_FINDINGS},
    **{f"{finding} by wall": _in_place(finding, _WALLS) for finding in LEAD_FINDINGS},
    "infarction": _verdict(
        "MI",
        "infarction",
        "Is there an infarction?",
        "Does this ECG show symptoms of myocardial infarction?",
        "Has the patient had a heart attack?",
    ),
    "block": _block,
    "conduction disturbance": _verdict(
        "CD",
        "conduction disturbance",
        "Is there a conduction disturbance?",
        "Does this ECG show symptoms of conduction disturbance?",
    ),
    "hypertrophy": _verdict(
        "HYP", "hypertrophy", "Is there hypertrophy?", "Does this ECG show symptoms of hypertrophy?"
    ),
    "ST-T change": _verdict(
        "STTC", "ST-T change", "Are there ST-T changes?", "Does this ECG show symptoms of ST/T change?"
    ),
    "normal": _normal,
    "impression": _part("impression", "What is the diagnosis?", "What is your impression?"),
    "why": _why,
    "beyond an ECG": _beyond,
}


def ask(kind: str, known: Known, rng: np.random.Generator) -> Asked:
    """A question of `kind` (of `KINDS`) and its answer."""
    return KINDS[kind](known, rng)


__all__ = ["BEYOND_AN_ECG", "KINDS", "Asked", "Known", "ask"]
