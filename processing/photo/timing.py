# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""From the traces of a page to samples in mV: scale, times of the columns, resampling."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..errors_gem import EcgQualityError
from .layout import PageOrder, Stretch
from .paper import PX_PER_MM
from .pulses import GAINS_MM, Pulse

SAMPLING_RATE = 500.0
USUAL_SPEED, USUAL_GAIN = 25.0, 10.0  # Kligfield et al. 2007, doi:10.1161/CIRCULATIONAHA.106.180200
SNAP = 0.08  # a pulse is as high as a usual gain makes it, to that share, or something else was taken for one
EDGE_MM = 0.45  # beside an edge between columns: marks between columns stand there
LONGEST_GAP_S = 0.03  # without ink that is bridged
# A trace that is not steep in the mm before its end, where QRS complexes rise by more than that, is taken to stay level for as long.
END_MM, LEVEL_MM = 1.0, 2.0
# Columns show the same seconds if their beats stand at the same places: to the first figure all together, to the second each. Columns
# that touch mostly continue where the one before ended, so that chance has to be ruled out; for columns printed apart less will do.
TOUCHING_S, APART_S = (0.012, 0.012), (0.04, 0.02)
MOST_BEATS, MANY_BEATS = 0.65, 8  # of many beats some may differ: premature ones look unlike in other leads
WHOLE_S = 8.0  # a column that is longer holds a whole ECG of 10 s, mostly: less will do for it, too


@dataclass(frozen=True)
class Scale:
    """Paper speed in mm/s and gain in mm/mV, and where each is from: `"pulse"`, `"text"`, `"stated"` or `"convention"`."""

    speed: float
    gain: float
    speed_from: str
    gain_from: str

    def __str__(self) -> str:
        origin = {"pulse": "by the pulse", "text": "as printed", "stated": "as stated", "convention": "by convention"}
        return f"{self.speed:g} mm/s {origin[self.speed_from]}, {self.gain:.3g} mm/mV {origin[self.gain_from]}"


def find_scale(
    pulses: Sequence[Pulse], printed: dict[str, float], speed: float | None = None, gain: float | None = None
) -> Scale:
    """The scale of a page. The user's statement takes precedence over the page.

    Raises:
        EcgQualityError: the pulses have an unusual height, or one that contradicts the text on the page.
    """
    found_speed, speed_from = USUAL_SPEED, "convention"
    if speed is not None:
        found_speed, speed_from = speed, "stated"
    elif "mm/s" in printed:
        found_speed, speed_from = printed["mm/s"], "text"
    found_gain, gain_from = USUAL_GAIN, "convention"
    if gain is not None:
        found_gain, gain_from = gain, "stated"
    elif pulses:
        height = float(np.median([pulse.height_mm for pulse in pulses]))
        found_gain, gain_from = min(GAINS_MM, key=lambda usual: abs(height / usual - 1)), "pulse"
        if abs(height / found_gain - 1) > SNAP or printed.get("mm/mV", found_gain) != found_gain:
            says = f", and the page says {printed['mm/mV']:g} mm/mV" if "mm/mV" in printed else ""
            raise EcgQualityError(
                f"its calibration pulses are {height:.1f} mm high, which is no usual gain{says}; state `gain`, on the command "
                "line --page gain=10"
            )
    elif "mm/mV" in printed:
        found_gain, gain_from = printed["mm/mV"], "text"
    return Scale(found_speed, found_gain, speed_from, gain_from)


def with_times(order: PageOrder, scale: Scale) -> tuple[tuple[Stretch, ...], bool]:
    """The stretches with their seconds, and whether the columns show the same seconds."""
    first = order.columns[0].left
    together = len(order.columns) > 1 and not any(s.is_rhythm for s in order.stretches) and _same_seconds(order, scale)
    gaps = 0.0
    starts = {}
    for index, column in enumerate(order.columns):
        if index:
            gaps += max(column.left - order.columns[index - 1].right, 0.0)
        starts[column.left] = 0.0 if together else (column.left - first - gaps) / PX_PER_MM / scale.speed
    timed = []
    for stretch in order.stretches:
        start = 0.0 if stretch.is_rhythm else starts[stretch.left]
        seconds = (stretch.right - stretch.left) / PX_PER_MM / scale.speed
        timed.append(replace(stretch, start=start, stop=start + seconds))
    return tuple(timed), together


def _same_seconds(order: PageOrder, scale: Scale) -> bool:
    """Whether all columns show their beats at the same places."""
    beats = [_beats(order, index, scale) for index in range(len(order.columns))]
    fewest = min(beats, key=len)
    if len(fewest) < 3:
        return False
    apart = any(a.right < b.left - 1 for a, b in pairwise(order.columns))
    shortest = min(column.right - column.left for column in order.columns) / PX_PER_MM / scale.speed
    offset, spread = APART_S if apart or shortest > WHOLE_S else TOUCHING_S
    for found in beats:
        away = found[np.abs(found[None] - fewest[:, None]).argmin(axis=1)] - fewest
        alike = np.mean(np.abs(away - np.median(away)) <= spread)
        if abs(np.median(away)) > offset or alike < (MOST_BEATS if len(fewest) >= MANY_BEATS else 1):
            return False
    return True


def _beats(order: PageOrder, index: int, scale: Scale) -> np.ndarray:
    """When a column's beats are, in s from its left: where its traces are steepest together."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    column = order.columns[index]
    width = round(column.right - column.left)
    steep = np.zeros(width)
    for trace in column.traces:
        first = trace.left - round(column.left)
        tall = np.nan_to_num(trace.lower - trace.upper)[max(-first, 0) : max(width - first, 0)]
        steep[max(first, 0) : max(first, 0) + len(tall)] += np.minimum(tall, 10 * PX_PER_MM)
    per_second = scale.speed * PX_PER_MM
    edge = round(2 * EDGE_MM * PX_PER_MM)
    steep[:edge], steep[len(steep) - edge :] = 0, 0
    smooth = gaussian_filter1d(steep - np.median(steep), 0.02 * per_second)
    peaks, _ = find_peaks(smooth, height=0.4 * np.quantile(smooth, 0.99), distance=round(0.25 * per_second))
    return peaks / per_second


def samples_of(
    stretch: Stretch, scale: Scale, pulses: Sequence[Pulse], cut: tuple[bool, bool]
) -> tuple[int, np.ndarray]:
    """Number of the first sample at `SAMPLING_RATE`, and the samples in mV; NaN where the page shows nothing.

    Args:
        stretch: a trace on the page.
        scale: paper speed and gain.
        pulses: the calibration pulses, which are left out.
        cut: whether other columns adjoin the trace on its left and right, so that separators may be printed at that end.
    """
    trace = stretch.trace
    per_second, per_mv = scale.speed * PX_PER_MM, scale.gain * PX_PER_MM
    left, right = (EDGE_MM * PX_PER_MM if touched else 0.0 for touched in cut)
    x = trace.x
    inside = (x > stretch.left + left) & (x < stretch.right - right) & np.isfinite(trace.height)
    first = int(np.ceil(stretch.start * SAMPLING_RATE - 1e-6))
    count = max(int(np.floor(stretch.stop * SAMPLING_RATE + 1e-6)) - first, 1)
    times = (first + np.arange(count)) / SAMPLING_RATE
    if inside.sum() < 2:
        return first, np.full(count, np.nan)
    seen = stretch.start + (x[inside] - stretch.left) / per_second
    zero = zero_of(float(np.nanmedian(trace.height)), pulses)
    value = stretch.sign * (zero - trace.height[inside]) / per_mv
    samples = np.interp(times, seen, value)
    nearest = np.clip(np.searchsorted(seen, times), 1, len(seen) - 1)
    hidden = (seen[nearest] - seen[nearest - 1] > LONGEST_GAP_S) & (times > seen[0]) & (times < seen[-1])
    height, ends = trace.height[inside], int(2 * END_MM * PX_PER_MM)
    before, behind = (
        LONGEST_GAP_S if np.ptp(end) < LEVEL_MM * PX_PER_MM else 0.0 for end in (height[:ends], height[-ends:])
    )
    outside = (times < seen[0] - before) | (times > seen[-1] + behind)
    samples[hidden | outside] = np.nan
    return first, samples


def zero_of(usual: float, pulses: Sequence[Pulse]) -> float:
    """Where 0 mV is, px: the foot of the row's pulse, or where its trace is most of the time (`usual`)."""
    feet = [pulse.foot for pulse in pulses if abs(pulse.foot - usual) < 4 * PX_PER_MM]
    return min(feet, key=lambda foot: abs(foot - usual)) if feet else usual


__all__ = ["SAMPLING_RATE", "Scale", "find_scale", "samples_of", "with_times", "zero_of"]
