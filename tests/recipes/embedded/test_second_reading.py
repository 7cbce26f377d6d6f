# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What other networks would state of a record, beside what PTB-XL states."""

import json

import numpy as np
import pytest
import torch
from datasets import load_from_disk
from transformers import AutoProcessor, SequenceBiasLogitsProcessor

import modeling_gem
from processing.simulator.simulator import simulate_ecg
from recipes.embedded import tiny
from recipes.embedded.second_opinions import COLUMNS, SecondReader, best_limits
from recipes.sources.ptbxl import PtbxlItem
from recipes.sources.statements import SUPERCLASSES
from recipes.teachers.grounded_answer import CLASS_NAMES, classes_text

LIMITS = dict.fromkeys(SUPERCLASSES, 0.3)


@pytest.fixture(scope="module")
def item():
    record = simulate_ecg(heart_rate=70, seed=1).record.changed("named", record_id="ptb-xl/00007#2")
    return PtbxlItem(record, {"NORM": 100.0, "AFIB": 0.0, "PVC": 100.0, "LOWT": 100.0}, fold=1)


def likelihoods(**known: float) -> list[float]:
    return [known.get(name, 0.001) for name in COLUMNS]


def test_limits_are_lower_for_rare_findings():
    rng = np.random.default_rng(0)
    prevalence = np.array([0.5, 0.2, 0.2, 0.2, 0.05])
    truth = rng.random((4000, 5)) < prevalence
    evidence = truth * 2.0 + rng.normal(size=truth.shape)
    odds = prevalence / (1 - prevalence) * np.exp(2 * evidence - 2)
    limits = best_limits(odds / (1 + odds), truth)
    assert list(limits) == list(SUPERCLASSES)
    assert limits["HYP"] < limits["MI"] < limits["NORM"] and limits["NORM"] == pytest.approx(0.5, abs=0.12)


def test_statements_beyond_their_limit_take_the_place_of_the_diagnoses(item):
    row = likelihoods(NORM=0.29, MI=0.31, IMI=0.2, ILMI=0.1, ASMI=0.09, CD=0.3, LAFB=0.01)
    second = SecondReader({"ptb-xl/00007": row}, LIMITS)(item)
    assert second.codes == {"IMI": 100, "ILMI": 100, "LAFB": 100, "AFIB": 0, "PVC": 100, "LOWT": 100}
    assert second.superclasses == {"MI", "CD"} and second.rhythm == item.rhythm == "atrial fibrillation"
    assert item.codes["NORM"] == 100 and second.record is item.record


def test_a_record_that_was_not_read_has_no_second_reading(item):
    assert SecondReader({"ptb-xl/00008": likelihoods(NORM=1.0)}, LIMITS)(item) is None


def test_instructions_show_both_readings_with_the_same_measurements(item, tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "training_items", lambda folder, seed: [item])
    monkeypatch.setattr(tiny, "read_ptbxl", lambda folder, folds: [item])
    soft = tmp_path / "soft.json"
    soft.write_text(json.dumps({"limits": LIMITS, "likelihoods": {"ptb-xl/00007": likelihoods(HYP=0.9, LVH=0.8)}}))
    folders = tmp_path / "both", tmp_path / "labels"
    tiny.build_texts(tmp_path, folders[0], seed=0, soft=soft, labels=folders[1])

    def answers(folder, split):
        texts = [messages[1]["content"] for messages in load_from_disk(folder)[split]["messages"]]
        return [text for text in texts if "Impression: " in text and "Rhythm: " in text]

    own, other = answers(folders[0], "train")
    for folder, split in ((folders[1], "train"), (folders[0], "validation"), (folders[1], "validation")):
        assert answers(folder, split) == [own]
    assert "Normal: yes" in own and "Normal: no" in other and "Hypertrophy: yes" in other
    assert own.partition(" Normal:")[0] == other.partition(" Normal:")[0]
    assert "left ventricular hypertrophy" in other and "normal ECG" not in other


@pytest.mark.parametrize("code", ["MI", "STTC", "CD", "HYP"])
@pytest.mark.parametrize("begun", ["", "Rhythm: sinus rhythm, 72 bpm. Voltage: Sokolow-Lyon 2.1 mV, low voltage. "])
def test_a_finding_is_written_from_its_limit_on(code, begun):
    tokenizer = AutoProcessor.from_pretrained(modeling_gem.default_checkpoint()).tokenizer
    limits = dict.fromkeys(SUPERCLASSES, 0.5) | {code: 0.2}
    bias = SequenceBiasLogitsProcessor(tiny.yes_bias(tokenizer, limits))
    yes, no = (tokenizer.encode(word, add_special_tokens=False)[0] for word in (" yes", " no"))

    def written(likelihood: float) -> str:
        scores = torch.full((1, len(tokenizer)), -10.0)
        scores[0, yes], scores[0, no] = np.log(likelihood), np.log(1 - likelihood)
        lines = begun + classes_text({"NORM"}).partition(f"{CLASS_NAMES[code]}:")[0] + f"{CLASS_NAMES[code]}:"
        ids = torch.tensor([tokenizer.encode(lines, add_special_tokens=False)])
        return tokenizer.decode([int(bias(ids, scores).argmax())])

    assert written(0.21) == " yes" and written(0.19) == " no"


def test_the_embedded_model_carries_its_limits():
    source = modeling_gem.default_checkpoint()
    tokenizer = AutoProcessor.from_pretrained(source).tokenizer
    config = json.loads((source / "generation_config.json").read_text())
    named = {tokenizer.decode(ids): bias for ids, bias in config["sequence_bias"]}
    assert list(named) == [f". {name}: yes" for code, name in CLASS_NAMES.items() if code != "NORM"]
    assert all(0.3 < bias < 2 for bias in named.values())
