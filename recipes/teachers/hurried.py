# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Questions as some people type them."""

import string

import numpy as np

LOWER_SHARE, UNMARKED_SHARE, TYPO_SHARE = 0.2, 0.15, 0.05


def hurried(question: str, rng: np.random.Generator) -> str:
    """A question as some people type it: without capitals, without its last mark, with a letter too few or exchanged."""
    if rng.random() < LOWER_SHARE:
        question = question[:1].lower() + question[1:] if rng.random() < 0.5 else question.lower()
    if rng.random() < UNMARKED_SHARE:
        question = question.rstrip("?.") or question
    return _mistyped(question, rng) if rng.random() < TYPO_SHARE else question


def _mistyped(question: str, rng: np.random.Generator) -> str:
    words = question.split(" ")
    # Names of leads and intervals are shorter.
    long = [number for number, word in enumerate(words) if len(word) > 4 and set(word) <= set(string.ascii_lowercase)]
    if long:
        number = int(rng.choice(long))
        word, place = words[number], int(rng.integers(1, len(words[number]) - 1))
        exchanged = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        words[number] = exchanged if rng.random() < 0.5 else word[:place] + word[place + 1 :]
    return " ".join(words)


__all__ = ["TYPO_SHARE", "hurried"]
