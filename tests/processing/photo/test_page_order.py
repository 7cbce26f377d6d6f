# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Rows and names of a page: what is printed beside the rows, and names that a layout does not explain."""

from itertools import product

import numpy as np
import pytest

from processing.ecg_record import STANDARD_LEADS
from processing.errors_gem import EcgQualityError

pytest.importorskip("cv2", reason='pip install "gem-ecg[photo]" to run this test')
from processing.photo.labels import Word
from processing.photo.layout import find_orders
from processing.photo.paper import PX_PER_MM
from processing.photo.traces import Trace, beside_pulses, between_pulses

LEFT, WIDTH, PITCH = 240, 2000, 200


def page(rows: int) -> list[list[Trace]]:
    """One block of level traces."""
    level, full, none = np.zeros(WIDTH), np.ones(WIDTH), np.zeros(WIDTH)
    baselines = [float(150 + PITCH * row) for row in range(rows)]
    return [[Trace(LEFT, line, level, level, np.zeros(2 * WIDTH + 1), 1.0, full, none) for line in baselines]]


def names(rows: int, columns: int, off_mm: float = 1.0, clarity: float = 0.95) -> list[Word]:
    """The standard leads down the columns, each so far from where its column begins."""
    words = []
    for number, (column, row) in enumerate(product(range(columns), range(rows))):
        left = round(LEFT + column * WIDTH / columns + off_mm * PX_PER_MM)
        top, lead = 150 + PITCH * row - 60, STANDARD_LEADS[number]
        words.append(Word((left, top, left + 30, top + 24), {lead: clarity}))
    return words


@pytest.mark.parametrize("off_mm", [1.0, 6.0, 11.0])
@pytest.mark.parametrize(("rows", "columns"), [(3, 4), (6, 2), (12, 1)])
def test_names_are_found_beside_the_beginning_of_their_column(rows, columns, off_mm):
    order = find_orders(page(rows), names(rows, columns, off_mm), [])[0]
    assert order.name == f"{rows}x{columns}" and [one.lead for one in order.stretches] == list(STANDARD_LEADS)


def test_a_layout_is_not_believed_that_leaves_clear_names_unexplained():
    words = names(3, 4)
    chest = [Word((w.box[0] - 1000, w.box[1], w.box[2] - 1000, w.box[3]), w.likeness) for w in words[6:9]]
    assert find_orders(page(3), chest, [])[0].name == "3x1"  # a page of three leads
    astray = [Word((w.box[0] + 230, w.box[1] + 90, w.box[2] + 230, w.box[3] + 90), w.likeness) for w in words[3:6]]
    with pytest.raises(EcgQualityError, match="3x1, but the names aVF, aVL, aVR are read, too"):
        find_orders(page(3), [*chest, *astray], [])


def test_what_is_printed_above_the_first_pulse_and_below_the_last_is_no_row():
    feet = [150.0 + PITCH * row for row in range(4)]
    rows = [20.0, *feet, 910.0]
    assert beside_pulses(rows, feet) == feet
    assert beside_pulses(feet, []) == feet and beside_pulses(feet, feet[1:3]) == feet[1:3]


def test_a_row_that_is_seen_by_its_pulse_alone_is_one():
    feet = [150.0 + PITCH * row for row in range(6)]
    found = between_pulses([feet[0], feet[1], feet[4], feet[5]], feet)
    assert found == pytest.approx(feet)


def test_rows_between_pulses_that_are_not_seen_stay_rows():
    rows = [150.0 + PITCH * row for row in range(12)]
    assert between_pulses(rows, [rows[0], rows[4]]) == rows
