# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Phrases of physicians' reports, some translated from German, as claims."""

import pytest

from processing.claims.claims import extract_claims

SENTENCES = [
    ("location type normal", [("qrs_axis", "normal", (), "affirmed")]),
    ("left electric shaft", [("qrs_axis", "left type", (), "affirmed")]),
    ("overturned left type", [("qrs_axis", "left", (), "affirmed")]),
    ("left electrical axis deviation", [("qrs_axis", "left", (), "affirmed")]),
    ("t neg in iii, avf", [("t_inversion", None, ("III", "aVF"), "affirmed")]),
    ("especially no neg t seen", [("t_inversion", None, (), "negated")]),
    ("flat t in iii, avl", [("t_flat", None, ("III", "aVL"), "affirmed")]),
    ("unspecific abnormal t", [("t_abnormality", "abnormal", (), "affirmed")]),
    ("qt extension", [("qt_interval", "prolonged", (), "affirmed")]),
    ("p broadening", [("p_wide", None, (), "affirmed")]),
    ("left hypertrophy possible", [("lvh", True, (), "hedged")]),
    ("Possible left hypertrophy", [("lvh", True, (), "hedged")]),
    ("sinus rhythm, otherwise normal", [("rhythm", "sinus rhythm", (), "affirmed"), ("otherwise_normal_ecg", True, (), "affirmed")]),
    ("The rhythm is sinus.", [("rhythm", "sinus rhythm", (), "affirmed")]),
    ("rsR' pattern in V1, a hallmark of RBBB", [("qrs_pattern", "rsR'", ("V1",), "affirmed")]),
    ("Normal: no. Hypertrophy: yes.", [("normal_ecg", True, (), "negated"), ("hypertrophy", True, (), "affirmed")]),
    ("Conduction disturbance: no", [("conduction_disturbance", True, (), "negated")]),
    ("PR 160 ms (normal: 120-200 ms)", [("pr_interval", 160.0, (), "affirmed")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SENTENCES, ids=[text for text, _ in SENTENCES])
def test_words_of_reports(text, expected):
    assert [(claim.kind, claim.value, claim.leads, claim.polarity) for claim in extract_claims(text)] == expected
