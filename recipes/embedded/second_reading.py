# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
What other networks would state of a PTB-XL record that they never saw (`recipes/embedded/second_opinions.py`), yes or no.

A model that writes the likeliest answer says "yes" where it believes so by more than one half; for rare findings that is
seldom, while F1 and balanced accuracy ask for a lower limit. `best_limits` finds them on the training records, which every
network judged without having seen them; docs/training.md tells what they are worth.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.metrics import balanced_accuracy_score, f1_score

from recipes.sources.ptbxl_records import SUPERCLASSES, PtbxlItem, superclass_of

from .towers import STATEMENT_NAMES

COLUMNS = (*SUPERCLASSES, *STATEMENT_NAMES)
LIMITS = np.arange(0.05, 0.8, 0.01)
# Statements of a superclass are read beside its likeliest one from this share of its likelihood on.
SHARE_OF_LIKELIEST = 0.5


def best_limits(likelihoods: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """
    From which likelihood on a superclass is stated: where the mean of F1 and balanced accuracy is largest.

    Args:
        likelihoods: `(records, superclasses)`, of networks that did not see these records.
        truth: `(records, superclasses)`, 0 or 1.
    """

    def worth(limit: float, column: int) -> float:
        stated = likelihoods[:, column] >= limit
        labels = truth[:, column] > 0
        return f1_score(labels, stated, zero_division=0) + balanced_accuracy_score(labels, stated)

    best = (max(LIMITS, key=lambda limit: worth(limit, column)) for column in range(len(SUPERCLASSES)))
    return {name: round(float(limit), 2) for name, limit in zip(SUPERCLASSES, best, strict=True)}


@dataclasses.dataclass(frozen=True)
class SecondReader:
    """`likelihoods`: record id -> one per name in `COLUMNS`; `limits`: of `best_limits`."""

    likelihoods: Mapping[str, list[float]]
    limits: Mapping[str, float]

    @classmethod
    def load(cls, path: str | Path) -> "SecondReader":
        """Reads what `recipes/embedded/second_opinions.py` wrote."""
        content = json.loads(Path(path).read_text())
        return cls(content["likelihoods"], content["limits"])

    def __call__(self, item: PtbxlItem) -> PtbxlItem | None:
        """
        The item with the networks' diagnostic statements in the place of its own; rhythm and extra beats stay. None where they
        have not read the record (of one recorded again, they know the original).
        """
        row = self.likelihoods.get(str(item.record.record_id).partition("#")[0])
        if row is None:
            return None
        likely = dict(zip(COLUMNS, row, strict=True))
        kept = {code: likelihood for code, likelihood in item.codes.items() if superclass_of(code) is None}
        return dataclasses.replace(item, codes=self._stated(likely) | kept)

    def _stated(self, likely: Mapping[str, float]) -> dict[str, float]:
        stated: dict[str, float] = {}
        for name in SUPERCLASSES:
            if likely[name] >= self.limits[name]:
                members = [code for code in STATEMENT_NAMES if superclass_of(code) == name]
                enough = SHARE_OF_LIKELIEST * max(likely[code] for code in members)
                stated |= {code: 100.0 for code in members if likely[code] >= enough}
        return stated


__all__ = ["COLUMNS", "SecondReader", "best_limits"]
