# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws `docs/interpretation.png`, an ECG with what `gem interpret` says about it: `python docs/make_interpretation.py`."""

from pathlib import Path

from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from modeling_gem.interpretation import interpret
from processing.ecg_page import render_ecg
from processing.ecg_readers import load_ecg
from recipes.cli.marked_answer import marked_answer

SAMPLE = Path(__file__).resolve().parents[1] / "processing" / "samples" / "first_degree_av_block.hea"
CHARACTERS, LINE_PX, MARGIN_PX = 110, 26, 20


def main() -> None:
    record = load_ecg(SAMPLE)
    page = render_ecg(record, layout="3x4+1", px_per_mm=4).to_pil()
    console = Console(width=CHARACTERS, force_terminal=True)
    lines = marked_answer(interpret(record)).wrap(console, CHARACTERS)
    picture = Image.new("RGB", (page.width, page.height + 2 * MARGIN_PX + LINE_PX * len(lines)), "white")
    picture.paste(page)
    write = ImageDraw.Draw(picture)
    font = ImageFont.truetype(findfont("DejaVu Sans"), 17)  # it has the cross of the marks
    for row, line in enumerate(lines):
        x = float(MARGIN_PX)
        for words, style, _ in line.render(console):
            marked = style is not None and style.color is not None
            write.text((x, page.height + MARGIN_PX + LINE_PX * row), words, "#b00020" if marked else "black", font)
            x += write.textlength(words, font)
    target = Path(__file__).with_name("interpretation.png")
    picture.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
