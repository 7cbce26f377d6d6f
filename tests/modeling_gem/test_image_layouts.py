# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Picture layouts against other people's code: transformers' CLIP, LLaVA and LLaVA-NeXT with the same weights, and
LLaVA-1.6's own definition of `anyres`, written down here a second time with Pillow and loops.

LLaVA-1.6 (mm_utils.process_anyres_image, llava_arch.prepare_inputs_labels_for_multimodal, unpad_image), as rebuilt
below: the canvas is the pinpoint (width, height) that keeps most pixels, then wastes fewest; the picture is scaled
into it with bicubic Pillow and `ceil`, pasted into the middle (`// 2`) of black, cut into tiles row by row; the
overview tile is the whole picture squeezed into a square, first of all tiles. After the projector the tiles are
joined to one grid, the padding rows (or columns) go, `int(x)` deciding how many, each row gets one
`image_newline`, and the overview's tokens stand in front.
"""

import json
import math
import random
from types import SimpleNamespace

import numpy as np
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
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from modeling_gem import GemImageProcessor
from modeling_gem.convert_gem import convert_original_checkpoint
from modeling_gem.modeling_gem import letterbox
from processing.errors_gem import CheckpointError
from tests.helpers.shared_data import shared_path
from tests.helpers.tiny_gem import picture, signal, tiny_config, tiny_model, tiny_processor, trusting

SIDE, GRID = 56, 4  # pixels and tokens along one tile
PINPOINTS = [[56, 112], [112, 56], [112, 112], [168, 56], [56, 168]]  # (height, width)
PUBLISHED_PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
# (height, width): wide, tall, square, tiny, odd, exactly a canvas, thinner than one row of tokens
SIZES = [
    *(
        (170, 220),
        (255, 330),
        (330, 255),
        (100, 640),
        (640, 100),
        (90, 90),
        (5, 5),
        (1, 1),
        (7, 3),
        (61, 113),
        (113, 61),
    ),
    *((56, 112), (112, 112), (168, 56), (199, 401), (401, 199), (3, 1000), (1000, 3)),
]
# (height, width) where `int(x)` (LLaVA) and `int(round(x, 7))` (transformers) leave another number of rows or columns,
# because x = 2.9999999999999996 stands for 3.
DIVERGENT_SIZES = [(47, 188), (188, 47)]
DIVERGENT_PUBLISHED_SIZES = [
    *(
        (55, 176),
        (88, 99),
        (176, 198),
        (352, 748),
        (352, 924),
        (396, 704),
        (440, 2112),
        (704, 1496),
        (704, 396),
        (748, 352),
    ),
]


def best_canvas(width: int, height: int, pinpoints: list[list[int]]) -> list[int]:
    """The (width, height) pinpoint that LLaVA chooses; `pinpoints` are (width, height), the first of equals wins."""

    def merit(pinpoint):
        scale = min(pinpoint[0] / width, pinpoint[1] / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        return kept, kept - pinpoint[0] * pinpoint[1]

    return max(pinpoints, key=merit)


def original_tiles(image: Image.Image, pinpoints: list[list[int]], side: int) -> list[Image.Image]:
    canvas_width, canvas_height = best_canvas(*image.size, pinpoints)
    width, height = image.size
    if canvas_width / width < canvas_height / height:
        scaled = canvas_width, min(math.ceil(height * (canvas_width / width)), canvas_height)
    else:
        scaled = min(math.ceil(width * (canvas_height / height)), canvas_width), canvas_height
    canvas = Image.new("RGB", (canvas_width, canvas_height))
    corner = (canvas_width - scaled[0]) // 2, (canvas_height - scaled[1]) // 2
    canvas.paste(image.resize(scaled, Image.Resampling.BICUBIC), corner)
    corners = [(x, y) for y in range(0, canvas_height, side) for x in range(0, canvas_width, side)]
    overview = image.resize((side, side), Image.Resampling.BICUBIC)
    return [overview, *(canvas.crop((x, y, x + side, y + side)) for x, y in corners)]


def original_tokens(
    tiles: torch.Tensor,
    newline: torch.Tensor,
    size: tuple[int, int],
    pinpoints: list[list[int]],
    tile: int,
    round_to=None,
) -> torch.Tensor:
    """Projected `tiles` (tiles, tokens, hidden) of a (width, height) picture in LLaVA-1.6's order, token by token."""
    width, height = size
    canvas_width, canvas_height = best_canvas(width, height, pinpoints)
    grid = math.isqrt(tiles.shape[1])
    columns, rows = canvas_width // tile * grid, canvas_height // tile * grid

    def whole(number):
        return int(number if round_to is None else round(number, round_to))

    top = left = 0
    if width / height > columns / rows:
        top = (rows - whole(height * (columns / width))) // 2
    else:
        left = (columns - whole(width * (rows / height))) // 2
    tokens = list(tiles[0])
    for y in range(top, rows - top):
        for x in range(left, columns - left):
            tokens.append(tiles[1 + (y // grid) * (columns // grid) + x // grid, (y % grid) * grid + x % grid])
        tokens.append(newline)
    return torch.stack(tokens)


def swapped(pinpoints: list[list[int]]) -> list[list[int]]:
    return [[second, first] for first, second in pinpoints]


def vision_config() -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=24,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=14,
    )


def gem(merge: str = "flat", pinpoints=None):
    return tiny_model(
        tiny_config(vision_config=vision_config(), image_merge_type=merge, image_grid_pinpoints=pinpoints)
    ).model


def llava(config_class, model_class, source, **settings):
    """transformers' model with the tower and projector of `source`; only the unused last block stays its own."""
    model = model_class(
        config_class(
            vision_config=vision_config(),
            text_config=source.config.text_config,
            projector_hidden_act="gelu",
            **settings,
        )
    ).eval()
    shared = {
        key: value
        for key, value in source.state_dict().items()
        if key.startswith(("vision_tower.", "multi_modal_projector.", "image_newline"))
    }
    info = model.model.load_state_dict(shared, strict=False)
    assert not info.unexpected_keys
    assert all("language_model" in key or "layers.2." in key for key in info.missing_keys)
    return model


def gem_processor(layout: str, **kwargs) -> GemImageProcessor:
    size = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    return GemImageProcessor(image_aspect_ratio=layout, **size, **kwargs)


# One tile


@pytest.mark.parametrize("layout", ["ori", "pad"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_one_tile_equals_clip_and_llava(layout, mode):
    theirs = {
        "ori": CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}),
        "pad": LlavaImageProcessorPil(
            size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, do_pad=True
        ),
    }[layout]
    images = [picture(seed, *size).convert(mode) for seed, size in enumerate(SIZES) if min(size) * 100 > max(size)]
    ours = gem_processor(layout)(images, return_tensors="pt")["pixel_values"]
    assert ours.shape == (len(images), 3, SIDE, SIDE)
    assert torch.equal(ours, theirs(images, return_tensors="pt")["pixel_values"])
    other = {"ori": "pad", "pad": "ori"}[layout]
    assert not torch.equal(ours, gem_processor(other)(images, return_tensors="pt")["pixel_values"])


@pytest.mark.parametrize("size", [(336, 336), (336, 337), (400, 336), (90, 120)])
def test_every_size_gives_the_bits_of_transformers(size):
    """A page that has the tower's size takes a shorter way."""
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    settings = {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}
    ours, theirs = (kind(**settings)(picture)["pixel_values"] for kind in (GemImageProcessor, LlavaImageProcessorPil))
    assert np.array_equal(ours[0], theirs[0]) and ours[0].dtype == theirs[0].dtype


@pytest.mark.parametrize("layout", ["ori", "pad"])
@torch.no_grad()
def test_one_tile_features_equal_llava(layout):
    model = gem()
    reference = llava(LlavaConfig, LlavaForConditionalGeneration, model)
    pixels = gem_processor(layout)([picture(seed) for seed in range(3)], return_tensors="pt")["pixel_values"]
    ours = model.get_image_features(pixels).pooler_output
    theirs = reference.get_image_features(pixels, return_dict=True).pooler_output
    assert len(ours) == 3 and ours[0].shape == (GRID**2, 32)
    assert torch.equal(torch.stack(ours), torch.stack(list(theirs)))


# Tiles


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_tiles_equal_llava_next_and_the_original(mode):
    images = [picture(seed, *size).convert(mode) for seed, size in enumerate([*SIZES, *DIVERGENT_SIZES])]
    ours = gem_processor("anyres", image_grid_pinpoints=PINPOINTS)(images, return_tensors="pt")
    theirs = LlavaNextImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=PINPOINTS
    )(images, return_tensors="pt")
    assert torch.equal(ours["pixel_values"], theirs["pixel_values"])
    assert torch.equal(ours["image_sizes"], theirs["image_sizes"])
    clip = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    for image, pixels in zip(images, ours["pixel_values"], strict=True):
        tiles = original_tiles(image.convert("RGB"), swapped(PINPOINTS), SIDE)
        assert torch.equal(pixels[: len(tiles)], clip(tiles, return_tensors="pt")["pixel_values"])
        assert not pixels[len(tiles) :].any()


@torch.no_grad()
def test_unpadded_grid_equals_llava_next_and_the_original():
    model = gem("spatial_unpad", PINPOINTS)
    reference = llava(LlavaNextConfig, LlavaNextForConditionalGeneration, model, image_grid_pinpoints=PINPOINTS)
    processor = gem_processor("anyres", image_grid_pinpoints=PINPOINTS)
    inputs = processor([picture(seed, *size) for seed, size in enumerate(SIZES)], return_tensors="pt")
    ours = model.get_image_features(**inputs).pooler_output
    theirs = reference.get_image_features(**inputs, return_dict=True).pooler_output
    # The overview and the tiles alone, one picture at a time: the rest is ordering.
    for size, pixels, tokens, their_tokens in zip(SIZES, inputs["pixel_values"], ours, theirs, strict=True):
        assert tokens.shape == their_tokens.shape
        torch.testing.assert_close(tokens, their_tokens, rtol=1e-5, atol=1e-5)
        tiles = torch.stack(model.get_image_features(pixels).pooler_output)
        expected = original_tokens(tiles, model.image_newline, size[::-1], swapped(PINPOINTS), SIDE)
        torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("size", DIVERGENT_SIZES)
def test_rounding_is_that_of_the_original(size):
    model = gem("spatial_unpad", PINPOINTS)
    inputs = gem_processor("anyres", image_grid_pinpoints=PINPOINTS)(picture(0, *size), return_tensors="pt")
    tokens = model.get_image_features(**inputs).pooler_output[0]
    tiles = torch.stack(model.get_image_features(inputs["pixel_values"][0]).pooler_output)
    arguments = (tiles, model.image_newline, size[::-1], swapped(PINPOINTS), SIDE)
    torch.testing.assert_close(tokens, original_tokens(*arguments), rtol=1e-5, atol=1e-5)
    reference = llava(LlavaNextConfig, LlavaNextForConditionalGeneration, model, image_grid_pinpoints=PINPOINTS)
    theirs = reference.get_image_features(**inputs, return_dict=True).pooler_output[0]
    torch.testing.assert_close(theirs, original_tokens(*arguments, round_to=7), rtol=1e-5, atol=1e-5)
    assert theirs.shape != tokens.shape


@torch.no_grad()
def test_flat_tiles_follow_one_another():
    model = gem("flat", PINPOINTS)
    inputs = gem_processor("anyres", image_grid_pinpoints=PINPOINTS)(
        [picture(seed, *size) for seed, size in enumerate(SIZES)], return_tensors="pt"
    )
    for size, pixels, tokens in zip(
        SIZES, inputs["pixel_values"], model.get_image_features(**inputs).pooler_output, strict=True
    ):
        width, height = best_canvas(*size[::-1], swapped(PINPOINTS))
        tiles = pixels[: 1 + (width // SIDE) * (height // SIDE)]
        expected = torch.cat(model.get_image_features(tiles).pooler_output)
        torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-5)


def test_tiles_need_sizes_and_pinpoints():
    pixels = torch.zeros(1, 3, 3, SIDE, SIDE)
    with pytest.raises(ValueError, match="image_sizes"):
        gem("flat", PINPOINTS).get_image_features(pixels)
    with pytest.raises(ValueError, match="image_grid_pinpoints"):
        gem().get_image_features(pixels, image_sizes=torch.tensor([[20, 30]]))


# The processor counts what the model gives


@pytest.mark.parametrize("merge", ["flat", "spatial_unpad"])
@torch.no_grad()
def test_token_count_is_that_of_the_published_geometry(merge):
    """336 px, 24 x 24 tokens, LLaVA-1.6's pinpoints: 400 sizes, the model's own joining on empty features."""
    config = tiny_config(
        vision_config=CLIPVisionConfig(
            hidden_size=4,
            intermediate_size=4,
            num_hidden_layers=1,
            num_attention_heads=1,
            image_size=336,
            patch_size=14,
        ),
        vision_feature_layer=-1,
        image_merge_type=merge,
        image_grid_pinpoints=PUBLISHED_PINPOINTS,
    )
    model = tiny_model(config).model
    processor = tiny_processor(config)
    processor.image_processor.image_aspect_ratio = "anyres"
    assert processor.num_image_tokens == 576
    draw = random.Random(0)
    sizes = [(int(10 ** draw.uniform(0.3, 3.6)), int(10 ** draw.uniform(0.3, 3.6))) for _ in range(380)]
    for size in sizes + DIVERGENT_PUBLISHED_SIZES + SIZES:
        rows, columns = grid = model._tile_grid(list(size))
        width, height = best_canvas(*size[::-1], swapped(PUBLISHED_PINPOINTS))
        assert grid == processor.image_processor.tile_grid(size) == (height // 336, width // 336)
        tiles = torch.zeros(1 + rows * columns, 576, 32)
        made = tiles.flatten(0, 1) if merge == "flat" else model._unpadded_grid(tiles, grid, list(size))
        assert processor.image_length(size) == made.shape[0], size
    described = processor._get_num_multimodal_tokens(image_sizes=sizes)
    assert described["num_image_tokens"] == [processor.image_length(size) for size in sizes]
    assert described["num_image_patches"] == [1 + math.prod(model._tile_grid(list(size))) for size in sizes]


def test_published_geometry_diverges_where_stated():
    for height, width in DIVERGENT_PUBLISHED_SIZES:
        canvas_width, canvas_height = best_canvas(width, height, swapped(PUBLISHED_PINPOINTS))
        columns, rows = canvas_width // 14, canvas_height // 14
        top, left = letterbox([height, width], (rows, columns))
        kept = height * (columns / width) if width / height > columns / rows else width * (rows / height)
        available = rows if width / height > columns / rows else columns
        assert (top or left) == (available - int(kept)) // 2 != (available - int(round(kept, 7))) // 2


@pytest.mark.parametrize("merge", ["flat", "spatial_unpad"])
def test_prompt_and_model_agree_in_a_mixed_batch(merge):
    config = tiny_config(vision_config=vision_config(), image_merge_type=merge, image_grid_pinpoints=PINPOINTS)
    model, processor = tiny_model(config), tiny_processor(config, draw_page=False, judge_pictures=False)
    processor.image_processor.image_aspect_ratio = "anyres"
    inputs = processor(
        images=[picture(0, 40, 300), picture(1, 300, 40), picture(2, 47, 188)],
        text=["<ecg><image>\nFirst", "no picture", "<image>\nSecond<image>"],
        ecgs=[signal()],
        sampling_rate=500,
        padding=True,
        return_tensors="pt",
    )
    assert inputs["pixel_values"].dim() == 5
    new = model.generate(**inputs, max_new_tokens=4, do_sample=False)
    for row, (ecgs, images) in enumerate(((1, slice(0, 1)), (0, slice(0, 0)), (0, slice(1, 3)))):
        kept = inputs["attention_mask"][row].bool()
        alone = {"input_ids": inputs["input_ids"][row][kept][None], "attention_mask": kept[kept][None].long()}
        if ecgs:
            alone["ecg_values"] = inputs["ecg_values"]
        if images.stop:
            alone |= {key: inputs[key][images] for key in ("pixel_values", "image_sizes")}
        assert torch.equal(model.generate(**alone, max_new_tokens=4, do_sample=False)[0, -4:], new[row, -4:])


# An original checkpoint with tiles


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
def test_layouts_that_we_would_get_wrong_are_refused(tmp_path, changes):
    relabelled_checkpoint(tmp_path / "llava-gem", LAYOUT_CHANGES | changes, shards=2)
    tower = shared_path("fixtures/original/F1/clip_vit_tiny")
    with pytest.raises(CheckpointError, match=next(iter(changes))):
        convert_original_checkpoint(tmp_path / "llava-gem", tmp_path / "gem", vision_tower=tower)


def test_array_pictures_are_taken_as_they_are():
    array = np.asarray(picture(0, 90, 130))
    processor = gem_processor("anyres", image_grid_pinpoints=PINPOINTS)
    assert torch.equal(
        processor(array, return_tensors="pt")["pixel_values"],
        processor(Image.fromarray(array), return_tensors="pt")["pixel_values"],
    )
