# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""CPU time of `load_ecg` and `inspect_record`, compared in one run with the libraries that only parse the formats.

    OMP_NUM_THREADS=1 python benchmarks/bench_readers.py

Reads the PTB-XL records and device samples of the shared folder (environment variable GEM_SHARED, else ../shared).
"""

import argparse
import base64
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from processing.ecg_quality import inspect_record
from processing.ecg_readers import load_ecg

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"


def cpu_ms(read: Callable[[Path], object], paths: Sequence[Path], repeats: int) -> float:
    """Least CPU milliseconds per file over `repeats` rounds, after one round to warm up."""
    best = float("inf")
    for _ in range(repeats + 1):
        start = time.process_time()
        for path in paths:
            read(path)
        best = min(best, (time.process_time() - start) / len(paths) * 1000)
    return best


def parse_xml(path: Path) -> None:
    """ElementTree, and the samples as numbers: what any reader of these documents has to do."""
    for element in ElementTree.parse(path).iter():
        tag = element.tag.rpartition("}")[2]
        if tag == "WaveFormData":
            np.frombuffer(base64.b64decode(element.text or ""), "<i2")
        elif tag in ("digits", "data") and element.text:
            np.array([int(sample) for sample in element.text.replace(",", " ").split()])


def parse_dicom(path: Path) -> None:
    import pydicom
    from pydicom.waveforms.numpy_handler import multiplex_array

    dataset = pydicom.dcmread(path)
    for group in range(len(dataset.WaveformSequence)):
        multiplex_array(dataset, group, as_raw=False)


def parse_kit(path: Path) -> None:
    """A reader of many vendors' formats, like ours."""
    import ecgdatakit

    ecgdatakit.FileParser().parse(str(path))


def parse_edf(path: Path) -> None:
    import edfio

    for signal in edfio.read_edf(path).signals:
        signal.data  # noqa: B018 - computed when it is asked for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10, help="rounds; the least time counts (default 10)")
    repeats = parser.parse_args().repeats
    warnings.simplefilter("ignore")
    import wfdb

    records = sorted(SHARED.glob("ptbxl_wfdb/records500/*/*.hea"))
    if not records:
        parser.error(f"no PTB-XL records under {SHARED}; set GEM_SHARED to the folder that holds data/ptbxl_wfdb")
    formats = SHARED / "loaders" / "formats"
    rows: list[tuple[str, Sequence[Path], str, Callable[[Path], object]]] = [
        ("PTB-XL WFDB, 12 x 5000", records, "wfdb.rdsamp", lambda path: wfdb.rdsamp(str(path.with_suffix("")))),
        ("GE MUSE XML, 8 x 5000", [formats / "MUSE_example.xml"], "ElementTree", parse_xml),
        ("GE MUSE XML, 8 x 5000", [formats / "MUSE_example.xml"], "ecgdatakit", parse_kit),
        ("Schiller XML, 12 x 5000", [formats / "sample.xml"], "ElementTree", parse_xml),
        ("DICOM, 12 x 5000", [formats / "sample.dcm"], "pydicom", parse_dicom),
        ("DICOM, 12 x 5000", [formats / "sample.dcm"], "ecgdatakit", parse_kit),
        ("EDF, 1 x 12000", [formats / "sample.edf"], "edfio", parse_edf),
    ]
    print(f"{'file':24} {'load_ecg ms':>12} {'other ms':>10}  {'other':12} {'ratio':>6}")
    for name, paths, other, read in rows:
        ours, theirs = cpu_ms(load_ecg, paths, repeats), cpu_ms(read, paths, repeats)
        print(f"{name:24} {ours:12.2f} {theirs:10.2f}  {other:12} {ours / theirs:6.2f}")
    loaded = {path: load_ecg(path) for path in records}
    print(f"{'inspect_record':24} {cpu_ms(lambda path: inspect_record(loaded[path]), records, repeats):12.2f}")


if __name__ == "__main__":
    main()
