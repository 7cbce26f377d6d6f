# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Places that a sentence sets against each other: `inferior, not anterior`, `only in III`, `greater in II than in III`."""

import re
from collections.abc import Sequence
from dataclasses import replace

from .found import JOINTS, Found
from .meaning import LEAD_FINDINGS, OPPOSITE_POLARITY
from .words import Token

_AGAINST = ("not", "rather", "instead", "as", "without")  # first words of what sets one place against another
_ONLY = ("only", "alone", "exclusively", "solely")
_ONLY_TO = ("confined", "limited", "restricted", "localized", "localised", "isolated")
_MORE = ("greater", "higher", "more", "larger", "deeper", "taller", "bigger", "stronger")
MOST = (
    "greatest",
    "maximal",
    "maximum",
    "largest",
    "highest",
    "deepest",
    "tallest",
    "biggest",
    "most marked",
    "most pronounced",
    "most prominent",
    "peaks",
)
_IS_MOST = re.compile(rf"\b(?:{'|'.join(MOST)})\b")
_MOST_REACH = 20  # characters
_ONLY_OF_A_WALL = re.compile(r"leads,\s+only\b", re.IGNORECASE)  # "of the chest leads, only V2"
_LESS = ("less", "lower", "smaller", "shallower", "shorter", "milder", "weaker")
EXCEEDS = {">": "more", "<": "less"}  # "ST elevation in II > III"
_SMALL = ("lead", "leads", "the", "to", "limb", "chest", "involvement", "extension", "involving")
# Findings with a size in every lead, by which leads can be compared.
SIZED = ("st_elevation", "st_depression", "t_inversion", "t_tall")


def set_against(found: list[Found], tokens: Sequence[Token], text: str) -> list[Found]:
    """Sets the places of findings right that are contrasted or compared; returns the denials that an `only` implies.

    Args:
        found: findings and numbers of a clause, with their polarity and their places.
        tokens: of the clause.
        text: the whole text.
    """
    places = [i for i, token in enumerate(tokens) if token.tag == "leads"]
    if not places:
        return []
    for i, token in enumerate(tokens):
        if token.tag == "neg" and token.value == "before":
            _contrast(found, tokens, i, text)
    for item in found:
        sized = item.is_number or item.quantity is not None or item.pairs or item.ahead
        if item.kind in SIZED and len(item.groups) > 1 and not sized:
            _compare(item, tokens, text)
        elif item.kind in SIZED and len(item.groups) == 1 and not sized and item.polarity != "hedged":
            before = item.groups[0] - 1
            while before > item.anchor and _small(tokens[before]):
                before -= 1
            named = text[tokens[before].start - len("most ") : tokens[before].end].lower()
            if (before > item.anchor and _IS_MOST.search(named)) or _called_most(item, tokens, text):
                item.most, item.value = True, "more"  # "is greatest in III"
    return [denial for place in places if (denial := _only(found, tokens, place, text)) is not None]


def _called_most(item: Found, tokens: Sequence[Token], text: str) -> bool:
    """`The largest ST elevation is in V1`, `the deepest T wave inversion is found in III`."""
    between = tokens[item.last + 1 : item.groups[0]]
    if item.groups[0] < item.first or not any(token.tag == "be" for token in between):
        return False
    before = text[max(tokens[item.first].start - _MOST_REACH, 0) : tokens[item.first].start].lower().rstrip()
    return before.endswith(MOST)


def _small(token: Token) -> bool:
    return token.tag in ("in", "of") or (token.tag == "word" and token.value in _SMALL)


def _contrast(found: list[Found], tokens: Sequence[Token], i: int, text: str) -> None:
    """`inferior rather than anterior ST elevation`, `in II, not in V2`: affirmed of the first place, denied of the second."""
    if text[tokens[i].start : tokens[i].end].lower().split()[0] not in _AGAINST:
        return
    after = i + 1
    while after < len(tokens) and _small(tokens[after]):
        after += 1
    before = i - 1
    while before >= 0 and (_small(tokens[before]) or tokens[before].tag in ("comma", "open", "close")):
        before -= 1
    if before < 0 or after >= len(tokens) or tokens[before].tag != "leads" or tokens[after].tag != "leads":
        return
    for item in found:
        if after not in item.groups or item.is_number or item.polarity == "hedged" or item.denied_at is not None:
            continue
        if item.anchor < i and before in item.groups:
            item.polarity = OPPOSITE_POLARITY[item.polarity]  # that of the places behind the negation
        elif item.anchor < i:
            continue
        item.groups = sorted({before, *item.groups})
        item.denied_at = i


def _compare(item: Found, tokens: Sequence[Token], text: str) -> None:
    """`ST elevation is greater in II than in III`: a claim about the first leads, compared with the second ones."""
    for i in range(len(tokens)):
        word = text[tokens[i].start : tokens[i].end].lower()
        more = EXCEEDS.get(tokens[i].value) if tokens[i].tag == "cmp" else None
        if more is None and word != "than" and not word.startswith("compared"):
            continue
        after = i + 1
        while after < len(tokens) and (_small(tokens[after]) or tokens[after].tag == "it"):
            after += 1
        more = more or next((how for token in tokens[:i] if (how := degree(token, text)) is not None), None)
        if after in item.groups and more is not None and min(item.groups) < i:
            item.less_in = [place for place in item.groups if place > i]
            item.groups = [place for place in item.groups if place < i]
            item.value = more
            if any(token.tag == "neg" and token.value == "before" for token in tokens[item.last + 1 : i]):
                item.dropped = item.polarity == "hedged"  # "possible ST elevation is not greater in II than in III"
                item.polarity = OPPOSITE_POLARITY[item.polarity]
            return


def degree(token: Token, text: str) -> str | None:
    """`more` or `less`, where a word says that one place shows more than another."""
    word = text[token.start : token.end].lower()
    return "more" if word in _MORE else "less" if word in _LESS else None


def _only(found: list[Found], tokens: Sequence[Token], place: int, text: str) -> Found | None:
    """`ST elevation in III only`, `confined to V1-V3`: denies the finding in all other leads, at the word that says so."""
    owners = [
        item
        for item in found
        if place in item.groups and item.kind in LEAD_FINDINGS and not item.is_number and not item.dropped
    ]
    owner = max(owners, key=lambda item: item.anchor, default=None)
    default = "negated" if owner is not None and owner.inherent_negation else "affirmed"
    if owner is None or owner.polarity != default or owner.groups != [place]:
        return None
    at = _word_for_only(tokens, place)
    if at is None:
        at = _only_lead(tokens, place, owner)
    if at is None and _ONLY_OF_A_WALL.search(text, tokens[place].start, tokens[place].end):
        at = place
    if at is None:
        return None
    denied = replace(owner, polarity=OPPOSITE_POLARITY[default], first=at, last=at, elsewhere=True)
    return replace(denied, extra=[], pairs=[], ahead=[], quantity=None, comparator=None, unit=None, value=None)


def _only_lead(tokens: Sequence[Token], place: int, owner: Found) -> int | None:
    """`V3 is the only lead with ST elevation`, `isolated ST elevation in V3`: index of the word."""
    if owner.first and tokens[owner.first - 1].value == "isolated":
        return owner.first - 1
    words = [token.value for token in tokens[place + 1 : place + 5]]
    return place + 3 if tokens[place + 1 : place + 2] and words[1:4] == ["the", "only", "lead"] else None


def _word_for_only(tokens: Sequence[Token], place: int) -> int | None:
    before = place - 1
    while before >= 0 and _small(tokens[before]):
        before -= 1
    if before >= 0 and tokens[before].value in (*_ONLY, *_ONLY_TO):
        limited_to = tokens[before].value not in _ONLY_TO or tokens[before + 1].value in ("to", None)
        return before if limited_to else None
    after = place + 1
    if after < len(tokens) and tokens[after].value in _ONLY:
        follows = tokens[after + 1].tag if after + 1 < len(tokens) else "none"
        return after if follows in ("none", "close", "with", *JOINTS) else None
    return None


__all__ = ["EXCEEDS", "MOST", "SIZED", "degree", "set_against"]
