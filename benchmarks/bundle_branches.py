# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Counts ECGs with the shape and width of a bundle branch block: `python -m benchmarks.bundle_branches`.

Measures PTB-XL's folds 1 to 9. For each statement of the cardiologists (a record may have several) it prints the number of records
that the rules of `ecg_rules` call a block, and percentiles of the QRS in ms.
"""

import argparse
import os
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from benchmarks.ptbxl_rows import RATE, PtbXlRow, read_rows
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.ecg_rules import has_left_block_shape, has_right_block_shape, is_incomplete_block, is_wide_qrs

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
STATEMENTS = ("CLBBB", "CRBBB", "ILBBB", "IRBBB", "IVCD", "PACE", "WPW")
# Block -> the rules that call it so.
BLOCKS = {
    "LBBB": (is_wide_qrs, has_left_block_shape),
    "RBBB": (is_wide_qrs, has_right_block_shape),
    "incomplete LBBB": (is_incomplete_block, has_left_block_shape),
    "incomplete RBBB": (is_incomplete_block, has_right_block_shape),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with data/ptbxl")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    called = Counter[tuple[str, str]]()
    widths: dict[str, list[float]] = defaultdict(list)
    for row in read_rows(options.shared / "data/ptbxl"):
        features = measured(row)
        for group in groups(row):
            widths[group].append(features.qrs_duration)
            for block, (width, shape) in BLOCKS.items():
                called[group, block] += width(features) and shape(features)
    print(f"{'called':16s}{'records':>8s}{''.join(f'{block:>17s}' for block in BLOCKS)}   QRS 5, 50, 95 %")
    for group in (*STATEMENTS, "NORM", "none of these"):
        cells = "".join(f"{called[group, block]:>17d}" for block in BLOCKS)
        middle = "  ".join(f"{value:4.0f}" for value in np.nanpercentile(widths[group], [5, 50, 95]))
        print(f"{group:16s}{len(widths[group]):>8d}{cells}   {middle}")


def measured(row: PtbXlRow) -> EcgFeatures:
    patient = {"sex": row.sex, "age": row.age}
    return extract_features(EcgRecord(row.signal, STANDARD_LEADS, RATE, metadata=patient))


def groups(row: PtbXlRow) -> list[str]:
    """The statements about conduction, without any NORM, and without that `none of these`."""
    found = [code for code in STATEMENTS if code in row.codes]
    return found or ["NORM" if "NORM" in row.codes else "none of these"]


if __name__ == "__main__":
    main()
