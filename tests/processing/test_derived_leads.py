# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Eight stored leads give what their twelve-lead twin gives: the same page, measurements and tensors."""

import pickle
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.ecg_page import render_ecg
from processing.ecg_quality import inspect_record
from processing.ecg_readers import load_ecg
from processing.ecg_record import LIMB_LEADS, STANDARD_LEADS, EcgRecord
from processing.errors_gem import EcgLeadError
from processing.feature_extraction_gem import GemFeatureExtractor
from tests.helpers.ecg_files import INDEPENDENT, muse_xml, write_wfdb
from tests.helpers.source_trees import simulated_microvolts

DERIVED = ("III", "aVR", "aVL", "aVF")
NOTE = "derived III, aVR, aVL, aVF from I and II"


def counts(leads: tuple[str, ...]) -> np.ndarray:
    """int16 `(leads, samples)`, 1024 a mV: a twin's values are then exact in float32, sums and halves of them too."""
    rows = dict(zip(STANDARD_LEADS, simulated_microvolts(seed=4, heart_rate=77).astype(np.int64), strict=True))
    one, two = (rows[lead] // 2 * 2 for lead in ("I", "II"))
    rows |= {
        "I": one,
        "II": two,
        "III": two - one,
        "aVR": -(one + two) // 2,
        "aVL": one - two // 2,
        "aVF": two - one // 2,
    }
    return np.stack([rows[lead] for lead in leads]).astype(np.int16)


def mv(leads: tuple[str, ...]) -> np.ndarray:
    return counts(leads) / 1024


def muse(leads: tuple[str, ...], folder: Path) -> dict[str, Any]:
    (folder / "muse.xml").write_text(muse_xml(counts(leads), leads, scale="0.9765625"))
    return {"source": folder / "muse.xml"}


def wfdb(leads: tuple[str, ...], folder: Path) -> dict[str, Any]:
    return {"source": write_wfdb(folder, "twin", counts(leads), leads, adc_gain=[1024.0] * len(leads))}


def csv(leads: tuple[str, ...], folder: Path) -> dict[str, Any]:
    lines = [",".join(leads), *(",".join(map(str, row)) for row in mv(leads).T)]
    (folder / "twin.csv").write_text("\n".join(lines))
    return {"source": folder / "twin.csv", "sampling_rate": 500, "unit": "mV"}


def array(leads: tuple[str, ...], folder: Path) -> dict[str, Any]:
    return {"source": mv(leads), "sampling_rate": 500, "leads": leads, "unit": "mV"}


def row(leads: tuple[str, ...], folder: Path) -> dict[str, Any]:
    return {"source": {"signal_mv": mv(leads), "sampling_rate": 500, "leads": leads}}


def made_by_hand(leads: tuple[str, ...], folder: Path) -> dict[str, Any]:
    return {"source": EcgRecord(mv(leads), leads, 500)}


@pytest.mark.parametrize("write", [muse, wfdb, csv, array, row, made_by_hand])
def test_eight_leads_give_what_twelve_give(write: Callable, tmp_path: Path) -> None:
    few, all_twelve = (load_ecg(**write(leads, tmp_path)) for leads in (INDEPENDENT, STANDARD_LEADS))
    assert few.leads == all_twelve.leads == STANDARD_LEADS
    assert few.derived_leads == DERIVED and all_twelve.derived_leads == ()
    assert few.history[-1] == NOTE and NOTE not in all_twelve.history

    for layout in ("3x4+1", "square_12x1"):
        pictures = [np.asarray(render_ecg(record, layout).to_pil()) for record in (few, all_twelve)]
        assert np.array_equal(*pictures)
    measured, expected = (extract_features(record).to_dict(full=True) for record in (few, all_twelve))
    assert measured == expected and len(measured["record"]["beat_times"]) > 10
    extract = GemFeatureExtractor()
    assert np.array_equal(extract(few)["ecg_values"], extract(all_twelve)["ecg_values"])


@pytest.mark.parametrize("pair", combinations(LIMB_LEADS, 2))
def test_any_two_limb_leads_give_the_other_four(pair: tuple[str, str]) -> None:
    whole = EcgRecord(mv(STANDARD_LEADS), STANDARD_LEADS, 500)
    of_two = load_ecg({"signal_mv": [whole.lead(lead) for lead in pair], "sampling_rate": 500, "leads": pair})
    assert set(of_two.leads) == set(LIMB_LEADS)
    for lead in LIMB_LEADS:
        np.testing.assert_allclose(of_two.lead(lead), whole.lead(lead), atol=2e-6, err_msg=lead)
    assert f"from {pair[0]} and {pair[1]}" in of_two.history[-1]


def test_recorded_leads_are_never_overwritten_nor_reordered() -> None:
    order = ("V1", "II", "aVF", "I", "V6")
    rows = np.random.default_rng(0).normal(size=(5, 1000)).astype(np.float32)  # aVF breaks Goldberger's law
    record = load_ecg(rows, sampling_rate=500, leads=order, unit="mV")
    assert record.leads == ("V1", "II", "aVF", "I", "III", "aVR", "aVL", "V6")
    for lead, samples in zip(order, rows, strict=True):
        assert np.array_equal(record.lead(lead), samples)
    recorded = record.recorded_leads_only()
    assert recorded.leads == order and np.array_equal(recorded.signal, rows) and recorded.derived_leads == ()


def test_gaps_of_either_source_are_gaps_of_the_derived_leads() -> None:
    signal = mv(INDEPENDENT)
    signal[0, 10:20], signal[1, 15:30] = np.nan, np.nan
    record = load_ecg(signal, sampling_rate=500, leads=INDEPENDENT, unit="mV")
    for lead in DERIVED:
        assert np.flatnonzero(np.isnan(record.lead(lead))).tolist() == list(range(10, 30))


@pytest.mark.parametrize("leads", [("II",), ("V1", "V2"), ("II", "V1"), STANDARD_LEADS])
def test_nothing_is_derived_from_one_limb_lead_or_where_all_are_there(leads: tuple[str, ...]) -> None:
    record = load_ecg(mv(leads), sampling_rate=500, leads=leads, unit="mV")
    assert record.leads == leads and record.derived_leads == () and record.history == ()
    assert load_ecg(record) is record


def test_selected_leads_stay_selected_and_know_what_was_derived() -> None:
    record = load_ecg(mv(INDEPENDENT), sampling_rate=500, leads=INDEPENDENT, unit="mV")
    few = record.select_leads(("aVF", "V1"))
    assert few.leads == ("aVF", "V1") and few.derived_leads == ("aVF",)
    assert pickle.loads(pickle.dumps(few)).derived_leads == ("aVF",)
    assert few.resample(250).derived_leads == ("aVF",)


def test_the_original_preprocessing_takes_the_recorded_leads_alone(tmp_path: Path) -> None:
    original = GemFeatureExtractor(compat="gem")
    with pytest.raises(EcgLeadError, match="exactly 12 leads in file order, the record has 8"):
        original(load_ecg(**wfdb(INDEPENDENT, tmp_path)))
    # Twelve channels without III: the original code took them as they came.
    order = (*INDEPENDENT, "V7", "V8", "V9", "V4R")
    rows = np.random.default_rng(1).normal(size=(12, 5000)).astype(np.float32)
    record = load_ecg(rows, sampling_rate=500, leads=order, unit="mV")
    assert np.array_equal(original(record)["ecg_values"][0], rows)


def test_inspect_says_which_leads_are_derived_and_judges_the_recorded_ones() -> None:
    signal = mv(INDEPENDENT)
    signal[0] += 0.2 * np.sin(2 * np.pi * 50 * np.arange(signal.shape[1]) / 500)
    summary = inspect_record(load_ecg(signal, sampling_rate=500, leads=INDEPENDENT, unit="mV"))
    assert summary["leads"] == list(INDEPENDENT) and summary["derived_leads"] == list(DERIVED)
    assert summary["missing_standard_leads"] == [] and summary["einthoven_error"] is None
    assert list(summary["lead_quality"]) == list(INDEPENDENT)
    assert [text for text in summary["suspicions"] if "noisy" in text] == ["lead I is noisy (0.131 mV above 40 Hz)"]
