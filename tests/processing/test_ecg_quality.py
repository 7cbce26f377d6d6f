# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`inspect_record`: every defect that is put in must be reported, and sound records give no report."""

import json

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.ecg_quality import inspect_record
from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.folders.listing import list_ecg_files
from tests.helpers.ecg_files import LEADS, microvolts
from tests.helpers.shared_data import shared_path

MV = microvolts() / 1000


def suspicions(signal: np.ndarray, leads: tuple[str, ...] = LEADS, rate: float = 500) -> list[str]:
    return inspect_record(EcgRecord(signal, leads, rate))["suspicions"]


def test_a_sound_record_has_no_suspicions_and_is_json() -> None:
    summary = inspect_record(load_ecg(MV, sampling_rate=500, unit="mV"))
    assert summary["suspicions"] == []
    assert summary["einthoven_error"] < 1e-4
    assert summary["missing_standard_leads"] == []
    assert json.loads(json.dumps(summary)) == summary
    assert set(summary["lead_quality"]["V1"]) == {
        "missing_share", "flat_share", "saturated_share", "peak_to_peak_mv", "noise_mv", "wander_mv", "verdict",
    }  # fmt: skip


def altered(**rows) -> np.ndarray:
    signal = MV.copy()
    for lead, row in rows.items():
        signal[LEADS.index(lead)] = row
    return signal


def row(lead: str) -> np.ndarray:
    return MV[LEADS.index(lead)].copy()


TIME = np.arange(5000) / 500
DEFECTS = {
    "lead V3 is flat: electrode off": altered(V3=0.0),
    "lead V3 is flat for 40.0%": altered(V3=np.where(TIME < 4, 0.25, row("V3"))),
    "lead V4 lacks 10.0%": altered(V4=np.where(TIME < 1, np.nan, row("V4"))),
    "lead V4 has no samples": altered(V4=np.nan),
    "lead V5 is saturated for": altered(V5=np.clip(row("V5") * 5, None, 2.0)),
    "lead V6 is noisy": altered(V6=row("V6") + 0.2 * np.sin(2 * np.pi * 50 * TIME)),
    "lead V2 has a wandering baseline": altered(V2=row("V2") + 1.5 * np.sin(2 * np.pi * 0.2 * TIME)),
    "lead V1 spans": altered(V1=row("V1") * 1000),
    "I + III differs from II": altered(III=row("III") * 3),
    "the row named aVL is aVF, the row named aVF is aVL": altered(aVL=row("aVF"), aVF=row("aVL")),
    "the row named aVR is aVL": altered(aVR=row("aVL"), aVL=row("aVR")),
    "arm electrodes exchanged": altered(I=-row("I"), II=row("III"), III=row("II"), aVR=row("aVL"), aVL=row("aVR")),
    "lead II is nearly flat beside": altered(
        II=0.01 * row("II"), III=0.01 * row("II") - row("I"), aVR=-row("I") / 2, aVL=row("I"), aVF=-row("I") / 2
    ),
    "half of the leads no more": MV / 1000,
}


@pytest.mark.parametrize("words", DEFECTS)
def test_each_defect_is_reported(words: str) -> None:
    found = suspicions(DEFECTS[words])
    assert any(words in text for text in found), found


@pytest.mark.parametrize("words", DEFECTS)
def test_features_have_the_same_verdicts(words: str) -> None:
    record = EcgRecord(DEFECTS[words], LEADS, 500)
    features, summary = extract_features(record), inspect_record(record)
    assert {lead: dict(entry) for lead, entry in features.quality.items()} == summary["lead_quality"]
    exchanged = [text for text in summary["suspicions"] if "electrode" in text and "exchanged" in text]
    assert bool(exchanged) == bool(features.limb_lead_reversal or features.chest_lead_swap)


def test_mimics_order_of_rows_read_as_the_standard_order_is_noticed() -> None:
    mimic = [LEADS.index(lead) for lead in ("I", "II", "III", "aVR", "aVF", "aVL", *LEADS[6:])]
    found = inspect_record(load_ecg(MV[mimic], sampling_rate=500))["suspicions"]
    assert any("the row named aVL is aVF" in text for text in found)


def test_short_and_coarse_records_are_named() -> None:
    assert any("2.00 s long" in text for text in suspicions(MV[:, :1000]))
    assert any("50 Hz is too coarse" in text for text in suspicions(MV[:, ::10], rate=50))


def test_one_lead_and_few_samples_do_not_fail() -> None:
    summary = inspect_record(EcgRecord(np.ones((1, 3)), ("X",), 500))
    assert summary["einthoven_error"] is None and summary["missing_standard_leads"] == list(STANDARD_LEADS)


def test_huge_values_do_not_overflow() -> None:
    assert any("lead I spans" in text for text in suspicions(altered(I=row("I") * np.float32(1e38))))


def test_history_and_metadata_are_included() -> None:
    record = load_ecg({"signal_uv": microvolts(), "sampling_rate": 500, "report": "normal", "id": 9})
    summary = inspect_record(record)
    assert summary["history"] == list(record.history) and summary["has_report"] and summary["record_id"] == "9"


def test_real_records_obey_einthoven_and_reversed_copies_are_found() -> None:
    reversals = 0
    headers = list_ecg_files(shared_path("data/ptbxl_wfdb/records500"))
    for header in headers:
        record = load_ecg(header)
        summary = inspect_record(record)
        assert summary["einthoven_error"] < 0.02
        assert not any("exchanged" in text for text in summary["suspicions"])
        x = dict(zip(record.leads, record.signal, strict=True))
        swapped = np.stack(
            [-x["I"], x["III"], x["II"], x["aVL"], x["aVR"], x["aVF"], *(x[f"V{i}"] for i in range(1, 7))]
        )
        found = inspect_record(EcgRecord(swapped, STANDARD_LEADS, 500))["suspicions"]
        reversals += any("arm electrodes exchanged" in text for text in found)
    assert reversals >= 0.7 * len(headers)


def test_ludb_read_through_its_header_gains_would_break_einthovens_law() -> None:
    import wfdb

    header = shared_path("data/ludb/data/1.hea")
    wrong = wfdb.rdrecord(str(header.with_suffix(""))).p_signal.T
    assert inspect_record(EcgRecord(wrong, STANDARD_LEADS, 500))["einthoven_error"] > 0.1
    assert inspect_record(load_ecg(header))["einthoven_error"] < 0.01


def moving(seconds=10.0):
    """Four leads that never rest: limb leads by Einthoven's law and V1."""
    one, two = np.random.default_rng(3).normal(0, 0.3, (2, round(500 * seconds))).cumsum(axis=1) * 0.02
    return {"I": one, "II": two, "III": two - one, "V1": one + two}


def inspected(rows):
    return inspect_record(EcgRecord(np.stack(list(rows.values())), tuple(rows), 500))


@pytest.mark.parametrize(("seconds", "share"), [(0.39, 0.0), (0.41, 0.041)])
def test_a_run_of_equal_samples_is_flat_from_four_tenths_of_a_second_on(seconds, share):
    rows = moving()
    rows["V1"][1000 : 1000 + round(500 * seconds)] = 0.2
    assert inspected(rows)["lead_quality"]["V1"]["flat_share"] == pytest.approx(share, abs=1e-4)


@pytest.mark.parametrize(("share", "verdict"), [(0.94, "poor"), (0.96, "flat")])
def test_a_lead_is_flat_beyond_95_per_cent_of_its_time(share, verdict):
    rows = moving()
    rows["V1"][: round(5000 * share)] = rows["V1"][0]
    assert inspected(rows)["lead_quality"]["V1"]["verdict"] == verdict


@pytest.mark.parametrize(("error", "told"), [(0.08, False), (0.13, True)])
def test_einthovens_law_may_be_off_by_a_tenth(error, told):
    rows = moving()
    loudest = max(rows[lead].std() for lead in ("I", "II", "III"))
    rows["III"] = rows["III"] + error * loudest * np.sqrt(2) * np.sin(2 * np.pi * 7 * np.arange(5000) / 500)
    summary = inspected(rows)
    assert summary["einthoven_error"] == pytest.approx(error, rel=0.15)
    assert any("Einthoven's law" in line for line in summary["suspicions"]) == told
