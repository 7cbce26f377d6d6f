# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Values of readers or devices for some ECGs, and how often the answers of a model agree with them.

The rewards are based on gem-ecg's own measurements, whose errors a model could learn. These values are independent of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from processing.claims.claims import Claim, extract_claims
from processing.ecg_readers import load_ecg
from processing.ecg_record import EcgRecord
from processing.errors_gem import ClaimError, GemError, TrainingError
from processing.grounding.verdicts import DEFAULT_TOLERANCES
from recipes.sources.source_record import table_rows

# Columns of the table in bpm, ms and degrees, with what an answer may be off by (docs/grounding.md).
TOLERATED = {
    "heart_rate": DEFAULT_TOLERANCES.heart_rate_bpm,
    "pr_interval": DEFAULT_TOLERANCES.pr_ms,
    "qrs_duration": DEFAULT_TOLERANCES.qrs_ms,
    "qt_interval": DEFAULT_TOLERANCES.qt_ms,
    "qrs_axis": DEFAULT_TOLERANCES.axis_deg,
}
RHYTHM = "rhythm"


@dataclass(frozen=True)
class OutsideTruth:
    """An ECG with the values of readers or devices (names and units of `TOLERATED`) and their word for its rhythm."""

    record: EcgRecord
    numbers: dict[str, float]
    rhythm: str | None = None


def read_outside_truth(table: Path) -> list[OutsideTruth]:
    """The records of a table, with what readers or devices found in them.

    Args:
        table: CSV with a column `ecg` (file, absolute or from the table's folder), any of the columns of `TOLERATED` and
            `rhythm` ("sinus bradycardia"); empty cells are unknown.

    Raises:
        TrainingError: the table is absent, or lacks `ecg` or every other column, or a file cannot be read.
    """
    if not table.is_file():
        raise TrainingError(f"{table}: no such table of outside truth; give a CSV with a column `ecg`.")
    found = []
    for row in table_rows(table):
        if "ecg" not in row or not ({*TOLERATED, RHYTHM} & set(row)):
            raise TrainingError(f"{table}: columns {list(row)}; expected `ecg` and some of {[*TOLERATED, RHYTHM]}.")
        try:
            record = load_ecg(table.parent / str(row["ecg"]))
        except GemError as error:
            raise TrainingError(f"{table}: {error}") from error
        numbers = {name: float(row[name]) for name in TOLERATED if name in row and not math.isnan(row[name])}
        rhythm = row.get(RHYTHM)
        found.append(OutsideTruth(record, numbers, rhythm.strip().lower() if isinstance(rhythm, str) else None))
    return found


def agreement(answers: Sequence[str], truths: Sequence[OutsideTruth]) -> list[float]:
    """For each answer the share of its numbers and rhythms that agree with the known values; NaN if none are known."""
    shares = []
    for text, truth in zip(answers, truths, strict=True):
        try:
            verdicts = [agrees for claim in extract_claims(text) if (agrees := _agrees(claim, truth)) is not None]
        except ClaimError:  # no reading: one word again and again
            verdicts = []
        shares.append(sum(verdicts) / len(verdicts) if verdicts else math.nan)
    return shares


def _agrees(claim: Claim, truth: OutsideTruth) -> bool | None:
    """`None` for what the truth does not know and for what is not said as one value."""
    if claim.kind == RHYTHM and truth.rhythm and isinstance(claim.value, str):
        # Sinus bradycardia is sinus rhythm too.
        same = claim.value == truth.rhythm or (claim.value == "sinus rhythm" and truth.rhythm.startswith("sinus"))
        return same == (claim.polarity == "affirmed")
    stated = claim.kind in truth.numbers and claim.polarity == "affirmed" and not claim.comparator and not claim.leads
    if not stated or not isinstance(claim.value, float) or claim.high is not None:
        return None
    off = abs(claim.value - truth.numbers[claim.kind])
    return min(off, 360 - off) <= TOLERATED[claim.kind] if claim.kind == "qrs_axis" else off <= TOLERATED[claim.kind]


__all__ = ["TOLERATED", "OutsideTruth", "agreement", "read_outside_truth"]
