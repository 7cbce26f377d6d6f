# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The parts of a checked text that make its claims, without overlap, for showing verdicts in the text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .check import CONTRADICTED, NOT_MEASURABLE, SUPPORTED, CheckedClaim
from .verdicts import is_number, shown

# Where several claims are in the same words the gravest verdict is shown.
GRAVEST_FIRST = (CONTRADICTED, NOT_MEASURABLE, SUPPORTED)
_TOLERANCE = re.compile(r" \(tolerance [^)]*\)$")
_IN_SECONDS = re.compile(r"\d[\s-]?(?:s|sec|seconds?)\b", re.IGNORECASE)
_WORD = re.compile(r"\w(?:.*\w)?[°%)\]]?", re.DOTALL)


@dataclass(frozen=True)
class Span:
    """A stretch of a text that makes a claim.

    Attributes:
        start: first character in the text.
        end: position after the last one.
        verdict: `supported`, `contradicted` or `not_measurable`.
        measured: the measurement in words: `measured 121 bpm`.
        claims: numbers of the report's claims that are made here.
    """

    start: int
    end: int
    verdict: str
    measured: str
    claims: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """The span as JSON holds it; `start` and `end` count characters."""
        return {
            "start": self.start,
            "end": self.end,
            "verdict": self.verdict,
            "measured": self.measured,
            "claims": list(self.claims),
        }


def answer_spans(text: str, checked: Sequence[CheckedClaim]) -> tuple[Span, ...]:
    """The stretches of `text` that make its checked claims, in its order.

    Claims may share words: in "atrial flutter, regular" the rhythm is the first half, the regularity the whole. Every character is
    assigned to the shortest claim that contains it. A claim is shown at the longest part that it keeps, or, if it keeps nothing, together
    with the claim that took its words.

    Examples:
        >>> from processing.ecg_features import extract_features
        >>> from processing.simulator.simulator import simulate_ecg
        >>> from processing.grounding.check import check_grounding
        >>> features = extract_features(simulate_ecg(heart_rate=72, seed=1).record)
        >>> text = "Sinus rhythm, irregular, 111 bpm."
        >>> spans = answer_spans(text, check_grounding(text, features).claims)
        >>> [(text[span.start : span.end], span.verdict) for span in spans]
        [('Sinus rhythm', 'supported'), ('irregular', 'contradicted'), ('111 bpm', 'contradicted')]
    """
    owner = _owners(len(text), checked)
    shared: dict[tuple[int, int], list[int]] = {}
    for number, item in enumerate(checked):
        place = _own_words(text, number, item, owner)
        if place is None:
            taken = owner[item.claim.start]
            place = None if taken is None else _own_words(text, taken, checked[taken], owner)
        shared.setdefault(place or (item.claim.start, item.claim.end), []).append(number)
    return tuple(_span(place, numbers, checked) for place, numbers in sorted(shared.items()))


def _owners(length: int, checked: Sequence[CheckedClaim]) -> list[int | None]:
    """For each character the number of the shortest claim that contains it; of equally long claims the first."""
    owner: list[int | None] = [None] * length
    by_length = sorted(range(len(checked)), key=lambda n: checked[n].claim.end - checked[n].claim.start)
    for number in reversed(by_length):
        claim = checked[number].claim
        owner[claim.start : claim.end] = [number] * (claim.end - claim.start)
    return owner


def _own_words(text: str, number: int, item: CheckedClaim, owner: list[int | None]) -> tuple[int, int] | None:
    """The longest stretch of a claim's words that no shorter claim says, without punctuation around it."""
    start, end = item.claim.start, item.claim.end
    best: tuple[int, int] | None = None
    for run in re.finditer("1+", "".join("1" if owner[at] == number else "0" for at in range(start, end))):
        words = _WORD.search(text[start + run.start() : start + run.end()])
        if words is None:
            continue
        first, last = _with_whole_brackets(
            text, start + run.start() + words.start(), start + run.start() + words.end()
        )
        if best is None or last - first > best[1] - best[0]:
            best = first, last
    return best


def _with_whole_brackets(text: str, first: int, last: int) -> tuple[int, int]:
    """A stretch of text without half a pair of round brackets: `prolonged` of `(prolonged)`, `(normal: 80), wide` of `normal: 80), wide`."""
    depth = lowest = 0
    for character in text[first:last]:
        depth += {"(": 1, ")": -1}.get(character, 0)
        lowest = min(lowest, depth)
    if lowest < 0 and text[last - 1] == ")":
        return first, last - 1
    return (first - 1, last) if lowest < 0 and text[first - 1 : first] == "(" else (first, last)


def _span(place: tuple[int, int], numbers: Sequence[int], checked: Sequence[CheckedClaim]) -> Span:
    verdict = min((checked[number].verdict for number in numbers), key=GRAVEST_FIRST.index)
    gravest = next(checked[number] for number in numbers if checked[number].verdict == verdict)
    return Span(*place, verdict, measured_in_words(gravest), tuple(numbers))


def measured_in_words(item: CheckedClaim) -> str:
    """What the measurements say about a claim, to be shown beside its words: `measured 121 bpm`, or why they say nothing.

    Where the text speaks of seconds, so does this: `measured 0.21 s`.
    """
    explanation = _TOLERANCE.sub("", item.explanation)
    if item.verdict == NOT_MEASURABLE:
        return f"not measurable: {explanation}"
    if is_number(item.claim) and isinstance(item.measured, float):
        if item.claim.unit == "ms" and _IN_SECONDS.search(item.claim.quote):
            return f"measured {shown(item.measured / 1000, 's')}"
        return f"measured {shown(item.measured, item.claim.unit)}"
    if " measures " in explanation:
        return f"measured {explanation.rpartition(' measures ')[2]}"
    # Without the name of what is measured, which the text has just said.
    return f"measured: {re.split(': |, but ', explanation, maxsplit=1)[-1]}"


__all__ = ["Span", "answer_spans", "measured_in_words"]
