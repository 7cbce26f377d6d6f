# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What digitising is worth to a model: the same photographed pages read as pictures, with the recovered signal, and the signal itself.

Nothing is trained for it. The answers are scored as in `recipes.embedded.scores`: numbers against the measurements of the record,
words against its labels, claims against its waveform.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from modeling_gem import GemPipeline
from modeling_gem.interpretation import from_picture
from processing.ecg_features import extract_features
from processing.ecg_page import render_ecg
from processing.ecg_record import EcgRecord
from processing.extras_gem import require
from recipes.evaluation.report import EvaluationReport, describe_data, describe_model
from recipes.scores import ScoreTable, score_rows
from recipes.sources.ptbxl import PtbxlItem
from recipes.teachers.grounded_answer import grounded_answer

from .answer_scores import score
from .page_augment import augment_page
from .scores import claim_scores, interpretations

PHOTO, DIGITIZED, SIGNAL = "photo alone", "photo + digitised signal", "signal"
LAYOUTS = ("3x4+1", "6x2", "12x1")  # in turn
DPI = 150.0


@dataclass
class PhotoRun:
    """The items, what was recovered from the photograph of each (`None`: declined, with the reason), and the answers by view."""

    items: list[PtbxlItem]
    photos: list[Image.Image] = field(default_factory=list)
    digitized: list[EcgRecord | None] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)


def photographed(items: Sequence[PtbxlItem], step: Callable[[int, int], None]) -> PhotoRun:
    """Every record on a page as if photographed, and what is recovered from it.

    Args:
        items: of PTB-XL.
        step: called with the number of records that are done, and of all.

    Raises:
        MissingDependencyError: OpenCV is not installed (`gem-ecg[photo]`).
    """
    require("cv2", "Digitising a photo")  # without it `from_picture` would decline every page
    run = PhotoRun(list(items))
    for number, item in enumerate(items):
        page = render_ecg(item.record, layout=LAYOUTS[number % len(LAYOUTS)], dpi=DPI)
        photo = Image.fromarray(augment_page(page, np.random.default_rng(number)))
        record, reason = from_picture(photo)
        run.photos.append(photo)
        run.digitized.append(record)
        if record is None:
            run.reasons.append(f"{item.record.name}: {reason}")
        step(number + 1, len(items))
    return run


def answer(run: PhotoRun, interpret: GemPipeline, batch_size: int) -> None:
    """Adds the model's answers in the three views; where nothing was recovered, the photo is all that the second has."""
    records = [item.record for item in run.items]
    seen = [{"ecg": record, "image": photo} for record, photo in zip(records, run.photos, strict=True)]
    run.answers[PHOTO] = interpretations(interpret, seen, "image", batch_size)
    both = [
        {"ecg": found, "image": photo}
        for found, photo in zip(run.digitized, run.photos, strict=True)
        if found is not None
    ]
    told = iter(interpretations(interpret, both, "both", batch_size) if both else ())
    run.answers[DIGITIZED] = [
        alone if found is None else next(told) for alone, found in zip(run.answers[PHOTO], run.digitized, strict=True)
    ]
    run.answers[SIGNAL] = interpretations(interpret, records, "signal", batch_size)


def photo_report(run: PhotoRun, fold: int, model: str) -> EvaluationReport:
    """The three views side by side, and the blind baseline."""
    references = [grounded_answer(extract_features(item.record), item.codes).full_text() for item in run.items]
    scores: dict[str, dict[str, Any]] = {
        view: score(answers, references) | claim_scores(answers, run.items, references)
        for view, answers in run.answers.items()
    }
    views = [PHOTO, DIGITIZED, SIGNAL, "blind"]
    table = ScoreTable("Photographed pages", "PTB-XL", f"fold {fold}", len(run.items), views, score_rows(scores))
    gold = ((item.record.name, reference) for item, reference in zip(run.items, references, strict=True))
    declined = len(run.reasons)
    return EvaluationReport(
        "What digitising a photo is worth",
        [table],
        describe_data("PTB-XL", gold),
        describe_model(model),
        notes=[
            f"Pages of {', '.join(LAYOUTS)} in turn at {DPI:g} dpi, folded, shadowed and seen at an angle. {declined} of "
            f"{len(run.items)} were declined by the digitiser: there the model has the photo alone in both views."
        ],
        details={"declined": run.reasons, "answers": run.answers, "references": references},
    )


__all__ = ["PhotoRun", "answer", "photo_report", "photographed"]
