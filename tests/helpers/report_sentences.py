# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Sentences from published reports, each with the claims that a reader found in it: how many of them the parser finds."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from processing.claims.claims import Claim, extract_claims

FILE = Path(__file__).resolve().parents[1] / "fixtures/report_sentences.json"


@dataclass(frozen=True)
class ReadSentence:
    """`expected`: kinds of equal right and letters of equal right (a affirmed, h hedged, n negated) of each claim."""

    source: str
    text: str
    expected: tuple[tuple[frozenset[str], frozenset[str]], ...]


@dataclass(frozen=True)
class Found:
    """One sentence's counts: claims found with their polarity, found with another, missed, and found by the parser only."""

    right: int
    other_polarity: tuple[str, ...]
    missed: tuple[str, ...]
    surplus: tuple[str, ...]


def read_sentences() -> list[ReadSentence]:
    """The sentences of the fixture."""
    rows = json.loads(FILE.read_text(encoding="utf-8"))["sentences"]
    return [ReadSentence(row["source"], row["text"], tuple(map(_expected, row["claims"]))) for row in rows]


def _expected(text: str) -> tuple[frozenset[str], frozenset[str]]:
    kinds, _, letters = text.partition(":")
    return frozenset(kinds.split("|")), frozenset(letters)


def compare(sentence: ReadSentence) -> Found:
    """Matches each expected claim with one of the parser's, preferring those that agree in polarity."""
    claims = extract_claims(sentence.text)
    right, other, missed = 0, [], []
    open_claims = list(claims)
    for kinds, letters in sentence.expected:
        same_kind = [claim for claim in open_claims if claim.kind in kinds]
        agreeing = [claim for claim in same_kind if letter(claim) in letters]
        if not same_kind:
            missed.append("|".join(sorted(kinds)))
            continue
        taken = (agreeing or same_kind)[0]
        open_claims.remove(taken)
        if agreeing:
            right += 1
        else:
            other.append(f"{taken.kind} {taken.polarity}")
    wanted = {kind for kinds, _ in sentence.expected for kind in kinds}
    surplus = tuple(claim.kind for claim in open_claims if claim.kind not in wanted)
    return Found(right, tuple(other), tuple(missed), surplus)


def letter(claim: Claim) -> str:
    """Polarity as the fixture writes it. A normal ECG denied and an absent P wave are values of some kinds, not polarities."""
    if claim.polarity == "affirmed" and claim.value in ("abnormal", "absent"):
        return "n" if claim.kind in ("normal_ecg", "p_waves") else "a"
    return claim.polarity[0]


def sentences_of(text: str) -> Iterator[str]:
    """The sentences of a report: parts between full stops and line breaks, longer than three letters."""
    for line in text.replace(". ", "\n").splitlines():
        if len(part := line.strip(" .")) > 3:
            yield part
