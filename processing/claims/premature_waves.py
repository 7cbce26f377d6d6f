# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What is said of premature beats' own waves: `PVCs, each with a QRS of 150 ms`, `the T waves of the PVCs`, `PVCs preceded by P waves`."""

import re
from collections.abc import Sequence

from .findings_rhythm import PREMATURE
from .found import Found
from .words import Token

_WAVES = ("qrs_duration", "p_waves", "t_inversion")
# Between the beats and the wave, and between the wave and the beats.
_BEATS_FIRST = re.compile(
    r"\s+|\s*,?\s*(?:each|all|both)\s+(?:with|having|of)\s+(?:an?\s+|the\s+)?|\s*,?\s*whose\s+"
    r"|\s+(?:have|has|show)\s+(?:an?\s+)?|\s+with\s+(?:an?\s+)?"
    r"|\s*,?\s*(?:(?:are|is|all|each)\s+)*(?:not\s+)?(?:preceded|led)\s+by\s+(?:an?\s+|inverted\s+)?",
    re.IGNORECASE,
)
_WAVE_FIRST = re.compile(
    r"\s*(?:width|duration|complex(?:es)?)?\s*(?:of|in)\s+(?:the\s+|these\s+|all\s+)*", re.IGNORECASE
)


def say_of_premature_beats(found: Sequence[Found], tokens: Sequence[Token], text: str) -> None:
    """Sets `of_beats` of findings and numbers about the waves of premature beats, which are not those of the record.

    Args:
        found: what the clause states.
        tokens: of the clause.
        text: the whole text, to which the tokens' positions belong.
    """
    beats = [item for item in found if item.kind in PREMATURE and item.polarity != "negated"]
    for item in found:
        if item.kind not in _WAVES:
            continue
        for other in beats:
            behind = other.last < item.first and _BEATS_FIRST.fullmatch(
                text, tokens[other.last].end, tokens[item.first].start
            )
            ahead = item.first < other.first and _WAVE_FIRST.fullmatch(
                text, tokens[item.first].end, tokens[other.first].start
            )
            if behind or ahead:
                item.of_beats = other.kind
                item.extra += [other.first, other.last]


__all__ = ["say_of_premature_beats"]
