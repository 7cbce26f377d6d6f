# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""BLEU-4 and ROUGE-L equal the original's numbers; the claims of two answers are compared."""

import json
import math

import pytest

from processing.ecg_features import extract_features
from processing.errors_gem import EcgFormatError
from processing.grounding.cut_off import CutOff
from processing.simulator.simulator import simulate_ecg
from recipes.evaluation.consistency import (
    bleu4,
    consistency,
    consistency_of,
    evaluate_consistency,
    main,
    read_answer_pairs,
    rouge_l,
)
from recipes.evaluation.items import EvalItem
from tests.helpers.shared_data import shared_path


def test_words_equal_the_original():
    pairs = json.loads(shared_path("fixtures/evaluation/modality_consistency.json").read_text())["pairs"]
    for pair in pairs:
        assert bleu4(pair["ts_only"], pair["image_only"]) == pytest.approx(pair["bleu4"], abs=1e-12)
        assert rouge_l(pair["ts_only"], pair["image_only"]) == pytest.approx(pair["rougeL_f"], abs=1e-12)


def test_claims_agree_or_not():
    same = consistency_of(
        "Sinus rhythm, PR 160 ms, ST elevation in V2.", "ST elevation in V2 and V3. PR 158 ms; sinus rhythm."
    )
    assert (same.shared, same.claim_agreement, same.claim_overlap) == (3, 1, 1)
    other = consistency_of("No ST elevation in V2. PR 160 ms.", "ST elevation in V2. PR 240 ms.")
    assert (other.shared, other.claim_agreement) == (2, 0)
    assert bleu4("No ST elevation in V2. PR 160 ms.", "ST elevation in V2. PR 240 ms.") > 0.3  # words hide it
    assert math.isnan(consistency_of("ST elevation in V2.", "ST elevation in V5.").claim_agreement)


def test_an_unfinished_number_is_no_claim(tmp_path):
    both = consistency_of(CutOff("Sinus rhythm. The QRS axis is 7"), "Sinus rhythm. The QRS axis is 70 degrees.")
    assert (both.shared, both.claim_agreement) == (1, 1)
    rows = {"signal": {"text": "Sinus rhythm. The QRS axis is 7", "cut_off": True}, "image": {"text": "Sinus rhythm."}}
    for seen, row in rows.items():
        (tmp_path / seen).write_text(json.dumps({"id": "a", **row}))
    items = [EvalItem("a", "What is it?")]
    *_, problems, notes = evaluate_consistency(items, tmp_path / "signal", tmp_path / "image")
    said = "signal: Of 1 answers, 1 cut off before its end; the unfinished last word is not checked."
    assert notes == [said] and not problems


def test_agreement_on_what_is_right():
    features = extract_features(simulate_ecg(heart_rate=74, seed=11).record)
    score = consistency_of("Heart rate 74. Left axis deviation.", "Heart rate 75. Left axis deviation.", features)
    assert (score.claim_agreement, score.both_supported) == (1, 0.5)


def test_means_and_empty_answers():
    mean, scores = consistency(["PR 160 ms", ""], ["PR 160 ms", "PR 160 ms"])
    assert [score.rouge_l for score in scores] == [1, 0] and mean.rouge_l == 0.5
    assert mean.claim_agreement == 1 and scores[1].to_dict()["claim_agreement"] is None


@pytest.mark.parametrize(("signal", "image"), [(["a"], []), ([], []), ([None], ["a"])])
def test_bad_answers_are_named(signal, image):
    with pytest.raises(EcgFormatError, match="consistency:"):
        consistency(signal, image)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{broken", "line 2"),
        ('{"id": "b", "signal": "x"}', "image"),
        ('{"id": "b", "signal": 1, "image": "x"}', "must be texts"),
        ('{"id": "a", "signal": "x", "image": "y"}', "twice"),
        ("[1]", "line 2"),
    ],
)
def test_bad_files_are_named(line, message, tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"id": "a", "signal": "PR 160 ms", "image": "PR 158 ms"}\n' + line)
    with pytest.raises(EcgFormatError, match=message):
        read_answer_pairs(path)


def test_file_from_the_command_line(tmp_path, capsys):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"id": "a", "signal": "PR 160 ms", "image": "PR 158 ms"}\n')
    main(path)
    printed = json.loads(capsys.readouterr().out)
    assert printed["records"]["a"]["claim_agreement"] == printed["mean"]["claim_agreement"] == 1
