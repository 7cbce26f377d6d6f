# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem features`: what a cardiologist would measure, of a record or a folder."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from recipes.console import errors, say_failed

from .records import for_each_record


def features(
    source: Annotated[Path, typer.Argument(help="An ECG file, or a folder of them.")],
    sampling_rate: Annotated[float | None, typer.Option(help="Hz, for files that do not say.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the full measurements, one JSON object per record.")
    ] = False,
    max_tokens: Annotated[int, typer.Option(help="Budget of the printed text.")] = 1200,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the waves that were found (PNG, PDF, SVG); a folder when SOURCE is one.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="JSON Lines file for a folder: all cores, goes on where it was stopped.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes with --output. Default: one per core.")] = None,
    compat: Annotated[
        str | None, typer.Option(help="featuredb: the 14 sequences by FeatureDB's definitions (QT from QRS end).")
    ] = None,
) -> None:
    """Measure intervals, axis, ST, waves: 14 sequences per lead and beat, and the record as a whole.

    \b
    gem features record.hea --plot waves.png
    gem features records/ --output features.jsonl --workers 4
    """
    from processing.ecg_features import extract_features
    from processing.ecg_readers import load_ecg

    if output is not None:
        _measure_all(source, output, sampling_rate, workers, compat)
        return

    def measure(path: Path) -> None:
        record = load_ecg(path, sampling_rate=sampling_rate)
        measured = extract_features(record, compat=compat)
        if plot is not None:
            target = plot / path.relative_to(source).with_suffix(".png") if source.is_dir() else plot
            target.parent.mkdir(parents=True, exist_ok=True)
            measured.plot(record, str(target))
        if as_json:
            values: dict[str, Any] = measured.to_dict(full=True)
            values["record"]["path"] = str(path)
            print(json.dumps(values, ensure_ascii=False))
        else:
            print(f"{path}\n{measured.to_text(max_tokens)}")

    for_each_record(source, measure, quiet=as_json)


def _measure_all(
    source: Path, output: Path, sampling_rate: float | None, workers: int | None, compat: str | None
) -> None:
    from processing.ecg_features_batch import extract_features_batch

    columns = (TextColumn("records"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors) as progress:
        task = progress.add_task("records", total=None)
        report = extract_features_batch(
            source if source.is_dir() else [source],
            output,
            workers=workers,
            compat=compat,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
            load_kwargs={"sampling_rate": sampling_rate} if sampling_rate else None,
        )
    errors.print(f"{report} -> {output}")
    for record, reason in report.failed.items():
        say_failed("failed", f"{record}: {reason}")
    if report.failed:
        raise typer.Exit(1)
