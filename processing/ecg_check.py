# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The check that every ECG passes before a model sees it; other signals are refused with a reason."""

from weakref import WeakKeyDictionary

from .ecg_heartbeats import COPIES, holds_copies, parts_to_judge, shows_heartbeats_at_once
from .ecg_plausibility import Plausibility
from .ecg_record import EcgRecord

# A record passes several checks on its way to a model and cannot change, so it is judged once.
_verdicts: WeakKeyDictionary[EcgRecord, Plausibility] = WeakKeyDictionary()


def check_ecg(record: EcgRecord) -> EcgRecord:
    """The record itself, if it can be an ECG and shows heartbeats.

    Raises:
        EcgQualityError: it cannot be an ECG (flat, shorter than 1 s, an impossible scale), or shows no heartbeats (noise, tones,
            steps, one signal in all leads, asystole, ventricular fibrillation). The message gives the reasons. A model must
            not interpret such a record.
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
