# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Statements about ECGs in general, other recordings, a person's history, and questions: no claims about this ECG."""

import re
from collections.abc import Sequence

from .found import Found
from .meaning import OPPOSITE_COMPARISON
from .words import Token

_NOW = ("now", "currently", "today", "presently", "current")
_COMPARED_BY = ("as", "like", "than", "from", "with", "to", "since", "versus", "vs")
_BEFORE_A_RECORD = ("the", "a", "an", "on", "in", "of", "at", "that", "seen", "her", "his", "their")
_PERSISTS = ("persists", "persist", "persisting", "again", "still", "unchanged", "continues")
_SHOWS = ("shows", "showed", "reveal", "demonstrate", "display")
# Where a question begins.
_ASKS = ("is", "are", "was", "were", "could", "can", "does", "do", "did", "has", "what", "which", "why", "should", "may", "might")  # fmt: skip
_ASKED = re.compile(
    r"[)\]\s]*\?(?:\W{0,5}(?:(?P<yes>yes|present|positive)|(?P<no>no|none|negative|absent|not\s+(?:present|seen)))\s*(?:[.,;:!\n]|$))?",
    re.IGNORECASE,
)
_QUERIED = re.compile(r"(?:^|[\s(:,;])\?\s?$")


def drop_what_is_not_of_this_ecg(found: list[Found], tokens: Sequence[Token], text: str) -> None:
    """Marks the findings and numbers of a clause that are no claims about this ECG as `dropped`.

    Args:
        found: the findings and numbers of the clause.
        tokens: of the clause.
        text: the whole text.
    """
    for i, token in enumerate(tokens):
        if token.tag == "general":
            for item in _covered(found, tokens, i, text):
                item.dropped = True
    if tokens[0].value == "had":  # "Had an infarct", "Had the QRS been wider"
        for item in found:
            item.dropped = item.dropped or item.anchor < _own_statement(tokens, 0)
    if [token.tag for token in tokens[:3]] == ["in", "term", "comma"] and tokens[1].value[0] not in (
        "rhythm",
        "qrs_axis",
    ):
        for item in found:  # "In LBBB, the QRS is wider than 120 ms"
            item.dropped = True
    if found:
        _drop_limits_of_a_definition(found, tokens)
        _answer_questions(found, tokens, text)


def _covered(found: list[Found], tokens: Sequence[Token], i: int, text: str) -> list[Found]:
    """What the words at `i` make no claim about this ECG."""
    how = tokens[i].value
    start, stop = i, len(tokens)
    if how == "clause" or (how == "characterised" and i > 0 and tokens[i - 1].tag == "term"):
        start = -1
    elif how == "after":
        # "A PR above 200 ms would be ..." is about PR in general, "..., which would suggest" only of what follows.
        start = -1 if text[tokens[i].start] in "wW" and i > 0 and tokens[i - 1].tag != "it" else i
    elif how == "definition" and tokens[i + 1 : i + 2] and tokens[i + 1].tag == "it":
        return []  # "defines this as LBBB"
    elif how in ("definition", "characterised"):
        by_a_limit = any(_limit_before(item, tokens, i) for item in found)
        # "which increases the risk of torsades" says nothing of torsades
        stop = stop if by_a_limit or "risk" in text[tokens[i].start : tokens[i].end].lower() else i
        start = -1 if by_a_limit else i
    elif how == "former":
        start = max((j for j in range(i) if tokens[j].tag == "comma"), default=-1)
        stop = next((j for j in range(i, stop) if tokens[j].tag == "comma"), stop)
    elif how == "phrase":
        stop = next((j for j in range(i, stop) if tokens[j].tag == "comma"), stop)
    elif how == "record":
        stop = i if _is_compared(tokens, i) else _own_statement(tokens, i)
    else:
        stop = _own_statement(tokens, i)
        if how == "history":  # "evaluation for atrial fibrillation shows ..."
            shows = (j for j in range(i, stop) if text[tokens[j].start : tokens[j].end].lower().startswith(_SHOWS))
            stop = next(shows, stop)
    covered = [item for item in found if start < item.anchor < stop]
    return [item for item in covered if not _is_there_now(item, tokens)] if how == "previously" else covered


def _is_compared(tokens: Sequence[Token], i: int) -> bool:
    """`as on the 2018 tracing`: what stands before it is stated of this ECG too."""
    j = i - 1
    while j >= 0 and (tokens[j].value in _BEFORE_A_RECORD or tokens[j].tag in ("in", "of", "present")):
        j -= 1
    return j >= 0 and (tokens[j].value in _COMPARED_BY or tokens[j].tag in ("with", "cmp"))


def _own_statement(tokens: Sequence[Token], i: int) -> int:
    """Where, after a history at `i`, something is stated of this ECG: at a `now`, or in a part with a predicate after a comma."""
    for j in range(i + 1, len(tokens)):
        if tokens[j].tag == "word" and tokens[j].value in _NOW:
            return j
        if tokens[j].tag == "comma":
            end = next((k for k in range(j + 1, len(tokens)) if tokens[k].tag == "comma"), len(tokens))
            dependent = tokens[j + 1 : j + 2] and (tokens[j + 1].tag == "it" or tokens[j + 1].value == "when")
            if not dependent and any(token.tag in ("be", "verb") for token in tokens[j:end]):
                return j
    return len(tokens)


def _is_there_now(item: Found, tokens: Sequence[Token]) -> bool:
    """`previously seen ST elevation has resolved`, `persists`: a predicate of its own behind it."""
    commas = (j for j in range(item.last, len(tokens) - 1) if tokens[j].tag == "comma" and tokens[j + 1].tag != "it")
    behind = tokens[item.last + 1 : next(commas, None)]
    return any(token.tag in ("be", "verb", "neg") or token.value in _PERSISTS for token in behind)


def _limit_before(item: Found, tokens: Sequence[Token], i: int) -> bool:
    """Whether an item is a limit before `i` that nothing is said to have: `a QTc above 500 ms`."""
    last = max((item.last, *item.extra))
    compared = item.comparator in OPPOSITE_COMPARISON and item.polarity != "negated" and last < i
    return compared and not any(token.tag in ("be", "verb", "it") for token in tokens[item.first : i])


def _drop_limits_of_a_definition(found: list[Found], tokens: Sequence[Token]) -> None:
    """`A QTc above 460 ms is prolonged in women`: a limit with an article in front, of which a quality is said."""
    for item in found:
        before = tokens[item.first - 1] if item.first else None
        if before is None or before.value not in ("a", "an", "any") or item.comparator not in OPPOSITE_COMPARISON:
            continue
        stop = next((j for j in range(item.last + 1, len(tokens)) if tokens[j].tag in ("be", "comma")), None)
        if stop is None or tokens[stop].tag != "be" or not _limit_before(item, tokens, stop):
            continue
        if tokens[stop + 1 : stop + 2] and tokens[stop + 1].tag in ("qual", "term", "word"):
            for other in found:
                other.dropped = True


def _answer_questions(found: list[Found], tokens: Sequence[Token], text: str) -> None:
    """`?AF`, `LBBB?`: asked, not stated; an answer `No.` denies, `Yes.` states it."""
    for item in found:
        if _QUERIED.search(text[max(tokens[item.first].start - 3, 0) : tokens[item.first].start]):
            item.dropped = True
    asked = _ASKED.match(text, tokens[-1].end)
    if asked is None:
        return
    whole = text[tokens[0].start : tokens[0].end].lower().split(" ")[0] in _ASKS
    start = -1 if whole else max((j for j, token in enumerate(tokens) if token.tag == "comma"), default=-1)
    for item in found:
        if item.anchor <= start or asked["yes"]:
            continue
        if asked["no"] and not item.is_number and item.polarity == "affirmed":
            item.polarity = "negated"
        else:
            item.dropped = True


__all__ = ["drop_what_is_not_of_this_ecg"]
