# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Modality consistency of a model on a test set: its answers from the signal alone against those from the picture alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from processing.ecg_features import EcgFeatures, extract_features
from processing.errors_gem import EvaluationError, GemError
from recipes.publishing.model_card import ScoreRow, ScoreTable

from .answers import read_answers
from .consistency import ConsistencyScore, consistency
from .items import EvalItem
from .report import EvaluationReport, describe_data, describe_model

_NOTE = (
    "BLEU-4 and ROUGE-L as ECG-R1 computes them (signal-only answer against image-only answer). claim agreement: share of the "
    "claims about the same thing in which both answers say the same; both supported: share of those that the measurements bear "
    "out in both."
)


def evaluate_consistency(
    items: Sequence[EvalItem], signal_answers: str | Path, image_answers: str | Path, is_part: bool = False
) -> tuple[ConsistencyScore, dict[str, ConsistencyScore], list[str]]:
    """
    Args:
        is_part: the items are some of the set: answers to others are then no problem.

    Returns:
        The mean, the scores by id, and what is wrong with the files or the records, in words.

    Raises:
        EvaluationError: not one record has both answers.
    """
    files = [read_answers(path) for path in (signal_answers, image_answers)]
    texts = [file.texts_for([item.id for item in items], is_part) for file in files]
    problems = [f"{file.path.name}: {problem}" for file in files for problem in file.problems]
    rows = [(item, s, i) for item, s, i in zip(items, *texts, strict=True) if s is not None and i is not None]
    if not rows:
        raise EvaluationError(f"Not one record has an answer in both {signal_answers} and {image_answers}.")
    features: list[EcgFeatures | None] = []
    for item, _, _ in rows:
        try:
            features.append(None if item.ecg is None else extract_features(item.ecg.load()))
        except (GemError, OSError) as error:
            problems.append(f"{item.id}: not measured: {error}")
            features.append(None)
    mean, scores = consistency([s for _, s, _ in rows], [i for _, _, i in rows], features)
    return mean, {item.id: score for (item, _, _), score in zip(rows, scores, strict=True)}, problems


def consistency_report(
    mean: ConsistencyScore,
    scores: dict[str, ConsistencyScore],
    problems: list[str],
    items: Sequence[EvalItem],
    dataset: str,
    split: str,
    model: str | None = None,
) -> EvaluationReport:
    """The table of a run; the score of every record is in its JSON."""
    values: dict[str, Any] = mean.to_dict()
    values.pop("shared")
    rows = [ScoreRow(name.replace("_", " "), name, {"signal vs. image": value}) for name, value in values.items()]
    table = ScoreTable("Modality consistency", dataset, split, len(scores), ["signal vs. image"], rows, _NOTE)
    return EvaluationReport(
        "Modality consistency",
        [table],
        describe_data(dataset, ([item.id, item.question] for item in items)),
        describe_model(model),
        problems=problems,
        details={name: score.to_dict() for name, score in scores.items()},
    )


__all__ = ["consistency_report", "evaluate_consistency"]
