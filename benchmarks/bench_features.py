# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Accuracy and speed of the measurements: `OMP_NUM_THREADS=1 python -m benchmarks.bench_features`.

Seven parts, each can be left out:
- ludb: marks against LUDB's cardiologists, per lead (between a lead's first and last mark, 150 ms tolerance) and per
  beat over all leads; then by rhythm group and by lead beside neurokit2 (dwt, prominence), wfdb (xqrs, beats only)
  and openecg (trained on part of LUDB), each where it is installed.
- simulated: the same scores against exact truth, scenario by scenario, beside openecg.
- speed: CPU milliseconds per 12-lead 10 s record, everything included, interleaved with the other libraries on the same
  records; compare the ratios.
- ptbxl: agreement with PTB-XL's labels (nothing is tuned on it): AUC of QRS duration for bundle branch blocks, PR for
  first degree AV block, absent P for fibrillation and flutter, Sokolow-Lyon for LVH; axis against `heart_axis`.
- folder: a folder of simulated records to a JSON Lines file with one and two processes.
- few: one, two and six leads at 250 Hz: LUDB's, and 15 minutes of simulated ones.
- everything: every ECG in the shared folder, in every format, is read and measured; lists the errors.
"""

import argparse
import ast
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.delineation_rivals import FAILURES, Marks, Method, installed_rivals
from benchmarks.simulated_scenarios import scenarios, simulated_record, simulated_records
from processing.ecg_delineation import delineate
from processing.ecg_features import extract_features
from processing.ecg_filters import WORKING_RATE
from processing.simulator.simulator import simulate_ecg
from recipes.dataset.feature_file import extract_features_batch
from tests.helpers.delineation_scoring import LEADS, POINTS, WAVES, DelineationScore, MarkedEcg, marks_of, read_ludb

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
AXIS_LABELS = ("MID", "LAD", "ALAD", "RAD", "ARAD")
RHYTHM_CODES = {"SR", "AFIB", "AFLT"}
PARTS = ["ludb", "simulated", "speed", "ptbxl", "folder", "few", "everything"]
FEW_LEADS = (("I",), ("II",), ("V1",), ("V5",), ("II", "V1"), ("II", "V5"), ("V2", "V5"), LEADS[:6])
FEW_LEADS_RATE = 250
GROUPS: dict[str, Callable[[MarkedEcg], bool]] = {
    "sinus": lambda r: "inus" in r.rhythm and not _is(r, "pacing"),
    "fibrillation": lambda r: "fibrillation" in r.rhythm,
    "flutter": lambda r: "flutter" in r.rhythm,
    "paced": lambda r: _is(r, "pacing"),
    "AV block": lambda r: _is(r, "AV-block", "AV block"),
    "bundle branch block": lambda r: _is(r, "branch block"),
    "ectopic beats": lambda r: _is(r, "extrasystole"),
}


def _is(record: MarkedEcg, *words: str) -> bool:
    return any(word in comment for comment in record.comments for word in words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with data/ludb and data/ptbxl")
    parser.add_argument("--rival-records", type=int, default=25, help="LUDB records for the comparison (default: 25)")
    parser.add_argument("--ptbxl-step", type=int, default=1, help="every n-th PTB-XL record (default: 1, all)")
    parser.add_argument("--seeds", type=int, default=6, help="simulated records per scenario (default: 6)")
    parser.add_argument("--scenarios", nargs="+", choices=scenarios(), help="simulated scenarios (default: all)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if {"ludb", "speed", "few"} & set(options.parts):
        records = read_ludb(options.shared / "data/ludb/data")
        some = records[:: max(1, len(records) // max(options.rival_records, 1))][: options.rival_records]
        rivals = installed_rivals()
        if "ludb" in options.parts:
            accuracy(records, some, rivals)
        if "speed" in options.parts:
            speed(some[:10], rivals)
        if "few" in options.parts:
            few_leads(records)
    if "simulated" in options.parts:
        chosen = {name: what for name, what in scenarios().items() if name in (options.scenarios or scenarios())}
        simulated(chosen, range(5000, 5000 + options.seeds))
    if "folder" in options.parts:
        folder_scaling()
    if "ptbxl" in options.parts:
        label_agreement(options.shared / "data/ptbxl", options.ptbxl_step)
    if "everything" in options.parts:
        everything(options.shared / "data")


def ours(record: MarkedEcg) -> Marks:
    marks = marks_of(delineate(record.signal, record.sampling_rate), len(record.signal))
    grid = record.sampling_rate / WORKING_RATE
    return [{wave: grid * rows for wave, rows in lead.items()} for lead in marks]


def accuracy(records: list[MarkedEcg], some: list[MarkedEcg], rivals: dict[str, Method]) -> None:
    found = [ours(record) for record in records]
    print(f"\nLUDB, {len(records)} records x 12 leads: mean +- SD in ms")
    show(score(zip(records, found, strict=True)))
    print(f"\nside by side, the same {len(some)} records of LUDB")
    print(f"{'':48s} F1 P QRS T       | false P | SD P on, QRS on, QRS off, T off")
    marks = {"gem-ecg": dict(zip((r.name for r in records), found, strict=True))}
    marks |= {name: {record.name: method(record) for record in some} for name, method in rivals.items()}
    groups: dict[str, tuple[list[MarkedEcg], range | None]] = {"all": (some, None)}
    groups |= {name: ([r for r in some if belongs(r)], None) for name, belongs in GROUPS.items()}
    groups |= {f"lead {name}": (some, range(lead, lead + 1)) for lead, name in enumerate(LEADS)}
    for group, (chosen, leads) in groups.items():
        for number, (name, of_record) in enumerate(marks.items() if chosen else ()):
            title = f"{group} ({len(chosen)})" if number == 0 else ""
            print(f"{title:26s}{name:22s} {brief(score(((r, of_record[r.name]) for r in chosen), leads))}")
    print(f"leads on which a library raised: {dict(FAILURES) or 'none'}")


def simulated(chosen: dict[str, dict], seeds: range) -> None:
    """Against exact truth. A wave below 0.03 mV in a lead counts as absent there, so a few false ones are not."""
    methods: dict[str, Method] = {"gem-ecg": ours}
    methods |= {name: method for name, method in installed_rivals().items() if name == "openecg"}
    print(
        f"\nsimulated, {len(seeds)} records each: Se/PPV of P, QRS, T | mean+-SD in ms of P on, QRS on, QRS off, T on,"
        " T off | global QT"
    )
    for scenario, arguments in chosen.items():
        records = list(simulated_records(arguments, seeds))
        for name, method in methods.items():
            result = score((record, method(record)) for record in records)
            print(f"{scenario:26s}{name:10s} {detailed(result)}")


def few_leads(records: list[MarkedEcg], minutes: float = 15) -> None:
    """What is left of the accuracy with the leads of a monitor or a Holter recorder."""
    print(f"\nfew leads at {FEW_LEADS_RATE} Hz: F1 P QRS T | false P | SD P on, QRS on, QRS off, T off")
    for names in FEW_LEADS:
        some = [_with_leads(record, [LEADS.index(name) for name in names]) for record in records]
        print(f"LUDB, {' '.join(names):22s} {brief(score((record, ours(record)) for record in some))}")
    long = simulated_record({"duration": 60 * minutes, "heart_rate": 70}, seed=1)
    long = _with_leads(long, [LEADS.index("II"), LEADS.index("V5")])
    start = time.process_time()
    marks = ours(long)
    spent = time.process_time() - start
    print(f"simulated, {minutes:g} min, II V5   {brief(score([(long, marks)]))} | {spent:.2f} CPU s")


def _with_leads(record: MarkedEcg, rows: list[int]) -> MarkedEcg:
    from scipy.signal import resample_poly

    factor = FEW_LEADS_RATE / record.sampling_rate
    signal = resample_poly(record.signal[rows], FEW_LEADS_RATE, int(record.sampling_rate), axis=1)
    marks = [{name: values * factor for name, values in record.marks[row].items()} for row in rows]
    return MarkedEcg(record.name, signal, FEW_LEADS_RATE, marks, record.rhythm, record.comments)


def everything(folder: Path) -> None:
    """Every file below `folder` that `load_ecg` reads, and every row of a Parquet table with signals."""
    with tempfile.TemporaryDirectory() as name:
        report = extract_features_batch(folder, Path(name) / "features.jsonl", workers=0)
    print(f"\nevery ECG file in the shared folder: {report}")
    for record_id, reason in (report.failed | report.without_beats).items():
        print(f"  {record_id}: {reason}")
    raised: list[str] = []
    count = 0
    for count, (signal, _, _) in enumerate(_ptbxl(folder / "ptbxl", 1), start=1):
        try:
            extract_features(signal, 500).to_dict(full=True)
        except Exception as error:
            raised.append(f"row {count}: {error!r}")
    print(f"every row of the Parquet tables: {count} measured, {len(raised)} raised", *raised, sep="\n  ")


def score(pairs: Any, leads: range | None = None) -> DelineationScore:
    result = DelineationScore()
    for record, marks in pairs:
        result.add(record, marks, leads)
    return result


def brief(result: DelineationScore) -> str:
    """F1 (`-` where there is no such wave, or the method marks none), false P waves, SD in ms."""
    summary = result.summary()
    deviations = (summary[name][1] for name in ("P onset", "QRS onset", "QRS offset", "T offset"))
    rates = " ".join(f"{result.f1(wave):.3f}" if result.counts[wave, "peak"][0] else "  -  " for wave in WAVES)
    false_p = result.counts["P", "peak"][2]
    return (
        f"{rates} | {false_p:4d} | {' '.join(f'{value:5.1f}' if value == value else '  -  ' for value in deviations)}"
    )


def detailed(result: DelineationScore) -> str:
    """Se/PPV, mean +- SD in ms of the marks, QT of the beats."""
    summary = result.summary() | {"global QT": result.summary().get("global QT", (float("nan"), float("nan")))}
    rates = " ".join("{:.3f}/{:.3f}".format(*result.sensitivity_ppv(wave)) for wave in WAVES)
    names = ("P onset", "QRS onset", "QRS offset", "T onset", "T offset", "global QT")
    marks = [f"{summary[name][0]:+4.0f}+-{summary[name][1]:<4.1f}" for name in names]
    false_p = result.counts["P", "peak"][2]
    return f"{rates} | false P {false_p:4d} | {' '.join(marks[:-1])} | {marks[-1]}"


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


def speed(records: list[MarkedEcg], rivals: dict[str, Method], runs: int = 3) -> None:
    """Minimum of the runs per record and method, interleaved; the median over the records."""
    methods: dict[str, Callable[[MarkedEcg], Any]] = {
        "gem-ecg, all features": lambda r: extract_features(r.signal, r.sampling_rate).to_dict(full=True),
        "gem-ecg, marks only": ours,
        "simulate_ecg": lambda r: simulate_ecg(seed=int(r.name)),
        **rivals,
    }
    times: dict[str, list[float]] = {name: [] for name in methods}
    for record in records:
        for name, method in methods.items():
            best = float("inf")
            for _ in range(1 if name in rivals else runs):
                start = time.process_time()
                method(record)
                best = min(best, time.process_time() - start)
            times[name].append(1000 * best)
    base = float(np.median(times["gem-ecg, all features"]))
    print(f"\nCPU ms per record of 12 leads x 10 s x 500 Hz, median over {len(records)} records, one thread")
    for name, values in times.items():
        failed = f"   raised on {FAILURES[name]} leads" if name in FAILURES else ""
        print(f"  {name:24s} {np.median(values):8.1f} ms   {np.median(values) / base:6.1f} x{failed}")


def folder_scaling(records: int = 400) -> None:
    """What a busy machine allows: wall time with its load, and CPU time, which the load inflates less."""
    print(f"\na folder of {records} records of 10 s (NPZ, 12 leads, 500 Hz)")
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "ecgs"
        source.mkdir()
        for seed in range(records):
            record = simulate_ecg(seed=seed % 20).record
            np.savez(source / f"{seed:04d}.npz", signal=record.signal, sampling_rate=500, leads=record.leads)
        best = {1: (0.0, ""), 2: (0.0, "")}
        for _ in range(3):
            for workers in best:
                before, start = _cpu_seconds(), time.perf_counter()
                report = extract_features_batch(source, Path(name) / "f.jsonl", workers=workers, resume=False)
                wall, cpu = time.perf_counter() - start, _cpu_seconds() - before
                words = f"{1000 * cpu / report.done:.1f} CPU ms each, {cpu / wall:.2f} cores got"
                best[workers] = max(best[workers], (report.done / wall, words))
        for workers, (rate, words) in best.items():
            print(f"  {workers} process(es): {rate:6.1f} records/s, {words}")
        print(f"  best of 3, in turn; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _cpu_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


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
    for code in ("SR", "AFIB", "AFLT"):
        # Records that are labelled as both are neither's.
        shares = [
            np.isfinite(f.beat_waves["P"][:, 0]).mean() for codes, _, f in rows if RHYTHM_CODES & codes == {code}
        ]
        print(f"  P waves before most beats: {sum(share > 0.5 for share in shares)} of {len(shares)} {code}")
    limb, chest = (
        sum(bool(value) for value in values)
        for values in zip(*((f.limb_lead_reversal, f.chest_lead_swap) for *_, f in rows), strict=True)
    )
    print(f"  electrodes suspected exchanged: limb {limb}, chest {chest} (true exchanges are unknown, surely few)")
    axes_of = {label: [f.qrs_axis for _, axis, f in rows if axis == label] for label in AXIS_LABELS}
    left, right = axes_of["LAD"] + axes_of["ALAD"], axes_of["RAD"] + axes_of["ARAD"]
    for words, deviating, sign in (("left", left, -1), ("right", right, 1)):
        # Degrees from 45, the middle of the normal range.
        yes, no = ([sign * ((v - 45 + 180) % 360 - 180) for v in values] for values in (deviating, axes_of["MID"]))
        print(f"  AUC {auc(yes, no):.3f}  axis: {words} deviation / normal ({len(yes)} / {len(no)})")
    print("  axis in degrees, median (5 % to 95 %), by label:")
    for label in AXIS_LABELS:
        values = [value for value in axes_of[label] if np.isfinite(value)]
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
