# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Claims and page as HTML without any script: choosing a claim shows its boxes, choosing a box shows its claim."""

from .ecg_evidence import NOTICE, VERDICT_LOOKS, ClaimEvidence, evidence_page, locate_claims
from .ecg_features import EcgFeatures
from .ecg_record import EcgRecord
from .ecg_sheet_html import SHEET_STYLE, html_text, sheet_html
from .grounding_check import CONTRADICTED, NOT_MEASURABLE, SUPPORTED, GroundingReport

HTML_PX_PER_MM = 7.0  # sharp when magnified to twice the width of a screen's half
# Text on white in 4.5:1 at least (WCAG 2.2, 1.4.3): Okabe and Ito's colours darkened.
_TEXT_COLORS = {SUPPORTED: "#00664a", CONTRADICTED: "#9c4500", NOT_MEASURABLE: "#005a8e"}
# Where claims lie on the same beats the later one is on top: what is contradicted must not be hidden.
_DRAWING_ORDER = (NOT_MEASURABLE, SUPPORTED, CONTRADICTED)
_STYLE = """
.evidence{font-family:system-ui,sans-serif;color:#111;background:#fff;line-height:1.4;display:grid;gap:1rem;align-items:start;
grid-template-columns:minmax(0,5fr) minmax(17rem,3fr);padding:.5rem;border-radius:.4rem}
.evidence .gem-sheet{position:sticky;top:.5rem}
.evidence .box{position:absolute;cursor:pointer;margin:0;border:0 solid;border-bottom-width:3px;box-sizing:border-box}
.evidence .counts{margin:0 0 .5rem;font-weight:600}
.evidence .claim{display:flex;gap:.6rem;padding:.4rem .6rem;border-left:.35rem solid #888;margin:0 0 .3rem;cursor:pointer;color:#111;
border-radius:.2rem;background:#f6f6f6}
.evidence .claim:hover{background:#ececec}
.evidence .claim:has(input:focus-visible){outline:3px solid #06c}
.evidence .claim:has(input:checked){background:#fff;box-shadow:0 0 0 2px #333}
.evidence .claim input{appearance:auto;accent-color:#333;flex:none;width:1.1rem;height:1.1rem;margin:.15rem 0 0}
.evidence .verdict{font-weight:700}
.evidence .said{display:block}
.evidence .why{display:block;font-size:.9rem;color:#333}
.evidence .notice{font-size:.85rem;color:#333;margin:.5rem 0 0}
@media (max-width:60rem){.evidence{grid-template-columns:minmax(0,1fr)}.evidence .gem-sheet{top:0;z-index:2}
.evidence .paper{max-height:45vh}}
@media print{.evidence{display:block}.evidence .gem-sheet{position:static}}
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
        "<title>Evidence for an ECG interpretation</title><style>body{margin:1rem}h1{font:600 1.4rem system-ui,sans-serif;margin:0 .5rem}</style></head><body><main><h1>Evidence</h1>"
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
    on_top = sorted(claims, key=lambda claim: _DRAWING_ORDER.index(claim.checked.verdict))
    sheet = sheet_html(
        page.to_pil(),
        "evidence",
        f"ECG with evidence, leads {', '.join(page.layout.leads)}, {record.duration:.1f} s",
        "".join(_boxes(claim, width, height) for claim in on_top),
    )
    note = "" if len(features.beat_times) else f" {html_text(features.note)}."
    counts = ", ".join(f"{report.count(verdict)} {look.word}" for verdict, look in VERDICT_LOOKS.items())
    summary = f"{len(claims)} claims: {counts}." if claims else "No checkable claim was made."
    return (
        f'<section class="evidence" aria-label="Evidence"><style>{SHEET_STYLE}{_STYLE}{_claim_styles(claims)}</style>'
        f'{sheet}<div><p class="counts">{summary}{note}</p>'
        f'<div role="radiogroup" aria-label="Claims: choose one to see where it is on the page">{_all_claims()}'
        f'{"".join(map(_item, claims))}</div><p class="notice">{NOTICE}</p></div></section>'
    )


def _boxes(claim: ClaimEvidence, width: int, height: int) -> str:
    """Each box is a label of its claim's radio button, so that a click on the page chooses the claim."""
    title = html_text(f"{claim.number} {claim.look.word}: {claim.quote}")
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
            f"{chosen} .box{{display:none}}"
            f"{chosen} .box.c{claim.number}{{display:block;border-width:1px;background:var(--verdict);mix-blend-mode:multiply}}"
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
        f"“{html_text(claim.quote)}”</span>"
        f'<span class="why">{html_text(claim.checked.explanation)} ({html_text(claim.where)})</span></span></label>'
    )


__all__ = ["evidence_fragment", "evidence_html"]
