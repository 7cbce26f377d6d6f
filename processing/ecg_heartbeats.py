# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Whether a signal shows heartbeats at all, or is noise, a tone, steps, speech or another signal of the body.

Only an ECG has all of these signs: a QRS is far steeper and taller than the line between
the beats, its steepness lies where the beats are, the line comes back after it, and beats are similar.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from .ecg_delineation import Delineation
from .ecg_filters import WORKING_RATE, BeatBands, filter_beats
from .ecg_limb_laws import limb_errors
from .ecg_order_statistics import differences, mean, median, percentile, spread
from .ecg_qrs import detect_beats, windows
from .ecg_record import EcgRecord
from .ecg_record_measures import NOISE_LIKENESS, beat_likeness
from .ecg_reliability import find_noise

# QRS complexes fill more than 2 % of every record that has a beat in 3 s.
HIGH_PERCENTILE: Final = 98.0
QRS_AROUND_PEAK_S: Final = (-0.08, 0.12)
BEAT_AROUND_PEAK_S: Final = 0.12
LEVEL_S: Final = 0.04
# So much of the power of so many leads is one signal's: its copies. Leads of a heart reach 0.98.
MANY_LEADS: Final = 8
COPIED_SHARE: Final = 0.9995
COPIES_STEP: Final = 4  # every fourth sample is enough
FEWEST_ALIKE: Final = 3  # beats
# A record is judged by parts of this length, a long one by some from all of it.
PART_S: Final = 20.0
MOST_PARTS: Final = 6


@dataclass(frozen=True)
class HeartbeatSigns:
    """Signs that distinguish heartbeats from other signals; NaN if there is too little signal.

    Attributes:
        steep, tall: slope and size of the steepest and tallest 2 % of the time over the usual ones, all leads together.
        gathered: power of the slope around the beats over that elsewhere.
        back: change of the level from before a beat to after it, over the beat's height; the median over the beats.
        alike: how similar the beats are, see `beat_likeness`.
        rr, rr_variation: median distance of the beats in s, and their standard deviation over their mean.
    """

    steep: float
    tall: float
    gathered: float
    back: float
    alike: float
    rr: float = np.nan
    rr_variation: float = np.nan


# Sign -> the value below which (`back`: above which) there is no ECG, and the one beyond which it is measured before
# it is believed. Set on one half of the records and signals of `benchmarks.abstention`, which reports the other half. Every ECG is
# far inside: those nearest to the first values have 4.6, 2.4, 3.5 and 0.58.
LIMITS: Final = {
    "steep": (3.2, 9.0),
    "tall": (2.2, 5.3),
    "gathered": (2.6, 14.0),
    "alike": (NOISE_LIKENESS, 0.9),
    "back": (np.inf, 0.3),
}
_REVERSED: Final = ("back",)
# An infarct, pacing or ventricular tachycardia may keep the line up after the QRS; then the beats are tall or steep, alike, and no
# edges.
STEPS_BACK: Final = (0.3, 0.6)
STEPS_TALL, STEPS_STEEP, EDGES_STEEP = 5.2, 10.0, 60.0
STEPS_ALIKE: Final = 0.7
# Fast wide beats, as in ventricular tachycardia, have no baseline between them. They are recognised because they are regular and alike,
# prominent, and obey Einthoven's law, which signals that enter each lead separately do not. Set on even seeds of
# `benchmarks.rhythms` (the 20 of 40 records with VT that the signs above refuse have 2.6 or more for `tall`) and of
# `benchmarks.junk_signals` (of 570, three sawtooths keep the rest, with 2.4 at most).
FAST_RR_S, FAST_VARIATION, FAST_ALIKE, FAST_TALL, LAWS_KEPT = 0.6, 0.1, 0.97, 2.5, 0.03
NO_HEARTBEAT: Final = "no heartbeat is found"
COPIES: Final = "all leads are copies of one signal; the leads of an ECG differ"
_WORDS: Final = {
    "steep": "nothing in it is as steep as a QRS complex",
    "tall": "nothing in it stands out as QRS complexes do",
    "gathered": "it is as steep between the supposed heartbeats as in them",
    "alike": "noise: the supposed heartbeats have no common shape",
}


def why_no_heartbeats(signs: HeartbeatSigns, leads: Sequence[str], signal: np.ndarray) -> str | None:
    """The reason why a signal holds no heartbeats, in words; `None` where it may hold some.

    Args:
        signs: of the signal.
        leads: names of its leads.
        signal: `(leads, samples)`, mV.
    """
    if _is_fast_and_wide(signs) and (errors := limb_errors(leads, signal)) and max(errors.values()) < LAWS_KEPT:
        return None
    beyond = [name for name in LIMITS if _beyond(signs, name, 0)]
    if beyond:
        return _WORDS[beyond[-1]]
    if (signs.back > STEPS_BACK[0] and signs.tall < STEPS_TALL and signs.steep < STEPS_STEEP) or (
        signs.back > STEPS_BACK[1] and (signs.alike < STEPS_ALIKE or signs.steep > EDGES_STEEP)
    ):
        return "steps after which the line does not return"
    return None


def _is_fast_and_wide(signs: HeartbeatSigns) -> bool:
    return (
        signs.rr < FAST_RR_S
        and signs.rr_variation < FAST_VARIATION
        and signs.alike > FAST_ALIKE
        and signs.tall > FAST_TALL
    )


def _beyond(signs: HeartbeatSigns, name: str, which: int) -> bool:
    value, limit = getattr(signs, name), LIMITS[name][which]
    return bool(value > limit if name in _REVERSED else value < limit)


def heartbeat_signs(delineation: Delineation) -> HeartbeatSigns:
    """The signs of a delineated record."""
    gaps = delineation.reliability.gaps
    return _signs(delineation.ecg, delineation.beats, delineation.live, gaps, beat_likeness(delineation))


def shows_heartbeats_at_once(record: EcgRecord) -> bool:
    """Whether a record shows heartbeats beyond doubt, without its delineation: in a tenth of the time.

    Of many leads a third is looked at: what any of them can show beyond doubt, these do. `False` means that
    `why_no_heartbeats` has to be asked.
    """
    signal = record.signal[1::3] if len(record.leads) >= MANY_LEADS else record.signal
    signal = np.where(np.isfinite(signal), signal, np.nan)
    if not np.isfinite(signal).any():
        return False
    ecg = filter_beats(signal, record.sampling_rate)
    beats, live, gaps = detect_beats(ecg, find_noise(ecg.qrs_slope))
    if len(beats) < FEWEST_ALIKE:
        return False
    signs = _signs(ecg, beats, live, gaps, _rough_likeness(ecg.qrs_slope[live], beats))
    return not any(_beyond(signs, name, 1) for name in LIMITS)


def holds_copies(record: EcgRecord) -> bool:
    """Whether all leads are one signal, larger or smaller in each, where those of a heart differ."""
    signal = record.signal[:, ::COPIES_STEP]
    known = np.isfinite(signal)
    rows = np.where(known, signal, 0).astype(np.float64)
    rows = np.where(known, rows - rows.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1), 0)
    shared = rows @ rows.T
    moving = np.count_nonzero(shared.diagonal() > 0) >= MANY_LEADS
    return bool(moving and np.linalg.eigvalsh(shared)[-1] > COPIED_SHARE * np.trace(shared))


def parts_to_judge(record: EcgRecord) -> list[EcgRecord]:
    """The record itself where it is short, else parts from all of it: an ECG shows heartbeats in one of them."""
    if record.duration <= 2 * PART_S:
        return [record]
    starts = np.linspace(0, record.duration - PART_S, MOST_PARTS)
    return [record.between(round(float(start), 3), PART_S) for start in starts]


def _signs(ecg: BeatBands, beats: np.ndarray, live: np.ndarray, gaps: np.ndarray, alike: float) -> HeartbeatSigns:
    """The signs of a filtered signal outside its gaps, with its supposed beats and live leads; see `Delineation`."""
    near, told = np.zeros(ecg.band.shape[1], dtype=bool), np.ones(ecg.band.shape[1], dtype=bool)
    first, last = (round(seconds * WORKING_RATE) for seconds in QRS_AROUND_PEAK_S)
    for beat in beats.tolist():
        near[max(beat + first, 0) : max(beat + last, 0)] = True
    for start, end in gaps.tolist():
        told[start:end] = False
    slope, band = (rows if live.all() else rows[live] for rows in (ecg.qrs_slope, ecg.band))
    back = _back(band, beats)
    if len(gaps):
        near, slope, band = near[told], slope[:, told], band[:, told]
    power = _power(slope)
    rr = differences(beats) / WORKING_RATE
    gathered = mean(power[near]) / max(float(mean(power[~near])), 1e-12) if 0 < near.sum() < len(near) else np.nan
    return HeartbeatSigns(
        steep=_prominence(np.sqrt(power)),
        tall=_prominence(np.sqrt(_power(band - median(band[:, ::4], axis=1)[:, None]))),
        gathered=float(gathered),
        back=back,
        alike=alike,
        rr=float(median(rr)) if len(rr) else np.nan,
        rr_variation=float(spread(rr) / mean(rr)) if len(rr) else np.nan,
    )


def _power(rows: np.ndarray) -> np.ndarray:
    """The power at every time, `(samples,)`, each of the rows `(leads, samples)` over its own mean."""
    power = np.square(rows)
    return np.reciprocal(np.maximum(mean(power), 1e-18)) @ power


def _prominence(size: np.ndarray) -> float:
    size = size[::2]
    return float(percentile(size, HIGH_PERCENTILE) / max(float(median(size)), 1e-9))


def _back(band: np.ndarray, beats: np.ndarray) -> float:
    reach, level = (round(seconds * WORKING_RATE) for seconds in (BEAT_AROUND_PEAK_S, LEVEL_S))
    around = windows(band, beats - reach, 2 * reach)
    change = mean(around[..., -level:]) - mean(around[..., :level])
    height = np.linalg.norm(np.ptp(around, axis=2), axis=0)
    return float(median(np.linalg.norm(change, axis=0) / np.maximum(height, 1e-9)))


def _rough_likeness(slope: np.ndarray, beats: np.ndarray) -> float:
    """The correlation that the usual beat reaches with the median one, by the 120 ms around their steepest parts."""
    rows = np.moveaxis(windows(slope, beats - round(0.06 * WORKING_RATE), round(0.12 * WORKING_RATE)), 1, 0)
    rows = rows.reshape(len(beats), -1)
    usual = median(rows, axis=0)
    sizes = np.linalg.norm(rows, axis=1) * np.linalg.norm(usual)
    return float(median(rows @ usual / np.maximum(sizes, 1e-9)))


__all__ = [
    "COPIES",
    "NO_HEARTBEAT",
    "HeartbeatSigns",
    "heartbeat_signs",
    "holds_copies",
    "parts_to_judge",
    "shows_heartbeats_at_once",
    "why_no_heartbeats",
]
