# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The table of findings is complete: every kind of claim has a row with words, a verdict, evidence and salience."""

import re

import pytest

from processing.claims.claims import extract_claims
from processing.claims.findings import BY_KIND, FINDINGS
from processing.claims.meaning import quality_of, quantity_of
from processing.claims.tokens import Quantity
from processing.claims.words import VOCABULARY
from processing.ecg_features import extract_features
from processing.grounding.check import RULES, check_grounding
from processing.grounding.salient import MENTIONED_BY, salient_findings
from processing.guider.protocol import CRITERIA, TOPICS
from processing.simulator.simulator import simulate_ecg

# Stand for rows while a clause is read, and are not claims.
IN_THE_MAKING = {"intervals": "pr_interval", "abnormal_ecg": "normal_ecg", "qtc_bazett": "qtc_interval", "qtc_fridericia": "qtc_interval"}  # fmt: skip
SUBJECTS = {value for tag, value, _ in VOCABULARY if tag == "subj"}
QUALITIES = {value for tag, value, _ in VOCABULARY if tag == "qual"}
SALIENT_ECGS = (
    {},
    {"ischemia": "inferior_stemi"},
    {"ischemia": "subendocardial_ischemia"},
    {"ischemia": "anterior_t_inversion"},
    {"ischemia": "old_anterior_infarction"},
    {"rhythm": "av_block_1"},
    {"rhythm": "av_block_3"},
    {"rhythm": "ventricular_paced"},
    {"conduction": "lbbb"},
    {"repolarization": "long_qt"},
    {"repolarization": "brugada_type_1"},
    {"hypertrophy": "lvh", "amplitude": 1.4},
    {"axis": -70},
    {"amplitude": 0.4},
)


@pytest.fixture(scope="module")
def normal():
    return extract_features(simulate_ecg(heart_rate=70, seed=1).record)


def row_of(kind: str) -> str:
    return IN_THE_MAKING.get(kind, kind)


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.kind)
def test_a_row_has_words_a_verdict_and_evidence(finding, normal):
    claims = extract_claims(finding.example)
    assert [claim.kind for claim in claims].count(finding.kind) == 1, claims
    (checked,) = [item for item in check_grounding(claims, normal).claims if item.claim.kind == finding.kind]
    assert checked.claim.polarity == "affirmed"
    assert checked.evidence and {lead for lead, *_ in checked.evidence} <= set(normal.leads)
    undecided = checked.explanation == "the measurements do not decide this"
    assert undecided == (finding.kind not in RULES) == (finding.rule == "not measured")


def test_every_kind_has_one_row():
    assert len(BY_KIND) == len(FINDINGS)
    terms = {value[0] for tag, value, _ in VOCABULARY if tag == "term"}
    said = {meaning.kind for subject in SUBJECTS for quality in QUALITIES if (meaning := quality_of(subject, quality))}
    units = ((100, "ms"), (0.3, "mV"), (70, "bpm"), (45, "deg"), (100, None))
    numbers = [
        quantity_of(subject, Quantity(size, size, unit)) for subject in SUBJECTS | terms for size, unit in units
    ]
    measured = {number[0] for number in numbers if number is not None}
    assert len(said) > 20 and len(measured) > 20
    assert {row_of(kind) for kind in terms | said | measured} <= set(BY_KIND)


def test_a_number_is_in_the_unit_of_its_row():
    for finding in FINDINGS:
        for claim in extract_claims(finding.example):
            assert claim.unit in (None, BY_KIND[claim.kind].unit), finding.kind


def test_what_is_salient_can_be_mentioned_and_the_reverse():
    found = [
        name.name
        for ecg in SALIENT_ECGS
        for name in salient_findings(extract_features(simulate_ecg(seed=5, **ecg).record))
    ]
    names = {re.sub(r" in (?:[aIV][\w, ]*)$", "", name) for name in found}
    assert names == set(MENTIONED_BY)
    assert all(MENTIONED_BY.values())


def test_implied_diagnoses_are_those_of_other_rows():
    names = {name for finding in FINDINGS for name in finding.diagnoses}
    assert all(set(finding.implies) <= names for finding in FINDINGS)
    assert BY_KIND["rhythm"].diagnosis_of("sinus bradycardia") == "sinus rhythm"
    assert BY_KIND["pr_interval"].diagnosis_of("prolonged") == "AV block"
    assert BY_KIND["pr_interval"].diagnosis_of(160.0) is None


def test_criteria_come_in_the_order_of_a_reading():
    assert [criterion for finding in FINDINGS for criterion in finding.criteria if criterion not in CRITERIA] == []
    assert [TOPICS.index(criterion.topic) for criterion in CRITERIA] == sorted(
        TOPICS.index(criterion.topic) for criterion in CRITERIA
    )
