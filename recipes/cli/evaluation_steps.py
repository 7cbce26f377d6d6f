# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Steps that the commands of `gem eval` share: lock the folder, get answers, choose a judge, write the report."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.progress import Progress
from rich.text import Text

from recipes.console import console, errors, say_failed
from recipes.models import model_source

if TYPE_CHECKING:
    from recipes.chat.client import ChatClient
    from recipes.evaluation.items import EvalItem
    from recipes.evaluation.judges import Judge
    from recipes.evaluation.report import EvaluationReport


def files_of(files: list[str] | None) -> dict[str, str]:
    """What `--files PREFIX=FOLDER` says, prefix -> folder.

    Raises:
        typer.BadParameter: of another form.
    """
    return pairs_of(files or [], "--files", "PREFIX=FOLDER")


def pairs_of(given: list[str], option: str, form: str) -> dict[str, str]:
    """`NAME=VALUE` as name -> value.

    Args:
        given: the values of an option.
        option: its name, and
        form: what a value looks like, for the error.

    Raises:
        typer.BadParameter: of another form.
    """
    pairs = [text.partition("=") for text in given]
    if bad := [name for name, sign, value in pairs if not (sign and value)]:
        raise typer.BadParameter(f"{bad[0]!r} is no {form}", param_hint=option)
    return {name: value for name, _, value in pairs}


def lock(context: typer.Context, output: Path) -> None:
    """Locks `output` against other evaluations until the command ends; of several processes the first one does so."""
    from processing.errors_gem import EvaluationError
    from recipes.evaluation.report import main_process
    from recipes.files import one_writer

    if main_process():
        context.with_resource(one_writer(output / "report", EvaluationError))


def answers_file(
    model: str,
    answers: Path | None,
    items: "list[EvalItem]",
    output: Path,
    modality: str,
    batch_size: int,
    max_new_tokens: int,
    engine: str,
    grounding: str = "off",
    n: int = 8,
) -> Path:
    """The file of answers: the given one, or the one that the model writes or continues in `output`.

    Args:
        model: folder or Hub id; empty if there is a file.
        answers: the file of answers given elsewhere.
        items: the questions.
        output: folder of the evaluation.
        modality: what the model sees.
        batch_size: records per forward pass.
        max_new_tokens: length limit of an answer.
        engine: what the model runs on.
        grounding: how its answers are checked before they are scored.
        n: largest number of answers that `select` and `correct` try.

    Raises:
        typer.BadParameter: both or neither, or options of a model together with a file.
        GemError: see `generate_answers`.
    """
    if (answers is None) == (not model):
        raise typer.BadParameter("give either --model or --answers")
    if answers is not None:
        for name, chosen, default in (("--grounding", grounding, "off"), ("--engine", engine, "transformers")):
            if chosen != default:
                raise typer.BadParameter(
                    "goes with --model: answers given elsewhere are scored as they are", param_hint=name
                )
        return answers
    from modeling_gem.interpretation import as_grounding
    from processing.chat_gem import as_modality
    from recipes.evaluation.answers import generate_answers

    path = output / "answers.jsonl"
    with progress_bar("answers") as step:
        generate_answers(
            model_source(model),
            items,
            path,
            modality=as_modality(modality),
            batch_size=batch_size,
            max_new_tokens=max_new_tokens,
            grounding=as_grounding(grounding),
            n=n,
            engine=engine,
            progress=step,
        )
    return path


def judge_of(judge: str, engine: str, settings: Path | None, output: Path) -> "tuple[Judge | None, ChatClient | None]":
    """The judge that the options name, and its client where it is asked over HTTP.

    Args:
        judge: its name at the endpoint, or a folder or Hub id; empty for none.
        engine: URL of the endpoint, or an engine of this machine.
        settings: YAML with further settings of the client.
        output: folder of the evaluation, which keeps the replies.

    Raises:
        GemError: unknown engine or settings.
    """
    if not judge:
        return None, None
    from recipes.chat.engine_names import as_engine, is_url
    from recipes.evaluation.judges import ChatJudge, LocalJudge

    if engine and not is_url(as_engine(engine)):
        return LocalJudge(judge, engine), None
    import yaml

    from recipes.chat.client import ChatClient
    from recipes.chat.settings import ChatSettings

    chosen = yaml.safe_load(settings.read_text(encoding="utf-8")) or {} if settings is not None else {}
    # Verdicts on twelve leads and their explanations are long.
    defaults = {"cache_dir": str(output / "judge_cache"), "max_tokens": 8192}
    given = {"model": judge, **({"base_url": engine} if engine else {})}
    client = ChatClient(ChatSettings.from_mapping(defaults | chosen | given))
    return ChatJudge(client), client


@contextlib.contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error; the function takes what is done and the total."""
    with Progress(console=errors) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def finish(report: "EvaluationReport", output: Path) -> None:
    """Writes and prints the report; problems are named, and the exit code is then 1."""
    from recipes.evaluation.report import write_report

    path = write_report(output, report)
    for table in report.tables:
        console.print(Text.assemble((table.title, "bold"), f" ({table.records} records)"))
        for row in table.rows:
            values = ", ".join(f"{column} {row.shown(column)}" for column in table.columns if row.shown(column))
            console.print(f"  {row.label}: {values}")
    name_problems(report.problems)
    console.print(f"-> {path}")
    if report.problems:
        raise typer.Exit(1)


def name_problems(problems: list[str], shown: int = 20) -> None:
    """Prints the first problems, and how many more there are."""
    for problem in problems[:shown]:
        say_failed("problem:", problem)
    if len(problems) > shown:
        errors.print(f"... and {len(problems) - shown} more", style="red")


__all__ = [
    "answers_file",
    "files_of",
    "finish",
    "judge_of",
    "lock",
    "name_problems",
    "pairs_of",
    "progress_bar",
]
