# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""History, other records, definitions, questions and rejected readings are no claims about this ECG; present findings are."""

import time

import pytest

from processing.claims.claims import extract_claims


def stated(text):
    return [(claim.kind, claim.value, claim.polarity) for claim in extract_claims(text)]


@pytest.mark.parametrize(
    "text",
    [
        # a person's history, or a family's
        "Mother had long QT syndrome.",
        "His father died of long QT syndrome.",
        "Her sister has WPW syndrome.",
        "Had ST elevation last year.",
        "Two years ago the patient had atrial flutter.",
        "Had an inferior infarct and atrial fibrillation.",
        "Previously documented first-degree AV block.",
        "Status post ablation for WPW.",
        "S/p cardioversion for atrial flutter.",
        "On anticoagulation for paroxysmal AF.",
        "The patient was treated for atrial fibrillation.",
        "Amiodarone for ventricular tachycardia.",
        "Past medical history: atrial fibrillation, LBBB.",
        "Ventricular tachycardia was treated with amiodarone in 2020.",
        "Atrial fibrillation was suspected clinically.",
        # what an ECG is for
        "Query atrial fibrillation.",
        "A repeat ECG may show ST elevation.",
        "Referred for palpitations, ?AF.",
        "Indication: atrial fibrillation.",
        "Clinical question: STEMI?",
        "Rule out atrial fibrillation.",
        "Repeat the ECG to look for ST elevation.",
        "Watch for QRS widening over 120 ms.",
        "Risk of complete heart block.",
        "Prone to ventricular tachycardia.",
        "Symptoms of tachycardia were reported.",
        # other records
        "The 2018 tracing showed LBBB.",
        "Last year's ECG showed complete heart block.",
        "An ECG from 2015 had shown LBBB.",
        "Compared with 2019, when the PR was 240 ms.",
        # limits and definitions
        "A QRS wider than 120 ms defines bundle branch block.",
        "QTc above 500 ms increases the risk of torsades.",
        "ST elevation of at least 1 mm in two contiguous leads is required for STEMI.",
        "A QTc above 460 ms is prolonged in women.",
        "A PR interval longer than 200 ms constitutes first-degree AV block.",
        "In LBBB, the QRS is wider than 120 ms.",
        "Atrial fibrillation is characterised by absent P waves.",
        "Bradycardia means a rate below 60 bpm.",
        "Patients with LBBB often have ST elevation in V1-V3.",
        "Amiodarone can cause QT prolongation.",
        # readings that are rejected
        "The automated report of LBBB was overread.",
        "The machine read atrial fibrillation, but I disagree.",
        "This was erroneously called atrial fibrillation.",
        "Misread as atrial flutter.",
        # questions
        "Is there ST elevation?",
        "Could this be pericarditis with ST elevation?",
        "Had the QRS been wider than 120 ms, LBBB would have been diagnosed.",
    ],
)
def test_what_is_not_of_this_ecg_is_no_claim(text):
    assert stated(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Atrial fibrillation, as on the 2018 tracing.", [("rhythm", "atrial fibrillation", "affirmed")]),
        ("Atrial fibrillation as in 2018.", [("rhythm", "atrial fibrillation", "affirmed")]),
        ("Atrial fibrillation since last year.", [("rhythm", "atrial fibrillation", "affirmed")]),
        ("LBBB, known since 2018.", [("lbbb", True, "affirmed")]),
        ("LBBB, unchanged from the 2018 tracing.", [("lbbb", True, "affirmed")]),
        ("This 2018 tracing shows LBBB.", [("lbbb", True, "affirmed")]),
        ("ECG taken in 2018 shows LBBB.", [("lbbb", True, "affirmed")]),
        ("Today's ECG shows LBBB.", [("lbbb", True, "affirmed")]),
        ("Atrial fibrillation, treated with apixaban.", [("rhythm", "atrial fibrillation", "affirmed")]),
        ("History of atrial fibrillation, now in sinus rhythm.", [("rhythm", "sinus rhythm", "affirmed")]),
        ("Referred for atrial fibrillation, the ECG shows sinus rhythm.", [("rhythm", "sinus rhythm", "affirmed")]),
        ("S/p ablation for WPW, sinus rhythm is present.", [("rhythm", "sinus rhythm", "affirmed")]),
        ("Previously noted LBBB persists.", [("lbbb", True, "affirmed")]),
        ("The previously noted LBBB is no longer present.", [("lbbb", True, "negated")]),
        ("The QTc is above 500 ms, which increases the risk of torsades.", [("qtc_interval", 500.0, "affirmed")]),
        ("A QRS wider than 120 ms is present.", [("qrs_duration", 120.0, "affirmed")]),
        ("Unlike in atrial fibrillation, P waves are seen.", [("p_waves", "present", "affirmed")]),
        ("P waves are present, unlike in atrial flutter.", [("p_waves", "present", "affirmed")]),
        ("The machine read atrial fibrillation.", [("rhythm", "atrial fibrillation", "affirmed")]),
        ("The computer says AF, but this is sinus rhythm.", [("rhythm", "sinus rhythm", "affirmed")]),
        ("Sinus rhythm, anterior infarct?", [("rhythm", "sinus rhythm", "affirmed")]),
        ("Formerly LBBB, now the QRS is narrow.", [("qrs_duration", "narrow", "affirmed")]),
        ("Previously seen LBBB, which persists.", [("lbbb", True, "affirmed")]),
        ("In this ECG, LBBB is seen.", [("lbbb", True, "affirmed")]),
        ("The patient, referred for syncope, has complete heart block.", [("av_block", 3, "affirmed")]),
        ("ST elevation? None.", [("st_elevation", None, "negated")]),
        ("Atrial fibrillation? Not present.", [("rhythm", "atrial fibrillation", "negated")]),
        ("Evaluation of the rhythm shows atrial fibrillation.", [("rhythm", "atrial fibrillation", "affirmed")]),
        ("Screening for atrial flutter reveals sinus rhythm.", [("rhythm", "sinus rhythm", "affirmed")]),
        ("Clinical diagnosis: atrial fibrillation.", [("rhythm", "atrial fibrillation", "affirmed")]),
        ("What is the rhythm? Atrial fibrillation.", [("rhythm", "atrial fibrillation", "affirmed")]),
        ("LBBB, as previously.", [("lbbb", True, "affirmed")]),
        ("LBBB? No.", [("lbbb", True, "negated")]),
        ("LBBB? Yes.", [("lbbb", True, "affirmed")]),
    ],
)
def test_present_findings_do_not_slip(text, expected):
    assert stated(text) == expected


@pytest.mark.parametrize(
    "words",
    [
        "in contrast to the ",
        "increases the ",
        "ECG from ",
        "machine ",
        "the machine read ",
        "risk ",
        "past medical surgical ",
        "mother ",
        "LBBB? ",
    ],
)
def test_long_texts_take_little_time(words):
    started = time.process_time()
    extract_claims(words * (60_000 // len(words)))
    assert time.process_time() - started < 5
