# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The effect of each grounding mode on a model's answers: `OMP_NUM_THREADS=1 python -m benchmarks.bench_grounding_modes --limit 100`.

PTB-XL's validation fold, signal and page, one record at a time as in `gem interpret`. Every mode starts from the same greedy answer.
The columns for each mode: precision and recall (means over the records); contradicted claims, and those of them that no span marks
(shares of all claims); claims and supported claims per answer; the share of answers without a contradicted claim; answers tried; and
CPU seconds (mean, longest), which for `off` are those of the answer, for the other modes those in addition to it.
"""

import argparse
import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modeling_gem.interpretation import Interpretation, check_answer, more_answers
from processing.ecg_features import extract_features
from processing.grounding.check import CONTRADICTED, SUPPORTED, check_grounding
from recipes.evaluation.items import read_test_set
from recipes.models import TINY, load_pipeline

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
# Name of the row -> mode, answers tried at most.
MODES = {
    "flag": ("flag", 1),
    "select, n = 4": ("select", 4),
    "select, n = 8": ("select", 8),
    "select, n = 16": ("select", 16),
    "correct, n = 1": ("correct", 1),
    "correct, n = 8": ("correct", 8),
}


@dataclass(frozen=True)
class Row:
    """What was counted in one answer."""

    precision: float
    recall: float
    claims: int
    supported: int
    contradicted: int
    unmarked: int
    tried: int
    seconds: float


def count(found: Interpretation, seconds: float) -> Row:
    report = found.report
    if report is None:  # `off`: the claims are not marked
        assert found.features is not None
        report = check_grounding(found.text, found.features)
    marked = {number for span in found.spans if span.verdict == CONTRADICTED for number in span.claims}
    wrong = [number for number, item in enumerate(report.claims) if item.verdict == CONTRADICTED]
    return Row(
        report.precision,
        report.recall,
        len(report.claims),
        report.count(SUPPORTED),
        len(wrong),
        sum(number not in marked for number in wrong),
        len(found.candidates) or 1,
        seconds,
    )


def table(rows: dict[str, list[Row]]) -> str:
    names = ["mode", "precision", "recall", "contradicted", "unmarked", "claims", "supported", "clean", "tried", "s"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for mode, found in rows.items():
        claims = sum(row.claims for row in found)
        seconds = [row.seconds for row in found]
        lines.append(
            f"| {mode} | {np.nanmean([row.precision for row in found]):.3f} | {np.nanmean([row.recall for row in found]):.3f} "
            f"| {sum(row.contradicted for row in found) / claims:.3f} | {sum(row.unmarked for row in found) / claims:.3f} "
            f"| {claims / len(found):.1f} | {np.mean([row.supported for row in found]):.1f} | {np.mean([not row.contradicted for row in found]):.0%} "
            f"| {np.mean([row.tried for row in found]):.1f} | {np.mean(seconds):.2f}, {max(seconds):.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ptbxl", type=Path, default=SHARED / "data/ptbxl")
    parser.add_argument("--model", default=TINY)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--fold", type=int, default=9)
    given = parser.parse_args()
    gem = load_pipeline(given.model)
    items, _ = read_test_set(given.ptbxl, fold=given.fold)
    rows: dict[str, list[Row]] = defaultdict(list)
    for item in items[: given.limit]:
        assert item.ecg is not None
        record = item.ecg.load()
        features = extract_features(record)
        started = time.process_time()
        chat = gem.processor.build_conversation(record)
        text = gem(chat, grounding="off", do_sample=False)["generated_text"]
        rows["off"].append(count(check_answer(text, features, grounding="off"), time.process_time() - started))
        for name, (mode, n) in MODES.items():
            more = more_answers(gem, chat, features, seed=0, generation={})
            started = time.process_time()
            found = check_answer(text, features, grounding=mode, more=more, n=n)
            rows[name].append(count(found, time.process_time() - started))
    print(f"{len(rows['off'])} records of fold {given.fold}, {given.model}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
