# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Numbers without digits or units: squares of the paper (`four small squares`), decades (`the low seventies`),
the seconds of a pause (`four seconds`), `sinus rhythm at 72`."""

import re
from collections.abc import Sequence
from dataclasses import replace

from .meaning import SMALL_SQUARE_MS, SQUARES
from .tokens import NUMBER_WORDS, Quantity
from .words import DECADE_WORDS, Token

_SECONDS = ("second", "seconds")
_NEAR_A_PAUSE = 5  # tokens from the pause to the seconds
_TALL, _WIDE = ("tall", "high", "deep", "height", "amplitude"), ("wide", "long", "width", "duration", "length")
RATE_BPM = (20, 350)  # of a number without a unit behind a rhythm
_AFTER_A_RATE = ("comma", "close", "open", "with", "and")
# Part of a decade, as tenths of it.
_PARTS = {"low": (0, 3), "lower": (0, 3), "mid": (4, 6), "middle": (4, 6), "high": (6, 9), "upper": (6, 9)}
_PART = re.compile("|".join(sorted(_PARTS, key=len, reverse=True)))


def with_written_numbers(tokens: Sequence[Token], text: str) -> list[Token]:
    """The tokens, in which numbers in words are numbers (`num`)."""
    if not any(token.tag in ("squares", "decade") or token.value in _SECONDS for token in tokens):
        return list(tokens)
    read: list[Token] = []
    for i, token in enumerate(tokens):
        if token.tag == "decade":
            read.append(_decade(token, text))
        elif token.tag == "squares":
            first, quantity = _count_before(read)
            if quantity is None:
                read.append(token._replace(tag="word", value="squares"))
                continue
            start = read[first].start
            del read[first:]
            # "About one large square" is read to half a square; the small ones within it are counted.
            rough = token.value > 1 and bool(read) and read[-1].tag == "cmp" and read[-1].value == "~"
            quantity = _in_squares(quantity, token.value, tokens[i + 1 : i + 3], text, rough)
            read.append(Token("num", quantity, start, token.end))
        elif (
            token.tag == "word"
            and token.value in _SECONDS
            and _of_a_pause(tokens, i)
            and read[-1].value in NUMBER_WORDS
        ):
            number = float(NUMBER_WORDS[read[-1].value])
            read[-1] = Token("num", Quantity(number, number, "s"), read[-1].start, token.end)
        else:
            read.append(token)
    return read


def _of_a_pause(tokens: Sequence[Token], i: int) -> bool:
    """Whether the seconds at `i` are said of a pause: `a pause of four seconds`, `a four-second pause`."""
    near = tokens[max(i - _NEAR_A_PAUSE, 0) : i + 2]
    return i > 0 and any(token.tag == "term" and token.value[0] == "pause" for token in near)


def _decade(token: Token, text: str) -> Token:
    """`low seventies` as 70 to 73, `mid 70s` as 74 to 76, `high seventies` as 76 to 79, `seventies` as 70 to 79."""
    words = text[token.start : token.end].lower()
    digits = re.search(r"\d+", words)
    if digits is not None:
        base, words = float(digits.group()), words[: digits.start()]
        width = 100 if base >= 200 and base % 100 == 0 else 10
    else:
        name = next(name for name in DECADE_WORDS if words.endswith(name))
        base, words = float(DECADE_WORDS[name]), words.removesuffix(name)
        width = 100 if name == "hundreds" else 10
        if name != "hundreds":
            base += 100 * ("one" in words) + 200 * ("two" in words)
    parts = [_PARTS[part] for part in _PART.findall(words)] or [(0, 9)]
    low, high = base + parts[0][0] * width / 10, base + parts[-1][1] * width / 10
    return token._replace(tag="num", value=Quantity(low, high, None))


def _count_before(tokens: Sequence[Token]) -> tuple[int, Quantity | None]:
    """How many squares the words at the end of `tokens` count, and where they begin: `two and a half`, `3`, `three to four`."""
    last = len(tokens) - 1
    words = [str(token.value) if token.tag == "word" else token.tag for token in tokens[-5:]]
    half = 0.0
    if words[-3:] == ["and", "a", "half"]:
        half, last, words = 0.5, last - 3, words[:-3]
    elif words[-2:] in (["half", "a"], ["a", "half"]):
        return last - 1, Quantity(0.5, 0.5, None)
    elif words[-1:] == ["half"]:
        return last, Quantity(0.5, 0.5, None)
    if last < 0 or not words:
        return 0, None
    if tokens[last].tag == "num" and tokens[last].value.unit is None:
        quantity = tokens[last].value
        return last, replace(quantity, low=quantity.low + half, high=quantity.high + half)
    if words[-1] in ("a", "an"):
        return last, Quantity(1 + half, 1 + half, None)
    if words[-1] not in NUMBER_WORDS:
        return 0, None
    high = float(NUMBER_WORDS[words[-1]]) + half
    if len(words) > 2 and words[-2] in ("to", "or") and words[-3] in NUMBER_WORDS:
        return last - 2, Quantity(float(NUMBER_WORDS[words[-3]]), high, None)
    return last, Quantity(high, high, None)


def _in_squares(count: Quantity, size: int, after: Sequence[Token], text: str, rough: bool) -> Quantity:
    """A number of squares (`rough`: give or take a quarter of one) in small ones, or in ms or mm where the words after it say that it is a width or a height."""
    said = [text[token.start : token.end].lower() for token in after]
    unit, factor = SQUARES, float(size)
    if any(word in _WIDE for word in said):
        unit, factor = "ms", size * SMALL_SQUARE_MS
    elif any(word in _TALL for word in said):
        unit = "mm"
    return Quantity(
        count.low * factor, count.high * factor, unit, factor / 4 if rough and not count.is_range else None
    )


def is_rate_of_a_rhythm(tokens: Sequence[Token], i: int, text: str) -> bool:
    """Whether the number at `i` is a rate in bpm: `sinus rhythm at 72`, `AF, 130`, without a unit and before the end of what is said of it.

    That of atrial flutter may be the rate of the atria.
    """
    quantity = tokens[i].value
    plausible = RATE_BPM[0] <= quantity.low and quantity.high <= RATE_BPM[1]
    ends = i + 1 == len(tokens) or tokens[i + 1].tag in _AFTER_A_RATE
    if quantity.unit is not None or not plausible or not ends:
        return False
    before = list(tokens[max(i - 3, 0) : i])
    if before and before[-1].tag == "cmp":
        before.pop()
    if before and (before[-1].tag == "comma" or text[before[-1].start : before[-1].end].lower() == "at"):
        before.pop()
    return (
        bool(before)
        and before[-1].tag == "term"
        and before[-1].value[0] == "rhythm"
        and before[-1].value[1] != "atrial flutter"
    )


__all__ = ["is_rate_of_a_rhythm", "with_written_numbers"]
