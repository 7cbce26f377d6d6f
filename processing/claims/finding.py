# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`Finding`: everything that gem-ecg knows about one kind of claim, as a row of the table in `findings.py`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Scope = Literal["record", "leads", "walls"]
Unit = Literal["ms", "s", "mV", "bpm", "deg"]
# The part of a beat that shows a finding; `rhythm` is the whole record, `recording` the signal whether it holds beats or not.
Wave = Literal["P", "PR", "Q", "QRS", "ST", "QT", "T", "beat", "rhythm", "recording"]
# The rule of what the measurements do not decide.
NOT_MEASURED: Final = "not measured"
# Salient findings that several rows mention, and the leads of the frontal axis.
OF_THE_QRS: Final = ("QRS duration", "wide QRS")
OF_THE_AXIS: Final = ("QRS axis", "axis deviation")
FRONTAL: Final = ("I", "aVF")


@dataclass(frozen=True)
class Words:
    """A phrase that states a finding.

    Attributes:
        pattern: regular expression; case counts only where `exact` says so.
        value: of the claim: a number, a word, `True`, or `None` where the phrase only names the finding.
    """

    pattern: str
    value: Any = True
    exact: bool = False


@dataclass(frozen=True)
class Criterion:
    """A criterion for adults. `topic`: a step of the reading; `rule`: the measure and its limit; `source`: the reference."""

    topic: str
    rule: str
    source: str


@dataclass(frozen=True)
class LeadRule:
    """A verdict that depends only on the leads that show a finding, which a function of `ecg_rules` returns.

    Attributes:
        leads: called with the features and `margin` (mV): above 0 only the certain leads, below 0 the doubtful ones too.
        measure: the name in `EcgFeatures.lead_values` that an explanation states, in mV.
        least: number of leads that are needed if the claim names none.
    """

    leads: Callable[..., tuple[str, ...]]
    measure: str
    least: int = 2


@dataclass(frozen=True)
class Finding:
    """One kind of claim: a finding (`st_elevation`) or something that is measured (`pr_interval`).

    Attributes:
        kind: `Claim.kind`.
        example: a sentence that claims it.
        rule: name of the function in `processing.grounding` that gives the verdict, or a `LeadRule` where the leads that
            show it are all there is to a verdict, or `NOT_MEASURED`.
        named: regular expression of what is measured (`PR interval`), of which numbers and qualities are said.
        words: phrases that state it.
        said, denied: a wave and its quality that state or deny it, `st elevated`, with the claim's value; `denied` may have none.
        unit: of its numbers. plausible: numbers that are believed without a unit, in it.
        is_measure: a number is stated of it, as of an interval; findings may have a size, but need none.
        scope: whether it lies in leads, in walls (leads that look at a part of the heart) or in the record as a whole.
        wave: the part of a beat that shows it.
        shown_in: the leads that show it if the claim names none; a rhythm lead if empty.
        mentions: the salient findings (`processing.grounding.salient`) that a right claim of this kind mentions.
        salient: name of the salient finding that this row defines; an answer should mention it if the `LeadRule` finds it.
        diagnosis: how teachers and physicians' reports name it; per value where the value decides.
        implies: diagnoses that may be named where this one is settled.
        settled: a physician's report takes precedence over the measurements.
        criteria: the criteria that the guider states to teachers.
    """

    kind: str
    example: str
    rule: str | LeadRule
    named: str | None = None
    words: tuple[Words, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)
    denied: tuple[str, ...] | Mapping[str, Any] = ()
    unit: Unit | None = None
    plausible: tuple[float, float] | None = None
    is_measure: bool = False
    scope: Scope = "record"
    wave: Wave = "beat"
    shown_in: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    salient: str | None = None
    diagnosis: str | Mapping[Any, str] | None = None
    implies: tuple[str, ...] = ()
    settled: bool = False
    criteria: tuple[Criterion, ...] = ()

    @property
    def diagnoses(self) -> tuple[str, ...]:
        """All diagnoses that claims of this kind may make."""
        if self.diagnosis is None:
            return ()
        return (self.diagnosis,) if isinstance(self.diagnosis, str) else tuple(dict.fromkeys(self.diagnosis.values()))

    @property
    def of_recording(self) -> bool:
        """Whether claims of this kind are about the recording, its quality or its length, and not about the heart."""
        return self.wave == "recording"

    def diagnosis_of(self, value: Any) -> str | None:
        """The name of the diagnosis that a claim with `value` makes, if it makes one."""
        return self.diagnosis.get(value) if isinstance(self.diagnosis, Mapping) else self.diagnosis


def said(wave: str, qualities: tuple[str, ...], value: object = None) -> dict[str, object]:
    """`wave` with each of its `qualities`, all with one meaning."""
    return {f"{wave} {quality}": value for quality in qualities}


__all__ = [
    "FRONTAL",
    "NOT_MEASURED",
    "OF_THE_AXIS",
    "OF_THE_QRS",
    "Criterion",
    "Finding",
    "LeadRule",
    "Scope",
    "Unit",
    "Wave",
    "Words",
    "said",
]
