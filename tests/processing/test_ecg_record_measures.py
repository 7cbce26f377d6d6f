# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`extract_features` measures what was drawn, by formula and on both sides of every limit."""

import dataclasses
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.ecg_beat_measures import qrs_measures
from processing.ecg_features import extract_features
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.ecg_record_measures import qrs_patterns, voltages
from processing.simulator.simulator import simulate_ecg
from tests.helpers.drawn_ecg import RATE, drawn_ecg, drawn_lead

CHEST = STANDARD_LEADS[6:]
LIMB = STANDARD_LEADS[:6]
TIME = np.arange(10 * RATE) / RATE
ONE_LEAD = drawn_lead(TIME, np.arange(0.4, 9.5, 0.8))


DRAWN = tuple(lead for lead in STANDARD_LEADS if lead != "I")


def measured(leads=None, others=None, onsets=None):
    """Features of a drawn ECG: `leads` name those that differ from the `others`. Limb leads that are drawn freely break the laws
    that make a record suspect; they are not tested without lead I."""
    waves = {lead: dict(others or {}) | dict((leads or {}).get(lead, {})) for lead in DRAWN}
    return extract_features(drawn_ecg(waves, onsets))


def turned(angle, leads):
    """The heart's dipole of `ONE_LEAD` at `angle` in the frontal plane, as the limb leads' electrodes see it."""
    x, y = math.cos(math.radians(angle)) * ONE_LEAD, math.sin(math.radians(angle)) * ONE_LEAD
    one, two = x, x / 2 + math.sqrt(3) / 2 * y  # Einthoven's triangle: lead II is at 60 degrees
    rows = {"I": one, "II": two, "III": two - one, "aVR": -(one + two) / 2, "aVL": one - two / 2, "aVF": two - one / 2}
    return EcgRecord(np.stack([*(rows[lead] for lead in leads), ONE_LEAD]), (*leads, "V5"), RATE)


# Multiples of 30 degrees left out: a lead at a right angle to the dipole is flat, and there is no axis from it.
@pytest.mark.parametrize("angle", range(-165, 180, 30))
@pytest.mark.parametrize("leads", [LIMB, ("I", "aVF"), ("I", "II")], ids="+".join)
def test_the_axis_turns_with_the_dipole(angle, leads):
    assert extract_features(turned(angle, leads)).qrs_axis == pytest.approx(angle, abs=1)


def test_there_is_no_axis_without_lead_i():
    assert math.isnan(extract_features(turned(50, ("II", "III"))).qrs_axis)


def test_axes_of_p_and_t_are_their_own():
    features = extract_features(simulate_ecg(axis=-60, conduction="lafb", noise=0, seed=3).record)
    assert features.qrs_axis < -45 and 20 < features.p_axis < 80 and -20 < features.t_axis < 90


AMPLITUDES = ("p_amplitude", "q_amplitude", "r_amplitude", "s_amplitude", "qrs_amplitude", "t_amplitude", "st_j", "st_j60", "st_j80", "qrs_area")  # fmt: skip
SIMULATED = simulate_ecg(heart_rate=70, ischemia="inferior_stemi", noise=0, seed=4).record


@settings(deadline=None, max_examples=8)
@given(st.floats(0.7, 1.6))
def test_amplitudes_follow_the_signal_and_times_do_not(factor):
    plain, scaled = extract_features(SIMULATED), extract_features(SIMULATED.signal * np.float32(factor), 500)
    for name in AMPLITUDES:
        found, expected = scaled.lead_values[name], factor * plain.lead_values[name]
        both = np.isfinite(found) & np.isfinite(expected)
        assert both.sum() >= 8
        np.testing.assert_allclose(found[both], expected[both], rtol=0.06, atol=0.02 if name != "qrs_area" else 1.5)
    assert scaled.sokolow_lyon == pytest.approx(factor * plain.sokolow_lyon, rel=0.02)
    assert scaled.cornell == pytest.approx(factor * plain.cornell, rel=0.02)
    for name in ("heart_rate", "pr_interval", "qrs_duration", "qt_interval", "qrs_axis"):
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name), abs=8)


def test_upside_down_every_amplitude_changes_its_sign():
    plain = measured(others={"q": 0.0, "s": 0.02, "st": 0.1})
    mirrored = measured(others={"q": 0.0, "s": -0.02, "p": -0.12, "r": -1.0, "st": -0.1, "t": -0.3})
    for name in ("t_amplitude", "st_j60", "qrs_area"):
        np.testing.assert_allclose(mirrored.lead_values[name], -plain.lead_values[name], rtol=0.05, atol=0.02)
    np.testing.assert_allclose(mirrored.lead_values["s_amplitude"], -plain.lead_values["r_amplitude"], rtol=0.05)
    assert set(mirrored.qrs_patterns.values()) == {"QS"} and set(plain.qrs_patterns.values()) == {"R"}


# Intervals -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uneven():
    """RR intervals of 600 to 1200 ms, each different from its neighbours."""
    onsets = np.cumsum([0.4, 0.8, 1.2, 0.6, 1.0, 0.7, 1.1, 0.8, 1.2, 0.6])
    return measured(onsets=onsets)


def test_rr_intervals_and_rates_of_single_beats(uneven):
    drawn = [800, 1200, 600, 1000, 700, 1100, 800, 1200, 600]
    np.testing.assert_allclose(uneven.rr_intervals, drawn, atol=6)
    before, after = (uneven.sequence(f"RR Interval {number}", "II") for number in (1, 2))
    assert math.isnan(before[0]) and math.isnan(after[-1])
    np.testing.assert_allclose(before[1:], drawn, atol=6)
    np.testing.assert_allclose(after[:-1], drawn, atol=6)
    rates = uneven.sequence("Heart Rate", "II")
    np.testing.assert_allclose(rates[1:], 60000 / before[1:])
    assert rates[0] == pytest.approx(60000 / after[0]), "the first beat has no RR interval before it"
    assert uneven.heart_rate == pytest.approx(60000 / np.mean(drawn), rel=0.01)
    assert uneven.rr_variability == pytest.approx(np.std(drawn) / np.mean(drawn), rel=0.03)


def test_qtc_is_bazetts_with_the_rr_interval_before_the_beat(uneven):
    """Bazett 1920: QT / sqrt(RR in s); the QT of a beat depends on the interval that went before."""
    qt, qtc, before = (uneven.sequence(name, "II") for name in ("QT Interval", "QTc Interval", "RR Interval 1"))
    known = np.isfinite(qt)
    assert known[1:].sum() >= 6
    np.testing.assert_allclose(qtc[1:][known[1:]], (qt / np.sqrt(before / 1000))[1:][known[1:]], rtol=1e-6)


def test_qtc_of_the_record_by_both_formulas(uneven):
    """Fridericia 1920: QT / cbrt(RR in s)."""
    seconds = uneven.rr_interval / 1000
    assert uneven.qtc_bazett == pytest.approx(uneven.qt_interval / seconds ** (1 / 2))
    assert uneven.qtc_fridericia == pytest.approx(uneven.qt_interval / seconds ** (1 / 3))
    assert abs(seconds - 1) > 0.05, "at one second they would be the same"


@pytest.mark.parametrize(
    ("late", "by", "words"),
    [
        ((4,), 0.07, "regular"),  # 9 % of 800 ms
        ((4,), 0.09, "mostly regular"),  # 11 %, in two intervals of ten
        ((4, 10), 0.09, "mostly regular"),  # in three
        ((4, 6), 0.09, "irregular"),  # in four
    ],
)
def test_regularity_by_the_share_of_intervals_within_a_tenth_of_their_median(late, by, words):
    onsets = 0.4 + 0.8 * np.arange(11)
    onsets[list(late)] += by
    assert measured(onsets=onsets).rhythm_regularity == words


# Levels and forms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "form"),
    [(0.09, ""), (0.11, "elevated "), (-0.09, ""), (-0.11, "depressed "), (0.19, "elevated "), (-0.19, "depressed ")],
)
def test_st_is_elevated_or_depressed_from_a_tenth_of_a_millivolt_on(level, form):
    features = measured({"V4": {"st": level}})
    assert features.lead_value("st_j60", "V4") == pytest.approx(level, abs=0.005)
    assert features.st_level["V4"]["J+80"] == pytest.approx(level, abs=0.005)
    assert set(features.sequence("ST Form", "V4")) == {f"{form}horizontal"}
    assert set(features.sequence("ST Form", "V5")) == {"horizontal"}


@pytest.mark.parametrize(
    ("slope", "word"), [(0.55, "horizontal"), (0.7, "upsloping"), (-0.55, "horizontal"), (-0.7, "downsloping")]
)
def test_st_slopes_from_five_hundredths_of_a_millivolt_on(slope, word):
    """The line rises by `slope` mV/s from J on: 44 or 56 uV until J + 80 ms."""
    record = drawn_ecg({lead: {"t": 0.0, "p": 0.0} for lead in DRAWN})
    signal = np.array(record.signal)
    for onset in np.arange(0.4, 9.5, 0.8):
        ramp = TIME - (onset + 0.1)
        signal += slope * np.where((ramp > 0) & (ramp < 0.2), ramp, 0).astype(np.float32)
    forms = extract_features(EcgRecord(signal, DRAWN, RATE)).sequence("ST Form", "V4")
    assert all(form.endswith(word) for form in forms if form) and any(forms)


@pytest.mark.parametrize(("height", "inverted"), [(-0.09, False), (-0.11, True), (0.3, False)])
def test_t_waves_are_inverted_from_a_tenth_of_a_millivolt_on(height, inverted):
    features = measured({lead: {"t": height} for lead in ("V4", "aVR")})
    assert features.t_inversion == (("V4",) if inverted else ()), "an inverted T in aVR is the rule"


@pytest.mark.parametrize(
    ("lead", "depth", "width", "pathological"),
    [
        # Fourth Universal Definition of Myocardial Infarction: 30 ms and 0.1 mV; 20 ms in V2 and V3.
        ("III", 0.3, 0.024, False),
        ("III", 0.3, 0.036, True),
        ("III", 0.07, 0.044, False),
        ("III", 0.13, 0.044, True),
        ("V2", 0.3, 0.015, False),
        ("V2", 0.3, 0.024, True),
        ("V3", 0.3, 0.024, True),
        ("V4", 0.3, 0.024, False),
        ("V1", 0.3, 0.036, False),
        ("aVR", 0.3, 0.036, False),
    ],
)
def test_q_waves_are_pathological_by_depth_and_width(lead, depth, width, pathological):
    features = measured({lead: {"q": depth, "q_s": width}})
    assert features.pathological_q == ((lead,) if pathological else ())
    assert features.lead_value("q_amplitude", lead) == pytest.approx(-depth, abs=0.03)


def test_a_qs_counts_with_its_whole_width():
    features = measured({lead: {"r": 0.0, "s": 0.0, "q": 0.5, "q_s": 0.08} for lead in ("V2", "III")})
    assert features.pathological_q == ("III", "V2") and features.qrs_patterns["III"] == "QS"
    assert features.lead_value("r_amplitude", "III") == 0 and features.lead_value("q_duration", "III") > 60


# Voltages --------------------------------------------------------------------------------------------------------------

# Of each lead another height and depth, so that no two sums are the same.
HEIGHTS = {
    lead: {"r": round(0.3 + 0.1 * i, 2), "s": round(1.6 - 0.11 * i, 2)} for i, lead in enumerate(STANDARD_LEADS)
}


def test_sokolow_lyon_and_cornell_take_their_leads():
    features = measured(HEIGHTS)
    r = {lead: features.lead_value("r_amplitude", lead) for lead in DRAWN}
    s = {lead: -features.lead_value("s_amplitude", lead) for lead in DRAWN}
    for lead in DRAWN:
        assert r[lead] == pytest.approx(HEIGHTS[lead]["r"], abs=0.05)
        assert s[lead] == pytest.approx(HEIGHTS[lead]["s"], abs=0.05)
    # Sokolow and Lyon 1949: S in V1 + the larger R of V5 and V6. Casale 1985: R in aVL + S in V3.
    assert features.sokolow_lyon == pytest.approx(s["V1"] + r["V6"]) and r["V6"] > r["V5"]
    assert features.cornell == pytest.approx(r["aVL"] + s["V3"])
    swapped = measured(HEIGHTS | {"V5": {"r": 2.0}})
    assert swapped.sokolow_lyon == pytest.approx(s["V1"] + 2.0, abs=0.05)


@pytest.mark.parametrize(
    ("heights", "q", "r", "s"),
    [
        ((0.2, -1.0, 0.4), 0.0, 0.4, -1.0),  # rSr': S lies before the highest point
        ((-0.3, 1.0, -0.5), -0.3, 1.0, -0.5),  # qRs
        ((0.08, -0.6, 0.9), -0.6, 0.9, 0.0),  # less than a small square is no R: qR
        ((-0.5, -1.0, 0.2), -1.0, 0.2, 0.0),  # a QS, and the ST segment above it
        ((-0.5, -1.0, -0.2), -1.0, 0.0, -1.0),  # a QS
    ],
)
def test_q_lies_before_the_first_r_and_s_behind_it(heights, q, r, s):
    level = np.zeros((1, 500))
    level[0, 200:230] = np.repeat(heights, 10)
    found = qrs_measures(level, np.array([[[195.0, 215.0, 235.0]]]))
    assert [float(found[f"{wave}_amplitude"][0, 0]) for wave in "qrs"] == [q, r, s]


def test_a_complex_without_marks_has_no_values_and_raises_no_warning():
    marks = np.array([[[100.0, 120.0, 150.0]], [[np.nan, np.nan, np.nan]]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = qrs_measures(np.stack([ONE_LEAD, ONE_LEAD]), marks)
    for name, value in values.items():
        assert np.isfinite(value[0]).all(), name
        assert np.isnan(value[1]).all(), name


def test_voltages_take_the_deepest_point_of_v1_and_v3():
    values = {
        "r_amplitude": [0.2, 0.3, 1.5, 0.6],
        "q_amplitude": [-1.4, 0.0, 0.0, 0.0],
        "s_amplitude": [0.0, -0.9, 0.0, 0.0],
    }
    found = voltages(
        ("V1", "V3", "V5", "aVL"),
        {name: np.array(row) for name, row in values.items()} | {"qrs_amplitude": np.ones(4)},
    )
    assert found["sokolow_lyon"] == pytest.approx(2.9) and found["cornell"] == pytest.approx(1.5)


def test_the_transition_is_the_first_chest_lead_whose_r_exceeds_its_s():
    for first in CHEST:
        waves = {lead: {"r": 1.0, "s": 0.5} if lead >= first else {"r": 0.5, "s": 1.0} for lead in CHEST}
        assert measured(waves).r_transition == first
    assert measured({lead: {"r": 0.5, "s": 1.0} for lead in CHEST}).r_transition is None


@pytest.mark.parametrize(("height", "poor"), [(0.28, True), (0.33, False)])
def test_r_in_v3_progresses_poorly_up_to_three_tenths_of_a_millivolt(height, poor):
    assert measured({"V3": {"r": height, "s": 1.0}}).poor_r_progression == poor


@pytest.mark.parametrize(
    ("limb", "chest", "low"),
    [(0.47, 1.5, True), (0.55, 1.5, False), (1.0, 0.95, True), (1.0, 1.08, False), (0.55, 1.08, False)],
)
def test_low_voltage_below_half_a_millivolt_in_limb_or_one_in_chest_leads(limb, chest, low):
    waves = {lead: {"r": limb if lead in LIMB else chest, "s": 0.02, "p": 0.05} for lead in DRAWN}
    assert measured(waves).low_voltage == low
    # One lead that reaches the limit is enough.
    assert not measured(waves | {"II": {"r": 0.6, "s": 0.0}, "V4": {"r": 1.1, "s": 0.0}}).low_voltage


@pytest.mark.parametrize(("height", "letters"), [(0.44, "rs"), (0.56, "Rs")])
def test_capital_letters_from_half_a_millivolt_on(height, letters):
    assert measured({"V4": {"r": height, "s": 0.2}}).qrs_patterns["V4"] == letters


def test_waves_below_six_hundredths_of_a_millivolt_have_no_letter():
    assert measured({"V4": {"s": 0.05}}).qrs_patterns["V4"] == "R"
    assert measured({"V4": {"s": 0.08}}).qrs_patterns["V4"] == "Rs"


@pytest.mark.parametrize(("st", "letters"), [(0.0, "rSr'"), (0.1, "rSr'"), (0.15, "rS"), (0.25, "rS")])
def test_a_raised_st_segment_is_no_second_r_wave(st, letters):
    """The line rises to 0.2 mV at the end of the complex; it is a wave only if the line comes back."""
    drawn = np.concatenate([[0.0, 0.1, 0.2, 0.1, -0.6, -1.0, -0.4, 0.1, 0.2], np.full(30, st)])
    inside = np.arange(len(drawn)) < 10
    assert qrs_patterns(("V1",), drawn[None], inside[None]) == {"V1": letters}
    mirrored = {"rSr'": "qRs", "rS": "qR"}[letters]
    assert qrs_patterns(("V1",), -drawn[None], inside[None]) == {"V1": mirrored}


# Quality ---------------------------------------------------------------------------------------------------------------


def spoiled(change):
    """The verdict about V4 and its numbers, after `change(row)`."""
    signal = np.array(drawn_ecg({lead: {} for lead in STANDARD_LEADS}).signal)
    signal += np.random.default_rng(1).normal(0, 0.002, signal.shape).astype(np.float32)
    change(signal[STANDARD_LEADS.index("V4")])
    quality = extract_features(signal, RATE).quality
    assert all(entry["verdict"] == "good" for lead, entry in quality.items() if lead != "V4")
    return quality["V4"]


def gap(share):
    def change(row):
        row[: round(share * len(row))] = np.nan

    return change


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.045, "good"), (0.055, "poor"), (0.48, "poor"), (0.52, "missing"), (1.0, "missing")]
)
def test_missing_samples_make_a_lead_poor_or_missing(share, verdict):
    quality = spoiled(gap(share))
    assert quality["verdict"] == verdict and quality["missing_share"] == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize(("size", "verdict"), [(0.035, "good"), (0.065, "poor")])
def test_noise_makes_a_lead_poor(size, verdict):
    def change(row):
        row += np.random.default_rng(2).normal(0, size, len(row))

    quality = spoiled(change)
    assert quality["verdict"] == verdict and quality["noise_mv"] == pytest.approx(size, rel=0.25)


@pytest.mark.parametrize(("size", "verdict"), [(0.4, "good"), (0.65, "poor")])
def test_wander_makes_a_lead_poor(size, verdict):
    def change(row):
        row += size * math.sqrt(2) * np.sin(2 * np.pi * 0.2 * TIME)

    quality = spoiled(change)
    assert quality["verdict"] == verdict and quality["wander_mv"] == pytest.approx(size, rel=0.15)


@pytest.mark.parametrize(("limit", "verdict"), [(0.99, "good"), (0.3, "poor")])
def test_clipping_makes_a_lead_poor(limit, verdict):
    quality = spoiled(lambda row: np.clip(row, -5, limit, out=row))
    assert quality["verdict"] == verdict and (quality["saturated_share"] > 0.02) == (verdict == "poor")


def test_a_lead_that_spans_less_than_two_hundredths_of_a_millivolt_is_flat():
    assert spoiled(lambda row: row.fill(0.3))["verdict"] == "flat"
    assert spoiled(lambda row: np.copyto(row, 0.009 * np.sin(TIME)))["flat_share"] == 1.0
    assert spoiled(lambda row: np.copyto(row, 0.011 * np.sin(TIME)))["flat_share"] < 0.95


def test_measures_are_those_of_the_leads_that_are_named():
    """Leads are found by name, not by position: the same rows in another order give the same values."""
    record = simulate_ecg(seed=6).record
    order = list(np.random.default_rng(0).permutation(12))
    plain = extract_features(record)
    mixed = extract_features(record.signal[order], 500, leads=[record.leads[i] for i in order])
    for lead in STANDARD_LEADS:
        assert mixed.lead_value("r_amplitude", lead) == pytest.approx(plain.lead_value("r_amplitude", lead), abs=1e-4)
    for field in dataclasses.fields(plain):
        value = getattr(plain, field.name)
        if isinstance(value, float):
            assert getattr(mixed, field.name) == pytest.approx(value, nan_ok=True, rel=1e-4), field.name
