# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Compares intervals, axis and rate with those of devices and readers: `python -m benchmarks.device_values`.

Our PR, QRS and QT are global, from the first lead's start to the last lead's end; AHA/ACCF/HRS 2009, part III, prefers such intervals,
which are longer than those of single leads. Three tables:

- files that hold their device's own values: MUSE XML and DICOM (GE), Schiller XML;
- LUDB: cardiologists marked every lead; their global interval (earliest onset to latest offset of a beat) and the median of
  their leads; per record the median over the beats; mean and SD over the records of ours minus theirs;
- populations: percentiles of the intervals that SPH published (25,770 ECGs, by its own program) and of ours on PTB-XL.
"""

import argparse
import csv
import os
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.ptbxl_rows import RATE, read_rows
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_readers import load_ecg
from tests.helpers.delineation_scoring import MarkedEcg, read_ludb

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
MEASURES = ("heart_rate", "pr_interval", "qrs_duration", "qt_interval", "qrs_axis")
# How each file calls them.
MUSE = ("VentricularRate", "PRInterval", "QRSDuration", "QTInterval", "RAxis")
DICOM = ("Ventricular Heart Rate", "PR Interval", "QRS Duration", "QT Interval", "QRS Axis")
SCHILLER = ("HR", "PQ", "QRS", "QT", "AXIS_QRS")
SPH = {
    "RR_Interval": "rr_interval",
    "PR_Interval": "pr_interval",
    "QRS_Complex": "qrs_duration",
    "QT_Interval": "qt_interval",
}
SAME_BEAT_S = 0.1
LEADS_OF_A_BEAT = 8  # a beat that readers marked in fewer leads has no global interval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with data/loaders, ludb, text and ptbxl")
    parser.add_argument("--ptbxl-step", type=int, default=6, help="every n-th PTB-XL record (default: 6)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    devices(options.shared / "data/loaders/formats")
    readers(read_ludb(options.shared / "data/ludb/data"))
    populations(options.shared / "data", options.ptbxl_step)


def devices(folder: Path) -> None:
    print(f"{'device, ours':28s} {' '.join(f'{name:>15s}' for name in MEASURES)}")
    for path, stated in (
        (folder / "MUSE_example.xml", muse_values),
        (folder / "sample.dcm", dicom_values),
        (folder / "sample.xml", schiller_values),
    ):
        theirs, ours = stated(path), extract_features(load_ecg(path))
        cells = [f"{float(theirs[i]):.0f}, {getattr(ours, name):.0f}" for i, name in enumerate(MEASURES)]
        print(f"{path.name:28s} {' '.join(f'{cell:>15s}' for cell in cells)}")


def muse_values(path: Path) -> list[str]:
    measured = ET.parse(path).find("RestingECGMeasurements")
    assert measured is not None, path
    return [measured.findtext(name, "nan") for name in MUSE]


def dicom_values(path: Path) -> list[str]:
    import pydicom

    stated = {
        item.ConceptNameCodeSequence[0].CodeMeaning.strip(): item.get("NumericValue")
        for item in pydicom.dcmread(path).WaveformAnnotationSequence
        if "ConceptNameCodeSequence" in item
    }
    return [str(stated[name]) for name in DICOM]


def schiller_values(path: Path) -> list[str]:
    pairs = {item.findtext("name"): item.findtext("value", "nan") for item in ET.parse(path).iter("annotation_global")}
    return [pairs[name] for name in SCHILLER]


def readers(records: list[MarkedEcg]) -> None:
    rows = [row for record in records if (row := against_readers(record)) is not None]
    print(f"\nLUDB, {len(rows)} records, ms: ours minus the readers' (mean, SD)")
    for name in ("pr_interval", "qrs_duration", "qt_interval"):
        cells = []
        for rule in ("first to last lead", "median of the leads"):
            errors = np.array([row[name, rule] for row in rows])
            errors = errors[np.isfinite(errors)]
            cells.append(f"{rule} {errors.mean():+5.1f}, {errors.std():4.1f} ({len(errors)})")
        print(f"{name:14s} {'; '.join(cells)}")


def against_readers(record: MarkedEcg) -> dict[tuple[str, str], float] | None:
    """(interval, rule) -> ours minus the readers' in ms, each the median over the beats that readers marked."""
    features = extract_features(record.signal, record.sampling_rate)
    beats = list(marked_beats(record, features))
    if not beats:
        return None
    result = {}
    for rule, first, last in (("first to last lead", np.min, np.max), ("median of the leads", np.median, np.median)):
        theirs: dict[str, list[float]] = {"pr_interval": [], "qrs_duration": [], "qt_interval": []}
        for p_onset, onset, offset, t_offset in beats:
            theirs["qrs_duration"].append(last(offset) - first(onset))
            if len(p_onset) >= LEADS_OF_A_BEAT:
                theirs["pr_interval"].append(first(onset) - first(p_onset))
            if len(t_offset) >= LEADS_OF_A_BEAT:
                theirs["qt_interval"].append(last(t_offset) - first(onset))
        for name, values in theirs.items():
            result[name, rule] = getattr(features, name) - 1000 * float(np.median(values)) if values else np.nan
    return result


def marked_beats(record: MarkedEcg, features: EcgFeatures) -> Iterator[tuple[np.ndarray, ...]]:
    """P onset, QRS onset, QRS offset and T offset in s over the leads that have them, of every beat that readers marked."""
    marks = {wave: [lead[wave] / record.sampling_rate for lead in record.marks] for wave in ("P", "QRS", "T")}
    for time in features.beat_times:
        qrs = nearest(marks["QRS"], time - SAME_BEAT_S, time + SAME_BEAT_S)
        if len(qrs) < LEADS_OF_A_BEAT:
            continue
        onset, offset = np.median(qrs[:, 0]), np.median(qrs[:, 2])
        p, t = nearest(marks["P"], onset - 0.35, onset), nearest(marks["T"], offset, offset + 0.5)
        yield p[:, 0], qrs[:, 0], qrs[:, 2], t[:, 2]


def nearest(leads: list[np.ndarray], start: float, end: float) -> np.ndarray:
    """The last wave of each lead whose peak lies between `start` and `end` and whose limits are marked, `(leads, 3)`."""
    found = [rows[(rows[:, 1] > start) & (rows[:, 1] < end) & np.isfinite(rows).all(axis=1)] for rows in leads]
    return np.array([rows[-1] for rows in found if len(rows)]).reshape(-1, 3)


def populations(folder: Path, step: int) -> None:
    with (folder / "text/sph_metadata.csv").open(newline="") as file:
        sph = list(csv.DictReader(file))
    ours = [extract_features(row.signal, RATE) for n, row in enumerate(read_rows(folder / "ptbxl")) if n % step == 0]
    print(f"\nms, 5, 50 and 95 %: SPH's program ({len(sph):,} records), ours on PTB-XL ({len(ours)})")
    for column, name in SPH.items():
        theirs = np.array([float(row[column] or "nan") for row in sph])
        pair = (theirs[theirs > 0], np.array([getattr(features, name) for features in ours]))
        cells = ["  ".join(f"{value:4.0f}" for value in np.nanpercentile(values, [5, 50, 95])) for values in pair]
        print(f"{name:14s} {' | '.join(cells)}")


if __name__ == "__main__":
    main()
