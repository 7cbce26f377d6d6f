# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Rewards of answers by the measurements of their ECG, for `GemGRPOTrainer`: right, complete, not shortened, well formed.

A reward for true claims alone teaches the model to say less. Therefore each answer is also compared with the row's reference answer: the
findings of the waveform that it mentions, its true claims, the leads that it names, its diagnoses. None of these rewards can be raised
by omissions, and none pays for more than the reference states. What is said of the recording (its quality, its length) costs where it is
untrue and pays nothing: it is nearly always true, and would be said for its own sake.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_record import EcgRecord
from processing.errors_gem import ClaimError
from processing.grounding.check import CheckedClaim, GroundingReport, check_grounding
from processing.grounding.verdicts import NOT_MEASURABLE, SUPPORTED
from recipes.teachers.diagnoses import diagnoses_in, with_implied

from .rewards import text_of

Reward = Callable[..., Sequence[float | None]]
LENGTHS = (0.5, 1.5)  # of the reference's words are as good as its own number
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@lru_cache(maxsize=256)
def _measured(record: EcgRecord) -> EcgFeatures:
    return extract_features(record)


@lru_cache(maxsize=2048)
def checked(text: str, record: EcgRecord) -> GroundingReport:
    """The verdicts on a text that rewards go by. A text that is too long for the check (one word repeated endlessly) makes no claims."""
    try:
        report = check_grounding(text, _measured(record))
    except ClaimError:
        return GroundingReport(())
    return replace(
        report, claims=tuple(item for item in report.claims if not (item.of_recording and item.verdict == SUPPORTED))
    )


def precision_reward(completions: Sequence[Any], record: Sequence[EcgRecord | None], **_: Any) -> list[float | None]:
    """Share of the measurable claims that the waveform supports; 0 for an answer without any, `None` without a signal."""
    return [
        None if ecg is None else _number(checked(text, ecg).precision)
        for text, ecg in zip(map(text_of, completions), record, strict=True)
    ]


def recall_reward(completions: Sequence[Any], record: Sequence[EcgRecord | None], **_: Any) -> list[float | None]:
    """Share of the salient findings that a true claim mentions; `None` without a signal or any finding."""
    reports = [
        None if ecg is None else checked(text, ecg)
        for text, ecg in zip(map(text_of, completions), record, strict=True)
    ]
    return [None if report is None or not report.salient else report.recall for report in reports]


def detail_reward(
    completions: Sequence[Any], record: Sequence[EcgRecord | None], reference: Sequence[str | None], **_: Any
) -> list[float | None]:
    """The number of different true claims divided by that in the reference, at most 1; it falls if the answer says less."""
    rewards: list[float | None] = []
    for text, ecg, truth in zip(map(text_of, completions), record, reference, strict=True):
        expected = 0 if ecg is None or not truth else len(_true_claims(checked(truth, ecg)))
        rewards.append(min(len(_true_claims(checked(text, ecg))) / expected, 1.0) if ecg and expected else None)
    return rewards


def leads_reward(
    completions: Sequence[Any], record: Sequence[EcgRecord | None], reference: Sequence[str | None], **_: Any
) -> list[float | None]:
    """The number of leads rightly named for findings, divided by the number of named leads or of those rightly named in the reference,
    whichever is larger. So naming wrong leads costs, and so does naming none. 1 if there are none to name and none are named."""
    rewards: list[float | None] = []
    for text, ecg, truth in zip(map(text_of, completions), record, reference, strict=True):
        if ecg is None:
            rewards.append(None)
            continue
        named, right = _leads(checked(text, ecg))
        expected = _leads(checked(truth, ecg))[1] if truth else 0
        rewards.append(right / max(named, expected) if max(named, expected) else 1.0)
    return rewards


def labels_reward(completions: Sequence[Any], reference: Sequence[str | None], **_: Any) -> list[float | None]:
    """F1 of the asserted diagnoses against those of the reference; 1 if neither asserts any. Diagnoses that the reference implies are
    optional."""
    rewards: list[float | None] = []
    for text, truth in zip(map(text_of, completions), reference, strict=True):
        if not truth:
            rewards.append(None)
            continue
        given, true = _diagnoses(text), _diagnoses(truth)
        counted = given - (with_implied(set(true)) - true)
        hits = len(counted & true)
        rewards.append(2 * hits / (len(counted) + len(true)) if counted or true else 1.0)
    return rewards


def form_reward(completions: Sequence[Any], reference: Sequence[str | None], **_: Any) -> list[float | None]:
    """The share of three conditions: the answer ends with a complete sentence, repeats no sentence, and has 0.5 to 1.5 times as many words
    as the reference (any number without a reference)."""
    return [_form(text, truth) for text, truth in zip(map(text_of, completions), reference, strict=True)]


def _form(text: str, reference: str | None) -> float:
    sentences = Counter(sentence.strip().lower() for sentence in _SENTENCE_END.split(text.strip()) if sentence.strip())
    words, usual = len(text.split()), len((reference or "").split())
    fits = not usual or LENGTHS[0] * usual <= words <= LENGTHS[1] * usual
    return (text.rstrip().endswith((".", "!", "?")) + (max(sentences.values(), default=2) == 1) + fits) / 3


def _true_claims(report: GroundingReport) -> set[tuple[Any, ...]]:
    return {_content(checked) for checked in report.claims if checked.verdict == SUPPORTED}


def _content(checked: CheckedClaim) -> tuple[Any, ...]:
    """The content of a claim; it is equal for repetitions in other words, or with another number within the tolerance."""
    claim = checked.claim
    word = claim.value if isinstance(claim.value, str) else None
    return claim.kind, word, claim.polarity == "negated", frozenset(claim.leads), claim.beats


def _leads(report: GroundingReport) -> tuple[int, int]:
    """(Leads named for affirmed findings, those of them that show it), each lead once per kind of claim."""
    named: set[tuple[str, str]] = set()
    wrong: set[tuple[str, str]] = set()
    for checked in report.claims:
        if checked.claim.polarity != "negated" and checked.verdict != NOT_MEASURABLE:
            named |= {(checked.claim.kind, lead) for lead in checked.claim.leads}
            wrong |= {(checked.claim.kind, lead) for lead in checked.wrong_leads}
    return len(named), len(named - wrong)


@lru_cache(maxsize=2048)
def _diagnoses(text: str) -> frozenset[str]:
    try:
        return frozenset(diagnoses_in(text))
    except ClaimError:
        return frozenset()


def _number(value: float) -> float:
    return 0.0 if math.isnan(value) else value


# As `rewards:` of a GRPO config names them.
GROUNDING_REWARDS: dict[str, Reward] = {
    "precision": precision_reward,
    "recall": recall_reward,
    "detail": detail_reward,
    "leads": leads_reward,
    "labels": labels_reward,
    "form": form_reward,
}

__all__ = [
    "GROUNDING_REWARDS",
    "Reward",
    "checked",
    "detail_reward",
    "form_reward",
    "labels_reward",
    "leads_reward",
    "precision_reward",
    "recall_reward",
]
