# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Each decision on both sides of its limit, and with missing values."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from processing import ecg_rules as rules
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_limits import QRS_SIZE
from processing.ecg_quality import inspect_record
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.simulator.simulator import simulate_ecg

NORMAL = extract_features(
    simulate_ecg(heart_rate=72, pr_interval=160, qrs_duration=92, qtc=410, axis=45, seed=11).record
)


def features(**changes: Any) -> EcgFeatures:
    """The normal ECG with other values; `V2__st_j60=0.3` changes one lead's."""
    lead_values = {name: np.array(values) for name, values in NORMAL.lead_values.items()}
    for key in [key for key in changes if "__" in key]:
        lead, name = key.split("__")
        lead_values[name][STANDARD_LEADS.index(lead)] = changes.pop(key)
    return dataclasses.replace(NORMAL, lead_values=lead_values, **changes)


@pytest.mark.parametrize(
    ("rule", "name", "yes", "no"),
    [
        (rules.is_long_pr, "pr_interval", 201, (200, math.nan)),
        (rules.is_short_pr, "pr_interval", 119, (120, math.nan)),
        (rules.is_long_qtc, "qtc_bazett", 460, (459, math.nan)),
        (rules.is_incomplete_block, "qrs_duration", 110, (109, 120, math.nan)),
        (rules.is_incomplete_block, "qrs_duration", 119, (120,)),
    ],
)
def test_both_sides_of_a_limit(rule: Any, name: str, yes: float, no: tuple[float, ...]) -> None:
    assert rule(features(**{name: yes}))
    for value in no:
        assert not rule(features(**{name: value})), value


def test_the_limit_of_qtc_follows_the_sex() -> None:
    long = {sex: rules.is_long_qtc(features(qtc_bazett=455, sex=sex)) for sex in ("M", "F", None)}
    assert long == {"M": True, "F": False, None: False}


@pytest.mark.parametrize(
    ("age", "wide", "incomplete"), [(3, 90, 86), (4, 100, 90), (16, 100, 90), (17, 120, 110), (None, 120, 110)]
)
def test_the_limits_of_the_qrs_follow_the_age(age: int | None, wide: float, incomplete: float) -> None:
    assert rules.is_wide_qrs(features(qrs_duration=wide, age=age))
    assert not rules.is_wide_qrs(features(qrs_duration=wide - 1, age=age))
    assert rules.is_incomplete_block(features(qrs_duration=incomplete, age=age))
    assert not rules.is_incomplete_block(features(qrs_duration=incomplete - 1, age=age))


@pytest.mark.parametrize(
    ("age", "normal", "left", "right"),
    [(0, 120, 9, 121), (4, 5, 4, 101), (7, 140, -1, 141), (15, 0, -1, 121), (16, -30, -31, 91), (None, 90, -31, 91)],
)
def test_the_limits_of_the_axis_follow_the_age(age: int | None, normal: float, left: float, right: float) -> None:
    assert [rules.axis_sector(axis, age) for axis in (normal, left, right)] == ["normal", "left", "right"]


@pytest.mark.parametrize(
    ("patterns", "peak", "area", "right"),
    [
        ({"V1": "rsR'", "I": "Rs", "V6": "R"}, 40, 10, True),
        ({"V2": "rSr'", "I": "R", "V6": "Rs"}, 40, -10, True),
        ({"V1": "rsR'", "I": "R", "V6": "qR"}, 40, 10, False),  # no S wave in I and V6
        ({"V1": "R", "I": "Rs"}, 51, 10, True),
        ({"V1": "R", "I": "Rs"}, 49, 10, False),  # upright, but not late
        ({"V1": "rS", "I": "Rs"}, 80, -10, False),
        ({"V1": "rsR'"}, 40, 10, True),  # neither I nor V6 was recorded
    ],
)
def test_right_bundle_branch_block_by_v1_v2_and_the_lateral_s(
    patterns: dict[str, str], peak: float, area: float, right: bool
) -> None:
    qrs = NORMAL.waves["QRS"].copy()
    qrs[..., 1] = NORMAL.beat_waves["QRS"][:, 0] + peak / 1000
    shape = features(qrs_patterns=patterns, waves={**NORMAL.waves, "QRS": qrs}, V1__qrs_area=area)
    assert rules.has_right_block_shape(shape) == right


def test_limits_of_children_are_a_caution() -> None:
    assert "those of adults" in str(features(age=16).cautions)
    assert features(age=17).cautions == features(age=None).cautions == ()


@pytest.mark.parametrize(
    ("degrees", "sector"),
    [
        (-30, "normal"),
        (90, "normal"),
        (-31, "left"),
        (-90, "left"),
        (91, "right"),
        (180, "right"),
        (-91, "extreme"),
        (-179, "extreme"),
    ],
)
def test_sectors_of_the_axis(degrees: float, sector: str) -> None:
    assert rules.axis_sector(degrees) == sector


def test_an_axis_that_was_not_measured_has_no_sector() -> None:
    assert rules.axis_sector(math.nan) is None


def st_segments(at_j: dict[str, float], later: dict[str, float] | None = None) -> EcgFeatures:
    """Leads with these ST levels (mV) at the J point and 60 ms after it; all others are isoelectric."""
    levels = {"st_j": at_j, "st_j60": at_j if later is None else later}
    return features(
        **{f"{lead}__{point}": given.get(lead, 0.0) for point, given in levels.items() for lead in STANDARD_LEADS}
    )


@pytest.mark.parametrize(
    ("leads", "level", "options", "found"),
    [
        (("V5", "V6"), 0.1, {}, True),
        (("V5", "V6"), 0.099, {}, False),
        (("V2", "V3"), 0.2, {}, True),
        (("V2", "V3"), 0.199, {}, False),
        (("V2", "V3"), 0.15, {"sex": "F"}, True),
        (("V2", "V3"), 0.24, {"sex": "M", "age": 30}, False),
        (("V2", "V3"), 0.24, {"sex": "M", "age": 41}, True),
        (("III", "aVF"), 0.1, {}, True),
        (("I", "aVL"), 0.1, {}, True),
        (("V5",), 0.5, {}, False),
        (("V4", "V6"), 0.5, {}, False),
        (("I", "III"), 0.5, {}, False),
        (("aVR", "aVL"), 0.5, {}, False),
        (("V5", "V6"), 0.12, {"margin": 0.03}, False),
        (("V5", "V6"), 0.19, {"factor": 2}, False),
        (("V5", "V6"), math.nan, {}, False),
    ],
)
def test_st_elevation(leads: tuple[str, ...], level: float, options: dict[str, Any], found: bool) -> None:
    patient = {name: options.pop(name) for name in ("sex", "age") if name in options}
    raised = dataclasses.replace(st_segments(dict.fromkeys(leads, level)), **patient)
    assert rules.st_elevated_leads(raised, **options) == (leads if found else ())


@pytest.mark.parametrize(("later", "found"), [(0.1, True), (0.099, False)])
def test_st_elevation_lasts_behind_the_j_point(later: float, found: bool) -> None:
    pair = ("V4", "V5")
    raised = st_segments(dict.fromkeys(pair, 0.3), dict.fromkeys(pair, later))
    assert rules.st_elevated_leads(raised) == (pair if found else ())
    assert rules.st_elevated_leads(st_segments(dict.fromkeys(pair, 0.09), dict.fromkeys(pair, 0.3))) == ()


@pytest.mark.parametrize(
    ("leads", "level", "found"),
    [
        (("V5", "V6"), -0.1, True),
        (("V5", "V6"), -0.099, False),
        (("V5", "V6"), math.nan, False),
        (("V5",), -0.5, False),
        (("II", "III", "aVF"), -0.2, True),
    ],
)
def test_st_depression(leads: tuple[str, ...], level: float, found: bool) -> None:
    lowered = st_segments({}, dict.fromkeys(leads, level))
    assert rules.st_depressed_leads(lowered) == (leads if found else ())


@pytest.mark.parametrize(("beside", "found"), [(25, ("III", "aVF")), (24, ())])
def test_a_q_wave_beside_a_pathological_one_may_be_a_little_shorter(beside: float, found: tuple[str, ...]) -> None:
    short = features(pathological_q=("III",), aVF__q_duration=beside, aVF__q_amplitude=-0.3)
    assert rules.pathological_q_leads(short) == found
    shallow = features(pathological_q=("III",), aVF__q_duration=beside, aVF__q_amplitude=-0.09)
    assert rules.pathological_q_leads(shallow) == ()


def test_a_pathological_q_wave_needs_a_neighbour() -> None:
    assert rules.pathological_q_leads(features(pathological_q=("III",))) == ()
    assert rules.pathological_q_leads(features(pathological_q=("III", "V3"))) == ()
    assert rules.pathological_q_leads(features(pathological_q=("III", "aVF", "V5"))) == ("III", "aVF")


def test_t_inversion_and_q_waves_of_leads() -> None:
    assert rules.inverted_t_waves(("aVR", "V1", "II", "V4"), np.array([-0.5, -0.1, -0.09, np.nan])) == ("V1",)
    assert rules.abnormal_t_inversion_leads(features(t_inversion=("V1", "III", "V4"))) == ("III", "V4")
    leads = ("V1", "aVR", "V2", "V3", "II", "III", "aVF")
    depth = -np.array([0.5, 0.5, 0.04, 0.02, 0.1, 0.09, 0.2])
    width = np.array([40, 40, 20, 30, 30, 40, 29])
    assert rules.pathological_q_waves(leads, depth, width) == ("V2", "II")


def test_low_voltage_asks_for_all_leads_of_a_group() -> None:
    leads = ("I", "II", "III", "V1", "V2", "V3")
    assert rules.low_voltage_share(leads, [0.2, 0.3, 0.49, 0.5, 0.6, 1.5]) == pytest.approx(0.98)
    assert rules.low_voltage_share(leads, [0.2, 0.3, 0.5, 0.5, 0.6, 0.99]) == pytest.approx(0.99)
    assert rules.low_voltage_share(leads, [0.2, 0.3, 0.5, 0.5, 0.6, 1.0]) == 1.0
    assert rules.low_voltage_share(("I", "II"), [math.nan, 0.6]) == pytest.approx(1.2)
    # What is not known, or was not recorded, may be larger, or decide for its group.
    assert math.isnan(rules.low_voltage_share(leads, [math.nan, 0.6, *[math.nan] * 4]))
    assert math.isnan(rules.low_voltage_share(("I", "II"), [0.3, 0.3]))
    assert math.isnan(rules.low_voltage_share(("I", "II", "III", "V1"), [0.6, 0.6, 0.6, 0.4]))
    assert math.isnan(rules.low_voltage_share(leads, [math.nan, 0.3, 0.4, 1.5, 1.5, 1.5]))
    assert rules.low_voltage_share(leads[:3], [0.2, 0.3, 0.4]) == pytest.approx(0.8)
    assert math.isnan(rules.low_voltage_share(leads, [math.nan] * 6))


SIZES = np.array([math.sqrt(QRS_SIZE[lead].low * QRS_SIZE[lead].high) for lead in STANDARD_LEADS])


def test_a_gain_is_suspected_where_most_leads_are_beyond_the_same_limit() -> None:
    beyond, within = SIZES.copy(), SIZES.copy()
    for lead in range(7):
        beyond[lead] = QRS_SIZE[STANDARD_LEADS[lead]].high + 0.01
    within[:6] = beyond[:6]
    found = rules.suspected_gain(STANDARD_LEADS, beyond)
    assert found is not None and found.size == "large" and found.leads == STANDARD_LEADS[:7] and found.ratio > 1
    assert "unusually large in I, II, III" in str(found)
    assert rules.suspected_gain(STANDARD_LEADS, within) is None
    small = rules.suspected_gain(STANDARD_LEADS, SIZES / 10)
    assert small is not None and small.size == "small" and small.ratio == pytest.approx(0.1)


def test_a_gain_is_suspected_later_with_few_leads_and_never_with_unknown_ones() -> None:
    high = QRS_SIZE["II"].high
    assert rules.suspected_gain(("II",), [1.29 * high]) is None
    assert rules.suspected_gain(("II",), [1.31 * high]) is not None
    assert rules.suspected_gain(("X", "Y"), [50.0, 50.0]) is None
    assert rules.suspected_gain(STANDARD_LEADS, [math.nan] * 12) is None


@pytest.mark.parametrize(("factor", "suspected"), [(1.0, False), (5.0, True), (0.2, True)])
def test_a_gain_five_times_off_is_suspected_by_features_and_inspection(factor: float, suspected: bool) -> None:
    record = EcgRecord(simulate_ecg(heart_rate=72, seed=11).record.signal * factor, STANDARD_LEADS, 500)
    measured = extract_features(record)
    for said in (measured.cautions, measured.to_text(), inspect_record(record)["suspicions"]):
        assert ("a false gain?" in str(said)) == suspected


@pytest.mark.parametrize(
    ("rate", "doubt"),
    [
        (50.0, "intervals, ST levels and Q waves, which are withheld"),
        (64.0, "which are withheld"),
        (80.0, "intervals are uncertain by 12 ms"),
        (100.0, None),
        (500.0, None),
    ],
)
def test_a_coarse_rate_is_a_caution_everywhere(rate: float, doubt: str | None) -> None:
    record = simulate_ecg(heart_rate=72, sampling_rate=rate, seed=11).record
    measured = extract_features(record)
    again = EcgFeatures.from_dict(measured.to_dict(full=True))
    written = measured.to_dict(full=True)["record"]["cautions"]
    for said in (measured.cautions, again.cautions, written, measured.to_text(), inspect_record(record)["suspicions"]):
        assert ("too coarse" in str(said)) == (doubt is not None)
        assert doubt is None or doubt in str(said)


def test_voltage_ratios_are_shares_of_their_limits() -> None:
    high = features(sokolow_lyon=4.2, cornell=2.4, aVL__r_amplitude=0.55, V5__r_amplitude=2.6)
    ratios = rules.voltage_ratios(high)
    assert ratios["Sokolow-Lyon"] == pytest.approx(1.2) and ratios["Cornell"] == pytest.approx(1.0)
    assert ratios["R in aVL"] == pytest.approx(0.5) and ratios["R in V5"] == pytest.approx(1.0)
    by_sex = {sex: rules.voltage_ratios(dataclasses.replace(high, sex=sex))["Cornell"] for sex in ("F", "M")}
    assert by_sex == pytest.approx({"F": 1.2, "M": 2.4 / 2.8})
    assert "Cornell" not in rules.voltage_ratios(features(cornell=math.nan))


@pytest.mark.parametrize(
    ("rr", "words"),
    [
        ([800, 840, 880], "regular"),
        ([800] * 9 + [899], "mostly regular"),
        ([800] * 7 + [500] * 3, "mostly regular"),
        ([800] * 13 + [500] * 7, "irregular"),
        ([800], None),
    ],
)
def test_regularity(rr: list[float], words: str | None) -> None:
    assert rules.regularity(np.array(rr, dtype=float)) == words


def test_walls_need_two_of_their_leads() -> None:
    assert rules.walls_of(("III", "aVF", "V1")) == {"inferior": ("III", "aVF")}
    assert rules.walls_of(("V5", "I", "aVR")) == {"lateral": ("I", "V5")}
    assert set(rules.walls_of(STANDARD_LEADS)) == {"inferior", "anterior", "lateral"}
