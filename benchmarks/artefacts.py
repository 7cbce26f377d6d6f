# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The effect of artefacts on the measures of a record: `OMP_NUM_THREADS=1 python -m benchmarks.artefacts`.

Two parts, each can be left out:
- corpus: real records (LUDB and PTB-XL in turn) x 12 kinds of disturbance x 3 strengths. A record counts as right if rate,
  rhythm, PR, QRS, QT and the presence of P waves are the same as without the disturbance, or are missing with a reason.
- rows: sinus ECGs that lose their P waves to loose chest electrodes; LUDB's P waves with movement in V4; one second of noise in
  all leads: beats outside it, heart rate.
"""

import argparse
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.bench_features import SHARED, ours
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_rules import regularity
from tests.helpers.delineation_scoring import DelineationScore, MarkedEcg, match, read_ludb
from tests.helpers.disturbances import (
    HOLE_MV,
    NOISES,
    emg,
    movement,
    white,
    with_loose_electrode,
    with_noise,
    with_pops,
    with_rail,
    with_step,
)
from tests.helpers.ptbxl_signals import read_ptbxl

PARTS = ["corpus", "rows"]
RATE = 500
SECONDS = 2.0
INTERVAL_MS = {"pr_interval": 20, "qrs_duration": 20, "qt_interval": 30}
RATE_BPM, RATE_SHARE = 2.0, 0.03
STRENGTHS_MV = {
    "white": (0.2, 0.5, 2.0),
    "emg": (0.1, 0.3, 1.0),
    "movement": (0.2, 0.5, 2.0),
    "mains": (0.2, 0.5, 2.0),
    "step": (0.5, 1.0, 3.0),
    "saturation": (1.5, 3.0, 5.0),
    "holes": (0.2, 1.0, 2.0),  # s
    "pops": (0.5, 1.0, 3.0),
    "chest electrode": (0.2, 0.5, 1.0),
    "limb electrode": (0.1, 0.2, 0.5),
    "three chest leads": (0.2, 0.3, 0.5),
    "chest lead, emg": (0.1, 0.3, 1.0),
}


@dataclass(frozen=True)
class Disturbed:
    """A disturbed record, and the seconds `(start, end)` in which all of it may be wrong; `None` if it lasts throughout."""

    signal: np.ndarray
    span: tuple[float, float] | None


def disturb(signal: np.ndarray, kind: str, strength: float, seed: int) -> Disturbed:
    """One disturbance, its place and its leads drawn from `seed`."""
    generator = np.random.default_rng(seed)
    if kind == "chest electrode":
        electrode = f"V{generator.integers(1, 7)}"
        return Disturbed(with_loose_electrode(signal, RATE, movement, strength, electrode, seed), None)
    if kind == "limb electrode":
        electrode = str(generator.choice(["RA", "LA", "LL"]))
        return Disturbed(with_loose_electrode(signal, RATE, movement, strength, electrode, seed), None)
    if kind == "three chest leads":
        leads = generator.permutation(np.arange(6, 12))[:3].tolist()
        return Disturbed(with_noise(signal, RATE, movement, strength, leads, slice(None), seed), None)
    if kind == "chest lead, emg":
        return Disturbed(
            with_noise(signal, RATE, emg, strength, [int(generator.integers(6, 12))], slice(None), seed), None
        )
    if kind == "pops":
        return Disturbed(with_pops(signal, RATE, strength, int(generator.integers(12)), seed), None)
    seconds = strength if kind == "holes" else SECONDS
    start = float(generator.uniform(0.5, signal.shape[1] / RATE - seconds - 0.5))
    span, samples = (start, start + seconds), slice(round(start * RATE), round((start + seconds) * RATE))
    leads = generator.permutation(12)[: generator.choice([1, 3, 6, 12])].tolist()
    if kind == "step":
        return Disturbed(with_step(signal, strength, leads, samples.start), (start, start))
    if kind == "saturation":
        return Disturbed(with_rail(signal, strength, leads, samples), span)
    if kind == "holes":
        return Disturbed(with_rail(signal, HOLE_MV, leads, samples), span)
    return Disturbed(with_noise(signal, RATE, NOISES[kind], strength, leads, samples, seed), span)


def faults(clean: EcgFeatures, disturbed: EcgFeatures, span: tuple[float, float] | None) -> list[str]:
    """The measures of `disturbed` that are neither right nor missing with a reason."""
    reason = bool(disturbed.left_out or disturbed.note)
    found = []
    rates, rhythms = _rate_and_rhythm(clean, span)
    value = disturbed.heart_rate
    close = [abs(value - rate) <= max(RATE_BPM, RATE_SHARE * rate) for rate in rates]
    if not (any(close) or (np.isnan(value) and reason)):
        found.append("heart_rate")
    if disturbed.rhythm_regularity not in rhythms and not (disturbed.rhythm_regularity is None and reason):
        found.append("rhythm")
    if disturbed.p_present != clean.p_present and not (disturbed.p_present is None and reason):
        found.append("p_present")
    for name, tolerance in INTERVAL_MS.items():
        before, after = getattr(clean, name), getattr(disturbed, name)
        right = reason if np.isnan(after) else abs(after - before) <= tolerance
        if not (right or np.isnan(before)):
            found.append(name)
    return found


def _rate_and_rhythm(clean: EcgFeatures, span: tuple[float, float] | None) -> tuple[list[float], set[str | None]]:
    """Heart rate and regularity of the whole record, and of what lies outside the disturbed seconds."""
    rates, rhythms = [clean.heart_rate], {clean.rhythm_regularity}
    if span is not None:
        start, end = clean.beat_times[:-1], clean.beat_times[1:]
        outside = (end < span[0] - 0.5) | (start > span[1] + 0.5)
        if outside.sum() > 1:
            rates.append(60000 / float(np.mean(clean.rr_intervals[outside])))
            rhythms.add(regularity(clean.rr_intervals[outside]))
    return rates, rhythms


def corpus(ludb: list[MarkedEcg], ptbxl: list[np.ndarray], seed: int, verbose: bool) -> None:
    signals = [signal for pair in zip((r.signal for r in ludb), ptbxl, strict=False) for signal in pair]
    clean = [extract_features(signal, RATE) for signal in signals]
    print(
        f"\nartefact corpus: {len(signals)} records x {len(STRENGTHS_MV)} kinds x 3 strengths; % right, and what was wrong"
    )
    right, missing, total, wrong = 0, 0, 0, Counter[str]()
    for kind, strengths in STRENGTHS_MV.items():
        cells, words = [], Counter[str]()
        for strength in strengths:
            good = 0
            for number, (signal, before) in enumerate(zip(signals, clean, strict=True)):
                place = seed + 1000 * number + hash_of(kind, strength)
                disturbed = disturb(signal, kind, strength, place)
                after = extract_features(disturbed.signal, RATE)
                found = faults(before, after, disturbed.span)
                good += not found
                words.update(found)
                missing += any(
                    np.isnan(getattr(after, name)) and not np.isnan(getattr(before, name)) for name in INTERVAL_MS
                )
                if found and verbose:
                    print(f"    {kind} {strength:g}, record {number}: {found}")
            cells.append(f"{strength:g}: {good / len(signals):6.1%}")
            right, total = right + good, total + len(signals)
        wrong.update(words)
        print(f"  {kind:18s} {'  '.join(cells)}   {dict(words.most_common())}", flush=True)
    print(f"  all: {right / total:.2%} of {total}; {missing} lack an interval; wrong: {dict(wrong.most_common())}")


def hash_of(kind: str, strength: float) -> int:
    """A number that is the same in every run."""
    return sum(ord(letter) for letter in kind) * 7 + round(100 * strength)


def rows(ludb: list[MarkedEcg], folder: Path, records: int) -> None:
    sinus = read_ptbxl(folder, lambda codes: "SR" in codes and not {"AFIB", "PACE"} & codes, 63)
    print(f"\nP waves lost, of {len(sinus)} sinus ECGs, to movement of a chest electrode")
    clean = [extract_features(signal, RATE) for signal in sinus]
    for words, leads, size in (("V5", [10], 0.2), ("V5", [10], 0.5), ("three chest leads", [8, 9, 10], 0.3)):
        lost, off = 0, Counter[str]()
        for number, (signal, before) in enumerate(zip(sinus, clean, strict=True)):
            after = extract_features(with_noise(signal, RATE, movement, size, leads, slice(None), number), RATE)
            lost += bool(before.p_present and not after.p_present)
            off.update(faults(before, after, None))
        print(f"  {words} {size:g} mV: {lost} lost; wrong: {dict(off)}", flush=True)
    fibrillation = read_ptbxl(folder, lambda codes: "AFIB" in codes, records)
    present = sum(bool(extract_features(signal, RATE).p_present) for signal in fibrillation)
    disturbed = sum(
        bool(extract_features(with_noise(signal, RATE, movement, 0.3, [9], slice(None), number), RATE).p_present)
        for number, signal in enumerate(fibrillation)
    )
    print(
        f"P waves in fibrillation: {present} of {len(fibrillation)}, with 0.3 mV movement in V4 {disturbed}",
        flush=True,
    )
    result = DelineationScore()
    for number, record in enumerate(ludb):
        signal = with_noise(record.signal, RATE, movement, 0.3, [9], slice(None), number)
        moved = MarkedEcg(record.name, signal, RATE, record.marks, record.rhythm, record.comments)
        result.add(moved, ours(moved))
    print(f"LUDB ({len(ludb)}) with 0.3 mV movement in V4: P F1 {result.f1('P'):.3f}", flush=True)
    second_of_noise(sinus[:records])


def second_of_noise(signals: list[np.ndarray]) -> None:
    found = beats = added = 0
    errors = []
    for number, signal in enumerate(signals):
        clean = extract_features(signal, RATE)
        start = float(np.random.default_rng(number).uniform(0.5, 8.5))
        span = slice(round(start * RATE), round((start + 1) * RATE))
        after = extract_features(with_noise(signal, RATE, white, 2.0, range(12), span, number), RATE)
        truth, marks = (
            times[(times < start - 0.2) | (times > start + 1.2)] for times in (clean.beat_times, after.beat_times)
        )
        pairs = len(match(truth, marks, 0.05))
        found, beats, added = found + pairs, beats + len(truth), added + len(marks) - pairs
        rates, _ = _rate_and_rhythm(clean, (start, start + 1))
        errors.append(min(abs(after.heart_rate - rate) for rate in rates) if len(after.beat_times) else np.inf)
    print(
        f"1 s of 2 mV noise in all leads of {len(signals)} records: {found / beats:.1%} of {beats} beats outside found, {added} "
        f"added; HR error median {np.median(errors):.1f}, 95 % {np.percentile(errors, 95):.1f}, most {max(errors):.1f} bpm, "
        f"{sum(error > RATE_BPM for error in errors)} above {RATE_BPM:g}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with data/ludb and data/ptbxl")
    parser.add_argument("--records", type=int, default=30, help="records of each source (default: 30)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="name every wrong record")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    ludb = read_ludb(options.shared / "data/ludb/data")
    if "corpus" in options.parts:
        some = ludb[:: max(1, len(ludb) // options.records)][: options.records]
        corpus(
            some, read_ptbxl(options.shared / "data/ptbxl", bool, options.records, 20), options.seed, options.verbose
        )
    if "rows" in options.parts:
        rows(ludb, options.shared / "data/ptbxl", 50)


if __name__ == "__main__":
    main()
