# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Medians, percentiles, means and limits as NumPy's, in a part of the time: most are of the few beats of an ECG."""

import math
from functools import lru_cache
from typing import Any

import numpy as np

# Values in a row: NumPy sorts so many in registers, each in a tenth of the time that it takes of more.
SORTED_UP_TO = 512
# So few values in so many columns are compared column by column, as wholes: sorting each takes three times the time.
COMPARED_UP_TO, FEWEST_COLUMNS = 24, 500
PARTED_UP_TO = 4096  # values in all: so few are not worth the steps by which more are sorted in parts
HUM_SAMPLES = 10  # of a period of 50 Hz; parts that keep step with it would differ
REACH = 2.0  # of the square root of a part's length: four standard deviations of a rank in a random part


def median(values: np.ndarray, axis: int = -1) -> Any:
    """`np.median` of values without NaN, of which there is at least one along `axis`."""
    count = values.shape[axis]
    lower, upper = _neighbours(values, (count - 1) // 2, count // 2, axis)
    return lower if count % 2 else (lower + upper) / 2


def percentile(values: np.ndarray, share: float, axis: int = -1) -> Any:
    """`np.percentile` of values without NaN, of which there is at least one along `axis`; `share` in per cent."""
    last = values.shape[axis] - 1
    place = last * share / 100
    lower, upper = _neighbours(values, int(place), min(int(place) + 1, last), axis)
    return lower + (upper - lower) * (place - int(place))


def nan_median(values: np.ndarray, axis: int | None = None) -> Any:
    """Median of the values that are not NaN; NaN where there is none (`np.nanmedian`, ten times as fast)."""
    values, axis = (values.ravel(), 0) if axis is None else (values, axis)
    if values.shape[axis] and np.isfinite(values).all():
        return median(values, axis)
    values = np.sort(values, axis=axis)  # NaN come last
    count = np.expand_dims(np.isfinite(values).sum(axis=axis), axis)
    if values.shape[axis] == 0:
        return np.full(np.squeeze(count, axis).shape, np.nan)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[axis] - 1)
    middle = (np.take_along_axis(values, low, axis) + np.take_along_axis(values, high, axis)) / 2
    return np.squeeze(np.where(count > 0, middle, np.nan), axis)


def mean(values: np.ndarray, axis: int = -1, keepdims: bool = False) -> Any:
    """`np.mean` along one axis, which for few values takes twice the time."""
    return values.sum(axis, keepdims=keepdims) / values.shape[axis]


def spread(values: np.ndarray) -> Any:
    """`np.std` of `(values,)`, which for few values takes twice the time."""
    return np.sqrt(mean(np.square(values - mean(values))))


def differences(values: np.ndarray) -> np.ndarray:
    """`np.diff` along the last axis, which for few values takes four times the time."""
    return values[..., 1:] - values[..., :-1]


def true_in_rows(mask: np.ndarray) -> np.ndarray:
    """How many values of each row of `mask` `(rows, samples)` are true, `(rows,)`: `np.count_nonzero`, which along an axis takes
    three times the time."""
    return np.array([np.count_nonzero(row) for row in mask], dtype=int)


def within(values: Any, low: Any, high: Any) -> Any:
    """`np.clip`."""
    return np.minimum(np.maximum(values, low), high)


def _neighbours(values: np.ndarray, rank: int, following: int, axis: int) -> tuple[Any, Any]:
    """The values of `rank` (from 0) and of the rank `following`, the same or the next one, along `axis`."""
    count = values.shape[axis]
    if count > SORTED_UP_TO:
        last_axis = values if axis in (-1, values.ndim - 1) else np.moveaxis(values, axis, -1)
        of_long = _of_parts if values.size > PARTED_UP_TO else _parted
        return of_long(last_axis, rank, following)
    if count <= COMPARED_UP_TO and values.size > FEWEST_COLUMNS * count:
        return _of_columns(values, rank, following, axis)
    ordered = values.copy()
    ordered.sort(axis)
    if values.ndim == 1:
        return ordered[rank], ordered[following]
    lower = ordered.take(rank, axis)
    return lower, lower if following == rank else ordered.take(following, axis)


def _parted(values: np.ndarray, rank: int, following: int) -> tuple[Any, Any]:
    """`_neighbours` of rows `(..., values)` of any length."""
    # NumPy parts at one rank with vector instructions, at two without.
    parted = np.partition(values, rank, axis=-1)
    lower = parted[..., rank]
    return lower, lower if following == rank else parted[..., following:].min(axis=-1)


def _of_columns(values: np.ndarray, rank: int, following: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """`_neighbours` of few values in many columns."""
    axis %= values.ndim
    rows = list(values.transpose(axis, *range(axis), *range(axis + 1, values.ndim)).copy())
    for first, second, lower, higher in _comparisons(len(rows), rank, following):
        one, other = rows[first], rows[second]
        if lower:
            rows[first] = np.minimum(one, other)
        if higher:
            np.maximum(one, other, out=other)
    return rows[rank], rows[following]


@lru_cache(maxsize=64)
def _comparisons(count: int, *ranks: int) -> list[tuple[int, int, bool, bool]]:
    """Batcher's odd-even merge sort (1968) of `count` rows, less what the rows of `ranks` do not depend on: two rows that are
    compared, whether the first gets the lower values, and whether the second gets the higher ones."""
    pairs, size = [], 1
    while size < count:
        step = size
        while step:
            for first in range(step % size, count - step, 2 * step):
                same = (i for i in range(first, min(first + step, count - step)))
                pairs += [(i, i + step) for i in same if i // (2 * size) == (i + step) // (2 * size)]
            step //= 2
        size *= 2
    needed, kept = set(ranks), []
    for first, second in reversed(pairs):
        if first in needed or second in needed:
            kept.append((first, second, first in needed, second in needed))
            needed |= {first, second}
    return kept[::-1]


def _of_parts(values: np.ndarray, rank: int, following: int) -> tuple[Any, Any]:
    """`_neighbours` of long rows `(..., values)`: each is sorted in parts, every so many values apart, in all of which the values
    around the rank are about the same; those are sorted once more, and the rest is asked whether it lies on its sides."""
    count, rows = values.shape[-1], values.shape[:-1]
    number = -(-count // SORTED_UP_TO)
    while math.gcd(number, HUM_SAMPLES) > 1:
        number += 1
    length = count // number
    parts = values[..., : number * length].reshape(*rows, length, number).swapaxes(-1, -2).copy()
    parts.sort(-1)
    reach, place = int(REACH * math.sqrt(length)), rank // number
    first, end = max(place - reach, 0), min(place + reach, length)
    near = np.concatenate([parts[..., first:end].reshape(*rows, -1), values[..., number * length :]], axis=-1)
    skipped = number * first
    lower, upper = _neighbours(near, rank - skipped, following - skipped, -1)
    too_low = first > 0 and (parts[..., first - 1] > lower[..., None]).any()
    if too_low or (end < length and (parts[..., end] < upper[..., None]).any()):
        return _parted(values, rank, following)
    return lower, upper


__all__ = ["differences", "mean", "median", "nan_median", "percentile", "spread", "true_in_rows", "within"]
