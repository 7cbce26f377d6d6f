# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A converted original checkpoint that cuts pictures into tiles computes what LLaVA-1.6 defines."""

import json
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn.functional import gelu, linear
from transformers import (
    AutoModelForMultimodalLM,
    AutoProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from modeling_gem.convert_gem import convert_original_checkpoint
from processing.errors_gem import CheckpointError
from tests.helpers.llava_tiles import original_tiles, original_tokens
from tests.helpers.shared_data import shared_path
from tests.helpers.tiny_gem import picture, trusting

LAYOUT_CHANGES = {
    "image_aspect_ratio": "anyres",
    "mm_patch_merge_type": "spatial_unpad",
    "ecg_projector_type": "mlp2x_gelu",
    # (width, height), and not the same set when mirrored
    "image_grid_pinpoints": [[56, 112], [112, 56], [112, 112], [168, 56]],
}


def relabelled_checkpoint(folder, config_changes: dict, shards: int = 4):
    """F1's weights with a two-layer ECG projector, in shards with an index, under a config that says `anyres`."""
    source = shared_path("fixtures/original/F1/checkpoint/llava-gem-F1")
    folder.mkdir(parents=True)
    weights = load_file(source / "model.safetensors")
    generator = torch.Generator().manual_seed(5)
    weights["model.ecg_projector.0.weight"] = weights.pop("model.ecg_projector.weight")
    weights["model.ecg_projector.0.bias"] = weights.pop("model.ecg_projector.bias")
    weights["model.ecg_projector.2.weight"] = (torch.randn(80, 80, generator=generator) / 9).bfloat16()
    weights["model.ecg_projector.2.bias"] = (torch.randn(80, generator=generator) / 9).bfloat16()
    names = [f"model-{number + 1:05d}-of-{shards:05d}.safetensors" for number in range(shards)]
    weight_map = {key: names[index % shards] for index, key in enumerate(sorted(weights))}
    for name in names:
        save_file({key: weights[key] for key, file in weight_map.items() if file == name}, folder / name)
    index = {"metadata": {"total_size": sum(w.nbytes for w in weights.values())}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for file in source.iterdir():
        if file.suffix in (".json", ".model") and file.name != "config.json":
            (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((source / "config.json").read_text()) | config_changes
    (folder / "config.json").write_text(json.dumps(config))
    return {key: value.float() for key, value in weights.items()}, config


@pytest.fixture(scope="module")
def tiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiled")
    tower = shared_path("fixtures/original/F1/clip_vit_tiny")
    weights, config = relabelled_checkpoint(folder / "checkpoint" / "llava-gem", LAYOUT_CHANGES)
    report = convert_original_checkpoint(
        folder / "checkpoint" / "llava-gem", folder / "gem", vision_tower=tower, max_shard_size="300KB"
    )
    return SimpleNamespace(
        folder=folder,
        weights=weights,
        original=config,
        report=report,
        model=AutoModelForMultimodalLM.from_pretrained(folder / "gem", dtype=torch.float32).eval(),
        processor=trusting(AutoProcessor.from_pretrained(folder / "gem")),
        inputs=shared_path("fixtures/original/F1/inputs"),
        golden=load_file(shared_path("fixtures/original/F1/golden.safetensors")),
        vision_config=CLIPVisionConfig.from_pretrained(tower),
    )


QUESTIONS = {
    "a": "What is the rhythm of this ECG?",
    "b": "Please interpret this ECG. Describe the axis, the intervals and the ST segments.",
    "c": "Is there ST elevation in leads V1 to V4?",
    "d": "Interpret the record.",
}


def chat(tiled, name: str, image=None) -> list[dict]:
    return [
        {
            "role": "user",
            "content": [
                {"type": "ecg", "path": str(tiled.inputs / "ecg" / f"rec_{name}")},
                {"type": "image", "image": image or Image.open(tiled.inputs / "images" / f"img_{name}.png")},
                {"type": "text", "text": QUESTIONS[name]},
            ],
        }
    ]


def encode(tiled, chats):
    return tiled.processor.apply_chat_template(
        chats,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )


def two_layers(features: torch.Tensor, weights: dict, name: str) -> torch.Tensor:
    first = linear(features, weights[f"{name}.0.weight"], weights[f"{name}.0.bias"])
    return linear(gelu(first), weights[f"{name}.2.weight"], weights[f"{name}.2.bias"])


def original_embeddings(tiled, name: str, image: Image.Image) -> torch.Tensor:
    """What the original code would give its language model, from the original weights by their original names."""
    weights = tiled.weights
    prefix = "model.vision_tower.vision_tower.vision_model."
    clip = CLIPVisionModel(tiled.vision_config).eval()
    own = {key.removeprefix("vision_model."): key for key in clip.state_dict()}
    clip.load_state_dict(
        {own[key.removeprefix(prefix)]: value for key, value in weights.items() if key.startswith(prefix)}
    )
    pinpoints = tiled.original["image_grid_pinpoints"]
    tiles = original_tiles(image, pinpoints, 56)
    pixels = CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})(
        tiles, return_tensors="pt"
    )["pixel_values"]
    states = clip(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
    tokens = original_tokens(
        two_layers(states, weights, "model.mm_projector"), weights["model.image_newline"], image.size, pinpoints, 56
    )
    ecg = two_layers(tiled.golden[f"{name}.ecg_tower_out"], weights, "model.ecg_projector")
    ecg = two_layers(ecg, weights, "model.mm_projector")[0]
    ids = tiled.golden[f"{name}.input_ids"][0].tolist()
    place = ids.index(-200)
    before, after = (weights["model.embed_tokens.weight"][part] for part in (ids[:place], ids[place + 1 :]))
    return torch.cat([before, ecg, tokens, after])[None]


def original_language_model(tiled) -> LlamaForCausalLM:
    settings = {key: value for key, value in tiled.original.items() if key in LlamaConfig().to_dict()}
    settings.pop("model_type", None)
    settings.pop("dtype", None)
    model = LlamaForCausalLM(LlamaConfig(**settings)).eval()
    model.load_state_dict({key: tiled.weights[key] for key in model.state_dict()})
    return model


def test_converted_config_and_processor_of_tiles(tiled):
    config = tiled.model.config
    assert config.image_merge_type == "spatial_unpad"
    assert config.ecg_projector_type == "mlp2x_gelu"
    assert config.image_grid_pinpoints == [[112, 56], [56, 112], [112, 112], [56, 168]]
    assert tiled.processor.image_processor.image_grid_pinpoints == config.image_grid_pinpoints
    assert tiled.processor.image_processor.image_aspect_ratio == "anyres"
    assert tiled.processor.image_merge_type == "spatial_unpad"
    assert not [key for keys in tiled.report.dropped.values() for key in keys if "newline" in key]
    assert len(list((tiled.folder / "gem").glob("model-*.safetensors"))) > 1
    state = tiled.model.state_dict()
    for ours, theirs in (
        ("model.image_newline", "model.image_newline"),
        ("model.ecg_projector.linear_1.weight", "model.ecg_projector.0.weight"),
        ("model.ecg_projector.linear_2.weight", "model.ecg_projector.2.weight"),
        ("model.ecg_projector.linear_2.bias", "model.ecg_projector.2.bias"),
    ):
        assert torch.equal(state[ours], tiled.weights[theirs])


@pytest.mark.parametrize("name", "abcd")
@torch.no_grad()
def test_converted_tiles_compute_what_the_original_defines(tiled, name):
    image = Image.open(tiled.inputs / "images" / f"img_{name}.png").convert("RGB")
    inputs = encode(tiled, chat(tiled, name))
    assert inputs["pixel_values"].dim() == 5
    expected = original_embeddings(tiled, name, image)
    assert inputs["input_ids"].shape[1] == expected.shape[1]
    language_model = original_language_model(tiled)
    expected_logits = language_model(inputs_embeds=expected).logits
    logits = tiled.model(**inputs).logits
    torch.testing.assert_close(logits, expected_logits, rtol=1e-4, atol=1e-5 * expected_logits.abs().max().item())
    settings = {"max_new_tokens": 12, "do_sample": False}
    new = tiled.model.generate(**inputs, **settings)[0, inputs["input_ids"].shape[1] :]
    mask = torch.ones(expected.shape[:2], dtype=torch.long)
    expected_new = language_model.generate(inputs_embeds=expected, attention_mask=mask, **settings)[0]
    assert torch.equal(new, expected_new[-len(new) :])


@pytest.mark.parametrize("size", [(40, 300), (300, 40), (9, 9), (188, 47), (333, 111)])
@torch.no_grad()
def test_converted_tiles_of_other_picture_sizes(tiled, size):
    image = picture(1, *size)
    expected = original_language_model(tiled)(inputs_embeds=original_embeddings(tiled, "a", image)).logits
    logits = tiled.model(**encode(tiled, chat(tiled, "a", image))).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


@torch.no_grad()
def test_converted_tiles_in_a_batch(tiled):
    chats = [
        chat(tiled, name, picture(3, *size))
        for name, size in zip("abc", ((40, 300), (300, 40), (70, 70)), strict=True)
    ]
    inputs = encode(tiled, chats)
    assert inputs["pixel_values"].shape[:2] == (3, 5)
    together = tiled.model(**inputs).logits[:, -1]
    alone = torch.cat([tiled.model(**encode(tiled, [single])).logits[:, -1] for single in chats])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_pinpoints_may_be_text(tmp_path):
    """Training scripts of LLaVA give them as a string, and the original evaluates it."""
    text = "[(56, 112), (112, 56), (112, 112), (168, 56)]"
    relabelled_checkpoint(tmp_path / "llava-gem", LAYOUT_CHANGES | {"image_grid_pinpoints": text}, shards=2)
    tower = shared_path("fixtures/original/F1/clip_vit_tiny")
    convert_original_checkpoint(tmp_path / "llava-gem", tmp_path / "gem", vision_tower=tower)
    config = json.loads((tmp_path / "gem" / "config.json").read_text())
    assert config["image_grid_pinpoints"] == [[112, 56], [56, 112], [112, 112], [56, 168]]


@pytest.mark.parametrize(
    "changes",
    [{"mm_patch_merge_type": "spatial"}, {"image_aspect_ratio": "anyres_max_9"}, {"mm_use_im_start_end": True}],
)
def test_unsupported_layouts_are_refused(tmp_path, changes):
    relabelled_checkpoint(tmp_path / "llava-gem", LAYOUT_CHANGES | changes, shards=2)
    tower = shared_path("fixtures/original/F1/clip_vit_tiny")
    with pytest.raises(CheckpointError, match=next(iter(changes))):
        convert_original_checkpoint(tmp_path / "llava-gem", tmp_path / "gem", vision_tower=tower)
