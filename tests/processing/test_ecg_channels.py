# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Which channels of a source are leads, in which unit, and how that is known: every guess is marked as one."""

import numpy as np
import pytest

from processing.ecg_lead_evidence import LeadEvidence
from processing.ecg_lead_names import is_other_channel, leads_of_channels
from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.ecg_units import mv_per_unit, name_and_unit
from processing.errors_gem import EcgFormatError, EcgLeadError, GemError
from tests.helpers.ecg_files import microvolts, write_wfdb

COUNTS = microvolts(seconds=4)
MV = (COUNTS / 1000).astype(np.float32)
CHEST = tuple(f"C{number}" for number in range(1, 7))


def load(names, unit="mV", rows=None, **options):
    rows = MV[: len(names)] if rows is None else rows
    units = {} if unit is None else {"unit": unit}
    return load_ecg({"signal": rows, "leads": names, "sampling_rate": 500, **units}, **options)


# Names: only a whole set of leads turns numbers into leads ------------------------------------------------------------

WHOLE_SETS = {
    ("1", "2", "3", *STANDARD_LEADS[3:]): STANDARD_LEADS,
    ("Lead 1", "Lead 2", "Lead 3", *STANDARD_LEADS[3:]): STANDARD_LEADS,
    (*STANDARD_LEADS[:6], *CHEST): STANDARD_LEADS,
    ("I", "II", *CHEST): ("I", "II", *STANDARD_LEADS[6:]),
    ("1", "2", *CHEST): ("I", "II", *STANDARD_LEADS[6:]),
    tuple(str(number) for number in range(12)): STANDARD_LEADS,
    tuple(f"ECG{number}" for number in range(1, 13)): STANDARD_LEADS,
    tuple(f"ch_{number}" for number in range(1, 9)): ("I", "II", *STANDARD_LEADS[6:]),
}


@pytest.mark.parametrize(("names", "leads"), WHOLE_SETS.items())
def test_number_names_are_leads_in_a_whole_set_and_are_marked_as_assumed(names, leads):
    record = load(names).recorded_leads_only()
    assert record.leads == leads
    for name, lead in zip(names, leads, strict=True):
        assert record.evidence[lead].name == ("stated" if name == lead else "assumed")


NO_SETS = [
    ("C3", "C4"), ("1", "2", "3"), ("ch1", "ch2"), ("signal 0",), CHEST, (*CHEST, "Fz", "Cz", "Pz"), ("0", "1"),
    tuple(str(number) for number in range(2, 14)), tuple(f"C{number}" for number in range(1, 13)),
]  # fmt: skip


@pytest.mark.parametrize("names", NO_SETS)
def test_numbers_that_are_no_set_of_leads_are_refused_with_the_cure(names):
    with pytest.raises(GemError, match=r"leads=\["):
        load(names, rows=np.resize(MV, (len(names), 2000)))


@pytest.mark.parametrize("names", [("II", "C3", "C4"), ("I", "II", "III", "1", "2"), ("EKG", "C3", "C4", "Fz")])
def test_unknown_channels_beside_true_leads_are_left_out_and_named(names):
    record = load(names).recorded_leads_only()
    assert record.leads == tuple(name for name in names if name in ("I", "II", "III", "EKG"))
    assert all(any(name in note for note in record.history) for name in names if name not in record.leads)


@pytest.mark.parametrize(
    "names", [("ECG1", "ECG2"), ("EKG 1", "EKG 2"), ("ECG",), ("Lead 1", "Lead 2"), ("MLII", "V5")]
)
def test_an_ecg_of_an_unknown_lead_keeps_its_name_and_gives_no_limb_leads(names):
    record = load(names)
    assert record.leads == names and not record.derived_leads
    assert record.lead(names[0]) is not None and record.select_leads(names) is record
    again = EcgRecord(record.signal, names, 500)
    assert again.leads == names


OTHERS = [
    "PLETH", "RESP", "ABP", "ART", "PAP", "CVP", "ICP", "CO2", "SpO2", "SaO2", "EtCO2", "ABPMean", "Fp1", "Fz", "Cz", "O2",
    "T3", "C3-A2", "C4:M1", "EEG", "EOG", "EMG", "accX", "Marker", "Events", "Counter", "time", "HR", "P1", "Airflow",
    "EEG Fpz-Cz", "ACC x", "EDF Annotations", "Resp abdo", "EMG chin", "EOG(L)", "ECG annotations", "sample #",
]  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_channels_that_are_no_ecg_are_left_out_whatever_their_unit(name):
    record = load(("II", name, "V5"))
    assert record.leads == ("II", "V5") and any(name in note for note in record.history)
    with pytest.raises(EcgFormatError, match="no channel"):
        load((name,))


@pytest.mark.parametrize(
    "name", [*STANDARD_LEADS, "ECG V", "V", "V7", "V3R", "MLII", "CM5", "X", "vx", "ECG LA-RA", "ES"]
)
def test_lead_names_are_not_taken_for_other_channels(name):
    assert not is_other_channel(name) and leads_of_channels((name,)) == (name,)


def test_evenly_rising_rows_are_an_axis_not_a_lead():
    time = np.arange(2000) / 500
    record = load_ecg(np.vstack([time, MV]))
    assert record.leads == STANDARD_LEADS and record.sampling_rate == 500
    assert record.evidence["II"] == LeadEvidence(name="assumed", unit="assumed", gain=None, rate="derived")
    named = load(("II", "what", "V5"), rows=np.stack([MV[1], np.arange(2000), MV[10]]))
    assert named.leads == ("II", "V5") and any("what" in note for note in named.history)
    # A ramp in a lead is a drift, and a true lead all the same.
    assert load(("II",), rows=time[None]).leads == ("II",)


def test_the_caller_names_rows_and_leaves_out_others():
    record = load(("1", "2", "3"), leads=["II", "-", "C5"])
    assert record.leads == ("II", "V5") and record.evidence["V5"].name == "given"
    np.testing.assert_array_equal(record.signal, MV[[0, 2]])
    both = load(("PLETH", "a", "b"), leads=["I", "V2"])  # one name per channel that may be an ECG
    np.testing.assert_array_equal(both.signal, MV[1:3])
    with pytest.raises(EcgLeadError, match="no lead"):
        load(("1", "2"), leads=["-", "-"])


# Units: what is stated of one is not stated of another ----------------------------------------------------------------


@pytest.mark.parametrize("silent", [0, 1, 11])
def test_a_unit_of_some_leads_is_not_the_unit_of_the_others(silent):
    units = ["uV"] * 12
    units[silent] = ""
    with pytest.raises(EcgFormatError, match=rf"lead {STANDARD_LEADS[silent]} has no unit.*unit='uV'"):
        load(STANDARD_LEADS, unit=units, rows=COUNTS)
    record = load_ecg({"signal": COUNTS, "leads": STANDARD_LEADS, "fs": 500, "units": units}, unit="uV")
    np.testing.assert_allclose(record.signal, MV, atol=1e-6)
    assert record.evidence["V1"] == LeadEvidence(name="stated", unit="given", gain=None, rate="stated")


def test_a_channel_without_a_unit_beside_leads_with_one_is_left_out():
    record = load(("II", "aux"), unit=["mV", None])
    assert record.leads == ("II",) and any("aux" in note for note in record.history)


@pytest.mark.parametrize("factor", [1000, 200, 1e-3, 1e-5])
def test_numbers_without_a_unit_are_mv_only_if_they_can_be(factor):
    with pytest.raises(EcgFormatError, match="unit='uV'"):
        load(STANDARD_LEADS, unit=None, rows=MV * factor)
    assert load(STANDARD_LEADS, unit=None).assumed == {"unit": STANDARD_LEADS}


def test_whole_numbers_are_integers_whatever_their_type():
    with pytest.raises(EcgFormatError, match="integers without a unit"):
        load(STANDARD_LEADS, unit=None, rows=COUNTS.astype(np.float64))


@pytest.mark.parametrize("unit", ["?V", "\ufffdV", "mmHg", "x0.1mV", "uV/bit", "kV", "adu"])
def test_an_unknown_unit_is_refused(unit):
    with pytest.raises(EcgFormatError, match="not a voltage"):
        load(STANDARD_LEADS, unit=unit)


@pytest.mark.parametrize("unit", ["µV", "μV", "ÂµV", "Î¼V", "microV", "MicroVolts", "u_V", "µv", "мкВ"])
def test_micro_signs_of_every_encoding(unit):
    assert mv_per_unit(unit) == 1e-3


def test_millivolts_in_cyrillic():
    assert mv_per_unit("мВ") == 1.0 and name_and_unit("II (мВ)") == ("II", "мВ")


HEADS = {
    "II [mV]": ("II", "mV"), "I/mV": ("I", "mV"), "I (microV)": ("I", "microV"), "aVF_uV": ("aVF", "uV"), "V1 (V)": ("V1", "V"),
    "ECG, µV": ("ECG", "µV"), "ECG V": ("ECG V", None), "ECG_V": ("ECG_V", None), "V": ("V", None), "I": ("I", None),
    "ECG (filtered)": ("ECG (filtered)", None), "V/V": ("V", "V"), "HR (bpm)": ("HR", "bpm"), "uV": ("uV", None),
    "II (\ufffdV)": ("II", "\ufffdV"), "aVR": ("aVR", None), "": ("", None), "(mV)": ("(mV)", None),
}  # fmt: skip


@pytest.mark.parametrize(("head", "parts"), HEADS.items())
def test_name_and_unit_of_a_head(head, parts):
    assert name_and_unit(head) == parts


# Evidence of files -----------------------------------------------------------------------------------------------------


def test_what_a_header_states_is_stated(tmp_path):
    record = load_ecg(write_wfdb(tmp_path, "r", COUNTS))
    assert record.assumed == {}
    assert {evidence.name for evidence in record.evidence.values()} == {"stated"}


def test_gains_of_the_caller_and_of_a_row():
    given = load_ecg(COUNTS, sampling_rate=500, gain=1000).evidence["II"]
    assert given == LeadEvidence(name="assumed", unit="given", gain="given", rate="given")
    stated = load_ecg({"signal": COUNTS, "leads": STANDARD_LEADS, "fs": 500, "gain": 1000}).evidence["II"]
    assert stated == LeadEvidence(name="stated", unit="stated", gain="stated", rate="stated")
