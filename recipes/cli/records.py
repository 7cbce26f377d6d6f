# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The verbs around records: inspect, render, features, check, and the evidence of `gem interpret`."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, track
from rich.table import Table
from rich.text import Text

from recipes.console import console, errors, say_failed
from recipes.files import atomic_path

if TYPE_CHECKING:
    from processing.ecg_record import EcgRecord
    from processing.grounding.check import GroundingReport


def for_each_record(source: Path, work: Callable[[Path], None], quiet: bool = False) -> None:
    """One record, or all of a folder with progress; in a folder failures are reported at the end, and exit code 1."""
    from processing.ecg_readers import list_ecg_files
    from processing.errors_gem import GemError

    if not source.is_dir():
        work(source)
        return
    failures = []
    paths = list_ecg_files(source)
    for path in track(paths, description="records", console=errors, disable=quiet):
        try:
            work(path)
        except GemError as error:
            failures.append(error)
    errors.print(f"{len(paths) - len(failures)} of {len(paths)} records done")
    for failure in failures:
        say_failed("failed", failure)
    if failures:
        raise typer.Exit(1)


def inspect(
    source: Annotated[Path, typer.Argument(help="An ECG file, or a folder of them.")],
    sampling_rate: Annotated[float | None, typer.Option(help="Hz, for files that do not say.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per record.")] = False,
) -> None:
    """Show leads, rate, units, quality and every change made while reading, of a record or a folder."""
    from processing.ecg_quality import inspect_record
    from processing.ecg_readers import load_ecg

    def show(path: Path) -> None:
        summary = inspect_record(load_ecg(path, sampling_rate=sampling_rate))
        print(json.dumps(summary, ensure_ascii=False)) if as_json else _print_summary(summary)

    for_each_record(source, show, quiet=as_json)


def render(
    source: Annotated[Path, typer.Argument(help="An ECG file, or a folder of them.")],
    output: Annotated[Path, typer.Argument(help="Picture to write (PNG, JPEG), or a folder when SOURCE is one.")],
    layout: Annotated[str, typer.Option(help="gem_12x1, 6x2, 3x4, 3x4+1, 3x4+3, 12x1 or square_12x1.")] = "3x4+1",
    sampling_rate: Annotated[float | None, typer.Option(help="Hz, for files that do not say.")] = None,
    speed: Annotated[float, typer.Option(help="Paper speed, mm/s.")] = 25,
    gain: Annotated[float, typer.Option(help="mm per mV.")] = 10,
) -> None:
    """Draw ECGs on paper, as a clinician or the model sees them."""
    from processing.ecg_page import render_ecg
    from processing.ecg_readers import load_ecg

    def draw(path: Path) -> None:
        target = output / path.relative_to(source).with_suffix(".png") if source.is_dir() else output
        target.parent.mkdir(parents=True, exist_ok=True)
        record = load_ecg(path, sampling_rate=sampling_rate)
        render_ecg(record, layout=layout, speed=speed, gain=gain).save(target)

    for_each_record(source, draw)


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
    from recipes.dataset.feature_file import extract_features_batch

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


COLORS = {"supported": "green", "contradicted": "red", "not_measurable": "dim"}


def check(
    record: Annotated[Path, typer.Argument(help="An ECG file (WFDB, CSV, NPY, MAT, HDF5, EDF, DICOM, SCP, XML).")],
    text: Annotated[Path, typer.Option(help="File with the interpretation; - reads what is piped in.")],
    sampling_rate: Annotated[float | None, typer.Option(help="Hz, for files that do not say.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print scores, claims and evidence as one JSON object.")
    ] = False,
    strict: Annotated[bool, typer.Option(help="Exit with code 1 where a claim is contradicted.")] = False,
) -> None:
    """Check an interpretation against the waveform: each claim is supported, contradicted or not measurable.

    \b
    gem check record.hea --text report.txt
    gem interpret record.hea --json | jq -r .interpretation | gem check record.hea --text -
    """
    from processing.ecg_features import extract_features
    from processing.ecg_readers import load_ecg
    from processing.grounding.check import check_grounding

    words = _read(text)
    report = check_grounding(words, extract_features(load_ecg(record, sampling_rate=sampling_rate)))
    if as_json:
        print(json.dumps({"record": str(record), **report.to_dict()}, indent=2, ensure_ascii=False))
    else:
        _print_report(report)
    if strict and report.contradiction_rate > 0:
        raise typer.Exit(1)


def _read(text: Path) -> str:
    from processing.errors_gem import EcgFormatError

    try:
        words = sys.stdin.read() if str(text) == "-" else text.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise EcgFormatError(f"{text}: no UTF-8 text ({error}); save the interpretation as UTF-8.") from error
    if not words.strip():
        raise EcgFormatError(f"{text}: no text to check.")
    return words


def _print_report(report: "GroundingReport") -> None:
    table = Table()
    for column in ("verdict", "claim", "words", "what is measured"):
        table.add_column(column, overflow="fold")
    for checked in report.claims:
        verdict = Text(checked.verdict.replace("_", " "), style=COLORS[checked.verdict])
        words = " ".join(checked.claim.quote.split())
        table.add_row(verdict, checked.claim.kind.replace("_", " "), words, checked.explanation)
    console.print(table, soft_wrap=False)
    if not report.claims:
        console.print("The text makes no claim that could be checked.")
    for name in ("precision", "recall", "contradiction_rate", "hallucinated_lead_rate"):
        value = getattr(report, name)
        console.print(f"{name.replace('_', ' ')}: {'-' if math.isnan(value) else f'{value:.2f}'}")
    if report.missing:
        console.print(f"not mentioned: {'; '.join(finding.name for finding in report.missing)}")


PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
PAGES = (".html", ".htm")


def check_target(target: Path, modality: str) -> None:
    """Refuses what cannot end in evidence before the model is loaded.

    Raises:
        typer.BadParameter: an unknown suffix, or nothing measured to check against.
    """
    if target.suffix.lower() not in (*PICTURES, *PAGES):
        raise typer.BadParameter(f"{target}: name a .png, .jpg or .html file", param_hint="--evidence")
    if modality == "image":
        raise typer.BadParameter(
            "claims are checked against the signal; use --modality both or signal", param_hint="--evidence"
        )


def write_evidence(record: "EcgRecord | None", text: str, target: Path) -> "GroundingReport":
    """Checks `text` against `record` and writes the evidence, atomically; returns the `GroundingReport`.

    Raises:
        typer.BadParameter: the model saw a picture alone.
        GemError: the record cannot be drawn.
    """
    from processing.ecg_features import extract_features
    from processing.evidence.html import evidence_html
    from processing.evidence.picture import evidence_picture
    from processing.grounding.check import check_grounding

    if record is None:
        raise typer.BadParameter("a picture has no signal to check claims against", param_hint="--evidence")
    features = extract_features(record)
    report = check_grounding(text, features)
    with atomic_path(target) as part:
        if target.suffix.lower() in PAGES:
            part.write_text(evidence_html(record, features, report), encoding="utf-8")
        else:
            evidence_picture(record, features, report).save(part, format=PICTURES[target.suffix.lower()])
    return report


def counts(report: "GroundingReport") -> dict[str, int]:
    """How many claims have each verdict, by its name for readers."""
    from processing.evidence.picture import VERDICT_LOOKS

    return {look.word: report.count(verdict) for verdict, look in VERDICT_LOOKS.items()}


def _print_summary(summary: dict[str, Any]) -> None:
    for key, value in summary.items():
        if isinstance(value, dict) and value and all(isinstance(row, dict) for row in value.values()):
            table = Table(title=key, title_justify="left")
            columns = list(next(iter(value.values())))
            for column in ("lead", *columns):
                table.add_column(column.replace("_", " "), overflow="fold")
            for name, row in value.items():
                table.add_row(str(name), *(_short(row.get(column)) for column in columns))
            console.print(table, soft_wrap=False)
        elif isinstance(value, (list, tuple)) and key == "history":
            for change in value:
                console.print(f"  - {change}")
        else:
            console.print(Text.assemble((key, "bold"), f": {_short(value)}"))


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
