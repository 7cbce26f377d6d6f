# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What every door to a GEM gives: an answer about an ECG together with what the waveform says about its claims."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image
from transformers import pipeline

from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_readers import is_picture
from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgQualityError, GemError
from processing.feature_extraction_gem import load_ecgs
from processing.grounding.check import (
    CONTRADICTED,
    NOT_MEASURABLE,
    SUPPORTED,
    CheckedClaim,
    GroundingReport,
    check_grounding,
)
from processing.grounding.spans import Span, answer_spans
from processing.processing_gem import Modality

from .pipeline_gem import GEM_TASK, GemPipeline

# How much the check of an answer may do: nothing, mark its claims.
Grounding = Literal["off", "flag"]
GROUNDINGS: tuple[Grounding, ...] = get_args(Grounding)
PICTURE_ONLY = "picture only: not checked"

# An ECG, or the picture of one, as `interpret` takes it.
EcgLike = EcgRecord | str | Path | np.ndarray | Image.Image


@dataclass(frozen=True, eq=False)
class Interpretation:
    """An answer about an ECG, and what the waveform says about it.

    Attributes:
        text: the answer; empty where it was declined.
        grounding: what was done with its claims, one of `GROUNDINGS`; `off` where there is no waveform.
        note: why an answer was not checked, in words: `picture only: not checked`; empty where it was.
        report: all claims with their verdicts, and the scores; `None` where nothing was checked.
        spans: the stretches of `text` that make the claims, in its order, without overlap.
        features: what was measured in the waveform; `None` without one.
        declined: why there is no answer; `None` where there is one.
        seconds: how long it took, all in all.
    """

    text: str
    grounding: Grounding = "off"
    note: str = ""
    report: GroundingReport | None = None
    spans: tuple[Span, ...] = ()
    features: EcgFeatures | None = field(default=None, repr=False)
    declined: str | None = None
    seconds: float = 0.0

    @property
    def claims(self) -> tuple[CheckedClaim, ...]:
        """The claims with verdict, measured value and evidence; none where nothing was checked."""
        return self.report.claims if self.report is not None else ()

    @property
    def verdicts(self) -> str:
        """How many claims have each verdict, in words; why there are none, where nothing was checked."""
        if self.report is None:
            return self.declined or self.note or "not checked"
        count = self.report.count
        return (
            f"{count(CONTRADICTED)} contradicted, {count(SUPPORTED)} supported, {count(NOT_MEASURABLE)} not measurable"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON. Without a check there is no list of claims, so that none can be taken for "no wrong claim"."""
        values: dict[str, Any] = {
            "text": self.text,
            "declined": self.declined,
            "grounding": self.grounding,
            "note": self.note,
        }
        if self.report is not None:
            values |= {
                "verdicts": self.verdicts,
                "scores": self.report.scores(),
                "claims": [checked.to_dict() for checked in self.report.claims],
                "missing": [finding.name for finding in self.report.missing],
                "spans": [span.to_dict() for span in self.spans],
            }
        values["measurements"] = self.features.to_dict() if self.features is not None else None
        return values | {"seconds": round(self.seconds, 3)}


def check_answer(
    text: str, waveform: EcgRecord | EcgFeatures | None, *, grounding: Grounding = "flag"
) -> Interpretation:
    """An answer that is finished, whoever wrote it, checked against the waveform that it is about.

    Args:
        text: the answer; it is never altered.
        waveform: the record, or what `extract_features` measured in it; `None` where there is a picture alone.
        grounding: `flag` or `off`.

    Raises:
        GemError: `grounding` is unknown; the text is too long to be read for claims.

    Example:
        >>> from processing.simulator.simulator import simulate_ecg
        >>> found = check_answer("Sinus rhythm, 111 bpm.", simulate_ecg(heart_rate=72, seed=1).record)
        >>> found.verdicts
        '1 contradicted, 1 supported, 0 not measurable'
        >>> [(span.verdict, span.measured) for span in found.spans][1]
        ('contradicted', 'measured 72 bpm')
        >>> check_answer("Sinus rhythm.", None).note
        'picture only: not checked'
    """
    started = time.perf_counter()
    as_grounding(grounding)
    if waveform is None:
        return Interpretation(text, note=PICTURE_ONLY)
    features = waveform if isinstance(waveform, EcgFeatures) else extract_features(waveform)
    if grounding == "off":
        return Interpretation(text, features=features, seconds=time.perf_counter() - started)
    report = check_grounding(text, features)
    spans = answer_spans(text, report.claims)
    return Interpretation(
        text, grounding, report=report, spans=spans, features=features, seconds=time.perf_counter() - started
    )


def interpret(
    record: EcgLike,
    *,
    model: str | Path | GemPipeline | None = None,
    grounding: Grounding = "flag",
    question: str | None = None,
    image: str | Path | Image.Image | None = None,
    modality: Modality = "both",
    max_new_tokens: int = 256,
    **source: Any,
) -> Interpretation:
    """A GEM's answer about an ECG, checked against its waveform.

    Args:
        record: a path, an `EcgRecord`, an array (leads, samples) or a picture of an ECG.
        model: folder, Hub id or pipeline of a GEM; the small model that comes with gem-ecg if not given.
        grounding: `flag` marks the claims and alters nothing; `off` checks nothing.
        question: what to ask; the processor's default question if not given.
        image: a picture that goes with the record; else a page is drawn.
        modality: what the model sees: `both`, `signal` or `image`. The check sees the waveform wherever there is one.
        max_new_tokens: length limit of the answer.
        **source: what the record's file does not say, as in `load_ecg` (`sampling_rate`, `leads`, `unit` ...).

    Raises:
        GemError: the record cannot be read, or an argument is wrong. What is read but can be no ECG is declined instead.

    Example:
        >>> found = interpret("processing/samples/normal.hea", modality="signal")
        >>> found.grounding, found.declined, len(found.claims) > 5
        ('flag', None, True)
    """
    started = time.perf_counter()
    as_grounding(grounding)
    given: Any = record
    features = None
    try:
        if not _shows_picture_alone(record):
            given = load_ecgs(record, **source)[0]
            source = {}
            features = extract_features(given).check_plausibility()
        gem = model if isinstance(model, GemPipeline) else load_interpreter(model)
        chat = gem.processor.build_conversation(given, question=question, image=image, modality=modality, **source)
    except EcgQualityError as error:
        return Interpretation("", declined=str(error), seconds=time.perf_counter() - started)
    text = gem(chat, modality="signal", do_sample=False, max_new_tokens=max_new_tokens)["generated_text"]
    found = check_answer(text, features, grounding=grounding)
    return replace(found, seconds=time.perf_counter() - started)


def as_grounding(name: str) -> Grounding:
    """
    Raises:
        GemError: it is none of `GROUNDINGS`.
    """
    for grounding in GROUNDINGS:
        if name == grounding:
            return grounding
    raise GemError(f"`grounding` is {', '.join(map(repr, GROUNDINGS))}, got {name!r}.")


def load_interpreter(model: str | Path | None = None) -> GemPipeline:
    """The pipeline of a GEM: a folder, a Hub id, or (nothing given) the small model that comes with gem-ecg."""
    from . import default_checkpoint

    return pipeline(GEM_TASK, model=str(model or default_checkpoint()))


def _shows_picture_alone(record: EcgLike) -> bool:
    return isinstance(record, Image.Image) or (isinstance(record, (str, Path)) and is_picture(record))


__all__ = [
    "GROUNDINGS",
    "PICTURE_ONLY",
    "EcgLike",
    "Grounding",
    "Interpretation",
    "check_answer",
    "interpret",
    "load_interpreter",
]
