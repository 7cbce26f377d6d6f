# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Limits of `check_grounding` for rhythms, conduction and single beats: the last value on each side."""

import dataclasses
import math

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.ecg_record import STANDARD_LEADS
from processing.grounding.verdicts import CONTRADICTED, NOT_MEASURABLE, SUPPORTED
from processing.simulator.simulator import simulate_ecg
from tests.helpers.drawn_ecg import drawn_ecg
from tests.helpers.feature_values import with_values
from tests.helpers.grounding_verdicts import verdict


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
def test_claims_that_depend_on_unclear_p_waves_are_not_judged(text, changes, normal):
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
        ("Ventricular tachycardia.", no_p | {"heart_rate": 150.0, "qrs_duration": 111.0}, SUPPORTED),
        ("Ventricular tachycardia.", {"heart_rate": 150.0, "qrs_duration": 111.0}, NOT_MEASURABLE),
        ("Ventricular tachycardia.", {"heart_rate": 119.0, "qrs_duration": 111.0}, CONTRADICTED),
        ("Ventricular tachycardia.", no_p | uneven | {"heart_rate": 150.0, "qrs_duration": 111.0}, NOT_MEASURABLE),
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
        # Complete: 120 ms; within 10 ms of it is near.
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
        ("Complete LBBB.", "rsR'", -30, 140, CONTRADICTED),  # a second R in V1 excludes it
        ("Complete LBBB.", "rsR'", -30, 160, CONTRADICTED),
        ("Complete LBBB.", "R", 30, 140, CONTRADICTED),
        # Incomplete: 110 to 120 ms; within 15 ms of it is near.
        ("Incomplete RBBB.", "rsr'", 5, 115, SUPPORTED),
        ("No incomplete RBBB.", "rsr'", 5, 115, NOT_MEASURABLE),
        ("Incomplete RBBB.", "rsr'", 5, 95, NOT_MEASURABLE),
        ("Incomplete RBBB.", "rsr'", 5, 94.9, NOT_MEASURABLE),  # the Minnesota code has no minimum width
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
    ("rate", "p_present", "regularity", "waves", "expected"),
    [
        (119, True, "regular", False, CONTRADICTED),
        (120, True, "regular", False, NOT_MEASURABLE),  # flutter waves in a 2:1 rhythm can pass for P waves
        (180, True, "regular", False, NOT_MEASURABLE),
        (181, True, "regular", False, CONTRADICTED),
        (90, False, "regular", True, SUPPORTED),
        (90, False, "regular", False, NOT_MEASURABLE),  # any regular rhythm without P waves
        (90, False, "irregular", True, NOT_MEASURABLE),
        (90, None, "regular", True, NOT_MEASURABLE),
    ],
)
def test_flutter_by_waves_rate_and_regularity(rate, p_present, regularity, waves, expected, normal):
    changes = {"heart_rate": rate, "p_present": p_present, "rhythm_regularity": regularity, "flutter_waves": waves}
    assert verdict("Atrial flutter.", with_values(normal, **changes)) == expected


def beating(*intervals):
    """Features of an ECG that is drawn with these RR intervals in s."""
    onsets = np.cumsum([0.4, *intervals])
    return extract_features(drawn_ecg({lead: {} for lead in STANDARD_LEADS}, onsets, seconds=float(onsets[-1]) + 0.6))


@pytest.mark.parametrize(
    ("usual", "longest", "expected"),
    [(0.8, 1.46, CONTRADICTED), (0.8, 1.54, SUPPORTED), (1.2, 1.64, CONTRADICTED), (1.2, 1.72, SUPPORTED)],
)
def test_a_pause_lasts_1500_ms_and_400_ms_more_than_usual(usual, longest, expected):
    assert verdict("Pause.", beating(*[usual] * 4, longest, *[usual] * 3)) == expected


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([0.8, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.8, 0.8], CONTRADICTED),  # three of ten beats are premature
        ([0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.8], SUPPORTED),  # four
    ],
)
def test_bigeminy_needs_35_percent_premature_beats(intervals, expected):
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
def test_beats_are_premature_below_86_percent_of_the_usual_interval(coupling, expected):
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


@pytest.mark.parametrize(
    ("pr", "width", "expected"),
    [
        (100, 110, SUPPORTED),
        (100, 109.9, NOT_MEASURABLE),  # a short PR alone
        (111, 130, NOT_MEASURABLE),
        (129, 130, NOT_MEASURABLE),
        (131, 130, CONTRADICTED),
        (math.nan, 130, NOT_MEASURABLE),
    ],
)
def test_pre_excitation_needs_a_short_pr_and_a_wide_qrs(pr, width, expected, normal):
    features = with_values(normal, pr_interval=pr, qrs_duration=width)
    denied = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED}.get(expected, NOT_MEASURABLE)
    assert [verdict(text, features) for text in ("WPW pattern.", "Delta waves are present.")] == [expected] * 2
    assert verdict("No pre-excitation.", features) == denied


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"conduction": "wpw", "seed": 24}, SUPPORTED),
        ({"pr_interval": 105, "qrs_duration": 75, "seed": 23}, NOT_MEASURABLE),
    ],
)
def test_pre_excitation_of_the_simulator(changes, expected):
    assert verdict("WPW pattern.", extract_features(simulate_ecg(heart_rate=70, **changes).record)) == expected
