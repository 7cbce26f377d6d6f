# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Diagnosis codes of the sources in words, and the SCP-ECG statement that means the same, where there is one.

SNOMED CT codes: the PhysioNet/CinC Challenge 2021's lists of scored and unscored diagnoses. AHA codes: AHA/ACC/HRS
recommendations 2007, part II (doi:10.1161/CIRCULATIONAHA.106.180200), tables of primary statements and modifiers. SCP-ECG
statements and their superclasses: PTB-XL's scp_statements.csv (Wagner et al. 2020, doi:10.1038/s41597-020-0495-6).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")

# SCP-ECG statement -> (superclass or None, how an interpretation says it).
STATEMENTS: dict[str, tuple[str | None, str]] = {
    "NORM": ("NORM", "normal ECG"),
    "IMI": ("MI", "inferior myocardial infarction"),
    "ASMI": ("MI", "anteroseptal myocardial infarction"),
    "ILMI": ("MI", "inferolateral myocardial infarction"),
    "AMI": ("MI", "anterior myocardial infarction"),
    "ALMI": ("MI", "anterolateral myocardial infarction"),
    "LMI": ("MI", "lateral myocardial infarction"),
    "IPLMI": ("MI", "inferoposterolateral myocardial infarction"),
    "IPMI": ("MI", "inferoposterior myocardial infarction"),
    "PMI": ("MI", "posterior myocardial infarction"),
    "INJAS": ("MI", "anteroseptal subendocardial injury"),
    "INJAL": ("MI", "anterolateral subendocardial injury"),
    "INJLA": ("MI", "lateral subendocardial injury"),
    "INJIN": ("MI", "inferior subendocardial injury"),
    "INJIL": ("MI", "inferolateral subendocardial injury"),
    "NDT": ("STTC", "non-diagnostic T wave changes"),
    "NST_": ("STTC", "non-specific ST changes"),
    "DIG": ("STTC", "digitalis effect"),
    "LNGQT": ("STTC", "long QT interval"),
    "ISC_": ("STTC", "ischaemic ST-T changes"),
    "ISCAL": ("STTC", "anterolateral ischaemia"),
    "ISCIN": ("STTC", "inferior ischaemia"),
    "ISCIL": ("STTC", "inferolateral ischaemia"),
    "ISCAS": ("STTC", "anteroseptal ischaemia"),
    "ISCLA": ("STTC", "lateral ischaemia"),
    "ISCAN": ("STTC", "anterior ischaemia"),
    "ANEUR": ("STTC", "ST-T changes of ventricular aneurysm"),
    "EL": ("STTC", "electrolyte disturbance or drug effect"),
    "LAFB": ("CD", "left anterior fascicular block"),
    "LPFB": ("CD", "left posterior fascicular block"),
    "IRBBB": ("CD", "incomplete right bundle branch block"),
    "CRBBB": ("CD", "complete right bundle branch block"),
    "CLBBB": ("CD", "complete left bundle branch block"),
    "ILBBB": ("CD", "incomplete left bundle branch block"),
    "IVCD": ("CD", "non-specific intraventricular conduction disturbance"),
    "1AVB": ("CD", "first degree AV block"),
    "2AVB": ("CD", "second degree AV block"),
    "3AVB": ("CD", "third degree AV block"),
    "WPW": ("CD", "Wolff-Parkinson-White pattern"),
    "LVH": ("HYP", "left ventricular hypertrophy"),
    "RVH": ("HYP", "right ventricular hypertrophy"),
    "SEHYP": ("HYP", "septal hypertrophy"),
    "LAO/LAE": ("HYP", "left atrial enlargement"),
    "RAO/RAE": ("HYP", "right atrial enlargement"),
    "PVC": (None, "ventricular premature complexes"),
    "PAC": (None, "atrial premature complexes"),
}
RHYTHMS = {
    "SR": "sinus rhythm",
    "SARRH": "sinus arrhythmia",
    "STACH": "sinus tachycardia",
    "SBRAD": "sinus bradycardia",
    "AFIB": "atrial fibrillation",
    "AFLT": "atrial flutter",
    "PACE": "paced rhythm",
    "SVTAC": "supraventricular tachycardia",
    "PSVT": "paroxysmal supraventricular tachycardia",
    "SVARR": "supraventricular arrhythmia",
    "BIGU": "bigeminy",
    "TRIGU": "trigeminy",
}

# Code -> (words, SCP-ECG statement or None).
Meaning = tuple[str, str | None]
SNOMED: dict[str, Meaning] = {
    "164889003": ("atrial fibrillation", "AFIB"),
    "164890007": ("atrial flutter", "AFLT"),
    "6374002": ("bundle branch block", None),
    "426627000": ("bradycardia", None),
    "733534002": ("complete left bundle branch block", "CLBBB"),
    "713427006": ("complete right bundle branch block", "CRBBB"),
    "270492004": ("first degree AV block", "1AVB"),
    "713426002": ("incomplete right bundle branch block", "IRBBB"),
    "39732003": ("left axis deviation", None),
    "445118002": ("left anterior fascicular block", "LAFB"),
    "164909002": ("left bundle branch block", "CLBBB"),
    "251146004": ("low QRS voltages", None),
    "698252002": ("non-specific intraventricular conduction disturbance", "IVCD"),
    "426783006": ("sinus rhythm", "SR"),
    "284470004": ("atrial premature complexes", "PAC"),
    "10370003": ("paced rhythm", "PACE"),
    "365413008": ("poor R wave progression", None),
    "427172004": ("ventricular premature complexes", "PVC"),
    "164947007": ("prolonged PR interval", None),
    "111975006": ("prolonged QT interval", "LNGQT"),
    "164917005": ("abnormal Q waves", None),
    "47665007": ("right axis deviation", None),
    "59118001": ("right bundle branch block", "CRBBB"),
    "427393009": ("sinus arrhythmia", "SARRH"),
    "426177001": ("sinus bradycardia", "SBRAD"),
    "427084000": ("sinus tachycardia", "STACH"),
    "63593006": ("supraventricular premature beats", "PAC"),
    "164934002": ("T wave abnormality", None),
    "59931005": ("T wave inversion", None),
    "17338001": ("ventricular premature beats", "PVC"),
    "233892002": ("accelerated atrial escape rhythm", None),
    "164951009": ("abnormal QRS", None),
    "251187003": ("atrial escape beat", None),
    "61277005": ("accelerated idioventricular rhythm", None),
    "426664006": ("accelerated junctional rhythm", None),
    "251139008": ("suspected arm lead reversal", None),
    "57054005": ("acute myocardial infarction", None),
    "413444003": ("acute myocardial ischaemia", None),
    "426434006": ("anterior ischaemia", "ISCAN"),
    "54329005": ("anterior myocardial infarction", "AMI"),
    "251173003": ("atrial bigeminy", None),
    "195080001": ("atrial fibrillation and flutter", None),
    "195126007": ("atrial hypertrophy", None),
    "251268003": ("atrial pacing", None),
    "106068003": ("atrial rhythm", None),
    "713422000": ("atrial tachycardia", None),
    "233917008": ("AV block", None),
    "50799005": ("AV dissociation", None),
    "29320008": ("junctional rhythm", None),
    "251166008": ("AV nodal re-entrant tachycardia", None),
    "233897008": ("AV re-entrant tachycardia", None),
    "251170000": ("blocked atrial premature complex", None),
    "418818005": ("Brugada pattern", None),
    "74615001": ("brady-tachy syndrome", None),
    "426749004": ("chronic atrial fibrillation", "AFIB"),
    "251199005": ("counterclockwise rotation", None),
    "61721007": ("clockwise or counterclockwise vectorcardiographic loop", None),
    "698247007": ("cardiac dysrhythmia", None),
    "27885002": ("third degree AV block", "3AVB"),
    "204384007": ("congenital incomplete AV block", None),
    "53741008": ("coronary heart disease", None),
    "413844008": ("chronic myocardial ischaemia", None),
    "251198002": ("clockwise rotation", None),
    "82226007": ("diffuse intraventricular block", None),
    "428417006": ("early repolarisation", None),
    "13640000": ("fusion beats", None),
    "164942001": ("fragmented QRS", None),
    "84114007": ("heart failure", None),
    "368009": ("heart valve disorder", None),
    "251259000": ("high T waves", None),
    "251200008": ("indeterminate axis", None),
    "195042002": ("second degree AV block", "2AVB"),
    "426183003": ("second degree AV block, Mobitz II", "2AVB"),
    "425419005": ("inferior ischaemia", "ISCIN"),
    "251120003": ("incomplete left bundle branch block", "ILBBB"),
    "704997005": ("inferior ST depression", None),
    "49260003": ("idioventricular rhythm", None),
    "426995002": ("junctional escape", None),
    "251164006": ("junctional premature complexes", None),
    "426648003": ("junctional tachycardia", None),
    "253352002": ("left atrial abnormality", "LAO/LAE"),
    "67741000119109": ("left atrial enlargement", "LAO/LAE"),
    "446813000": ("left atrial hypertrophy", "LAO/LAE"),
    "425623009": ("lateral ischaemia", "ISCLA"),
    "445211001": ("left posterior fascicular block", "LPFB"),
    "164873001": ("left ventricular hypertrophy", "LVH"),
    "55827005": ("high left ventricular voltage", None),
    "370365005": ("left ventricular strain", None),
    "164865005": ("myocardial infarction", None),
    "164861001": ("myocardial ischaemia", "ISC_"),
    "54016002": ("second degree AV block, Mobitz I", "2AVB"),
    "428750005": ("non-specific ST-T abnormality", "NST_"),
    "164867002": ("old myocardial infarction", None),
    "282825002": ("paroxysmal atrial fibrillation", "AFIB"),
    "251205003": ("prolonged P wave", None),
    "67198005": ("paroxysmal supraventricular tachycardia", "PSVT"),
    "425856008": ("paroxysmal ventricular tachycardia", None),
    "164912004": ("P wave change", None),
    "253339007": ("right atrial abnormality", "RAO/RAE"),
    "164921003": ("abnormal R waves", None),
    "446358003": ("right atrial hypertrophy", "RAO/RAE"),
    "67751000119106": ("high right atrial voltage", None),
    "314208002": ("rapid atrial fibrillation", "AFIB"),
    "89792004": ("right ventricular hypertrophy", "RVH"),
    "17366009": ("wandering atrial rhythm", None),
    "65778007": ("sinoatrial block", None),
    "5609005": ("sinus arrest", None),
    "60423000": ("sinus node dysfunction", None),
    "49578007": ("short PR interval", None),
    "77867006": ("short QT interval", None),
    "55930002": ("ST-T changes", None),
    "429622005": ("ST depression", None),
    "164931005": ("ST elevation", None),
    "164930006": ("ST abnormality", None),
    "251168009": ("supraventricular bigeminy", None),
    "426761007": ("supraventricular tachycardia", "SVTAC"),
    "266257000": ("transient ischaemic attack", None),
    "251223006": ("tall P wave", None),
    "164937009": ("U wave abnormality", None),
    "11157007": ("ventricular bigeminy", "BIGU"),
    "164884008": ("ventricular ectopic beats", "PVC"),
    "75532003": ("ventricular escape beat", None),
    "81898007": ("ventricular escape rhythm", None),
    "164896001": ("ventricular fibrillation", None),
    "111288001": ("ventricular flutter", None),
    "266249003": ("ventricular hypertrophy", None),
    "195060002": ("ventricular pre-excitation", "WPW"),
    "251266004": ("ventricular pacing", "PACE"),
    "251182009": ("paired ventricular premature complexes", "PVC"),
    "164895002": ("ventricular tachycardia", None),
    "251180001": ("ventricular trigeminy", "TRIGU"),
    "195101003": ("wandering atrial pacemaker", None),
    "74390002": ("Wolff-Parkinson-White pattern", "WPW"),
}  # fmt: skip
AHA: dict[str, Meaning] = {
    "1": ("normal ECG", "NORM"),
    "20": ("sinus rhythm", "SR"),
    "21": ("sinus tachycardia", "STACH"),
    "22": ("sinus bradycardia", "SBRAD"),
    "23": ("sinus arrhythmia", "SARRH"),
    "30": ("atrial premature complexes", "PAC"),
    "31": ("atrial premature complexes, not conducted", "PAC"),
    "36": ("junctional premature complexes", None),
    "37": ("junctional escape complexes", None),
    "50": ("atrial fibrillation", "AFIB"),
    "51": ("atrial flutter", "AFLT"),
    "54": ("junctional tachycardia", None),
    "60": ("ventricular premature complexes", "PVC"),
    "80": ("short PR interval", None),
    "81": ("AV conduction ratio N:D", None),
    "82": ("prolonged PR interval", "1AVB"),
    "83": ("second degree AV block, Mobitz I", "2AVB"),
    "84": ("second degree AV block, Mobitz II", "2AVB"),
    "85": ("2:1 AV block", "2AVB"),
    "86": ("AV block, varying conduction", None),
    "87": ("AV block, advanced", None),
    "88": ("third degree AV block", "3AVB"),
    "101": ("left anterior fascicular block", "LAFB"),
    "102": ("left posterior fascicular block", "LPFB"),
    "104": ("left bundle branch block", "CLBBB"),
    "105": ("incomplete right bundle branch block", "IRBBB"),
    "106": ("right bundle branch block", "CRBBB"),
    "108": ("ventricular pre-excitation", "WPW"),
    "120": ("right axis deviation", None),
    "121": ("left axis deviation", None),
    "125": ("low voltage", None),
    "140": ("left atrial enlargement", "LAO/LAE"),
    "142": ("left ventricular hypertrophy", "LVH"),
    "143": ("right ventricular hypertrophy", "RVH"),
    "145": ("ST deviation", "NST_"),
    "146": ("ST deviation with T wave change", "NST_"),
    "147": ("T wave abnormality", "NDT"),
    "148": ("prolonged QT interval", "LNGQT"),
    "152": ("TU fusion", None),
    "153": ("ST-T change due to ventricular hypertrophy", None),
    "155": ("early repolarisation", None),
    "160": ("anterior myocardial infarction", "AMI"),
    "161": ("inferior myocardial infarction", "IMI"),
    "165": ("anteroseptal myocardial infarction", "ASMI"),
    "166": ("extensive anterior myocardial infarction", "AMI"),
}  # fmt: skip
AHA_MODIFIERS = {
    "308": "occasional", "310": "frequent", "330": "acute", "331": "recent", "332": "old", "340": "couplets",
    "341": "in a bigeminal pattern", "342": "in a trigeminal pattern", "346": "with rapid ventricular response",
    "347": "with slow ventricular response", "349": "with aberrancy", "350": "polymorphic", "362": "depression",
    "363": "elevation", "366": "low amplitude", "367": "inversion",
}  # fmt: skip
# Columns of CODE-15's exams.csv.
CODE15: dict[str, Meaning] = {
    "1dAVb": ("first degree AV block", "1AVB"),
    "RBBB": ("right bundle branch block", "CRBBB"),
    "LBBB": ("left bundle branch block", "CLBBB"),
    "SB": ("sinus bradycardia", "SBRAD"),
    "ST": ("sinus tachycardia", "STACH"),
    "AF": ("atrial fibrillation", "AFIB"),
    "normal_ecg": ("normal ECG", "NORM"),
}
# PTB-XL's statements about form and rhythm that are no diagnosis (its scp_statements.csv).
_SCP_FORMS = {
    "ABQRS": "abnormal QRS", "STD_": "non-specific ST depression", "VCLVH": "voltage criteria for left ventricular hypertrophy",
    "QWAVE": "Q waves", "LOWT": "low T waves", "NT_": "non-specific T wave changes", "LPR": "prolonged PR interval",
    "INVT": "inverted T waves", "LVOLT": "low QRS voltages", "HVOLT": "high QRS voltage", "TAB_": "T wave abnormality",
    "STE_": "non-specific ST elevation", "PRC(S)": "premature complexes",
}  # fmt: skip
SCP: dict[str, Meaning] = {
    **{code: (words, code) for code, (_, words) in STATEMENTS.items()},
    **{code: (words, code) for code, words in (RHYTHMS | _SCP_FORMS).items()},
}
# LUDB publishes findings in words of its own, MIMIC-IV-ECG statements as text; empty: there are no labels.
LabelSystem = Literal["scp", "snomed", "aha", "code15", "ludb", "text", ""]
SYSTEMS: dict[LabelSystem, dict[str, Meaning]] = {"snomed": SNOMED, "aha": AHA, "code15": CODE15, "scp": SCP}


# LUDB writes its findings out, but in a form of its own: `Scar formation: inferior wall`, `Iii degree av-block`.
_LUDB = (
    (r"Electric axis of the heart: (left axis deviation)", r"\1"),
    (r"Electric axis of the heart: (\w+)", r"\1 electrical axis"),
    (r"Undefined ischemia/scar/supp\.nstemi: (.*)", r"ischaemia, scar or non-ST-elevation infarction (\1)"),
    (r"Non-specific repolarization abnormalities: (.*)", r"non-specific repolarisation abnormalities (\1)"),
    (r"Ischemia: (.*)", r"ischaemia (\1)"),
    (r"Scar formation: (.*)", r"myocardial scar (\1)"),
    (r"Stemi: (.*)", r"ST-elevation infarction (\1)"),
    (r"(Atrial|Ventricular) extrasystole, (?:type|localisation|morphology): (.*)", r"\1 extrasystole (\2)"),
    (r"(Atrial|Ventricular) extrasystole: (.*)", r"\1 extrasystole (\2)"),
    (r"I degree av block", "first degree AV block"),
    (r"Iii degree av-block", "third degree AV block"),
    (r"Non-specific intravintricular (.*)", r"non-specific intraventricular \1"),
    (r"Pacemaker presence, undefined", "pacemaker"),
    (r"(.*) blockade, undefined", r"\1 block"),
)


def _ludb_words(finding: str) -> str:
    for pattern, words in _LUDB:
        if match := re.fullmatch(pattern, finding, re.IGNORECASE):
            finding = match.expand(words)
            break
    abbreviated = re.sub(r"\b(pac|pvc|lvs?|lvot|rvot|sa)\b", lambda match: match[0].upper(), finding)
    return abbreviated if abbreviated[:2].isupper() else abbreviated[:1].lower() + abbreviated[1:]


def in_words(code: str, system: LabelSystem) -> str:
    """
    A code of one of `SYSTEMS` in words; an AHA code with its modifiers (`60+310`); LUDB's findings in usual words;
    unknown codes as they are.
    """
    if system == "ludb":
        return _ludb_words(code)
    if system == "aha" and "+" in code:
        primary, *modifiers = code.split("+")
        return ", ".join([in_words(primary, system), *(AHA_MODIFIERS.get(m, f"modifier {m}") for m in modifiers)])
    return SYSTEMS.get(system, {}).get(code, (code, None))[0]


def labels_report(codes: Iterable[str], system: LabelSystem) -> str:
    """The labels as a report, for sources that publish no other."""
    return "; ".join(dict.fromkeys(in_words(code, system) for code in codes))


def scp_statements(labels: Mapping[str, float], system: LabelSystem) -> dict[str, float]:
    """The SCP-ECG statements that `labels` mean, with their likelihoods; what has no counterpart is left out."""
    if system == "scp":
        return dict(labels)
    meanings = SYSTEMS.get(system, {})
    found: dict[str, float] = {}
    for code, likelihood in labels.items():
        statement = meanings.get(code.split("+")[0], ("", None))[1]
        if statement is not None:
            found[statement] = max(likelihood, found.get(statement, 0.0))
    return found


def superclass_of(code: str) -> str | None:
    """None for rhythms, forms, and statements that no interpretation names."""
    return STATEMENTS.get(code, (None, ""))[0]


def superclasses_of(codes: Mapping[str, float]) -> set[str]:
    """Superclasses of all diagnostic statements with a likelihood above 0, as in PTB-XL's own benchmark."""
    stated = (superclass_of(code) for code, likelihood in codes.items() if likelihood > 0)
    return {superclass for superclass in stated if superclass}


def rhythm_of(codes: Iterable[str]) -> str | None:
    """The rhythm that SCP-ECG statements name, in words; where they name several, the one furthest down in `RHYTHMS`."""
    stated = set(codes)
    return next((words for code, words in reversed(RHYTHMS.items()) if code in stated), None)


__all__ = [
    "RHYTHMS",
    "STATEMENTS",
    "SUPERCLASSES",
    "SYSTEMS",
    "LabelSystem",
    "in_words",
    "labels_report",
    "rhythm_of",
    "scp_statements",
    "superclass_of",
    "superclasses_of",
]
