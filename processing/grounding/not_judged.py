# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Words that say more of a finding than any rule measures: with them a finding that is there is not thereby right."""

import re

from processing.claims.claims import Claim
from processing.claims.contrasts import SIZED

_TIMES = r"\b(?:twice|double|triple|half|(?:two|three|four|\d+(?:\.\d+)?)(?:\s+times|-?fold))\b"
_FROM_LEAD_TO_LEAD = r"\b(?:(?:in|de)creas\w+|grow\w*|diminish\w*)\s+from\b"
# Kinds, words of the claim, and what is not judged.
_TOO_MUCH: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    (SIZED, re.compile(_TIMES, re.IGNORECASE), "how many times as large it is in one lead as in another is not judged"),
    (SIZED, re.compile(_FROM_LEAD_TO_LEAD, re.IGNORECASE), "how it changes from lead to lead is not judged"),
    (("rhythm",), re.compile(r"\bonly\s+beats?\b", re.IGNORECASE), "which beats alone show it is not judged"),
)  # fmt: skip


def beyond_the_rules(claim: Claim) -> str | None:
    """What a claim says that is not judged, in words; `None` where its rule judges all of it."""
    said = (why for kinds, words, why in _TOO_MUCH if claim.kind in kinds and words.search(claim.quote))
    return next(said, None)


__all__ = ["beyond_the_rules"]
