# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws `docs/architecture.png`, the way from a file to a checked interpretation: `python docs/make_architecture.py`."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Path2D

INK, MUTED = "#1f2933", "#52606d"
COLORS = {"data": "#f3f4f6", "processing": "#dbeafe", "frozen": "#fde68a", "trained": "#bbf7d0", "check": "#fbcfe8"}
LEGEND = {
    "data": "data",
    "processing": "processing/",
    "frozen": "modeling_gem/, frozen in fine-tuning",
    "trained": "modeling_gem/, trained",
    "check": "evidence",
}
HEIGHT = 0.92
# Name -> centre x, centre y, width, kind, title, detail. Units are inches on the page.
BOXES = {
    "file": (1.15, 4.6, 1.9, "data", "A record", "WFDB, CSV, EDF, DICOM,\nSCP, XML, HDF5, ..."),
    "photo": (1.15, 1.9, 1.9, "data", "A picture", "photo or scan, if any"),
    "question": (10.4, 0.5, 2.0, "data", "A question", "chat template, tokenizer"),
    "readers": (3.45, 4.6, 1.9, "processing", "Readers", "leads by name, mV,\nevery change noted"),
    "extractor": (5.8, 5.75, 2.0, "processing", "Feature extractor", "12 x 5000 at 500 Hz"),
    "page": (5.8, 3.3, 2.0, "processing", "Page renderer", "paper grid, lead names"),
    "images": (5.8, 1.9, 2.0, "processing", "Image processor", "resize, crop or tiles"),
    "signal_tower": (8.15, 5.75, 2.0, "frozen", "Signal tower", "ECG-CoCa transformer"),
    "image_tower": (8.15, 1.9, 2.0, "frozen", "Image tower", "CLIP or other ViT"),
    "ecg_projector": (10.4, 5.75, 1.9, "trained", "ECG projector", "to the image's width"),
    "projector": (10.4, 3.3, 1.9, "trained", "Shared projector", "<ecg> and <image>\nto word embeddings"),
    "lm": (12.8, 3.3, 2.0, "trained", "Language model", "Llama, Qwen, Mistral, ..."),
    "answer": (15.25, 3.3, 1.9, "data", "Interpretation", "leads, beats, values"),
    "features": (8.15, 7.2, 2.0, "processing", "Measurements", "12 leads x 14 sequences"),
    "verdict": (15.25, 5.75, 1.9, "check", "Grounding check", "supported, contradicted\nor not measurable"),
}  # fmt: skip
# From a side of a box to a side of another.
ARROWS = (
    ("file", "right", "readers", "left"),
    ("readers", "top", "features", "left"),
    ("readers", "right", "extractor", "left"),
    ("readers", "right", "page", "left"),
    ("photo", "right", "images", "left"),
    ("page", "bottom", "images", "top"),
    ("extractor", "right", "signal_tower", "left"),
    ("images", "right", "image_tower", "left"),
    ("signal_tower", "right", "ecg_projector", "left"),
    ("ecg_projector", "bottom", "projector", "top"),
    ("image_tower", "right", "projector", "bottom"),
    ("projector", "right", "lm", "left"),
    ("question", "right", "lm", "bottom"),
    ("lm", "right", "answer", "left"),
    ("answer", "top", "verdict", "bottom"),
    ("features", "right", "verdict", "top"),
)


def draw_box(axes: Axes, x: float, y: float, width: float, kind: str, title: str, detail: str) -> None:
    shape = FancyBboxPatch(
        (x - width / 2, y - HEIGHT / 2),
        width,
        HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.1",
        facecolor=COLORS[kind],
        edgecolor=INK,
        linewidth=1,
    )
    axes.add_patch(shape)
    axes.text(x, y + 0.22, title, ha="center", va="center", fontsize=10, weight="bold", color=INK)
    axes.text(x, y - 0.15, detail, ha="center", va="center", fontsize=7.8, color=MUTED, linespacing=1.15)


def side(name: str, where: str) -> tuple[float, float]:
    x, y, width = BOXES[name][:3]
    offsets = {"left": (-width / 2, 0), "right": (width / 2, 0), "top": (0, HEIGHT / 2), "bottom": (0, -HEIGHT / 2)}
    return x + offsets[where][0], y + offsets[where][1]


def draw_arrow(axes: Axes, start: str, leaves: str, end: str, enters: str) -> None:
    """A line of right angles; one corner between a row and a column, two between rows."""
    (x0, y0), (x1, y1) = side(start, leaves), side(end, enters)
    rows = {"left", "right"}
    if leaves in rows and enters in rows:
        corners = [] if y0 == y1 else [((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)]
    else:
        corners = [] if x0 == x1 else [(x1, y0)] if leaves in rows else [(x0, y1)]
    path = Path2D([(x0, y0), *corners, (x1, y1)])
    axes.add_patch(
        FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=13, color=MUTED, fill=False, linewidth=1.3)
    )
    axes.add_patch(
        FancyArrowPatch(
            *path.vertices[-2:], arrowstyle="-|>", mutation_scale=13, color=MUTED, linewidth=0, shrinkA=0, shrinkB=0
        )
    )


def main() -> None:
    figure, axes = plt.subplots(figsize=(16.4, 8.2))
    axes.set(xlim=(0, 16.4), ylim=(-0.4, 7.8))
    axes.set_axis_off()
    for arrow in ARROWS:
        draw_arrow(axes, *arrow)
    for box in BOXES.values():
        draw_box(axes, *box)
    for index, (kind, text) in enumerate(LEGEND.items()):
        x = 0.25 + (0, 1.3, 3.2, 7.3, 10.3)[index]
        axes.add_patch(plt.Rectangle((x, -0.28), 0.28, 0.2, facecolor=COLORS[kind], edgecolor=INK, linewidth=0.8))
        axes.text(x + 0.38, -0.18, text, va="center", fontsize=9.5, color=INK)
    target = Path(__file__).with_name("architecture.png")
    figure.savefig(target, dpi=110, bbox_inches="tight", facecolor="white", metadata={"Software": None})
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
