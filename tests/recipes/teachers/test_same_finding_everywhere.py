# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The same features give the same finding in the rules, `to_text`, the guider, both templates, verdicts and salience."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing import ecg_rules as rules
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_readers import load_ecg
from processing.ecg_record import CHEST_LEADS, STANDARD_LEADS, EcgRecord
from processing.grounding.check import check_grounding
from processing.grounding.salient import salient_findings
from processing.guider.guider import DiagnosisGuider
from processing.simulator.simulator import simulate_ecg
from recipes.teachers.grounded_answer import grounded_answer
from recipes.teachers.template_reading import long_reading

SIGNAL = simulate_ecg(heart_rate=72, pr_interval=160, qrs_duration=92, qtc=410, axis=45, seed=11).record.signal
NORMAL = extract_features(SIGNAL, 500)
LEVELS = st.lists(st.floats(-0.3, 0.4), min_size=6, max_size=6)
PATIENTS = {
    "sex": st.sampled_from(["F", "M", None]),
    "age": st.none() | st.integers(0, 90),
    "qtc": st.floats(350, 500),
    "qrs": st.floats(80, 140),
    "axis": st.floats(-90, 180),
    "cornell": st.floats(1.5, 3.2),
}


def patient(at_j: list[float], sex: str | None, age: int | None, **values: float) -> EcgFeatures:
    """The normal ECG with other values and ST levels of the chest leads."""
    lead_values = {name: np.array(column) for name, column in NORMAL.lead_values.items()}
    rows = [STANDARD_LEADS.index(lead) for lead in CHEST_LEADS]
    for name in ("st_j", "st_j60", "st_j80"):
        lead_values[name][:] = 0.0
        lead_values[name][rows] = at_j
    return dataclasses.replace(
        NORMAL,
        sex=sex,
        age=age,
        qtc_bazett=values["qtc"],
        qtc_fridericia=values["qtc"],
        qrs_duration=values["qrs"],
        qrs_axis=values["axis"],
        cornell=values["cornell"],
        sokolow_lyon=1.0,
        lead_values=lead_values,
    )


def leads_after(words: str, text: str) -> set[str]:
    """The leads that a text lists after `words`."""
    found = re.search(rf"{words} ((?:(?:, | and )?(?:V[1-6]|I{{1,3}}|aV[RLF])\b(?: \([^)]*\))?)+)", text)
    return set(re.findall(r"V[1-6]|aV[RLF]|\bI{1,3}\b", found[1])) if found else set()


@settings(max_examples=60, deadline=None)
@given(at_j=LEVELS, **PATIENTS)
def test_every_use_gives_the_same_finding(
    at_j: list[float], sex: str | None, age: int | None, **values: float
) -> None:
    features = patient(at_j, sex, age, **values)
    raised = set(rules.st_elevated_leads(features))
    prompt = DiagnosisGuider()(features, report="sinus rhythm")[1]["content"]
    reading = long_reading(features, ["sinus rhythm", "long QT"])
    short = grounded_answer(features, {"SR": 0.0}).full_text()
    restored = EcgFeatures.from_dict(features.to_dict(full=True))

    assert (restored.sex, restored.age) == (sex, age)
    assert leads_after("ST elevated in", features.to_text()) == raised
    assert leads_after("ST elevated in", prompt) == raised
    assert leads_after("ST segment at the J point is elevated in", reading) == raised
    assert leads_after("ST is elevated in", short) == raised
    for finding in salient_findings(features):
        assert "ST elevation" not in finding.kinds or set(finding.leads) <= raised
    assert (", prolonged." in reading) == rules.is_long_qtc(features)
    assert (", wider than" in reading) == rules.is_wide_qrs(features)
    sector = rules.axis_sector(features.qrs_axis, age)
    assert (f"{sector} axis deviation" in reading) == (sector != "normal")
    # Nothing that one of them writes is contradicted by the verdicts.
    for text in (reading.split("Impression")[0], short):
        judged = check_grounding(text, features).claims
        assert not [str(c.explanation) for c in judged if c.verdict == "contradicted"], text


@settings(max_examples=60, deadline=None)
@given(at_j=LEVELS, **PATIENTS)
def test_what_the_rules_deny_by_a_margin_is_contradicted(
    at_j: list[float], sex: str | None, age: int | None, **values: float
) -> None:
    features = patient(at_j, sex, age, **values)
    if sex is not None and values["qtc"] > 392:
        long = values["qtc"] >= {"F": 460, "M": 450}[sex]
        said = "prolonged" if not long else "normal"
        if abs(values["qtc"] - {"F": 460, "M": 450}[sex]) > 11 and values["qtc"] > 402:
            assert check_grounding(f"The QTc is {said}.", features).claims[0].verdict == "contradicted"
    ratio = rules.voltage_ratios(features)["Cornell"]
    others = max(share for name, share in rules.voltage_ratios(features).items() if name != "Cornell")
    if max(ratio, others) < 0.88:
        verdict = check_grounding("Left ventricular hypertrophy by voltage.", features).claims[0].verdict
        assert verdict == "contradicted"


@pytest.mark.parametrize("sex", ["F", "Female", "female"])
def test_sex_and_age_come_from_a_row(tmp_path: Path, sex: str) -> None:
    np.save(tmp_path / "ecg.npy", SIGNAL)
    rows: tuple[dict[str, Any], ...] = (
        {"signal": SIGNAL, "sampling_rate": 500, "leads": STANDARD_LEADS},
        {"path": str(tmp_path / "ecg.npy")},
    )
    for row in rows:
        features = extract_features(load_ecg(row | {"sex": sex, "age": 93}, sampling_rate=500))
        assert (features.sex, features.age) == ("F", 90)
        assert features.to_text().startswith("Patient: female, above 89 years.")
        assert extract_features(load_ecg(row | {"sex": 1, "age": None}, sampling_rate=500)).sex is None


@pytest.mark.parametrize(
    ("metadata", "sex", "age"),
    [
        ({}, None, None),
        ({"sex": "F", "age": 34}, "F", 34),
        ({"sex": "male", "age": "7Y"}, "M", 7),
        ({"sex": "unknown", "age": -1}, None, None),
    ],
)
def test_sex_and_age_come_from_the_record(metadata: dict[str, Any], sex: str | None, age: int | None) -> None:
    features = extract_features(EcgRecord(SIGNAL, STANDARD_LEADS, 500, metadata=metadata))
    assert (features.sex, features.age) == (sex, age)
    words = {"F": "female", "M": "male", None: ""}[sex]
    first = features.to_text().splitlines()[0]
    assert first == f"Patient: {words}, {age} years." if sex else first.startswith(f"{len(features.beat_times)} beats")
