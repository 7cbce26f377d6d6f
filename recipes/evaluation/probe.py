# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A linear probe of an ECG tower: how well one linear layer on its frozen tokens predicts PTB-XL's superclasses.

The frozen setting of the open benchmark of ECG foundation models (Al-Masud et al. 2026, arXiv:2509.25095) on one of its tasks:
the encoder is not trained, its tokens are averaged, a linear layer is fitted, scores are macro AUCs. The same architecture with random
weights is scored beside it, because linear probes of ECGs give even random weights high scores (Berger et al. 2026).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import AutoConfig, AutoModel, PreTrainedModel

from modeling_gem import GemConfig, GemFeatureExtractor
from processing.errors_gem import EvaluationError, GemError
from recipes.models import default_device, load_gem
from recipes.scores import ScoreRow, ScoreTable
from recipes.sources.ptbxl import TRAIN_FOLDS, VALIDATION_FOLD, PtbxlItem
from recipes.sources.statements import SUPERCLASSES

from .report import Bars, EvaluationReport, describe_data, describe_model

# The strength of the regularisation is chosen on the last training fold, so that the validation fold is looked at once.
TUNING_FOLD = TRAIN_FOLDS[-1]
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
RESAMPLES = 1000
RANDOM = "random weights"


@dataclass(frozen=True)
class Features:
    """`values` (records, width): the mean token of each record; `labels` (records, superclasses) 0/1; `folds` (records,)."""

    ids: list[str]
    values: np.ndarray
    labels: np.ndarray
    folds: np.ndarray


@dataclass(frozen=True)
class ProbeScores:
    """AUCs on the validation fold, by superclass and their mean `macro`, with 95 % bootstrap intervals; the chosen strength."""

    auc: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    strength: float


def load_tower(source: str) -> tuple[PreTrainedModel, GemFeatureExtractor]:
    """
    The ECG tower of a GEM, or a saved tower, and what makes its input of records.

    Args:
        source: folder or Hub id.
    """
    config = AutoConfig.from_pretrained(source)
    if isinstance(config, GemConfig):
        model, processor = load_gem(source)
        return model.model.ecg_tower, processor.feature_extractor
    tower = AutoModel.from_pretrained(source, dtype=torch.float32).to(default_device()).eval()
    rate = getattr(config, "sampling_rate", 500)
    return tower, GemFeatureExtractor(sampling_rate=rate, num_samples=config.seq_length)


def random_tower(tower: PreTrainedModel, seed: int) -> PreTrainedModel:
    """The same architecture as it is before any training."""
    torch.manual_seed(seed)
    return AutoModel.from_config(tower.config).to(tower.device, tower.dtype).eval()


@torch.inference_mode()
def token_means(
    towers: Sequence[PreTrainedModel],
    extractor: GemFeatureExtractor,
    items: Iterable[PtbxlItem],
    batch_size: int = 32,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[list[Features], list[str]]:
    """Of every tower the features of the same records, and one sentence for each record that cannot be used."""
    ids: list[str] = []
    labels, folds, problems = [], [], []
    waiting: list[np.ndarray] = []
    means: list[list[np.ndarray]] = [[] for _ in towers]

    def run() -> None:
        values = torch.from_numpy(np.stack(waiting))
        for tower, kept in zip(towers, means, strict=True):
            tokens = tower(values.to(tower.device, tower.dtype), return_dict=True).last_hidden_state
            kept.append(tokens.mean(dim=1).float().cpu().numpy())
        waiting.clear()
        progress(len(ids))

    for item in items:
        try:
            waiting.append(extractor(item.record)["ecg_values"][0])
        except GemError as error:
            problems.append(f"left out: {error}")
            continue
        ids.append(str(item.record.record_id))
        labels.append([name in item.superclasses for name in SUPERCLASSES])
        folds.append(item.fold)
        if len(waiting) == batch_size:
            run()
    if waiting:
        run()
    if not ids:
        raise EvaluationError("There is no record to probe: are folds 1 to 9 of PTB-XL in the folder?")
    known, where = np.array(labels, dtype=int), np.array(folds)
    return [Features(ids, np.concatenate(kept), known, where) for kept in means], problems


def probe(features: Features, seed: int = 0) -> ProbeScores:
    """
    One linear layer per superclass on standardised features, with the L2 strength that is best on fold 8 after folds 1-7, fitted
    to folds 1-8, scored on fold 9.

    Raises:
        EvaluationError: a fold lacks records with or without a superclass.
    """
    tuning, validation = features.folds == TUNING_FOLD, features.folds == VALIDATION_FOLD
    train = np.isin(features.folds, TRAIN_FOLDS)
    for name, part in (("1-7", train & ~tuning), (str(TUNING_FOLD), tuning), (str(VALIDATION_FOLD), validation)):
        share = features.labels[part].mean(axis=0) if part.any() else np.zeros(1)
        if not ((share > 0) & (share < 1)).all():
            raise EvaluationError(f"Fold {name} needs records with and without each of {', '.join(SUPERCLASSES)}.")
    macro = {
        strength: _auc(_fitted(features, train & ~tuning, strength), features, tuning)[-1] for strength in STRENGTHS
    }
    strength = max(macro, key=lambda tried: macro[tried])
    scores = _fitted(features, train, strength).predict_proba(features.values[validation])
    labels = features.labels[validation]
    names = (*SUPERCLASSES, "macro")
    rng = np.random.default_rng(seed)
    drawn: list[list[float]] = []
    while len(drawn) < RESAMPLES:
        rows = rng.integers(len(labels), size=len(labels))
        if (np.ptp(labels[rows], axis=0) > 0).all():
            drawn.append(_aucs(labels[rows], scores[rows]))
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    intervals = {name: (float(low[i]), float(high[i])) for i, name in enumerate(names)}
    return ProbeScores(dict(zip(names, _aucs(labels, scores), strict=True)), intervals, strength)


def _fitted(features: Features, rows: np.ndarray, strength: float) -> Pipeline:
    linear = OneVsRestClassifier(LogisticRegression(C=strength, max_iter=2000))
    return make_pipeline(StandardScaler(), linear).fit(features.values[rows], features.labels[rows])


def _auc(fitted: Pipeline, features: Features, rows: np.ndarray) -> list[float]:
    return _aucs(features.labels[rows], fitted.predict_proba(features.values[rows]))


def _aucs(labels: np.ndarray, scores: np.ndarray) -> list[float]:
    """Of each superclass, and their mean: by ranks (Mann and Whitney 1947), which is fast enough for every resample."""
    positives = labels.sum(axis=0)
    ranks = (rankdata(scores, axis=0) * labels).sum(axis=0)
    each = (ranks - positives * (positives + 1) / 2) / (positives * (len(labels) - positives))
    return [*map(float, each), float(each.mean())]


def probe_report(
    found: ProbeScores, chance: ProbeScores, features: Features, problems: list[str], model: str
) -> EvaluationReport:
    """Table, plot and notes of a tower (`found`) beside its random twin (`chance`)."""
    validation = features.folds == VALIDATION_FOLD
    rows = [
        ScoreRow(
            "macro AUC" if name == "macro" else f"AUC {name}",
            "roc_auc",
            {"tower": found.auc[name], RANDOM: chance.auc[name]},
        )
        for name in ("macro", *SUPERCLASSES)
    ]
    table = ScoreTable(
        "Linear probe of the ECG tower: superclasses",
        "PTB-XL",
        f"fold {VALIDATION_FOLD}",
        int(validation.sum()),
        ["tower", RANDOM],
        rows,
        note=f"Fitted to {int((~validation).sum())} records of folds 1-8; fold 10 is not read.",
        baselines=(RANDOM,),
    )
    gold = zip(features.ids, features.labels.tolist(), features.folds.tolist(), strict=True)
    details: dict[str, Any] = {
        name: {"auc": scores.auc, "intervals": scores.intervals, "strength": scores.strength}
        for name, scores in (("tower", found), (RANDOM, chance))
    }
    return EvaluationReport(
        "Linear probe of an ECG tower",
        [table],
        describe_data("PTB-XL", gold),
        describe_model(model),
        notes=[
            "The tower is frozen, its tokens are averaged and standardised, a logistic regression per superclass is fitted; its "
            f"strength is chosen on fold {TUNING_FOLD} behind folds 1-7. Intervals are in the report's JSON."
        ],
        problems=problems,
        details=details,
        plots={
            "probe": Bars(
                "Linear probe: AUC by superclass",
                found.auc,
                found.intervals,
                (0.5, 1),
                "AUC (bars: 95 % bootstrap interval)",
            )
        },
    )


__all__ = ["Features", "ProbeScores", "load_tower", "probe", "probe_report", "random_tower", "token_means"]
