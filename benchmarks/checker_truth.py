# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The checker's verdicts on claims with an independent truth: `OMP_NUM_THREADS=1 python -m benchmarks.checker_truth`.

Truth comes from LUDB's cardiologists (marks of every wave; rhythm, axis, conduction, ischaemia in words), from the devices that wrote
the MUSE, DICOM and Schiller samples (no Philips or SCP file with its device's values was at hand), from the ECG-Reasoning Benchmark's
answers on PTB-XL, and from the sources of `benchmarks.checker_new_sources`, which were not used in development and have columns of their
own. Every truth is stated in several wordings (affirmed, negated, compared, as a range), each with a false counterpart. Because readers
differ, a false number is 30 % off, and at least twice the checker's tolerance; a limit is 15 % and at least the tolerance away from the
true value.
"""

import argparse
import csv
import json
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from benchmarks import checker_new_sources
from benchmarks.bench_features import SHARED
from benchmarks.checker_claims import (
    AXIS,
    BLOCKS,
    RHYTHM,
    ST,
    VOLTAGE,
    WALL,
    WORDS,
    OutsideClaim,
    Q,
    T,
    of_number,
    of_statement,
)  # fmt: skip
from benchmarks.device_values import MEASURES, dicom_values, muse_values, schiller_values
from benchmarks.ptbxl_rows import read_rows
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.grounding.check import check_grounding
from tests.helpers.delineation_scoring import LEADS, MarkedEcg, read_ludb

# What a criterion of the ECG-Reasoning Benchmark asks: the line of the table, and sentences that say yes and no.
CRITERIA = {
    "Presence of atrial fibrillation": (RHYTHM, "Atrial fibrillation.", "No atrial fibrillation."),
    "Presence of bradycardia (slow ventricular rate)": (WORDS, "Bradycardia.", "There is no bradycardia."),
    "Presence of left axis deviation": (AXIS, "Left axis deviation.", "No left axis deviation."),
    "Presence of right axis deviation": (AXIS, "Right axis deviation.", "No right axis deviation."),
    "Presence of left bundle branch block": (BLOCKS, "Left bundle branch block.", "No left bundle branch block."),
    "Presence of right bundle branch block": (BLOCKS, "Right bundle branch block.", "No right bundle branch block."),
    "Presence of premature beats": (RHYTHM, "Premature beats are present.", "Without premature beats."),
    "Prolongation of the PR interval": (WORDS, "The PR interval is prolonged.", "The PR interval is not prolonged."),
    "Prolongation of the QRS duration": (WORDS, "The QRS complex is wide.", "The QRS complex is not widened."),
    "Regularity of the RR intervals": (RHYTHM, "The RR intervals are regular.", "The RR intervals are irregular."),
    "Sum of S amplitude in V1 and R amplitude in V5/V6 > 3.5mV": (
        VOLTAGE,
        "The Sokolow-Lyon index is above 3.5 mV.",
        "The Sokolow-Lyon index does not exceed 3.5 mV.",
    ),
}
FINDINGS = {
    "Presence of ST-segment depression": (ST, "ST depression"),
    "Presence of ST-segment elevation": (ST, "ST elevation"),
    "Presence of inverted T waves": (T, "T wave inversion"),
    "Presence of pathological Q waves": (Q, "pathological Q waves"),
}
# Words of LUDB's conduction column, as they begin, and what they state.
CONDUCTION = {
    "I degree": "First degree AV block.",
    "Complete right": "Complete right bundle branch block.",
    "Complete left": "Complete left bundle branch block.",
    "Left anterior": "Left anterior fascicular block.",
}
# What LUDB's ischaemia column calls a finding of a wall; "undefined" ones and walls without leads of their own are left out.
ISCHAEMIA = {"Stemi": "infarction", "Scar formation": "infarction", "Ischemia": "ischaemia"}
WALLS = ("anterior", "septal", "lateral", "inferior")
RHYTHMS = ("Sinus rhythm", "Sinus bradycardia", "Sinus tachycardia", "Atrial fibrillation")


def of_marks(record: MarkedEcg) -> dict[str, float]:
    """Rate, PR, QRS and QT by the cardiologists: of each lead's usual beat, the median over the leads."""
    intervals = defaultdict(list)
    for marks in record.marks:
        qrs, factor = marks["QRS"], 1000 / record.sampling_rate
        if len(qrs) < 3:
            continue
        intervals["heart_rate"].append(60000 / float(np.mean(np.diff(qrs[:, 1])) * factor))
        intervals["qrs_duration"].append(float(np.nanmedian(qrs[:, 2] - qrs[:, 0])) * factor)
        for kind, waves, column, low, high in (("pr_interval", "P", 0, -0.4, 0), ("qt_interval", "T", 2, 0.15, 0.7)):
            distance = (marks[waves][:, column][:, None] - qrs[:, 0][None]) / record.sampling_rate
            found = np.abs(distance[(distance > low) & (distance < high)])
            if len(found) >= len(qrs) - 2:
                intervals[kind].append(1000 * float(np.median(found)))
    return {kind: float(np.median(values)) for kind, values in intervals.items() if len(values) > len(LEADS) / 2}


def of_ludb() -> Iterator[tuple[EcgFeatures, list[OutsideClaim]]]:
    with (SHARED / "data/ludb/ludb.csv").open(newline="") as file:
        words = {row["ID"].strip(): {key: value.strip() for key, value in row.items()} for row in csv.DictReader(file)}
    for record in read_ludb(SHARED / "data/ludb/data"):
        row = words[record.name]
        name, claims = f"LUDB {record.name}", []
        regular = (
            row["Rhythms"].startswith("Sinus ")
            and not row["Extrasystolies"]
            and "iii" not in row["Conduction abnormalities"].lower()
        )
        for kind, value in of_marks(record).items():
            if regular or kind in ("qrs_duration",):
                claims += of_number("LUDB marks", name, kind, value)
        claims += of_words(name, row, regular)
        signal = np.asarray(record.signal, dtype=np.float32)
        sex = {"M": "M", "F": "F"}.get(row["Sex"])
        features = extract_features(EcgRecord(signal, STANDARD_LEADS, record.sampling_rate, metadata={"sex": sex}))
        yield features, claims


def of_words(name: str, row: dict[str, str], regular: bool) -> Iterator[OutsideClaim]:
    """What a row of `ludb.csv` says of rhythm, P waves, axis, conduction and ischaemia."""
    source, rhythm = "LUDB words", row["Rhythms"]
    if rhythm in RHYTHMS:
        sinus = rhythm.startswith("Sinus")
        yield from of_statement(
            source, name, RHYTHM, "Atrial fibrillation.", "No atrial fibrillation is seen.", not sinus
        )
        yield from of_statement(source, name, RHYTHM, f"{rhythm}.", f"It is not {rhythm.lower()}.", True)
        if not row["Cardiac pacing"] and regular:
            yield from of_statement(source, name, RHYTHM, "P waves precede each QRS.", "P waves are absent.", sinus)
    axis = row["Electric axis of the heart"].rpartition(": ")[2]
    if axis in ("normal", "horizontal"):  # a vertical one is near its limit
        yield from of_statement(source, name, AXIS, "Right axis deviation.", "No right axis deviation.", False)
    conduction = row["Conduction abnormalities"]
    for start, text in CONDUCTION.items():
        there = any(line.startswith(start) for line in conduction.split("\n"))
        if (there or not conduction) and not row["Cardiac pacing"]:
            yield from of_statement(source, name, BLOCKS, text, f"No {text[0].lower()}{text[1:]}", there)
    yield from of_walls(name, row["Ischemia"])


def of_walls(name: str, words: str) -> Iterator[OutsideClaim]:
    """The walls that readers call infarcted or ischaemic; where they name none, an infarction of any wall is false."""
    found = [line.strip().partition(": ") for line in words.split("\n")]
    for what, _, where in found:
        wall = where.removesuffix(" wall")
        if what in ISCHAEMIA and wall in WALLS:
            text = f"{wall} {ISCHAEMIA[what]}"
            yield from of_statement("LUDB words", name, WALL, f"{text.capitalize()}.", f"No {text}.", True)
    if not words:
        for wall in WALLS:
            yield from of_statement(
                "LUDB words", name, WALL, f"{wall.capitalize()} infarction.", f"No {wall} infarction.", False
            )


def of_devices() -> Iterator[tuple[EcgFeatures, list[OutsideClaim]]]:
    folder = SHARED / "data/loaders/formats"
    for name, values in (
        ("MUSE_example.xml", muse_values),
        ("sample.dcm", dicom_values),
        ("sample.xml", schiller_values),
    ):
        claims: list[OutsideClaim] = []
        for kind, value in zip(MEASURES, values(folder / name), strict=True):
            try:
                claims += of_number("device", name, kind, float(value))
            except ValueError:
                print(f"{name}: no {kind}")
        yield extract_features(load_ecg(folder / name)), claims


def of_reasoning() -> Iterator[tuple[EcgFeatures, list[OutsideClaim]]]:
    claims: dict[int, dict[str, OutsideClaim]] = defaultdict(dict)
    for sample in json.loads((SHARED / "data/text/reasoning_ptbxl.json").read_text()):
        number = int(sample["metadata"]["ecg_id"])
        for step in sample["data"]["reasoning"]:
            for claim in of_step(f"PTB-XL {number}", step):
                claims[number][claim.text] = claim
    for row in read_rows(SHARED / "data/ptbxl"):
        if row.ecg_id in claims:
            metadata = {"sex": row.sex, "age": row.age}
            yield (
                extract_features(EcgRecord(row.signal, STANDARD_LEADS, 500, metadata=metadata)),
                list(claims[row.ecg_id].values()),
            )


def of_step(record: str, step: dict) -> Iterator[OutsideClaim]:
    """What one step of the reasoning states: its criterion, and the leads that it is seen in."""
    criterion, answer = step["criterion_selection"]["answer"], step["finding_identification"]["answer"] == "Yes"
    source = "ECG-Reasoning"
    if criterion in CRITERIA:
        kind, yes, no = CRITERIA[criterion]
        yield from of_statement(source, record, kind, yes, no, answer)
    found = next((words for start, words in FINDINGS.items() if criterion.startswith(start)), None)
    if found is None:
        return
    kind, name = found
    wall = criterion.rpartition(" in ")[2]
    yield from of_statement(source, record, kind, f"{name} in the {wall}.", f"No {name} in the {wall}.", answer)
    for question in step["ecg_grounding"]:
        if question["question_type"] == "lead_grounding" and answer:
            leads = " and ".join(lead.removeprefix("Lead ") for lead in question["answer"])
            yield from of_statement(source, record, kind, f"{name} in {leads}.", f"No {name} in {leads}.", True)


def verdict(claim: OutsideClaim, features: EcgFeatures) -> str:
    """Of the sentence: contradicted if a claim in it is, supported if all are, `no claim` where none is read."""
    verdicts = {checked.verdict for checked in check_grounding(claim.text, features).claims}
    if not verdicts:
        return "no claim"
    return (
        "contradicted"
        if "contradicted" in verdicts
        else "not_measurable"
        if "not_measurable" in verdicts
        else "supported"
    )


Counts = dict[str, Counter[tuple[bool, str]]]


def count(sources: Iterable[Iterable[tuple[EcgFeatures, list[OutsideClaim]]]], show: bool) -> tuple[Counts, Counts]:
    """Verdicts by kind and by source; `show` prints every true claim contradicted and false claim supported."""
    by_kind: Counts = defaultdict(Counter)
    by_source: Counts = defaultdict(Counter)
    for source in sources:
        for features, claims in source:
            for claim in claims:
                said = verdict(claim, features)
                by_kind[claim.kind][claim.true, said] += 1
                by_source[claim.source][claim.true, said] += 1
                if show and said == ("contradicted" if claim.true else "supported"):
                    explained = [checked.explanation for checked in check_grounding(claim.text, features).claims]
                    print(f"{claim.record}: {claim.text} is {claim.true}, {said}: {explained}")
    return by_kind, by_source


def table(name: str, counts: Counts) -> str:
    lines = [f"| {name} | true claims | contradicted | false claims | supported | not decided |", "|---" * 6 + "|"]
    for kind, counter in [*sorted(counts.items()), ("all", sum(counts.values(), Counter()))]:
        true, false = (sum(n for (is_true, _), n in counter.items() if is_true == wanted) for wanted in (True, False))
        wrong, passed = counter[True, "contradicted"], counter[False, "supported"]
        undecided = sum(n for (_, said), n in counter.items() if said in ("not_measurable", "no claim"))
        shares = [
            f"{part} ({part / max(whole, 1):.1%})"
            for part, whole in ((wrong, true), (passed, false), (undecided, true + false))
        ]
        lines.append(f"| {kind} | {true} | {shares[0]} | {false} | {shares[1]} | {shares[2]} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", choices=["seen", "new"], help="sources seen in development, or the new ones (default: both)"
    )
    parser.add_argument("--show", action="store_true", help="every true claim contradicted and false claim supported")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sets = {"seen": (of_ludb, of_reasoning, of_devices), "new": checker_new_sources.SOURCES}
    for name, sources in sets.items():
        if options.only in (None, name):
            by_kind, by_source = count((source() for source in sources), options.show)
            print(f"\n{table(f'{name}: kind of claim', by_kind)}\n\n{table(f'{name}: truth by', by_source)}")


if __name__ == "__main__":
    main()
