# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Numbers of a clause that state a normal limit instead of a measurement."""

from collections.abc import Sequence

from .meaning import OPPOSITE_COMPARISON, SMALL_SQUARE_MS, SQUARES
from .words import Token

_SMALL_WORDS = ("the", "a", "an", "for", "adults", "adult", "is", "are", "value", "values", "range")


def reference_numbers(tokens: Sequence[Token], text: str, qualities: set[int]) -> set[int]:
    """
    Indices of numbers that are reference limits, as in `160 ms (normal 120-200 ms)` or `below the limit of 200 ms`, or times of
    beats.

    Args:
        tokens: the tokens of the text.
        text: the text.
        qualities: indices of words such as `normal` that introduce a limit.
    """
    return _ReferenceFinder(tokens, text, qualities).find()


class _ReferenceFinder:
    def __init__(self, tokens: Sequence[Token], text: str, qualities: set[int]) -> None:
        self.tokens = tokens
        self.text = text
        self.qualities = qualities

    def tag(self, index: int) -> str:
        return self.tokens[index].tag if 0 <= index < len(self.tokens) else "none"

    def find(self) -> set[int]:
        references = {i for i, token in enumerate(self.tokens) if token.tag == "num" and self._is_reference(i)}
        for i, token in enumerate(self.tokens):
            # "(normal < 450 ms in men, < 460 ms in women)": a bracket continues as it began; "beat 3 (1.92 s)" is a time.
            if token.tag == "num" and self._restates(i):
                references.add(i)
            goes_on = self._compared(i) and bool(self._same_bracket(i) & references)
            of_a_beat = self.tag(i - 1) == "open" and self.tag(i - 2) == "beats"
            if token.tag == "num" and (goes_on or (of_a_beat and token.value.unit == "s")):
                references.add(i)
        return references

    def _compared(self, i: int) -> bool:
        return self.tag(i - 1) == "cmp" and self.tokens[i - 1].value in OPPOSITE_COMPARISON

    def _restates(self, i: int) -> bool:
        """`less than one large square (200 ms)`: a limit in another unit, in brackets after it."""
        if self.tag(i - 1) != "open" or self.tag(i - 2) != "num" or not self._compared(i - 2):
            return False
        limit, again = self.tokens[i - 2].value, self.tokens[i].value
        of_a_ms = {"s": 1000.0, "ms": 1.0, SQUARES: SMALL_SQUARE_MS}
        if limit.unit not in of_a_ms or again.unit not in of_a_ms or limit.unit == again.unit:
            return False
        return abs(limit.low * of_a_ms[limit.unit] - again.low * of_a_ms[again.unit]) < 1

    def _same_bracket(self, i: int) -> set[int]:
        """The tokens before `i` in the bracket that it stands in; none outside of brackets."""
        for j in range(i - 1, -1, -1):
            if self.tag(j) == "open":
                return set(range(j, i))
            if self.tag(j) == "close":
                break
        return set()

    def _is_reference(self, i: int) -> bool:
        if self._compared(i) and self._in_brackets_after_a_number(i):
            return True
        j = self._before_small_words(i - 1)
        if self.tag(j) == "subj" and self.tag(self._before_small_words(j - 1)) == "ref":
            return True  # "normal values for PR are 120-200 ms"
        if self.tag(j) == "ref":
            exceeds = any(self.tag(k) == "cmp" for k in (j - 1, j - 2)) and self.tag(j - 1) in ("cmp", "word")
            return not exceeds
        compared_words = self.text[self.tokens[j].start : self.tokens[j].end] if self.tag(j) == "qual" else ""
        if " than" in compared_words or (" normal" in compared_words and self.tokens[j].value in ("high", "low")):
            return True  # "slower than the normal 60-100 bpm", "below the lower limit of normal (60 bpm)"
        return j in self.qualities or (self.tag(j) == "skip" and self._compared(i))

    def _before_small_words(self, j: int) -> int:
        while self.tag(j) in ("cmp", "colon", "be", "of", "open", "in") or (
            self.tag(j) == "word" and self.tokens[j].value in _SMALL_WORDS
        ):
            j -= 1
        return j

    def _in_brackets_after_a_number(self, i: int) -> bool:
        """`160 ms (< 200 ms)`; `normal (< 200 ms)` too."""
        j = i - 1
        while j >= 0 and self.tag(j) != "open":
            if self.tag(j) in ("num", "subj", "close"):
                return False
            j -= 1
        if j < 0:
            return False
        k = j - 1
        while self.tag(k) in ("word", "comma"):
            k -= 1
        return self.tag(k) == "num" or (self.tag(k) == "qual" and self.tokens[k].value in ("normal", "normal_range"))


def is_first_bound(tokens: Sequence[Token], j: int, i: int) -> bool:
    """Whether the number at `j` is the first of two bounds whose second is at `i`: `above 60 but below 65`."""
    between = [token.tag for token in tokens[j + 1 : i - 1]]
    return (
        j > 0 and tokens[j].tag == "num" and tokens[j - 1].tag == "cmp" and between in (["and"], ["break"], ["comma"])
    )


__all__ = ["is_first_bound", "reference_numbers"]
