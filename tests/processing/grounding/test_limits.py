# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Both sides of every limit and tolerance of `check_grounding`: the last value that supports a sentence, the first that fails."""

import dataclasses
import math

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.ecg_record import STANDARD_LEADS
from processing.grounding.check import check_grounding
from processing.simulator.simulator import simulate_ecg
from tests.helpers.drawn_ecg import drawn_ecg
from tests.helpers.feature_values import with_values

SUPPORTED, CONTRADICTED, NOT_MEASURABLE = "supported", "contradicted", "not_measurable"


@pytest.fixture(scope="module")
def normal():
    return extract_features(simulate_ecg(heart_rate=70, pr_interval=160, axis=45, seed=11).record)


def verdict(text, features):
    (checked,) = check_grounding(text, features).claims
    return checked.verdict


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
    # Estimates may be half as much again beside it.
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


def test_rates_of_irregular_rhythms_have_a_tenth(normal):
    uneven = dataclasses.replace(normal, rhythm_regularity="irregular")
    for rate, expected in ((91, SUPPORTED), (111, SUPPORTED), (90, CONTRADICTED), (112, CONTRADICTED)):
        assert verdict("Heart rate 100 bpm.", with_values(uneven, heart_rate=rate)) == expected


def test_a_qtc_without_a_formula_may_be_either(normal):
    features = with_values(normal, qtc_bazett=500, qtc_fridericia=430)
    for stated, expected in ((500, SUPPORTED), (430, SUPPORTED), (399, CONTRADICTED), (465, CONTRADICTED)):
        assert verdict(f"QTc {stated} ms.", features) == expected
    assert verdict("QTcF 500 ms.", features) == CONTRADICTED == verdict("QTcB 430 ms.", features)


def test_times_of_beats_within_15_hundredths_of_a_second(normal):
    at = float(normal.beat_times[3])
    for off, expected in ((0.14, SUPPORTED), (-0.14, SUPPORTED), (0.17, CONTRADICTED), (-0.17, CONTRADICTED)):
        assert verdict(f"Beat 4 at {at + off:.3f} s.", normal) == expected


# Words: the value that decides, what of it bears the word out, what is too near to the limit, and what does not. --------

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
    # Long for everybody from 460 ms on, short up to 360 ms; between 450 and 460 and between 360 and 390 nothing is decided.
    ("The QTc is prolonged.", "qtc", (480,), (441,), (439, 400)),
    ("The QTc is not prolonged.", "qtc", (400,), (469,), (471, 500)),
    ("WPW pattern.", "pr_interval", (100,), (130, 110), (130.1, 160)),
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
        # 30 ms and 0.1 mV, in V2 and V3 20 ms and 0.03 mV; 10 ms and 40 % beside it are near.
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
def test_who_denies_a_certain_q_wave_is_wrong(lead, duration, depth, normal):
    text = f"No pathological Q wave in {lead}."
    plain = {f"{lead}__q_duration": duration, f"{lead}__q_amplitude": -depth}
    assert verdict(text, with_values(normal, **plain)) == CONTRADICTED
    assert verdict(text, with_values(normal, **plain | {f"{lead}__q_duration": duration - 2})) == NOT_MEASURABLE
    assert verdict(text, with_values(normal, **plain | {f"{lead}__q_amplitude": -depth * 0.9})) == NOT_MEASURABLE


# Left ventricular hypertrophy: Hancock 2009 (AHA/ACCF/HRS part V); 10 % beside the limit are near. Cornell without the sex: 2.4.
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
def test_named_leads_must_all_show_it_and_two_of_a_wall(leads, text, expected, normal):
    levels = {f"{lead}__st": 0.3 if lead in leads else 0.0 for lead in normal.leads}
    assert verdict(text, with_values(normal, **levels)) == expected


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("Sinus rhythm.", {}),
        ("No sinus rhythm.", {}),
        ("P waves are absent.", {}),
        ("P waves are present.", {}),
        ("P waves are tall in lead II.", {}),
        ("Left atrial enlargement.", {}),
        ("The PR interval is 160 ms.", {}),
        ("The PR interval is prolonged.", {}),
        ("First degree AV block.", {}),
        ("AV block.", {}),
        ("Third degree AV block.", {"lone_p_waves": np.ones((1, 3))}),
        ("Sinus arrhythmia.", {"rr_variability": 0.1}),
        ("Atrial fibrillation.", {"rhythm_regularity": "irregular", "rr_variability": 0.2}),
        ("No atrial fibrillation.", {"rhythm_regularity": "irregular", "rr_variability": 0.2}),
        ("Atrial flutter.", {"heart_rate": 150.0}),
        ("Junctional rhythm.", {"heart_rate": 50.0}),
        ("Normal ECG.", {}),
    ],
)
def test_what_rests_on_p_waves_is_not_judged_where_they_are_unclear(text, changes, normal):
    unclear = {"p_present": None, "p_unclear": "moving electrodes", "pr_interval": math.nan, "p_duration": math.nan}
    assert verdict(text, with_values(normal, **unclear | changes)) == NOT_MEASURABLE


def test_rhythms_by_p_waves_and_regularity(normal):
    no_p = {"p_present": False, "pr_interval": math.nan, "p_duration": math.nan}
    uneven = {"rhythm_regularity": "irregular", "rr_variability": 0.2}
    spikes = {"pacing_spikes": np.arange(5.0)}
    cases = [
        ("Atrial fibrillation.", no_p | uneven, SUPPORTED),
        ("Atrial fibrillation.", uneven, CONTRADICTED),
        ("Atrial fibrillation.", no_p, CONTRADICTED),
        ("Atrial fibrillation.", no_p | uneven | spikes, NOT_MEASURABLE),
        ("Atrial fibrillation.", no_p | {"rhythm_regularity": "mostly regular", "rr_variability": 0.07}, SUPPORTED),
        ("Atrial fibrillation.", no_p | {"rhythm_regularity": "mostly regular", "rr_variability": 0.05}, CONTRADICTED),
        ("Sinus rhythm.", no_p, CONTRADICTED),
        ("Sinus rhythm.", no_p | {"lone_p_waves": np.ones((4, 3))}, SUPPORTED),
        ("Sinus rhythm.", no_p | {"lone_p_waves": np.ones((3, 3))}, CONTRADICTED),
        ("Sinus bradycardia.", {"heart_rate": 59.9}, SUPPORTED),
        ("Sinus bradycardia.", {"heart_rate": 62.9}, NOT_MEASURABLE),
        ("Sinus bradycardia.", {"heart_rate": 63.1}, CONTRADICTED),
        ("Sinus tachycardia.", {"heart_rate": 100.1}, SUPPORTED),
        ("Sinus tachycardia.", {"heart_rate": 97.1}, NOT_MEASURABLE),
        ("Sinus tachycardia.", {"heart_rate": 96.9}, CONTRADICTED),
        ("Sinus arrhythmia.", {"rr_variability": 0.036}, SUPPORTED),
        ("Sinus arrhythmia.", {"rr_variability": 0.034}, CONTRADICTED),
        ("Paced rhythm.", spikes, SUPPORTED),
        ("Paced rhythm.", {"qrs_duration": 100.0}, CONTRADICTED),
        ("Paced rhythm.", {"qrs_duration": 130.0}, NOT_MEASURABLE),
        ("Junctional rhythm.", no_p | {"heart_rate": 109.0}, SUPPORTED),
        ("Junctional rhythm.", no_p | {"heart_rate": 111.0}, NOT_MEASURABLE),
        ("Ventricular tachycardia.", {"heart_rate": 150.0, "qrs_duration": 111.0}, SUPPORTED),
        ("Ventricular tachycardia.", {"heart_rate": 150.0, "qrs_duration": 109.0}, CONTRADICTED),
        ("Second degree AV block.", {"lone_p_waves": np.ones((1, 3))}, SUPPORTED),
        ("Second degree AV block.", {}, CONTRADICTED),
        ("Third degree AV block.", no_p | {"lone_p_waves": np.ones((1, 3))}, SUPPORTED),
        ("Third degree AV block.", {"lone_p_waves": np.ones((1, 3))}, CONTRADICTED),
    ]  # fmt: skip
    found = [verdict(text, with_values(normal, **changes)) for text, changes, _ in cases]
    wrong = [
        (text, list(changes), got) for (text, changes, want), got in zip(cases, found, strict=True) if got != want
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("text", "pattern", "area", "width", "expected"),
    [
        # Complete: 120 ms, 10 ms beside it are near.
        ("Complete RBBB.", "rsR'", 10, 130, SUPPORTED),
        ("Complete RBBB.", "rsR'", 10, 129.9, NOT_MEASURABLE),
        ("Complete RBBB.", "rsR'", 10, 110.1, NOT_MEASURABLE),
        ("Complete RBBB.", "rsR'", 10, 110, CONTRADICTED),
        ("Complete RBBB.", "rS", -30, 140, CONTRADICTED),
        ("No RBBB.", "rsR'", 10, 110, SUPPORTED),
        ("No RBBB.", "rsR'", 10, 129.9, NOT_MEASURABLE),
        ("No RBBB.", "rsR'", 10, 130.1, CONTRADICTED),
        ("Complete LBBB.", "rS", -30, 130, SUPPORTED),
        ("Complete LBBB.", "rS", -30, 115, NOT_MEASURABLE),
        ("Complete LBBB.", "rS", -30, 110, CONTRADICTED),
        ("Complete LBBB.", "rsR'", -30, 140, CONTRADICTED),  # a second R in V1 speaks against it
        ("Complete LBBB.", "rsR'", -30, 160, CONTRADICTED),
        ("Complete LBBB.", "R", 30, 140, CONTRADICTED),
        # Incomplete: 110 to 120 ms, 15 ms beside it are near.
        ("Incomplete RBBB.", "rsr'", 5, 115, SUPPORTED),
        ("No incomplete RBBB.", "rsr'", 5, 115, NOT_MEASURABLE),
        ("Incomplete RBBB.", "rsr'", 5, 95, NOT_MEASURABLE),
        ("Incomplete RBBB.", "rsr'", 5, 94.9, NOT_MEASURABLE),  # the Minnesota code asks for no least width
        ("Incomplete RBBB.", "rsr'", 5, 135, NOT_MEASURABLE),
        ("Incomplete RBBB.", "rsr'", 5, 135.1, CONTRADICTED),
        ("Incomplete RBBB.", "rS", -5, 105, NOT_MEASURABLE),  # a small second r may be missed
        ("Incomplete RBBB.", "rS", -5, 89, CONTRADICTED),
        ("Incomplete LBBB.", "rS", -30, 115, SUPPORTED),
        ("Incomplete LBBB.", "rsr'", -30, 115, CONTRADICTED),
    ],
)
def test_bundle_branch_blocks_by_width_and_v1(text, pattern, area, width, expected, normal):
    lateral = "Rs" if "RBBB" in text else "R"
    patterns = {**normal.qrs_patterns, "V1": pattern, "V2": "rS", "I": lateral, "V5": lateral, "V6": lateral}
    values = {"V1__qrs_area": area, "I__qrs_area": 20, "qrs_duration": width, "waves": with_r_peaks(normal, 70)}
    assert verdict(text, with_values(normal, qrs_patterns=patterns, **values)) == expected


def with_r_peaks(features, time):
    """The waves of `features` with every R peak so many ms after the QRS onset."""
    qrs = features.waves["QRS"].copy()
    qrs[..., 1] = features.beat_waves["QRS"][:, 0] + time / 1000
    return {**features.waves, "QRS": qrs}


@pytest.mark.parametrize(
    ("q_leads", "peak", "expected"),
    [((), 61, SUPPORTED), ((), 59, CONTRADICTED), (("V5",), 61, CONTRADICTED), (("I", "V6"), 61, CONTRADICTED)],
)
def test_septal_q_waves_and_early_r_peaks_speak_against_left_bundle_branch_block(q_leads, peak, expected, normal):
    patterns = {
        **normal.qrs_patterns,
        "V1": "rS",
        **{lead: "qR" if lead in q_leads else "R" for lead in ("I", "V5", "V6")},
    }
    values = {"V1__qrs_area": -30, "I__qrs_area": 20, "qrs_duration": 140, "waves": with_r_peaks(normal, peak)}
    assert verdict("Complete LBBB.", with_values(normal, qrs_patterns=patterns, **values)) == expected


@pytest.mark.parametrize(
    ("area", "axis", "expected"),
    [(1, 45, SUPPORTED), (-1, 91, SUPPORTED), (-1, 90, CONTRADICTED), (-1, 45, CONTRADICTED)],
)
def test_right_hypertrophy_by_v1_or_the_axis(area, axis, expected, normal):
    features = with_values(normal, V1__qrs_area=area, qrs_axis=axis)
    assert verdict("Right ventricular hypertrophy.", features) == expected


@pytest.mark.parametrize(
    ("rate", "p_present", "regularity", "expected"),
    [
        (119, True, "regular", CONTRADICTED),
        (120, True, "regular", NOT_MEASURABLE),  # flutter waves in a 2:1 rhythm can pass for P waves
        (180, True, "regular", NOT_MEASURABLE),
        (181, True, "regular", CONTRADICTED),
        (90, False, "regular", SUPPORTED),
        (90, False, "irregular", NOT_MEASURABLE),
    ],
)
def test_flutter_by_rate_and_regularity(rate, p_present, regularity, expected, normal):
    features = with_values(normal, heart_rate=rate, p_present=p_present, rhythm_regularity=regularity)
    assert verdict("Atrial flutter.", features) == expected


def beating(*intervals):
    """Features of an ECG that is drawn with these RR intervals in s."""
    onsets = np.cumsum([0.4, *intervals])
    return extract_features(drawn_ecg({lead: {} for lead in STANDARD_LEADS}, onsets, seconds=float(onsets[-1]) + 0.6))


@pytest.mark.parametrize(
    ("usual", "longest", "expected"),
    [(0.8, 1.46, CONTRADICTED), (0.8, 1.54, SUPPORTED), (1.2, 1.64, CONTRADICTED), (1.2, 1.72, SUPPORTED)],
)
def test_a_pause_lasts_one_and_a_half_seconds_and_four_tenths_more_than_usual(usual, longest, expected):
    assert verdict("Pause.", beating(*[usual] * 4, longest, *[usual] * 3)) == expected


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([0.8, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.8, 0.8], CONTRADICTED),  # three of ten beats are premature
        ([0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.8], SUPPORTED),  # four
    ],
)
def test_bigeminy_from_35_hundredths_of_the_beats_on(intervals, expected):
    assert verdict("Bigeminy.", dataclasses.replace(beating(*intervals), p_present=True)) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (700, 1200, SUPPORTED),  # the mean is inside
        (1050, 1255, SUPPORTED),  # or both ends are the beats', within 60 ms
        (1050, 1270, CONTRADICTED),
        (645, 800, SUPPORTED),
        (630, 800, CONTRADICTED),
    ],
)
def test_ranges_of_rr_intervals(low, high, expected):
    features = beating(0.7, 1.2, 0.8, 1.1, 0.7, 1.2, 0.9)
    assert verdict(f"RR intervals range from {low} to {high} ms.", features) == expected


@pytest.mark.parametrize(("coupling", "expected"), [(0.70, CONTRADICTED), (0.67, SUPPORTED)])
def test_beats_are_premature_below_86_hundredths_of_the_usual_interval(coupling, expected):
    features = dataclasses.replace(beating(*[0.8] * 4, coupling, 0.9, *[0.8] * 3), p_present=True)
    assert verdict("Premature atrial complexes.", features) == expected
    assert verdict("Premature ventricular complexes.", features) == CONTRADICTED, "its QRS is as wide as the others"


@pytest.mark.parametrize(
    ("usual", "early", "expected"),
    [
        (96, 115, CONTRADICTED),  # 20 ms more than usual
        (96, 118, SUPPORTED),
        (80, 107, CONTRADICTED),  # and 108 ms at least
        (80, 109, SUPPORTED),
    ],
)
def test_premature_beats_are_ventricular_by_their_width(usual, early, expected):
    features = beating(*[0.8] * 4, 0.6, 1.0, *[0.8] * 3)
    qrs = features.beat_waves["QRS"].copy()
    qrs[:, 2] = qrs[:, 0] + usual / 1000
    qrs[5, 2] = qrs[5, 0] + early / 1000
    features = dataclasses.replace(features, beat_waves={**features.beat_waves, "QRS": qrs}, p_present=True)
    assert verdict("Premature ventricular complexes.", features) == expected
    assert verdict("Premature complexes.", features) == SUPPORTED


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
def test_what_an_interpretation_ought_to_mention(name, field, usual, abnormal, normal):
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
def test_walls_ought_to_be_mentioned_from_a_margin_beyond_the_limit_on(leads, measure, usual, abnormal, name, normal):
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
def test_a_normal_ecg_shows_nothing_that_is_clearly_abnormal(changes, expected, normal):
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
        ("Hypertrophy: no.", {"sokolow_lyon": 4.5}, NOT_MEASURABLE),  # voltage alone is none
        ("Normal: yes.", {"pr_interval": 211}, CONTRADICTED),
        ("Normal: no.", {"pr_interval": 211}, SUPPORTED),
        ("ST-T change: no.", {"V4__st": 0.3, "V5__st": 0.3}, NOT_MEASURABLE),  # what an infarct brings is none
        ("ST-T change: yes.", {"V4__st": 0.3, "V5__st": 0.3}, SUPPORTED),
        ("ST-T change: yes.", {}, NOT_MEASURABLE),
    ],
)
def test_what_a_report_says_of_a_group_of_diagnoses(text, changes, expected, normal):
    assert verdict(text, with_values(normal, **changes)) == expected
