# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws `docs/pages.png`, one picture of every page layout, from a simulated ECG: `python docs/make_pages.py`."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from processing.ecg_page import EcgPage, render_ecg
from processing.ecg_record import EcgRecord
from processing.evidence.highlight import highlight
from processing.simulator.simulator import SimulatedEcg, simulate_ecg
from recipes.embedded.page_augment import ScanStyle, augment_page

CELL = 640
CAPTION = 30
GAP = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).with_name("pages.png")
    parser.add_argument("--out", type=Path, default=default, help="the picture (default: beside this script)")
    options = parser.parse_args()
    ecg = simulate_ecg("sinus", ischemia="inferior_stemi", heart_rate=68, seed=11)
    # Few colours keep the file small; a page has few.
    sheet(cells(ecg)).quantize(160, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        options.out, optimize=True
    )
    print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


def cells(ecg: SimulatedEcg) -> list[list[tuple[str, Image.Image]]]:
    record = ecg.record
    square = render_ecg(record, size=(CELL, CELL))
    scan = augment_page(
        render_ecg(record, "3x4+1", px_per_mm=CELL / 280), np.random.default_rng(9), ScanStyle(noise=0, jpeg_loss=0)
    )
    blue = render_ecg(record, "6x2", "blue", leads="cabrera")
    return [
        [small(name, render_ecg(record, name)) for name in ("gem_12x1", "gem_6x2", "12x1")],
        [
            small("6x2, Cabrera order, style 'blue'", blue),
            *(small(name, render_ecg(record, name)) for name in ("3x4", "3x4+1")),
        ],
        [
            small("3x4+3", render_ecg(record, "3x4+3")),
            small("highlight(page, spans)", marked(ecg)),
            ("augment_page(page, rng)", Image.fromarray(scan)),
        ],
        [
            ("square_12x1, drawn at 640 px", square.to_pil()),
            ("square_12x1 at 336 px, all that a CLIP tower gets", enlarged(tower_view(record, "square_12x1"))),
            ("gem_12x1 under 'ori': no labels, 13.5 % cut off", enlarged(tower_view(record, "gem_12x1"))),
        ],
    ]


def small(caption: str, page: EcgPage) -> tuple[str, Image.Image]:
    picture = page.to_pil()
    height = round(picture.height * CELL / picture.width)
    return caption, picture.resize((CELL, height), Image.Resampling.LANCZOS)


def tower_view(record: EcgRecord, layout: str) -> Image.Image:
    """What mode "ori" leaves of a page: shortest side to 336 px, central square."""
    if layout == "square_12x1":
        return render_ecg(record, layout, size=(336, 336)).to_pil()
    page = render_ecg(record, layout)
    return page.to_pil().resize((336, 336), Image.Resampling.BICUBIC, box=page.visible_box("ori"))


def enlarged(view: Image.Image) -> Image.Image:
    return view.resize((CELL, CELL), Image.Resampling.NEAREST)


def marked(ecg: SimulatedEcg) -> EcgPage:
    page = render_ecg(ecg.record, "3x4+1", px_per_mm=4)
    qrs, t = ecg.beat_fiducials["QRS"], ecg.beat_fiducials["T"]
    strip = next(beat for beat, onset in enumerate(qrs[:, 0]) if onset > 3)
    spans = [("II", qrs[strip, 0], qrs[strip + 1, 0], f"RR {1000 * (qrs[strip + 1, 0] - qrs[strip, 0]):.0f} ms")]
    for lead, first in (("III", 0.0), ("aVF", 2.5)):
        beat = next(beat for beat, onset in enumerate(qrs[:, 0]) if onset > first + 0.2)
        spans.append((lead, qrs[beat, 2], t[beat, 2], "ST elevation"))
    return highlight(page, spans)


def sheet(rows: list[list[tuple[str, Image.Image]]]) -> Image.Image:
    heights = [max(picture.height for _, picture in row) + CAPTION + GAP for row in rows]
    canvas = Image.new("RGB", (3 * CELL + 4 * GAP, sum(heights) + GAP), (250, 250, 250))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(18)
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        for column, (caption, picture) in enumerate(row):
            left = GAP + column * (CELL + GAP)
            draw.text((left, top + 2), caption, (40, 40, 40), font)
            canvas.paste(picture, (left, top + CAPTION))
        top += height
    return canvas


if __name__ == "__main__":
    main()
