# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Flutter needs flutter waves, and the rate of the sinus node is that of the P waves."""

import pytest

from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_readers import load_ecg
from tests.helpers.grounding_rhythms import ptbxl_features, rhythm_features, verdict_of
from tests.helpers.grounding_verdicts import verdict

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "not_measurable"


@pytest.mark.parametrize(
    ("ecg", "sentence", "expected"),
    [
        ("flutter", "Atrial flutter.", SUPPORTED),
        ("flutter", "No atrial flutter.", CONTRADICTED),
        ("flutter 4:1", "Atrial flutter with 4:1 conduction.", SUPPORTED),
        ("flutter 4:1", "Junctional rhythm.", CONTRADICTED),
        ("junctional", "Atrial flutter with 4:1 conduction.", OPEN),
        ("junctional", "No atrial flutter.", OPEN),
        ("junctional", "Junctional rhythm.", SUPPORTED),
        ("complete block", "Junctional rhythm.", OPEN),  # with a wide QRS
        ("paced alone", "Junctional rhythm.", OPEN),
        ("VT", "Atrial flutter.", OPEN),
        ("SVT", "Atrial flutter with 2:1 conduction.", OPEN),
        ("paced alone", "Atrial flutter.", OPEN),
        ("complete block", "Atrial flutter.", CONTRADICTED),
        ("2:1 block", "Atrial flutter.", CONTRADICTED),
        ("sinus", "Atrial flutter.", CONTRADICTED),
        ("tachycardia", "Atrial flutter.", CONTRADICTED),
        ("fibrillation", "Atrial flutter.", OPEN),
    ],
)
def test_flutter_of_the_simulator(ecg, sentence, expected):
    assert verdict_of(ecg, sentence) == expected


@pytest.mark.parametrize("number", [20, 23, 34, 7159, 10933, 17106, 19896])
def test_real_flutter_is_supported_and_no_ventricular_tachycardia(number):
    features = ptbxl_features(number)
    assert verdict("Atrial flutter.", features) == SUPPORTED
    assert verdict("Ventricular tachycardia.", features) != SUPPORTED


def test_the_samples_of_flutter_and_ventricular_tachycardia():
    found = {}
    for name in ("atrial_flutter", "ventricular_tachycardia", "ventricular_paced", "normal"):
        features = extract_features(load_ecg(f"processing/samples/{name}.hea"))
        found[name] = features.flutter_waves, verdict("Atrial flutter.", features)
    assert found == {
        "atrial_flutter": (True, SUPPORTED),
        "ventricular_tachycardia": (False, OPEN),
        "ventricular_paced": (False, OPEN),
        "normal": (False, CONTRADICTED),
    }


def test_flutter_waves_travel_with_the_features():
    flutter = rhythm_features("flutter")
    assert flutter.flutter_waves is True and rhythm_features("junctional").flutter_waves is False
    assert EcgFeatures.from_dict(flutter.to_dict(full=True)).flutter_waves is True


@pytest.mark.parametrize(
    ("ecg", "sentence", "expected"),
    [
        ("complete block", "Sinus bradycardia at 35 bpm.", CONTRADICTED),
        ("complete block", "Sinus rhythm with complete heart block.", SUPPORTED),
        ("complete block", "Sinus tachycardia.", OPEN),  # P waves may be hidden in the T waves
        ("2:1 block", "Sinus bradycardia.", CONTRADICTED),
        ("2:1 block", "Sinus tachycardia.", CONTRADICTED),
        ("progressive block", "Sinus bradycardia.", CONTRADICTED),
        ("constant block", "Sinus bradycardia.", CONTRADICTED),
        ("slow", "Sinus bradycardia.", SUPPORTED),
        ("tachycardia", "Sinus tachycardia.", SUPPORTED),
        ("sinus", "Sinus bradycardia.", CONTRADICTED),
    ],
)
def test_the_sinus_rate_is_that_of_the_p_waves(ecg, sentence, expected):
    assert verdict_of(ecg, sentence) == expected
