# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A negated comparison is the opposite comparison, whatever the words for the negation, the comparison and the unit."""

import itertools

import pytest

from processing.claims.claims import Claim, extract_claims
from processing.ecg_features import extract_features
from processing.grounding.check import check_grounding
from processing.simulator.simulator import simulate_ecg

DENIALS = ("is not", "isn't", "is never", "is at no time", "cannot be", "is in no beat", "was not")
COMPARATORS = {
    ">": (">", "above", "over", "longer than", "greater than", "more than", "higher than", "in excess of"),
    "<": ("<", "below", "under", "shorter than", "less than", "lower than"),
    "not_less": ("≥", ">=", "at least"),
    "not_more": ("≤", "<=", "at most"),
}
VERBS = {">": ("exceed", "surpass"), "<": ("fall below", "go below", "drop under")}
SUBJECTS = {
    "heart_rate": ("heart rate", "100 bpm", "100"),
    "pr_interval": ("PR interval", "200 ms", "0.20 s"),
    "qrs_duration": ("QRS duration", "120 ms", "0.12 s"),
    "qtc_interval": ("QTc", "460 ms", "0.46 s"),
    "sokolow_lyon": ("Sokolow-Lyon index", "3.5 mV", "35 mm"),
}
OPPOSITE = {">": "not_more", "<": "not_less", "not_less": "<", "not_more": ">"}
FEATURES = extract_features(simulate_ecg(heart_rate=74, seed=1).record)


def only(sentence: str, kind: str) -> Claim:
    (claim,) = (claim for claim in extract_claims(sentence) if claim.unit is not None)
    assert claim.kind == kind, sentence
    return claim


def meaning(claim: Claim) -> str | None:
    """The comparison as it is meant, a denial of the whole claim included."""
    return OPPOSITE[str(claim.comparator)] if claim.polarity == "negated" else claim.comparator


@pytest.mark.parametrize("kind", SUBJECTS)
@pytest.mark.parametrize("compared", COMPARATORS)
def test_a_denied_comparison_is_the_opposite_one(kind, compared):
    name, *limits = SUBJECTS[kind]
    for denial, words, limit in itertools.product(DENIALS, COMPARATORS[compared], limits):
        claim = only(f"The {name} {denial} {words} {limit}.", kind)
        assert meaning(claim) == OPPOSITE[compared], (denial, words, limit, claim)
        assert meaning(only(f"The {name} is {words} {limit}.", kind)) == compared, (words, limit)
        assert denial.split()[-1] in claim.quote or denial == "cannot be", "the denial is part of what is quoted"


@pytest.mark.parametrize("kind", SUBJECTS)
@pytest.mark.parametrize("compared", VERBS)
@pytest.mark.parametrize("denial", ["does not", "doesn't", "did not", "never", "at no time", "cannot", "fails to"])
def test_denied_verbs_of_comparison(kind, compared, denial):
    name, *limits = SUBJECTS[kind]
    for verb, limit in itertools.product(VERBS[compared], limits):
        claim = only(f"The {name} {denial} {verb} {limit}.", kind)
        assert meaning(claim) == OPPOSITE[compared], (verb, limit, claim)


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("The heart rate is not >100 bpm.", ["supported"]),
        ("The QTc never exceeds 460 ms.", ["supported"]),
        ("QRS is not above 120 ms.", ["supported"]),
        ("PR is no longer than 200 ms.", ["supported"]),
        ("The rate is neither above 100 bpm nor below 60 bpm.", ["supported", "supported"]),
        ("The heart rate is not below 100 bpm.", ["contradicted"]),
        ("QRS is not under 150 ms.", ["contradicted"]),
        ("No PR above 200 ms.", ["supported"]),
        ("Without a QRS above 60 ms.", ["contradicted"]),
    ],
)
def test_verdicts_on_an_ecg_of_74_bpm(text, verdicts):
    assert [checked.verdict for checked in check_grounding(text, FEATURES).claims] == verdicts
