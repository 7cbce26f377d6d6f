# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem build-dataset`: ECGs of any source -> instruction data that a plain `load_dataset` opens; `gem build-preferences`: pairs of answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recipes.chat.engine_names import ENGINE_HELP
from recipes.console import errors

if TYPE_CHECKING:
    from rich.progress import TaskID

    from recipes.dataset.build import Progress
    from recipes.dataset.settings import BuildSettings


def build_dataset(
    config: Annotated[Path, typer.Argument(help="YAML file; examples are in recipes/configs/build_*.yaml.")],
    output: Annotated[str | None, typer.Option(help="Folder to write; overrides the config.")] = None,
    workers: Annotated[int | None, typer.Option(help="Number of processes; overrides the config.")] = None,
    with_images: Annotated[
        bool,
        typer.Option("--with-images", help="Embed the page pictures; otherwise they are drawn when rows are read."),
    ] = False,
    untrusted: Annotated[
        bool,
        typer.Option("--untrusted", help="Read each file in a process with limits; what exceeds them is rejected."),
    ] = False,
    engine: Annotated[str, typer.Option(help="local (processes of this machine) or ray (a cluster).")] = "local",
    address: Annotated[
        str, typer.Option(help="Address of the Ray cluster: ray://HOST:10001, auto, or local for one on this machine.")
    ] = "auto",
    teacher_engine: Annotated[
        str | None,
        typer.Option(help=f"What a teacher of the kind `local` runs on, instead of the config's: {ENGINE_HELP}."),
    ] = None,
    teachers: Annotated[int, typer.Option(help="With ray: teachers that work at the same time.")] = 1,
    teacher_gpus: Annotated[float, typer.Option(help="With ray: GPUs per teacher.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again instead of continuing.")] = False,
    export_batch: Annotated[
        Path | None,
        typer.Option(help="Build nothing; write all open requests to a file for the endpoint's batch API."),
    ] = None,
    import_batch: Annotated[
        Path | None, typer.Option(help="Build nothing; store the replies in an output file of the batch API.")
    ] = None,
) -> None:
    """Build instruction data: import, measure, draw, teach, verify, write.

    \b
    gem build-dataset recipes/configs/build_samples.yaml
    gem build-dataset my_sources.yaml --workers 8 --with-images
    gem build-dataset my_sources.yaml --engine ray --address ray://head:10001
    gem build-dataset my_sources.yaml --teacher-engine vllm

    Repeat the command to continue an interrupted build; the result has the same bytes. Records that cannot be read or answered
    are left out and listed in rejects.jsonl and report.md. Open the folder with datasets.load_dataset(FOLDER), or upload it as
    it is.
    """
    from processing.errors_gem import BuildError
    from recipes.dataset.build import build_dataset as build
    from recipes.dataset.ray_engine import RayEngine
    from recipes.dataset.report import REJECTS_IN_FULL
    from recipes.dataset.settings import read_settings

    if engine not in ("local", "ray"):
        raise BuildError(f"--engine is local or ray, got {engine!r}.")
    settings = read_settings(config, output=output, workers=workers, untrusted=untrusted or None)
    if teacher_engine is not None:
        settings = settings.with_teacher_engine(teacher_engine)
    if with_images:
        settings = settings.with_images()
    if export_batch is not None or import_batch is not None:
        _batch(settings, export_batch, import_batch)
        return
    made = RayEngine(address, teachers, teacher_gpus) if engine == "ray" else None
    with _Bars() as show:
        result = build(settings, engine=made, fresh=fresh, progress=show)
    print(f"{result.rows:,} rows, {result.rejected:,} rejected -> {result.folder}")
    resumed = f" ({result.resumed} of them were complete)" if result.resumed else ""
    errors.print(f"{result.built + result.resumed} shards{resumed}; read {result.folder}/report.md")
    if result.rejected:
        errors.print(f"full reasons, not to be published: {result.folder}/{REJECTS_IN_FULL}")
    if result.unanswered:
        errors.print(
            f"{result.unanswered:,} records got no answer at all: run the same command to ask for them again."
        )
    spent = ", ".join(f"{name} {amount:,.1f}" for name, amount in result.spent.items())
    errors.print(f"CPU seconds, tokens, cost: {spent}")


def build_preferences(
    dataset: Annotated[str, typer.Argument(help="Data set of `gem build-dataset`, or one with messages and ecg.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Model that answers: folder or Hub id.")] = "",
    split: Annotated[str, typer.Option(help="Split to take rows from.")] = "train",
    rows: Annotated[int | None, typer.Option(help="Use only the first rows, up to this number.", min=1)] = None,
    answers: Annotated[int, typer.Option(help="Number of answers to each row.", min=2)] = 8,
    temperature: Annotated[
        float, typer.Option(help="Sampling temperature; at a higher one answers differ more.")
    ] = 0.9,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 256,
    margin: Annotated[
        float, typer.Option(help="Smallest difference in reward between the two answers of a pair.")
    ] = 0.1,
    modality: Annotated[str, typer.Option(help="What the model sees: both, signal or image.")] = "both",
    seed: Annotated[int, typer.Option(help="Of the writing.")] = 0,
) -> None:
    """Make pairs for `gem train --method dpo`: a model answers each row several times, and the check ranks the answers.

    \b
    gem build-preferences my_instructions --output my_preferences --rows 1000
    gem train --method dpo recipes/configs/dpo_tiny.yaml --dataset my_preferences

    The best and the worst answer of a row are kept if their rewards (docs/reinforcement.md) differ by --margin. Repeat the command
    to continue an interrupted run.
    """
    from processing.chat_gem import as_modality
    from recipes.training.preferences import PreferenceSettings
    from recipes.training.preferences import build_preferences as build
    from recipes.training.sft import load_split

    settings = PreferenceSettings(model, answers, temperature, max_new_tokens, margin, as_modality(modality), seed)
    source = load_split(dataset, split)
    with _Bars() as show:
        result = build(source, output, settings, rows, lambda done, total: show("rows", done, total))
    print(f"{result.pairs:,} pairs, {result.close:,} rows whose answers were too close -> {output}")
    for name, reason in list(result.failed.items())[:5]:
        errors.print(f"{name}: {reason}")
    if result.failed:
        errors.print(f"{len(result.failed):,} rows could not be used")
        raise typer.Exit(1)


def _batch(settings: "BuildSettings", requests: Path | None, replies: Path | None) -> None:
    """Imports replies first, so that only the remaining questions are exported."""
    from recipes.dataset.teacher_batch import export_requests, import_replies

    if replies is not None:
        stored = import_replies(settings, replies)
        print(f"{stored.stored:,} replies stored, {len(stored.failed):,} requests without one")
        for key, reason in list(stored.failed.items())[:5]:
            errors.print(f"{key}: {reason}")
    if requests is not None:
        with _Bars() as show:
            export = export_requests(settings, requests, show)
        cost = "" if export.usd_at_most is None else f", at most ${export.usd_at_most:.2f}"
        print(f"{export.requests:,} requests{cost} -> {', '.join(map(str, export.files)) or 'no file'}")


class _Bars:
    """A progress bar per thing that is counted."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=errors
        )
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "Progress":
        self.progress.start()
        return self.show

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show(self, what: str, done: int, total: int) -> None:
        if what not in self.tasks:
            self.tasks[what] = self.progress.add_task(what)
        self.progress.update(self.tasks[what], completed=done, total=total or None)


__all__ = ["build_dataset"]
