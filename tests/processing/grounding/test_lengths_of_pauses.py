# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Pauses have a length, and RR intervals a longest and a shortest one."""

import pytest

from processing.claims.claims import extract_claims
from tests.helpers.grounding_rhythms import verdict_of

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "not_measurable"


@pytest.mark.parametrize(
    ("sentence", "expected"),  # of a record whose RR intervals are 0.87 to 2.21 s, the longest after beat 6
    [
        ("A pause of 2.2 s.", SUPPORTED),
        ("A 2.2-second pause.", SUPPORTED),
        ("Sinus pause (2210 ms).", SUPPORTED),
        ("The longest pause is 2.2 s.", SUPPORTED),
        ("Pauses of up to 2.2 s.", SUPPORTED),
        ("Pauses of 2 to 3 s.", SUPPORTED),
        ("A pause longer than 1.8 s.", SUPPORTED),
        ("No pause longer than 3 s.", SUPPORTED),
        ("No pause of 3 s.", SUPPORTED),
        ("A pause of 2.2 s after beat 6.", SUPPORTED),
        ("A 2.2 s pause between beats 6 and 7.", SUPPORTED),
        ("A pause of 6 seconds.", CONTRADICTED),
        ("A pause of four seconds.", CONTRADICTED),
        ("A 4.5-second pause.", CONTRADICTED),
        ("The longest pause is 3.5 s.", CONTRADICTED),
        ("Pauses of up to 4 s.", CONTRADICTED),
        ("Pauses of 3 to 4 s.", CONTRADICTED),
        ("A pause longer than 3 s.", CONTRADICTED),
        ("No pauses over 1500 ms.", CONTRADICTED),
        ("A pause of 2.2 s after beat 3.", CONTRADICTED),
        ("A 3.0 s pause between beats 6 and 7.", CONTRADICTED),
        ("No pause longer than 2.2 s.", OPEN),
        ("Longest RR interval is 2.2 s.", SUPPORTED),
        ("RR max 2.2 s.", SUPPORTED),
        ("The minimum RR is 0.87 s.", SUPPORTED),
        ("The RR interval is 2.2 s at the longest.", SUPPORTED),
        ("RR intervals never exceed 3 s.", SUPPORTED),
        ("The longest RR interval (2.2 s) is between beats 6 and 7.", SUPPORTED),
        ("The longest RR interval (2.2 s) is between beats 2 and 3.", CONTRADICTED),
        ("Longest RR interval is 3.5 s.", CONTRADICTED),
        ("No RR above 2 s.", CONTRADICTED),
        ("RR intervals never exceed 1.5 s.", CONTRADICTED),
        ("No RR interval is shorter than 1 s.", CONTRADICTED),
    ],
)
def test_lengths_in_a_record_with_a_pause(sentence, expected):
    assert verdict_of("pause", sentence) == expected


@pytest.mark.parametrize(
    ("ecg", "sentence", "expected"),
    [
        ("fibrillation", "The shortest RR is 340 ms and the longest is 770 ms.", SUPPORTED),
        ("fibrillation", "The maximum RR interval is 770 ms and the minimum 340 ms.", SUPPORTED),
        ("fibrillation", "RR intervals vary from a minimum of 340 ms to a maximum of 770 ms.", SUPPORTED),
        ("fibrillation", "RR intervals vary from a minimum of 500 ms to a maximum of 770 ms.", CONTRADICTED),
        ("fibrillation", "RR intervals range from 340 to 770 ms.", SUPPORTED),
        ("fibrillation", "The shortest RR is 600 ms.", CONTRADICTED),
        ("fibrillation", "Longest RR 1.6 s.", CONTRADICTED),
        ("sinus", "RR interval 833 ms.", SUPPORTED),
        ("sinus", "No pauses longer than 2 s.", SUPPORTED),
        ("sinus", "A pause of 2 s.", CONTRADICTED),
        ("sinus", "A pause of 0.85 s.", CONTRADICTED),
        ("sinus", "No pauses, PR 150 ms.", SUPPORTED),
    ],
)
def test_lengths_in_other_records(ecg, sentence, expected):
    assert verdict_of(ecg, sentence) == expected


def test_what_is_read():
    found = [(claim.kind, claim.value, claim.comparator) for claim in extract_claims("RR 340 (min) to 770 ms (max).")]
    assert ("rr_interval", 340.0, "shortest") in found
    (claim,) = extract_claims("The longest pause lasts 2.2 s.")
    assert (claim.kind, claim.value, claim.unit, claim.comparator) == ("pause", 2200.0, "ms", "longest")
    (claim,) = extract_claims("Sinus rhythm with a pause.")[1:]
    assert (claim.value, claim.unit) == (True, None)
