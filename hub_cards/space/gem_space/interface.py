# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The Gradio interface: components, their wiring, and the server."""

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr

from . import views
from .actions import arrange, compare, converse, focus, show
from .interpreter import Interpreter
from .looks import CSS, theme
from .session import MODALITIES, Session
from .uploads import MAX_UPLOAD_BYTES, sample_names, upload_folder

SESSION_S = 3600
ANSWERS_AT_ONCE = 2
WAITING = 64
EMPTY_PAGE = '<p class="gem-empty">The ECG will be here: choose a sample or upload one.</p>'
FIRST_MESSAGE = "Choose a sample, or upload a record (WFDB: .hea and .dat together)."


def build_demo(interpreter: Interpreter) -> gr.Blocks:
    """The whole app around one model."""
    with gr.Blocks(title="GEM ECG", analytics_enabled=False) as demo:
        parts = SimpleNamespace(session=gr.State(Session(), time_to_live=SESSION_S))
        lay_out_ecg(parts)
        lay_out_measurements(parts)
        lay_out_comparison(parts)
        wire_ecg(parts)
        wire_model(parts, interpreter)
        wire_comparison(parts)
    return demo.queue(max_size=WAITING, default_concurrency_limit=4)


def html(content: str = "") -> gr.HTML:
    """HTML in its own colours, which Gradio's style for prose would take from it in the dark."""
    return gr.HTML(content, apply_default_css=False)


def sources(label: str, upload_label: str) -> tuple[gr.Radio, gr.UploadButton]:
    """The two ways to an ECG, side by side."""
    with gr.Row(equal_height=True):
        sample = gr.Radio([(views.title(name), name) for name in sample_names()], label=label, scale=3)
        upload = gr.UploadButton(upload_label, file_count="multiple", scale=1, min_width=200)
    return sample, upload


def lay_out_ecg(parts: SimpleNamespace) -> None:
    """Page on the left, conversation on the right, the evidence below both."""
    html(views.HEADER)
    parts.sample, parts.upload = sources("Open a sample", "Upload an ECG or a photo")
    parts.status = html(views.message(FIRST_MESSAGE))
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            parts.page = html(EMPTY_PAGE)
            parts.lead = gr.Dropdown([views.ALL_LEADS], value=views.ALL_LEADS, label="Leads shown", filterable=False)
        with gr.Column(scale=3, min_width=320):
            parts.seen = gr.Radio(list(MODALITIES), value=next(iter(MODALITIES)), label="What the model sees")
            parts.interpret = gr.Button("Interpret", variant="primary")
            # As high as its text: Gradio's inner scroll bar is out of reach of the keyboard.
            parts.chat = gr.Chatbot(
                label="Interpretation",
                height="auto",
                min_height=200,
                max_height="none",
                render_markdown=False,
                buttons=[],
                feedback_options=None,
            )
            parts.question = gr.Textbox(label="Follow-up question", max_length=500, submit_btn="Ask", max_lines=3)
    parts.proof = html()


def lay_out_measurements(parts: SimpleNamespace) -> None:
    with gr.Accordion("Measurements", open=False):
        # The table's own menus sort too, but the keyboard does not reach them.
        with gr.Row():
            headings = [views.LEAD, *views.COLUMNS.values()]
            parts.by = gr.Dropdown(headings, value=views.LEAD, label="Sort by", filterable=False)
            parts.largest_first = gr.Checkbox(label="Largest first")
        parts.table = gr.Dataframe(
            label="Medians over the beats",
            interactive=False,
            max_height=640,
            wrap=True,
            column_widths=[56, *[108 if name == "ST Form" else 81 for name in views.COLUMNS]],
            pinned_columns=1,
            elem_classes="gem-table",
        )
        parts.csv = html()


def lay_out_comparison(parts: SimpleNamespace) -> None:
    with gr.Accordion("Compare with another ECG of the patient", open=False):
        parts.other_sample, parts.other_upload = sources("Compare with a sample", "Upload the other ECG")
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                label = "What changed from ECG 1 to ECG 2"
                parts.change = gr.Dataframe(label=label, interactive=False, elem_classes="gem-table")
            with gr.Column(scale=5, min_width=320):
                parts.other_page = html()


def wire_ecg(parts: SimpleNamespace) -> None:
    shown = [
        parts.session, parts.status, parts.lead, parts.page, parts.table, parts.csv, parts.chat, parts.proof, parts.by,
        parts.largest_first, parts.sample, parts.change, parts.other_sample, parts.other_page,
    ]  # fmt: skip
    parts.sample.input(lambda name: show(None, name), parts.sample, shown, api_name="open_sample")
    parts.upload.upload(lambda files: show(files, None), parts.upload, shown, api_name="open_upload")
    parts.lead.input(focus, [parts.session, parts.lead], [parts.page, parts.status], api_name="focus")
    order = [parts.session, parts.by, parts.largest_first]
    parts.by.input(arrange, order, parts.table, api_name="sort")
    parts.largest_first.input(arrange, order, parts.table, api_visibility="private")


def wire_model(parts: SimpleNamespace, interpreter: Interpreter) -> None:
    answered = [parts.session, parts.chat, parts.proof, parts.status, parts.question]
    busy: dict[str, Any] = {"concurrency_limit": ANSWERS_AT_ONCE, "concurrency_id": "model"}

    def first(session: Session, seen: str) -> Iterator[tuple]:
        yield from converse(session.anew(), interpreter, "", seen)

    def next_question(session: Session, text: str, seen: str) -> Iterator[tuple]:
        yield from converse(session, interpreter, text, seen)

    parts.interpret.click(first, [parts.session, parts.seen], answered, api_name="interpret", **busy)
    asked = [parts.session, parts.question, parts.seen]
    parts.question.submit(next_question, asked, answered, api_name="ask", **busy)
    forgotten = [parts.session, parts.proof]
    parts.chat.clear(lambda session: (session.anew(), ""), parts.session, forgotten, api_name="clear")


def wire_comparison(parts: SimpleNamespace) -> None:
    compared = [parts.change, parts.other_page, parts.status]
    parts.other_sample.input(
        lambda session, name: compare(session, None, name),
        [parts.session, parts.other_sample],
        compared,
        api_name="compare",
    )
    parts.other_upload.upload(
        lambda session, files: compare(session, files, None),
        [parts.session, parts.other_upload],
        compared,
        api_name="compare_upload",
    )


def launch(model: str = "", host: str = "127.0.0.1", port: int | None = 7860, **options: Any) -> tuple:
    """Loads the model and serves the app; options are those of `gradio.Blocks.launch`."""
    import torch

    interpreter = Interpreter(model)
    # The answers that are written at the same time share the cores; more threads than that only wait for each other.
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // ANSWERS_AT_ONCE))
    show(None, sample_names()[0])  # what is loaded at first use is loaded before the first user comes
    return serve(interpreter, server_name=host, server_port=port, **options)


def serve(interpreter: Interpreter, **options: Any) -> tuple:
    """The app with its limits and looks; options are those of `gradio.Blocks.launch`."""
    os.environ["GRADIO_TEMP_DIR"] = str(upload_folder())
    settings: dict[str, Any] = {
        "max_file_size": MAX_UPLOAD_BYTES,
        "app_kwargs": {"max_body_size": MAX_UPLOAD_BYTES + 2**20},  # several files are one upload; the rest is headers
        "css": CSS,
        "theme": theme(),
        "footer_links": [],
        "run_history": False,  # it would keep pages and answers in the browser for whoever uses it next
        "ssr_mode": False,
    }
    return build_demo(interpreter).launch(**settings, **options)


__all__ = ["build_demo", "launch", "serve"]
