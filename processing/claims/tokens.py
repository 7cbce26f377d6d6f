# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECG texts as tokens: vocabulary, leads and territories, numbers with units, beats, times, punctuation.

Typographic characters are replaced first without changing the length, so that the position of a token is its position in the
original text.
"""

import re
from dataclasses import dataclass

from processing.ecg_record import CHEST_LEADS, LIMB_LEADS, STANDARD_LEADS, WALLS

from .words import Token, match_calibration, match_word

# Groups of leads that have a name: the walls, parts of the chest, and all.
TERRITORIES: dict[str, tuple[str, ...]] = WALLS | {
    "right precordial": ("V1", "V2", "V3"),
    "mid precordial": ("V3", "V4"),
    "left precordial": ("V4", "V5", "V6"),
    "precordial": CHEST_LEADS,
    "limb": LIMB_LEADS,
    "all": STANDARD_LEADS,
    "most": STANDARD_LEADS,
    "other": STANDARD_LEADS,
}
ALL_OF = "all "
# "In all chest leads" names each of them, "in the chest leads" does not.
TERRITORIES |= {
    f"{ALL_OF}{name}": TERRITORIES[name] for name in ("precordial", "limb", "inferior", "lateral", "anterior")
}
_EACH = r"(?:all|each|every)\s+(?:of\s+)?(?:the\s+)?"
_TERRITORY_WORDS = (
    ("all precordial", rf"{_EACH}(?:precordial|chest)\s+leads?"),
    ("all limb", rf"{_EACH}(?:limb|extremity|frontal)(?=\s+leads?)"),
    *((f"all {wall}", rf"{_EACH}{wall}(?=\s+leads?)") for wall in ("inferior", "lateral", "anterior")),
    ("inferolateral", r"infero-?\s?lateral(?:s|ly|er?)?"),
    ("anterolateral", r"antero-?\s?lateral(?:ly|er?)?"),
    ("anteroseptal", r"antero-?\s?septal(?:ly|er?)?"),
    ("inferior", r"inferior(?:ly|er?)?|infero-?\s?posterior(?:er?)?"),
    ("high lateral", r"high\s+lateral|hochlateral(?:er?)?"),
    ("left precordial", r"(?:left|lateral)\s+(?:precordial|chest)"),
    ("right precordial", r"(?:right|anterior|early)\s+(?:precordial|chest)"),
    ("mid precordial", r"mid-?\s?(?:precordial|chest)"),
    ("lateral", r"lateral(?:ly|er?)?"),
    ("septal", r"septal(?:ly|er?)?(?!\s+(?:q|hypertroph))"),
    ("anterior", r"anterior(?:ly|er?)?"),
    ("posterior", r"posterior(?:ly|er?)?"),
    ("precordial", r"(?:(?:all|any|each|every)\s+)?(?:of\s+)?(?:the\s+)?(?:precordial(?:\s+leads?)?|chest\s+(?:leads?|wall(?!\s+pain))|(?<=\bthe\s)chest(?!\s+\w))"),
    ("limb", r"(?:(?:all|any|each|every)\s+)?(?:of\s+)?(?:the\s+)?(?:limb|extremity|frontal)(?=\s+leads?)"),
    ("other", r"(?:(?:in\s+)?(?:all\s+|any\s+)?(?:the\s+)?(?:other|remaining)|rest\s+of\s+the)\s+leads|(?<=\bno\s)other\s+lead|elsewhere"),
    ("all", r"(?:all|every|each|any)(?:\s+(?:of\s+the|the|12|twelve|single|recorded|standard|other))*\s+leads?|throughout(?=\s*[.,;])|anywhere"),
    ("most", r"most(?:\s+(?:of\s+the|the|12|twelve|recorded))*\s+leads?|diffuse(?:ly)?|widespread|global(?:ly)?"),
)  # fmt: skip
_TERRITORY = re.compile(
    "|".join(f"(?P<t{i}>\\b(?:{pattern})\\b)" for i, (_, pattern) in enumerate(_TERRITORY_WORDS)), re.IGNORECASE
)
_LEAD = r"(?:[aA]-?[vV]-?[rRlLfF]|[vV][1-9]R?|III|II|I|iii|ii|i(?!\.\s?e\b))(?![\w'’])"  # V7-V9 and V4R: hallucinated in most ECGs
_LEAD_RANGE = re.compile(
    r"[vV]([1-9])\s*(?:-|through|thru|to)\s*(?:leads?\s+)?[vV]?([1-9])(?!\w|\.\d)|(I)\s*(?:-|to|through)\s*(III)(?!\w)"
)
_LEADS = re.compile(_LEAD)
_WAVE_OF_LEAD = re.compile(r"[RS](?=V[1-6](?!\d))")  # SV1, RV5
# V4,5,6
_LEAD_SHORTHAND = re.compile(r"[vV]([1-9](?:\s*[,/]\s*[1-9](?:\s*-\s*[1-9])?(?!\d|\.\d))+)(?!\s*(?:mm|mV|ms|s\b|°))")
_PRONOUN_VERB = re.compile(
    r"I\s+(?:see|think|would|am|have|note|can|could|observe|measured?|find|found|will|did|do|recommend|suggest|interpret|conclude|believe|was|also)\b"
)
_NOT_A_LEAD_BEFORE = re.compile(
    r"(?:mobitz|type|degree|class|grade|phase|stage|factor|troponin)(?:\s+type)?\s*$", re.IGNORECASE
)
_LEAD_BEFORE = re.compile(r"(?:leads?|in|and|or|both|only|[,/&(:|*-])\s*$", re.IGNORECASE)
_LEAD_AFTER = re.compile(
    r"\s*(?:[,/&-]|and|or)\s*(?:leads?\s+)?(?:a[vV]|A[vV]|II|III|ii|iii|[vV][1-6])|\s*[:=(]|\s*(?:shows?|has|demonstrates|exhibits)\b"
)
_SMALL_LEAD_BEFORE = re.compile(r"(?:leads?|in|and|or|both|only|[,/&-])\s*$", re.IGNORECASE)
_SMALL_LEAD_AFTER = re.compile(r"\s*(?:[,/&-]|and|or)\s*(?:a[vV][rRlLfF]|ii|v[1-6])\b")
_NUMBER = r"(?:\d+,\d+(?=\s*(?:mV|mm|s\b))|\d+(?:\.\d+)?|\.\d+)"
_SIGN = r"(?:(?<![\w.)])[-+](?=[\d.])|minus\s+|plus\s+(?=\d))?"
_UNITS = (
    ("ms", r"ms(?:ecs?)?\b|milli-?\s?seconds?\b"),
    ("mV", r"mV\b|milli-?volts?\b"),
    ("uV", r"[uµ]V\b|micro-?volts?\b"),
    ("mm", r"mm\b|millimet(?:er|re)s?\b"),
    ("bpm", r"bpm\b|b\.p\.m\.|beats?\s*(?:/|(?:per|a|each|every)\b)\s*min(?:ute)?s?\b|/\s*min(?:ute)?\b|(?:per|a|each|every)\s+minute\b"),
    ("deg", r"°|deg(?:rees?)?\b"),
    ("s", r"s(?:ecs?)?\b(?!\s*wave)|seconds?\b"),
    ("beats", r"beats?\b|complexes\b|QRS\b|P\s?waves\b|leads?\b|times\b|squares?\b|boxes\b"),
)  # fmt: skip
_UNIT = re.compile("|".join(f"(?P<u{i}>{pattern})" for i, (_, pattern) in enumerate(_UNITS)))
_UNIT_GAP = re.compile(r"[\s-]?\s*")
_QUANTITY = re.compile(
    rf"(?P<low>{_SIGN}{_NUMBER})(?:(?P<gap>\s*(?:(?:ms|mV|mm|°|bpm|s|degrees?)\s*)?(?P<joint>-|to|and|±|\+/-)\s*)(?P<high>{_SIGN}{_NUMBER}))?(?![\d])"
)
# "has risen from 72 to 130 bpm": the first number is no longer true. "Increases from 0.2 mV in V1" is no change of this kind.
_BEFORE_A_CHANGE = re.compile(
    r"\b(?:risen|rose|increased|fallen|fell|decreased|dropped|shortened|lengthened|prolonged|widened|broadened|narrowed|gone|went|changed|slowed|"
    r"accelerated|improved|declined|reduced|climbed|moved|shifted|grown|diminished|worsened|progressed|come|came|raised|lowered|elevated|up|down)"
    r"(?:\s+\w+){0,2}\s+from\s+$",
    re.IGNORECASE,
)
_LONGEST_CHANGE = 60  # characters
# Of a corrected text single numbers are in square brackets: "[391]/[428 ms]".
_SERIES = re.compile(rf"{_SIGN}{_NUMBER}\]?(?:\s*/\s*\[?{_SIGN}{_NUMBER}\]?){{1,9}}(?![\d/])")
_ORDINALS = {
    word: i + 1
    for i, word in enumerate(("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"))
}  # fmt: skip
_ORDINALS |= {"eleventh": 11, "twelfth": 12, "last": -1, "second-last": -2, "second last": -2, "penultimate": -2}
NUMBER_WORDS = {
    word: i + 1
    for i, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))
}  # fmt: skip
_COUNTING = r"\d{1,3}(?!\d|\.\d|\s*(?:bpm|/|per\b|ms|s\b|sec|mV|mm))"
_ORDINAL = rf"(?:{'|'.join(sorted(_ORDINALS, key=len, reverse=True))}|\d+(?:st|nd|rd|th))"
_BEATS = re.compile(
    rf"(?:heart\s?beats?|beats?|complex(?:es)?)\s*(?:#|no\.?|numbers?)?\s*(?P<list>{_COUNTING}(?:\s*(?:-|to|through|thru|,\s*and|,|and|&)\s*#?{_COUNTING})*)"
    rf"|(?:heart\s?beats?|beats|complexes)\s*\((?P<bracket>{_COUNTING}(?:\s*(?:-|,\s*and|,|and|&)\s*{_COUNTING})*)\)"
    rf"|(?:the\s+)?(?P<ordinal>{_ORDINAL}(?:(?:\s*,\s*and\s+|\s*,\s*|\s+and\s+|\s+or\s+)(?:the\s+)?{_ORDINAL})*)\s+(?:\w+\s+)?(?:beats?|complex(?:es)?|QRS(?:\s+complex(?:es)?)?)\b"
    rf"|(?:the\s+)?first\s+(?P<first>\d+|{'|'.join([*NUMBER_WORDS][1:])})\s+(?:beats|complexes)",
    re.IGNORECASE,
)
_EVERY = re.compile(r"\b(?:every|each)\s+$", re.IGNORECASE)
_TIME = re.compile(
    r"(?:at|@|t\s*=|time-?stamp|time)\s*(?:about\s+|t\s*=\s*|approximately\s+|~\s*)?(?:(?P<time>\d+\.\d+|\d+(?=\s*s))\s*s(?:ec(?:onds?)?)?\b|(?P<first>\d+\.\d+)(?=(?:(?:\s*,)?(?:\s*and)?\s+\d+\.\d+)+\s*s(?:ec(?:onds?)?)?\b))",
    re.IGNORECASE,
)
_PUNCTUATION = {
    ",": "comma",
    ";": "end",
    "(": "open",
    "[": "open",
    ")": "close",
    "]": "close",
    ":": "colon",
    "/": "slash",
    "=": "be",
}
_SENTENCE_END = re.compile(r"[.!?](?=\s|$|[\"')\]])")
_NO_END_BEFORE = re.compile(r"(?:\b(?:e\.g|i\.e|vs|approx|ca|resp|incl|ref|Dr|Fig|cf)|\be\.g|\bi\.e)$", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'’]*")
_PLAIN = str.maketrans(
    {"–": "-", "—": "-", "‑": "-", "−": "-", "‐": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\t": " ", "μ": "µ", "*": " ", "_": " ", "`": " ", "#": " ", "|": ",", "º": "°", "⁄": "/", "“": " ", "”": " ", '"': " ", "•": " ", "➜": " ", "→": " "}
)  # fmt: skip


@dataclass(frozen=True)
class Quantity:
    """A number or range as written: `low` = `high` for one number; `unit` is `None` where none is given."""

    low: float
    high: float
    unit: str | None
    plus_minus: float | None = None

    @property
    def is_range(self) -> bool:
        """Whether two different numbers are stated."""
        return self.low != self.high


def plain(text: str) -> str:
    """`text` with typographic characters and Markdown marks replaced, of the same length."""
    return text.translate(_PLAIN)


def tokenize(text: str) -> list[Token]:
    """The tokens of a `plain` text; words that mean nothing here are left as `word`."""
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\n":
            tokens.append(Token("line", None, position, position + 1))
            position += 1
        elif character.isspace():
            position += 1
        else:
            token = _token_at(text, position)
            if token is None:
                position += 1
            else:
                tokens.append(token)
                position = token.end
    return tokens


def _token_at(text: str, position: int) -> Token | None:
    character = text[position]
    if character.isalnum() or character in "+-.<>≤≥~≈@±=&↑↓":
        # "1st degree AV block" is not a number.
        token = match_word(text, position) if character.isdigit() else None
        token = token or _special_at(text, position) or match_word(text, position)
        if token is not None:
            return token
    if character in ".!?":
        ends = _SENTENCE_END.match(text, position) and not _NO_END_BEFORE.search(text[max(position - 8, 0) : position])
        return Token("end", None, position, position + 1) if ends else None
    if character in _PUNCTUATION:
        return Token(_PUNCTUATION[character], character, position, position + 1)
    word = _WORD.match(text, position)
    return Token("word", word.group().lower(), position, word.end()) if word else None


def _special_at(text: str, position: int) -> Token | None:
    character = text[position]
    if character.isdigit() and (calibration := match_calibration(text, position)) is not None:
        return calibration
    if character in "bBcChHfFlLstT@a1234567890":
        for tag, finder in (("beats", _beats_at), ("time", _time_at)):
            token = finder(text, position)
            if token is not None:
                return Token(tag, *token)
    if character in "RS" and _WAVE_OF_LEAD.match(text, position) and not _preceded_by_word(text, position):
        word = match_word(text, position)
        if word is not None and word.value in ("sokolow_lyon", "cornell"):
            return word
        return Token("subj", character.lower(), position, position + 1)
    if character in "aAvVIi":
        leads = _leads_at(text, position)
        if leads is not None:
            return leads
    if character.isalpha() and character.lower() in "ialshmpreodtwgcf":
        match = _TERRITORY.match(text, position)
        if match is not None:
            name = _TERRITORY_WORDS[int(str(match.lastgroup)[1:])][0]
            return Token("territory", name, match.start(), match.end())
    if character.isdigit() or character in "+-.mp":
        return _quantity_at(text, position)
    return None


def _leads_at(text: str, position: int) -> Token | None:
    span = _LEAD_RANGE.match(text, position)
    if span is not None and not _within_a_word(text, position):
        if span.group(3):
            return Token("leads", ("I", "II", "III"), span.start(), span.end())
        first, last = sorted((int(span.group(1)), int(span.group(2))))
        return Token("leads", tuple(f"V{i}" for i in range(first, last + 1)), span.start(), span.end())
    shorthand = _LEAD_SHORTHAND.match(text, position)
    if shorthand is not None and not _within_a_word(text, position):
        return Token("leads", _numbered(shorthand.group(1)), shorthand.start(), shorthand.end())
    match = _LEADS.match(text, position)
    if match is None or _within_a_word(text, position):
        return None
    name = match.group().replace("-", "")
    name = "aV" + name[-1].upper() if name[0] in "aA" else name.upper()
    if name[0] in "Ii" and not _is_limb_lead(text, match):
        return None
    return Token("leads", (name,), match.start(), match.end())


def _numbered(listed: str) -> tuple[str, ...]:
    """`4,5,6` and `1, 3-5` as chest leads."""
    leads: list[str] = []
    for part in re.split(r"[,/]", listed):
        bounds = [int(number) for number in part.split("-")]
        leads += [f"V{i}" for i in range(bounds[0], bounds[-1] + 1)]
    return tuple(leads)


def _is_limb_lead(text: str, match: re.Match[str]) -> bool:
    """Whether `I`, `II` or `III` is a lead: no Mobitz II, and `I` no pronoun."""
    before = text[max(match.start() - 16, 0) : match.start()]
    if _NOT_A_LEAD_BEFORE.search(before):
        return False
    if match.group().islower():  # as in reports without capitals, not "i.e." or "ii) normal axis"
        return bool(_SMALL_LEAD_AFTER.match(text, match.end()) or _SMALL_LEAD_BEFORE.search(before))
    if match.group() != "I":
        return True
    if _PRONOUN_VERB.match(text, match.start()):
        return False
    return bool(_LEAD_AFTER.match(text, match.end()) or _LEAD_BEFORE.search(before))


def _preceded_by_word(text: str, position: int) -> bool:
    return position > 0 and (text[position - 1].isalnum())


def _within_a_word(text: str, position: int) -> bool:
    """As `_preceded_by_word`, but for the lead in `SV1` and `RV5`."""
    wave = text[position - 1 : position] in ("S", "R") and text[position] == "V"
    return _preceded_by_word(text, position - 1 if wave else position)


def _beats_at(text: str, position: int) -> tuple[tuple[int, ...], int, int] | None:
    match = _BEATS.match(text, position)
    if match is None or _preceded_by_word(text, position):
        return None
    if match["list"] or match["bracket"]:
        beats: list[int] = []
        for part in re.split(r",\s*and|,|and|&", match["list"] or match["bracket"]):
            numbers = [int(number) for number in re.findall(r"\d+", part)]
            beats += (
                range(numbers[0], numbers[-1] + 1) if len(numbers) == 2 and numbers[1] - numbers[0] < 50 else numbers
            )
    elif match["ordinal"]:
        if _EVERY.search(text[max(position - 8, 0) : position]):
            return None  # "every fourth beat" is not beat 4
        words = re.findall(_ORDINAL, match["ordinal"].lower())
        beats = [_ORDINALS[word] if word in _ORDINALS else int(re.sub(r"\D", "", word)) for word in words]
    else:
        word = match["first"].lower()
        beats = list(range(1, (NUMBER_WORDS[word] if word in NUMBER_WORDS else int(word)) + 1))
    return tuple(beats), match.start(), match.end()


def _time_at(text: str, position: int) -> tuple[float, int, int] | None:
    match = _TIME.match(text, position)
    if match is None or _preceded_by_word(text, position):
        return None
    return float(match["time"] or match["first"]), match.start(), match.end()


def _number(text: str) -> float:
    text = text.replace(",", ".").replace("minus", "-").replace("plus", "").replace(" ", "").replace("\n", "")
    return float(text)


def _quantity_at(text: str, position: int) -> Token | None:
    if _preceded_by_word(text, position):
        return None
    series = _SERIES.match(text, position)
    if series is not None:
        end, unit = _unit_at(text, series.end())
        values = [_number(part.strip(" []")) for part in series.group().split("/")]
        return Token("series", [Quantity(value, value, unit) for value in values], position, end)
    match = _QUANTITY.match(text, position)
    if match is None:
        return None
    low, high, joint = _number(match["low"]), match["high"], match["joint"]
    between = bool(re.search(r"\b(?:between|from)\s*$", text[max(position - 12, 0) : position], re.IGNORECASE))
    stop = match.end()
    if text[position - 5 : position - 1].lower() == "from" and _BEFORE_A_CHANGE.search(
        text[max(position - _LONGEST_CHANGE, 0) : position]
    ):
        return _after_a_change(text, position, match)
    if high is not None and joint == "and" and not between:
        high, stop = None, match.end("low")
    if high is not None and joint in ("±", "+/-"):
        end, unit = _unit_at(text, stop)
        return Token("num", Quantity(low, low, unit, _number(high)), position, end)
    end, unit = _unit_at(text, stop)
    if high is None:
        return Token("num", Quantity(low, low, unit), position, end)
    bounds = sorted((low, _number(high)))
    if joint == "-" and low > _number(high) and unit is None:
        bounds = [low, low]
    return Token("num", Quantity(bounds[0], bounds[1], unit), position, end)


def _after_a_change(text: str, position: int, match: re.Match[str]) -> Token:
    """What a number has become ("risen from 72 to 130 bpm"); the former one alone is none of this ECG."""
    if match["joint"] != "to":
        return Token("skip", None, position, _unit_at(text, match.end("low"))[0])
    end, unit = _unit_at(text, match.end())
    value = _number(match["high"])
    return Token("num", Quantity(value, value, unit), match.start("high"), end)


def _unit_at(text: str, position: int) -> tuple[int, str | None]:
    gap = _UNIT_GAP.match(text, position)
    start = gap.end() if gap else position
    match = _UNIT.match(text, start)
    if match is None:
        return position, None
    return match.end(), _UNITS[int(str(match.lastgroup)[1:])][0]


__all__ = ["ALL_OF", "TERRITORIES", "Quantity", "plain", "tokenize"]
