# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How far each lead can be relied on: what repeats from beat to beat is the heart's, what does not is disturbance.

A loose electrode moves all leads that it enters together, each by its share. Such a movement is one direction in the space
of the leads; taken out of the leads it leaves what the other electrodes see. Where single beats are disturbed in some
leads, those leads count less in those beats.
"""

from dataclasses import dataclass, replace

import numpy as np

from .ecg_filters import WORKING_RATE, FilteredEcg

# Where a beat leaves the line alone, s from its steepest part: before the QRS (P wave included), and behind it (T wave).
BEFORE_S, BEHIND_S = (-0.34, -0.08), (0.12, 0.40)
FEWEST_BEATS = 4
BANDS = ("band", "slope", "t_band", "t_slope", "p_band", "p_slope")
MOSTLY_DISTURBANCE = 0.5  # of a lead: less is left of it
FEWEST_LEADS = 6  # fewer leave no direction to take out
QUIET_DIRECTIONS = 4  # the fourth largest is no disturbance: one limb electrode is one, three chest leads are three
DISTURBED_DIRECTION = 4.0  # times the quiet directions' size
HARMLESS_MV, HARMLESS_DIRECTION_MV = 0.01, 0.03  # so little does no harm, in a lead and in a direction of all leads
DISTURBED_BEAT = 3.0  # times the usual of the lead, beyond what the beat shows in the other leads


@dataclass(frozen=True)
class Reliability:
    """What the leads are worth.

    Attributes:
        live: whether a lead holds a signal, `(leads,)`.
        weights: how much each lead counts in each beat, 0 to 1, `(leads, beats)`; 1 where all repeats, 0 in dead leads.
    """

    live: np.ndarray
    weights: np.ndarray

    @property
    def leads(self) -> np.ndarray:
        """How much each lead counts in its usual beat, `(leads,)`."""
        return np.median(self.weights, axis=1)


def rely_on_what_repeats(ecg: FilteredEcg, beats: np.ndarray, live: np.ndarray) -> tuple[FilteredEcg, Reliability]:
    """The bands of `ecg` without the movements of loose electrodes, and how far each lead can be relied on.

    Compares the line around every QRS with the usual one. A lead that is mostly disturbance stays as it is, and counts less.

    Args:
        beats: sample of every beat, `(beats,)`.
        live: whether a lead holds a signal, `(leads,)`.
    """
    leads = len(live)
    weights = np.repeat(live[:, None].astype(np.float32), len(beats), axis=1)
    if len(beats) < FEWEST_BEATS:
        return ecg, Reliability(live, weights)
    rest = np.concatenate([_what_does_not_repeat(ecg.band, beats, *span) for span in (BEFORE_S, BEHIND_S)], axis=2)
    rest[~live] = 0
    together = np.sqrt(np.mean(np.square(rest), axis=(0, 2)))
    usual = together <= 2 * np.median(together)
    spatial = _without_disturbances(rest[:, usual].reshape(leads, -1)) if live.sum() >= FEWEST_LEADS else None
    if spatial is not None:
        own = np.diag(spatial) < MOSTLY_DISTURBANCE
        spatial[own] = np.eye(leads, dtype=np.float32)[own]
        ecg = replace(ecg, **{name: spatial @ getattr(ecg, name) for name in BANDS})
        rest = (spatial @ rest.reshape(leads, -1)).reshape(rest.shape)
    size = np.sqrt(np.mean(np.square(rest[live]), axis=2))
    typical = np.maximum(np.median(size, axis=1, keepdims=True), 1e-9)
    excess = size / typical
    shared = np.maximum(np.median(excess, axis=0), 1.0)
    share = np.minimum(1.0, max(float(np.median(typical)), HARMLESS_MV) / typical)
    # A lead of mere disturbance adds nothing of the heart's.
    weights[live] = share * np.minimum(1.0, share / MOSTLY_DISTURBANCE)
    weights[live] *= np.minimum(1.0, DISTURBED_BEAT * shared / np.maximum(excess, 1e-9))
    return ecg, Reliability(live, weights)


def _what_does_not_repeat(band: np.ndarray, beats: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """Every beat's line against its chord less the median beat's, `(leads, beats, samples / 4)`."""
    index = np.arange(round(start_s * WORKING_RATE), round(end_s * WORKING_RATE), 4)
    window = band[:, np.clip(beats[:, None] + index, 0, band.shape[1] - 1)]
    share = np.linspace(0, 1, len(index), dtype=np.float32)
    window = window - (window[..., :1] * (1 - share) + window[..., -1:] * share)
    return window - np.median(window, axis=1, keepdims=True)


def _without_disturbances(rest: np.ndarray) -> np.ndarray | None:
    """The filter `(leads, leads)` that shrinks the directions of `rest` `(leads, samples)` that are out of all proportion;
    `None` if there is none."""
    directions = np.linalg.svd(rest @ rest.T)[0]
    # The median: free P waves of an AV block are short, a disturbance is there all the time.
    size = np.median(np.abs(directions.T @ rest), axis=1)
    quiet = np.sort(size)[-QUIET_DIRECTIONS]
    kept = np.minimum(1.0, max(DISTURBED_DIRECTION * quiet, HARMLESS_DIRECTION_MV) / np.maximum(size, 1e-12)) ** 2
    if kept.min() == 1.0:
        return None
    return ((directions * kept) @ directions.T).astype(np.float32)


def weighted_size(deviation: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Root mean square over the leads of `(leads, beats, samples)`, each counted by its weight `(leads, beats)`."""
    power = np.square(weights)
    total = np.einsum("lb,lbw->bw", power, np.square(deviation))
    return np.sqrt(total / np.maximum(power.sum(axis=0), 1e-9)[:, None])


__all__ = ["Reliability", "rely_on_what_repeats", "weighted_size"]
