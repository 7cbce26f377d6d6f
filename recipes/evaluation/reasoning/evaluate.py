# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The columns of the benchmark's table: the measuring engine, its rules on another ECG, guessing, a model; for all and for held-out samples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processing.errors_gem import EvaluationError, GemError
from processing.grounding.cut_off import CutOff, end_in_words
from recipes.files import atomic_write, json_lines
from recipes.scores import ScoreRow, ScoreTable
from recipes.sources.mimic import import_mimic
from recipes.sources.ptbxl import TRAIN_FOLDS, import_ptbxl
from recipes.sources.source_record import EcgSource, Rejection

from ..report import Bars, EvaluationReport, describe_data, describe_model
from .engine import engine_responses
from .samples import ReasoningSample, Step, read_reasoning
from .scores import ChainScore, Share, score_guesses, score_responses, summarise
from .signs import MeasuredEcg

IMPORTERS = {"ptbxl": import_ptbxl, "mimic_iv_ecg": import_mimic}
BASELINES = ENGINE, BLIND, GUESSED = "engine", "rules, another ECG", "guessing"
NOTES = [
    "engine: no model; the benchmark's own tree of criteria, met or not by gem-ecg's measurements. Criterion selection and the "
    "decision behind a told finding are in that tree, so they are right by construction; what the row measures is findings, "
    "leads, waves, values and the initial diagnosis.",
    "rules, another ECG: the same with the measurements of the ECG half of the samples away: what a reader of the questions gets "
    "that never looks at the ECG.",
    "guessing: the mean of the benchmark's random guess, computed.",
    "Scores by the heuristic rules of release 0.0.2; intervals are 95 % bootstrap percentiles over samples.",
]


@dataclass
class ReasoningRun:
    """Column -> id -> score of the sample; `held_out`: ids of ECGs that none of our models was trained on; `notes` on replies."""

    samples: list[ReasoningSample]
    held_out: set[str]
    columns: dict[str, dict[str, ChainScore]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_ecgs(
    samples: Sequence[ReasoningSample], folders: Mapping[str, str]
) -> tuple[dict[str, EcgSource], set[str], list[str]]:
    """
    Id of a sample -> its ECG; the ids of held-out samples (PTB-XL: not in folds 1 to 8); notes on missing files.

    Args:
        samples: the dialogues.
        folders: `ptbxl` and `mimic_iv_ecg` -> the local folder of the database.

    Raises:
        EvaluationError: a folder has another name, or no sample's ECG was found.
    """
    if unknown := sorted(set(folders) - set(IMPORTERS)):
        raise EvaluationError(f"{unknown[0]!r} is not a data source of the benchmark; it has {', '.join(IMPORTERS)}.")
    wanted = {(sample.source, int(sample.ecg_id)) for sample in samples}
    found: dict[tuple[str, int], EcgSource] = {}
    trained: set[tuple[str, int]] = set()
    for source, folder in folders.items():
        for record in IMPORTERS[source](folder):
            key = (source, int(record.id.rpartition("/")[2]))
            if key in wanted and not isinstance(record, Rejection):
                found[key] = record.first_ecg
                if source == "ptbxl" and record.fold in TRAIN_FOLDS:
                    trained.add(key)
    ecgs, held_out, problems = {}, set(), []
    for sample in samples:
        key = (sample.source, int(sample.ecg_id))
        if key not in found:
            problems.append(f"{sample.id}: ECG {sample.ecg_id} of {sample.source} is not there")
            continue
        ecgs[sample.id] = found[key]
        if key not in trained:
            held_out.add(sample.id)
    if not ecgs:
        raise EvaluationError(
            f"not one of {len(samples)} ECGs is there: {problems[0]}. Name the folders with --files."
        )
    return ecgs, held_out, problems


def run_engine(
    run: ReasoningRun, ecgs: Mapping[str, EcgSource], progress: Callable[[int, int], None] | None = None
) -> dict[str, list[str]]:
    """Adds the columns of the engine, of its rules on another ECG, and of guessing; gives the engine's replies by sample."""
    measured: dict[str, MeasuredEcg] = {}
    # File by file: PTB-XL's Parquet files hold hundreds of ECGs each.
    in_order = sorted((sample for sample in run.samples if sample.id in ecgs), key=lambda each: ecgs[each.id].path)
    for number, sample in enumerate(in_order, 1):
        key = f"{sample.source}/{sample.ecg_id}"
        if key not in measured:
            try:
                measured[key] = MeasuredEcg.of(ecgs[sample.id].load())
            except (GemError, OSError) as error:
                run.problems.append(f"{sample.id}: not measured: {error}")
        if progress is not None:
            progress(number, len(in_order))
    known = [sample for sample in run.samples if f"{sample.source}/{sample.ecg_id}" in measured]
    if len(measured) < 2:
        raise EvaluationError("fewer than two ECGs could be measured; see the problems above, or give more samples.")
    names = list(measured)
    replies = {sample.id: engine_responses(sample, measured[f"{sample.source}/{sample.ecg_id}"]) for sample in known}
    run.columns[ENGINE] = {sample.id: score_responses(sample, replies[sample.id]) for sample in known}
    others = {}
    for sample in known:
        other = names[(names.index(f"{sample.source}/{sample.ecg_id}") + len(names) // 2) % len(names)]
        others[sample.id] = score_responses(sample, engine_responses(sample, measured[other]))
    run.columns[BLIND] = others
    run.columns[GUESSED] = {sample.id: score_guesses(sample) for sample in known}
    return replies


def add_responses(
    run: ReasoningRun, name: str, responses: Mapping[str, Sequence[str]], expected: Sequence[ReasoningSample]
) -> None:
    """Adds a column of given replies; samples of `expected` without any are named among the problems."""
    name = f"{name} (given)" if name in BASELINES else name
    missing = [sample.id for sample in expected if sample.id not in responses]
    if missing:
        run.problems.append(f"{name}: {len(missing)} samples have no replies: {', '.join(missing[:5])}")
    told = [reply for sample in run.samples for reply in responses.get(sample.id, ())]
    if count := sum(isinstance(reply, CutOff) for reply in told):
        run.notes.append(f"{name}: of {len(told):,} replies, {count:,} {end_in_words()}.")
    run.columns[name] = {
        sample.id: score_responses(sample, responses[sample.id]) for sample in run.samples if sample.id in responses
    }


def read_responses(path: str | Path) -> dict[str, list[str]]:
    """
    Replies in the benchmark's own layout (`model_response` beside every question), by sample.

    Raises:
        EvaluationError: a question has no reply, or the path holds no samples.
    """
    found = {}
    for sample in read_reasoning(path):
        said = [step.response for step in sample.steps]
        if None in said:
            step: Step = sample.steps[said.index(None)]
            raise EvaluationError(f"{path}: {sample.id} has no `model_response` to {step.question!r}.")
        found[sample.id] = [str(text) for text in said]
    return found


def write_responses(path: Path, samples: Sequence[ReasoningSample], responses: Mapping[str, Sequence[str]]) -> None:
    """One sample per line, as the benchmark's evaluator reads them."""
    rows = (sample.with_responses(responses[sample.id]) for sample in samples if sample.id in responses)
    atomic_write(path, json_lines(rows))


def reasoning_report(run: ReasoningRun, name: str, model: str | None = None) -> EvaluationReport:
    """The tables of a run; `model`: its folder or Hub id, whose replies count on held-out ECGs only."""
    baselines = [column for column in run.columns if column in BASELINES]
    others = [column for column in run.columns if column not in baselines]
    everyone = [sample.id for sample in run.samples]
    tables: list[ScoreTable] = []
    details: dict[str, Any] = {}
    if baselines:
        tables.append(_table("All samples, without a model", name, "all", baselines, run, everyone, details))
    if others:
        held_out = [sample.id for sample in run.samples if sample.id in run.held_out]
        ids = held_out if model is not None else everyone
        part = "held-out ECGs" if model is not None else "all"
        tables.append(_table("A model's replies", name, part, [*others, *baselines], run, ids, details))
    rows = ([sample.id, [[step.question, step.answers] for step in sample.steps]] for sample in run.samples)
    main = tables[-1].rows
    shown = tables[-1].columns[0]
    return EvaluationReport(
        "ECG-Reasoning-Benchmark",
        tables,
        describe_data(name, rows),
        describe_model(model),
        notes=[*(NOTES if baselines else NOTES[-1:]), *run.notes],
        problems=run.problems,
        details=details,
        plots={
            "reasoning": Bars(
                f"ECG-Reasoning-Benchmark: {shown}",
                {
                    row.label: 100 * value
                    for row in main
                    if "depth" not in row.label and (value := row.value(shown)) is not None
                },
                unit="% right",
            )
        },
    )


def _table(
    title: str,
    name: str,
    split: str,
    columns: Sequence[str],
    run: ReasoningRun,
    ids: Sequence[str],
    details: dict[str, Any],
) -> ScoreTable:
    """Only samples that every column has count, so that the columns can be compared."""
    shared = [each for each in ids if all(each in run.columns[column] for column in columns)]
    if not shared:
        raise EvaluationError(f"{title}: not one sample is in all of {', '.join(columns)}.")
    shares: dict[str, dict[str, Share]] = {
        column: summarise([run.columns[column][each] for each in shared]) for column in columns
    }
    first = shares[columns[0]]
    rows = []
    for label, share in first.items():
        values: dict[str, float | None] = {columns[0]: share.value, "from": share.low, "to": share.high}
        values |= {column: shares[column][label].value for column in columns[1:]}
        metric = "depth" if "depth" in label else "accuracy"
        rows.append(ScoreRow(f"{label} ({share.count})", metric, values))
    details[title] = {
        column: {label: [s.value, s.low, s.high, s.count] for label, s in found.items()}
        for column, found in shares.items()
    }
    shown = [columns[0], "from", "to", *columns[1:]]
    baselines = ("from", "to", *BASELINES)
    return ScoreTable(title, name, split, len(shared), shown, rows, baselines=baselines)


__all__ = [
    "ReasoningRun",
    "add_responses",
    "find_ecgs",
    "read_responses",
    "reasoning_report",
    "run_engine",
    "write_responses",
]
