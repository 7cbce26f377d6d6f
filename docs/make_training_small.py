# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws docs/training_small.png from the log of a finished or running gem-small training.

python docs/make_training_small.py outputs/sft_small
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from recipes.training.checkpoints import last_checkpoint

SMOOTHING = 3


def main() -> None:
    checkpoint = last_checkpoint(sys.argv[1])
    if checkpoint is None:
        sys.exit(f"{sys.argv[1]}: no complete checkpoint-N there")
    state = Path(checkpoint) / "trainer_state.json"
    entries = [entry for entry in json.loads(state.read_text())["log_history"] if "loss" in entry]
    steps, losses = (np.array([entry[key] for entry in entries]) for key in ("step", "loss"))
    smooth = np.convolve(losses, np.ones(SMOOTHING) / SMOOTHING, mode="valid")
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    axes.plot(steps, losses, ".", color="0.6", label="mean of five steps")
    axes.plot(steps[SMOOTHING // 2 : len(steps) - SMOOTHING // 2], smooth, color="#b03030", label="smoothed")
    axes.set(xlabel="step (2 samples each)", ylabel="loss per answer token", ylim=(0, None))
    axes.set_title("gem-small: SmolLM2-135M-Instruct, LoRA and new projectors, PTB-XL folds 1-8", fontsize=10)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).with_name("training_small.png"), dpi=110)
    print(f"{losses[0]:.2f} -> {losses[-1]:.2f} in {steps[-1]} steps")


if __name__ == "__main__":
    main()
