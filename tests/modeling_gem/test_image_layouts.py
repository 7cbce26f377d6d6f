# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Picture layouts compared with other code: transformers' CLIP, LLaVA and LLaVA-NeXT with the same weights, and LLaVA-1.6's own definition
of `anyres` (`tests/helpers/llava_tiles.py`).
"""

import math
import random

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from modeling_gem import GemImageProcessor
from modeling_gem.modeling_gem import letterbox
from tests.helpers.llava_tiles import best_canvas, original_tiles, original_tokens
from tests.helpers.tiny_gem import picture, signal, tiny_config, tiny_model, tiny_processor

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
# because x = 2.9999999999999996 should be 3.
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


@pytest.mark.parametrize("size", [(170, 220), (330, 255), (100, 640)])
def test_a_stretched_picture_is_whole_and_fills_the_square(size):
    ramp = np.tile(np.linspace(0, 255, size[1])[None, :, None], (size[0], 1, 3)).astype(np.uint8)
    seen = gem_processor("stretch", do_rescale=False, do_normalize=False)(Image.fromarray(ramp), return_tensors="pt")
    columns = seen["pixel_values"][0, 0].float().mean(dim=0)
    assert seen["pixel_values"].shape == (1, 3, SIDE, SIDE)
    torch.testing.assert_close(columns, torch.linspace(0, 255, SIDE), atol=255 / SIDE, rtol=0)


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


def test_arrays_give_the_same_tensors_as_pictures():
    array = np.asarray(picture(0, 90, 130))
    processor = gem_processor("anyres", image_grid_pinpoints=PINPOINTS)
    assert torch.equal(
        processor(array, return_tensors="pt")["pixel_values"],
        processor(Image.fromarray(array), return_tensors="pt")["pixel_values"],
    )
