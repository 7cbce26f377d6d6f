# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Places and sides set against each other, `only`, comparisons between leads, and words that deny without a `no`."""

import pytest

from processing.claims.claims import extract_claims
from processing.ecg_features import extract_features
from processing.grounding.check import CONTRADICTED, NOT_MEASURABLE, SUPPORTED, check_grounding
from processing.grounding.correction import correct_answer
from processing.simulator.simulator import simulate_ecg

ECGS = {
    "normal": {"heart_rate": 72, "pr_interval": 160, "qrs_duration": 80, "qtc": 410, "axis": 45, "seed": 1},
    "inferior": {"heart_rate": 82, "ischemia": "inferior_stemi", "seed": 2},  # ST 0.28, 0.36, 0.32 mV in II, III, aVF
    "anterior": {"heart_rate": 75, "ischemia": "anterior_stemi", "seed": 39},
    "anterior T": {"heart_rate": 66, "ischemia": "anterior_t_inversion", "seed": 10},
    "fibrillation": {"rhythm": "atrial_fibrillation", "heart_rate": 120, "seed": 3},
    "lbbb": {"heart_rate": 70, "conduction": "lbbb", "seed": 4},
    "rbbb": {"heart_rate": 64, "conduction": "rbbb", "seed": 5},
    "lafb": {"heart_rate": 66, "conduction": "lafb", "seed": 11},  # axis -46 degrees
    "fast": {"heart_rate": 118, "seed": 9},
    "slow": {"heart_rate": 44, "pr_interval": 250, "seed": 8},
}


@pytest.fixture(scope="module")
def measured():
    return {name: extract_features(simulate_ecg(**settings).record) for name, settings in ECGS.items()}


TRUE = [
    ("inferior", "Inferior rather than anterior ST elevation."),
    ("inferior", "Inferior, not anterior, ST elevation."),
    ("inferior", "ST elevation in II, not in V2."),
    ("inferior", "ST elevation is seen inferiorly rather than anteriorly."),
    ("inferior", "T inversion in aVL, not in II."),
    ("anterior T", "T waves are inverted in V2 and V3, not in II."),
    ("anterior", "ST elevation spares the inferior leads."),
    ("anterior", "ST elevation in V1-V4, sparing the inferior leads."),
    ("inferior", "ST elevation is limited to the inferior leads."),
    ("inferior", "ST elevation only in II, III and aVF."),
    ("normal", "T wave inversion only in aVR."),
    ("inferior", "ST elevation is greater in III than in II."),
    ("inferior", "ST elevation in III > II."),
    ("anterior", "ST elevation in V3 exceeds that in V1."),
    ("inferior", "ST elevation is greatest in III."),
    ("anterior", "The inferior leads are spared from ST elevation."),
    ("inferior", "ST elevation is less marked in II than in III."),
    ("inferior", "ST elevation is more pronounced in III (3.6 mm) than in II (2.8 mm)."),
    ("inferior", "ST elevation is greater in the inferior than in the anterior leads."),
    ("anterior T", "T wave inversion is deeper in V3 than in V1."),
    ("lbbb", "Left, not right, bundle branch block."),
    ("rbbb", "Right rather than left bundle branch block."),
    ("lafb", "Axis is leftward of -30."),
    ("lafb", "The axis lies to the left of minus 30 degrees."),
    ("lafb", "The axis is more negative than -30 degrees."),
    ("lafb", "Left axis deviation beyond -30 degrees."),
    ("normal", "Nothing suggests atrial fibrillation."),
    ("normal", "Nothing here points to atrial fibrillation."),
    ("normal", "There is nothing suggestive of LBBB."),
    ("normal", "Atrial fibrillation can be ruled out."),
    ("normal", "LBBB can safely be excluded."),
    ("normal", "The PR interval is less than one large square (200 ms)."),
    ("normal", "The QRS is narrower than three small squares (120 ms)."),
    ("slow", "The PR interval is more than 0.2 s (200 ms)."),
    ("normal", "72 bpm, which is normal."),
    ("normal", "72 bpm (normal)."),
]
FALSE = [
    ("inferior", "The inferior leads are spared from ST elevation."),
    ("inferior", "ST elevation is maximal in II."),
    ("inferior", "ST elevation is most pronounced in V2."),
    ("inferior", "ST elevation spares the inferior leads."),
    ("inferior", "ST elevation, anterior not inferior."),
    ("inferior", "Anterior rather than inferior ST elevation."),
    ("inferior", "ST elevation in I, not III."),
    ("inferior", "ST elevation is greater in II than in III."),
    ("inferior", "ST elevation in II > III."),
    ("anterior", "ST elevation in V1 exceeds that in V3."),
    ("inferior", "More ST elevation in II than in III."),
    ("inferior", "ST elevation is higher in lead II compared to lead III."),
    ("inferior", "ST elevation is not greater in III than in II."),
    ("normal", "ST elevation is greater in II than in III."),
    ("anterior T", "T wave inversion is deeper in V1 than in V3."),
    ("inferior", "ST elevation in III only."),
    ("inferior", "ST elevation is confined to III."),
    ("inferior", "Only III shows ST elevation."),
    ("normal", "T waves are upright only in V5."),
    ("normal", "The T wave is positive in V5 alone."),
    ("rbbb", "Left, not right, bundle branch block."),
    ("normal", "Axis is leftward of -30."),
    ("fibrillation", "Nothing suggests atrial fibrillation."),
    ("lbbb", "LBBB can be ruled out."),
    ("fast", "118 bpm, which is normal."),
    ("fast", "Sinus rhythm at 118 bpm, which is normal."),
    ("fast", "118 bpm (normal)."),
]


@pytest.mark.parametrize(("ecg", "text"), TRUE)
def test_true_contrasts_are_supported(ecg, text, measured):
    verdicts = [checked.verdict for checked in check_grounding(text, measured[ecg]).claims]
    assert verdicts and set(verdicts) == {SUPPORTED}


@pytest.mark.parametrize(("ecg", "text"), FALSE)
def test_false_contrasts_are_contradicted(ecg, text, measured):
    assert CONTRADICTED in [checked.verdict for checked in check_grounding(text, measured[ecg]).claims]


def test_what_cannot_be_told_apart_is_not_decided(measured):
    text = "ST elevation is greater in V2 than in V3."  # 0.40 and 0.42 mV
    assert [checked.verdict for checked in check_grounding(text, measured["anterior"]).claims] == [NOT_MEASURABLE]


def test_only_the_word_is_struck_out_that_is_wrong(measured):
    assert correct_answer("ST elevation in III only.", measured["inferior"])[0] == "ST elevation in III [struck out]."


def test_words_that_only_look_like_contrasts(measured):
    for text in (
        "Only minimal ST elevation in III.",
        "Atrial flutter cannot be ruled out.",
        "The infarct spares the septum.",
    ):
        verdicts = [checked.verdict for checked in check_grounding(text, measured["inferior"]).claims]
        assert len(verdicts) == 1, text


def test_an_axis_beyond_a_negative_limit_is_further_left_and_one_that_exceeds_it_is_larger(measured):
    verdict = {
        text: [checked.verdict for checked in check_grounding(text, measured["normal"]).claims]
        for text in ("The axis is beyond -30 degrees.", "The QRS axis never exceeds -60 degrees.")
    }  # 40 degrees
    assert list(verdict.values()) == [[CONTRADICTED], [CONTRADICTED]]


@pytest.mark.parametrize(
    "text",
    [
        "Possible ST elevation is not greater in II than in III.",
        "Possibly, ST elevation is not greater in II than in III.",
    ],
)
def test_a_doubtful_denial_of_a_comparison_claims_nothing(text):
    assert extract_claims(text) == []
