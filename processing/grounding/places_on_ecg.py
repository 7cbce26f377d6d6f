# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The parts of an ECG that are the evidence for a claim, as (lead, start, end) in s for `highlight`."""

from collections.abc import Callable

import numpy as np

from processing.claims.claims import Claim
from processing.claims.finding import Wave
from processing.claims.findings import BY_KIND
from processing.ecg_features import EcgFeatures

Span = tuple[str, float, float]
Bounds = Callable[[EcgFeatures, int], tuple[np.ndarray, np.ndarray]]
MARGIN_S = 0.01
ST_S, Q_S = 0.12, 0.05  # what is shown of an ST segment from J on, and of a QRS for its Q wave


def evidence(claim: Claim, features: EcgFeatures) -> list[Span]:
    """The waves a claim is about, in its leads and beats; in a rhythm lead where it names none.

    Examples:
        >>> from processing.claims.claims import extract_claims
        >>> from processing.ecg_features import extract_features
        >>> from processing.simulator.simulator import simulate_ecg
        >>> features = extract_features(simulate_ecg(heart_rate=60, seed=1).record)
        >>> evidence(extract_claims("PR 160 ms in lead II, beat 3")[0], features)[0][0]
        'II'
    """
    finding = BY_KIND[claim.kind]
    if finding.of_recording:
        named = [lead for lead in claim.leads if lead in features.leads]
        return [(lead, 0.0, round(features.duration, 3)) for lead in named or features.leads]
    if not len(features.beat_times):
        return []
    count = len(features.beat_times)
    beats = [beat - 1 for beat in claim.beats if 1 <= beat <= count] if claim.beats else None
    if beats is None and claim.time_s is not None:
        beats = [int(np.abs(features.beat_times - claim.time_s).argmin())]
    spans: list[Span] = []
    for lead in _leads(claim.leads or finding.shown_in, features):
        if finding.wave == "rhythm" and beats is None:
            spans.append((lead, float(features.beat_times[0]), float(features.beat_times[-1])))
            continue
        starts, ends = _BOUNDS[finding.wave](features, features.leads.index(lead))
        known = np.isfinite(starts) & np.isfinite(ends) & (ends > starts)
        starts = np.maximum(starts - MARGIN_S, 0.0).round(3).tolist()
        ends = np.minimum(ends + MARGIN_S, features.duration).round(3).tolist()
        spans += [(lead, starts[i], ends[i]) for i in (range(count) if beats is None else beats) if known[i]]
    return spans


def _leads(wanted: tuple[str, ...], features: EcgFeatures) -> list[str]:
    leads = [lead for lead in wanted or ("II",) if lead in features.leads]
    return leads or list(features.leads[:1])


def _marks(features: EcgFeatures, wave: str, row: int) -> np.ndarray:
    """Onset, peak, offset of a wave in a lead, `(beats, 3)` s; the heart's own where the lead shows none."""
    count = len(features.beat_times)
    whole, own = features.beat_waves[wave], features.waves[wave]
    whole = whole if len(whole) == count else np.full((count, 3), np.nan)
    if row >= len(own) or own.shape[1] != count:
        return whole
    return np.where(np.isfinite(own[row]).all(axis=1, keepdims=True), own[row], whole)


def _wave(wave: str) -> Bounds:
    def bounds(features: EcgFeatures, row: int) -> tuple[np.ndarray, np.ndarray]:
        marks = _marks(features, wave, row)
        return marks[:, 0], marks[:, 2]

    return bounds


def _from_onset(first: str, last: str, to_offset: bool) -> Bounds:
    """From the onset of one wave to the onset or offset of another."""

    def bounds(features: EcgFeatures, row: int) -> tuple[np.ndarray, np.ndarray]:
        return _marks(features, first, row)[:, 0], _marks(features, last, row)[:, 2 if to_offset else 0]

    return bounds


def _st(features: EcgFeatures, row: int) -> tuple[np.ndarray, np.ndarray]:
    j_point = _marks(features, "QRS", row)[:, 2]
    return j_point, j_point + ST_S


def _q(features: EcgFeatures, row: int) -> tuple[np.ndarray, np.ndarray]:
    marks = _marks(features, "QRS", row)
    return marks[:, 0], np.minimum(marks[:, 0] + Q_S, marks[:, 2])


def _whole_beat(features: EcgFeatures, row: int) -> tuple[np.ndarray, np.ndarray]:
    p, qrs, t = (_marks(features, wave, row) for wave in ("P", "QRS", "T"))
    start = np.where(np.isfinite(p[:, 0]), p[:, 0], qrs[:, 0] - 0.04)
    return start, np.where(np.isfinite(t[:, 2]), t[:, 2], qrs[:, 2] + 0.2)


_BOUNDS: dict[Wave, Bounds] = {
    "P": _wave("P"),
    "PR": _from_onset("P", "QRS", False),
    "Q": _q,
    "QRS": _wave("QRS"),
    "ST": _st,
    "QT": _from_onset("QRS", "T", True),
    "T": _wave("T"),
    "beat": _whole_beat,
    "rhythm": _whole_beat,
}

__all__ = ["evidence"]
