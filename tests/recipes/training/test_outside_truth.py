# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Answers are compared with readers' and devices' statements, and the report of a run gives the agreement."""

import json
import math
from pathlib import Path

import pytest

from processing.ecg_readers import load_ecg
from processing.errors_gem import TrainingError
from recipes.training.outside_truth import OutsideTruth, agreement, read_outside_truth
from recipes.training.quality_report import REPORT_FILE, QualityReport
from tests.recipes.training.test_grpo import row, trainer
from tests.recipes.training.test_grpo import start as start  # a fixture

SAMPLES = Path(__file__).resolve().parents[3] / "processing" / "samples"


@pytest.fixture(scope="module")
def truth():
    numbers = {"heart_rate": 72.0, "pr_interval": 160.0, "qrs_axis": -175.0}
    return OutsideTruth(load_ecg(SAMPLES / "normal.hea"), numbers, "sinus bradycardia")


@pytest.mark.parametrize(
    "text, share",
    [
        ("The heart rate is 75 bpm.", 1.0),
        ("The heart rate is 90 bpm. The PR interval is 150 ms.", 0.5),
        ("Sinus rhythm.", 1.0),
        ("Atrial fibrillation.", 0.0),
        ("No atrial fibrillation.", 1.0),
        ("The QRS axis is 178 degrees.", 1.0),
        ("The QT interval is 400 ms.", math.nan),  # the truth does not know it
        ("The PR interval is below 200 ms.", math.nan),  # no value
        ("", math.nan),
    ],
)
def test_what_is_stated_is_held_against_the_truth(truth, text, share):
    assert agreement([text], [truth]) == [pytest.approx(share, nan_ok=True)]


def test_a_table_is_read_with_its_gaps(tmp_path):
    table = tmp_path / "truth.csv"
    table.write_text(f"ecg,heart_rate,qt_interval,rhythm\n{SAMPLES / 'normal.hea'},71,,Sinus rhythm\n")
    (found,) = read_outside_truth(table)
    assert found.numbers == {"heart_rate": 71.0} and found.rhythm == "sinus rhythm" and len(found.record.leads) == 12


@pytest.mark.parametrize(
    "content, message",
    [
        ("ecg,remark\nx.hea,none\n", "expected `ecg` and some of"),
        ("file,heart_rate\nx.hea,70\n", "expected `ecg`"),
        ("ecg,heart_rate\nabsent.hea,70\n", "absent.hea"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, content, message):
    (tmp_path / "truth.csv").write_text(content)
    with pytest.raises(TrainingError, match=message):
        read_outside_truth(tmp_path / "truth.csv")
    with pytest.raises(TrainingError, match="no such table"):
        read_outside_truth(tmp_path / "other.csv")


def test_the_report_of_a_run_holds_the_agreement(start, tmp_path, truth, monkeypatch):
    gem = trainer(start, tmp_path, data=[row(n) for n in range(4)], max_steps=1)
    report = QualityReport(gem, [row(8)], [truth, truth])
    monkeypatch.setattr(report, "_texts", lambda answers: ["The heart rate is 72 bpm."] * len(answers))
    gem.add_callback(report)
    gem.train()
    written = json.loads((tmp_path / REPORT_FILE).read_text())
    assert written["before"]["outside"] == 1.0 and written["after"]["outside"] == 1.0
