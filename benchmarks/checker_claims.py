# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Sentences about an ECG with an independent truth, each with a false counterpart; for `benchmarks.checker_truth`."""

from collections.abc import Iterator
from dataclasses import dataclass

# Name, unit, and the tolerance of `docs/grounding.md`.
NUMBERS = {
    "heart_rate": ("heart rate", "bpm", 5),
    "pr_interval": ("PR interval", "ms", 20),
    "qrs_duration": ("QRS duration", "ms", 20),
    "qt_interval": ("QT interval", "ms", 30),
    "qrs_axis": ("QRS axis", "degrees", 15),
}
# What a line of the table counts, beside the numbers.
WORDS = "rate, PR, QRS, QT in words"
RHYTHM, AXIS, BLOCKS, VOLTAGE = "rhythm, P waves, regularity, premature beats", "axis in words", "blocks", "voltage"
ST, T, Q, WALL = "ST", "T inversion", "pathological Q", "infarction, ischaemia of a wall"


@dataclass(frozen=True)
class OutsideClaim:
    """A sentence about a record, whether it is true by `source`, and the line of the table that counts it."""

    source: str
    record: str
    kind: str
    text: str
    true: bool


def of_number(source: str, record: str, kind: str, value: float) -> Iterator[OutsideClaim]:
    """A measured value in eight wordings, half of them false."""
    name, unit, tolerance = NUMBERS[kind]
    off, room = max(0.3 * abs(value), 2.5 * tolerance), max(0.15 * abs(value), 1.5 * tolerance)
    wrong, low, high = value + off, value - room, value + room
    for true, text in (
        (True, f"The {name} is {value:.0f} {unit}."),
        (False, f"The {name} measures {wrong:.0f} {unit}."),
        (True, f"The {name} lies between {value - tolerance:.0f} and {value + tolerance:.0f} {unit}."),
        (False, f"The {name} ranges from {wrong:.0f} to {wrong + tolerance:.0f} {unit}."),
        (True, f"The {name} is not above {high:.0f} {unit}."),
        (False, f"The {name} never exceeds {low - tolerance:.0f} {unit}."),
        (True, f"The {name} is more than {low:.0f} {unit}."),
        (False, f"The {name} is not below {high + tolerance:.0f} {unit}."),
    ):
        yield OutsideClaim(source, record, f"{name}, number", text, true)


def of_statement(source: str, record: str, kind: str, yes: str, no: str, true: bool) -> Iterator[OutsideClaim]:
    yield OutsideClaim(source, record, kind, yes, true)
    yield OutsideClaim(source, record, kind, no, not true)
