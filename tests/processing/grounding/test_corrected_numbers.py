# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Corrected texts with series, brackets and limits: every wrong number is marked, and no bracket is lost."""

import pytest

from processing.claims.claims import extract_claims
from processing.ecg_features import extract_features
from processing.grounding.check import CONTRADICTED, check_grounding
from processing.grounding.correction import correct_answer
from processing.simulator.simulator import simulate_ecg


@pytest.fixture(scope="module")
def measured():
    """72 bpm, PR 151, QRS 99, QT 391, QTc 428 ms, axis 40 degrees."""
    return extract_features(
        simulate_ecg(heart_rate=72, pr_interval=160, qrs_duration=80, qtc=410, axis=45, seed=1).record
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- QT/QTc: 300/520", "- QT/QTc: [391]/[428]"),
        ("QT/QTc 300/410 ms", "QT/QTc [391]/410 ms"),
        ("PR/QRS/QT: 240/150/480 ms", "PR/QRS/QT: [151]/[99]/[391 ms]"),
        ("PR/QRS/QT/QTc: 240/99/480/520 ms", "PR/QRS/QT/QTc: [151]/99/[391]/[428 ms]"),
        ("PR, QRS and QT are 240, 150 and 480 ms.", "PR, QRS and QT are [151], [99] and [391 ms]."),
        (
            "The rate is 110 bpm, above the upper limit of 100 bpm.",
            "The rate is [72 bpm], [struck out].",
        ),
        ("The PR is 240 ms, above the limit of 200 ms.", "The PR is [151 ms], [struck out]."),
        (
            "PR 240 ms (prolonged), QRS 150 ms (wide).",
            "PR [151 ms] ([struck out]), QRS [99 ms] ([struck out]).",
        ),
        ("PR interval 240 ms (normal 120-200 ms), prolonged.", "PR interval [151 ms] [struck out]."),
        (
            "Rate 110 bpm (tachycardia), axis 45 degrees (normal).",
            "Rate [72 bpm] ([struck out]), axis 45 degrees (normal).",
        ),
    ],
)
def test_every_wrong_number_is_marked(text, expected, measured):
    corrected, edits = correct_answer(text, measured)
    assert corrected == expected
    assert check_grounding(corrected, measured).count(CONTRADICTED) == 0
    assert all(text[edit.start : edit.end] == edit.was for edit in edits)


def test_a_depth_that_is_not_there_is_struck_out():
    anterior = extract_features(simulate_ecg(heart_rate=75, ischemia="anterior_stemi", seed=39).record)
    text = "ST elevation of 1 mm in V2 and V3, with ST depression of 2 mm in II."
    assert correct_answer(text, anterior)[0] == "[struck out], with [struck out]."
    assert correct_answer("ST elevation of 1 mm in V2.", anterior)[0] == "ST elevation of [4 mm] in V2."


def test_equal_numbers_of_a_series_are_not_mixed_up(measured):
    corrected = correct_answer("PR/QRS 160/160 ms", measured)[0]
    assert "160" not in corrected and "[99" not in corrected.partition("/")[0]


def test_a_corrected_series_is_read_again():
    claims = extract_claims("PR/QRS/QT: [151]/[99]/[391 ms]")
    assert [(claim.kind, claim.value) for claim in claims] == [
        ("pr_interval", 151.0),
        ("qrs_duration", 99.0),
        ("qt_interval", 391.0),
    ]


def test_joined_changes_take_whole_brackets():
    inferior = extract_features(simulate_ecg(heart_rate=82, ischemia="inferior_stemi", seed=2).record)
    text = "ST elevation in II (0.12 mV), III (2 mm) and aVF (0.15 mV)."  # measured 0.28, 0.36 and 0.32 mV
    assert correct_answer(text, inferior)[0] == "[struck out]."
