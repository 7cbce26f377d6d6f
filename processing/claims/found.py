# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A statement in the making: what a clause says, before its polarity and its leads are decided."""

from dataclasses import dataclass, field
from typing import Any

from .tokens import Quantity

# Tags of tokens that say nothing by themselves, and of those that join statements.
FILLERS = ("word", "be", "present", "verb", "it", "hedge")
JOINTS = ("and", "or", "comma", "slash")


@dataclass
class Found:
    """A statement in the making; positions are indices into the clause's tokens.

    `anchor` decides about negation: the quality in "T waves are not inverted", the finding itself elsewhere. `denied_at`:
    where an `is not seen` after it stands. `comparison_denied`: the comparator contains the negation already (`not above 120 ms`).
    `less_in`: the places that it is compared with (`than in III`). `most`: it is compared with all others.
    `elsewhere`: it is denied in all leads but its own (`only`). `of_beats`: the kind of premature beats whose wave it is about.
    """

    kind: str
    value: Any
    first: int
    last: int
    anchor: int
    unit: str | None = None
    quantity: Quantity | None = None
    comparator: str | None = None
    formula: str | None = None
    polarity: str = "affirmed"
    inherent_negation: bool = False
    is_number: bool = False
    by_predicate: bool = False
    bare: bool = False
    denied_at: int | None = None
    comparison_denied: bool = False
    dropped: bool = False
    elsewhere: bool = False
    most: bool = False
    groups: list[int] = field(default_factory=list)
    less_in: list[int] = field(default_factory=list)
    pairs: list[tuple[int, Quantity, str | None]] = field(default_factory=list)  # numbers after their leads
    ahead: list[tuple[int, Quantity, str | None]] = field(default_factory=list)  # numbers before their leads
    beats: tuple[int, ...] | None = None
    of_beats: str | None = None
    time_s: float | None = None
    extra: list[int] = field(default_factory=list)


__all__ = ["FILLERS", "JOINTS", "Found"]
