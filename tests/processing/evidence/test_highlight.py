# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Marks on a page: where they are, that they leave the trace visible, and warnings about spans that do not exist."""

import numpy as np
import pytest

from processing.ecg_page import EcgPageWarning, render_ecg
from processing.errors_gem import EcgLeadError, GemError
from processing.evidence.highlight import Span, highlight
from tests.helpers.ecg_page_records import beating_record


@pytest.fixture(scope="module")
def page():
    return render_ecg(beating_record(), "3x4+1", px_per_mm=4)


def test_band_lies_on_its_span_and_nowhere_else(page):
    before = page.pixels.copy()
    marked = highlight(page, [("V2", 5.5, 6.0, "", (0, 114, 178))])
    np.testing.assert_array_equal(page.pixels, before)
    changed = (marked.pixels != before).any(axis=-1)
    rows, columns = np.nonzero(changed)
    (left, right), _ = page.to_px("V2", np.array([5.5, 6.0]))
    assert columns.min() == pytest.approx(left, abs=1) and columns.max() + 1 == pytest.approx(right, abs=1)
    samples = page.record.lead("V2")[2750:3001]
    _, (top, bottom) = page.to_px("V2", 5.5, np.array([samples.max(), samples.min()]))
    assert rows.min() < top < bottom < rows.max()
    assert rows.max() - rows.min() < bottom - top + 8 * 4


def test_band_is_translucent(page):
    marked = highlight(page, [Span("II", 0.5, 1.5, "RR")])
    (left, right), (y, _) = page.to_px("II", np.array([0.6, 1.4]))
    region = np.s_[int(y) - 12 : int(y) + 12, int(left) : int(right)]
    before, after = page.pixels[region].astype(int), marked.pixels[region].astype(int)
    trace = before.max(axis=-1) < 60
    assert trace.any() and (after[trace].max(axis=-1) < 60).all()
    # Paper takes the colour: red is lost more than blue.
    loss = (before - after)[~trace].mean(axis=0)
    assert loss[0] > loss[2] + 20 and (after <= before).all()


def test_label_stands_outside_the_trace(page):
    plain, marked = (highlight(page, [("V2", 5.5, 6.0, label)]) for label in ("", "QRS"))
    rows, columns = np.nonzero((plain.pixels != marked.pixels).any(axis=-1))
    assert len(rows) > 50
    box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert page.pixels[box].max(axis=-1).min() > 110, "the label covers ink"
    panel = page.panels_of("V2")[0]
    _, baseline = page.mm_to_px(0, panel.baseline)
    assert abs(rows.mean() - baseline) < 0.8 * page.layout.row_pitch * page.px_per_mm


def test_lead_with_a_rhythm_strip_is_marked_twice(page):
    marked = highlight(page, [("II", 1.0, 2.0)])
    rows = np.flatnonzero((marked.pixels != page.pixels).any(axis=(1, 2)))
    for panel in page.panels_of("II"):
        assert round(panel.baseline * 4) in rows


def test_same_label_same_colour_and_own_colours():
    page = render_ecg(beating_record(), px_per_mm=3)
    spans = [("I", 1, 2, "a"), ("II", 1, 2, "b"), ("III", 1, 2, "a"), ("V1", 1, 2, "c", "#ff0000")]
    marked = highlight(page, spans)
    ratios = []
    for lead in ("I", "II", "III", "V1"):
        x, y = (int(value) for value in page.to_px(lead, 1.5, 0.15))
        ratios.append(marked.pixels[y, x] / page.pixels[y, x].astype(float))
    assert np.allclose(ratios[0], ratios[2], atol=0.01)
    assert not np.allclose(ratios[0], ratios[1], atol=0.05)
    assert ratios[3][0] == pytest.approx(1, abs=0.01) and ratios[3][1] < 0.8


@pytest.mark.parametrize(
    "options", [{"px_per_mm": 4}, {"size": (336, 336)}, {"px_per_mm": 4, "layout": "6x2", "columns": "simultaneous"}]
)
def test_crowded_labels_keep_off_the_traces_and_off_each_other(options):
    page = render_ecg(beating_record(height=2.0), **options)
    spans = [(lead, start, start + 0.2, f"T {lead}") for lead in ("II", "V5", "V6") for start in (1.0, 1.8, 2.6)]
    spans += [("V1", 4.1, 4.2, "first wave"), ("V1", 4.25, 4.35, "second wave")]
    marked = highlight(page, spans)
    boxes = [mark.box for mark in marked.marks]
    assert [mark.text for mark in marked.marks] == [span[3] for span in spans]
    for index, (left, top, right, bottom) in enumerate(boxes):
        assert 0 <= left < right <= page.pixels.shape[1] and 0 <= top < bottom <= page.pixels.shape[0]
        assert (page.pixels[top:bottom, left:right].max(axis=-1) < 100).mean() < 0.02, "the label covers ink"
        for other in boxes[:index]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
    again = highlight(marked, [("II", 1.0, 1.2, "again")])
    assert len(again.marks) == len(spans) + 1
    assert again.marks[-1].box not in boxes


def test_spans_that_cannot_be_shown(page):
    with pytest.warns(EcgPageWarning, match="V1 0-1 s .* shows 5-7.5 s of that lead"):
        unchanged = highlight(page, [("V1", 0, 1, "ST")])
    np.testing.assert_array_equal(unchanged.pixels, page.pixels)
    with pytest.raises(EcgLeadError, match="V9"):
        highlight(page, [("V9", 0, 1)])
    with pytest.raises(GemError, match="start <= end"):
        highlight(page, [("II", 2, 1)])
    with pytest.raises(GemError, match="colour"):
        highlight(page, [("II", 1, 2, "x", "reddish")])
