# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Which statements of a clause are negated, hedged, or about ECGs in general."""

import re
from collections.abc import Sequence

from .findings_rhythm import PREMATURE, SINUS
from .found import JOINTS, Found
from .lead_states import SIGNAL_QUALITY
from .meaning import LEAD_FINDINGS
from .other_ecgs import drop_what_is_not_of_this_ecg
from .words import Token

# German reports come without punctuation: "keine p-welle erkannt" says nothing of the block that follows.
_NEAR = 2  # tokens
_CAUSES = ("because", "due", "owing", "given")
_UNTRUE_THAT = re.compile(r"(?:untrue|false|wrong|incorrect|not\s+(?:true|correct))\s+(?:that|to)\b", re.IGNORECASE)
_IRREGULAR = (*PREMATURE, "pause")
_FINDING_VERBS = ("see", "sees", "find", "finds", "observe", "observes", "identify", "identifies", "note", "notes")


def decide_polarity(found: list[Found], tokens: Sequence[Token], text: str) -> None:
    """Marks statements that are negated, hedged, or not about this ECG."""
    for item in found:
        if item.inherent_negation:
            item.polarity = "negated"
    for i, token in enumerate(tokens):
        if token.tag == "neg":
            _apply_negation(found, tokens, i, text)
            _apply_to_numbers(found, tokens, i, text)
        elif token.tag == "except" and text[token.start : token.start + 6].lower() == "exclud":
            for item in _ahead(found, tokens, i):
                _flip(item, i)
        elif token.tag == "hedge":
            for item in _ahead(found, tokens, i) or _hedged_behind(found, tokens, i, text):
                if item.polarity == "affirmed":
                    item.polarity = "hedged"
    drop_what_is_not_of_this_ecg(found, tokens, text)
    _without_exceptions(found, tokens)
    for item in found:
        if item.bare:
            item.dropped = item.dropped or not _bare_is_claim(item, tokens)


def _hedged_behind(found: list[Found], tokens: Sequence[Token], i: int, text: str) -> list[Found]:
    """`left hypertrophy possible`: the finding right before the adjective."""
    if text[tokens[i].start : tokens[i].end].lower() not in (
        "possible",
        "probable",
        "likely",
        "suspected",
        "questionable",
    ):
        return []
    return [item for item in found if item.last == i - 1]


def _bare_is_claim(item: Found, tokens: Sequence[Token]) -> bool:
    """A wave named without a quality is a claim where it is denied, said to be there, or given a place."""
    if item.polarity == "negated":
        return True
    if item.kind == "p_waves":
        before = tokens[max(item.first - 3, 0) : item.first]
        after = tokens[item.first + 1 : item.first + 5]
        shown = any(token.tag in ("verb", "present") or token.value in _FINDING_VERBS for token in before)
        return shown or any(token.tag == "present" for token in after)
    return any(token.tag in ("leads", "present", "verb") for token in tokens) or len(tokens) <= 3


def _flip(item: Found, by: int) -> None:
    """Turns a statement round because of the negation at `by`; a bare number (`not prolonged at 420 ms`) stays."""
    if item.is_number and item.comparator is None:
        return
    item.polarity = "affirmed" if item.inherent_negation else "negated"
    item.extra.append(by)


def _deny(item: Found, by: int) -> None:
    """As `_flip`, also a bare number: `a QRS of 90 ms is incorrect`."""
    if item.is_number and item.comparator is None:
        item.polarity = "negated"
        item.extra.append(by)
    else:
        _flip(item, by)


def _apply_to_numbers(found: list[Found], tokens: Sequence[Token], i: int, text: str) -> None:
    """What a negation before bare numbers says of them: `is not 90 ms` denies one, `no sinus rhythm at 190` states none."""
    if tokens[i].value not in ("before", "near", "ended"):
        return
    covered = _ahead(found, tokens, i) if _UNTRUE_THAT.match(text, tokens[i].start) else []
    for item in found:
        if not item.is_number or item.comparator not in (None, "~") or item.anchor <= i:
            continue
        between = [token.tag for token in tokens[i + 1 : item.anchor]]
        # "PR, QRS and QT are not 160, 90 and 400 ms": the rest of a list whose subjects precede the negation
        listed = item.first < i and set(between) <= {"num", "cmp", *JOINTS}
        if between in ([], ["cmp"]) or listed or item in covered:
            item.polarity = "negated"
            item.extra.append(i)
        elif _within_what_is_denied(item, tokens, i):
            item.dropped = True


def _within_what_is_denied(item: Found, tokens: Sequence[Token], i: int) -> bool:
    """Whether the number is one of what is denied at `i`: `no PR interval of 160 ms`, `not in sinus rhythm at a rate of 72`."""
    j = i + 1
    while tokens[j].tag in ("word", "in"):
        j += 1
    tags = [token.tag for token in tokens[j + 1 : item.anchor]]
    if not {"of", "in"} & set(tags) or not set(tags) <= {"word", "of", "in", "cmp", "subj"}:
        return False
    of_the_rhythm = tokens[j].tag == "term" and tokens[j].value[0] == "rhythm" and item.kind == "heart_rate"
    return of_the_rhythm or (tokens[j].tag == "subj" and item.first == j and "subj" not in tags)


def _stated_before(found: list[Found], tokens: Sequence[Token], i: int) -> list[Found]:
    """What `is incorrect` is said of: the findings and numbers right before it, and those joined to them."""
    covered: list[Found] = []
    start = i
    for item in sorted((item for item in found if item.last < i), key=lambda item: -item.last):
        own = {*item.groups, *item.extra}
        between = [j for j in range(item.last + 1, start) if j not in own]
        if any(
            tokens[j].tag not in ("word", "of", "in", "leads", "close", "num", *(JOINTS if covered else ()))
            for j in between
        ):
            break
        covered.append(item)
        start = min(start, item.first)
    return covered


def _apply_negation(found: list[Found], tokens: Sequence[Token], i: int, text: str) -> None:
    how = tokens[i].value
    words = text[tokens[i].start : tokens[i].end].lower()
    if words.startswith("spar") and not any(token.tag == "leads" for token in tokens[i:]):
        return  # "the infarct spares the septum"
    if how == "skip":
        if any(word in words for word in ("exclude", "rule", "prior", "previous", "comparison")):
            for item in found:
                item.dropped = item.dropped or item.anchor > i
    elif how == "hedge":
        for item in _ahead(found, tokens, i) or _behind(found, tokens, i):
            item.polarity = "hedged"
    elif how == "near":
        for item in found:
            if i < item.first <= i + _NEAR:
                _flip(item, i)
    elif how == "ended":
        # "is no longer in sinus rhythm", "LBBB is no longer an issue"; "no longer above 100 bpm" is a comparison.
        if not any(item.comparison_denied and i in item.extra for item in found):
            for item in _ahead(found, tokens, i) or _behind(found, tokens, i):
                _flip(item, i)
    elif how == "turned":
        _deny_former(found, i, _turned_from(found, tokens, i))
    elif how == "from":
        stop = next((j for j in range(i + 1, len(tokens)) if tokens[j].value in ("to", "into")), None)
        for item in _adjacent_ahead(found, tokens, i) if stop is None else _ahead(found, tokens[:stop], i):
            _flip(item, i)
    elif how == "unmeasured":
        _unmeasurable(found, tokens, i)
    elif how == "untrue":
        for item in _stated_before(found, tokens, i):
            _deny(item, i)
    elif (
        how == "after"
        or (i == len(tokens) - 1 and i > 0 and tokens[i - 1].tag in ("colon", "be"))
        or (how == "absent" and not _adjacent_ahead(found, tokens, i))
    ):
        _deny_former(found, i, _limit_not_met(found, tokens, i, words) or _behind(found, tokens, i))
    elif how == "absent":
        _flip(_adjacent_ahead(found, tokens, i)[0], i)
    else:
        for item in _ahead(found, tokens, i):
            _flip(item, i)


def _limit_not_met(found: list[Found], tokens: Sequence[Token], i: int, words: str) -> list[Found]:
    """`the criterion of LVH (SV1 + RV5 > 35 mm) is not met`: the limit right before it, and the finding before its bracket."""
    if not words.endswith(("met", "fulfilled", "satisfied", "reached")):
        return []
    j = i - 1
    while j > 0 and tokens[j].tag in ("be", "close", "word"):
        j -= 1
    limits = [item for item in found if item.is_number and item.anchor == j and item.comparator is not None]
    of_it = [item for item in found for limit in limits if item.last == limit.first - 2 and not item.is_number]
    return limits + of_it


def _deny_former(found: list[Found], i: int, denied: list[Found]) -> None:
    """Denies what stands before `i`; a rate or number that was stated of it ("fast AF at 150 bpm has resolved") is not one of this ECG."""
    for item in denied:
        _flip(item, i)
        item.denied_at = i
    start = min((item.first for item in denied), default=i)
    for item in found:
        of_it = (item.is_number or item.kind == "heart_rate") and item not in denied
        item.dropped = item.dropped or (of_it and start <= item.first and item.last < i)


def _turned_from(found: list[Found], tokens: Sequence[Token], i: int) -> list[Found]:
    """`AF with LBBB has converted to sinus rhythm`: the finding of the same kind before it, or else the nearest one."""
    ahead = next((item.kind for item in sorted(found, key=lambda item: item.first) if item.first > i), None)
    same = [item for item in found if item.kind == ahead and item.last < i and not item.is_number]
    return same[-1:] or _behind(found, tokens, i)


def _unmeasurable(found: list[Found], tokens: Sequence[Token], i: int) -> None:
    """`PR not measurable` is a claim of its own kind."""
    for j in range(i - 1, max(i - 5, -1), -1):
        if tokens[j].tag == "subj":
            for item in found:
                item.dropped = item.dropped or (item.first <= j <= item.last and not item.is_number)
            if tokens[j].value.endswith("_interval") or tokens[j].value in (
                "heart_rate",
                "qrs_axis",
                "sokolow_lyon",
                "p_duration",
            ):
                found.append(Found(tokens[j].value, "not measurable", j, i, i))
            return
        if tokens[j].tag in ("comma", "num", "close"):
            return


def _adjacent_ahead(found: list[Found], tokens: Sequence[Token], i: int) -> list[Found]:
    j = i + 1
    while j < len(tokens) and tokens[j].tag in ("word", "qual") and not any(item.anchor == j for item in found):
        j += 1
    return [item for item in found if item.first == j or item.anchor == j][:1]


def _ahead(found: list[Found], tokens: Sequence[Token], i: int) -> list[Found]:
    """What a negation or a hedge before it covers: to the end of its list, not beyond a new statement."""
    covered: list[Found] = []
    j = i + 1
    while j < len(tokens):
        tag = tokens[j].tag
        if tag in ("with", "break", "except", "end") or (tag in ("neg", "it", "colon", "hedge", "verb") and covered):
            break
        if tag == "comma" and covered and not _list_goes_on(tokens, j):
            break
        if tag in ("and", "comma", "or") and covered and _new_statement(found, tokens, j):
            break
        here = [item for item in found if item.anchor == j and (item.first > i or not item.is_number)]
        here = [item for item in here if not item.comparison_denied]
        if here and covered and _apart(covered, here, tokens):
            break
        # "without Q waves are inverted T": a finding that ends a predicate about an earlier subject is negated too.
        covered += [item for item in here if item.last > i and not _is_the_cause(item, tokens, i)]
        j += 1
    return covered


def _apart(covered: list[Found], here: list[Found], tokens: Sequence[Token]) -> bool:
    """Whether what follows stands in another phrase: `no P waves precede the narrow QRS complexes` denies the P waves alone."""
    last, first = max(item.last for item in covered), min(item.first for item in here)
    between = tokens[last + 1 : first]
    joined = any(token.tag in JOINTS for token in between)
    return not joined and any(token.tag in ("word", "in", "present", "verb") for token in between)


def _without_exceptions(found: list[Found], tokens: Sequence[Token]) -> None:
    """Drops what an exception takes back: `no ectopy apart from three PVCs`, `regular except for a pause`."""
    for i, token in enumerate(tokens):
        excepted = [item for item in found if item.first > i] if token.tag == "except" else []
        if any(item.kind in _IRREGULAR for item in excepted):
            for item in found:
                whole = item.kind == "regularity" or (item.kind == "ectopy" and item.polarity == "negated")
                item.dropped = item.dropped or (whole and item.last < i)


def _is_the_cause(item: Found, tokens: Sequence[Token], i: int) -> bool:
    """`V1 cannot be interpreted because of noise`: the noise is why, and is not denied."""
    return item.kind == SIGNAL_QUALITY and any(token.value in _CAUSES for token in tokens[i + 1 : item.first])


def _list_goes_on(tokens: Sequence[Token], j: int) -> bool:
    """Whether the comma at `j` stands in a list that ends in `or`/`nor`."""
    for token in tokens[j + 1 :]:
        if token.tag == "or" or (token.tag == "neg" and token.value == "before"):
            return token.tag == "or"
        if token.tag in ("be", "verb", "with", "break", "num", "it"):
            return False
    return False


def _new_statement(found: list[Found], tokens: Sequence[Token], j: int) -> bool:
    """Whether what follows the joint at `j` has a predicate of its own or says that something is normal."""
    following = [item for item in found if item.first > j]
    if not following:
        return False
    nearest = min(following, key=lambda item: item.first)
    own_predicate = nearest.by_predicate and any(
        token.tag in ("be", "verb") for token in tokens[nearest.first : nearest.last]
    )
    return (
        own_predicate
        or nearest.inherent_negation
        or nearest.is_number
        or (nearest.value in ("normal", "regular", "irregular", "present") and not nearest.bare)
        or (nearest.kind == "rhythm" and tokens[j].tag != "or")
    )


def _behind(found: list[Found], tokens: Sequence[Token], i: int) -> list[Found]:
    """What `is not seen` denies: the nearest finding before it and those joined to it."""
    before = sorted((item for item in found if item.anchor < i and not item.is_number), key=lambda item: -item.anchor)
    covered: list[Found] = []
    for item in before:
        if covered:
            between = tokens[item.last + 1 : covered[-1].first]
            if not between or any(token.tag not in (*JOINTS, "word", "qual") for token in between):
                break
            if not _in_one_list(item, covered, {token.tag for token in between}, tokens[i - 1].tag == "be"):
                break
        covered.append(item)
    return covered


def _in_one_list(item: Found, covered: list[Found], joints: set[str], has_verb: bool) -> bool:
    """Whether `absent` covers what stands before: `ST elevation, Q waves absent` is a list, `wide QRS, Q waves absent` is not."""
    states = item.value not in (None, True) and _family(item) not in ("rhythm", "diagnosis")
    if joints & {"and", "or", "slash"}:
        return has_verb or not states
    if _family(item) == _family(covered[-1]):
        return True
    return len(covered) > 1 and has_verb and not states  # "AF, LBBB and ST elevation are absent"


def _family(item: Found) -> str:
    """The kinds that stand side by side in a list of what is absent."""
    if item.kind == "rhythm":
        return "sinus rhythm" if item.value in SINUS else "rhythm"
    if item.kind in ("p_waves", "u_wave", "pre_excitation", *_IRREGULAR, *LEAD_FINDINGS):
        return "waves"
    return "diagnosis" if item.value is True or item.kind == "av_block" else item.kind


__all__ = ["decide_polarity"]
