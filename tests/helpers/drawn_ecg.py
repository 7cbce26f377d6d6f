# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECGs drawn wave by wave, so that a test sets every amplitude, level and width."""

from collections.abc import Mapping, Sequence

import numpy as np

from processing.ecg_record import EcgRecord

RATE = 500
P_S, R_S, S_S, ST_S, T_S = 0.10, 0.06, 0.04, 0.12, 0.16


def _bump(time: np.ndarray, start: float, length: float) -> np.ndarray:
    """Half a sine from `start` on, 1 at its middle."""
    phase = (time - start) / length
    return np.where((phase > 0) & (phase < 1), np.sin(np.pi * np.clip(phase, 0, 1)), 0.0)


def _raised(time: np.ndarray, start: float, length: float) -> np.ndarray:
    """A raised cosine from `start` on: it begins and ends flat."""
    phase = (time - start) / length
    return np.where((phase > 0) & (phase < 1), 0.5 - 0.5 * np.cos(2 * np.pi * phase), 0.0)


def drawn_lead(
    time: np.ndarray,
    onsets: Sequence[float],
    *,
    p: float = 0.12,
    pr_s: float = 0.16,
    q: float = 0.0,
    q_s: float = 0.02,
    r: float = 1.0,
    s: float = 0.2,
    st: float = 0.0,
    t: float = 0.3,
    st_s: float = ST_S,
) -> np.ndarray:
    """One lead in mV; depths of Q and S are positive numbers, `st` is a plateau of `st_s`, `onsets` are those of the QRS."""
    lead = np.zeros_like(time)
    for onset in onsets:
        q_end = onset + (q_s if q else 0.0)
        j = q_end + R_S + (S_S if s else 0.0)
        lead += p * _raised(time, onset - pr_s, P_S)
        lead -= q * _bump(time, onset, q_s) if q else 0.0
        lead += r * _raised(time, q_end, R_S)
        lead -= s * _raised(time, q_end + R_S, S_S) if s else 0.0
        # Steep up, flat, and down where the T wave rises.
        lead += st * np.clip((time - j) / 0.006, 0, 1) * np.clip((j + st_s + 0.08 - time) / 0.08, 0, 1)
        lead += t * _raised(time, j + st_s, T_S)
    return lead


def drawn_ecg(
    leads: Mapping[str, Mapping[str, float]], onsets: Sequence[float] | None = None, seconds: float = 10.0
) -> EcgRecord:
    """A record of the named leads, each with its own arguments of `drawn_lead`; 75 beats a minute by default."""
    time = np.arange(round(seconds * RATE)) / RATE
    onsets = np.arange(0.4, seconds - 0.5, 0.8) if onsets is None else onsets
    signal = np.stack([drawn_lead(time, onsets, **waves) for waves in leads.values()])
    return EcgRecord(signal, tuple(leads), RATE, record_id="drawn")
