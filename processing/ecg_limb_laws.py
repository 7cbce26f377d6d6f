# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Einthoven's law and Goldberger's definitions: limb leads from others, how far recorded ones break the laws, and which of them are dead."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from .ecg_lead_names import LIMB_LEADS_FROM_I_II
from .ecg_limits import FLAT_MV
from .ecg_order_statistics import mean

BIPOLAR: Final = ("I", "II", "III")  # Einthoven's leads, of which any two give the third
# I + III - II and Goldberger's definitions, RMS of what is left over the largest RMS: at most 0.011 and 0.03.
LIMB_TOLERANCE: Final = 0.1
# Weights of leads whose sum is zero, by the lead that a doubt names: Einthoven's law contains III, and its violation is reported for II.
LIMB_LAWS: Final[Mapping[str, Mapping[str, float]]] = {
    named: {lead: 1.0, "I": -LIMB_LEADS_FROM_I_II[lead][0], "II": -LIMB_LEADS_FROM_I_II[lead][1]}
    for named, lead in (("II", "III"), ("aVR", "aVR"), ("aVL", "aVL"), ("aVF", "aVF"))
}
# On a page of columns no six leads were recorded at once: what holds within the first column and within the second.
SUM_OF_THREE: Final = "aVR + aVL + aVF"
ONE_LEADS_SHARE: Final = 0.5  # of what the sum leaves: a lead of a false size explains it; a third is what one of three noisy leads explains
SUM_TOLERANCE: Final = 0.13  # of 60 right pages (20 records) at most 0.11, where 0.1 calls one suspect
COLUMN_LAWS: Final[Mapping[str, Mapping[str, float]]] = {
    "II": LIMB_LAWS["II"],
    SUM_OF_THREE: {"aVR": 1.0, "aVL": 1.0, "aVF": 1.0},
}
# A limb lead whose samples and what the others give of it have less in common holds something else; a wrong gain leaves 1, a wrong sign -1.
UNLIKE: Final = 0.5
SHOWS_NO_BEATS: Final = "shows none of the beats that the other leads show"


def limb_lead(lead: str, sources: tuple[str, str], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A limb lead in mV from two others: their weights of I and II solved for it (Cramer's rule)."""
    (a, b), (c, d), (x, y) = (LIMB_LEADS_FROM_I_II[name] for name in (*sources, lead))
    area = a * d - b * c  # not zero: no two limb leads point the same way
    return (x * d - y * c) / area * first + (a * y - b * x) / area * second


def limb_sources(leads: Sequence[str], signal: np.ndarray) -> tuple[str, str] | None:
    """The two limb leads that others are derived from: the first two in standard order that hold something, or `None`.

    A flat lead beside one that is not is an electrode that came off, and what follows from it would be untrue; where all are flat, so is what
    follows.
    """
    limbs = [lead for lead in LIMB_LEADS_FROM_I_II if lead in leads]
    flat = flat_limb_leads(leads, signal)
    alive = [lead for lead in limbs if lead not in flat] if len(flat) < len(limbs) else limbs
    return (alive[0], alive[1]) if len(alive) > 1 else None


def flat_limb_leads(leads: Sequence[str], signal: np.ndarray) -> list[str]:
    """The limb leads of `signal` (leads, samples) in mV that hold one value throughout, or none."""
    limbs = [lead for lead in LIMB_LEADS_FROM_I_II if lead in leads]
    rows = [signal[leads.index(lead)] for lead in limbs]
    return [
        lead for lead, row in zip(limbs, rows, strict=True) if not np.fmax.reduce(row) - np.fmin.reduce(row) >= FLAT_MV
    ]


def broken_law(leads: Sequence[str], signal: np.ndarray) -> tuple[str, str] | None:
    """The first law that limb leads break, where one is wrong the others mostly are: its lead (or `""`), and by how much."""
    for lead, error in limb_errors(leads, signal).items():
        if error > (SUM_TOLERANCE if lead == SUM_OF_THREE else LIMB_TOLERANCE):
            if lead == "II":
                return "", f"I + III differs from II by {error:.0%} (Einthoven's law)"
            if lead == SUM_OF_THREE:
                return "", f"{SUM_OF_THREE}, which is 0, differs from it by {error:.0%} (Goldberger's definitions)"
            return lead, f"differs by {error:.0%} from what I and II give (Goldberger's definition)"
    return None


def dead_limb_leads(leads: Sequence[str], signal: np.ndarray, silent: Sequence[str]) -> dict[str, str]:
    """Limb leads that hold no ECG, and what they hold instead: what is flat or `silent`, or the one lead that is unlike the others."""
    limbs = [lead for lead in LIMB_LEADS_FROM_I_II if lead in leads]
    dead = {lead: SHOWS_NO_BEATS for lead in limbs if lead in silent}
    heights = np.fmax.reduce(signal, axis=1) - np.fmin.reduce(signal, axis=1)
    dead |= {lead: "is flat, the other limb leads are not" for lead in limbs if heights[leads.index(lead)] < FLAT_MV}
    if dead:
        return dead
    for lead in limbs:
        rest = without_limb_leads(leads, signal, (lead,))
        # Einthoven's law says nothing of a lead that comes from it.
        told = len(_broken_laws(LIMB_LAWS, leads, rest) or {}) > (lead in BIPOLAR)
        if told and broken_law(leads, rest) is None and _is_unlike(leads, signal, lead):
            return {lead: "has little in common with what the other limb leads give"}
    return {}


def without_limb_leads(leads: Sequence[str], signal: np.ndarray, dead: Sequence[str]) -> np.ndarray:
    """`signal` (leads, samples) with NaN in the limb leads `dead`; one of I, II and III as the other two give it."""
    rest = np.array(signal, dtype=np.float64)
    rest[[leads.index(lead) for lead in dead]] = np.nan
    lost = [lead for lead in dead if lead in BIPOLAR]
    if len(lost) == 1:
        rest[leads.index(lost[0])] = _given(leads, signal, lost[0])
    return rest


def _given(leads: Sequence[str], signal: np.ndarray, lead: str) -> np.ndarray:
    """A limb lead as two others give it, `(samples,)` mV: one of I, II and III from the other two, the rest from I and II; NaN without them."""
    first, second, *_ = (other for other in BIPOLAR if other != lead)
    none = np.full(signal.shape[1], np.nan)
    rows = (signal[leads.index(other)].astype(np.float64) if other in leads else none for other in (first, second))
    return limb_lead(lead, (first, second), *rows)


def _is_unlike(leads: Sequence[str], signal: np.ndarray, lead: str) -> bool:
    """Whether a limb lead hardly correlates with what two others give of it, nor with any other limb lead, whose copy it may be."""
    others = [signal[leads.index(other)] for other in LIMB_LEADS_FROM_I_II if other in leads and other != lead]
    rows = np.array([signal[leads.index(lead)], _given(leads, signal, lead), *others], dtype=np.float64)
    rows = rows[:, np.isfinite(rows).all(axis=0)]
    if not rows.shape[1]:
        return False
    rows -= mean(rows, keepdims=True)
    shared = rows @ rows.T
    return bool((np.abs(shared[0, 1:]) < UNLIKE * np.sqrt(shared[0, 0] * shared.diagonal()[1:])).all())


def without_details(signal: np.ndarray, samples: float) -> np.ndarray:
    """Moving means of `signal` (leads, samples) over so many samples; NaN where one of them is missing."""
    length = round(samples)
    if length < 2 or length > signal.shape[1]:
        return signal
    means = np.lib.stride_tricks.sliding_window_view(signal, length, axis=1).mean(axis=2)
    before = (length - 1) // 2
    return np.pad(means, ((0, 0), (before, length - 1 - before)), constant_values=np.nan)


def limb_errors(leads: Sequence[str], signal: np.ndarray) -> dict[str, float]:
    """By how much the limb leads of `signal` (leads, samples) in mV contradict each other.

    Under `"II"`, Einthoven's law: RMS of I + III - II over the largest RMS of the three; under `"aVR"`, `"aVL"`, `"aVF"`,
    Goldberger's definitions from I and II likewise. Only what was recorded at the same time is compared, each lead about its
    mean (an offset of an amplifier is not an error); absent leads have no entry. Where a page shows three limb leads in one
    column and three in the next, Goldberger's sum under `"aVR + aVL + aVF"`.
    """
    errors = _broken_laws(LIMB_LAWS, leads, signal)
    if errors is not None:
        return errors
    errors = {}
    for name, law in COLUMN_LAWS.items():
        least = ONE_LEADS_SHARE if name == SUM_OF_THREE else 0.0
        errors |= _broken_laws({name: law}, leads, signal, least) or {}
    return errors


def _broken_laws(
    laws: Mapping[str, Mapping[str, float]], leads: Sequence[str], signal: np.ndarray, by_one_lead: float = 0.0
) -> dict[str, float] | None:
    """RMS of what should be 0 over the largest RMS of a law's leads; `None` where not all of them were recorded at once.

    It is 0 where no single lead explains the share `by_one_lead` of it: three noisy leads break a law, too, and are named as such.
    """
    known = np.isfinite(signal)
    shown = {lead for lead, has_samples in zip(leads, known.any(axis=1).tolist(), strict=True) if has_samples}
    laws = {name: law for name, law in laws.items() if set(law) <= shown}
    names = sorted({lead for law in laws.values() for lead in law})
    if not names:
        return {}
    rows, there = (array[[leads.index(name) for name in names]] for array in (signal, known))
    common = there.all(axis=0)
    if not common.any():
        return None
    rows = (rows if common.all() else rows[:, common]).astype(np.float64)
    rows -= mean(rows, keepdims=True)
    power = rows @ rows.T
    errors = {}
    for name, law in laws.items():
        weights = np.array([law.get(lead, 0.0) for lead in names])
        largest = float((weights**2 * power.diagonal()).max())
        left = max(float(weights @ power @ weights), 0.0)
        own = np.maximum(power.diagonal(), 1e-12)
        explained = float(((power @ weights) ** 2 / own).max()) if left > 0 else 0.0
        errors[name] = math.sqrt(left / largest) if largest > 0 and explained >= by_one_lead * left else 0.0
    return errors


__all__ = [
    "SHOWS_NO_BEATS",
    "broken_law",
    "dead_limb_leads",
    "flat_limb_leads",
    "limb_errors",
    "limb_lead",
    "limb_sources",
    "without_details",
    "without_limb_leads",
]
