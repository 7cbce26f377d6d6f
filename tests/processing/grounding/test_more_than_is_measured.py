# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Sentences that say more of a finding than that it is there: of which beats, how often, how much more than elsewhere."""

import pytest

from processing.claims.claims import extract_claims
from tests.processing.grounding.test_fresh_sentences import CONTRADICTED, OPEN, SUPPORTED, worst

# "PVCs": beats 4, 9 and 12 of 13, QRS of 155 ms, no P waves before them; the usual QRS is 102 ms. "bigeminy": beats 2, 4 ... 10.
# "progressive block": PR 188, 254, 290 ms and a blocked P wave, three times; "constant block": PR 151 ms. "paced alone": 13 spikes.
SENTENCES = [
    ("sinus", "P waves are seen before only some of the QRS complexes.", CONTRADICTED),
    ("sinus", "P waves precede only every second QRS.", CONTRADICTED),
    ("sinus", "P waves precede every QRS complex.", SUPPORTED),
    ("PVCs", "Three PVCs, each with a QRS of 90 ms.", CONTRADICTED),
    ("PVCs", "Three PVCs, each with a QRS of about 155 ms.", SUPPORTED),
    ("PVCs", "The PVC QRS measures 100 ms.", CONTRADICTED),
    ("PVCs", "The QRS of the PVCs measures 155 ms.", SUPPORTED),
    ("PVCs", "Sinus rhythm with PVCs. QRS 102 ms.", SUPPORTED),
    ("PVCs", "The PVCs are preceded by P waves.", CONTRADICTED),
    ("PVCs", "The PVCs are not preceded by P waves.", SUPPORTED),
    ("bigeminy", "PVCs are rare, only a single one being recorded.", CONTRADICTED),
    ("bigeminy", "PVCs are infrequent: one in total.", CONTRADICTED),
    ("bigeminy", "PVCs, five in total.", SUPPORTED),
    ("bigeminy", "PVCs after every two sinus beats.", CONTRADICTED),
    ("bigeminy", "Odd-numbered beats are PVCs.", CONTRADICTED),
    ("bigeminy", "Even-numbered beats are PVCs.", SUPPORTED),
    ("paced alone", "Pacing spikes occur after each QRS complex.", CONTRADICTED),
    ("paced alone", "Pacing spikes precede only beats 3 and 7.", OPEN),
    ("progressive block", "PR lengthens from 120 to 420 ms.", CONTRADICTED),
    ("progressive block", "PR lengthens from 185 to 290 ms.", SUPPORTED),
    ("progressive block", "PR 250 ms in every beat.", CONTRADICTED),
    ("constant block", "PR increases from 120 ms to 280 ms before the dropped beat.", CONTRADICTED),
    ("constant block", "PR 150 ms in every beat.", SUPPORTED),
]


@pytest.mark.parametrize(("ecg", "sentence", "verdict"), SENTENCES)
def test_what_is_said_beyond_a_finding_decides(ecg, sentence, verdict):
    assert worst(sentence, ecg) == verdict


@pytest.mark.parametrize(
    "sentence",
    [
        "ST elevation in V2 is twice as great as that in V3.",
        "ST elevation in V1 is double that in V3.",
        "ST elevation decreases from V4 to V2.",
    ],
)
def test_how_many_times_as_much_is_not_judged(sentence):
    assert worst(sentence, "anterior") == OPEN


def test_an_axis_beyond_a_negative_angle_is_further_left():
    assert [claim.comparator for claim in extract_claims("The axis is left but not beyond -30°.")][-1] == "not_less"
    assert [claim.comparator for claim in extract_claims("The axis is not beyond 90°.")][-1] == "not_more"
