# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Quantitative criteria of adult ECG reading, each with its source; the protocol variant of the diagnosis guider cites them."""

from processing.claims.findings import FINDINGS

TOPICS = ("rate", "rhythm", "P and PR", "axis", "QRS", "voltage", "R progression", "ST", "T", "QT")
CRITERIA = tuple(
    sorted(
        (criterion for finding in FINDINGS for criterion in finding.criteria),
        key=lambda criterion: TOPICS.index(criterion.topic),
    )
)

__all__ = ["CRITERIA", "TOPICS"]
