# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Forms of everyday reports that a reader with fresh eyes tried: codes of pacemakers, abbreviations, bounds, lists of beats."""

import pytest

from tests.processing.grounding.test_fresh_sentences import CONTRADICTED, SUPPORTED, worst

PACED = [
    ("paced alone", "AAI pacing.", CONTRADICTED),
    ("paced alone", "DDD pacing with atrial spikes.", CONTRADICTED),
    ("paced alone", "Atrial and ventricular pacing spikes.", CONTRADICTED),
    ("paced alone", "Intermittent ventricular pacing.", CONTRADICTED),
    ("paced alone", "VVI pacing.", SUPPORTED),
    ("atrial paced", "VVI pacemaker.", CONTRADICTED),
    ("atrial paced", "DDD pacing with both atrial and ventricular stimuli.", CONTRADICTED),
    ("atrial paced", "A-V sequential pacing, both chambers paced.", CONTRADICTED),
    ("atrial paced", "AAI pacing.", SUPPORTED),
    ("dual paced", "DDD pacing.", SUPPORTED),
    ("dual paced", "A-V dual-paced rhythm.", SUPPORTED),
    ("atrial paced", "A-V dual-paced rhythm.", CONTRADICTED),
    ("dual paced", "Atrial and ventricular pacing spikes.", SUPPORTED),
]
JUNCTIONAL = [
    ("junctional", "Junctional tachycardia.", CONTRADICTED),
    ("junctional", "Accelerated junctional rhythm.", CONTRADICTED),
    ("junctional", "Junctional bradycardia.", SUPPORTED),
    ("junctional", "Junctional rhythm.", SUPPORTED),
]
REGULARITY = [
    ("fibrillation", "RR intervals are equal.", CONTRADICTED),
    ("fibrillation", "R-R intervals are identical.", CONTRADICTED),
    ("fibrillation", "RR intervals are the same throughout.", CONTRADICTED),
    ("sinus", "R-R intervals are unequal.", CONTRADICTED),
    ("sinus", "RR intervals are equal throughout.", SUPPORTED),
]
OUTSIDE = [
    ("sinus", "QRS: 98 ms → prolonged", CONTRADICTED),
    ("sinus", "QTc 425 ms - prolonged", CONTRADICTED),
    ("sinus", "PR 150 ms: abnormal", CONTRADICTED),
    ("sinus", "The PR interval lies outside the normal range.", CONTRADICTED),
    ("sinus", "The PR interval is abnormal.", CONTRADICTED),
    ("sinus", "QRS width falls outside of normal limits.", CONTRADICTED),
    ("sinus", "The heart rate is out of the normal range.", CONTRADICTED),
    ("sinus", "The QTc is not abnormal.", SUPPORTED),
    ("slow", "The PR interval is outside normal limits.", SUPPORTED),
]
BOUNDS = [
    ("sinus", "The rate is above 60 but below 65.", CONTRADICTED),
    ("sinus", "The rate is above 60 and below 65.", CONTRADICTED),
    ("sinus", "The rate is above 60 but below 80.", SUPPORTED),
    ("tachycardia", "The rate is over 100 but under 110.", CONTRADICTED),
]
NAMES = [
    ("sinus", "APBs.", CONTRADICTED),
    ("sinus", "SVE x 3", CONTRADICTED),
    ("sinus", "VES x2.", CONTRADICTED),
    ("PVCs", "VES x 3.", SUPPORTED),
    ("PVCs", "VES x 7.", CONTRADICTED),
    ("sinus", "Pulse 130.", CONTRADICTED),
    ("sinus", "Pulse 72.", SUPPORTED),
    ("sinus", "Cycle length 500 ms.", CONTRADICTED),
    ("sinus", "Cycle length 833 ms.", SUPPORTED),
    ("sinus", "Q‑T interval 0,52 s.", CONTRADICTED),
]
PREMATURE = [
    ("PVCs", "The fourth, seventh and eleventh beats are PVCs.", CONTRADICTED),
    ("PVCs", "The 4th, 8th and 12th complexes are PVCs.", CONTRADICTED),
    ("PVCs", "The fourth, ninth and twelfth beats are PVCs.", SUPPORTED),
    ("PVCs", "The 4th and 9th beats are premature.", SUPPORTED),
    ("PVCs", "The 5th and 6th beats are wide.", CONTRADICTED),
    ("PVCs", "The second-last beat is a PVC.", SUPPORTED),
    ("PVCs", "The PVCs have narrow QRS complexes.", CONTRADICTED),
    ("PVCs", "The PVCs have wide QRS complexes.", SUPPORTED),
    ("PVCs", "The PVCs come in couplets.", CONTRADICTED),
    ("PVCs", "The PVCs are consecutive.", CONTRADICTED),
    ("PVCs", "PVCs follow beats 3, 8 and 11.", SUPPORTED),
    ("PVCs", "A PVC after beat 3.", SUPPORTED),
    ("PVCs", "PVCs follow beats 4 and 9.", CONTRADICTED),
    ("PVCs", "Ventricular quadrigeminy.", CONTRADICTED),
    ("bigeminy", "Only one beat is ectopic.", CONTRADICTED),
]
TIMES_AND_BRACKETS = [
    ("PVCs", "PVCs at 2.4 s, 5.2 s and 8.8 s.", CONTRADICTED),
    ("PVCs", "PVCs at 2.45 s, 6.45 s and 8.85 s.", SUPPORTED),
    ("PVCs", "PVCs occur at 2.4, 5.1 and 7.5 s.", CONTRADICTED),
    ("PVCs", "PVCs occur at 2.4, 6.4 and 8.8 s.", SUPPORTED),
    ("PVCs", "PVCs at 2.45 s and 5.2 s.", CONTRADICTED),
    ("PVCs", "PVC at 2.45 s.", SUPPORTED),
    ("PVCs", "PVC at 3.5 s.", CONTRADICTED),
    ("PVCs", "Premature beats (4, 8 and 12) are wide.", CONTRADICTED),
    ("PVCs", "Premature beats (4, 9 and 12) are wide.", SUPPORTED),
    ("PVCs", "Beats 4 and 9 are PVCs, but beat 12 is sinus.", CONTRADICTED),
    ("PVCs", "Beats 4 and 9 are PVCs, but beat 11 is sinus.", SUPPORTED),
    ("PVCs", "PVCs (3) are present.", SUPPORTED),
]


@pytest.mark.parametrize(
    ("ecg", "sentence", "expected"),
    [*PACED, *JUNCTIONAL, *TIMES_AND_BRACKETS, *REGULARITY, *OUTSIDE, *BOUNDS, *NAMES, *PREMATURE],
)
def test_everyday_forms(ecg, sentence, expected):
    assert worst(sentence, ecg) == expected
