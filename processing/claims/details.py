# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What narrows a rhythm or a block down: `couplets of PVCs`, `Mobitz II`, `ventricular pacing`, `4:1 conduction`, `all QRS complexes`,
`uninterrupted sinus rhythm`."""

import re

from .findings_rhythm import PREMATURE, REPEATED, SINUS
from .tokens import NUMBER_WORDS

_REACH = 48  # characters before and after the finding's words
_COUNTS = NUMBER_WORDS | {"single": 1, "solitary": 1, "lone": 1}
_ADJECTIVES = r"(?:(?:isolated|single|wide|narrow|premature|early|separate|unifocal|monomorphic|sinus|ventricular|atrial|long)\s+)*"
_NUMBER = rf"(?P<count>{'|'.join(_COUNTS)}|1?\d)"
_COUNT = re.compile(rf"(?<![\w:.-])(?P<word>\w+\s+)?{_NUMBER}\s+{_ADJECTIVES}$", re.IGNORECASE)
_NO_COUNT_AFTER = ("than", "least", "most", "about", "over", "approximately", "beat", "beats", "lead", "leads", "every", "not", "to", "or", "and", "under", "around", "v")  # fmt: skip
_RATE_BEHIND = re.compile(r"\s*(?:per|a|/|an|each|every)\s*(?:min|hour|day|h\b|beat)|\s*%", re.IGNORECASE)
_CONSECUTIVE = re.compile(rf"\b{_NUMBER}\s+(?:consecutive|successive)\s+{_ADJECTIVES}$", re.IGNORECASE)
_COUNT_BEHIND = re.compile(
    rf"\s*\(?\s*(?:n\s*=\s*|counts?\s*(?:is|of|:|=)?\s*)(?P<count>\d+)|\s*[x×]\s*(?P<fold>\d+)|\s+(?:\w+\s+){{0,2}}(?P<times>{'|'.join(_COUNTS)}|\d+)\s+times\b|(?:\s+(?:is|are|were)\s+\w+)?\s*[,:;(]?\s*(?:only|just|altogether)?\s*(?:an?\s+)?(?P<total>{'|'.join(_COUNTS)}|\d+)\s+(?:(?:one|beats?)\s+)?(?:in\s+(?:total|all)\b|altogether\b|overall\b|(?:being\s+|was\s+|were\s+|is\s+|are\s+)?(?:recorded|captured|registered)\b)",
    re.IGNORECASE,
)
_OF_SO_MANY = re.compile(
    rf"\b{_NUMBER}\s+(?:out\s+)?of\s+(?:the\s+)?(?:{'|'.join(_COUNTS)}|\w+teen|\d+)\s+(?:beats|complexes)\s+(?:are|were)\s+$",
    re.IGNORECASE,
)
_SO_MANY_BEATS = re.compile(
    rf"\b{_NUMBER}\s+(?:beats?|complex(?:es)?)\s+(?:is|are|was|were)\s+(?:an?\s+)?$", re.IGNORECASE
)
_SHARE = re.compile(
    r"\s+(?:make|makes|account|accounts|constitut\w+|represent\w*)\s+(?:up\s+|for\s+)?(?:about\s+|nearly\s+)?(?:(?P<share>\d+)\s*%|(?P<half>half)\b)",
    re.IGNORECASE,
)
_BEAT = r"(?:each|every)\s+(?:normal\s+|sinus\s+|conducted\s+)*(?:beat|complex|QRS)"
_OF = r"\s+of\s+(?:\w+\s+){0,2}$"
_PREMATURE = (
    # detail, pattern before the finding, in it, and behind it
    ("bigeminy", rf"\bevery\s+(?:other|second)\s+(?:beat|complex)\s+is\s+(?:an?\s+)?$|\b{_BEAT}\s+is\s+followed\s+by\s+an?\s+$", None, rf"\s+(?:\w+\s+)?(?:follows?|after)\s+{_BEAT}"),
    ("trigeminy", r"\bevery\s+(?:third|3rd)\s+(?:beat|complex)\s+is\s+(?:an?\s+)?$", r"trigemin", r"\s*(?:in\s+|with\s+|as\s+)?(?:a\s+)?trigemin|\s+(?:\w+\s+)?(?:after|following)\s+every\s+(?:two|2)\s+(?:sinus|normal)\s+(?:beats|complexes)"),
    ("quadrigeminy", r"\bevery\s+(?:fourth|4th)\s+(?:beat|complex)\s+is\s+(?:an?\s+)?$", r"quadrigemin", r"\s*(?:in\s+|with\s+|as\s+)?(?:a\s+)?quadrigemin"),
    ("odd", r"\bodd(?:[\s-]+numbered)?\s+(?:beats|complexes)\s+(?:are|were)\s+$", None, None),
    ("even", r"\beven(?:[\s-]+numbered)?\s+(?:beats|complexes)\s+(?:are|were)\s+$", None, None),
    ("narrow", None, r"\s(?:are|is|have|has|having|with|show)\s.*narrow", None),
    ("wide", None, r"\s(?:are|is|have|has|having|with|show)\s.*(?:wide|broad)", None),
    ("couplet", rf"(?:couplets?|pairs?|doublets?){_OF}|\bpaired\s+$", None, r"\s+are\s+consecutive\b|\s*(?:(?:(?:occur|come|appear|present)\w*\s+)?(?:in|as)\s+)?(?:couplets?|pairs?|doublets?)\b|\s+(?:\w+\s+)?(?:back[\s-]to[\s-]back|in\s+a\s+row)\b|\s+is\s+followed\s+by\s+another\b"),
    ("run", rf"(?:triplets?|runs?|salvos?|bursts?){_OF}", None, r"\s*(?:(?:occur\w*\s+)?(?:in|as)\s+)?(?:triplets?|runs?|salvos?)\b"),
    ("form", r"(?:multi-?focal|multi-?form|poly-?morph\w+|interpolated|blocked|non-?conducted|aberrant\w*(?:\s+conducted)?)\s+$", None, r"\s*(?:with\s+)?(?:an?\s+)?R[\s-]on[\s-]T|\s+(?:of\s+)?(?:different|varying|several)\s+(?:shapes?|forms?|morpholog)"),
)  # fmt: skip
_BLOCK = (
    ("mobitz 2", None, r"(?:mobitz|type)(?:\s+type)?\s*(?:II|2)\b", r"\s*,?\s*\(?(?:mobitz|type)(?:\s+type)?\s*(?:II|2)\b"),
    ("mobitz 1", None, r"wenckebach|(?:mobitz|type)(?:\s+type)?\s*(?:I|1)\b", r"\s*,?\s*\(?(?:wenckebach|(?:mobitz|type)(?:\s+type)?\s*(?:I|1)\b)"),
)  # fmt: skip
_PACED = (
    ("no capture", None, None, r"\s*(?:spikes?\s+)?(?:are\s+|is\s+)?(?:without|not\s+followed\s+by|fail\w*\s+to|do(?:es)?\s+not)\s+(?:\w+\s+){0,2}?(?:captur\w*|QRS)"),
    ("behind", None, None, r"\s*(?:spikes?\s+)?(?:(?:occur|appear|come|fall|stand|are\s+seen|are)\s+)?(?:after|behind|follow(?:s|ing)?)\s+(?:each|every|the|all)?\s*QRS"),
    ("intermittent", r"\bintermittent(?:ly)?\s+(?:\w+\s+)?$", None, None),
    ("dual", r"dual(?:[\s-]chamber)?[\s-]*$|\bA-?V[\s-]sequential\s+$|\b(?:DDD|DDI|DVI|VDD)R?\s+$|\batrial\s+and\s+(?:ventricular\s+)?$", r"dual", None),
    ("ventricular", r"ventricular(?:ly)?[\s-]$|\bVV[IT]R?\s+$", r"ventricular", r"\s*(?:of|in)\s+the\s+ventricles?\b"),
    ("atrial", r"(?<!\w)atrial(?:ly)?[\s-]$|\bAA[IT]R?\s+$", r"atrial", r"\s*(?:of|in)\s+the\s+(?:right\s+)?atri"),
)  # fmt: skip
_OF_ALL_BEATS = (
    ("all", r"\b(?:all|every|each)\s+(?:of\s+)?(?:the\s+|these\s+)?(?:QRS\s*)?(?:complex(?:es)?\s*)?(?:are\s+|is\s+)?$|\b(?:all|every|each)\s+beats?\s+(?:\w+\s+){0,4}(?:an?\s+)?$", None, r"\s+(?:throughout\b|(?:in|for|of)\s+(?:all|every|each)\s+(?:of\s+)?(?:the\s+)?(?:beats?|complex))"),
)  # fmt: skip
_UNBROKEN = r"\b(?:uninterrupted|unbroken)\b"
_OF_SINUS = (
    ("uninterrupted", rf"{_UNBROKEN}[\s,]+(?:\w+\s+){{0,2}}$|\b(?:all|every|each)\s+(?:of\s+the\s+)?(?:beats?|complex(?:es)?)\s+(?:are|is)\s+(?:of\s+)?$", _UNBROKEN, rf"\s+(?:is\s+)?(?:{_UNBROKEN}|without\s+(?:any\s+)?interruptions?\b)"),
)  # fmt: skip
_JUNCTIONAL = (
    ("tachycardia", None, r"tachycardia", None),
    ("bradycardia", None, r"bradycardia", None),
    ("accelerated", r"\baccelerated\s+$", r"accelerated", None),
)  # fmt: skip
_OF_ALL_INTERVALS = (("all", r"\b(?:all|every|each)\s+(?:of\s+)?(?:the\s+)?R-?R\b[^.;]*$", None, None),)
_OF_A_CHAMBER = (("ventricular", None, r"ventricular", None), ("atrial", r"atrial\s+$", r"atrial", None))
_TABLES = {
    **dict.fromkeys(PREMATURE, _PREMATURE), "bigeminy": _OF_A_CHAMBER,
    "av_block": _BLOCK, "paced rhythm": _PACED, "qrs_duration": _OF_ALL_BEATS, "pr_interval": _OF_ALL_BEATS,
    "rr_interval": _OF_ALL_INTERVALS, "junctional rhythm": _JUNCTIONAL, **dict.fromkeys(SINUS, _OF_SINUS),
}  # fmt: skip
_RATIO = r"(?P<waves>[1-8]|one|two|three|four|five|six)\s*(?::|-?to-?|\s+to\s+)\s*(?:1|one)(?!\d)"
_CONDUCTION = (
    (re.compile(rf"(?<![\d:]){_RATIO}\s+(?:atrial\s+)?$", re.IGNORECASE), re.compile("")),
    (re.compile(r"\b(?P<waves>two|three|four)\s+(?:atrial\s+)?$", re.IGNORECASE), re.compile(r"\s*(?:waves\s+)?(?:for|per|to)\s+(?:each|every|one)\b", re.IGNORECASE)),
    (re.compile(""), re.compile(rf"\s*,?\s*(?:waves\s+)?\(?(?:with\s+)?(?:an?\s+)?(?:conduct\w*\s+(?:to\s+the\s+ventricles\s+)?)?(?:an?\s+)?{_RATIO}", re.IGNORECASE)),
)  # fmt: skip


def detail_of(kind: str, text: str, start: int, end: int, first: int, last: int) -> str | None:
    """The detail that the words of a finding and those around them state, `None` without one.

    Args:
        kind: of the claim; for a rhythm its name.
        text: the whole text.
        start: where the finding's words begin.
        end: where they end.
        first: where the clause begins.
        last: where it ends.

    Examples:
        >>> text = "Seven PVCs"
        >>> detail_of("ventricular_ectopy", text, 6, 10, 0, 10)
        '7'
    """
    before, own, behind = (
        text[max(first, start - _REACH) : start],
        text[start:end],
        text[end : min(last, end + _REACH)],
    )
    if kind == "atrial flutter":
        return _conduction(before, behind)
    for detail, ahead, inside, after in _TABLES.get(kind, ()):
        if (
            (ahead and re.search(ahead, before, re.IGNORECASE))
            or (inside and re.search(inside, own, re.IGNORECASE))
            or (after and re.match(after, behind, re.IGNORECASE))
        ):
            return detail
    if kind == "av_block":
        return _conduction(before, behind)
    return _count(before, behind) if kind in REPEATED else None


def _count(before: str, behind: str) -> str | None:
    """How many are counted right before a finding; three in a row are a run, two a couplet."""
    row = _CONSECUTIVE.search(before)
    if row is not None:
        return "couplet" if _number(row["count"]) == 2 else "run"
    share = _SHARE.match(behind)
    if share is not None:
        return f"{share['share'] or 50}%"
    stated = _COUNT_BEHIND.match(behind) or _OF_SO_MANY.search(before) or _SO_MANY_BEATS.search(before)
    if stated is not None:
        return str(_number(next(word for word in stated.groups() if word)))
    counted = _COUNT.search(before)
    if counted is None or (counted["word"] or "").strip().lower() in _NO_COUNT_AFTER or _RATE_BEHIND.match(behind):
        return None
    return str(_number(counted["count"]))


def _conduction(before: str, behind: str) -> str | None:
    """`2:1 atrial flutter`, `flutter with 4 to 1 block`, `AV block, 3:1`, `two flutter waves for each QRS`: atrial waves to one QRS."""
    for ahead, after in _CONDUCTION:
        first, second = ahead.search(before), after.match(behind)
        if first is not None and second is not None:
            waves = {**first.groupdict(), **second.groupdict()}["waves"]
            return f"{_number(waves)}:1"
    return None


def _number(word: str) -> int:
    return _COUNTS.get(word.lower()) or int(word)


__all__ = ["detail_of"]
