# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Scores as tables, which all evaluations pass to reports and cards, and which can be read back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult

TASK = "image-text-to-text"  # the Hub's name of what a GEM does
# The measures' identifiers on the Hub, by the word in a row of `recipes.embedded.scores`.
METRIC_TYPES = {"MAE": "mae", "F1": "f1", "accuracy": "accuracy", "AUC": "roc_auc"}


@dataclass(frozen=True)
class ScoreRow:
    """
    One measured quantity.

    Attributes:
        label: its name in the table, with its unit: "PR (ms), MAE".
        metric: the Hub's name of the measure, such as `mae`.
        values: column -> value; `None` or NaN where nothing was measured.
    """

    label: str
    metric: str
    values: Mapping[str, float | None]

    def value(self, column: str) -> float | None:
        """None where nothing was measured (a mean over no records is NaN)."""
        value = self.values.get(column)
        return None if value is None or math.isnan(value) else float(value)

    def shown(self, column: str) -> str:
        """The value with three significant digits; empty where nothing was measured."""
        value = self.value(column)
        return "" if value is None else f"{value:.3g}"


@dataclass(frozen=True)
class ScoreTable:
    """
    One evaluation.

    Attributes:
        title: heading of the table.
        dataset: name of the data set.
        split: the part of it, such as "fold 9".
        records: how many records were scored.
        columns: names of the columns, in order.
        rows: one for each measure.
        note: a sentence below the table.
        command: the command that makes it again.
        baselines: columns that are shown, but are no results of this model.
    """

    title: str
    dataset: str
    split: str
    records: int
    columns: list[str]
    rows: list[ScoreRow]
    note: str = ""
    command: str = ""
    baselines: tuple[str, ...] = ("blind", "zeroed", "another", "answers of other records")

    def markdown(self) -> str:
        """The values as a table of Markdown, one row per measure."""
        head = "| |" + "".join(f" {column} |" for column in self.columns)
        rule = "|---" * (len(self.columns) + 1) + "|"
        rows = (
            f"| {row.label} |" + "".join(f" {row.shown(column)} |" for column in self.columns) for row in self.rows
        )
        return "\n".join([head, rule, *rows])

    def to_dict(self) -> dict[str, Any]:
        """As `report.json` holds it and `evaluation_tables` reads it."""
        rows = [{"label": row.label, "metric": row.metric, **row.values} for row in self.rows]
        place = {"title": self.title, "dataset": self.dataset, "split": self.split, "records": self.records}
        return {**place, "rows": rows}

    def eval_results(self) -> list[EvalResult]:
        """The model's values for the card's metadata; the Hub shows them beside the card."""
        return [
            EvalResult(
                task_type=TASK,
                dataset_type=self.dataset.lower().replace(" ", "-"),
                dataset_name=self.dataset,
                dataset_split=self.split,
                metric_type=row.metric,
                metric_name=f"{row.label} ({column})",
                metric_value=round(value, 4),
            )
            for row in self.rows
            for column in self.columns
            if column not in self.baselines and (value := row.value(column)) is not None
        ]


def score_rows(scores: Mapping[str, Mapping[str, Any]]) -> list[ScoreRow]:
    """Errors and shares as rows with a value per view, and the blind baseline.

    Args:
        scores: view -> what `recipes.embedded.answer_scores.score` found in its answers; of all views the same scores.
    """
    rows = []
    for name, reference in next(iter(scores.values())).items():
        kind = next((kind for kind in ("MAE", "score") if isinstance(reference, dict) and kind in reference), None)
        if kind is None:
            continue
        values = {view: found[name][kind] for view, found in scores.items()}
        if "blind" in reference:
            values["blind"] = reference["blind"]
        label = f"{name}, MAE" if kind == "MAE" else name
        metric = next((identifier for word, identifier in METRIC_TYPES.items() if word in label), kind)
        rows.append(ScoreRow(label, metric, values))
    return rows


def scores_command(report: Mapping[str, Any]) -> str:
    """The command that wrote a report of `recipes.embedded.scores`, on all records of its fold."""
    return f"python -m recipes.embedded.scores --ptbxl PTBXL --fold {report['fold']} --output scores.json"


def ptbxl_scores(report: Mapping[str, Any]) -> ScoreTable:
    """The table of what `python -m recipes.embedded.scores` wrote: errors and shares by modality, and the blind baseline."""
    return ScoreTable(
        "interpretations against measurements and labels",
        "PTB-XL",
        f"fold {report['fold']}",
        report["records"],
        [*report["scores"], "blind"],
        score_rows(report["scores"]),
        note="Numbers are compared with gem-ecg's own measurements of the same records, words with the labels. *Blind* is "
        "what an answer gets that never looks: the median value, the most frequent rhythm, 'normal ECG'; *zeroed* what the model "
        "writes when its signal is a flat line, *another* when it sees the signal of another record. A row that is not "
        "clearly better than blind is a thing that the model does not see.",
        command=scores_command(report),
    )


def evaluation_tables(report: Mapping[str, Any], command: str | None = None) -> list[ScoreTable]:
    """The tables of a `report.json` that `gem eval` wrote, with its notes under the last one, and its command if none is given."""
    tables = []
    for number, table in enumerate(report["tables"], start=1):
        rows = [ScoreRow(row["label"], row["metric"], row) for row in table["rows"]]
        columns = list(dict.fromkeys(name for row in table["rows"] for name in row if name not in ("label", "metric")))
        note = " ".join(report["notes"]) if number == len(report["tables"]) else ""
        place = table["dataset"], table["split"], table["records"]
        tables.append(ScoreTable(table["title"].lower(), *place, columns, rows, note, command or report["command"]))
    return tables


__all__ = ["TASK", "ScoreRow", "ScoreTable", "evaluation_tables", "ptbxl_scores", "score_rows", "scores_command"]
