# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
LLaVA-1.6's own definition of `anyres` tiles, written a second time with Pillow and loops.

After mm_utils.process_anyres_image, llava_arch.prepare_inputs_labels_for_multimodal and unpad_image:

- The canvas is the pinpoint (width, height) that keeps most pixels, then wastes fewest.
- The picture is scaled to fit it with bicubic Pillow and `ceil`, pasted into the middle (`// 2`) of black, and cut into tiles row by row.
- The overview is the whole picture squeezed into a square. It is the first tile.
- After the projector the tiles are joined to one grid. The rows (or columns) of padding are removed; `int(x)` decides how many.
- Each row ends with `image_newline`. The overview's tokens come before the grid.
"""

import math

import torch
from PIL import Image


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


__all__ = ["best_canvas", "original_tiles", "original_tokens"]
