# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""From which likelihood on a finding is called likely."""

import numpy as np
import pytest
import torch
from transformers import SequenceBiasLogitsProcessor

from modeling_gem import GemForConditionalGeneration, default_checkpoint
from processing.ecg_features import extract_features
from processing.simulator.simulator import simulate_ecg
from recipes.embedded.limits import best_limits, likely_bias, take_mean
from recipes.embedded.vocabulary import train_tokenizer
from recipes.sources.statements import SUPERCLASSES
from recipes.teachers.grounded_answer import CLASS_NAMES, VERDICTS, classes_text, grounded_answer


@pytest.fixture(scope="module")
def tokenizer():
    features = extract_features(simulate_ecg(heart_rate=70, seed=1).record)
    codes: tuple[dict[str, float], ...] = ({"NORM": 100.0}, {"IMI": 100.0, "LVH": 100.0, "NDT": 100.0, "LAFB": 100.0})
    return train_tokenizer([grounded_answer(features, code).full_text() for code in codes] * 30, 1024)


def test_of_several_models_the_mean_of_the_weights_is_taken(tmp_path):
    network = GemForConditionalGeneration.from_pretrained(default_checkpoint(), dtype="float32")
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    network.save_pretrained(tmp_path)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(2)
    take_mean(network, [tmp_path])
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(weight, 1.5 * before[name])


def test_limits_are_lower_for_rare_findings():
    rng = np.random.default_rng(0)
    prevalence = np.array([0.5, 0.2, 0.2, 0.2, 0.05])
    truth = rng.random((4000, 5)) < prevalence
    evidence = truth * 2.0 + rng.normal(size=truth.shape)
    odds = prevalence / (1 - prevalence) * np.exp(2 * evidence - 2)
    limits = best_limits((odds / (1 + odds))[None], truth)
    assert list(limits) == list(SUPERCLASSES)
    assert limits["HYP"] < limits["MI"] < limits["NORM"] and limits["NORM"] == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("code", ["MI", "STTC", "CD", "HYP"])
@pytest.mark.parametrize("begun", ["", "Sinus rhythm, at 72 bpm. "])
def test_a_finding_is_called_likely_from_its_limit_on(tokenizer, code, begun):
    limits = dict.fromkeys(SUPERCLASSES, 0.5) | {code: 0.2}
    bias = SequenceBiasLogitsProcessor(likely_bias(tokenizer, limits))
    unlikely, likely = (tokenizer.encode(word, add_special_tokens=False) for word in VERDICTS)
    assert len(likely) == len(unlikely) == 1

    def written(likelihood: float) -> str:
        scores = torch.full((1, len(tokenizer)), -10.0)
        scores[0, likely[0]], scores[0, unlikely[0]] = np.log(likelihood), np.log(1 - likelihood)
        name = f"{CLASS_NAMES[code]} is"
        words = begun + classes_text({"NORM"}).partition(name)[0] + name
        ids = torch.tensor([tokenizer.encode(words, add_special_tokens=False)])
        return tokenizer.decode([int(bias(ids, scores).argmax())])

    assert written(0.21) == " likely" and written(0.19) == " unlikely"
