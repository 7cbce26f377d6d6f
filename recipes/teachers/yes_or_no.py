# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Questions that ask for yes or no and nothing else. Their answers are as long as those to others: a bare no says nothing that the waveform could contradict.
"""

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
BRIEFLY_SHARE, OPTIONS_SHARE = 0.2, 0.4


def asked_briefly(question: str, rng: np.random.Generator) -> str:
    """The question, in some cases with the wish for yes or no alone."""
    if rng.random() > BRIEFLY_SHARE:
        return question
    return question + (WITH_OPTIONS if rng.random() < OPTIONS_SHARE else pick(rng, BRIEFLY))


__all__ = ["BRIEFLY", "QA_INSTRUCTION", "VERIFY_OPTIONS", "WITH_OPTIONS", "asked_briefly"]
