# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Shares of non-ECGs and of ECGs that are declined: `OMP_NUM_THREADS=1 python -m benchmarks.abstention`.

500 flat signals, 500 noises and 500 foreign pictures by default, drawn from seeds; all real records of the shared data, and pages
of some of them in every layout, as drawn and as photographed. Limits were set on even seeds and every second record; the
figures are of odd seeds and the other records, `--half even` gives those of even seeds.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import junk_pictures, junk_signals
from benchmarks.bench_features import SHARED
from processing.ecg_check import check_ecg
from processing.ecg_features import extract_features
from processing.ecg_page import render_ecg
from processing.ecg_page_layout import LAYOUTS
from processing.ecg_photo import shows_ecg_page
from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import EcgQualityError, GemError
from recipes.embedded.page_augment import augment_page

PARTS = ["signals", "pictures", "records", "pages"]


def declined(record: EcgRecord) -> bool:
    try:
        check_ecg(record)
    except EcgQualityError:
        return True
    return False


def array(signal: np.ndarray, rate: float = junk_signals.RATE) -> EcgRecord:
    return EcgRecord(np.asarray(signal, dtype=np.float32), STANDARD_LEADS, rate)


def flat(generator: np.random.Generator) -> np.ndarray:
    """Electrodes that are off: a level each, with the last bits of a converter, or drifting."""
    signal = np.repeat(generator.uniform(-1, 1, (12, 1)), junk_signals.SAMPLES, axis=1)
    kind = generator.integers(3)
    if kind == 1:
        signal += generator.integers(-2, 3, signal.shape) * 0.001
    if kind == 2:
        signal += np.linspace(0, 1, junk_signals.SAMPLES) * generator.uniform(-0.5, 0.5, (12, 1))
    return signal


def silence_between_beats(record: EcgRecord, generator: np.random.Generator) -> np.ndarray | None:
    """Real noise: what a record holds between T and P waves, one piece after the other, as large as an ECG."""
    marks = extract_features(record).beat_waves
    pieces: list[np.ndarray] = []
    for end, start in zip(marks["T"][:-1, 2], marks["P"][1:, 0], strict=True):
        first, last = (int(moment * record.sampling_rate) if np.isfinite(moment) else 0 for moment in (end, start))
        if last - first > 20:
            piece = record.signal[:, first:last]
            share = np.linspace(0, 1, piece.shape[1])
            pieces.append(piece - piece[:, :1] * (1 - share) - piece[:, -1:] * share)
    if not pieces:
        return None
    signal = np.concatenate(pieces * 80, axis=1)[:, : junk_signals.SAMPLES]
    return signal * generator.uniform(0.5, 2.0) / max(float(np.median(np.ptp(signal, axis=1))), 1e-6)


def real_records(odd: int) -> Iterator[tuple[str, EcgRecord]]:
    """Every second record of the shared data, by the name of its set."""
    import pyarrow.parquet as pq
    import wfdb

    number = 0
    for path in sorted((SHARED / "data").glob("[mp]*/*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(64):
            for row in batch.to_pylist():
                number += 1
                if number % 2 == odd:
                    signal = np.array(row["signal_uv"], dtype=np.float32).reshape(12, -1) / 1000
                    yield path.parent.name, array(signal, row.get("sampling_rate") or 500)
    for path in sorted((SHARED / "data/ludb/data").glob("*.hea"))[odd::2]:
        # The headers' gains scale every lead to 1 mV; the counts are microvolts.
        counts = wfdb.rdrecord(str(path.with_suffix("")), physical=False).d_signal
        yield "ludb", array(counts.T / 1000)
    for path in sorted((SHARED / "data/loaders").rglob("*"))[odd::2]:
        if path.suffix in (".hea", ".xml", ".dcm", ".edf", ".h5"):
            try:
                yield "loaders", load_ecg(path)
            except GemError as error:
                print(f"not read: {path.name}: {error}")


def report(name: str, hits: Counter[str], total: Counter[str]) -> None:
    kinds = ", ".join(f"{kind} {hits[kind]}/{total[kind]}" for kind in total)
    print(f"{name}: {hits.total()} of {total.total()} declined ({kinds})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument(
        "--count", type=int, default=500, help="number of signals or pictures of each kind (default: 500)"
    )
    parser.add_argument("--pages", type=int, default=60, help="records whose pages are drawn (default: 60)")
    parser.add_argument("--half", choices=["odd", "even"], default="odd")
    options = parser.parse_args()
    odd = int(options.half == "odd")
    seeds = [2 * number + odd for number in range(options.count)]
    if "signals" in options.parts:
        report_signals(seeds, odd)
    if "pictures" in options.parts:
        report_pictures(seeds)
    if "records" in options.parts:
        hits, total = Counter[str](), Counter[str]()
        for name, record in real_records(odd):
            total[name] += 1
            hits[name] += declined(record)
        report("real records", hits, total)
    if "pages" in options.parts:
        report_pages(options.pages, odd)


def report_signals(seeds: list[int], odd: int) -> None:
    hits, total = Counter[str](), Counter[str]()
    for seed in seeds:
        kind = list(junk_signals.KINDS)[seed // 2 % len(junk_signals.KINDS)]
        total.update(["flat", kind])
        hits["flat"] += declined(array(flat(np.random.default_rng([1, seed]))))
        hits[kind] += declined(array(junk_signals.junk(kind, np.random.default_rng([2, seed]))))
    for number, (_, record) in zip(range(10 * len(seeds)), real_records(odd), strict=False):
        if number % 20 == 0 and (signal := silence_between_beats(record, np.random.default_rng(number))) is not None:
            total["real noise"] += 1
            hits["real noise"] += declined(array(signal))
    report("no ECG", hits, total)


def report_pictures(seeds: list[int]) -> None:
    hits, total = Counter[str](), Counter[str]()
    for seed in seeds:
        kind = list(junk_pictures.KINDS)[seed // 2 % len(junk_pictures.KINDS)]
        total[kind] += 1
        hits[kind] += not shows_ecg_page(junk_pictures.KINDS[kind](np.random.default_rng([3, seed])))
    report("foreign pictures", hits, total)


def report_pages(count: int, odd: int) -> None:
    hits, total = Counter[str](), Counter[str]()
    records = (record for name, record in real_records(odd) if name == "ptbxl" and not declined(record))
    for number, record in zip(range(count), records, strict=False):
        for layout in LAYOUTS:
            page = render_ecg(record, layout=layout, px_per_mm=4)
            photo = Image.fromarray(augment_page(page, np.random.default_rng([4, number])))
            for kind, picture in (("drawn", page.to_pil()), ("photographed", photo)):
                total[f"{layout} {kind}"] += 1
                hits[f"{layout} {kind}"] += not shows_ecg_page(picture)
    report("pages", hits, total)
    scans = sorted(Path(SHARED / "data/loaders/scans").glob("*.jpg"))
    print(
        f"photographed pages of a hospital: {sum(not shows_ecg_page(Image.open(scan)) for scan in scans)} of {len(scans)}"
    )


if __name__ == "__main__":
    main()
