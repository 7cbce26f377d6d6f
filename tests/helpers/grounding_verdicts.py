# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What the grounding check says of one sentence."""

from processing.ecg_features import EcgFeatures
from processing.grounding.check import check_grounding


def verdict(text: str, features: EcgFeatures) -> str:
    """The verdict on `text`, which makes exactly one claim."""
    (checked,) = check_grounding(text, features).claims
    return checked.verdict


__all__ = ["verdict"]
