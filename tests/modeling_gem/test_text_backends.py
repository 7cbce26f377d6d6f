# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Language models and image towers of many families compute the same inside GEM as alone."""

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    CLIPVisionConfig,
    Dinov2Config,
    Dinov2WithRegistersConfig,
    DINOv3ViTConfig,
    PreTrainedConfig,
    SiglipVisionConfig,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from modeling_gem import GemForConditionalGeneration
from tests.helpers.tiny_gem import tiny_config, tiny_model, tiny_processor

VOCABULARY = 160
BASE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ONE_KV = {"num_key_value_heads": 1, "head_dim": 16, "sliding_window": 8}
FAMILIES = {
    "llama": ("llama", {}),
    "smollm2": (
        "llama",
        {"tie_word_embeddings": True, "rope_parameters": {"rope_type": "default", "rope_theta": 1e5}},
    ),
    "mistral": ("mistral", {"sliding_window": 8}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
    "qwen3_moe": (
        "qwen3_moe",
        {"head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
    ),
    "smollm3": ("smollm3", {"no_rope_layer_interval": 2}),
    "gemma3_text": ("gemma3_text", ONE_KV | {"layer_types": ["sliding_attention", "full_attention"]}),
    "phi3": ("phi3", {}),
    "olmo2": ("olmo2", {}),
    "granite": ("granite", {"logits_scaling": 1.0, "embedding_multiplier": 3.0}),
    "gpt_neox": ("gpt_neox", {}),
    "falcon_h1": (
        "falcon_h1",
        {
            "head_dim": 12,
            "mamba_d_ssm": 64,
            "mamba_n_heads": 4,
            "mamba_d_head": 16,
            "mamba_d_state": 8,
            "mamba_n_groups": 1,
            "mamba_chunk_size": 8,
        },
    ),
}
REFUSED = {
    "gemma2": ({}, "final_logit_softcapping"),
    "cohere": ({}, "logit_scale"),
    "granite": ({"logits_scaling": 8.0}, "logits_scaling"),
    "falcon_h1": ({"lm_head_multiplier": 0.5}, "lm_head_multiplier"),
    "phi": ({}, "bias"),
    "phimoe": ({"lm_head_bias": True}, "lm_head_bias"),
    "gpt2": ({}, "embed_tokens"),
    "opt": ({}, "embed_tokens"),
    "mamba2": ({"num_heads": 4, "head_dim": 24, "hidden_size": 48, "expand": 2}, "cache"),
}


def text_config(model_type: str, changes: dict) -> PreTrainedConfig:
    return CONFIG_MAPPING[model_type](**BASE | changes)


@torch.no_grad()
def source_model(family: str):
    model_type, changes = FAMILIES[family]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(text_config(model_type, changes)).eval()
    for parameter in model.parameters():
        # Flat random logits would make ties; norms, too, should not be neutral.
        parameter.mul_(4) if parameter.dim() > 1 else parameter.add_(0.1 * torch.randn_like(parameter))
    model.generation_config.update(eos_token_id=None, pad_token_id=0)
    return model


@torch.no_grad()
def gem_around(source) -> GemForConditionalGeneration:
    """A GEM whose text side is `source`: strictly the same body and head weights."""
    config = tiny_config(source.config, ecg_token_id=VOCABULARY, image_token_id=VOCABULARY + 1)
    model = tiny_model(config)
    model.model.language_model.load_state_dict(source.base_model.state_dict())
    if not config.tie_word_embeddings:
        model.lm_head.weight.copy_(source.get_output_embeddings().weight)
    model.tie_weights()
    model.generation_config.update(suppress_tokens=None)
    return model


def prompt() -> dict[str, torch.Tensor]:
    """Two rows, the second left-padded, longer than the sliding windows."""
    torch.manual_seed(1)
    ids = torch.randint(3, VOCABULARY, (2, 13))
    ids[1, :4] = 0
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_text_logits_and_greedy_ids_are_those_of_the_source(family):
    source = source_model(family)
    gem, inputs = gem_around(source), prompt()
    assert gem.config.tie_word_embeddings == bool(source.config.tie_word_embeddings)
    assert (gem.lm_head.weight is gem.get_input_embeddings().weight) == gem.config.tie_word_embeddings
    real = inputs["attention_mask"].bool()
    logits = gem(**inputs).logits
    assert torch.equal(logits[real], source(**inputs).logits[real])
    assert logits.std() > 0.05
    settings = {"max_new_tokens": 10, "do_sample": False, "use_cache": True}
    assert torch.equal(gem.generate(**inputs, **settings), source.generate(**inputs, **settings))


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "falcon_h1"])
@torch.no_grad()
def test_ecg_reaches_every_backend_through_the_cache(family):
    gem = gem_around(source_model(family))
    tokens = gem.config.ecg_config.num_tokens
    ids = torch.tensor([[1, *[VOCABULARY] * tokens, 5, 6, 7]])
    ecg = torch.randn(1, 12, 500, generator=torch.Generator().manual_seed(2))
    gem.generation_config.update(suppress_tokens=[VOCABULARY, VOCABULARY + 1])
    inputs = {"input_ids": ids, "ecg_values": ecg, "attention_mask": torch.ones_like(ids)}
    cached, plain = (
        gem.generate(**inputs, max_new_tokens=8, do_sample=False, use_cache=use_cache) for use_cache in (True, False)
    )
    assert torch.equal(cached, plain)
    assert not torch.equal(gem(**inputs).logits, gem(**inputs | {"ecg_values": -ecg}).logits)


@pytest.mark.parametrize("model_type", REFUSED)
def test_heads_that_are_not_plain_are_refused_by_name(model_type):
    changes, reason = REFUSED[model_type]
    with pytest.raises(StrictDataclassError, match=f"`{model_type}`") as raised:
        tiny_config(text_config(model_type, changes), ecg_token_id=VOCABULARY, image_token_id=VOCABULARY + 1)
    assert reason in str(raised.value)


# Image towers

SMALL = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
TOWERS = {
    "clip": (CLIPVisionConfig(**SMALL, intermediate_size=48), "default"),
    "siglip": (SiglipVisionConfig(**SMALL, intermediate_size=48, vision_use_head=False), "full"),
    "dinov2": (Dinov2Config(**SMALL), "default"),
}


def tower_config(tower: str, **changes):
    vision_config, strategy = TOWERS[tower]
    return tiny_config(vision_config=vision_config, vision_feature_select_strategy=strategy, **changes)


@pytest.mark.parametrize("layer", [-1, -2, -3, 2, 1])
@pytest.mark.parametrize("tower", TOWERS)
@torch.no_grad()
def test_image_features_are_the_towers_own(tower, layer):
    whole = TOWERS[tower][0]
    model = tiny_model(tower_config(tower, vision_feature_layer=layer)).model
    bare = AutoModel.from_config(whole).eval()
    missing, unexpected = bare.load_state_dict(model.vision_tower.state_dict(), strict=False)
    assert not unexpected
    # Blocks after the layer, and nothing else, are not there.
    depth = whole.num_hidden_layers
    kept = layer % (depth + 1)
    assert {int(key.split(".layer")[1].lstrip("s").split(".")[1]) for key in missing} == set(range(kept, depth))
    pixels = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(3))
    expected = bare(pixels, output_hidden_states=True).hidden_states[layer]
    expected = model.multi_modal_projector(expected[:, 1:] if tower != "siglip" else expected)
    features = model.get_image_features(pixels).pooler_output
    assert features[0].shape == (4, 32)
    assert torch.equal(torch.stack(features), expected)


@pytest.mark.parametrize("tower", TOWERS)
@torch.no_grad()
def test_blocks_behind_the_layer_are_not_run(tower):
    model = tiny_model(tower_config(tower, vision_feature_layer=-2)).model
    blocks = [name for name, module in model.vision_tower.named_modules() if name.rsplit(".", 1)[-1].isdigit()]
    assert len(blocks) == 2
    run: list[str] = []
    for name in blocks:
        block = model.vision_tower.get_submodule(name)
        block.register_forward_hook(lambda *_, name=name: run.append(name))
    model.get_image_features(torch.zeros(1, 3, 28, 28))
    assert run == blocks


@pytest.mark.parametrize("tower", TOWERS)
@torch.no_grad()
def test_full_checkpoints_of_towers_load_without_their_unused_blocks(tower, tmp_path):
    """A folder that holds all blocks (saved with layer -1) loads under a config that needs fewer."""
    whole = tiny_model(tower_config(tower, vision_feature_layer=-1))
    whole.save_pretrained(tmp_path)
    model = GemForConditionalGeneration.from_pretrained(tmp_path, vision_feature_layer=-2).eval()
    pixels = torch.randn(1, 3, 28, 28)
    expected = whole.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-2]
    actual = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1]
    assert torch.equal(actual, expected)


@pytest.mark.parametrize("config_class", [Dinov2WithRegistersConfig, DINOv3ViTConfig])
@pytest.mark.parametrize("strategy", ["default", "full"])
@torch.no_grad()
def test_register_tokens_are_no_patches(config_class, strategy):
    """DINOv2 with registers and DINOv3 put them between the class token and the patches."""
    vision_config = config_class(**SMALL, intermediate_size=48, num_register_tokens=4)
    config = tiny_config(vision_config=vision_config, vision_feature_select_strategy=strategy)
    model = tiny_model(config).model
    bare = AutoModel.from_config(vision_config).eval()
    bare.load_state_dict(model.vision_tower.state_dict(), strict=False)
    pixels = torch.randn(1, 3, 28, 28)
    states = bare(pixels, output_hidden_states=True).hidden_states[-2]
    assert states.shape[1] == 9
    expected = model.multi_modal_projector(states[:, 5:] if strategy == "default" else states)
    features = model.get_image_features(pixels).pooler_output[0]
    assert torch.equal(features[None], expected)
    assert tiny_processor(config).num_image_tokens == features.shape[0]
