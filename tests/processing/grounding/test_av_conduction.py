# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How P waves are conducted: the ratio of a block, how many are blocked, how PR goes from beat to beat."""

import pytest

from tests.processing.grounding.test_fresh_sentences import CONTRADICTED, OPEN, SUPPORTED, worst

# "progressive block": PR 188, 254, 290 ms and a blocked P wave, three times; "constant block": PR 151 ms, three blocked P waves;
# "2:1 block": six blocked P waves.
RATIOS = [
    ("progressive block", "2:1 AV block.", CONTRADICTED),
    ("progressive block", "AV block with 2:1 conduction.", CONTRADICTED),
    ("progressive block", "Advanced AV block, 4:1.", CONTRADICTED),
    ("constant block", "Two-to-one AV block throughout.", CONTRADICTED),
    ("2:1 block", "2:1 AV block.", SUPPORTED),
    ("2:1 block", "AV block with 2:1 conduction.", SUPPORTED),
    ("sinus", "2:1 AV block.", OPEN),  # every second P wave may hide in a T wave
    ("sinus", "4:1 AV block.", CONTRADICTED),
    ("sinus", "1st deg AVB.", CONTRADICTED),
    ("sinus", "1° AVB", CONTRADICTED),
    ("slow", "1° AVB", SUPPORTED),
]
COUNTS = [
    ("progressive block", "Eight P waves are blocked.", CONTRADICTED),
    ("progressive block", "One P wave is blocked.", CONTRADICTED),
    ("progressive block", "Six dropped beats.", CONTRADICTED),
    ("progressive block", "Five P waves fail to conduct.", CONTRADICTED),
    ("progressive block", "Three P waves are blocked.", SUPPORTED),
    ("constant block", "Three P waves fail to conduct.", SUPPORTED),
    ("constant block", "Seven P waves are not conducted.", CONTRADICTED),
]
COURSES = [
    ("progressive block", "The PR interval is constant from beat to beat.", CONTRADICTED),
    ("progressive block", "The PR is fixed.", CONTRADICTED),
    ("progressive block", "PR interval is stable across beats.", CONTRADICTED),
    ("progressive block", "PR intervals are equal in all beats.", CONTRADICTED),
    ("progressive block", "The PR interval shortens progressively until a beat is dropped.", CONTRADICTED),
    ("progressive block", "PR shortens before each dropped beat.", CONTRADICTED),
    ("progressive block", "The PR interval lengthens progressively before the dropped beats.", SUPPORTED),
    ("progressive block", "The PR interval varies from beat to beat.", SUPPORTED),
    ("constant block", "The PR interval is constant.", SUPPORTED),
    ("constant block", "The PR interval lengthens progressively before the dropped beats.", CONTRADICTED),
    ("constant block", "PR interval varies from beat to beat.", CONTRADICTED),
    ("sinus", "The PR interval is constant.", SUPPORTED),
    ("sinus", "The PR interval is not constant.", CONTRADICTED),
    ("fibrillation", "The PR interval is constant.", OPEN),
]
WHOLE = [
    ("sinus", "AV conduction is normal.", SUPPORTED),
    ("slow", "AV conduction is normal.", CONTRADICTED),
    ("constant block", "AV conduction is normal.", CONTRADICTED),
    ("2:1 block", "AV nodal conduction is intact.", CONTRADICTED),
    ("complete block", "AV conduction is intact.", CONTRADICTED),
    ("slow", "AV conduction is prolonged.", SUPPORTED),
    ("sinus", "AV conduction time 150 ms.", SUPPORTED),
    ("sinus", "AV conduction time 240 ms.", CONTRADICTED),
]


@pytest.mark.parametrize(("ecg", "sentence", "expected"), [*RATIOS, *COUNTS, *COURSES, *WHOLE])
def test_conduction_from_atria_to_ventricles(ecg, sentence, expected):
    assert worst(sentence, ecg) == expected
