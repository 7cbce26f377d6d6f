# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How often normal and abnormal ECGs are called abnormal: `python -m benchmarks.norm_words`.

Reads PTB-XL with sex and age, and counts the abnormal words of `to_text` (the text in teachers' prompts):

- of normal ECGs: those with the statement NORM at a likelihood of 100 % and no other but SR, the first 150 in the order of the
  files, or all of them (`--all`);
- of all ECGs that cardiologists labelled with the finding, so that never using a word does not win.

Only `ecg_beat_measures.FIRST_R_MV` was tuned on these figures.
"""

import argparse
import os
import warnings
from collections.abc import Callable
from pathlib import Path

from benchmarks.ptbxl_rows import RATE, PtbXlRow, read_rows
from processing.ecg_features import extract_features
from processing.ecg_features_text import record_lines
from processing.ecg_record import STANDARD_LEADS, EcgRecord

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
SOME = 150
LIKELY = 80  # percent
INFARCTS = ("IMI", "ASMI", "AMI", "ILMI", "ALMI", "LMI", "IPLMI", "IPMI", "PMI")
# Subendocardial injuries, which lower the ST segment.
INJURIES = ("INJAS", "INJAL", "INJIN", "INJLA", "INJIL")
# Of an infarct, in PTB-XL's words; in the later ones the ST segment is no longer raised.
ACUTE = ("Stadium I", "Stadium I-II")


def stated(*codes: str, least: float = 0) -> Callable[[PtbXlRow], bool]:
    """Whether a record has one of `codes` with at least this likelihood (percent; 0 is one that is not stated)."""
    return lambda row: any(row.codes.get(code, -1) >= least for code in codes)


def axis_labelled(*labels: str) -> Callable[[PtbXlRow], bool]:
    return lambda row: row.axis in labels


# Words of `to_text` -> the records that should have them, and their label in the table.
WORDS: dict[str, tuple[str, Callable[[PtbXlRow], bool]]] = {
    "ST elevated": ("infarct of stadium I or I-II", lambda row: row.stadium in ACUTE),
    "ST depressed": ("injury", stated(*INJURIES)),
    "pathological Q": (f"infarct, {LIKELY} % or more", stated(*INFARCTS, least=LIKELY)),
    "wide QRS": ("CLBBB, CRBBB", stated("CLBBB", "CRBBB")),
    "low voltage": ("LVOLT", stated("LVOLT")),
    "left axis deviation": ("axis LAD, ALAD", axis_labelled("LAD", "ALAD")),
    "right axis deviation": ("axis RAD, ARAD", axis_labelled("RAD", "ARAD")),
    "prolonged PR": ("1AVB", stated("1AVB")),
    "prolonged QTc": ("LNGQT", stated("LNGQT")),
    "high voltage": ("LVH", stated("LVH")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with data/ptbxl")
    parser.add_argument("--all", action="store_true", help=f"all normal ECGs instead of the first {SOME}")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    normal: list[str] = []
    labelled: dict[str, list[str]] = {words: [] for words in WORDS}
    for row in read_rows(options.shared / "data/ptbxl"):
        healthy = is_normal(row) and (options.all or len(normal) < SOME)
        meant = [words for words, (_, belongs) in WORDS.items() if belongs(row)]
        if healthy or meant:
            text = told(row)
            normal += [text] if healthy else []
            for words in meant:
                labelled[words].append(text)
    print(f"{'':22s}{'of normal':>16s}   of labelled")
    for words, texts in labelled.items():
        called = f"{said(words, normal)} of {len(normal)}"
        print(f"{words:22s}{called:>16s}   {said(words, texts)} of {len(texts)} ({WORDS[words][0]})")


def is_normal(row: PtbXlRow) -> bool:
    return row.codes.get("NORM") == 100 and set(row.codes) <= {"NORM", "SR"}


def told(row: PtbXlRow) -> str:
    """The record as a whole and its findings, in words."""
    patient = {"sex": row.sex, "age": row.age}
    return "\n".join(record_lines(extract_features(EcgRecord(row.signal, STANDARD_LEADS, RATE, metadata=patient))))


def said(words: str, texts: list[str]) -> int:
    return sum(words in text for text in texts)


if __name__ == "__main__":
    main()
