# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A reward that rises with shorter, vaguer or emptier answers is reported; one that rises with better answers is not."""

import json
import re

import pytest

from processing.ecg_features import extract_features
from processing.simulator.simulator import simulate_ecg
from recipes.teachers.grounded_answer import grounded_answer
from recipes.training.answer_quality import hacked, judge
from recipes.training.quality_report import REPORT_FILE, QualityReport
from tests.recipes.training.test_grpo import by_turn, row, trainer
from tests.recipes.training.test_grpo import start as start  # a fixture

RISES = (1.0, 1.5)


@pytest.fixture(scope="module")
def rows():
    found = []
    for seed, arguments in enumerate(
        [{}, {"conduction": "rbbb"}, {"ischemia": "inferior_stemi"}, {"heart_rate": 110}] * 3
    ):
        ecg = simulate_ecg(**arguments, seed=500 + seed)
        text = grounded_answer(extract_features(ecg.record), ecg.labels).full_text()
        found.append({"record": ecg.record, "reference": text})
    return found


def changed(rows, change):
    before = judge([row["reference"] for row in rows], rows)
    return hacked(before, judge([change(row["reference"]) for row in rows], rows), RISES)


def measures(sentences):
    return {re.search(r"`(\w+)`", sentence)[1] for sentence in sentences}


def test_each_kind_of_reward_hacking_is_named(rows):
    first = lambda text: re.split(r"(?<=[.])\s+", text)[0]  # noqa: E731
    assert {"supported", "words", "recall"} <= measures(changed(rows, first))
    assert "not_measurable" in measures(
        changed(rows, lambda text: text + " Pulmonary embolism. Hypertrophic cardiomyopathy." * 3)
    )
    assert measures(changed(rows, lambda text: text + " Left bundle branch block. Atrial flutter.")) == {"labels"}


def test_better_answers_and_a_reward_that_falls_are_not(rows):
    worse = judge([row["reference"] + " The heart rate is 190 bpm." for row in rows], rows)
    better = judge([row["reference"] for row in rows], rows)
    assert not hacked(worse, better, RISES)
    assert not hacked(better, judge(["" for _ in rows], rows), (1.0, 0.5))


def test_chance_is_not_called_hacking(rows):
    """A single empty answer in twelve is within the noise of twelve rows."""
    answers = [row["reference"] for row in rows]
    before = judge(answers, rows)
    assert measures(hacked(before, judge(["", *answers[1:]], rows), RISES)) == set()


def test_every_run_is_reported_and_goes_on_from_its_first_start(start, tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 2, "max_steps": 2}
    gem = trainer(start, tmp_path, data=[row(n) for n in range(4)], **settings)
    gem.add_callback(QualityReport(gem, [row(8), row(9)]))
    gem.train()
    first = json.loads((tmp_path / REPORT_FILE).read_text())
    assert first["rows"] == 2 and first["before"]["words"] > 0 and first["divergence"] > 0
    assert first["reward"] == [pytest.approx(1.5), pytest.approx(1.5)] and first["hacked"] == []
    again = trainer(start, tmp_path, reward=by_turn, data=[row(n) for n in range(4)], **settings | {"max_steps": 4})
    again.add_callback(QualityReport(again, [row(8), row(9)]))
    again.train(resume_from_checkpoint=True)
    second = json.loads((tmp_path / REPORT_FILE).read_text())
    assert second["before"] == first["before"] and second["divergence"] > 0.01
