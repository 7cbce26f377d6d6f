# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The verbs around records: inspect, render, features, check, and the evidence of `gem interpret`."""

import dataclasses
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

from processing.ecg_page_layout import LAYOUTS
from processing.ecg_withheld import withheld_in_words
from recipes.console import console, errors, say_failed, say_left_out
from recipes.files import atomic_path
from recipes.record_options import (
    SUSPECT,
    RecordOptions,
    about,
    as_options,
    end_by,
    holds_false_numbers,
    keep_sources,
    say_assumed,
    say_verdict,
    with_record_options,
)

from .tables import print_features, print_summary

if TYPE_CHECKING:
    from PIL import Image

    from modeling_gem import Interpretation
    from processing.ecg_plausibility import Plausibility
    from processing.grounding.check import GroundingReport


COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def for_each_record(source: Path, work: Callable[[Path], "Plausibility"], quiet: bool = False) -> None:
    """One record, or all of a folder with progress; `work` gives the verdict on each.

    In a folder failures, suspect records and files that are no records are listed at the end.

    Raises:
        typer.Exit: with 1 where records of a folder failed, with 3 where one is suspect.
        GemError: the one record cannot be read, or is refused; or a folder holds no record.
    """
    from processing.errors_gem import EcgFormatError, GemError
    from processing.folders.listing import ecg_folder, left_out_in_words

    if not source.is_dir():
        end_by(work(source))
        return
    failures, suspects = [], []
    folder = ecg_folder(source)
    paths = folder.records
    if not paths:
        raise EcgFormatError(f"{source}: no ECG in it. {left_out_in_words(folder.left_out_in(source))}".rstrip())
    for path in track(paths, description="records", console=errors, disable=quiet):
        try:
            found = work(path)
        except GemError as error:
            failures.append(about(path, error))
            continue
        if holds_false_numbers(found):
            suspects.append(f"{path}: {found.reasons}")
    errors.print(f"{len(paths) - len(failures)} of {len(paths)} records done")
    say_left_out(folder.left_out_in(source))
    for suspect in suspects:
        say_failed("suspect", as_options(suspect))
    for failure in failures:
        say_failed("failed", as_options(failure))
    if failures or suspects:
        raise typer.Exit(1 if failures else SUSPECT)


TEXT_TOKENS = 1200
PLOTS = (".png", ".pdf", ".svg")
RecordsArgument = Annotated[Path, typer.Argument(help="An ECG file, or a folder of them.")]


@with_record_options
def inspect(
    source: RecordsArgument,
    options: RecordOptions,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per record.")] = False,
) -> None:
    """Show the verdict on a record, its leads, rate, units, quality and every change made while reading.

    \b
    gem inspect record.hea
    gem inspect export.csv --unit uV --sampling-rate 500
    """
    from processing.ecg_plausibility import Plausibility
    from processing.ecg_quality import inspect_record

    def show(path: Path) -> Plausibility:
        summary = inspect_record(options.load(path))
        found = Plausibility.from_dict(summary)
        if as_json:
            print(json.dumps(summary, ensure_ascii=False))
        else:
            if found.verdict == "ok":
                console.print(f"{path}: ok", style="green")
            say_verdict(path, found)
            print_summary(console, summary)
        found.check(path.name)
        return found

    for_each_record(source, show, quiet=as_json)


@with_record_options
def render(
    source: RecordsArgument,
    output: Annotated[
        Path, typer.Argument(help="Picture to write (PNG, JPEG, PDF), or a folder of PNGs when SOURCE is one.")
    ],
    options: RecordOptions,
    layout: Annotated[str, typer.Option(help=f"{', '.join(LAYOUTS[:-1])} or {LAYOUTS[-1]}.")] = "3x4+1",
    speed: Annotated[float, typer.Option(help="Paper speed, mm/s.")] = 25,
    mm_per_mv: Annotated[float, typer.Option(help="Paper gain: 2.5, 5, 10 or 20 mm per mV.")] = 10,
    header: Annotated[list[str] | None, typer.Option(help="A line above the traces; repeatable.")] = None,
    measures: Annotated[
        bool, typer.Option("--measures", help="Write rate, PR, QRS, QT, QTc and axes above the traces, as we measure.")
    ] = False,
    digitize: Annotated[
        bool, typer.Option("--digitize", help="SOURCE is a picture of a page: lay the recovered traces over it.")
    ] = False,
) -> None:
    """Draw ECGs on paper, as a clinician or the model sees them.

    --leads gives the order too (also: cabrera); --seconds the length of a row, --start where it begins.

    \b
    gem render record.hea page.pdf --measures --header "Study 7"
    gem render record.hea strip.png --layout 12x1 --leads II,V1 --start 10 --seconds 6
    gem render photo.jpg over.png --digitize     the recovered traces over the picture
    gem render photo.jpg page.png                the recovered signal on a new page
    """
    from processing.ecg_features import extract_features
    from processing.ecg_page import render_ecg
    from processing.ecg_readers import is_picture

    if digitize:
        if not is_picture(source):
            raise typer.BadParameter(f"{source} is no picture of a page", param_hint="--digitize")
        from processing.photo.overlay import traces_over

    shown = options.leads if options.leads in ("standard", "cabrera") or not options.leads else options.lead_names()
    read = dataclasses.replace(
        options, start=0.0, seconds=None, leads=None if isinstance(shown, str) else options.leads
    )

    keep_sources(output, "OUTPUT", source)
    target_of = _pictures(source, output)

    def draw(path: Path) -> "Plausibility":
        target = target_of(path)
        record = read.load(path).check_quality()
        target.parent.mkdir(parents=True, exist_ok=True)
        if digitize:
            traces_over(read.load_page(path), record).save(target)
            return record.plausibility()
        measured = extract_features(record) if measures else None
        found = record.plausibility() if measured is None else measured.plausibility
        if not source.is_dir():
            say_verdict(path, found)
        say_assumed(path, record)
        page = render_ecg(
            record,
            layout=layout,
            speed=speed,
            gain=mm_per_mv,
            leads=shown,
            start=options.start,
            seconds=options.seconds,
            header=header,
            measured=measured,
        )
        page.save(target)
        return found

    for_each_record(source, draw)


@with_record_options
def features(
    source: RecordsArgument,
    options: RecordOptions,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the full measurements, one JSON object per record.")
    ] = False,
    as_text: Annotated[
        bool, typer.Option("--text", help="Print the text that prompts of teachers and models hold.")
    ] = False,
    max_tokens: Annotated[
        int | None, typer.Option(help="Budget of that text, which it asks for. Default: 1200.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the waves that were found (PNG, PDF, SVG); a folder when SOURCE is one.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="JSON Lines file for a folder; uses all cores, and a stopped run continues.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes with --output. Default: one per core.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure all again, also what OUTPUT has already.")] = False,
    compat: Annotated[
        str | None, typer.Option(help="featuredb: the 14 sequences by FeatureDB's definitions (QT from QRS end).")
    ] = None,
) -> None:
    """Measure intervals, axis, ST, waves: the record beside normal ranges, then lead after lead.

    \b
    gem features record.hea --plot waves.png
    gem features records/ --output features.jsonl --workers 4

    For a record of more than a minute the events are listed too: pauses, premature beats and their runs, lowest and highest
    rate. A record of more than an hour is measured in windows, with a progress bar.
    """
    from processing.ecg_events import EVENTS_FROM_S
    from processing.ecg_features import extract_features
    from processing.ecg_long_records import LONG_RECORD_S

    keep_sources(output, "--output", source)
    keep_sources(plot, "--plot", source)
    if plot is not None and not source.is_dir() and plot.suffix.lower() not in PLOTS:
        raise typer.BadParameter(f"{plot}: name a {', '.join(PLOTS)} file", param_hint="--plot")
    if output is not None:
        _measure_all(source, output, options, workers, compat, fresh)
        return

    target_of = _pictures(source, plot or Path())

    def measure(path: Path) -> "Plausibility":
        record = options.load(path)
        with Progress(*COLUMNS, console=errors, transient=True, disable=record.duration <= LONG_RECORD_S) as bar:
            task = bar.add_task("windows", total=None)
            measured = extract_features(
                record, compat=compat, progress=lambda done, total: bar.update(task, completed=done, total=total)
            ).check_plausibility()
        if plot is not None:
            target = target_of(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            measured.plot(record, str(target))
        if as_json:
            values: dict[str, Any] = measured.to_dict(full=True)
            values["record"] |= {"path": str(path), "assumed": record.assumed, "history": list(record.history)}
            print(json.dumps(values, ensure_ascii=False))
            return measured.plausibility
        say_assumed(path, record)
        if as_text or max_tokens is not None:
            print(f"{path}\n{measured.to_text(max_tokens or TEXT_TOKENS)}")
        else:
            console.print(as_options(f"{path}: {withheld_in_words(measured) or 'ok'}"))
            print_features(console, measured)
        if measured.duration > EVENTS_FROM_S:
            print(measured.events.to_text())
        return measured.plausibility

    for_each_record(source, measure, quiet=as_json)


def _pictures(source: Path, output: Path) -> Callable[[Path], Path]:
    """The PNG of each record of a folder, under its name with the suffix where another has its name; `output` for one record."""
    taken: set[Path] = set()

    def target_of(path: Path) -> Path:
        target = output / path.relative_to(source).with_suffix(".png") if source.is_dir() else output
        if target in taken:
            target = target.with_name(f"{path.name}.png")
        taken.add(target)
        return target

    return target_of


def _measure_all(
    source: Path, output: Path, options: RecordOptions, workers: int | None, compat: str | None, fresh: bool
) -> None:
    from recipes.dataset.feature_file import extract_features_batch

    with Progress(*COLUMNS, console=errors) as progress:
        task = progress.add_task("records", total=None)
        report = extract_features_batch(
            source if source.is_dir() else [source],
            output,
            workers=workers,
            resume=not fresh,
            compat=compat,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
            load=options.load,
        )
    errors.print(f"{report} -> {output}")
    say_left_out(report.left_out)
    for record, reason in report.failed.items():
        say_failed("failed", as_options(about(record, reason)))
    for record, reason in report.suspect.items():
        say_failed("suspect", as_options(f"{record}: {reason}"))
    if report.failed or report.suspect:
        raise typer.Exit(1 if report.failed else SUSPECT)


COLORS = {"supported": "green", "contradicted": "red", "not_measurable": "dim"}


@with_record_options
def check(
    record: Annotated[Path, typer.Argument(help="An ECG file (WFDB, CSV, NPY, MAT, HDF5, EDF, DICOM, SCP, XML).")],
    text: Annotated[Path, typer.Option(help="File with the interpretation; - reads what is piped in.")],
    options: RecordOptions,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print scores, claims and evidence as one JSON object.")
    ] = False,
    strict: Annotated[bool, typer.Option(help="Exit with code 1 if a claim is contradicted.")] = False,
) -> None:
    """Check an interpretation against the waveform: each claim is supported, contradicted or not measurable.

    \b
    gem check record.hea --text report.txt
    gem interpret record.hea --json | jq -r .interpretation | gem check record.hea --text -
    """
    from processing.ecg_features import extract_features
    from processing.ecg_features_text import misplaced, to_be_known
    from processing.errors_gem import EcgFormatError
    from processing.grounding.check import check_grounding

    words = _read(text)
    if record.is_dir():
        raise EcgFormatError(f"{record}: a folder; a text is about one record, so name one of its files.")
    read = options.load(record)
    measured = extract_features(read).check_plausibility()
    report = check_grounding(words, measured)
    known = [*misplaced(measured), *to_be_known(measured)]
    if as_json:
        verdict = {
            "plausibility": measured.plausibility.to_dict(),
            "assumed": read.assumed,
            "cautions": known,
        }
        print(json.dumps({"record": str(record), **verdict, **report.to_dict()}, indent=2, ensure_ascii=False))
    else:
        say_verdict(record, measured.plausibility)
        say_assumed(record, read)
        for caution in known:
            errors.print(as_options(f"{record}: {caution}"), style="yellow")
        _print_report(report)
    if strict and report.contradiction_rate > 0:
        raise typer.Exit(1)
    end_by(measured.plausibility)


def _read(text: Path) -> str:
    from processing.errors_gem import EcgFormatError

    try:
        words = sys.stdin.read() if str(text) == "-" else text.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise EcgFormatError(f"{text}: no UTF-8 text ({error}); save the interpretation as UTF-8.") from error
    except OSError as error:
        raise EcgFormatError(
            f"{text}: cannot be read ({error.strerror}); name the file with the interpretation, or - for what is piped in."
        ) from error
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


def check_target(target: Path, unchecked: str) -> None:
    """Checks, before the model is loaded, that evidence can be drawn.

    Args:
        target: the file to write.
        unchecked: why no claim can be checked; empty if claims can be.

    Raises:
        typer.BadParameter: an unknown suffix, or nothing to check against.
    """
    if target.suffix.lower() not in (*PICTURES, *PAGES):
        raise typer.BadParameter(f"{target}: name a .png, .jpg or .html file", param_hint="--evidence")
    if unchecked:
        raise typer.BadParameter(
            f"no claim can be checked, so there is no evidence: {unchecked}", param_hint="--evidence"
        )


def write_evidence(found: "Interpretation", target: Path, photo: "Image.Image | None" = None) -> None:
    """Draws the claims of an answer on the page, atomically.

    Args:
        found: an answer that was checked.
        target: a picture or an HTML file.
        photo: the picture that the record was digitised from, on which they are marked then.

    Raises:
        GemError: the record cannot be drawn.
    """
    from processing.evidence.html import evidence_html
    from processing.evidence.picture import evidence_picture

    assert found.record is not None and found.features is not None and found.report is not None
    shown = found.record, found.features, found.report, photo
    with atomic_path(target) as part:
        if target.suffix.lower() in PAGES:
            part.write_text(evidence_html(*shown), encoding="utf-8")
        else:
            evidence_picture(*shown).save(part, format=PICTURES[target.suffix.lower()])
