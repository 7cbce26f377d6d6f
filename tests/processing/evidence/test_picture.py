# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The evidence picture and page: each claim at its place in its verdict's colour; no text is taken for markup."""

import numpy as np
import pytest

from processing.ecg_features import extract_features
from processing.ecg_page import render_ecg
from processing.ecg_record import EcgRecord
from processing.evidence.html import evidence_html
from processing.evidence.picture import LAYOUT, VERDICT_LOOKS, evidence_page, evidence_picture, locate_claims
from processing.grounding.check import check_grounding
from processing.simulator.simulator import simulate_ecg
from tests.helpers.html_tags import Tags

TEXT = "Sinus rhythm, 72 bpm. ST elevation in V2. Q waves in III and aVF."


@pytest.fixture(scope="module")
def record():
    return simulate_ecg(heart_rate=72, seed=1).record


@pytest.fixture(scope="module")
def features(record):
    return extract_features(record)


def test_boxes_lie_on_the_beats_of_the_claims_leads(record, features):
    page = evidence_page(record)
    claims = locate_claims(page, check_grounding(TEXT, features))
    st = next(claim for claim in claims if claim.checked.claim.kind == "st_elevation")
    assert st.leads == ("V2",) and len(st.boxes) == len(st.checked.evidence) > 5
    for (lead, start, end), (left, top, right, bottom) in zip(st.checked.evidence, st.boxes, strict=True):
        x, y = page.to_px(lead, (start + end) / 2, 0.0)
        assert left < x < right and top < y < bottom
        at = page.from_px((left + right) / 2, (top + bottom) / 2, lead="V2")
        assert start < at[1] < end


def test_the_picture_marks_only_leads_with_claims_and_lists_them_below(record, features):
    report = check_grounding("ST elevation in V2.", features)
    picture = np.asarray(evidence_picture(record, features, report)).astype(int)
    page = evidence_page(record)
    height = len(page.pixels)
    changed = np.flatnonzero((picture[:height] != page.pixels).any(axis=(1, 2)))
    _, middle = page.to_px("V2", 1.0)
    _, above = page.to_px("aVL", 1.0)
    assert changed.min() > above and abs(changed.mean() - middle) < 15 * page.px_per_mm
    assert len(picture) > height + 3 * page.px_per_mm and (picture[height:] < 100).any()


@pytest.mark.parametrize(("text", "verdict"), [("72 bpm", "supported"), ("140 bpm", "contradicted")])
def test_the_verdict_gives_the_colour(record, features, text, verdict):
    report = check_grounding(text, features)
    assert [checked.verdict for checked in report.claims] == [verdict]
    picture = np.asarray(evidence_picture(record, features, report)).astype(float)
    plain = evidence_page(record).pixels.astype(float)
    blank = (plain > 250).all(axis=2)
    tint = picture[: len(plain)][blank] / 255
    marked = tint[(tint < 0.98).any(axis=1)]
    expected = np.array(VERDICT_LOOKS[verdict].color)
    # The band multiplies the paper: its colour's weakest channel stays the weakest.
    assert len(marked) > 500 and np.median(marked, axis=0).argmin() == expected.argmin()


def test_claims_that_share_a_lead_do_not_cover_each_other(record, features):
    report = check_grounding("PR 100 ms, QRS 90 ms, QT 300 ms, sinus rhythm, 72 bpm.", features)
    picture = np.asarray(evidence_picture(record, features, report))
    page = evidence_page(record)
    blank = (page.pixels > 250).all(axis=2)
    assert picture[: len(blank)][blank].max(axis=1).min() > 60


def test_picture_of_a_text_without_claims_and_of_a_record_without_beats(record, features):
    nothing = evidence_picture(record, features, check_grounding("Good morning.", features))
    assert nothing.height > evidence_page(record).pixels.shape[0]
    noise = EcgRecord(
        signal=np.random.default_rng(0).normal(scale=0.1, size=record.signal.shape).astype(np.float32),
        leads=record.leads,
        sampling_rate=record.sampling_rate,
    )
    measured = extract_features(noise)
    report = check_grounding(TEXT, measured)
    assert {checked.verdict for checked in report.claims} == {"not_measurable"}
    evidence_picture(noise, measured, report)
    assert "no place on the page" in Tags(evidence_html(noise, measured, report)).text


def test_html_ties_every_box_to_its_claims_radio_button(record, features):
    report = check_grounding(TEXT, features)
    page = Tags(evidence_html(record, features, report))
    zooms = [tag for tag in page.named("input") if tag["name"].startswith("zoom")]
    assert len(zooms) == 3 and sum("checked" in tag for tag in zooms) == 1
    radios = {tag["id"]: tag for tag in page.named("input") if tag not in zooms}
    assert list(radios) == ["claim-all", *(f"claim-{n}" for n in range(1, len(report.claims) + 1))]
    assert all(tag["type"] == "radio" and tag["name"] == "gem-claim" for tag in radios.values())
    ids = {tag["id"] for _, tag in page.tags if "id" in tag}
    assert all(tag["aria-labelledby"] in ids for tag in radios.values())
    boxes = [tag for tag in page.named("label") if "box" in tag.get("class", "")]
    places = locate_claims(render_ecg(record, layout=LAYOUT), report)
    assert len(boxes) == sum(len(claim.boxes) for claim in places) > 20
    assert {tag["for"] for tag in boxes} == {f"claim-{claim.number}" for claim in places if claim.boxes}
    for checked in report.claims:
        assert checked.explanation in page.text and checked.claim.quote in page.text


def test_html_runs_nothing_and_loads_nothing_whatever_the_text_says(record, features):
    hostile = 'ST elevation in <script>alert(1)</script>"onload=x V2 <img src=http://x/y> ${x} {{y}}, 140 bpm.'
    report = check_grounding(hostile, features)
    html = evidence_html(record, features, report)
    page = Tags(html)
    assert report.claims and not page.named("script") and "default-src 'none'" in html
    assert "${" not in html and "{{" not in html  # what template engines would run
    assert all(not name.startswith("on") for _, tag in page.tags for name in tag)
    assert [tag["src"].partition(",")[0] for tag in page.named("img")] == ["data:image/png;base64"]


def test_html_shows_a_claim_as_it_was_written(record, features):
    report = check_grounding('ST elevation in <script>alert(1)</script> & "the" lead V2.', features)
    quote = report.claims[0].claim.quote
    assert "<script>alert(1)</script> & " in quote
    page = Tags(evidence_html(record, features, report))
    assert f"“{quote}”" in page.text
    titles = {tag["title"] for tag in page.named("label") if "title" in tag}
    assert titles == {f"1 contradicted: {quote}"}
