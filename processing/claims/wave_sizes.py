# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Waves whose sizes are compared between leads: `the R wave is taller in V5 than in V4`, `the T wave is tallest in V3`."""

from collections.abc import Sequence

from .contrasts import EXCEEDS, MOST, degree
from .found import Found
from .words import Token

_WAVES = {wave: wave.upper() for wave in "prst"} | {f"{wave}_amplitude": wave.upper() for wave in "prst"}
_BETWEEN = ("word", "in", "of", "be", "it", "present", "verb", "neg")
_SIZES = {"more": "larger", "less": "smaller"}


def compare_waves(found: Sequence[Found], tokens: Sequence[Token], text: str) -> list[Found]:
    """The comparisons of a clause that nothing else has been read from.

    Args:
        found: what the clause states otherwise.
        tokens: of the clause, with groups of leads.
        text: the whole text, to which the tokens' positions belong.
    """
    places = [i for i, token in enumerate(tokens) if token.tag == "leads"]
    for i, token in enumerate(tokens):
        here = [item for item in found if item.first <= i <= item.last and not item.dropped]
        if token.tag != "subj" or token.value not in _WAVES or not all(item.bare for item in here):
            continue
        words = {j: text[tokens[j].start : tokens[j].end].lower() for j in range(len(tokens))}
        item = _between_leads(i, places, tokens, words, text) or _largest(i, places, tokens, words)
        if item is not None:
            item.value = f"{_WAVES[token.value]} {item.value}"
            denied = any(word.tag == "neg" for word in tokens[item.first : item.last])
            item.polarity = "negated" if denied else "affirmed"
            for bare in here:
                bare.dropped = True  # "P waves are tallest in II" says more than that they are there
            return [item]
    return []


def _between_leads(
    wave: int, places: list[int], tokens: Sequence[Token], words: dict[int, str], text: str
) -> Found | None:
    """`The R wave is taller in V5 than in V4`, `R in V6 exceeds that in V5`."""
    if len(places) != 2 or not _plain(tokens, {wave, *places}, min(wave, *places), places[1]):
        return None
    first, second = places
    joint = next(
        (
            j
            for j in range(first + 1, second)
            if words[j] == "than" or tokens[j].value in EXCEEDS or words[j].endswith(" than")
        ),
        None,
    )
    if joint is None:
        return None
    how = EXCEEDS.get(tokens[joint].value) if tokens[joint].tag == "cmp" else None
    how = next((said for token in tokens[:joint] if (said := degree(token, text)) is not None), how)
    if how is None:
        return None
    start = min(wave, first)
    return Found("wave_size", _SIZES[how], start, second, wave, groups=[first], less_in=[second])


def _largest(wave: int, places: list[int], tokens: Sequence[Token], words: dict[int, str]) -> Found | None:
    """`The T wave is tallest in V6`, `the tallest R wave is in lead I`."""
    if len(places) != 1 or places[0] < wave:
        return None
    at = [j for j in range(max(wave - 1, 0), places[0]) if words[j] in MOST]
    if not at or not _plain(tokens, {wave, *at, *places}, min(wave, at[0]), places[0]):
        return None
    return Found("wave_size", "larger", min(wave, at[0]), places[0], wave, groups=places, most=True)


def _plain(tokens: Sequence[Token], known: set[int], start: int, stop: int) -> bool:
    """Whether nothing stands between `start` and `stop` but what is known, small words and one comparison."""
    others = [token for j, token in enumerate(tokens[start : stop + 1], start) if j not in known]
    return (
        all(token.tag in (*_BETWEEN, "cmp", "subj") for token in others) and sum(t.tag == "cmp" for t in others) <= 1
    )


__all__ = ["compare_waves"]
