# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Names the extra of gem-ecg that is needed when an import fails."""

from collections.abc import Iterator
from types import TracebackType

from processing.errors_gem import MissingDependencyError
from processing.extras_gem import LIBRARIES, missing_library

# The extra that brings all that a module, or any in a room, imports. A module's own entry goes before its room's.
EXTRAS = {
    "hub_cards.space": ("demo", "gem demo"),
    "recipes.chat": ("teacher", "A language model as teacher or judge"),
    "recipes.dataset": ("data", "Building data sets"),
    "recipes.dataset.card": ("publish", "Publishing"),
    "recipes.embedded": ("train", "Training"),
    "recipes.embedded.photo_scores": ("eval", "Evaluation"),
    "recipes.embedded.scores": ("eval", "Evaluation"),
    "recipes.evaluation": ("eval", "Evaluation"),
    "recipes.publishing": ("publish", "Publishing"),
    "recipes.serving": ("serve", "gem serve"),
    "recipes.sources": ("data", "Reading this data set"),
    "recipes.teachers": ("teacher", "A teacher"),
    "recipes.training": ("train", "Training"),
}


def missing_extra(error: ImportError) -> MissingDependencyError | None:
    """
    What to install, where `error` is about a library of an extra: the one of the recipe that was called, which is the
    outermost in the traceback. `None` for any other import that fails.
    """
    if error.name is None or error.name.partition(".")[0] not in LIBRARIES:
        return None
    for module in _modules(error.__traceback__):
        for name in (module, module.rpartition(".")[0], ".".join(module.split(".")[:2])):
            if name in EXTRAS:
                extra, what = EXTRAS[name]
                return missing_library(error.name, what, extra)
    return missing_library(error.name)


def _modules(traceback: TracebackType | None) -> Iterator[str]:
    while traceback is not None:
        yield str(traceback.tb_frame.f_globals.get("__name__", ""))
        traceback = traceback.tb_next


__all__ = ["missing_extra"]
