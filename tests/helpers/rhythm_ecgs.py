# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECGs whose rhythm and waves are all known: their reference marks, and those of the simulator."""

from dataclasses import dataclass, field, replace

import numpy as np

from processing.simulator.simulator import simulate_ecg
from tests.helpers.delineation_scoring import WAVES, MarkedEcg

MARGIN_S = 0.5  # waves nearer to the ends are not scored: they may be cut
# Readers mark a QRS complex from before its lead leaves 3 % of its peak (and 0.01 mV) until after it returns: the median over the
# leads of LUDB whose PR segment is flat, onsets; offsets, where no level is known, are taken to be alike.
READERS_MARGIN_S = 0.012
HIDDEN_SHARE = 0.3  # a P wave more of which than this lies within QRS complexes and T waves is hidden


# Group -> arguments of `simulate_ecg`.
SIMULATED: dict[str, dict] = {
    "SVT": {"rhythm": "supraventricular_tachycardia"},
    "SVT, retrograde P": {"rhythm": "supraventricular_tachycardia_retrograde"},
    "VT": {"rhythm": "ventricular_tachycardia"},
    "VT, dissociated P": {"rhythm": "ventricular_tachycardia_dissociated"},
    "flutter 2:1": {"rhythm": "atrial_flutter", "heart_rate": 150},
    "flutter 2:1, RBBB": {"rhythm": "atrial_flutter", "heart_rate": 150, "conduction": "rbbb"},
    "flutter 2:1, LBBB": {"rhythm": "atrial_flutter", "heart_rate": 150, "conduction": "lbbb"},
    "AF": {"rhythm": "atrial_fibrillation"},
    "AF, coarse": {"rhythm": "atrial_fibrillation_coarse"},
    "wandering pacemaker": {"rhythm": "wandering_pacemaker"},
    "bigeminy": {"rhythm": "bigeminy"},
    "complete AV block": {"rhythm": "av_block_3"},
    "atrial pacing, unipolar": {"rhythm": "atrial_paced", "pacing": "unipolar"},
    "atrial pacing, bipolar": {"rhythm": "atrial_paced", "pacing": "bipolar"},
    "ventricular pacing, unipolar": {"rhythm": "ventricular_paced_alone", "pacing": "unipolar"},
    "ventricular pacing, bipolar": {"rhythm": "ventricular_paced_alone", "pacing": "bipolar"},
    "dual pacing, unipolar": {"rhythm": "dual_paced", "pacing": "unipolar"},
    "dual pacing, bipolar": {"rhythm": "dual_paced", "pacing": "bipolar"},
    "RBBB, flat top": {"conduction": "rbbb_dome"},
    "RBBB, notched": {"conduction": "rbbb_notched"},
    "LBBB, flat top": {"conduction": "lbbb_dome"},
    "LBBB, notched": {"conduction": "lbbb_notched"},
    "delta wave": {"conduction": "wpw"},
    "hyperkalaemia": {"repolarization": "hyperkalemia"},
    "long QT": {"repolarization": "long_qt_u"},
}
# In these groups no P wave leads the beats.
UNLED = ("SVT", "VT", "flutter", "AF", "ventricular pacing", "complete AV block")


def first_of(rows: np.ndarray) -> float:
    """Where a wave begins in all but the outermost lead; of `(12, 3)` samples, NaN where unmarked."""
    return float(np.nanpercentile(rows[:, 0], 10))


def last_of(rows: np.ndarray) -> float:
    """Where a wave ends in all but the outermost lead."""
    return float(np.nanpercentile(rows[:, 2], 90))


@dataclass(frozen=True)
class RhythmEcg:
    """An ECG whose rhythm is known.

    Attributes:
        ecg: signal and marks of what can be seen.
        excused: per lead wave -> `(waves, 2)` samples (first, last) in which a mark is neither right nor wrong: hidden P waves,
            waves that are marked in other leads only, and those near the ends.
        beat_times: s. has_p: whether P waves lead the beats. axis: of the QRS in degrees, NaN where beats differ. spikes: s.
    """

    ecg: MarkedEcg
    excused: list[dict[str, np.ndarray]]
    beat_times: np.ndarray
    has_p: bool
    axis: float = np.nan
    spikes: np.ndarray = field(default_factory=lambda: np.zeros(0))


def marked(ecg: MarkedEcg, placed: dict[str, np.ndarray], hidden: np.ndarray) -> RhythmEcg:
    """`ecg` with per-lead marks from wave -> `(waves, 12, 3)` samples.

    A wave that is `hidden`, NaN in a lead or near the ends of the record is excused there.
    """
    marks, excused = [], []
    margin = MARGIN_S * ecg.sampling_rate
    first, last = margin, ecg.signal.shape[1] - margin
    for lead in range(len(ecg.signal)):
        seen, spans = {}, {}
        for wave, rows in placed.items():
            counts = (rows[:, lead, 1] >= first) & (rows[:, lead, 1] <= last)
            if wave == "P":
                counts &= ~hidden
            seen[wave] = rows[counts, lead]
            spans[wave] = np.array([(first_of(row), last_of(row)) for row in rows[~counts]]).reshape(-1, 2)
        marks.append(seen | {"span": np.array([first, last])})
        excused.append(spans)
    return RhythmEcg(replace(ecg, marks=marks), excused, np.zeros(0), has_p=False)


def hidden_p(placed: dict[str, np.ndarray]) -> np.ndarray:
    """Which P waves lie within QRS complexes and T waves by more than `HIDDEN_SHARE`, `(waves,)` bool."""
    others = [(first_of(row), last_of(row)) for wave in ("QRS", "T") for row in placed[wave]]
    result = []
    for row in placed["P"]:
        time = np.linspace(np.nanmedian(row[:, 0]), np.nanmedian(row[:, 2]), 101)
        covered = np.any([(time >= first) & (time <= last) for first, last in others], axis=0)
        result.append(np.mean(covered) > HIDDEN_SHARE)
    return np.array(result, dtype=bool)


def net_axis(signal: np.ndarray, qrs: np.ndarray) -> float:
    """Frontal axis in degrees of the median net amplitude (highest plus deepest point) of I and aVF.

    `signal` is `(12, samples)` against the isoelectric line, `qrs` the marks of the complexes, `(beats, 12, 3)` samples.
    """
    net = []
    for rows in qrs:
        start, stop = int(first_of(rows)), int(last_of(rows)) + 1
        if start >= 0 and stop <= signal.shape[1]:
            part = signal[[0, 5], start:stop]
            net.append(part.max(axis=1) + part.min(axis=1))
    lead_i, avf = np.median(net, axis=0)
    return float(np.degrees(np.arctan2(2 / np.sqrt(3) * avf, lead_i)))


def simulated_rhythm(group: str, seed: int) -> RhythmEcg:
    """A simulated ECG of a group of `SIMULATED`; its QRS marks lie where readers would put them."""
    ecg = simulate_ecg(**SIMULATED[group], seed=seed)
    rate = ecg.record.sampling_rate
    placed = {wave: ecg.fiducials[wave].transpose(1, 0, 2) * rate for wave in WAVES}
    placed["QRS"] += np.array([-READERS_MARGIN_S, 0, READERS_MARGIN_S]) * rate
    shown = {wave: np.isfinite(rows[:, :, 1]).any(axis=1) for wave, rows in placed.items()}
    truth = marked(
        MarkedEcg(group, ecg.record.signal, rate, [], group),
        {wave: rows[shown[wave]] for wave, rows in placed.items()},
        ecg.hidden_p[shown["P"]],
    )
    # The same seed draws the same heart, and without atrial waves or large spikes its complexes are alone in the signal.
    alone = {"rhythm": "sinus"} if group.startswith(("AF", "flutter")) else {}
    bare = simulate_ecg(**SIMULATED[group] | alone | {"pacing": None, "heart_rate": None}, seed=seed)
    complexes = bare.fiducials["QRS"].transpose(1, 0, 2)
    axis = net_axis(bare.clean, complexes * rate) if len(set(ecg.beat_kinds)) == 1 else np.nan
    has_p = not group.startswith(UNLED)
    return replace(truth, beat_times=ecg.beat_times, has_p=has_p, axis=axis, spikes=ecg.pacing_spikes)
