# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What the Space shows, as HTML and tables: pages, measurements, comparison. All text of users is escaped."""

import base64
import math
from html import escape
from typing import Any

import pandas as pd
from PIL import Image

from processing.ecg_evidence_html import data_uri
from processing.ecg_features import SEQUENCES, EcgFeatures
from processing.ecg_page import render_ecg

from .uploads import Upload

NOTICE = "Research software, not a medical device. Do not use it for diagnosis or treatment."
ALL_LEADS = "All leads"
_GLOBALS = {
    "heart_rate": ("Heart rate", "bpm", 0),
    "pr_interval": ("PR", "ms", 0),
    "qrs_duration": ("QRS", "ms", 0),
    "qt_interval": ("QT", "ms", 0),
    "qtc_bazett": ("QTc (Bazett)", "ms", 0),
    "qrs_axis": ("QRS axis", "°", 0),
    "sokolow_lyon": ("Sokolow-Lyon", "mV", 2),
}


def safe(text: object) -> str:
    """Text for HTML inside a Gradio template, which gives braces and dollars a meaning too."""
    escaped = escape(str(text)[:500])
    return escaped.replace("$", "&#36;").replace("{", "&#123;").replace("}", "&#125;")


def message(text: object, is_error: bool = False) -> str:
    return f'<p role="{"alert" if is_error else "status"}" class="gem-message">{safe(text)}</p>'


def page_view(upload: Upload, lead: str = ALL_LEADS) -> str:
    """The page as a clinician reads it, or one lead alone and larger.

    Raises:
        GemError: the record has no such lead, or cannot be drawn.
    """
    if upload.record is None:
        return _figure(upload.picture, f"Picture {upload.name}")
    if lead == ALL_LEADS:
        return _figure(render_ecg(upload.record, layout="3x4+1", px_per_mm=5).to_pil(), f"ECG {upload.name}, 12 leads")
    page = render_ecg(upload.record, layout="12x1", leads=[lead], px_per_mm=8)
    return _figure(page.to_pil(), f"ECG {upload.name}, lead {lead}")


def _figure(picture: Image.Image | None, description: str) -> str:
    assert picture is not None
    return (
        '<div class="gem-page" tabindex="0" role="region" aria-label="ECG page, scrolls sideways">'
        f'<img src="{data_uri(picture)}" alt="{safe(description)}"></div>'
    )


def measurements(features: EcgFeatures) -> pd.DataFrame:
    """Leads x the 14 sequences: the median over the beats, of words the most frequent."""
    rows = []
    for lead in features.leads:
        row: dict[str, Any] = {"Lead": lead}
        for name, digits in SEQUENCES.items():
            values = pd.Series(features.sequence(name, lead)).dropna()
            if values.empty:
                row[name] = None
            else:
                row[name] = values.mode().iloc[0] if digits is None else round(float(values.median()), digits)
        rows.append(row)
    return pd.DataFrame(rows)


def csv_link(features: EcgFeatures) -> str:
    """Every beat of every lead as a CSV file that the browser holds: nothing is written on the server."""
    encoded = base64.b64encode(features.to_pandas().to_csv(index=False).encode()).decode()
    return f'<a class="gem-csv" download="measurements.csv" href="data:text/csv;base64,{encoded}">Download as CSV</a>'


def comparison(first: EcgFeatures, second: EcgFeatures) -> pd.DataFrame:
    """The record as a whole, ECG 1 against ECG 2."""
    rows = []
    for name, (title, unit, digits) in _GLOBALS.items():
        values = [getattr(features, name) for features in (first, second)]
        shown = [round(value, digits) if math.isfinite(value) else None for value in values]
        known = None not in shown
        change = round(values[1] - values[0], digits) if known else None
        rows.append({"Measure": f"{title} ({unit})", "ECG 1": shown[0], "ECG 2": shown[1], "Change": change})
    return pd.DataFrame(rows)


__all__ = ["ALL_LEADS", "NOTICE", "comparison", "csv_link", "measurements", "message", "page_view", "safe"]
