# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Training targets of a tower: statements, measurements, the waves and voltages under every token, traces of a page."""

from collections.abc import Mapping

import numpy as np
import torch

from processing.ecg_features import EcgFeatures
from processing.ecg_page_picture import EcgPage
from processing.ecg_record import EcgRecord
from recipes.sources.statements import RHYTHMS, STATEMENTS, SUPERCLASSES, superclasses_of

# Target -> (mean, standard deviation) over PTB-XL, to bring every regression to the same scale.
RECORD_TARGETS = {
    "heart_rate": (75, 20),
    "pr_interval": (165, 30),
    "qrs_duration": (100, 22),
    "qt_interval": (390, 40),
    "qtc_bazett": (425, 35),
    "sokolow_lyon": (2.2, 1.0),
}
# How a measurement changes when the heart runs faster: rate in proportion, durations inversely, Bazett's QTc between them.
PACE_POWERS = {
    "heart_rate": 1.0,
    "pr_interval": -1.0,
    "qrs_duration": -1.0,
    "qt_interval": -1.0,
    "qtc_bazett": -0.5,
    "sokolow_lyon": 0.0,
}
LEAD_TARGETS = {
    "st_j60": (0.0, 0.1),
    "t_amplitude": (0.15, 0.3),
    "r_amplitude": (0.7, 0.5),
    "s_amplitude": (-0.5, 0.5),
    "q_amplitude": (-0.1, 0.15),
}
# What every token of a signal tower tells: seconds to the nearest P onset, QRS onset, QRS offset and T offset, and the RR
# interval around it; and the lowest and highest sample of each of twelve leads. Scaled to about 1, unknown beyond half a second.
TOKEN_TARGETS = {"beats": 5, "extremes": 24}
EXTREME_SCALE_MV = 0.3
MOST_BEATS, RECORD_S = 48, 10.0
FARTHEST_S, DISTANCE_SCALE_S = 0.6, 0.2
RR_MEAN_S, RR_SD_S = 0.8, 0.2
# What a page shows: columns of patches, leads, bins of a column, and of each mean and range.
TRACE_SHAPE = (12, 12, 14, 2)
# Statements of fewer training records teach nothing.
STATEMENT_NAMES = [
    code for code in (*STATEMENTS, *RHYTHMS) if code not in ("IPLMI", "IPMI", "PMI", "2AVB", "3AVB", "PSVT")
]


def statement_targets(codes: Mapping[str, float]) -> np.ndarray:
    """(superclasses + statements,) 0/1 of SCP statements with their likelihoods."""
    superclasses = superclasses_of(codes)
    stated = [name in superclasses for name in SUPERCLASSES] + [name in codes for name in STATEMENT_NAMES]
    return np.array(stated, dtype=np.float32)


def measurement_targets(features: EcgFeatures) -> np.ndarray:
    """Standardised measurements, NaN where absent: record level, axis as cosine and sine, then lead by lead."""
    record = [(getattr(features, name) - mean) / sd for name, (mean, sd) in RECORD_TARGETS.items()]
    axis = np.deg2rad(features.qrs_axis)
    leads = [(features.lead_values[name] - mean) / sd for name, (mean, sd) in LEAD_TARGETS.items()]
    return np.concatenate([record, [np.cos(axis), np.sin(axis)], *leads]).astype(np.float32).clip(-5, 5)


def beat_marks(features: EcgFeatures) -> np.ndarray:
    """`(4, MOST_BEATS)` s: P onset, QRS onset, QRS offset and T offset of the beats, NaN behind the last."""
    columns = (("P", 0), ("QRS", 0), ("QRS", 2), ("T", 2))
    marks = np.full((len(columns), MOST_BEATS), np.nan, dtype=np.float32)
    for row, (wave, column) in enumerate(columns):
        times = features.beat_waves[wave][:MOST_BEATS, column]
        marks[row, : len(times)] = times
    return marks


def rr_around(features: EcgFeatures, moments: int = 100, duration: float = RECORD_S) -> np.ndarray:
    """`(moments,)` s: the RR interval around equally spaced moments, NaN without one."""
    if len(features.beat_times) < 2:
        return np.full(moments, np.nan, dtype=np.float32)
    centres = (np.arange(moments) + 0.5) * duration / moments
    after = np.searchsorted(features.beat_times, centres).clip(1, len(features.beat_times) - 1)
    return np.diff(features.beat_times)[after - 1].astype(np.float32)


def beat_targets(
    marks: torch.Tensor,
    rr: torch.Tensor,
    start: torch.Tensor,
    pace: torch.Tensor,
    tokens: int,
    duration: float = RECORD_S,
) -> torch.Tensor:
    """
    What every token tells (`beats` of `TOKEN_TARGETS`) of signals read from `start` on, round their end, `pace` times as fast.

    Args:
        marks: `(batch, 4, beats)` s, of `beat_marks`.
        rr: `(batch, moments)` s, of `rr_around`.
        start: `(batch,)` s.
        pace: `(batch,)`.
        tokens: into how many equal stretches the tower divides a signal.
        duration: s, of a signal.

    Returns:
        `(batch, tokens, 5)`, scaled to about 1; NaN where unknown.
    """
    moments = rr.shape[1]
    centres = (torch.arange(tokens) + 0.5) * duration / tokens
    source = start[:, None] + centres * pace[:, None]
    distances = marks[:, None] - source[:, :, None, None]
    distances = (distances + duration / 2) % duration - duration / 2
    order = distances.abs().nan_to_num(torch.inf).argmin(dim=-1, keepdim=True)
    nearest = distances.gather(-1, order).squeeze(-1) / pace[:, None, None]
    nearest = nearest.masked_fill(nearest.abs() > FARTHEST_S, torch.nan) / DISTANCE_SCALE_S
    around = rr.gather(1, (source % duration / duration * moments).long().clamp(max=moments - 1)) / pace[:, None]
    return torch.cat([nearest, ((around - RR_MEAN_S) / RR_SD_S)[..., None]], dim=-1).clamp(-5, 5)


def lead_extremes(signal: torch.Tensor, tokens: int) -> torch.Tensor:
    """mV `(batch, leads, samples)` -> lowest and highest sample of every lead under each token, `(batch, tokens, 2 * leads)`, scaled."""
    pieces = signal.unflatten(2, (tokens, -1))
    extremes = torch.cat([pieces.amin(dim=-1), pieces.amax(dim=-1)], dim=1)
    return (extremes.transpose(1, 2) / EXTREME_SCALE_MV).clamp(-10, 10)


def trace_targets(record: EcgRecord, page: EcgPage) -> np.ndarray:
    """
    What a page shows, `TRACE_SHAPE`: mean and range of the samples under every bin of a lead's panel
    (of several, the last), mV, scaled to about 1; NaN beside the traces.
    """
    columns, _, bins, _ = TRACE_SHAPE
    edges = np.linspace(0, page.pixels.shape[1], columns * bins + 1)
    targets = np.full((len(edges) - 1, len(record.leads), 2), np.nan, dtype=np.float32)
    for row, lead in enumerate(record.leads):
        for panel in page.panels_of(lead):
            left, right = (page.to_px(lead, time, panel=panel)[0] for time in (panel.start, panel.stop))
            seconds = panel.start + (edges - left) / (right - left) * (panel.stop - panel.start)
            within = np.flatnonzero((seconds[:-1] >= panel.start) & (seconds[1:] <= panel.stop))
            cuts = np.rint(seconds[within[0] : within[-1] + 2] * record.sampling_rate).astype(int)
            piece = record.signal[row, : cuts[-1]]
            means = np.add.reduceat(piece, cuts[:-1]) / np.diff(cuts)
            ranges = np.maximum.reduceat(piece, cuts[:-1]) - np.minimum.reduceat(piece, cuts[:-1])
            targets[within, row] = np.stack([means, ranges], axis=-1)
    per_column = targets.reshape(columns, bins, len(record.leads), 2)
    return (per_column.transpose(0, 2, 1, 3) / 0.3).clip(-5, 5)


def read_round(signal: torch.Tensor, start: torch.Tensor, pace: torch.Tensor) -> torch.Tensor:
    """`(batch, leads, samples)` read from sample `start` `(batch,)` on, round the end, `pace` `(batch,)` times as fast."""
    samples = signal.shape[2]
    position = (start[:, None] + torch.arange(samples) * pace[:, None]) % samples
    before = position.floor()
    share = (position - before)[:, None]
    index = before.long().clamp(max=samples - 1)[:, None].expand(-1, signal.shape[1], -1)
    return signal.gather(2, index) * (1 - share) + signal.gather(2, (index + 1) % samples) * share


def measured_at(measured: torch.Tensor, pace: torch.Tensor) -> torch.Tensor:
    """Standardised measurements `(batch, targets)` of ECGs that run `pace` `(batch,)` times as fast."""
    measured = measured.clone()
    for column, (name, (mean, sd)) in enumerate(RECORD_TARGETS.items()):
        value = (measured[:, column] * sd + mean) * pace ** PACE_POWERS[name]
        measured[:, column] = (value - mean) / sd
    return measured
