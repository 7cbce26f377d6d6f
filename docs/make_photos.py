# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws `docs/photos.png`: two pictures of pages with the recovered traces over them, `python -m docs.make_photos`.

Left what works: a page as if photographed. Right what does not: traces that run into each other for most of their way.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from modeling_gem import load_ecg, render_ecg
from processing.errors_gem import EcgQualityError
from processing.photo import digitize_ecg
from processing.photo.overlay import traces_over
from recipes.embedded.page_augment import augment_page

SAMPLES = Path(__file__).resolve().parents[1] / "processing" / "samples"
SIDE_PX = 1000


def over(sample: str, layout: str, seed: int | None) -> Image.Image:
    page = render_ecg(load_ecg(SAMPLES / f"{sample}.hea"), layout=layout, dpi=200)
    pixels = page.pixels if seed is None else augment_page(page, np.random.default_rng(seed))
    picture = Image.fromarray(pixels)
    try:
        picture = traces_over(picture, digitize_ecg(picture, name=sample))
    except EcgQualityError as error:
        print(error)
    picture.thumbnail((SIDE_PX, SIDE_PX))
    return picture


def main() -> None:
    """Writes the picture."""
    parts = [over("normal", "3x4+1", 0), over("ventricular_tachycardia", "gem_12x1", None)]
    sheet = Image.new("RGB", (sum(part.width for part in parts) + 10, max(part.height for part in parts)), "white")
    left = 0
    for part in parts:
        sheet.paste(part, (left, 0))
        left += part.width + 10
    target = Path(__file__).with_name("photos.png")
    sheet.quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
