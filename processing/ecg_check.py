# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The door through which every ECG comes to a model: what cannot be one is refused, with the reason."""

from typing import TYPE_CHECKING

from .ecg_heartbeats import parts_to_judge, shows_heartbeats_at_once
from .ecg_plausibility import Plausibility
from .ecg_record import EcgRecord

if TYPE_CHECKING:
    from .ecg_features import EcgFeatures


def check_ecg(record: EcgRecord, features: "EcgFeatures | None" = None) -> EcgRecord:
    """The record itself, if it can be an ECG and shows heartbeats.

    Args:
        record: what is to be read.
        features: its measurements, where they are known; they hold the same verdict.

    Raises:
        EcgQualityError: it cannot (flat, shorter than 1 s, a scale that no heart has) or does not (noise, tones, steps, or a
            heart at a standstill or in ventricular fibrillation); the message gives the reasons. No text may be made of it.
    """
    found = _judged(record) if features is None else features.plausibility
    found.check(record.name)
    return record


def _judged(record: EcgRecord) -> Plausibility:
    """The verdict of `EcgFeatures.plausibility`, measured only where it has to be."""
    found = record.plausibility()
    if found.verdict == "refused":
        return found
    parts = parts_to_judge(record)
    if not found.doubts_about("signal") and any(map(shows_heartbeats_at_once, parts)):
        return found
    from .ecg_features import extract_features

    for part in parts:
        found = extract_features(part).plausibility
        if found.verdict != "refused":
            break
    return found


__all__ = ["check_ecg"]
