# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How good a GEM's interpretations of PTB-XL's validation fold are: values against measurements, words against labels.

    python -m recipes.embedded.scores --ptbxl PTBXL --model modeling_gem/checkpoints/gem-ecg-tiny --output scores.json

The model must answer in the form that `recipes/teachers/grounded_answer.py` writes. The baseline beside every score is what a model
that never looks at the ECG can reach: the median value, the most frequent rhythm, "normal ECG".
"""

import dataclasses
import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scipy.special import softmax
from sklearn.metrics import f1_score, roc_auc_score
from tqdm import tqdm
from transformers import pipeline

from modeling_gem import GEM_TASK, GemForConditionalGeneration, GemPipeline, GemProcessor
from processing.ecg_features import extract_features
from processing.ecg_record import EcgRecord
from recipes.console import run_command
from recipes.evaluation.likelihood import label_log_likelihoods
from recipes.files import write_json
from recipes.models import TINY, model_source
from recipes.sources.ptbxl import VALIDATION_FOLD, PtbxlItem, read_ptbxl
from recipes.sources.statements import RHYTHMS, STATEMENTS, SUPERCLASSES
from recipes.teachers.grounded_answer import CLASS_NAMES, classes_text, grounded_answer

NUMBERS = {
    "heart rate (bpm)": r"(\d+) bpm",
    "PR (ms)": r"PR (\d+) ms",
    "QRS (ms)": r"QRS (\d+) ms",
    "QT (ms)": r"QT (\d+) ms",
    "QTc (ms)": r"QTc (\d+) ms",
    "axis (degrees)": r"Axis: (-?\d+) degrees",
    "Sokolow-Lyon (mV)": r"Sokolow-Lyon (\d+\.\d) mV",
}
MODALITIES = ("both", "signal", "image", "zeroed")
# Largest error at which a stated number still counts as right.
TOLERANCES = {
    "heart rate (bpm)": 5,
    "PR (ms)": 25,
    "QRS (ms)": 15,
    "QT (ms)": 35,
    "QTc (ms)": 35,
    "axis (degrees)": 20,
    "Sokolow-Lyon (mV)": 0.5,
}
# Rows of a forward pass: records, and behind their prompts records x answers.
LIKELIHOOD_BATCH = 64
LEADS = {
    "T inversion": r"T waves: inverted in ([^.]*)\.",
    "pathological Q": r"Q waves: pathological in ([^.]*)\.",
    "ST elevation": r"elevated in ([^(]*) \(",
    "ST depression": r"depressed in ([^(]*) \(",
}


def numbers(text: str) -> dict[str, float]:
    """The numbers that an answer states, by name; NaN where it states none."""
    found = {name: re.search(pattern, text) for name, pattern in NUMBERS.items()}
    return {name: float(match.group(1)) if match else np.nan for name, match in found.items()}


def leads(text: str, name: str) -> set[str]:
    """The leads that an answer names for a finding."""
    match = re.search(LEADS[name], text)
    return set(match.group(1).split(", ")) if match else set()


def superclasses(text: str) -> set[str]:
    """By the yes-or-no lines; where a text has none, by the statements of its impression."""
    if any(f" {name}: " in text for name in CLASS_NAMES.values()):
        return {code for code, name in CLASS_NAMES.items() if f" {name}: yes." in text}
    impression = text.rpartition("Impression: ")[2]
    named = (superclass for superclass, words in STATEMENTS.values() if superclass and words in impression)
    return set(named)


def rhythm(text: str) -> str | None:
    """The rhythm that an answer begins with, if it is a known one."""
    start = text.removeprefix("Rhythm: ")
    return next((words for words in RHYTHMS.values() if start.startswith(words)), None)


def lead_f1(predicted: list[set[str]], truth: list[set[str]]) -> float:
    """Micro F1 over all leads of all records."""
    hits = sum(len(p & t) for p, t in zip(predicted, truth, strict=True))
    total = sum(map(len, predicted)) + sum(map(len, truth))
    return 2 * hits / total if total else float("nan")


def score(answers: list[str], references: list[str]) -> dict[str, Any]:
    """Scores of `answers` and of the blind baseline against `references`."""
    said, truth = [numbers(text) for text in answers], [numbers(text) for text in references]
    scores: dict[str, Any] = {}
    for name in NUMBERS:
        expected = np.array([row[name] for row in truth])
        given = np.array([row[name] for row in said])
        both = ~np.isnan(expected) & ~np.isnan(given)
        error = np.abs(given - expected)[both]
        if name.startswith("axis"):
            error = np.minimum(error, 360 - error)
        blind = np.abs(expected - np.nanmedian(expected))
        scores[name] = {
            "MAE": float(error.mean()) if len(error) else None,
            "blind": float(np.nanmean(blind)),
            "stated": float(both.sum() / max((~np.isnan(expected)).sum(), 1)),
            "within tolerance": float((error <= TOLERANCES[name]).mean()) if len(error) else None,
            "tolerance": TOLERANCES[name],
            "count": len(error),
        }
    stated = [row for row in (scores[name] for name in NUMBERS) if row["count"]]
    scores["stated numbers within tolerance"] = {
        "score": sum(row["within tolerance"] * row["count"] for row in stated)
        / max(sum(r["count"] for r in stated), 1)
    }
    rhythms = [rhythm(text) for text in references]
    common = Counter(rhythms).most_common(1)[0][1]
    known = [(rhythm(a), r) for a, r in zip(answers, rhythms, strict=True) if r]
    scores["rhythm accuracy"] = {
        "score": float(np.mean([a == r for a, r in known])),
        "blind": common / max(len(known), 1),
    }
    for name in LEADS:
        scores[f"{name} leads, F1"] = {
            "score": lead_f1([leads(text, name) for text in answers], [leads(text, name) for text in references])
        }
    matrix = [
        [[name in superclasses(text) for name in SUPERCLASSES] for text in texts] for texts in (references, answers)
    ]
    per_class = f1_score(*map(np.array, matrix), average=None, zero_division=0)
    blind = f1_score(np.array(matrix[0]), np.eye(5)[[0] * len(answers)].astype(bool), average="macro", zero_division=0)
    scores["superclass macro F1"] = {"score": float(np.mean(per_class)), "blind": float(blind)}
    hard = [roc_auc_score(*columns) for columns in zip(*(np.array(m).T for m in matrix), strict=True)]
    scores["superclass hard-label macro AUC"] = {"score": float(np.mean(hard)), "blind": 0.5}
    scores["superclass F1"] = dict(zip(SUPERCLASSES, map(float, per_class), strict=True))
    scores["well formed"] = float(
        np.mean([text.startswith("Rhythm: ") and "Impression: " in text for text in answers])
    )
    return scores


def class_likelihoods(
    model: GemForConditionalGeneration, processor: GemProcessor, conversations: list[list[dict]], answers: list[str]
) -> np.ndarray:
    """
    `(records, 5)`: how likely a yes for every superclass is behind what the model wrote up to these lines, over all 32 ways to
    fill them in (the odds of one line alone depend on the lines before). One half where an answer has no such lines.
    """
    name = f" {CLASS_NAMES['NORM']}:"
    rows = [row for row, text in enumerate(answers) if name in text]
    begun = [answers[row].partition(name)[0] + name for row in rows]
    ways = list(itertools.product((False, True), repeat=len(SUPERCLASSES)))
    texts = [classes_text(set(itertools.compress(CLASS_NAMES, way))).removeprefix(name.strip()) for way in ways]
    scores = label_log_likelihoods(
        model, processor, [conversations[row] for row in rows], texts, answer_prefix=begun, batch_size=LIKELIHOOD_BATCH
    )
    likelihoods = np.full((len(answers), len(SUPERCLASSES)), 0.5)
    likelihoods[rows] = softmax(scores, axis=1) @ np.array(ways)
    return likelihoods


def likelihood_auc(likelihoods: np.ndarray, references: list[str]) -> dict[str, float]:
    """AUC per superclass, NaN where all records are alike."""
    truth = np.array([[name in superclasses(text) for name in SUPERCLASSES] for text in references])
    return {
        name: float(roc_auc_score(truth[:, i], likelihoods[:, i]))
        if 0 < truth[:, i].sum() < len(truth)
        else float("nan")
        for i, name in enumerate(SUPERCLASSES)
    }


def without_signal(record: EcgRecord) -> EcgRecord:
    """The record as a flat line but for a microvolt of noise (a flat one is refused): nothing can be read from it."""
    noise = np.random.default_rng(0).normal(scale=1e-3, size=record.signal.shape)
    return dataclasses.replace(record, signal=noise.astype(np.float32))


def answers_and_scores(
    interpret: GemPipeline, items: list[PtbxlItem], references: list[str], modality: str, batch_size: int
) -> tuple[list[str], dict[str, Any]]:
    """The model's answers to PTB-XL records, with what they state scored against references.

    Args:
        interpret: pipeline with the model.
        references: right answers to `items`.
        modality: of `MODALITIES`.
    """
    shown = [without_signal(item.record) if modality == "zeroed" else item.record for item in items]
    inputs = "signal" if modality == "zeroed" else modality
    outputs = interpret(iter(shown), batch_size=batch_size, modality=inputs, grounding="off", do_sample=False)
    answers = [output["generated_text"] for output in tqdm(outputs, total=len(items), desc=modality)]
    likelihoods = []
    for start in range(0, len(items), batch_size):
        stop = start + batch_size
        chats = [interpret.processor.build_conversation(record, modality=inputs) for record in shown[start:stop]]
        likelihoods.append(class_likelihoods(interpret.model, interpret.processor, chats, answers[start:stop]))
    scores = score(answers, references)
    per_class = likelihood_auc(np.concatenate(likelihoods), references)
    scores["superclass likelihood macro AUC"] = {"score": float(np.mean(list(per_class.values()))), "blind": 0.5}
    scores["superclass likelihood AUC"] = per_class
    return answers, scores


def main(
    ptbxl: Annotated[Path, typer.Option(help="PTB-XL: its folder as published, or Parquet files.")],
    output: Annotated[Path, typer.Option(help="JSON with scores and answers.")],
    model: Annotated[str, typer.Option(help="Model folder or Hub id; `tiny`: the embedded one.")] = TINY,
    batch_size: Annotated[int, typer.Option(help="Records per forward pass.")] = 16,
    limit: Annotated[int | None, typer.Option(help="Only the first records.")] = None,
    modalities: Annotated[
        list[str] | None,
        typer.Option(help="both, signal, image or zeroed (a signal that says nothing); repeatable. Default: all."),
    ] = None,
) -> None:
    """Score a model's interpretations of PTB-XL's validation fold: values against measurements, words against labels.

    Example: python -m recipes.embedded.scores --ptbxl PTBXL --output scores.json --modalities both --modalities signal
    """
    items = list(read_ptbxl(ptbxl, (VALIDATION_FOLD,)))[:limit]
    references = [grounded_answer(extract_features(item.record), item.codes).full_text() for item in items]
    source = model_source(model)
    interpret = pipeline(GEM_TASK, model=source, dtype="float32")
    results: dict[str, Any] = {"model": source, "records": len(items), "fold": VALIDATION_FOLD, "scores": {}}
    for modality in modalities or MODALITIES:
        answers, scores = answers_and_scores(interpret, items, references, modality, batch_size)
        results["scores"][modality] = scores
        results.setdefault("answers", {})[modality] = answers
        print(modality, json.dumps(scores, indent=2))
    results["references"] = references
    write_json(output, results, indent=1)


if __name__ == "__main__":
    run_command(main)
