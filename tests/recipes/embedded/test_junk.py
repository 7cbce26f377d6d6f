# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What is not an ECG: seeded, of every kind, and refused by the gates that precede a model."""

import numpy as np
import pytest

from processing.ecg_check import check_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import GemError
from processing.simulator.simulator import simulate_ecg
from recipes.embedded.junk import OF_PICTURES, REASONS, declines, junk, kinds_in_turn


@pytest.fixture(scope="module")
def examples():
    return list(junk(2 * len(REASONS), 0, lambda number: simulate_ecg(seed=number % 7).record.signal))


def test_one_seed_one_junk(examples):
    again = junk(len(REASONS), 0, lambda number: simulate_ecg(seed=number % 7).record.signal)
    other = junk(len(REASONS), 1, lambda number: simulate_ecg(seed=number % 7).record.signal)
    for one, same, different in zip(examples, again, other, strict=False):
        assert one.kind == same.kind and np.array_equal(one.signal, same.signal)
        assert np.array_equal(one.picture, same.picture) and one.name != different.name
    assert {one.kind for one in examples} == set(REASONS)


def test_every_kind_is_declined_with_its_reason(examples):
    assert all(declines(one.answer) and REASONS[one.kind] in one.answer for one in examples)
    assert not declines("Sinus rhythm, regular, at 70 bpm.")


def test_no_junk_signal_passes_as_an_ecg(examples):
    for one in examples:
        assert one.signal.shape == (12, 5000) and one.picture.shape == (336, 336, 3)
        if one.kind in ("flat", "noise"):
            with pytest.raises(GemError):
                check_ecg(EcgRecord(one.signal, STANDARD_LEADS, 500.0))


def test_a_second_is_a_second_of_an_ecg(examples):
    for one in examples:
        if one.kind == "second":
            assert np.ptp(one.signal[:, :500], axis=1).max() > 0.3 and not one.signal[:, 500:].any()


def test_pictures_come_as_often_as_is_said():
    assert set(kinds_in_turn(1)) == set(REASONS) and len(kinds_in_turn(1)) == len(REASONS)
    kinds = [one.kind for one in junk(11, 0, lambda number: np.zeros((12, 5000), np.float32), kinds_in_turn(4))]
    assert sum(kind in OF_PICTURES for kind in kinds) == 8 and len(set(kinds)) == len(REASONS)
