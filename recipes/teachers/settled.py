# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The findings that an impression settles, and the statements about single measurements that would contradict them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from processing.claims.claims import Claim, extract_claims
from processing.claims.findings import FINDINGS, SINUS
from processing.claims.findings_rhythm import PREMATURE
from processing.ecg_limits import AXIS, HEART_RATE, INCOMPLETE_BLOCK_MS, LEFT_AXIS, PR, QTC_BORDERLINE, RIGHT_AXIS

RATE_MARGIN_BPM = 5.0  # what a measured rate may miss a settled bradycardia or tachycardia by
AXIS_MARGIN_DEG = 30.0  # a settled deviation of the axis
MARGIN_MS = 10.0  # a settled long or short QT

_NO_P_WAVES = ("atrial fibrillation", "atrial flutter", "ventricular tachycardia", "ventricular fibrillation", "ventricular escape rhythm", "paced rhythm")  # fmt: skip
_UNEVEN_RHYTHMS = ("atrial fibrillation", "sinus arrhythmia", "supraventricular arrhythmia", "wandering pacemaker")  # fmt: skip
_UNEVEN = (*PREMATURE, "bigeminy", "escape_beats", "pause")
# What changes the ST segment, with the findings that lie in it.
_REPOLARISATION = (
    *(finding.kind for finding in FINDINGS if finding.wave == "ST"),
    *("stt_changes", "ischemia", "pericarditis", "early_repolarization", "digitalis_effect", "aneurysm"),
)
_FALSE_Q = ("lbbb", "incomplete_lbbb", "pre_excitation")


def is_rhythm(words: str) -> bool:
    """A diagnosis that names the rhythm."""
    return any(
        claim.kind == "rhythm" or claim.value in ("bradycardia", "tachycardia") for claim in extract_claims(words)
    )


@dataclass(frozen=True)
class Settled:
    """
    The findings of an impression, which are trusted, as in the paper. Values may be stated beside it. A judgement that contradicts it,
    or a value that clearly does, is left out.

    Args:
        impression: settled diagnoses in words.
    """

    impression: tuple[str, ...]

    @classmethod
    def of(cls, impression: Sequence[str]) -> "Settled":
        """The settled findings of an impression, one text for each."""
        return cls(tuple(impression))

    @cached_property
    def claims(self) -> list[Claim]:
        """The claims of the impression that are not denied."""
        found = [claim for words in self.impression for claim in extract_claims(words)]
        return [claim for claim in found if claim.polarity != "negated"]

    def says(self, kind: str, *values: Any) -> bool:
        """Whether the impression has a claim of a kind, with one of `values` where any are given."""
        return any(claim.kind == kind and (not values or claim.value in values) for claim in self.claims)

    def says_any(self, kinds: Iterable[str]) -> bool:
        """Whether a claim of one of these kinds is settled."""
        return any(self.says(kind) for kind in kinds)

    def _worded(self, word: str) -> bool:
        """Whether the impression has a word that makes no claim by itself."""
        return any(word in words.lower().split() for words in self.impression)

    @cached_property
    def rhythm(self) -> str | None:
        """The words of the settled rhythm, if there is one."""
        return next((words for words in self.impression if is_rhythm(words)), None)

    @cached_property
    def normal(self) -> bool:
        """Nothing may then be called abnormal."""
        return "normal ECG" in self.impression

    @cached_property
    def without_p_waves(self) -> bool:
        """Whether the settled rhythm has no P waves."""
        return self.says("rhythm", *_NO_P_WAVES)

    @cached_property
    def with_p_waves(self) -> bool:
        """Whether the settled findings imply P waves that lead the beats."""
        return self.normal or self.says("rhythm", *SINUS) or self.says("av_block", 1)

    def denies_rate(self, bpm: float) -> bool:
        """Whether a rate in bpm contradicts a settled bradycardia or tachycardia by more than the margin."""
        slow, fast = self._rate_word("bradycardia"), self._rate_word("tachycardia")
        return (slow and not fast and bpm > HEART_RATE.low + RATE_MARGIN_BPM) or (
            fast and not slow and bpm < HEART_RATE.high - RATE_MARGIN_BPM
        )

    def _rate_word(self, word: str) -> bool:
        """The rate in words; `junctional bradycardia` states it as well."""
        return any(
            claim.value == word or (claim.kind == "rhythm" and word in claim.quote.lower()) for claim in self.claims
        )

    def denies_regularity(self, regularity: str) -> bool:
        """Whether a regular rhythm contradicts a settled finding that makes it irregular."""
        uneven = (
            self.says("rhythm", *_UNEVEN_RHYTHMS)
            or self.says("regularity", "irregular")
            or self.says("av_block", 2, "2:1")
            or self.says_any(_UNEVEN)
        )
        return regularity == "regular" and uneven

    def denies_pr(self, milliseconds: float) -> bool:
        """Whether a PR interval in ms contradicts a settled first degree block or short PR."""
        prolonged = self.says("av_block", 1) or self.says("pr_interval", "prolonged")
        short = self.says("pr_interval", "short")
        return (prolonged and milliseconds <= PR.high) or (short and milliseconds >= PR.low)

    def denies_axis(self, degrees: float) -> bool:
        """Whether an axis in degrees contradicts a settled deviation or fascicular block."""
        left, right = (self.says("qrs_axis", side) for side in ("left", "right"))
        farthest_left, least_right = LEFT_AXIS.low - AXIS_MARGIN_DEG / 3, RIGHT_AXIS.low - AXIS_MARGIN_DEG
        return (
            (left and not farthest_left <= degrees <= LEFT_AXIS.high + AXIS_MARGIN_DEG)
            or (right and not (degrees >= least_right or degrees <= LEFT_AXIS.low - AXIS_MARGIN_DEG))
            or (self.says("lafb") and not farthest_left <= degrees <= AXIS.low)
            or (self.says("lpfb") and LEFT_AXIS.low <= degrees <= least_right)
        )

    @cached_property
    def denies_deviation(self) -> bool:
        """The impression names an axis that is none: normal, or in LUDB's words `vertical electrical axis`."""
        return self.says("qrs_axis", "normal") or any(self._worded(word) for word in ("horizontal", "vertical"))

    @cached_property
    def judges_axis(self) -> bool:
        """The impression mentions the axis, perhaps by other limits than ours."""
        named = self._worded("axis")  # "horizontal electrical axis"
        return self.normal or named or self.says_any(("qrs_axis", "lafb", "lpfb", "fascicular_block"))

    def denies_qrs(self, milliseconds: float) -> bool:
        """Whether a QRS duration in ms is too short for a settled complete bundle branch block."""
        complete = self.says_any(("lbbb", "rbbb", "bundle_branch_block"))
        incomplete = self.says_any(("incomplete_lbbb", "incomplete_rbbb"))
        return complete and not incomplete and milliseconds < INCOMPLETE_BLOCK_MS

    @cached_property
    def long_qt(self) -> bool:
        """Whether a prolonged QT or QTc is settled."""
        return self.says("long_qt") or self.says("qt_interval", "prolonged") or self.says("qtc_interval", "prolonged")

    def denies_qtc(self, milliseconds: float) -> bool:
        """Whether a QTc in ms contradicts a settled long or short QT by more than the margin."""
        short = self.says("qt_interval", "short") or self.says("qtc_interval", "short")
        return (self.long_qt and milliseconds < QTC_BORDERLINE.high - MARGIN_MS) or (
            short and milliseconds > QTC_BORDERLINE.low + MARGIN_MS
        )

    @cached_property
    def changed_repolarisation(self) -> bool:
        """ST segments must then not be called unremarkable."""
        return self.says_any(_REPOLARISATION) or self.says("infarction", "st") or self._worded("acute")

    @cached_property
    def judges_q_waves(self) -> bool:
        """Q waves mean something: neither in a normal ECG nor where activation starts at the wrong place."""
        false = self.says_any(_FALSE_Q) or self.says("rhythm", "paced rhythm")
        return not self.normal and (self.says("infarction") or not false)

    @cached_property
    def high_voltage(self) -> bool:
        """Whether left hypertrophy or strain is settled."""
        return self.says_any(("lvh", "strain"))


__all__ = ["Settled", "is_rhythm"]
