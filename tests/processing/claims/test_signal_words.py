# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What texts say of the signal: which words are claims about its quality, where, and which only look like them."""

import pytest

from processing.claims.claims import extract_claims
from processing.ecg_record import CHEST_LEADS, LIMB_LEADS, STANDARD_LEADS

SAID = (
    ("No signal in V3.", "no signal", ("V3",), "affirmed"),
    ("Yes. No signal in V3 and aVL.", "no signal", ("V3", "aVL"), "affirmed"),
    ("Leads I and aVL are flat.", "no signal", ("I", "aVL"), "affirmed"),
    ("V3 is not flat.", "no signal", ("V3",), "negated"),
    ("V3 is missing.", "no signal", ("V3",), "affirmed"),
    ("Lead V3 was not recorded.", "no signal", ("V3",), "affirmed"),
    ("The V3 electrode is off.", "no signal", ("V3",), "affirmed"),
    ("The electrode of V3 is disconnected.", "no signal", ("V3",), "affirmed"),
    ("No signal loss in V3.", "no signal", ("V3",), "negated"),
    ("No lead is flat.", "no signal", (), "negated"),
    ("There are no flat leads.", "no signal", (), "negated"),
    ("Poor quality in II.", "poor", ("II",), "affirmed"),
    ("The tracing is of poor quality.", "poor", (), "affirmed"),
    ("The quality in V1 is bad.", "poor", ("V1",), "affirmed"),
    ("Signal quality: poor in V1.", "poor", ("V1",), "affirmed"),
    ("V2 is not of poor quality.", "poor", ("V2",), "negated"),
    ("The recording is technically limited.", "poor", (), "affirmed"),
    ("Possibly poor quality in V1.", "poor", ("V1",), "hedged"),
    ("Good quality in all leads.", "good", STANDARD_LEADS, "affirmed"),
    ("The limb leads are of good quality.", "good", LIMB_LEADS, "affirmed"),
    ("The quality of the tracing is excellent.", "good", (), "affirmed"),
    ("The quality of lead V1 is not acceptable.", "good", ("V1",), "negated"),
    ("V1 is noisy.", "noise", ("V1",), "affirmed"),
    ("V1 is no longer noisy.", "noise", ("V1",), "negated"),
    ("The noise in V1 has resolved.", "noise", ("V1",), "negated"),
    ("V1 cannot be interpreted because of noise.", "noise", ("V1",), "affirmed"),
    ("V1 is noisy throughout.", "noise", ("V1",), "affirmed"),
    ("No noise is present.", "noise", (), "negated"),
    ("Baseline wander in V2 and V3.", "wander", ("V2", "V3"), "affirmed"),
    ("The baseline is wandering in V6.", "wander", ("V6",), "affirmed"),
    ("The baseline is stable.", "steady", (), "affirmed"),
    ("Artefact in the limb leads.", "artefact", LIMB_LEADS, "affirmed"),
    ("Lead V4 is clipped.", "saturated", ("V4",), "affirmed"),
    ("Mains interference (50 Hz) in all leads.", "mains", STANDARD_LEADS, "affirmed"),
    ("Muscle artefact in the chest leads.", "muscle", CHEST_LEADS, "affirmed"),
    ("The signal is clean in all leads.", "clean", STANDARD_LEADS, "affirmed"),
    ("Artefact-free recording.", "clean", (), "affirmed"),
    ("Leads I and aVL are unreadable.", "unreadable", ("I", "aVL"), "affirmed"),
    ("The tracing is not interpretable.", "unreadable", (), "affirmed"),
)
OF_ANOTHER = (
    "Poor R wave progression.", "Good R wave progression.", "Flat T waves in I and aVL.", "T waves in I and aVL are flat.",
    "The T waves are inverted in V2; V3 is flat.", "The ST segment is flat in V5.", "Low voltage in the limb leads.",
    "Limb lead reversal is suspected.", "Right arm and left arm electrodes are reversed.", "Poor quality of life is reported.",
    "She reports a good quality of life.", "Wandering atrial pacemaker.", "Wandering pacemaker with varying P waves.",
    "P waves are missing.", "The P wave in V1 is missing.", "Loss of R waves in V1-V3.", "Artefactual ST elevation in V2.",
    "The ST elevation in V2 is artefactual.", "Pacing artefacts before each QRS.", "Pacemaker artefact is seen before each QRS complex.",
    "Oxygen saturation was 93 %.", "Saturation of 98 %.", "No signs of ischaemia.", "No signal of ischaemia.",
    "Signal-averaged ECG is recommended.", "A clear P wave before each QRS.", "Interference dissociation.",
    "ST segments are uninterpretable because of left bundle branch block.", "P waves disconnected from the QRS.",
    "The ECG is normal.", "The tracing is normal.", "The trace is within normal limits.", "Poor rate control.",
    "Echocardiographic image quality was poor.", "The quality of the evidence is low.", "The quality of his sleep is poor.",
    "The baseline PR interval is 160 ms.", "ST returns to baseline.", "Baseline ECG shows sinus rhythm.", "The drug was switched off.",
    "Lead II is recorded at 25 mm/s.", "The electrodes are well connected to the recorder.", "The murmur is noise-like.",
    "The rhythm drifts between sinus and junctional rhythm.", "Atrial overload.", "The U wave is absent.", "No ECG is missing.",
    "P waves cannot be identified; instead, the baseline undulates irregularly.",
)  # fmt: skip


def said_of_the_signal(text):
    return [claim for claim in extract_claims(text) if claim.kind == "signal_quality"]


@pytest.mark.parametrize(("text", "value", "leads", "polarity"), SAID)
def test_words(text, value, leads, polarity):
    (claim,) = extract_claims(text)
    assert (claim.kind, claim.value, claim.leads, claim.polarity) == ("signal_quality", value, leads, polarity)
    assert text[claim.start : claim.end] == claim.quote


@pytest.mark.parametrize("text", OF_ANOTHER)
def test_words_of_something_else(text):
    assert said_of_the_signal(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("V1 is of poor quality, the other leads are of good quality.", [("poor", 1), ("good", 11)]),
        ("The quality of V1 is poor and that of V2 is good.", [("poor", 1), ("good", 1)]),
        ("V1 is flat and V2 is noisy.", [("no signal", 1), ("noise", 1)]),
        ("V1 is noisy, the other leads are clean.", [("noise", 1), ("clean", 11)]),
        ("Significant wander in V6 but not in V2.", [("wander", 1), ("wander", 1)]),
        ("Neither noise nor baseline wander is present.", [("noise", 0), ("wander", 0)]),
        ("The recording quality is suboptimal because of noise in V1.", [("poor", 1), ("noise", 1)]),
        ("## Signal quality\nGood in all leads.", [("good", 12)]),
        ("- V1: noisy\n- V3: no signal", [("noise", 1), ("no signal", 1)]),
    ],
)
def test_several_in_a_sentence(text, said):
    assert [(claim.value, len(claim.leads)) for claim in said_of_the_signal(text)] == said


def test_what_else_a_sentence_says_stays():
    found = extract_claims("Baseline wander in V6, sinus rhythm, ST elevation in V2 and a QRS of 95 ms.")
    assert [claim.kind for claim in found] == ["signal_quality", "rhythm", "st_elevation", "qrs_duration"]
    assert [claim.leads for claim in found] == [("V6",), (), ("V2",), ()]
