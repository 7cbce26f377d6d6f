# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The report of a build: rejects with their reasons and statistics of the rows, as JSON, Markdown and plots."""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

import numpy as np
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from recipes.files import json_lines
from recipes.sources import Rejection
from recipes.sources.source_record import REJECTED_FOR

from .plan import BuildPlan
from .schema import SPLITS, Split
from .settings import BuildSettings
from .shards import ShardNote, atomic_file

REPORT_JSON, REPORT_MARKDOWN, REJECTS = "report.json", "report.md", "rejects.jsonl"
REJECTS_IN_FULL = ".build/rejects.jsonl"
PLOTS = ("records", "heart_rate", "intervals", "labels", "patients", "answers")
_COLUMNS = ["source", "split", "patient", "sex", "age", "labels", "messages", "teacher", "features", "sampling_rate"]
# Measures of the whole record whose distribution shows whether a build went wrong.
Measure = Literal["heart_rate", "pr_interval", "qrs_duration", "qt_interval", "qtc_bazett"]
_MEASURES: tuple[Measure, ...] = get_args(Measure)
Summarised = Literal["age", "answer_words", Measure]
_SUMMARISED: tuple[Summarised, ...] = ("age", *_MEASURES, "answer_words")
Counts = dict[str, int]
# How values are spread: `count`, and unless nothing was stated the five percentiles.
Summary = dict[str, float]


class BuildStatistics(TypedDict):
    """The content of `report.json`."""

    rows: int
    bytes: int
    bytes_per_row: int
    rejected: int
    rejected_by_stage: Counts
    rows_by_source: Counts
    rows_by_split: Counts
    rows_by_source_and_split: dict[str, Counts]
    patients: int
    patients_by_split: Counts
    patients_in_several_published_splits: int
    sex: Counts
    age: Summary
    sampling_rates: Counts
    labels: Counts
    without_labels: int
    teachers: Counts
    rows_without_conversation: int
    rows_without_heartbeats: int
    answer_words: Summary
    distinct_answers: int
    heart_rate: Summary
    pr_interval: Summary
    qrs_duration: Summary
    qt_interval: Summary
    qtc_bazett: Summary


def write_report(
    plan: BuildPlan, notes: Sequence[ShardNote], settings: BuildSettings
) -> tuple[BuildStatistics, list[Rejection]]:
    """Writes `report.json`, `report.md`, `rejects.jsonl` and `plots/`, none of which quotes a file, and for this machine alone the
    reasons in full. Returns the content of `report.json`, and the rejections."""
    rejections = [*plan.rejections, *(rejection for note in notes for rejection in note.rejections)]
    collected = _collect(settings.folder / note.file for note in notes if note.rows)
    statistics = _statistics(collected, rejections, plan, notes)
    with atomic_file(settings.folder / REPORT_JSON) as file:
        file.write(json.dumps(statistics, indent=2, ensure_ascii=False).encode())
    with atomic_file(settings.folder / REJECTS) as file:
        file.write(json_lines(rejection.published() for rejection in rejections).encode())
    with atomic_file(settings.folder / REJECTS_IN_FULL) as file:
        file.write(json_lines(map(asdict, rejections)).encode())
    with atomic_file(settings.folder / REPORT_MARKDOWN) as file:
        file.write(markdown(statistics, rejections).encode())
    _plot(collected, statistics, settings.folder / "plots")
    return statistics, rejections


def _collect(files: Iterable[Path]) -> dict[str, list[Any]]:
    """What the statistics need of every row, in little memory; signals and pictures are not read."""
    collected: dict[str, list[Any]] = {}
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(columns=_COLUMNS, batch_size=256):
            for row in batch.to_pylist():
                for name, value in _facts(row).items():
                    collected.setdefault(name, []).append(value)
    return collected or {name: [] for name in _facts(dict.fromkeys(_COLUMNS))}


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    record = json.loads(row["features"])["record"] if row["features"] else {}
    messages = row["messages"] or ()
    answer = next((m["content"] for m in reversed(messages) if m["role"] == "assistant"), "")
    return {
        **{name: row[name] for name in ("source", "split", "patient", "sex", "age", "sampling_rate")},
        **{name: record.get(name) for name in _MEASURES},
        "beats": bool(record.get("beat_times")),
        "labels": tuple(sorted({sys.intern(label["text"]) for label in row["labels"] or ()})),
        "teacher": (row["teacher"] or {}).get("name") or "none",
        "turns": len(messages),
        "words": len(answer.split()) or None,
        "answer": hashlib.sha256(answer.encode()).digest()[:8] if answer else None,
    }


def _statistics(
    collected: Mapping[str, list[Any]],
    rejections: Sequence[Rejection],
    plan: BuildPlan,
    notes: Sequence[ShardNote],
) -> BuildStatistics:
    rows = len(collected["source"])
    return {
        "rows": rows,
        "bytes": sum(note.bytes for note in notes),
        "bytes_per_row": round(sum(note.bytes for note in notes) / max(rows, 1)),
        "rejected": len(rejections),
        "rejected_by_stage": dict(sorted(Counter(r.stage for r in rejections).items())),
        "rows_by_source": _counted(collected["source"]),
        "rows_by_split": _counted(collected["split"]),
        "rows_by_source_and_split": {
            source: _counted(s for o, s in zip(collected["source"], collected["split"], strict=True) if o == source)
            for source in sorted(set(collected["source"]))
        },
        "patients": len(set(collected["patient"])),
        "patients_by_split": {
            split: len({p for p, s in zip(collected["patient"], collected["split"], strict=True) if s == split})
            for split in sorted(set(collected["split"]))
        },
        "patients_in_several_published_splits": plan.patients_in_several_splits,
        "sex": _counted(sex or "not stated" for sex in collected["sex"]),
        "age": _summary(collected["age"]),
        "sampling_rates": _counted(f"{rate:g} Hz" for rate in collected["sampling_rate"]),
        "labels": dict(Counter(text for texts in collected["labels"] for text in texts).most_common(100)),
        "without_labels": sum(not labels for labels in collected["labels"]),
        "teachers": _counted(collected["teacher"]),
        "rows_without_conversation": sum(not turns for turns in collected["turns"]),
        "rows_without_heartbeats": sum(not found for found in collected["beats"]),
        "answer_words": _summary(collected["words"]),
        "distinct_answers": len(set(filter(None, collected["answer"]))),
        "heart_rate": _summary(collected["heart_rate"]),
        "pr_interval": _summary(collected["pr_interval"]),
        "qrs_duration": _summary(collected["qrs_duration"]),
        "qt_interval": _summary(collected["qt_interval"]),
        "qtc_bazett": _summary(collected["qtc_bazett"]),
    }


def _counted(values: Iterable[str]) -> Counts:
    return dict(sorted(Counter(values).items()))


def _summary(values: Sequence[float | None]) -> Summary:
    """Count and percentiles; empty where nothing was stated."""
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if not len(known):
        return {"count": 0}
    points = np.percentile(known, [0, 5, 50, 95, 100])
    names = ("minimum", "5 %", "median", "95 %", "maximum")
    return {"count": len(known), **{name: round(float(p), 1) for name, p in zip(names, points, strict=True)}}


def markdown(statistics: BuildStatistics, rejections: Sequence[Rejection]) -> str:
    """The report for people: counts, distributions, plots, and how many records were left out for which reason."""
    lines = ["# Build report", "", f"{statistics['rows']:,} rows of {statistics['patients']:,} patients, "]
    lines[-1] += f"{statistics['bytes'] / 1e6:.1f} MB ({statistics['bytes_per_row']:,} bytes per row); "
    lines[-1] += f"{statistics['rejected']:,} records rejected."
    lines += ["", "| source | train | validation | test |", "|---|---:|---:|---:|"]
    for source, splits in statistics["rows_by_source_and_split"].items():
        lines.append(f"| {source} | " + " | ".join(f"{splits.get(s, 0):,}" for s in SPLITS) + " |")
    lines += ["", "| | count | 5 % | median | 95 % |", "|---|---:|---:|---:|---:|"]
    for name in _SUMMARISED:
        found = statistics[name]
        if found["count"]:
            lines.append(
                f"| {name.replace('_', ' ')} | {found['count']:,} | {found['5 %']:g} | {found['median']:g} | {found['95 %']:g} |"
            )
    lines += ["", "| label | rows |", "|---|---:|"]
    lines += [f"| {label} | {count:,} |" for label, count in list(statistics["labels"].items())[:30]]
    lines += ["", *(f"![{name.replace('_', ' ')}](plots/{name}.png)" for name in PLOTS)]
    lines += ["", "## Rejected", ""]
    counted = Counter((rejection.stage, rejection.code) for rejection in rejections)
    for (stage, code), count in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
        lines.append(f"- {stage}, {count:,}: {REJECTED_FOR[code]} (`{code}`)")
    if not rejections:
        lines.append("None.")
    lines += ["", f"All of them are in {REJECTS}; who built this has the reasons in full in {REJECTS_IN_FULL}."]
    return "\n".join(lines) + "\n"


def _plot(collected: Mapping[str, list[Any]], statistics: BuildStatistics, folder: Path) -> None:
    for name, figure in draw_plots(collected, statistics).items():
        with atomic_file(folder / f"{name}.png") as file:
            # Without the date and library version that matplotlib writes, the same rows give the same bytes.
            figure.savefig(file, format="png", dpi=100, metadata={"Software": None})


_COLOURS: dict[Split, str] = {"train": "#3b6ea5", "validation": "#e0a030", "test": "#b0413e"}
_INK, _TOP = "#404040", 20
_INTERVALS = {"pr_interval": "PR", "qrs_duration": "QRS", "qt_interval": "QT", "qtc_bazett": "QTc (Bazett)"}


def draw_plots(collected: Mapping[str, list[Any]], statistics: BuildStatistics) -> dict[str, Figure]:
    """Name -> figure, see `report.PLOTS`."""
    return {
        "records": _records(statistics),
        "heart_rate": _by_split(collected, collected["heart_rate"], "heart rate, beats per minute", (20, 220)),
        "intervals": _intervals(collected),
        "labels": _labels(statistics),
        "patients": _patients(collected),
        "answers": _answers(collected),
    }


def _axes(width: float = 6.4, height: float = 3.6, columns: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(1, columns, number + 1) for number in range(columns)]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _records(statistics: BuildStatistics) -> Figure:
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


def _histogram(axis: Axes, splits: list[str], values: list[Any], bins: np.ndarray) -> None:
    groups = {
        split: [v for v, s in zip(values, splits, strict=True) if s == split and v is not None] for split in SPLITS
    }
    shown = {split: np.clip(found, bins[0], bins[-1]) for split, found in groups.items() if found}
    if shown:
        colours = [_COLOURS[split] for split in shown]
        axis.hist(list(shown.values()), bins=bins.tolist(), stacked=True, color=colours, label=list(shown))


def _legend_above(figure: Figure, axis: Axes) -> None:
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


def _labels(statistics: BuildStatistics) -> Figure:
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


__all__ = [
    "REJECTS",
    "REJECTS_IN_FULL",
    "REPORT_JSON",
    "REPORT_MARKDOWN",
    "BuildStatistics",
    "Summarised",
    "draw_plots",
    "markdown",
    "write_report",
]
