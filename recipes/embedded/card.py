# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Writes the embedded model's card from its measured scores.

python -m recipes.embedded.card --model outputs/gem-ecg-tiny --scores fold9.json --scores fold8.json --stages outputs
"""

import json
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer

from recipes.console import run_command
from recipes.publishing.model_card import Training, model_card
from recipes.scores import ScoreRow, ScoreTable, ptbxl_scores, scores_command


def answered(report: dict[str, Any]) -> ScoreTable:
    """The shares of questions answered rightly and of junk declined, as a table."""
    rows = [
        ScoreRow(f"question: {kind}", "accuracy", {"right": row["right"]}) for kind, row in report["questions"].items()
    ]
    rows += [ScoreRow("understood: unseen wordings", "accuracy", {"right": understood(report)})]
    rows += [ScoreRow(f"declined: {kind}", "accuracy", {"right": share}) for kind, share in report["junk"].items()]
    note = (
        "A question is right where its claims hold, or its yes or no is the label's. Understood is a wording that was not learned from if its "
        "answer is that to the usual wording. Of ECGs none should be declined."
    )
    place = "PTB-XL", f"fold {report['fold']}", report["records"]
    return ScoreTable("questions, and inputs that are not ECGs", *place, ["right"], rows, note, scores_command(report))


def understood(report: dict[str, Any]) -> float:
    """Which share of the questions in unseen wordings is understood, all kinds alike."""
    return fmean(row["understood"] for row in report["unseen"].values())


def stages_of(folder: Path) -> list[str]:
    """What each complete stage of `recipes.embedded.reproduce` in `folder` ran, and for how long."""
    found = sorted(folder.glob("*/stage.json"), key=lambda path: path.stat().st_mtime)
    told = [(path.parent.name.rpartition("-")[0], json.loads(path.read_text())) for path in found]
    return [f"{name}: `{stage['command'][0]}`, {stage['minutes']:g} min" for name, stage in told]


def main(
    model: Annotated[Path, typer.Option(help="Folder of the finished model.")],
    scores: Annotated[list[Path], typer.Option(help="What recipes.embedded.scores wrote, one per fold; repeatable.")],
    stages: Annotated[Path, typer.Option(help="Folder of the recipe's stages.")],
) -> None:
    """Write the embedded model's card: what was measured on each fold, and how it was made.

    Example: python -m recipes.embedded.card --model outputs/gem-ecg-tiny --scores fold9.json --stages outputs
    """
    reports = [json.loads(path.read_text()) for path in scores]
    card = model_card(
        model,
        name="gem-ecg-tiny",
        summary="The small GEM that comes with gem-ecg: it shows that everything works, end to end, on a laptop. It is not "
        "accurate enough to rely on.",
        datasets=["PTB-XL"],
        tables=[table for report in reports for table in (ptbxl_scores(report), answered(report))],
        training=Training(
            [
                *stages_of(stages),
                "`python -m recipes.embedded.reproduce` does all of it. The words of questions began as a projection of the embeddings of "
                "SmolLM2-135M-Instruct (Hugging Face, Apache-2.0).",
            ]
        ),
        writes="a paragraph of rhythm, intervals, axis, P waves, QRS complexes, ST segments, T waves and an impression; or the "
        "answer to a question about one of them",
        limits=[
            f"Of questions in words that it was not taught, {1 - understood(reports[0]):.0%} get the answer to another question. It knows the kinds "
            "of questions in `recipes/teachers/questions.py` and should decline all others."
        ],
    )
    card.save(model / "README.md")


if __name__ == "__main__":
    run_command(main)
