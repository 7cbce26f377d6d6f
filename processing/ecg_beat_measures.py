# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Measurements of every lead and beat from the marks of a delineation, by our definitions and by FeatureDB's."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .ecg_delineation import Delineation
from .ecg_filters import WORKING_RATE, moving_average
from .ecg_limits import ST_DEPRESSION_MV, ST_HORIZONTAL_MV
from .ecg_order_statistics import differences, mean, median, within
from .ecg_qrs import windows

MS = 1000 / WORKING_RATE  # ms per sample
AMPLITUDE_SMOOTHING_S = 0.006
ISOELECTRIC_GAP_S = 0.004  # the isoelectric level is read just before the QRS onset, on the PR segment
SAME_RR_MS, OTHER_RR_MS = 10.0, 20.0  # RR intervals by two marks of a QRS that agree, and that do not
ISOELECTRIC_S = 0.012
LONGEST_P_S, LONGEST_T_S = 0.2, 0.36
MIN_R_MV = 0.05  # below this there is no R wave: the complex is a QS
# From here on a positive deflection makes what was before it a Q wave and what follows an S wave: a small square of the paper.
# Taken at MIN_R_MV, 62 % of 323 infarcts of PTB-XL show pathological Q waves, at the highest point of the complex 69 %, here 67 %;
# of 142 right bundle branch blocks without an infarct 4, 9 and 7 %.
FIRST_R_MV = 0.1
Q_EDGE_MV = 0.02  # a Q wave lasts while the signal is below this
# The paper's 14 sequences (section 3.2), in its order; digits after the decimal point.
SEQUENCES = {
    "Heart Rate": 0,
    "RR Interval 1": 0,
    "RR Interval 2": 0,
    "P Amplitude": 3,
    "P Duration": 0,
    "PR Interval": 0,
    "QRS Amplitude": 3,
    "QRS Duration": 0,
    "T Amplitude": 3,
    "T Duration": 0,
    "ST Duration": 0,
    "ST Form": None,
    "QT Interval": 0,
    "QTc Interval": 0,
}


@dataclass(frozen=True)
class BeatMeasures:
    """Every value is `(leads, beats)`, NaN where its wave is absent: mV (signed, against the PR segment) or ms.

    `rr_before` and `rr_after` are `(beats,)` ms, NaN at the ends; `level` is the signal in mV against the isoelectric
    line, `(leads, samples at 500 Hz)`; areas are mV ms.
    """

    level: np.ndarray
    rr_before: np.ndarray
    rr_after: np.ndarray
    p_amplitude: np.ndarray
    p_duration: np.ndarray
    p_area: np.ndarray
    pr_interval: np.ndarray
    q_amplitude: np.ndarray
    q_duration: np.ndarray
    r_amplitude: np.ndarray
    s_amplitude: np.ndarray
    qrs_amplitude: np.ndarray
    qrs_duration: np.ndarray
    qrs_area: np.ndarray
    qrs_net: np.ndarray
    st_j: np.ndarray
    st_j60: np.ndarray
    st_j80: np.ndarray
    st_duration: np.ndarray
    t_amplitude: np.ndarray
    t_duration: np.ndarray
    t_area: np.ndarray
    qt_interval: np.ndarray
    qtc_interval: np.ndarray

    @property
    def known_rr(self) -> np.ndarray:
        """The RR intervals in ms between which no second was left out."""
        return self.rr_after[np.isfinite(self.rr_after)]


def isoelectric_level(signal: np.ndarray, qrs_onset: np.ndarray) -> np.ndarray:
    """The signal against a line through the PR segments just before each QRS, `(leads, samples)` mV."""
    width = int(ISOELECTRIC_S * WORKING_RATE)
    start = np.round(qrs_onset - ISOELECTRIC_GAP_S * WORKING_RATE - width).astype(int)
    knots = mean(windows(signal, start, width))
    position = np.maximum(start + width / 2, 0)
    if len(position) == 1:
        return signal - knots
    # From each knot to the next one; the first and the last stretch are level outside of the knots.
    inner = np.minimum(np.ceil(position[1:-1]).astype(int), signal.shape[1])
    edges = np.concatenate([[0], inner, signal.shape[1:]])
    begin, step = (
        np.repeat(part, differences(edges)) for part in (position[:-1], np.maximum(differences(position), 1e-9))
    )
    share = within((np.arange(len(begin)) - begin) / step, 0, 1).astype(np.float32)
    rise = differences(knots)
    line = np.empty_like(signal)
    for knot, (first, last) in enumerate(pairwise(edges.tolist())):
        part = np.multiply(rise[:, knot, None], share[first:last], out=line[:, first:last])
        part += knots[:, knot, None]
    return np.subtract(signal, line, out=line)


def measure_beats(delineation: Delineation) -> BeatMeasures:
    """Measures every lead and beat of a delineation."""
    p, qrs, t = delineation.p.per_lead, delineation.qrs.per_lead, delineation.t.per_lead
    samples = delineation.ecg.signal.shape[1]
    cut = (qrs[..., 0] < 0) | (qrs[..., 2] > samples - 1)
    p, qrs, t = (np.where(cut[..., None], np.nan, wave) for wave in (p, qrs, t))
    smooth = moving_average(delineation.ecg.signal, AMPLITUDE_SMOOTHING_S)
    level = isoelectric_level(smooth, delineation.qrs.overall[:, 0])
    rr = _rr_intervals(delineation)
    before, after = np.append(np.nan, rr), np.append(rr, np.nan)
    qt = (t[..., 2] - qrs[..., 0]) * MS
    j_point = qrs[..., 2]
    places = np.stack([p[..., 1], j_point, j_point + 60 / MS, j_point + 80 / MS, t[..., 1]])
    p_amplitude, st_j, st_j60, st_j80, t_amplitude = _values_at(level, places)
    p_area, t_area = _areas(level, np.stack([p, t]), (LONGEST_P_S, LONGEST_T_S))
    return BeatMeasures(
        level=level,
        rr_before=before,
        rr_after=after,
        p_amplitude=p_amplitude,
        p_duration=(p[..., 2] - p[..., 0]) * MS,
        p_area=p_area,
        pr_interval=(qrs[..., 0] - p[..., 0]) * MS,
        **qrs_measures(level, qrs),
        qrs_duration=(qrs[..., 2] - qrs[..., 0]) * MS,
        st_j=st_j,
        st_j60=st_j60,
        st_j80=st_j80,
        st_duration=np.maximum((t[..., 0] - qrs[..., 2]) * MS, 0),
        t_amplitude=t_amplitude,
        t_duration=(t[..., 2] - t[..., 0]) * MS,
        t_area=t_area,
        qt_interval=qt,
        qtc_interval=bazett(qt, np.where(np.isfinite(before), before, after)),
    )


def bazett(qt: Any, rr: Any) -> Any:
    """QTc = QT / sqrt(RR in s) (Bazett 1920); `qt` and `rr` in ms."""
    return qt / np.sqrt(rr / 1000)


def fridericia(qt: Any, rr: Any) -> Any:
    """QTc = QT / cbrt(RR in s) (Fridericia 1920); `qt` and `rr` in ms."""
    return qt / np.cbrt(rr / 1000)


def _rr_intervals(delineation: Delineation) -> np.ndarray:
    """Beat-to-beat intervals in ms, `(beats - 1,)`: the median over the leads of the R peak distances; NaN over a gap.

    A QRS that is flat at its top has no clear peak. Where the onsets and the steepest parts of two beats agree on another
    distance, it is that of the steepest parts.
    """
    peaks = delineation.qrs.per_lead[delineation.live, :, 1]
    rr = median(differences(peaks), axis=0) * MS
    steepest, onsets = differences(delineation.beats) * MS, differences(delineation.qrs.overall[:, 0]) * MS
    flat = (np.abs(steepest - onsets) < SAME_RR_MS) & (np.abs(steepest - rr) > OTHER_RR_MS)
    rr = np.where(flat, steepest, rr)
    return np.where(delineation.reliability.known_intervals(delineation.beats), rr, np.nan)


def _values_at(level: np.ndarray, position: np.ndarray) -> np.ndarray:
    """`level` at the sample of every `(..., leads, beats)` position; NaN where there is none or it is outside."""
    inside = (position >= 0) & (position <= level.shape[1] - 1)  # NaN is not
    index = np.round(np.where(inside, position, 0)).astype(int)
    return np.where(inside, level[np.arange(len(level))[:, None], index], np.nan)


def wave_windows(level: np.ndarray, marks: np.ndarray, longest_s: float) -> tuple[np.ndarray, np.ndarray]:
    """The samples of every wave, `(leads, beats, samples)`, and which of them belong to it."""
    known = np.isfinite(marks[..., 0]) & np.isfinite(marks[..., 2])
    onset = np.where(known, marks[..., 0], 0)
    start = np.floor(onset).astype(int)
    index = start[..., None] + np.arange(int(longest_s * WORKING_RATE))
    first = np.arange(len(level))[:, None, None] * level.shape[1]
    window = level.ravel().take(within(index, 0, level.shape[1] - 1) + first)
    inside = (index >= onset[..., None]) & (index <= np.where(known, marks[..., 2], -1)[..., None])
    return window, inside


def _areas(level: np.ndarray, marks: np.ndarray, longest_s: tuple[float, ...]) -> np.ndarray:
    """Area of every wave in mV ms, `(kinds, leads, beats)`, NaN without marks; each kind of wave lasts up to `longest_s`.

    Args:
        level: `(leads, samples)` mV.
        marks: onset, peak, offset in samples, `(kinds, leads, beats, 3)`.
        longest_s: `(kinds,)`.
    """
    known = np.isfinite(marks[..., 0]) & np.isfinite(marks[..., 2])
    onset, offset = np.where(known, marks[..., 0], 0), np.where(known, marks[..., 2], -1)
    longest = np.array([int(seconds * WORKING_RATE) for seconds in longest_s])[:, None, None]
    span = np.stack([np.ceil(onset), np.minimum(np.floor(offset), np.floor(onset) + longest - 1) + 1], axis=-1)
    # One more sample, that a wave may end behind the last one.
    padded = np.zeros((len(level), level.shape[1] + 1))
    padded[:, :-1] = level
    places = within(span, 0, level.shape[1]).astype(int)
    places += padded.shape[1] * np.arange(len(level))[:, None, None]
    # Every second sum is that of what lies between two waves.
    area = np.add.reduceat(padded.ravel(), places.ravel())[::2].reshape(known.shape)
    return np.where(known & (span[..., 1] > span[..., 0]), area * MS, np.nan)


def qrs_measures(level: np.ndarray, qrs: np.ndarray) -> dict[str, np.ndarray]:
    """Q, R and S of every complex: R is its highest point, Q the lowest before the first R and S the lowest after it (in an
    rSr' it lies before the highest point); a QS is both. The first R is where 0.1 mV is reached, or the highest point.

    Args:
        level: `(leads, samples)` mV against the PR segment.
        qrs: onset, peak, offset in samples, `(leads, beats, 3)`.

    Returns:
        Name -> `(leads, beats)`, in mV, ms (`q_duration`) and mV ms (`qrs_area`); NaN where a lead has no marks. `qrs_net`
        is the highest plus the lowest point, from which the axis is taken.
    """
    window, inside = wave_windows(level, qrs, 0.26)
    known = inside.any(axis=2)
    top = np.where(known, window.max(axis=2, where=inside, initial=-np.inf), 0)
    bottom = np.where(known, window.min(axis=2, where=inside, initial=np.inf), 0)
    first_r = (inside & (window >= np.minimum(top, FIRST_R_MV)[..., None])).argmax(axis=2)
    index = np.arange(window.shape[2])
    before, after = index < first_r[..., None], index > first_r[..., None]
    q, s = (window.min(axis=2, where=inside & side, initial=0) for side in (before, after))
    without_r = top < MIN_R_MV
    negative = inside & (window < -Q_EDGE_MV)
    q_samples = np.where(without_r, negative.sum(axis=2), (negative & before).sum(axis=2))
    values = {
        "r_amplitude": np.where(without_r, 0.0, top),
        "q_amplitude": np.where(without_r, np.minimum(bottom, 0), q),
        "s_amplitude": np.where(without_r, np.minimum(bottom, 0), s),
        "q_duration": q_samples * MS,
        "qrs_amplitude": top - bottom,
        "qrs_net": top + bottom,
        "qrs_area": (window * inside).sum(axis=2) * MS,
    }
    return {name: np.where(known, value, np.nan) for name, value in values.items()}


def st_form(st_j: np.ndarray, st_j60: np.ndarray, st_j80: np.ndarray, elevation_limits: Sequence[float]) -> np.ndarray:
    """ST segments in words, same shape as the levels, `(leads, beats)` mV; `None` where there is none.

    The direction from J to J+80 ms (`horizontal`, `upsloping`, `downsloping`; 0.05 mV decide), after `elevated` where the J
    point reaches the lead's one of `elevation_limits` (mV, see `ecg_limits.st_elevation_limit`), or `depressed` where J+60
    reaches -0.1 mV.
    """
    change = st_j80 - st_j
    direction = np.where(change > 0, "upsloping", "downsloping").astype(object)
    direction[np.abs(change) < ST_HORIZONTAL_MV] = "horizontal"
    deviation = np.full(st_j.shape, "", dtype=object)
    deviation[st_j >= np.array(elevation_limits)[:, None]] = "elevated "
    deviation[st_j60 <= -ST_DEPRESSION_MV] = "depressed "
    words = deviation + direction
    words[~np.isfinite(change + st_j60)] = None
    return words


BIPHASIC_SHARE = 0.25  # a wave has two lobes where the smaller has this share of the larger
LONGEST_JT_S = 0.6


def featuredb_sequences(delineation: Delineation, beats: BeatMeasures) -> dict[str, np.ndarray]:
    """The 14 sequences by FeatureDB's definitions, each `(leads, beats)`; ms, unsigned mV, bpm.

    RR Interval 1 and 2 are not part of FeatureDB and stay as they are.
    """
    qrs, t = delineation.qrs.per_lead, delineation.t.per_lead
    shape = qrs.shape[:2]
    level = beats.level
    onset = np.clip(np.nan_to_num(qrs[..., 0]), 0, level.shape[1] - 1).astype(int)
    baseline = np.take_along_axis(level, onset, 1)
    mean_rr = float(np.mean(beats.rr_after[:-1])) if shape[1] > 1 else np.nan
    jt = (t[..., 2] - qrs[..., 2]) * MS
    after_qrs = np.stack([qrs[..., 2], t[..., 1], t[..., 2]], axis=-1)
    rate = 60000 / mean_rr
    values: dict[str, np.ndarray] = {
        "Heart Rate": np.full(shape, np.trunc(rate) if np.isfinite(rate) else np.nan),
        "RR Interval 1": np.broadcast_to(beats.rr_before, shape),
        "RR Interval 2": np.broadcast_to(beats.rr_after, shape),
        "P Amplitude": _two_lobes(level, delineation.p.per_lead, baseline, LONGEST_P_S),
        "P Duration": beats.p_duration,
        "PR Interval": beats.pr_interval,
        "QRS Amplitude": beats.r_amplitude - np.minimum(beats.q_amplitude, beats.s_amplitude),
        "QRS Duration": beats.qrs_duration,
        "T Amplitude": _two_lobes(level, after_qrs, baseline, LONGEST_JT_S),
        "T Duration": jt,
        "ST Duration": beats.st_duration,
        "ST Form": _st_form(level, np.stack([qrs[..., 2], qrs[..., 2], t[..., 0]], axis=-1)),
        "QT Interval": jt,
        "QTc Interval": bazett(jt, np.full(shape, mean_rr)),
    }
    unmeasured = ~np.isfinite(beats.qrs_duration)
    for name, value in values.items():
        absent: Any = None if value.dtype == object else np.nan
        values[name] = np.where(unmeasured, absent, value)
    return values


def _two_lobes(level: np.ndarray, marks: np.ndarray, baseline: np.ndarray, longest_s: float) -> np.ndarray:
    """Largest deviation from `baseline` without sign; of a biphasic wave the sum of both lobes."""
    window, inside = wave_windows(level, marks, longest_s)
    deviation = np.where(inside, window - baseline[..., None], 0)
    up, down = deviation.max(axis=2), -deviation.min(axis=2)
    larger, smaller = np.maximum(up, down), np.minimum(up, down)
    size = np.where(smaller >= BIPHASIC_SHARE * larger, larger + smaller, larger)
    return np.where(inside.any(axis=2), size, np.nan)


def _st_form(level: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """`horizontal` (range below 0.05 mV), else `upslope` or `declination` by the extreme sample against the first."""
    window, inside = wave_windows(level, marks, LONGEST_JT_S)
    change = np.where(inside, window - window[..., :1], 0)
    up, down = change.max(axis=2), -change.min(axis=2)
    form = np.where(up >= down, "upslope", "declination").astype(object)
    form[up + down < ST_HORIZONTAL_MV] = "horizontal"
    form[~inside.any(axis=2)] = None
    return form


__all__ = [
    "SEQUENCES",
    "BeatMeasures",
    "bazett",
    "featuredb_sequences",
    "fridericia",
    "isoelectric_level",
    "measure_beats",
    "qrs_measures",
    "st_form",
    "wave_windows",
]
