# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How likely each superclass is by what the frozen towers see: targets for the verdicts that the language model writes.

    python -m recipes.embedded.tower_verdicts --records outputs/records --records outputs/again --states outputs/states \\
        --output outputs/tower_verdicts

A language model that is taught the labels themselves learns the training records by heart before it reads their states as well as a
logistic regression does. The regression's likelihood says how sure the states leave a reader, and is a function of them alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from processing.chat_gem import Modality
from processing.errors_gem import GemError
from recipes.console import run_command
from recipes.files import atomic_path
from recipes.sources.statements import superclasses_of
from recipes.teachers.grounded_answer import CLASS_NAMES

from .corpus import LEARNT_FOLDS, corpus_rows
from .states import TowerStates

SHOWN: Mapping[Modality, tuple[str, ...]] = {"both": ("ecg", "image"), "signal": ("ecg",), "image": ("image",)}
# Of 1e-4, 1e-3 and 1e-2 it ranks the records of fold 8 best from both towers, and within .002 of the best from either.
INVERSE_REGULARISATION = 1e-3
KEPT = "verdicts.npz"


@dataclass(frozen=True)
class TowerVerdicts:
    """
    How likely each superclass is by the states of the towers, for every labelled record.

    Attributes:
        ids: of the records.
        likelihoods: modality -> `(records, superclasses)` in the order of `CLASS_NAMES`, 0 to 1.
    """

    ids: list[str]
    likelihoods: dict[Modality, np.ndarray]

    @cached_property
    def rows(self) -> dict[str, int]:
        """Record id -> its row."""
        return {record_id: row for row, record_id in enumerate(self.ids)}

    def of(self, record_id: str, modality: Modality) -> np.ndarray | None:
        """`(superclasses,)` of a record that is shown so; `None` for one that has no labels."""
        row = self.rows.get(record_id)
        return None if row is None else self.likelihoods[modality][row]

    def save(self, folder: str | Path) -> None:
        """Writes one file to `folder`, whole or not at all."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        with atomic_path(Path(folder) / KEPT) as part, part.open("wb") as opened:
            kept = self.likelihoods
            np.savez(opened, ids=np.array(self.ids), both=kept["both"], signal=kept["signal"], image=kept["image"])

    @classmethod
    def load(cls, folder: str | Path) -> "TowerVerdicts":
        """Reads what `save` wrote.

        Raises:
            GemError: the folder holds none.
        """
        if not (Path(folder) / KEPT).is_file():
            raise GemError(
                f"{folder}: no verdicts of towers ({KEPT} is missing); make them with recipes.embedded.tower_verdicts."
            )
        with np.load(Path(folder) / KEPT) as kept:
            return cls(kept["ids"].tolist(), {name: kept[name] for name in SHOWN})


def summary(states: np.ndarray) -> np.ndarray:
    """`(records, tokens, width)` -> float32 `(records, 4 * width)`: mean, first token, maximum and standard deviation."""
    states = states.astype(np.float32)
    return np.concatenate([states.mean(1), states[:, 0], states.max(1), states.std(1)], axis=1)


def tower_verdicts(rows: Sequence[dict], states: TowerStates, piece: int = 1024) -> TowerVerdicts:
    """Fits a logistic regression per superclass and modality on the records of `LEARNT_FOLDS` and states its likelihoods.

    Args:
        rows: of the corpora, with `id`, `codes` and `fold`.
        states: of both towers.
        piece: records that are read at a time.
    """
    labelled = [row for row in rows if row["fold"] in LEARNT_FOLDS and row["id"] in states.rows]
    if not labelled:
        raise GemError("None of the states belong to a labelled record: build them from the same records and seed.")
    places = np.array([states.rows[row["id"]] for row in labelled])
    seen = {
        name: np.concatenate(
            [summary(getattr(states, name)[part]) for part in np.split(places, range(piece, len(places), piece))]
        )
        for name in ("ecg", "image")
    }
    truth = np.array([[code in superclasses_of(row["codes"]) for code in CLASS_NAMES] for row in labelled], dtype=int)
    likelihoods: dict[Modality, np.ndarray] = {}
    for modality, names in SHOWN.items():
        inputs = np.concatenate([seen[name] for name in names], axis=1)
        regression = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=300)
        probe = make_pipeline(StandardScaler(), OneVsRestClassifier(regression)).fit(inputs, truth)
        likelihoods[modality] = probe.predict_proba(inputs).astype(np.float32)
    return TowerVerdicts([row["id"] for row in labelled], likelihoods)


def main(
    records: Annotated[list[Path], typer.Option(help="What recipes.embedded.corpus wrote; repeatable.")],
    states: Annotated[Path, typer.Option(help="Folder of tower states.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
) -> None:
    """State for every labelled record how likely each superclass is by the states of the towers, for each modality."""
    rows = [row for folder in records for row in corpus_rows(folder)]
    found = tower_verdicts(rows, TowerStates.load(states))
    found.save(output)
    print(f"{len(found.ids)} records")


__all__ = ["TowerVerdicts", "summary", "tower_verdicts"]

if __name__ == "__main__":
    run_command(main)
