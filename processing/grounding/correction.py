# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Corrects a text: contradicted numbers are replaced by the measured ones, other contradicted claims are struck out.

Every change is put in square brackets, so that it stays visible when the text is copied: "[121 bpm]", "[struck out]".
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from processing.claims.claims import Claim
from processing.claims.meaning import WITH_MAGNITUDE
from processing.ecg_features import EcgFeatures

from .check import CONTRADICTED, CheckedClaim, GroundingReport, check_grounding
from .spans import answer_spans, measured_in_words
from .verdicts import DEFAULT_TOLERANCES, Tolerances, is_number

STRUCK_OUT = "[struck out]"
# A number with its unit, as an answer writes it. What it means, the claim knows.
_NUMBER = re.compile(
    r"(?<![\w.])(?P<number>[-+−]?\d+(?:[.,]\d+)?)"
    r"(?P<unit>[\s-]?(?:ms|msec|milliseconds|s|sec|seconds|m[Vm]|[uµμ]V|millivolts?|bpm|/\s?min|beats(?:/| per )min(?:ute)?|°|degrees?|deg)(?!\w))?"
)
# What ends a statement, where its own words are not enough to be struck out.
_END = re.compile(r"[.;!?](?=\s|$)|\n")


@dataclass(frozen=True)
class Edit:
    """One change of a text.

    Attributes:
        start: first character in the original text.
        end: position after the last one.
        was: the original words.
        new_start: first character in the corrected text.
        new_end: position after the last one.
        now: the new words: the measured value or `[struck out]`.
        measured: the measurement in words.
    """

    start: int
    end: int
    was: str
    new_start: int
    new_end: int
    now: str
    measured: str

    @property
    def is_struck(self) -> bool:
        """Whether the words are gone without a value in their place."""
        return self.now == STRUCK_OUT

    def to_dict(self) -> dict[str, Any]:
        """The change as JSON holds it; `struck_out` says whether nothing took the words' place."""
        return {**vars(self), "struck_out": self.is_struck}


@dataclass(frozen=True)
class _Change:
    """Characters of the original that are replaced."""

    start: int
    end: int
    now: str
    measured: str


@dataclass(frozen=True)
class _Draft:
    """The original with changes, which are in its order and do not overlap."""

    original: str
    changes: tuple[_Change, ...] = ()

    @property
    def text(self) -> str:
        pieces, last = [], 0
        for change in self.changes:
            pieces += [self.original[last : change.start], change.now]
            last = change.end
        return "".join([*pieces, self.original[last:]])

    def with_change(self, start: int, end: int, now: str, measured: str) -> "_Draft":
        """One more change of the characters `start` to `end` of `text`; changes that it touches are taken up by it."""
        first, last = self._in_original(start, False), self._in_original(end, True)
        taken = [change for change in self.changes if change.start < last and first < change.end]
        first = min([first, *(change.start for change in taken)])
        last = max([last, *(change.end for change in taken)])
        if now == STRUCK_OUT:
            first, last = self._whole_brackets(first, last)
        kept = [change for change in self.changes if change not in taken]
        kept.append(_Change(first, last, now, measured))
        return replace(self, changes=tuple(sorted(kept, key=lambda change: change.start)))

    def _whole_brackets(self, first: int, last: int) -> tuple[int, int]:
        """The characters and the other half of a pair of brackets that they have one of, if it is next to them."""
        struck = self.original[first:last]
        if struck.count("(") > struck.count(")") and self.original[last : last + 1] == ")":
            return first, last + 1
        if struck.count(")") > struck.count("(") and self.original[:first].endswith("("):
            return first - 1, last
        return first, last

    def _in_original(self, at: int, is_end: bool) -> int:
        shift = 0
        for change in self.changes:
            new_start = change.start + shift
            new_end = new_start + len(change.now)
            if at <= new_start:
                break
            if at < new_end:
                return change.end if is_end else change.start
            shift += len(change.now) - (change.end - change.start)
        return at - shift

    @property
    def edits(self) -> tuple[Edit, ...]:
        edits, shift = [], 0
        for change in self.changes:
            start = change.start + shift
            edits.append(
                Edit(
                    change.start,
                    change.end,
                    self.original[change.start : change.end],
                    start,
                    start + len(change.now),
                    change.now,
                    change.measured,
                )
            )
            shift += len(change.now) - (change.end - change.start)
        return tuple(edits)


def correct_answer(
    text: str, features: EcgFeatures, tolerances: Tolerances = DEFAULT_TOLERANCES
) -> tuple[str, tuple[Edit, ...]]:
    """The text without contradicted claims, and the changes.

    A contradicted number about the record or one lead is replaced by the measured one in the text's own unit, and so is the regularity
    of the rhythm; any other contradicted claim is struck out. To strike a claim out, three ways are tried: its own words, all of its
    words, the statement around them. The first that leaves every other claim as it was is used, or else the one that changes the
    fewest; if claims must be lost, rather those that cannot be measured than supported ones.

    Examples:
        >>> from processing.ecg_features import extract_features
        >>> from processing.simulator.simulator import simulate_ecg
        >>> features = extract_features(simulate_ecg(heart_rate=72, seed=1).record)
        >>> correct_answer("Sinus rhythm, 111 bpm, ST elevation in II. Pericarditis.", features)[0]
        'Sinus rhythm, [72 bpm], [struck out]. Pericarditis.'
    """
    draft = _Draft(text)
    report = check_grounding(text, features, tolerances)
    while wrong := [item for item in report.claims if item.verdict == CONTRADICTED]:
        best: tuple[tuple[int, int, int], _Draft, GroundingReport] | None = None
        for item in wrong:
            for changed, marked in _ways(draft, item, report.claims):
                checked = check_grounding(changed.text, features, tolerances)
                if checked.count(CONTRADICTED) >= len(wrong):
                    continue
                loss = _loss(report, checked, item)
                unmarked = _unmarked(draft.text, report, checked, item, marked)
                loss = loss[0] + unmarked, loss[1] + unmarked, loss[2]
                if best is None or loss < best[0]:
                    best = loss, changed, checked
                if not any(loss):
                    break
            if best is not None and not any(best[0]):
                break
        if best is None:  # nothing but the whole text is left to strike out
            return STRUCK_OUT, _Draft(text).with_change(0, len(text), STRUCK_OUT, "").edits
        _, draft, report = best
    return draft.text, draft.edits


def _ways(
    draft: _Draft, item: CheckedClaim, checked: Sequence[CheckedClaim]
) -> Iterator[tuple[_Draft, tuple[int, int]]]:
    """The ways to be rid of a contradicted claim, from the least change to the largest, with the characters that each changes."""
    measured = measured_in_words(item)
    for start, end, now in _places_to_change(draft.text, item, checked):
        yield draft.with_change(start, end, now, measured), (start, end)


def _places_to_change(
    text: str, item: CheckedClaim, checked: Sequence[CheckedClaim]
) -> Iterator[tuple[int, int, str]]:
    claim = item.claim
    known = _measured_number(text, item) or _measured_regularity(text, item)
    if known is not None:
        yield known
    own = next((s for s in answer_spans(text, checked) if any(checked[n] is item for n in s.claims)), None)
    if own is not None:
        yield own.start, own.end, STRUCK_OUT
    if (negation := re.match(r"(?:no|not|without|absent)\s+", claim.quote, re.IGNORECASE)) is not None:
        # What is listed after it stays denied: "no [struck out] or ST depression".
        yield claim.start + negation.end(), claim.end, STRUCK_OUT
    yield claim.start, claim.end, STRUCK_OUT
    start = max((end.end() for end in _END.finditer(text, 0, claim.start)), default=0)
    start += len(text[start:]) - len(text[start:].lstrip())
    stop = next((end.start() for end in _END.finditer(text, claim.end)), len(text))
    yield start, stop, STRUCK_OUT


def _measured_number(text: str, item: CheckedClaim) -> tuple[int, int, str] | None:
    """Where a claim's only number is, and the measured one in the same unit and with as many digits."""
    claim = item.claim
    if not is_number(claim) or claim.comparator not in (None, "~") or claim.high is not None:
        return None
    measured = item.measured
    if isinstance(measured, dict) and len(measured) == 1:
        measured = next(iter(measured.values()))
    if not isinstance(measured, int | float) or claim.polarity == "negated":
        return None
    found = _written_number(text, claim)
    if found is None:
        return None
    written = found["number"].replace("−", "-").replace(",", ".")
    value = measured * float(written) / float(claim.value)
    digits = len(written.partition(".")[2])
    if claim.kind in WITH_MAGNITUDE and round(math.copysign(value, measured), digits) <= 0:
        return None  # "ST depression of 0 mm": it is not there
    return found.start(), found.end(), f"[{value:z.{digits}f}{found['unit'] or ''}]"


def _written_number(text: str, claim: Claim) -> re.Match[str] | None:
    """The number that a claim states, where it is the only one in its words or the only one of its value: of `QT/QTc 300/520` the second."""
    found = [match for match in _NUMBER.finditer(text, claim.start, claim.end) if _value(match)]
    if not claim.value:
        return None
    same = [match for match in found if math.isclose(_value(match), float(claim.value))]
    with_unit = [match for match in found if match["unit"]] or found
    if len(with_unit) == 1 and (len(found) == 1 or not same):
        return with_unit[0]
    return same[0] if len(same) == 1 else None


def _value(match: re.Match[str]) -> float:
    return float(match["number"].replace("−", "-").replace(",", "."))


def _measured_regularity(text: str, item: CheckedClaim) -> tuple[int, int, str] | None:
    """Where a claim says `regular` or `irregular`, and the measured one of the two."""
    if item.claim.kind != "regularity":
        return None
    said = re.compile(rf"\b{re.escape(str(item.claim.value))}\b", re.IGNORECASE).search(
        text, item.claim.start, item.claim.end
    )
    return None if said is None else (said.start(), said.end(), f"[{str(item.measured).partition(',')[0]}]")


def _unmarked(
    text: str, before: GroundingReport, after: GroundingReport, removed: CheckedClaim, marked: tuple[int, int]
) -> int:
    """How many other contradicted claims a change makes unreadable without marking them: of `[struck out]/QTc: 300/520` that of 520."""
    found, lost = _stated(after), 0
    for item in before.claims:
        if item is removed or item.verdict != CONTRADICTED:
            continue
        if found[_key(item)]:
            found[_key(item)] -= 1
            continue
        number = _written_number(text, item.claim) if is_number(item.claim) else None
        start, end = (item.claim.start, item.claim.end) if number is None else number.span()
        inside = marked[0] <= start and end <= marked[1]
        lost += not inside if number is not None else not (marked[0] < end and start < marked[1])
    return lost


def _loss(before: GroundingReport, after: GroundingReport, removed: CheckedClaim) -> tuple[int, int, int]:
    """How many claims a change costs or brings in beside the one it removes: not measurable, supported, others."""
    counts = [0, 0, 0]
    wanted, found = _stated(before), _stated(after)
    wanted[_key(removed)] -= 1
    for place, verdict in enumerate(("not_measurable", "supported")):
        lost = Counter({key: n for key, n in wanted.items() if key[-1] == verdict}) - found
        counts[place] = sum(lost.values())
    new = Counter({key: n for key, n in found.items() if key[-1] == CONTRADICTED or key[0] != removed.claim.kind})
    counts[2] = sum((new - wanted).values())
    return counts[0], counts[1], counts[2]


def _stated(report: GroundingReport) -> Counter[tuple[Any, ...]]:
    return Counter(_key(item) for item in report.claims)


def _key(item: CheckedClaim) -> tuple[Any, ...]:
    claim = item.claim
    return claim.kind, claim.value, claim.leads, claim.polarity, claim.high, claim.comparator, item.verdict


__all__ = ["STRUCK_OUT", "Edit", "correct_answer"]
