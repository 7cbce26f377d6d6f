# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What a click shows: values for the interface's components, in the order in which it lists them."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from processing.ecg_withheld import withheld_in_words
from processing.errors_gem import GemError

from . import views
from .interpreter import Interpreter
from .session import MODALITIES, Session, ask, evidence, explained, open_ecg

FIRST_PAGE, OTHER_PAGE = "ECG 1", "ECG 2"


def show(files: list[str] | None, sample: str | None) -> tuple:
    """A newly opened ECG in place of all that was shown; an error leaves what was there."""
    opened, problem = explained(lambda: _opened(files, sample))
    return opened or (gr.skip(), views.message(problem, is_error=True), *[gr.skip()] * 12)


def _opened(files: list[str] | None, sample: str | None) -> tuple:
    session = open_ecg(files, sample)
    assert session.upload is not None
    record, features = session.upload.record, session.features
    doubts = [withheld_in_words(features)] if features is not None else []
    known = record.history if record is not None else ("a picture: it can be interpreted, not measured",)
    notes = "; ".join(note for note in (*doubts, *known) if note)
    return (
        session,
        views.message(f"{session.upload.name}{': ' if notes else ''}{notes}"),
        gr.Dropdown([views.ALL_LEADS, *(record.leads if record is not None else ())], value=views.ALL_LEADS),
        views.page_view(session.upload, FIRST_PAGE),
        views.measurements(features) if features is not None else None,
        views.csv_link(features) if features is not None else "",
        [],
        "",
        views.LEAD,
        False,
        None if files else gr.skip(),
        None,
        None,
        "",
    )


def focus(session: Session, lead: str) -> tuple:
    """The page with all leads or one."""
    if session.upload is None:
        return gr.skip(), views.message("Open an ECG first.", is_error=True)
    upload = session.upload
    page, problem = explained(lambda: views.page_view(upload, FIRST_PAGE, lead))
    return (page, gr.skip()) if page else (gr.skip(), views.message(problem, is_error=True))


def arrange(session: Session, by: str, largest_first: bool) -> Any:
    """The measurements in another order."""
    if session.features is None or by not in (views.LEAD, *views.COLUMNS.values()):
        return gr.skip()
    return views.measurements(session.features, by, largest_first)


def converse(session: Session, interpreter: Interpreter, question: str, seen: str) -> Iterator[tuple]:
    """The answer as it is written, then its evidence."""
    latest = session
    try:
        for latest in ask(session, interpreter, question, MODALITIES.get(seen, seen)):
            yield gr.skip(), views.conversation(latest.messages), gr.skip(), gr.skip(), gr.skip()
        done = views.message("Done. Choose a claim below to see it on the waveform.")
        yield latest, views.conversation(latest.messages), evidence(latest), done, ""
    except GemError as error:
        yield (
            gr.skip(),
            views.conversation(session.messages),
            gr.skip(),
            views.message(error, is_error=True),
            gr.skip(),
        )


def compare(session: Session, files: list[str] | None, sample: str | None) -> tuple:
    """What changed from the open ECG to another."""

    def work() -> tuple:
        other = open_ecg(files, sample)
        if session.features is None or other.features is None or other.upload is None:
            raise GemError("Two records are needed: open the first one above; pictures cannot be measured.")
        done = views.message(f"Compared with {other.upload.name}.")
        return views.comparison(session.features, other.features), views.page_view(other.upload, OTHER_PAGE), done

    result, problem = explained(work)
    return result or (gr.skip(), gr.skip(), views.message(problem, is_error=True))


__all__ = ["arrange", "compare", "converse", "focus", "show"]
