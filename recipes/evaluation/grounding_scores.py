# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Grounded ECG Understanding: judge texts -> scores, by the formulas of each publication or by our bounded ones.

| | gem-v1 (first paper) | gem-v2 (NeurIPS) | ecg-r1 | strict (ours, all 0-100) |
|---|---|---|---|---|
| DiagnosisAccuracy | 100 m / 2 | 100 share(s > 0) | 100 share(s > 0) | 100 mean(s) / 2 |
| AnalysisCompleteness | sum | sum | sum | 100 mean(s) |
| AnalysisRelevance | sum | sum | sum | 100 mean(s) / 2 |
| LeadAssessmentCoverage | 100 min(m, 12) / 12 | 100 min(sum, 12) / 12 | - | 100 leads / 12 |
| LeadAssessmentAccuracy | 100 m / 24 | 100 sum / 24, unbounded | - | 100 sum over leads / 24 |
| LeadEvidenceValidity | - | - | sum | - |
| the three 0-100 scores | m | sum, unbounded | sum, unbounded | mean |

s: scores of one answer's entries; m: mean of those above 0, 0 if none. Then the mean over the answers that have the criterion.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from processing.errors_gem import EvaluationError

from .judge_replies import CRITERIA, LEAD_CRITERIA, Entry, JudgedAnswer, read_as_notebook, read_strictly

VERSIONS = ("gem-v1", "gem-v2", "ecg-r1", "strict")
ECG_R1_NAMES = {
    "GroundedECGUnderstanding": "ECGFeatureGrounding",
    "EvidenceBasedReasoning": "Evidence-BasedReasoning",
    "RealisticDiagnosticProcess": "ClinicalDiagnosticFidelity",
}
AVERAGED = {
    "gem-v1": ("GroundedECGUnderstanding", "EvidenceBasedReasoning", "RealisticDiagnosticProcess"),
    "ecg-r1": ("ECGFeatureGrounding", "Evidence-BasedReasoning", "ClinicalDiagnosticFidelity"),
    "strict": ("ECGFeatureGrounding", "EvidenceBasedReasoning", "ClinicalDiagnosticFidelity"),
}
NUM_LEADS = 12


@dataclass(frozen=True)
class GroundingScores:
    """
    A judge's scores by one of the published formulas, or by our strict ones.

    Attributes:
        version: the formulas.
        means: criterion -> table number (not rounded), over the answers that have it.
        samples: answers x criteria; NaN where the judge left one out.
        missing: criterion -> answers without it.
        problems: answer -> what its judge text lacks (strict only; the published readings keep silent).
        intervals: criterion -> 95 % bootstrap interval of the mean (strict only).
        means_missing_as_zero: as `means`, an answer without the criterion counting 0 (strict only).
    """

    version: str
    means: dict[str, float]
    samples: pd.DataFrame
    missing: dict[str, int]
    problems: dict[str, list[str]] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    means_missing_as_zero: dict[str, float] = field(default_factory=dict)

    def rounded(self) -> dict[str, float]:
        """Two decimals, as pandas rounds them for the papers (0.065 to 0.06; Python's own `round` says 0.07)."""
        return {key: float(np.round(value, 2)) for key, value in self.means.items()}


def score_grounding(
    judged: Mapping[str, str | Mapping[str, Any]], version: str = "strict", resamples: int = 1000, seed: int = 0
) -> GroundingScores:
    """Scores a judge's texts by the formulas of one of the papers, or by our strict ones.

    Args:
        judged: id -> the judge's text, or (strict only) its parsed JSON.
        version: one of `VERSIONS`. `gem-v1` uses the old names of the two criteria that were renamed later.
        resamples: bootstrap resamples for the confidence intervals.
        seed: seed of the bootstrap.

    Raises:
        EvaluationError: no judged answers, unknown version, or an input on which the published code fails (a score that is not
            a number, or no answer with a criterion that it scales).
    """
    if version not in VERSIONS:
        raise EvaluationError(f"score version {version!r} is unknown; known are {', '.join(VERSIONS)}.")
    if not judged:
        raise EvaluationError("There are no judged answers to score.")
    if version == "strict":
        return _strict({name: read_strictly(text) for name, text in judged.items()}, resamples, seed)
    texts = {name: text for name, text in judged.items() if isinstance(text, str)}
    if len(texts) < len(judged):
        raise EvaluationError(f"{version} reads the judges' texts; parsed JSON is for 'strict'.")
    rows = {name: _published_row(name, text, version) for name, text in texts.items()}
    samples = pd.DataFrame(list(rows.values()), index=list(rows), dtype=float)
    _scale(samples, version)
    averaged = AVERAGED.get(version, ())
    if averaged and set(averaged) <= set(samples):
        # ECG-R1 averages each answer first; GEM's first notebook the three columns.
        by_row = version == "ecg-r1"
        samples["Average"] = (
            samples[list(averaged)].mean(axis=1) if by_row else float(samples[list(averaged)].mean().mean())
        )
    missing = {str(key): int(count) for key, count in samples.isna().sum().items() if count}
    return GroundingScores(version, _means(samples), samples, missing)


def _means(samples: pd.DataFrame) -> dict[str, float]:
    return {str(key): float(value) for key, value in samples.mean().items()}


def _published_row(name: str, text: str, version: str) -> dict[str, float]:
    try:
        scores = read_as_notebook(text, version)
        return {
            ECG_R1_NAMES.get(key, key) if version == "ecg-r1" else key: _published(key, values, version)
            for key, values in scores.items()
        }
    except (TypeError, AttributeError) as error:
        raise EvaluationError(
            f"{name}: {error}; {version}'s own code stops here. Ask the judge again, or score with 'strict'."
        ) from error


def _published(key: str, scores: list[Any], version: str) -> float:
    positive = [score for score in scores if score > 0]
    if version != "gem-v1" and key == "DiagnosisAccuracy":
        return len(positive) / len(scores) if scores else 0.0
    if version != "gem-v1" or key in ("AnalysisCompleteness", "AnalysisRelevance"):
        return float(sum(scores))
    return sum(positive) / len(positive) if positive else 0.0


def _scale(samples: pd.DataFrame, version: str) -> None:
    scales: dict[str, Callable[[pd.Series], pd.Series]] = {
        "DiagnosisAccuracy": lambda column: column / 2 * 100 if version == "gem-v1" else column * 100
    }
    if version != "ecg-r1":
        scales["LeadAssessmentCoverage"] = lambda column: column.clip(upper=NUM_LEADS) / NUM_LEADS * 100
        scales["LeadAssessmentAccuracy"] = lambda column: column / (2 * NUM_LEADS) * 100
    for key, scale in scales.items():
        if key in samples:
            samples[key] = scale(samples[key])
        elif version != "ecg-r1":
            raise EvaluationError(
                f"No judged answer holds {key}, and {version}'s own code stops without it. Does the judge know the "
                "criteria's names? Score with 'strict' to see what is missing."
            )


def strict_scores(answer: JudgedAnswer) -> dict[str, float]:
    """One answer by the strict formulas: criterion -> 0-100; a criterion without a usable entry is left out."""
    scores = {}
    for key, entries in answer.scores.items():
        if not entries:
            continue
        if key in LEAD_CRITERIA:
            scores[key] = 100 * _over_leads(entries) / (NUM_LEADS * CRITERIA[key])
        else:
            scores[key] = 100 * float(np.mean([entry.score for entry in entries])) / CRITERIA[key]
    return scores


def _over_leads(entries: list[Entry]) -> float:
    """Sum over leads, each counting once; entries without a lead's name are leads of their own, twelve at most in all."""
    named: dict[str, list[float]] = {}
    for entry in entries:
        if entry.lead is not None:
            named.setdefault(entry.lead, []).append(entry.score)
    leads = [float(np.mean(scores)) for scores in named.values()]
    leads += [entry.score for entry in entries if entry.lead is None]
    return sum(leads[:NUM_LEADS])


def _strict(read: Mapping[str, JudgedAnswer], resamples: int, seed: int) -> GroundingScores:
    rows = {name: strict_scores(answer) for name, answer in read.items()}
    samples = pd.DataFrame(list(rows.values()), index=list(rows), columns=list(CRITERIA), dtype=float)
    samples["Average"] = samples[list(AVERAGED["strict"])].mean(axis=1, skipna=False)
    return GroundingScores(
        "strict",
        _means(samples),
        samples,
        {str(key): int(count) for key, count in samples.isna().sum().items() if count},
        {name: answer.problems for name, answer in read.items() if answer.problems},
        {str(key): confidence_interval(samples[key].dropna().to_numpy(), resamples, seed) for key in samples},
        _means(samples.fillna(0.0)),
    )


def confidence_interval(values: np.ndarray, resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean; NaN for fewer than two values."""
    if len(values) < 2:
        return float("nan"), float("nan")
    interval = bootstrap(
        (values,), np.mean, n_resamples=resamples, method="percentile", rng=np.random.default_rng(seed), batch=100
    ).confidence_interval
    return float(interval.low), float(interval.high)


__all__ = ["VERSIONS", "GroundingScores", "confidence_interval", "score_grounding", "strict_scores"]
