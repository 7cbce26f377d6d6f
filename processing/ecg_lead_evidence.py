# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`LeadEvidence`: the origin of a lead's name, unit, gain and sampling rate."""

from dataclasses import dataclass, fields
from typing import Literal

# "stated": the source says it. "given": the caller says it. "derived": computed from what the source says (a rate from
# a time column, lead III from I and II). "assumed": neither says it.
Evidence = Literal["stated", "given", "derived", "assumed"]
# The same, the firmest first.
KINDS_OF_EVIDENCE: tuple[Evidence, ...] = ("stated", "given", "derived", "assumed")


@dataclass(frozen=True)
class LeadEvidence:
    """Where what is known of one lead comes from: `"stated"`, `"given"`, `"derived"` or `"assumed"`.

    Args:
        name: of the lead.
        unit: of its samples.
        gain: the factor from stored counts to the unit; `None` where the source holds voltages and needs none.
        rate: the sampling rate.
    """

    name: Evidence = "given"
    unit: Evidence = "given"
    gain: Evidence | None = None
    rate: Evidence = "given"

    @property
    def assumed(self) -> tuple[str, ...]:
        """Those of `name`, `unit`, `gain` and `rate` that is not stated."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) == "assumed")

    def of_lead_derived_with(self, other: "LeadEvidence") -> "LeadEvidence":
        """The evidence of a lead that was computed from two leads, this one's and the other's: that of the weaker."""
        return LeadEvidence(
            name="derived",
            unit=max(self.unit, other.unit, key=KINDS_OF_EVIDENCE.index),
            gain=max(filter(None, (self.gain, other.gain)), key=KINDS_OF_EVIDENCE.index, default=None),
            rate=max(self.rate, other.rate, key=KINDS_OF_EVIDENCE.index),
        )


__all__ = ["KINDS_OF_EVIDENCE", "Evidence", "LeadEvidence"]
