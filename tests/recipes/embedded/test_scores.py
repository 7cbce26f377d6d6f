# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The scores' views of a model: blind, with another record's signal, and in front of what is not an ECG."""

import json

import numpy as np
import pytest
import torch
from transformers import pipeline

import modeling_gem
from modeling_gem import GEM_TASK
from processing.ecg_features import extract_features
from processing.grounding.cut_off import CutOff
from processing.simulator.simulator import simulate_ecg
from recipes.embedded import question_scores, scores
from recipes.embedded.answer_scores import numbers
from recipes.embedded.junk import REASONS
from recipes.embedded.question_scores import junk_scores, says_the_same, unseen_scores
from recipes.embedded.scores import _kept, blinded, claim_scores, cut_off_rows, interpretations, shown_as
from recipes.files import write_json
from recipes.sources.ptbxl import PtbxlItem
from recipes.teachers.questions import Known

RECORDS = [simulate_ecg(heart_rate=rate, seed=rate).record for rate in (55, 110)]


@pytest.fixture(scope="module")
def interpret():
    return pipeline(GEM_TASK, model=str(modeling_gem.default_checkpoint()), dtype="float32")


def test_a_blinded_model_says_the_same_of_every_signal(interpret):
    seen = interpretations(interpret, RECORDS, "signal", 2, max_new_tokens=16)
    with blinded(interpret):
        blind = interpretations(interpret, RECORDS, "signal", 2, max_new_tokens=16)
    assert seen[0] != seen[1] and blind[0] == blind[1]
    assert interpretations(interpret, RECORDS, "signal", 2, max_new_tokens=16) == seen


def test_views_show_what_they_are_called(interpret):
    assert shown_as("both", RECORDS, interpret) == (RECORDS, "both")
    assert shown_as("another", RECORDS, interpret) == (RECORDS[::-1], "signal")
    shown, modality = shown_as("photographed", RECORDS[:1], interpret)
    assert modality == "image" and shown[0]["image"].size == (1120, 1120)
    interpret.processor.build_conversation(shown[0], modality=modality)  # passes as a page


def test_junk_reaches_the_model_past_every_gate(interpret, monkeypatch):
    seen: dict[str, list[torch.Tensor]] = {"ecg_values": [], "pixel_values": []}

    def generate(input_ids, attention_mask, do_sample, **media):
        for name, values in media.items():
            seen[name].append(values)
        refusal = interpret.processor.tokenizer("This cannot be read as an ECG: no.", return_tensors="pt").input_ids
        return torch.cat([input_ids, refusal.expand(len(input_ids), -1)], dim=1)

    monkeypatch.setattr(interpret.model, "generate", generate)
    items = [PtbxlItem(record, {}, 8) for record in (RECORDS[0], RECORDS[1].resample(100))]
    scores = junk_scores(interpret, items, ["Sinus rhythm.", "This cannot be read as an ECG: no."], 10, batch_size=4)
    assert scores == {**dict.fromkeys(REASONS, 1.0), "all junk": 1.0, "ECGs": 0.5}
    assert [values.shape for values in seen["ecg_values"]] == [(2, 12, 5000)] * 3
    assert [values.shape for values in seen["pixel_values"]] == [(2, 3, 336, 336)] * 2
    assert np.isfinite(torch.cat(seen["ecg_values"]).numpy()).all()


def test_answers_that_differ_in_their_numbers_say_the_same():
    assert says_the_same("The heart rate is 72 bpm.", "The heart rate is 71 bpm.")
    assert says_the_same("The QRS axis is -5 degrees, normal.", "The QRS axis is 40 degrees, normal.")
    assert not says_the_same("QT 380 ms.", "QTc 380 ms.") and not says_the_same("PR 210 ms (prolonged).", "PR 200 ms.")
    long = "Sinus rhythm, regular, at 72 bpm. PR 160 ms, QRS 90 ms, QT 380 ms, QTc 410 ms. The QRS axis is 40 degrees, normal. P waves"
    assert says_the_same(f"{long} precede the QRS complexes.", f"{long} come before QRS complexes.")
    assert not says_the_same(f"{long} precede the QRS complexes.", "Impression: normal ECG.")


def test_a_wording_is_understood_if_it_is_answered_as_the_usual_one(monkeypatch, tmp_path):
    file = tmp_path / "unseen.json"
    file.write_text(
        json.dumps({"PR": ["PR, dear?", "Time from P to QRS?"], "off topic": ["Who is it?", "PR of a shop?"]})
    )
    monkeypatch.setattr(question_scores, "UNSEEN", file)

    def answers_to(interpret, items, questions, batch_size, name):
        return ["PR 160 ms." if "PR" in one else "I can only answer questions about this ECG." for one in questions]

    monkeypatch.setattr(question_scores, "answers_to", answers_to)
    known = [Known(extract_features(record), {}) for record in RECORDS]
    scores = unseen_scores(None, [PtbxlItem(record, {}, 8) for record in RECORDS], known, batch_size=2)
    assert scores["PR"]["understood"] == scores["off topic"]["understood"] == scores["off topic"]["right"] == 0.5


def test_a_stopped_run_continues_only_with_the_same_model_and_records(tmp_path):
    part, about = tmp_path / "scores.part.json", {"weights": "a", "records": 2}
    assert _kept(part, about) == {}
    write_json(part, about | {"scores": {"both": 1}})
    assert _kept(part, about)["scores"] == {"both": 1}
    assert _kept(part, about | {"weights": "b"}) == {}


def test_answers_that_were_cut_off_are_known_and_their_last_number_is_not_scored(interpret):
    short = interpretations(interpret, RECORDS, "signal", 2, max_new_tokens=16)
    whole = interpretations(interpret, RECORDS, "signal", 2)
    assert (cut_off_rows(short), cut_off_rows(whole), cut_off_rows([whole[0], short[0]])) == ([0, 1], [], [1])
    told = "Sinus rhythm at 70 bpm. PR 16 ms"
    assert numbers(told)["PR (ms)"] == 16 and np.isnan(numbers(CutOff(told))["PR (ms)"])
    assert numbers(CutOff(told))["heart rate (bpm)"] == 70
    wrong, item = "Sinus rhythm, 55 bpm. PR 16 ms", PtbxlItem(RECORDS[0], {}, 8)
    judged = [claim_scores([text], [item], ["Sinus rhythm."]) for text in (wrong, CutOff(wrong))]
    assert judged[0]["contradicted claims"]["score"] > 0 == judged[1]["contradicted claims"]["score"]


def test_a_report_of_ptbxl_names_the_answers_that_were_cut_off(tmp_path, monkeypatch, capsys):
    items = [PtbxlItem(record, {}, 8) for record in RECORDS]
    monkeypatch.setattr(scores, "read_ptbxl", lambda folder, folds: iter(items))
    texts = [CutOff("Sinus rhythm, the QRS axis is 7"), "Sinus rhythm."]
    monkeypatch.setattr(scores, "view_scores", lambda *_: (texts, {"rhythm accuracy": {"score": 1.0, "blind": 0.5}}))
    for name in ("question_scores", "unseen_scores", "junk_scores"):
        monkeypatch.setattr(scores, name, lambda *_: {})
    scores.main([tmp_path], tmp_path / "scores.json", views=["both"])
    assert json.loads((tmp_path / "scores.json").read_text())["cut_off"] == {"both": [0]}
    assert "both: 1 answers cut off before its end" in capsys.readouterr().out
