# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""One finding end to end, the Brugada type 1 pattern: rule, words, verdict, evidence, salience, criterion, diagnosis."""

import dataclasses

import numpy as np
import pytest

from processing.claims.claims import extract_claims
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_rules import brugada_type_1_leads
from processing.grounding.check import check_grounding
from processing.guider.guider import DiagnosisGuider
from processing.simulator.simulator import simulate_ecg
from recipes.teachers.diagnoses import diagnoses_in
from tests.helpers.shared_data import shared_path


@pytest.fixture(scope="module")
def brugada() -> EcgFeatures:
    return extract_features(simulate_ecg(repolarization="brugada_type_1", seed=3).record)


@pytest.fixture(scope="module")
def normal() -> EcgFeatures:
    return extract_features(simulate_ecg(heart_rate=70, seed=3).record)


def with_values(features: EcgFeatures, lead: str, **values: float) -> EcgFeatures:
    """The same features with other `lead_values` in one lead."""
    changed = {name: column.copy() for name, column in features.lead_values.items()}
    for name, value in values.items():
        changed[name][features.leads.index(lead)] = value
    return dataclasses.replace(features, lead_values=changed)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"st_j": 0.20}, True),
        ({"st_j": 0.199}, False),
        ({"st_j80": 0.299}, True),
        ({"st_j80": 0.30}, False),  # does not fall
        ({"st_j60": 0.10}, True),
        ({"st_j60": 0.099}, False),  # the end of a second R wave
        ({"t_amplitude": -0.10}, True),
        ({"t_amplitude": -0.099}, False),
        ({"t_amplitude": np.nan}, False),
    ],
)
@pytest.mark.parametrize("lead", ["V1", "V2"])
def test_both_sides_of_every_limit(normal, lead, values, found):
    coved = {"st_j": 0.30, "st_j60": 0.18, "st_j80": 0.15, "t_amplitude": -0.2}
    assert brugada_type_1_leads(with_values(normal, lead, **(coved | values))) == ((lead,) if found else ())


def test_a_margin_is_asked_of_both_levels(normal):
    coved = with_values(normal, "V1", st_j=0.23, st_j60=0.18, st_j80=0.15, t_amplitude=-0.13)
    assert brugada_type_1_leads(coved, margin=0.02) == ("V1",)
    assert brugada_type_1_leads(coved, margin=0.04) == ()
    near = with_values(normal, "V1", st_j=0.18, st_j60=0.15, st_j80=0.12, t_amplitude=-0.08)
    assert brugada_type_1_leads(near) == () and brugada_type_1_leads(near, margin=-0.04) == ("V1",)


@pytest.mark.parametrize(
    "ecg",
    [
        {},
        {"ischemia": "anterior_stemi"},
        {"ischemia": "anterior_t_inversion"},
        {"repolarization": "early_repolarization"},
        {"conduction": "rbbb"},
        {"conduction": "incomplete_rbbb"},
        {"conduction": "lbbb"},
        {"conduction": "lbbb", "repolarization": "brugada_type_1"},
        {"rhythm": "ventricular_paced"},
        {"hypertrophy": "rvh"},
    ],
)
def test_other_patterns_are_not_called_brugada(ecg):
    for seed in range(3):
        assert brugada_type_1_leads(extract_features(simulate_ecg(seed=seed, **ecg).record)) == ()


@pytest.mark.parametrize("heart_rate", [50, 75, 110])
def test_the_simulated_pattern_is_seen(heart_rate):
    for seed in range(3):
        record = simulate_ecg(repolarization="brugada_type_1", heart_rate=heart_rate, seed=seed).record
        assert brugada_type_1_leads(extract_features(record)) == ("V1", "V2")


@pytest.mark.parametrize(
    ("text", "leads", "polarity"),
    [
        ("Brugada pattern.", (), "affirmed"),
        ("Type 1 Brugada pattern in V1 and V2.", ("V1", "V2"), "affirmed"),
        ("Brugada type I ECG pattern in V2.", ("V2",), "affirmed"),
        ("Coved ST elevation in V1-V2.", ("V1", "V2"), "affirmed"),
        ("Coved-type ST-segment elevation in V1.", ("V1",), "affirmed"),
        ("No Brugada pattern.", (), "negated"),
        ("A Brugada pattern is not seen.", (), "negated"),
        ("Possible Brugada pattern in V1.", ("V1",), "hedged"),
    ],
)
def test_words(text, leads, polarity):
    assert [(c.kind, c.leads, c.polarity) for c in extract_claims(text)] == [("brugada_type_1", leads, polarity)]


def test_another_type_is_another_claim():
    assert [claim.kind for claim in extract_claims("Type 2 Brugada pattern.")] == ["brugada_type_2"]


@pytest.mark.parametrize(
    ("text", "of_brugada", "of_normal"),
    [
        ("Type 1 Brugada pattern.", "supported", "contradicted"),
        ("Coved ST elevation in V1 and V2.", "supported", "contradicted"),
        ("Coved ST elevation in V5.", "contradicted", "contradicted"),
        ("No Brugada pattern.", "contradicted", "supported"),
        ("Type 2 Brugada pattern.", "not_measurable", "not_measurable"),
    ],
)
def test_verdicts(text, of_brugada, of_normal, brugada, normal):
    for features, verdict in ((brugada, of_brugada), (normal, of_normal)):
        (checked,) = check_grounding(text, features).claims
        assert checked.verdict == verdict, checked.explanation


def test_one_lead_is_enough(brugada):
    upright = with_values(brugada, "V2", t_amplitude=0.2)
    assert check_grounding("Brugada pattern.", upright).claims[0].verdict == "supported"
    assert check_grounding("No Brugada pattern.", upright).claims[0].verdict == "contradicted"
    both = check_grounding("Brugada pattern in V1 and V2.", upright).claims[0]
    assert (both.verdict, both.wrong_leads) == ("contradicted", ("V2",))


def test_without_the_leads_there_is_no_verdict(brugada):
    record = simulate_ecg(repolarization="brugada_type_1", seed=3).record
    limb = extract_features(record.signal[:6], record.sampling_rate, leads=record.leads[:6])
    assert check_grounding("Brugada pattern.", limb).claims[0].verdict == "not_measurable"
    assert not [finding for finding in check_grounding("", limb).salient if "Brugada" in finding.name]


def test_evidence_lies_in_the_st_segments_of_v1_and_v2(brugada):
    (checked,) = check_grounding("Brugada pattern.", brugada).claims
    assert {lead for lead, *_ in checked.evidence} == {"V1", "V2"}
    lead, start, end = checked.evidence[0]
    qrs_end = brugada.waves["QRS"][brugada.leads.index(lead), 0, 2]
    assert start == pytest.approx(qrs_end, abs=0.02) and end - start == pytest.approx(0.14, abs=0.01)


def test_it_is_a_salient_finding(brugada, normal):
    name = "Brugada pattern in V1, V2"
    silent = check_grounding("Sinus rhythm.", brugada)
    assert name in [finding.name for finding in silent.missing]
    told = check_grounding("Sinus rhythm with a Brugada type 1 pattern.", brugada)
    assert name in [finding.name for finding in told.mentioned]
    assert not [finding for finding in check_grounding("", normal).salient if "Brugada" in finding.name]
    assert check_grounding("Normal ECG.", brugada).claims[0].verdict == "contradicted"


def test_the_guider_and_the_diagnoses_know_it():
    assert "Brugada type 1: coved elevation of 0.2 mV or more" in DiagnosisGuider(variant="protocol").system
    assert diagnoses_in("sinus rhythm, Brugada pattern") == {"sinus rhythm", "Brugada pattern"}
    assert diagnoses_in("no evidence of a Brugada pattern") == set()


def test_normal_records_of_ptbxl_do_not_show_it():
    from recipes.sources.ptbxl import read_ptbxl

    folder = shared_path("data/ptbxl_wfdb")
    items = [item for item in read_ptbxl(folder) if item.codes.get("NORM", 0) >= 50]
    assert len(items) >= 10
    assert [item.record.record_id for item in items if brugada_type_1_leads(extract_features(item.record))] == []
