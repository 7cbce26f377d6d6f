# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The views of the Space, as HTML and tables: pages, measurements, comparison. All text from users is escaped."""

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import FileSystemLoader
from markupsafe import Markup

from modeling_gem.interpretation import Interpretation
from processing.ecg_beat_measures import SEQUENCES
from processing.ecg_features import EcgFeatures
from processing.ecg_page import render_ecg
from processing.ecg_page_picture import EcgPage
from processing.evidence.answer import MarkedWords, answer_html, mark_words, marked_sheet_html
from processing.evidence.html import HTML_PX_PER_MM, html_environment, sheet_html
from processing.evidence.photo import PhotoSheet, photo_sheet
from processing.evidence.picture import evidence_page
from processing.grounding.cut_off import cut_off_in_words
from recipes.record_options import as_options

from .session import Session, text_of
from .uploads import Upload

_PARTS: Any = (
    html_environment(FileSystemLoader(Path(__file__).parent / "templates")).get_template("views.html.j2").module
)
Marks = tuple[tuple[MarkedWords, ...], ...]
NOTICE = "Research software, not a medical device. Do not use it for diagnosis or treatment."
HEADER = str(_PARTS.header(NOTICE))
FIRST_PAGE, OTHER_PAGE = "ECG 1", "ECG 2"
ALL_LEADS, FULL_LENGTH, PHOTO = "All leads", "All leads in full length", "The picture, with the recovered traces"
MAX_SHOWN_TEXT = 500
LEAD = "Lead"
OPTIONS_ARE_ELSEWHERE = "(This page has no options. With gem-ecg on your own machine, gem interpret FILE has them.)"
_UNITS = {"Heart Rate": " (bpm)", "ST Form": ""}
COLUMNS = {
    name: name + _UNITS.get(name, " (mV)" if name.endswith("Amplitude") else " (ms)") for name in SEQUENCES
}  # sequence -> heading
_GLOBALS = {
    "heart_rate": ("Heart rate", "bpm", 0),
    "pr_interval": ("PR", "ms", 0),
    "qrs_duration": ("QRS", "ms", 0),
    "qt_interval": ("QT", "ms", 0),
    "qtc_bazett": ("QTc (Bazett)", "ms", 0),
    "qrs_axis": ("QRS axis", "°", 0),
    "sokolow_lyon": ("Sokolow-Lyon", "mV", 2),
}


def view_names(upload: Upload) -> list[str]:
    """The views of a record or picture; a digitised picture also has one with the traces over it."""
    if upload.record is None:
        return [ALL_LEADS]
    return [ALL_LEADS, FULL_LENGTH, *([PHOTO] if upload.picture is not None else ()), *upload.record.leads]


def title(sample: str) -> str:
    """A sample's name as a reader writes it."""
    return sample.replace("_", " ").capitalize().replace(" av ", " AV ")


def message(text: object, is_error: bool = False) -> str:
    """The HTML of a message to the user; `text` is escaped."""
    return str(_PARTS.message(_worded(text), is_error))


def _worded(text: object) -> str:
    """A message for users, who cannot pass keywords: those of `load_ecg` are options of `gem interpret`."""
    said = str(text)[:MAX_SHOWN_TEXT]
    worded = as_options(said)
    return said if worded == said else f"{worded} {OPTIONS_ARE_ELSEWHERE}"


def conversation(session: Session) -> str:
    """What has been asked and answered; the words of checked answers choose what is marked on the page."""
    turns = []
    for number, turn in enumerate(session.chat):
        text, answer = text_of(turn), number // 2
        is_checked = turn["role"] == "assistant" and answer < len(session.readings)
        reading = session.readings[answer] if is_checked else None
        shown = (
            answer_html(text) if reading is None else _answer(reading, session.marks[answer], turn is session.chat[-1])
        )
        label = session.labels[answer] if is_checked else None
        turns.append((turn["role"], Markup(shown), reading, label))
    return str(_PARTS.conversation(turns, cut_off_in_words()))


def _answer(reading: Interpretation, marks: Sequence[MarkedWords], is_last: bool) -> str:
    summary, note = ("", reading.verdicts) if reading.report is None else (reading.verdicts, "")
    return answer_html(reading.text, marks, summary, note, is_last)


def page_view(session: Session, view: str = ALL_LEADS, sheet: str = FIRST_PAGE) -> tuple[str, Marks]:
    """The page as a clinician reads it, all leads in full length, or one lead alone and larger, and what is marked on it for
    each answer: what the last one claims, and on demand what those before claimed.

    Args:
        session: with an ECG.
        view: `ALL_LEADS`, `FULL_LENGTH` or the name of a lead.
        sheet: names it among the sheets that are shown.

    Raises:
        GemError: the record has no such lead, or cannot be drawn.
    """
    upload = session.upload
    assert upload is not None
    if upload.record is None:
        assert upload.picture is not None
        return sheet_html(upload.picture, sheet, f"{sheet}: picture {upload.name}"), ((),) * len(session.readings)
    page: EcgPage | PhotoSheet
    photo = photo_sheet(upload.picture, upload.record)
    if view == PHOTO and photo is not None:
        page, shown = photo, "the picture"
    elif view == ALL_LEADS:
        page, shown = render_ecg(upload.record, layout="3x4+1", px_per_mm=7), "all leads"
    elif view == FULL_LENGTH:
        page, shown = evidence_page(upload.record, HTML_PX_PER_MM), "all leads in full length"
    else:
        page, shown = render_ecg(upload.record, layout="12x1", leads=[view], px_per_mm=8), f"lead {view}"
    marks: Marks = ()
    for reading in session.readings:
        first = 1 + sum(map(len, marks))
        report = reading.report
        words = mark_words(reading.text, report, reading.spans, page, first) if report is not None else []
        marks += (tuple(words),)
    latest = marks[-1] if marks else ()
    earlier = [mark for answer in marks[:-1] for mark in answer]
    return marked_sheet_html(page, latest, sheet, f"{sheet}: {upload.name}, {shown}", earlier), marks


def declined(reason: object) -> str:
    """In place of a page: why there is no reading."""
    return str(_PARTS.declined(_worded(reason)))


def measurements(features: EcgFeatures, by: str = LEAD, largest_first: bool = False) -> pd.DataFrame:
    """Leads x the 14 sequences: the median over the beats, of words the most frequent; what was not measured comes last."""
    rows = []
    for lead in features.leads:
        row: dict[str, Any] = {LEAD: lead}
        for name, digits in SEQUENCES.items():
            values = pd.Series(features.sequence(name, lead)).dropna()
            if values.empty:
                shown = None
            else:
                shown = values.mode().iloc[0] if digits is None else round(float(values.median()), digits)
            row[COLUMNS[name]] = shown
        rows.append(row)
    table = pd.DataFrame(rows)
    if by == LEAD:  # in the order of the page
        return table.iloc[::-1] if largest_first else table
    return table.sort_values(by, ascending=not largest_first, kind="stable")


def csv_link(features: EcgFeatures) -> str:
    """Every beat of every lead as a CSV file that the browser holds: nothing is written on the server."""
    digits = {name: digits for name, digits in SEQUENCES.items() if digits is not None}
    table = features.to_pandas().round({"time": 3, **digits})
    encoded = base64.b64encode(table.to_csv(index=False).encode()).decode()
    return str(_PARTS.csv_link(encoded))


def comparison(first: EcgFeatures, second: EcgFeatures) -> pd.DataFrame:
    """The record as a whole, ECG 1 against ECG 2."""
    rows = []
    for name, (measure, unit, digits) in _GLOBALS.items():
        values = [getattr(features, name) for features in (first, second)]
        shown = [round(value, digits) if math.isfinite(value) else None for value in values]
        known = None not in shown
        change = round(values[1] - values[0], digits) if known else None
        rows.append({"Measure": f"{measure} ({unit})", "ECG 1": shown[0], "ECG 2": shown[1], "Change": change})
    return pd.DataFrame(rows)


__all__ = [
    "ALL_LEADS",
    "FIRST_PAGE",
    "FULL_LENGTH",
    "HEADER",
    "OTHER_PAGE",
    "comparison",
    "conversation",
    "csv_link",
    "declined",
    "measurements",
    "message",
    "page_view",
    "title",
    "view_names",
]
