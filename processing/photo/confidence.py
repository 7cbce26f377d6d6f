# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The confidence in a digitised page, from redundant parts that have to agree."""

from collections.abc import Sequence

import numpy as np

from ..ecg_record import LIMB_LEADS_FROM_I_II
from .layout import PageOrder, Stretch
from .paper import PX_PER_MM
from .timing import EDGE_MM

LEAST_CONFIDENCE = 0.5
# Share of the signal by which leads may contradict each other: at `DOUBT` the confidence is 0.5.
DOUBT = 0.6
LEAST_OVERLAP = 100  # samples
LEAST_INK = 0.8
LONG_ROW = 2500  # samples; the halves of such rows are looked at alone, for a row taken for longer than it is may agree in one


def judge(
    stretches: Sequence[Stretch], parts: Sequence[tuple[int, np.ndarray]], order: PageOrder
) -> tuple[dict[str, float], list[str]]:
    """The confidence in each lead, 0 to 1, and descriptions of the doubts.

    Four things lower it: gaps in the trace; ink that may be its own and was not read as such (which never brings it below
    `LEAST_CONFIDENCE`, for handwriting is ink too); limb leads that break the laws of Einthoven and Goldberger; a rhythm strip
    that differs from its lead in the same seconds.
    """
    doubts = []
    confidence: dict[str, float] = {}
    for stretch, (_, samples) in zip(stretches, parts, strict=True):
        shown = float(np.mean(np.isfinite(samples)))
        value = min(min(shown / LEAST_INK, 1.0) ** 2, max(_share_read(stretch), LEAST_CONFIDENCE))
        confidence[stretch.lead] = min(confidence.get(stretch.lead, 1.0), value)
        if value < LEAST_CONFIDENCE:
            doubts.append(f"{100 * (1 - shown):.0f} % of {stretch.lead} is not seen")
    for leads, excess in (*_limb_contradictions(stretches, parts), *_strip_contradictions(stretches, parts)):
        value = float(np.clip(1 - 0.5 * excess / DOUBT, 0, 1))
        for lead in leads:
            confidence[lead] = min(confidence[lead], value)
        if value < LEAST_CONFIDENCE:
            doubts.append(f"{', '.join(leads)} contradict each other by {100 * excess:.0f} % of the signal")
    return confidence, doubts


def _share_read(stretch: Stretch) -> float:
    """The share of a trace's power, 0 to 1, that was read, if all doubtful ink is a part of the trace."""
    columns = stretch.trace.left + np.arange(len(stretch.trace.doubtful)) + 0.5
    edge = EDGE_MM * PX_PER_MM
    inside = (columns > stretch.left + edge) & (columns < stretch.right - edge)
    height = stretch.trace.height[1::2][inside]
    seen = height[np.isfinite(height)]
    read = float(((seen - np.median(seen)) ** 2).sum()) if len(seen) else 0.0
    doubtful = float((stretch.trace.doubtful[inside] ** 2).sum())
    return read / max(read + doubtful, 1e-9)


def _limb_contradictions(
    stretches: Sequence[Stretch], parts: Sequence[tuple[int, np.ndarray]]
) -> list[tuple[tuple[str, ...], float]]:
    """Three limb leads of the same seconds, and by how much they contradict each other."""
    limb = {
        (stretch.lead, first): samples
        for stretch, (first, samples) in zip(stretches, parts, strict=True)
        if stretch.lead in LIMB_LEADS_FROM_I_II and not stretch.is_rhythm
    }
    found = []
    for first in sorted({first for _, first in limb}):
        leads = [lead for lead, start in limb if start == first]
        for at in range(0, len(leads) - 2, 3):
            three = tuple(leads[at : at + 3])
            length = min(len(limb[lead, first]) for lead in three)
            rows = np.stack([limb[lead, first][:length] for lead in three])
            weights = np.array([LIMB_LEADS_FROM_I_II[lead] for lead in three], float)
            # The one combination of three leads that cancels, for they are made of two.
            _, _, basis = np.linalg.svd(weights.T)
            remainder = basis[-1] @ rows
            halves = (slice(0, length // 2), slice(length // 2, length))
            excesses = [_excess(remainder[half], rows[:, half]) for half in halves if length > LONG_ROW]
            found.append((three, max([_excess(remainder, rows), *excesses], key=np.nan_to_num)))
    return [(leads, excess) for leads, excess in found if np.isfinite(excess)]


def _strip_contradictions(
    stretches: Sequence[Stretch], parts: Sequence[tuple[int, np.ndarray]]
) -> list[tuple[tuple[str, ...], float]]:
    found = []
    for strip, (strip_first, whole) in zip(stretches, parts, strict=True):
        for stretch, (first, samples) in zip(stretches, parts, strict=True):
            if strip.is_rhythm and not stretch.is_rhythm and stretch.lead == strip.lead:
                same = whole[first - strip_first : first - strip_first + len(samples)]
                rows = np.stack([same, samples[: len(same)]])
                found.append(((strip.lead,), _excess(rows[0] - rows[1], rows)))
    return [(leads, excess) for leads, excess in found if np.isfinite(excess)]


def _excess(remainder: np.ndarray, rows: np.ndarray) -> float:
    """What is left of something that should cancel, as a share of the rows; robust against single crossings of traces."""
    together = np.isfinite(remainder)
    if together.sum() < LEAST_OVERLAP:
        return float("nan")
    left = remainder[together] - np.median(remainder[together])
    shown = rows[:, together] - np.median(rows[:, together], axis=1, keepdims=True)
    steep = np.abs(shown).max(axis=0) > 0.3 * np.abs(shown).max()
    beats = steep if steep.sum() > 20 else np.ones_like(steep)
    return float(np.sqrt(np.mean(left[beats] ** 2) / np.mean((shown[:, beats] ** 2).sum(axis=0))))


__all__ = ["LEAST_CONFIDENCE", "judge"]
