# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Answers that call an ECG none, where the check of heartbeats found one."""

import math
import re

from processing.ecg_features import EcgFeatures

# How the embedded model declines; the reason follows.
DECLINES = "This cannot be read as an ECG: "
_RECORDING = r"(?:electrocardiogram|E[CK]G)s?\b(?!\s+(?:change|evidence|sign|abnormalit|finding|criteri|lead|feature))"
_DENIED = re.compile(
    rf"cannot\s+be\s+read\s+as\s+an\s+{_RECORDING}|(?:is\s+not|isn't)\s+an\s+{_RECORDING}|shows?\s+no\s+{_RECORDING}",
    re.IGNORECASE,
)


def denies_ecg(text: str) -> bool:
    """Whether an answer says, anywhere in it, that what it is about is not an ECG.

    Examples:
        >>> denies_ecg("Sinus rhythm, at This cannot be read as an ECG: one second is too short.")
        True
        >>> denies_ecg("This is not a normal ECG. It shows no ECG changes of ischemia.")
        False
    """
    return _DENIED.search(text) is not None


def denied_in_words(text: str, features: EcgFeatures | None) -> str | None:
    """What is said where such an answer is shown; `None` if there is no contradiction.

    Args:
        text: the answer.
        features: measurements of the waveform; `None` without one.

    Examples:
        >>> from processing.ecg_features import extract_features
        >>> from processing.simulator.simulator import simulate_ecg
        >>> measured = extract_features(simulate_ecg(heart_rate=72, seed=1).record)
        >>> denied_in_words(DECLINES + "the signal is noise.", measured)
        'The model calls this no ECG; the heartbeat check found one (12 beats at 72 bpm).'
    """
    if features is None or not len(features.beat_times) or features.plausibility.verdict == "refused":
        return None
    if not denies_ecg(text):
        return None
    count = len(features.beat_times)
    beats = f"{count:,} beat{'s' if count > 1 else ''}"
    rate = f" at {features.heart_rate:.0f} bpm" if math.isfinite(features.heart_rate) else ""
    return f"The model calls this no ECG; the heartbeat check found one ({beats}{rate})."


__all__ = ["DECLINES", "denied_in_words", "denies_ecg"]
