# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What is said of the signal in words that mean it only there: `V1 is flat`, `the tracing is clean`, `the quality in II is excellent`.

`Flat`, `missing` and `off` are said of waves, findings and drugs as well. They say that a lead has no signal where the lead, or the
tracing, is what the sentence is about.
"""

from collections.abc import Sequence
from itertools import pairwise

from .found import Found
from .words import Token

SIGNAL_QUALITY = "signal_quality"
_RECORDS = ("ecg", "ekg", "record", "recording", "electrocardiogram")
_SIGNAL = ("signal", "signals", "trace", "tracing", "traces", "channel", "lead", "leads", *_RECORDS)
_MISSING = ("missing", "absent", "lost", "off")
_AROUND_LEADS = ("and", "or", "comma", "slash", "in", "of", "colon", "neg")
_OTHERS = (
    "the",
    "lead",
    "leads",
    "electrode",
    "electrodes",
    "of",
    "in",
    "from",
    "at",
    "both",
    "all",
    "entire",
    "whole",
)
# Between `is` and what it says.
_ADVERBS = ("completely", "entirely", "totally", "essentially", "very", "too", "also", "both", "all", "rather", "quite", "partly", "now", "almost", "largely", "perfectly", "technically", "switched", "generally")  # fmt: skip
_NOT_SAID = ("almost", "partly", "largely")
_UNREADABLE = ("unreadable", "uninterpretable", "illegible")
_LEAD_STATES = {
    **dict.fromkeys(("flat", "off", "dead", "blank", "missing", "absent", "lost"), "no signal"),
    **dict.fromkeys(_UNREADABLE, "unreadable"),
    **dict.fromkeys(("clean", "undisturbed"), "clean"),
}
_DENIED_STATES = {
    **dict.fromkeys(("recorded", "connected", "acquired", "attached"), "no signal"),
    **dict.fromkeys(("readable", "interpretable", "legible"), "unreadable"),
}
_QUALITIES = {
    **dict.fromkeys(("excellent", "acceptable", "satisfactory", "sufficient", "fine", "optimal", "perfect", "decent", "reasonable"), "good"),
    **dict.fromkeys(("bad", "suboptimal", "insufficient", "inadequate", "unsatisfactory", "unacceptable", "limited", "degraded", "impaired", "compromised", "terrible"), "poor"),
    **dict.fromkeys(("moderate", "fair", "average", "mediocre", "variable"), "moderate"),
}  # fmt: skip
# Values of the tokens, `flat` among the qualities and `missing` among the negations, without which nothing is read here.
_VALUES = frozenset((*_LEAD_STATES, *_DENIED_STATES, *_QUALITIES, "absent", "after"))
_TAGS = ("word", "qual", "neg")


def read_states(tokens: Sequence[Token], text: str, carried: str | None, found: Sequence[Found]) -> list[Found]:
    """The statements of a clause about its leads, its tracing or the quality as a subject, which `read_clause` does not know.

    Args:
        tokens: of the clause.
        text: the whole text.
        carried: the subject of the clause before.
        found: what `read_clause` found.
    """
    if _VALUES.isdisjoint([value for tag, value, _, _ in tokens if tag in _TAGS]):
        return []
    stated = _quality(tokens, text, found)
    return stated or ([] if carried not in (None, SIGNAL_QUALITY) else _state(tokens, text))


def parted(clause: list[Token]) -> list[list[Token]]:
    """A clause about the signal in parts, each with its leads; another clause whole.

    `The quality of V1 is poor and that of V2 good`, `V1 is noisy, the other leads are clean`.
    """
    if not [value for tag, value, _, _ in clause if (tag == "term" or tag == "subj") and SIGNAL_QUALITY in value]:
        return [clause]
    starts = [start for i in range(2, len(clause) - 1) if (start := _part_from(clause, i)) is not None]
    return [clause[start:stop] for start, stop in pairwise([0, *starts, len(clause)])]


def _part_from(clause: Sequence[Token], i: int) -> int | None:
    """Where a new part begins that the token at `i` introduces: `that of`, or leads of which something is said."""
    if clause[i].tag == "it":
        return i if clause[i + 1].tag in ("of", "in") else None
    if clause[i].tag != "leads" or clause[i + 1].tag not in ("be", "verb"):
        return None
    start = i
    while clause[start - 1].value in _OTHERS:
        start -= 1
    return start if clause[start - 1].tag in ("comma", "and") else None


def _word(token: Token, text: str) -> str:
    return text[token.start : token.end].lower()


def _quality(tokens: Sequence[Token], text: str, found: Sequence[Found]) -> list[Found]:
    """`the quality in V3 is excellent`: a quality of which nothing was found, and a word for it after it."""
    subject = next((i for i, token in enumerate(tokens) if token[:2] == ("subj", SIGNAL_QUALITY)), None)
    if subject is None or any(item.first <= subject <= item.last for item in found):
        return []
    for i in range(subject + 1, len(tokens)):
        if tokens[i].tag in ("subj", "term"):
            return []
        value = _QUALITIES.get(_word(tokens[i], text))
        if value is not None:
            return [Found(SIGNAL_QUALITY, value, subject, i, i, by_predicate=True)]
    return []


def _state(tokens: Sequence[Token], text: str) -> list[Found]:
    """`V1 and V2 are flat`: what the leads or the tracing at the beginning of a clause are."""
    is_at = next((i for i, token in enumerate(tokens) if _says(token, text)), None)
    if is_at is None or not _of_the_signal(tokens[:is_at]):
        return []
    if _word(tokens[is_at], text) in _UNREADABLE:
        return [_found("unreadable", is_at)]
    if tokens[is_at].tag != "be":
        return [] if _of_a_record(tokens[:is_at]) else [_found("no signal", is_at)]
    denied = False
    for i in range(is_at + 1, len(tokens)):
        word = _word(tokens[i], text)
        if denied and word in _DENIED_STATES:
            return [_found(_DENIED_STATES[word], i, denied=True)]
        if word in _LEAD_STATES:
            return [] if word in _MISSING and _of_a_record(tokens[:is_at]) else [_found(_LEAD_STATES[word], i)]
        if tokens[i].tag == "neg" and tokens[i].value == "before":
            denied = True
        elif word not in _ADVERBS or word in _NOT_SAID:
            break
    return []


def _found(value: str, i: int, denied: bool = False) -> Found:
    return Found(SIGNAL_QUALITY, value, i, i, i, inherent_negation=denied, by_predicate=True)


def _says(token: Token, text: str) -> bool:
    """Whether a token is an `is`, or `is missing` in one, or a word that needs none: `V3 unreadable`."""
    verb, _, state = _word(token, text).partition(" ")
    is_missing = token.tag == "neg" and verb in ("is", "are", "was", "were") and state in _MISSING
    return token.tag == "be" or is_missing or (token.tag == "word" and verb in _UNREADABLE)


def _of_the_signal(before: Sequence[Token]) -> bool:
    """Whether the words before `is` name leads or the tracing, and nothing else."""
    named = [token for token in before if token.tag == "leads" or token.value in _SIGNAL]
    others = (token for token in before if token not in named)
    return bool(named) and all(token.tag in _AROUND_LEADS or token.value in _OTHERS for token in others)


def _of_a_record(before: Sequence[Token]) -> bool:
    """Whether a whole recording is named, which may be missing from a file without saying anything of a signal."""
    return any(token.value in _RECORDS for token in before)


__all__ = ["SIGNAL_QUALITY", "parted", "read_states"]
