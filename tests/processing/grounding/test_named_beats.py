# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Claims about beats that are named by number or time are judged by these beats, not by the record."""

import dataclasses

import pytest

from processing.claims.claims import extract_claims
from processing.grounding.check import check_grounding
from tests.helpers.grounding_rhythms import rhythm_features, verdict_of

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "not_measurable"
SENTENCES = [
    ("PVCs", "Beat 4 is a PVC.", SUPPORTED),
    ("PVCs", "PVCs at beats 4, 9 and 12.", SUPPORTED),
    ("PVCs", "PVC at 2.45 s.", SUPPORTED),
    ("PVCs", "Beat 3 is not premature.", SUPPORTED),
    ("PVCs", "Beat 4 comes early and is wide.", SUPPORTED),
    ("PVCs", "The fourth beat is a wide premature beat.", SUPPORTED),
    ("PVCs", "Beat 3 is a sinus beat.", SUPPORTED),
    ("PVCs", "In beat 4 the QRS is wide.", SUPPORTED),
    ("PVCs", "A P wave precedes beat 3.", SUPPORTED),
    ("PVCs", "No P wave precedes beat 4.", SUPPORTED),
    ("PVCs", "The last QRS complex is narrow.", SUPPORTED),
    ("PVCs", "Beat 3 is a PVC.", CONTRADICTED),
    ("PVCs", "The first beat is a PVC.", CONTRADICTED),
    ("PVCs", "The last beat is a PVC.", CONTRADICTED),
    ("PVCs", "Beats 2 and 3 are premature.", CONTRADICTED),
    ("PVCs", "PVCs at beats 2, 6 and 10.", CONTRADICTED),
    ("PVCs", "PVC at 0.5 s.", CONTRADICTED),
    ("PVCs", "Beat 4 is a PAC.", CONTRADICTED),
    ("PVCs", "Beat 4 is not premature.", CONTRADICTED),
    ("PVCs", "A P wave precedes beat 4.", CONTRADICTED),
    ("PVCs", "Beat 4 is narrow.", CONTRADICTED),
    ("PVCs", "Beat 3 is not narrow.", CONTRADICTED),
    ("PVCs", "Beats 3 and 4 are wide.", CONTRADICTED),
    ("PVCs", "Beat 4 is a sinus beat.", CONTRADICTED),
    ("PVCs", "The sixth beat comes early.", CONTRADICTED),
    ("PVCs", "Beats 1-3 are narrow, beat 4 is wide.", SUPPORTED),
    ("PVCs", "Beats 1-3 are wide, beat 4 is narrow.", CONTRADICTED),
    ("PVCs", "Beat 4 is premature, wide and not preceded by a P wave.", SUPPORTED),
    ("PVCs", "Every QRS is preceded by a P wave except beat 4.", OPEN),
    ("PVCs", "Beat 4 is a fusion beat.", OPEN),
    ("PVCs", "The last beat is cut off.", OPEN),
    ("PVCs", "Beat 4 with wide, deep Q waves.", OPEN),
    ("one PVC", "Beat 6 is a PVC.", SUPPORTED),
    ("one PVC", "Beat 5 is a PVC.", CONTRADICTED),
    ("PACs", "Beat 5 is a premature atrial beat.", SUPPORTED),
    ("PACs", "Beat 4 is a premature atrial beat.", CONTRADICTED),
    ("PACs", "Beat 5 is a PVC.", CONTRADICTED),
    ("PACs", "The first beat is premature.", OPEN),
    ("lbbb", "Beat 3 is wide.", SUPPORTED),
    ("lbbb", "Beat 3 is narrow.", CONTRADICTED),
    ("sinus", "Beat 2 is early.", CONTRADICTED),
    ("sinus", "There are no premature beats in beats 1-12.", SUPPORTED),
    ("PVCs", "There are no premature beats in beats 1-12.", CONTRADICTED),
    ("sinus", "Beat 3 is narrow.", SUPPORTED),
    ("fibrillation", "Beat 3 is a PVC.", OPEN),
    ("pause", "Pause after beat 6.", SUPPORTED),
    ("pause", "Beat 7 is preceded by a pause.", SUPPORTED),
    ("pause", "A pause between beats 6 and 7.", SUPPORTED),
    ("pause", "There is no pause after beat 2.", SUPPORTED),
    ("pause", "Pause after beat 2.", CONTRADICTED),
    ("pause", "Beat 7 is followed by a pause.", CONTRADICTED),
    ("pause", "A pause between beats 2 and 3.", CONTRADICTED),
    ("pause", "Sinus pause at 1.0 s.", CONTRADICTED),
    ("pause", "There is no pause after beat 6.", CONTRADICTED),
    ("progressive block", "A blocked P wave at 4.55 s.", SUPPORTED),
    ("progressive block", "A blocked P wave at 3.1 s.", CONTRADICTED),
]


@pytest.mark.parametrize(("ecg", "sentence", "expected"), SENTENCES)
def test_named_beats_are_judged_by_themselves(ecg, sentence, expected):
    assert verdict_of(ecg, sentence) == expected


def test_the_mention_of_a_beat_says_only_that_it_is_there():
    features = rhythm_features("PVCs")
    verdicts = [check_grounding(text, features).claims[0].verdict for text in ("Beat 4 in V2.", "Beat 40 in V2.")]
    assert verdicts == [SUPPORTED, CONTRADICTED]


def test_the_last_beat_gets_its_number():
    assert extract_claims("The last beat is a PVC.")[0].beats == (-1,)
    (checked,) = check_grounding("The last beat is a PVC.", rhythm_features("PVCs")).claims
    assert checked.claim.beats == (13,)


def test_beats_beside_seconds_that_were_left_out_are_not_judged():
    features = rhythm_features("PVCs")
    fifth, sixth = features.beat_times[4:6]
    hidden = dataclasses.replace(features, left_out=(("all", fifth + 0.2, sixth - 0.2, "noise"),))
    said = ("Beat 6 is premature.", "Beat 7 is premature.", "Pause after beat 5.")
    assert [check_grounding(text, hidden).claims[0].verdict for text in said] == [OPEN, CONTRADICTED, OPEN]
