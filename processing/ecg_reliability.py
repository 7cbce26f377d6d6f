# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The reliability of each lead: a signal that repeats from beat to beat is the heart's, one that does not is noise.

A loose electrode moves all leads that it contributes to, each by its share. Such a movement is one direction in the space of the
leads; without it the leads show what the other electrodes see. If single beats are disturbed in some leads, those leads get a smaller
weight in those beats. Seconds of loud noise are removed before beats are searched.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from .ecg_filters import WORKING_RATE, FilteredEcg, ramp
from .ecg_order_statistics import differences, mean, median, within
from .ecg_record import CHEST_LEADS, LIMB_LEADS_FROM_I_II

# Where a beat leaves the line alone, s from its steepest part: before the QRS (P wave included), and after it (T wave).
BEFORE_S, BEHIND_S = (-0.34, -0.08), (0.12, 0.40)
# How long a wide QRS lasts after its steepest part; what is looked at where the next beat is that near.
WIDE_QRS_S, SHORTEST_SPAN_S = 0.16, 0.04
FEWEST_BEATS = 4
# Size in mV of a direction in the space of the leads: less than the first is harmless. Waves of fibrillation reach the
# second, though not in an electrode's direction: what is less there is taken out for P and QRS, and stays for T.
HARMLESS_MV, FIBRILLATION_MV = 0.03, 0.12
# Cosine between a direction and the electrode that makes it (fibrillation stays below 0.96), and its share in a lead.
ELECTRODE, ENTERED = 0.98, 0.2
P_BANDS, T_BANDS = ("band", "slope", "p_band", "p_slope"), ("t_band", "t_slope")
MOSTLY_DISTURBANCE = 0.5  # of a lead: less is left of it
FEWEST_LEADS = 6  # fewer leave no direction to take out
QUIET_DIRECTIONS = 4  # the fourth largest is no disturbance: one limb electrode is one, three chest leads are three
DISTURBED_DIRECTION = 4.0  # times the quiet directions' size
QUIET_LEAD_MV = 0.01  # what does not repeat is harmless in a single lead
DISTURBED_LEAD, MANY_LEADS = 3.0, 1 / 3  # times the usual lead; share of the leads
DISTURBED_BEAT = 3.0  # times the usual of the lead, beyond what the beat shows in the other leads

BLOCK = 50  # samples at 500 Hz, 0.1 s
FLOOR_BLOCKS = 7  # the floor is the second quietest block of 0.7 s, which no QRS reaches at 220/min or less
NOISY_FLOOR, NOISY_PEAK = 4.0, 0.3  # times the lead's usual floor, and the usual beat's steepest part
BEAT_BLOCKS = 20  # 2 s hold a beat
NEAR_GAP = 25  # samples: a beat so close to a gap may be cut by it
LEFT_OUT_WEIGHT, FEWEST_LEFT_OUT = 0.1, 2  # called left out: a lead that counts less in so many beats in a row
WHOLE_WITHIN_S = 0.1  # what misses so little of the record is called without times
ALL_LEADS = "all"
HOLE, NOISE, UNSTEADY, NOT_SHOWN, NO_BEATS = "no signal", "noise", "does not repeat", "not shown", "no beats"


@dataclass(frozen=True)
class LeftOut:
    """What was not used: a row of the signal, or all (`lead` is `None`), from `start` to `end` in s, and why."""

    lead: int | None
    start: float
    end: float
    reason: str

    def named(self, leads: Sequence[str]) -> tuple[str, float, float, str]:
        """The same with the lead's name, or `"all"`."""
        return ALL_LEADS if self.lead is None else leads[self.lead], self.start, self.end, self.reason


def unused_in_words(left_out: Sequence[tuple[str, float, float, str]], duration: float) -> str:
    """Leads and seconds that were not used, the leads of one reason and time together: `V4, V5 (does not repeat)`."""
    groups: dict[tuple[float, float, str], list[str]] = {}
    for lead, start, end, reason in left_out:
        groups.setdefault((start, end, reason), []).append("all leads" if lead == ALL_LEADS else lead)
    return ", ".join(
        f"{' and '.join(leads)} ({reason})"
        if end - start >= duration - WHOLE_WITHIN_S
        else f"{' and '.join(leads)} {_span_in_words(start, end)} ({reason})"
        for (start, end, reason), leads in groups.items()
    )


def _span_in_words(start: float, end: float) -> str:
    """From when to when, with as many decimals as it takes to tell one from the other, at most three."""
    spans = (f"{start:.{digits}f}-{end:.{digits}f} s" for digits in (1, 2, 3))
    return next((span for span in spans if len(set(span[:-2].split("-"))) > 1), f"{start:.3f} s")


@dataclass(frozen=True)
class Reliability:
    """The weights of the leads.

    Attributes:
        live: whether a lead holds a signal, `(leads,)`.
        weights: how much each lead counts in each beat, 0 to 1, `(leads, beats)`; 1 where all repeats, 0 in dead leads.
        disturbed: whether an electrode of the lead moves, or the lead by more than fibrillation moves it, `(leads,)`; the
            movement was taken out, or the lead counts less.
        gaps: where no lead can be used, `(gaps, 2)` samples.
    """

    live: np.ndarray
    weights: np.ndarray
    disturbed: np.ndarray
    gaps: np.ndarray

    @property
    def mostly_disturbed(self) -> bool:
        """Whether so many leads are disturbed that a small wave may be lost with what was taken out."""
        return bool(self.disturbed.sum() >= MANY_LEADS * self.live.sum())

    def known_intervals(self, marks: np.ndarray) -> np.ndarray:
        """Whether there is no gap between a mark and the next, `(marks - 1,)`: else there may be beats."""
        known = np.ones(max(len(marks) - 1, 0), dtype=bool)
        if not len(self.gaps):
            return known
        places = np.searchsorted(marks, self.gaps.mean(axis=1))
        known[places[(places > 0) & (places < len(marks))] - 1] = False
        return known

    @cached_property
    def leads(self) -> np.ndarray:
        """How much each lead counts in its usual beat, `(leads,)`."""
        return median(self.weights, axis=1)


def find_noise(qrs_slope: np.ndarray) -> np.ndarray:
    """Where the line between the beats is as steep as a beat, `(leads, samples)`, and is not so most of the time."""
    leads, samples = qrs_slope.shape
    blocks = samples // BLOCK
    noisy = np.zeros((leads, samples), dtype=bool)
    if blocks < 2 * BEAT_BLOCKS:
        return noisy
    # The mean of each block as a product, in a fifth of the time.
    shares = np.full(BLOCK, 1 / BLOCK, dtype=np.float32)
    level = np.abs(qrs_slope[:, : blocks * BLOCK]).reshape(leads, blocks, BLOCK) @ shares
    half = FLOOR_BLOCKS // 2
    padded = np.zeros((leads, blocks + 2 * half), dtype=level.dtype)
    padded[:, half : half + blocks] = level
    quietest, floor = padded[:, :blocks], np.full_like(level, np.inf)
    for later in range(1, FLOOR_BLOCKS):
        other = padded[:, later : later + blocks]
        floor = np.minimum(floor, np.maximum(quietest, other))
        quietest = np.minimum(quietest, other)
    whole = level[:, : blocks // BEAT_BLOCKS * BEAT_BLOCKS].reshape(leads, -1, BEAT_BLOCKS)
    limit = np.maximum(NOISY_FLOOR * median(floor, axis=1), NOISY_PEAK * median(whole.max(axis=2), axis=1))
    loud: Any = floor > limit[:, None]
    if loud.any():
        # The floor rises and falls so many blocks inside the noise.
        inside = half - 1
        padded = np.pad(loud, ((0, 0), (inside, inside)))
        loud = np.lib.stride_tricks.sliding_window_view(padded, 2 * inside + 1, 1).any(axis=2)
        noisy[:, : blocks * BLOCK] = np.repeat(loud, BLOCK, axis=1)
        noisy[:, blocks * BLOCK :] = loud[:, -1:]
    return noisy


def runs(mask: np.ndarray) -> np.ndarray:
    """First sample of every run of true values, and the first after it, `(runs, 2)`."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return edges.reshape(-1, 2)


def left_out(
    ecg: FilteredEcg, noisy: np.ndarray, beats: np.ndarray, reliability: Reliability, silent: np.ndarray
) -> tuple[LeftOut, ...]:
    """What the marks do not rest on: all leads first, the `silent` ones (`(leads,)`), then lead by lead, in time order."""
    samples, rate = ecg.signal.shape[1], WORKING_RATE
    found = []
    for start, end in reliability.gaps.tolist():
        holes = ecg.bad[reliability.live, start:end].mean()
        found.append(LeftOut(None, start / rate, end / rate, HOLE if holes > 0.5 else NOISE))
    found += [LeftOut(lead, 0.0, round(samples / rate, 3), NO_BEATS) for lead in np.flatnonzero(silent).tolist()]
    unsteady = (reliability.weights < LEFT_OUT_WEIGHT) | reliability.disturbed[:, None]
    concerned = (ecg.bad | noisy).any(axis=1) | unsteady.any(axis=1)
    inside = np.zeros(samples, dtype=bool)
    for start, end in reliability.gaps:
        inside[start:end] = True
    edges = np.concatenate([[0], (beats[:-1] + beats[1:]) // 2, [samples]])
    for lead in np.flatnonzero(reliability.live & concerned):
        hole = runs(ecg.bad[lead] & ~inside)
        noise = runs(noisy[lead] & ~ecg.bad[lead] & ~inside)
        shaky = runs(unsteady[lead])
        moving = edges[shaky[np.diff(shaky, axis=1)[:, 0] >= FEWEST_LEFT_OUT]]
        parts = [
            (*span.tolist(), word)
            for spans, word in ((hole, HOLE), (noise, NOISE), (moving, UNSTEADY))
            for span in spans
        ]
        found += [
            LeftOut(int(lead), round(start / rate, 3), round(end / rate, 3), word)
            for start, end, word in sorted(parts)
        ]
    return tuple(found)


def rely_on_what_repeats(
    ecg: FilteredEcg, beats: np.ndarray, live: np.ndarray, gaps: np.ndarray, names: Sequence[str] = ()
) -> tuple[FilteredEcg, Reliability]:
    """The bands of `ecg` without the artefacts of loose electrodes, and the reliability of each lead.

    Compares the line around every QRS with the usual one. A lead that is mostly noise is left unchanged, with a smaller weight.

    Args:
        ecg: the filtered record.
        beats: sample of every beat, `(beats,)`.
        live: whether a lead holds a signal, `(leads,)`.
        gaps: where no lead has a signal, `(gaps, 2)` samples.
        names: of the leads; without them no artefact can be assigned to an electrode.
    """
    leads = len(live)
    weights = np.repeat(live[:, None].astype(np.float32), len(beats), axis=1)
    if len(beats) < FEWEST_BEATS:
        return ecg, Reliability(live, weights, np.zeros(leads, dtype=bool), gaps)
    rest = np.concatenate([_what_does_not_repeat(ecg.band, beats, *span) for span in _between_beats(beats)], axis=2)
    rest[~live] = 0
    together = np.sqrt(np.mean(np.square(rest), axis=(0, 2)))
    usual = together <= 2 * median(together)
    raw = median(np.sqrt(mean(np.square(rest))), axis=1)
    disturbed, of_p, of_t = np.zeros(leads, dtype=bool), None, None
    if live.sum() >= FEWEST_LEADS:
        of_p, of_t, disturbed = _without_movements(rest[:, usual].reshape(leads, -1), names)
    if of_t is not None:
        ecg = replace(ecg, **{name: of_t @ getattr(ecg, name) for name in T_BANDS})
    if of_p is not None:
        ecg = replace(ecg, **{name: of_p @ getattr(ecg, name) for name in P_BANDS})
        rest = (of_p @ rest.reshape(leads, -1)).reshape(rest.shape)
    size = np.sqrt(mean(np.square(rest[live])))
    typical = np.maximum(median(size, axis=1)[:, None], 1e-9)
    excess = size / typical
    shared = np.maximum(median(excess, axis=0), 1.0)
    usual_size = max(float(median(typical[:, 0])), QUIET_LEAD_MV)
    share = np.minimum(1.0, usual_size / typical)
    # A lead of mere disturbance adds nothing of the heart's.
    weights[live] = share * np.minimum(1.0, share / MOSTLY_DISTURBANCE)
    weights[live] *= np.minimum(1.0, DISTURBED_BEAT * shared / np.maximum(excess, 1e-9))
    if of_t is not None:
        disturbed |= raw > DISTURBED_LEAD * usual_size
    return ecg, Reliability(live, weights, live & disturbed, gaps)


def _between_beats(beats: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """`BEFORE_S` and `BEHIND_S` without the neighbouring beats: in a fast rhythm their QRS complexes would seem to move."""
    rr = float(median(differences(beats))) / WORKING_RATE
    start = max(BEFORE_S[0], min(WIDE_QRS_S - rr, BEFORE_S[1] - SHORTEST_SPAN_S))
    end = min(BEHIND_S[1], max(BEFORE_S[1] + rr, BEHIND_S[0] + SHORTEST_SPAN_S))
    return (start, BEFORE_S[1]), (BEHIND_S[0], end)


def _what_does_not_repeat(band: np.ndarray, beats: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """Every beat's line against its chord less the median beat's, `(leads, beats, samples / 4)`."""
    index = np.arange(round(start_s * WORKING_RATE), round(end_s * WORKING_RATE), 4)
    window = band[:, within(beats[:, None] + index, 0, band.shape[1] - 1)]
    share = ramp(len(index))
    window = window - (window[..., :1] * (1 - share) + window[..., -1:] * share)
    return window - median(window, axis=1)[:, None]


def _without_movements(
    rest: np.ndarray, names: Sequence[str]
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray]:
    """The filters `(leads, leads)` for P and QRS, and for T (`None`: nothing moves), and which leads an electrode moves."""
    directions, sizes = _directions(rest)
    of_an_electrode = np.abs(_electrodes(tuple(names), len(rest)) @ directions).max(axis=0, initial=0) > ELECTRODE
    harmless = np.where(of_an_electrode, HARMLESS_MV, FIBRILLATION_MV)
    moving = directions[:, of_an_electrode & (sizes > HARMLESS_MV)]
    return (
        _without_disturbances(directions, sizes, HARMLESS_MV),
        _without_disturbances(directions, sizes, harmless),
        (np.abs(moving) > ENTERED).any(axis=1),
    )


def _directions(rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The principal directions of `rest` `(leads, samples)`, one a column, and the size in mV of what lies in each."""
    directions = np.linalg.eigh(rest @ rest.T)[1][:, ::-1]
    # The median: free P waves of an AV block are short, a disturbance lasts.
    return directions, median(np.abs(directions.T @ rest), axis=1)


@lru_cache(maxsize=16)
def _electrodes(names: tuple[str, ...], leads: int) -> np.ndarray:
    """What a movement of each electrode does to the leads, as unit vectors `(electrodes, leads)`.

    Limb leads after Einthoven and Goldberger; chest leads are measured against Wilson's terminal, a third of each limb electrode.
    """
    if not names:
        return np.zeros((0, leads))
    of_i_ii = {"RA": (-1, -1), "LA": (1, 0), "LL": (0, 1)}
    rows = [
        [
            LIMB_LEADS_FROM_I_II[name][0] * i + LIMB_LEADS_FROM_I_II[name][1] * ii
            if name in LIMB_LEADS_FROM_I_II
            else -1 / 3 * (name in CHEST_LEADS)
            for name in names
        ]
        for i, ii in of_i_ii.values()
    ]
    rows += [[float(name == chest) for name in names] for chest in CHEST_LEADS if chest in names]
    return np.array(rows) / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _without_disturbances(
    directions: np.ndarray, sizes: np.ndarray, harmless: np.ndarray | float
) -> np.ndarray | None:
    """The filter `(leads, leads)` that shrinks the directions that are out of all proportion, `None` if there is none.

    A lead of which little would be left stays as it is.
    """
    quiet = np.sort(sizes)[-QUIET_DIRECTIONS]
    kept = np.minimum(1.0, np.maximum(DISTURBED_DIRECTION * quiet, harmless) / np.maximum(sizes, 1e-12)) ** 2
    if kept.min() == 1.0:
        return None
    spatial = ((directions * kept) @ directions.T).astype(np.float32)
    own = np.diag(spatial) < MOSTLY_DISTURBANCE
    spatial[own] = np.eye(len(spatial), dtype=np.float32)[own]
    return spatial


def weighted_size(deviation: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Root mean square over the leads of `(leads, beats, samples)`, each counted by its weight `(leads, beats)`."""
    power = np.square(weights)
    total = np.einsum("lb,lbw->bw", power, np.square(deviation))
    return np.sqrt(total / np.maximum(power.sum(axis=0), 1e-9)[:, None])


__all__ = [
    "ALL_LEADS",
    "LeftOut",
    "Reliability",
    "find_noise",
    "left_out",
    "rely_on_what_repeats",
    "runs",
    "unused_in_words",
    "weighted_size",
]
