# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A number that is denied: contradicted where it is what is measured, supported where it is clearly not."""

import pytest

from processing.claims.claims import extract_claims
from tests.helpers.grounding_verdicts import simulated_features, verdicts

DENIALS = (
    "The QRS duration of {} ms is incorrect.",
    "A QRS duration of {} ms is wrong, as the machine measured it.",
    "The QRS duration of {} ms is not correct.",
    "The QRS duration is not {} ms.",
    "The QRS duration isn't about {} ms.",
    "It is incorrect that the QRS duration is {} ms.",
    "It is not true that the QRS duration is {} ms.",
)


@pytest.mark.parametrize("denial", DENIALS)
def test_a_denied_number(denial):
    measured = simulated_features("normal").qrs_duration
    assert verdicts("normal", denial.format(round(measured))) == ["contradicted"]
    assert verdicts("normal", denial.format(200)) == ["supported"]


def test_a_denied_number_within_the_tolerance_is_not_decided():
    assert verdicts("normal", "The heart rate is not 68 bpm.") == ["not_measurable"]
    assert verdicts("normal", "The heart rate is not 72 bpm.") == ["contradicted"]
    assert verdicts("normal", "The heart rate is not 60 bpm.") == ["supported"]


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("QTc is not 500 ms but 410 ms.", [(500, "negated"), (410, "affirmed")]),
        ("The QRS duration of 160 ms is incorrect; it is 90 ms.", [(160, "negated"), (90, "affirmed")]),
        ("QRS of 160 ms and PR of 300 ms are incorrect.", [(160, "negated"), (300, "negated")]),
        ("QRS 90 ms. The diagnosis of atrial flutter is wrong.", [(90, "affirmed"), ("atrial flutter", "negated")]),
        ("This is not true atrial flutter.", [("atrial flutter", "negated")]),
        ("QRS 90 ms, the lead placement is incorrect.", [(90, "affirmed")]),
        ("PR is not prolonged at 160 ms.", [("prolonged", "negated"), (160, "affirmed")]),
        ("PR not prolonged, 160 ms.", [("prolonged", "negated"), (160, "affirmed")]),
    ],
)
def test_what_is_denied(text, stated):
    assert [(claim.value, claim.polarity) for claim in extract_claims(text)] == stated


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("PR, QRS and QT are not 160, 90 and 400 ms.", [160, 90, 400]),
        ("PR and QRS are not 160 or 90 ms, the QT is 400 ms.", [160, 90]),
        ("The PR is not 160 ms and 90 ms is the QRS.", [160]),
        ("The PR is not 160 ms but 200 ms.", [160]),
    ],
)
def test_of_a_list_of_numbers_all_are_denied(text, denied):
    assert [claim.value for claim in extract_claims(text) if claim.polarity == "negated"] == denied
