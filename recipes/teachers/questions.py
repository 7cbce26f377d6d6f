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
from recipes.sources.statements import RHYTHMS, STATEMENTS, superclass_of, superclasses_of

from .grounded_answer import GroundedAnswer, grounded_answer, milliseconds, pr_text, qrs_text, qtc_text
from .hurried import hurried
from .off_topic import OFF_TOPIC, off_topic
from .template_reading import listed
from .wordings import BEYOND_AN_ECG, pick, wording
from .yes_or_no import asked_briefly

CHEST_AND_LIMB_LEADS = tuple(lead for lead in STANDARD_LEADS if lead != "aVR")
BAD = ("flat", "missing", "poor")  # verdicts of a lead
BEYOND_BEGINS = "An ECG cannot tell"
HEART_BLOCKS = ("1AVB", "2AVB", "3AVB", "LAFB", "LPFB", "IRBBB", "CRBBB", "CLBBB", "ILBBB")


# Diagnoses that people ask about: how an answer says them, in small letters -> how questions do.
NAMED: dict[str, tuple[str, ...]] = {
    **{rhythm: (rhythm,) for rhythm in RHYTHMS.values()},
    "sinus rhythm": ("sinus rhythm", "normal sinus rhythm"),
    "sinus tachycardia": ("sinus tachycardia", "sinus tach"),
    "sinus bradycardia": ("sinus bradycardia", "sinus brady"),
    "atrial fibrillation": ("atrial fibrillation", "AF", "AFib", "a-fib"),
    "atrial flutter": ("atrial flutter", "flutter"),
    "paced rhythm": ("a paced rhythm", "pacing", "a pacemaker rhythm"),
    "left ventricular hypertrophy": ("left ventricular hypertrophy", "LVH", "hypertrophy of the left ventricle"),
    "right ventricular hypertrophy": ("right ventricular hypertrophy", "RVH", "hypertrophy of the right ventricle"),
    "left atrial enlargement": ("left atrial enlargement", "an enlarged left atrium"),
    "right atrial enlargement": ("right atrial enlargement", "an enlarged right atrium"),
    "complete left bundle branch block": ("left bundle branch block", "complete left bundle branch block", "LBBB"),
    "complete right bundle branch block": ("right bundle branch block", "complete right bundle branch block", "RBBB"),
    "incomplete right bundle branch block": ("incomplete right bundle branch block", "incomplete RBBB"),
    "left anterior fascicular block": ("left anterior fascicular block", "left anterior hemiblock", "LAFB"),
    "left posterior fascicular block": ("left posterior fascicular block", "left posterior hemiblock", "LPFB"),
    "intraventricular conduction disturbance": (
        "intraventricular conduction disturbance",
        "intraventricular delay",
        "IVCD",
    ),
    "first degree av block": ("first degree AV block", "1st degree heart block", "AV block I"),
    "second degree av block": ("second degree AV block", "2nd degree heart block"),
    "third degree av block": ("third degree AV block", "complete heart block"),
    "wolff-parkinson-white": ("Wolff-Parkinson-White syndrome", "WPW", "pre-excitation"),
    "inferior myocardial infarction": ("inferior myocardial infarction", "an inferior infarct", "inferior MI"),
    "anteroseptal myocardial infarction": ("anteroseptal myocardial infarction", "an anteroseptal infarct"),
    "anterior myocardial infarction": ("anterior myocardial infarction", "an anterior infarct", "anterior MI"),
    "lateral myocardial infarction": ("lateral myocardial infarction", "a lateral infarct"),
    "posterior myocardial infarction": ("posterior myocardial infarction", "a posterior infarct"),
    "long qt": ("long QT syndrome", "a long QT interval"),
    "digitalis effect": ("digitalis effect", "an effect of digoxin"),
    "non-diagnostic t wave changes": ("non-diagnostic T wave changes", "non-diagnostic T abnormalities"),
    "non-specific st changes": ("non-specific ST changes",),
    "ischaemi": ("myocardial ischaemia", "ischemic ST-T changes"),
    "ventricular premature complexes": ("ventricular premature complexes", "PVCs", "ventricular extrasystoles"),
    "atrial premature complexes": ("atrial premature complexes", "PACs", "supraventricular extrasystoles"),
}


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
# An answer, and what the question names: the lead, the wall or the diagnosis of its wording's placeholder.
Answer = tuple[str, Mapping[str, str]]
Answerer = Callable[[Known, np.random.Generator], Answer]
Finder = Callable[[EcgFeatures], tuple[str, ...]]
LEAD_FINDINGS: dict[str, Finder] = {
    "ST elevation": st_elevated_leads,
    "ST depression": st_depressed_leads,
    "T wave inversion": abnormal_t_inversion_leads,
    "pathological Q waves": pathological_q_leads,
}


def _says(text: Callable[[Known], str]) -> Answerer:
    return lambda known, rng: (text(known), {})


def _rate(known: Known) -> str:
    rate = known.features.heart_rate
    return f"The heart rate is {'not measurable' if math.isnan(rate) else f'{rate:.0f} bpm'}."


def _cannot_be_denied(finding: str, lead: str, features: EcgFeatures) -> bool:
    """A lead may show by itself what its neighbours do not confirm."""
    return check_grounding(f"No {finding} in lead {lead}.", features).count(CONTRADICTED) > 0


def _in_place(finding: str, kind: str, places: Mapping[str, tuple[str, ...]]) -> Answerer:
    def answer(known: Known, rng: np.random.Generator) -> Answer:
        shown = LEAD_FINDINGS[finding](known.features)
        # Half of the questions are about a place that shows it, where there is one: else the answer is nearly always no.
        likely = [place for place, leads in places.items() if set(leads) & set(shown)]
        names = likely if likely and rng.random() < 0.5 else list(places)
        name = names[int(rng.integers(len(names)))]
        found = [lead for lead in places[name] if lead in shown or _cannot_be_denied(finding, lead, known.features)]
        place = f"lead {name}" if kind == "lead" else f"the {name} leads"
        return f"Yes, {finding} in {listed(found)}." if found else f"No, no {finding} in {place}.", {kind: name}

    return answer


def _stated(superclass: str, what: str) -> Answerer:
    def text(known: Known) -> str:
        stated = known.stated(superclass)
        return f"Yes, {listed(stated)}." if stated else f"No sign of {what}."

    return _says(text)


def _normal(known: Known) -> str:
    # True whichever way it is asked: "Is it normal?", "Is anything wrong?".
    return f"{'Normal' if 'NORM' in superclasses_of(known.codes) else 'Abnormal'}. {known.answer.impression}"


def _block(known: Known) -> str:
    blocks = [STATEMENTS[code][1] for code in HEART_BLOCKS if known.codes.get(code, 0) > 0]
    return f"Yes, {listed(blocks)}." if blocks else "No sign of a block."


def _why(known: Known) -> str:
    answer = known.answer
    steps = (answer.rhythm, answer.intervals, answer.axis, answer.qrs, answer.q_wave, answer.st, answer.t_wave)
    return " ".join((answer.impression, *steps))


def _named(known: Known, rng: np.random.Generator) -> Answer:
    """Whether the named diagnosis is in the rhythm or the impression, and these; half of the questions name one that is."""
    parts = {text: known.answer.rhythm if text in RHYTHMS.values() else known.answer.impression for text in NAMED}
    true = tuple(text for text, part in parts.items() if _says_so(part, text))
    text = pick(rng, true if true and rng.random() < 0.5 else tuple(NAMED))
    return f"{'Yes' if text in true else 'No'}. {parts[text]}", {"diagnosis": pick(rng, NAMED[text])}


def _says_so(part: str, text: str) -> bool:
    """Whether a part of an answer says `text`, not only words that end like it."""
    return f" {text}" in f" {part.lower()}"


def _quality(known: Known) -> str:
    flat, poor = _of_quality(known, "flat", "missing"), _of_quality(known, "poor")
    found = [f"No signal in {listed(flat)}."] if flat else []
    found += [f"Poor quality in {listed(poor)}."] if poor else []
    return " ".join(found) or "Good quality in all leads."


def _noise(known: Known) -> str:
    return f"{'Yes' if _of_quality(known, *BAD) else 'No'}. {_quality(known)}"


def _noise_in_lead(known: Known, rng: np.random.Generator) -> Answer:
    bad = _of_quality(known, *BAD)
    lead = pick(rng, bad if bad and rng.random() < 0.5 else STANDARD_LEADS)
    if lead not in bad:
        return f"No. Good quality in {lead}.", {"lead": lead}
    found = "Poor quality" if lead in _of_quality(known, "poor") else "No signal"
    return f"Yes. {found} in {lead}.", {"lead": lead}


def _of_quality(known: Known, *verdicts: str) -> list[str]:
    """The leads with one of these verdicts of `processing.ecg_quality`."""
    return [lead for lead, measured in known.features.quality.items() if measured["verdict"] in verdicts]


_WALLS = {wall: WALLS[wall] for wall in MAIN_WALLS}
_LEADS = {lead: (lead,) for lead in CHEST_AND_LIMB_LEADS}
# Kind of question -> its answer, for an ECG of which this much is known. ECG-QA's templates of one ECG ("Does this ECG show symptoms of
# ...?") are among the wordings.
KINDS: dict[str, Answerer] = {
    "rhythm": _says(lambda known: known.answer.rhythm),
    "rate": _says(_rate),
    "axis": _says(lambda known: known.answer.axis),
    "PR": _says(lambda known: f"{pr_text(known.features, known.codes)}."),
    "QRS": _says(lambda known: f"{qrs_text(known.features)}."),
    "QT": _says(lambda known: f"QT {milliseconds(known.features.qt_interval)}."),
    "QTc": _says(lambda known: f"{qtc_text(known.features)}."),
    "ST": _says(lambda known: known.answer.st),
    "T waves": _says(lambda known: known.answer.t_wave),
    "Q waves": _says(lambda known: known.answer.q_wave),
    "P waves": _says(lambda known: known.answer.p_wave),
    **{f"{finding} by lead": _in_place(finding, "lead", _LEADS) for finding in LEAD_FINDINGS},
    **{f"{finding} by wall": _in_place(finding, "wall", _WALLS) for finding in LEAD_FINDINGS},
    "infarction": _stated("MI", "infarction"),
    "block": _says(_block),
    "conduction disturbance": _stated("CD", "conduction disturbance"),
    "hypertrophy": _stated("HYP", "hypertrophy"),
    "ST-T change": _stated("STTC", "ST-T change"),
    "named diagnosis": _named,
    "normal": _says(_normal),
    "impression": _says(lambda known: known.answer.impression),
    "why": _says(_why),
    "noise": _says(_noise),
    "noise by lead": _noise_in_lead,
    "quality": _says(_quality),
}
WHOLE, BEYOND, ELSE = "interpretation", "beyond an ECG", "off topic"
ALL_KINDS = (*KINDS, BEYOND, ELSE)
# Kinds whose answers begin with yes or no.
YES_OR_NO = (
    *(f"{finding} by {place}" for finding in LEAD_FINDINGS for place in ("lead", "wall")),
    *("infarction", "block", "conduction disturbance", "hypertrophy", "ST-T change"),
    *("named diagnosis", "noise", "noise by lead"),
)
# How often a kind is asked; all others once. Chosen by the shares of right answers and of understood wordings in fold 8.
ASKED_OFTEN: dict[str, float] = {
    **dict.fromkeys((BEYOND, ELSE, "named diagnosis"), 3.0),
    **dict.fromkeys(("normal", "noise", "noise by lead", "quality", "impression"), 2.0),
    **dict.fromkeys(
        ("why", "rhythm", "QRS", "QT", "QTc", "infarction", "conduction disturbance", "hypertrophy", "ST-T change"),
        1.5,
    ),
}


def ask(kind: str, known: Known, rng: np.random.Generator, worded: str | None = None) -> Asked:
    """
    A question of `kind` (`WHOLE` or of `ALL_KINDS`) in one of many wordings, and its answer.

    Args:
        kind: what is asked for.
        known: about the ECG.
        rng: draws the wording, and the lead, wall or diagnosis that is asked about.
        worded: the wording instead, which may have the placeholders `{lead}`, `{wall}` and `{diagnosis}`.
    """
    if kind == WHOLE:
        return worded or hurried(wording(kind, rng), rng), known.answer.full_text()
    if kind == BEYOND:
        what = pick(rng, tuple(BEYOND_AN_ECG))
        return worded or hurried(pick(rng, BEYOND_AN_ECG[what]), rng), f"{BEYOND_BEGINS} {what}."
    if kind == ELSE:
        return worded or off_topic(rng), OFF_TOPIC
    answer, named = KINDS[kind](known, rng)
    if worded:
        return worded.format(**named), answer
    question = hurried(wording(kind, rng).format(**named), rng)
    return asked_briefly(question, rng) if kind in YES_OR_NO else question, answer


def ask_some(count: int, known: Known, rng: np.random.Generator) -> list[Asked]:
    """Questions of different kinds, those more often that are harder to understand or to answer (`ASKED_OFTEN`)."""
    weights = np.array([ASKED_OFTEN.get(kind, 1.0) for kind in ALL_KINDS])
    kinds = rng.choice(ALL_KINDS, size=count, replace=False, p=weights / weights.sum())
    return [ask(str(kind), known, rng) for kind in kinds]


def any_question(rng: np.random.Generator) -> str:
    """A question of `KINDS` about no ECG in particular."""
    named = {
        "lead": pick(rng, STANDARD_LEADS),
        "wall": pick(rng, MAIN_WALLS),
        "diagnosis": pick(rng, NAMED[pick(rng, tuple(NAMED))]),
    }
    return hurried(wording(pick(rng, tuple(KINDS)), rng).format(**named), rng)


__all__ = [
    "ALL_KINDS",
    "BEYOND",
    "BEYOND_BEGINS",
    "ELSE",
    "KINDS",
    "WHOLE",
    "YES_OR_NO",
    "Asked",
    "Known",
    "any_question",
    "ask",
    "ask_some",
]
