# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws `docs/architecture.png`, the folders of gem-ecg and their imports, from the source: `python -m docs.make_architecture`.

The file also holds the drawn imports as text, with which `tests/test_walls.py` checks that it is current.
"""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from tests.helpers.import_graph import find_modules, folder_of, read_imports

ROOT = Path(__file__).resolve().parents[1]
INK, MUTED = "#1f2933", "#7b8794"
COLORS = {"processing": "#dbeafe", "modeling_gem": "#fde68a", "recipes": "#bbf7d0", "hub_cards": "#e5e7eb"}
# The line under the name of a folder.
PURPOSE = {
    "processing": "readers, page, measurements, processor",
    "processing.claims": "claims read from text",
    "processing.grounding": "claims against measurements",
    "processing.guider": "prompts for teachers",
    "processing.evidence": "claims shown on the page",
    "processing.simulator": "ECGs with known waves",
    "processing.untrusted": "files of unknown origin",
    "processing.folders": "records of a folder",
    "processing.photo": "photos of paper ECGs",
    "modeling_gem": "model, pipeline, converters",
    "recipes": "files, settings, loading",
    "recipes.cli": "the gem command",
    "recipes.chat": "clients of language models",
    "recipes.sources": "published data sets",
    "recipes.teachers": "writers of training answers",
    "recipes.dataset": "instruction data",
    "recipes.training": "SFT, GRPO, DPO",
    "recipes.evaluation": "benchmarks, judges",
    "recipes.publishing": "to the Hub",
    "recipes.embedded": "the embedded model",
    "recipes.serving": "server, queue, batches",
    "hub_cards": "templates of cards",
    "hub_cards.space": "the Space",
}
WIDTH, HEIGHT, ROW, COLUMN = 2.9, 0.62, 1.2, 3.2  # inches

Graph = dict[str, set[str]]


def imports() -> Graph:
    """Folder -> the folders that it imports."""
    modules = find_modules(ROOT)
    folders = {module: folder_of(module, modules) for module in modules}
    graph: Graph = {folder: set() for folder in folders.values()}
    for edge in read_imports(modules):
        if folders[edge.source] != folders[edge.target]:
            graph[folders[edge.source]].add(folders[edge.target])
    return graph


def reached(folder: str, graph: Graph) -> set[str]:
    """The folders that a folder imports, directly or through others. The graph has no cycles, see `tests/test_walls.py`."""
    return graph[folder].union(*(reached(target, graph) for target in graph[folder]))


def reduced(graph: Graph) -> Graph:
    """The graph without arrows that follow from two others."""
    return {
        folder: targets - set().union(*(reached(target, graph) for target in targets))
        for folder, targets in graph.items()
    }


def places(graph: Graph) -> dict[str, tuple[float, float]]:
    """Folder -> centre of its box. The row is the longest path of imports; in a row, boxes are near what they import."""

    def level(folder: str) -> int:
        return max((level(target) + 1 for target in graph[folder]), default=0)

    rows: dict[int, list[str]] = {}
    for folder in sorted(graph):
        rows.setdefault(level(folder), []).append(folder)
    found: dict[str, tuple[float, float]] = {}
    for number in sorted(rows):

        def pull(folder: str) -> float:
            xs = [found[target][0] for target in graph[folder]]
            return sum(xs) / len(xs) if xs else 0.0

        ordered = sorted(rows[number], key=pull)
        middle = sum(map(pull, ordered)) / len(ordered)
        for place, folder in enumerate(ordered):
            found[folder] = (middle + (place - (len(ordered) - 1) / 2) * COLUMN, number * ROW)
    return found


def draw_box(axes: Axes, folder: str, centre: tuple[float, float]) -> None:
    x, y = centre
    box = FancyBboxPatch(
        (x - WIDTH / 2, y - HEIGHT / 2),
        WIDTH,
        HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=COLORS[folder.split(".")[0]],
        edgecolor=INK,
        zorder=2,
    )
    axes.add_patch(box)
    name = folder.replace(".", "/") + "/"
    axes.text(x, y + 0.12, name, ha="center", va="center", fontsize=9, weight="bold", color=INK)
    axes.text(x, y - 0.14, PURPOSE.get(folder, ""), ha="center", va="center", fontsize=7.5, color=INK)


def draw(axes: Axes, graph: Graph) -> None:
    centres = places(graph)
    for folder, targets in graph.items():
        for target in targets:
            (x0, y0), (x1, y1) = centres[folder], centres[target]
            is_long = y0 - y1 > 1.5 * ROW  # crosses other rows: bent, dashed and behind their boxes
            arrow = FancyArrowPatch(
                (x0, y0 - HEIGHT / 2),
                (x1, y1 + HEIGHT / 2),
                arrowstyle="-|>",
                mutation_scale=11,
                color=MUTED,
                linewidth=1.1,
                linestyle="--" if is_long else "-",
                connectionstyle=f"arc3,rad={0.12 if is_long else 0}",
                shrinkA=0,
                shrinkB=0,
                zorder=1,
            )
            axes.add_patch(arrow)
    for folder, centre in centres.items():
        draw_box(axes, folder, centre)
    xs, ys = zip(*centres.values(), strict=True)
    axes.set(xlim=(min(xs) - WIDTH / 2 - 0.1, max(xs) + WIDTH / 2 + 0.1), ylim=(min(ys) - 0.5, max(ys) + 0.5))
    axes.set_axis_off()
    axes.set_aspect("equal")


def described(graph: Graph) -> str:
    """The graph as JSON, always the same for the same graph."""
    return json.dumps({folder: sorted(targets) for folder, targets in sorted(graph.items())})


def main() -> None:
    small = reduced(imports())
    xs, ys = zip(*places(small).values(), strict=True)
    figure, axes = plt.subplots(figsize=(max(xs) - min(xs) + WIDTH, max(ys) + ROW))
    draw(axes, small)
    target = Path(__file__).with_name("architecture.png")
    figure.savefig(
        target,
        dpi=100,
        bbox_inches="tight",
        facecolor="white",
        metadata={"Software": None, "Description": described(small)},
    )
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
