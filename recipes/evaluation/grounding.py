# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Grounded ECG Understanding from beginning to end: answers, a check against measurements, a judge, scores, report.

    gem eval grounding my_ptbxl --model my_model --output outputs/grounding --judge gpt-4o --judge-engine https://...
    accelerate launch -m recipes.cli eval grounding my_ptbxl --model my_model --output outputs/grounding

Every step continues where it was stopped. Without a judge the check against measurements alone makes the report.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypedDict, cast, get_args

import numpy as np

from processing.errors_gem import EvaluationError, GemError
from processing.grounding.cut_off import checkable
from recipes.scores import ScoreRow, ScoreTable

from .answers import AnswerFile, AnswerLog, full_names, read_answers
from .grounding_scores import VERSIONS, GroundingScores, confidence_interval, score_grounding
from .items import EvalItem
from .judge_replies import ALIASES, CRITERIA, JUDGE_TO_OLD_NAMES
from .judges import GROUNDING, Judge, judge_answers, read_judged
from .report import Bars, Curves, EvaluationReport, describe_data, describe_model

Progress = Callable[[str, int, int], None]
SHUFFLED = "answers of other records"
CheckScore = Literal["precision", "recall", "contradiction_rate", "hallucinated_lead_rate"]
CHECK_SCORES: tuple[CheckScore, ...] = get_args(CheckScore)
MEASURED_NOTE = (
    "Check against measurements: every claim of an answer that can be measured is compared with what gem-ecg measures in the "
    "signal. precision: share of those claims that hold; recall: share of the salient measured findings that are mentioned "
    "correctly; both are means over the records that have any. The second column is what the same answers get when each is "
    "compared with another record: a model that does not look at the ECG gets as much."
)
JUDGE_NOTES = {
    "gem-v1": "gem-v1: formulas of GEM's first paper. gem-v2: of its NeurIPS paper. Neither is bounded by 100.",
    "ecg-r1": "ecg-r1: formulas of ECG-R1, whose LeadEvidenceValidity our judge is not asked for.",
    "strict": "strict: all scores are 0-100, with 95 % bootstrap intervals over the records in the report's JSON.",
}


class Check(TypedDict):
    """Scores of an answer against the measurements (`None` if a score has nothing to count), and its claims."""

    precision: float | None
    recall: float | None
    contradiction_rate: float | None
    hallucinated_lead_rate: float | None


class CheckedRow(TypedDict):
    """A line of the file of checks. `shuffled`: what the answer to the record before gets."""

    id: str
    text: str
    answers_sha: str
    check: Check
    shuffled: Check


class Spread(TypedDict):
    """A mean over records with its 95 % bootstrap interval."""

    mean: float
    interval: tuple[float, float]
    records: int


@dataclass
class GroundingRun:
    """Results of the steps. `checks`: id -> check against the measurements; `shuffled`: the same for the answer to another record."""

    answers: AnswerFile
    checks: dict[str, Check] = field(default_factory=dict)
    shuffled: dict[str, Check] = field(default_factory=dict)
    judged: dict[str, str] = field(default_factory=dict)
    scores: dict[str, GroundingScores] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def check_answers(
    items: Sequence[EvalItem], answers: Mapping[str, str], output: str | Path, progress: Progress | None = None
) -> tuple[dict[str, CheckedRow], list[str]]:
    """
    Compares answers with the measurements of their records. Kept in `output` (JSON Lines), where a record with the same answer is
    not measured again.

    Returns:
        Id -> `check`, the scores and verdicts, and `shuffled`, the scores of the answer to the preceding record, which a model that
        ignores the ECG would reach; and a list of problems.
    """
    todo = [item for item in items if item.id in answers and item.ecg is not None]
    problems = [f"{item.id}: no signal to check the answer against" for item in items if item.ecg is None]
    rows: dict[str, CheckedRow] = {}
    with AnswerLog(output, {"task": "check against measurements"}) as log:
        for number, item in enumerate(todo):
            # Of the first record: the last one's.
            text, other = answers[item.id], answers[todo[number - 1].id]
            digest = sha256(f"{text}\0{other}".encode()).hexdigest()[:16]
            row = cast(CheckedRow | None, log.rows.get(item.id))
            if row is None or row["answers_sha"] != digest:
                try:
                    check, shuffled = _check(item, text, other)
                except (GemError, OSError) as error:
                    problems.append(f"{item.id}: not checked: {error}")
                    continue
                row = {"id": item.id, "text": "", "answers_sha": digest, "check": check, "shuffled": shuffled}
                log.append([row])
            rows[item.id] = row
            if progress is not None:
                progress("check", number + 1, len(todo))
    return rows, problems


def _check(item: EvalItem, text: str, other: str) -> tuple[Check, Check]:
    from processing.ecg_features import extract_features
    from processing.grounding.check import check_grounding

    features = extract_features(item.ecg.load())  # type: ignore[union-attr]
    found, shuffled = check_grounding(text, features).to_dict(), check_grounding(other, features).scores()
    return cast(Check, found), cast(Check, shuffled)


def references_of(items: Sequence[EvalItem], answers: AnswerFile) -> dict[str, str]:
    """Id -> reference: the one stored with the answer, else the item's own."""
    stored = {a.id: a.row.get("reference", a.row.get("GPT4o_generated")) for a in answers.answers}
    own = {item.id: item.reference for item in items}
    found = {name: stored.get(name) or own[name] for name in own}
    return {name: text for name, text in found.items() if isinstance(text, str) and text}


def evaluate_grounding(
    items: Sequence[EvalItem],
    answers: str | Path,
    folder: str | Path,
    judge: Judge | None = None,
    judged: str | Path | None = None,
    progress: Progress | None = None,
    is_part: bool = False,
) -> GroundingRun:
    """Scores answers by the measurements and, where there is a judge, by its criteria.

    Args:
        items: the test set.
        answers: file of answers to it.
        folder: where intermediate results are kept, so that a run can continue.
        judge: the judge to ask; `None` for none.
        judged: instead of `judge`, a file or folder of judgements that exist already, in any published layout.
        progress: called with (what, done, in all).
        is_part: `items` is a part of the test set, so answers to other items are not an error.

    Raises:
        EvaluationError: the files do not belong together, or there is nothing to score.
        TeacherError: no request to the judge can succeed; its earlier judgements are kept.
    """
    folder = Path(folder)
    file = read_answers(answers)
    texts = file.texts_for([item.id for item in items], is_part)
    # Nothing is said of the unfinished last word of an answer that was cut off, here or by the judge.
    answered = {item.id: checkable(text) for item, text in zip(items, texts, strict=True) if text and text.strip()}
    empty = [item.id for item, text in zip(items, texts, strict=True) if text is not None and not text.strip()]
    run = GroundingRun(file, problems=[*file.problems, *(f"id {name}: the answer is empty" for name in empty)])
    if not answered:
        raise EvaluationError(f"{answers}: no answer to score. {' '.join(run.problems[:3])}")
    rows, problems = check_answers(items, answered, folder / "checked.jsonl", progress)
    run.checks = {name: row["check"] for name, row in rows.items()}
    run.shuffled = {name: row["shuffled"] for name, row in rows.items()}
    run.problems += problems
    if judge is not None:
        _judge(run, judge, answered, references_of(items, file), folder, progress)
    elif judged is not None:
        _take_judged(run, judged, list(answered), is_part)
    if run.judged:
        _aggregate(run, [item.id for item in items])
    return run


def _judge(
    run: GroundingRun,
    judge: Judge,
    answered: Mapping[str, str],
    references: Mapping[str, str],
    folder: Path,
    progress: Progress | None,
) -> None:
    pairs = {name: (references[name], text) for name, text in answered.items() if name in references}
    run.problems += [f"{name}: no reference to judge the answer by" for name in answered if name not in pairs]
    step = None if progress is None else lambda done, total: progress("judge", done, total)
    found = judge_answers(judge, GROUNDING, pairs, folder / "judged.jsonl", step)
    run.judged = found.texts
    run.problems += [f"{name}: not judged: {why}" for name, why in found.failures.items()]


def _take_judged(run: GroundingRun, judged: str | Path, ids: list[str], is_part: bool) -> None:
    read, problems = read_judged(judged)
    names = full_names(read, ids)
    texts = {names[name]: text for name, text in read.items()}
    run.judged = {name: texts[name] for name in ids if name in texts}
    run.problems += problems
    if missing := [name for name in ids if name not in texts]:
        run.problems.append(f"{len(missing)} answers were not judged: {', '.join(missing[:5])}")
    if (surplus := sorted(set(texts) - set(ids))) and not is_part:
        run.problems.append(f"{len(surplus)} judged ids are not in the test set: {', '.join(surplus[:5])}")
    if not run.judged:
        raise EvaluationError(f"{judged}: not one of its ids is in the test set.")


def _aggregate(run: GroundingRun, ids: Sequence[str]) -> None:
    for version in VERSIONS:
        # GEM's first notebook knows two criteria under their old names only.
        texts = {k: _old_names(t) for k, t in run.judged.items()} if version == "gem-v1" else run.judged
        try:
            run.scores[version] = score_grounding(texts, version)
        except EvaluationError as error:
            run.problems.append(f"{version} cannot be computed: {error}")
    lacking = run.scores["strict"].problems
    run.problems += [f"judge of {name}: {problem}" for name in ids for problem in lacking.get(name, ())]


def _old_names(text: str) -> str:
    for name, old in JUDGE_TO_OLD_NAMES.items():
        text = text.replace(f'"{name}"', f'"{old}"')
    return text


def grounding_report(
    run: GroundingRun,
    items: Sequence[EvalItem],
    dataset: str,
    split: str,
    model: str | None = None,
    judge: Mapping[str, Any] | None = None,
) -> EvaluationReport:
    """Tables, notes and plots of a run."""
    measured, shuffled = _measured(run.checks), _measured(run.shuffled)
    tables = []
    if measured:
        means = {name: {"measured": row["mean"]} for name, row in measured.items()}
        for name, row in shuffled.items():
            means.setdefault(name, {})[SHUFFLED] = row["mean"]
        rows = [ScoreRow(name.replace("_", " "), name, values) for name, values in means.items()]
        tables.append(
            ScoreTable(
                "Claims against measurements",
                dataset,
                split,
                len(run.checks),
                ["measured", SHUFFLED],
                rows,
            )
        )
    plots: dict[str, Bars | Curves] = {}
    if measured:
        plots["check"] = Bars(
            "Claims against measurements",
            {name.replace("_", " "): row["mean"] for name, row in measured.items()},
            {name.replace("_", " "): row["interval"] for name, row in measured.items()},
            (0, 1),
            "share (bars: 95 % bootstrap interval)",
        )
    if run.scores:
        tables.append(_judged_table(run, dataset, split))
        strict = run.scores["strict"]
        plots["judge"] = Bars(
            "Judge, strict scores", strict.means, strict.intervals, unit="0-100 (bars: 95 % bootstrap interval)"
        )
    ids = [item.id for item in items]
    notes = [
        *([MEASURED_NOTE] if measured else []),
        *(JUDGE_NOTES.values() if run.scores else []),
        *run.answers.cut_off_notes(ids),
    ]
    return EvaluationReport(
        "Grounded ECG Understanding",
        tables,
        describe_data(
            dataset, ([i.id, i.question, i.reference if isinstance(i.reference, str) else None] for i in items)
        ),
        describe_model(model),
        judge,
        notes,
        run.problems,
        {
            "cut_off": run.answers.cut_off(ids),
            "check": measured,
            "check_shuffled": shuffled,
            "judge": {name: _details(scores) for name, scores in run.scores.items()},
        },
        plots,
    )


def _measured(checks: Mapping[str, Check]) -> dict[CheckScore, Spread]:
    found: dict[CheckScore, Spread] = {}
    for name in CHECK_SCORES:
        values = np.array([check[name] for check in checks.values() if check[name] is not None], float)
        if len(values):
            found[name] = {
                "mean": float(values.mean()),
                "interval": confidence_interval(values),
                "records": len(values),
            }
    return found


def _judged_table(run: GroundingRun, dataset: str, split: str) -> ScoreTable:
    names = [*CRITERIA, "LeadEvidenceValidity", "Average"]
    columns = {
        version: {ALIASES.get(k, k): v for k, v in scores.means.items()} for version, scores in run.scores.items()
    }
    rows = [
        ScoreRow(
            name, name, {version: round(values[name], 4) for version, values in columns.items() if name in values}
        )
        for name in names
    ]
    rows = [row for row in rows if row.values]
    return ScoreTable("Scores by the judge", dataset, split, len(run.judged), list(columns), rows)


def _details(scores: GroundingScores) -> dict[str, Any]:
    return {
        "means": scores.means,
        "intervals": scores.intervals,
        "means_missing_as_zero": scores.means_missing_as_zero,
        "missing": scores.missing,
    }


__all__ = ["GroundingRun", "check_answers", "evaluate_grounding", "grounding_report"]
