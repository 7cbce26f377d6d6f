# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Every row of the published tables of diagnosis codes (tests/fixtures/codes)."""

import csv
from pathlib import Path

import pytest

from recipes.sources.statements import SYSTEMS, in_words, labels_report, scp_statements, superclass_of, superclasses_of
from recipes.teachers.diagnoses import diagnoses_in

CODES = Path(__file__).parents[2] / "fixtures" / "codes"


def table(name):
    with (CODES / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


SCP, SNOMED, AHA = (table(name) for name in ("scp_statements", "snomed_challenge_2021", "aha_statements"))

# Where our words are others than the published ones: published -> ours. Spelling (British, hyphens, plurals) is `plain`'s.
REWORDED = {
    # SCP-ECG
    "non-diagnostic T abnormalities": "non-diagnostic T wave changes",
    "non-specific ischemic": "ischaemic ST-T changes",
    "non-specific intraventricular conduction disturbance (block)": "non-specific intraventricular conduction disturbance",
    "left atrial overload/enlargement": "left atrial enlargement",
    "right atrial overload/enlargement": "right atrial enlargement",
    "ST-T changes compatible with ventricular aneurysm": "ST-T changes of ventricular aneurysm",
    "electrolytic disturbance or drug (former EDIS)": "electrolyte disturbance or drug effect",
    "Wolf-Parkinson-White syndrome": "Wolff-Parkinson-White pattern",
    "voltage criteria (QRS) for left ventricular hypertrophy": "voltage criteria for left ventricular hypertrophy",
    "Q waves present": "Q waves",
    "low amplitude T-waves": "low T waves",
    "low QRS voltages in the frontal and horizontal leads": "low QRS voltages",
    "normal functioning artificial pacemaker": "paced rhythm",
    "bigeminal pattern (unknown origin, SV or Ventricular)": "bigeminy",
    "trigeminal pattern (unknown origin, SV or Ventricular)": "trigeminy",
    "ventricular premature complex": "ventricular premature complexes",
    "atrial premature complex": "atrial premature complexes",
    **{f"ischemic in {wall} leads": f"{wall} ischaemia" for wall in ("anterior", "anterolateral", "anteroseptal", "inferior", "inferolateral", "lateral")},
    **{f"subendocardial injury in {wall} leads": f"{wall} subendocardial injury" for wall in ("anterolateral", "anteroseptal", "inferior", "inferolateral", "lateral")},
    # SNOMED CT
    "1st degree av block": "first degree AV block",
    "2nd degree av block": "second degree AV block",
    "complete heart block": "third degree AV block",
    "mobitz type i wenckebach atrioventricular block": "second degree AV block, Mobitz I",
    "mobitz type II atrioventricular block": "second degree AV block, Mobitz II",
    "congenital incomplete atrioventricular heart block": "congenital incomplete AV block",
    "nonspecific intraventricular conduction disorder": "non-specific intraventricular conduction disturbance",
    "nonspecific st t abnormality": "non-specific ST-T abnormality",
    "premature atrial contraction": "atrial premature complexes",
    "premature ventricular contractions": "ventricular premature complexes",
    "blocked premature atrial contraction": "blocked atrial premature complex",
    "junctional premature complex": "junctional premature complexes",
    "ventricular ectopics": "ventricular ectopic beats",
    "pacing rhythm": "paced rhythm",
    "atrial pacing pattern": "atrial pacing",
    "ventricular pacing pattern": "ventricular pacing",
    "qwave abnormal": "abnormal Q waves",
    "r wave abnormal": "abnormal R waves",
    "t wave abnormal": "T wave abnormality",
    "u wave abnormal": "U wave abnormality",
    "high t-voltage": "high T waves",
    "s t changes": "ST-T changes",
    "st interval abnormal": "ST abnormality",
    "inferior ST segment depression": "inferior ST depression",
    "fqrs wave": "fragmented QRS",
    "brugada": "Brugada pattern",
    "suspect arm ecg leads reversed": "suspected arm lead reversal",
    "atrioventricular dissociation": "AV dissociation",
    "atrioventricular junctional rhythm": "junctional rhythm",
    "atrioventricular node reentrant tachycardia": "AV nodal re-entrant tachycardia",
    "atrioventricular reentrant tachycardia": "AV re-entrant tachycardia",
    "countercolockwise rotation": "counterclockwise rotation",
    "indeterminate cardiac axis": "indeterminate axis",
    "left ventricular high voltage": "high left ventricular voltage",
    "right atrial high voltage": "high right atrial voltage",
    "sinus atrium to atrial wandering rhythm": "wandering atrial rhythm",
    "shortened pr interval": "short PR interval",
    "decreased qt interval": "short QT interval",
    # AHA/ACC/HRS
    "Atrial premature complexes, nonconducted": "atrial premature complexes, not conducted",
    "Second-degree AV block, Mobitz type I (Wenckebach)": "second degree AV block, Mobitz I",
    "Second-degree AV block, Mobitz type II": "second degree AV block, Mobitz II",
    "AV block, advanced (high-grade)": "AV block, advanced",
    "AV block, complete (third-degree)": "third degree AV block",
    "Ventricular preexcitation": "ventricular pre-excitation",
    "With a rapid ventricular response": "with rapid ventricular response",
    "With a slow ventricular response": "with slow ventricular response",
}  # fmt: skip


def plain(words):
    words = " ".join(words.lower().replace("-", " ").split())
    words = f"{words[:-3]} myocardial infarction" if words.endswith(" mi") else words
    for published, ours in (("(es)", "es"), ("ischemi", "ischaemi"), ("repolariz", "repolaris")):
        words = words.replace(published, ours)
    return words


def check_words(rows, system, key):
    wrong = {}
    for row in rows:
        published = REWORDED.get(row[key], row[key])
        ours = in_words(row["code"], system)
        if plain(ours) != plain(published):
            wrong[row["code"]] = f"{ours!r}, published {published!r}"
    assert not wrong


def test_every_scp_statement_in_words():
    check_words(SCP, "scp", "description")
    assert set(SYSTEMS["scp"]) == {row["code"] for row in SCP}


def test_every_snomed_code_in_words():
    check_words(SNOMED, "snomed", "name")
    assert set(SYSTEMS["snomed"]) == {row["code"] for row in SNOMED}


def test_every_aha_code_and_modifier_in_words():
    check_words([row for row in AHA if int(row["code"]) < 300], "aha", "statement")
    assert set(SYSTEMS["aha"]) == {row["code"] for row in AHA if int(row["code"]) < 300}
    for row in AHA:
        if int(row["code"]) >= 300:
            words = in_words(f"60+{row['code']}", "aha").removeprefix("ventricular premature complexes, ")
            assert plain(words) == plain(REWORDED.get(row["statement"], row["statement"])), row
    assert in_words("60+310+308", "aha") == "ventricular premature complexes, frequent, occasional"
    assert in_words("60+999", "aha") == "ventricular premature complexes, modifier 999"


@pytest.mark.parametrize("row", SCP, ids=[row["code"] for row in SCP])
def test_superclasses_are_those_of_diagnostic_statements(row):
    expected = row["diagnostic_class"] if row["diagnostic"] == "1" else None
    assert superclass_of(row["code"]) == expected
    assert superclasses_of({row["code"]: 15.0}) == ({expected} if expected else set())
    assert superclasses_of({row["code"]: 0.0}) == set(), "a likelihood of 0 is not stated"


# SCP-ECG statement -> what of the other systems means the same, by published names.
SAME_AS_SNOMED = {
    "AFIB": {"atrial fibrillation", "chronic atrial fibrillation", "paroxysmal atrial fibrillation", "rapid atrial fibrillation"},
    "AFLT": {"atrial flutter"},
    "CLBBB": {"complete left bundle branch block", "left bundle branch block"},
    "CRBBB": {"complete right bundle branch block", "right bundle branch block"},
    "ILBBB": {"incomplete left bundle branch block"},
    "IRBBB": {"incomplete right bundle branch block"},
    "LAFB": {"left anterior fascicular block"},
    "LPFB": {"left posterior fascicular block"},
    "IVCD": {"nonspecific intraventricular conduction disorder"},
    "1AVB": {"1st degree av block"},
    "2AVB": {"2nd degree av block", "mobitz type I wenckebach atrioventricular block", "mobitz type II atrioventricular block"},
    "3AVB": {"complete heart block"},
    "WPW": {"ventricular pre excitation", "wolff parkinson white pattern"},
    "SR": {"sinus rhythm"},
    "SARRH": {"sinus arrhythmia"},
    "SBRAD": {"sinus bradycardia"},
    "STACH": {"sinus tachycardia"},
    "SVTAC": {"supraventricular tachycardia"},
    "PSVT": {"paroxysmal supraventricular tachycardia"},
    "BIGU": {"ventricular bigeminy"},
    "TRIGU": {"ventricular trigeminy"},
    "PACE": {"pacing rhythm", "ventricular pacing pattern"},
    "PAC": {"premature atrial contraction", "supraventricular premature beats"},
    "PVC": {"premature ventricular contractions", "ventricular premature beats", "ventricular ectopics", "paired ventricular premature complexes"},
    "LNGQT": {"prolonged qt interval"},
    "NST_": {"nonspecific st t abnormality"},
    "ISC_": {"myocardial ischemia"},
    "ISCAN": {"anterior ischemia"},
    "ISCIN": {"inferior ischaemia"},
    "ISCLA": {"lateral ischaemia"},
    "AMI": {"anterior myocardial infarction"},
    "LVH": {"left ventricular hypertrophy"},
    "RVH": {"right ventricular hypertrophy"},
    "LAO/LAE": {"left atrial abnormality", "left atrial enlargement", "left atrial hypertrophy"},
    "RAO/RAE": {"right atrial abnormality", "right atrial hypertrophy"},
}  # fmt: skip
SAME_AS_AHA = {
    "NORM": {"1"}, "SR": {"20"}, "STACH": {"21"}, "SBRAD": {"22"}, "SARRH": {"23"}, "PAC": {"30", "31"}, "AFIB": {"50"},
    "AFLT": {"51"}, "PVC": {"60"}, "1AVB": {"82"}, "2AVB": {"83", "84", "85"}, "3AVB": {"88"}, "LAFB": {"101"}, "LPFB": {"102"},
    "CLBBB": {"104"}, "IRBBB": {"105"}, "CRBBB": {"106"}, "WPW": {"108"}, "LAO/LAE": {"140"}, "LVH": {"142"}, "RVH": {"143"},
    "NST_": {"145", "146"}, "NDT": {"147"}, "LNGQT": {"148"}, "AMI": {"160", "166"}, "IMI": {"161"}, "ASMI": {"165"},
}  # fmt: skip


def test_snomed_codes_mean_their_scp_statements_and_no_others():
    found = {}
    for row in SNOMED:
        for statement in scp_statements({row["code"]: 100.0}, "snomed"):
            found.setdefault(statement, set()).add(row["name"].lower())
    assert found == {statement: {name.lower() for name in names} for statement, names in SAME_AS_SNOMED.items()}


def test_aha_codes_mean_their_scp_statements_and_no_others():
    found = {}
    for row in AHA:
        for statement in scp_statements({f"{row['code']}+310": 100.0}, "aha"):
            found.setdefault(statement, set()).add(row["code"])
    assert found == SAME_AS_AHA


def test_code_15_columns():
    """Ribeiro et al. 2020 (doi:10.1038/s41467-020-15432-4), the six abnormalities of CODE."""
    meanings = {
        "1dAVb": ("first degree AV block", "1AVB"), "RBBB": ("right bundle branch block", "CRBBB"),
        "LBBB": ("left bundle branch block", "CLBBB"), "SB": ("sinus bradycardia", "SBRAD"), "ST": ("sinus tachycardia", "STACH"),
        "AF": ("atrial fibrillation", "AFIB"), "normal_ecg": ("normal ECG", "NORM"),
    }  # fmt: skip
    assert {code: (in_words(code, "code15"), *scp_statements({code: 1.0}, "code15")) for code in meanings} == meanings


def test_the_highest_likelihood_of_a_statement_counts_and_unknown_codes_stay():
    assert scp_statements({"164909002": 50.0, "733534002": 80.0, "1": 100.0}, "snomed") == {"CLBBB": 80.0}
    assert scp_statements({"733534002": 80.0, "164909002": 50.0}, "snomed") == {"CLBBB": 80.0}
    assert scp_statements({"NORM": 80.0, "SR": 0.0}, "scp") == {"NORM": 80.0, "SR": 0.0}
    assert in_words("123", "snomed") == "123"
    assert labels_report(["59118001", "713427006", "59118001"], "snomed") == (
        "right bundle branch block; complete right bundle branch block"
    )


# What a reading may call the diagnosis that a statement settles -> the statements.
NAMED = {
    "normal ECG": "NORM",
    "sinus rhythm": "SR SARRH SBRAD STACH",
    "atrial fibrillation": "AFIB",
    "atrial flutter": "AFLT",
    "paced rhythm": "PACE",
    "supraventricular tachycardia": "SVTAC PSVT SVARR",
    "premature ventricular complexes": "PVC",
    "premature atrial complexes": "PAC",
    "AV block": "1AVB 2AVB 3AVB LPR",
    "left bundle branch block": "CLBBB ILBBB",
    "right bundle branch block": "CRBBB IRBBB",
    "fascicular block": "LAFB LPFB",
    "intraventricular conduction disturbance": "IVCD",
    "pre-excitation": "WPW",
    "left ventricular hypertrophy": "LVH VCLVH",
    "right ventricular hypertrophy": "RVH",
    "septal hypertrophy": "SEHYP",
    "atrial enlargement": "LAO/LAE RAO/RAE",
    "myocardial infarction": "IMI ASMI ILMI AMI ALMI LMI IPLMI IPMI PMI",
    "ischaemia": "INJAS INJAL INJLA INJIN INJIL ISC_ ISCAL ISCIN ISCIL ISCAS ISCLA ISCAN",
    "long QT": "LNGQT",
    "digitalis effect": "DIG",
    "electrolyte disturbance": "EL",
    "ventricular aneurysm": "ANEUR",
}


@pytest.mark.parametrize("code", [row["code"] for row in SCP])
def test_the_diagnosis_that_a_statement_names(code):
    words = in_words(code, "scp")
    assert diagnoses_in(words) == {name for name, codes in NAMED.items() if code in codes.split()}
    assert diagnoses_in(f"No evidence of {words}.") == set()
