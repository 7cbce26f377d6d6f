# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem interpret FOLDER_OR_DATASET --output answers.parquet`: the options and the run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress

from processing.errors_gem import BuildError
from processing.grounding.cut_off import cut_off_in_words
from recipes.chat.engine_names import ENGINE_HELP
from recipes.console import errors, say_failed, say_left_out
from recipes.record_options import ReadingOptions, as_options, spread

from .records import COLUMNS

if TYPE_CHECKING:
    from modeling_gem.interpretation import Grounding
    from processing.chat_gem import Modality

SHOWN = 20  # failures that are printed; all are in the file


def _option(names: str, text: str) -> Any:
    return typer.Option(names, help=text, rich_help_panel="Many ECGs")


@dataclass(frozen=True)
class ManyOptions:
    """Options of a run over many ECGs."""

    output: Annotated[Path | None, _option("--output", "Parquet file with a row per ECG of a folder or data set.")] = (
        None
    )
    engine: Annotated[str, _option("--engine", "local (this machine) or ray (a cluster).")] = "local"
    backend: Annotated[str, typer.Option("--backend", help=f"What the model runs on: {ENGINE_HELP}.")] = "transformers"
    workers: Annotated[
        int, _option("--workers", "With local: processes that read, measure and draw beside the model's.")
    ] = 0
    batch: Annotated[int, _option("--batch", "ECGs that are answered at once.")] = 16
    split: Annotated[str, _option("--split", "Split of a data set.")] = "train"
    address: Annotated[
        str,
        _option("--address", "Address of the Ray cluster: ray://HOST:10001, auto, or local for one on this machine."),
    ] = "auto"
    models: Annotated[int, _option("--models", "With ray: actors that hold the model.")] = 1
    model_gpus: Annotated[float, _option("--model-gpus", "With ray: GPUs per actor; may be a fraction.")] = 0.0
    fresh: Annotated[bool, _option("--fresh", "Start again instead of continuing.")] = False


def with_many_options(verb: Callable[..., None]) -> Callable[..., None]:
    """`verb`, with its parameter `many` spread out into the options of `ManyOptions`."""
    return spread(verb, "many", ManyOptions)


def interpret_many(
    place: Path,
    reading: ReadingOptions,
    many: ManyOptions,
    model: str,
    question: str | None,
    modality: "Modality",
    grounding: "Grounding",
    n: int,
    seed: int,
    max_new_tokens: int,
) -> None:
    """Answers all ECGs of a folder or data set, and says what failed.

    Raises:
        BuildError: see `interpret_all`; or no output, no such engine.
        typer.Exit: with 1 where ECGs could not be read or answered, or hold no ECG.
    """
    from recipes.dataset.answer_file import AnswerSettings, LocalAnswers, interpret_all
    from recipes.dataset.answer_source import AnswerSource
    from recipes.dataset.ray_answers import RayAnswers

    if many.output is None:
        raise BuildError(f"{place}: many ECGs; say where their answers go with --output answers.parquet.")
    if many.engine not in ("local", "ray"):
        raise BuildError(f"--engine is local or ray, got {many.engine!r}.")
    settings = AnswerSettings(
        AnswerSource.at(str(place), many.split, reading),
        many.output,
        model,
        many.backend,
        question,
        modality,
        grounding,
        n,
        seed,
        max_new_tokens,
        many.batch,
    )
    on_ray = many.engine == "ray"
    engine = RayAnswers(many.address, many.models, many.model_gpus) if on_ray else LocalAnswers(many.workers)
    with Progress(*COLUMNS, console=errors) as progress:
        task = progress.add_task("ECGs", total=None)
        report = interpret_all(
            settings,
            engine,
            fresh=many.fresh,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    print(f"{report.rows:,} rows, {len(report.declined):,} declined, {len(report.failed):,} failed -> {many.output}")
    errors.print(f"{report.resumed:,} of them were there already; the columns `declined` and `error` give the reasons")
    if report.cut_off:
        errors.print(f"{report.cut_off:,} {cut_off_in_words(max_new_tokens)} (column `cut_off`)", style="yellow")
    say_left_out(report.left_out)
    if report.spent:
        errors.print("CPU seconds: " + ", ".join(f"{step} {seconds:.1f}" for step, seconds in report.spent.items()))
    for word, reasons in (("failed", report.failed), ("declined", report.declined)):
        for name, reason in list(reasons.items())[:SHOWN]:
            say_failed(word, as_options(f"{name}: {reason}"))
        if len(reasons) > SHOWN:
            errors.print(f"and {len(reasons) - SHOWN:,} more")
    if report.failed or report.declined:
        raise typer.Exit(1)


__all__ = ["ManyOptions", "interpret_many", "with_many_options"]
