# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Compares the verdicts of the grounding check with what sentences state: single ones, planted errors, the fixture."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from processing.ecg_features import EcgFeatures, extract_features
from processing.grounding.check import GroundingReport, check_grounding
from processing.grounding.verdicts import TOO_NEAR
from processing.simulator.simulator import simulate_ecg
from tests.helpers.grounding_sentences import falsified_texts, statements
from tests.helpers.grounding_truth import Truth

SENTENCES = Path(__file__).resolve().parents[1] / "fixtures/grounding_sentences.json"
VERDICTS = {"+": "supported", "-": "contradicted", "?": "not_measurable"}


class Score:
    """Counts of right, wrong and missed verdicts."""

    def __init__(self) -> None:
        self.right = self.wrong = self.missed = 0
        self.failures: list[str] = []

    def add(self, text: str, report: GroundingReport, expected: Iterable[tuple[str, str | None]]) -> None:
        """Holds a report against the expected (kinds joined by `|`, verdict or `None` for any).

        A claim that lies too near to its limit was understood, whatever was expected of it.
        """
        expected = list(expected)
        rest = [
            (checked.claim.kind, None if checked.explanation.endswith(TOO_NEAR) else checked.verdict)
            for checked in report.claims
        ]
        missed = []
        for kinds, verdict in expected:
            fitting = [
                got for got in rest if got[0] in kinds.split("|") and (None in (verdict, got[1]) or verdict == got[1])
            ]
            match = next(iter(fitting), None)
            if match is None:
                missed.append((kinds, verdict))
            else:
                rest.remove(match)
        # What a sentence says twice may be judged twice.
        stated = {(kind, verdict) for kinds, verdict in expected for kind in kinds.split("|")}
        wrong = [got for got in rest if got[1] not in ("not_measurable", None) and got not in stated]
        self.right += len(expected) - len(missed)
        self.wrong += len(wrong)
        self.missed += len(missed)
        if missed or wrong:
            self.failures.append(f"{text!r}: missed {missed}, wrong {wrong}")

    @property
    def precision(self) -> float:
        return self.right / max(self.right + self.wrong, 1)

    @property
    def recall(self) -> float:
        return self.right / max(self.right + self.missed, 1)

    def __str__(self) -> str:
        return f"precision {self.precision:.4f}, recall {self.recall:.4f} ({self.right} right, {self.wrong} wrong, {self.missed} missed)"


def score_statements(truth_list: list[Truth], count: int, wording: str, seed: int) -> Score:
    """Single statements, half of them false."""
    score = Score()
    for truth, statement in statements(truth_list, count, wording, seed):
        verdict = "supported" if statement.true else "contradicted"
        report = check_grounding(statement.text, truth.features)
        score.add(statement.text, report, [(kind, verdict) for kind in statement.kinds])
    return score


def score_falsified(truth_list: list[Truth], count: int, wording: str, seed: int) -> tuple[Counter, Counter, int, int]:
    """Planted and found errors by kind, false alarms, and decided claims outside the planted sentence."""
    planted: Counter = Counter()
    found: Counter = Counter()
    alarms = decided = 0
    for truth, text, error, start, end in falsified_texts(truth_list, count, wording, seed):
        planted[error.plant] += 1
        inside, outside = [], []
        for checked in check_grounding(text, truth.features).claims:
            (inside if checked.claim.start < end and checked.claim.end > start else outside).append(checked.verdict)
        found[error.plant] += "contradicted" in inside
        alarms += outside.count("contradicted")
        decided += len(outside) - outside.count("not_measurable")
    return planted, found, alarms, decided


def score_handwritten(part: str) -> Score:
    """`development` or `held_back` sentences of the fixture."""
    fixture = json.loads(SENTENCES.read_text(encoding="utf-8"))
    features: dict[str, EcgFeatures] = {
        name: extract_features(simulate_ecg(**arguments).record) for name, arguments in fixture["ecgs"].items()
    }
    score = Score()
    for ecg, text, expected in fixture[part]:
        report = check_grounding(text, features[ecg])
        score.add(text, report, [(kinds, VERDICTS.get(sign)) for kinds, sign in expected])
    return score
