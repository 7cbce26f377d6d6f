# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What narrows a rhythm or a block down is judged too: types of AV block, paced chambers, groups and counts of premature beats."""

import pytest

from processing.claims.claims import extract_claims
from processing.grounding.check import check_grounding
from tests.helpers.grounding_rhythms import ptbxl_features, rhythm_features, verdict_of
from tests.helpers.grounding_verdicts import verdict

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "not_measurable"
BLOCKS = [
    ("progressive block", "Mobitz I.", SUPPORTED),
    ("progressive block", "Second degree AV block, Mobitz type I.", SUPPORTED),
    ("progressive block", "Wenckebach.", SUPPORTED),
    ("progressive block", "Second degree AV block.", SUPPORTED),
    ("progressive block", "Mobitz II.", CONTRADICTED),
    ("progressive block", "First degree AV block.", OPEN),
    ("constant block", "Mobitz II.", SUPPORTED),
    ("constant block", "Second degree AV block (Mobitz II).", SUPPORTED),
    ("constant block", "Wenckebach.", CONTRADICTED),
    ("2:1 block", "2:1 AV block.", SUPPORTED),
    ("2:1 block", "Mobitz I.", OPEN),
    ("2:1 block", "Mobitz II.", OPEN),
    ("complete block", "Complete heart block.", SUPPORTED),
    ("complete block", "Mobitz I.", CONTRADICTED),
    ("complete block", "Mobitz II.", CONTRADICTED),
    ("complete block", "Second degree AV block.", OPEN),
    ("sinus", "Wenckebach.", CONTRADICTED),
    ("constant block", "3:1 AV block.", CONTRADICTED),
    ("sinus", "3:1 AV block.", CONTRADICTED),
]
UNINTERRUPTED = [
    ("PVCs", "Uninterrupted sinus rhythm.", CONTRADICTED),
    ("PVCs", "Sinus rhythm without interruption.", CONTRADICTED),
    ("PVCs", "Sinus rhythm.", SUPPORTED),
    ("pause", "The sinus rhythm is unbroken.", CONTRADICTED),
    ("sinus", "Uninterrupted sinus rhythm.", SUPPORTED),
    ("sinus", "Normal sinus rhythm without any interruption.", SUPPORTED),
]
PACED = [
    ("atrial paced", "Atrial pacing.", SUPPORTED),
    ("atrial paced", "Paced rhythm.", SUPPORTED),
    ("atrial paced", "Ventricular pacing.", CONTRADICTED),
    ("atrial paced", "Dual-chamber pacing.", CONTRADICTED),
    ("paced alone", "Ventricular paced rhythm.", SUPPORTED),
    ("paced alone", "Atrial paced rhythm.", CONTRADICTED),
    ("paced alone", "Dual-chamber pacing.", CONTRADICTED),
    ("P waves followed by a pacemaker", "Ventricular pacing.", SUPPORTED),
    ("P waves followed by a pacemaker", "Atrial pacing.", CONTRADICTED),
    ("P waves followed by a pacemaker", "Dual-chamber pacing.", OPEN),
    ("dual paced", "Dual-chamber pacing.", SUPPORTED),
    ("dual paced", "Atrial pacing.", SUPPORTED),
    ("dual paced", "Ventricular pacing.", SUPPORTED),
]
PREMATURE = [
    ("PVCs", "Three PVCs.", SUPPORTED),
    ("PVCs", "Isolated PVCs.", SUPPORTED),
    ("PVCs", "No couplets of PVCs.", SUPPORTED),
    ("PVCs", "More than one PVC.", SUPPORTED),
    ("PVCs", "A couplet of PVCs.", CONTRADICTED),
    ("PVCs", "PVCs in couplets.", CONTRADICTED),
    ("PVCs", "A run of PVCs.", CONTRADICTED),
    ("PVCs", "Three consecutive PVCs.", CONTRADICTED),
    ("PVCs", "Seven PVCs.", CONTRADICTED),
    ("PVCs", "Only one ventricular extrasystole.", CONTRADICTED),
    ("PVCs", "Not a single PVC.", CONTRADICTED),
    ("PVCs", "Two PVCs.", OPEN),  # one may have been missed
    ("PVCs", "Ventricular trigeminy.", OPEN),  # beats 4, 9 and 12
    ("PVCs", "Polymorphic PVCs.", OPEN),
    ("PACs", "Blocked PACs.", OPEN),
    ("one PVC", "A single PVC.", SUPPORTED),
    ("one PVC", "Five PVCs.", CONTRADICTED),
    ("one PVC", "Ventricular trigeminy.", CONTRADICTED),
    ("bigeminy", "Ventricular bigeminy.", SUPPORTED),
    ("bigeminy", "Bigeminy.", SUPPORTED),
    ("bigeminy", "Atrial bigeminy.", CONTRADICTED),
    ("bigeminy", "Ventricular trigeminy.", CONTRADICTED),
    ("sinus", "Not a single PVC.", SUPPORTED),
    ("PVCs", "QRS complexes are narrow.", SUPPORTED),
    ("PVCs", "All QRS complexes are narrow.", CONTRADICTED),
    ("PVCs", "The QRS is narrow in all beats.", CONTRADICTED),
    ("PVCs", "Not all QRS complexes are narrow.", SUPPORTED),
    ("sinus", "All QRS complexes are narrow.", SUPPORTED),
    ("sinus", "Not all QRS complexes are narrow.", CONTRADICTED),
    ("pause", "A single pause.", SUPPORTED),
    ("pause", "Three pauses.", CONTRADICTED),
]
FLUTTER = [
    ("flutter", "Atrial flutter with 2:1 conduction.", SUPPORTED),
    ("flutter", "Atrial flutter with 4:1 conduction.", CONTRADICTED),
    ("flutter 4:1", "Atrial flutter with 2:1 conduction.", CONTRADICTED),
    ("flutter 4:1", "Atrial flutter with 4:1 AV block.", SUPPORTED),
]


@pytest.mark.parametrize(("ecg", "sentence", "expected"), [*BLOCKS, *UNINTERRUPTED, *PACED, *PREMATURE, *FLUTTER])
def test_subtypes(ecg, sentence, expected):
    assert verdict_of(ecg, sentence) == expected


@pytest.mark.parametrize(
    ("number", "sentences"),
    [
        (143, {"Ventricular pacing.": SUPPORTED, "Atrial pacing.": CONTRADICTED}),
        (19096, {"Atrial pacing.": SUPPORTED, "Ventricular pacing.": CONTRADICTED}),
        (13507, {"Dual-chamber pacing.": SUPPORTED}),
        (15535, {"Ventricular trigeminy.": SUPPORTED, "Bigeminy.": CONTRADICTED}),
        (17450, {"Ventricular bigeminy.": SUPPORTED, "Ventricular trigeminy.": CONTRADICTED}),
        (6955, {"Bigeminy.": SUPPORTED, "Ventricular bigeminy.": CONTRADICTED}),
        (20, {"Atrial flutter with 2:1 conduction.": SUPPORTED, "Atrial flutter with 4:1 conduction.": CONTRADICTED}),
    ],
)
def test_subtypes_that_physicians_named(number, sentences):
    features = ptbxl_features(number)
    assert {sentence: verdict(sentence, features) for sentence in sentences} == sentences


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("Mobitz II.", "mobitz 2"),
        ("Second degree AV block, Mobitz type I.", "mobitz 1"),
        ("Second degree AV block.", None),
        ("PVCs in pairs.", "couplet"),
        ("A run of three PVCs.", "run"),
        ("Two consecutive PVCs.", "couplet"),
        ("One isolated PVC.", "1"),
        ("12 PVCs.", "12"),
        ("12 PVCs per hour.", None),
        ("More than two PVCs.", None),
        ("Two to three PVCs.", None),
        ("Two leads show PVCs.", None),
        ("A PVC.", None),
        ("Atrial pacing.", "atrial"),
        ("Atrial flutter with 3:1 conduction.", "3:1"),
    ],
)
def test_what_is_read(text, detail):
    assert [claim.detail for claim in extract_claims(text)] == [detail]


def test_the_detail_is_part_of_the_claim():
    (checked,) = check_grounding("Mobitz II.", rhythm_features("constant block")).claims
    assert checked.to_dict()["detail"] == "mobitz 2"
