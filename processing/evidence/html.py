# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Claims and page as HTML without any script: choosing a claim shows its boxes, choosing a box shows its claim."""

from typing import Any

from processing.ecg_features import EcgFeatures
from processing.ecg_record import EcgRecord
from processing.grounding.check import CONTRADICTED, NOT_MEASURABLE, SUPPORTED, GroundingReport

from .picture import NOTICE, VERDICT_LOOKS, evidence_page, locate_claims
from .sheet import render_html

HTML_PX_PER_MM = 7.0  # sharp when magnified to twice the width of a screen's half
# Text on white in 4.5:1 at least (WCAG 2.2, 1.4.3): Okabe and Ito's colours darkened.
_TEXT_COLORS = {SUPPORTED: "#00664a", CONTRADICTED: "#9c4500", NOT_MEASURABLE: "#005a8e"}
# Where claims lie on the same beats the later one is on top: what is contradicted must not be hidden.
_DRAWING_ORDER = (NOT_MEASURABLE, SUPPORTED, CONTRADICTED)


def evidence_html(record: EcgRecord, features: EcgFeatures, report: GroundingReport) -> str:
    """One self-contained HTML document: page, boxes and the list of claims. It loads nothing and runs no script.

    Args:
        record: what was interpreted.
        features: what `extract_features` measured in it.
        report: what `check_grounding` made of the interpretation and `features`.

    Raises:
        GemError: the record cannot be drawn.
    """
    return render_html("document.html.j2", **_shown(record, features, report))


def evidence_fragment(record: EcgRecord, features: EcgFeatures, report: GroundingReport) -> str:
    """What `evidence_html` shows, as a `<section>` for a page of your own (one per page: its ids are fixed).

    Raises:
        GemError: the record cannot be drawn.
    """
    return render_html("evidence.html.j2", **_shown(record, features, report))


def _shown(record: EcgRecord, features: EcgFeatures, report: GroundingReport) -> dict[str, Any]:
    """What the templates ask for."""
    page = evidence_page(record, HTML_PX_PER_MM)
    claims = locate_claims(page, report)
    counts = ", ".join(f"{report.count(verdict)} {look.word}" for verdict, look in VERDICT_LOOKS.items())
    summary = f"{len(claims)} claims: {counts}." if claims else "No checkable claim was made."
    return {
        "picture": page.to_pil(),
        "name": "evidence",
        "description": f"ECG with evidence, leads {', '.join(page.layout.leads)}, {record.duration:.1f} s",
        "summary": summary if len(features.beat_times) else f"{summary} {features.note}.",
        "claims": claims,
        "on_top": sorted(claims, key=lambda claim: _DRAWING_ORDER.index(claim.checked.verdict)),
        "looks": VERDICT_LOOKS,
        "text_colors": _TEXT_COLORS,
        "notice": NOTICE,
    }


__all__ = ["evidence_fragment", "evidence_html"]
