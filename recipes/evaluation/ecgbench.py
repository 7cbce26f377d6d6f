# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECG-Bench: the score of every set by the published code (compat), beside a strict one.

gem eval ecgbench ptb-test my_ptb-test.json --answers my_step-final.jsonl --output outputs/ptb-test
gem eval ecgbench ptb-test my_ptb-test.json --model my_model --likelihood --output outputs/ptb-test
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from processing.errors_gem import EvaluationError, GemError
from processing.grounding.cut_off import checkable
from recipes.models import load_gem
from recipes.scores import ScoreRow, ScoreTable

from . import ecgbench_compat as compat
from . import ecgbench_strict as strict
from .answers import AnswerFile, AnswerLog, read_answers
from .items import EvalItem
from .judge_replies import read_object
from .judges import ARENA, REPORT, Judge, arena_text, judge_answers
from .report import Bars, Curves, EvaluationReport, describe_data, describe_model

if TYPE_CHECKING:
    from processing.chat_gem import Modality

MULTI_LABEL = tuple(strict.LABEL_NAMES)
CHOICE = tuple(compat.CHOICE_SETS)
QA, REPORTS, ARENA_SET = "ecgqa-test", "ptb-test-report", "arena"
SETS = (*MULTI_LABEL, *CHOICE, QA, REPORTS, ARENA_SET)
JUDGED = {REPORTS: REPORT, ARENA_SET: ARENA}
TITLES = {
    "ptb-test": "PTB-XL Super",
    "cpsc-test": "CPSC 2018",
    "code15-test": "CODE-15%",
    "csn-test-no-cot": "CSN",
    "g12-test-no-cot": "G12EC",
    "mmmu-ecg": "MMMU-ECG",
    QA: "ECG-QA",
    REPORTS: "PTB-XL report",
    ARENA_SET: "ECG Arena",
}


@dataclass
class BenchRun:
    """`compat`, `strict`: name -> score in percent, `None` where there is none. `details` for the JSON; `notes`: about the answers."""

    task: str
    compat: dict[str, float | None] = field(default_factory=dict)
    strict: dict[str, float | None] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_task(task: str) -> str:
    """Checks that ECG-Bench has this set.

    Raises:
        EvaluationError: there is no such set.
    """
    if task not in SETS:
        raise EvaluationError(f"ECG-Bench set {task!r} is unknown; known are {', '.join(SETS)}.")
    return task


def evaluate_ecgbench(
    task: str,
    items: Sequence[EvalItem],
    answers: str | Path,
    folder: str | Path,
    judge: Judge | None = None,
    graded: Mapping[str, Sequence[float]] | None = None,
    progress: Callable[[int, int], None] | None = None,
    is_part: bool = False,
) -> BenchRun:
    """Scores answers to a set of ECG-Bench by the published rules and by strict ones.

    Args:
        task: one of `SETS`.
        items: its rows, from `read_bench`.
        answers: file of answers.
        folder: where the judge's verdicts are kept.
        judge: for reports and Arena.
        graded: id -> likelihood of each label (`label_scores`), for the AUC of multi-label sets.
        progress: called with (answers judged, in all).
        is_part: `items` is a part of the set, so answers to other items are not an error.

    Raises:
        EvaluationError: unknown set, files that do not belong together, or reports or Arena without a judge.
    """
    check_task(task)
    file = read_answers(answers)
    texts = file.texts_for([item.id for item in items], is_part)
    if is_part:
        wanted = {item.id for item in items}
        file.answers = [answer for answer in file.answers if answer.id in wanted]
    run = BenchRun(task)
    if task in JUDGED:
        if judge is None:
            raise EvaluationError(f"{task} is scored by a judge: name one.")
        _score_judged(run, items, texts, judge, Path(folder), progress)
    elif task in MULTI_LABEL:
        _score_labels(run, items, texts, graded)
        _published(run, lambda: _compat_labels(task, items, file))
    elif task in CHOICE:
        _score_choice(run, items, texts)
        _published(run, lambda: _compat_choice(run, items, file))
    else:
        found = strict.score_options([i.question for i in items], [i.gold for i in items], texts)
        _take_accuracy(run, found)
        _published(run, lambda: _compat_qa(items, file))
    run.problems += file.problems
    ids = [item.id for item in items]
    run.notes = file.cut_off_notes(ids)
    counts = {"lines": len(file.answers), "items": len(items), "cut_off": file.cut_off(ids)}
    run.details["answers"] = {"file": file.path.name, **counts}
    return run


def _published(run: BenchRun, score: Callable[[], dict[str, float | None]]) -> None:
    try:
        run.compat = score()
    except EvaluationError as error:
        run.problems.append(f"the published score cannot be computed: {error}")


def _as_published(items: Sequence[EvalItem], file: AnswerFile) -> list[tuple[EvalItem, str, str]]:
    """The lines of the file as the original counts them: all of them, in their order, repeated ids included."""
    by_id = {item.id: item for item in items}
    rows = [(by_id[a.id], a.text, a.key) for a in file.answers if a.id in by_id and a.text is not None]
    if len(rows) < len(file.answers):
        raise EvaluationError(
            "a line without a text answer, or with an id that the set does not have, stops the original."
        )
    return rows  # type: ignore[return-value]


def _compat_labels(task: str, items: Sequence[EvalItem], file: AnswerFile) -> dict[str, float | None]:
    rows = _as_published(items, file)
    return dict(compat.score_multilabel(task, [i.gold for i, _, _ in rows], [text for _, text, _ in rows]).percent())


def _compat_choice(run: BenchRun, items: Sequence[EvalItem], file: AnswerFile) -> dict[str, float | None]:
    rows, (options, count) = _as_published(items, file), compat.CHOICE_SETS[run.task]
    golds, texts = [i.gold for i, _, _ in rows], [text for _, text, _ in rows]
    found = compat.score_choice(golds, texts, options, count, whole_gold=run.task == "mmmu-ecg")
    if found is None:
        run.problems.append(
            f"{len(rows)} answers, but the published code scores files of {count} only, and silently skips others"
        )
    return {"Accuracy": None if found is None else 100 * found}


def _compat_qa(items: Sequence[EvalItem], file: AnswerFile) -> dict[str, float | None]:
    rows = _as_published(items, file)
    keys = {key for _, _, key in rows}
    key = "response" if keys == {"response"} else "text"
    questions, texts = [i.question for i, _, _ in rows], [text for _, text, _ in rows]
    joined = [i.gold if isinstance(i.gold, str) else "".join(i.gold) for i, _, _ in rows]
    return {
        "Accuracy (PULSE)": 100 * compat.score_qa(questions, [i.gold for i, _, _ in rows], texts, "pulse", key),
        "Accuracy (GEM)": 100 * compat.score_qa(questions, joined, texts, "gem", key),
    }


def _score_labels(
    run: BenchRun,
    items: Sequence[EvalItem],
    texts: Sequence[str | None],
    graded: Mapping[str, Sequence[float]] | None,
) -> None:
    scores = None
    if graded is not None:
        if missing := [item.id for item in items if item.id not in graded]:
            run.problems.append(f"{len(missing)} records have no label likelihoods, medians stand in: {missing[:5]}")
        undecided = np.median(list(graded.values()), axis=0)
        scores = np.array([graded.get(item.id, undecided) for item in items])
    found = strict.score_labels(run.task, [item.gold for item in items], texts, scores)
    percent = {
        "AUC": found.auc,
        "F1": found.f1,
        "HL": found.hamming_loss,
        "Balanced accuracy": found.balanced_accuracy,
        "Exact match": found.exact_match,
        "Unparseable": found.unparseable,
    }
    run.strict = {name: None if value is None else 100 * value for name, value in percent.items()}
    run.details["strict"] = found.to_dict()
    if scores is not None:
        run.details["roc"] = _roc(run.task, items, scores)


def _roc(task: str, items: Sequence[EvalItem], scores: np.ndarray) -> dict[str, list[list[float]]]:
    from sklearn.metrics import roc_curve

    curves = {}
    for column, label in enumerate(strict.LABEL_NAMES[task]):
        truth = [label in strict.find_labels(task, item.gold) for item in items]
        if 0 < sum(truth) < len(truth):
            false, true, _ = roc_curve(truth, scores[:, column])
            curves[label] = [false.round(5).tolist(), true.round(5).tolist()]
    return curves


def _score_choice(run: BenchRun, items: Sequence[EvalItem], texts: Sequence[str | None]) -> None:
    _take_accuracy(run, strict.score_letters([i.gold for i in items], texts, [i.question for i in items]))


def _take_accuracy(run: BenchRun, found: strict.Accuracy) -> None:
    run.strict = {"Accuracy": 100 * found.accuracy, "Unparseable": 100 * found.unparseable}
    run.details["strict"] = found.to_dict()


def _score_judged(
    run: BenchRun,
    items: Sequence[EvalItem],
    texts: Sequence[str | None],
    judge: Judge,
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    task = JUDGED[run.task]
    found = judge_answers(judge, task, _pairs(run.task, items, texts), folder / "judged.jsonl", progress)
    run.problems += [f"{name}: not judged: {why}" for name, why in found.failures.items()]
    parsed = {name: read_object(text)[0] for name, text in found.texts.items()}
    scores = strict.score_judged(parsed, task.criteria)
    missing = scores.pop("missing")
    run.problems += [f"judge of {name}: no score for {', '.join(criteria)}" for name, criteria in missing.items()]
    run.strict, run.details["judged"] = scores, len(found.texts)
    _published(run, lambda: _compat_judged(run.task, found.texts, parsed))


def _pairs(task: str, items: Sequence[EvalItem], texts: Sequence[str | None]) -> dict[str, tuple[str, str]]:
    if task == REPORTS:
        return {item.id: (str(item.gold), checkable(text)) for item, text in zip(items, texts, strict=True) if text}
    pairs = {}
    turns = zip(items, texts, strict=True)
    for name, group in groupby(turns, key=lambda turn: turn[0].id.rpartition("#")[0]):
        rows = list(group)
        if all(text for _, text in rows):
            questions = [item.question for item, _ in rows]
            gold, given = [str(item.gold) for item, _ in rows], [checkable(text or "") for _, text in rows]
            pairs[name] = (arena_text(questions, gold), arena_text(questions, given))
    return pairs


def _compat_judged(
    task: str, texts: Mapping[str, str], parsed: Mapping[str, dict[str, Any] | None]
) -> dict[str, float | None]:
    if task == REPORTS:
        return {k: v for k, v in compat.score_reports(texts).items() if k != "Records"}
    if broken := [name for name, value in parsed.items() if value is None]:
        raise EvaluationError(f"{broken[0]}: the judge's text is not JSON.")
    return dict(compat.score_arena(parsed))  # type: ignore[arg-type]


def label_scores(
    task: str,
    items: Sequence[EvalItem],
    model: str,
    output: str | Path,
    modality: "Modality" = "both",
    batch_size: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, list[float]], list[str]]:
    """
    The mean log probability per token of each label of a multi-label set as the model's answer: id -> score per label; and the
    records that could not be read. Results are kept in `output` (JSON Lines), from which a stopped run continues.
    """
    from .likelihood import label_log_likelihoods

    labels = list(strict.LABEL_NAMES[task])
    problems: list[str] = []
    with AnswerLog(output, {"model": model, "modality": modality, "task": task, "labels": labels}) as log:
        todo = [item for item in items if item.id not in log.rows]
        if todo:
            network, processor = load_gem(model)
        for start in range(0, len(todo), batch_size):
            names, chats = [], []
            for item in todo[start : start + batch_size]:
                try:
                    chats.append(processor.build_conversation(item.model_input(modality)))
                    names.append(item.id)
                except (GemError, OSError) as error:
                    problems.append(f"{item.id}: no likelihoods: {error}")
            if chats:
                found = label_log_likelihoods(network, processor, chats, labels, batch_size, normalize=True)
                log.append({"id": n, "text": "", "scores": row.tolist()} for n, row in zip(names, found, strict=True))
            if progress is not None:
                progress(min(start + batch_size, len(todo)), len(todo))
    return {name: row["scores"] for name, row in log.rows.items()}, problems


def bench_report(
    run: BenchRun, items: Sequence[EvalItem], model: str | None = None, judge: Mapping[str, Any] | None = None
) -> EvaluationReport:
    """Tables and plots of a run."""
    names = dict.fromkeys([*run.strict, *run.compat])
    columns = {"strict": run.strict, "compat": run.compat}
    values = {n: {c: v[n] for c, v in columns.items() if v.get(n) is not None} for n in names}
    rows = [ScoreRow(name, _metric(name), row) for name, row in values.items() if row]
    title = TITLES[run.task]
    table = ScoreTable(f"ECG-Bench, {title}", f"ECG-Bench {title}", "test", len(items), list(columns), rows, _NOTE)
    plots: dict[str, Bars | Curves] = {}
    details = run.details.get("strict", {})
    if "class_f1" in details:
        plots["class_f1"] = Bars(f"{title}: F1 by class (strict)", details["class_f1"], limits=(0, 1), unit="F1")
    if curves := run.details.get("roc"):
        lines = {f"{n} ({details['class_auc'][n]:.3f})": (xy[0], xy[1]) for n, xy in curves.items()}
        plots["roc"] = Curves(f"{title}: label likelihoods", lines, ("false positive rate", "true positive rate"))
    gold = ([item.id, item.question, item.gold] for item in items)
    return EvaluationReport(
        f"ECG-Bench: {title}",
        [table],
        describe_data(run.task, gold),
        describe_model(model),
        judge,
        run.notes,
        run.problems,
        run.details,
        plots=plots,
    )


_NOTE = (
    "In percent. compat: as the published code counts, for comparison with published tables only (its AUC is one of yes/no "
    "decisions). strict: whole words, all classes, nothing drawn; its AUC needs label likelihoods (`--likelihood`)."
)


def _metric(name: str) -> str:
    kinds = {"AUC": "roc_auc", "F1": "f1", "HL": "hamming_loss", "Balanced accuracy": "balanced_accuracy"}
    return kinds.get(
        name, "accuracy" if name.startswith(("Accuracy (", "Exact")) or name == "Accuracy" else name.lower()
    )


__all__ = ["SETS", "BenchRun", "bench_report", "check_task", "evaluate_ecgbench", "label_scores"]
