# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Strict ECG-Bench scores: whole words instead of substrings, every class of the set, no random answers.

An answer that names no label or option is *unparseable*: it is counted, reported, and scored as an answer that names nothing.
Areas under the curve need graded scores (`label_likelihood`); for 0/1 answers balanced accuracy is given.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import f1_score, hamming_loss, recall_score, roc_auc_score

from processing.errors_gem import EvaluationError

from .judge_replies import read_score

# Set -> label -> how an answer may say it besides the label itself. The names are the ones of the published questions.
LABEL_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "ptb-test": {
        "NORM": ("normal ecg",),
        "MI": ("myocardial infarction",),
        "STTC": ("st/t change", "st/t changes", "st-t change", "st-t changes"),
        "CD": ("conduction disturbance", "conduction disturbances"),
        "HYP": ("hypertrophy",),
    },
    "cpsc-test": {
        "NORM": ("normal ecg", "sinus rhythm"),
        "AF": ("atrial fibrillation",),
        "I-AVB": ("first-degree atrioventricular block", "first degree av block", "1st degree av block", "iavb"),
        "LBBB": ("left bundle branch block",),
        "RBBB": ("right bundle branch block",),
        "PAC": ("premature atrial contraction", "premature atrial contractions", "premature atrial complex"),
        "PVC": ("premature ventricular contraction", "premature ventricular contractions"),
        "STD": ("st-segment depression", "st depression"),
        "STE": ("st-segment elevation", "st-segment elevated", "st elevation"),
    },
    "code15-test": {
        "NORM": ("normal ecg",),
        "ABNORMAL": ("abnormal ecg",),
        "1dAVb": ("1st degree av block", "first degree av block", "first-degree av block"),
        "RBBB": ("right bundle branch block",),
        "LBBB": ("left bundle branch block",),
        "SB": ("sinus bradycardia",),
        "ST": ("sinus tachycardia",),
        "AF": ("atrial fibrillation",),
    },
}
# "ST" means sinus tachycardia in CODE-15, unless it is about the ST segment.
_SEGMENT = r"(?![\s-]*(?:segment|elevation|depression|deviation|t\b|changes?))"
_NEGATION = re.compile(r"\b(?:no|not|without|excludes?|rules? out|rather than|absence of)\s+(?:\w+\s+){0,2}$", re.I)


@dataclass(frozen=True)
class StrictLabels:
    """Multi-label scores, fractions. `auc`: macro over classes with both outcomes, `None` without graded scores."""

    f1: float
    balanced_accuracy: float
    hamming_loss: float
    exact_match: float
    unparseable: float
    auc: float | None
    class_f1: dict[str, float]
    class_auc: dict[str, float]
    support: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The scores as JSON holds them."""
        return dict(self.__dict__)


def find_labels(task: str, text: str) -> list[str]:
    """Labels that `text` names as whole words, in any case, and does not negate; after the last "Answer:" if there is one."""
    text = re.split(r"answer:", text, flags=re.IGNORECASE)[-1]
    return [label for label, pattern in _patterns(task).items() if _stated(pattern, text)]


def _stated(pattern: re.Pattern[str], text: str) -> bool:
    return any(not _NEGATION.search(text[: match.start()]) for match in pattern.finditer(text))


def _patterns(task: str) -> dict[str, re.Pattern[str]]:
    if task not in LABEL_NAMES:
        raise EvaluationError(f"multi-label set {task!r} is unknown; known are {', '.join(LABEL_NAMES)}.")
    patterns = {}
    for label, names in LABEL_NAMES[task].items():
        words = "|".join(re.escape(word) for word in sorted((label, *names), key=len, reverse=True))
        guard = _SEGMENT if (task, label) == ("code15-test", "ST") else ""
        patterns[label] = re.compile(rf"(?<![\w-])(?:{words})(?![\w-]){guard}", re.IGNORECASE)
    return patterns


def score_labels(
    task: str, golds: Sequence[str], answers: Sequence[str | None], scores: np.ndarray | None = None
) -> StrictLabels:
    """F1, Hamming loss and AUC of label sets that are read as whole words.

    Args:
        task: a key of `LABEL_NAMES`.
        golds: gold texts.
        answers: answers to the same rows; `None` where there is none.
        scores: graded scores (rows, labels in the order of `LABEL_NAMES[task]`), for the AUC.

    Raises:
        EvaluationError: unknown task, different numbers of texts, a gold text without a label, or scores of another shape.
    """
    if not golds or len(golds) != len(answers):
        raise EvaluationError(f"{len(golds)} gold answers and {len(answers)} answers: equally many, one at least.")
    classes = list(_patterns(task))
    gold_labels = [find_labels(task, text) for text in golds]
    if empty := [row for row, labels in enumerate(gold_labels) if not labels]:
        raise EvaluationError(f"{task}: gold answer of row {empty[0]} names none of {', '.join(classes)}.")
    stated = [find_labels(task, text) if text else [] for text in answers]
    truth, given = (np.array([[c in row for c in classes] for row in rows], int) for rows in (gold_labels, stated))
    # A class that neither gold nor answers hold has no F1: it is left out, not counted as 0.
    class_f1 = f1_score(truth, given, average=None, zero_division=np.nan)
    present = truth.any(axis=0)
    recalls = [
        np.nanmean([recall_score(truth[:, i], given[:, i], pos_label=side, zero_division=np.nan) for side in (0, 1)])
        for i in np.flatnonzero(present)
    ]
    class_auc = {} if scores is None else _aucs(truth, np.asarray(scores), classes)
    return StrictLabels(
        float(np.nanmean(class_f1)),
        float(np.mean(recalls)),
        float(hamming_loss(truth, given)),
        float((truth == given).all(axis=1).mean()),
        float(np.mean([not labels for labels in stated])),
        float(np.mean(list(class_auc.values()))) if class_auc else None,
        dict(zip(classes, map(float, class_f1), strict=True)),
        class_auc,
        dict(zip(classes, map(int, truth.sum(axis=0)), strict=True)),
    )


def _aucs(truth: np.ndarray, scores: np.ndarray, classes: list[str]) -> dict[str, float]:
    if scores.shape != truth.shape:
        raise EvaluationError(
            f"scores have shape {scores.shape}, expected {truth.shape} (rows, {', '.join(classes)})."
        )
    both = [i for i in range(len(classes)) if 0 < truth[:, i].sum() < len(truth)]
    return {classes[i]: float(roc_auc_score(truth[:, i], scores[:, i])) for i in both}


def options_in(question: str) -> dict[str, str]:
    """Letter -> text of the options "A. ..." that stand on lines of their own, or one after the other."""
    found = re.findall(r"(?:^|[\s(])([A-H])[.)]\s*(.+?)(?=[\s;,]+[(]?[A-H][.)]\s|\n|$)", question)
    return {letter: text.strip(" ;,.") for letter, text in found}


_LETTER_ONLY = re.compile(r"\s*[(\[]?([A-H])[)\].:]?\s*", re.IGNORECASE)
_LETTER_FIRST = re.compile(r"\s*[(\[]?([A-H])[)\].:]\s")
_LETTER_STATED = re.compile(
    r"\b(?:answer|option|choice)\b(?:\s+is)?\s*[:=]?\s*[(\[]?([A-H])\b(?![\w'])", re.IGNORECASE
)


def find_letter(text: str, question: str = "") -> str | None:
    """The option that an answer means: its letter alone or in front, "answer: X", "option X", or the text of one option."""
    if match := _LETTER_ONLY.fullmatch(text):
        return match.group(1).upper()
    stated = {match.group(1).upper() for match in _LETTER_STATED.finditer(text)}
    if stated:
        return stated.pop() if len(stated) == 1 else None
    if match := _LETTER_FIRST.match(text):
        return match.group(1)
    named = [letter for letter, option in options_in(question).items() if _names(text, option)]
    return named[0] if len(named) == 1 else None


def _names(text: str, words: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(words)}(?![\w-])", text, re.IGNORECASE) is not None


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers with its 95 % Wilson interval; unparseable ones are wrong."""

    accuracy: float
    interval: tuple[float, float]
    unparseable: float
    count: int

    @classmethod
    def of(cls, right: Sequence[bool], parsed: Sequence[bool]) -> "Accuracy":
        """Accuracy with its 95 % Wilson interval and the share of answers that could not be parsed.

        Raises:
            EvaluationError: there are no answers.
        """
        if not right:
            raise EvaluationError("There are no answers to score.")
        interval = binomtest(sum(right), len(right)).proportion_ci(method="wilson")
        return cls(
            float(np.mean(right)), (float(interval.low), float(interval.high)), 1 - float(np.mean(parsed)), len(right)
        )

    def to_dict(self) -> dict[str, Any]:
        """The scores as JSON holds them."""
        return dict(self.__dict__)


def score_letters(golds: Sequence[str], answers: Sequence[str | None], questions: Sequence[str]) -> Accuracy:
    """Accuracy of multiple choice, by the option that an answer states.

    Raises:
        EvaluationError: a gold answer has no letter.
    """
    expected = [find_letter(gold, question) for gold, question in zip(golds, questions, strict=True)]
    if None in expected:
        row = expected.index(None)
        raise EvaluationError(f"Gold answer of row {row} has no letter A-H: {golds[row]!r}.")
    found = [find_letter(a, q) if a else None for a, q in zip(answers, questions, strict=True)]
    return Accuracy.of(
        [f == e for f, e in zip(found, expected, strict=True)], [letter is not None for letter in found]
    )


def qa_options(question: str) -> list[str]:
    listed = question.rpartition("Options:")[2].split("Only answer based on")[0]
    return [option.strip(" .\n") for option in listed.split(",") if option.strip(" .\n")]


def find_options(text: str, options: Sequence[str]) -> frozenset[str]:
    """Options that `text` names, longest first, so that "no" is not found in "not sure", nor "lead I" in "lead II"."""
    found = set()
    for option in sorted(options, key=len, reverse=True):
        pattern = rf"(?<![\w-]){re.escape(option)}(?![\w-])"
        if re.search(pattern, text, re.IGNORECASE):
            found.add(option)
            text = re.sub(pattern, "|", text, flags=re.IGNORECASE)
    return frozenset(found)


def gold_options(gold: str | Sequence[str], options: Sequence[str]) -> frozenset[str]:
    """The options of a gold answer: a list of them, one text, or (as on the Hub) the characters of one text.

    Raises:
        EvaluationError: it holds something that is not an option.
    """
    parts = [gold] if isinstance(gold, str) else list(gold)
    by_name = {option.lower(): option for option in options}
    if all(str(part).lower() in by_name for part in parts):
        return frozenset(by_name[str(part).lower()] for part in parts)
    joined = "".join(map(str, parts)).lower()
    pattern = "|".join(re.escape(name) for name in sorted(by_name, key=len, reverse=True))
    found = frozenset(by_name[name] for name in re.findall(pattern, joined))
    if not found or re.sub(rf"(?:{pattern})|[\s,;]", "", joined):
        raise EvaluationError(f"Gold answer {gold!r} is not made of the options {', '.join(options)}.")
    return found


def score_options(
    questions: Sequence[str], golds: Sequence[str | Sequence[str]], answers: Sequence[str | None]
) -> Accuracy:
    """ECG-QA: right is an answer that names exactly the gold options."""
    right, parsed = [], []
    for question, gold, answer in zip(questions, golds, answers, strict=True):
        options = qa_options(question)
        found = find_options(answer or "", options)
        right.append(found == gold_options(gold, options))
        parsed.append(bool(found))
    return Accuracy.of(right, parsed)


def score_judged(judged: Mapping[str, Mapping[str, Any] | None], criteria: Mapping[str, float]) -> dict[str, Any]:
    """
    Reports and Arena, 0-100: means per criterion (x100 / highest score) and `"Average"` over complete records, `"missing"`:
    record -> criteria without a usable score. `criteria`: name -> highest score.
    """
    rows, missing = [], {}
    for name, answer in judged.items():
        scores = {key: _score(answer, key, highest) for key, highest in criteria.items()}
        if lacking := [key for key, score in scores.items() if score is None]:
            missing[name] = lacking
        rows.append(scores)
    means = {
        key: float(np.mean(values)) if (values := [v for row in rows if (v := row[key]) is not None]) else None
        for key in criteria
    }
    complete = [np.mean(list(map(float, row.values()))) for row in rows if None not in row.values()]  # type: ignore[arg-type]
    return {**means, "Average": float(np.mean(complete)) if complete else None, "missing": missing}


def _score(answer: Mapping[str, Any] | None, key: str, highest: float) -> float | None:
    score = read_score((answer or {}).get(key))
    return None if score is None else 100 * min(max(score, 0.0), highest) / highest


__all__ = [
    "LABEL_NAMES",
    "Accuracy",
    "StrictLabels",
    "find_labels",
    "find_letter",
    "find_options",
    "score_judged",
    "score_labels",
    "score_letters",
    "score_options",
]
