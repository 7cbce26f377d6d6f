# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A table of files from public bug reports, with the right value of each and the result of `load_ecg`.

    python -m benchmarks.reader_cases

Reads `cases/files` of the shared folder (environment variable GEM_SHARED, else ../shared). Ends with 1 if a value is wrong.
"""

import argparse
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from processing.ecg_features import extract_features
from processing.ecg_photo import load_page_picture, shows_ecg_page
from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import GemError

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "cases" / "files"
# One count of the files, in mV.
COUNT_MV = 0.001


def in_words(record: EcgRecord) -> str:
    """Recorded leads, samples and peak to peak of lead II, or of the first lead."""
    own = record.recorded_leads_only()
    lead = "II" if "II" in own.leads else own.leads[0]
    names = ", ".join(own.leads) if len(own.leads) < 6 else f"{len(own.leads)} leads"
    text = f"{names}; {own.num_samples} samples at {own.sampling_rate:g} Hz; {lead} {span(own, lead):.3f} mV"
    missing = float(np.isnan(own.signal).mean())
    return text + (f"; {missing:.0%} not recorded" if missing else "")


def span(record: EcgRecord, lead: str) -> float:
    row = record.lead(lead)
    return float(np.nanmax(row) - np.nanmin(row))


@dataclass(frozen=True)
class Case:
    """A file, its right value in words, and a test of what came out; `refused` is what the message has to say."""

    file: str
    right: str
    holds: Callable[[EcgRecord], bool] = lambda record: False
    refused: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def outcome(self) -> tuple[str, bool]:
        """What came out, and whether it is right."""
        try:
            record = load_ecg(SHARED / self.file, **self.options)
        except GemError as error:
            said = str(error).partition(": ")[2]
            return f"refused: {said}", bool(self.refused) and re.search(self.refused, said) is not None
        return in_words(record), self.holds(record)


def reads(
    leads: tuple[str, ...], samples: int, rate: float, lead: str, millivolts: float
) -> Callable[[EcgRecord], bool]:
    """Whether exactly these leads were recorded, with so many samples and that height of one lead."""

    def holds(record: EcgRecord) -> bool:
        own = record.recorded_leads_only()
        return (
            own.leads == leads
            and own.num_samples == samples
            and own.sampling_rate == rate
            and abs(span(own, lead) - millivolts) < COUNT_MV
        )

    return holds


EIGHT = ("I", "II", *STANDARD_LEADS[6:])
TWELVE = reads(STANDARD_LEADS, 2000, 500, "II", 1.367)
THREE = reads(("I", "II", "III"), 2000, 500, "II", 1.367)
TWO = reads(("I", "II"), 2000, 500, "II", 1.367)
QUARTERS = reads(STANDARD_LEADS, 2000, 500, "II", 1.34)


def in_columns(record: EcgRecord) -> bool:
    """Three leads a second, one after another."""
    present = ~np.isnan(record.signal)
    wanted = np.repeat(np.eye(4, dtype=bool), 3, axis=0).repeat(500, axis=1)
    return QUARTERS(record) and bool((present == wanted).all())


def starts_at(lead: str, millivolts: float) -> Callable[[EcgRecord], bool]:
    return lambda record: bool(np.isclose(record.lead(lead)[0], millivolts, atol=1e-6))


CASES = (
    Case("01_wfdb_header_micro_sign/r.hea", "II 1.367 mV, unit uV", TWELVE),
    Case("02_wfdb_number_of_samples_0/r.hea", "12 leads, 2000 samples, II 1.367 mV", TWELVE),
    Case(
        "03_lead_names_ECG1_ECG2/r.hea", "names kept, no lead derived", lambda record: record.leads == ("ECG1", "ECG2")
    ),
    Case("05_csv_unit_on_one_column_only/t.csv", "refused, or uV for all", refused="II has no unit.*unit='uV'"),
    Case(
        "07_csv_bedside_lead_ECG_V/t.csv",
        "lead V of 1.63 mV",
        lambda record: record.leads[1] in ("V", "ECG V") and abs(span(record, record.leads[1]) - 1.63) < COUNT_MV,
    ),
    Case("08_microvolt_csv_without_unit/t.csv", "refused with the cure", refused="integers without a unit.*'uV'"),
    Case(
        "09_sierra_calibration_second/s.xml",
        "10 s, calibration cut and noted",
        lambda record: record.duration == 10 and any("calibration" in note for note in record.history),
    ),
    Case("10_aecg_one_sequence_set_per_column/a.xml", "12 leads of 4 s, NaN outside of a lead's second", in_columns),
    Case("12_aecg_origin_mV_scale_uV/a.xml", "II begins with 0.675 mV", starts_at("II", 0.675)),
    Case("13_dicom_leads_in_four_groups/e.dcm", "12 leads, 2000 samples", TWELVE),
    Case(
        "15_dicom_big_endian/e.dcm",
        "II 1.367 mV, begins with 0.176",
        lambda r: TWELVE(r) and starts_at("II", 0.176)(r),
    ),
    Case("16_dicom_12_bits_stored/e.dcm", "sign from bit 11: II 1.367 mV", TWELVE),
    Case("17_scp_lead_start_0/start0.scp", "8 leads, 2000 samples, II 1.367 mV", reads(EIGHT, 2000, 500, "II", 1.367)),
    Case("17_scp_lead_start_0/start1.scp", "8 leads, 2000 samples, II 1.367 mV", reads(EIGHT, 2000, 500, "II", 1.367)),
    Case("18_edf_micro_sign/e.edf", "II 1.367 mV", THREE),
    Case("20_apple_watch_csv/en.csv", "I, 512 Hz, 0.663 mV", reads(("I",), 2000, 512, "I", 0.663)),
    Case("20_apple_watch_csv/de.csv", "I, 512 Hz, 0.663 mV", reads(("I",), 2000, 512, "I", 0.663)),
    Case(
        "21_physiobank_atm_csv/samples.csv",
        "I, II, V1 at 500 Hz, II 1.367 mV",
        reads(("I", "II", "V1"), 2000, 500, "II", 1.367),
    ),
    Case(
        "22_csv_quoted_heads_sample_counter/t.csv",
        "counter left out, counts refused",
        refused="integers without a unit",
        options={"sampling_rate": 360},
    ),
    Case(
        "22_csv_quoted_heads_sample_counter/t.csv",
        "leads MLII and V5, with `gain=200`",
        lambda record: record.leads == ("MLII", "V5"),
        options={"sampling_rate": 360, "gain": 200},
    ),
    Case("24_decimal_comma_variants/tab.csv", "I, II, II 1.367 mV", TWO),
    Case("24_decimal_comma_variants/first_row_integers.csv", "I, II, II 1.367 mV", TWO),
    Case("24_decimal_comma_variants/quoted.csv", "I, II, II 1.367 mV", TWO),
    Case(
        "25_csv_one_row_per_lead_with_names/t.csv",
        "12 leads, 1000 samples",
        lambda record: record.leads == STANDARD_LEADS and record.num_samples == 1000,
        options={"sampling_rate": 500},
    ),
    Case(
        "28_wfdb_iso_date_keep_phi/r.hea",
        "II 1.367 mV",
        reads(("ECG",), 2000, 500, "ECG", 1.367),
        options={"keep_phi": True},
    ),
    Case("29_wfdb_big_endian_frames/r.hea", "II at 62.5 Hz, 1.257 mV", reads(("II",), 1280, 62.5, "II", 1.257)),
    Case(
        "32_edf2ascii_numbered_columns/data.txt",
        "refused: numbers are no leads",
        refused="numbers and no leads.*leads=",
    ),
    Case(
        "33_wfdb_pleth_and_resp_in_mV/r.hea",
        "III, I, V; PLETH and RESP left out",
        lambda record: record.recorded_leads_only().leads == ("III", "I", "V"),
    ),
)


def frame_in_other_order() -> tuple[str, bool]:
    import pandas

    leads = ["I", "II", "III", "aVR", "aVF", "aVL", *STANDARD_LEADS[6:]]
    wave = np.sin(np.arange(5000) / 50)
    frame = pandas.DataFrame({lead: (row + 1) / 10 * wave for row, lead in enumerate(leads)})
    found = span(load_ecg(frame, sampling_rate=500), "aVL")
    return f"aVL {found:.3f} mV", abs(found - np.ptp(frame["aVL"])) < COUNT_MV


def no_page(name: str) -> tuple[str, bool]:
    page = shows_ecg_page(load_page_picture(SHARED / "30_white_page_and_noise" / name))
    return "an ECG page" if page else "no ECG page", not page


def noise_at_the_start(name: str) -> tuple[str, bool]:
    features = extract_features(load_ecg(SHARED / "35_noise_at_the_start" / name))
    beats, rate = len(features.beat_times), features.heart_rate
    return f"{beats} beats, {rate:.0f} bpm", beats >= 8 and abs(rate - 70) < 1.5


SPECIAL: tuple[tuple[str, str, Callable[[], tuple[str, bool]]], ...] = (
    ("26_dataframe_in_other_order", "aVL is the column aVL, 1.2 mV", frame_in_other_order),
    ("30_white_page_and_noise/white.png", "no ECG page", lambda: no_page("white.png")),
    ("30_white_page_and_noise/random.png", "no ECG page", lambda: no_page("random.png")),
    (
        "35_noise_at_the_start/one_second.csv",
        "HR 70 from the clean seconds",
        lambda: noise_at_the_start("one_second.csv"),
    ),
    (
        "35_noise_at_the_start/two_seconds.csv",
        "HR 70 from the clean seconds",
        lambda: noise_at_the_start("two_seconds.csv"),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    if not SHARED.is_dir():
        parser.error(f"no cases under {SHARED}; set GEM_SHARED to the folder that holds cases/files")
    warnings.simplefilter("ignore")
    rows = [(case.file, case.right, *case.outcome()) for case in CASES]
    rows += [(file, right, *outcome()) for file, right, outcome in SPECIAL]
    print("| case | right value | what came out | |\n|---|---|---|---|")
    for file, right, came_out, right_value in sorted(rows, key=lambda row: row[0]):
        print(f"| {file} | {right} | {came_out} | {'right' if right_value else 'WRONG'} |")
    sys.exit(not all(row[3] for row in rows))


if __name__ == "__main__":
    main()
