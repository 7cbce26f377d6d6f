# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What an impression settles for a template: which judgements of single measurements would speak against it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from processing.ecg_limits import AXIS, HEART_RATE, INCOMPLETE_BLOCK_MS, LEFT_AXIS, PR, QTC_BORDERLINE, RIGHT_AXIS

RATE_MARGIN_BPM = 5.0  # what a measured rate may miss a settled bradycardia or tachycardia by
AXIS_MARGIN_DEG = 30.0  # a settled deviation of the axis
MARGIN_MS = 10.0  # a settled long or short QT

_RHYTHM = re.compile(r"rhythm|fibrillation|flutter|sinus|tachycardia|bradycardia|paced|pacing", re.IGNORECASE)
_NO_P_WAVES = r"fibrillation|flutter|(?<!supra)ventricular tachycardia|idioventricular|ventricular escape|paced|pacing"
_UNEVEN = (
    r"fibrillation|arrhythmia|irregular|premature|ectop|extrasystol|bigemin|trigemin|escape|second degree|mobitz|2:1|pause|"
    r"arrest|wandering|sinoatrial|varying|couplet"
)
_REPOLARISATION = r"\bST\b|ST-T|STEMI|ischa?emi|injury|acute|pericarditis|repolari[sz]ation|digitalis|aneurysm"
_FALSE_Q = r"left bundle|\bLBBB\b|paced|pacing|pre-excitation|wolff"


def is_rhythm(words: str) -> bool:
    """A diagnosis that names the rhythm."""
    return bool(_RHYTHM.search(words))


@dataclass(frozen=True)
class Settled:
    """
    The impression is trusted, as the paper does: a value may stand beside it, a judgement that denies it may not, and
    a value that denies it outright is left out.

    Args:
        impression: settled diagnoses in words.
    """

    impression: tuple[str, ...]

    @classmethod
    def of(cls, impression: Sequence[str]) -> "Settled":
        return cls(tuple(impression))

    def names(self, pattern: str) -> bool:
        return any(re.search(pattern, words, re.IGNORECASE) for words in self.impression)

    @cached_property
    def rhythm(self) -> str | None:
        return next((words for words in self.impression if is_rhythm(words)), None)

    @cached_property
    def normal(self) -> bool:
        """Nothing may then be called abnormal."""
        return "normal ECG" in self.impression

    @cached_property
    def without_p_waves(self) -> bool:
        return self.names(_NO_P_WAVES)

    @cached_property
    def with_p_waves(self) -> bool:
        return self.normal or self.names(r"sinus (rhythm|arrhythmia|brady|tachy)|(first|1st|\bI) degree")

    def denies_rate(self, bpm: float) -> bool:
        slow, fast = self.names("bradycardia"), self.names("tachycardia")
        return (slow and not fast and bpm > HEART_RATE.low + RATE_MARGIN_BPM) or (
            fast and not slow and bpm < HEART_RATE.high - RATE_MARGIN_BPM
        )

    def denies_regularity(self, regularity: str) -> bool:
        return regularity == "regular" and self.names(_UNEVEN)

    def denies_pr(self, milliseconds: float) -> bool:
        prolonged = self.names(r"(first|1st|\bI) degree|prolonged PR")
        return (prolonged and milliseconds <= PR.high) or (self.names("short PR") and milliseconds >= PR.low)

    def denies_axis(self, degrees: float) -> bool:
        left, right = (self.names(f"{side} axis") for side in ("left", "right"))
        farthest_left, least_right = LEFT_AXIS.low - AXIS_MARGIN_DEG / 3, RIGHT_AXIS.low - AXIS_MARGIN_DEG
        return (
            (left and not farthest_left <= degrees <= LEFT_AXIS.high + AXIS_MARGIN_DEG)
            or (right and not (degrees >= least_right or degrees <= LEFT_AXIS.low - AXIS_MARGIN_DEG))
            or (self.names("left anterior (fascic|hemi)") and not farthest_left <= degrees <= AXIS.low)
            or (self.names("left posterior (fascic|hemi)") and LEFT_AXIS.low <= degrees <= least_right)
        )

    @cached_property
    def judges_axis(self) -> bool:
        """The impression speaks of the axis, perhaps by other limits than ours."""
        return self.normal or self.names(r"\baxis\b|fascicular|hemiblock")

    def denies_qrs(self, milliseconds: float) -> bool:
        complete = self.names(r"bundle branch block|\b[LR]BBB\b") and not self.names("incomplete")
        return complete and milliseconds < INCOMPLETE_BLOCK_MS

    def denies_qtc(self, milliseconds: float) -> bool:
        prolonged = self.names(r"(long|prolonged) QT")
        return (prolonged and milliseconds < QTC_BORDERLINE.high - MARGIN_MS) or (
            self.names("short QT") and milliseconds > QTC_BORDERLINE.low + MARGIN_MS
        )

    @cached_property
    def changed_repolarisation(self) -> bool:
        """ST segments must then not be called unremarkable."""
        return self.names(_REPOLARISATION)

    @cached_property
    def judges_q_waves(self) -> bool:
        """Q waves mean something: neither in a normal ECG nor where activation starts at the wrong place."""
        return not self.normal and (self.names("infarct") or not self.names(_FALSE_Q))

    @cached_property
    def high_voltage(self) -> bool:
        return self.names(r"left ventricular (hypertrophy|overload|strain)|high .*voltage|\bLVH\b")


__all__ = ["Settled", "is_rhythm"]
