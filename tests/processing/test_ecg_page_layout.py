# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The geometry of the pages in mm."""

from itertools import pairwise

import pytest

from processing.ecg_page_layout import CABRERA_LEADS, LAYOUTS, page_layout, page_leads
from processing.ecg_record import STANDARD_LEADS
from processing.errors_gem import EcgLeadError, GemError

OWN_LAYOUTS = [name for name in LAYOUTS if not name.startswith("gem_")]
NUM_PANELS = {"square_12x1": 12, "12x1": 12, "6x2": 12, "3x4": 12, "3x4+1": 13, "3x4+3": 15}


def test_gem_12x1_is_the_authors_page():
    plan = page_layout("gem_12x1")
    assert (plan.width, plan.height) == pytest.approx((279.4, 215.9))
    assert plan.leads == STANDARD_LEADS
    # Rows are fifteenths of the page, counted from the bottom, V6 lowest at one and a half.
    for row, panel in enumerate(reversed(plan.panels)):
        assert panel.baseline == pytest.approx(215.9 - 215.9 / 15 * (1.5 + row))
        assert (panel.x, panel.start, panel.stop) == (15.0, 0.0, 10.0)
        assert (panel.label_x, panel.label_y) == pytest.approx((15.0, panel.baseline + 7))
    assert {x for x, _ in plan.pulses} == {10.0}
    assert plan.px_per_mm * 25.4 == pytest.approx(200)


def test_gem_6x2_has_the_odd_order_of_the_authors_figure():
    plan = page_layout("gem_6x2")
    rows = sorted({panel.baseline for panel in plan.panels})
    top, second = ([p.lead for p in sorted(plan.panels, key=lambda p: p.x) if p.baseline == row] for row in rows[:2])
    assert (top, second) == (["II", "I"], ["aVR", "III"])
    assert {(panel.start, panel.stop) for panel in plan.panels} == {(0.0, 5.0)}


@pytest.mark.parametrize("name", OWN_LAYOUTS)
def test_own_pages_run_from_one_5_mm_line_to_another(name):
    plan = page_layout(name)
    assert len(plan.panels) == NUM_PANELS[name]
    assert min(panel.x for panel in plan.panels) == 25
    assert max(panel.x + (panel.stop - panel.start) * 25 for panel in plan.panels) == 275
    assert all(panel.baseline == int(panel.baseline) for panel in plan.panels)
    assert all(10 < panel.baseline < plan.height - 10 for panel in plan.panels)
    assert (plan.width == plan.height) == name.startswith("square")


@pytest.mark.parametrize(("columns", "starts"), [("sequential", {0.0, 2.5, 5.0, 7.5}), ("simultaneous", {0.0})])
def test_columns_in_time(columns, starts):
    plan = page_layout("3x4", columns=columns)
    assert {panel.start for panel in plan.panels} == starts
    assert {panel.stop - panel.start for panel in plan.panels} == {2.5}


def test_faster_paper_shows_less_or_grows():
    assert page_layout("12x1", speed=50).window == (0.0, 5.0)
    wide = page_layout("square_12x1", speed=50, seconds=10)
    assert wide.window == (0.0, 10.0)
    assert wide.width == wide.height == 530


def test_extra_leads_grow_rows_of_one_column_and_columns_of_several():
    leads = (*STANDARD_LEADS, "V7", "V8", "V9")
    assert len({panel.baseline for panel in page_layout("12x1", leads).panels}) == 15
    plan = page_layout("3x4", leads)
    assert len({panel.baseline for panel in plan.panels}) == 3
    assert {panel.stop - panel.start for panel in plan.panels} == {2.0}


def test_which_leads_a_page_shows():
    assert page_leads(None, ("V2", "II")) == STANDARD_LEADS
    assert page_leads("cabrera", STANDARD_LEADS) == CABRERA_LEADS
    assert page_leads(None, (*STANDARD_LEADS, "V7")) == (*STANDARD_LEADS, "V7")
    assert page_leads(None, ("MLII", "V7")) == ("MLII", "V7")
    assert page_leads(("avf", "-AVR"), STANDARD_LEADS) == ("aVF", "-aVR")
    for wrong in ("alphabetical", (), ("II", "ii"), ("aVR", "-aVR")):
        with pytest.raises(EcgLeadError):
            page_leads(wrong, STANDARD_LEADS)


def test_inverted_lead_of_the_cabrera_order():
    (panel,) = (panel for panel in page_layout("6x2", CABRERA_LEADS).panels if panel.lead == "aVR")
    assert (panel.sign, panel.label) == (-1, "-aVR")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("4x3", {}),
        ("12x1", {"speed": 30}),
        ("12x1", {"gain": 7}),
        ("12x1", {"seconds": 0}),
        ("12x1", {"columns": "diagonal"}),
        ("gem_12x1", {"speed": 50}),
        ("gem_12x1", {"gain": 5}),
    ],
)
def test_impossible_pages_are_refused(name, options):
    with pytest.raises(GemError):
        page_layout(name, **options)


@pytest.mark.parametrize("name", [name for name in OWN_LAYOUTS if not name.endswith("12x1")])
def test_rows_of_several_columns_stand_30_mm_apart_and_use_the_page(name):
    for header_lines in (0, 3):
        plan = page_layout(name, header_lines=header_lines)
        baselines = sorted({panel.baseline for panel in plan.panels})
        assert {later - earlier for earlier, later in pairwise(baselines)} == {30}
        assert plan.height == 15 + 5 * header_lines + 30 * len(baselines)


@pytest.mark.parametrize(
    ("duration", "starts"),
    [(10.0, [0, 2.5, 5, 7.5]), (9.0, [0, 2.5, 5, 7.5]), (8.0, [0, 2.5, 5, 5.5]), (5.0, [0, 2.5, 2.5, 2.5]), (2.0, [0, 0, 0, 0])],
)  # fmt: skip
def test_columns_of_short_records_show_what_there_is(duration, starts):
    plan = page_layout("3x4+1", duration=duration)
    shown = {panel.x: panel.start for panel in plan.panels if not panel.is_rhythm}
    assert [shown[x] for x in sorted(shown)] == starts
    assert {panel.start for panel in plan.panels if panel.is_rhythm} == {0.0}
