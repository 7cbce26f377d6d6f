# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Denials of a finding in all, any, every, the chest or the limb leads: one lead that clearly shows it contradicts them."""

import pytest

from processing.ecg_features import extract_features
from processing.grounding.check import CONTRADICTED, NOT_MEASURABLE, SUPPORTED, check_grounding
from processing.simulator.simulator import simulate_ecg

from .test_denials import with_values


@pytest.fixture(scope="module")
def inferior():
    return extract_features(simulate_ecg(heart_rate=82, ischemia="inferior_stemi", seed=2).record)


def only(text, features):
    (checked,) = check_grounding(text, features).claims
    return checked.verdict


@pytest.mark.parametrize(
    "text",
    [
        "No ST elevation in any lead.",
        "ST segments are isoelectric in all leads.",
        "There is no ST-segment elevation in any of the leads.",
        "No ST elevation in the chest leads.",
        "I see no ST elevation anywhere.",
        "The ST segment is not elevated in every lead except aVR.",
    ],
)
def test_one_raised_lead_contradicts_that_none_is(text, normal):
    assert only(text, with_values(normal, V3__st_j=0.4, V3__st_j60=0.4)) == CONTRADICTED
    assert only(text, normal) == SUPPORTED


@pytest.mark.parametrize(
    "text",
    [
        "T waves are upright in all chest leads.",
        "No T wave inversion in any lead.",
        "T waves are positive in every lead other than aVR.",
        "The precordial leads show no T wave inversion.",
        "T-wave inversion is absent in all leads.",
        "No chest lead shows T wave inversion.",
        "Upright T waves in chest leads.",
        "T waves are upright throughout.",
    ],
)
def test_one_inverted_t_contradicts_that_all_are_upright(text, normal):
    assert only(text, with_values(normal, V6__t_amplitude=-0.57)) == CONTRADICTED
    # aVR is inverted, and V1 may be: neither is a finding
    assert only(text, with_values(normal, V1__t_amplitude=-0.3)) == SUPPORTED


def test_an_inversion_that_is_excepted_is_no_contradiction(inferior):
    assert only("T waves are upright in all leads except aVR.", inferior) == CONTRADICTED
    assert only("T waves are upright in all leads except aVR and aVL.", inferior) == SUPPORTED
    assert only("No ST elevation in the chest leads.", inferior) == SUPPORTED
    others = check_grounding("ST elevation in II, III and aVF. No ST elevation in the other leads.", inferior).claims
    assert [checked.verdict for checked in others] == [SUPPORTED, SUPPORTED]


def test_a_denial_without_leads_or_of_most_keeps_two_neighbours(normal):
    raised = with_values(normal, V3__st_j=0.4, V3__st_j60=0.4)
    for text in (
        "No ST elevation.",
        "No lead shows significant ST elevation.",
        "No diffuse ST elevation.",
        "ST segments are isoelectric in most leads.",
    ):
        assert only(text, raised) == SUPPORTED, text


def test_a_lead_near_the_limit_decides_nothing(normal):
    assert only("No T wave inversion in any lead.", with_values(normal, V6__t_amplitude=-0.12)) == NOT_MEASURABLE


def test_what_is_normal_in_single_leads_contradicts_nothing(normal):
    inverted = with_values(normal, aVL__p_amplitude=-0.08, III__p_amplitude=-0.08, V1__p_amplitude=-0.08)
    assert only("P waves are upright in all leads.", inverted) == SUPPORTED
    assert only("P waves are upright in all leads.", with_values(normal, II__p_amplitude=-0.08)) == CONTRADICTED
    lone = with_values(normal, III__q_duration=60.0, III__q_amplitude=-0.5)
    assert only("No pathological Q waves in any lead.", lone) != CONTRADICTED
    flat = with_values(normal, III__t_amplitude=0.01, aVL__t_amplitude=0.01)
    assert only("No flat T waves in any lead.", flat) != CONTRADICTED


def test_a_diffuse_ischaemia_is_one_of_no_wall(inferior):
    assert only("Diffuse ischemia.", inferior) == NOT_MEASURABLE
