# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How good a GEM of this recipe is on a fold of PTB-XL: classes, numbers, claims, questions, and inputs that are not ECGs.

    python -m recipes.embedded.scores --ptbxl PTBXL --model outputs/gem-ecg-tiny --output scores.json

The model must answer as `recipes/teachers/grounded_answer.py` writes. Fold 8 is read by default, on which everything is chosen; fold 9
is read once, by a finished model. The baseline beside a score is what a model that never looks at the ECG can reach: the median
value, the most frequent rhythm, "normal ECG".
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image
from scipy.special import softmax
from tqdm import tqdm
from transformers import pipeline

from modeling_gem import GEM_TASK, GemPipeline
from processing.chat_gem import Modality
from processing.ecg_features import extract_features
from processing.ecg_page import render_ecg
from processing.ecg_photo import known_as_page
from processing.ecg_record import EcgRecord
from processing.grounding.cut_off import CutOff, as_answer, checkable, cut_off_in_words
from recipes.console import run_command
from recipes.evaluation.likelihood import label_log_likelihoods
from recipes.evaluation.report import describe_model
from recipes.files import write_json
from recipes.models import TINY, model_source
from recipes.scores import ptbxl_scores
from recipes.sources.ptbxl import PtbxlItem, read_ptbxl
from recipes.sources.statements import SUPERCLASSES
from recipes.teachers.grounded_answer import CLASS_NAMES, classes_text, grounded_answer
from recipes.teachers.questions import Known
from recipes.training.answer_quality import judge

from .answer_scores import likelihood_auc, score
from .corpus import CHOICE_FOLD
from .page_augment import augment_page
from .question_scores import junk_scores, question_scores, unseen_scores

# Named by what the model sees; `photographed`: a page of 3x4 leads and a rhythm strip, printed, folded and photographed; `zeroed`: a
# signal of zeros; `another`: the signal of the record before, under this record's name.
VIEWS = ("both", "signal", "image", "photographed", "zeroed", "another")
# Rows of a forward pass: records, and behind their prompts records x answers.
LIKELIHOOD_BATCH = 64
PHOTOGRAPHED, PHOTOGRAPHED_SIZE = "3x4+1", (1120, 1120)
SELECTED = 8  # answers that `select` tries


def interpretations(
    interpret: GemPipeline, records: Sequence[Any], modality: Modality, batch_size: int, **options: Any
) -> list[str]:
    """What the model writes about records or chats, the most likely words; `options` as the pipeline takes them."""
    how = {"grounding": "off", "do_sample": False} | options
    outputs = interpret(iter(records), batch_size=batch_size, modality=modality, **how)
    told = tqdm(outputs, total=len(records), desc=modality)
    return [as_answer(output["generated_text"], output.get("cut_off", False)) for output in told]


def cut_off_rows(answers: Sequence[str]) -> list[int]:
    """Which answers end at their length limit, by their places."""
    return [row for row, text in enumerate(answers) if isinstance(text, CutOff)]


def class_likelihoods(
    interpret: GemPipeline, records: Sequence[Any], answers: list[str], modality: Modality, batch_size: int
) -> np.ndarray:
    """
    `(records, 5)`: how likely the model finds every superclass behind what it wrote up to these words, over all 32 ways to
    go on (the odds of one alone depend on those before). One half where an answer does not speak of them.
    """
    start = classes_text(()).partition(" is")[0]
    rows = [row for row, text in enumerate(answers) if start in text]
    begun = [answers[row].partition(start)[0] + start for row in rows]
    ways = list(itertools.product((False, True), repeat=len(SUPERCLASSES)))
    texts = [classes_text(set(itertools.compress(CLASS_NAMES, way))).removeprefix(start) for way in ways]
    likelihoods = np.full((len(answers), len(SUPERCLASSES)), 0.5)
    for first in range(0, len(rows), batch_size):
        some = slice(first, first + batch_size)
        chats = [interpret.processor.build_conversation(records[row], modality=modality) for row in rows[some]]
        found = label_log_likelihoods(
            interpret.model, interpret.processor, chats, texts, LIKELIHOOD_BATCH, answer_prefix=begun[some]
        )
        likelihoods[rows[some]] = softmax(found, axis=1) @ np.array(ways)
    return likelihoods


@contextmanager
def blinded(interpret: GemPipeline) -> Iterator[None]:
    """Within it the signal tower sees zeros, behind all checks, which refuse a record without a signal."""

    def zeroed(tower: Any, arguments: tuple, named: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        blank = tuple(torch.zeros_like(given) for given in arguments)
        return blank, {
            name: torch.zeros_like(value) if name == "ecg_values" else value for name, value in named.items()
        }

    handle = interpret.model.model.ecg_tower.register_forward_pre_hook(zeroed, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def shown_as(view: str, records: list[EcgRecord], interpret: GemPipeline) -> tuple[list[Any], Modality]:
    """What the model is given in a view (of `VIEWS`), and as what."""
    if view == "another":
        return records[-1:] + records[:-1], "signal"
    if view == "photographed":
        shown = []
        for number, record in enumerate(records):
            page = render_ecg(record, layout=PHOTOGRAPHED, size=PHOTOGRAPHED_SIZE)
            seen = augment_page(page, np.random.default_rng(number))
            # Marked, as the check for a page declines a few of them, and this is about what the model reads.
            shown.append({"ecg": record, "image": known_as_page(Image.fromarray(seen))})
        return shown, "image"
    modalities: dict[str, Modality] = {"signal": "signal", "zeroed": "signal", "image": "image"}
    return list(records), modalities.get(view, "both")


def view_scores(
    interpret: GemPipeline, items: list[PtbxlItem], references: list[str], view: str, batch_size: int
) -> tuple[list[str], dict[str, Any]]:
    """The model's answers to PTB-XL records, with what they state scored against references.

    Args:
        interpret: pipeline with the model.
        items: the records, with their labels.
        references: right answers to `items`.
        view: of `VIEWS`.
        batch_size: records per forward pass.
    """
    shown, modality = shown_as(view, [item.record for item in items], interpret)
    with blinded(interpret) if view == "zeroed" else nullcontext():
        answers = interpretations(interpret, shown, modality, batch_size)
        likelihoods = class_likelihoods(interpret, shown, answers, modality, batch_size)
    scores = score(answers, references)
    per_class = likelihood_auc(likelihoods, references)
    scores["superclass likelihood macro AUC"] = {"score": float(np.mean(list(per_class.values()))), "blind": 0.5}
    scores["superclass likelihood AUC"] = per_class
    return answers, scores | claim_scores(answers, items, references)


def claim_scores(answers: list[str], items: list[PtbxlItem], references: list[str]) -> dict[str, dict[str, Any]]:
    """What the waveforms say about the claims of `answers`, as means over records."""
    rows = [{"record": item.record, "reference": reference} for item, reference in zip(items, references, strict=True)]
    means = judge([checkable(text) for text in answers], rows).means()
    names = {
        "precision": "precision of claims",
        "recall": "recall of salient findings",
        "contradicted": "contradicted claims",
        "leads_wrong": "leads named wrongly",
        "words": "words",
    }
    return {label: {"score": means[name]} for name, label in names.items()}


def _kept(part: Path, about: dict[str, Any]) -> dict[str, Any]:
    """What an earlier run left in `part`, if it was about the same."""
    if not part.exists():
        return {}
    kept = json.loads(part.read_text())
    return kept if all(kept.get(name) == value for name, value in about.items()) else {}


def main(
    ptbxl: Annotated[list[Path], typer.Option(help="PTB-XL: its folder as published, or Parquet files; repeatable.")],
    output: Annotated[Path, typer.Option(help="JSON with scores and answers.")],
    model: Annotated[str, typer.Option(help="Model folder or Hub id; `tiny`: the embedded one.")] = TINY,
    fold: Annotated[int, typer.Option(help="Of PTB-XL. 9 is for a finished model, once.")] = CHOICE_FOLD,
    batch_size: Annotated[int, typer.Option(help="Records per forward pass.")] = 16,
    limit: Annotated[int | None, typer.Option(help="Only the first records.")] = None,
    views: Annotated[
        list[str] | None,
        typer.Option("--view", help=f"What the model sees: {', '.join(VIEWS)}; repeatable. Default: all."),
    ] = None,
    select: Annotated[int, typer.Option(help="So many records also with `--grounding select`.")] = 0,
    questions: Annotated[int, typer.Option(help="So many records are asked a question of every kind.")] = 100,
    unseen: Annotated[int, typer.Option(help="So many are asked questions of every kind in unseen wordings.")] = 20,
    junk: Annotated[int, typer.Option(help="Number of inputs that are not ECGs.")] = 200,
) -> None:
    """Score a model on a fold of PTB-XL: classes, numbers, claims, questions, and inputs that are not ECGs.

    What is finished is kept in a file beside the output, from which the same command continues.

    Example: python -m recipes.embedded.scores --ptbxl PTBXL --output scores.json --view both --view signal
    """
    if unknown := set(views or ()) - set(VIEWS):
        raise typer.BadParameter(f"--view {', '.join(sorted(unknown))}: there are {', '.join(VIEWS)}.")
    items = list(itertools.chain.from_iterable(read_ptbxl(folder, (fold,)) for folder in ptbxl))[:limit]
    known = [Known(extract_features(item.record), item.codes) for item in items]
    references = [grounded_answer(one.features, one.codes).full_text() for one in known]
    interpret = pipeline(GEM_TASK, model=model_source(model), dtype="float32")
    part = output.with_suffix(".part.json")
    results: dict[str, Any] = {
        "model": model_source(model),
        "weights": describe_model(model_source(model)),
        "records": len(items),
        "fold": fold,
        "asked": {"select": select, "questions": questions, "unseen": unseen, "junk": junk},
    }
    results |= {"scores": {}, "answers": {}, "cut_off": {}} | _kept(part, results)
    for view in views or VIEWS:
        if view not in results["scores"]:
            answers, results["scores"][view] = view_scores(interpret, items, references, view, batch_size)
            results["answers"][view], results["cut_off"][view] = answers, cut_off_rows(answers)
            write_json(part, results)
    if select and "selected" not in results:
        answers = interpretations(
            interpret, [item.record for item in items[:select]], "both", 1, grounding="select", n=SELECTED, seed=0
        )
        results["selected"] = claim_scores(answers, items[:select], references[:select])
        results["cut_off"]["selected"] = cut_off_rows(answers)
        write_json(part, results)
    if "questions" not in results:
        asked = items[:questions]
        results["questions"] = question_scores(interpret, asked, known[: len(asked)], batch_size)
        write_json(part, results)
    if "unseen" not in results:
        asked = items[:unseen]
        results["unseen"] = unseen_scores(interpret, asked, known[: len(asked)], batch_size)
        write_json(part, results)
    results["junk"] = junk_scores(interpret, items, results["answers"].get("both", ()), junk, batch_size)
    write_json(output, results | {"references": references}, indent=1)
    part.unlink(missing_ok=True)
    print(ptbxl_scores(results).markdown())
    for view, rows in results["cut_off"].items():
        if rows:
            print(f"{view}: {len(rows):,} answers {cut_off_in_words()}")
    for name in ("selected", "questions", "unseen", "junk"):
        print(name, json.dumps(results.get(name, {}), indent=1))


__all__ = ["VIEWS", "claim_scores", "class_likelihoods", "cut_off_rows", "interpretations", "view_scores"]

if __name__ == "__main__":
    run_command(main)
