# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The time of an evaluation without the model and the judge: a test set of the paper's size, with stored texts of a judge.

    python benchmarks/bench_evaluation.py

Prints CPU seconds.
"""

import json
import random
import tempfile
import time
from pathlib import Path

import numpy as np

from processing.ecg_record import STANDARD_LEADS
from recipes.evaluation.ecgbench_compat import score_multilabel
from recipes.evaluation.ecgbench_strict import LABEL_NAMES, score_labels
from recipes.evaluation.grounding_scores import VERSIONS, score_grounding
from recipes.evaluation.judge_replies import CRITERIA, JUDGE_TO_OLD_NAMES
from recipes.evaluation.judges import GROUNDING, judge_answers, read_judged

SAMPLES = 2381  # the paper's MIMIC-IV-ECG test set
PTBXL_ROWS = 2082  # about as many rows as the largest multi-label set of ECG-Bench has


def verdict(draw: random.Random) -> str:
    """A judge's text of the usual length: 40 to 50 entries, each with a sentence."""
    sentence = (
        "The interpretation states this and the reference says so, with the same leads and about the same values."
    )

    def entry(highest: float, **more: str) -> dict:
        score = draw.choice((0, 50, 80, 100)) if highest > 2 else draw.randint(0, int(highest))
        return {**more, "Score": score, "Explanation": sentence}

    found = {}
    for key, highest in CRITERIA.items():
        if key.startswith("Lead"):
            found[key] = [entry(highest, Lead=lead) for lead in STANDARD_LEADS]
        else:
            found[key] = [entry(highest) for _ in range(1 if highest > 2 else draw.randint(3, 8))]
    return json.dumps(found, indent=2)


class NoJudge:
    """A stand-in for the judge, which is never asked because all its texts are stored."""

    description = {"kind": "none"}

    def replies(self, requests, schema):
        for name, _ in requests:
            yield name, self.texts[name]


def timed(name: str, work) -> object:
    start = time.process_time()
    result = work()
    print(f"{name:<62} {time.process_time() - start:6.2f} s CPU")
    return result


def main() -> None:
    draw = random.Random(0)
    texts = {f"sample-{i}": verdict(draw) for i in range(SAMPLES)}
    pairs = {name: (f"Reference of {name}. " * 30, f"Interpretation of {name}. " * 30) for name in texts}
    judge = NoJudge()
    judge.texts = texts
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "judged.jsonl"
        judge_answers(judge, GROUNDING, pairs, path)
        print(f"{SAMPLES} samples, {path.stat().st_size / 1e6:.1f} MB of judge texts")
        start = time.process_time()
        found = timed(
            "judge's texts from the file (nothing is asked)",
            lambda: judge_answers(judge, GROUNDING, pairs, path).texts,
        )
        assert found == read_judged(path)[0]
    for version in VERSIONS:
        given = found
        if version == "gem-v1":
            given = {k: _renamed(text) for k, text in found.items()}
        timed(
            f"scores by {version}" + (", 1000 bootstrap resamples" if version == "strict" else ""),
            lambda v=version, g=given: score_grounding(g, v),
        )
    print(f"{'all of it (target: below 10 s)':<62} {time.process_time() - start:6.2f} s CPU\n")

    classes = list(LABEL_NAMES["ptb-test"])
    golds = [", ".join(draw.sample(classes, draw.randint(1, 3))) for _ in range(PTBXL_ROWS)]
    answers = [", ".join(draw.sample(classes, draw.randint(0, 3))) for _ in range(PTBXL_ROWS)]
    print(f"multi-label set, {PTBXL_ROWS} rows")
    timed("compat", lambda: score_multilabel("ptb-test", golds, answers))
    scores = np.random.default_rng(0).normal(size=(PTBXL_ROWS, len(classes)))
    timed("strict, with AUC", lambda: score_labels("ptb-test", golds, answers, scores))


def _renamed(text: str) -> str:
    for name, old in JUDGE_TO_OLD_NAMES.items():
        text = text.replace(f'"{name}"', f'"{old}"')
    return text


if __name__ == "__main__":
    main()
