# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Columns of times or sample numbers: their recognition, and the sampling rate that follows from them."""

import re

import numpy as np

# Words for time, in heads of columns, and for a count of samples.
_TIME_WORDS = frozenset(
    [
        "time",
        "times",
        "timestamp",
        "t",
        "zeit",
        "zeitstempel",
        "temps",
        "tiempo",
        "tempo",
        "tijd",
        "tid",
        "czas",
        "время",
        "zaman",
        "aika",
        "cas",
        "čas",
        "时间",
        "時間",
        "時刻",
        "시간",
        "s",
        "sec",
        "secs",
        "second",
        "seconds",
        "sekunden",
        "sekunde",
        "secondes",
        "segundos",
        "secondi",
        "ms",
        "msec",
        "millisecond",
        "milliseconds",
        "us",
        "ns",
        "elapsed",
        "datetime",
        "date",
    ]
)
_COUNT_WORDS = frozenset(
    [
        "sample",
        "samples",
        "index",
        "idx",
        "#",
        "no",
        "nr",
        "n°",
        "seq",
        "nseq",
        "count",
        "counter",
        "row",
        "line",
        "frame",
        "zeile",
        "messpunkt",
        "échantillon",
        "muestra",
        "campione",
        "amostra",
        "номер",
        "样本",
        "unnamed",
        "id",
    ]
)
SECONDS_PER_UNIT = {
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "sekunden": 1.0, "secondes": 1.0, "segundos": 1.0,
    "secondi": 1.0, "ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "µs": 1e-6,
    "μs": 1e-6, "usec": 1e-6, "ns": 1e-9, "nsec": 1e-9, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0,
}  # fmt: skip
# A step of seconds that an ECG's samples can have (20 Hz and more); a longer one counts samples or milliseconds.
_LONGEST_STEP_S = 0.05
# Times since 1970 by their size, in s, ms, us and ns: the years 2001 to 2286.
_EPOCH_STARTS = ((1e9, 1.0), (1e12, 1e-3), (1e15, 1e-6), (1e18, 1e-9))
# Times with few digits repeat; where more samples than these share one, they came in packets and tell no rate.
_MAX_ROUNDING = 10
_MIN_SAMPLES = 20
# A sample belongs to a place on the grid of times if it is so near to it, in steps; a time axis with holes has few of them.
_NEAR_PLACE, _MOST_HOLES = 0.25, 10
_CLOCK = re.compile(
    r"['\"\[]?(?:\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4},?[T ]+|\d{1,5} days? \+?)?(?:(?P<h>\d{1,3}):)?(?P<m>\d{1,2}):(?P<s>\d{1,2}(?:[.,]\d{1,9})?)"
    r"(?:\s*(?:Z|[AP]M|[+-]\d{2}:?\d{2}))?(?: \d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})?['\"\]]?",
    re.IGNORECASE,
)


def is_time_name(head: str) -> bool:
    """Whether a column is called a time or a count of samples, in the languages that devices write."""
    words = re.findall(r"[^\W\d_]+|#|n°", head.casefold())
    return bool({*words[:1], *words[-1:]} & (_TIME_WORDS | _COUNT_WORDS))


def rises_evenly(row: np.ndarray) -> bool:
    """Whether a row is an axis and no signal: every step upwards, and none far from their mean."""
    if (
        row.dtype.kind not in "iuf"
        or len(row) < _MIN_SAMPLES
        or not (row[1] > row[0] and row[2] > row[1] and row[-1] > row[0])
    ):
        return False
    steps = np.diff(row.astype(np.float64))
    return bool(
        np.isfinite(steps).all() and (steps > 0).all() and np.abs(steps - steps.mean()).max() <= 0.51 * steps.mean()
    )


def rate_of_axis(head: str, unit: str | None, times: np.ndarray) -> float | None:
    """The sampling rate in Hz that a column tells, if it is a time axis with even steps in a unit that is known.

    The unit is stated (`"time [ms]"`, a row of units), told by the size (seconds or their fractions since 1970), or the
    only possible one: steps up to 0.05 are seconds, longer ones that are no whole number are milliseconds. A whole
    number without a unit may count samples: `None`.
    """
    times = times[np.isfinite(times)].astype(np.float64)
    if len(times) < _MIN_SAMPLES:
        return None
    steps = np.diff(times)
    step = (times[-1] - times[0]) / len(steps)
    # Times are often written with few digits only, so that single steps wobble by one of them.
    finest = steps[steps > 0].min(initial=np.inf)
    rounded = finest * 1.01 if finest <= _MAX_ROUNDING * step else 0.0
    if step <= 0 or (steps < 0).any() or np.abs(steps - step).max() > max(0.51 * step, rounded):
        return None
    scale = _stated_scale(head, unit) or _scale_by_size(times[0], step)
    if scale is None:
        return None
    rate = 1.0 / (step * scale)
    return float(round(rate)) if abs(rate - round(rate)) < 1e-3 * rate else rate


def places_on_axis(head: str, unit: str | None, times: np.ndarray) -> tuple[np.ndarray, float] | None:
    """
    The place of each sample on the even grid of a time axis with holes, `(samples,)`, and the sampling rate in Hz: where all steps are
    whole multiples of the usual one. `None` where times are even, or tell no places.
    """
    times = times.astype(np.float64)
    if len(times) < _MIN_SAMPLES or not np.isfinite(times).all() or not is_time_name(head):
        return None
    steps = np.diff(times)
    step = float(np.median(steps))
    scale = _stated_scale(head, unit) or (_scale_by_size(times[0], step) if step > 0 else None)
    if step <= 0 or scale is None:
        return None
    places = (times - times[0]) / step
    rounded = places.round()
    counts = np.diff(rounded)
    uneven = np.abs(places - rounded).max() > _NEAR_PLACE or (counts < 1).any() or (counts == 1).all()
    if uneven or rounded[-1] > _MOST_HOLES * len(times):
        return None
    rate = 1.0 / (step * scale)
    return rounded.astype(np.int64), float(round(rate)) if abs(rate - round(rate)) < 1e-3 * rate else rate


def _stated_scale(head: str, unit: str | None) -> float | None:
    """Seconds per unit of the column, by the row of units or the last word of its head."""
    words = re.findall(r"[^\W\d_]+", (unit or head).casefold())
    return SECONDS_PER_UNIT.get(words[-1]) if words else None


def _scale_by_size(start: float, step: float) -> float | None:
    for smallest, scale in reversed(_EPOCH_STARTS):
        if smallest <= start < 10 * smallest:
            return scale
    if step <= _LONGEST_STEP_S:
        return 1.0
    return 1e-3 if step < 1e3 * _LONGEST_STEP_S and abs(step - round(step)) > 1e-3 else None


def is_clock(cell: str) -> bool:
    """Whether a cell is a time of day or since the start: `"0:00.002"`, `"'10:15:00.5'"`, `"2023-01-01T10:00:00Z"`."""
    return len(cell) < 64 and _CLOCK.fullmatch(cell.strip()) is not None


def seconds_of_clock(cells: list[str]) -> np.ndarray:
    """Seconds of each cell; NaN where it is no time; midnight in between is passed."""
    seconds = np.full(len(cells), np.nan)
    for index, cell in enumerate(cells):
        match = _CLOCK.fullmatch(cell.strip())
        if match is not None:
            hours, minutes = int(match["h"] or 0), int(match["m"])
            seconds[index] = hours * 3600 + minutes * 60 + float(match["s"].replace(",", "."))
    return seconds + 86_400.0 * np.cumsum(np.diff(seconds, prepend=seconds[:1]) < -43_200)


__all__ = [
    "SECONDS_PER_UNIT",
    "is_clock",
    "is_time_name",
    "places_on_axis",
    "rate_of_axis",
    "rises_evenly",
    "seconds_of_clock",
]
