# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The effect of reinforcement learning on answers: their quality before and after a run, and signs that the reward was hacked.

A reward can rise because answers become better, or because they become shorter, vaguer or odd. Therefore measures that should not fall
are taken before and after a run; each one that falls while the reward rises is reported.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

import numpy as np

from processing.grounding.check import GroundingReport
from processing.grounding.verdicts import NOT_MEASURABLE, SUPPORTED

from .grounding_rewards import checked, labels_reward

# The change of a mean that is too much while the reward rises; within two standard errors of the rows' changes it is chance.
LOSSES = {
    "supported": -0.8, "words": -10.0, "not_measurable": 0.03, "recall": -0.005, "labels": -0.005, "outside": -0.005,
}  # fmt: skip
CHANCE = 2.0


@dataclass(frozen=True)
class AnswerQuality:
    """The quality of each answer; NaN if it cannot be measured. `means` has the means over the rows.

    Attributes:
        precision: as in `GroundingReport`.
        recall: as in `GroundingReport`.
        contradicted: contradiction rate, as in `GroundingReport`.
        leads_wrong: hallucinated lead rate, as in `GroundingReport`.
        not_measurable: share of the claims that the waveform neither supports nor contradicts.
        claims: number of claims.
        supported: number of supported claims; its decrease is a loss, that of `claims` is not.
        words: number of words.
        labels: F1 of the diagnoses, against those of the reference answers (which follow the labels of the data set).
        outside: share of the stated numbers and rhythms that agree with readers or devices, on other ECGs than the rows.
    """

    precision: list[float]
    recall: list[float]
    contradicted: list[float]
    leads_wrong: list[float]
    not_measurable: list[float]
    claims: list[float]
    supported: list[float]
    words: list[float]
    labels: list[float]
    outside: list[float] = field(default_factory=list)

    def means(self) -> dict[str, float | None]:
        """Measure -> mean; `None` if no row has it."""
        means = {name: _mean(values) for name, values in asdict(self).items()}
        return {name: None if math.isnan(value) else round(value, 4) for name, value in means.items()}


def judge(answers: Sequence[str], rows: Sequence[dict[str, Any]]) -> AnswerQuality:
    """The quality of answers to rows with `record` and `reference`."""
    reports = [
        checked(text, row["record"]) if row["record"] else GroundingReport(())
        for text, row in zip(answers, rows, strict=True)
    ]
    labels = labels_reward(answers, reference=[row["reference"] for row in rows])
    vague = [report.count(NOT_MEASURABLE) / len(report.claims) if report.claims else math.nan for report in reports]
    return AnswerQuality(
        precision=[report.precision for report in reports],
        recall=[report.recall for report in reports],
        contradicted=[report.contradiction_rate for report in reports],
        leads_wrong=[report.hallucinated_lead_rate for report in reports],
        not_measurable=vague,
        claims=[float(len(report.claims)) for report in reports],
        supported=[float(report.count(SUPPORTED)) for report in reports],
        words=[float(len(text.split())) for text in answers],
        labels=[math.nan if value is None else value for value in labels],
    )


def hacked(before: AnswerQuality, after: AnswerQuality, rewards: tuple[float, float]) -> list[str]:
    """Sentences on the measures that got worse while the reward rose from the first to the second of `rewards`; else empty."""
    if not rewards[1] > rewards[0]:
        return []
    found = []
    for name, limit in LOSSES.items():
        pairs = zip(getattr(before, name), getattr(after, name), strict=True)
        changes = np.array([new - old for old, new in pairs if not math.isnan(new - old)])
        if len(changes) < 2:
            continue
        loss, error = changes.mean() / limit, changes.std(ddof=1) / math.sqrt(len(changes)) / abs(limit)
        if loss > 1 and loss > CHANCE * error:
            old, new = _mean(getattr(before, name)), _mean(getattr(after, name))
            found.append(
                f"the reward rose from {rewards[0]:.3f} to {rewards[1]:.3f}, but `{name}` went from {old:.3f} to {new:.3f}"
            )
    return found


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan


__all__ = ["AnswerQuality", "hacked", "judge"]
