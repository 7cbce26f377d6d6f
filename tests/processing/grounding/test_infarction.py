# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Infarction and ischaemia of a wall: two leads that show it, and no block or pacing that causes the same."""

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.ecg_readers import load_ecg
from processing.grounding.verdicts import CONTRADICTED, NOT_MEASURABLE, SUPPORTED
from processing.simulator.simulator import simulate_ecg
from tests.helpers.feature_values import with_values
from tests.helpers.grounding_verdicts import verdict

Q_III = {"pathological_q": ("III",), "III__q_duration": 35, "III__q_amplitude": -0.3}
Q_BOTH = Q_III | {"pathological_q": ("III", "aVF"), "aVF__q_duration": 35, "aVF__q_amplitude": -0.3}
T_V1 = {"t_inversion": ("V1",), "V1__t_amplitude": -0.3}
T_V2 = {"t_inversion": ("V2",), "V2__t_amplitude": -0.3}
T_V1_TO_V3 = {"t_inversion": ("V1", "V2", "V3")} | {f"V{number}__t_amplitude": -0.3 for number in (1, 2, 3)}


@pytest.fixture(scope="module")
def normal():
    return extract_features(simulate_ecg(heart_rate=70, seed=3).record)


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("Inferior infarction.", {}, NOT_MEASURABLE),
        ("Inferior infarction.", Q_III, NOT_MEASURABLE),
        ("Inferior infarction.", Q_BOTH, SUPPORTED),
        ("Anterior infarction.", Q_BOTH, CONTRADICTED),
        (
            "Inferior infarction.",
            Q_BOTH | {"pacing_spikes": np.arange(9.0), "qrs_duration": 150},
            NOT_MEASURABLE,
        ),
        ("Anterior infarction.", T_V1_TO_V3, NOT_MEASURABLE),
        ("Anterior ischemia.", T_V1_TO_V3, SUPPORTED),
        ("Anterior ischemia.", T_V1, NOT_MEASURABLE),
        ("Septal ischemia.", T_V1_TO_V3, SUPPORTED),
        ("Septal ischemia.", T_V2, NOT_MEASURABLE),
        ("No inferior infarction.", Q_BOTH, NOT_MEASURABLE),
    ],
)
def test_two_leads_must_show_it(text, changes, expected, normal):
    assert verdict(text, with_values(normal, **changes)) == expected


@pytest.mark.parametrize("name", ["left_bundle_branch_block", "ventricular_paced"])
def test_a_block_or_pacing_shows_no_infarct(name):
    features = extract_features(load_ecg(f"processing/samples/{name}.hea"))
    for wall in ("Anterior", "Septal", "Inferior", "Lateral"):
        assert verdict(f"{wall} infarction.", features) == NOT_MEASURABLE
