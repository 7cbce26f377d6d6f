# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Qualities that say nothing of the subject before them: what has changed since another ECG, and what describes another word."""

from collections.abc import Sequence

from .words import CHANGED, RESTORED_WORDS, Token

_LOOK_BACK = 3  # tokens between "has" and what has changed: "has not yet clearly shortened"
_INTRODUCE = ("the", "a", "an", "one", "two", "three", "four", "five", "six", "this", "that", "some", "several", "its")
_HAVE = ("has", "have", "had", "having")


def words_of(token: Token, text: str) -> str:
    """The characters of a token in lower case."""
    return text[token.start : token.end].lower()


def tells_of_a_change(tokens: Sequence[Token], i: int, text: str) -> bool:
    """Whether the quality at `i` says that something has changed, not how it is: `has shortened`, `shortened from 510 ms`.

    The caller knows that no subject follows it ("has prolonged PR intervals").
    """
    if words_of(tokens[i], text) not in CHANGED:
        return False
    ahead = tokens[i + 1 : i + 1 + _LOOK_BACK]
    if any(token.tag == "cmp" and words_of(token, text).startswith("from") for token in ahead):
        return True
    for token in reversed(tokens[max(i - _LOOK_BACK, 0) : i]):
        if words_of(token, text) in _HAVE:
            return True
        if token.tag not in ("word", "neg"):
            break
    return False


def is_restored(token: Token, text: str) -> bool:
    """Whether a quality says that something is normal again (`has normalised`, `returned to baseline`)."""
    return token.value == "normal" and words_of(token, text).startswith(RESTORED_WORDS)


def describes_a_word(tokens: Sequence[Token], i: int) -> bool:
    """Whether the quality at `i` stands between an article or a number and a word of no meaning here: `a small amount`."""
    if i + 1 >= len(tokens) or tokens[i + 1].tag != "word" or i == 0:
        return False
    before = tokens[i - 1]
    return before.tag == "num" or (before.tag == "word" and before.value in _INTRODUCE)


__all__ = ["describes_a_word", "is_restored", "tells_of_a_change", "words_of"]
