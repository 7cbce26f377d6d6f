# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Answers of a GEM about an ECG, with the verdicts of the waveform on their claims. All ways to ask a GEM end here."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from PIL import Image
from transformers import Pipeline, TextStreamer, pipeline

from processing.chat_gem import Modality, content_blocks, must_show_ecg, page_picture, upright
from processing.ecg_check import check_ecg
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_features_text import misplaced, to_be_known
from processing.ecg_readers import is_picture
from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgQualityError, GemError, MissingDependencyError
from processing.feature_extraction_gem import load_ecgs
from processing.grounding.check import (
    CONTRADICTED,
    DEFAULT_TOLERANCES,
    DIGITIZED_TOLERANCES,
    NOT_MEASURABLE,
    SUPPORTED,
    CheckedClaim,
    GroundingReport,
    Tolerances,
    check_grounding,
)
from processing.grounding.correction import Edit, correct_answer
from processing.grounding.cut_off import CutOff, as_answer, checkable
from processing.grounding.denied_ecg import denied_in_words
from processing.grounding.selection import Candidate, best_answer, try_answers
from processing.grounding.spans import Span, answer_spans
from processing.processing_gem import GemProcessor

from .pipeline_gem import GEM_TASK, GemPipeline
from .sampling import sample_answers

# What the check of an answer may do: nothing; mark its claims; choose among several answers; change what is left wrong.
Grounding = Literal["off", "flag", "select", "correct"]
GROUNDINGS: tuple[Grounding, ...] = get_args(Grounding)
PICTURE_ONLY = "picture only"
SEVERAL_ECGS = "more than one ECG"
# How many answers `select` and `correct` try, and how many of them are written at once.
ANSWERS = 8
BATCH = 16
MAX_NEW_TOKENS = 256  # of an answer, as in `GemPipeline`

# An ECG, or the picture of one, as `interpret` takes it.
EcgLike = EcgRecord | str | Path | np.ndarray | Image.Image
# Gives so many further answers to the same question.
MoreAnswers = Callable[[int], Sequence[str]]


class GemEngine(Protocol):
    """A GEM that answers chats about ECGs, as `GemProcessor.build_conversation` builds them."""

    processor: GemProcessor
    at_once: int  # chats that it is given at a time

    def answers(self, chats: Sequence[list[dict]], max_new_tokens: int) -> list[str | GemError]:
        """Greedy answers in the order of the chats, a `CutOff` where one ends at the length limit; an exception in place of an answer
        that failed."""
        ...

    def more(self, chat: list[dict], features: EcgFeatures, seed: int, max_new_tokens: int) -> MoreAnswers:
        """Further, sampled answers to a chat about an ECG that was measured; every call gives others."""
        ...

    def close(self) -> None:
        """Frees the resources of the engine."""
        ...


@dataclass(frozen=True, eq=False)
class Interpretation:
    """An answer about an ECG, and what the waveform says about it.

    Attributes:
        text: the answer; empty if it was declined, a `CutOff` if it ends at its length limit.
        grounding: how the claims were treated, one of `GROUNDINGS`; `off` if nothing can be checked.
        note: the reason why nothing was checked, such as `picture only`.
        report: all claims with their verdicts, and the scores; `None` if nothing was checked.
        spans: the parts of `text` that make the claims, in order, without overlap.
        candidates: the answers that were tried, unedited, in the order of writing (`select`, `correct`).
        edits: the changes made to the best of them (`correct`).
        features: the measurements of the waveform; `None` without one.
        record: the waveform, if `interpret` has one.
        page: the picture that the model saw, if `interpret` has one.
        declined: the reason why there is no answer; `None` if there is one.
        undigitized: the reason why no signal was recovered from the picture; empty if one was, or if it was not tried.
        question_doubt: which words of the question the model was not taught; `None` if it knows all, or if that is not known.
        seconds: total time, s.
    """

    text: str
    grounding: Grounding = "off"
    note: str = ""
    report: GroundingReport | None = None
    spans: tuple[Span, ...] = ()
    candidates: tuple[Candidate, ...] = field(default=(), repr=False)
    edits: tuple[Edit, ...] = ()
    features: EcgFeatures | None = field(default=None, repr=False)
    record: EcgRecord | None = field(default=None, repr=False)
    page: Image.Image | None = field(default=None, repr=False)
    declined: str | None = None
    undigitized: str = ""
    question_doubt: str | None = None
    seconds: float = 0.0

    @property
    def cut_off(self) -> bool:
        """Whether the answer ends at its length limit; its unfinished last word is not checked."""
        return isinstance(self.text, CutOff)

    @property
    def denied_ecg(self) -> str | None:
        """A sentence for an answer that calls this no ECG, though the waveform has heartbeats; else `None`."""
        return denied_in_words(self.text, self.features)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What is doubtful about the recording, in words: electrodes that seem exchanged, seconds and leads that were not used, a coarse
        sampling rate."""
        return (*misplaced(self.features), *to_be_known(self.features)) if self.features is not None else ()

    @property
    def claims(self) -> tuple[CheckedClaim, ...]:
        """The claims with verdict, measured value and evidence; none where nothing was checked."""
        return self.report.claims if self.report is not None else ()

    @property
    def verdicts(self) -> str:
        """How many claims have each verdict, in words; why there are none, where nothing was checked."""
        if self.report is None:
            return f"{self.note}: not checked" if self.note else "not checked"
        numbers = {verdict: self.report.count(verdict) for verdict in (CONTRADICTED, SUPPORTED, NOT_MEASURABLE)}
        return ", ".join(f"{number} {verdict.replace('_', ' ')}" for verdict, number in numbers.items())

    def marks(self) -> dict[str, Any]:
        """The results of the check, and doubts about question and answer, as plain values. Without a check the list of claims is absent,
        so that it cannot be mistaken for an answer without wrong claims."""
        values: dict[str, Any] = {"grounding": f"{self.grounding} ({self.note})" if self.note else self.grounding}
        if self.undigitized:
            values["undigitized"] = self.undigitized
        if self.question_doubt:
            values["question_doubt"] = self.question_doubt
        if self.cut_off:
            values["cut_off"] = True
        if self.denied_ecg:
            values["denied_ecg"] = self.denied_ecg
        if cautions := self.cautions:
            values["cautions"] = list(cautions)
        if self.report is None:
            return values
        values |= {
            "verdicts": self.verdicts,
            "scores": self.report.scores(),
            "claims": [checked.to_dict() for checked in self.report.claims],
            "missing": [finding.name for finding in self.report.missing],
            "spans": [span.to_dict() for span in self.spans],
        }
        if self.candidates:
            values["candidates"] = [candidate.to_dict() for candidate in self.candidates]
        if self.grounding == "correct":
            values["edits"] = [edit.to_dict() for edit in self.edits]
        return values

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: `text`, `declined`, the `marks`, `measurements` and `seconds`."""
        return {
            "text": self.text,
            "declined": self.declined,
            **self.marks(),
            "measurements": self.features.to_dict() if self.features is not None else None,
            "seconds": round(self.seconds, 3),
        }


def check_answer(
    text: str,
    waveform: EcgRecord | EcgFeatures | None,
    *,
    grounding: Grounding = "flag",
    more: MoreAnswers | None = None,
    n: int = ANSWERS,
    tolerances: Tolerances = DEFAULT_TOLERANCES,
) -> Interpretation:
    """Checks a finished answer of any author against the waveform.

    Args:
        text: the answer. `flag` never changes it. The unfinished last word of a `CutOff` is not checked.
        waveform: the record, or its measurements by `extract_features`; `None` if there is only a picture.
        grounding: `flag` marks the claims. `select` asks `more` for further answers while a claim is contradicted, until an answer
            has no contradicted claim or `n` were tried, and returns the best one (`score_claims`). `correct` does the same,
            then replaces contradicted values by the measured ones, or strikes the claims out. `off` checks nothing.
        more: returns the requested number of further answers, or fewer if there are no more. Without it, `select` and `correct`
            have only `text`.
        n: the largest number of answers to try, including `text`.
        tolerances: allowed differences of stated values, see `tolerances_for`.

    Raises:
        GemError: `grounding` is unknown, or a text is too long.

    Examples:
        >>> from processing.simulator.simulator import simulate_ecg
        >>> record = simulate_ecg(heart_rate=72, seed=1).record
        >>> found = check_answer("Sinus rhythm, 111 bpm.", record)
        >>> found.verdicts
        '1 contradicted, 1 supported, 0 not measurable'
        >>> [(span.verdict, span.measured) for span in found.spans][1]
        ('contradicted', 'measured 72 bpm')
        >>> check_answer("Sinus rhythm, 111 bpm.", record, grounding="correct").text
        'Sinus rhythm, [72 bpm].'
        >>> check_answer("Sinus rhythm.", None).verdicts
        'picture only: not checked'
    """
    started = time.perf_counter()
    mode = as_grounding(grounding)
    if waveform is None:
        return Interpretation(text, note=PICTURE_ONLY)
    features = waveform if isinstance(waveform, EcgFeatures) else extract_features(waveform)
    if mode == "off":
        return Interpretation(text, features=features, seconds=time.perf_counter() - started)
    tried = try_answers([text], features, tolerances)
    edits: tuple[Edit, ...] = ()
    if mode != "flag":
        while more is not None and len(tried) < n and not best_answer(tried).is_clean:
            wanted = min(BATCH, n - len(tried))
            further = more(wanted)
            tried += try_answers(further, features, tolerances)
            if len(further) < wanted:  # there are no more
                break
    best = best_answer(tried)
    text, report = best.text, best.report
    if mode == "correct":
        checked = checkable(text)
        changed, edits = correct_answer(checked, features, tolerances)
        text = as_answer(changed + text[len(checked) :], isinstance(text, CutOff))
        report = check_grounding(changed, features, tolerances) if edits else report
    return Interpretation(
        text,
        mode,
        report=report,
        spans=answer_spans(text, report.claims),
        candidates=() if mode == "flag" else tuple(tried),
        edits=edits,
        features=features,
        seconds=time.perf_counter() - started,
    )


def interpret(
    record: EcgLike,
    *,
    model: "str | Path | GemPipeline | GemEngine | None" = None,
    grounding: Grounding = "flag",
    question: str | None = None,
    image: str | Path | Image.Image | None = None,
    modality: Modality = "both",
    n: int = ANSWERS,
    seed: int = 0,
    features: EcgFeatures | None = None,
    streamer: TextStreamer | None = None,
    generation: dict[str, Any] | None = None,
    digitize: bool = True,
    **source: Any,
) -> Interpretation:
    """A GEM's answer about an ECG, checked against its waveform.

    Args:
        record: a path, an `EcgRecord`, an array (leads, samples) or a picture of an ECG.
        model: folder, Hub id or pipeline of a GEM, or an engine (`recipes.gem_engine`). Default: the small model that comes
            with gem-ecg.
        grounding: `off`, `flag`, `select` or `correct`, see `check_answer`.
        question: what to ask; the processor's default question if not given.
        image: a picture that goes with the record; else a page is drawn.
        modality: what the model sees: `both`, `signal` or `image`. The check sees the waveform wherever there is one.
        n: `select` and `correct` only: the largest number of answers to try. The first one is greedy, the others are sampled.
        seed: `select` and `correct` only: seed of the sampled answers.
        features: measurements of `record`, where they exist already.
        streamer: receives the first answer while it is written; needs a pipeline, not an engine.
        generation: arguments of `generate` (`max_new_tokens`, `temperature` ...); an engine takes `max_new_tokens` only.
        digitize: recover the signal from a picture, so that the model sees both and the check has a waveform. If that fails,
            the model gets the picture alone, and `undigitized` gives the reason.
        **source: what the record's file does not state, as in `load_ecg` (`sampling_rate`, `leads`, `unit` ...), or what the
            page of a picture does not state, as in `digitize_ecg` (`layout`, `speed`, `gain`).

    Raises:
        GemError: the record cannot be read, or an argument is wrong. A file that is read but holds no ECG is declined, which
            raises nothing.

    Examples:
        >>> found = interpret("processing/samples/normal.hea", modality="signal")
        >>> found.grounding, found.declined, len(found.claims) > 5
        ('flag', None, True)
    """
    started = time.perf_counter()
    as_grounding(grounding)
    given: Any = record
    settings = {"do_sample": False, **(generation or {})}
    reason = ""
    try:
        if shows_picture_alone(record):
            given = image = page_picture(record, source.pop("index", None))
            stated = {name: source.pop(name) for name in ("layout", "speed", "gain") if name in source}
            if digitize and modality != "image":
                digitized, reason = from_picture(image, **stated)
                given = image if digitized is None else digitized
        if isinstance(given, Image.Image):
            image = None
        else:
            given, source = check_ecg(load_ecgs(given, **source)[0]), {}
            features = (features or extract_features(given)).check_plausibility()
        gem = load_interpreter(model) if model is None or isinstance(model, (str, Path)) else model
        shown = upright(image, given) if isinstance(image, Image.Image) and isinstance(given, EcgRecord) else image
        chat = gem.processor.build_conversation(given, question=question, image=shown, modality=modality, **source)
    except EcgQualityError as error:
        return Interpretation("", declined=str(error), seconds=time.perf_counter() - started)
    more: MoreAnswers | None = None
    if isinstance(gem, Pipeline):  # also that of a checkpoint's own code
        said = gem(chat, modality="signal", grounding="off", streamer=streamer, **settings)
        text = as_answer(said["generated_text"], said.get("cut_off", False))
        if features is not None:
            more = more_answers(gem, chat, features, seed, generation or {})
    else:
        length = settings.get("max_new_tokens", MAX_NEW_TOKENS)
        (answer,) = gem.answers([chat], length)
        if isinstance(answer, GemError):
            raise answer
        text = answer
        if features is not None:
            more = gem.more(chat, features, seed, length)
    found = check_answer(text, features, grounding=grounding, more=more, n=n, tolerances=tolerances_for(given))
    return replace(
        found,
        undigitized=reason,
        record=given if features is not None else None,
        page=gem.processor.picture(chat),
        question_doubt=gem.processor.question_doubt(chat),
        seconds=time.perf_counter() - started,
    )


def check_conversation(
    gem: GemPipeline,
    chat: list[dict],
    text: str,
    *,
    grounding: Grounding = "flag",
    n: int = ANSWERS,
    seed: int = 0,
    generation: dict[str, Any] | None = None,
    cut_off: bool = False,
) -> Interpretation:
    """Checks the pipeline's answer to a chat against the chat's ECG; arguments as in `interpret`, and whether the
    answer was cut off at its length limit.

    A chat with several ECGs is not checked, because it is not known which of them a claim is about.
    """
    given, text = generation or {}, as_answer(text, cut_off)
    return check_chat(chat, text, grounding=grounding, more=lambda f: more_answers(gem, chat, f, seed, given), n=n)


def check_chat(
    chat: list[dict],
    text: str,
    *,
    grounding: Grounding = "flag",
    more: Callable[[EcgFeatures], MoreAnswers] | None = None,
    n: int = ANSWERS,
) -> Interpretation:
    """As `check_conversation`, for an answer of any engine.

    Args:
        chat: the conversation that was answered.
        text: the answer to check.
        grounding: see `check_answer`.
        more: receives the measurements of the ECG and returns a source of further answers to the same chat.
        n: the largest number of answers to try.

    Raises:
        GemError: the chat holds no ECG and no picture; or see `check_answer`.
    """
    must_show_ecg(chat)
    records = [block["ecg"] for block in content_blocks(chat) if block["type"] == "ecg"]
    if len(records) > 1:
        return Interpretation(text, note=SEVERAL_ECGS)
    if not records:
        return check_answer(text, None, grounding=grounding)
    features = extract_features(records[0])
    room = tolerances_for(records[0])
    return check_answer(
        text, features, grounding=grounding, more=more(features) if more else None, n=n, tolerances=room
    )


def from_picture(picture: Image.Image, **stated: Any) -> tuple[EcgRecord | None, str]:
    """Digitises a page. Returns the record, or `None` and the reason for the failure.

    Args:
        picture: of a page.
        **stated: what the page does not state, see `digitize_ecg`.
    """
    try:
        from processing.photo import digitize_ecg

        return check_ecg(digitize_ecg(picture, **stated)), ""
    except (EcgQualityError, MissingDependencyError) as error:
        return None, str(error).rstrip(".")


def tolerances_for(record: object) -> Tolerances:
    """Tolerances for the claims about a record; wider ones if it was digitised from a picture."""
    from_page = isinstance(record, EcgRecord) and "page" in record.metadata
    return DIGITIZED_TOLERANCES if from_page else DEFAULT_TOLERANCES


def more_answers(
    gem: GemPipeline, chat: list[dict], features: EcgFeatures, seed: int, generation: dict[str, Any]
) -> MoreAnswers:
    """A source of further sampled answers to a chat, guided by the waveform while they are written; every call gives new ones."""
    seeds = count(seed)

    def judge(text: str) -> tuple[float, int]:
        tried = try_answers([text], features)[0]
        return tried.score, tried.report.count(CONTRADICTED)

    return lambda number: sample_answers(gem, chat, number, judge, seed=next(seeds), **generation)


def as_grounding(name: str) -> Grounding:
    """The name of a grounding mode, checked.

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

    # Half precision has no fast path on most CPUs.
    dtype = "auto" if torch.cuda.is_available() else torch.float32
    return pipeline(GEM_TASK, model=str(model or default_checkpoint()), dtype=dtype)


def shows_picture_alone(record: EcgLike) -> bool:
    """Whether `record` is a picture of an ECG, which has no waveform to check against."""
    return isinstance(record, Image.Image) or (isinstance(record, (str, Path)) and is_picture(record))


__all__ = [
    "GROUNDINGS",
    "EcgLike",
    "GemEngine",
    "Grounding",
    "Interpretation",
    "MoreAnswers",
    "as_grounding",
    "check_answer",
    "check_chat",
    "check_conversation",
    "from_picture",
    "interpret",
    "load_interpreter",
    "more_answers",
    "shows_picture_alone",
    "tolerances_for",
]
