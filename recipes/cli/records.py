# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""One record, or all of a folder: what `gem inspect`, `render` and `features` have in common."""

from collections.abc import Callable
from pathlib import Path

import typer
from rich.progress import track

from recipes.console import errors, say_failed


def for_each_record(source: Path, work: Callable[[Path], None], quiet: bool = False) -> None:
    """One record, or all of a folder with progress; in a folder failures are reported at the end, and exit code 1."""
    from processing.ecg_readers import list_ecg_files
    from processing.errors_gem import GemError

    if not source.is_dir():
        work(source)
        return
    failures = []
    paths = list_ecg_files(source)
    for path in track(paths, description="records", console=errors, disable=quiet):
        try:
            work(path)
        except GemError as error:
            failures.append(error)
    errors.print(f"{len(paths) - len(failures)} of {len(paths)} records done")
    for failure in failures:
        say_failed("failed", failure)
    if failures:
        raise typer.Exit(1)
