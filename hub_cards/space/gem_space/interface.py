# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The Gradio interface: components and their wiring."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from processing.errors_gem import GemError

from . import views
from .interpreter import Interpreter
from .session import MODALITIES, Session, ask, evidence, explained, open_ecg
from .uploads import MAX_UPLOAD_BYTES, sample_names

SESSION_S = 3600
LEFTOVER_S = 300  # uploads that nobody opened
CSS = """
.gem-page{overflow-x:auto;border:1px solid #888;background:#fff}
.gem-page img{display:block;min-width:44rem;width:100%;height:auto}
.gem-message{font-weight:600;margin:.3rem 0}
"""


def build_demo(interpreter: Interpreter) -> gr.Blocks:
    """The whole app around one model."""
    with gr.Blocks(title="GEM ECG", analytics_enabled=False, delete_cache=(LEFTOVER_S, LEFTOVER_S)) as demo:
        session = gr.State(Session(), time_to_live=SESSION_S)
        gr.Markdown(f"# GEM ECG\n**{views.NOTICE}** Uploads are deleted once read.")
        with gr.Row():
            sample = gr.Dropdown(sample_names(), value=sample_names()[0], label="Sample")
            open_sample = gr.Button("Open the sample")
            upload = gr.UploadButton("Upload an ECG or a photo", file_count="multiple")
        status = gr.HTML(views.message("Choose a sample, or upload a record (WFDB: .hea and .dat together)."))
        lead = gr.Dropdown([views.ALL_LEADS], value=views.ALL_LEADS, label="Leads shown")
        page = gr.HTML(label="ECG page")
        with gr.Row():
            modality = gr.Radio(list(MODALITIES), value=next(iter(MODALITIES)), label="What the model sees")
            interpret = gr.Button("Interpret", variant="primary")
        chat = gr.Chatbot(label="Interpretation", render_markdown=False, buttons=["copy"], feedback_options=None)
        question = gr.Textbox(label="Follow-up question", max_length=500, submit_btn="Ask")
        proof = gr.HTML(label="Evidence")
        with gr.Accordion("Measurements", open=False):
            table = gr.Dataframe(label="Medians over the beats", interactive=False, wrap=True)
            csv = gr.HTML()
        with gr.Accordion("Compare with another ECG of the patient", open=False):
            other_sample = gr.Dropdown(sample_names(), value=sample_names()[-1], label="Sample to compare with")
            compare_sample = gr.Button("Compare with the sample")
            other_upload = gr.UploadButton("Upload the other ECG", file_count="multiple")
            change = gr.Dataframe(label="ECG 1 and ECG 2", interactive=False)
            other_page = gr.HTML(label="Page of ECG 2")

        shown = [session, status, lead, page, table, csv, chat, proof]
        open_sample.click(lambda name: show(None, name), sample, shown, api_name="open_sample")
        upload.upload(lambda files: show(files, None), upload, shown, api_name="open_upload")
        lead.input(focus, [session, lead], [page, status], api_name="focus")
        answered = [session, chat, proof, status, question]

        def first(state: Session, seen: str) -> Iterator[tuple]:
            yield from converse(Session(state.upload, state.features), interpreter, "", seen)

        def next_question(state: Session, text: str, seen: str) -> Iterator[tuple]:
            yield from converse(state, interpreter, text, seen)

        busy: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "model"}
        interpret.click(first, [session, modality], answered, api_name="interpret", **busy)
        question.submit(next_question, [session, question, modality], answered, api_name="ask", **busy)
        compared = [change, other_page, status]
        compare_sample.click(
            lambda state, name: compare(state, None, name), [session, other_sample], compared, api_name="compare"
        )
        other_upload.upload(
            lambda state, files: compare(state, files, None),
            [session, other_upload],
            compared,
            api_name="compare_upload",
        )
    return demo.queue(max_size=64, default_concurrency_limit=4)


def show(files: list[str] | None, sample: str | None) -> tuple:
    """A newly opened ECG in place of all that was shown; an error leaves what was there."""
    opened, problem = explained(lambda: _opened(files, sample))
    return opened or (gr.skip(), views.message(problem, is_error=True), *[gr.skip()] * 6)


def _opened(files: list[str] | None, sample: str | None) -> tuple:
    session = open_ecg(files, sample)
    assert session.upload is not None
    record, features = session.upload.record, session.features
    notes = "; ".join(record.history) if record is not None else "a picture: it can be interpreted, not measured"
    return (
        session,
        views.message(f"{session.upload.name}{': ' if notes else ''}{notes}"),
        gr.Dropdown([views.ALL_LEADS, *(record.leads if record is not None else ())], value=views.ALL_LEADS),
        views.page_view(session.upload),
        views.measurements(features) if features is not None else None,
        views.csv_link(features) if features is not None else "",
        [],
        "",
    )


def focus(session: Session, lead: str) -> tuple:
    """The page with all leads or one."""
    if session.upload is None:
        return gr.skip(), views.message("Open an ECG first.", is_error=True)
    upload = session.upload
    page, problem = explained(lambda: views.page_view(upload, lead))
    return (page, gr.skip()) if page else (gr.skip(), views.message(problem, is_error=True))


def converse(session: Session, interpreter: Interpreter, question: str, seen: str) -> Iterator[tuple]:
    """The answer as it is written, then its evidence."""
    latest = session
    try:
        for latest in ask(session, interpreter, question, MODALITIES.get(seen, seen)):
            yield gr.skip(), latest.messages, gr.skip(), gr.skip(), gr.skip()
        yield latest, latest.messages, evidence(latest), views.message("Done. Choose a claim to see it."), ""
    except GemError as error:
        yield gr.skip(), session.messages, gr.skip(), views.message(error, is_error=True), gr.skip()


def compare(session: Session, files: list[str] | None, sample: str | None) -> tuple:
    """What changed from the open ECG to another."""

    def work() -> tuple:
        other = open_ecg(files, sample)
        if session.features is None or other.features is None or other.upload is None:
            raise GemError("Two records are needed: open the first one above; pictures cannot be measured.")
        return views.comparison(session.features, other.features), views.page_view(other.upload), gr.skip()

    result, problem = explained(work)
    return result or (gr.skip(), gr.skip(), views.message(problem, is_error=True))


def launch(model: str = "", host: str = "127.0.0.1", port: int | None = 7860, **options: Any) -> tuple:
    """Loads the model and serves the app; options are those of `gradio.Blocks.launch`."""
    return build_demo(Interpreter(model)).launch(
        server_name=host, server_port=port, max_file_size=MAX_UPLOAD_BYTES, css=CSS, ssr_mode=False, **options
    )


__all__ = ["build_demo", "launch"]
