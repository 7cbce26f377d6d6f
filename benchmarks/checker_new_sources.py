# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Sources of truth that were not used in the development of the checker; for `benchmarks.checker_truth`.

- codes that cardiologists gave the records of four other hospitals (CinC 2020/2021, SNOMED CT) and PTB-XL records of fold 9 that
  no other benchmark has (SCP statements with a likelihood above 0; of most of them 100 Hz are all there is);
- the ECG-Reasoning Benchmark's measurements of single beats: the range that holds the value, and one that lies elsewhere;
- neurokit2's simulator (ECGSYN, McSharry et al. 2003): exact rate, regularity, P waves, polarity of T. Left out with a message where
  neurokit2 is not installed;
- rate and PR of SPH, by its own program, where signal and values are both here. Its QRS and QT are left out: they contradict the
  codes beside them (QRS 157 and QTc 502 ms in a normal ECG, for one).
"""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow.parquet as pq

from benchmarks.bench_features import SHARED
from benchmarks.checker_claims import (
    AXIS,
    BLOCKS,
    NUMBERS,
    RHYTHM,
    VOLTAGE,
    WORDS,
    OutsideClaim,
    Q,
    T,
    of_number,
    of_statement,
)  # fmt: skip
from benchmarks.ptbxl_rows import read_rows
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from recipes.sources.statements import RHYTHMS, SNOMED, STATEMENTS

Source = Callable[[], Iterator[tuple[EcgFeatures, list[OutsideClaim]]]]
# What a code says, in the words of `recipes.sources.statements` -> the line of the table, and the sentence.
CODES = {
    "atrial fibrillation": (RHYTHM, "Atrial fibrillation"),
    "sinus rhythm": (RHYTHM, "Sinus rhythm"),
    "sinus bradycardia": (RHYTHM, "Sinus bradycardia"),
    "sinus tachycardia": (RHYTHM, "Sinus tachycardia"),
    "paced rhythm": (RHYTHM, "Paced rhythm"),
    "atrial premature complexes": (RHYTHM, "Premature beats"),
    "ventricular premature complexes": (RHYTHM, "Premature beats"),
    "bradycardia": (WORDS, "Bradycardia"),
    "prolonged PR interval": (WORDS, "Prolonged PR interval"),
    "prolonged QT interval": (WORDS, "Prolonged QTc"),
    "long QT interval": (WORDS, "Prolonged QTc"),
    "left axis deviation": (AXIS, "Left axis deviation"),
    "right axis deviation": (AXIS, "Right axis deviation"),
    "first degree AV block": (BLOCKS, "First degree AV block"),
    "left bundle branch block": (BLOCKS, "Left bundle branch block"),
    "complete left bundle branch block": (BLOCKS, "Complete left bundle branch block"),
    "right bundle branch block": (BLOCKS, "Right bundle branch block"),
    "complete right bundle branch block": (BLOCKS, "Complete right bundle branch block"),
    "left anterior fascicular block": (BLOCKS, "Left anterior fascicular block"),
    "left posterior fascicular block": (BLOCKS, "Left posterior fascicular block"),
    "low QRS voltages": (VOLTAGE, "Low voltage"),
    "high left ventricular voltage": (VOLTAGE, "High voltage"),
    "T wave inversion": (T, "T wave inversion"),
    "abnormal Q waves": (Q, "Pathological Q waves"),
}
# Findings that exclude "normal ECG" or "sinus rhythm".
NOT_IN_NORMAL = (
    "first degree AV block", "left bundle branch block", "right bundle branch block", "left anterior fascicular block",
    "T wave inversion", "abnormal Q waves", "left axis deviation", "right axis deviation", "low QRS voltages", "prolonged PR interval",
)  # fmt: skip
NORMAL = "normal ECG"
FOLD = 9
MEASURED = ("qrs_duration", "pr_interval", "qrs_axis", "heart_rate")
_RANGE = re.compile(r"\[(-?\d+)\s*[a-z]+ - (-?\d+)\s*[a-z]+\]")
DRAWN = 40


def of_codes() -> Iterator[tuple[EcgFeatures, list[OutsideClaim]]]:
    for name, is_wanted in (
        ("cinc-ptbdb-500", lambda row: row["label_system"] == "SNOMED CT"),
        ("ptbxl-records500", lambda row: True),
        ("ptbxl-records100", lambda row: row["strat_fold"] == FOLD),
    ):
        for batch in pq.ParquetFile(SHARED / f"data/more/{name}.parquet").iter_batches(32):
            for row in batch.to_pylist():
                if is_wanted(row):
                    yield features_of(row), list(claims_of(row))


def features_of(row: dict) -> EcgFeatures:
    signal = np.array(row["signal_uv"], dtype=np.float32).reshape(12, -1) / 1000
    metadata = {"sex": {0: "M", 1: "F"}.get(row["sex"]), "age": row["age"]}
    rate = float(row["sampling_rate"])
    return extract_features(EcgRecord(signal[:, : round(30 * rate)], STANDARD_LEADS, rate, metadata=metadata))


def claims_of(row: dict) -> Iterator[OutsideClaim]:
    source = "codes of PTB-XL" if row["id"].startswith("ptbxl") else "codes of CinC"
    said = {words_of(code) for code in json.loads(row["scp_codes_positive"] or row["labels"])}
    for words in sorted(said & set(CODES)):
        kind, name = CODES[words]
        yield from of_statement(source, row["id"], kind, f"{name}.", f"No {name[0].lower()}{name[1:]}.", True)
    if any(words.startswith("sinus") for words in said):
        yield from of_statement(
            source, row["id"], RHYTHM, "Atrial fibrillation.", "No atrial fibrillation is seen.", False
        )
    for words in NOT_IN_NORMAL if NORMAL in said else ():
        kind, name = CODES[words]
        yield from of_statement(source, row["id"], kind, f"{name}.", f"No {name[0].lower()}{name[1:]}.", False)


def words_of(code: str) -> str:
    """A SNOMED or SCP code as `CODES` names it."""
    words, scp = SNOMED.get(code, ("", code))
    return words if words in CODES else STATEMENTS[scp][1] if scp in STATEMENTS else RHYTHMS.get(str(scp), words)


def of_ranges() -> Iterator[tuple[EcgFeatures, list[OutsideClaim]]]:
    claims: dict[int, set[OutsideClaim]] = defaultdict(set)
    for sample in json.loads((SHARED / "data/text/reasoning_ptbxl.json").read_text()):
        number = int(sample["metadata"]["ecg_id"])
        for step in sample["data"]["reasoning"]:
            for question in step["ecg_grounding"]:
                if question["question_type"] == "measurement_grounding" and "premature" not in question["question"]:
                    claims[number] |= set(of_range(f"PTB-XL {number}", question))
    for row in read_rows(SHARED / "data/ptbxl"):
        if claims.get(row.ecg_id):
            record = EcgRecord(row.signal, STANDARD_LEADS, 500, metadata={"sex": row.sex, "age": row.age})
            yield extract_features(record), sorted(claims[row.ecg_id], key=lambda claim: claim.text)


def of_range(record: str, question: dict) -> Iterator[OutsideClaim]:
    """The range that holds the measured value, and the first that lies beyond twice the tolerance from it."""
    measured = next((kind for kind in MEASURED if f"measured {NUMBERS[kind][0]}" in question["question"]), None)
    true = _RANGE.fullmatch(question["answer"])
    if measured is None or true is None:
        return
    name, unit, tolerance = NUMBERS[measured]
    low, high = (float(bound) for bound in true.groups())
    ranges = [match for option in question["options"] if (match := _RANGE.fullmatch(option))]
    bounds = [tuple(float(bound) for bound in match.groups()) for match in ranges]
    room = (high - low) / 2 + 2 * tolerance
    false = [pair for pair in bounds if pair[0] > high + room or pair[1] < low - room]
    for is_true, pair in ((True, (low, high)), *((False, pair) for pair in false[:1])):
        text = f"The {name} lies between {pair[0]:.0f} and {pair[1]:.0f} {unit}."
        yield OutsideClaim("ECG-Reasoning, measured", record, f"{name}, number", text, is_true)


def of_neurokit() -> Iterator[tuple[EcgFeatures, list[OutsideClaim]]]:
    try:
        import neurokit2
    except ImportError:
        print("left out: neurokit2 is not installed (pip install neurokit2)")
        return
    for seed in range(DRAWN):
        generator = np.random.default_rng(seed)
        rate, irregular, p_waves = int(generator.integers(45, 130)), seed % 4 == 1, seed % 4 != 2
        inverted = seed % 4 == 3
        # A third of its T wave, which else is taller than the QRS.
        amplitudes = (1.2 if p_waves else 0.0, -5, 30, -7.5, -0.25 if inverted else 0.25)
        drawn = neurokit2.ecg_simulate(
            duration=10, sampling_rate=250, heart_rate=rate, heart_rate_std=18 if irregular else 1, noise=0.01,
            method="multileads", random_state=seed, ai=amplitudes,
        )  # fmt: skip
        signal = drawn[list(STANDARD_LEADS)].to_numpy().T.astype(np.float32)
        signal -= np.median(signal, axis=1, keepdims=True)
        name = f"neurokit2 {seed}"
        claims = list(of_drawn(name, rate, irregular, p_waves, inverted))
        yield extract_features(EcgRecord(signal, STANDARD_LEADS, 250.0)), claims


def of_drawn(name: str, rate: int, irregular: bool, p_waves: bool, inverted: bool) -> Iterator[OutsideClaim]:
    source = "neurokit2"
    if not irregular:
        yield from of_number(source, name, "heart_rate", rate)
    for word, true, near in (("Bradycardia", rate < 60, 60), ("Tachycardia", rate > 100, 100)):
        if not irregular and abs(rate - near) > NUMBERS["heart_rate"][2]:
            yield from of_statement(source, name, WORDS, f"{word}.", f"No {word.lower()}.", true)
    yield from of_statement(source, name, RHYTHM, "The rhythm is irregular.", "The rhythm is regular.", irregular)
    if not irregular:
        yield from of_statement(source, name, RHYTHM, "P waves precede each QRS.", "P waves are absent.", p_waves)
    yield from of_statement(
        source, name, T, "T wave inversion in V4, V5 and V6.", "T waves are upright in V5.", inverted
    )
    yield from of_statement(
        source, name, T, "T wave inversion in the inferior leads.", "No T wave inversion in II, III and aVF.", inverted
    )


def of_sph() -> Iterator[tuple[EcgFeatures, list[OutsideClaim]]]:
    with (SHARED / "data/text/sph_metadata.csv").open(newline="") as file:
        rows = {row["ECG_ID"].removeprefix("A0"): row for row in csv.DictReader(file)}
    for path in sorted((SHARED / "data/loaders/sph").glob("*.h5")):
        row = rows[path.stem.removeprefix("SPH0")]
        claims = list(of_number("SPH's program", path.stem, "pr_interval", float(row["PR_Interval"])))
        if "23" not in row["AHA_Code"].split(";"):  # sinus arrhythmia: which RR was taken is not said
            claims += of_number("SPH's program", path.stem, "heart_rate", 60000 / float(row["RR_Interval"]))
        yield extract_features(load_ecg(path)), claims


SOURCES: tuple[Source, ...] = (of_codes, of_ranges, of_neurokit, of_sph)
