# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Rewards from the waveform: omissions, repetitions, errors and wrong leads never earn anything."""

import random
import re

import pytest

from processing.ecg_features import extract_features
from processing.simulator.simulator import simulate_ecg
from recipes.teachers.grounded_answer import grounded_answer
from recipes.training.grounding_rewards import GROUNDING_REWARDS

SCENARIOS = [
    {"ischemia": "inferior_stemi"},
    {"ischemia": "anterior_stemi"},
    {"rhythm": "atrial_fibrillation"},
    {"conduction": "rbbb"},
    {"conduction": "lbbb", "heart_rate": 110},
    {},
]
COMPLETENESS = ("recall", "detail", "leads", "labels")


@pytest.fixture(scope="module")
def references():
    found = []
    for seed, arguments in enumerate(SCENARIOS):
        ecg = simulate_ecg(**arguments, seed=300 + seed)
        found.append((ecg.record, grounded_answer(extract_features(ecg.record), ecg.labels).full_text()))
    return found


def rewards(text, record, reference):
    columns = {"record": [record], "reference": [reference]}
    return {name: reward([text], **columns)[0] for name, reward in GROUNDING_REWARDS.items()}


def sentences(text):
    return re.split(r"(?<=[.!?])\s+", text.strip())


def test_the_reference_itself_is_worth_all_there_is(references):
    for record, reference in references:
        earned = rewards(reference, record, reference)
        assert earned["precision"] == earned["detail"] == earned["labels"] == 1, (earned, reference)
        assert earned["recall"] > 0.9 and earned["form"] >= 2 / 3 and earned["leads"] > 0.9


def test_what_is_said_of_the_recording_never_pays_and_costs_where_it_is_untrue(references):
    for record, reference in references:
        before = rewards(reference, record, reference)
        praised = rewards(
            f"{reference} Good quality in V1, V2, V3, V4, V5 and V6. The recording lasts 10 s.", record, reference
        )
        assert all(praised[name] <= before[name] for name in ("precision", "recall", "detail", "leads", "labels"))
        assert rewards(f"{reference} No signal in V1.", record, reference)["precision"] < before["precision"]


def test_leaving_out_never_pays(references):
    for number, (record, reference) in enumerate(references):
        kept = sentences(reference)
        order = random.Random(number).sample(range(len(kept)), len(kept))
        before = rewards(reference, record, reference)
        for cut in (1, len(kept) // 2, len(kept) - 1):
            shorter = " ".join(kept[i] for i in sorted(order[cut:]))
            after = rewards(shorter, record, reference)
            for name in COMPLETENESS:
                assert after[name] <= before[name] + 1e-9, (name, shorter)
            if cut > 1:  # a single sentence may repeat another
                assert sum(after[name] for name in COMPLETENESS) < sum(before[name] for name in COMPLETENESS)


def test_nothing_said_earns_nothing_of_completeness(references):
    for record, reference in references:
        for empty in ("", "An ECG.", "no " * 50, "It is what it is."):
            earned = rewards(empty, record, reference)
            assert earned["precision"] == earned["recall"] == earned["detail"] == 0, empty


def test_saying_it_twice_does_not_pay(references):
    for record, reference in references:
        once, twice = rewards(reference, record, reference), rewards(f"{reference} {reference}", record, reference)
        assert twice["detail"] == once["detail"] and twice["form"] < once["form"]
    record, reference = references[-1]
    repeated = "PR interval 160 ms. PR interval 161 ms. PR interval 159 ms. PR interval 162 ms."
    assert (
        rewards(repeated, record, reference)["detail"] == rewards("PR interval 160 ms.", record, reference)["detail"]
    )


def test_false_leads_values_and_diagnoses_cost(references):
    record, reference = references[0]
    right = rewards(reference, record, reference)
    for wrong, name in (
        ("ST elevation in V1, V2, V3 and V4.", "leads"),
        ("The heart rate is 190 bpm.", "precision"),
        ("Left bundle branch block.", "labels"),
    ):
        assert rewards(f"{reference} {wrong}", record, reference)[name] < right[name], wrong


def test_what_cannot_be_judged_has_no_reward(references):
    record, reference = references[0]
    blind = rewards(reference, None, reference)
    assert blind["precision"] is blind["recall"] is blind["detail"] is blind["leads"] is None and blind["labels"] == 1
    alone = rewards(reference, record, None)
    assert alone["detail"] is alone["labels"] is None and alone["precision"] == 1 and alone["form"] >= 2 / 3


def test_chats_are_read_as_texts(references):
    record, reference = references[0]
    as_chat = [[{"role": "assistant", "content": reference}]]
    for name, reward in GROUNDING_REWARDS.items():
        columns = {"record": [record], "reference": [reference]}
        assert reward(as_chat, **columns) == reward([reference], **columns), name
