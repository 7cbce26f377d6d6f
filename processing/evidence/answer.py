# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""An answer beside its page: the words of a claim are linked to its beats, and contradicted words show the measured value."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from processing.ecg_page_picture import EcgPage
from processing.grounding.check import CONTRADICTED, GroundingReport
from processing.grounding.spans import Span

from .highlight import Box
from .html import in_drawing_order, render_html
from .photo import PhotoSheet
from .picture import VERDICT_LOOKS, ClaimEvidence, VerdictLook, locate_claims


@dataclass(frozen=True)
class MarkedWords:
    """Words of an answer that make claims, with their number (from 1) and the places of their evidence on a page, px."""

    number: int
    quote: str
    span: Span
    claims: tuple[ClaimEvidence, ...]

    @property
    def verdict(self) -> str:
        """The gravest verdict on the claims of these words."""
        return self.span.verdict

    @property
    def look(self) -> VerdictLook:
        """Symbol, colour and words of the verdict."""
        return VERDICT_LOOKS[self.verdict]

    @property
    def is_wrong(self) -> bool:
        """Whether the waveform contradicts these words."""
        return self.verdict == CONTRADICTED

    @property
    def measured(self) -> str:
        """The measured values in words, empty if there is none."""
        return self.span.measured

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes on the page that the claims of these words rest on, each once."""
        return tuple(dict.fromkeys(box for claim in self.claims for box in claim.boxes))

    @property
    def why(self) -> str:
        """The explanations of the verdicts, each once."""
        return "; ".join(dict.fromkeys(claim.checked.explanation for claim in self.claims))

    @property
    def where(self) -> str:
        """Leads and beats in words, each once."""
        return "; ".join(dict.fromkeys(claim.where for claim in self.claims))


def mark_words(
    text: str, report: GroundingReport, spans: Sequence[Span], page: EcgPage | PhotoSheet, first: int = 1
) -> list[MarkedWords]:
    """The words of an answer that make claims, and where their evidence lies on a page.

    Args:
        text: the answer.
        report: from `check_grounding`.
        spans: from `answer_spans`.
        page: a page of the record, or the picture that it was digitised from.
        first: number of the first mark; the numbers must be unique in a document.
    """
    located = locate_claims(page, report)
    return [
        MarkedWords(number, text[span.start : span.end], span, tuple(located[claim] for claim in span.claims))
        for number, span in enumerate(spans, start=first)
    ]


def answer_html(
    text: str, marks: Sequence[MarkedWords] = (), summary: str = "", note: str = "", is_last: bool = True
) -> str:
    """An answer as HTML without any script; choosing words shows their boxes on `marked_sheet_html` of the same document.

    Args:
        text: the answer.
        marks: what `mark_words` found in it.
        summary: the last line, with the number of claims per verdict.
        note: what is above it: why it was not checked.
        is_last: whether all its marks are shown where no words are chosen; true of one answer of a document at most.
    """
    parts: list[tuple[str, MarkedWords | None]] = []
    at = 0
    for mark in marks:
        parts += [(text[at : mark.span.start], None), (text[mark.span.start : mark.span.end], mark)]
        at = mark.span.end
    parts.append((text[at:], None))
    return render_html(
        "answer.html.j2", parts=parts, claims=marks, summary=summary, note=note, looks=VERDICT_LOOKS, is_last=is_last
    )


def marked_sheet_html(
    page: EcgPage | PhotoSheet,
    marks: Sequence[MarkedWords],
    name: str,
    description: str,
    earlier: Sequence[MarkedWords] = (),
) -> str:
    """A page with the boxes of an answer's words, and, shown only where they are chosen, those of `earlier` answers.

    `name` and `description` are those of `sheet_html`.
    """
    picture = page.to_pil()
    overlay = render_html("boxes.html.j2", picture=picture, on_top=in_drawing_order(marks), earlier=earlier)
    return render_html("sheet.html.j2", picture=picture, name=name, description=description, overlay=Markup(overlay))


__all__ = ["MarkedWords", "answer_html", "mark_words", "marked_sheet_html"]
