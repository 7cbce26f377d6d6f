# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The words that the embedded model is asked with. Its processor keeps them, and names others that come in a question."""

from itertools import chain

from processing.ecg_record import MAIN_WALLS, STANDARD_LEADS
from processing.question_words import words_of

from .off_topic import ABOUT_A_THING, THINGS
from .questions import NAMED
from .wordings import ABOUT_NOTHING, BEYOND_AN_ECG, FINDINGS, FOR_A_FINDING, FOR_A_VALUE, SENTENCES, VALUES
from .yes_or_no import BRIEFLY, WITH_OPTIONS


def taught_words() -> list[str]:
    """All words of the wordings, in small letters, sorted."""
    by_kind = (SENTENCES, VALUES, FINDINGS, NAMED, BEYOND_AN_ECG)
    texts = chain(
        *(chain.from_iterable(table.values()) for table in by_kind),
        *(FOR_A_VALUE, FOR_A_FINDING, ABOUT_A_THING, THINGS, ABOUT_NOTHING, STANDARD_LEADS, MAIN_WALLS),
        (*BRIEFLY, WITH_OPTIONS),
    )
    return sorted(set(chain.from_iterable(map(words_of, texts))))


__all__ = ["taught_words"]
