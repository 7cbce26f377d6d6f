# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""One evaluation run as files: JSON for programs, Markdown and plots for people, a metrics block for the model's card."""

import importlib.metadata
import json
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from huggingface_hub import ModelCardData

from recipes.files import atomic_write, write_json
from recipes.scores import ScoreTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PACKAGES = ("gem-ecg", "torch", "transformers", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Bars:
    """A plot: label -> value, with intervals where there are any; `limits` of the value axis."""

    title: str
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    limits: tuple[float, float] = (0, 100)
    unit: str = ""


@dataclass(frozen=True)
class Curves:
    """A plot of lines in the unit square, each with its name; the diagonal is chance."""

    title: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    axes: tuple[str, str]


@dataclass(frozen=True, eq=False)
class BlandAltman:
    """A plot of differences over means, both `(pairs,)` in `unit`, with bias and limits of agreement (Bland and Altman 1986)."""

    title: str
    means: np.ndarray
    differences: np.ndarray
    unit: str


Plot = Bars | Curves | BlandAltman


@dataclass
class EvaluationReport:
    """
    What an evaluation found: its tables, settings and problems.

    Attributes:
        title: of the run. tables: the scores. notes: sentences that belong under them.
        model, data, judge: what was evaluated, on what, by whom; see `describe_model`, `describe_data`.
        problems: descriptions of all problems.
        details: further values for the JSON.
        plots: file name (without suffix) -> plot.
    """

    title: str
    tables: list[ScoreTable]
    data: "DataFacts"
    model: Mapping[str, str | None] | None = None
    judge: Mapping[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    details: Mapping[str, Any] = field(default_factory=dict)
    plots: Mapping[str, Plot] = field(default_factory=dict)


def write_report(folder: str | Path, report: EvaluationReport, command: Sequence[str] | None = None) -> Path:
    """
    Writes `report.json`, `report.md`, one PNG per plot, and `card_metrics.yml`, the `model-index` of a model card. The same run gives
    the same bytes, interrupted or not; only `run.json` has the time when it finished.

    Args:
        folder: where to write.
        report: the scores, tables and plots.
        command: the command that was run; this process's own command line if not given.

    Returns:
        The path of `report.md`.
    """
    folder = Path(folder)
    run = run_facts(command)
    facts = {
        "title": report.title,
        **run,
        "model": report.model,
        "data": report.data,
        "judge": report.judge,
        "tables": [table.to_dict() for table in report.tables],
        "notes": report.notes,
        "problems": report.problems,
        "details": report.details,
    }
    for name, plot in report.plots.items():
        atomic_write(folder / f"{name}.png", _png(plot))
    write_json(folder / "report.json", _plain(facts), indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write(folder / "card_metrics.yml", card_metrics(report) + "\n")
    atomic_write(folder / "report.md", _markdown(report, run))
    write_json(folder / "run.json", {"finished": datetime.now(UTC).isoformat(timespec="seconds")})
    return folder / "report.md"


class RunFacts(TypedDict):
    """A part of `report.json`: the command, commit and versions."""

    command: str
    commit: str | None
    versions: dict[str, str]


def run_facts(command: Sequence[str] | None = None) -> RunFacts:
    """Command, commit and versions of this run."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    words = list(command or [Path(sys.argv[0]).name, *sys.argv[1:]])
    return {
        "command": shlex.join(words),
        "commit": commit(),
        "versions": versions,
    }


def commit() -> str | None:
    """The commit of this code, with `-dirty` if it was changed since; `None` outside of a repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return described.stdout.strip() or None


def describe_model(model: str | None) -> dict[str, str | None] | None:
    """Name and identity: SHA-256 over the weights of a folder, the revision of a Hub id."""
    if not model:
        return None
    folder = Path(model)
    if folder.is_dir():
        digest = sha256()
        for path in sorted(folder.glob("*.safetensors")):
            with path.open("rb") as file:
                digest.update(file_digest(file, "sha256").digest())
        # Local paths are not published.
        return {"name": folder.resolve().name, "weights_sha256": digest.hexdigest()}
    from transformers import AutoConfig

    import modeling_gem  # noqa: F401  (registers GEM)

    return {"name": model, "revision": getattr(AutoConfig.from_pretrained(model), "_commit_hash", None)}


class DataFacts(TypedDict):
    """A part of `report.json`: the data."""

    name: str
    rows: int
    sha256: str


def describe_data(name: str, rows: Iterable[Any]) -> DataFacts:
    """Name, number of rows and SHA-256 over `rows` (ids with questions and gold answers, as JSON)."""
    digest, count = sha256(), 0
    for row in rows:
        digest.update(json.dumps(row, ensure_ascii=False, default=str).encode() + b"\n")
        count += 1
    return {"name": name, "rows": count, "sha256": digest.hexdigest()}


def card_metrics(report: EvaluationReport) -> str:
    """YAML with the `model-index` of the scores, to go into the front matter of a model card."""
    results = [result for table in report.tables for result in table.eval_results()]
    if not results:
        return "{}"
    name = str((report.model or {}).get("name", "model"))
    return ModelCardData(model_name=name, eval_results=results).to_yaml(line_break="\n")


def _plain(value: Any) -> Any:
    """NaN and infinity have no JSON; NumPy's numbers are no Python ones."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _markdown(report: EvaluationReport, run: RunFacts) -> str:
    lines = [f"# {report.title}", ""]
    for table in report.tables:
        lines += [f"## {table.title}", "", f"{table.dataset}, {table.split}: {table.records} records.", ""]
        lines += [table.markdown(), "", *([table.note, ""] if table.note else [])]
    lines += [f"![{plot.title}]({name}.png)\n" for name, plot in report.plots.items()]
    lines += [*(f"{note}\n" for note in report.notes)]
    lines += [
        f"## Problems ({len(report.problems)})",
        "",
        *(f"- {problem}" for problem in report.problems or ["none"]),
        "",
    ]
    lines += ["## How", "", f"    {run['command']}", ""]
    facts = {"model": report.model, "data": report.data, "judge": report.judge}
    lines += [f"- {name}: {_listed(value)}" for name, value in facts.items() if value]
    lines += [f"- commit: {run['commit']}", f"- {_listed(run['versions'])}", ""]
    return "\n".join(lines)


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _png(plot: Plot) -> bytes:
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (7, 0.9 + 0.38 * len(plot.values)) if isinstance(plot, Bars) else (5, 5)
    figure = Figure(figsize=(7, 4.2) if isinstance(plot, BlandAltman) else size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    if isinstance(plot, Bars):
        _draw_bars(axes, plot)
    elif isinstance(plot, Curves):
        _draw_curves(axes, plot)
    else:
        _draw_differences(axes, plot)
    axes.set_title(plot.title, fontsize=11, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()


def _draw_bars(axes: "Axes", plot: Bars) -> None:
    names = [name for name, value in plot.values.items() if value is not None and math.isfinite(value)]
    values = [plot.values[name] for name in names]
    axes.barh(names, values, color="#4c72b0", height=0.62)
    for row, name in enumerate(names):
        low, high = plot.intervals.get(name, (math.nan, math.nan))
        end = values[row]
        if math.isfinite(low):
            axes.plot([low, high], [row, row], color="black", linewidth=1.2)
            end = max(end, high)
        axes.annotate(
            f"{values[row]:.3g}", (end, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9
        )
    axes.invert_yaxis()
    low, high = plot.limits
    axes.set_xlim(low, high + 0.08 * (high - low))
    axes.set_xlabel(plot.unit)


def _draw_curves(axes: "Axes", plot: Curves) -> None:
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1, linestyle="--")
    for name, (x, y) in plot.lines.items():
        axes.plot(x, y, label=name, linewidth=1.6)
    axes.set_xlabel(plot.axes[0])
    axes.set_ylabel(plot.axes[1])
    axes.set_aspect("equal")
    axes.legend(fontsize=8, frameon=False, loc="lower right")


def _draw_differences(axes: "Axes", plot: BlandAltman) -> None:
    size = 14 if len(plot.means) < 200 else 4
    axes.scatter(plot.means, plot.differences, s=size, color="#4c72b0", alpha=0.6, linewidths=0)
    bias = float(plot.differences.mean())
    reach = 1.96 * float(plot.differences.std(ddof=1)) if len(plot.means) > 1 else math.nan
    for level, style in ((bias, "-"), (bias - reach, "--"), (bias + reach, "--")):
        if math.isfinite(level):
            axes.axhline(level, color="black", linewidth=1, linestyle=style)
            axes.annotate(
                f"{level:.3g}", (1, level), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
                va="center", fontsize=9,
            )  # fmt: skip
    axes.axhline(0, color="#bbbbbb", linewidth=0.8)
    axes.set_xlabel(f"mean of both, {plot.unit} ({len(plot.means)} pairs)")
    axes.set_ylabel(f"difference, {plot.unit}")


def main_process() -> bool:
    """Whether this is the process that writes reports (`accelerate launch` starts several)."""
    return os.environ.get("RANK", "0") == "0"


__all__ = [
    "Bars",
    "BlandAltman",
    "Curves",
    "EvaluationReport",
    "describe_data",
    "describe_model",
    "main_process",
    "write_report",
]
