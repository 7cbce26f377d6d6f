# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECG-QA (Oh et al. 2023, arXiv 2306.15681) in its own layout: questions about one ECG of PTB-XL, answered by a model, by the measurements, or blindly.

Published totals are over other questions (all templates, PTB-XL's test folds, in part two ECGs): nothing here compares with them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from processing.ecg_quality import lead_quality
from processing.errors_gem import EvaluationError, GemError
from recipes.scores import ScoreRow, ScoreTable
from recipes.sources.llava_sets import read_rows
from recipes.sources.ptbxl import TRAIN_FOLDS, import_ptbxl
from recipes.sources.source_record import SourceRecord
from recipes.teachers.yes_or_no import QA_INSTRUCTION, VERIFY_OPTIONS

from .ecgbench_compat import qa_passes
from .ecgbench_strict import find_options, qa_options
from .grounding_scores import confidence_interval
from .items import EvalItem
from .report import EvaluationReport, describe_data, describe_model

UNSURE = "not sure"
# What PTB-XL's readers noted of a recording, as ECG-QA calls it -> the measure of `lead_quality` that ranks it.
MEASURED_NOISE = {"static noise": "noise_mv", "baseline drift": "wander_mv"}
NOTE = (
    "compat: ECG-QA as the code of PULSE scores it, options found as parts of words; strict: exactly the right options. blind: the "
    "commonest answer to the same template and attribute among questions about the training folds. engine: measured "
    "noise and drift of the leads, with limits from the same questions; it has no measure of bursts or loose electrodes and says "
    "'not sure' there, as to all that it does not understand. Not comparable with published totals, which are over "
    "other questions."
)


@dataclass(frozen=True)
class QaQuestion:
    """A question about one ECG. `key`: its template and attributes, by which it can be answered blind."""

    item: EvalItem
    kind: str
    text: str
    answers: tuple[str, ...]
    key: tuple[str, ...]
    held_out: bool


@dataclass
class QaRun:
    """Questions about held-out ECGs, and column -> answers in their order; `notes` about those answers."""

    questions: list[QaQuestion]
    columns: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_ecg_qa(path: str | Path, ptbxl: str | Path) -> tuple[list[QaQuestion], list[str]]:
    """
    The questions about a single ECG that is in the folder, and notes on those left out: questions about two ECGs, or about an ECG
    that is missing.

    Args:
        path: a JSON file of ECG-QA, or a folder of them.
        ptbxl: PTB-XL's folder.

    Raises:
        EvaluationError: a row does not have ECG-QA's form, or no question is left.
    """
    folder = Path(path)
    files = sorted(folder.rglob("*.json")) if folder.is_dir() else [folder]
    rows = [(file, row) for file in files for row in read_rows(file)]
    records = {int(record.id.rpartition("/")[2]): record for record in import_ptbxl(str(ptbxl))}
    options: dict[Any, set[str]] = defaultdict(set)
    for _, row in rows:
        options[row.get("template_id")] |= set(map(str, row.get("answer", ())))
    questions, pairs, absent = [], 0, 0
    for file, row in rows:
        try:
            numbers = [int(number) for number in row["ecg_id"]]
            pairs += len(numbers) > 1
            absent += len(numbers) == 1 and numbers[0] not in records
            if len(numbers) == 1 and numbers[0] in records:
                questions.append(_question(row, records[numbers[0]], options[row.get("template_id")]))
        except (KeyError, TypeError, ValueError) as error:
            raise EvaluationError(
                f"{file}: a row is not ECG-QA's (ecg_id, question, answer, sample_id): {error!r}."
            ) from error
    if not questions:
        raise EvaluationError(f"{path}: no question about one ECG that is in {ptbxl}.")
    left_out = [f"{pairs} questions about two ECGs", f"{absent} about ECGs that are not there"]
    return questions, [reason for reason in left_out if not reason.startswith("0 ")]


def _question(row: Mapping[str, Any], record: SourceRecord, seen: set[str]) -> QaQuestion:
    kind, answers = str(row["question_type"]), tuple(map(str, row["answer"]))
    offered = VERIFY_OPTIONS if kind.endswith("verify") else tuple(sorted(seen))
    asked = f"{row['question']}\nOptions: {', '.join(offered)}\n{QA_INSTRUCTION}"
    item = EvalItem(f"ecg-qa/{row.get('split', 'all')}-{row['sample_id']}", asked, list(answers), record.first_ecg)
    key = (str(row.get("template_id")), *map(str, row.get("attribute") or ()))
    return QaQuestion(item, kind, str(row["question"]), answers, key, record.fold not in TRAIN_FOLDS)


def answer_blind(questions: Sequence[QaQuestion], known: Iterable[QaQuestion]) -> list[str]:
    """The commonest answer to the same template and attribute, else to the same template, among `known`."""
    counts: dict[tuple[str, ...], Counter[tuple[str, ...]]] = defaultdict(Counter)
    for question in known:
        for key in (question.key, question.key[:1]):
            counts[key][question.answers] += 1
    found = [counts.get(question.key) or counts.get(question.key[:1]) for question in questions]
    return [", ".join(each.most_common(1)[0][0]) if each else UNSURE for each in found]


def answer_by_quality(questions: Sequence[QaQuestion], known: Sequence[QaQuestion], problems: list[str]) -> list[str]:
    """
    Answers from the measured noise and drift of the leads. The limits are the values that best separate "yes" from "no" in the
    `known` questions. The answer is "not sure" to questions that are not understood or need something unmeasured (bursts).
    """
    disturbed = _Disturbances(problems)
    disturbed.read([*known, *questions])
    limits = {name: _limit(name, known, disturbed) for name in MEASURED_NOISE}
    answers = []
    for question in questions:
        names = (
            MEASURED_NOISE if "any kind of noises" in question.key else tuple(set(MEASURED_NOISE) & set(question.key))
        )
        values = {name: disturbed.value(question, name) for name in names}
        told = {name: value > limits[name] for name, value in values.items() if value is not None}
        answers.append(("yes" if any(told.values()) else "no") if told else UNSURE)
    return answers


class _Disturbances:
    """The quality of each ECG's leads, read once."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        self.known: dict[str, Mapping[str, Mapping[str, Any]]] = {}

    def read(self, questions: Sequence[QaQuestion]) -> None:
        """File by file: PTB-XL's Parquet files hold hundreds of ECGs each."""
        asked = {repr(question.item.ecg): question for question in questions if question.item.ecg is not None}
        for key, question in sorted(asked.items(), key=lambda pair: pair[1].item.ecg.path if pair[1].item.ecg else ""):
            assert question.item.ecg is not None
            try:
                record = question.item.ecg.load()
                rows = lead_quality(record.signal, record.sampling_rate)
                self.known[key] = dict(zip(record.leads, rows, strict=True))
            except (GemError, OSError) as error:
                self.problems.append(f"{question.item.id}: not measured: {error}")

    def value(self, question: QaQuestion, name: str) -> float | None:
        """Of the lead that the question names, or the worst of all; mV."""
        leads = self.known.get(repr(question.item.ecg), {})
        words = question.text.replace("?", " ").replace(",", " ").split()
        if not question.kind.endswith("verify"):
            return None
        chosen = [lead for lead in leads if lead in words] or list(leads)
        return max((leads[lead][MEASURED_NOISE[name]] for lead in chosen), default=None)


def _limit(name: str, known: Sequence[QaQuestion], disturbed: _Disturbances) -> float:
    """The value above which "yes" is right for the most known questions about `name`; infinite without any."""
    asked = [question for question in known if name in question.key]
    pairs = [(value, q.answers == ("yes",)) for q in asked if (value := disturbed.value(q, name)) is not None]
    limits = sorted({value for value, _ in pairs})
    right = [sum((value > limit) == is_yes for value, is_yes in pairs) for limit in limits]
    return limits[int(np.argmax(right))] if limits else float("inf")


def qa_report(run: QaRun, name: str, model: str | None = None) -> EvaluationReport:
    """A table by question type, and one by attribute, compat and strict of every column."""
    kinds = ["all", *dict.fromkeys(question.kind for question in run.questions)]
    attributes = dict.fromkeys(", ".join(question.key[1:]) for question in run.questions)
    by_kind = {kind: [q.kind == kind or kind == "all" for q in run.questions] for kind in kinds}
    by_attribute = {name: [", ".join(q.key[1:]) == name for q in run.questions] for name in attributes}
    tables = [
        _table("By question type", name, run, by_kind),
        _table("By attribute", name, run, by_attribute),
    ]
    data = ([question.item.id, question.item.question, question.answers] for question in run.questions)
    return EvaluationReport(
        "ECG-QA",
        tables,
        describe_data(name, data),
        describe_model(model),
        notes=[NOTE, *run.notes],
        problems=run.problems,
        details={
            "intervals": {
                label: {column: _interval(run, column, chosen) for column in run.columns}
                for label, chosen in (by_kind | by_attribute).items()
            }
        },
    )


def _table(title: str, name: str, run: QaRun, groups: Mapping[str, Sequence[bool]]) -> ScoreTable:
    rows = []
    for label, chosen in groups.items():
        values: dict[str, float | None] = {}
        for column in run.columns:
            values |= {f"{column} strict": _mean(is_exact, run, column, chosen)}
            values |= {f"{column} compat": _mean(passes_compat, run, column, chosen)}
        rows.append(ScoreRow(f"{label} ({sum(chosen)})", "accuracy", values))
    columns = [f"{column} {how}" for column in run.columns for how in ("strict", "compat")]
    baselines = tuple(column for column in columns if not column.startswith("model"))
    return ScoreTable(title, name, "held-out ECGs", len(run.questions), columns, rows, baselines=baselines)


def _mean(passes: Callable[[QaQuestion, str], bool], run: QaRun, column: str, chosen: Sequence[bool]) -> float | None:
    answers = zip(run.questions, run.columns[column], chosen, strict=True)
    right = [passes(question, answer) for question, answer, is_chosen in answers if is_chosen]
    return sum(right) / len(right) if right else None


def is_exact(question: QaQuestion, answer: str) -> bool:
    """Strict: the answer names exactly the right options."""
    return find_options(answer, qa_options(question.item.question)) == frozenset(question.answers)


def passes_compat(question: QaQuestion, answer: str) -> bool:
    """Compat: as PULSE's code counts it."""
    return qa_passes(question.item.question, list(question.answers), answer, "pulse")


def _interval(run: QaRun, column: str, chosen: Sequence[bool]) -> tuple[float, float]:
    """95 % bootstrap interval of the strict accuracy of the chosen questions."""
    answers = zip(run.questions, run.columns[column], chosen, strict=True)
    right = [is_exact(question, answer) for question, answer, is_chosen in answers if is_chosen]
    return confidence_interval(np.array(right, float))


__all__ = ["QaQuestion", "QaRun", "answer_blind", "answer_by_quality", "qa_report", "read_ecg_qa"]
