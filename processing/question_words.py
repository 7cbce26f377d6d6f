# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Words of a question that a model was not taught. A small model answers such a question all the same, and mostly another one."""

import re
from collections.abc import Container

_WORD = re.compile(r"[a-z][a-z'-]*")


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, each once, in their order."""
    return list(dict.fromkeys(_WORD.findall(text.lower())))


def doubt_about(question: str, taught: Container[str]) -> str | None:
    """A sentence that names the words of `question` that are not among the `taught` ones; `None` if there are none.

    Examples:
        >>> doubt_about("Is the rhythm wonky?", {"is", "the", "rhythm"})
        "The model was not taught 'wonky' and may answer something else than 'Is the rhythm wonky?'."
    """
    unknown = [word for word in words_of(question) if word not in taught]
    if not unknown:
        return None
    return f"The model was not taught {', '.join(map(repr, unknown))} and may answer something else than {question!r}."


__all__ = ["doubt_about", "words_of"]
