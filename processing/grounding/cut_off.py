# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Answers that end at their length limit, in the middle of a sentence or of a number."""

import re

# A word of letters behind which a sentence or a clause ends is finished; any other last word may go on.
_FINISHED = re.compile(r"[^\W\d_][.,;:!?)\]]+$")
# The last word, and a number before it: without its unit it says something else.
_LAST_WORD = re.compile(r"(?:(?<!\S)[-+\u2212<>=~]{0,2}\d\S*\s+)?\S+$")


class CutOff(str):
    """The text of an answer that was cut off at its length limit. Methods of `str` give plain texts.

    Examples:
        >>> isinstance(CutOff("The QRS axis is 7"), str), CutOff("The QRS axis is 7") == "The QRS axis is 7"
        (True, True)
    """

    __slots__ = ()


def as_answer(text: str, cut_off: bool) -> str:
    """`text`, marked if it was cut off."""
    return CutOff(text) if cut_off else text


def checkable(text: str) -> str:
    """The beginning of an answer that can be checked: all of it, or, if it was cut off, what precedes the unfinished last word.

    Examples:
        >>> checkable(CutOff("Sinus rhythm. The QRS axis is 7")), checkable("The QRS axis is 7")
        ('Sinus rhythm. The QRS axis is ', 'The QRS axis is 7')
        >>> checkable(CutOff("QT 400 ms, PR 0.1 s")), checkable(CutOff("Sinus rhythm."))
        ('QT 400 ms, PR ', 'Sinus rhythm.')
    """
    if not isinstance(text, CutOff):
        return text
    written = text.rstrip()
    return written if _FINISHED.search(written) else _LAST_WORD.sub("", written)


def end_in_words(tokens: int | None = None) -> str:
    """How such an answer ends.

    Examples:
        >>> end_in_words()
        'cut off before its end'
    """
    return f"cut off {'before its end' if tokens is None else f'after {tokens:,} tokens'}"


def cut_off_in_words(tokens: int | None = None) -> str:
    """What is said where such an answer is shown and was checked.

    Args:
        tokens: the length limit, if it was that, and is known.

    Examples:
        >>> cut_off_in_words(256)
        'cut off after 256 tokens; the unfinished last word is not checked'
    """
    return f"{end_in_words(tokens)}; the unfinished last word is not checked"


__all__ = ["CutOff", "as_answer", "checkable", "cut_off_in_words", "end_in_words"]
