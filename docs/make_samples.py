# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Writes docs/samples.md: what is true of the sample records, and what the embedded model answers about them.

python docs/make_samples.py
"""

import json
import re
from pathlib import Path

from modeling_gem.interpretation import Interpretation, interpret, load_interpreter
from recipes.dataset.samples import SAMPLES, TRUTH
from recipes.teachers.diagnoses import not_stated

PAGE = Path(__file__).resolve().parent / "samples.md"
HEAD = """# The sample records

Eight simulated ECGs of 10 s in `processing/samples`, drawn with seeds that no training data were drawn with. What is true of them is stated
in `processing/samples/truth.json`, in their headers (`Dx:`, which `gem interpret` prints beside its answer) and in
`recipes/configs/build_samples.csv`; `python -m recipes.dataset.samples` writes all of it.

The embedded model is small and sometimes wrong. This is what it answers to "Interpret this ECG." with signal and page, greedy
(`make samples`; `tests/test_showcase.py` compares the page with the model): **✗** marks what the waveform contradicts, as `gem interpret`
marks it, and diagnoses that are not true.

| record | true | the model's rhythm | its impression | claims contradicted |
|---|---|---|---|---:|
"""
FIRST_SENTENCE, IMPRESSION = r"^(.*?)\.(?: |$)", r"Impression: (.*?)\.(?: |$)"


def rows() -> dict[str, Interpretation]:
    """Record -> what the embedded model answers, checked against the waveform."""
    gem = load_interpreter()
    return {
        name: interpret(SAMPLES / f"{name}.hea", model=gem) for name in json.loads(TRUTH.read_text(encoding="utf-8"))
    }


def page(found: dict[str, Interpretation]) -> str:
    """The page's text."""
    truth = json.loads(TRUTH.read_text(encoding="utf-8"))
    lines = []
    for name, answer in found.items():
        stated = ", ".join(truth[name]["diagnoses"])
        rhythm, impression = (_marked(answer, part, stated) for part in (FIRST_SENTENCE, IMPRESSION))
        contradicted = sum(claim.verdict == "contradicted" for claim in answer.claims)
        lines.append(f"| `{name}` | {stated} | {rhythm} | {impression} | {contradicted} of {len(answer.claims)} |\n")
    return HEAD + "".join(lines)


def _marked(answer: Interpretation, part: str, stated: str) -> str:
    """
    What the pattern `part` finds in an answer, with a cross where the waveform contradicts it or a diagnosis is not among those
    that are `stated`.
    """
    match = re.search(part, answer.text)
    if match is None:
        return "none"
    text = match[1]
    for span in reversed(answer.spans):
        if span.verdict == "contradicted" and match.start(1) <= span.start and span.end <= match.end(1):
            start, end = span.start - match.start(1), span.end - match.start(1)
            text = f"{text[:start]}**✗ {text[start:end]}** ({span.measured}){text[end:]}"
    wrong = not_stated(match[0], stated)
    return f"{text} **✗ not {', not '.join(wrong)}**" if wrong else text


if __name__ == "__main__":
    PAGE.write_text(page(rows()), encoding="utf-8")
