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

IMAGE_ASPECT_RATIOS = ("ori", "pad", "stretch", "anyres")


class GemImageProcessorKwargs(LlavaNextImageProcessorKwargs, total=False):  # type: ignore[call-arg]
    r"""
    image_aspect_ratio (`str`, *optional*):
        `"ori"` resizes the shorter edge and crops the middle (what hangs over is lost), `"pad"` first pads to a square
        with the mean colour, `"stretch"` resizes width and height each to the model's, `"anyres"` gives an overview tile and the tiles of the best fitting canvas.
    """

    image_aspect_ratio: str


class GemImageProcessor(LlavaNextImageProcessorPil, LlavaImageProcessorPil):
    r"""
    Makes the image tower's input of pictures, in one of the layouts of the original configs (`image_aspect_ratio`): `"ori"` (shortest
    edge, centre crop), `"pad"` (padded to a square) or `"anyres"` (an overview and tiles), or in our own `"stretch"` (width and height
    each resized to the model's). It always uses Pillow: the torchvision backend
    resizes slightly differently, which would make results depend on what is installed.

    Returns `pixel_values` of shape `(num_images, 3, height, width)`, or for `"anyres"` `(num_images, tiles, 3, height,
    width)` with `image_sizes` `(num_images, 2)`: the original height and width.
    """

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
        if image_aspect_ratio == "stretch":
            kwargs["size"] = kwargs["crop_size"]
        return LlavaImageProcessorPil._preprocess(self, images, **kwargs)

    def resize(self, image: np.ndarray, size: SizeDict, *args: Any, **kwargs: Any) -> np.ndarray:
        """As in Transformers; a picture `(3, height, width)` that has the size is not sent through Pillow and back."""
        height, width = image.shape[-2:]
        wanted = (size.height, size.width) if size.height else (size.shortest_edge, size.shortest_edge)
        has_size = (height, width) == wanted and not size.longest_edge
        return image if has_size else super().resize(image, size, *args, **kwargs)

    def rescale(self, image: np.ndarray, scale: float, **kwargs: Any) -> np.ndarray:
        """As in Transformers and equal bit for bit, without float64 copies of the picture."""
        image = np.ascontiguousarray(image)
        return np.multiply(image, scale, out=np.empty(image.shape, np.float32), dtype=np.float64, casting="unsafe")

    def normalize(
        self, image: np.ndarray, mean: float | list[float], std: float | list[float], **kwargs: Any
    ) -> np.ndarray:
        """As in Transformers and equal bit for bit: channel by channel, with one copy."""
        image = image if np.issubdtype(image.dtype, np.floating) else image.astype(np.float32)
        means, deviations = (
            np.broadcast_to(np.array(value, image.dtype), len(image))[:, None, None] for value in (mean, std)
        )
        normal = image - means
        normal /= deviations
        return normal

    @property
    def model_input_names(self) -> list[str]:
        """`pixel_values`, and `image_sizes` where tiles need it."""
        return ["pixel_values", "image_sizes"] if self.image_aspect_ratio == "anyres" else ["pixel_values"]

    @property
    def tile_size(self) -> int:
        """Height and width of one tile in pixels."""
        size = self.crop_size if self.do_center_crop else self.size
        return SizeDict(**dict(size)).height or SizeDict(**dict(size)).shortest_edge

    def tile_grid(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of tiles after the overview tile of an `"anyres"` picture of `(height, width)`."""
        height, width = select_best_resolution(image_size, self.image_grid_pinpoints)
        return height // self.tile_size, width // self.tile_size


__all__ = ["GemImageProcessor"]
