# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Kept tower states train the same model as the towers themselves."""

import numpy as np
import pytest
import torch

from processing.errors_gem import GemError, TrainingError
from recipes.embedded.states import CachedCollator, TowerStates, cached_towers, run_towers, whiten_projectors
from recipes.training.collator import GemDataCollator
from tests.helpers.tiny_gem import picture, signal, tiny_model, tiny_processor

IDS = ["first", "second"]
ANSWERS = ("Sinus rhythm.", "A longer answer. QRS duration.")


def messages(answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": "Interpret this ECG."}, {"role": "assistant", "content": answer}]


def direct_batch(mix: dict[str, float]) -> dict[str, torch.Tensor]:
    examples = [
        {"ecg": signal(i), "sampling_rate": 500.0, "image": picture(i), "messages": messages(answer)}
        for i, answer in enumerate(ANSWERS)
    ]
    return GemDataCollator(tiny_processor(), assistant_only_loss=True, modality_mix=mix, image_only=True)(examples)


def kept_states(model: torch.nn.Module) -> TowerStates:
    states = next(run_towers(model, [direct_batch({"both": 1.0})]))
    return TowerStates(IDS, *(states[name].numpy() for name in ("ecg", "image")))


@pytest.mark.parametrize("kept", ["both", "signal", "image"])
def test_loss_and_gradients_equal_those_with_towers(kept):
    model = tiny_model().float().eval()
    states = kept_states(model)
    direct = direct_batch({kept: 1.0})
    collate = CachedCollator(tiny_processor(), states, {kept: 1.0})
    cached = collate([{"id": name, "messages": messages(a)} for name, a in zip(IDS, ANSWERS, strict=True)])

    answered = [[row[row != -100].tolist() for row in batch["labels"]] for batch in (direct, cached)]
    assert answered[0] == answered[1]
    assert ("ecg_values" in cached, "pixel_values" in cached) == (kept != "image", kept != "signal")

    loss = model(**direct).loss
    loss.backward()
    trained = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None and "tower" not in n}
    model.zero_grad()
    with cached_towers(model):
        cached_loss = model(**cached).loss
        cached_loss.backward()
    torch.testing.assert_close(cached_loss, loss)
    for name, parameter in model.named_parameters():
        if name in trained:
            torch.testing.assert_close(parameter.grad, trained[name], rtol=1e-4, atol=1e-6)


def test_towers_come_back(tmp_path):
    model = tiny_model()
    before = set(model.state_dict())
    with pytest.raises(RuntimeError), cached_towers(model):
        assert set(model.state_dict()) < before
        raise RuntimeError
    assert set(model.state_dict()) == before


def test_saved_states_are_read_back_and_half_written_ones_refused(tmp_path, monkeypatch):
    states = TowerStates(IDS, np.ones((2, 3, 4), np.float16), np.zeros((2, 5, 4), np.float16))
    states.save(tmp_path)
    loaded = TowerStates.load(tmp_path)
    assert loaded.rows == {"first": 0, "second": 1} and np.array_equal(loaded.ecg, states.ecg)
    with pytest.raises(GemError, match="'third'"):
        loaded.row("third")
    monkeypatch.setattr(np, "save", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        states.save(tmp_path)
    with pytest.raises(GemError, match="complete"):
        TowerStates.load(tmp_path)


def test_whitened_projectors_see_both_towers_alike():
    model = tiny_model().float()
    rng = np.random.default_rng(0)
    widths = {"ecg": model.config.ecg_config.hidden_size, "image": model.config.vision_config.hidden_size}
    raw = {
        name: (rng.normal(size=(400, 8, width)) * np.geomspace(1, 20, width) + 3).astype(np.float32)
        for name, width in widths.items()
    }
    whiten_projectors(model, TowerStates([str(i) for i in range(400)], raw["ecg"], raw["image"]))
    shared, covariances = model.model.multi_modal_projector.linear_1, {}
    for name, states in raw.items():
        tokens = torch.from_numpy(states).flatten(0, 1)
        with torch.no_grad():
            seen = shared(model.model.ecg_projector(tokens) if name == "ecg" else tokens)
        assert seen.mean(dim=0).abs().max() < 0.01
        covariances[name] = torch.cov(seen.T)
    # What is left is the mixing alone: not the twentyfold spread of the towers, and the same for both.
    assert covariances["image"].diagonal().max() < 5
    if widths["ecg"] >= widths["image"]:
        torch.testing.assert_close(covariances["ecg"], covariances["image"], rtol=0.01, atol=0.01)


def test_too_few_states_to_whiten_are_refused():
    model = tiny_model().float()
    ecg, image = (
        np.zeros((1, 8, config.hidden_size), np.float32)
        for config in (model.config.ecg_config, model.config.vision_config)
    )
    with pytest.raises(TrainingError, match="8 ecg states of width"):
        whiten_projectors(model, TowerStates(["0"], ecg, image))
