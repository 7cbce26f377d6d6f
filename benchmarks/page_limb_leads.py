# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Whether the laws of the limb leads hold on digitised pages, and a lead of a false size breaks them: `python -m benchmarks.page_limb_leads`.

Records of PTB-XL are drawn in three layouts and digitised. A right page should not be called suspect; one on which a lead's samples
are scaled by 0.8 or 1.25 should.
"""

from dataclasses import replace

from processing.ecg_page import render_ecg
from processing.ecg_record import EcgRecord
from processing.errors_gem import GemError
from processing.photo import digitize_ecg

from .page_columns import arguments, chosen

LAYOUTS = ("3x4", "3x4+1", "6x2")
FALSE_SIZES = (("II", 0.8), ("I", 1.25), ("III", 0.8), ("aVF", 1.25))


def is_suspect(record: EcgRecord) -> bool:
    """Whether the leads of a record are in doubt."""
    return bool(record.plausibility().doubts_about("leads"))


def scaled(record: EcgRecord, lead: str, factor: float) -> EcgRecord:
    """The record with one lead `factor` times as large."""
    rows = record.signal.copy()
    rows[record.leads.index(lead)] *= factor
    return replace(record, signal=rows)


def main() -> None:
    parser = arguments(__doc__, fold=5, records=20)
    parser.add_argument("--dpi", type=float, default=200, help="of the pages (default: 200)")
    options = parser.parse_args()
    columns = [f"{lead} x {factor:g}" for lead, factor in FALSE_SIZES]
    print(f"| layout | read | right ones suspect | {' | '.join(columns)} |")
    print("|" + "---|" * (3 + len(columns)))
    records = chosen(options)
    for layout in LAYOUTS:
        found = []
        for record in records:
            try:
                found.append(digitize_ecg(render_ecg(record, layout=layout, dpi=options.dpi).to_pil()))
            except GemError as error:
                print(f"  {record.name} {layout}: {error}")
        right = [record.record_id for record in found if is_suspect(record)]
        named = [sum(is_suspect(scaled(record, *size)) for record in found) for size in FALSE_SIZES]
        print(f"| {layout} | {len(found)} | {len(right)} | {' | '.join(map(str, named))} |", flush=True)


if __name__ == "__main__":
    main()
