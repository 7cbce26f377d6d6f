# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Marks and beats against LUDB's cardiologists, with some margin around the measured figures (see benchmarks)."""

import pytest

from processing.ecg_delineation import delineate
from tests.helpers.delineation_scoring import DelineationScore, marks_of, read_ludb
from tests.helpers.shared_data import shared_path


@pytest.fixture(scope="module")
def score():
    records = read_ludb(shared_path("data/ludb/data"), every=4)
    assert len(records) == 25
    score = DelineationScore()
    for record in records:
        score.add(record, marks_of(delineate(record.signal, record.sampling_rate)))
    return score


@pytest.mark.parametrize("wave, least", [("P", 0.975), ("QRS", 0.997), ("T", 0.99)])
def test_waves_are_found(score, wave, least):
    assert score.f1(wave) > least


@pytest.mark.parametrize(
    "mark, most",
    [
        ("P onset", 17),
        ("P offset", 17),
        ("QRS onset", 11),
        ("QRS offset", 12.5),
        ("T offset", 22),
        ("global P onset", 9),
        ("global QRS onset", 8),
        ("global QRS offset", 10),
        ("global T offset", 12),
        ("global PR", 10),
        ("global QRS", 12),
        ("global QT", 14),
    ],
)
def test_marks_are_where_cardiologists_put_them(score, mark, most):
    mean, spread = score.summary()[mark]
    assert spread < most and abs(mean) < 6
