# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Leads that show none of the beats that the other leads show: an electrode that is off writes noise or drift, not a flat line.

The height of such a lead says nothing: noise of 0.003 mV and of 0.1 mV is noise. What is looked at is the slope of the QRS band:

- Where the beats are, it is no steeper than halfway between them.
- It has no complexes of its own, as the lead of another recording would have.
- It does not follow from the other leads. A small limb lead does, whatever its size: it is the difference of two others.
- Few leads explain little. There its mean complex must also be what is left of so much noise, not a small wave that repeats.
"""

import numpy as np

from .ecg_filters import WORKING_RATE, FilteredEcg
from .ecg_limits import FLAT_MV
from .ecg_order_statistics import median, percentile
from .ecg_qrs import STEEP_PERCENTILE, windows
from .ecg_reliability import FEWEST_LEADS

# What is looked at around every beat, s from its steepest part, and as long halfway between two beats.
QRS_START_S, QRS_LENGTH_S = -0.08, 0.2
FEWEST_BEATS, FEWEST_SHOWING = 3, 2
# Power of the slope in the usual beat over that in the usual gap: 1 in noise, in 10 s 2.3 at most. A lead shows beats
# from the second on; where the others' median is below it (fast wide beats), nothing is told.
SILENT_BELOW, SHOWS_FROM = 2.5, 10.0
# The steepest 2.5 % of the time over the usual: 3.3 in noise.
OWN_COMPLEXES = 5.0
# Share of the slope that the other leads explain: in noise 0.1 at most, in limb leads of twelve-lead ECGs 1.
EXPLAINED = 0.5
RIDGE = 1e-4  # of a lead's power: limb leads determine each other
# Power of the mean complex times the beats over that of the usual rest: 1 to 6 in noise, more in hum that keeps step with the beats.
REPEATS = 8.0
BRIDGED = 0.25  # a lead of which more was bridged is judged by what is missing
STEP = 4  # samples: enough for 30 Hz


def silent_leads(ecg: FilteredEcg, beats: np.ndarray, live: np.ndarray) -> np.ndarray:
    """Which leads show none of the beats that the others show, `(leads,)`; none where few beats or leads tell.

    Of 3,654 records (PTB-XL 2,664 and, at 100 Hz, 600; LUDB, PTB and Georgia) it names none of the 43,848 leads, of 605 that were replaced
    by noise, hum or drift 604.

    Args:
        ecg: the filtered record.
        beats: sample of every beat, `(beats,)`.
        live: whether a lead has a slope at all, `(leads,)`.
    """
    silent = np.zeros(len(live), dtype=bool)
    start = round(QRS_START_S * WORKING_RATE) + beats
    width = round(QRS_LENGTH_S * WORKING_RATE)
    start = start[(start >= 0) & (start + width <= ecg.qrs_slope.shape[1])]
    if len(start) < FEWEST_BEATS or live.sum() < FEWEST_SHOWING:
        return silent
    complexes = windows(ecg.qrs_slope, start, width, STEP // 2)
    gaps = windows(ecg.qrs_slope, (start[:-1] + start[1:]) // 2, width, STEP // 2)
    inside, between = (median(np.einsum("lbs,lbs->lb", part, part)) for part in (complexes, gaps))
    prominence = np.where(live, inside / np.maximum(between, 1e-12), 0.0)
    shows = prominence >= SHOWS_FROM
    if shows.sum() < FEWEST_SHOWING or median(prominence[live]) < SHOWS_FROM:
        return silent
    explaining = prominence >= SILENT_BELOW
    for lead in np.flatnonzero(~explaining).tolist():
        if ecg.bad[lead].mean() > BRIDGED:
            continue
        if not live[lead]:
            silent[lead] = np.ptp(ecg.signal[lead]) >= FLAT_MV
        elif not _own_complexes(ecg.qrs_slope[lead]) and _explained(ecg.qrs_slope, lead, explaining) < EXPLAINED:
            silent[lead] = shows.sum() >= FEWEST_LEADS or _repeats(complexes[lead]) < REPEATS
    return silent


def _own_complexes(slope: np.ndarray) -> bool:
    """Whether a lead `(samples,)` has steep parts, at other times than the other leads."""
    size = np.abs(slope[::STEP])
    return bool(percentile(size, STEEP_PERCENTILE) > OWN_COMPLEXES * max(float(median(size)), 1e-9))


def _explained(slope: np.ndarray, lead: int, others: np.ndarray) -> float:
    """The share of a lead's power that is a sum of `others`, each times a factor."""
    rows = slope[[lead, *np.flatnonzero(others).tolist()], ::STEP].astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    shared = rows @ rows.T + RIDGE * np.eye(len(rows))
    return 1 - 1 / float(np.linalg.inv(shared)[0, 0])


def _repeats(complexes: np.ndarray) -> float:
    """How much of a lead's complexes, `(beats, samples)`, comes back with every beat: 1 in noise."""
    usual = median(complexes, axis=0)
    rest = np.square(complexes - usual).mean(axis=1)
    return float(len(complexes) * np.square(usual).mean() / max(float(median(rest)), 1e-18))


__all__ = ["silent_leads"]
