# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Finds the vocabulary's words in a text: at a character only the patterns are tried that can begin with it."""

import re
from functools import cache
from typing import Any, NamedTuple

from .words import CALIBRATION, VOCABULARY


class Token(NamedTuple):
    """A word or phrase: its `tag`, its meaning, and its characters `start`..`end` in the text."""

    tag: str
    value: Any
    start: int
    end: int


_WORD_END = r"(?![A-Za-z])"
_CALIBRATION = re.compile(f"(?i:{CALIBRATION}){_WORD_END}")


@cache
def _patterns_from(letter: str) -> re.Pattern[str]:
    """All of the vocabulary that can begin with a character; a fraction of it, so that a match is fast."""
    groups = [
        f"(?P<g{i}>(?:{pattern}){_WORD_END})"
        for i, (_, _, pattern) in enumerate(VOCABULARY)
        if letter.lower() in (first := _first_letters(pattern)) or "" in first
    ]
    return re.compile("|".join(groups) or r"(?!)")


@cache
def _first_letters(pattern: str) -> frozenset[str]:
    """The characters, in small letters, that a match can begin with; `""` where that is not a plain letter or sign."""
    letters: set[str] = set()
    for alternative in _split(pattern):
        rest = alternative
        while True:
            group, quantifier, rest = _first_group(rest)
            if group is None:
                letters.add(rest[:1].lower() if rest[:1].isalnum() or rest[:1] in "<>~=&≤≥≈↑↓" else "")
                if rest[1:2] in ("?", "*"):  # an optional letter: give up, and try the pattern everywhere
                    letters.add("")
                break
            letters |= _first_letters(group)
            if quantifier not in ("?", "*"):
                break
    return frozenset(letters)


def _split(pattern: str) -> list[str]:
    """The alternatives of a pattern: what stands between `|` outside of all brackets."""
    parts, depth, start = [], 0, 0
    for i, character in enumerate(_structure(pattern)):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append(pattern[start:i])
            start = i + 1
    return [*parts, pattern[start:]]


def _first_group(pattern: str) -> tuple[str | None, str, str]:
    """The leading `(?:...)` or `(?i:...)` of a pattern without its brackets, its quantifier, and what follows."""
    opening = re.match(r"\(\?i?:", pattern)
    if opening is None:
        return None, "", pattern
    depth, end = 0, 0
    for i, character in enumerate(_structure(pattern)):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            end = i
            break
    quantifier = pattern[end + 1 : end + 2] if pattern[end + 1 : end + 2] in ("?", "*", "+") else ""
    return pattern[opening.end() : end], quantifier, pattern[end + 1 + len(quantifier) :]


def _structure(pattern: str) -> str:
    """A pattern with escapes and character classes blanked out, of the same length."""
    return re.sub(r"\\.|\[(?:\\.|[^\]])*\]", lambda match: "_" * len(match.group()), pattern)


def match_calibration(text: str, position: int) -> Token | None:
    """Numbers that are no measurements: paper speed, gain, age, `12-lead`, `10 s strip`."""
    match = _CALIBRATION.match(text, position)
    return None if match is None else Token("skip", None, match.start(), match.end())


def match_word(text: str, position: int) -> Token | None:
    """The vocabulary's token at `position`, if there is one."""
    match = _patterns_from(text[position]).match(text, position)
    if match is None or match.end() == position:
        return None
    tag, value, _ = VOCABULARY[int(str(match.lastgroup)[1:])]
    return Token(tag, value, match.start(), match.end())


__all__ = ["Token", "match_calibration", "match_word"]
