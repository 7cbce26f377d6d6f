# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem check`: an interpretation against the ECG it is about, claim by claim, without a judge."""

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

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


def _print_report(report: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from recipes.console import console

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
