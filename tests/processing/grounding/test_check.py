# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Verdicts about claims, scores, evidence, and a small validation against the simulator's exact truth."""

import dataclasses
import json
import math

import numpy as np
import pytest

from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_page import render_ecg
from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.evidence.highlight import highlight
from processing.grounding.check import DEFAULT_TOLERANCES, check_grounding, extract_claims
from processing.simulator.simulator import simulate_ecg
from recipes.teachers.grounded_answer import grounded_answer
from tests.helpers.grounding_scores import score_falsified, score_handwritten, score_statements
from tests.helpers.grounding_truth import reading_offsets, truths


@pytest.fixture(scope="module")
def normal():
    return extract_features(simulate_ecg(heart_rate=74, pr_interval=158, axis=45, seed=11).record)


@pytest.fixture(scope="module")
def inferior():
    return extract_features(simulate_ecg(ischemia="inferior_stemi", heart_rate=82, seed=12).record)


@pytest.fixture(scope="module")
def fibrillation():
    return extract_features(simulate_ecg("atrial_fibrillation", heart_rate=96, seed=13).record)


@pytest.fixture(scope="module")
def truth_list():
    return truths(20, reading_offsets(range(9000, 9008)), first_seed=2000)


def verdicts(text, features):
    return [checked.verdict for checked in check_grounding(text, features).claims]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Heart rate 74 bpm.", "supported"),
        ("Heart rate 95 bpm.", "contradicted"),
        ("PR 0.15 s.", "supported"),
        ("PR > 200 ms.", "contradicted"),
        ("Normal axis.", "supported"),
        ("Left axis deviation.", "contradicted"),
        ("P waves are absent.", "contradicted"),
        ("No ST elevation.", "supported"),
        ("ST elevation in V5.", "contradicted"),
        ("ST elevation in V9.", "contradicted"),
        ("Atrial fibrillation.", "contradicted"),
        ("This is not atrial fibrillation.", "supported"),
        ("Complete LBBB.", "contradicted"),
        ("QTc 430 ms.", "supported"),
        ("A U wave is present.", "not_measurable"),
        ("Hyperkalemia.", "not_measurable"),
        ("The T wave of beat 99 is inverted.", "contradicted"),
        ("Normal ECG.", "supported"),
        ("PR not measurable.", "contradicted"),
        ("Atrial rate 300 bpm.", "not_measurable"),
        ("Abnormal ECG.", "not_measurable"),
        ("Otherwise normal ECG.", "not_measurable"),
        ("T wave changes in V4.", "contradicted"),
        ("ST changes.", "not_measurable"),
        ("ST deviation.", "contradicted"),
    ],
)
def test_verdicts_on_a_normal_ecg(text, verdict, normal):
    assert verdicts(text, normal) == [verdict]


def test_ranges_may_carry_the_sign_of_what_they_measure(inferior):
    texts = ("ST depression of -0.15 to -0.25 mV in aVL.", "T inversion of -0.1 to -0.3 mV in aVL.")
    assert [verdicts(text, inferior) for text in texts] == [["supported"], ["supported"]]
    assert verdicts("ST depression of -0.5 to -0.7 mV in aVL.", inferior) == ["contradicted"]


def test_bigeminy_is_seen_by_its_alternating_intervals():
    bigeminy = extract_features(simulate_ecg("bigeminy", heart_rate=76, seed=52).record)
    assert verdicts("Ventricular bigeminy with PVCs.", bigeminy) == ["supported", "supported"]
    assert verdicts("No premature beats.", bigeminy) == ["contradicted"]


def test_every_lead_of_a_list_counts(inferior):
    report = check_grounding("ST elevation in II, III, aVF and V5.", inferior)
    assert [checked.verdict for checked in report.claims] == ["contradicted"]
    assert report.claims[0].wrong_leads == ("V5",)
    assert report.hallucinated_lead_rate == 0.25


def test_swapped_wall(inferior):
    assert verdicts("Inferior ST elevation. Anterior ST elevation.", inferior) == ["supported", "contradicted"]
    assert verdicts("Inferior infarction. Anterior infarction.", inferior) == ["supported", "contradicted"]


def test_no_pr_in_fibrillation(fibrillation):
    assert verdicts("PR 160 ms. PR not measurable.", fibrillation) == ["contradicted", "supported"]


def test_times_of_beats(normal):
    time = normal.beat_times[3]
    text = f"Beat 4 at {time:.2f} s. Beat 4 at {time + 0.4:.2f} s."
    assert verdicts(text, normal) == ["supported", "contradicted"]


def test_tolerances_can_be_given(normal):
    claim = extract_claims(f"PR {normal.pr_interval + 15:.0f} ms")
    assert check_grounding(claim, normal).count("supported") == 1
    narrow = dataclasses.replace(DEFAULT_TOLERANCES, pr_ms=5.0)
    assert check_grounding(claim, normal, narrow).count("contradicted") == 1


def test_scores_and_salient_findings(inferior):
    report = check_grounding("Sinus rhythm, 82 bpm. PR 300 ms. ST elevation in III.", inferior)
    assert (report.count("supported"), report.count("contradicted")) == (3, 1)
    assert (report.precision, report.contradiction_rate) == (0.75, 0.25)
    names = {finding.name for finding in report.salient}
    assert {"heart rate", "rhythm", "PR interval", "ST elevation in II, III, aVF"} <= names
    missing = {finding.name for finding in report.missing}
    assert "PR interval" in missing and "QRS axis" in missing and "heart rate" not in missing
    assert report.recall == pytest.approx(1 - len(missing) / len(names))


def test_empty_texts_and_records_without_beats(normal):
    empty = check_grounding("Please correlate clinically.", normal)
    assert empty.claims == () and math.isnan(empty.precision) and empty.recall == 0
    flat = extract_features(np.zeros((12, 5000), np.float32), 500)
    report = check_grounding("Sinus rhythm, 75 bpm.", flat)
    assert report.count("not_measurable") == 2 and math.isnan(report.recall)
    assert "no heartbeat" in report.claims[0].explanation


def test_fewer_leads():
    record = simulate_ecg(seed=3).record
    features = extract_features(record.signal[:2], record.sampling_rate, leads=("I", "II"))
    report = check_grounding(
        "HR 70. ST elevation in V2. Normal axis. LVH. Low voltage. T waves upright in II.", features
    )
    assert report.claims[1].verdict == "contradicted" and "not in this ECG" in report.claims[1].explanation


def test_reports_are_plain_json_and_markdown(inferior):
    report = check_grounding("ST elevation in III (0.3 mV) | PR 150 ms; beat 3 at 1.6 s.", inferior)
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["claims"] == len(plain["checked"]) == 3 and plain["checked"][0]["leads"] == ["III"]
    assert report.to_markdown().count("\n| ") == 4


def test_evidence_can_be_highlighted(inferior):
    record = simulate_ecg(ischemia="inferior_stemi", heart_rate=82, seed=12).record
    report = check_grounding("ST elevation in III, beat 2. PR 150 ms. Regular rhythm. Axis 60 degrees.", inferior)
    st, pr, rhythm, axis = (checked.evidence for checked in report.claims)
    qrs_end = inferior.waves["QRS"][inferior.leads.index("III"), 1, 2]
    assert len(st) == 1 and st[0][0] == "III" and st[0][1] == pytest.approx(qrs_end, abs=0.02)
    led_by_p = np.isfinite(inferior.beat_waves["P"][:, 0]).sum()  # the first P wave begins before the record
    assert len(pr) == led_by_p and pr[0][0] == "II"
    assert len(rhythm) == 1 and {lead for lead, *_ in axis} == {"I", "aVF"}
    page = render_ecg(record, layout="12x1")
    assert highlight(page, [*st, *pr, *rhythm, *axis]).pixels.shape == page.pixels.shape


@pytest.mark.parametrize(
    "arguments", [{}, {"ischemia": "anterior_stemi"}, {"rhythm": "av_block_3"}, {"conduction": "rbbb"}]
)
def test_rule_written_interpretations_are_supported(arguments):
    ecg = simulate_ecg(**arguments, seed=21)
    features = extract_features(ecg.record)
    report = check_grounding(grounded_answer(features, ecg.labels).full_text(), features)
    assert report.precision == 1 and report.recall >= 0.9 and len(report.claims) >= 12


def test_features_read_from_sequences_alone_are_enough(normal):
    bare = EcgFeatures.from_dict(normal.to_dict(full=True))
    text = "Sinus rhythm, 74 bpm, PR 150 ms, no ST elevation, T waves upright in V2."
    assert verdicts(text, bare) == verdicts(text, normal)


# One fibrillation of the twenty records has P waves that cannot be seen, so claims about them stay undecided.
@pytest.mark.parametrize(("wording", "least"), [("templated", 0.98), ("free", 0.97), ("held_back", 0.95)])
def test_statements_are_judged_right(wording, least, truth_list):
    score = score_statements(truth_list, 400, wording, 5)
    assert score.precision >= least and score.recall >= least, score.failures


@pytest.mark.parametrize("wording", ["templated", "free"])
def test_planted_errors_are_found(wording, truth_list):
    planted, found, alarms, decided = score_falsified(truth_list, 60, wording, 6)
    assert planted.total() == 60 and found.total() / 60 >= 0.97, (planted, found)
    assert alarms / decided <= 0.02


@pytest.mark.parametrize(("part", "least"), [("development", 0.98), ("held_back", 0.97)])
def test_handwritten_sentences(part, least):
    score = score_handwritten(part)
    assert score.precision >= least and score.recall >= least, score.failures


def test_a_lead_without_signal_is_named_and_not_described():
    signal = simulate_ecg(heart_rate=70, seed=1).record.signal.copy()
    signal[9] = 0.0
    features = extract_features(EcgRecord(signal, STANDARD_LEADS, 500))
    report = check_grounding("Flat T waves in V4. ST elevation in V4. Heart rate 70 bpm.", features)
    assert [checked.verdict for checked in report.claims] == ["not_measurable", "not_measurable", "supported"]
    assert "V4 too poor" in report.claims[0].explanation and report.poor_leads == ("V4",)
    assert report.to_dict()["poor_leads"] == ["V4"] and "Too poor to be described: V4." in report.to_markdown()


@pytest.mark.parametrize(
    ("text", "of_3_s", "of_10_s"),
    [
        ("This cannot be read as an ECG: one second is too short.", "contradicted", "contradicted"),
        ("The recording lasts 10 seconds.", "contradicted", "supported"),
        ("Recording length: 3.2 s.", "supported", "contradicted"),
        ("The recording length is not 10 s.", "supported", "contradicted"),
    ],
)
def test_a_stated_length_of_the_recording(text, of_3_s, of_10_s):
    for seconds, verdict in ((3, of_3_s), (10, of_10_s)):
        record = load_ecg("processing/samples/normal.hea", seconds=seconds)
        (checked,) = check_grounding(text, extract_features(record)).claims
        assert (checked.claim.kind, checked.verdict) == ("recording_length", verdict)
        assert f"the recording lasts {seconds} s" in checked.explanation


def test_lengths_that_are_not_stated_of_the_recording():
    measured = extract_features(load_ecg("processing/samples/normal.hea", seconds=3))
    for text in ("10 s rhythm strip.", "A 10-second recording.", "A recording length of 30 s would be needed."):
        assert check_grounding(text, measured).claims == ()
    longer = dataclasses.replace(measured, duration=60.0)  # of which a page shows 10 s
    verdicts = [check_grounding(f"The recording lasts {n} s.", longer).claims[0].verdict for n in (10, 30, 60)]
    assert verdicts == ["not_measurable", "contradicted", "supported"]
