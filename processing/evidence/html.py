# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Claims and page as HTML without any script: choosing a claim shows its boxes, choosing a box shows its claim."""

import base64
import io
from collections.abc import Iterable
from html import escape
from typing import Any, Protocol, TypeVar

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from processing.ecg_features import EcgFeatures
from processing.ecg_record import EcgRecord
from processing.grounding.check import CONTRADICTED, NOT_MEASURABLE, SUPPORTED, GroundingReport

from .photo import photo_sheet
from .picture import NOTICE, VERDICT_LOOKS, evidence_page, locate_claims


class HasVerdict(Protocol):
    """Something that is drawn in the colour of its verdict."""

    @property
    def verdict(self) -> str: ...


Marked = TypeVar("Marked", bound=HasVerdict)

ZOOMS = (1, 2, 4)
PHOTO_COLORS = 16_384  # a drawn page has some 2,000
_OF_TEMPLATES = str.maketrans({sign: f"&#{ord(sign)};" for sign in "${}`"})


def html_text(text: object) -> Markup:
    """
    Any text as text of HTML or of an attribute, also inside template engines of the browser, which give braces and dollars a
    meaning. HTML that a template has made (`Markup`) stays as it is.
    """
    return text if isinstance(text, Markup) else Markup(escape(str(text), quote=True).translate(_OF_TEMPLATES))


def html_environment(loader: BaseLoader) -> Environment:
    """Templates whose every expression passes `html_text`, and that do not pass over a name that is missing."""
    environment = Environment(
        loader=loader,
        autoescape=True,
        finalize=html_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = data_uri
    return environment


def data_uri(picture: Image.Image) -> str:
    """A picture as a `data:` address: drawn pages as PNG with as few colours as ECG paper has, photos as JPEG."""
    buffer = io.BytesIO()
    if picture.getcolors(PHOTO_COLORS) is None:
        kind = "jpeg"
        picture.convert("RGB").save(buffer, "JPEG", quality=85)
    else:
        kind = "png"
        colors = picture.convert("RGB").quantize(64, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        colors.save(buffer, "PNG", compress_level=3)  # a sixth larger than with the usual 6, in half of the time
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


_TEMPLATES = html_environment(PackageLoader("processing", "evidence/templates"))


def render_html(template: str, **shown: Any) -> str:
    """One of the templates for pages and evidence, with `shown` in it."""
    return _TEMPLATES.get_template(template).render(zooms=ZOOMS, **shown)


SHEET_STYLE = render_html("sheet.css.j2")


def sheet_html(picture: Image.Image, name: str, description: str) -> str:
    """A picture under a choice of magnifications; it needs `SHEET_STYLE` on the same page.

    Args:
        picture: the page or photo.
        name: a name that no other sheet on the same page has.
        description: what the picture shows, for those who do not see it; any text.
    """
    return render_html("sheet.html.j2", picture=picture, name=name, description=description, overlay="")


HTML_PX_PER_MM = 7.0  # sharp when magnified to twice the width of a screen's half
# Text on white in 4.5:1 at least (WCAG 2.2, 1.4.3): Okabe and Ito's colours darkened.
_TEXT_COLORS = {SUPPORTED: "#00664a", CONTRADICTED: "#9c4500", NOT_MEASURABLE: "#005a8e"}
_DRAWING_ORDER = (NOT_MEASURABLE, SUPPORTED, CONTRADICTED)


def in_drawing_order(claims: Iterable[Marked]) -> list[Marked]:
    """Claims in the order of drawing. Boxes may overlap, so contradicted claims come last and are on top."""
    return sorted(claims, key=lambda claim: _DRAWING_ORDER.index(claim.verdict))


def evidence_html(
    record: EcgRecord, features: EcgFeatures, report: GroundingReport, photo: Image.Image | None = None
) -> str:
    """One self-contained HTML document: page, boxes and the list of claims. It loads nothing and runs no script.

    Args:
        record: the ECG.
        features: its measurements from `extract_features`.
        report: from `check_grounding`, for the interpretation and `features`.
        photo: the picture that `record` was digitised from; the claims are then marked on it, not on a drawn page.

    Raises:
        GemError: the record cannot be drawn.
    """
    return render_html("document.html.j2", **_shown(record, features, report, photo))


def evidence_fragment(
    record: EcgRecord, features: EcgFeatures, report: GroundingReport, photo: Image.Image | None = None
) -> str:
    """The content of `evidence_html` as a `<section>` for your own page (one per page, because its ids are fixed).

    Raises:
        GemError: the record cannot be drawn.
    """
    return render_html("evidence.html.j2", **_shown(record, features, report, photo))


def _shown(
    record: EcgRecord, features: EcgFeatures, report: GroundingReport, photo: Image.Image | None
) -> dict[str, Any]:
    """What the templates ask for."""
    page = photo_sheet(photo, record) or evidence_page(record, HTML_PX_PER_MM)
    claims = locate_claims(page, report)
    counts = ", ".join(f"{report.count(verdict)} {look.word}" for verdict, look in VERDICT_LOOKS.items())
    summary = f"{len(claims)} claims: {counts}." if claims else "No checkable claim was made."
    return {
        "picture": page.to_pil(),
        "name": "evidence",
        "description": f"ECG with evidence, leads {', '.join(record.leads)}, {record.duration:.1f} s",
        "summary": summary if len(features.beat_times) else f"{summary} {features.note}.",
        "claims": claims,
        "earlier": (),
        "on_top": in_drawing_order(claims),
        "looks": VERDICT_LOOKS,
        "text_colors": _TEXT_COLORS,
        "notice": NOTICE,
    }


__all__ = [
    "SHEET_STYLE",
    "data_uri",
    "evidence_fragment",
    "evidence_html",
    "html_environment",
    "html_text",
    "in_drawing_order",
    "render_html",
    "sheet_html",
]
