# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Tachycardias, pacing, hidden P waves and wide complexes: the simulator's reference marks agree with its signal."""

import numpy as np
import pytest

from processing.ecg_record import STANDARD_LEADS
from processing.simulator.simulator import simulate_ecg

V1, V6, II = (STANDARD_LEADS.index(lead) for lead in ("V1", "V6", "II"))
PACED = ("ventricular_paced", "ventricular_paced_alone", "atrial_paced", "dual_paced")
STILL = (
    "supraventricular_tachycardia",
    "supraventricular_tachycardia_retrograde",
    "ventricular_tachycardia",
    "ventricular_tachycardia_dissociated",
    "wandering_pacemaker",
    "bigeminy",
    "av_block_3",
)
DISCORDANT = ("rbbb_dome", "rbbb_notched", "lbbb_dome", "lbbb_notched")


def spans(ecg, *waves):
    """First and last visible moment of every wave over the leads, `(waves, 2)` s."""
    found = []
    for wave in waves:
        marks = ecg.fiducials[wave]
        shown = np.isfinite(marks[..., 1]).any(axis=0)
        found.append(np.column_stack([np.nanmin(marks[:, shown, 0], axis=0), np.nanmax(marks[:, shown, 2], axis=0)]))
    return np.concatenate(found)


def within(time, span):
    return (time >= span[:, :1]) & (time <= span[:, 1:])


@pytest.mark.parametrize("rhythm", STILL)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_signal_moves_where_waves_are_marked_and_rests_elsewhere(rhythm, seed):
    ecg = simulate_ecg(rhythm, seed=seed)
    time = np.arange(ecg.clean.shape[1]) / 500
    marked = within(time, spans(ecg, "P", "QRS", "T")).any(axis=0)
    inner = (time > 1) & (time < 9)  # nearer to the ends waves may be cut, and are not marked
    # A wave is marked where it is above 3 % of its peak.
    largest = np.maximum(0.03, 0.035 * np.abs(ecg.clean).max(axis=1))
    assert (np.abs(ecg.clean[:, ~marked & inner]).max(axis=1, initial=0) < largest).all()
    for lead in range(12):
        peaks = ecg.fiducials["QRS"][lead, :, 1]
        peaks = peaks[np.isfinite(peaks) & (peaks > 1) & (peaks < 9)]
        assert (np.abs(ecg.clean[lead, np.round(peaks * 500).astype(int)]) > 0.02).mean() > 0.9


@pytest.mark.parametrize(
    "rhythm, low, high, narrow",
    [
        ("supraventricular_tachycardia", 150, 220, True),
        ("supraventricular_tachycardia_retrograde", 150, 210, True),
        ("ventricular_tachycardia", 130, 220, False),
        ("ventricular_tachycardia_dissociated", 130, 190, False),
    ],
)
def test_tachycardias_are_fast_regular_and_led_by_no_p_wave(rhythm, low, high, narrow):
    axes = []
    for seed in range(6):
        ecg = simulate_ecg(rhythm, seed=seed)
        assert low - 2 <= ecg.intervals["heart_rate"] <= high + 2
        rr = np.diff(ecg.beat_times)
        assert rr.std() < 0.03 * rr.mean()
        assert not np.isfinite(ecg.beat_fiducials["P"]).any() and np.isnan(ecg.intervals["pr_interval"])
        assert (ecg.intervals["qrs_duration"] < 110) == narrow
        axes.append(ecg.intervals["qrs_axis"])
        # Every QRS and its T wave end before the next QRS begins.
        assert (ecg.beat_fiducials["T"][:-1, 2] <= ecg.beat_times[1:]).all()
    assert narrow or np.ptp(axes) > 90, "a focus may lie anywhere"


def test_retrograde_p_waves_follow_the_qrs_and_point_upwards():
    ecg = simulate_ecg("supraventricular_tachycardia_retrograde", noise=0, seed=2)
    onsets = ecg.fiducials["P"][II, :, 0]
    delay = onsets[:, None] - ecg.beat_times
    assert (np.abs(delay - 0.09) < 0.03).any(axis=1).mean() > 0.8
    alone = simulate_ecg("supraventricular_tachycardia", heart_rate=ecg.settings["heart_rate"], seed=2)
    assert alone.fiducials["P"].shape[1] == 0 < ecg.fiducials["P"].shape[1]


@pytest.mark.parametrize("rhythm", ["ventricular_tachycardia_dissociated", "av_block_3"])
def test_dissociated_p_waves_keep_their_rate_and_the_hidden_ones_are_named(rhythm):
    hidden = shown = 0
    for seed in range(6):
        ecg = simulate_ecg(rhythm, seed=seed)
        p = spans(ecg, "P")
        assert len(p) == len(ecg.hidden_p)
        rr = np.diff(p[:, 0])
        assert 60 < 60 / rr.mean() < 110 and rr.std() < 0.1 * rr.mean()
        others = spans(ecg, "QRS", "T")
        inner = (p[:, 0] > 1) & (p[:, 1] < 9)
        middle = within(p.mean(axis=1), others).any(axis=0)
        apart = ~((p[:, :1] < others[:, 1]) & (p[:, 1:] > others[:, 0])).any(axis=1)
        deep = within(p[:, 0] + 0.01, others).any(axis=0) & middle & within(p[:, 1] - 0.01, others).any(axis=0)
        assert not ecg.hidden_p[apart & inner].any() and ecg.hidden_p[deep & inner].all()
        hidden, shown = hidden + ecg.hidden_p.sum(), shown + (~ecg.hidden_p).sum()
    assert hidden > 5 and (shown > hidden or rhythm != "av_block_3")


def test_p_waves_of_sinus_rhythm_are_not_hidden():
    assert not any(simulate_ecg(seed=seed).hidden_p.any() for seed in range(5))


def test_a_wandering_pacemaker_changes_p_waves_and_pr():
    ecg = simulate_ecg("wandering_pacemaker", noise=0, seed=1)
    p = ecg.beat_fiducials["P"]
    whole = np.isfinite(p).all(axis=1)
    heights = ecg.clean[II, np.round(p[whole, 1] * 500).astype(int)]
    assert heights.max() > 0.05 and heights.min() < -0.03
    pr = ecg.beat_fiducials["QRS"][whole, 0] - p[whole, 0]
    assert np.ptp(pr) > 0.025


def test_coarse_fibrillation_is_larger_than_usual_fibrillation():
    def waves(rhythm, seed):
        ecg = simulate_ecg(rhythm, seed=seed)
        time = np.arange(5000) / 500
        between = ~within(time, spans(ecg, "QRS", "T")).any(axis=0) & (time > 1) & (time < 9)
        return ecg.clean[V1, between].std()

    for seed in range(4):
        assert waves("atrial_fibrillation_coarse", seed) > 1.5 * waves("atrial_fibrillation", seed)
        assert simulate_ecg("atrial_fibrillation_coarse", seed=seed).fiducials["P"].shape[1] == 0


@pytest.mark.parametrize("rhythm", PACED)
@pytest.mark.parametrize("pacing", [None, "unipolar", "bipolar"])
def test_spikes_are_where_the_truth_says_and_go_just_before_their_waves(rhythm, pacing):
    ecg = simulate_ecg(rhythm, pacing=pacing, noise=0, seed=4)
    expected = 2 if rhythm == "dual_paced" else 1
    assert abs(len(ecg.pacing_spikes) - expected * len(ecg.beat_times)) <= 2 * expected
    onsets = spans(ecg, "P", "QRS")[:, 0]
    jump = np.abs(np.diff(ecg.record.signal, axis=1)).max(axis=0)
    for spike in ecg.pacing_spikes:
        first = round(spike * 500)
        if 1 < first < 4998:
            assert jump[first - 1] > 0.1
        if 0.5 < spike < 9.5:
            wait = onsets - spike
            assert wait[wait > 0].min() < 0.06
    lead_i, lead_ii, lead_iii = ecg.record.signal[:3]
    np.testing.assert_array_equal(lead_iii, lead_ii - lead_i)


def test_unipolar_spikes_are_tall_and_bipolar_ones_small():
    for seed in range(5):
        sizes = {}
        for pacing in ("unipolar", "bipolar"):
            ecg = simulate_ecg("ventricular_paced_alone", pacing=pacing, noise=0, seed=seed)
            at = np.round(ecg.pacing_spikes[1:-1] * 500).astype(int)
            sizes[pacing] = np.abs(ecg.clean[:, at]).max()
        assert sizes["bipolar"] < 1.2 < 2 < sizes["unipolar"]


@pytest.mark.parametrize("conduction", DISCORDANT)
def test_bundle_branch_blocks_are_wide_with_flat_or_notched_tops(conduction):
    lead, sign = (V1, 1) if conduction.startswith("rbbb") else (V6, 1)
    for seed in range(4):
        ecg = simulate_ecg(conduction=conduction, seed=seed)
        assert 138 <= ecg.intervals["qrs_duration"] <= 202
        onset, _, offset = ecg.beat_fiducials["QRS"][3] * 500
        share = np.linspace(0, 1, 101)
        top = sign * np.interp(onset + share * (offset - onset), np.arange(5000), ecg.clean[lead])
        late = top[58:84] if conduction.startswith("rbbb") else top[32:80]
        if conduction.endswith("dome"):
            assert np.ptp(late) < 0.12 * late.max() and late.min() > 0.3
        else:
            inner = (top[1:-1] < top[:-2]) & (top[1:-1] < top[2:]) & (top[1:-1] > 0.1)
            assert inner.any(), "a notch between two summits"


def test_u_waves_are_marked_behind_the_t_waves_of_a_long_qt():
    ecg = simulate_ecg(repolarization="long_qt_u", seed=3)
    assert ecg.intervals["qtc_fridericia"] > 475
    u, t = ecg.beat_fiducials["U"], ecg.beat_fiducials["T"]
    whole = np.isfinite(u).all(axis=1)
    assert whole.sum() >= 6 and (u[whole, 1] > t[whole, 2]).all()
    assert not np.isfinite(simulate_ecg(seed=3).beat_fiducials["U"]).any()


def test_a_delta_wave_rises_slowly():
    def early_share(ecg):
        onset, _, offset = np.round(ecg.beat_fiducials["QRS"][3] * 500).astype(int)
        path = np.abs(np.diff(ecg.clean[:, onset : offset + 1], axis=1)).sum(axis=0).cumsum()
        return path[round(0.3 * len(path))] / path[-1]

    assert early_share(simulate_ecg(conduction="wpw", seed=2)) < 0.6 * early_share(simulate_ecg(seed=2))


@pytest.mark.parametrize(
    "arguments",
    [{"rhythm": "ventricular_tachycardia"}, {"rhythm": "dual_paced", "pacing": "bipolar"}, {"rhythm": "bigeminy"}],
)
def test_the_same_seed_gives_the_same_ecg_and_the_same_truth(arguments):
    first, again = (simulate_ecg(**arguments, seed=8) for _ in range(2))
    np.testing.assert_array_equal(first.record.signal, again.record.signal)
    np.testing.assert_array_equal(first.hidden_p, again.hidden_p)
    np.testing.assert_array_equal(first.pacing_spikes, again.pacing_spikes)
    assert first.report == again.report


def test_intervals_of_bigeminy_are_those_of_the_normal_beats():
    for seed in range(6):
        assert simulate_ecg("bigeminy", seed=seed).intervals["qrs_duration"] < 100


@pytest.mark.parametrize(
    "arguments, label, words",
    [
        ({"rhythm": "supraventricular_tachycardia"}, "SVTAC", "Supraventricular tachycardia"),
        ({"rhythm": "ventricular_tachycardia_dissociated"}, "VTACH", "Ventricular tachycardia with AV dissociation"),
        ({"rhythm": "wandering_pacemaker"}, "SVARR", "Wandering atrial pacemaker"),
        ({"rhythm": "dual_paced", "pacing": "unipolar"}, "PACE", "Dual chamber paced rhythm"),
        ({"conduction": "lbbb_notched"}, "CLBBB", "left bundle branch block"),
        ({"repolarization": "long_qt_u"}, "LNGQT", "U wave"),
    ],
)
def test_labels_and_reports_name_the_rhythm(arguments, label, words):
    ecg = simulate_ecg(**arguments, seed=1)
    assert label in ecg.labels and words in ecg.report and "NORM" not in ecg.labels
