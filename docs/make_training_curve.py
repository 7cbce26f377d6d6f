# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws docs/training_tiny.png, how the embedded model was trained: python -m docs.make_training_curve --outputs outputs"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from recipes.embedded.reproduce import PARTS, part_folders


def smoothed(values: list[float], window: int = 15) -> np.ndarray:
    """Geometric mean of `window` values around each, fewer at both ends."""
    logs = np.log(values)
    reach = np.minimum(window // 2, np.minimum(np.arange(len(logs)), np.arange(len(logs))[::-1]))
    return np.exp([logs[i - r : i + r + 1].mean() for i, r in enumerate(reach)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=Path, default=Path("outputs"))
    folder = parser.parse_args().outputs
    tower = json.loads((folder / "ecg_tower" / "pretraining.json").read_text())["log"]
    language, starts = [], [0]
    for part in part_folders(folder):
        log = json.loads((part / "training_log.json").read_text())
        language += [row | {"step": starts[-1] + row["step"]} for row in log]
        starts.append(language[-1]["step"])

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    epochs = [row for row in tower if "eval_auc_superclasses" in row]
    left.plot(
        [row["epoch"] for row in epochs], [float(row["eval_auc_superclasses"]) for row in epochs], color="#1f5f8b"
    )
    left.set(title="Signal tower: superclasses on fold 9", xlabel="epoch", ylabel="macro AUC")
    steps = [row for row in language if "loss" in row]
    loss = [float(row["loss"]) for row in steps]
    right.plot([row["step"] for row in steps], loss, color="#1f5f8b", alpha=0.25)
    right.plot([row["step"] for row in steps], smoothed(loss), color="#1f5f8b")
    for start in starts[1:-1]:
        right.axvline(start, color="0.6", linestyle=":")
    weights = [part.finding_weight for part in PARTS]
    heavy = starts[weights.index(weights[-1])]
    right.axvspan(heavy, starts[-1], color="0.92", label=f"yes and no as heavy as {weights[-1]} words")
    right.legend(frameon=False)
    right.set(
        title="Language model and projectors: training loss", xlabel="step", ylabel="nats per token", yscale="log"
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).parent / "training_tiny.png", dpi=110)


if __name__ == "__main__":
    main()
