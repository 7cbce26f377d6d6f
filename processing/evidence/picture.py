# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The claims of an interpretation marked on the ECG: one picture with a numbered legend (`evidence_picture`)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from processing.ecg_features import EcgFeatures
from processing.ecg_page import render_ecg
from processing.ecg_page_ink import Color, PageStyle, draw_text, text_box
from processing.ecg_page_picture import EcgPage
from processing.ecg_record import EcgRecord
from processing.grounding.check import CONTRADICTED, NOT_MEASURABLE, SUPPORTED, CheckedClaim, GroundingReport

from .highlight import Box, Span, highlight, span_box
from .photo import PhotoSheet, photo_sheet

# Every beat of every lead is on this page, so that no evidence falls off it.
LAYOUT = "12x1"
PICTURE_PX_PER_MM = 6.0
LEGEND_MM = 3.2  # height of the legend's letters
LINE_MM = 5.2
MARGIN_MM = 6.0
MAX_QUOTE = 300
STRIP_S = 2.0  # evidence without a gap that is longer than any beat is about the rhythm
SHARED = "Claims that share a lead take turns in it: each is marked on some of its beats."
NOTICE = "Checked against the measured waveform by gem-ecg: research software, not a medical device."


Stretch = tuple[float, float]


@dataclass(frozen=True)
class VerdictLook:
    """The look of a verdict: a symbol, a word and one of Okabe and Ito's colours, which colour-blind readers can distinguish."""

    word: str
    mark: str
    color: Color


VERDICT_LOOKS = {
    SUPPORTED: VerdictLook("supported", "✓", (0, 158, 115)),
    CONTRADICTED: VerdictLook("contradicted", "✗", (213, 94, 0)),
    NOT_MEASURABLE: VerdictLook("not measurable", "?", (0, 114, 178)),
}


@dataclass(frozen=True)
class ClaimEvidence:
    """A checked claim with its number (from 1) and the places of its evidence on a page, px (left, top, right, bottom)."""

    number: int
    checked: CheckedClaim
    boxes: tuple[Box, ...]

    @property
    def verdict(self) -> str:
        """The verdict on the claim."""
        return self.checked.verdict

    @property
    def look(self) -> VerdictLook:
        """Symbol, colour and words of the verdict."""
        return VERDICT_LOOKS[self.verdict]

    @property
    def quote(self) -> str:
        """The words of the text, on one line and of bounded length."""
        words = " ".join(self.checked.claim.quote.split())
        return words if len(words) <= MAX_QUOTE else f"{words[: MAX_QUOTE - 1]}…"

    @property
    def leads(self) -> tuple[str, ...]:
        """The leads of the evidence, each once, in its order."""
        return tuple(dict.fromkeys(lead for lead, _, _ in self.checked.evidence))

    @property
    def where(self) -> str:
        """`lead II, 13 places`, or that there is nothing to be shown."""
        if not self.boxes:
            return "no place on the page"
        places = "1 place" if len(self.boxes) == 1 else f"{len(self.boxes)} places"
        return f"{'lead' if len(self.leads) == 1 else 'leads'} {', '.join(self.leads)}; {places}"


def evidence_page(record: EcgRecord, px_per_mm: float = PICTURE_PX_PER_MM) -> EcgPage:
    """The page that evidence is shown on: all leads in full length.

    Raises:
        GemError: the record cannot be drawn.
    """
    # Leads that are no standard ones are shown too: a claim may rest on them.
    return render_ecg(record, layout=LAYOUT, px_per_mm=px_per_mm)


def locate_claims(page: EcgPage | PhotoSheet, report: GroundingReport) -> list[ClaimEvidence]:
    """Where each claim of a report lies on a page, drawn or photographed."""
    return [
        ClaimEvidence(number, checked, tuple(_boxes(page, checked)))
        for number, checked in enumerate(report.claims, start=1)
    ]


def _boxes(page: EcgPage | PhotoSheet, checked: CheckedClaim) -> Iterator[Box]:
    for lead, start, end in checked.evidence:
        if isinstance(page, PhotoSheet):
            yield from page.boxes(lead, start, end)
        elif lead in page.layout.leads:
            for panel in page.panels_of(lead):
                if end >= panel.start and start <= panel.stop:
                    yield span_box(page, panel, Span(lead, start, end))


def evidence_picture(
    record: EcgRecord, features: EcgFeatures, report: GroundingReport, photo: Image.Image | None = None
) -> Image.Image:
    """The ECG with the beats and leads of every claim marked, and the claims with verdict and measured value below.

    Args:
        record: the ECG.
        features: its measurements from `extract_features`.
        report: from `check_grounding`, for the interpretation and `features`.
        photo: the picture that `record` was digitised from; the claims are then marked on it, not on a drawn page.

    Raises:
        GemError: the record cannot be drawn.
    """
    sheet = photo_sheet(photo, record)
    headline = _headline(features, report)
    if sheet is not None:
        claims = locate_claims(sheet, report)
        pixels, px_per_mm, style = sheet.marked(_marks(sheet, claims)), sheet.px_per_mm, PageStyle()
    else:
        page = evidence_page(record)
        claims = locate_claims(page, report)
        pixels, px_per_mm, style = highlight(page, _marks(page, claims)).pixels, page.px_per_mm, page.style
    legend = _legend(pixels.shape[1], px_per_mm, style, claims, headline)
    return Image.fromarray(np.concatenate([pixels, legend]))


def _marks(page: EcgPage | PhotoSheet, claims: Sequence[ClaimEvidence]) -> list[Span]:
    """Bands that stay apart: claims of one verdict on the same stretches share bands; those on other stretches of a lead
    take turns, its beats go round among them and a whole strip is divided in time. Numbers are written at the first band."""
    groups: dict[str, dict[tuple[tuple[Stretch, ...], str], list[int]]] = {}
    for claim in claims:
        for lead in claim.leads:
            stretches = tuple((start, end) for at, start, end in claim.checked.evidence if at == lead)
            groups.setdefault(lead, {}).setdefault((stretches, claim.checked.verdict), []).append(claim.number)
    marks = []
    for lead, shared in groups.items():
        if not _shows(page, lead):
            continue
        strips = {key: numbers for key, numbers in shared.items() if _is_strip(key[0])}
        beats = {key: numbers for key, numbers in shared.items() if key not in strips}
        for sharing, divide in ((strips, _share_of_strip), (beats, _share_of_beats)):
            for turn, ((stretches, verdict), numbers) in enumerate(sharing.items()):
                label = " ".join(map(str, numbers))
                for start, end in divide(stretches, turn, len(sharing)):
                    if _shows(page, lead, start, end):
                        marks.append(Span(lead, start, end, label, VERDICT_LOOKS[verdict].color))
                        label = ""
    return marks


def _shows(page: EcgPage | PhotoSheet, lead: str, start: float = 0.0, end: float = float("inf")) -> bool:
    """Whether a page shows anything of a lead between two times."""
    if isinstance(page, PhotoSheet):
        return bool(page.boxes(lead, start, end))
    return lead in page.layout.leads and any(
        start <= panel.stop and end >= panel.start for panel in page.panels_of(lead)
    )


def _is_strip(stretches: Sequence[Stretch]) -> bool:
    return len(stretches) == 1 and stretches[0][1] - stretches[0][0] > STRIP_S


def _share_of_strip(stretches: Sequence[Stretch], turn: int, turns: int) -> list[Stretch]:
    ((start, end),) = stretches
    share = (end - start) / turns
    return [(start + turn * share, start + (turn + 1) * share)]


def _share_of_beats(stretches: Sequence[Stretch], turn: int, turns: int) -> Sequence[Stretch]:
    return stretches[turn::turns] or stretches[-1:]


def _headline(features: EcgFeatures, report: GroundingReport) -> str:
    counts = ", ".join(f"{report.count(verdict)} {look.word}" for verdict, look in VERDICT_LOOKS.items())
    note = "" if len(features.beat_times) else f"; {features.note}"
    return f"{len(report.claims)} claims: {counts}{note}" if report.claims else f"No checkable claim was made{note}."


def _legend(
    width: int, px_per_mm: float, style: PageStyle, claims: Sequence[ClaimEvidence], headline: str
) -> np.ndarray:
    """The list below the page, as wide as it, uint8 (height, width, 3)."""
    size, line, margin = (round(mm * px_per_mm) for mm in (LEGEND_MM, LINE_MM, MARGIN_MM))
    rows: list[tuple[str, Color, bool]] = [(headline, style.text, True)]
    for claim in claims:
        ink: Color = tuple(int(channel * 0.7) for channel in claim.look.color)  # type: ignore[assignment]
        text = f"{claim.number} {claim.look.mark} {claim.look.word}: “{claim.quote}”. {claim.checked.explanation}"
        rows += [(part, ink, False) for part in _wrapped(f"{text} ({claim.where})", size, width - 2 * margin)]
    rows += [(text, style.text, False) for text in (SHARED, NOTICE)]
    pixels = np.empty((line * len(rows) + 2 * margin, width, 3), np.uint8)
    pixels[:] = style.paper
    for index, (text, color, bold) in enumerate(rows):
        draw_text(pixels, text, margin, margin + line * index + size, size, color, bold=bold)
    return pixels


def _wrapped(text: str, size: float, width: int) -> list[str]:
    """`text` in lines of at most `width` px; what continues a claim is indented, a word too long for a line is cut."""
    lines, current = [], ""
    for word in text.split():
        longer = f"{current} {word}".lstrip() if current.strip() else f"{current}{word}"
        if _text_width(longer, size) > width and current.strip():
            lines.append(current)
            longer = f"      {word}"
        while _text_width(longer, size) > width:
            longer = longer[:-1]
        current = longer
    return [*lines, current]


def _text_width(text: str, size: float) -> int:
    left, _, right, _ = text_box(text, 0, 0, size)
    return right - left


__all__ = ["VERDICT_LOOKS", "ClaimEvidence", "evidence_page", "evidence_picture", "locate_claims"]
