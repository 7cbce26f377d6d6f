# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Pictures of ECGs -> `pixel_values`, in the three layouts that LLaVA-style checkpoints were trained with."""

from typing import Any

import numpy as np
from transformers import BatchFeature
from transformers.image_processing_utils import select_best_resolution
from transformers.image_utils import SizeDict
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import (
    LlavaNextImageProcessorKwargs,
    LlavaNextImageProcessorPil,
)

IMAGE_ASPECT_RATIOS = ("ori", "pad", "anyres")


class GemImageProcessorKwargs(LlavaNextImageProcessorKwargs, total=False):  # type: ignore[call-arg]
    r"""
    image_aspect_ratio (`str`, *optional*):
        `"ori"` resizes the shorter edge and crops the middle (what hangs over is lost), `"pad"` first pads to a square
        with the mean colour, `"anyres"` gives an overview tile and the tiles of the best fitting canvas.
    """

    image_aspect_ratio: str


class GemImageProcessor(LlavaNextImageProcessorPil, LlavaImageProcessorPil):
    r"""
    The names of the layouts are those of the original configs (`image_aspect_ratio`). Always Pillow: the torchvision
    backend resizes slightly differently, which would make results depend on what is installed.

    Returns `pixel_values` of shape `(num_images, 3, height, width)`, or for `"anyres"` `(num_images, tiles, 3, height,
    width)` with `image_sizes` `(num_images, 2)`: the original height and width.
    """

    model_input_names = ["pixel_values", "image_sizes"]
    valid_kwargs = GemImageProcessorKwargs
    image_aspect_ratio = "ori"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.image_aspect_ratio not in IMAGE_ASPECT_RATIOS:
            raise ValueError(
                f"`image_aspect_ratio` must be one of {IMAGE_ASPECT_RATIOS}, got {self.image_aspect_ratio!r}."
            )

    def _preprocess(self, images: list[np.ndarray], image_aspect_ratio: str = "ori", **kwargs: Any) -> BatchFeature:
        if image_aspect_ratio == "anyres":
            return LlavaNextImageProcessorPil._preprocess(self, images, **kwargs)
        kwargs["do_pad"] = image_aspect_ratio == "pad"
        return LlavaImageProcessorPil._preprocess(self, images, **kwargs)

    @property
    def tile_size(self) -> int:
        """Height and width of one tile in pixels."""
        size = self.crop_size if self.do_center_crop else self.size
        return SizeDict(**dict(size)).height or SizeDict(**dict(size)).shortest_edge

    def tile_grid(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of tiles behind the overview tile of an `"anyres"` picture of `(height, width)`."""
        height, width = select_best_resolution(image_size, self.image_grid_pinpoints)
        return height // self.tile_size, width // self.tile_size


__all__ = ["GemImageProcessor"]
