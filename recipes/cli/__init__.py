# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The `gem` command: one thin function per verb; the packages do the work."""

import os
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from recipes.console import run_script
from recipes.record_options import as_options

from . import dataset, evaluate, models, publish, records
from .serve import serve

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

READ, TRAIN, DATA, EVALUATE, SERVE = "Read ECGs", "Train", "Data", "Evaluate", "Serve and publish"

PANELS = (READ, TRAIN, DATA, EVALUATE, SERVE)


class _InPanels(TyperGroup):
    """Help lists commands and groups of commands panel by panel, each in the order in which it was added."""

    def list_commands(self, ctx: Any) -> list[str]:
        def panel(name: str) -> int:
            return PANELS.index(str(getattr(self.commands[name], "rich_help_panel", READ)))

        return sorted(self.commands, key=panel)


app = typer.Typer(
    name="gem",
    cls=_InPanels,
    help="GEM reads 12-lead ECGs as signal, picture and text, and writes a grounded interpretation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        try:
            typer.echo(f"gem-ecg {version('gem-ecg')}")
        except PackageNotFoundError:
            typer.echo("gem-ecg, not installed: run from its source")
        raise typer.Exit


@app.callback()
def gem(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """GEM reads 12-lead ECGs as signal, picture and text, and writes a grounded interpretation.

    Research software, not a medical device. Start with: gem inspect FILE, gem features FILE, gem interpret FILE.
    """


app.command(rich_help_panel=READ)(records.inspect)
app.command(rich_help_panel=READ)(records.features)
app.command(rich_help_panel=READ)(records.render)
app.command(rich_help_panel=READ)(models.interpret)
app.command(rich_help_panel=READ)(records.check)
app.command("train", context_settings=models.SETTINGS, rich_help_panel=TRAIN)(models.train)
app.command(rich_help_panel=TRAIN)(models.merge)
app.command(rich_help_panel=TRAIN)(models.convert)
app.command(rich_help_panel=TRAIN)(models.info)
app.command("build-dataset", rich_help_panel=DATA)(dataset.build_dataset)
app.command("build-preferences", rich_help_panel=DATA)(dataset.build_preferences)
app.add_typer(evaluate.app, name="eval", rich_help_panel=EVALUATE)
app.command(rich_help_panel=SERVE)(models.demo)
app.command(rich_help_panel=SERVE)(serve)
app.add_typer(publish.app, name="publish", rich_help_panel=SERVE)


def main() -> None:
    """Runs the command. Errors that a user can cause end in one red line instead of a traceback."""
    run_script(app, as_options)
