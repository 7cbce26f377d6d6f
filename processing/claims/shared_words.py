# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Findings that share their last words: `left or right bundle branch block`, `first-, second- or third-degree AV block`."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from .words import Token, match_word

_WORD = r"left|right|anterior|posterior|first|second|third|1st|2nd|3rd"
_OWN = re.compile(rf"(?:{_WORD})\b", re.IGNORECASE)
_BEFORE = re.compile(
    rf"\b(?P<word>{_WORD})(?:[\s-]*degree\b|-)?(?:\s*,)?\s*(?:(?:and/or|or|nor|and)\s+(?:an?\s+)?|/\s*|(?<=,)\s*)$",
    re.IGNORECASE,
)
_REACH = 30  # characters of a word and the joint behind it


def sharing(tokens: Sequence[Token], i: int, text: str) -> Iterator[tuple[int, Any]]:
    """Findings whose last words are those of the one at `i`: the index of their first token, and kind and value.

    Examples:
        >>> from processing.claims.tokens import tokenize
        >>> text = "left or right bundle branch block"
        >>> list(sharing(tokenize(text), 2, text))
        [(0, ('lbbb', True))]
    """
    own = text[tokens[i].start : tokens[i].end]
    head = _OWN.match(own)
    end = tokens[i].start
    while head is not None and (before := _BEFORE.search(text, max(end - _REACH, 0), end)) is not None:
        other = match_word(before["word"] + own[head.end() :], 0)
        if other is None or other.tag != "term" or other.value == tokens[i].value:
            return
        end = before.start()
        first = max((j for j in range(i) if tokens[j].start <= end), default=i)
        yield first, other.value


__all__ = ["sharing"]
