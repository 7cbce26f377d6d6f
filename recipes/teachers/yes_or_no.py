# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Questions that ask for yes or no and nothing else."""

import re

import numpy as np

from .wordings import pick

VERIFY_OPTIONS = ("yes", "no", "not sure")
# As ECG-QA and the benchmarks of PULSE (Liu et al. 2024, arXiv 2410.19008) put questions with options.
QA_INSTRUCTION = "Only answer based on the given Options without any explanation."
WITH_OPTIONS = f"\nOptions: {', '.join(VERIFY_OPTIONS)}\n{QA_INSTRUCTION}"
BRIEFLY = (
    " Answer yes or no.",
    " Answer with yes or no only.",
    " Yes or no only, please.",
    " Just yes or no.",
    " A simple yes or no will do.",
    " Reply with one word.",
    " One word is enough.",
    " No explanation, please.",
    " Don't explain, just say yes or no.",
    "\nAnswer with a single word.",
    "\nOptions: yes, no",
    "\n(yes/no)",
)
BRIEFLY_SHARE, OPTIONS_SHARE = 0.15, 0.4


def asked_briefly(question: str, answer: str, rng: np.random.Generator) -> tuple[str, str]:
    """In some cases a question whose answer begins with yes or no asks for this word only, and is answered by it."""
    if rng.random() > BRIEFLY_SHARE:
        return question, answer
    ending = WITH_OPTIONS if rng.random() < OPTIONS_SHARE else pick(rng, BRIEFLY)
    return question + ending, f"{re.split(r'[ ,.]', answer)[0]}."


__all__ = ["BRIEFLY", "QA_INSTRUCTION", "VERIFY_OPTIONS", "WITH_OPTIONS", "asked_briefly"]
