# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
import math

import numpy as np
import pytest

from processing.ecg_record import STANDARD_LEADS
from processing.errors_gem import EcgFormatError
from processing.simulator.patterns import CONDUCTION, HYPERTROPHY, ISCHEMIA, REPOLARIZATION
from processing.simulator.rhythms import RHYTHMS
from processing.simulator.simulator import NoiseLevels, simulate_ecg

EVERYTHING = (
    [{"rhythm": name} for name in RHYTHMS]
    + [{"conduction": name} for name in CONDUCTION]
    + [{"ischemia": name} for name in ISCHEMIA]
    + [{"hypertrophy": name} for name in HYPERTROPHY]
    + [{"repolarization": name} for name in REPOLARIZATION]
)


def named(arguments):
    return next(iter(arguments.values()))


@pytest.mark.parametrize("arguments", EVERYTHING, ids=named)
def test_limb_leads_obey_einthoven_exactly_and_fiducials_are_in_order(arguments):
    ecg = simulate_ecg(**arguments, seed=3)
    signal = ecg.record.signal
    assert signal.shape == (12, 5000) and signal.dtype == np.float32 and ecg.record.leads == STANDARD_LEADS
    lead_i, lead_ii, lead_iii, avr, avl, avf = signal[:6]
    np.testing.assert_array_equal(lead_iii, lead_ii - lead_i)
    np.testing.assert_array_equal(avr, -(lead_i + lead_ii) / 2)
    np.testing.assert_array_equal(avl, lead_i - lead_ii / 2)
    np.testing.assert_array_equal(avf, lead_ii - lead_i / 2)
    for wave in ("P", "QRS", "T"):
        for marks in (ecg.fiducials[wave], ecg.beat_fiducials[wave]):
            known = marks[np.isfinite(marks).all(axis=-1)]
            assert (np.diff(known, axis=-1) >= 0).all()
    assert 4 <= len(ecg.beat_times) <= 30
    assert ecg.labels and ecg.report.endswith(".")


def test_the_same_seed_gives_the_same_ecg_and_another_seed_another():
    first, again, other = (simulate_ecg(seed=seed).record.signal for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_numbers_asked_for_are_the_numbers_drawn():
    ecg = simulate_ecg(heart_rate=75, pr_interval=180, qrs_duration=96, qtc=410, axis=20, seed=1)
    truth = ecg.intervals
    assert truth["heart_rate"] == pytest.approx(75, abs=1.5)
    assert truth["pr_interval"] == pytest.approx(180, abs=2)
    assert truth["qrs_duration"] == pytest.approx(96, abs=2)
    assert truth["qtc_fridericia"] == pytest.approx(410, abs=6)
    assert truth["qrs_axis"] == pytest.approx(20, abs=3)
    assert truth["qtc_bazett"] == pytest.approx(truth["qt_interval"] / math.sqrt(truth["rr_interval"] / 1000))


def test_clean_signal_is_zero_between_the_waves_and_inside_them_it_is_not():
    ecg = simulate_ecg(heart_rate=50, seed=2)
    rate = ecg.record.sampling_rate
    t_end, next_p = ecg.beat_fiducials["T"][2, 2], ecg.beat_fiducials["P"][3, 0]
    between = ecg.clean[:, round((t_end + 0.01) * rate) : round((next_p - 0.01) * rate)]
    assert between.shape[1] > 50 and np.abs(between).max() == 0
    for wave in ("P", "QRS", "T"):
        onset, _, offset = ecg.beat_fiducials[wave][3]
        assert np.abs(ecg.clean[:, round(onset * rate) : round(offset * rate)]).max() > 0.05


def test_without_noise_the_record_is_the_clean_signal_to_one_step_of_the_converter():
    ecg = simulate_ecg(noise=0, seed=4)
    assert np.abs(ecg.record.signal - ecg.clean).max() < 2.0**-9
    loud = simulate_ecg(noise=NoiseLevels(wander=0, muscle=0.05, mains=0), seed=4)
    assert 0.02 < np.std(loud.record.signal - loud.clean) < 0.2


@pytest.mark.parametrize(
    "territory, elevated, reciprocal",
    [("anterior_stemi", ("V2", "V3"), ()), ("inferior_stemi", ("II", "III", "aVF"), ("aVL",))],
)
def test_st_elevation_is_in_its_territory(territory, elevated, reciprocal):
    level = simulate_ecg(ischemia=territory, seed=8).st_level
    assert all(level[lead]["J"] > 0.1 for lead in elevated)
    assert all(level[lead]["J"] < -0.05 for lead in reciprocal)
    assert max(abs(values["J"]) for values in simulate_ecg(seed=8).st_level.values()) < 0.01


@pytest.mark.parametrize(
    "territory, leads",
    [
        ("anterior_ischemia", ("V1", "V2", "V3")),
        ("inferior_ischemia", ("II", "III", "aVF")),
        ("lateral_ischemia", ("I", "aVL", "V5", "V6")),
        ("subendocardial_ischemia", ("II", "V4", "V5", "V6")),
    ],
)
def test_st_depression_is_in_its_territory(territory, leads):
    ecg = simulate_ecg(ischemia=territory, seed=8)
    assert all(ecg.st_level[lead]["J+60"] < -0.08 for lead in leads)
    assert "STD_" in ecg.labels and "ST depression" in ecg.report


def test_conduction_shows_in_the_qrs():
    block = {name: simulate_ecg(conduction=name, seed=9) for name in CONDUCTION}
    assert block["lbbb"].intervals["qrs_duration"] > 120 < block["rbbb"].intervals["qrs_duration"]
    v1 = STANDARD_LEADS.index("V1")
    onset, _, offset = (block["rbbb"].beat_fiducials["QRS"][2] * 500).astype(int)
    terminal = block["rbbb"].clean[v1, onset + (offset - onset) * 6 // 10 : offset]
    assert terminal.max() > 0.3, "RBBB ends with R' in V1"
    onset, _, offset = (block["lbbb"].beat_fiducials["QRS"][2] * 500).astype(int)
    assert block["lbbb"].clean[v1, onset:offset].min() < -0.8
    assert block["lafb"].intervals["qrs_axis"] < -30 and block["lpfb"].intervals["qrs_axis"] > 90
    assert block["wpw"].intervals["pr_interval"] < 120


def test_rhythms_conduct_as_they_are_called():
    assert not np.isfinite(simulate_ecg("atrial_fibrillation", seed=1).beat_fiducials["P"]).any()
    fibrillation = np.diff(simulate_ecg("atrial_fibrillation", seed=1).beat_times)
    assert fibrillation.std() / fibrillation.mean() > 0.12
    halved = simulate_ecg("av_block_2_to_1", seed=1)
    assert halved.fiducials["P"].shape[1] >= 2 * len(halved.beat_times) - 2
    complete = simulate_ecg("av_block_3", seed=1)
    assert not np.isfinite(complete.beat_fiducials["P"]).any() and complete.fiducials["P"].shape[1] > 9
    growing = simulate_ecg("av_block_2_mobitz_1", seed=1)
    pr = growing.beat_fiducials["QRS"][:, 0] - growing.beat_fiducials["P"][:, 0]
    assert np.nanmax(pr) - np.nanmin(pr) > 0.08
    assert "ventricular_premature" in simulate_ecg("bigeminy", seed=1).beat_kinds
    assert len(simulate_ecg("ventricular_paced", seed=1).pacing_spikes) >= 8
    assert np.diff(simulate_ecg("sinus_pause", seed=1).beat_times).max() > 1.9


def test_patterns_change_what_they_name():
    usual = simulate_ecg(seed=7)
    size = {name: np.ptp(simulate_ecg(hypertrophy=name, seed=7).clean[10]) for name in ("lvh", "lvh_strain")}
    assert min(size.values()) > 1.3 * np.ptp(usual.clean[10])
    qtc = {name: simulate_ecg(repolarization=name, seed=7).intervals["qtc_fridericia"] for name in REPOLARIZATION}
    assert qtc["long_qt"] > 480 > 345 > qtc["short_qt"]
    assert qtc["hypercalcemia"] < 360 and qtc["hypocalcemia"] > 470
    peaked = simulate_ecg(repolarization="hyperkalemia", seed=7)
    onset, _, offset = (usual.beat_fiducials["T"][2] * 500).astype(int)
    assert peaked.clean[8].max() > 2 * usual.clean[8, onset:offset].max()


@pytest.mark.parametrize("rate, duration", [(100, 10), (250, 4), (1000, 2.5)])
def test_other_rates_and_lengths(rate, duration):
    ecg = simulate_ecg(sampling_rate=rate, duration=duration, seed=1)
    assert ecg.record.signal.shape == (12, round(rate * duration)) and ecg.record.sampling_rate == rate
    slow = simulate_ecg(sampling_rate=500, duration=duration, seed=1)
    np.testing.assert_allclose(ecg.beat_times, slow.beat_times)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"rhythm": "waltz"}, "rhythm='waltz'"),
        ({"conduction": "slow"}, "conduction='slow'"),
        ({"ischemia": "lots"}, "ischemia='lots'"),
        ({"heart_rate": -3}, "heart_rate=-3"),
        ({"duration": 0}, "duration=0"),
        ({"pr_interval": 5000}, "pr_interval=5000"),
        ({"sampling_rate": 1}, "sampling_rate=1"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(EcgFormatError, match=words):
        simulate_ecg(**arguments)


def test_report_and_labels_say_what_was_drawn():
    ecg = simulate_ecg("atrial_fibrillation", conduction="lbbb", hypertrophy="lvh", seed=1)
    assert set(ecg.labels) == {"AFIB", "CLBBB", "LVH"}
    assert "Atrial fibrillation" in ecg.report and "left bundle branch block" in ecg.report
    assert "PR " not in ecg.report
    normal = simulate_ecg(heart_rate=70, axis=40, seed=1)
    assert set(normal.labels) == {"SR", "NORM"} and "Normal ECG." in normal.report
