# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Claims and page as HTML without any script: choosing a claim shows its boxes, choosing a box shows its claim."""

import base64
import io
from html import escape

from PIL import Image

from .ecg_evidence import NOTICE, VERDICT_LOOKS, ClaimEvidence, evidence_page, locate_claims
from .ecg_features import EcgFeatures
from .ecg_record import EcgRecord
from .grounding_check import GroundingReport

HTML_PX_PER_MM = 5.0
# Text on white in 4.5:1 at least (WCAG 2.2, 1.4.3): Okabe and Ito's colours darkened.
_TEXT_COLORS = {"supported": "#00664a", "contradicted": "#9c4500", "not_measurable": "#005a8e"}
_STYLE = """
.evidence{font-family:system-ui,sans-serif;color:#111;background:#fff;line-height:1.4;max-width:90rem}
.evidence .sheet{overflow-x:auto;border:1px solid #888}
.evidence .page{position:relative;min-width:44rem}
.evidence .page img{display:block;width:100%;height:auto;margin:0}
.evidence .box{position:absolute;cursor:pointer;mix-blend-mode:multiply;margin:0;border:2px solid;box-sizing:border-box}
.evidence .claim{display:flex;gap:.6rem;padding:.35rem .5rem;border-left:.35rem solid #888;margin:.2rem 0;cursor:pointer}
.evidence .claim:has(input:focus-visible){outline:3px solid #111}
.evidence .claim:has(input:checked){background:#eee}
.evidence input{flex:none;width:1.2rem;height:1.2rem;margin-top:.15rem}
.evidence .said{display:block}
.evidence .why{display:block;font-size:.92em;color:#333}
@media print{.evidence .sheet{overflow:visible}}
"""


def evidence_html(record: EcgRecord, features: EcgFeatures, report: GroundingReport) -> str:
    """One self-contained HTML document: page, boxes and the list of claims. It loads nothing and runs no script.

    Args:
        record: what was interpreted.
        features: what `extract_features` measured in it.
        report: what `check_grounding` made of the interpretation and `features`.

    Raises:
        GemError: the record cannot be drawn.
    """
    # What the text says is escaped; should markup ever slip through, the policy keeps it from running or loading.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>Evidence for an ECG interpretation</title></head><body><main><h1>Evidence</h1>"
        f"{evidence_fragment(record, features, report)}</main></body></html>\n"
    )


def evidence_fragment(record: EcgRecord, features: EcgFeatures, report: GroundingReport) -> str:
    """What `evidence_html` shows, as a `<section>` for a page of your own (one per page: its ids are fixed).

    Raises:
        GemError: the record cannot be drawn.
    """
    page = evidence_page(record, HTML_PX_PER_MM)
    claims = locate_claims(page, report)
    height, width = page.pixels.shape[:2]
    boxes = "".join(_boxes(claim, width, height) for claim in claims)
    note = "" if len(features.beat_times) else f" {escape(str(features.note))}."
    counts = ", ".join(f"{report.count(verdict)} {look.word}" for verdict, look in VERDICT_LOOKS.items())
    summary = f"{len(claims)} claims: {counts}." if claims else "No checkable claim was made."
    return (
        f'<section class="evidence" aria-label="Evidence"><style>{_STYLE}{_claim_styles(claims)}</style>'
        f'<div class="sheet" tabindex="0" role="region" aria-label="ECG page, scrolls sideways"><div class="page">'
        f'<img src="{data_uri(page.to_pil())}" width="{width}" height="{height}" '
        f'alt="ECG, leads {escape(", ".join(page.layout.leads))}, {record.duration:.1f} s">{boxes}</div></div>'
        f"<p>{summary}{note}</p>"
        f'<div role="radiogroup" aria-label="Claims: choose one to see where it is on the page">{_all_claims()}'
        f"{''.join(map(_item, claims))}</div><p><small>{NOTICE}</small></p></section>"
    )


def data_uri(picture: Image.Image) -> str:
    """A picture as a `data:` address, PNG with as few colours as ECG paper has."""
    buffer = io.BytesIO()
    picture.quantize(64).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _boxes(claim: ClaimEvidence, width: int, height: int) -> str:
    """Each box is a label of its claim's radio button, so that a click on the page chooses the claim."""
    title = escape(f"{claim.number} {claim.look.word}: {claim.quote}", quote=True)
    return "".join(
        f'<label class="box c{claim.number} {claim.checked.verdict}" for="claim-{claim.number}" aria-hidden="true" '
        f'title="{title}" style="left:{100 * left / width:.3f}%;top:{100 * top / height:.3f}%;'
        f'width:{100 * (right - left) / width:.3f}%;height:{100 * (bottom - top) / height:.3f}%"></label>'
        for left, top, right, bottom in claim.boxes
    )


def _claim_styles(claims: list[ClaimEvidence]) -> str:
    rules = [
        f".evidence .box.{verdict}{{border-color:rgb{look.color};--verdict:rgb({red} {green} {blue} / 45%)}}"
        f".evidence .claim.{verdict}{{border-color:rgb{look.color}}}"
        f".evidence .{verdict} .verdict{{color:{_TEXT_COLORS[verdict]};font-weight:700}}"
        for verdict, look in VERDICT_LOOKS.items()
        for red, green, blue in [look.color]
    ]
    for claim in claims:
        chosen = f".evidence:has(#claim-{claim.number}:checked)"
        rules.append(
            f"{chosen} .box{{display:none}}{chosen} .box.c{claim.number}{{display:block;background:var(--verdict)}}"
        )
    return "".join(rules)


def _all_claims() -> str:
    return (
        '<label class="claim"><input type="radio" name="gem-claim" id="claim-all" checked '
        'aria-labelledby="claim-all-text"><span id="claim-all-text">All claims</span></label>'
    )


def _item(claim: ClaimEvidence) -> str:
    number, name = claim.number, f"claim-{claim.number}"
    return (
        f'<label class="claim {claim.checked.verdict}"><input type="radio" name="gem-claim" id="{name}" '
        f'aria-labelledby="{name}-text"><span id="{name}-text"><span class="said">{number}. '
        f'<span class="verdict"><span aria-hidden="true">{claim.look.mark} </span>{claim.look.word}</span>: '
        f"“{escape(claim.quote)}”</span>"
        f'<span class="why">{escape(claim.checked.explanation)} ({escape(claim.where)})</span></span></label>'
    )


__all__ = ["data_uri", "evidence_fragment", "evidence_html"]
