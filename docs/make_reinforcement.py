# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws docs/reinforcement.png and prints the table of docs/reinforcement.md: python -m docs.make_reinforcement RUN RUN ..."""

import argparse
import json
from pathlib import Path
from statistics import fmean

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from recipes.training.checkpoints import last_checkpoint
from recipes.training.quality_report import REPORT_FILE

DRAWN = {"reward": "mean reward", "kl": "divergence from the start, nats per token"}


def history(run: Path) -> list[dict[str, float]]:
    """What was logged during a run, in steps."""
    newest = last_checkpoint(str(run))
    if newest is None:
        raise SystemExit(f"{run}: no complete checkpoint, so no log.")
    return json.loads((Path(newest) / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]


def table(reports: list[dict]) -> str:
    """A row per measure, before and after each run."""
    runs = [f"{when}, run {number}" for number in range(len(reports)) for when in ("before", "after")]
    lines = [f"| {' | '.join(['', *runs])} |", "|---" + "|---:" * len(runs) + "|"]
    for name in reports[0]["before"]:
        values = [report[when][name] for report in reports for when in ("before", "after")]
        if None not in values:
            lines.append(f"| {' | '.join([f'`{name}`', *(f'{value:.3f}' for value in values)])} |")
    divergences = [cell for report in reports for cell in ("0", f"{report['divergence']:.3f}")]
    return "\n".join([*lines, f"| divergence | {' | '.join(divergences)} |"])


def draw(runs: list[Path], path: Path) -> None:
    figure, axes = plt.subplots(1, len(DRAWN), figsize=(10, 3.6), layout="constrained")
    for number, run in enumerate(runs):
        logged = [entry for entry in history(run) if "reward" in entry]
        for axis, (name, title) in zip(axes, DRAWN.items(), strict=True):
            axis.plot([entry["step"] for entry in logged], [entry[name] for entry in logged], label=f"run {number}")
            axis.set(title=title, xlabel="step")
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="output folders of gem train --method grpo")
    runs = parser.parse_args().runs
    print(table([json.loads((run / REPORT_FILE).read_text(encoding="utf-8")) for run in runs]))
    timed = [entry for run in runs for entry in history(run) if "step_time" in entry]
    seconds, writing = (fmean(entry[name] for entry in timed) for name in ("step_time", "generation_time"))
    print(f"\n{seconds:.1f} s a step, {writing / seconds:.0%} of it for the answers")
    draw(runs, Path(__file__).parent / "reinforcement.png")


if __name__ == "__main__":
    main()
