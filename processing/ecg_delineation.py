# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Delineation of an ECG: every P wave, QRS complex and T wave of every lead, from all leads in one vectorised pass.

Beats come from all leads together; the QRS limits from the spatial velocity and each lead's own slope; P and T waves
are found in the multi-lead deviation, bounded per lead by the largest trapezium and drawn towards the weighted median
of the leads. Nothing is learned; the few constants were tuned on LUDB as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .ecg_filters import WORKING_RATE, FilterBands, FilteredEcg, filter_ecg
from .ecg_flutter import is_flutter
from .ecg_lone_p_waves import find_lone_p_waves
from .ecg_order_statistics import median
from .ecg_p_waves import BeatsOfP, find_p_waves, p_waves_merge_with_t
from .ecg_qrs import detect_beats
from .ecg_qrs_limits import QrsSettings, dominant_peaks, global_limits, lead_limits
from .ecg_reliability import NO_BEATS, LeftOut, Reliability, find_noise, left_out, rely_on_what_repeats
from .ecg_short_intervals import find_short_intervals
from .ecg_silent_leads import silent_leads
from .ecg_t_waves import WaveMarks, WaveSettings, around_peak, find_t_waves

STIMULUS_S = (0.03, 0.05)  # the stimulus of a QRS stands at most so long before and after the onset that is seen
SHORTEST_S = 0.4  # less holds no heartbeat with its surroundings


@dataclass(frozen=True)
class DelineationSettings:
    """Every constant of the delineation."""

    bands: FilterBands = field(default_factory=FilterBands)
    qrs: QrsSettings = field(default_factory=QrsSettings)
    waves: WaveSettings = field(default_factory=WaveSettings)


_USUAL = DelineationSettings()


@dataclass(frozen=True)
class Delineation:
    """Marks of all waves at the sampling rate of `ecg`, 500 Hz.

    Attributes:
        beats: sample number of each heartbeat's QRS, `(beats,)`, in time order.
        live: whether a lead holds a signal with beats, `(leads,)`.
        reliability: how much the leads count in each beat, and where nothing can be told.
        left_out: leads and seconds that were not used.
        p, qrs, t: marks per lead `(leads, beats, 3)` and for the heart `(beats, 3)`: onset, peak, offset in samples
            (fractions possible), NaN where the wave is absent or not visible.
        lone_p: the same of P waves that no QRS follows, `(leads, waves, 3)` and `(waves, 3)`.
        flutter: whether flutter waves lead the beats (`is_flutter`), in P's place.
        p_unclear: whether waves before the beats were dropped because they may be P, T or flutter waves.
        ecg: the filtered signal the marks were found in.
    """

    beats: np.ndarray
    live: np.ndarray
    reliability: Reliability
    left_out: tuple[LeftOut, ...]
    p: WaveMarks
    lone_p: WaveMarks
    qrs: WaveMarks
    t: WaveMarks
    flutter: bool
    p_unclear: bool
    ecg: FilteredEcg

    @property
    def silent(self) -> tuple[int, ...]:
        """The rows that show none of the beats that the others show."""
        return tuple(part.lead for part in self.left_out if part.reason == NO_BEATS and part.lead is not None)


def delineate(
    signal: np.ndarray,
    sampling_rate: float,
    settings: DelineationSettings | None = None,
    leads: Sequence[str] = (),
) -> Delineation | None:
    """Finds all waves of an ECG.

    Args:
        signal: `(leads, samples)` in mV; NaN are gaps, leads without signal are left out.
        sampling_rate: Hz.
        settings: constants; the default is tuned on LUDB.
        leads: names of the rows, needed to recognise the movement of a single electrode.

    Returns:
        The marks, or `None` where there is no heartbeat.
    """
    settings = settings or _USUAL
    if signal.shape[1] < SHORTEST_S * sampling_rate or not np.isfinite(signal).any():
        return None
    ecg = filter_ecg(signal, sampling_rate, settings.bands)
    noisy = find_noise(ecg.qrs_slope)
    beats, live, gaps = detect_beats(ecg, noisy)
    if not len(beats):
        return None
    silent = silent_leads(ecg, beats, live)
    live = live & ~silent
    ecg, reliability = rely_on_what_repeats(ecg, beats, live, gaps, leads)
    onset, offset = global_limits(ecg, beats, reliability, settings.qrs)
    lead_onset, lead_offset = lead_limits(ecg, onset, offset, reliability, settings.qrs)
    peaks = dominant_peaks(ecg, onset, offset)
    short = find_short_intervals(ecg, onset, offset, reliability)
    t_waves = find_t_waves(ecg, onset, offset, short, reliability, settings.waves)
    p_waves = find_p_waves(BeatsOfP(ecg, onset, offset, t_waves.tail, short, reliability), settings.waves)
    peak = median(peaks[live], axis=0)
    qrs = np.stack([onset, peak, offset], axis=-1)
    lone_p, p_waves = find_lone_p_waves(ecg, qrs, p_waves, t_waves.tail, short, reliability, settings.waves)
    flutter = is_flutter(ecg, qrs, reliability)
    shift = np.array([settings.qrs.onset_bias, 0, settings.qrs.offset_bias]) * WORKING_RATE
    duration = (qrs - shift)[:, 2] - (qrs - shift)[:, 0]
    p_unclear = not flutter and p_waves_merge_with_t(p_waves, duration, t_waves.overall[:, 2])
    if flutter or p_unclear:
        p_waves = WaveMarks(np.full_like(p_waves.per_lead, np.nan), np.full_like(p_waves.overall, np.nan))
        lone_p = WaveMarks(np.zeros((len(live), 0, 3)), np.zeros((0, 3)))
    lead_onset, onset = (_behind_spikes(marks, ecg, settings.qrs) for marks in (lead_onset, onset))
    per_lead = around_peak(np.stack([lead_onset, peaks, lead_offset], axis=-1) - shift)
    per_lead[~live] = np.nan
    overall = np.stack([onset, peak, offset], axis=-1) - shift
    unused = left_out(ecg, noisy, beats, reliability, silent)
    qrs_waves = WaveMarks(per_lead, overall)
    return Delineation(beats, live, reliability, unused, p_waves, lone_p, qrs_waves, t_waves, flutter, p_unclear, ecg)


def _behind_spikes(onset: np.ndarray, ecg: FilteredEcg, settings: QrsSettings) -> np.ndarray:
    """QRS onsets that seem to lie in the pacing spike that set them off, moved to where it ends."""
    if not len(ecg.spikes):
        return onset
    nearest = np.abs(ecg.spikes[:, None] - onset.reshape(1, -1)).argmin(axis=0)
    spike, end = (marks[nearest].reshape(onset.shape) for marks in (ecg.spikes, ecg.spike_ends))
    before, behind = (seconds * WORKING_RATE for seconds in STIMULUS_S)
    stimulated = (spike > onset - before) & (spike < onset + behind)
    return np.where(stimulated, np.maximum(onset, end + settings.onset_bias * WORKING_RATE), onset)


__all__ = ["Delineation", "DelineationSettings", "delineate"]
