# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How far `absent`, `not seen` and `has been excluded` reach: over a list of findings, not over a statement before the comma."""

import pytest

from tests.processing.grounding.test_fresh_sentences import CONTRADICTED, SUPPORTED, worst

STATEMENT_BEFORE = [
    ("sinus", "Wide QRS, ST elevation absent.", CONTRADICTED),
    ("sinus", "Irregular rhythm, pauses absent.", CONTRADICTED),
    ("sinus", "Left axis deviation, Q waves absent.", CONTRADICTED),
    ("sinus", "Atrial fibrillation, ST elevation not seen.", CONTRADICTED),
    ("sinus", "Sinus tachycardia, ectopy absent.", CONTRADICTED),
    ("sinus", "PR prolonged, delta waves absent.", CONTRADICTED),
    ("sinus", "Sinus rhythm, ST elevation absent.", SUPPORTED),
    ("sinus", "Narrow QRS, delta waves absent.", SUPPORTED),
    ("sinus", "Normal axis, Q waves not present.", SUPPORTED),
    ("sinus", "Regular rhythm, pauses absent.", SUPPORTED),
    ("fibrillation", "Regular, P waves absent.", CONTRADICTED),
    ("fibrillation", "Sinus rhythm, P waves absent.", CONTRADICTED),
    ("fibrillation", "Bradycardia, P waves not seen.", CONTRADICTED),
    ("fibrillation", "Irregular rhythm, P waves cannot be seen.", SUPPORTED),
    ("fibrillation", "Narrow QRS, P waves not seen.", SUPPORTED),
    ("fibrillation", "Atrial fibrillation, P waves not seen.", SUPPORTED),
    ("junctional", "Irregular rhythm, P waves not discernible.", CONTRADICTED),
    ("junctional", "Narrow QRS, P waves absent, rate 45.", SUPPORTED),
    ("VT", "Narrow QRS, P waves absent.", CONTRADICTED),
    ("VT", "Wide QRS, regular, P waves absent.", SUPPORTED),
    ("VT", "Tachycardia with wide QRS, P waves not identified.", SUPPORTED),
    ("lbbb", "Narrow QRS, delta waves absent.", CONTRADICTED),
    ("lbbb", "LBBB, ST elevation absent.", SUPPORTED),
    ("SVT", "Rhythm: regular, P waves not visible.", SUPPORTED),
]
LISTS = [
    ("sinus", "ST elevation, Q waves and T inversion are absent.", SUPPORTED),
    ("sinus", "ST elevation and Q waves absent.", SUPPORTED),
    ("sinus", "Atrial fibrillation, LBBB and ST elevation are absent.", SUPPORTED),
    ("sinus", "AF, flutter and VT are not seen.", SUPPORTED),
    ("lbbb", "Atrial fibrillation, LBBB and ST depression are absent.", CONTRADICTED),
    ("anterior", "ST elevation and Q waves absent.", CONTRADICTED),
]
EXCLUDED = [
    ("sinus", "Sinus rhythm has been excluded.", CONTRADICTED),
    ("sinus", "Sinus rhythm ruled out.", CONTRADICTED),
    ("sinus", "Sinus rhythm is lost.", CONTRADICTED),
    ("lbbb", "LBBB has been excluded; QRS 166 ms.", CONTRADICTED),
    ("fibrillation", "AF has been excluded; sinus rhythm.", CONTRADICTED),
    ("PVCs", "PVCs have been ruled out.", CONTRADICTED),
    ("sinus", "Atrial fibrillation has been ruled out.", SUPPORTED),
    ("sinus", "VT has been excluded.", SUPPORTED),
    ("sinus", "ST elevation has been excluded.", SUPPORTED),
    ("sinus", "Ectopy has been excluded.", SUPPORTED),
]
ONE_WALL_AND_NOT_ANOTHER = [
    ("anterior", "Anterior STEMI, no inferior ST elevation.", SUPPORTED),
    ("anterior", "Anterior STEMI without inferior ST elevation.", SUPPORTED),
    ("anterior", "Anterior ST elevation and no inferior Q waves.", SUPPORTED),
    ("anterior", "Anterior ST elevation without lateral Q waves.", SUPPORTED),
    ("inferior", "Inferior STEMI with no anterior ST elevation.", SUPPORTED),
    ("inferior", "Inferior ST elevation without anterior ST elevation.", SUPPORTED),
    ("anterior", "Inferior ST elevation without anterior ST elevation.", CONTRADICTED),
    ("inferior", "Anterior STEMI without inferior ST elevation.", CONTRADICTED),
]
BY_DISTANCE = [
    ("sinus", "SV1 + RV5 is roughly 26 mm, short of the 35 mm threshold for LVH.", SUPPORTED),
    ("sinus", "The QRS is too narrow for LBBB.", SUPPORTED),
    ("sinus", "The PR interval is too short for first-degree AV block.", SUPPORTED),
    ("lbbb", "The QRS is too narrow for LBBB.", CONTRADICTED),
    ("slow", "The PR interval is too short for first-degree AV block.", CONTRADICTED),
]


@pytest.mark.parametrize(
    ("ecg", "sentence", "expected"), [*STATEMENT_BEFORE, *LISTS, *EXCLUDED, *ONE_WALL_AND_NOT_ANOTHER, *BY_DISTANCE]
)
def test_what_is_absent(ecg, sentence, expected):
    assert worst(sentence, ecg) == expected
