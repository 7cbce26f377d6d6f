# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Claims of an ECG interpretation: every number, finding, lead and beat that it states, with its position in the text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, takewhile
from typing import Any

from processing.ecg_record import STANDARD_LEADS
from processing.errors_gem import ClaimError

from .beat_words import read_beat_words, says_more
from .clause import read_clause
from .contrasts import set_against
from .details import detail_of
from .extremes import name_extremes
from .findings import BY_KIND
from .found import JOINTS, Found
from .lead_states import SIGNAL_QUALITY, parted, read_states
from .meaning import LEAD_FINDINGS, OPPOSITE_POLARITY
from .places import LeadGroup, attach_beats, attach_leads, group_leads
from .polarity import decide_polarity
from .premature_waves import say_of_premature_beats
from .tokens import Quantity, plain, tokenize
from .wave_sizes import compare_waves
from .words import Token
from .written_numbers import with_written_numbers

_ROW = re.compile(r"^[^\S\n]*\|.*\|[^\S\n]*$", re.MULTILINE)
_OF_QRS_AND_QT = {"qrs": "qrs_duration", "qt_interval": "qtc_interval"}
_RULE = re.compile(r"[\s|:-]+")
_REFERENCE = re.compile(
    r"normal|reference|ref\.?|normal\s+(?:range|values?|limits?)|reference\s+(?:range|values?|interval|limits?)|expected(?:\s+range)?|range|limits?",
    re.IGNORECASE,
)


def without_reference_columns(text: str) -> str:
    """`text` with the cells under headings such as `Normal range` blanked, of the same length.

    Examples:
        >>> print(without_reference_columns("| | Value | Normal |\\n|---|---|---|\\n| PR | 238 ms | 120-200 ms |"))
        | | Value | Normal |
        |---|---|---|
        | PR | 238 ms |            |
    """
    if "|" not in text:
        return text
    blanked = list(text)
    columns: list[int] = []
    rows = list(_ROW.finditer(text))
    for number, row in enumerate(rows):
        cells = _cells(row)
        if number + 1 < len(rows) and _RULE.fullmatch(rows[number + 1].group()):
            columns = [i for i, cell in enumerate(cells) if _REFERENCE.fullmatch(_words(text, cell))]
        elif not _RULE.fullmatch(row.group()):
            for start, end in (cells[i] for i in columns if i < len(cells)):
                blanked[start:end] = " " * (end - start)
        if number + 1 == len(rows) or rows[number + 1].start() != row.end() + 1:
            columns = []
    return "".join(blanked)


def _cells(row: re.Match[str]) -> list[tuple[int, int]]:
    bars = [row.start() + i for i, character in enumerate(row.group()) if character == "|"]
    return [(left + 1, right) for left, right in pairwise(bars)]


def _words(text: str, cell: tuple[int, int]) -> str:
    return re.sub(r"[*_`]|\([^)]*\)", " ", text[cell[0] : cell[1]]).strip()


HEADING_WORDS = 3
MAX_CHARACTERS = 100_000  # of a text: some forty pages
# Tokens. Reading a clause looks from each token to the others; what is longer is not a sentence, and is read in pieces.
LONGEST_CLAUSE = 250


@dataclass(frozen=True)
class Claim:
    """One statement of a text about an ECG.

    Attributes:
        kind: what it is about (`heart_rate`, `pr_interval`, `st_elevation`, `rhythm` ...): a row of
            `processing.claims.findings`.
        value: a number in `unit`, or a word (`normal`, `prolonged`, `sinus rhythm`), or `None` for a finding that is
            simply there.
        unit: `ms`, `mV`, `bpm`, `deg`, `s` or `None`.
        leads: the leads it is stated for; empty where it is about the whole record.
        beats: numbers of the beats, from 1; -1 is the last one.
        time_s: s from the start of the record.
        polarity: `affirmed`, `negated` or `hedged`.
        quote: the words.
        start: position of the first character in the text.
        end: position after the last character.
        comparator: `>`, `<`, `not_more`, `not_less`, `max` (up to), `longest`, `shortest`, `~`, `than III` (of `more` or `less` in other
            leads) or `None`.
        territory: the wall by which the leads are named (`inferior`), if they are.
        high: upper end of a range whose lower end is `value`.
        formula: `bazett` or `fridericia`, where a QTc says so.
        detail: what narrows a rhythm, a block or premature beats down: `mobitz 2`, `couplet`, `atrial`, a count (`details.detail_of`);
            of a wave of premature beats their kind.
    """

    kind: str
    value: Any
    unit: str | None
    leads: tuple[str, ...]
    beats: tuple[int, ...] | None
    time_s: float | None
    polarity: str
    quote: str
    start: int
    end: int
    comparator: str | None = None
    territory: str | None = None
    high: float | None = None
    formula: str | None = None
    detail: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The claim as JSON holds it, with lists in place of tuples."""
        return asdict(self) | {"leads": list(self.leads), "beats": None if self.beats is None else list(self.beats)}


@dataclass
class _Context:
    """What a line inherits from headings above it and labels at its start."""

    subject: str | None = None
    heading_subject: str | None = None
    leads: Token | None = None
    heading_leads: Token | None = None


def extract_claims(text: str) -> list[Claim]:
    """Every quantitative and categorical claim of an interpretation, in the order of the text.

    Understands free wording, Markdown and lists: units (ms/s, mV/mm/uV, bpm), ranges, comparisons, approximations,
    negation and hedging, lead ranges and territories, beats and times. Statements about normal values or other
    recordings, and conditions, are not claims.

    Raises:
        ClaimError: the text has more than `MAX_CHARACTERS`; up to there the time grows with the length.

    Examples:
        >>> [(c.kind, c.value, c.leads, c.polarity) for c in extract_claims("HR 75 bpm. No ST elevation in V1-V2.")]
        [('heart_rate', 75.0, (), 'affirmed'), ('st_elevation', None, ('V1', 'V2'), 'negated')]
    """
    if len(text) > MAX_CHARACTERS:
        raise ClaimError(
            f"The text has {len(text):,} characters, an interpretation {MAX_CHARACTERS:,} at most. Is it one answer? "
            "Check one at a time."
        )
    flat = plain(without_reference_columns(text))
    claims: list[Claim] = []
    context = _Context()
    for line in _lines(group_leads(with_written_numbers(tokenize(flat), flat))):
        claims += _line_claims(line, flat, text, context)
    return _resolve_others(claims)


def _lines(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    line: list[Token] = []
    for token in tokens:
        if token.tag == "line":
            yield line
            line = []
        else:
            line.append(token)
    yield line


def _clauses(line: Sequence[Token]) -> Iterator[tuple[list[Token], bool]]:
    """Clauses of a line, and whether each begins a sentence."""
    clause: list[Token] = []
    begins = True
    for i, token in enumerate(line):
        # "not upright but inverted in V2" is one statement, "above 60 but below 65" as well.
        around = (line[i - 1].tag, line[i + 1].tag) if 0 < i < len(line) - 1 else ()
        within = token.tag == "break" and around in (("qual", "qual"), ("num", "cmp"))
        if token.tag in ("end", "break") and not within:
            if clause:
                yield clause, begins
            clause, begins = [], token.tag == "end" and token.value is None
        elif len(clause) == LONGEST_CLAUSE:
            yield clause, begins
            clause, begins = [token], False
        else:
            clause.append(token)
    if clause:
        yield clause, begins


def _line_claims(line: list[Token], flat: str, text: str, context: _Context) -> list[Claim]:
    if not line:
        context.heading_subject = context.heading_leads = None
        return []
    if _is_heading(line):
        context.heading_subject = next((token.value for token in line if token.tag == "subj"), None)
        context.heading_leads = next((token for token in line if token.tag == "leads"), None)
        return []
    context.subject, context.leads = context.heading_subject, context.heading_leads
    label = _label(line)
    if label is not None:
        context.leads = label
    claims: list[Claim] = []
    for clause, begins in _clauses(line):
        for part in parted(clause):
            part_begins = begins and part[0] is clause[0]
            claims += _clause_claims(part, flat, text, context, part_begins) or _denied_elsewhere(part, claims, text)
    return claims


def _denied_elsewhere(clause: list[Token], before: Sequence[Claim], text: str) -> list[Claim]:
    """`T inversion in V1-V4, but not in the lateral leads`: the finding before, denied for the leads of the clause."""
    places = [token for token in clause if token.tag == "leads"]
    negated = next((token for token in clause if token.tag != "in"), clause[0])
    if not before or negated.tag != "neg" or len(places) != 1 or before[-1].kind not in LEAD_FINDINGS:
        return []
    if any(token.tag not in ("neg", "in", "word", "leads", "end", *JOINTS) for token in clause):
        return []
    group, last = places[0].value, before[-1]
    start, end = clause[0].start, places[0].end
    walls = group.territories if not group.named else ()
    return [
        replace(
            last,
            value=last.value if last.kind == SIGNAL_QUALITY else None,
            unit=None,
            high=None,
            comparator=None,
            beats=None,
            leads=group.leads,
            polarity=OPPOSITE_POLARITY[last.polarity],
            territory=walls[0] if walls else None,
            quote=text[start:end],
            start=start,
            end=end,
        )
    ]


def _is_heading(line: list[Token]) -> bool:
    """A line that only names a wave or leads, as LLMs put above lists: `**ST segments:**`, `### Lead V1`."""
    kinds = [token.tag for token in line]
    meaningful = [tag for tag in kinds if tag not in ("word", "colon", "and", "comma", "open", "close", "slash")]
    if not meaningful or any(tag not in ("subj", "leads") for tag in meaningful):
        return False
    return kinds[-1] == "colon" or kinds.count("word") + len(meaningful) <= HEADING_WORDS


def _label(line: list[Token]) -> Token | None:
    """The leads at the start of a line such as `- Lead II: ST elevated`."""
    for i, token in enumerate(line):
        if token.tag == "leads":
            return (
                token if i + 1 < len(line) and line[i + 1].tag in ("colon", "open") and _colon_near(line, i) else None
            )
        if token.tag not in ("word", "in", "open"):
            return None
    return None


def _colon_near(line: list[Token], i: int) -> bool:
    return any(token.tag == "colon" for token in line[i + 1 : i + 6])


def _clause_claims(clause: list[Token], flat: str, text: str, context: _Context, begins: bool) -> list[Claim]:
    refers_back = clause[0].tag == "it" or (clause[0].tag == "word" and clause[0].value == "its")
    carried = context.subject if not begins or refers_back or context.heading_subject or context.leads else None
    found = read_clause(clause, flat, carried)
    found += read_states(clause, flat, carried, found)
    found += read_beat_words(clause, flat, found)
    decide_polarity(found, clause, flat)
    attach_leads(found, clause)
    found += set_against(found, clause, flat)
    found += compare_waves(found, clause, flat)
    found += attach_beats(found, clause)
    say_of_premature_beats(found, clause, flat)
    name_extremes(found, clause, flat)
    _without_lengths(found)
    for item in found:
        if item.kind == "beat" and says_more(clause):
            item.value = None
    subjects = [token.value for token in clause if token.tag == "subj"]
    if subjects:
        context.subject = subjects[-1] if len(set(subjects)) > 1 else subjects[0]
    claims: list[Claim] = []
    for item in sorted(found, key=lambda item: item.first):
        if not item.dropped:
            claims += _claims_of(item, clause, text, context.leads)
    return _unique(claims)


def _without_lengths(found: Sequence[Found]) -> None:
    """Drops times of beats that are lengths of pauses: `a pause of 2.2 s after beat 6`."""
    lengths = {i for item in found if item.kind == "pause" and item.quantity is not None for i in item.extra}
    for item in found:
        if item.kind == "beat_time" and lengths & {item.first, item.last} - {item.anchor}:
            item.dropped = True


def _claims_of(item: Found, clause: Sequence[Token], text: str, inherited: Token | None) -> list[Claim]:
    """A finding becomes one claim, or one per lead group where each has its own number."""
    if item.kind == "intervals":
        return [
            claim
            for kind in _intervals_of(clause)
            for claim in _claims_of(_replaced(item, kind), clause, text, inherited)
        ]
    if item.denied_at is not None and item.groups and min(item.groups) < item.denied_at < max(item.groups):
        # "the ST elevation in III is not present in V5"
        before = [place for place in item.groups if place < item.denied_at]
        after = [place for place in item.groups if place > item.denied_at]
        there = replace(item, groups=before, polarity=OPPOSITE_POLARITY[item.polarity], extra=[], denied_at=None)
        return [
            *_claims_of(there, clause, text, inherited),
            *_claims_of(replace(item, groups=after, denied_at=None), clause, text, inherited),
        ]
    if item.kind == "low_voltage" and (normal := _normal_between(item, clause)) is not None:
        # "low voltage in the limb leads, normal in the chest leads"
        low = replace(item, groups=[place for place in item.groups if place < normal])
        rest = replace(
            item, groups=[place for place in item.groups if place > normal], polarity=OPPOSITE_POLARITY[item.polarity]
        )
        return [*_claims_of(low, clause, text, inherited), *_claims_of(rest, clause, text, inherited)]
    groups = [clause[place].value for place in item.groups]
    if item.elsewhere:
        named = {lead for group in groups for lead in group.leads}
        others = LeadGroup(tuple(lead for lead in STANDARD_LEADS if lead not in named), ("all",))
        return [_claim(replace(item, groups=[]), [others], None, None, clause, text)]
    if item.less_in or item.most:
        named = {lead for group in groups for lead in group.leads}
        less = [lead for place in item.less_in for lead in clause[place].value.leads]
        less += [lead for lead in STANDARD_LEADS if item.most and lead not in named]
        return [_claim(replace(item, extra=item.less_in), groups, None, f"than {', '.join(less)}", clause, text)]
    if not groups and inherited is not None and (item.is_number or item.kind in (*LEAD_FINDINGS, "st_level")):
        groups = [inherited.value]
    if item.kind in (SIGNAL_QUALITY, "r_transition") and any(group.named for group in groups):
        groups = [group for group in groups if group.named]  # "V1 is noisy throughout", "precordial transition: V4"
    if (
        item.kind in ("r_transition", "r_progression")
        and item.value is None
        and not (item.kind == "r_transition" and groups)
    ):
        return []
    if len(item.ahead) > 1 and len(item.groups) >= len(item.ahead):
        return _paired_ahead(item, clause, text)
    if item.pairs and len(item.groups) > 1:
        return _paired(item, clause, text)
    if item.kind == "p_inversion" and item.inherent_negation and not groups:
        item = replace(item, kind="p_waves", value="present", polarity=OPPOSITE_POLARITY[item.polarity])
    if item.kind == "abnormal_ecg":
        item = replace(item, kind="normal_ecg", polarity=OPPOSITE_POLARITY[item.polarity])
    if item.kind in ("qtc_bazett", "qtc_fridericia"):
        item = replace(item, kind="qtc_interval", formula=item.kind.removeprefix("qtc_"))
    quantity, comparator = item.quantity, item.comparator
    if item.pairs and quantity is None:
        _, quantity, comparator = item.pairs[0]
    return [_claim(item, groups, quantity, comparator, clause, text)]


def _intervals_of(clause: Sequence[Token]) -> list[str]:
    """What `intervals` are, without those behind an `except`: `all intervals are normal apart from the PR`."""
    excepted: set[str] = set()
    for i, token in enumerate(clause):
        if token.tag == "except":
            behind = takewhile(lambda token: token.tag not in ("comma", "be", "num"), clause[i + 1 :])
            excepted |= {_OF_QRS_AND_QT.get(other.value, other.value) for other in behind if other.tag == "subj"}
    return [kind for kind in ("pr_interval", "qrs_duration", "qtc_interval") if kind not in excepted]


def _normal_between(item: Found, clause: Sequence[Token]) -> int | None:
    """Index of a `normal` between the places of a finding, the later ones of which it denies it for."""
    places = range(min(item.groups, default=0), max(item.groups, default=0))
    return next((i for i in places if clause[i].tag == "qual" and clause[i].value in ("normal", "normal_range")), None)


def _replaced(item: Found, kind: str) -> Found:
    return Found(kind, item.value, item.first, item.last, item.anchor, polarity=item.polarity)


def _paired_ahead(item: Found, clause: Sequence[Token], text: str) -> list[Claim]:
    """`ST elevation of 0.1 mV in II and 0.2 mV in III`: every number belongs to the leads up to the next one."""
    starts = [i for i, *_ in item.ahead]
    claims = []
    for (i, quantity, comparator), stop in zip(item.ahead, [*starts[1:], len(clause)], strict=True):
        groups = [clause[place].value for place in item.groups if i < place < stop]
        claims += [_claim(item, groups, quantity, comparator, clause, text)] if groups else []
    return claims


def _paired(item: Found, clause: Sequence[Token], text: str) -> list[Claim]:
    """`ST elevation in II (0.1 mV), III (0.2 mV)`: every number belongs to the leads just before it."""
    claims = []
    waiting: list[LeadGroup] = []
    numbers = {i: (quantity, comparator) for i, quantity, comparator in item.pairs}
    for i in sorted([*item.groups, *numbers]):
        if i not in numbers:
            waiting.append(clause[i].value)
            continue
        if waiting[:-1]:
            claims.append(_claim(item, waiting[:-1], item.quantity, item.comparator, clause, text))
        if waiting:
            claims.append(_claim(item, waiting[-1:], *numbers[i], clause, text))
        waiting = []
    if waiting:
        claims.append(_claim(item, waiting, item.quantity, item.comparator, clause, text))
    return claims


def _claim(
    item: Found,
    groups: Sequence[LeadGroup],
    quantity: Quantity | None,
    comparator: str | None,
    clause: Sequence[Token],
    text: str,
) -> Claim:
    spots = [item.first, item.last, *item.groups, *item.extra]
    start, end = clause[min(spots)].start, clause[max(spots)].end
    quote = text[start:end]
    if text[end : end + 1] == ")" and quote.count("(") > quote.count(")"):
        end += 1
    leads = tuple(dict.fromkeys(lead for group in groups for lead in group.leads))
    affirmed = item.polarity != "negated"
    territories = [
        name for group in groups for name in group.territories if not (group.named or (group.each and affirmed))
    ]
    if territories[:1] == ["most"] and BY_KIND[item.kind].scope == "walls":
        territories = ["all"]  # a diffuse infarct is one of no wall
    value, high = item.value, None
    if quantity is not None:
        value = quantity.low
        if quantity.plus_minus is not None:
            value, high = quantity.low - quantity.plus_minus, quantity.low + quantity.plus_minus
        elif quantity.is_range:
            high = quantity.high
    if item.kind == "beat_time":
        value = item.time_s
    return Claim(
        kind=item.kind,
        value=value,
        unit=item.unit,
        leads=leads,
        beats=item.beats,
        time_s=item.time_s,
        polarity=item.polarity,
        quote=text[start:end],
        start=start,
        end=end,
        comparator=None if comparator == "between" else comparator,
        territory=territories[0] if territories else None,
        high=high,
        formula=item.formula,
        detail=item.of_beats or _detail(item, clause, text),
    )


def _detail(item: Found, clause: Sequence[Token], text: str) -> str | None:
    words = clause[item.anchor]
    kind = str(item.value) if item.kind == "rhythm" else item.kind
    return detail_of(kind, text, words.start, words.end, clause[0].start, clause[-1].end)


def _resolve_others(claims: list[Claim]) -> list[Claim]:
    """`the other leads` are those that no affirmed finding before has named."""
    resolved: list[Claim] = []
    named: set[str] = set()
    for claim in claims:
        if claim.territory == "other":
            claim = replace(claim, leads=tuple(lead for lead in STANDARD_LEADS if lead not in named))
        elif claim.polarity != "negated" and claim.territory not in ("all", "most"):
            named.update(claim.leads)
        resolved.append(claim)
    return resolved


def _unique(claims: list[Claim]) -> list[Claim]:
    """The claims of a clause without what overlapping words say twice (`raised above the baseline`)."""
    kept: list[Claim] = []
    for claim in claims:
        said = _content(claim)
        if not any(_content(other) == said and claim.start < other.end and other.start < claim.end for other in kept):
            kept.append(claim)
    return kept


def _content(claim: Claim) -> tuple:
    said = (claim.kind, claim.value, claim.high, claim.comparator, claim.detail)
    return (*said, claim.leads, claim.polarity, claim.beats, claim.time_s)


__all__ = ["Claim", "extract_claims", "without_reference_columns"]
