# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Colours, fonts and style sheet of the Space."""

import gradio as gr

from processing.evidence.html import SHEET_STYLE

CSS = (
    SHEET_STYLE
    + """
.gradio-container{overflow:clip!important}  /* `hidden` would keep the page from staying in sight beside its claims */
.gradio-container .main{max-width:90rem;margin:0 auto;padding:1rem}
.gradio-container .html-container{padding:0}
.gem-head h1{font-size:1.6rem;font-weight:700;margin:0}
.gem-head p{margin:.2rem 0 .6rem}
.gem-head .gem-notice{margin:0;padding:.5rem .8rem;border-left:.35rem solid #9c4500;background:#fff4e5;color:#111;border-radius:.2rem}
.gem-message{font-weight:600;margin:.2rem 0}
.gem-message[role=alert]{padding:.5rem .8rem;border-left:.35rem solid #b00020;background:#fdecee;color:#111;border-radius:.2rem}
.gem-page{position:sticky!important;top:.5rem;z-index:20}
.gem-turn{margin:0 0 1rem}
.gem-turn h2{font-size:.85rem;font-weight:600;margin:0 0 .2rem}
.gem-turn.user{padding:.4rem .7rem;border-radius:.4rem;background:color-mix(in srgb,currentColor 8%,transparent)}
.gem-tried,.gem-label{font-size:.9rem;margin:.3rem 0 0}
.gem-label.wrong,.gem-doubt{font-weight:600;color:#9c4500}
.dark .gem-label.wrong{color:#ffb27d}
.dark .gem-doubt{color:#ffb27d}
/* On a narrow screen the page stays in sight above the answer: both belong to the row then. */
@media (max-width:60rem){.gem-reading>.column{display:contents!important}.gem-reading>.column>*{flex:1 1 100%}
.gem-page .paper{max-height:45vh}.gem-answer label{scroll-margin-top:55vh}}
.gem-empty{border:2px dashed #888;border-radius:.4rem;padding:4rem 1rem;text-align:center;margin:0}
.gem-table :is(th,td) *{font-family:system-ui,sans-serif!important;font-variant-numeric:tabular-nums;overflow-wrap:normal!important;
word-break:normal!important;hyphens:none!important}
.gem-table th *{font-size:.7rem!important}
a.gem-csv{color:#0b5394;text-decoration:underline}
.dark a.gem-csv{color:#9cc9f5}
"""
)
# Text in 4.5:1 on its ground, also that of buttons and labels (WCAG 2.2, 1.4.3), in light and dark.
_COLORS = {
    "button_primary_background_fill": "*primary_700",
    "button_primary_background_fill_hover": "*primary_800",
    "button_primary_text_color": "white",
    "block_label_text_color": "*neutral_700",
    "block_info_text_color": "*neutral_700",
    "body_text_color_subdued": "*neutral_600",
    "checkbox_label_background_fill_selected": "*primary_100",
    "checkbox_label_text_color_selected": "*neutral_900",
}
_DARK_COLORS = {
    "button_primary_background_fill_dark": "*primary_700",
    "button_primary_background_fill_hover_dark": "*primary_600",
    "button_primary_text_color_dark": "white",
    "block_label_text_color_dark": "*neutral_200",
    "block_info_text_color_dark": "*neutral_200",
    "body_text_color_subdued_dark": "*neutral_300",
    "checkbox_label_background_fill_selected_dark": "*primary_800",
    "checkbox_label_text_color_selected_dark": "white",
}


def theme() -> gr.themes.Base:
    """Colours with enough contrast, and fonts that every device has: nothing is loaded from elsewhere."""
    fonts = ("system-ui", "sans-serif")
    base = gr.themes.Default(
        primary_hue="teal", neutral_hue="slate", font=fonts, font_mono=("ui-monospace", "monospace")
    )
    return base.set(**_COLORS, **_DARK_COLORS)


__all__ = ["CSS", "theme"]
