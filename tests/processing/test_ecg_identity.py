# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Words that may name a person: report lines in ten languages, devices, channel names."""

import pytest

from processing.ecg_identity import known_device, named, names_person, split_signatures, unquoted, without_persons
from tests.helpers.shared_data import shared_path


@pytest.mark.parametrize(
    "line",
    [
        "Confirmed by Dr. A. Smith", "Referred by: JONES", "Technician: AB", "Attending: House, MD", "Patient: SMITH JOHN", "DOB 01.02.1950",
        "MRN 123", "Name SMITH", "Electronically signed by Max", "Ordering physician Jones", "Unconfirmed, overread by J. Jones",
        "Befundet von Dr. med. A. Müller", "Überwiesen durch Praxis Meier", "Pat. Meier, geb. 1.2.45", "Zuweiser Meier", "Bestätigt von Meier",
        "Validé par Dupont", "Médecin : Dupont", "Né le 1/2/1950", "Relu par Dupont",
        "Bekräftad av Lars Svensson", "Remittent: Svensson", "Personnummer 500102", "Godkendt af Hansen", "Bekreftet av Hansen",
        "Confirmado por: Garcia", "Paciente: Garcia", "Fecha de nacimiento 1950", "Laudado por Silva",
        "Refertato da Rossi", "Paziente: Rossi", "Cognome Rossi", "Beoordeeld door Jansen", "Voornaam: Jan",
    ],
)  # fmt: skip
def test_lines_that_name_a_person_leave_a_report(line):
    assert names_person(line) and split_signatures(["Sinus rhythm", line]) == (["Sinus rhythm"], [line])
    for between in (". ", "; ", "\n"):
        assert without_persons(f"Sinus rhythm{between}{line}{between}ST normal") in (
            f"Sinus rhythm{between}ST normal",
            f"Sinus rhythm{between.strip()} ST normal",
        )


@pytest.mark.parametrize(
    "line",
    [
        "Paced patient, ectopy caused by pacing", "obscured by artifact", "Unconfirmed report", "unbestätigter bericht", "case of LBBB",
        "history of MI", "Q waves in III, aVF", "PR 160 ms. QRS 96 ms", "2. degree AV block", "bedingt durch Artefakte",
        "rythme entraîné par le pacemaker", "QRS förlängd av grenblock", "causado por isquemia", "no sig. ST change", "MR and TR",
    ],
)  # fmt: skip
def test_lines_about_the_heart_stay(line):
    assert not names_person(line) and without_persons(line) == line


def test_dates_and_long_numbers_are_taken_out_of_what_stays():
    assert without_persons("no change since ECG of 12.9.91") == "no change since ECG of ..."
    assert without_persons("compared with 03-MAY-2011; trace 4711081") == "compared with ...; trace ..."


def test_reports_of_ptbxl_keep_what_they_say():
    import pyarrow.parquet as pq

    folder = shared_path("data/ptbxl")
    reports = [
        r for f in sorted(folder.glob("*.parquet")) for r in pq.read_table(f, columns=["report"])["report"].to_pylist()
    ]
    changed = [report for report in reports if without_persons(report) != report]
    assert len(reports) > 2000 and len(changed) <= 0.005 * len(reports), changed[:5]
    lost = [report for report in changed if len(without_persons(report)) < 0.8 * len(report)]
    assert not lost, "PTB-XL's publishers took the names out; a date is all that may go"


def test_devices_are_makers_and_models():
    assert known_device("GE Healthcare MAC 5500, room 4, Jones") == "GE Healthcare MAC 5500"
    assert known_device("CS-12   E") == "CS-12" and known_device("Mortara ELI250") == "Mortara ELI250"
    assert known_device("JONES MARY 1950") == known_device("") == ""


def test_names_of_channels_are_quoted_unless_they_are_leads():
    note = f"left out {named(['V7', 'DII', 'RESP', 'Jones']).replace(', ', ' and ')}"
    assert note == 'left out V7 and DII and "RESP" and "Jones"'
    assert unquoted(note) == 'left out V7 and DII and "..." and "..."'
    assert unquoted(named(['a"b', "c" * 100])) == '"...", "..."'
