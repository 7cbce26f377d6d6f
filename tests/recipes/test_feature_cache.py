"""Kept tower states train the same model as the towers themselves."""

import numpy as np
import pytest
import torch

from processing.errors_gem import GemError
from recipes.feature_cache import CachedCollator, TowerStates, cached_towers, run_towers
from recipes.training_gem import GemDataCollator
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
    return TowerStates(IDS, *(states[name].numpy()[:, None] for name in ("ecg", "image")))


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


def test_saved_states_are_read_back_and_half_written_ones_refused(tmp_path):
    states = TowerStates(IDS, np.ones((2, 1, 3, 4), np.float16), np.zeros((2, 1, 5, 4), np.float16))
    states.save(tmp_path)
    loaded = TowerStates.load(tmp_path)
    assert loaded.rows == {"first": 0, "second": 1} and np.array_equal(loaded.ecg, states.ecg)
    (tmp_path / "ids.json").unlink()
    with pytest.raises(GemError, match="complete"):
        TowerStates.load(tmp_path)
