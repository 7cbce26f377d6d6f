# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Fast, wide, paced and unsteady rhythms: `OMP_NUM_THREADS=1 python -m benchmarks.rhythms`.

The truth is built twice. `simulated`: our simulator, whose waves are known exactly. `retimed`: waves that LUDB's cardiologists
marked, put together in other rhythms by `tests/helpers/retimed_beats.py`, which shares nothing with the simulator.

Scored per group: F1 of P, QRS and T per lead (peaks, 150 ms tolerance; hidden P waves, and waves that are marked in other leads
only, are neither right nor wrong), records with false P waves (`p_present` where none leads the beats), mean and SD of the QRS
duration's error (ms, per beat, between the median limits over the leads), error of the QRS axis (degrees, median and share above
15), rate and regularity right.
"""

import argparse
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.bench_features import SHARED, ours
from benchmarks.delineation_rivals import Marks
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_rules import regularity
from processing.simulator.simulator import simulate_ecg
from tests.helpers.delineation_scoring import TOLERANCE_S, WAVES, DelineationScore, MarkedEcg, match, read_ludb
from tests.helpers.retimed_beats import RETIMED, Beats, RhythmEcg, marked

TRUTHS = ["simulated", "retimed"]
HALVES = {"all": (0, 1), "even": (0, 2), "odd": (1, 2)}
NEAR_S = 0.05  # a mark this near to an excused wave is excused
AXIS_DEGREES, RATE_BPM, RATE_SHARE = 15.0, 2.0, 0.03
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
    **{
        f"{name} pacing, {size}": {"rhythm": rhythm, "pacing": size}
        for name, rhythm in (
            ("atrial", "atrial_paced"),
            ("ventricular", "ventricular_paced_alone"),
            ("dual", "dual_paced"),
        )
        for size in ("unipolar", "bipolar")
    },
    "RBBB, flat top": {"conduction": "rbbb_dome"},
    "RBBB, notched": {"conduction": "rbbb_notched"},
    "LBBB, flat top": {"conduction": "lbbb_dome"},
    "LBBB, notched": {"conduction": "lbbb_notched"},
    "delta wave": {"conduction": "wpw"},
    "hyperkalaemia": {"repolarization": "hyperkalemia"},
    "long QT with U": {"repolarization": "long_qt_u"},
}
# In these groups no P wave leads the beats.
UNLED = ("SVT", "VT", "flutter", "AF", "ventricular pacing", "complete AV block")
GROUPS = list(dict.fromkeys([*SIMULATED, *RETIMED]))


def simulated(group: str, seed: int) -> RhythmEcg:
    ecg = simulate_ecg(**SIMULATED[group], seed=seed)
    rate = ecg.record.sampling_rate
    placed = {wave: ecg.fiducials[wave].transpose(1, 0, 2) * rate for wave in WAVES}
    shown = {wave: np.isfinite(rows[:, :, 1]).any(axis=1) for wave, rows in placed.items()}
    truth = marked(
        MarkedEcg(group, ecg.record.signal, rate, [], group),
        {wave: rows[shown[wave]] for wave, rows in placed.items()},
        ecg.hidden_p[shown["P"]],
    )
    axis = ecg.intervals["qrs_axis"] if len(set(ecg.beat_kinds)) == 1 else np.nan
    has_p = not group.startswith(UNLED)
    return replace(truth, beat_times=ecg.beat_times, has_p=has_p, axis=axis, spikes=ecg.pacing_spikes)


def retimed(group: str, seed: int, beats: list[Beats]) -> RhythmEcg:
    """Even and odd seeds are made of different records."""
    return RETIMED[group](np.random.default_rng(seed), beats[seed % 2])


@dataclass
class Score:
    """What is counted of a group of records."""

    marks: DelineationScore = field(default_factory=DelineationScore)
    records: int = 0
    without_p: int = 0
    false_p: int = 0
    lost_p: int = 0
    axis_errors: list[float] = field(default_factory=list)
    rhythm_right: int = 0

    def add(self, truth: RhythmEcg) -> None:
        features = extract_features(truth.ecg.signal, truth.ecg.sampling_rate)
        self.records += 1
        self.marks.add(truth.ecg, _without_excused(ours(truth.ecg), truth))
        self.without_p += not truth.has_p
        self.false_p += bool(features.p_present) and not truth.has_p
        self.lost_p += truth.has_p and not features.p_present
        if np.isfinite(truth.axis):
            error = (features.qrs_axis - truth.axis + 180) % 360 - 180
            self.axis_errors.append(abs(error) if np.isfinite(error) else 180.0)
        self.rhythm_right += _rhythm_right(features, truth)

    def row(self) -> str:
        rates = " ".join(f"{self.marks.f1(wave):5.3f}" if self._has(wave) else "  -  " for wave in WAVES)
        false_p = f"{self.false_p}/{self.without_p}" if self.without_p else f"lost {self.lost_p}"
        errors = self.marks.beat_errors.get("QRS", [])
        qrs = f"{np.mean(errors):+4.0f} +- {np.std(errors):3.0f}" if errors else "    -     "
        axis = np.array(self.axis_errors)
        turned = f"{np.median(axis):3.0f} {np.mean(axis > AXIS_DEGREES):5.0%}" if len(axis) else "  -    -  "
        return (
            f"{self.records:3d} | {rates} | {false_p:>8s} | {qrs} | {turned} | {self.rhythm_right / self.records:5.0%}"
        )

    def _has(self, wave: str) -> bool:
        hits, missed, _ = self.marks.counts[wave, "peak"]
        return bool(hits + missed)


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
    parser.add_argument("--half", choices=HALVES, default="even", help="which seeds: tune on odd ones (default: even)")
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with data/ludb")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    records = read_ludb(options.shared / "data/ludb/data") if "retimed" in options.truth else []
    beats = [Beats.of(records[half::2]) for half in (0, 1)]
    first, step = HALVES[options.half]
    title = f"{'group':30s}{'truth':10s}  n | F1 P QRS T         |  false P | QRS error   | axis error  | rhythm"
    print(title)
    for group in options.groups:
        for truth in options.truth:
            if group not in (SIMULATED if truth == "simulated" else RETIMED):
                continue
            score = Score()
            for seed in range(first, options.seeds, step):
                score.add(simulated(group, seed) if truth == "simulated" else retimed(group, seed, beats))
            print(f"{group:30s}{truth:10s}{score.row()}", flush=True)


if __name__ == "__main__":
    main()
