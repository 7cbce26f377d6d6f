"""How accurate and how fast the grounding features are: `OMP_NUM_THREADS=1 python -m benchmarks.bench_features`.

Three parts, each can be left out:
- ludb: marks against LUDB's cardiologists, per lead (between a lead's first and last mark, 150 ms tolerance) and per
  beat over all leads, by rhythm group and by lead, beside neurokit2 (dwt, prominence) and wfdb (xqrs, beats only).
- speed: CPU milliseconds per 12-lead 10 s record, everything included, interleaved with the rivals on the same
  records; the ratio is the figure that counts.
- ptbxl: agreement with PTB-XL's labels (nothing is tuned on it): AUC of QRS duration for bundle branch blocks, PR for
  first degree AV block, absent P for fibrillation and flutter, Sokolow-Lyon for LVH; axis against `heart_axis`.
"""

import argparse
import ast
import os
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.delineation_scoring import LEADS, POINTS, WAVES, DelineationScore, MarkedEcg, marks_of, read_ludb
from processing.ecg_delineation import delineate
from processing.ecg_features import extract_features

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
Marks = list[dict[str, np.ndarray]]
GROUPS = {"sinus": "inus", "fibrillation": "fibrillation", "flutter": "flutter"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["ludb", "speed", "ptbxl"], choices=["ludb", "speed", "ptbxl"])
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with data/ludb and data/ptbxl")
    parser.add_argument("--rival-records", type=int, default=10, help="LUDB records the slow rivals get (default: 10)")
    parser.add_argument("--ptbxl-step", type=int, default=1, help="every n-th PTB-XL record (default: 1, all)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if "ludb" in options.parts or "speed" in options.parts:
        records = read_ludb(options.shared / "data/ludb/data")
        some = records[:: max(1, len(records) // max(options.rival_records, 1))][: options.rival_records]
        if "ludb" in options.parts:
            accuracy(records, some)
        if "speed" in options.parts:
            speed(some)
    if "ptbxl" in options.parts:
        label_agreement(options.shared / "data/ptbxl", options.ptbxl_step)


def ours(record: MarkedEcg) -> Marks:
    return marks_of(delineate(record.signal, record.sampling_rate))


def neurokit(method: str) -> Callable[[MarkedEcg], Marks]:
    """neurokit2, lead by lead as it works: clean, peaks, delineate; a lead on which it raises has no marks."""
    names = {"P": "ECG_P", "QRS": "ECG_R", "T": "ECG_T"}

    def delineate_leads(record: MarkedEcg) -> Marks:
        import neurokit2 as nk

        result = []
        for row in record.signal:
            marks = {wave: np.zeros((0, 3)) for wave in WAVES}
            try:
                clean = nk.ecg_clean(row, sampling_rate=record.sampling_rate)
                peaks = nk.ecg_peaks(clean, sampling_rate=record.sampling_rate)[1]["ECG_R_Peaks"]
                _, waves = nk.ecg_delineate(clean, peaks, sampling_rate=record.sampling_rate, method=method)
                for wave, stem in names.items():
                    on, off = (np.asarray(waves[f"{stem}_{end}"], dtype=float) for end in ("Onsets", "Offsets"))
                    peak = peaks if wave == "QRS" else np.asarray(waves[f"{stem}_Peaks"], dtype=float)
                    length = min(len(on), len(peak), len(off))
                    marks[wave] = np.stack([on[:length], peak[:length], off[:length]], axis=1)
            except Exception:
                FAILURES[method] += 1
            result.append(marks)
        return result

    return delineate_leads


def wfdb_beats(record: MarkedEcg) -> Marks:
    """wfdb's xqrs: beats only."""
    from wfdb import processing

    result = []
    for row in record.signal:
        detector = processing.XQRS(sig=row, fs=record.sampling_rate)
        detector.detect(verbose=False)
        peaks = np.asarray(detector.qrs_inds, dtype=float)
        nothing = np.full(len(peaks), np.nan)
        marks = {wave: np.zeros((0, 3)) for wave in WAVES}
        result.append(marks | {"QRS": np.stack([nothing, peaks, nothing], axis=1)})
    return result


FAILURES: dict[str, int] = defaultdict(int)
RIVALS: dict[str, Callable[[MarkedEcg], Marks]] = {
    "neurokit2 dwt": neurokit("dwt"),
    "neurokit2 prominence": neurokit("prominence"),
    "wfdb xqrs": wfdb_beats,
}


def accuracy(records: list[MarkedEcg], some: list[MarkedEcg]) -> None:
    found = [ours(record) for record in records]
    print(f"\nLUDB, {len(records)} records x 12 leads: mean +- SD in ms")
    show(score(zip(records, found, strict=True)))
    print("\nby rhythm group: F1 P QRS T | false P waves | SD P onset, QRS onset, QRS offset, T offset")
    for group, word in GROUPS.items():
        chosen = [(record, marks) for record, marks in zip(records, found, strict=True) if word in record.rhythm]
        if chosen:
            print(f"  {group:14s} {len(chosen):3d} records  {brief(score(chosen))}")
    paced = [(r, m) for r, m in zip(records, found, strict=True) if "pacing" in " ".join(r.comments)]
    if paced:
        print(f"  {'paced':14s} {len(paced):3d} records  {brief(score(paced))}")
    print("\nby lead")
    for lead, name in enumerate(LEADS):
        print(f"  {name:14s}              {brief(score(zip(records, found, strict=True), range(lead, lead + 1)))}")
    print(f"\nthe same {len(some)} records")
    print(f"  {'gem-ecg':22s} {brief(score((record, ours(record)) for record in some))}")
    for name, method in RIVALS.items():
        print(f"  {name:22s} {brief(score((record, method(record)) for record in some))}")
    print(f"  leads on which a method raised: {dict(FAILURES) or 'none'}")


def score(pairs: Any, leads: range | None = None) -> DelineationScore:
    result = DelineationScore()
    for record, marks in pairs:
        result.add(record, marks, leads)
    return result


def brief(result: DelineationScore) -> str:
    summary = result.summary()
    deviations = (summary[name][1] for name in ("P onset", "QRS onset", "QRS offset", "T offset"))
    rates = " ".join(f"{result.f1(wave):.3f}" for wave in WAVES)
    false_p = result.counts["P", "peak"][2]
    return f"{rates} | {false_p:4d} | {' '.join(f'{value:5.1f}' for value in deviations)}"


def show(result: DelineationScore) -> None:
    summary = result.summary()
    for wave in WAVES:
        sensitivity, ppv = result.sensitivity_ppv(wave)
        points = ((point, *summary[f"{wave} {point}"]) for point in POINTS)
        marks = "  ".join(f"{point} {mean:+5.1f} +- {spread:4.1f}" for point, mean, spread in points)
        print(f"  {wave:4s} F1 {result.f1(wave):.4f} (Se {sensitivity:.4f}, PPV {ppv:.4f})  {marks}")
    marks = ("P onset", "QRS onset", "QRS offset", "T offset", "PR", "QRS", "QT")
    values = "  ".join(f"{m} {summary[f'global {m}'][0]:+.1f} +- {summary[f'global {m}'][1]:.1f}" for m in marks)
    print(f"  per beat, median over leads: {values}")


def speed(records: list[MarkedEcg], runs: int = 3) -> None:
    """Minimum of the runs per record and method, interleaved; the median over the records."""
    methods: dict[str, Callable[[MarkedEcg], Any]] = {
        "gem-ecg, all features": lambda r: extract_features(r.signal, r.sampling_rate).to_dict(full=True),
        "gem-ecg, marks only": ours,
        **RIVALS,
    }
    times: dict[str, list[float]] = {name: [] for name in methods}
    for record in records:
        for name, method in methods.items():
            best = float("inf")
            for _ in range(runs if name.startswith("gem") else 1):
                start = time.process_time()
                method(record)
                best = min(best, time.process_time() - start)
            times[name].append(1000 * best)
    base = float(np.median(times["gem-ecg, all features"]))
    print(f"\nCPU ms per record of 12 leads x 10 s x 500 Hz, median over {len(records)} records, one thread")
    for name, values in times.items():
        print(f"  {name:24s} {np.median(values):8.1f} ms   {np.median(values) / base:6.1f} x")


def label_agreement(folder: Path, step: int) -> None:
    rows, start = [], time.process_time()
    for signal, codes, axis in _ptbxl(folder, step):
        features = extract_features(signal, 500)
        rows.append((codes, axis, features))
    spent = 1000 * (time.process_time() - start) / max(len(rows), 1)
    silent = sum(not len(features.beat_times) for _, _, features in rows)
    print(f"\nPTB-XL, {len(rows)} records, {spent:.1f} CPU ms each with reading; {silent} without heartbeats")
    sinus, blocks = ("SR",), ("CLBBB", "CRBBB")
    questions: tuple[tuple[str, tuple[str, ...], tuple[str, ...], Callable[[Any], float]], ...] = (
        ("QRS duration: CLBBB or CRBBB / neither", blocks, (), lambda f: f.qrs_duration),
        ("QRS duration: CLBBB / neither", ("CLBBB",), (), lambda f: f.qrs_duration),
        ("QRS duration: CRBBB / neither", ("CRBBB",), (), lambda f: f.qrs_duration),
        ("PR: 1AVB / other sinus rhythm", ("1AVB",), sinus, lambda f: f.pr_interval),
        ("no P: AFIB / sinus rhythm", ("AFIB",), sinus, lambda f: 1 - np.isfinite(f.beat_waves["P"][:, 0]).mean()),
        ("no P: AFLT / sinus rhythm", ("AFLT",), sinus, lambda f: 1 - np.isfinite(f.beat_waves["P"][:, 0]).mean()),
        ("RR variability: AFIB / sinus rhythm", ("AFIB",), sinus, lambda f: f.rr_variability),
        ("Sokolow-Lyon: LVH / NORM", ("LVH",), ("NORM",), lambda f: f.sokolow_lyon),
        ("heart rate: STACH / SBRAD", ("STACH",), ("SBRAD",), lambda f: f.heart_rate),
        ("pacing spikes: PACE / rest", ("PACE",), (), lambda f: len(f.pacing_spikes)),
    )
    for words, positive, negative, value in questions:
        yes = [value(f) for codes, _, f in rows if codes & set(positive) and len(f.beat_times)]
        no = [
            value(f)
            for codes, _, f in rows
            if len(f.beat_times)
            and not codes & (set(positive) | set(blocks if "QRS" in words else ()))
            and (not negative or codes & set(negative))
        ]
        print(f"  AUC {auc(yes, no):.3f}  {words} ({len(yes)} / {len(no)})")
    print("  axis in degrees, median (5 % to 95 %), by label:")
    for label in ("MID", "LAD", "ALAD", "RAD", "ARAD"):
        values = [f.qrs_axis for _, axis, f in rows if axis == label and np.isfinite(f.qrs_axis)]
        if label in ("RAD", "ARAD"):
            values = [value % 360 for value in values]
        if values:
            low, middle, high = np.percentile(values, [5, 50, 95])
            print(f"    {label:5s} {middle:5.0f} ({low:.0f} to {high:.0f}), n = {len(values)}")


def _ptbxl(folder: Path, step: int) -> Iterator[tuple[np.ndarray, set[str], str | None]]:
    import pyarrow.parquet as pq

    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path, columns=["signal_uv", "scp_codes", "heart_axis"])
        for i in range(0, len(table), step):
            raw = table["signal_uv"][i].as_py()
            signal = np.frombuffer(raw, dtype=np.int16) if isinstance(raw, bytes) else np.array(raw, dtype=np.int16)
            codes = set(ast.literal_eval(table["scp_codes"][i].as_py()))
            yield signal.reshape(12, 5000) / 1000.0, codes, table["heart_axis"][i].as_py()


def auc(positive: list[float], negative: list[float]) -> float:
    """Area under the ROC curve (Mann-Whitney), NaN values left out."""
    from scipy.stats import rankdata

    yes, no = (np.array(values)[np.isfinite(values)] for values in (positive, negative))
    if not len(yes) or not len(no):
        return float("nan")
    ranks = rankdata(np.concatenate([yes, no]))
    return float((ranks[: len(yes)].sum() - len(yes) * (len(yes) + 1) / 2) / (len(yes) * len(no)))


if __name__ == "__main__":
    main()
