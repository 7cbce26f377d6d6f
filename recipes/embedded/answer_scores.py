# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How good written interpretations are: values against measurements, words against labels."""

import re
from collections import Counter
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score

from processing.grounding.cut_off import checkable
from recipes.sources.statements import RHYTHMS, STATEMENTS, SUPERCLASSES
from recipes.teachers.grounded_answer import CLASS_NAMES, VERDICTS

NUMBERS = {
    "heart rate (bpm)": r"(\d+) bpm",
    "PR (ms)": r"PR (\d+) ms",
    "QRS (ms)": r"QRS (\d+) ms",
    "QT (ms)": r"QT (\d+) ms",
    "QTc (ms)": r"QTc (\d+) ms",
    "axis (degrees)": r"axis is (-?\d+) degrees",
    "Sokolow-Lyon (mV)": r"Sokolow-Lyon voltage (\d+\.\d) mV",
}
# Largest error at which a stated number still counts as right.
TOLERANCES = {
    "heart rate (bpm)": 5,
    "PR (ms)": 25,
    "QRS (ms)": 15,
    "QT (ms)": 35,
    "QTc (ms)": 35,
    "axis (degrees)": 20,
    "Sokolow-Lyon (mV)": 0.5,
}
LEADS = {
    "T inversion": r"T waves are inverted in ([^(]*) \(",
    "pathological Q": r"Pathological Q waves in ([^.]*)\.",
    "ST elevation": r"ST is elevated in ([^(]*) \(",
    "ST depression": r"ST is depressed in ([^(]*) \(",
}


def numbers(text: str) -> dict[str, float]:
    """The numbers that an answer states, by name; NaN where it states none, as in the unfinished last word of a `CutOff`."""
    found = {name: re.search(pattern, checkable(text)) for name, pattern in NUMBERS.items()}
    return {name: float(match.group(1)) if match else np.nan for name, match in found.items()}


def leads(text: str, name: str) -> set[str]:
    match = re.search(LEADS[name], text)
    return set(re.split(", | and ", match.group(1))) if match else set()


def superclasses(text: str) -> set[str]:
    """Those called likely; where a text calls none likely or unlikely, those of the statements of its impression."""
    said = {
        code: re.search(rf"{name} is( likely| unlikely)", text, re.IGNORECASE) for code, name in CLASS_NAMES.items()
    }
    if any(said.values()):
        return {code for code, match in said.items() if match and match.group(1) == VERDICTS[1]}
    impression = text.rpartition("Impression: ")[2]
    named = (superclass for superclass, words in STATEMENTS.values() if superclass and words in impression)
    return set(named)


def rhythm(text: str) -> str | None:
    """The rhythm that an answer begins with, if it is a known one."""
    start = text.removeprefix("Rhythm: ").lower()
    return next((words for words in RHYTHMS.values() if start.startswith(words)), None)


def lead_f1(predicted: list[set[str]], truth: list[set[str]]) -> float:
    """Micro F1 over all leads of all records."""
    hits = sum(len(p & t) for p, t in zip(predicted, truth, strict=True))
    total = sum(map(len, predicted)) + sum(map(len, truth))
    return 2 * hits / total if total else float("nan")


def fibrillation(said: list[str | None], truth: list[str | None]) -> dict[str, dict[str, float]]:
    """Sensitivity and specificity for atrial fibrillation of rhythms in words; NaN where no record has it, or all have."""
    found, there = (np.array([words == RHYTHMS["AFIB"] for words in column], dtype=bool) for column in (said, truth))
    return {
        "atrial fibrillation, sensitivity": {"score": float(found[there].mean()) if there.any() else float("nan")},
        "atrial fibrillation, specificity": {
            "score": float((~found[~there]).mean()) if (~there).any() else float("nan")
        },
    }


def score(answers: list[str], references: list[str]) -> dict[str, Any]:
    """Scores of `answers` and of the blind baseline against `references`."""
    said, truth = [numbers(text) for text in answers], [numbers(text) for text in references]
    scores: dict[str, Any] = {}
    for name in NUMBERS:
        expected = np.array([row[name] for row in truth])
        given = np.array([row[name] for row in said])
        both = ~np.isnan(expected) & ~np.isnan(given)
        error = np.abs(given - expected)[both]
        if name.startswith("axis"):
            error = np.minimum(error, 360 - error)
        blind = np.abs(expected - np.nanmedian(expected))
        scores[name] = {
            "MAE": float(error.mean()) if len(error) else None,
            "blind": float(np.nanmean(blind)),
            "stated": float(both.sum() / max((~np.isnan(expected)).sum(), 1)),
            "within tolerance": float((error <= TOLERANCES[name]).mean()) if len(error) else None,
            "tolerance": TOLERANCES[name],
            "count": len(error),
        }
    stated = [row for row in (scores[name] for name in NUMBERS) if row["count"]]
    scores["stated numbers within tolerance"] = {
        "score": sum(row["within tolerance"] * row["count"] for row in stated)
        / max(sum(r["count"] for r in stated), 1)
    }
    rhythms = [rhythm(text) for text in references]
    common = Counter(rhythms).most_common(1)[0][1]
    known = [(rhythm(a), r) for a, r in zip(answers, rhythms, strict=True) if r]
    scores["rhythm accuracy"] = {
        "score": float(np.mean([a == r for a, r in known])),
        "blind": common / max(len(known), 1),
    }
    scores |= fibrillation([a for a, _ in known], [r for _, r in known])
    for name in LEADS:
        scores[f"{name} leads, F1"] = {
            "score": lead_f1([leads(text, name) for text in answers], [leads(text, name) for text in references])
        }
    matrix = [
        [[name in superclasses(text) for name in SUPERCLASSES] for text in texts] for texts in (references, answers)
    ]
    per_class = f1_score(*map(np.array, matrix), average=None, zero_division=0)
    blind = f1_score(np.array(matrix[0]), np.eye(5)[[0] * len(answers)].astype(bool), average="macro", zero_division=0)
    scores["superclass macro F1"] = {"score": float(np.mean(per_class)), "blind": float(blind)}
    hard = [roc_auc_score(*columns) for columns in zip(*(np.array(m).T for m in matrix), strict=True)]
    scores["superclass hard-label macro AUC"] = {"score": float(np.mean(hard)), "blind": 0.5}
    scores["superclass F1"] = dict(zip(SUPERCLASSES, map(float, per_class), strict=True))
    scores["well formed"] = float(np.mean([rhythm(text) is not None and "Impression: " in text for text in answers]))
    return scores


def likelihood_auc(likelihoods: np.ndarray, references: list[str]) -> dict[str, float]:
    """AUC per superclass, NaN where all records are alike."""
    truth = np.array([[name in superclasses(text) for name in SUPERCLASSES] for text in references])
    return {
        name: float(roc_auc_score(truth[:, i], likelihoods[:, i]))
        if 0 < truth[:, i].sum() < len(truth)
        else float("nan")
        for i, name in enumerate(SUPERCLASSES)
    }


__all__ = ["likelihood_auc", "numbers", "rhythm", "score", "superclasses"]
