# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECG-Bench scores of the published evaluation code (shared by PULSE, GEM and ECG-R1), including its bugs.

Use them only to compare with published tables; `ecgbench_strict` has reliable scores. These oddities are reproduced:

- *substring labels*: a label counts wherever its letters occur, in this case only ("ABNORMAL" says NORM, "STEMI" says ST);
- *gold classes only*: classes that no gold answer holds are dropped from predictions, and from every mean;
- *AUC of decisions*: the area under the curve of 0/1 answers, which is balanced accuracy; NaN where a class is constant;
- *one gold class*: the F1 is then the one of the negative class;
- *alphabet before answer*: "C. ..., rather than A. ..." is A, "aVF. " is F, "Answer: Both" is B;
- *random letters*: an answer without a letter gets one drawn with seed 42;
- *line counts*: multiple choice files of other than 1611 (CSN), 2026 (G12EC) or 200 (MMMU) lines give no score;
- *sets of characters*: GEM and ECG-R1 compare ECG-QA answers as sets of letters, so that anagrams pass; in PULSE, options
  with capitals never match;
- *repeated report*: a judge text without a closing fence is scored as the record before it.

Where the original stops with an error, `EvaluationError` is raised.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from sklearn.metrics import f1_score, hamming_loss, roc_auc_score
from sklearn.preprocessing import MultiLabelBinarizer

from processing.errors_gem import EvaluationError
from recipes.teachers.yes_or_no import QA_INSTRUCTION

LABEL_SPACES: dict[str, tuple[str, ...]] = {
    "ptb-test": ("NORM", "MI", "STTC", "CD", "HYP"),
    "cpsc-test": ("NORM", "AF", "I-AVB", "LBBB", "RBBB", "PAC", "PVC", "STD", "STE"),
    "code15-test": ("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF"),
}
# Set -> letters that may be drawn, and lines that a result file must have.
CHOICE_SETS: dict[str, tuple[str, int]] = {
    "csn-test-no-cot": ("ABCDEFGH", 1611),
    "g12-test-no-cot": ("ABCDEFGH", 2026),
    "mmmu-ecg": ("ABCD", 200),
}
LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class MultiLabelScores:
    """Fractions, not percent. `classes` in the order of the columns."""

    f1: float
    auc: float
    hamming_loss: float
    classes: tuple[str, ...]
    gold_labels: tuple[tuple[str, ...], ...]
    predicted_labels: tuple[tuple[str, ...], ...]

    def percent(self) -> dict[str, float]:
        """x100 with one decimal, as printed in the papers: means are NumPy's numbers, which round otherwise than Python's."""
        means = {name: float(np.round(value * 100, 1)) for name, value in (("AUC", self.auc), ("F1", self.f1))}
        return {**means, "HL": round(self.hamming_loss * 100, 1)}


def score_multilabel(task: str, golds: Sequence[str], answers: Sequence[str]) -> MultiLabelScores:
    """Scores of label sets as the published code counts them.

    Args:
        task: a key of `LABEL_SPACES`.
        golds: gold texts.
        answers: answers to the same rows.

    Raises:
        EvaluationError: unknown task, no rows, different numbers of texts, or no gold label at all.
    """
    _check_rows(golds, answers)
    gold_labels = [labels_in_gold(task, text) for text in golds]
    predicted = [labels_in_answer(task, text) for text in answers]
    binarizer = MultiLabelBinarizer()
    truth = binarizer.fit_transform(gold_labels)
    if truth.shape[1] == 0:
        raise EvaluationError(f"{task}: no gold answer holds a label of {', '.join(label_space(task))}.")
    with catch_warnings():
        simplefilter("ignore")  # unknown classes and undefined scores: both are the original's way
        stated = binarizer.transform(predicted)
        f1 = f1_score(truth, stated, average=None)[: truth.shape[1]]
        aucs = [_auc(truth[:, i], stated[:, i]) for i in range(truth.shape[1])]
    return MultiLabelScores(
        float(np.mean(f1)),
        float(np.mean(aucs)),
        float(hamming_loss(truth, stated)),
        tuple(binarizer.classes_),
        tuple(map(tuple, gold_labels)),
        tuple(map(tuple, predicted)),
    )


def label_space(task: str) -> tuple[str, ...]:
    """The labels of a set, in the published order.

    Raises:
        EvaluationError: unknown task.
    """
    if task not in LABEL_SPACES:
        raise EvaluationError(f"multi-label set {task!r} is unknown; known are {', '.join(LABEL_SPACES)}.")
    return LABEL_SPACES[task]


def labels_in_gold(task: str, text: str) -> list[str]:
    if task == "code15-test" and text in ("NORM", "ABNORMAL"):
        return [text]
    return _substrings(task, text)


def labels_in_answer(task: str, text: str) -> list[str]:
    if task != "code15-test":
        return _substrings(task, text)
    text = text.split("Answer:")[-1]
    found = _substrings(task, text)
    if "ABNORMAL" in text:
        return ["ABNORMAL", *found]
    return ["NORM", *found] if "NORM" in text else found


def _substrings(task: str, text: str) -> list[str]:
    return [label for label in label_space(task) if label in text]


def _auc(truth: np.ndarray, stated: np.ndarray) -> float:
    try:
        return float(roc_auc_score(truth, stated))
    except ValueError:  # scikit-learn before 1.6 raises where it now returns NaN
        return float("nan")


def letter(text: str) -> str | None:
    """The letter of a multiple choice answer, `None` where the original would draw one."""
    if text and text in LETTERS and len(text) == 1:
        return text
    for candidate in LETTERS:
        if f"{candidate}." in text:
            return candidate
    _, phrase, behind = text.rpartition("The correct option is ")
    if phrase:
        if not behind:
            raise EvaluationError("'The correct option is ' with nothing after it stops the original evaluation.")
        return behind[0] if behind[0] in LETTERS else None
    _, marker, answer = text.rpartition("Answer:")
    return next((candidate for candidate in LETTERS if candidate in answer), None) if marker else None


def letters(answers: Sequence[str], options: str = LETTERS, seed: int = 42) -> list[str]:
    """One letter per answer; missing ones are drawn in order, as after `random.seed(42)`."""
    draws = random.Random(seed)
    return [letter(text) or draws.choice(list(options)) for text in answers]


def score_choice(
    golds: Sequence[str],
    answers: Sequence[str],
    options: str = LETTERS,
    expected_rows: int | None = None,
    whole_gold: bool = False,
) -> float | None:
    """
    Accuracy as a fraction; the gold letter is the first character of the gold answer, for MMMU `whole_gold`. `None`: the
    rows are not `expected_rows`, and the original skips the file.

    Raises:
        EvaluationError: no rows, unequal numbers, or an empty gold answer.
    """
    _check_rows(golds, answers)
    if any(not gold for gold in golds):
        raise EvaluationError("A gold answer is empty; multiple choice needs its letter.")
    if expected_rows is not None and len(answers) != expected_rows:
        return None
    drawn = letters(answers, options)
    return mean(float((gold if whole_gold else gold[0]) == found) for gold, found in zip(golds, drawn, strict=True))


def qa_candidates(prompt: str) -> list[str]:
    return [part.strip() for part in prompt.split("Options:")[-1].replace(QA_INSTRUCTION, "").split(",")]


def qa_passes(
    prompt: str, gold: str | Sequence[str], answer: str, variant: str = "gem", answer_key: str = "text"
) -> bool:
    """
    Whether an ECG-QA answer is counted as correct.

    Args:
        prompt: the question.
        gold: the right answer, or several.
        answer: the model's answer.
        variant: `"pulse"`, or `"gem"` (GEM and ECG-R1), see above.
        answer_key: key of the answers in the result file; with `"response"` GEM's code compares as PULSE's does.

    Raises:
        EvaluationError: unknown variant.
    """
    if variant not in ("gem", "pulse"):
        raise EvaluationError(f"ECG-QA variant {variant!r} is unknown; known are 'gem' and 'pulse'.")
    said = answer.lower()
    lowered = variant == "gem" and answer_key == "text"
    found = [option for option in qa_candidates(prompt) if (option.lower() if lowered else option) in said]
    return set("".join(found) if variant == "gem" else found) == set(gold)


def score_qa(
    prompts: Sequence[str],
    golds: Sequence[str | Sequence[str]],
    answers: Sequence[str],
    variant: str = "gem",
    answer_key: str = "text",
) -> float:
    """Accuracy as a fraction."""
    _check_rows(golds, answers)
    rows = zip(prompts, golds, answers, strict=True)
    return mean(float(qa_passes(prompt, gold, answer, variant, answer_key)) for prompt, gold, answer in rows)


def score_reports(judged: Mapping[str, str]) -> dict[str, float]:
    """
    Report scores 0-100 from what a judge wrote: per criterion, `"Average"` over records, `"Records"`.

    Args:
        judged: record -> text; read in the order of the names.

    Raises:
        EvaluationError: a text stops the original: the first one is not JSON, or a score is not a number.
    """
    criteria: dict[str, list[float]] = {}
    records, scored = [], None
    for name in sorted(judged):
        parsed = _report_json(judged[name], name)
        scored = parsed if parsed is not None else scored
        if scored is None:
            raise EvaluationError(f"{name}: no JSON, and no record before it whose scores the original would repeat.")
        scores = {key: _report_number(name, key, value) for key, value in scored.items()}
        if not scores:
            raise EvaluationError(f"{name}: the judge's JSON is empty.")
        for key, score in scores.items():
            criteria.setdefault(key, []).append(score)
        records.append(sum(scores.values()) / len(scores) * 10)
    if not records:
        raise EvaluationError("No judged reports.")
    means = {key: float(np.mean(scores) * 10) for key, scores in criteria.items()}
    return {**means, "Records": float(len(records)), "Average": float(np.mean(records))}


def _report_json(text: str, name: str) -> dict[str, Any] | None:
    """`None` where the original keeps the scores of the record before."""
    try:
        return _json_object(text, name)
    except json.JSONDecodeError:
        text = text.strip()
    if text.startswith("```"):
        text = text.partition("\n")[2].strip()
    if not text.endswith("```"):
        return None
    body = text.rpartition("\n```")[0] if "\n```" in text else text[:-3]
    try:
        return _json_object(body.strip(), name)
    except json.JSONDecodeError as error:
        raise EvaluationError(f"{name}: the judge's fenced text is not JSON ({error}).") from error


def _json_object(text: str, name: str) -> dict[str, Any]:
    parsed = json.loads(text)
    if not isinstance(parsed, dict):
        raise EvaluationError(f"{name}: the judge wrote {type(parsed).__name__}, expected a JSON object.")
    return parsed


def _report_number(name: str, key: str, value: Any) -> float:
    score = value.get("Score") if isinstance(value, dict) else None
    if not isinstance(score, (int, float)):
        raise EvaluationError(f"{name}: {key} holds no number under 'Score' ({value!r}), which stops the original.")
    return score


ARENA_CRITERIA = ("Accuracy", "Completeness", "Instruction Adherence")


def score_arena(judged: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """
    ECG Arena, 0-100: the mean of each criterion and `"Overall"`, the mean of all values.

    Raises:
        EvaluationError: no rows, or a criterion is missing under its exact name.
    """
    values: dict[str, list[float]] = {criterion: [] for criterion in ARENA_CRITERIA}
    for name, scores in judged.items():
        for criterion in ARENA_CRITERIA:
            if criterion not in scores:
                raise EvaluationError(f"{name}: no {criterion!r} among {sorted(scores)}; the spelling counts.")
            values[criterion].append(_report_number(name, criterion, scores[criterion]) * 10)
    if not judged:
        raise EvaluationError("No judged answers.")
    overall = mean(value for column in values.values() for value in column)
    return {**{criterion: mean(column) for criterion, column in values.items()}, "Overall": overall}


def _check_rows(golds: Sequence[Any], answers: Sequence[Any]) -> None:
    if not golds or len(golds) != len(answers):
        raise EvaluationError(f"{len(golds)} gold answers and {len(answers)} answers: equally many, one at least.")


__all__ = [
    "CHOICE_SETS",
    "LABEL_SPACES",
    "MultiLabelScores",
    "letter",
    "score_arena",
    "score_choice",
    "score_multilabel",
    "score_qa",
    "score_reports",
]
