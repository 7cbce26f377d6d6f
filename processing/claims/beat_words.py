# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What is said of single beats without naming a wave: `beat 4 is wide`, `beat 4 comes early`, `beat 4 is a sinus beat`."""

import re
from collections.abc import Sequence

from .findings_rhythm import PREMATURE
from .found import Found
from .words import Token

_WIDTHS = ("wide", "narrow")
_BETWEEN = ("word", "be", "verb", "neg", "hedge", "and", "comma", "qual", "leads", "in", "close", "it", "present")
_EARLY = re.compile(r"early|(?:too\s+)?soon\b", re.IGNORECASE)
_SINUS_BEAT = re.compile(r"(?:normal(?:ly)?\s+)?sinus(?:\s+(?:beat|complex|QRS)|(?=\s*(?:[.,;]|$)))", re.IGNORECASE)


def read_beat_words(tokens: Sequence[Token], text: str, found: Sequence[Found]) -> list[Found]:
    """The findings that a clause states of beats by a word alone.

    Args:
        tokens: of the clause.
        text: the whole text, to which the tokens' positions belong.
        found: what the clause states otherwise, which is not read again.
    """
    own: list[Found] = []
    for i, token in enumerate(tokens):
        if token.tag != "beats":
            continue
        for j in range(i + 1, len(tokens)):
            if tokens[j].tag == "term" and tokens[j].value[0] in PREMATURE:
                _name(found, j, i, token.value)  # "the fourth beat is a wide premature beat"
                continue
            if tokens[j].tag not in _BETWEEN:
                break
            if any(item.first <= j <= item.last for item in (*found, *own)):
                continue
            meaning = _meaning(tokens, j, text)
            if meaning is not None:
                kind, value, denied = meaning
                last = (
                    j + 1 if denied and tokens[j + 1 : j + 2] and tokens[j + 1].tag in ("word", "subj") else j
                )  # "sinus beat"
                own.append(
                    Found(kind, value, i, last, j, inherent_negation=denied, by_predicate=True, beats=token.value)
                )
    return own


def _name(found: Sequence[Found], anchor: int, i: int, beats: tuple[int, ...]) -> None:
    """Gives the findings at `anchor` the beats at `i`."""
    for item in found:
        if item.anchor == anchor and item.beats is None:
            item.beats = beats
            item.extra.append(i)


def _meaning(tokens: Sequence[Token], j: int, text: str) -> tuple[str, object, bool] | None:
    token = tokens[j]
    if token.tag == "qual" and token.value in _WIDTHS:
        after = j + 1
        while after < len(tokens) and tokens[after].tag in ("qual", "comma", "and"):
            after += 1
        of_a_wave = after < len(tokens) and tokens[after].tag == "subj"  # "beat 4 shows a wide, deep Q wave"
        return None if of_a_wave else ("qrs_duration", token.value, False)
    if token.tag == "word" and _EARLY.match(text, token.start):
        return "ectopy", True, False
    if token.tag == "word" and _SINUS_BEAT.match(text, token.start):
        return "ectopy", True, True
    return None


def says_more(tokens: Sequence[Token]) -> bool:
    """Whether a clause says something of a beat that it names: more than the beat, its leads and its time."""
    return any(token.tag in ("word", "qual", "verb", "be", "neg", "subj", "term") for token in tokens)


__all__ = ["read_beat_words", "says_more"]
