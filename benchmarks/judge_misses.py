# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Errors that the check against measurements misses: `OMP_NUM_THREADS=1 python -m benchmarks.judge_misses [--pages FOLDER]`.

The template teacher's answer to every n-th record of PTB-XL's fold 9 gets one scripted error of each kind that its text allows. An error
is found if the changed text has more contradicted claims than the unchanged one, or, for an omitted finding, if the report lists it as
missing. False alarms are contradicted claims of the unchanged text. `--pages` writes sheets for readers, each with the page and an
unchanged or changed text in random order, a separate key, and the same as prompts for a judging model.
"""

import argparse
import json
import os
import random
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import binomtest

from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_page import render_ecg
from processing.ecg_record import EcgRecord
from processing.grounding.check import CONTRADICTED, check_grounding
from recipes.sources.ptbxl import read_ptbxl
from recipes.teachers.grounded_answer import grounded_answer

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
RHYTHMS = {
    "Sinus rhythm": "Atrial fibrillation",
    "Atrial fibrillation": "Sinus rhythm",
    "Sinus bradycardia": "Sinus tachycardia",
}
QUESTION = "Is anything in the text wrong for this ECG? Write: no, or the words that are."
Change = Callable[[str, EcgFeatures], str | None]


def number(pattern: str, factor: float) -> Change:
    """The first number after `pattern` becomes so many times as large."""

    def change(text: str, features: EcgFeatures) -> str | None:
        found = re.search(rf"({pattern})(\d+)", text)
        return (
            None if found is None else f"{text[: found.start(2)]}{round(int(found[2]) * factor)}{text[found.end(2) :]}"
        )

    return change


def words(pairs: dict[str, str]) -> Change:
    """Replaces the first of the phrases that the text holds."""

    def change(text: str, features: EcgFeatures) -> str | None:
        old = next((phrase for phrase in pairs if phrase in text), None)
        return None if old is None else text.replace(old, pairs[old], 1)

    return change


def axis(text: str, features: EcgFeatures) -> str | None:
    """The axis by 90 degrees, and its word."""
    found = re.search(r"QRS axis is (-?\d+) degrees, [a-z ]+\.", text)
    if found is None:
        return None
    turned = (int(found[1]) + 90 + 180) % 360 - 180
    return text.replace(
        found[0], f"QRS axis is {turned} degrees, {'right axis deviation' if turned > 90 else 'normal'}."
    )


def left_out(text: str, features: EcgFeatures) -> str | None:
    """Inverted T waves are not mentioned any more."""
    return None if "T waves are inverted" not in text else re.sub(r"T waves are inverted .*?\)\. ", "", text)


# Kind of error -> how it comes into the text.
ERRORS: dict[str, Change] = {
    "rate 30 % off": number("at ", 1.3),
    "PR 40 % off": number("PR ", 1.4),
    "QRS 60 % off": number("QRS ", 1.6),
    "QT 25 % off": number("QT ", 1.25),
    "axis turned by 90 degrees": axis,
    "other rhythm": words(RHYTHMS),
    "ST elevation that is not there": words(
        {"No significant ST elevation or depression": "ST is elevated in V2, V3 and V4 (up to 0.3 mV)"}
    ),
    "T inversion that is not there": words(
        {"No abnormal T wave inversion": "T waves are inverted in I, aVL, V5 and V6"}
    ),
    "Q waves that are not there": words({"No pathological Q waves": "Pathological Q waves in II, III and aVF"}),
    "diagnosis without its signs": words({"Impression: normal ECG": "Impression: complete left bundle branch block"}),
    "disease without a measure": words({"Impression: normal ECG": "Impression: pulmonary embolism"}),
    "T inversion left out": left_out,
}


@dataclass(frozen=True)
class Case:
    """An answer, untouched or changed; `error`: what is wrong with it, if anything."""

    name: str
    record: EcgRecord
    text: str
    error: str | None
    found: bool


def main() -> None:
    """Prints the shares found by kind, and writes readers' sheets if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--ptbxl", type=Path, default=SHARED / "data/ptbxl", help="PTB-XL, its folder or Parquet files"
    )
    parser.add_argument("--every", type=int, default=3, help="every n-th record of fold 9 (default: 3)")
    parser.add_argument("--pages", type=Path, help="folder for the sheets of readers")
    parser.add_argument("--sheets", type=int, default=60, help="how many (default: 60)")
    options = parser.parse_args()
    untouched, changed = [], []
    for number_, item in enumerate(read_ptbxl(options.ptbxl, (9,))):
        if number_ % options.every == 0:
            clean, wrong = cases(item.record, item.codes)
            untouched.append(clean)
            changed += wrong
    tables(untouched, changed)
    if options.pages is not None:
        write_sheets(untouched, changed, options.pages, options.sheets)


def cases(record: EcgRecord, codes: dict[str, float]) -> tuple[Case, list[Case]]:
    """The untouched answer (`found`: a false alarm) and one per error that its text allows."""
    features = extract_features(record)
    text = grounded_answer(features, codes).full_text()
    name, alarms, missing = str(record.record_id), contradicted(text, features), missed(text, features)
    wrong = []
    for error, change in ERRORS.items():
        if (told := change(text, features)) is not None:
            is_left_out = len(missed(told, features)) > len(missing)
            found = is_left_out if change is left_out else contradicted(told, features) > alarms
            wrong.append(Case(name, record, told, error, found))
    return Case(name, record, text, None, alarms > 0), wrong


def contradicted(text: str, features: EcgFeatures) -> int:
    """How many claims of a text the measurements contradict."""
    return sum(claim.verdict == CONTRADICTED for claim in check_grounding(text, features).claims)


def missed(text: str, features: EcgFeatures) -> list[str]:
    """Salient measured findings that a text does not mention."""
    return [str(finding) for finding in check_grounding(text, features).missing]


def tables(untouched: list[Case], changed: list[Case]) -> None:
    """Found by kind of error, and false alarms."""
    by_error: dict[str, list[bool]] = defaultdict(list)
    for case in changed:
        by_error[str(case.error)].append(case.found)
    print("| scripted error | answers | found |\n|---|---|---|")
    for error in ERRORS:
        if found := by_error[error]:
            print(f"| {error} | {len(found)} | {share(found)} |")
    print(f"| all | {len(changed)} | {share([case.found for case in changed])} |")
    print(
        f"| unchanged text: a claim is contradicted | {len(untouched)} | {share([case.found for case in untouched])} |"
    )


def share(found: list[bool]) -> str:
    """With its 95 % Wilson interval."""
    interval = binomtest(sum(found), len(found)).proportion_ci(method="wilson")
    return f"{sum(found) / len(found):.3f} ({interval.low:.3f} to {interval.high:.3f})"


def write_sheets(untouched: list[Case], changed: list[Case], folder: Path, count: int) -> None:
    """Pages as PNG, texts in sheets.md, prompts.jsonl with the same chats, and key.json, which readers do not see."""
    draw = random.Random(29)
    chosen = draw.sample(untouched, min(count // 2, len(untouched)))
    chosen += draw.sample(changed, min(count - len(chosen), len(changed)))
    draw.shuffle(chosen)
    folder.mkdir(parents=True, exist_ok=True)
    lines, key, prompts = [f"# {QUESTION}", ""], {}, []
    for number_, case in enumerate(chosen, 1):
        render_ecg(case.record, "gem_12x1").to_pil().convert("L").resize((1100, 850)).save(
            folder / f"{number_:02d}.png"
        )
        lines += [f"## {number_:02d}", "", case.text, "", "wrong: ", ""]
        content = [
            {"type": "image", "path": f"{number_:02d}.png"},
            {"type": "text", "text": f"{QUESTION}\n\n{case.text}"},
        ]
        prompts.append({"id": f"{number_:02d}", "messages": [{"role": "user", "content": content}]})
        key[f"{number_:02d}"] = {"record": case.name, "error": case.error, "checker": case.found}
    (folder / "sheets.md").write_text("\n".join(lines), encoding="utf-8")
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts), encoding="utf-8")
    (folder / "key.json").write_text(json.dumps(key, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
