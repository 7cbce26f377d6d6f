# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A lead that holds noise or drift instead of an ECG is named and not measured; a small lead of a heart is no such lead."""

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.ecg_quality import inspect_record
from processing.ecg_readers import load_ecg
from processing.ecg_record import LIMB_LEADS, STANDARD_LEADS, EcgRecord
from tests.helpers.delineation_scoring import read_ludb
from tests.helpers.ptbxl_signals import read_ptbxl
from tests.helpers.shared_data import shared_path

NORMAL = load_ecg("processing/samples/normal.hea")
RANDOM = np.random.default_rng(4)
SAMPLES = 5000
TIME = np.arange(SAMPLES) / 500
V3 = STANDARD_LEADS.index("V3")
WALK = RANDOM.normal(0, 1, SAMPLES).cumsum()
PINK = np.fft.irfft(
    np.fft.rfft(RANDOM.normal(0, 1, SAMPLES)) / np.sqrt(np.maximum(np.arange(SAMPLES // 2 + 1), 1)), SAMPLES
)
HUM = np.sin(2 * np.pi * 50 * TIME) + RANDOM.normal(0, 0.03, SAMPLES)
WITHOUT_BEATS = {
    "white": RANDOM.normal(0, 1, SAMPLES),
    "pink": PINK / PINK.std(),
    "walk": (WALK - WALK.mean()) / WALK.std(),
    "hum": HUM / HUM.std(),
    "drift": 1.4 * np.sin(2 * np.pi * 0.3 * TIME),
}


def with_row(lead: str, row: np.ndarray, record: EcgRecord = NORMAL) -> EcgRecord:
    signal = np.array(record.signal)
    signal[record.leads.index(lead)] = row
    return EcgRecord(signal, record.leads, record.sampling_rate)


def silent(record: EcgRecord) -> list[str]:
    return [lead for lead, _, _, reason in extract_features(record).left_out if reason == "no beats"]


@pytest.mark.parametrize("mv", [0.01, 0.03, 0.1])
@pytest.mark.parametrize("kind", WITHOUT_BEATS)
def test_noise_and_drift_in_one_lead_are_no_beats_whatever_their_size(kind, mv):
    features = extract_features(with_row("V3", mv * WITHOUT_BEATS[kind]))
    assert [span for span in features.left_out if span[3] == "no beats"] == [("V3", 0.0, 10.0, "no beats")]
    assert features.quality["V3"]["verdict"] == "poor"
    assert all(np.isnan(values[V3]) for values in features.lead_values.values())
    assert np.isnan(features.sequences["T Amplitude"][V3]).all()
    assert set(features.sequences["ST Form"][V3]) == {None}
    assert "V3" not in features.qrs_patterns and np.isnan(features.cornell)
    assert np.isfinite(features.lead_value("qrs_amplitude", "V2")) and features.plausibility.verdict == "ok"


def test_it_is_said_in_the_summary_and_the_text():
    record = with_row("V3", 0.01 * WITHOUT_BEATS["white"])
    assert inspect_record(record)["suspicions"] == [
        "lead V3 shows none of the beats that the other leads show: electrode off?",
        "measured without V3 (no beats)",
    ]
    assert inspect_record(record)["lead_quality"]["V3"]["verdict"] == "poor"
    assert "not used: V3 (no beats)" in extract_features(record).to_text()


def test_leads_of_a_silent_limb_electrode_raise_no_alarm_of_exchanged_ones():
    record = with_row("II", 0.01 * WITHOUT_BEATS["white"])
    features, summary = extract_features(record), inspect_record(record)
    assert features.limb_lead_reversal is None and summary["einthoven_error"] is None
    assert [(doubt.about, doubt.lead) for doubt in features.plausibility.doubts] == [("signal", "II")]
    assert features.plausibility.doubts[0].found == "shows none of the beats that the other leads show"
    assert not [text for text in summary["suspicions"] if "exchanged" in text or "misnamed" in text]
    assert features.qrs_axis == pytest.approx(extract_features(NORMAL).qrs_axis)


@pytest.mark.parametrize(("leads", "found"), [(("II", "V3"), []), (("II", "V1", "V3"), ["V3"]), (("V3",), [])])
def test_two_other_leads_have_to_show_beats(leads, found):
    assert silent(with_row("V3", 0.03 * WITHOUT_BEATS["white"]).select_leads(leads)) == found


def test_three_beats_have_to_be_there():
    record = with_row("V3", 0.03 * WITHOUT_BEATS["white"])
    assert silent(record.between(0.0, 5.0)) == ["V3"] and silent(record.between(0.0, 1.5)) == []


def test_a_small_limb_lead_under_its_noise_is_the_hearts_as_the_difference_of_two_others():
    """aVL is (I - III) / 2: equal I and III leave what their amplifiers add, which the leads that come from it share."""
    one = NORMAL.lead("I").astype(np.float64)
    noise = 0.02 * WITHOUT_BEATS["white"]
    three = one - noise
    rows = {"I": one, "III": three, "II": one + three, "aVL": (one - three) / 2}
    rows |= {"aVR": -(2 * one + three) / 2, "aVF": (one + 2 * three) / 2}
    signal = np.stack([rows.get(lead, NORMAL.lead(lead)) for lead in STANDARD_LEADS])
    assert silent(EcgRecord(signal, STANDARD_LEADS, 500)) == []
    rows["aVL"] = 0.01 * WITHOUT_BEATS["pink"]
    signal = np.stack([rows.get(lead, NORMAL.lead(lead)) for lead in STANDARD_LEADS])
    assert silent(EcgRecord(signal, STANDARD_LEADS, 500)) == ["aVL"]


def test_a_lead_with_beats_of_its_own_is_not_silent():
    """As where the chest leads are of another time."""
    features = extract_features(with_row("V3", np.roll(NORMAL.lead("V3"), 170)))
    assert not [span for span in features.left_out if span[3] == "no beats"]


def test_a_column_of_a_page_names_its_own_silent_lead():
    signal = np.full((12, SAMPLES), np.nan)
    shown = with_row("V3", 0.03 * WITHOUT_BEATS["white"]).signal
    for row in range(12):
        start = 2500 * (row // 6)
        signal[row, start : start + 2500] = shown[row, start : start + 2500]
    signal[1] = shown[1]
    features = extract_features(EcgRecord(signal, STANDARD_LEADS, 500))
    assert [lead for lead, _, _, reason in features.left_out if reason == "no beats"] == ["V3"]
    assert np.isnan(features.lead_value("qrs_amplitude", "V3"))
    assert np.isfinite(features.lead_value("qrs_amplitude", "V2"))


def test_no_lead_of_a_real_record_is_silent_and_a_replaced_one_is():
    signals = read_ptbxl(shared_path("data/ptbxl"), lambda codes: True, 60, 5)
    signals += [ecg.signal for ecg in read_ludb(shared_path("data/ludb/data"), 4)]
    found = 0
    for number, signal in enumerate(signals):
        record = EcgRecord(signal, STANDARD_LEADS, 500)
        assert silent(record) == [], number
        lead = STANDARD_LEADS[number % 12]
        kind = list(WITHOUT_BEATS)[number % len(WITHOUT_BEATS)]
        found += silent(with_row(lead, 0.02 * WITHOUT_BEATS[kind], record)) == [lead]
    assert len(signals) >= 80 and found >= len(signals) - 2


def test_real_columns_and_coarse_records_have_no_silent_lead():
    for signal in read_ptbxl(shared_path("data/ptbxl"), lambda codes: True, 30, 5):
        assert silent(EcgRecord(signal[:, 1500:2750], STANDARD_LEADS, 500)) == []
        assert silent(EcgRecord(signal[:, ::5], STANDARD_LEADS, 100)) == []
        assert silent(EcgRecord(signal[[0, 1, 6]], ("I", "II", "V1"), 500)) == []


def test_each_limb_lead_without_a_signal_is_named_and_none_is_called_misnamed():
    for signal in read_ptbxl(shared_path("data/ptbxl"), lambda codes: True, 20, 3):
        record = EcgRecord(signal, STANDARD_LEADS, 500)
        before = extract_features(record)
        assert before.plausibility.verdict == "ok"
        for lead in LIMB_LEADS:
            flat = with_row(lead, np.zeros(signal.shape[1]), record)
            features = extract_features(flat)
            (doubt,) = features.plausibility.doubts
            assert (doubt.lead, doubt.found) == (lead, "is flat, the other limb leads are not")
            others = [row for row, name in enumerate(STANDARD_LEADS) if name != lead]
            for name in ("r_amplitude", "st_j60"):
                np.testing.assert_allclose(
                    features.lead_values[name][others], before.lead_values[name][others], atol=0.05
                )
            told = " ".join(inspect_record(flat)["suspicions"])
            assert f"lead {lead} is flat" in told and "misnamed" not in told and "Einthoven" not in told
