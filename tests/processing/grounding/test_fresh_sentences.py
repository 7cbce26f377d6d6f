# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Sentences of a reader who had not seen the vocabulary, each with the verdict that was fixed beforehand."""

from functools import cache

import pytest

from processing.claims.claims import extract_claims
from processing.ecg_features import EcgFeatures, extract_features
from processing.grounding.check import check_grounding
from processing.simulator.simulator import simulate_ecg
from tests.helpers.grounding_rhythms import ptbxl_features, rhythm_features

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "not_measurable"


OTHERS = {
    "anterior": {"ischemia": "anterior_stemi", "heart_rate": 84, "seed": 7},  # 0.38 mV in V3, 0.36 in V2, none in V6
    "inferior": {"ischemia": "inferior_stemi", "heart_rate": 84, "seed": 7},
    "rbbb": {"conduction": "rbbb", "heart_rate": 70, "seed": 4},
}


@cache
def features_of(ecg: str | int) -> EcgFeatures:
    if ecg in OTHERS:
        return extract_features(simulate_ecg(**OTHERS[ecg]).record)
    return ptbxl_features(ecg) if isinstance(ecg, int) else rhythm_features(ecg)


def worst(sentence: str, ecg: str | int) -> str:
    """The verdict on a sentence: contradicted where one of its claims is."""
    found = {claim.verdict for claim in check_grounding(sentence, features_of(ecg)).claims}
    return next((verdict for verdict in (CONTRADICTED, SUPPORTED, OPEN) if verdict in found), "none")


SHARED_WORDS = [
    ("lbbb", "There is no left or right bundle branch block.", CONTRADICTED),
    ("lbbb", "Neither left nor right bundle branch block is seen.", CONTRADICTED),
    ("sinus", "There is no left or right bundle branch block.", SUPPORTED),
    ("paced alone", "There is no left or right axis deviation.", CONTRADICTED),
    ("slow", "No first- or second-degree AV block.", CONTRADICTED),
    ("slow", "No first, second or third degree AV block.", CONTRADICTED),
    ("constant block", "No second- or third-degree heart block.", CONTRADICTED),
    ("sinus", "No first, second or third degree AV block.", SUPPORTED),
    (6955, "No left or right ventricular hypertrophy by voltage.", CONTRADICTED),
]
PREMATURE = [
    ("PVCs", "The premature beats are narrow.", CONTRADICTED),
    ("PVCs", "The premature complexes are all narrow.", CONTRADICTED),
    ("PVCs", "Narrow premature beats are seen.", CONTRADICTED),
    ("PVCs", "The premature beats are supraventricular.", CONTRADICTED),
    ("PVCs", "The premature beats have a narrow QRS.", CONTRADICTED),
    ("PVCs", "Narrow-complex ectopy.", CONTRADICTED),
    ("PVCs", "The premature beats are wide.", SUPPORTED),
    ("PVCs", "The premature beats have a wide QRS.", SUPPORTED),
    ("PACs", "The premature beats are broad.", CONTRADICTED),
    ("PACs", "Wide premature beats are present.", CONTRADICTED),
    ("PACs", "The premature beats are ventricular.", CONTRADICTED),
    ("PACs", "The premature beats are narrow.", SUPPORTED),
    ("PVCs", "Eight of thirteen beats are ventricular premature complexes.", CONTRADICTED),
    ("PVCs", "PVCs make up 60 % of beats.", CONTRADICTED),
    ("PVCs", "Ventricular extrasystoles account for half of all beats.", CONTRADICTED),
    ("PVCs", "PVCs account for 20 % of beats.", SUPPORTED),
    ("PVCs", "PVCs are seen seven times in the tracing.", CONTRADICTED),
    ("PVCs", "PVCs (n = 8).", CONTRADICTED),
    ("PVCs", "PVC count: 3.", SUPPORTED),
    ("PVCs", "A PVC follows each sinus beat.", CONTRADICTED),
    ("PVCs", "PVCs occur after every sinus beat.", CONTRADICTED),
    ("PVCs", "Every other beat is premature.", CONTRADICTED),
    ("bigeminy", "Every other beat is a PVC.", SUPPORTED),
    ("PVCs", "PVCs occur back to back.", CONTRADICTED),
    ("PVCs", "Each PVC is followed by another PVC.", CONTRADICTED),
    ("PVCs", "All beats are of sinus origin.", CONTRADICTED),
    ("sinus", "All beats are of sinus origin.", SUPPORTED),
    ("PVCs", "Every beat is conducted normally with a narrow QRS.", CONTRADICTED),
    ("PVCs", "No ectopic beats other than three PVCs.", SUPPORTED),
    ("PVCs", "No ectopy apart from PVCs.", SUPPORTED),
    ("PVCs", "Regular sinus rhythm except for three PVCs.", SUPPORTED),
]
PLACES = [
    ("anterior", "The largest ST elevation is in V1.", CONTRADICTED),
    ("anterior", "ST elevation peaks in V1.", CONTRADICTED),
    ("anterior", "ST elevation, most prominent in V1.", CONTRADICTED),
    ("anterior", "The largest ST elevation is in V3.", OPEN),
    (17450, "The deepest T wave inversion is in V6.", CONTRADICTED),
    ("anterior", "V3 is the only lead with ST elevation.", CONTRADICTED),
    ("anterior", "Isolated ST elevation in V3.", CONTRADICTED),
    ("anterior", "ST elevation in V2 and V3 without involvement of V4.", CONTRADICTED),
    ("anterior", "ST elevation in V2 and V3 without involvement of V6.", SUPPORTED),
    ("anterior", "ST elevation in all precordial leads.", CONTRADICTED),
    ("anterior", "ST elevation in all chest leads.", CONTRADICTED),
    ("anterior", "ST elevation in the precordial leads except V2 and V3.", CONTRADICTED),
    ("anterior", "ST elevation in all leads except V6 and aVR.", CONTRADICTED),
    ("sinus", "No ST elevation in any precordial lead.", SUPPORTED),
    ("anterior", "ST elevation is present in V2 but in no other lead.", CONTRADICTED),
    ("anterior", "Of the chest leads, only V2 shows ST elevation.", CONTRADICTED),
    ("paced alone", "QRS is upright in I and negative in II, III and aVF.", SUPPORTED),
    ("paced alone", "The QRS is predominantly positive in the inferior leads.", CONTRADICTED),
    ("sinus", "aVR shows a predominantly negative QRS complex.", SUPPORTED),
    ("sinus", "The QRS is predominantly negative in lead II.", CONTRADICTED),
    ("sinus", "The T wave is upright and the QRS negative in V1.", SUPPORTED),
]
DENIALS = [
    ("sinus", "One cannot deny that the QRS is wide.", CONTRADICTED),
    ("lbbb", "One cannot deny that the QRS is wide.", SUPPORTED),
    ("sinus", "There is no denying the ST elevation in V3.", CONTRADICTED),
    ("inferior", "There is no denying the ST elevation in III.", SUPPORTED),
    ("sinus", "The rhythm is not without ventricular ectopy.", CONTRADICTED),
    ("PVCs", "The rhythm is not without ventricular ectopy.", SUPPORTED),
    ("fibrillation", "P waves are never missing.", CONTRADICTED),
    ("sinus", "P waves are never missing.", SUPPORTED),
    ("sinus", "No ectopy in sinus rhythm.", SUPPORTED),
    ("sinus", "No pauses interrupt the regular sinus rhythm.", SUPPORTED),
    ("sinus", "There is no ectopy during the regular sinus rhythm.", SUPPORTED),
    ("sinus", "No delta wave distorts the narrow QRS.", SUPPORTED),
    ("sinus", "There is no ST deviation following the narrow QRS complexes.", SUPPORTED),
    ("sinus", "No ST elevation accompanies the normal QRS.", SUPPORTED),
    ("junctional", "No P waves precede the narrow QRS complexes.", SUPPORTED),
    ("junctional", "No P waves before the narrow QRS.", SUPPORTED),
    ("VT", "No P waves precede the wide QRS complexes.", SUPPORTED),
    ("fibrillation", "No discernible P waves before the irregularly spaced QRS complexes.", SUPPORTED),
    ("complete block", "No relationship exists between P waves and the wide QRS complexes.", SUPPORTED),
    ("slow", "All intervals are normal except the PR, which is prolonged.", SUPPORTED),
    ("slow", "Intervals are normal apart from the PR.", SUPPORTED),
    ("slow", "Apart from a prolonged PR, intervals are normal.", SUPPORTED),
    ("slow", "All intervals are normal.", CONTRADICTED),
]
RATIOS = [
    ("flutter 4:1", "2:1 atrial flutter.", CONTRADICTED),
    ("flutter 4:1", "Flutter with two-to-one conduction.", CONTRADICTED),
    ("flutter 4:1", "Atrial flutter with 2 to 1 block.", CONTRADICTED),
    ("flutter 4:1", "Two flutter waves for each QRS complex.", CONTRADICTED),
    ("flutter", "2:1 atrial flutter.", SUPPORTED),
    ("flutter", "Atrial flutter with 3 to 1 block.", CONTRADICTED),
    ("flutter", "Sawtooth waves at about 280 per minute with 2:1 conduction.", SUPPORTED),
    ("flutter", "Atrial flutter at 280 per minute with a ventricular rate of 140.", SUPPORTED),
    ("sinus", "Only every second P wave is followed by a QRS complex.", CONTRADICTED),
    ("sinus", "Two P waves for each QRS.", CONTRADICTED),
    ("sinus", "There are more P waves than QRS complexes.", CONTRADICTED),
    ("2:1 block", "There are twice as many P waves as QRS complexes.", SUPPORTED),
    ("complete block", "P waves outnumber the QRS complexes.", SUPPORTED),
    ("complete block", "Atria and ventricles beat independently of each other.", SUPPORTED),
    ("paced alone", "Pacing spikes without capture.", CONTRADICTED),
    ("paced alone", "Pacing spikes are not followed by QRS complexes.", CONTRADICTED),
]
NUMBERS = [
    ("sinus", "P-R-T axes: 50 -60 40.", CONTRADICTED),
    ("sinus", "P-R-T axes 78/45/70.", SUPPORTED),
    ("pause", "All RR intervals are below 1.2 s.", CONTRADICTED),
    ("pause", "RR intervals are less than 1.5 s.", CONTRADICTED),
    ("pause", "All R-R intervals lie between 0.8 and 1.0 s.", CONTRADICTED),
    ("sinus", "All RR intervals are below 1.2 s.", SUPPORTED),
    ("sinus", "All RR intervals lie between 0.7 and 1.0 s.", SUPPORTED),
    ("sinus", "RR intervals range from 400 to 1200 ms.", CONTRADICTED),
    ("sinus", "RR intervals range from 0.81 to 0.85 s.", SUPPORTED),
    ("sinus", "RR intervals vary by less than 100 ms.", "none"),
    ("rbbb", "The QRS does not reach 120 ms.", CONTRADICTED),
    ("rbbb", "QRS fails to reach 120 ms.", CONTRADICTED),
    ("sinus", "The QRS does not reach 120 ms.", SUPPORTED),
    ("slow", "The heart rate fails to reach 60 per minute.", SUPPORTED),
    ("sinus", "Rate by the 300 rule: about 72 per minute.", SUPPORTED),
]


@pytest.mark.parametrize(
    ("ecg", "sentence", "expected"), [*SHARED_WORDS, *PREMATURE, *PLACES, *DENIALS, *RATIOS, *NUMBERS]
)
def test_sentences_that_were_fixed_beforehand(ecg, sentence, expected):
    assert worst(sentence, ecg) == expected


def test_the_seconds_of_a_strip_are_no_interval():
    assert not [claim for claim in extract_claims("Twelve QRS complexes are seen in 10 seconds.") if claim.value]


def test_a_finding_that_shares_its_last_words_is_quoted_with_them():
    claims = extract_claims("No left or right bundle branch block.")
    assert {(claim.kind, claim.polarity, claim.quote) for claim in claims} == {
        ("lbbb", "negated", "No left or right bundle branch block"),
        ("rbbb", "negated", "No left or right bundle branch block"),
    }
