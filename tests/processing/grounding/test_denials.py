# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A claim and its denial are never both supported, wherever a measurement lies and whichever leads the claim names."""

import math
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from processing.claims.claims import Claim
from processing.claims.findings import FINDINGS
from processing.ecg_features import extract_features
from processing.ecg_limits import Q_NORMAL_LEADS
from processing.ecg_readers import load_ecg
from processing.ecg_record import NEIGHBOURING_LEADS, WALLS
from processing.ecg_rules import flat_t_leads, pathological_q_leads
from processing.grounding.check import (
    CONTRADICTED,
    DEFAULT_TOLERANCES,
    DIGITIZED_TOLERANCES,
    NOT_MEASURABLE,
    SUPPORTED,
    check_claim,
)
from tests.helpers.feature_values import with_values
from tests.helpers.grounding_verdicts import verdict

PLACES = [((), None), *((pair, None) for pair in NEIGHBOURING_LEADS), *((WALLS[wall], wall) for wall in WALLS)]
# Measures that decide findings in leads, with a range that holds their limits.
RANGES = {
    "st_j": (-0.3, 0.4),
    "st_j60": (-0.3, 0.4),
    "t_amplitude": (-0.4, 1.3),
    "q_duration": (0.0, 60.0),
    "q_amplitude": (-0.3, 0.0),
    "p_amplitude": (-0.15, 0.4),
    "r_amplitude": (0.0, 1.0),
}
IN_LEADS = [finding for finding in FINDINGS if finding.scope == "leads" and finding.wave in ("P", "Q", "ST", "T")]
RECORD = {
    "qtc_bazett": (330.0, 500.0),
    "qtc_fridericia": (330.0, 500.0),
    "pr_interval": (100.0, 240.0),
    "qrs_duration": (80.0, 140.0),
    "qrs_axis": (-180.0, 180.0),
    "heart_rate": (40.0, 130.0),
}


def claim(kind, polarity, value=None, leads=(), wall=None):
    return Claim(kind, value, None, tuple(leads), None, None, polarity, "", 0, 0, territory=wall)


def words_of(finding):
    """What a claim of this kind can say without a number."""
    values = {words.value for words in finding.words} | set(dict(finding.said or {}).values())
    return sorted((value for value in values or {None} if not is_number(value)), key=str)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@pytest.mark.parametrize("tolerances", [DEFAULT_TOLERANCES, DIGITIZED_TOLERANCES])
@settings(
    max_examples=60, deadline=None, phases=(Phase.reuse, Phase.generate)
)  # an example is not made smaller: it would take minutes
@given(data=st.data())
def test_no_finding_in_leads_and_its_denial_are_both_supported(data, tolerances, normal):
    values = {
        f"{lead}__{measure}": data.draw(st.floats(*bounds), label=f"{lead} {measure}")
        for measure, bounds in RANGES.items()
        for lead in normal.leads
    }
    features = with_values(normal, **values)
    for finding in IN_LEADS:
        for value in words_of(finding):
            anywhere = check_claim(claim(finding.kind, "negated", value), features, tolerances).verdict
            for leads, wall in PLACES:
                affirmed = check_claim(claim(finding.kind, "affirmed", value, leads, wall), features, tolerances)
                denied = check_claim(claim(finding.kind, "negated", value, leads, wall), features, tolerances)
                if affirmed.verdict == SUPPORTED:
                    assert SUPPORTED not in (denied.verdict, anywhere), (finding.kind, value, leads)


@settings(max_examples=100, deadline=None)
@given(st.fixed_dictionaries({name: st.floats(*bounds) for name, bounds in RECORD.items()}))
def test_no_word_about_an_interval_and_its_denial_are_both_supported(normal, measured):
    features = with_values(normal, **measured)
    for finding in FINDINGS:
        if finding.kind in ("pr_interval", "qrs_duration", "qtc_interval", "qrs_axis", "heart_rate", "long_qt"):
            for value in words_of(finding):
                verdicts = {
                    check_claim(claim(finding.kind, polarity, value), features).verdict
                    for polarity in ("affirmed", "negated")
                }
                assert verdicts in ({SUPPORTED, CONTRADICTED}, {NOT_MEASURABLE}, {SUPPORTED, NOT_MEASURABLE}) or (
                    verdicts == {CONTRADICTED, NOT_MEASURABLE}
                ), (finding.kind, value)


@pytest.mark.parametrize(("bazett", "fridericia"), [(470, 430), (430, 470)])
def test_a_qtc_on_which_the_formulas_differ_is_not_called_normal(normal, bazett, fridericia):
    features = replace(with_values(normal, qtc_bazett=bazett, qtc_fridericia=fridericia), sex="M")
    assert verdict("Prolonged QTc.", features) == SUPPORTED
    assert verdict("Normal QTc.", features) == NOT_MEASURABLE
    assert verdict("The QTc is not prolonged.", features) == NOT_MEASURABLE
    both = replace(with_values(normal, qtc_bazett=bazett, qtc_fridericia=bazett), sex="M")
    assert verdict("Normal QTc.", both) == (CONTRADICTED if bazett > 450 else SUPPORTED)


def test_listed_q_waves_are_not_denied(normal):
    """The infarct of the samples: Q waves of 26 to 30 ms in III and aVF."""
    features = extract_features(load_ecg("processing/samples/inferior_infarction.hea"))
    leads = pathological_q_leads(features)
    assert {"III", "aVF"} <= set(leads) and not set(leads) & set(Q_NORMAL_LEADS)
    assert verdict(f"Pathological Q waves in {' and '.join(leads)}.", features) == SUPPORTED
    assert verdict("No pathological Q waves.", features) == NOT_MEASURABLE
    assert verdict("No pathological Q waves.", normal) == SUPPORTED


def test_a_qs_in_v1_does_not_make_one_of_v2(normal):
    small = {"V2__q_duration": 12.0, "V2__q_amplitude": -0.05}
    features = with_values(normal, V1__q_duration=60.0, V1__q_amplitude=-0.9, **small)
    assert verdict("Pathological Q waves in V1 and V2.", features) != SUPPORTED
    assert verdict("No pathological Q waves.", features) == SUPPORTED


def test_inverted_p_waves_in_ii_are_not_denied(normal):
    assert verdict("No inverted P waves.", with_values(normal, II__p_amplitude=-0.1)) == CONTRADICTED
    elsewhere = with_values(normal, III__p_amplitude=-0.1, aVF__p_amplitude=-0.1)
    assert verdict("No inverted P waves.", elsewhere) == NOT_MEASURABLE


def test_a_low_t_is_flat_in_the_leads_of_the_guideline(normal):
    assert set(flat_t_leads(normal)) >= {"I", "II", "V4", "V5", "V6"} and "III" not in flat_t_leads(normal)
    assert "aVL" in flat_t_leads(with_values(normal, aVL__r_amplitude=0.31))
    assert "aVL" not in flat_t_leads(with_values(normal, aVL__r_amplitude=0.3))
    assert "aVL" not in flat_t_leads(with_values(normal, aVL__r_amplitude=math.nan))
    low = with_values(normal, III__t_amplitude=0.05, aVF__t_amplitude=0.05)
    assert verdict("Flat T waves.", low) == verdict("No flat T waves.", low) == NOT_MEASURABLE
    assert verdict("Flat T waves in III and aVF.", low) == SUPPORTED
    assert verdict("Normal T waves.", low) == SUPPORTED
    lateral = with_values(normal, V5__t_amplitude=0.03, V6__t_amplitude=0.03)
    assert verdict("Flat T waves.", lateral) == SUPPORTED
    assert verdict("Normal T waves.", lateral) == NOT_MEASURABLE


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({"II": 0.30, "III": 0.08}, SUPPORTED),  # one is near its limit beside one that shows it clearly
        ({"II": 0.11, "III": 0.08}, NOT_MEASURABLE),
        ({"II": 0.11, "III": 0.11}, SUPPORTED),
        ({"II": 0.30, "III": 0.0}, CONTRADICTED),
    ],
)
def test_a_lead_near_its_limit_needs_one_that_is_clear(normal, levels, expected):
    features = with_values(normal, **{f"{lead}__st": levels.get(lead, 0.0) for lead in normal.leads})
    assert verdict("ST elevation in II and III.", features) == expected
    if expected == SUPPORTED:
        assert verdict("No ST elevation.", features) != SUPPORTED
