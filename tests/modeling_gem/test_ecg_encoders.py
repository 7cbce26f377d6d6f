# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Any registered model that reads signals can be a GEM's ECG tower: HuBERT-ECG by its adapter, and a user's own class."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors.torch import load_file, save_file
from scipy.signal import decimate, filtfilt, firwin
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    AutoProcessor,
    HubertConfig,
    HubertModel,
    PreTrainedConfig,
)
from transformers.modeling_outputs import BaseModelOutput
from transformers.modeling_utils import PreTrainedModel

from modeling_gem import HubertEcgConfig, HubertEcgModel
from modeling_gem.convert_gem import assemble_gem
from modeling_gem.gem_parts import build_processor
from modeling_gem.hubert_ecg import as_hubert_input
from processing.errors_gem import CheckpointError
from tests.helpers.tiny_gem import PLAIN, chat, signal, tiny_config, tiny_model, tiny_tokenizer
from tests.modeling_gem.test_gem_parts import save_image_tower, save_language_model

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "conv_dim": (16,) * 5,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


class StrideConfig(PreTrainedConfig):
    """Somebody's own encoder: 100 Hz, a token per second."""

    model_type = "stride_ecg"
    num_leads: int = 12
    seq_length: int = 1000
    hidden_size: int = 16
    num_tokens: int = 10
    sampling_rate: int = 100


class StrideModel(PreTrainedModel):
    config: StrideConfig

    def __init__(self, config: StrideConfig):
        super().__init__(config)
        self.patches = nn.Conv1d(12, config.hidden_size, 100, stride=100)
        self.post_init()

    def forward(self, ecg_values: torch.Tensor, return_dict: bool = True) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=self.patches(ecg_values).transpose(1, 2))


AutoConfig.register("stride_ecg", StrideConfig)
AutoModel.register(StrideConfig, StrideModel)
TOWERS = {"hubert": HubertEcgConfig(**SMALL), "own": StrideConfig()}


def authors_preprocessing(ecg: np.ndarray) -> np.ndarray:
    """Of one record, in the steps and with the functions of the published code (biosppy's filter is scipy's `filtfilt`)."""
    filtered = filtfilt(firwin(151, [0.05, 47], pass_zero=False, fs=500), 1, ecg, axis=-1)
    low, high = filtered.min(axis=1, keepdims=True), filtered.max(axis=1, keepdims=True)
    scaled = 2 * (filtered - low) / (high - low + 1e-8) - 1
    return decimate(scaled[:, :2500].reshape(-1), 5)


def published_hubert_ecg(folder: Path) -> dict[str, torch.Tensor]:
    """A folder with the published names: old weight norm, heads of the pretraining; the sizes are small and the weights random."""
    model = HubertEcgModel(HubertEcgConfig(**SMALL))
    weights = {key: torch.randn_like(tensor) for key, tensor in model.state_dict().items()}
    renamed = {
        key.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for key, tensor in weights.items()
    }
    heads = {"final_proj.0.weight": (8, 32), "final_proj.0.bias": (8,), "label_embedding.0.weight": (100, 8)}
    folder.mkdir()
    save_file(renamed | {key: torch.zeros(shape) for key, shape in heads.items()}, folder / "model.safetensors")
    settings = model.config.to_dict() | {"model_type": "hubert_ecg", "vocab_sizes": [100], "ensemble_length": 1}
    settings |= {"architectures": ["HuBERTECG"], "layerdrop": 0.1, "apply_spec_augment": True}
    for ours in ("num_leads", "seq_length"):
        settings.pop(ours)
    (folder / "config.json").write_text(json.dumps(settings))
    return weights


@pytest.mark.parametrize("seed", range(3))
def test_the_adapter_prepares_signals_as_the_authors(seed):
    ecg = signal(seed, 5000)
    ours = as_hubert_input(torch.tensor(ecg)[None])[0].numpy()
    expected = authors_preprocessing(ecg.astype(np.float64))
    assert ours.shape == (6000,)
    # At the two ends of the row of leads scipy starts its recursive filter in another state.
    np.testing.assert_allclose(ours[100:-100], expected[100:-100], atol=2e-5)
    np.testing.assert_allclose(ours, expected, atol=0.05)
    still = as_hubert_input(torch.zeros(1, 12, 5000))
    assert torch.isfinite(still).all()


@pytest.mark.parametrize(
    ("width", "blocks", "heads", "millions"), [(512, 8, 8, 30), (768, 12, 12, 93), (960, 16, 12, 188)]
)
def test_the_published_sizes_have_the_published_shapes(width, blocks, heads, millions):
    """`small`, `base` and `large` as scripts/pretrain.py of the authors builds them."""
    sizes = {
        "hidden_size": width,
        "num_hidden_layers": blocks,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
    }
    convolutions = {"conv_dim": (512,) * 5, "conv_kernel": (10, 3, 3, 2, 2), "conv_stride": (4, 2, 2, 2, 2)}
    with torch.device("meta"):
        ours = HubertEcgModel(HubertEcgConfig(**sizes))
        theirs = HubertModel(HubertConfig(**sizes, **convolutions, mask_time_prob=0.33))
    shapes = [{key: tensor.shape for key, tensor in model.state_dict().items()} for model in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert round(sum(shape.numel() for shape in shapes[0].values()) / 1e6) == millions
    assert ours.config.num_tokens == 93


@pytest.mark.parametrize("tower", TOWERS)
def test_a_gem_with_another_tower_answers_and_is_loaded_again(tower, tmp_path):
    config = tiny_config(ecg_config=TOWERS[tower])
    model, processor = tiny_model(config), build_processor(config, tiny_tokenizer(), PLAIN)
    inputs = processor.apply_chat_template(
        chat(), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    assert (inputs["input_ids"] == config.ecg_token_id).sum() == TOWERS[tower].num_tokens
    assert inputs["ecg_values"].shape == (1, 12, TOWERS[tower].seq_length)
    expected = model(**inputs)
    other = processor.apply_chat_template(
        chat(seed=1), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    assert not torch.allclose(model(**inputs | {"ecg_values": other["ecg_values"]}).logits, expected.logits, atol=1e-3)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    assert type(again.model.ecg_tower) is type(model.model.ecg_tower)
    assert torch.equal(again(**inputs).logits, expected.logits)
    assert AutoProcessor.from_pretrained(tmp_path).num_ecg_tokens == TOWERS[tower].num_tokens
    generated = [m.generate(**inputs, max_new_tokens=5, do_sample=False) for m in (model, again)]
    assert torch.equal(*generated)


def test_a_published_hubert_ecg_becomes_the_tower_with_every_weight_accounted_for(tmp_path):
    weights = published_hubert_ecg(tmp_path / "hubert")
    report = assemble_gem(
        tmp_path / "hubert",
        save_image_tower(tmp_path / "clip", "clip"),
        save_language_model(tmp_path / "llama", "llama"),
        tmp_path / "out",
    )
    converted = load_file(tmp_path / "out" / "model.safetensors")
    assert {key: converted[f"model.ecg_tower.{key}"] for key in weights}.keys() == weights.keys()
    assert all(torch.equal(converted[f"model.ecg_tower.{key}"], tensor) for key, tensor in weights.items())
    assert sorted(report.dropped["heads of HuBERT-ECG's pretraining"]) == [
        "final_proj.0.bias", "final_proj.0.weight", "label_embedding.0.weight",
    ]  # fmt: skip
    assert "CC BY-NC 4.0" in report.notes[0]
    tower = AutoModelForImageTextToText.from_pretrained(tmp_path / "out").model.ecg_tower
    assert isinstance(tower, HubertEcgModel) and not tower.config.apply_spec_augment and tower.config.layerdrop == 0


def test_what_is_no_ecg_tower_is_refused(tmp_path):
    with pytest.raises(StrictDataclassError, match=r"lacks num_leads, seq_length, num_tokens"):
        tiny_config(ecg_config={"model_type": "hubert"})
    with pytest.raises(ValueError, match="`no_such_ecg`, which Transformers does not know"):
        tiny_config(ecg_config={"model_type": "no_such_ecg"})
    clip = save_image_tower(tmp_path / "clip", "clip")
    with pytest.raises(CheckpointError, match="is not an ECG tower, its config lacks"):
        assemble_gem(clip, clip, save_language_model(tmp_path / "llama", "llama"), tmp_path / "out")


def test_a_signal_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"12 leads, 5000 samples"):
        HubertEcgModel(HubertEcgConfig(**SMALL))(torch.zeros(1, 12, 500))
