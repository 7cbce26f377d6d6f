# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The words that the embedded model was asked with. It was never taught what others mean, and answers them all the same."""

import re
from functools import cache
from itertools import chain

from processing.ecg_record import MAIN_WALLS, STANDARD_LEADS

from .off_topic import ABOUT_A_THING, THINGS
from .questions import NAMED
from .wordings import ABOUT_NOTHING, BEYOND_AN_ECG, FINDINGS, FOR_A_FINDING, FOR_A_VALUE, SENTENCES, VALUES

_WORD = re.compile(r"[a-z][a-z'-]*")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


@cache
def taught_words() -> frozenset[str]:
    """All words of the wordings, in small letters."""
    by_kind = (SENTENCES, VALUES, FINDINGS, NAMED, BEYOND_AN_ECG)
    texts = chain(
        *(chain.from_iterable(table.values()) for table in by_kind),
        *(FOR_A_VALUE, FOR_A_FINDING, ABOUT_A_THING, THINGS, ABOUT_NOTHING, STANDARD_LEADS, MAIN_WALLS),
    )
    return frozenset(chain.from_iterable(map(_words, texts)))


def untaught(question: str) -> str | None:
    """What to say to a question with words that were not taught. `None` for one without."""
    unknown = [word for word in dict.fromkeys(_words(question)) if word not in taught_words()]
    if not unknown:
        return None
    return (
        f"gem-ecg-tiny was not taught {', '.join(map(repr, unknown))} and may answer something else than {question!r}."
    )


__all__ = ["taught_words", "untaught"]
