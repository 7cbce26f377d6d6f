# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Any record becomes `ecg_values`: by lead name, in mV, at 500 Hz, and every change is reported."""

import numpy as np
import pytest
import torch
from scipy.signal import resample_poly

from modeling_gem import EcgRecord, GemFeatureExtractor
from processing.ecg_record import STANDARD_LEADS
from processing.errors_gem import EcgFormatError, EcgLeadError, EcgQualityError, GemError
from processing.feature_extraction_gem import load_ecgs

MIMIC_ORDER = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")


def ecg(seconds: float = 10, rate: float = 500, leads=STANDARD_LEADS, scale: float = 1.0) -> EcgRecord:
    """Each lead a sine of its own frequency, so that a swapped row is visible; limb leads obey Einthoven."""
    time = np.arange(int(seconds * rate)) / rate
    rows = {lead: np.sin(2 * np.pi * (1 + i) * time) for i, lead in enumerate(STANDARD_LEADS)}
    first, second = rows["I"], rows["II"]
    rows |= {"III": second - first, "aVR": -(first + second) / 2, "aVL": first - second / 2, "aVF": second - first / 2}
    return EcgRecord(scale * np.stack([rows[lead] for lead in leads]), leads, rate, record_id="sines")


@pytest.fixture(scope="module")
def extract():
    return GemFeatureExtractor()


def test_leads_are_found_by_name(extract):
    expected = extract(ecg())["ecg_values"]
    assert expected.shape == (1, 12, 5000) and expected.dtype == np.float32
    for order in (MIMIC_ORDER, STANDARD_LEADS[::-1]):
        output = extract(ecg(leads=order), return_records=True)
        assert np.array_equal(output["ecg_values"], expected)
        assert any("reordered" in change for change in output["ecg_records"][0].history)


def test_limb_leads_are_derived(extract):
    eight = tuple(lead for lead in STANDARD_LEADS if lead in ("I", "II") or lead.startswith("V"))
    output = extract(ecg(leads=eight), return_records=True)
    np.testing.assert_allclose(output["ecg_values"], extract(ecg())["ecg_values"], atol=1e-6)
    assert "derived III, aVR, aVL, aVF from I and II" in output["ecg_records"][0].history


def test_surplus_leads_are_dropped_and_reported(extract):
    more = EcgRecord(np.concatenate([ecg().signal, ecg().signal[:1]]), (*STANDARD_LEADS, "V7"), 500, record_id="13")
    output = extract(more, return_records=True)
    assert np.array_equal(output["ecg_values"], extract(ecg())["ecg_values"])
    assert "dropped V7" in output["ecg_records"][0].history


def test_missing_leads_raise_or_are_masked(extract):
    few = ecg(leads=("I", "II", "V1"))
    with pytest.raises(EcgLeadError, match=r"sines.*\['V2', 'V3', 'V4', 'V5', 'V6'\]"):
        extract(few)
    output = GemFeatureExtractor(missing_leads="mask")(few, return_mask=True, return_records=True)
    mask = output["ecg_mask"][0]
    assert mask[:7].all() and not mask[7:].any()
    assert not output["ecg_values"][0, 7:].any()
    assert "masked absent leads V2, V3, V4, V5, V6" in output["ecg_records"][0].history


@pytest.mark.parametrize("rate", [100, 250, 257, 400, 1000])
def test_resampling_keeps_the_waveform(extract, rate):
    values = extract(ecg(rate=rate))["ecg_values"][0]
    inner = slice(250, 4750)
    np.testing.assert_allclose(values[:, inner], extract(ecg())["ecg_values"][0][:, inner], atol=2e-2)


def test_resampling_is_scipys_polyphase(extract):
    record = ecg(rate=250)
    expected = resample_poly(record.signal.astype(np.float64), 2, 1, axis=1, padtype="line").astype(np.float32)
    assert np.array_equal(extract(record)["ecg_values"][0], expected)


def test_short_and_long_records(extract):
    short = extract(ecg(seconds=4), return_mask=True, return_records=True)
    assert short["ecg_mask"][0, :, :2000].all() and not short["ecg_mask"][0, :, 2000:].any()
    assert not short["ecg_values"][0, :, 2000:].any()
    assert "zero-padded from 4 s to 10 s" in short["ecg_records"][0].history
    long = extract(ecg(seconds=12), return_records=True)
    assert np.array_equal(long["ecg_values"], extract(ecg())["ecg_values"])
    assert "kept the first 10 of 12 s" in long["ecg_records"][0].history


def test_gaps(extract):
    signal = ecg().signal.copy()
    signal[3, 100:200] = np.nan
    record = EcgRecord(signal, STANDARD_LEADS, 500, record_id="gappy")
    output = extract(record, return_mask=True, return_records=True)
    bridged = output["ecg_values"][0, 3, 99:201]
    np.testing.assert_allclose(np.diff(bridged), (bridged[-1] - bridged[0]) / 101, atol=1e-5)
    assert output["ecg_mask"].sum() == 60000 - 100
    assert any(
        "100 missing samples bridged linearly (most in lead aVR)" in c for c in output["ecg_records"][0].history
    )
    assert not GemFeatureExtractor(nan_policy="zero")(record)["ecg_values"][0, 3, 100:200].any()
    with pytest.raises(EcgQualityError, match="gappy: lead aVR has 100 missing samples"):
        GemFeatureExtractor(nan_policy="raise")(record)


@pytest.mark.parametrize(
    ("record", "error", "message"),
    [
        (lambda: ecg(seconds=0.5), EcgQualityError, "shorter than 1 s"),
        (lambda: ecg(scale=0), EcgQualityError, "flat in every lead"),
        (lambda: ecg(scale=1000), EcgQualityError, "microvolts"),
        (lambda: EcgRecord(np.full((12, 5000), np.nan), STANDARD_LEADS, 500), EcgQualityError, "single finite sample"),
        (lambda: EcgRecord(np.zeros((12, 0)), STANDARD_LEADS, 500), EcgFormatError, "at least one sample"),
        (lambda: EcgRecord(np.zeros((12, 5000)), STANDARD_LEADS, "500"), EcgFormatError, "number in Hz"),
        (lambda: EcgRecord(np.zeros((12, 5000)), STANDARD_LEADS, -1), EcgFormatError, "positive"),
        (lambda: EcgRecord(np.zeros((12, 5000)), STANDARD_LEADS[:11], 500), EcgLeadError, "12 signal rows but 11"),
        (lambda: EcgRecord(np.zeros((2, 5000)), ("I", "Lead I"), 500), EcgLeadError, "more than once"),
        (lambda: ecg(leads=("V1", "V2", "V3")), EcgLeadError, "missing"),
    ],
)
def test_what_is_no_ecg_is_refused(extract, record, error, message):
    with pytest.raises(error, match=message):
        extract(record())
    assert issubclass(error, GemError)


def test_artefacts_are_limited_not_refused(extract):
    signal = ecg().signal.copy()
    signal[0, :300] = 300.0
    signal[7, 1000:1050] = -300.0
    signal[8, 1000:1100] = (20.0, -20.0) * 50
    output = extract(EcgRecord(signal, STANDARD_LEADS, 500, record_id="spike"), return_records=True)
    values = output["ecg_values"][0]
    assert (values[0, :300] == 20.0).all() and (values[7, 1000:1050] == -20.0).all()
    assert values.max() == 20.0 and values.min() == -20.0
    assert any("limited 350 samples to 20 mV" in change for change in output["ecg_records"][0].history)


def test_arrays_lists_and_batches(extract):
    array = ecg().signal
    expected = extract(ecg())["ecg_values"][0]
    for source in (array, torch.from_numpy(array.copy()), array.tolist(), {"signal": array, "sampling_rate": 500}):
        assert np.array_equal(extract(source, sampling_rate=500)["ecg_values"][0], expected)
    batch = extract([ecg(), ecg(rate=250), array], sampling_rate=500, return_tensors="pt")["ecg_values"]
    assert batch.shape == (3, 12, 5000) and isinstance(batch, torch.Tensor)
    microvolts = extract((array * 1000).astype(np.int32), sampling_rate=500, unit="uV")["ecg_values"][0]
    np.testing.assert_allclose(microvolts, expected, atol=2e-3)


def test_compat_keeps_the_originals_faults():
    signal = ecg(rate=400, leads=MIMIC_ORDER).signal.copy()
    signal[4, 7:9] = np.nan, np.inf
    record = EcgRecord(signal, MIMIC_ORDER, 400)
    values = GemFeatureExtractor(compat="gem")(record)["ecg_values"][0]
    assert np.array_equal(values[:, :4000], np.nan_to_num(signal, posinf=0)) and not values[:, 4000:].any()


def test_settings_round_trip(tmp_path):
    GemFeatureExtractor(num_samples=1000, missing_leads="mask", nan_policy="zero").save_pretrained(tmp_path)
    again = GemFeatureExtractor.from_pretrained(tmp_path)
    assert (again.num_samples, again.missing_leads, again.nan_policy) == (1000, "mask", "zero")
    with pytest.raises(ValueError, match="nan_policy"):
        GemFeatureExtractor(nan_policy="guess")


def test_numpy_lists_of_ecgs_are_lists():
    short, long = np.full((12, 500), 0.1), np.full((12, 900), 0.2)
    ecgs = np.empty(2, dtype=object)
    ecgs[:] = [short, long]
    assert [record.num_samples for record in load_ecgs(ecgs, sampling_rate=500)] == [500, 900]
    paths = np.array(["processing/samples/normal.hea"] * 2, dtype=object)
    assert len(load_ecgs(paths)) == 2
