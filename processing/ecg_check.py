# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The door through which every ECG comes to a model or a page: what cannot be one is refused."""

from .ecg_record import EcgRecord


def check_ecg(record: EcgRecord) -> EcgRecord:
    """The record itself, if it can be an ECG: `EcgRecord.check_quality`, and where it seems to be noise there are heartbeats.

    Raises:
        EcgQualityError: it cannot; the message gives the reasons.
    """
    found = record.plausibility()
    if found.doubts_about("signal"):
        from .ecg_features import extract_features

        found = extract_features(record).plausibility
    found.check(record.name)
    return record


__all__ = ["check_ecg"]
