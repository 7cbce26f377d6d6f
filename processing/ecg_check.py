# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The door through which every ECG comes to a model: what cannot be one is refused, with the reason."""

from weakref import WeakKeyDictionary

from .ecg_heartbeats import COPIES, holds_copies, parts_to_judge, shows_heartbeats_at_once
from .ecg_plausibility import Plausibility
from .ecg_record import EcgRecord

# A record passes several doors on its way to a model, and nobody can change it: it is judged at the first.
_verdicts: WeakKeyDictionary[EcgRecord, Plausibility] = WeakKeyDictionary()


def check_ecg(record: EcgRecord) -> EcgRecord:
    """The record itself, if it can be an ECG and shows heartbeats.

    Raises:
        EcgQualityError: it cannot (flat, shorter than 1 s, a scale that no heart has) or does not (noise, tones, steps, one
            signal in all leads, or a heart at a standstill or in ventricular fibrillation); the message gives the reasons. No
            text may be made of it.
    """
    if record not in _verdicts:
        _verdicts[record] = _judged(record)
    _verdicts[record].check(record.name)
    return record


def _judged(record: EcgRecord) -> Plausibility:
    """The verdict, with the record measured only where it has to be."""
    found = record.plausibility()
    if found.verdict == "refused":
        return found
    if holds_copies(record):
        return found.without_heartbeats(COPIES)
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
