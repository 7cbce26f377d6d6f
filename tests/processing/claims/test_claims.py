# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Claims that are parsed from texts: numbers, units, leads, negation, references, lists, beats."""

import re
import time

import pytest

from processing.claims.claims import LONGEST_CLAUSE, MAX_CHARACTERS, extract_claims
from processing.claims.words import VOCABULARY, match_word
from processing.errors_gem import ClaimError
from tests.helpers import grounding_wordings
from tests.helpers.grounding_sentences import REPEATED


def brief(text):
    return [(claim.kind, claim.value, claim.leads, claim.polarity) for claim in extract_claims(text)]


@pytest.mark.parametrize(
    ("text", "kind", "value", "unit"),
    [
        ("The PR interval is 160 ms.", "pr_interval", 160, "ms"),
        ("PR = 0.16 s", "pr_interval", 160, "ms"),
        ("a 160-ms PR interval", "pr_interval", 160, "ms"),
        ("P‑R interval: 160 msec", "pr_interval", 160, "ms"),
        ("QRS: 92", "qrs_duration", 92, "ms"),
        ("QTc is approximately 0.42 seconds", "qtc_interval", 420, "ms"),
        ("a rate of 75 per minute", "heart_rate", 75, "bpm"),
        ("HR 75/min", "heart_rate", 75, "bpm"),
        ("Axis: -30°", "qrs_axis", -30, "deg"),
        ("the axis is minus 30 degrees", "qrs_axis", -30, "deg"),
        ("Sokolow-Lyon 42 mm", "sokolow_lyon", 4.2, "mV"),
        ("R-R interval 800 ms", "rr_interval", 800, "ms"),
        ("P wave duration 110 ms", "p_duration", 110, "ms"),
        ("the R amplitude in V5 is 1.8 mV", "r_amplitude", 1.8, "mV"),
        ("ST level in V2 +0.15 mV", "st_level", 0.15, "mV"),
        ("QTcB 440 ms", "qtc_interval", 440, "ms"),
    ],
)
def test_numbers_and_units(text, kind, value, unit):
    (claim,) = extract_claims(text)
    assert (claim.kind, claim.unit, claim.polarity) == (kind, unit, "affirmed")
    assert claim.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "value", "high", "comparator"),
    [
        ("PR 120-200 ms", 120, 200, None),
        ("PR between 120 and 200 ms", 120, 200, None),
        ("PR from 150 to 170 ms", 150, 170, None),
        ("PR > 200 ms", 200, None, ">"),
        ("PR exceeds 200 ms", 200, None, ">"),
        ("PR of no more than 200 ms", 200, None, "not_more"),
        ("PR about 160 ms", 160, None, "~"),
        ("PR 160 ± 10 ms", 150, 170, None),
    ],
)
def test_ranges_and_comparisons(text, value, high, comparator):
    (claim,) = extract_claims(text)
    assert (claim.kind, claim.value, claim.high, claim.comparator) == ("pr_interval", value, high, comparator)


@pytest.mark.parametrize(
    "text",
    [
        "PR 160 ms (normal 120-200 ms).",
        "PR 160 ms (<200 ms).",
        "PR 160 ms [reference range: 120-200 ms].",
        "Normal values for PR are 120-200 ms; the PR is 160 ms.",
        "PR 160 ms, upper limit of normal 200 ms.",
        "On this 12-lead ECG (25 mm/s, 10 mm/mV, 10 s strip) of a 65-year-old, PR is 160 ms.",
    ],
)
def test_references_and_settings_are_no_claims(text):
    assert [(claim.kind, claim.value) for claim in extract_claims(text)] == [("pr_interval", 160)]


@pytest.mark.parametrize(
    "text",
    [
        "A PR interval above 200 ms would be first-degree AV block.",
        "If ST elevation appears in V2, call for help.",
        "Compared with the previous ECG the ST elevation has resolved.",
        "Monitoring of the QTc is recommended.",
        "Please correlate clinically.",
        "",
        "I see nothing else.",
    ],
)
def test_general_statements_claim_nothing(text):
    assert extract_claims(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "No ST elevation, depression or T-wave inversion.",
            [("st_elevation", "negated"), ("st_depression", "negated"), ("t_inversion", "negated")],
        ),
        ("ST elevation is not seen.", [("st_elevation", "negated")]),
        ("T waves are not inverted in V2.", [("t_inversion", "negated")]),
        ("ST segments are isoelectric.", [("st_deviation", "negated")]),
        ("P waves cannot be identified.", [("p_waves", "negated")]),
        ("without Q waves in V2", [("pathological_q", "negated")]),
        (
            "No ST elevation, but T waves are inverted in V1.",
            [("st_elevation", "negated"), ("t_inversion", "affirmed")],
        ),
        ("No ST elevation and the T waves are inverted.", [("st_elevation", "negated"), ("t_inversion", "affirmed")]),
        ("Infarction: no. LBBB: yes.", [("infarction", "negated"), ("lbbb", "affirmed")]),
        ("Sinus rhythm rather than atrial fibrillation.", [("rhythm", "affirmed"), ("rhythm", "negated")]),
        ("possible ST elevation in V2", [("st_elevation", "hedged")]),
        ("An inferior infarction cannot be excluded.", [("infarction", "hedged")]),
    ],
)
def test_polarity(text, expected):
    assert [(claim.kind, claim.polarity) for claim in extract_claims(text)] == expected


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("ST elevation in V1-V4", ("V1", "V2", "V3", "V4")),
        ("ST elevation in leads V1 through V3 and aVL", ("V1", "V2", "V3", "aVL")),
        ("II, III, and aVF show ST elevation", ("II", "III", "aVF")),
        ("Lead I: ST elevation", ("I",)),
        ("ST elevation in the inferior leads", ("II", "III", "aVF")),
        ("ST elevation in the inferior leads (II, III)", ("II", "III")),
        ("ST elevation in all limb leads except aVR", ("I", "II", "III", "aVL", "aVF")),
        ("ST elevation in V7", ("V7",)),
        ("In V2 the ST segment is elevated", ("V2",)),
    ],
)
def test_leads(text, leads):
    (claim,) = extract_claims(text)
    assert (claim.kind, claim.leads) == ("st_elevation", leads)


def test_leads_belong_to_their_findings():
    text = "ST elevation in II and aVF with reciprocal depression in aVL; V1-V2 show T inversion and V5 shows Q waves."
    assert brief(text) == [
        ("st_elevation", None, ("II", "aVF"), "affirmed"),
        ("st_depression", None, ("aVL",), "affirmed"),
        ("t_inversion", None, ("V1", "V2"), "affirmed"),
        ("pathological_q", None, ("V5",), "affirmed"),
    ]


def test_numbers_in_brackets_belong_to_the_lead_before():
    claims = extract_claims("ST elevation in II (0.12 mV), III (2 mm) and aVF (0.15 mV).")
    assert [(claim.leads, claim.value) for claim in claims] == [(("II",), 0.12), (("III",), 0.2), (("aVF",), 0.15)]


def test_an_upright_wave_with_sizes_is_said_of_the_same_leads():
    bare, *sizes = extract_claims("The T wave is upright in II (0.25 mV) and V5 (0.43 mV).")
    assert (bare.kind, bare.polarity, bare.leads) == ("t_inversion", "negated", ("II", "V5"))
    assert [(size.kind, size.leads) for size in sizes] == [("t_amplitude", ("II",)), ("t_amplitude", ("V5",))]


def test_lists_of_measurements():
    expected = [("pr_interval", 160), ("qrs_duration", 90), ("qt_interval", 400)]
    for text in (
        "PR/QRS/QT: 160/90/400 ms",
        "PR, QRS and QT are 160, 90 and 400 ms respectively",
        "PR 160 ms, QRS 90 ms, QT 400 ms",
        "| PR | 160 ms |\n| QRS | 90 ms |\n| QT | 400 ms |",
        "- **PR interval**: 160 ms\n- **QRS duration**: 90 ms\n- **QT interval**: 400 ms",
    ):
        assert [(claim.kind, claim.value) for claim in extract_claims(text)] == expected, text


def test_markdown_headings_and_lead_lists():
    text = (
        "### ST segments:\n- II: elevated 0.2 mV\n- V1: isoelectric\n\n### Lead V2\n- T wave inverted\n- ST depressed"
    )
    assert brief(text) == [
        ("st_elevation", 0.2, ("II",), "affirmed"),
        ("st_deviation", None, ("V1",), "negated"),
        ("t_inversion", None, ("V2",), "affirmed"),
        ("st_depression", None, ("V2",), "affirmed"),
    ]


def test_beats_and_times():
    time, inversion = extract_claims("In V2, beat 4 at 3.21 s, the T wave is inverted.")
    assert (time.kind, time.value, time.beats, time.leads) == ("beat_time", 3.21, (4,), ("V2",))
    assert (inversion.kind, inversion.beats, inversion.leads) == ("t_inversion", (4,), ("V2",))
    (claim,) = extract_claims("PR 160 ms in beats 3-5")
    assert claim.beats == (3, 4, 5)
    assert extract_claims("The third beat has an inverted T wave in V5.")[0].beats == (3,)


def test_other_leads_are_those_not_named_before():
    first, rest = extract_claims("V1-V4: T inverted. All other leads: no T inversion.")
    assert first.leads == ("V1", "V2", "V3", "V4") and rest.polarity == "negated"
    assert not set(first.leads) & set(rest.leads) and "V5" in rest.leads


def test_words_that_look_like_leads():
    assert all(
        not claim.leads for claim in extract_claims("Mobitz type II AV block. I think the rhythm is sinus rhythm.")
    )


@pytest.mark.parametrize(
    "text", ["No ST elevation in V2.", "a PR – of 160 ms", "**QTc**: 0,42 s (Bazett)", "İ HR 75 bpm"]
)
def test_quotes_are_the_characters_of_the_text(text):
    claims = extract_claims(text)
    assert claims
    for claim in claims:
        assert text[claim.start : claim.end] == claim.quote


def test_hostile_texts_do_not_raise():
    for text in (
        "(" * 500,
        "1" * 400,
        "V1-" * 200,
        "no " * 300,
        "ST elevation in " * 50,
        "\x00\ud7ff 😀 PR 160 ms",
        "beat 1, 2, " * 80,
    ):
        extract_claims(text)


def test_vocabulary_by_letter_equals_the_whole_vocabulary():
    whole = re.compile("|".join(f"(?P<g{i}>(?:{pattern})(?![A-Za-z]))" for i, (*_, pattern) in enumerate(VOCABULARY)))
    sets = (grounding_wordings.TEMPLATES, grounding_wordings.FREE, grounding_wordings.HELD_BACK)
    for text in (wording for wordings in sets for group in wordings.values() for wording in group):
        for i, character in enumerate(text):
            if not character.isspace():
                slow, fast = whole.match(text, i), match_word(text, i)
                assert (slow.end() if slow else None) == (fast.end if fast else None), (text, i)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Non-specific T wave flattening in V5,6.", [("t_flat", ("V5", "V6"), "affirmed")]),
        ("ST depression in V4,5,6. Otherwise normal ECG.", [("st_depression", ("V4", "V5", "V6"), "affirmed"), ("otherwise_normal_ecg", (), "affirmed")]),
        ("q waves in ii, iii, avf", [("pathological_q", ("II", "III", "aVF"), "affirmed")]),
        ("ST elevation in V2, i.e. abnormal.", [("st_elevation", ("V2",), "affirmed"), ("st_deviation", (), "affirmed")]),
        ("ST elevation in V3-6.", [("st_elevation", ("V3", "V4", "V5", "V6"), "affirmed")]),
        ("T wave flattening in limb leads and V5.", [("t_flat", ("I", "II", "III", "aVR", "aVL", "aVF", "V5"), "affirmed")]),
        ("Abnormal ECG", [("normal_ecg", (), "negated")]),
        ("The ECG is entirely normal.", [("normal_ecg", (), "affirmed")]),
        ("The PR interval is constant.", [("pr_course", (), "affirmed")]),
        ("PR segment depression.", []),
        ("ST elevation, probably a normal variant.", [("st_elevation", (), "affirmed")]),
        ("The cause of the bradycardia is not evident.", []),
        ("T inversion in V1-V3, but not in the lateral leads.", [("t_inversion", ("V1", "V2", "V3"), "affirmed"), ("t_inversion", ("I", "aVL", "V5", "V6"), "negated")]),
        ("The ST elevation in III is not present in V5.", [("st_elevation", ("III",), "affirmed"), ("st_elevation", ("V5",), "negated")]),
        ("The QRS is negative in V1.", [("qrs_negative", ("V1",), "affirmed")]),
        ("V4: ST ↑; III: ST ↓.", [("st_elevation", ("V4",), "affirmed"), ("st_depression", ("III",), "affirmed")]),
        ("LBBB is unlikely.", [("lbbb", (), "negated")]),
        ("The rate is below the LVH threshold.", []),
        ("The transition zone is shifted to the right.", []),
        ("Ventricular fibrillation.", [("rhythm", (), "affirmed")]),
        ("Non-specific intraventricular delay.", [("ivcd", (), "affirmed")]),
        ("Deep Q waves may indicate septal hypertrophy.", [("septal_hypertrophy", (), "hedged")]),
        ("Missing R wave progression.", [("poor_r_progression", (), "affirmed")]),
        ("anteroseptaler infarkt, kein linksschenkelblock", [("infarction", ("V1", "V2", "V3", "V4"), "affirmed"), ("lbbb", (), "negated")]),
        ("keine p-welle erkannt rechtsschenkelblock", [("rbbb", (), "affirmed")]),
    ],
)  # fmt: skip
def test_words_of_reports_and_language_models(text, expected):
    assert [(claim.kind, claim.leads, claim.polarity) for claim in extract_claims(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SV1 of 1.9 mV plus RV5 of 2.3 mV", [("s_amplitude", 1.9, None), ("r_amplitude", 2.3, None)]),
        ("Sokolow-Lyon: S V1 (1.9 mV) + R V5 (2.2 mV) = 4.1 mV", [("s_amplitude", 1.9, None), ("r_amplitude", 2.2, None), ("sokolow_lyon", 4.1, None)]),
        ("P amplitude 0.12 mV with a duration of 93 ms (<120 ms and <0.25 mV)", [("p_amplitude", 0.12, None), ("p_duration", 93, None)]),
        ("QTc 430 ms (normal: <450 ms in men, <460 ms in women)", [("qtc_interval", 430, None)]),
        ("ST elevation of 0.26 mV in II, 0.34 mV in III", [("st_elevation", 0.26, None), ("st_elevation", 0.34, None)]),
        ("RR 800 ms in beats 1 through 3", [("rr_interval", 800, (1, 2, 3))]),
        ("PR in beat 3 (1.92 s) is 150 ms", [("pr_interval", 150, (3,)), ("beat_time", 1.92, (3,))]),
    ],
)  # fmt: skip
def test_numbers_and_what_they_belong_to(text, expected):
    found = [(claim.kind, claim.value, claim.beats) for claim in extract_claims(text)]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("1st degree AV block", "av_block", 1),
        ("2nd-degree AV block", "av_block", 2),
        ("2:1 AV block", "av_block", "2:1"),
        ("Atrial flutter with 4:1 conduction", "rhythm", "atrial flutter"),
        ("ventricular fibrillation", "rhythm", "ventricular fibrillation"),
        ("idioventricular rhythm", "rhythm", "ventricular escape rhythm"),
        ("AV nodal re-entrant tachycardia", "rhythm", "supraventricular tachycardia"),
        ("wandering atrial pacemaker", "rhythm", "wandering pacemaker"),
        ("supraventricular tachycardia", "rhythm", "supraventricular tachycardia"),
        ("ventrikulÄre tachykardie", "rhythm", "ventricular tachycardia"),
        ("left ventricular hypertrophy", "lvh", True),
        ("high voltage", "lvh", "high voltage"),
    ],
)
def test_values_of_findings(text, kind, value):
    assert [(claim.kind, claim.value) for claim in extract_claims(text)] == [(kind, value)]


def test_exceptions_without_a_group_leave_all_other_leads():
    (claim,) = extract_claims("T waves upright except in aVR.")
    assert claim.polarity == "negated" and len(claim.leads) == 11 and "aVR" not in claim.leads


def test_reference_columns_of_tables_are_no_claims():
    table = "| Parameter | Value | Normal range |\n|---|---|---|\n| PR | 238 ms | 120-200 ms |\n| QTc | 404 ms | < 450 ms |"
    assert [(claim.kind, claim.value) for claim in extract_claims(table)] == [
        ("pr_interval", 238),
        ("qtc_interval", 404),
    ]
    assert [claim.value for claim in extract_claims(f"{table}\n\nPR 238 ms")] == [238, 404, 238]
    other = "| Lead | Interval | Size |\n|---|---|---|\n| II | PR | 160 ms |"
    assert [(claim.kind, claim.value) for claim in extract_claims(other)] == [("pr_interval", 160)]


@pytest.mark.parametrize("phrase", REPEATED)
def test_a_text_that_repeats_itself_is_read_in_linear_time(phrase):
    """The text took up to 40 s when the time grew with the square of its length."""
    text = (phrase * 20_000)[:20_000]
    started = time.process_time()
    extract_claims(text)
    assert time.process_time() - started < 5


def test_a_text_beyond_the_limit_is_refused_by_name():
    with pytest.raises(ClaimError, match=r"100,001 characters, an interpretation 100,000"):
        extract_claims("a" * (MAX_CHARACTERS + 1))


def test_a_clause_that_never_ends_loses_no_claim():
    phrases = LONGEST_CLAUSE
    claims = extract_claims("PR 160 ms and " * phrases)
    assert len(claims) == phrases and {claim.value for claim in claims} == {160}
