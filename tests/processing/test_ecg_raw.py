# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What every reader does with its values: units, gains, rates, sizes, and data that may identify a patient."""

import os

import numpy as np
import pytest

from processing.ecg_readers import load_ecg
from processing.errors_gem import EcgFormatError
from tests.helpers.ecg_files import LEADS, dicom_bytes, microvolts, muse_xml, write_wfdb

COUNTS = microvolts(seconds=2)
# SI prefixes; the spellings of WFDB, DICOM (UCUM), EDF, HL7 aECG and of people.
MV_PER_UNIT = {
    1000.0: ("V", "v", "volt", "Volts"),
    1.0: ("mV", "mv", "MV", "millivolt", "Millivolts", " mV "),
    1e-3: ("uV", "UV", "µV", "μV", "u_V", "microvolt", "microvolts", "MICROVOLTS"),
    1e-6: ("nV", "nv", "nanovolt", "Nanovolts"),
}
SPELLINGS = [(unit, factor) for factor, units in MV_PER_UNIT.items() for unit in units]


@pytest.mark.parametrize(("unit", "factor"), SPELLINGS)
def test_every_spelling_of_a_unit(unit, factor):
    record = load_ecg(COUNTS, sampling_rate=500, unit=unit)
    np.testing.assert_allclose(record.signal, COUNTS * factor, rtol=1e-6)
    assert any("to mV" in note for note in record.history) == (factor != 1)


@pytest.mark.parametrize("unit", ["kV", "pV", "mm", "mmHg", "bpm", "mA", "adu", ""])
def test_what_is_no_voltage_is_refused(unit):
    with pytest.raises(EcgFormatError, match="unit"):
        load_ecg(COUNTS, sampling_rate=500, unit=unit)


def test_gains_are_counts_per_mv_of_all_leads_or_of_each():
    one = load_ecg(COUNTS, sampling_rate=500, gain=200)
    np.testing.assert_allclose(one.signal, COUNTS / 200, rtol=1e-6)
    gains = np.arange(1, 13) * 100
    each = load_ecg(COUNTS, sampling_rate=500, gain=gains)
    np.testing.assert_allclose(each.signal, COUNTS / gains[:, None], rtol=1e-6)
    for gain in (0, np.nan, (1, 2)):
        with pytest.raises(EcgFormatError, match="gain"):
            load_ecg(COUNTS, sampling_rate=500, gain=gain)


def test_integers_without_a_unit_are_refused_and_floats_are_mv():
    with pytest.raises(EcgFormatError, match="integers without a unit"):
        load_ecg(COUNTS, sampling_rate=500)
    record = load_ecg(COUNTS / 1000, sampling_rate=500)
    np.testing.assert_allclose(record.signal, COUNTS / 1000, rtol=1e-6)
    assert "no unit in the source: taken as mV" in record.history


@pytest.mark.parametrize(("rate", "accepted"), [(19.9, False), (20, True), (100_000, True), (100_001, False)])
def test_rates_from_20_hz_to_100_khz(rate, accepted):
    if accepted:
        assert load_ecg(COUNTS, sampling_rate=rate, unit="uV").sampling_rate == rate
    else:
        with pytest.raises(EcgFormatError, match="not possible for an ECG"):
            load_ecg(COUNTS, sampling_rate=rate, unit="uV")


def test_no_more_than_2_to_the_27_values_are_read():
    too_many = np.broadcast_to(np.float32(1), (1, 2**27 + 1))  # takes no memory
    with pytest.raises(EcgFormatError, match="134,217,728"):
        load_ecg(too_many, sampling_rate=500, leads=["II"])


def test_no_more_than_a_gibibyte_of_a_file_is_read(tmp_path):
    path = tmp_path / "large.bin"
    path.touch()
    os.truncate(path, 2**30 + 1)  # sparse: takes no room
    with pytest.raises(EcgFormatError, match="1,073,741,825 bytes are more than 1,073,741,824"):
        load_ecg(path)


# HIPAA safe harbor, 45 CFR 164.514(b)(2)(i)(C): ages above 89 are one category. PTB-XL writes them as 300.
@pytest.mark.parametrize(("stated", "told"), [("0", 0), ("89", 89), ("90", 90), ("91", 90), ("104", 90), ("300", 90)])
def test_ages_above_89_are_one_category(stated, told, tmp_path):
    header = write_wfdb(tmp_path, "r", COUNTS, comments=[f"Age: {stated}", "Sex: Female"])
    record = load_ecg(header)
    assert dict(record.metadata) == {"age": told, "sex": "F"}
    assert any("age above 89" in note for note in record.history) == (int(stated) > 89)
    assert load_ecg(header, keep_phi=True).metadata["age"] == int(stated)


def test_ages_and_names_of_other_formats():
    for content in (muse_xml(COUNTS[[0, 1, 6, 7, 8, 9, 10, 11]]).encode(), dicom_bytes(COUNTS)):
        record = load_ecg(content)
        assert record.metadata.get("age", 0) <= 90 and "phi" not in record.metadata and record.start_time is None
        said = " ".join(map(str, (dict(record.metadata), record.report, record.history, record.record_id)))
        assert not any(word in said for word in ("Doe", "Jane", "4711", "1930", "Smith"))
    kept = load_ecg(muse_xml(COUNTS[[0, 1, 6, 7, 8, 9, 10, 11]]).encode(), keep_phi=True)
    assert kept.metadata["age"] == 94 and "Doe" in str(dict(kept.metadata["phi"]))


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("056Y", 56),
        ("56 years", 56),
        ("23M", 1),
        ("103W", 1),
        ("104W", 2),
        ("729D", 1),
        ("56.7", 56),
        ("NaN", None),
        ("", None),
    ],
)
def test_ages_in_years_months_weeks_and_days(text, years, tmp_path):
    record = load_ecg(write_wfdb(tmp_path, "r", COUNTS, comments=[f"Age: {text}"]))
    assert record.metadata.get("age") == years


@pytest.mark.parametrize(
    ("text", "sex"), [("F", "F"), ("female", "F"), ("MALE", "M"), ("m", "M"), ("Unknown", None), ("Fm", None)]
)
def test_sexes(text, sex, tmp_path):
    record = load_ecg(write_wfdb(tmp_path, "r", COUNTS, comments=[f"Sex: {text}"]))
    assert record.metadata.get("sex") == sex


def test_leads_of_a_wfdb_record_come_back_by_name_whatever_their_order(tmp_path):
    order = [0, 1, 2, 3, 5, 4, *range(6, 12)]  # MIMIC-IV-ECG writes aVF before aVL
    record = load_ecg(write_wfdb(tmp_path, "r", COUNTS[order], [LEADS[i].lower() for i in order]))
    for i, lead in enumerate(LEADS):
        np.testing.assert_allclose(record.lead(lead), COUNTS[i] / 1000, atol=1e-6)
