# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The Gradio interface: components and their wiring."""

from types import SimpleNamespace

import gradio as gr

from . import views
from .actions import Actions
from .guard import GuardedBlocks
from .session import GROUNDINGS, MODALITIES
from .uploads import sample_names

EVENTS = 512  # at once: nearly all of them are in the lines of `Actions`, which are shorter and fair
EMPTY_PAGE = '<p class="gem-empty">The ECG will be here: choose a sample or upload one.</p>'
FIRST_MESSAGE = "Choose a sample, or upload a record (WFDB: .hea and .dat together)."


def build_demo(actions: Actions) -> gr.Blocks:
    """The whole app. What its users have open is kept in `actions`."""
    with GuardedBlocks(title="GEM ECG", analytics_enabled=False) as demo:
        parts = SimpleNamespace()
        lay_out_ecg(parts)
        lay_out_measurements(parts)
        lay_out_comparison(parts)
        wire_ecg(parts, actions)
        wire_model(parts, actions)
        wire_comparison(parts, actions)
    return demo.queue(max_size=EVENTS, default_concurrency_limit=None, api_open=False)


def html(content: str = "", style: str | None = None) -> gr.HTML:
    """HTML in its own colours, which Gradio's style for prose would take from it in the dark."""
    return gr.HTML(content, apply_default_css=False, elem_classes=style)


def sources(label: str, upload_label: str) -> tuple[gr.Radio, gr.UploadButton]:
    """The two ways to an ECG, side by side."""
    with gr.Row(equal_height=True):
        sample = gr.Radio([(views.title(name), name) for name in sample_names()], label=label, scale=3)
        upload = gr.UploadButton(upload_label, file_count="multiple", scale=1, min_width=200)
    return sample, upload


def lay_out_ecg(parts: SimpleNamespace) -> None:
    """The page on the left, the conversation about it on the right."""
    html(views.HEADER)
    parts.sample, parts.upload = sources("Open a sample", "Upload an ECG or a photo")
    parts.status = html(views.message(FIRST_MESSAGE))
    with gr.Row(elem_classes="gem-reading"):
        with gr.Column(scale=5, min_width=320):
            parts.lead = gr.Dropdown([views.ALL_LEADS], value=views.ALL_LEADS, label="Leads shown", filterable=False)
            parts.page = html(EMPTY_PAGE, "gem-page")
        with gr.Column(scale=3, min_width=320):
            parts.seen = gr.Radio(list(MODALITIES), value=next(iter(MODALITIES)), label="What the model sees")
            parts.wrong = gr.Radio(list(GROUNDINGS), value=next(iter(GROUNDINGS)), label="Contradicted claims")
            parts.interpret = gr.Button("Interpret", variant="primary")
            parts.talk = html()
            parts.question = gr.Textbox(label="Follow-up question", max_length=500, submit_btn="Ask", max_lines=3)


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


def wire_ecg(parts: SimpleNamespace, actions: Actions) -> None:
    shown = [
        parts.status, parts.lead, parts.page, parts.table, parts.csv, parts.talk, parts.by, parts.largest_first,
        parts.sample, parts.change, parts.other_sample, parts.other_page,
    ]  # fmt: skip

    async def open_sample(name: str, request: gr.Request) -> tuple:
        return await actions.show(None, name, request)

    async def open_upload(files: list[str], request: gr.Request) -> tuple:
        return await actions.show(files, None, request)

    parts.sample.input(open_sample, parts.sample, shown, api_name="open_sample")
    parts.upload.upload(open_upload, parts.upload, shown, api_name="open_upload")
    parts.lead.input(actions.focus, parts.lead, [parts.page, parts.talk, parts.status], api_name="focus")
    order = [parts.by, parts.largest_first]
    parts.by.input(actions.arrange, order, parts.table, api_name="sort")
    parts.largest_first.input(actions.arrange, order, parts.table, api_visibility="private")


def wire_model(parts: SimpleNamespace, actions: Actions) -> None:
    answered = [parts.talk, parts.page, parts.lead, parts.status, parts.question]
    parts.interpret.click(actions.interpret, [parts.seen, parts.wrong], answered, api_name="interpret")
    parts.question.submit(actions.ask, [parts.question, parts.seen, parts.wrong], answered, api_name="ask")


def wire_comparison(parts: SimpleNamespace, actions: Actions) -> None:
    compared = [parts.change, parts.other_page, parts.status]

    async def compare_sample(name: str, request: gr.Request) -> tuple:
        return await actions.compare(None, name, request)

    async def compare_upload(files: list[str], request: gr.Request) -> tuple:
        return await actions.compare(files, None, request)

    parts.other_sample.input(compare_sample, parts.other_sample, compared, api_name="compare")
    parts.other_upload.upload(compare_upload, parts.other_upload, compared, api_name="compare_upload")


__all__ = ["EVENTS", "build_demo"]
