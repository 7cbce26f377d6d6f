# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Fast, wide, paced and unsteady rhythms: `OMP_NUM_THREADS=1 python -m benchmarks.rhythms`.

The truth is built three times:
- simulated: our simulator, whose waves are known exactly.
- ludb: waves that cardiologists marked in LUDB, put together in other rhythms by code that shares nothing with the simulator
  (`tests/helpers/retimed_rhythms.py`).
- ptbxl: the same with calm records of PTB-XL, normal ones and complete bundle branch blocks, marked by their median beat
  (`tests/helpers/averaged_beats.py`); good for where waves are, so that QRS durations are not scored.

Scored per group: F1 of P, QRS and T per lead (peaks, 150 ms tolerance; hidden P waves, waves that are marked in other leads only,
and the outer half seconds are neither right nor wrong); P: records with false P waves (`p_present` where none leads the beats) or
records in which they are lost; QRS: mean and SD of the duration's error in ms, per beat, between the median limits over the leads;
axis: median error in degrees and share above 15; spikes: F1 of the pacemaker's spikes (10 ms), or the number of false ones; rhythm:
heart rate and regularity right.

Even and odd seeds are made of different records: tune on odd ones, report even ones.
"""

import argparse
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.bench_features import SHARED, ours
from benchmarks.delineation_rivals import Marks
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_rules import regularity
from tests.helpers.averaged_beats import mark_by_average
from tests.helpers.delineation_scoring import TOLERANCE_S, WAVES, DelineationScore, MarkedEcg, match, read_ludb
from tests.helpers.ptbxl_signals import read_ptbxl
from tests.helpers.retimed_beats import Beats
from tests.helpers.retimed_rhythms import RETIMED
from tests.helpers.rhythm_ecgs import SIMULATED, RhythmEcg, simulated_rhythm

TRUTHS = ["simulated", "ludb", "ptbxl"]
PTBXL_RECORDS = 100  # of each kind; a third are calm enough
HALVES = {"all": (0, 1), "even": (0, 2), "odd": (1, 2)}
NEAR_S = 0.05  # a mark this near to an excused wave is excused
SPIKE_S = 0.010
AXIS_DEGREES, RATE_BPM, RATE_SHARE = 15.0, 2.0, 0.03
GROUPS = list(dict.fromkeys([*SIMULATED, *RETIMED]))


def read_sources(shared: Path, truths: list[str]) -> dict[str, list[Beats]]:
    """Truth -> the beats that the records for even and for odd seeds provide."""
    records: dict[str, list[MarkedEcg]] = {}
    if "ludb" in truths:
        records["ludb"] = read_ludb(shared / "data/ludb/data")
    if "ptbxl" in truths:
        normal = read_ptbxl(shared / "data/ptbxl", lambda codes: {"NORM", "SR"} <= codes, PTBXL_RECORDS)
        blocks = read_ptbxl(shared / "data/ptbxl", _is_bundle_branch_block, PTBXL_RECORDS)
        found = (mark_by_average(signal, f"PTB-XL {number}") for number, signal in enumerate([*normal, *blocks]))
        records["ptbxl"] = [record for record in found if record is not None]
    return {truth: [Beats.of(some[half::2]) for half in (0, 1)] for truth, some in records.items()}


def _is_bundle_branch_block(codes: set[str]) -> bool:
    return bool(codes & {"CLBBB", "CRBBB"}) and not codes & {"PACE", "AFIB", "AFLT"}


def retimed(group: str, seed: int, beats: list[Beats]) -> RhythmEcg:
    """A rhythm of `RETIMED` made of the records for even or for odd seeds."""
    return RETIMED[group](np.random.default_rng(seed), beats[seed % 2])


@dataclass
class Score:
    """What is counted of a group of records."""

    marks: DelineationScore = field(default_factory=DelineationScore)
    records: int = 0
    without_p: int = 0
    false_p: int = 0
    lost_p: int = 0
    spikes: np.ndarray = field(default_factory=lambda: np.zeros(3, dtype=int))
    qrs_errors: list[float] = field(default_factory=list)
    axis_errors: list[float] = field(default_factory=list)
    rhythm_right: int = 0

    def add(self, truth: RhythmEcg, limits: bool) -> None:
        """Measures and scores a record; its QRS durations only if the `limits` of its waves are exact."""
        features = extract_features(truth.ecg.signal, truth.ecg.sampling_rate)
        self.records += 1
        self.marks.add(truth.ecg, _without_excused(_marks(features, truth.ecg), truth))
        if limits:
            self.qrs_errors = self.marks.beat_errors.get("QRS", [])
        self.without_p += not truth.has_p
        self.false_p += bool(features.p_present) and not truth.has_p
        self.lost_p += truth.has_p and not features.p_present
        if np.isfinite(truth.axis):
            error = (features.qrs_axis - truth.axis + 180) % 360 - 180
            self.axis_errors.append(abs(error) if np.isfinite(error) else 180.0)
        pairs = len(match(truth.spikes, features.pacing_spikes, SPIKE_S))
        self.spikes += (pairs, len(truth.spikes) - pairs, len(features.pacing_spikes) - pairs)
        self.rhythm_right += _rhythm_right(features, truth)

    def row(self) -> str:
        rates = " ".join(f"{self.marks.f1(wave):5.3f}" if self._has(wave) else "  -  " for wave in WAVES)
        p_waves = f"{self.false_p}/{self.without_p} false" if self.without_p else f"{self.lost_p}/{self.records} lost"
        errors = self.qrs_errors
        qrs = f"{np.mean(errors):+4.0f} +- {np.std(errors):2.0f}" if errors else ""
        axis = np.array(self.axis_errors)
        turned = f"{np.median(axis):3.0f}, {np.mean(axis > AXIS_DEGREES):4.0%}" if len(axis) else ""
        hits, missed, extra = self.spikes
        spikes = f"{2 * hits / (2 * hits + missed + extra):.3f}" if hits + missed else f"{extra} false"
        rhythm = f"{self.rhythm_right / self.records:4.0%}"
        return f"{self.records:3d} | {rates} | {p_waves:>11s} | {qrs:10s} | {turned:9s} | {spikes:>8s} | {rhythm}"

    def _has(self, wave: str) -> bool:
        hits, missed, _ = self.marks.counts[wave, "peak"]
        return bool(hits + missed)


def _marks(features: EcgFeatures, ecg: MarkedEcg) -> Marks:
    """Our marks per lead in samples. P waves without a QRS are kept for the heart as a whole only: they need a second run."""
    if len(features.lone_p_waves):
        return ours(ecg)
    return [
        {wave: ecg.sampling_rate * features.waves[wave][lead] for wave in WAVES} for lead in range(len(features.leads))
    ]


def _without_excused(found: Marks, truth: RhythmEcg) -> Marks:
    """`found` less the marks that fit no true wave and lie where one is excused."""
    tolerance, near = TOLERANCE_S * truth.ecg.sampling_rate, NEAR_S * truth.ecg.sampling_rate
    result = []
    for marks, own, excused in zip(truth.ecg.marks, found, truth.excused, strict=True):
        kept = {}
        for wave in WAVES:
            rows = own[wave][np.isfinite(own[wave][:, 1])]
            peaks, spans = rows[:, 1], excused[wave]
            fits = np.isin(np.arange(len(rows)), [j for _, j in match(marks[wave][:, 1], peaks, tolerance)])
            inside = (peaks[:, None] > spans[:, 0] - near) & (peaks[:, None] < spans[:, 1] + near)
            kept[wave] = rows[fits | ~inside.any(axis=1)]
        result.append(kept)
    return result


def _rhythm_right(features: EcgFeatures, truth: RhythmEcg) -> bool:
    rr = np.diff(truth.beat_times) * 1000
    rate = 60000 / float(np.mean(rr))
    close = abs(features.heart_rate - rate) <= max(RATE_BPM, RATE_SHARE * rate)
    return close and features.rhythm_regularity == regularity(rr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", nargs="+", default=TRUTHS, choices=TRUTHS)
    parser.add_argument("--groups", nargs="+", default=GROUPS, choices=GROUPS, metavar="GROUP", help=f"of {GROUPS}")
    parser.add_argument("--seeds", type=int, default=40, help="seeds below this number (default: 40)")
    parser.add_argument("--half", choices=HALVES, default="even", help="which of the seeds (default: even)")
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with data/ludb and data/ptbxl")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sources = read_sources(options.shared, options.truth)
    print(
        f"{'group':29s}{'truth':10s}  n | F1 P  QRS   T     | P waves     | QRS error  | axis      | spikes   | rhythm"
    )
    first, step = HALVES[options.half]
    for group in options.groups:
        for truth in options.truth:
            if group in (SIMULATED if truth == "simulated" else RETIMED):
                score = Score()
                for seed in range(first, options.seeds, step):
                    score.add(
                        simulated_rhythm(group, seed)
                        if truth == "simulated"
                        else retimed(group, seed, sources[truth]),
                        limits=truth != "ptbxl",
                    )
                print(f"{group:29s}{truth:10s}{score.row()}", flush=True)


if __name__ == "__main__":
    main()
