# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""In which leads and beats a finding is stated."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from processing.ecg_record import STANDARD_LEADS

from .findings_rhythm import REPEATED
from .found import JOINTS, Found
from .meaning import LEAD_FINDINGS, LEAD_MEASURES
from .tokens import ALL_OF, TERRITORIES
from .words import Token

_PER_LEAD = (*LEAD_FINDINGS, *LEAD_MEASURES)
_REGION_WORDS = ("lead", "leads", "wall", "walls", "region", "regions", "territory", "territories", "distribution", "derivations", "derivation")  # fmt: skip
_LEAD_WORDS = (*_REGION_WORDS, "both", "the", "only", "electrodes")
_BEFORE_VERBS = (*_LEAD_WORDS, "do", "does", "did", "also", "clearly", "each", "all", "then", "further")


@dataclass(frozen=True)
class LeadGroup:
    """
    Leads named together; `territories` where they are named by the wall they look at.

    What is affirmed of `each` of a wall's leads ("all chest leads", "the chest leads except V2") is affirmed of every one.
    """

    leads: tuple[str, ...]
    territories: tuple[str, ...] = ()
    named: tuple[str, ...] = ()  # leads that are spelled out
    each: bool = False


def group_leads(tokens: Sequence[Token]) -> list[Token]:
    """The tokens in which adjacent leads and territories are merged into one, its value a `LeadGroup`."""
    grouped: list[Token] = []
    i = 0
    while i < len(tokens):
        if tokens[i].tag == "except" and (rest := _exceptions(tokens, i)):
            # "upright except in aVR": in all the others.
            leads = tuple(lead for lead in STANDARD_LEADS if lead not in rest[0])
            grouped.append(Token("leads", LeadGroup(leads, ("all",)), tokens[i].start, tokens[rest[1] - 1].end))
            i = rest[1]
            continue
        if tokens[i].tag not in ("leads", "territory"):
            grouped.append(tokens[i])
            i += 1
            continue
        first, stop = i, _group_end(tokens, i, bool(grouped) and grouped[-1].tag in ("in", "of"))
        group = _merged([token for token in tokens[i:stop] if token.tag in ("leads", "territory")])
        last = max(k for k in range(i, stop) if tokens[k].tag in ("leads", "territory"))
        i = stop
        while i < len(tokens) and tokens[i].tag == "word" and tokens[i].value in _REGION_WORDS:
            i += 1
        spelled_out = _in_brackets(tokens, i) if group.territories and not group.named else None
        if spelled_out:
            group, i = LeadGroup(spelled_out[0], group.territories, spelled_out[0]), spelled_out[1]
        exceptions = _exceptions(tokens, i)
        if exceptions:
            others = tuple(lead for lead in group.leads if lead not in exceptions[0])
            group = LeadGroup(others, group.territories, group.named, True)
            i = exceptions[1]
        grouped.append(Token("leads", group, tokens[first].start, tokens[max(last, i - 1)].end))
    return grouped


def _is_lead_word(token: Token) -> bool:
    return token.tag == "word" and token.value in _LEAD_WORDS


def _group_end(tokens: Sequence[Token], i: int, after_in: bool) -> int:
    """Index after the last lead that belongs to the group that starts at `i`."""
    stop = i + 1
    while True:
        j = stop
        joints = []
        while j < len(tokens) and (tokens[j].tag in JOINTS or _is_lead_word(tokens[j])):
            joints.append(tokens[j].tag)
            j += 1
        if j >= len(tokens) or tokens[j].tag not in ("leads", "territory"):
            return stop
        # "inverted in III, and V1 shows ...": a new statement begins with the last lead.
        starts_anew = after_in and "and" in joints and _followed_by_verb(tokens, j)
        between_territory = (
            tokens[j].tag == "territory"
            and tokens[stop - 1].tag == "leads"
            and "comma" in joints
            and "and" not in joints
        )
        if starts_anew or between_territory:
            return stop
        stop = j + 1


def _followed_by_verb(tokens: Sequence[Token], j: int) -> bool:
    j += 1
    while j < len(tokens) and (
        tokens[j].tag in (*JOINTS, "leads") or (tokens[j].tag == "word" and tokens[j].value in _BEFORE_VERBS)
    ):
        j += 1
    return j < len(tokens) and tokens[j].tag == "verb"


def _merged(tokens: Sequence[Token]) -> LeadGroup:
    leads: list[str] = []
    territories: list[str] = []
    named: list[str] = []
    of_walls: set[str] = set()
    for token in tokens:
        names = token.value if token.tag == "leads" else TERRITORIES[token.value]
        if token.tag == "territory":
            territories.append(token.value.removeprefix(ALL_OF))
            of_walls |= set(names)
        else:
            named += names
        leads += [name for name in names if name not in leads]
    if named and set(named) <= of_walls:
        # "the inferior leads (II, III, aVF)": what is spelled out counts.
        leads = [name for name in leads if name in named]
    each = any(token.tag == "territory" and token.value.startswith(ALL_OF) for token in tokens)
    return LeadGroup(tuple(leads), tuple(territories), tuple(named), each)


def _in_brackets(tokens: Sequence[Token], i: int) -> tuple[tuple[str, ...], int] | None:
    """`the inferior leads (II, III)`: the leads in the bracket at `i`, and the index after them."""
    if i >= len(tokens) or tokens[i].tag != "open":
        return None
    j = i + 1
    while j < len(tokens) and _is_lead_word(tokens[j]):
        j += 1
    if j >= len(tokens) or tokens[j].tag != "leads":
        return None
    stop = _group_end(tokens, j, True)
    return _merged([token for token in tokens[j:stop] if token.tag == "leads"]).leads, stop


def _exceptions(tokens: Sequence[Token], i: int) -> tuple[tuple[str, ...], int] | None:
    """Leads after `except`, and the index after them."""
    if i < len(tokens) and tokens[i].tag == "open":
        i += 1
    if i >= len(tokens) or tokens[i].tag != "except":
        return None
    j = i + 1
    while j < len(tokens) and (tokens[j].tag == "in" or _is_lead_word(tokens[j])):
        j += 1
    if j >= len(tokens) or tokens[j].tag not in ("leads", "territory"):
        return None
    stop = _group_end(tokens, j, True)
    return _merged([token for token in tokens[j:stop] if token.tag in ("leads", "territory")]).leads, stop


def attach_leads(found: list[Found], tokens: Sequence[Token]) -> None:
    """Gives every finding the lead groups (indices of tokens) it is stated for."""
    places = [i for i, token in enumerate(tokens) if token.tag == "leads"]
    for place in places:
        owners = _owners(found, tokens, place)
        for item in owners:
            item.groups.append(place)
    for item in found:
        if item.kind == "t_inversion" and item.inherent_negation and not item.is_number and not item.groups:
            # "upright in II (0.25 mV) and V5 (0.43 mV)": the numbers have the leads, and "upright" has the same.
            sizes = (n for n in found if n.is_number and n.kind == "t_amplitude" and n.last > item.anchor)
            item.groups += [place for size in sizes for place in size.groups]


def _owners(found: list[Found], tokens: Sequence[Token], place: int) -> list[Found]:
    if own := _number_behind(found, tokens, place) or _next_of_series(found, tokens, place):
        return [own]
    inside = [item for item in found if item.first < place < item.last and (not item.is_number or item.anchor > place)]
    behind = [item for item in found if item.last < place]
    ahead = [item for item in found if item.first > place]
    if inside and not (behind and max(item.last for item in behind) > max(item.first for item in inside)):
        joined = [item for item in found if item not in inside and item.first < place < item.last]
        return inside + joined
    group = tokens[place].value
    introduced = _introduced(tokens, place)
    adjective = group.territories and not introduced and _next_is_finding(found, tokens, place)
    if ahead and (
        not behind
        or adjective
        or (not introduced and _followed_by_verb(tokens, place))
        or (not introduced and tokens[place + 1 : place + 2] and tokens[place + 1].tag == "colon")
    ):
        return _led(ahead, tokens, place)
    return _coordinated_behind(behind, tokens, place)


def _number_behind(found: list[Found], tokens: Sequence[Token], place: int) -> Found | None:
    """`0.5 mV in V3 is more than in V6 (0.2 mV)`: leads with a number in brackets after them that nothing else owns."""
    j = place + 1
    if j >= len(tokens) or tokens[j].tag != "open":
        return None
    while j < len(tokens) and tokens[j].tag in ("open", "cmp"):
        j += 1
    return next((item for item in found if item.is_number and item.first == item.anchor == j), None)


def _next_of_series(found: list[Found], tokens: Sequence[Token], place: int) -> Found | None:
    """`In V3 T measures 0.7 mV and in V6 0.35 mV`: the number behind leads that follow a number of other leads."""
    before, after = place - 1, place + 1
    while before >= 0 and _is_lead_word(tokens[before]):
        before -= 1
    if before < 2 or tokens[before].tag != "in" or tokens[before - 1].tag not in ("and", "comma"):
        return None
    if tokens[before - 2].tag != "num" or not any(token.tag == "leads" for token in tokens[: before - 2]):
        return None
    while after < len(tokens) and tokens[after].tag in ("cmp", "be", "it"):
        after += 1
    return next((item for item in found if item.is_number and item.anchor == after), None)


def _introduced(tokens: Sequence[Token], place: int) -> bool:
    j = place - 1
    while j >= 0 and _is_lead_word(tokens[j]):
        j -= 1
    return j >= 0 and tokens[j].tag in ("in", "of", "open")


def _next_is_finding(found: list[Found], tokens: Sequence[Token], place: int) -> bool:
    j = place + 1
    while j < len(tokens) and tokens[j].tag == "word":
        j += 1
    return any(item.first == j for item in found)


def _led(ahead: list[Found], tokens: Sequence[Token], place: int) -> list[Found]:
    """The findings that a leading group (`V1-V3 show ...`) governs: up to the next leading group."""
    stop = len(tokens)
    for j in range(place + 1, len(tokens)):
        if tokens[j].tag == "leads" and (_followed_by_verb(tokens, j) or _next_of_series(ahead, tokens, j)):
            stop = j
            break
        if (
            tokens[j].tag == "leads"
            and not _introduced(tokens, j)
            and tokens[j - 1].tag in ("with", "comma", "and", "neg")
        ):
            stop = j
            break
    return [
        item
        for item in ahead
        if item.first < stop
        and not _has_own_group(item, tokens)
        and (item.kind in _PER_LEAD or item.is_number or item.kind in ("r_transition",))
    ]


def _has_own_group(item: Found, tokens: Sequence[Token]) -> bool:
    j = item.last + 1
    while j < len(tokens) and tokens[j].tag in ("word", "in", "of", "present", "open", "num", "cmp", "be"):
        if tokens[j].tag == "in" and j + 1 < len(tokens):
            k = j + 1
            while k < len(tokens) and _is_lead_word(tokens[k]):
                k += 1
            if k < len(tokens) and tokens[k].tag == "leads":
                return True
        j += 1
    return False


def _coordinated_behind(behind: list[Found], tokens: Sequence[Token], place: int) -> list[Found]:
    order = sorted(behind, key=lambda item: (-item.last, item.is_number))
    if not order:
        return []
    nearest = order[0]
    if _other_wave_between(tokens, nearest, place):
        return []
    if (
        nearest.kind not in _PER_LEAD
        and not nearest.is_number
        and nearest.kind not in ("r_transition", "qrs_duration", "low_voltage", "u_wave", "p_waves")
    ):
        per_lead = [item for item in order if item.kind in _PER_LEAD and not item.groups]
        if not per_lead or any(token.tag in ("comma", "with") for token in tokens[per_lead[0].last : place]):
            return [nearest]
        nearest = per_lead[0]
    owners = [nearest]
    # One quality said of several waves, and findings in a list, share the leads that follow.
    for item in order:
        if item.first == nearest.first and not item.is_number and item not in owners and not item.groups:
            owners.append(item)  # "tall and upright in V3": both describe one wave
            continue
        if (
            item in owners
            or item.is_number
            or item.groups
            or item.polarity != nearest.polarity
            or item.kind not in _PER_LEAD
        ):
            continue
        between = tokens[item.last + 1 : owners[-1].first]
        if item.anchor == nearest.anchor or all(
            token.tag in (*JOINTS, "word", "subj", "neg", "qual", "num", "cmp", "of", "with", "hedge")
            for token in between
        ):
            owners.append(item)
    return owners


def _other_wave_between(tokens: Sequence[Token], item: Found, place: int) -> bool:
    """`QS in V1 and a broad R wave in V6`: the second place belongs to a wave of which nothing is claimed."""
    between = range(item.last + 1, place)
    waves = [j for j in between if tokens[j].tag == "subj" and tokens[j].value in ("r", "s", "t", "p")]
    placed = bool(item.groups) or any(token.tag == "leads" for token in tokens[item.last + 1 : place])
    return bool(waves) and placed


def attach_beats(found: list[Found], tokens: Sequence[Token]) -> list[Found]:
    """Gives the nearest finding its beats and times, if it does not have its beats already, and P waves the only beats that the clause names.

    `beat 4 at 3.21 s` is a claim of its own, returned.
    """
    own: list[Found] = []
    for item in found:
        if item.kind in REPEATED and item.beats is None and (stop := _bracket_of_beats(tokens, item.last + 1)):
            numbers = [token.value.low for token in tokens[item.last + 1 : stop] if token.tag == "num"]
            item.beats = tuple(map(int, numbers))
            item.extra.append(stop)
    named = {id(item) for item in found if item.beats is not None}
    for i, token in enumerate(tokens):
        if token.tag == "beats":
            at = _time_near(tokens, i)
            if at is not None and len(token.value) == 1:
                time_s = _seconds(tokens[at])
                own.append(Found("beat_time", None, min(i, at), max(i, at), i, "s", beats=token.value, time_s=time_s))
            target = _nearest(found, i)
            if target is not None and id(target) not in named:
                target.beats = token.value
                target.extra.append(i)
            elif target is None and at is None:
                own.append(Found("beat", token.value[0], i, i, i, beats=token.value))
        elif token.tag == "time" and not any(item.first <= i <= item.last for item in own):
            target = _nearest(found, i)
            if target is not None:
                target.time_s = token.value
                target.extra += [i] if id(target) not in named else []
                for j in _more_times(tokens, i) if target.kind in REPEATED else ():
                    own.append(replace(target, time_s=tokens[j].value.low, extra=[*target.extra, j]))
    for item in own:
        item.groups = [j for j, token in enumerate(tokens) if token.tag == "leads" and abs(j - item.anchor) <= 4]
    places = [i for i, token in enumerate(tokens) if token.tag == "beats"]
    for item in found:
        if item.kind == "p_waves" and item.beats is None and len(places) == 1 and places[0] < item.first:
            item.beats = tokens[places[0]].value
            item.extra.append(places[0])
    return own


def _bracket_of_beats(tokens: Sequence[Token], i: int) -> int | None:
    """`premature beats (4, 9 and 12)`: where the bracket at `i` ends, if it lists whole numbers without a unit."""
    numbers = 0
    for j in range(i, len(tokens)):
        token = tokens[j]
        if token.tag == "close":
            return j if numbers > 1 else None
        whole = (
            token.tag == "num"
            and token.value.unit is None
            and token.value.low == token.value.high == int(token.value.low)
        )
        numbers += whole
        if not whole and token.tag not in (("open",) if j == i else ("comma", "and")):
            return None
    return None


def _more_times(tokens: Sequence[Token], i: int) -> list[int]:
    """`at 2.4 s, 5.2 s and 8.8 s`: the numbers of seconds that are listed behind the time at `i`."""
    listed: list[int] = []
    for j in range(i + 1, len(tokens)):
        if tokens[j].tag == "num" and tokens[j].value.unit in ("s", None) and not tokens[j].value.is_range:
            listed.append(j)
        elif tokens[j].tag not in ("comma", "and"):
            break
    return listed if listed and tokens[listed[-1]].value.unit == "s" else []


def _time_near(tokens: Sequence[Token], i: int) -> int | None:
    """Index of the time that belongs to the beat at `i`: soon after it or just before it, nothing measured between."""
    for steps in (range(i + 1, min(i + 6, len(tokens))), range(i - 1, max(i - 4, -1), -1)):
        for j in steps:
            if tokens[j].tag in ("subj", "term", "qual", "beats"):
                break
            if _seconds(tokens[j]) is not None:
                return j
    return None


def _seconds(token: Token) -> float | None:
    if token.tag == "time":
        return token.value
    return token.value.low if token.tag == "num" and token.value.unit == "s" else None


def _nearest(found: list[Found], i: int) -> Found | None:
    usable = [item for item in found if not item.dropped]
    behind = [item for item in usable if item.anchor < i]
    ahead = [item for item in usable if item.anchor > i]
    return max(behind, key=lambda item: item.last) if behind else min(ahead, key=lambda item: item.first, default=None)


__all__ = ["LeadGroup", "attach_beats", "attach_leads", "group_leads"]
