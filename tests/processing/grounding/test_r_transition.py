# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Where R outgrows S in the chest leads, and which of the two is larger in a lead: what sentences say, and the verdict on real ECGs."""

import pytest

from processing.claims.claims import extract_claims
from processing.ecg_record import CHEST_LEADS
from processing.grounding.check import check_grounding
from tests.helpers.grounding_rhythms import ptbxl_features

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "not_measurable"
# Records of PTB-XL and the first chest lead whose R exceeds S, read by eye.
FIRST = {12: "V3", 71: "V4", 98: "V4", 137: "V5", 200: "V5", 269: "V1", 317: "V3", 338: "V5"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("R/S transition in V3.", [(None, ("V3",), "affirmed")]),
        ("The transition zone is at V4.", [(None, ("V4",), "affirmed")]),
        ("R-wave transition occurs between V3 and V4.", [(None, ("V3", "V4"), "affirmed")]),
        ("Precordial transition: V4", [(None, ("V4",), "affirmed")]),
        ("The R wave exceeds the S wave from V4 on.", [(None, ("V4",), "affirmed")]),
        ("Early R wave transition.", [("early", (), "affirmed")]),
        ("No late transition.", [("late", (), "negated")]),
        ("Transition to atrial fibrillation in V1.", []),
        ("The transition from sinus rhythm is seen in V1.", []),
    ],
)
def test_transitions_in_words(text, expected):
    found = [claim for claim in extract_claims(text) if claim.kind == "r_transition"]
    assert [(claim.value, claim.leads, claim.polarity) for claim in found] == expected


def test_a_transition_takes_no_lead_from_the_findings_beside_it():
    claims = extract_claims("Normal R progression with transition at V3-V4, and ST elevation in V2.")
    assert [(claim.kind, claim.leads) for claim in claims] == [
        ("r_progression", ()),
        ("r_transition", ("V3", "V4")),
        ("st_elevation", ("V2",)),
    ]


def verdict(number, sentence):
    (checked,) = check_grounding(sentence, ptbxl_features(number)).claims
    return checked.verdict


@pytest.mark.parametrize(("number", "first"), FIRST.items())
def test_a_transition_is_the_lead_in_which_r_outgrows_s_or_the_one_before(number, first):
    place = CHEST_LEADS.index(first)
    for i, lead in enumerate(CHEST_LEADS):
        expected = SUPPORTED if place - 1 <= i <= place else CONTRADICTED
        assert verdict(number, f"R/S transition in {lead}.") == expected, lead
    assert verdict(number, f"R exceeds S from {first} on.") == SUPPORTED
    early = {"V1": SUPPORTED, "V2": SUPPORTED, "V3": OPEN}.get(first, CONTRADICTED)
    late = {"V4": OPEN, "V5": OPEN, "V6": SUPPORTED}.get(first, CONTRADICTED)
    assert (verdict(number, "Early R-wave transition."), verdict(number, "Late R-wave transition.")) == (early, late)


def test_r_above_s_in_two_stretches_of_leads_leaves_the_transition_open():
    assert verdict(16212, "R/S transition in V5.") == OPEN  # a right bundle branch block: R exceeds S in V1, V5 and V6


@pytest.mark.parametrize(
    ("number", "sentence", "expected"),
    [
        (269, "Dominant R wave in V1.", SUPPORTED),
        (269, "R/S ratio > 1 in V1 and V2.", SUPPORTED),
        (269, "Dominant S wave in V1.", CONTRADICTED),
        (12, "Dominant R wave in V1.", CONTRADICTED),
        (12, "No dominant R wave in V1.", SUPPORTED),
        (12, "Dominant S wave in V1 and V2.", SUPPORTED),
        (12, "R/S ratio < 1 in V2.", SUPPORTED),
        (12, "Dominant R in V5 and V6.", SUPPORTED),
    ],
)
def test_the_larger_of_r_and_s_in_a_lead(number, sentence, expected):
    assert verdict(number, sentence) == expected
