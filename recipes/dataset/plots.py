# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Plots of a data set: who is in it, what was measured, what is said."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .schema import SPLITS

_COLOURS = {"train": "#3b6ea5", "validation": "#e0a030", "test": "#b0413e"}
_INK, _TOP = "#404040", 20
_INTERVALS = {"pr_interval": "PR", "qrs_duration": "QRS", "qt_interval": "QT", "qtc_bazett": "QTc (Bazett)"}


def draw_plots(collected: Mapping[str, list[Any]], statistics: Mapping[str, Any]) -> dict[str, Figure]:
    """Name -> figure, see `report.PLOTS`."""
    return {
        "records": _records(statistics),
        "heart_rate": _by_split(collected, collected["heart_rate"], "heart rate, beats per minute", (20, 220)),
        "intervals": _intervals(collected),
        "labels": _labels(statistics),
        "patients": _patients(collected),
        "answers": _answers(collected),
    }


def _axes(width: float = 6.4, height: float = 3.6, columns: int = 1) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(1, columns, number + 1) for number in range(columns)]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _records(statistics: Mapping[str, Any]) -> Figure:
    sources = statistics["rows_by_source_and_split"]
    figure, (axis,) = _axes(height=1.4 + 0.35 * max(len(sources), 1))
    names, left = list(sources), np.zeros(len(sources))
    for split in SPLITS:
        counts = np.array([sources[name].get(split, 0) for name in names], dtype=float)
        if counts.any():
            axis.barh(names, counts, left=left, color=_COLOURS[split], label=split)
            left += counts
    axis.set_xlabel("records")
    axis.invert_yaxis()
    _legend_above(figure, axis)
    return figure


def _by_split(
    collected: Mapping[str, list[Any]], values: list[Any], label: str, limits: tuple[float, float]
) -> Figure:
    figure, (axis,) = _axes()
    _histogram(axis, collected["split"], values, np.linspace(*limits, 41))
    axis.set_xlabel(label)
    axis.set_ylabel("records")
    _legend_above(figure, axis)
    return figure


def _histogram(axis: Any, splits: list[str], values: list[Any], bins: np.ndarray) -> None:
    groups = {
        split: [v for v, s in zip(values, splits, strict=True) if s == split and v is not None] for split in SPLITS
    }
    shown = {split: np.clip(found, bins[0], bins[-1]) for split, found in groups.items() if found}
    if shown:
        colours = [_COLOURS[split] for split in shown]
        axis.hist(list(shown.values()), bins=bins, stacked=True, color=colours, label=list(shown))


def _legend_above(figure: Figure, axis: Any) -> None:
    """One legend for the figure, where it hides nothing."""
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper center", ncols=len(SPLITS), frameon=False)


def _intervals(collected: Mapping[str, list[Any]]) -> Figure:
    figure, axes = _axes(9.6, 3.0, len(_INTERVALS))
    limits = {"pr_interval": (60, 320), "qrs_duration": (40, 220), "qt_interval": (240, 560), "qtc_bazett": (300, 600)}
    for axis, (name, label) in zip(axes, _INTERVALS.items(), strict=True):
        _histogram(axis, collected["split"], collected[name], np.linspace(*limits[name], 31))
        axis.set_xlabel(f"{label}, ms")
    axes[0].set_ylabel("records")
    _legend_above(figure, axes[0])
    return figure


def _labels(statistics: Mapping[str, Any]) -> Figure:
    labels = list(statistics["labels"].items())[:_TOP]
    figure, (axis,) = _axes(7.2, 1.2 + 0.24 * max(len(labels), 1))
    axis.barh([name for name, _ in labels], [count for _, count in labels], color=_COLOURS["train"])
    axis.invert_yaxis()
    axis.set_xlabel("records with this label")
    axis.tick_params(axis="y", labelsize=8)
    return figure


def _patients(collected: Mapping[str, list[Any]]) -> Figure:
    figure, (ages, counts) = _axes(9.6, 3.2, 2)
    _histogram(ages, collected["split"], collected["age"], np.arange(0, 96, 5))
    ages.set_xlabel("age, years (90: above 89)")
    ages.set_ylabel("records")
    _legend_above(figure, ages)
    per_patient = Counter(Counter(collected["patient"]).values())
    highest = 10
    heights = [sum(c for n, c in per_patient.items() if min(n, highest) == k) for k in range(1, highest + 1)]
    counts.bar(range(1, highest + 1), heights, color=_INK)
    counts.set_xticks(range(1, highest + 1), [*map(str, range(1, highest)), f"{highest}+"])
    if sum(heights):
        counts.set_yscale("log")
    counts.set_xlabel("records per patient")
    counts.set_ylabel("patients")
    return figure


def _answers(collected: Mapping[str, list[Any]]) -> Figure:
    words = collected["words"]
    longest = max((count for count in words if count is not None), default=1)
    return _by_split(collected, words, "words per answer", (0, max(longest, 10)))


__all__ = ["draw_plots"]
