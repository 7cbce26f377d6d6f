# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Accuracy and speed of the grounding check: `OMP_NUM_THREADS=1 python -m benchmarks.bench_grounding_check`.

- sentences: statements about simulated ECGs, half of them false: templated, freely worded and in held-back wordings. By the
  simulator's exact truth each is true or clearly false. Precision: share of the decided verdicts
  that are right (a claim the sentence does not make counts as wrong); recall: share of the stated claims found and judged.
- falsified: texts of eight sentences with one planted error; how many errors are found, how many true claims are
  called contradicted.
- handwritten: tests/fixtures/grounding_sentences.json.
- ptbxl: rule-written reports with cardiologists' diagnoses on real ECGs (needs PTB-XL).
- speed: CPU milliseconds per text, features measured before.
- growth: texts that repeat one phrase, as a looping model writes them: CPU s at 10,000, 20,000 and 40,000 characters.
"""

import argparse
import itertools
import os
import time
from collections import Counter
from pathlib import Path

from processing.ecg_features import extract_features
from processing.grounding.check import check_grounding
from processing.simulator.simulator import simulate_ecg
from tests.helpers.grounding_scores import score_falsified, score_handwritten, score_statements
from tests.helpers.grounding_sentences import REPEATED, WORDINGS, falsified_texts
from tests.helpers.grounding_truth import Truth, reading_offsets, truths

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
PARTS = ("sentences", "falsified", "handwritten", "ptbxl", "speed", "growth")


def ptbxl_reports(count: int) -> None:
    from recipes.sources.ptbxl import read_ptbxl
    from recipes.teachers.grounded_answer import grounded_answer

    verdicts: Counter = Counter()
    kinds: Counter = Counter()
    for item in itertools.islice(read_ptbxl(SHARED / "data/ptbxl", folds=(9,)), count):
        features = extract_features(item.record)
        for checked in check_grounding(grounded_answer(features, item.codes).full_text(), features).claims:
            verdicts[checked.verdict] += 1
            kinds[checked.claim.kind] += checked.verdict == "contradicted"
    share = verdicts["contradicted"] / (verdicts["contradicted"] + verdicts["supported"])
    print(f"PTB-XL fold 9, {count} reports: {dict(verdicts)}, contradicted {share:.4f} of the decided: {dict(+kinds)}")


def speed(truth_list: list[Truth]) -> None:
    for wording, sentences in (("templated", 8), ("free", 8), ("free", 30)):
        texts = [(text, truth.features) for truth, text, *_ in falsified_texts(truth_list, 50, wording, 5, sentences)]
        started = time.process_time()
        for text, features in texts:
            check_grounding(text, features)
        spent = (time.process_time() - started) / len(texts)
        length = sum(len(text) for text, _ in texts) / len(texts)
        print(f"{wording}, {length:.0f} characters: {1000 * spent:.2f} CPU ms a text, {1000 * spent:.1f} s for 1,000")


def growth() -> None:
    features = extract_features(simulate_ecg(seed=1).record)
    for phrase in REPEATED:
        spent = []
        for length in (10_000, 20_000, 40_000):
            text = (phrase * length)[:length]
            started = time.process_time()
            check_grounding(text, features)
            spent.append(time.process_time() - started)
        print(
            f"{phrase!r:26} {' '.join(f'{s:6.2f}' for s in spent)} s, x {spent[2] / spent[1]:.1f} for twice the length"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--records", type=int, default=40, help="simulated ECGs (default: 40, twice the scenarios)")
    parser.add_argument("--failures", type=int, default=0, help="how many failed sentences of each set to print")
    options = parser.parse_args()
    offsets = reading_offsets()
    print("reading offsets, ms:", {name: round(value, 1) for name, value in offsets.items()})
    truth_list = truths(options.records, offsets, first_seed=1000 * options.seed)
    if "sentences" in options.parts:
        for wording, count in zip(WORDINGS, (500, 200, 200), strict=True):
            score = score_statements(truth_list, count, wording, options.seed)
            print(f"{count} {wording} sentences: {score}", *score.failures[: options.failures], sep="\n  ")
        bare = score_statements(truths(options.records, None, 1000 * options.seed), 500, "templated", options.seed)
        print(f"500 templated sentences with the simulator's bare intervals: {bare}")
    if "falsified" in options.parts:
        for wording in WORDINGS:
            planted, found, alarms, decided = score_falsified(truth_list, 200, wording, options.seed)
            kinds = ", ".join(f"{kind} {found[kind]}/{planted[kind]}" for kind in planted)
            print(f"falsified, {wording}: found {found.total() / planted.total():.4f} ({kinds}); ", end="")
            print(f"false alarms {alarms} of {decided} true claims ({alarms / decided:.4f})")
    if "handwritten" in options.parts:
        for part in ("development", "held_back"):
            score = score_handwritten(part)
            print(f"handwritten, {part}: {score}", *score.failures[: options.failures], sep="\n  ")
    if "ptbxl" in options.parts and (SHARED / "data/ptbxl").is_dir():
        ptbxl_reports(150)
    if "speed" in options.parts:
        speed(truth_list)
    if "growth" in options.parts:
        growth()


if __name__ == "__main__":
    main()
