# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws `docs/interpretation.png`, an ECG with what the embedded model says about it: `python docs/make_interpretation.py`."""

import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from transformers import pipeline

import modeling_gem
from processing.ecg_page import render_ecg
from processing.ecg_readers import load_ecg

SAMPLE = Path(__file__).resolve().parents[1] / "processing" / "samples" / "left_bundle_branch_block.hea"


def main() -> None:
    record = load_ecg(SAMPLE)
    interpret = pipeline(modeling_gem.GEM_TASK, model=str(modeling_gem.default_checkpoint()), dtype="float32")
    text = interpret(record, do_sample=False)["generated_text"]
    page = render_ecg(record, layout="3x4+1", px_per_mm=4).to_pil()
    lines = textwrap.wrap(text.replace(". ", ".  "), 112)
    picture = Image.new("RGB", (page.width, page.height + 40 + 26 * len(lines)), "white")
    picture.paste(page)
    write = ImageDraw.Draw(picture)
    font = ImageFont.load_default(19)
    for row, line in enumerate(lines):
        write.text((20, page.height + 20 + 26 * row), line, fill="black", font=font)
    target = Path(__file__).with_name("interpretation.png")
    picture.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
