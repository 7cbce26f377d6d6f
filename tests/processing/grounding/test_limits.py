# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Both sides of every limit and tolerance of `check_grounding`: the last value that supports a sentence, the first that fails."""

import dataclasses

import numpy as np
import pytest

from processing.grounding.check import check_grounding
from processing.grounding.verdicts import CONTRADICTED, NOT_MEASURABLE, SUPPORTED
from tests.helpers.feature_values import with_values
from tests.helpers.grounding_verdicts import verdict


def expected_of(fitting, near, wrong):
    verdicts = ((fitting, SUPPORTED), (near, NOT_MEASURABLE), (wrong, CONTRADICTED))
    return {value: expected for values, expected in verdicts for value in values}


# Stated numbers: sentence, what is measured, values that fit, values near a limit, values that do not -------------------

NUMBERS = [
    # 20 ms for PR, QRS and P, half a square of the paper; 30 ms for QT and QTc.
    ("PR 160 ms.", "pr_interval", (140, 160, 180), (), (139, 181)),
    ("QRS 100 ms.", "qrs_duration", (80, 120), (), (79, 121)),
    ("P wave duration 100 ms.", "p_duration", (80, 120), (), (79, 121)),
    ("QT 400 ms.", "qt_interval", (370, 430), (), (369, 431)),
    ("QTcB 420 ms.", "qtc_bazett", (390, 450), (), (389, 451)),
    ("QTcF 420 ms.", "qtc_fridericia", (390, 450), (), (389, 451)),
    # 5 bpm or 5 % of a regular rate.
    ("Heart rate 70 bpm.", "heart_rate", (65, 75), (), (64.9, 75.1)),
    ("Heart rate 190 bpm.", "heart_rate", (181, 199), (), (180, 201)),
    # 15 degrees, round the circle.
    ("QRS axis 45 degrees.", "qrs_axis", (30, 60), (), (29, 61)),
    ("QRS axis -170 degrees.", "qrs_axis", (-155, 176, 180), (), (174, -154)),
    ("P axis 45 degrees.", "p_axis", (30, 60), (), (29, 61)),
    ("T axis 45 degrees.", "t_axis", (30, 60), (), (29, 61)),
    # 0.3 mV or 10 % of a sum of waves; 1 mm is 0.1 mV.
    ("Sokolow-Lyon 2.5 mV.", "sokolow_lyon", (2.21, 2.79), (), (2.19, 2.81)),
    ("Sokolow-Lyon 42 mm.", "sokolow_lyon", (3.9, 4.6), (), (3.8, 4.7)),
    ("Cornell 2.0 mV.", "cornell", (1.71, 2.29), (), (1.69, 2.31)),
    # 5 % of a regular RR interval.
    ("RR interval 800 ms.", "rr_interval", (762, 842), (), (761, 843)),
    # 0.1 mV or a fifth of an amplitude; 0.05 mV or a quarter of an ST level.
    ("R amplitude in V5 is 0.4 mV.", "V5__r_amplitude", (0.31, 0.49), (), (0.29, 0.51)),
    ("R amplitude in V5 is 2.0 mV.", "V5__r_amplitude", (1.7, 2.4), (), (1.6, 2.6)),
    ("S amplitude in V1 is 1.0 mV.", "V1__s_amplitude", (-0.85, -1.2), (), (-0.8, -1.3)),
    ("T amplitude in V5 is -0.3 mV.", "V5__t_amplitude", (-0.21, -0.39), (), (-0.19, -0.41, 0.3)),
    ("ST level in V2 is 0.12 mV.", "V2__st", (0.07, 0.165), (), (0.065, 0.175, -0.12)),
    ("ST level in V2 is 0.4 mV.", "V2__st", (0.33, 0.52), (), (0.31, 0.54)),
    # For an estimate ("about") the tolerance is half as large again.
    ("PR about 160 ms.", "pr_interval", (130, 190), (), (129, 191)),
    ("Heart rate about 70 bpm.", "heart_rate", (62.5, 77.5), (), (62.4, 77.6)),
    # Ranges and comparisons.
    ("PR 150-170 ms.", "pr_interval", (130, 190), (), (129, 191)),
    ("PR > 200 ms.", "pr_interval", (300, 210.1), (180, 209, 190), (179,)),
    ("PR < 200 ms.", "pr_interval", (100, 189), (220, 191, 201), (221,)),
]


@pytest.mark.parametrize(("text", "field", "fitting", "near", "wrong"), NUMBERS, ids=[text for text, *_ in NUMBERS])
def test_stated_numbers(text, field, fitting, near, wrong, normal):
    found = {value: verdict(text, with_values(normal, **{field: value})) for value in (*fitting, *near, *wrong)}
    assert found == expected_of(fitting, near, wrong)


DENIED = [
    ("The PR interval is not above 200 ms.", "pr_interval", (100, 189), (220, 191), (221,)),
    ("There is no PR interval above 200 ms.", "pr_interval", (100,), (220,), (221,)),
    ("The QTcB does not exceed 450 ms.", "qtc_bazett", (400,), (480,), (481,)),
    ("The heart rate is not below 60 bpm.", "heart_rate", (80, 62.6), (55, 62), (54.9,)),
    ("No ST elevation of 0.2 mV in V5.", "V5__st", (0.0,), (0.235,), (0.245,)),
]


@pytest.mark.parametrize(("text", "field", "fitting", "near", "wrong"), DENIED, ids=[text for text, *_ in DENIED])
def test_denied_numbers(text, field, fitting, near, wrong, normal):
    found = {value: verdict(text, with_values(normal, **{field: value})) for value in (*fitting, *near, *wrong)}
    assert found == expected_of(fitting, near, wrong)


def test_rates_of_irregular_rhythms_may_be_off_by_a_tenth(normal):
    uneven = dataclasses.replace(normal, rhythm_regularity="irregular")
    for rate, expected in ((91, SUPPORTED), (111, SUPPORTED), (90, CONTRADICTED), (112, CONTRADICTED)):
        assert verdict("Heart rate 100 bpm.", with_values(uneven, heart_rate=rate)) == expected


def test_a_qtc_without_a_formula_may_be_either(normal):
    features = with_values(normal, qtc_bazett=500, qtc_fridericia=430)
    for stated, expected in ((500, SUPPORTED), (430, SUPPORTED), (399, CONTRADICTED), (465, CONTRADICTED)):
        assert verdict(f"QTc {stated} ms.", features) == expected
    assert verdict("QTcF 500 ms.", features) == CONTRADICTED == verdict("QTcB 430 ms.", features)


def test_times_of_beats_may_be_off_by_150_ms(normal):
    at = float(normal.beat_times[3])
    for off, expected in ((0.14, SUPPORTED), (-0.14, SUPPORTED), (0.17, CONTRADICTED), (-0.17, CONTRADICTED)):
        assert verdict(f"Beat 4 at {at + off:.3f} s.", normal) == expected


# Words: sentence, the deciding value, values that support it, values too near to the limit, values that contradict it ------

WORDS = [
    ("Bradycardia.", "heart_rate", (40, 57), (59, 58), (63, 63.1, 80)),
    ("No bradycardia.", "heart_rate", (80, 63), (60, 62), (57, 56.9, 40)),
    ("Tachycardia.", "heart_rate", (150, 103), (101, 102), (97, 96.9, 80)),
    ("No tachycardia.", "heart_rate", (80, 96.9), (99, 101), (103, 103.1, 150)),
    ("Normal heart rate.", "heart_rate", (63.1, 96.9), (60, 100), (57, 103, 56.9, 103.1)),
    ("The PR interval is prolonged.", "pr_interval", (260, 210), (201, 209), (190, 189.9, 150)),
    ("The PR interval is short.", "pr_interval", (100,), (119,), (130, 130.1, 160)),
    ("The PR interval is normal.", "pr_interval", (130.1, 160, 189.9), (120, 200), (110, 210, 109.9, 210.1)),
    ("First degree AV block.", "pr_interval", (260, 210), (201, 209.9, 195), (190, 189.9, 150)),
    ("No first degree AV block.", "pr_interval", (160,), (195, 205), (210, 210.1, 260)),
    ("The QRS is wide.", "qrs_duration", (160, 130), (121, 129.9, 111), (110, 109.9, 90)),
    ("The QRS is narrow.", "qrs_duration", (90, 110), (119, 129), (130, 130.1, 160)),
    ("The P wave is wide.", "p_duration", (130.1,), (121,), (110, 109, 90)),
    # Prolonged for everybody from 460 ms on, short up to 360 ms; between 450 and 460 and between 360 and 390 ms nothing is decided.
    ("The QTc is prolonged.", "qtc", (480,), (441,), (439, 400)),
    ("The QTc is not prolonged.", "qtc", (400,), (469,), (471, 500)),
    ("WPW pattern.", "pr_interval", (), (130, 110, 100), (130.1, 160)),  # a narrow QRS decides nothing
    ("The QTc is short.", "qtc", (330,), (399,), (401, 430)),
    ("The QTc is normal.", "qtc", (420, 401, 439), (351, 469), (349, 471)),
    ("Normal axis.", "qrs_axis", (0, -19, 79), (-30, 90), (-40, 100, -41, 101, 150, -120)),
    ("Left axis deviation.", "qrs_axis", (-60, -41), (-31, -90, -100, -101, -150), (-20, -19, 0, 60, 120)),
    ("Left type.", "qrs_axis", (0, -20, 20), (-39, -21, 21, 39), (41, -41)),
    ("Right axis deviation.", "qrs_axis", (150, 101), (91, 180), (80, 79, 0, -60)),
    ("Extreme axis deviation.", "qrs_axis", (-120, -170), (-91,), (-79, -45, 0, 90, 150)),
    ("Axis deviation.", "qrs_axis", (-60, 120), (-21, 81), (-19, 30, 79)),
    ("Left anterior fascicular block.", "qrs_axis", (-60, -80, -56), (-45, -54, -21, -25), (-19, 0, 90)),
    ("Left posterior fascicular block.", "qrs_axis", (110, 150), (85,), (60, 0, -60)),
    ("Low voltage.", "qrs_sizes", (0.3, 0.44), (0.49, 0.46, 0.54), (0.55, 0.61, 1.0)),
    ("No low voltage.", "qrs_sizes", (1.0, 0.56), (0.5, 0.54), (0.41, 0.39, 0.2)),
    ("Poor R wave progression.", "V3__r_amplitude", (0.1,), (0.3, 0.44), (0.46, 1.0)),
    ("Normal R wave progression.", "V3__r_amplitude", (1.0,), (0.31, 0.21), (0.19, 0.1)),
    ("Right atrial enlargement.", "II__p_amplitude", (0.4,), (0.2, 0.26), (0.18, 0.1)),
    ("Tall P wave in II.", "II__p_amplitude", (0.26,), (0.22,), (0.2, 0.1)),
    ("P waves are upright in II.", "II__p_amplitude", (0.1, 0.0), (-0.059,), (-0.061, -0.2)),
    ("Inverted P waves in II.", "II__p_amplitude", (-0.1, -0.03), (-0.001,), (0.001, 0.1)),
    ("ST elevation in V5.", "V5__st", (0.3, 0.11), (0.065,), (0.055, 0.0, -0.2)),
    ("No ST elevation in V5.", "V5__st", (0.0, -0.3), (0.09, 0.135), (0.145, 0.3)),
    # V2: between the limits of women (0.15 mV) and of most men (0.2 mV) nothing is decided.
    ("ST elevation in V2.", "V2__st", (0.3,), (0.115,), (0.105, 0.0)),
    ("No ST elevation in V2.", "V2__st", (0.0,), (0.19, 0.235), (0.245, 0.3)),
    ("ST depression in V5.", "V5__st", (-0.3, -0.11), (-0.065,), (-0.055, 0.0, 0.2)),
    ("No ST depression in V5.", "V5__st", (0.0, 0.3), (-0.09, -0.135), (-0.145, -0.3)),
    ("T wave inversion in V5.", "V5__t_amplitude", (-0.3, -0.11), (-0.045,), (-0.035, 0.0, 0.3)),
    ("No T wave inversion in V5.", "V5__t_amplitude", (0.3,), (-0.09, -0.155), (-0.165, -0.4)),
    ("Flat T wave in V5.", "V5__t_amplitude", (0.0, 0.09, -0.09), (0.135,), (0.145, 0.4, -0.4)),
    ("Tall T wave in V4.", "V4__t_amplitude", (1.2,), (0.71,), (0.69, 0.3)),
    ("Tall T wave in II.", "II__t_amplitude", (0.7,), (0.36,), (0.34, 0.1)),
]  # fmt: skip


def measured(features, field, value):
    if field == "qtc":
        return with_values(features, qtc_bazett=value, qtc_fridericia=value)
    if field == "qrs_sizes":  # limb leads; chest leads are twice as large, as their limit is
        sizes = [value * (2 if lead.startswith("V") else 1) for lead in features.leads]
        values = {**features.lead_values, "qrs_amplitude": np.array(sizes)}
        return dataclasses.replace(features, lead_values=values, low_voltage=value < 0.5)
    return with_values(features, **{field: value})


@pytest.mark.parametrize(("text", "field", "fitting", "near", "wrong"), WORDS, ids=[text for text, *_ in WORDS])
def test_words(text, field, fitting, near, wrong, normal):
    found = {value: verdict(text, measured(normal, field, value)) for value in (*fitting, *near, *wrong)}
    assert found == expected_of(fitting, near, wrong)


@pytest.mark.parametrize(
    ("lead", "duration", "depth", "expected"),
    [
        # 30 ms and 0.1 mV, in V2 and V3 20 ms and 0.03 mV. Values within 10 ms or 40 % of the limit count as near.
        ("III", 45, 0.2, SUPPORTED),
        ("III", 31, 0.2, SUPPORTED),
        ("III", 20, 0.2, NOT_MEASURABLE),
        ("III", 19, 0.2, CONTRADICTED),
        ("III", 45, 0.065, NOT_MEASURABLE),
        ("III", 45, 0.055, CONTRADICTED),
        ("V2", 25, 0.05, SUPPORTED),
        ("V2", 10, 0.05, NOT_MEASURABLE),
        ("V2", 9, 0.05, CONTRADICTED),
        ("V2", 25, 0.017, CONTRADICTED),
    ],
)
def test_pathological_q_waves(lead, duration, depth, expected, normal):
    features = with_values(normal, **{f"{lead}__q_duration": duration, f"{lead}__q_amplitude": -depth})
    assert verdict(f"Pathological Q wave in {lead}.", features) == expected


CERTAIN_Q = [("III", 41, 0.15), ("V2", 31, 0.045)]


@pytest.mark.parametrize(("lead", "duration", "depth"), CERTAIN_Q)
def test_denying_a_clear_q_wave_is_contradicted(lead, duration, depth, normal):
    text = f"No pathological Q wave in {lead}."
    plain = {f"{lead}__q_duration": duration, f"{lead}__q_amplitude": -depth}
    assert verdict(text, with_values(normal, **plain)) == CONTRADICTED
    assert verdict(text, with_values(normal, **plain | {f"{lead}__q_duration": duration - 2})) == NOT_MEASURABLE
    assert verdict(text, with_values(normal, **plain | {f"{lead}__q_amplitude": -depth * 0.9})) == NOT_MEASURABLE


# Left ventricular hypertrophy: Hancock 2009 (AHA/ACCF/HRS part V); Values within 10 % of the limit count as near. Cornell without the sex: 2.4.
LVH = [
    ({"sokolow_lyon": 3.5}, 3.5),
    ({"cornell": 2.4}, 2.4),
    ({"aVL__r_amplitude": 1.1}, 1.1),
    ({"V5__r_amplitude": 2.6}, 2.6),
    ({"V6__r_amplitude": 2.6}, 2.6),
    ({"I__r_amplitude": 1.25, "III__s_amplitude": -1.25}, 2.5),
]


@pytest.mark.parametrize(("criterion", "limit"), LVH, ids=["+".join(criterion) for criterion, _ in LVH])
@pytest.mark.parametrize(
    ("share", "expected"),
    [(1.5, SUPPORTED), (1.11, SUPPORTED), (1.09, NOT_MEASURABLE), (0.91, NOT_MEASURABLE), (0.89, CONTRADICTED)],
)
def test_each_voltage_criterion_alone_makes_lvh(criterion, limit, share, expected, normal):
    none = {
        "sokolow_lyon": 1.0, "cornell": 0.5, "aVL__r_amplitude": 0.3, "V5__r_amplitude": 0.8, "V6__r_amplitude": 0.8,
        "I__r_amplitude": 0.4, "III__s_amplitude": -0.2,
    }  # fmt: skip
    assert verdict("Left ventricular hypertrophy.", with_values(normal, **none)) == CONTRADICTED
    changed = none | {name: value * share for name, value in criterion.items()}
    assert verdict("Left ventricular hypertrophy.", with_values(normal, **changed)) == expected


@pytest.mark.parametrize(
    ("leads", "text", "expected"),
    [
        (("II", "aVF"), "Inferior ST elevation.", SUPPORTED),
        (("II",), "Inferior ST elevation.", CONTRADICTED),
        (("II", "III", "aVF"), "ST elevation in II, III and aVF.", SUPPORTED),
        (("II", "III"), "ST elevation in II, III and aVF.", CONTRADICTED),
        (("V2", "V3"), "Anterior ST elevation.", SUPPORTED),
        (("V2", "V3"), "Inferior ST elevation.", CONTRADICTED),
        (("I", "aVL"), "Lateral ST elevation.", SUPPORTED),
        ((), "ST elevation.", CONTRADICTED),
        (("V5",), "ST elevation.", NOT_MEASURABLE),
        (("V4", "V5"), "ST elevation.", SUPPORTED),
        (("V5",), "No ST elevation.", SUPPORTED),  # one lead may be an artefact
        (("V4", "V5"), "No ST elevation.", CONTRADICTED),
        (("aVR",), "ST elevation.", CONTRADICTED),  # aVR mirrors the other leads
    ],
)
def test_all_named_leads_or_two_of_a_wall_must_show_the_finding(leads, text, expected, normal):
    levels = {f"{lead}__st": 0.3 if lead in leads else 0.0 for lead in normal.leads}
    assert verdict(text, with_values(normal, **levels)) == expected


SALIENT = [
    ("prolonged PR", "pr_interval", 209, 211),
    ("wide QRS", "qrs_duration", 129, 130),
    ("axis deviation", "qrs_axis", -39, -41),
    ("axis deviation", "qrs_axis", 99, 101),
    ("high voltage", "sokolow_lyon", 3.84, 3.86),
    ("low voltage", "qrs_sizes", 0.46, 0.44),
    ("P waves without QRS", "lone_p_waves", np.ones((1, 3)), np.ones((2, 3))),
    ("pacing", "pacing_spikes", np.ones(2), np.ones(3)),
]


@pytest.mark.parametrize(("name", "field", "usual", "abnormal"), SALIENT)
def test_findings_become_salient_beyond_their_limit(name, field, usual, abnormal, normal):
    def named(value):
        return name in [finding.name for finding in check_grounding("", measured(normal, field, value)).salient]

    assert named(abnormal) and not named(usual)


@pytest.mark.parametrize(
    ("leads", "measure", "usual", "abnormal", "name"),
    [
        (("II", "III"), "st", 0.119, 0.121, "ST elevation in II, III"),
        (("V2", "V3"), "st", 0.219, 0.221, "ST elevation in V2, V3"),
        (("V4", "V5"), "st", -0.115, -0.125, "ST depression in V5"),
    ],
)
def test_findings_of_a_wall_become_salient_a_margin_beyond_the_limit(leads, measure, usual, abnormal, name, normal):
    def names(value):
        features = with_values(normal, **{f"{lead}__{measure}": value for lead in normal.leads if lead in leads})
        return [finding.name for finding in check_grounding("", features).salient]

    kind = name.rpartition(" in ")[0]
    assert not any(found.startswith(kind) for found in names(usual))
    if name != "ST depression in V5":
        assert name in names(abnormal)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, SUPPORTED),
        ({"heart_rate": 45}, SUPPORTED),
        ({"heart_rate": 44}, CONTRADICTED),
        ({"heart_rate": 110}, SUPPORTED),
        ({"heart_rate": 111}, CONTRADICTED),
        ({"p_present": False}, CONTRADICTED),
        ({"pr_interval": 211}, CONTRADICTED),
        ({"pr_interval": 209}, SUPPORTED),
        ({"II__st": 0.18, "III__st": 0.18}, SUPPORTED),  # up to 1.75 times the limit in the healthy
        ({"II__st": 0.2, "III__st": 0.2}, CONTRADICTED),
    ],
)
def test_clear_abnormalities_contradict_a_normal_ecg(changes, expected, normal):
    assert verdict("Normal ECG.", with_values(normal, **changes)) == expected


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("Conduction disturbance: yes.", {"qrs_duration": 130}, SUPPORTED),
        ("Conduction disturbance: yes.", {"pr_interval": 210}, SUPPORTED),
        ("Conduction disturbance: yes.", {"qrs_axis": -56}, SUPPORTED),
        ("Conduction disturbance: yes.", {"lone_p_waves": np.ones((2, 3))}, SUPPORTED),
        ("Conduction disturbance: yes.", {"qrs_duration": 115}, NOT_MEASURABLE),
        ("Conduction disturbance: yes.", {"qrs_duration": 90}, CONTRADICTED),
        ("Conduction disturbance: no.", {"qrs_duration": 90}, SUPPORTED),
        ("Conduction disturbance: no.", {"qrs_duration": 130}, NOT_MEASURABLE),
        ("Hypertrophy: yes.", {"sokolow_lyon": 4.5}, SUPPORTED),
        ("Hypertrophy: yes.", {"sokolow_lyon": 1.5}, NOT_MEASURABLE),  # the atria are not judged
        ("Hypertrophy: no.", {"sokolow_lyon": 1.5}, SUPPORTED),
        ("Hypertrophy: no.", {"sokolow_lyon": 4.5}, NOT_MEASURABLE),  # voltage alone is not hypertrophy
        ("Normal: yes.", {"pr_interval": 211}, CONTRADICTED),
        ("Normal: no.", {"pr_interval": 211}, SUPPORTED),
        (
            "ST-T change: no.",
            {"V4__st": 0.3, "V5__st": 0.3},
            NOT_MEASURABLE,
        ),  # ST elevation of an infarction is not an ST-T change
        ("ST-T change: yes.", {"V4__st": 0.3, "V5__st": 0.3}, SUPPORTED),
        ("ST-T change: yes.", {}, NOT_MEASURABLE),
    ],
)
def test_groups_of_diagnoses(text, changes, expected, normal):
    assert verdict(text, with_values(normal, **changes)) == expected
