# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Numbers that are said to be the longest or the shortest: `the shortest RR is 340 ms and the longest 770 ms`."""

import re
from collections.abc import Sequence

from .found import Found
from .words import Token

_OF_MANY = ("rr_interval", "pause")  # what a record has many of, that differ
_WORDS = {
    "longest": r"longest|maximum|maximal|max|greatest|largest|up\s+to",
    "shortest": r"shortest|minimum|minimal|min|smallest|least",
}
_EXTREME = re.compile("|".join(rf"(?P<{name}>\b(?:{words})\b)" for name, words in _WORDS.items()), re.IGNORECASE)
_BEHIND = re.compile(rf"[\s(]*(?:at\s+(?:the|its|their)\s+|the\s+)?(?:{_EXTREME.pattern})", re.IGNORECASE)
_KEPT = (">", "<", "between")


def name_extremes(found: Sequence[Found], tokens: Sequence[Token], text: str) -> None:
    """Sets `comparator` to `longest` or `shortest` where a number is said to be that.

    Args:
        found: what the clause states; of RR intervals and pauses the comparator is changed.
        tokens: of the clause.
        text: the whole text, to which the tokens' positions belong.
    """
    numbers = [i for i, token in enumerate(tokens) if token.tag == "num"]
    for item in found:
        if item.kind not in _OF_MANY or item.unit is None or item.comparator in _KEPT:
            continue
        own = item.anchor if item.is_number else next((i for i in item.extra if i in numbers), None)
        if own is None:
            continue
        before = max((i for i in numbers if i < own), default=-1)
        start = tokens[before + 1].start
        named = list(_EXTREME.finditer(text, start, tokens[max(own, item.first)].start))
        behind = _BEHIND.match(text, tokens[own].end)
        word = behind or (named[-1] if named else None)
        if word is not None:
            item.comparator = word.lastgroup


__all__ = ["name_extremes"]
