# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem interpret --evidence`: the model's claims checked against the waveform and shown on the page."""

from pathlib import Path
from typing import Any

import typer

from recipes.files import atomic_path

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


def write_evidence(record: Any, text: str, target: Path) -> Any:
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


def counts(report: Any) -> dict[str, int]:
    """How many claims have each verdict, by its name for readers."""
    from processing.evidence.picture import VERDICT_LOOKS

    return {look.word: report.count(verdict) for verdict, look in VERDICT_LOOKS.items()}
