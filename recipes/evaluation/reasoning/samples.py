# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Samples of the ECG-Reasoning-Benchmark in its published layouts: one JSON per sample in a tree, JSON Lines (0.0.2), one list."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from processing.errors_gem import EvaluationError

from ..answers import read_rows

StepKind = Literal[
    "initial_diagnostic_question",
    "criterion_selection",
    "finding_identification",
    "lead_grounding",
    "wave_grounding",
    "measurement_grounding",
    "diagnostic_decision",
]
KINDS: tuple[StepKind, ...] = get_args(StepKind)
FURTHER = "Further findings are required to confirm the diagnosis"
DATA_SOURCES = ("ptbxl", "mimic_iv_ecg")


@dataclass(frozen=True)
class Step:
    """
    One closed question.

    Attributes:
        answers: the right options; several only for leads.
        response: what a model said to it, where the file holds that.
    """

    kind: StepKind
    question: str
    options: tuple[str, ...]
    answers: tuple[str, ...]
    response: str | None = None

    @property
    def right_text(self) -> str:
        """What is in the dialogue as the right answer."""
        return ", ".join(self.answers)


@dataclass(frozen=True)
class ReasoningSample:
    """
    A dialogue about one ECG.

    Attributes:
        source: `ptbxl` or `mimic_iv_ecg`; ecg_id: the record's number there.
        diagnosis: what is asked for, such as `first_degree_av_block`; present: whether the ECG has it.
        initial: the question for the diagnosis before any reasoning.
        loops: of every round of reasoning its questions, in the order in which they are asked.
        published: the sample as it was read.
    """

    id: str
    source: str
    ecg_id: str
    diagnosis: str
    present: bool
    initial: Step
    loops: tuple[tuple[Step, ...], ...]
    published: Mapping[str, Any]

    @property
    def steps(self) -> tuple[Step, ...]:
        """All questions, the initial one first."""
        return (self.initial, *(step for loop in self.loops for step in loop))

    def with_responses(self, responses: Sequence[str]) -> dict[str, Any]:
        """The published sample with `model_response` beside every question, as the benchmark's own evaluator reads it."""
        filled: dict[str, Any] = copy.deepcopy(dict(self.published))
        filled["metadata"].setdefault("id", self.id.rpartition("/")[2])
        questions = [filled["data"]["initial_diagnostic_question"]]
        questions += [question for loop in filled["data"]["reasoning"] for question in _questions(loop)]
        for question, response in zip(questions, responses, strict=True):
            question["model_response"] = response
        return filled


def read_reasoning(path: str | Path) -> list[ReasoningSample]:
    """Reads samples of the ECG-Reasoning Benchmark.

    Args:
        path: a JSON list, JSON Lines, or a folder with such files or one JSON per sample (`ptbxl/<diagnosis>/12.json`).

    Raises:
        EvaluationError: nothing there, a file is not JSON of the benchmark, or two samples have one id.
    """
    path = Path(path)
    files = sorted(file for file in path.rglob("*.json*") if file.is_file()) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise EvaluationError(
            f"{path}: no samples of the ECG-Reasoning-Benchmark; give its `data` folder or one of its files."
        )
    samples: dict[str, ReasoningSample] = {}
    for file in files:
        for number, row in _rows(file):
            sample = _sample(row, f"{file}, sample {number}", file.stem)
            if sample.id in samples:
                raise EvaluationError(f"{file}: sample {sample.id} occurs twice; read one release at a time.")
            samples[sample.id] = sample
    return list(samples.values())


def _rows(file: Path) -> Iterator[tuple[int, Any]]:
    if file.suffix == ".json":
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise EvaluationError(f"{file} is not JSON ({error}); copy it again.") from error
        yield from enumerate(content if isinstance(content, list) else [content], 1)
        return
    problems: list[str] = []
    rows = read_rows(file, problems)
    if problems:
        raise EvaluationError(f"{file}: {problems[0]}; copy it again.")
    yield from rows


def _sample(row: Any, where: str, stem: str) -> ReasoningSample:
    try:
        metadata, data = row["metadata"], row["data"]
        source, diagnosis = metadata["data_source"], metadata["target_dx"]
        # Release 0.0.2 numbers its samples; before, the file's name is the number.
        number = metadata.get("id", Path(str(metadata.get("file", stem))).stem)
        loops = tuple(tuple(_step(question) for question in _questions(loop)) for loop in data["reasoning"])
        sample = ReasoningSample(
            f"{source}/{diagnosis}/{number}",
            source,
            str(metadata["ecg_id"]),
            diagnosis,
            bool(metadata["dx_label"]),
            _step(data["initial_diagnostic_question"]),
            loops,
            row,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(
            f"{where} is not the ECG-Reasoning-Benchmark's (metadata with data_source, ecg_id, target_dx, dx_label; data with "
            f"initial_diagnostic_question and reasoning): {error!r}."
        ) from error
    if not loops or sample.source not in DATA_SOURCES:
        raise EvaluationError(f"{where}: no reasoning in it, or a data source other than {', '.join(DATA_SOURCES)}.")
    return sample


def _questions(loop: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        loop["criterion_selection"],
        loop["finding_identification"],
        *loop["ecg_grounding"],
        loop["diagnostic_decision"],
    ]


def _step(question: Mapping[str, Any]) -> Step:
    kind, answer = question["question_type"], question["answer"]
    if kind not in KINDS:
        raise KeyError(f"question_type {kind}")
    # Until 0.0.1 only leads are a list, in 0.0.2 all answers of the grounding are.
    answers = tuple(answer) if isinstance(answer, list) else (answer,)
    return Step(kind, question["question"], tuple(question["options"]), answers, question.get("model_response"))


__all__ = ["FURTHER", "KINDS", "ReasoningSample", "Step", "StepKind", "read_reasoning"]
