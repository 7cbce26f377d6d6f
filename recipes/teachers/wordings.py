# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How people word each kind of question: phrases for what is asked about, in sentences that ask for it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Sentences around what a value or a finding is called. `{}` is the phrase.
FOR_A_VALUE = (
    "What is {}?",
    "What's {}?",
    "Tell me {}.",
    "Could you tell me {}?",
    "Can you give me {}, please?",
    "Please give {}.",
    "Please report {}.",
    "Report {}.",
    "State {}.",
    "Measure {}.",
    "Determine {}.",
    "{}?",
    "{}",
    "{}, please.",
    "I would like to know {}.",
    "I need {}.",
    "I want to know what {} is.",
    "Let me know {}.",
    "What about {}?",
    "How about {}?",
    "How is {}?",
    "What value do you find for {}?",
    "What do you get for {}?",
    "What is {} on this ECG?",
    "What is {} in this tracing?",
    "What does this ECG say about {}?",
    "Do you know {}?",
    "Can you read {} from this recording?",
    "Read off {}.",
    "Comment on {}.",
    "Describe {}.",
    "What do you make of {}?",
    "Is {} normal?",
    "Is {} abnormal?",
    "Is {} within normal limits?",
    "Anything unusual about {}?",
    "Check {}.",
)
FOR_A_FINDING = (
    "Is there {}?",
    "Are there {}?",
    "Is there any {}?",
    "Are there any {}?",
    "Any {}?",
    "Any sign of {}?",
    "Any signs of {}?",
    "Is there evidence of {}?",
    "Any evidence of {} on this ECG?",
    "Are there signs of {}?",
    "Do you see {}?",
    "Can you see any {}?",
    "Do you find {}?",
    "Can you find {} here?",
    "Does this ECG show {}?",
    "Does the tracing show any {}?",
    "Does this ECG show symptoms of {}?",
    "Does the ECG suggest {}?",
    "Does the patient have {}?",
    "Has she got {}?",
    "Could this be {}?",
    "Could he have {}?",
    "Is this {}?",
    "Is {} present?",
    "Is {} visible?",
    "Was {} recorded?",
    "Please check for {}.",
    "Check for {}.",
    "Look for {}.",
    "Rule out {}.",
    "Tell me if there is {}.",
    "Tell me whether you see {}.",
    "I would like to know whether there is {}.",
    "I am worried about {}.",
    "What about {}?",
    "{}?",
    "{}",
    "{}: yes or no?",
    "Yes or no: {}?",
    "Would you call this {}?",
    "Do you suspect {}?",
)

# Kind -> what the value is called.
VALUES: dict[str, tuple[str, ...]] = {
    "rhythm": (
        "the rhythm",
        "the heart rhythm",
        "the cardiac rhythm",
        "the underlying rhythm",
        "rhythm",
        "the rhythm of the heart",
        "the rhythm of this patient",
        "the heart rate and rhythm",
        "the regularity of the rhythm",
    ),
    "rate": (
        "the heart rate",
        "the rate",
        "the ventricular rate",
        "the pulse",
        "the pulse rate",
        "heart rate",
        "HR",
        "the HR",
        "the number of beats per minute",
        "bpm",
        "the frequency of the heart",
    ),
    "axis": (
        "the axis",
        "the QRS axis",
        "the electrical axis",
        "the heart axis",
        "the cardiac axis",
        "the mean frontal axis",
        "axis",
        "the direction of the axis",
        "the axis in degrees",
    ),
    "PR": (
        "the PR interval",
        "the PR",
        "PR",
        "PR interval",
        "the PQ interval",
        "the PQ time",
        "the AV conduction time",
        "the time from P to QRS",
        "the PR duration",
        "the PR in ms",
    ),
    "QRS": (
        "the QRS duration",
        "the QRS width",
        "QRS duration",
        "the duration of the QRS complex",
        "the width of the QRS complex",
        "the QRS time",
        "the QRS interval",
        "the length of the QRS",
        "the QRS in ms",
    ),
    "QT": (
        "the QT interval",
        "the QT",
        "QT",
        "QT interval",
        "the uncorrected QT",
        "the raw QT",
        "the measured QT interval",
        "the QT duration",
        "the QT before correction",
    ),
    "QTc": (
        "the QTc",
        "QTc",
        "the corrected QT interval",
        "the corrected QT",
        "the QTc interval",
        "the QTc by Bazett",
        "the QT corrected for the heart rate",
        "the rate corrected QT",
        "the Bazett QTc",
    ),
    "ST": (
        "the ST segment",
        "the ST segments",
        "the ST level",
        "ST",
        "the ST segments in all leads",
        "the ST deviation",
    ),
    "T waves": (
        "the T waves",
        "the T wave",
        "T waves",
        "the shape of the T waves",
        "the polarity of the T waves",
        "the T wave morphology",
    ),
    "Q waves": ("the Q waves", "the Q wave", "Q waves", "the size of the Q waves", "the Q waves in all leads"),
    "P waves": (
        "the P waves",
        "the P wave",
        "P waves",
        "the P wave morphology",
        "the atrial activity",
        "the relation of P waves and QRS",
    ),
    "impression": (
        "the diagnosis",
        "your diagnosis",
        "your impression",
        "the conclusion",
        "your conclusion",
        "the main finding",
        "the overall impression",
        "the bottom line",
        "the final diagnosis",
        "the most important finding",
        "the verdict",
        "the result",
        "the ECG diagnosis",
        "impression",
        "diagnosis",
    ),
    "quality": (
        "the quality",
        "the signal quality",
        "the quality of the recording",
        "the technical quality",
        "the state of the leads",
    ),
    "interpretation": (
        "an interpretation",
        "your interpretation",
        "a full interpretation",
        "a report",
        "a complete report of this ECG",
        "a summary of this ECG",
        "a description of this electrocardiogram",
        "a structured reading",
        "a detailed analysis",
        "an overview of all findings",
        "all findings",
        "everything that you see",
    ),
}
# Kind -> what the finding is called.
FINDINGS: dict[str, tuple[str, ...]] = {
    "rhythm": ("sinus rhythm", "a regular rhythm", "an irregular rhythm", "an arrhythmia", "a rhythm disorder"),
    "rate": ("a fast heart rate", "a slow heart rate"),
    "axis": ("axis deviation", "left axis deviation", "right axis deviation", "a normal axis", "an abnormal axis"),
    "PR": ("a long PR interval", "PR prolongation", "a prolonged PR", "a short PR interval", "a normal PR interval"),
    "QRS": ("a wide QRS", "a broad QRS complex", "a narrow QRS", "QRS widening", "QRS prolongation"),
    "QTc": ("a long QTc", "QTc prolongation", "a prolonged QTc", "a normal QTc", "prolonged corrected QT"),
    "ST": (
        "ST changes",
        "ST deviation",
        "ST elevation or depression",
        "ST segment changes",
        "ST elevation anywhere",
        "ST depression anywhere",
        "abnormal ST segments",
        "ST shifts",
    ),
    "T waves": (
        "inverted T waves",
        "T wave inversion",
        "T wave changes",
        "negative T waves",
        "abnormal T waves",
        "T inversions anywhere",
        "flipped T waves",
    ),
    "Q waves": (
        "pathological Q waves",
        "Q waves",
        "abnormal Q waves",
        "significant Q waves",
        "deep Q waves",
        "Q waves anywhere",
    ),
    "P waves": (
        "P waves",
        "a P wave before each QRS",
        "P waves before every beat",
        "visible P waves",
        "atrial activity",
    ),
    "infarction": (
        "an infarction",
        "infarction",
        "a myocardial infarction",
        "myocardial infarction",
        "a heart attack",
        "an old infarct",
        "an infarct",
        "an MI",
        "MI",
        "an acute MI",
        "a previous heart attack",
        "a scar of an infarction",
        "dead heart muscle",
    ),
    "block": (
        "a block",
        "any block",
        "a bundle branch block",
        "bundle branch block or AV block",
        "a heart block",
        "an AV block",
        "atrioventricular block",
        "BBB",
        "a blocked bundle branch",
    ),
    "conduction disturbance": (
        "a conduction disturbance",
        "conduction disturbance",
        "a conduction defect",
        "conduction delay",
        "a conduction abnormality",
        "disturbed conduction",
        "a disease of the conduction system",
        "impaired conduction",
        "conduction problems",
    ),
    "hypertrophy": (
        "hypertrophy",
        "ventricular hypertrophy",
        "a hypertrophied heart",
        "an enlarged ventricle",
        "chamber enlargement",
        "atrial enlargement",
        "a thickened heart muscle",
        "LVH or RVH",
        "an enlarged heart",
    ),
    "ST-T change": (
        "ST-T changes",
        "ST/T change",
        "ST/T changes",
        "ST-T abnormalities",
        "a repolarisation abnormality",
        "repolarization changes",
        "ischaemia",
        "ischemia",
        "ischaemic changes",
        "signs of ischemia",
        "non-specific ST-T changes",
    ),
    "normal": ("a normal ECG", "an abnormality", "a normal tracing", "an abnormal ECG"),
    "named diagnosis": ("{diagnosis}",),
    "noise": (
        "noise",
        "any kind of noises",
        "static noise",
        "burst noise",
        "baseline drift",
        "baseline wander",
        "electrodes problems",
        "a loose electrode",
        "artefacts",
        "artifact",
        "interference",
        "muscle tremor",
    ),
    "noise by lead": (
        "noise in {lead}",
        "any kind of noises in lead {lead}",
        "static noise in lead {lead}",
        "burst noise in lead {lead}",
        "baseline drift in lead {lead}",
        "electrodes problems in lead {lead}",
        "an artefact in {lead}",
        "a loose electrode at {lead}",
        "wander in lead {lead}",
    ),
}
# Finding in a place -> what it is called, and sentences of its own; `{place}` is "lead V3" or "the inferior leads".
IN_A_PLACE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ST elevation": (
        ("ST elevation", "ST segment elevation", "an elevated ST segment", "a raised ST segment", "STE"),
        (
            "Is ST elevated in {place}?",
            "Is the ST segment elevated in {place}?",
            "Is the ST segment raised in {place}?",
            "Does ST go up in {place}?",
            "How elevated is ST in {place}?",
        ),
    ),
    "ST depression": (
        ("ST depression", "ST segment depression", "a depressed ST segment", "a lowered ST segment", "STD"),
        (
            "Is ST depressed in {place}?",
            "Is the ST segment depressed in {place}?",
            "Is the ST segment lowered in {place}?",
            "Does ST go down in {place}?",
            "How depressed is ST in {place}?",
        ),
    ),
    "T wave inversion": (
        (
            "T wave inversion",
            "an inverted T wave",
            "inverted T waves",
            "a negative T wave",
            "T inversion",
            "flipped T waves",
        ),
        (
            "Is the T wave inverted in {place}?",
            "Are the T waves inverted in {place}?",
            "Is T negative in {place}?",
            "Is the T wave upside down in {place}?",
            "Is T flipped in {place}?",
        ),
    ),
    "pathological Q waves": (
        (
            "pathological Q waves",
            "a pathological Q wave",
            "Q waves",
            "a Q wave",
            "abnormal Q waves",
            "a significant Q",
        ),
        (
            "Is the Q wave pathological in {place}?",
            "Are the Q waves in {place} abnormal?",
            "Is Q too deep in {place}?",
            "Does the QRS begin with a pathological Q in {place}?",
        ),
    ),
}
LEADS_IN_WORDS = ("lead {lead}", "{lead}", "the {lead} lead")
WALLS_IN_WORDS = ("the {wall} leads", "the {wall} wall", "{wall} leads", "the leads of the {wall} wall")
# Sentences of their own: kind -> wordings, of which the first three are usual and the first one stands for the kind; what no ECG tells, as the
# answer names it -> questions; and what has nothing to do with an ECG.
_WRITTEN = json.loads(Path(__file__).with_name("wordings.json").read_text())
SENTENCES: dict[str, tuple[str, ...]] = {kind: tuple(texts) for kind, texts in _WRITTEN["sentences"].items()}
BEYOND_AN_ECG: dict[str, tuple[str, ...]] = {what: tuple(texts) for what, texts in _WRITTEN["beyond an ECG"].items()}
ABOUT_NOTHING: tuple[str, ...] = tuple(_WRITTEN["off topic"])
for _finding, (_names, _sentences) in IN_A_PLACE.items():
    for _kind, _places in (("lead", LEADS_IN_WORDS), ("wall", WALLS_IN_WORDS)):
        _key = f"{_finding} by {_kind}"
        FINDINGS[_key] = tuple(f"{_name} in {_place}" for _name in _names for _place in _places)
        _verb = "Are" if _finding.endswith("waves") else "Is"
        SENTENCES[_key] = (
            f"{_verb} there {_finding} in {_places[0]}?",
            *(_sentence.format(place=_place) for _sentence in _sentences for _place in _places),
            *SENTENCES.get(_key, ()),
        )

_ARTICLE = re.compile(r"\b(any |Any )(a|an|any|the) ")  # "any a block" is none
STANDARD_SHARE, FRAMED_SHARE = 0.2, 0.35


def wording(kind: str, rng: np.random.Generator) -> str:
    """
    One way to ask a question of `kind`, which may have the placeholders `{lead}`, `{wall}` or `{diagnosis}`: in two of ten cases a
    usual one, else a phrase in a sentence around it, or a sentence of its own.
    """
    sentences = SENTENCES[kind]
    drawn = rng.random()
    if drawn < STANDARD_SHARE:
        return pick(rng, sentences[:3])
    framed: list[tuple[tuple[str, ...], str]] = [(FOR_A_VALUE, phrase) for phrase in VALUES.get(kind, ())]
    framed += [(FOR_A_FINDING, phrase) for phrase in FINDINGS.get(kind, ())]
    if framed and drawn < STANDARD_SHARE + FRAMED_SHARE:
        frames, phrase = framed[int(rng.integers(len(framed)))]
        return _begun(_ARTICLE.sub(r"\1", pick(rng, frames).replace("{}", phrase)))
    return pick(rng, sentences)


def _begun(sentence: str) -> str:
    """With a capital at the beginning, unless a placeholder or a name such as aVF is there."""
    return sentence if sentence.startswith(("{", "aV")) else sentence[0].upper() + sentence[1:]


def pick(rng: np.random.Generator, wordings: Sequence[str]) -> str:
    """One of them at random."""
    return wordings[int(rng.integers(len(wordings)))]


__all__ = ["pick", "wording"]
