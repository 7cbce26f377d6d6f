# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What `extract_features` still measures where a page shows each lead for a part of the time: `python -m benchmarks.page_columns`.

Records of PTB-XL are cut as pages of 3x4 leads, with and without a rhythm strip of lead II, and of 6x2 leads show them. Each is
measured, and compared with the whole record. Rows with the largest differences are named with `--worst`.
"""

import argparse
import math
import os
import time
from itertools import islice
from pathlib import Path

import numpy as np

from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from recipes.sources.ptbxl import read_ptbxl

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
# Layout -> leads of a column, its seconds, and the lead that is shown all along.
LAYOUTS: dict[str, tuple[int, float, str | None]] = {
    "3x4": (3, 2.5, None),
    "3x4+1": (3, 2.5, "II"),
    "6x2": (6, 5.0, None),
}
MEASURES = {
    "heart_rate": "rate bpm",
    "pr_interval": "PR ms",
    "qrs_duration": "QRS ms",
    "qt_interval": "QT ms",
    "qrs_axis": "axis",
}
LEVELS = {"r_amplitude": "R mV", "st_j": "ST mV", "t_amplitude": "T mV"}


def shown(record: EcgRecord, layout: str) -> EcgRecord:
    """What a page of `layout` shows of a record of 10 s."""
    leads, seconds, strip = LAYOUTS[layout]
    rate = record.sampling_rate
    seen = np.zeros(record.signal.shape, dtype=bool)
    for row, lead in enumerate(record.leads):
        column = STANDARD_LEADS.index(lead) // leads
        seen[row, round(column * seconds * rate) : round((column + 1) * seconds * rate)] = True
        seen[row] |= lead == strip
    return record.changed(f"shown as {layout}", signal=np.where(seen, record.signal, np.nan))


def difference(name: str, whole: EcgFeatures, part: EcgFeatures) -> float:
    """`part` less `whole`, an angle between -180 and 180 degrees."""
    change = getattr(part, name) - getattr(whole, name)
    return (change + 180) % 360 - 180 if name == "qrs_axis" else change


def arguments(description: str | None, fold: int, records: int) -> argparse.ArgumentParser:
    """A parser that asks for records of PTB-XL; the numbers are its defaults."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ptbxl", type=Path, default=SHARED / "data/ptbxl", help="folder of PTB-XL")
    parser.add_argument("--fold", type=int, default=fold, help=f"of PTB-XL (default: {fold})")
    parser.add_argument("--records", type=int, default=records, help=f"how many (default: {records})")
    return parser


def chosen(options: argparse.Namespace) -> list[EcgRecord]:
    """The records that `arguments` were given for."""
    return [item.record for item in islice(read_ptbxl(options.ptbxl, (options.fold,)), options.records)]


def main() -> None:
    parser = arguments(__doc__, fold=6, records=200)
    parser.add_argument("--worst", type=int, default=0, help="name so many records with the largest differences")
    options = parser.parse_args()
    records = chosen(options)
    whole = [extract_features(record) for record in records]
    columns = [*MEASURES.values(), *LEVELS.values()]
    print(f"| layout | n | no beats | {' | '.join(columns)} | P waves differ | ms per record |")
    print("|" + "---|" * (len(columns) + 5))
    for layout in LAYOUTS:
        started = time.process_time()
        parts = [extract_features(shown(record, layout)) for record in records]
        spent = (time.process_time() - started) / len(records)
        pairs = [(one, other) for one, other in zip(whole, parts, strict=True) if len(other.beat_times)]
        cells = [percentiles([difference(name, *pair) for pair in pairs]) for name in MEASURES]
        cells += [
            percentiles(np.concatenate([other.lead_values[name] - one.lead_values[name] for one, other in pairs]))
            for name in LEVELS
        ]
        differ = sum(one.p_present != other.p_present for one, other in pairs)
        lost = len(parts) - len(pairs)
        print(f"| {layout} | {len(records)} | {lost} | {' | '.join(cells)} | {differ} | {1000 * spent:.0f} |")
        for name in MEASURES if options.worst else ():
            changes = [(abs(difference(name, *pair)), pair) for pair in pairs]
            known = sorted((one for one in changes if math.isfinite(one[0])), key=lambda one: -one[0])
            for _, (one, other) in known[: options.worst]:
                print(f"    {name} {one.record_id}: {getattr(one, name):.0f} -> {getattr(other, name):.0f}")


def percentiles(values: list[float] | np.ndarray) -> str:
    """Median and 90th percentile of the sizes of the finite `values`."""
    known = np.abs(np.asarray(values, dtype=float))
    half, most = np.nanpercentile(known, (50, 90))
    return f"{half:.2g}, {most:.2g}"


if __name__ == "__main__":
    main()
