# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Selects, from several answers about one ECG, the one whose claims agree best with the measurements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from processing.ecg_features import EcgFeatures

from .check import CONTRADICTED, SUPPORTED, GroundingReport, check_grounding
from .cut_off import checkable
from .verdicts import DEFAULT_TOLERANCES, Tolerances

# A wrong claim costs as much as two right ones are worth: omitting it pays, omitting right ones does not.
CONTRADICTED_COSTS = 2


@dataclass(frozen=True, eq=False)
class Candidate:
    """An answer that was tried. `score`: see `score_claims`."""

    text: str
    report: GroundingReport
    score: int

    @property
    def is_clean(self) -> bool:
        """Whether the waveform contradicts nothing in it."""
        return not self.report.count(CONTRADICTED)

    def to_dict(self) -> dict[str, Any]:
        """Text, score and the report's scores, as JSON holds them."""
        return {"text": self.text, "score": self.score, **self.report.scores()}


def score_claims(report: GroundingReport) -> int:
    """The number of right claims, plus that of salient findings among them, minus twice that of contradicted claims.

    Counts are used because with shares the shortest answer would win. A repeated claim counts once. A right one about the recording ("good
    quality in V1") does not count: it says nothing of the heart.
    """
    right = {_meaning(item.claim) for item in report.claims if item.verdict == SUPPORTED and not item.of_recording}
    wrong = {_meaning(item.claim) for item in report.claims if item.verdict == CONTRADICTED}
    return len(right) + len(report.mentioned) - CONTRADICTED_COSTS * len(wrong)


def try_answers(
    texts: Iterable[str], features: EcgFeatures, tolerances: Tolerances = DEFAULT_TOLERANCES
) -> list[Candidate]:
    """Each answer with its claims checked, in the given order; the last word of a `CutOff` claims nothing."""
    reports = ((text, check_grounding(checkable(text), features, tolerances)) for text in texts)
    return [Candidate(text, report, score_claims(report)) for text, report in reports]


def best_answer(candidates: Sequence[Candidate]) -> Candidate:
    """The answer with the highest score; of equal ones that with fewer contradicted claims, then the first.

    Examples:
        >>> from processing.ecg_features import extract_features
        >>> from processing.simulator.simulator import simulate_ecg
        >>> features = extract_features(simulate_ecg(heart_rate=72, seed=1).record)
        >>> texts = ["Sinus rhythm, 111 bpm.", "Sinus rhythm.", "Sinus rhythm, regular, 72 bpm."]
        >>> best_answer(try_answers(texts, features)).text
        'Sinus rhythm, regular, 72 bpm.'
    """
    return max(candidates, key=lambda tried: (tried.score, -tried.report.count(CONTRADICTED)))


def _meaning(claim: Any) -> tuple[Any, ...]:
    return claim.kind, claim.value, claim.high, claim.leads, claim.beats, claim.polarity


__all__ = ["Candidate", "best_answer", "score_claims", "try_answers"]
