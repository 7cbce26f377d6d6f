# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Verdicts on what a text says of the signal, on a clean ECG and on the same with V1 noisy, V3 flat, V4 cut and V6 wandering."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from processing.claims.claims import Claim
from processing.claims.findings import BY_KIND
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_quality import lead_faults
from processing.ecg_readers import load_ecg
from processing.ecg_record import LIMB_LEADS, STANDARD_LEADS
from processing.grounding.check import check_claim, check_grounding
from processing.grounding.correction import correct_answer
from tests.helpers.shared_data import shared_path

LETTERS = {"supported": "S", "contradicted": "C", "not_measurable": "N"}
# Sentence, verdicts on the clean ECG, verdicts on the disturbed one: as a reader of both would judge.
JUDGED = (
    ("No signal in V3.", "C", "S"),
    ("Yes. No signal in V3 and aVL.", "C", "C"),
    ("No. Good quality in V4.", "S", "C"),
    ("Good quality in all leads.", "S", "C"),
    ("Good quality in all leads except V1, V3, V4 and V6.", "S", "S"),
    ("The quality of the recording is good.", "S", "C"),
    ("The limb leads are of good quality.", "S", "S"),
    ("Not of good quality.", "C", "S"),
    ("Poor quality in II.", "C", "C"),
    ("Poor quality in V1 and V6.", "C", "S"),
    ("Poor signal quality in the precordial leads.", "C", "S"),
    ("The tracing is of poor quality.", "C", "N"),
    ("The quality of V1 is poor and that of V2 is good.", "CS", "SS"),
    ("V1 is noisy.", "N", "S"),
    ("Leads V1 and V2 are noisy.", "N", "N"),
    ("Lead V3 is noisy.", "N", "C"),
    ("The signal is noisy.", "N", "S"),
    ("No noise is present.", "N", "C"),
    ("No noise in II.", "N", "N"),
    ("V1 is no longer noisy.", "N", "C"),
    ("Baseline wander in V6.", "N", "S"),
    ("Baseline wander in V2 and V3.", "N", "C"),
    ("There is no baseline wander.", "N", "C"),
    ("The baseline is stable.", "N", "C"),
    ("Leads I and aVL are flat.", "C", "C"),
    ("V3 is not flat.", "S", "C"),
    ("No lead is flat.", "S", "C"),
    ("No signal in the chest leads.", "C", "C"),
    ("V3 is unreadable.", "C", "S"),
    ("V3 and V1 are uninterpretable.", "C", "N"),
    ("V4 is saturated.", "N", "S"),
    ("V4 is not saturated.", "N", "C"),
    ("V2 is not saturated.", "N", "N"),
    ("Artefacts are seen in V1 and V6.", "N", "S"),
    ("No artefacts.", "N", "C"),
    ("The signal is clean in all leads.", "N", "C"),
    ("Mains interference (50 Hz) in all leads.", "N", "N"),
    ("Muscle artefact in V1.", "N", "N"),
    ("A loose electrode at V6.", "N", "N"),
    ("Minimal noise in V2.", "N", "N"),
    ("Noise in beat 3 of V1.", "N", "N"),
    ("No signal in V7.", "S", "S"),
    ("Good quality in V7.", "C", "C"),
)


def disturbed(record):
    signal = np.array(record.signal, dtype=np.float32)
    at = record.leads.index
    time = np.arange(signal.shape[1]) / record.sampling_rate
    signal[at("V1")] += np.random.default_rng(0).normal(0, 0.12, signal.shape[1])
    signal[at("V3")] = 0
    signal[at("V4")] = np.clip(3 * signal[at("V4")], -1.5, 1.5)
    signal[at("V6")] += 1.2 * np.sin(2 * np.pi * 0.2 * time)
    return replace(record, signal=signal)


@pytest.fixture(scope="module")
def ecgs():
    record = load_ecg("processing/samples/normal.hea")
    return extract_features(record), extract_features(disturbed(record))


def about_the_signal(text, features):
    return [item for item in check_grounding(text, features).claims if item.claim.kind == "signal_quality"]


def letters(text, features):
    return "".join(LETTERS[item.verdict] for item in about_the_signal(text, features))


@pytest.mark.parametrize(("text", "clean", "bad"), JUDGED)
def test_verdicts(ecgs, text, clean, bad):
    assert [letters(text, features) for features in ecgs] == [clean, bad]


def test_a_verdict_names_the_leads_and_what_is_measured(ecgs):
    clean, bad = ecgs
    (found,) = about_the_signal("Good quality in all leads.", bad)
    assert found.explanation == (
        "signal quality: V1 poor (noise 0.107 mV), V3 flat, V4 poor (saturated for 2.5% of the time), V6 poor (wander 0.83 mV)"
    )
    assert (
        found.wrong_leads == ("V1", "V3", "V4", "V6")
        and found.measured["V3"] == "flat"
        and found.measured["II"] == "good"
    )
    assert {lead for lead, *_ in found.evidence} == set(STANDARD_LEADS) and found.evidence[0][1:] == (0.0, 10.0)
    (found,) = about_the_signal("The signal is noisy.", bad)
    assert found.explanation == "signal quality: V1 poor (noise 0.107 mV)" and found.wrong_leads == ()
    (found,) = about_the_signal("No signal in V3.", clean)
    assert found.explanation == "signal quality: V3 good (noise 0.006 mV, wander 0.04 mV)"
    (found,) = about_the_signal("The tracing is of poor quality.", clean)
    assert found.explanation == "signal quality: 12 leads good (noise 0.011 mV, wander 0.04 mV at most)"
    (found,) = about_the_signal("V1 is noisy.", clean)
    assert found.explanation == "V1 good (noise 0.008 mV, wander 0.04 mV), which does not decide it"


def test_a_statement_and_its_denial_are_never_both_supported(ecgs):
    values = {words.value for words in BY_KIND["signal_quality"].words}
    places = [
        ((), None),
        *(((lead,), None) for lead in STANDARD_LEADS),
        (("V1", "V2"), None),
        (LIMB_LEADS, "limb"),
        (STANDARD_LEADS, "all"),
    ]
    for value, (leads, territory), features in product(values, places, ecgs):
        stated = Claim("signal_quality", value, None, leads, None, None, "affirmed", "", 0, 0, territory=territory)
        verdicts = [
            check_claim(replace(stated, polarity=polarity), features).verdict for polarity in ("affirmed", "negated")
        ]
        assert verdicts.count("supported") < 2, (value, leads)
        assert verdicts.count("contradicted") < 2 or len(leads) > 1, (value, leads)


def test_near_a_limit_good_and_poor_are_not_decided(ecgs):
    clean = ecgs[0]

    def with_noise(noise, verdict):
        return replace(
            clean, quality={**clean.quality, "V2": {**clean.quality["V2"], "noise_mv": noise, "verdict": verdict}}
        )

    assert [letters("Poor quality in V2. Good quality in V2.", with_noise(noise, verdict))
            for noise, verdict in ((0.024, "good"), (0.026, "good"), (0.051, "poor"))] == ["CS", "NN", "SC"]  # fmt: skip
    (near, _) = about_the_signal("Poor quality in V2. Good quality in V2.", with_noise(0.026, "good"))
    assert "too near to the limit" in near.explanation and near.measured == {"V2": "good"}
    assert lead_faults({**clean.quality["V2"], "noise_mv": 0.026}, 0.5) == ("noise",)


def test_beats_that_do_not_repeat_are_not_called_a_poor_signal(ecgs):
    """They may be the heart's, as in fibrillation."""
    clean = ecgs[0]
    poor = {**clean.quality, "V2": {**clean.quality["V2"], "verdict": "poor"}}
    for reason, expected in (("does not repeat", "NN"), ("noise", "SC")):
        features = replace(clean, quality=poor, left_out=(("V2", 0.0, 4.0, reason),))
        assert letters("Poor quality in V2. Good quality in V2.", features) == expected
        assert f"V2 poor ({reason})" in about_the_signal("Poor quality in V2.", features)[0].explanation


def test_a_lead_of_quiet_noise_has_no_signal():
    record = load_ecg("processing/samples/normal.hea")
    signal = np.array(record.signal)
    signal[STANDARD_LEADS.index("V3")] = np.random.default_rng(2).normal(0, 0.01, signal.shape[1])
    features = extract_features(replace(record, signal=signal))
    text = "No signal in V3. Good quality in V3. Poor quality in V3. V3 is unreadable. V3 is noisy. The signal is clean in all leads."
    assert letters(text, features) == "SCSSNC"
    assert (
        letters("Good quality in V2. Good quality in all leads. The quality of the recording is good.", features)
        == "SCC"
    )
    (found,) = about_the_signal("Good quality in V3.", features)
    assert found.explanation == "signal quality: V3 poor (no beats)"
    (found,) = check_grounding("The T wave is inverted in V3.", features).claims
    assert (found.verdict, found.explanation) == ("not_measurable", "V3 too poor to be judged")


def test_a_signal_without_beats_has_a_quality_too():
    features = extract_features(np.zeros((12, 5000)), 500)
    assert letters("No signal in V3. Good quality in all leads. The tracing is flat.", features) == "SCS"
    assert [item.verdict for item in check_grounding("Sinus rhythm.", features).claims] == ["not_measurable"]


@pytest.mark.parametrize("size", [0.003, 0.03, 0.3])
def test_a_lead_of_noise_is_not_said_to_have_a_signal(size):
    record = load_ecg("processing/samples/normal.hea")
    signal = np.array(record.signal, dtype=np.float32)
    signal[record.leads.index("V3")] = np.random.default_rng(0).normal(0, size, signal.shape[1])
    features = extract_features(replace(record, signal=signal))
    assert letters("No signal in V3.", features) == "S" and letters("No signal in V2.", features) == "C"


def test_measurements_that_are_read_again_decide_alike(ecgs):
    again = EcgFeatures.from_dict(json.loads(json.dumps(ecgs[1].to_dict(full=True))))
    assert letters("Good quality in all leads.", again) == "C"
    assert letters("Good quality in all leads.", replace(again, quality={})) == "N"


def test_a_wrong_statement_is_corrected(ecgs):
    assert correct_answer("Sinus rhythm. No signal in V3.", ecgs[0])[0] == "Sinus rhythm. [struck out]."


def test_what_the_measurements_say_of_themselves_is_not_contradicted(ecgs):
    for features in ecgs:
        assert "C" not in letters(features.to_text(), features)
    assert letters("Not used: V1 (noise).", ecgs[1]) == "S"


@pytest.mark.parametrize("record_id", [1, 6, 14, 17, 32, 45, 53, 66, 81, 94])
@pytest.mark.parametrize("lost", ["zero", "noise"])
def test_a_lost_lead_of_a_real_ecg_is_told_from_all_others(record_id, lost):
    record = load_ecg(shared_path("data/ludb/data") / f"{record_id}.hea")
    lead = STANDARD_LEADS[record_id % 12]
    signal = np.array(record.signal, dtype=np.float32)
    row = record.leads.index(lead)
    signal[row] = 0 if lost == "zero" else np.random.default_rng(record_id).normal(0, 0.3, signal.shape[1])
    features = extract_features(replace(record, signal=signal))
    others = [other for other in record.leads if other != lead]
    of_others = [letters(f"No signal in {other}.", features) for other in others]
    assert letters(f"No signal in {lead}.", features) == "S"
    assert of_others.count("C") >= 10 and "S" not in of_others
    assert letters(f"Poor quality in {lead}. Good quality in {lead}.", features) == "SC"
    (found,) = about_the_signal("Good quality in all leads.", features)
    assert found.verdict == "contradicted" and f"{lead} {'flat' if lost == 'zero' else 'poor'}" in found.explanation
    assert letters("No noise is present.", features) == ("N" if lost == "zero" else "C")
