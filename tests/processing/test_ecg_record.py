# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Records: lead names in every standard, derived limb leads, resampling around gaps, and what can be an ECG."""

import pickle
from datetime import datetime, timedelta
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord, LeadEvidence, canonical_lead, interpolate_gaps
from processing.errors_gem import EcgFormatError, EcgLeadError, EcgQualityError

# EN 1064:2005 (SCP-ECG), table of lead identification; ISO 11073-10101 gives the same numbers in partition 2 (MDC).
LEAD_NUMBERS = {
    "I": 1, "II": 2, "V1": 3, "V2": 4, "V3": 5, "V4": 6, "V5": 7, "V6": 8, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64,
}  # fmt: skip
MDC_PARTITION = 2 * 65536
# What else publishers write: PTB-XL, CODE-15, Brazilian and French devices, IEC chest leads, DICOM code meanings.
OTHER_NAMES = {
    "I": ("i", "DI", "D1", "L1", "1", "Lead I (Einthoven)", "ECG I", "EKG I", "Einthoven I"),
    "II": ("ii", "DII", "D2", "L2", "2", "Lead II", "ECG Lead II"),
    "III": ("iii", "DIII", "D3", "L3", "3", "lead_III"),
    "aVR": ("avr", "AVR", "aVR, augmented voltage, right", "Lead aVR"),
    "aVL": ("avl", "AVL", "aVL, augmented voltage, left", "a-VL"),
    "aVF": ("avf", "AVF", "aVF, augmented voltage, foot", "aVF+"),
    **{f"V{number}": (f"v{number}", f"C{number}", f"Lead V{number}", f"ECG V{number}") for number in range(1, 7)},
}


def test_the_twelve_are_the_standard_ones_in_their_order():
    assert STANDARD_LEADS == ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    assert set(LEAD_NUMBERS) == set(OTHER_NAMES) == set(STANDARD_LEADS)


@pytest.mark.parametrize("lead", STANDARD_LEADS)
def test_codes_and_names_of_every_standard(lead):
    number = LEAD_NUMBERS[lead]
    codes = (
        f"2:{number}", f"5.6.3-9-{number}", f"MDC:{number}", str(MDC_PARTITION + number), str(MDC_PARTITION + 256 + number),
        f"MDC_ECG_LEAD_{lead.upper()}", f"MDC_ECG_ELEC_POTL_{lead.upper()}",
    )  # fmt: skip
    found = {name: canonical_lead(name) for name in (lead, lead.upper(), *codes, *OTHER_NAMES[lead])}
    assert found == dict.fromkeys(found, lead)


@pytest.mark.parametrize(
    "name", ["V7", "V3R", "X", "MLII", "-aVR", "2:10", "131072", "5.6.3-9-99", "resp", "C7", "D4"]
)
def test_what_is_none_of_the_twelve_keeps_its_name(name):
    assert canonical_lead(name) == name


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(-5, 5, width=32), st.floats(-5, 5, width=32)), min_size=1, max_size=20))
def test_derived_limb_leads_obey_einthoven_and_goldberger(samples):
    one, two = np.array([(0.0, 1.0), (1.0, 0.0), *samples], dtype=np.float32).T  # neither is flat
    record = EcgRecord(np.stack([one, two]), ("I", "II"), 500).select_leads(STANDARD_LEADS[:6])
    lead = {name: record.lead(name).astype(float) for name in record.leads}
    # Einthoven 1913: I + III = II. Goldberger 1942: each augmented lead against the mean of the other two electrodes.
    np.testing.assert_allclose(lead["I"] + lead["III"], lead["II"], atol=1e-5)
    np.testing.assert_allclose(lead["aVR"], -(lead["I"] + lead["II"]) / 2, atol=1e-5)
    np.testing.assert_allclose(lead["aVL"], (lead["I"] - lead["III"]) / 2, atol=1e-5)
    np.testing.assert_allclose(lead["aVF"], (lead["II"] + lead["III"]) / 2, atol=1e-5)
    assert record.history[-1].startswith("derived III, aVR, aVL, aVF")


@pytest.mark.parametrize("pair", combinations(STANDARD_LEADS[:6], 2), ids="+".join)
def test_any_two_limb_leads_give_the_others(pair):
    one, two = np.random.default_rng(0).normal(size=(2, 500)).astype(np.float32)
    whole = EcgRecord(np.stack([one, two]), ("I", "II"), 500).select_leads(STANDARD_LEADS[:6])
    two_of_them = EcgRecord(np.stack([whole.lead(lead) for lead in pair]), pair, 500)
    again = two_of_them.select_leads(STANDARD_LEADS[:6])
    np.testing.assert_allclose(again.signal, whole.signal, atol=1e-5)


def test_chest_leads_and_single_limb_leads_derive_nothing():
    with pytest.raises(EcgLeadError, match="V1"):
        EcgRecord(np.ones((2, 500)), ("I", "II"), 500).select_leads(["I", "V1"])
    with pytest.raises(EcgLeadError, match="aVF"):
        EcgRecord(np.ones((2, 500)), ("I", "V2"), 500).select_leads(["aVF"])


@settings(deadline=None, max_examples=25)
@given(
    rates=st.tuples(st.sampled_from([100, 250, 400, 500, 1000]), st.sampled_from([100, 250, 400, 500, 1000])),
    gap=st.tuples(st.floats(0.2, 1.2), st.floats(0.1, 0.6)),
)
def test_gaps_stay_where_they_are_when_resampled(rates, gap):
    (old, new), (start, length) = rates, gap
    time = np.arange(2 * old) / old
    signal = np.sin(2 * np.pi * 3 * time)[None].repeat(2, axis=0).astype(np.float32)
    signal[0, (time >= start) & (time < start + length)] = np.nan
    record = EcgRecord(signal, ("I", "II"), old).resample(new)
    times = np.arange(record.num_samples) / new
    missing = np.isnan(record.lead("I"))
    slack = 2 / min(old, new)
    assert missing[(times > start + slack) & (times < start + length - slack)].all()
    assert not missing[(times < start - slack) | (times > start + length + slack)].any()
    assert not np.isnan(record.lead("II")).any() and record.sampling_rate == new
    # A slow sine keeps its height and its phase, away from both ends.
    inner = (times > 0.2) & (times < 1.8)
    np.testing.assert_allclose(record.lead("II")[inner], np.sin(2 * np.pi * 3 * times)[inner], atol=0.03)


@given(st.sampled_from([50, 257.0, 500]), st.integers(1, 2000), st.floats(0, 0.999), st.floats(0.001, 1.5))
def test_a_part_has_the_samples_between_its_ends(rate, samples, start_share, length_share):
    signal = np.arange(2 * samples).reshape(2, samples)
    record = EcgRecord(signal, ("I", "V1"), rate, start_time=datetime(2020, 1, 1))
    start, seconds = start_share * record.duration, length_share * record.duration
    part = record.between(start, seconds)
    first = int(part.signal[0, 0])
    assert (part.signal == signal[:, first : first + part.num_samples]).all()
    assert abs(first / rate - start) <= 1 / rate
    assert abs(part.duration - min(seconds, record.duration - start)) <= 1 / rate
    assert part.start_time == record.start_time + timedelta(seconds=first / rate)
    assert (part.history == record.history) == (part.num_samples == samples)
    whole = record.between(0, record.duration)
    assert whole is record


@pytest.mark.parametrize(
    ("start", "seconds", "said"),
    [(-1, 2, "lies outside"), (10, 2, "lies outside"), (float("nan"), 2, "lies outside"), (1, 0, "holds nothing")],
)
def test_a_part_that_is_not_in_the_record_is_refused(start, seconds, said):
    record = EcgRecord(np.zeros((1, 5000)), ("II",), 500)
    with pytest.raises(EcgFormatError, match=said):
        record.between(start, seconds)


def test_gaps_are_bridged_on_a_straight_line():
    signal = np.array([[0.0, np.nan, np.nan, 3.0, 4.0], [np.nan, 1.0, np.nan, 2.0, np.nan], [np.nan] * 5])
    expected = [[0, 1, 2, 3, 4], [1, 1, 1.5, 2, 2], [0] * 5]
    np.testing.assert_allclose(interpolate_gaps(signal), expected)


def record_of(signal, rate=100):
    return EcgRecord(np.asarray(signal, dtype=np.float32), STANDARD_LEADS[: len(signal)], rate)


def wave(samples, height=1.0, leads=4):
    return height * np.sin(np.arange(samples) / 5)[None].repeat(leads, axis=0)


def test_a_record_lasts_a_second_at_least():
    assert record_of(wave(100)).check_quality().duration == 1.0
    with pytest.raises(EcgQualityError, match="shorter than 1 s"):
        record_of(wave(99)).check_quality()


@pytest.mark.parametrize(
    ("leads", "samples", "height", "accepted"),
    [
        (1, 250, 20.1, True),  # a quarter of one lead
        (1, 251, 20.1, False),
        (1, 1000, 19.9, True),
        (1, 1000, 20.0, True),
        (4, 10, 20.1, True),  # one per cent of every lead
        (4, 11, 20.1, False),
        (4, 11, -20.1, False),
        (1, 251, -20.1, False),
    ],
)
def test_only_a_lead_or_a_record_beyond_20_mv_is_refused(leads, samples, height, accepted):
    signal = wave(1000)
    signal[:leads, :samples] = height
    if accepted:
        assert record_of(signal).check_quality()
    else:
        with pytest.raises(EcgQualityError, match="microvolts"):
            record_of(signal).check_quality()


def test_flat_and_empty_records_are_refused():
    with pytest.raises(EcgQualityError, match="flat in every lead"):
        record_of(np.ones((3, 500))).check_quality()
    with pytest.raises(EcgQualityError, match="finite"):
        record_of(np.full((3, 500), np.nan)).check_quality()
    one_alive = np.ones((3, 500))
    one_alive[2, 7] = 1.1
    assert record_of(one_alive).check_quality()


def test_nothing_is_derived_from_a_flat_lead_beside_one_that_is_not():
    shown, flat = np.sin(np.arange(1000) / 50), np.zeros(1000)
    record = EcgRecord(np.stack([shown, flat]), ("I", "II"), 500)
    whole = record.with_limb_leads()
    assert whole.leads == ("I", "II") and whole.history[-1] == "derived no limb leads: no signal in II"
    with pytest.raises(EcgLeadError, match=r"cannot be derived from \['I', 'II'\] \(no signal in II\)"):
        record.select_leads(["aVF"])
    # A third lead takes its place; what is missing throughout is no source either.
    three = EcgRecord(np.stack([np.full(1000, np.nan), shown, 2 * shown]), ("I", "II", "III"), 500).with_limb_leads()
    assert np.allclose(three.lead("aVF"), 1.5 * shown, atol=1e-6)
    # A heart that stands still is flat in all of them.
    still = EcgRecord(np.zeros((2, 1000)), ("I", "II"), 500).with_limb_leads()
    assert still.leads == ("I", "II", "III", "aVR", "aVL", "aVF") and not still.signal.any()


# Where each lead's facts come from ------------------------------------------------------------------------------------


def test_evidence_stays_with_its_lead_through_every_change():
    evidence = {
        "I": LeadEvidence(name="assumed", unit="stated", gain="assumed", rate="derived"),
        "aVF": LeadEvidence(name="stated", unit="assumed", gain="stated", rate="derived"),
    }
    record = EcgRecord(np.ones((3, 1000)), ("I", "aVF", "V1"), 500, evidence=evidence)
    assert record.evidence["aVF"] == evidence["aVF"] and record.evidence["V1"] == LeadEvidence()
    assert record.assumed == {"name": ("I",), "gain": ("I",), "unit": ("aVF",)}
    derived = LeadEvidence(name="derived", unit="assumed", gain="assumed", rate="derived")
    whole = record.with_limb_leads()
    chosen = record.select_leads(["V1", "II", "I"])
    for changed in (whole, chosen, chosen.resample(250), whole.changed("nothing"), pickle.loads(pickle.dumps(whole))):
        assert set(changed.evidence) == set(changed.leads)
        assert changed.evidence["II"] == derived and changed.evidence["I"] == evidence["I"]
    assert "II" not in whole.recorded_leads_only().evidence


def test_what_is_said_of_a_record_that_was_read_before_is_refused():
    record = load_ecg(np.zeros((2, 1000), dtype=np.float32), sampling_rate=500, leads=["I", "II"], record_id="before")
    assert load_ecg(record, sampling_rate=500, record_id="named").record_id == "named"
    assert load_ecg(record, start=0.5).duration == 1.5
    for said in (
        {"sampling_rate": 250},
        {"unit": "uV"},
        {"gain": 200.0},
        {"leads": ["V1"]},
        {"index": 3},
        {"keep_phi": True},
    ):
        with pytest.raises(EcgFormatError, match=f"before: {next(iter(said))}=.* was read before"):
            load_ecg(record, **said)
