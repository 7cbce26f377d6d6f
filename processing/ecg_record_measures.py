# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Measures of a whole ECG: intervals, axes, voltages, ST levels and patterns."""

import math
from typing import Any

import numpy as np

from .ecg_beat_measures import MS, BeatMeasures, bazett, fridericia
from .ecg_delineation import Delineation
from .ecg_filters import WORKING_RATE
from .ecg_order_statistics import mean, median, nan_median, percentile, spread
from .ecg_p_waves import ECTOPIC_QRS_S
from .ecg_qrs import windows
from .ecg_record import CHEST_LEADS
from .ecg_rules import inverted_t_waves, is_poor_r_progression, low_voltage_share, pathological_q_waves, regularity

LEAD_MEASURES = (
    "p_amplitude", "q_amplitude", "q_duration", "r_amplitude", "s_amplitude", "qrs_amplitude", "qrs_area",
    "st_j", "st_j60", "st_j80", "t_amplitude",
)  # fmt: skip
# The marks follow LUDB's readers, who begin a QRS earlier and end it later than devices measure; the record's intervals do not.
# With it QRS is 5 ms longer than the median of the readers' leads, and of 106 complete bundle branch blocks of PTB-XL 104 have
# 120 ms or more.
READERS_MARGIN_S = 0.004
USUAL_PERCENT = 40
P_SHARE = 0.4  # of the usual beats: in bigeminy with narrow ectopic beats every second one has a P wave
LIKE_SHARE = 1 / 3
LARGE_DEFLECTION_MV = 0.5  # capital letters in the QRS pattern
DEFLECTION_MV = 0.06
BEHIND_QRS_S = 0.04  # where the last wave of a QRS has come back
# The likeness of noise: white noise in one lead stays below, in twelve below 0.1; a single small lead of a real ECG reaches 0.46.
NOISE_LIKENESS = 0.4
CLEARLY_ALIKE = 0.98


def lead_measures(beats: BeatMeasures) -> dict[str, np.ndarray]:
    """The median over the beats of every amplitude, area and level, each `(leads,)`."""
    medians = nan_median(np.stack([getattr(beats, name) for name in LEAD_MEASURES]), axis=2)
    return dict(zip(LEAD_MEASURES, medians, strict=True))


def intervals(delineation: Delineation, beats: BeatMeasures) -> dict[str, Any]:
    """Heart rate (bpm) and global intervals (ms): per beat the heart's own marks, then the median over the usual beats.

    Usual are the narrow beats where they are 40 % or more: in bigeminy the PR and QRS of the conducted beats count. The QRS
    is taken `READERS_MARGIN_S` shorter than its marks at either end, in PR and QT too.
    """
    p, qrs, t = delineation.p.overall, delineation.qrs.overall, delineation.t.overall
    duration = qrs[:, 2] - qrs[:, 0]
    margin = READERS_MARGIN_S * WORKING_RATE
    onset, offset = qrs[:, 0] + margin, qrs[:, 2] - margin
    inside = (qrs[:, 0] >= 0) & (qrs[:, 2] < delineation.ecg.signal.shape[1])
    inside &= duration <= percentile(duration, USUAL_PERCENT) + ECTOPIC_QRS_S * WORKING_RATE
    has_p = np.isfinite(p[:, 0])
    p_present: bool | None = bool(inside.any() and mean(has_p[inside]) > P_SHARE)
    p_unclear = "fast wide beats" if delineation.p_unclear else None
    p_unclear = p_unclear or ("moving electrodes" if delineation.reliability.mostly_disturbed else None)
    if p_present or p_unclear is None:
        p_unclear = None
    else:
        p_present = None
    rr = float(mean(known)) if len(known := beats.known_rr) else math.nan
    qt = float(nan_median((t[:, 2] - onset)[inside] * MS))
    return {
        "heart_rate": 60000 / rr,
        "rr_interval": rr,
        "p_duration": float(nan_median((p[inside, 2] - p[inside, 0]) * MS)) if p_present else math.nan,
        "pr_interval": float(nan_median((onset - p[:, 0])[inside] * MS)) if p_present else math.nan,
        "qrs_duration": float(nan_median((offset - onset)[inside] * MS)),
        "qt_interval": qt,
        "qtc_bazett": float(bazett(qt, rr)),
        "qtc_fridericia": float(fridericia(qt, rr)),
        "p_present": p_present,
        "p_unclear": p_unclear,
        "flutter_waves": delineation.flutter,
    }


def rhythm(rr: np.ndarray) -> dict[str, Any]:
    """Variation of the RR intervals (SD over mean) and regularity in words; `rr` in ms without NaN.

    `regular`: all intervals within 10 % of their median; `mostly regular`: 70 % of them (ectopic or dropped beats);
    else `irregular`; `None` below two intervals.
    """
    variability = float(spread(rr) / mean(rr)) if len(rr) > 1 else math.nan
    return {"rr_variability": variability, "rhythm_regularity": regularity(rr)}


def frontal_axis(net: dict[str, float]) -> float:
    """Electrical axis in degrees (-180, 180] from the net areas or amplitudes of I and aVF (or I and II); NaN without them.

    aVF is scaled by 2/sqrt(3), as its electrodes see the frontal dipole through a shorter lead vector than lead I.
    """
    lead_i, avf = net.get("I", math.nan), net.get("aVF", math.nan)
    if not math.isfinite(avf):
        avf = net.get("II", math.nan) - lead_i / 2
    if not math.isfinite(lead_i + avf) or (lead_i == 0 and avf == 0):
        return math.nan
    return math.degrees(math.atan2(2 / math.sqrt(3) * avf, lead_i))


def axes(leads: tuple[str, ...], beats: BeatMeasures) -> dict[str, Any]:
    """Frontal axes in degrees: of P and T from net areas, of the QRS from net amplitudes (highest plus deepest point).

    Readers weigh the QRS by its amplitudes. By areas the late, slow part of a right bundle branch block draws the axis to the
    right: a left axis is separated from a normal one with an AUC of 0.978 by areas and 0.990 by amplitudes (right: 0.892, 0.878), and
    2.1 and 0.0 % of the 819 ECGs that PTB-XL calls normal lie outside of -30 to 90 degrees.
    """
    usual = nan_median(np.stack([beats.p_area, beats.qrs_net, beats.t_area]), axis=2).tolist()
    return {
        f"{wave}_axis": frontal_axis(dict(zip(leads, net, strict=True)))
        for wave, net in zip(("p", "qrs", "t"), usual, strict=True)
    }


def voltages(leads: tuple[str, ...], values: dict[str, np.ndarray]) -> dict[str, Any]:
    """Voltage criteria in mV and the R-wave progression.

    Sokolow-Lyon: S in V1 + the larger R of V5 and V6 (Sokolow and Lyon 1949). Cornell: R in aVL + S in V3 (Casale
    1985). S is here the deepest point of the complex, an S or a QS, also if the ST segment after it is raised. Transition:
    first chest lead whose R exceeds it. Poor progression and low voltage: see `ecg_rules`.
    """
    r = dict(zip(leads, values["r_amplitude"].tolist(), strict=True))
    s = dict(zip(leads, (-np.minimum(values["q_amplitude"], values["s_amplitude"])).tolist(), strict=True))
    nan = math.nan
    lateral = [r[lead] for lead in ("V5", "V6") if math.isfinite(r.get(lead, nan))]
    transition = [lead for lead in CHEST_LEADS if r.get(lead, nan) > s.get(lead, nan)]
    return {
        "sokolow_lyon": s.get("V1", nan) + max(lateral, default=nan),
        "cornell": r.get("aVL", nan) + s.get("V3", nan),
        "r_transition": transition[0] if transition else None,
        "poor_r_progression": is_poor_r_progression(r.get("V3", nan)),
        "low_voltage": low_voltage_share(leads, values["qrs_amplitude"].tolist()) < 1,
    }


def findings(leads: tuple[str, ...], values: dict[str, np.ndarray]) -> dict[str, Any]:
    """Leads with an inverted T wave or a pathological Q wave, see `inverted_t_waves` and `pathological_q_waves`."""
    return {
        "t_inversion": inverted_t_waves(leads, values["t_amplitude"]),
        "pathological_q": pathological_q_waves(leads, values["q_amplitude"], values["q_duration"]),
    }


def median_beat(delineation: Delineation, beats: BeatMeasures) -> tuple[np.ndarray, np.ndarray]:
    """The median QRS complex of the usual beats, `(leads, samples)` mV, and where it lasts in each lead."""
    onset = delineation.qrs.overall[:, 0]
    duration = delineation.qrs.overall[:, 2] - onset
    difference = np.abs(duration - median(duration))
    usual = difference <= max(0.02 * WORKING_RATE, difference.min())
    start = np.round(onset[usual]).astype(int)
    complexes = median(windows(beats.level, start, int(0.26 * WORKING_RATE)), axis=1)
    last = nan_median(delineation.qrs.per_lead[:, usual, 2] - onset[usual], axis=1)
    return complexes, np.arange(complexes.shape[1]) <= last[:, None]  # of NaN none


def beat_likeness(delineation: Delineation) -> float:
    """How alike the QRS complexes are, all live leads together; 1 below three beats.

    The median over the beats of the correlation that a beat reaches with a third of the others: two kinds of beats in
    turn (bigeminy) are similar in this sense, noise is not. Above `CLEARLY_ALIKE` it may be more than is given.
    """
    if len(delineation.beats) < 3:
        return 1.0
    # Of some beats the onset is found more alike, of others the steepest part.
    alike = _likeness(delineation, delineation.qrs.overall[:, 0] - 0.04 * WORKING_RATE)
    return (
        alike if alike > CLEARLY_ALIKE else max(alike, _likeness(delineation, delineation.beats - 0.1 * WORKING_RATE))
    )


def _likeness(delineation: Delineation, start: np.ndarray) -> float:
    """The same of the 200 ms from `start` (`(beats,)` samples) on."""
    # Every second sample is enough for 40 Hz.
    live, start = delineation.live, 2 * np.round(start / 2).astype(int)
    rows = windows(delineation.ecg.band, start, int(0.2 * WORKING_RATE), 2)[live]
    rows *= delineation.reliability.leads[live, None, None]
    rows = rows.swapaxes(0, 1).reshape(len(start), -1)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    # Of a long record 60 beats tell enough.
    others = rows[:: 1 + len(rows) // 60]
    return float(median(percentile(rows @ others.T, 100 * (1 - LIKE_SHARE), axis=1)))


def qrs_patterns(leads: tuple[str, ...], complexes: np.ndarray, inside: np.ndarray) -> dict[str, str]:
    """The deflections of each lead's median QRS as letters (`qRs`, `rSR'`, `QS`); capitals from 0.5 mV on.

    A last deflection that does not return to the baseline within 40 ms after the QRS is the ST segment, not a wave: in left
    bundle branch block a raised ST segment after the S of V1 is not an r'.

    Args:
        leads: names of the leads.
        complexes: `(leads, samples)` mV, from the QRS onset to some time after its end.
        inside: which of these belong to the QRS.
    """
    counts = inside.sum(axis=1).tolist()
    deflections = _deflections(complexes, inside & (np.abs(complexes) > DEFLECTION_MV))
    rows = zip(leads, complexes, deflections, counts, strict=True)
    return {lead: _pattern(level, extremes, count - 1) for lead, level, extremes, count in rows if count}


def _deflections(complexes: np.ndarray, off_line: np.ndarray) -> list[list[float]]:
    """The extremes in mV of each row's deflections to either side, in time order: what of `complexes` `(leads, samples)` is
    `off_line`, a mask of that shape, between two changes of sign."""
    found: list[list[float]] = [[] for _ in complexes]
    places = np.flatnonzero(off_line)
    if not len(places):
        return found
    level, rows = complexes.reshape(-1)[places], places // complexes.shape[1]
    new = (rows[1:] != rows[:-1]) | ((level[1:] > 0) != (level[:-1] > 0))
    starts = np.concatenate(([0], np.flatnonzero(new) + 1))
    heights = np.maximum.reduceat(np.abs(level), starts)
    for row, extreme in zip(rows[starts].tolist(), np.copysign(heights, level[starts]).tolist(), strict=True):
        found[row].append(extreme)
    return found


def _pattern(level: np.ndarray, extremes: list[float], end: int) -> str:
    """The letters for the `extremes` of a QRS that ends at index `end`."""
    if len(extremes) > 1:
        behind = math.copysign(1, extremes[-1]) * level[end : end + int(BEHIND_QRS_S * WORKING_RATE)]
        if abs(extremes[-1]) - behind.min() < DEFLECTION_MV:
            extremes = extremes[:-1]
    if len(extremes) == 1 and extremes[0] < 0:
        return "QS"
    letters, primes = "", {"R": -1, "S": -1}
    for extreme in extremes:
        if extreme < 0 and not letters:
            name, mark = "Q", ""
        else:
            name = "R" if extreme > 0 else "S"
            primes[name] += 1
            mark = "'" * primes[name]
        letters += (name if abs(extreme) >= LARGE_DEFLECTION_MV else name.lower()) + mark
    return letters


__all__ = [
    "axes",
    "beat_likeness",
    "findings",
    "frontal_axis",
    "intervals",
    "lead_measures",
    "median_beat",
    "qrs_patterns",
    "rhythm",
    "voltages",
]
