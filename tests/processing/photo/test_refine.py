# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Curves are moved onto the ink that a pen along them leaves."""

import numpy as np
import pytest

pytest.importorskip("cv2", reason='pip install "gem-ecg[photo]" to run this test')
from processing.photo.refine import Pen, find_pen, refined
from processing.photo.traces import INK, find_blocks, follow

COLUMNS, BASELINES = 600, (150.0, 330.0)
PEN = Pen(1.2, 0.5, 0.95)


def spikes(x: np.ndarray, width: float) -> np.ndarray:
    """Beats 100 px high that rise and fall within a few columns."""
    return sum(100 * np.exp(-(((x - at) / width) ** 2)) for at in (101.3, 270.8, 441.4))


def drawn(curves: list[np.ndarray], x: np.ndarray, height: int = 480) -> np.ndarray:
    """The ink of a pen along curves, from the distance of every pixel to densely sampled points."""
    from scipy.spatial import cKDTree

    points = np.concatenate([np.stack([x, curve], axis=1) for curve in curves])
    rows, columns = np.mgrid[:height, :COLUMNS] + 0.5
    distance, _ = cKDTree(points).query(np.stack([columns.ravel(), rows.ravel()], axis=1), distance_upper_bound=6.0)
    ink, _ = PEN.ink(np.minimum(distance, 6.0))
    return ink.reshape(height, COLUMNS).astype(np.float32)


@pytest.fixture(scope="module")
def page():
    x = np.linspace(0, COLUMNS, 400_000)
    ink = drawn([baseline - spikes(x, 5.0) for baseline in BASELINES], x)
    (block,), strokes = find_blocks(ink)
    return ink, strokes, follow(ink, block, list(BASELINES))


def test_the_pen_is_measured(page):
    ink, _, traces = page
    pen = find_pen(ink[:, traces[0].left :][:, : len(traces[0].upper)], np.stack([trace.height for trace in traces]))
    assert pen is not None
    assert (pen.radius, pen.blur) == pytest.approx((PEN.radius, PEN.blur), abs=0.2)


def test_steep_strokes_are_read_more_exactly(page):
    ink, strokes, traces = page

    def error(of):
        inner = slice(20, -20)
        return max(
            np.sqrt(np.mean((trace.height - (baseline - spikes(trace.x, 5.0)))[inner] ** 2))
            for trace, baseline in zip(of, BASELINES, strict=True)
        )

    assert error(refined(ink, strokes, traces)) < 0.5 * error(traces)


def test_ink_that_no_curve_reaches_is_doubtful(page):
    ink, strokes, traces = page
    cut = ink.copy()
    cut[: int(BASELINES[0]) - 60] = 0  # the tips of the upper row
    (block,), _ = find_blocks(cut)
    found = refined(cut, strokes & (ink > INK), follow(cut, block, list(BASELINES)))
    assert found[0].doubtful.sum() > 3 * 30 and found[1].doubtful.sum() == 0
    assert sum(trace.doubtful.sum() for trace in refined(ink, strokes, traces)) == 0
