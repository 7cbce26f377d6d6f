# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Medians and percentiles are NumPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.ecg_order_statistics import SORTED_UP_TO, differences, mean, median, nan_median, percentile, spread

LENGTHS = st.one_of(st.integers(1, 30), st.integers(SORTED_UP_TO - 2, SORTED_UP_TO + 3), st.integers(1990, 2003))


@settings(deadline=None)
@given(
    length=LENGTHS,
    axis=st.sampled_from([0, 1, -1]),
    ties=st.booleans(),
    precision=st.sampled_from([np.float32, np.float64]),
    share=st.floats(0, 100),
    seed=st.integers(0, 999),
)
def test_medians_and_percentiles_are_numpys(length, axis, ties, precision, share, seed):
    generator = np.random.default_rng(seed)
    shape = (length, 3) if axis == 0 else (3, length)
    values = (generator.integers(0, 5, shape) if ties else generator.normal(size=shape)).astype(precision)
    found = median(values, axis)
    assert found.dtype == precision
    assert np.array_equal(found, np.median(values, axis=axis))
    assert percentile(values, share, axis) == pytest.approx(np.percentile(values, share, axis=axis), abs=1e-5)
    values[generator.random(shape) < 0.3] = np.nan
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(RuntimeWarning)
        expected = np.nanmedian(values, axis=axis)
    assert np.allclose(nan_median(values, axis), expected, equal_nan=True)


def test_single_rows_give_numbers():
    assert median(np.array([3.0, 1.0, 2.0])) == 2.0
    assert percentile(np.array([3.0, 1.0, 2.0]), 25) == 1.5


@given(count=st.integers(1, 600), precision=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 999))
def test_means_spreads_and_differences_are_numpys_to_the_bit(count, precision, seed):
    values = np.random.default_rng(seed).normal(5, 2, (3, count)).astype(precision)
    for axis in (0, -1):
        assert mean(values, axis).dtype == precision
        assert np.array_equal(mean(values, axis), np.mean(values, axis=axis))
        assert np.array_equal(mean(values, axis, keepdims=True), np.mean(values, axis=axis, keepdims=True))
    assert mean(values[0] > 5) == np.mean(values[0] > 5)
    assert spread(values[0]) == np.std(values[0])
    assert np.array_equal(differences(values), np.diff(values))


@settings(deadline=None)
@given(count=st.integers(1, 30), axis=st.integers(0, 2), share=st.floats(0, 100), seed=st.integers(0, 999))
def test_few_values_in_many_columns_keep_the_order_of_the_other_axes(count, axis, share, seed):
    shape = [25, 25, 25]
    shape[axis] = count
    values = np.random.default_rng(seed).normal(size=shape)
    before = values.copy()
    assert np.array_equal(median(values, axis), np.median(values, axis=axis))
    assert percentile(values, share, axis) == pytest.approx(np.percentile(values, share, axis=axis), abs=1e-9)
    assert np.array_equal(values, before)


@pytest.mark.parametrize("period", [2, 7, 10, 11, 100, 1000, 5000])
def test_long_rows_that_keep_step_with_their_parts(period):
    """Where the parts of a row differ, what is near the rank in each does not hold the median."""
    rows = np.array([[1.0], [3.0], [5.0]]) * np.sin(np.arange(5000) * 2 * np.pi / period) + np.arange(5000) * 1e-6
    assert np.array_equal(median(rows), np.median(rows, axis=1))
    assert percentile(rows, 25) == pytest.approx(np.percentile(rows, 25, axis=1), abs=1e-12)
    assert np.array_equal(median(np.sort(rows)[:, ::-1]), np.median(rows, axis=1))
