# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
The console of all programs, and how they report errors.

No markup and no wrapping: `gem-ecg[data]`, `leads [I, II]` and names of files are printed as they are, on one line.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import NoReturn

import typer
from rich.console import Console
from rich.text import Text

from processing.errors_gem import GemError

from .extras import missing_extra

console = Console(markup=False, highlight=False, soft_wrap=True)
errors = Console(markup=False, highlight=False, soft_wrap=True, stderr=True)


def say_failed(word: str, what: object) -> None:
    """One line on stderr that begins with a red `word`."""
    errors.print(Text.assemble((word, "red"), f" {what}"))


def say_left_out(left_out: Mapping[str, str]) -> None:
    """One line on stderr about the files of a folder that are no records, by name with the reason; nothing where there are none."""
    if left_out:
        from processing.folders.listing import left_out_in_words

        errors.print(left_out_in_words(left_out), style="yellow")


def run_script(main: Callable[[], object], words: Callable[[object], str] = str) -> None:
    """
    Runs `main`; errors that a user can cause (`GemError`, `OSError`, a library of an extra that is not installed) end in
    one red line, not a traceback, with exit code 2.

    `words` puts an error into the words of the program, such as the names of its options.
    """
    try:
        main()
    except ImportError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        say_failed("error:", missing)
        sys.exit(2)
    except (GemError, OSError) as error:
        say_failed("error:", words(error))
        sys.exit(2)


def run_command(main: Callable[..., object]) -> None:
    """Runs `main` with its typed parameters as the options of a script; errors end as in `run_script`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_script(app)


def run_module(name: str) -> NoReturn:
    """Runs `main()` of a module, for `python -m`; in its imports, too, a missing library ends as in `run_script`."""
    run_script(lambda: import_module(name).main())
    sys.exit()
