# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A picture of the measurements: every lead with its P, QRS and T in colour and the values beside it."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .ecg_record import EcgRecord
from .errors_gem import EcgLeadError
from .extras_gem import require

if TYPE_CHECKING:
    from .ecg_features import EcgFeatures

COLOURS = {"P": "#2a9d5c", "QRS": "#c1272d", "T": "#2b5fb3"}
GRID_COLOUR = "#f2c9c9"
ROW_MV, TEXT_X = 2.0, 1.01  # a multiple of the grid, so that every lead rests on a line


def plot_features(
    features: "EcgFeatures",
    record: EcgRecord,
    path: str | os.PathLike | None = None,
    *,
    leads: Sequence[str] | None = None,
    start: float = 0.0,
    seconds: float | None = None,
) -> Any:
    """Draws the leads one below the other: waves in colour from onset to offset, peaks dotted, median beats on the right.

    Args:
        features: the measurements of `record`.
        record: the ECG.
        path: file to write (PNG, PDF or SVG, by its suffix); without it the figure is only returned.
        leads: leads to draw; all by default.
        start: beginning of the part to draw, s.
        seconds: its length, s; to the end by default.

    Returns:
        The matplotlib figure.

    Raises:
        EcgLeadError: a lead was not measured, or `record` has other leads than `features`.
        MissingDependencyError: matplotlib is not installed.
    """
    figure_canvas = require("matplotlib.backends.backend_agg", "Plotting").FigureCanvasAgg
    figure_type = require("matplotlib.figure", "Plotting").Figure
    names = tuple(leads or features.leads)
    unknown = [lead for lead in names if lead not in features.leads or lead not in record.leads]
    if unknown:
        raise EcgLeadError(f"{record.name}: lead(s) {unknown} are not in both the record and its measurements.")
    stop = min(record.duration, start + seconds) if seconds else record.duration
    figure = figure_type(figsize=(max(8, 1.6 * (stop - start)), 0.9 * len(names) + 1), layout="constrained")
    figure_canvas(figure)
    axes = figure.add_subplot()
    for row, lead in enumerate(names):
        _draw_lead(axes, features, record, lead, -row * ROW_MV, (start, stop))
    axes.set_xlim(start, stop)
    axes.set_ylim(-(len(names) - 0.4) * ROW_MV, ROW_MV)
    _draw_grid(axes, (start, stop), len(names))
    axes.set_xlabel("s; a square is 0.2 s and 0.5 mV")
    axes.set_title(_title(features), fontsize=10, loc="left")
    for edge in ("top", "right", "left"):
        axes.spines[edge].set_visible(False)
    if path is not None:
        figure.savefig(path, dpi=110, format=Path(path).suffix.removeprefix(".") or "png")
    return figure


def _draw_grid(axes: Any, span: tuple[float, float], rows: int) -> None:
    """Squares of 0.2 s and 0.5 mV, as on paper."""
    axes.set_xticks(np.arange(math.ceil(span[0]), span[1] + 1e-9, 1.0))
    axes.set_xticks(np.arange(math.ceil(span[0] / 0.2) * 0.2, span[1] + 1e-9, 0.2), minor=True)
    axes.set_yticks([])
    axes.set_yticks(np.arange(-math.floor(rows * ROW_MV / 0.5) * 0.5, ROW_MV, 0.5), minor=True)
    axes.grid(which="both", color=GRID_COLOUR, linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    axes.set_axisbelow(True)


def _draw_lead(
    axes: Any, features: "EcgFeatures", record: EcgRecord, lead: str, offset: float, span: tuple[float, float]
) -> None:
    signal = record.lead(lead).astype(np.float64)
    finite = signal[np.isfinite(signal)]
    signal = np.clip(signal - (np.median(finite) if len(finite) else 0), -0.75 * ROW_MV, 0.75 * ROW_MV) + offset
    time = np.arange(len(signal)) / record.sampling_rate
    axes.plot(time, signal, color="#333333", linewidth=0.7)
    row = features.leads.index(lead)
    for wave, colour in COLOURS.items():
        for onset, peak, end in features.waves[wave][row]:
            if math.isfinite(onset + end) and onset < span[1] and end > span[0]:
                inside = (time >= onset) & (time <= end)
                axes.plot(time[inside], signal[inside], color=colour, linewidth=1.4)
                at = min(max(round(peak * record.sampling_rate), 0), len(signal) - 1)
                axes.plot(time[at], signal[at], ".", color=colour, markersize=3)
    axes.text(span[0], offset + 0.45, lead, fontsize=9, weight="bold")
    axes.text(TEXT_X, offset, _values(features, row), fontsize=7, va="center", transform=axes.get_yaxis_transform())


def _values(features: "EcgFeatures", row: int) -> str:
    def median(name: str) -> float:
        values = features.sequences[name][row]
        finite = values[np.isfinite(values)]
        return float(np.median(finite)) if len(finite) else math.nan

    level = float(features.lead_values["st_j60"][row])
    times = [_named(short, median(name)) for short, name in (("PR", "PR Interval"), ("QRS", "QRS Duration"))]
    heights = [_named("T", median("T Amplitude"), "+z.2f"), _named("ST", level, "+z.2f")]
    return f"{'  '.join([*times, _named('QT', median('QT Interval'))])} ms\n{'  '.join(heights)} mV"


def _named(name: str, value: float, form: str = ".0f") -> str:
    """`PR 129`, or a dash where there is no value."""
    return f"{name} {value:{form}}" if math.isfinite(value) else f"{name} -"


def _title(features: "EcgFeatures") -> str:
    name = features.record_id or "ECG"
    if features.plausibility.verdict != "ok":
        name = f"{name} ({features.plausibility.verdict})"
    if not len(features.beat_times):
        return f"{name}: {features.note}"
    intervals = [
        _named(short, value)
        for short, value in (
            ("PR", features.pr_interval),
            ("QRS", features.qrs_duration),
            ("QT", features.qt_interval),
            ("QTc", features.qtc_bazett),
        )
    ]
    return (
        f"{name}: {_named('rate', features.heart_rate)}/min, {features.rhythm_regularity or 'rhythm -'}, "
        f"{', '.join(intervals)} ms, {_named('axis', features.qrs_axis)} deg"
    )


__all__ = ["plot_features"]
