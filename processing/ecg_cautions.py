# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What a reader of the measurements must know about the recording."""

from typing import TYPE_CHECKING

import numpy as np

from .ecg_limits import ADULT_ABOVE_YEARS, COARSE_BELOW_HZ, INTERVALS_FROM_HZ, LONG_PAUSE_S
from .ecg_reliability import ALL_LEADS

if TYPE_CHECKING:
    from .ecg_features import EcgFeatures

SILENT_RR = 2.0  # of the longest RR interval; the rest of a usual record is shorter than one


def coarse_rate(sampling_rate: float) -> str | None:
    """A sentence about a sampling rate (Hz) that is too low for intervals, or `None`."""
    if not sampling_rate < COARSE_BELOW_HZ:
        return None
    if sampling_rate < INTERVALS_FROM_HZ:
        return f"{sampling_rate:g} Hz is too coarse for intervals, ST levels and Q waves, which are withheld"
    return (
        f"{sampling_rate:g} Hz is too coarse for notches of the QRS, and intervals are uncertain by "
        f"{interval_resolution(sampling_rate):.0f} ms, a sample"
    )


def interval_resolution(sampling_rate: float) -> float:
    """By how many ms an interval may be off because of the sampling alone: half a sample at each end."""
    return 1000.0 / sampling_rate


def cautions(features: "EcgFeatures") -> tuple[str, ...]:
    """Sentences on what a reader of the measurements must know: a coarse sampling rate, a gain that seems wrong, a beginning or end without
    heartbeats, and a child, of whom the sources of `ecg_limits` give limits of the QRS and the axis only."""
    gain = (doubt.found for doubt in features.plausibility.doubts if doubt.about == "scale")
    child = features.age is not None and features.age <= ADULT_ABOVE_YEARS
    children = "limits are those of adults, but for QRS duration and axis" if child else None
    found = (coarse_rate(features.sampling_rate), *gain, *stretches_without_beats(features), children)
    return tuple(sentence for sentence in found if sentence)


def stretches_without_beats(features: "EcgFeatures") -> list[str]:
    """Sentences about the beginning and the end of a record where they show no heartbeat for long, though they do show a signal."""
    if len(features.beat_times) < 2:
        return []
    first, last = float(features.beat_times[0]), float(features.beat_times[-1])
    longest = max(LONG_PAUSE_S, SILENT_RR * float(np.diff(features.beat_times).max()))
    found = []
    for start, end, where in ((0.0, first, f"before {first:.1f} s"), (last, features.duration, f"after {last:.1f} s")):
        unused = any(lead == ALL_LEADS and left < end and right > start for lead, left, right, _ in features.left_out)
        if end - start > longest and not unused:
            found.append(
                f"no heartbeat is found {where} of {features.duration:.4g} s; rate and rhythm are of the rest"
            )
    return found


__all__ = ["cautions", "coarse_rate", "interval_resolution", "stretches_without_beats"]
