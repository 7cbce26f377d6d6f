# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The `gem` command: one thin function per verb; what it does lives in the packages."""

import os

import typer

from recipes.console import run_script

from . import dataset, evaluate, models, publish, records

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

app = typer.Typer(
    name="gem",
    help="GEM reads 12-lead ECGs as signal, picture and text, and writes a grounded interpretation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(models.interpret)
app.command()(models.info)
app.command()(models.convert)
app.command()(records.inspect)
app.command()(records.render)
app.command("build-dataset")(dataset.build_dataset)
app.command("train", context_settings=models.SETTINGS)(models.train)
app.command()(models.merge)
app.command()(models.demo)
app.command()(records.check)
app.command()(records.features)
app.add_typer(publish.app, name="publish")
app.add_typer(evaluate.app, name="eval")


def main() -> None:
    """Runs the command; errors a user can cause end in one red line instead of a traceback."""
    run_script(app)
