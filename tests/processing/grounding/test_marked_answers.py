# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Uses of a checked text: spans, the best of several, corrections; with invented texts about simulated ECGs."""

import random
from collections import Counter
from itertools import pairwise

import pytest

from processing.claims.findings import FINDINGS
from processing.ecg_features import EcgFeatures, extract_features
from processing.grounding.check import CONTRADICTED, NOT_MEASURABLE, SUPPORTED, GroundingReport, check_grounding
from processing.grounding.correction import STRUCK_OUT, correct_answer
from processing.grounding.selection import best_answer, score_claims, try_answers
from processing.grounding.spans import answer_spans
from processing.simulator.simulator import simulate_ecg

ECGS = {
    "normal": {"heart_rate": 72},
    "fast": {"heart_rate": 140},
    "fibrillation": {"rhythm": "atrial_fibrillation"},
    "block": {"conduction": "lbbb"},
}
NUMBERS = (
    "Heart rate 111 bpm.", "PR 260 ms, QRS 160 ms and QT 520 ms.", "The PR interval is 0.26 s.", "Axis -80 degrees, normal.",
    "Sokolow-Lyon 6.0 mV.", "R wave of 3.1 mV in V5.", "Rate between 20 and 30 bpm.", "QTc about 600 ms.", "QRS < 60 ms.",
)  # fmt: skip
LISTS = (
    "No ST elevation, ST depression or T inversion.", "ST elevation in II, III and aVF but not in V1.",
    "Sinus rhythm, irregular, with left bundle branch block and low voltage", "T waves: inverted in I, aVL",
    "Atrial fibrillation; atrial flutter cannot be excluded.", "| PR | 260 ms |\n|---|---|\n| QRS | 60 ms |",
)  # fmt: skip


@pytest.fixture(scope="module", params=ECGS)
def features(request) -> EcgFeatures:
    return extract_features(simulate_ecg(seed=3, **ECGS[request.param]).record)


def texts(count: int, seed: int = 0) -> list[str]:
    """Every example sentence of a finding, with numbers and lists, combined at random."""
    chance = random.Random(seed)
    sentences = [*(finding.example for finding in FINDINGS), *NUMBERS, *LISTS]
    return [" ".join(chance.sample(sentences, chance.randint(1, 8))) for _ in range(count)]


def claims_of(report: GroundingReport, verdict: str) -> Counter:
    return Counter(
        (item.claim.kind, item.claim.value, item.claim.leads, item.claim.polarity)
        for item in report.claims
        if item.verdict == verdict
    )


def test_every_claim_has_its_place_and_no_wrong_one_is_unmarked(features):
    for text in texts(60):
        claims = check_grounding(text, features).claims
        spans = answer_spans(text, claims)
        assert sorted(number for span in spans for number in span.claims) == list(range(len(claims)))
        assert all(0 <= span.start < span.end <= len(text) and span.measured for span in spans)
        assert all(left.end <= right.start for left, right in pairwise(spans))
        for span in spans:
            verdicts = {claims[number].verdict for number in span.claims}
            assert span.verdict == (CONTRADICTED if CONTRADICTED in verdicts else span.verdict) in verdicts


def test_the_measured_value_is_shown_in_the_unit_of_the_text():
    measured = extract_features(simulate_ecg(seed=3, heart_rate=72).record)
    for said, shown in (
        ("The PR interval is 0.26 s.", f"measured {measured.pr_interval / 1000:.2f} s"),
        ("The PR interval is 260 ms.", f"measured {measured.pr_interval:.0f} ms"),
        ("The recording lasts 3 seconds.", "measured 10.00 s"),
    ):
        assert [span.measured for span in answer_spans(said, check_grounding(said, measured).claims)] == [shown]


def test_praise_of_the_recording_does_not_make_an_answer_better():
    measured = extract_features(simulate_ecg(seed=3, heart_rate=72).record)
    texts = ["Sinus rhythm. Good quality in V1, V2 and V3.", "Sinus rhythm, 72 bpm."]
    assert best_answer(try_answers(texts, measured)).text == texts[1]


def test_a_corrected_text_has_nothing_that_is_contradicted_and_keeps_what_cannot_be_measured(features):
    for text in texts(60):
        before = check_grounding(text, features)
        corrected, edits = correct_answer(text, features)
        after = check_grounding(corrected, features)
        assert after.count(CONTRADICTED) == 0, (text, corrected)
        assert not claims_of(before, NOT_MEASURABLE) - claims_of(after, NOT_MEASURABLE), (text, corrected)
        assert bool(edits) == bool(before.count(CONTRADICTED))
        assert correct_answer(corrected, features) == (corrected, ())


def test_edits_lead_from_the_text_to_the_corrected_one_and_back(features):
    for text in texts(30, seed=1):
        corrected, edits = correct_answer(text, features)
        pieces, last = [], 0
        for edit in edits:
            assert text[edit.start : edit.end] == edit.was and corrected[edit.new_start : edit.new_end] == edit.now
            assert edit.now.startswith("[") and edit.now.endswith("]")
            pieces += [text[last : edit.start], edit.now]
            last = edit.end
        assert "".join([*pieces, text[last:]]) == corrected


def test_a_number_becomes_the_measured_one_in_the_unit_of_the_text():
    features = extract_features(simulate_ecg(heart_rate=72, seed=3).record)
    for wrong in ("Heart rate 111 bpm.", "The PR interval is 0.31 s.", "PR 310 ms.", "QRS duration 160 ms."):
        corrected, (edit,) = correct_answer(wrong, features)
        assert not edit.is_struck and edit.was.split()[-1] == edit.now.strip("[]").split()[-1]
        assert check_grounding(corrected, features).count(SUPPORTED) == 1
    assert correct_answer("Rhythm: irregular.", features)[0] == "Rhythm: [regular]."
    assert correct_answer("ST elevation in II. Pericarditis.", features)[0] == f"{STRUCK_OUT}. Pericarditis."


def test_shorter_or_repetitive_answers_are_not_selected():
    features = extract_features(simulate_ecg(heart_rate=72, seed=3).record)
    full = "Sinus rhythm, regular, 72 bpm. Normal axis. QRS is narrow. No ST elevation. ST depression in V5."
    short, repeated = "Sinus rhythm.", " ".join(["Sinus rhythm."] * 9)
    assert check_grounding(full, features).count(CONTRADICTED) == 1
    tried = try_answers(["", short, repeated, full], features)
    assert best_answer(tried).text == full and tried[0].score == 0
    assert tried[1].score == tried[2].score == score_claims(check_grounding(short, features))
    better = full.replace(" ST depression in V5.", "")
    assert best_answer(try_answers([full, better, short], features)).text == better
