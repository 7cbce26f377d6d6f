# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
import json
import math

import numpy as np
import pytest
from transformers import AutoTokenizer

from modeling_gem import default_checkpoint
from processing.ecg_beat_measures import SEQUENCES
from processing.ecg_electrodes import limb_lead_reversal
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_readers import load_ecg
from processing.ecg_record import LIMB_LEADS, STANDARD_LEADS, EcgRecord
from processing.errors_gem import EcgFormatError, EcgLeadError
from processing.simulator.simulator import simulate_ecg
from tests.helpers.disturbances import with_exchanged_arms
from tests.helpers.rhythm_ecgs import simulated_rhythm


@pytest.fixture(scope="module")
def normal():
    return simulate_ecg(heart_rate=72, pr_interval=160, qrs_duration=92, qtc=405, axis=45, seed=11)


@pytest.fixture(scope="module")
def features(normal):
    return extract_features(normal.record)


def test_the_fourteen_sequences_have_one_value_per_lead_and_beat(features):
    assert list(features.sequences) == list(SEQUENCES) and len(SEQUENCES) == 14
    beats = len(features.beat_times)
    assert beats in (11, 12, 13)
    for name, values in features.sequences.items():
        assert values.shape == (12, beats), name
    assert (np.diff(features.beat_times) > 0).all()


def test_record_measures_match_the_simulator(normal, features):
    truth = normal.intervals
    assert features.heart_rate == pytest.approx(truth["heart_rate"], abs=0.5)
    assert features.rr_interval == pytest.approx(truth["rr_interval"], abs=3)
    # Readers mark the QRS about 13 ms outside its mathematical support on either side; the record's intervals keep 9 of these.
    assert features.pr_interval == pytest.approx(truth["pr_interval"] - 1, abs=12)
    assert features.qrs_duration == pytest.approx(truth["qrs_duration"] + 16, abs=10)
    assert features.qt_interval == pytest.approx(truth["qt_interval"] + 14, abs=12)
    # The simulator states the axis of the areas, ours is that of the amplitudes.
    assert features.qrs_axis == pytest.approx(truth["qrs_axis"], abs=6)
    assert features.qtc_bazett == pytest.approx(features.qt_interval / math.sqrt(features.rr_interval / 1000))
    assert features.qtc_fridericia == pytest.approx(features.qt_interval / np.cbrt(features.rr_interval / 1000))
    assert features.rhythm_regularity == "regular" and features.p_present
    assert features.limb_lead_reversal is None and features.t_inversion in ((), ("V1",), ("III",), ("aVL",))
    assert {quality["verdict"] for quality in features.quality.values()} == {"good"}


def test_amplitudes_are_signed_and_true(normal, features):
    p, qrs, t = (normal.beat_fiducials[wave][3] for wave in ("P", "QRS", "T"))
    beat = int(np.abs(features.beat_times - qrs[1]).argmin())
    for i, lead in enumerate(STANDARD_LEADS):
        part = normal.clean[i, int(qrs[0] * 500) : int(qrs[2] * 500)]
        assert features.sequence("QRS Amplitude", lead)[beat] == pytest.approx(np.ptp(part), abs=0.06)
        for name, wave in (("P Amplitude", p), ("T Amplitude", t)):
            part = normal.clean[i, int(wave[0] * 500) : int(wave[2] * 500)]
            extreme = part[np.abs(part).argmax()]
            if abs(extreme) > 0.08:
                assert features.sequence(name, lead)[beat] == pytest.approx(extreme, abs=0.05), (name, lead)
    assert features.lead_value("t_amplitude", "aVR") < -0.1 < 0.1 < features.lead_value("t_amplitude", "II")


def test_qt_starts_at_the_qrs_onset_and_featuredb_starts_at_its_end(normal, features):
    theirs = extract_features(normal.record, compat="featuredb")
    qt, jt = features.sequences["QT Interval"], theirs.sequences["QT Interval"]
    np.testing.assert_allclose(qt - features.sequences["QRS Duration"], jt, atol=1e-6)
    np.testing.assert_allclose(theirs.sequences["T Duration"], jt)
    assert (theirs.sequences["T Amplitude"][np.isfinite(theirs.sequences["T Amplitude"])] >= 0).all()
    assert len(np.unique(theirs.sequences["Heart Rate"])) == 1
    assert set(theirs.sequences["ST Form"].ravel()) <= {"horizontal", "upslope", "declination", None}
    assert theirs.qt_interval == features.qt_interval, "the record's QT stays a QT"


def test_neighbouring_rr_intervals_and_heart_rate(features):
    before, after = features.sequence("RR Interval 1", "V2"), features.sequence("RR Interval 2", "V2")
    assert np.isnan(before[0]) and np.isnan(after[-1])
    np.testing.assert_allclose(before[1:], after[:-1])
    rate = features.sequence("Heart Rate", "V2")
    np.testing.assert_allclose(rate[1:], 60000 / before[1:])
    np.testing.assert_allclose(np.diff(features.beat_times) * 1000, before[1:], atol=6)


def test_rr_intervals_are_those_of_the_leads_and_reach_over_a_cut_beat(normal, features):
    assert features.rr_intervals == pytest.approx(features.sequence("RR Interval 1", "II")[1:])
    first = features.beat_waves["QRS"][0]
    begun = extract_features(normal.record.signal[:, round(first[1] * 500) :], 500)
    assert len(begun.rr_intervals) == len(begun.beat_times) - 1 and np.isfinite(begun.rr_intervals).all()
    assert extract_features(np.random.default_rng(0).normal(size=(12, 1000)), 500).rr_intervals.shape == (0,)


@pytest.mark.parametrize("seed", range(3))
def test_st_levels_of_infarction_are_exact(seed):
    ecg = simulate_ecg(ischemia="anterior_stemi", heart_rate=65, seed=seed)
    measured = extract_features(ecg.record).st_level
    for lead in STANDARD_LEADS:
        assert measured[lead]["J+60"] == pytest.approx(ecg.st_level[lead]["J+60"], abs=0.06), lead
    assert measured["V3"]["J+60"] > 0.15


def test_absent_waves_are_none_not_guesses():
    fibrillating = extract_features(simulate_ecg("atrial_fibrillation", seed=2).record)
    assert not fibrillating.p_present and math.isnan(fibrillating.pr_interval)
    plain = fibrillating.to_dict()["II"]
    assert set(plain["PR Interval"]) == {None} == set(plain["P Amplitude"]) == set(plain["P Duration"])
    assert fibrillating.rhythm_regularity == "irregular"
    assert all(value for value in plain["QRS Duration"])


@pytest.mark.parametrize(
    "rhythm, rate",
    [("atrial_flutter", 150), ("atrial_flutter", 100), ("atrial_flutter", 75), ("atrial_flutter_variable", 90)],
)
def test_flutter_waves_are_no_p_waves(rhythm, rate):
    measured = [extract_features(simulate_ecg(rhythm, heart_rate=rate, seed=seed).record) for seed in range(8)]
    assert sum(not features.p_present and not len(features.lone_p_waves) for features in measured) >= 7


@pytest.mark.parametrize("rate", [75, 100, 120, 140])
@pytest.mark.parametrize(
    "changed", [{}, {"conduction": "rbbb"}, {"ischemia": "inferior_stemi"}, {"hypertrophy": "lvh_strain"}]
)
def test_sinus_tachycardia_keeps_its_p_waves(rate, changed):
    for seed in range(2):
        features = extract_features(simulate_ecg(heart_rate=rate, pr_interval=140, **changed, seed=seed).record)
        if "conduction" in changed and rate > 125:
            assert features.p_present is not False, "fast wide beats may be more than can be told"
        else:
            assert features.p_present and features.pr_interval == pytest.approx(135, abs=35)


@pytest.mark.parametrize("seed", range(4))
def test_a_u_wave_is_not_the_t_wave(seed):
    ecg = simulate_ecg(repolarization="hypokalemia", heart_rate=66, seed=seed)
    measured = extract_features(ecg.record)
    assert measured.qt_interval == pytest.approx(ecg.intervals["qt_interval"], abs=45), "and not 130 ms longer"
    assert measured.p_present and measured.pr_interval == pytest.approx(ecg.intervals["pr_interval"], abs=20)


@pytest.mark.parametrize("territory", ["lateral_stemi", "anterior_stemi", "posterior_infarction"])
def test_t_waves_on_an_injury_current_are_found(territory):
    ecg = simulate_ecg(ischemia=territory, seed=5)
    marks = extract_features(ecg.record).waves["T"][..., 1]
    truth = ecg.fiducials["T"][..., 1]
    missed = [
        t
        for row, own in zip(truth, marks, strict=True)
        for t in row[np.isfinite(row)]
        if np.nanmin(abs(own - t)) > 0.1
    ]
    assert not missed


@pytest.mark.parametrize("seed", range(5))
def test_the_foot_of_the_qrs_is_no_p_wave(seed):
    measured = extract_features(simulate_ecg("junctional", seed=seed).record)
    assert not len(measured.lone_p_waves) and not measured.p_present


@pytest.mark.parametrize("seed", range(3))
def test_free_p_waves_of_av_block_are_found_and_have_no_pr(seed):
    complete = simulate_ecg("av_block_3", seed=seed)
    measured = extract_features(complete.record)
    truth = np.nanmedian(complete.fiducials["P"][..., 1], axis=0)
    hits = [np.abs(measured.lone_p_waves[:, 1] - peak).min() < 0.05 for peak in truth]
    assert np.mean(hits) > 0.6 and math.isnan(measured.pr_interval)
    assert len(measured.lone_p_waves) <= len(truth)
    halved = extract_features(simulate_ecg("av_block_2_to_1", seed=seed).record)
    assert abs(len(halved.lone_p_waves) - len(halved.beat_times)) <= 2 and halved.p_present
    assert len(extract_features(simulate_ecg(seed=seed).record).lone_p_waves) == 0


@pytest.mark.parametrize("seed", range(4))
def test_intervals_of_bigeminy_are_those_of_the_conducted_beats(seed):
    ecg = simulate_ecg("bigeminy", qrs_duration=90, pr_interval=160, seed=seed)
    measured = extract_features(ecg.record)
    assert measured.p_present and measured.pr_interval == pytest.approx(155, abs=15)
    assert measured.qrs_duration == pytest.approx(107, abs=12), "90 ms and what readers mark outside"


@pytest.mark.parametrize("seed", range(3))
def test_paced_beats_begin_behind_their_spike(seed):
    paced = simulate_ecg("ventricular_paced", seed=seed)
    measured = extract_features(paced.record)
    spikes = paced.pacing_spikes[(paced.pacing_spikes > 0.1) & (paced.pacing_spikes < 9.8)]
    assert all(np.abs(measured.pacing_spikes - spike).min() < 0.005 for spike in spikes)
    onsets = measured.beat_waves["QRS"][:, 0]
    delay = [1000 * (onsets[np.abs(onsets - spike).argmin()] - spike) for spike in spikes[1:-1]]
    assert min(delay) > 5 and max(delay) < 25
    assert measured.p_present


def test_a_wide_stimulus_is_a_spike():
    ecg = simulate_ecg("ventricular_paced", noise=0.3, seed=1)
    signal = ecg.record.signal.copy()
    for spike in np.round(ecg.pacing_spikes * 500).astype(int):
        signal[:, spike + 1 : spike + 6] += 1.5  # 12 ms with two steep edges
    measured = extract_features(signal, 500)
    spikes = ecg.pacing_spikes[(ecg.pacing_spikes > 0.1) & (ecg.pacing_spikes < 9.8)]
    assert all(np.abs(measured.pacing_spikes - spike).min() < 0.005 for spike in spikes)


@pytest.mark.parametrize("seed", range(6))
def test_a_steep_qrs_is_no_pacing_spike(seed):
    measured = extract_features(simulate_ecg(qrs_duration=55, amplitude=1.8, noise=0.3, seed=seed).record)
    assert len(measured.pacing_spikes) == 0 and len(measured.beat_times) > 7


def test_marks_of_a_wave_are_in_order():
    for arguments in (
        {"conduction": "wpw"},
        {"heart_rate": 150},
        {"rhythm": "av_block_3"},
        {"ischemia": "inferior_stemi"},
    ):
        measured = extract_features(simulate_ecg(**arguments, seed=3).record)
        for wave, marks in measured.waves.items():
            known = marks[np.isfinite(marks).all(axis=-1)]
            assert len(known) or wave == "P"
            assert (np.diff(known, axis=-1) > 0).all(), (arguments, wave)


def test_diagnostic_patterns():
    measured = {
        name: extract_features(simulate_ecg(**arguments, heart_rate=66, seed=4).record)
        for name, arguments in {
            "rbbb": {"conduction": "rbbb"},
            "lbbb": {"conduction": "lbbb"},
            "lvh": {"hypertrophy": "lvh", "amplitude": 1.3},
            "inverted": {"ischemia": "anterior_t_inversion"},
            "inferior": {"ischemia": "old_inferior_infarction"},
            "lafb": {"conduction": "lafb"},
            "avb1": {"rhythm": "av_block_1"},
            "longqt": {"repolarization": "long_qt"},
            "low": {"amplitude": 0.3},
            "normal": {},
        }.items()
    }
    assert (
        measured["rbbb"].qrs_duration > 125 < measured["lbbb"].qrs_duration and measured["normal"].qrs_duration < 120
    )
    assert measured["rbbb"].qrs_patterns["V1"].lower().endswith("r'")
    assert measured["lbbb"].qrs_patterns["V1"] in ("QS", "rS")
    assert measured["lvh"].sokolow_lyon > 3.5 > measured["normal"].sokolow_lyon
    assert {"V2", "V3"} <= set(measured["inverted"].t_inversion)
    assert {"III", "aVF"} <= set(measured["inferior"].pathological_q)
    assert not set(measured["normal"].pathological_q)
    assert measured["lafb"].qrs_axis < -30
    assert measured["avb1"].pr_interval > 200 > measured["normal"].pr_interval
    assert measured["longqt"].qtc_fridericia > 470
    assert measured["low"].low_voltage and not measured["normal"].low_voltage


def exchanged(record, electrodes):
    """The limb leads as Einthoven's equations make them from exchanged electrodes."""
    signal = record.signal.copy()
    i, ii, iii, avr, avl, avf = signal[:6].copy()
    signal[:6] = {
        "left arm and right arm": (-i, iii, ii, avl, avr, avf),
        "right arm and left leg": (-iii, -ii, -i, avf, avl, avr),
        "left arm and left leg": (ii, i, -iii, avr, avf, avl),
    }[electrodes]
    return extract_features(signal, 500)


@pytest.mark.parametrize("electrodes", ["left arm and right arm", "right arm and left leg"])
@pytest.mark.parametrize("seed", range(3))
def test_exchanged_limb_electrodes_are_suspected(electrodes, seed):
    record = simulate_ecg(axis=45, seed=seed).record
    assert exchanged(record, electrodes).limb_lead_reversal == electrodes
    assert extract_features(record).limb_lead_reversal is None
    assert exchanged(record, "left arm and left leg").limb_lead_reversal is None, "cannot be told, see the docstring"


def test_exchanged_arms_are_suspected_where_the_axis_is_vertical():
    record = load_ecg("processing/samples/normal.hea")  # an axis of 62 degrees: the true aVL points down
    assert exchanged(record, "left arm and right arm").limb_lead_reversal == "left arm and right arm"
    signal = with_exchanged_arms(record.signal)
    rows = [row for row, lead in enumerate(STANDARD_LEADS) if lead != "aVL"]
    assert limb_lead_reversal(STANDARD_LEADS, signal, 500, {}) == "left arm and right arm"
    assert limb_lead_reversal([STANDARD_LEADS[row] for row in rows], signal[rows], 500, {}) is None, "aVL is needed"
    for axis in (-60, 75, 100, 130):
        assert extract_features(simulate_ecg(axis=axis, seed=1).record).limb_lead_reversal is None


def test_exchanged_chest_electrodes_are_suspected(normal, features):
    assert features.chest_lead_swap is None
    for first in (1, 2, 3):
        order = list(range(12))
        order[6 + first], order[7 + first] = 7 + first, 6 + first
        measured = extract_features(normal.record.signal[order], 500)
        assert measured.chest_lead_swap == f"V{first + 1} and V{first + 2}"
        assert f"electrodes exchanged? V{first + 1} and V{first + 2}" in measured.to_text()
    flat = normal.record.signal.copy()
    flat[8] = 0
    assert extract_features(flat, 500).chest_lead_swap is None


@pytest.mark.parametrize("rate", [100, 125, 250, 360, 500, 1000])
def test_sampling_rates_agree(rate):
    ecg = simulate_ecg(sampling_rate=rate, heart_rate=70, seed=5)
    reference = extract_features(simulate_ecg(heart_rate=70, seed=5).record)
    measured = extract_features(ecg.record)
    assert measured.heart_rate == pytest.approx(reference.heart_rate, abs=0.5)
    assert measured.qrs_duration == pytest.approx(reference.qrs_duration, abs=12)
    assert measured.qt_interval == pytest.approx(reference.qt_interval, abs=12)
    assert measured.pr_interval == pytest.approx(reference.pr_interval, abs=12)


@pytest.mark.parametrize("duration", [1.0, 2.5, 10, 30, 60])
def test_lengths(duration):
    ecg = simulate_ecg(duration=duration, heart_rate=75, seed=6)
    measured = extract_features(ecg.record)
    assert abs(len(measured.beat_times) - len(ecg.beat_times)) <= 1
    json.dumps(measured.to_dict(full=True), allow_nan=False)


def test_dead_and_missing_leads_do_not_harm_the_others(normal, features):
    signal = normal.record.signal.copy()
    signal[6], signal[0] = np.nan, 0.0
    signal[3, 1000:1400] = np.nan
    measured = extract_features(signal, 500)
    assert measured.quality["V1"]["verdict"] == "missing" and measured.quality["I"]["verdict"] == "flat"
    assert np.isnan(measured.sequence("QRS Duration", "V1")).all()
    assert set(measured.sequence("ST Form", "I")) == {None}
    assert measured.qrs_duration == pytest.approx(features.qrs_duration, abs=6)
    assert math.isnan(measured.sokolow_lyon), "no V1, no Sokolow-Lyon"


def test_single_leads_and_any_subset(normal):
    for leads in (("II",), ("I", "II"), ("V1", "V5", "II"), STANDARD_LEADS[:8]):
        rows = np.stack([normal.record.lead(lead) for lead in leads])
        measured = extract_features(rows, 500, leads=leads)
        assert measured.leads == (LIMB_LEADS if leads == ("I", "II") else leads)
        assert measured.heart_rate == pytest.approx(72, abs=2)
        assert np.isfinite(measured.qrs_duration)


def test_noise_is_not_an_ecg():
    noise = np.random.default_rng(0).normal(0, 0.2, (12, 5000))
    measured = extract_features(noise, 500)
    assert len(measured.beat_times) == 0 and "noise" in measured.note
    assert math.isnan(measured.heart_rate) and measured.to_dict()["II"]["QRS Duration"] == []


def test_dictionaries_round_trip(features):
    full = features.to_dict(full=True)
    text = json.dumps(full, allow_nan=False)
    assert EcgFeatures.from_dict(json.loads(text)).to_dict(full=True) == full
    bare = features.to_dict()
    assert set(bare) == set(STANDARD_LEADS) and set(bare["II"]) == set(SEQUENCES)
    assert EcgFeatures.from_dict(bare).to_dict() == bare
    joined = {lead: {k: ", ".join(map(str, v)) for k, v in row.items()} for lead, row in bare.items()}
    assert EcgFeatures.from_dict(joined).to_dict() == bare


def test_bad_dictionaries_are_refused(features):
    bare = features.to_dict()
    with pytest.raises(EcgFormatError, match=r"V3.*QT Interval"):
        EcgFeatures.from_dict(bare | {"V3": {k: v for k, v in bare["V3"].items() if k != "QT Interval"}})
    with pytest.raises(EcgFormatError, match="one per beat"):
        EcgFeatures.from_dict(bare | {"V3": bare["V3"] | {"ST Form": []}})
    with pytest.raises(EcgFormatError, match="no lead"):
        EcgFeatures.from_dict({})


def test_table(features):
    table = features.to_pandas()
    assert len(table) == 12 * len(features.beat_times) and list(table.columns) == ["lead", "beat", "time", *SEQUENCES]
    row = table[(table.lead == "V2") & (table.beat == 4)].iloc[0]
    assert row["time"] == features.beat_times[3]
    assert row["QT Interval"] == features.sequence("QT Interval", "V2")[3]


@pytest.mark.parametrize("budget", [60, 200, 1200, 8000])
def test_text_keeps_its_budget_and_begins_with_what_matters(features, budget):
    text = features.to_text(budget)
    assert len(text) <= budget * 2.6
    if budget >= 200:
        assert f"HR {features.heart_rate:.0f} bpm" in text.splitlines()[0]
    assert ("left out" in text) == (budget < 8000)
    if budget == 8000:
        assert "V6 by beat:" in text


@pytest.mark.parametrize("budget", [100, 300, 1200])
def test_text_keeps_the_budget_of_a_tokenizer(features, budget):
    tokenizer = AutoTokenizer.from_pretrained(default_checkpoint())
    text = features.to_text(budget, tokenizer)
    used = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    assert 0.5 * budget < used <= budget and "left out" in text


def test_plot_has_a_grid_and_a_dash_for_missing_values():
    record = simulate_ecg("atrial_fibrillation", heart_rate=90, seed=4).record
    figure = extract_features(record).plot(record)
    axes = figure.axes[0]
    texts = [text.get_text() for text in axes.texts] + [axes.get_title(loc="left")]
    assert any("PR -" in text for text in texts) and not any("nan" in text or "-0.00" in text for text in texts)
    assert len(axes.get_xticks(minor=True)) > 30 and all(line.get_visible() for line in axes.get_xgridlines())


def test_plot_shows_waves_and_values(normal, features, tmp_path):
    path = tmp_path / "features.png"
    figure = features.plot(normal.record, path)
    assert path.stat().st_size > 20_000 and list(tmp_path.iterdir()) == [path]
    colours = {line.get_color() for line in figure.axes[0].lines}
    assert {"#2a9d5c", "#c1272d", "#2b5fb3"} <= colours
    with pytest.raises(EcgLeadError, match="V9"):
        features.plot(normal.record, leads=["V9"])


def test_wrong_calls_say_what_to_do():
    with pytest.raises(EcgFormatError, match="sampling_rate"):
        extract_features(np.zeros((12, 500)))
    with pytest.raises(EcgLeadError, match="leads="):
        extract_features(np.zeros((5000, 12)), 500)
    with pytest.raises(EcgFormatError, match="compat='other'"):
        extract_features(np.zeros((12, 500)), 500, compat="other")
    with pytest.raises(EcgLeadError, match="V9"):
        extract_features(simulate_ecg(seed=1).record).sequence("QT Interval", "V9")


def test_the_record_itself_is_not_changed(normal):
    before = normal.record.signal.copy()
    extract_features(normal.record)
    np.testing.assert_array_equal(before, normal.record.signal)
    same = extract_features(np.array(normal.record.signal), 500)
    assert same.to_dict() == extract_features(normal.record).to_dict()
    assert isinstance(normal.record, EcgRecord)


@pytest.mark.parametrize("seed", range(0, 12, 2))
def test_a_qrs_that_is_flat_at_its_top_does_not_make_the_rhythm_irregular(seed):
    """Its R peak jumps along the top by up to 70 ms, in all leads at once."""
    ecg = simulated_rhythm("LBBB, flat top", seed)
    measured = extract_features(ecg.ecg.signal, 500)
    assert measured.rhythm_regularity == "regular"
    rr = np.diff(ecg.beat_times)
    assert measured.rr_variability == pytest.approx(np.std(rr) / np.mean(rr), abs=0.01)
