# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The card of the embedded model says what was measured and what was run."""

import json
import shutil

import modeling_gem
from recipes.embedded import card
from recipes.embedded.answer_scores import score

ANSWERS = [
    f"Sinus rhythm, at {rate} bpm. PR 160 ms. A normal ECG is likely, infarction is unlikely. Impression: normal ECG."
    for rate in (70, 80)
]


def test_both_readings_and_the_stages_stand_on_the_card(tmp_path):
    shutil.copytree(modeling_gem.default_checkpoint(), tmp_path / "model")
    scores = []
    for fold in (8, 9):
        report = {
            "fold": fold,
            "records": 2,
            "scores": {"both": score(ANSWERS, ANSWERS[::-1])},
            "questions": {"rate": {"right": 0.75, "count": 2}, "block": {"right": float("nan"), "count": 0}},
            "unseen": {"rate": {"right": 0.5, "understood": 0.6}, "block": {"right": 0.5, "understood": 0.9}},
            "junk": {"flat": 1.0, "ECGs": 0.0},
        }
        scores.append(tmp_path / f"fold{fold}.json")
        scores[-1].write_text(json.dumps(report))
    (tmp_path / "stages" / "sft-0a1b").mkdir(parents=True)
    stage = {"command": ["recipes.embedded.sft_cached", "--config", "x"], "minutes": 36.0}
    (tmp_path / "stages" / "sft-0a1b" / "stage.json").write_text(json.dumps(stage))

    card.main(tmp_path / "model", scores, tmp_path / "stages")
    text = (tmp_path / "model" / "README.md").read_text()
    for fold in (8, 9):
        assert f"fold {fold}, 2 records" in text
    assert text.count("| question: rate | 0.75 |") == 2 and "| question: block |  |" in text
    assert (
        text.count("| understood: unseen wordings | 0.75 |") == 2
        and "not taught, 25% get the answer to another" in text
    )
    assert "| declined: flat | 1 |" in text and "sft: `recipes.embedded.sft_cached`, 36 min" in text
