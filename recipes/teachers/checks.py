# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The checks of a teacher's answer. After a failure the teacher is asked once more, with the reasons."""

import re
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace

from processing.claims.findings import BY_KIND
from processing.ecg_record import STANDARD_LEADS
from processing.grounding.check import check_grounding
from recipes.chat.replies import ChatUsage

from .diagnoses import diagnoses_in, infarct_walls, with_implied
from .teacher import Draft, Teacher, TeacherAnswer, TeacherJob, TeacherRequest, check_may_leave

# Wordings which reveal that the diagnosis or the figures were given to the writer.
_BETRAYALS = re.compile(
    r"""
    \b(the|this|that|your|an?|given|provided|supplied|attached|accompanying|original|physician'?s|clinical|ecg|machine)
        \s+(\w+\s+)?reports?\b(?!ed)
    | \breport\s+(states|says|mentions|indicates|notes|describes|confirms|suggests)
    | \b(according\s+to|based\s+(up)?on|as\s+per|per|given|consistent\s+with|in\s+line\s+with|matches|supports?|confirms?)
        \s+(the|this|these|your)\s+((provided|given|settled|stated|known|supplied|listed|established)\s+)
        (diagnos[ie]s|findings?|labels?|information|impression)
    | \b(provided|given|settled|supplied|ground[- ]truth|reference)\s+(diagnos[ie]s|labels?|findings|measurements?|conclusions?)
    | \b(machine|computer|automated|automatic)\s+(measure\w*|read\w*|interpret\w*|analys\w*|generated)
    | \b(as\s+)?(stated|noted|mentioned|indicated|reported|given|provided|listed|documented)\s+(in|by)\s+the\s+
        (report|diagnos[ie]s|labels?|prompt|instructions?|settled)
    | \b(the|these|those)\s+labels?\b | \bground[- ]truth\b | \bthe\s+prompt\b | \bsettled\s+findings?\b
    | \b(I|we)\s+(was|were|have\s+been|am|are)\s+(told|given|provided|informed)\b
    | \bas\s+an?\s+(AI|language)\s+(language\s+)?model\b | </?(settled|measurements)>
    """,
    re.IGNORECASE | re.VERBOSE,
)
_LEADS = {lead.upper() for lead in STANDARD_LEADS}
# What is written like a lead of the chest, and words after "lead(s)" or "in".
_CHEST = re.compile(r"\bV(\d{1,2})([RL])?\b")
_NAMED = re.compile(
    r"\b[Ll]eads?\s+((?:[IVXa]{1,3}[A-Za-z0-9]{0,2})(?:\s*(?:,|and|&|/|-|–|to|through)\s*(?:and\s+)?[IVXa]{1,3}[A-Za-z0-9]{0,2})*)\b"
)
_LEAD_WORD = re.compile(r"[IVXa]{1,3}[A-Za-z0-9]{0,2}")
MOST_TOLD = 5
_NOT_LEADS = {"A", "AN", "AND", "AS", "AT", "ARE", "ALL", "ALSO", "IN", "IS", "IT", "VIA"}


@dataclass(frozen=True)
class CheckSettings:
    """
    Which answers of a teacher are kept.

    Attributes:
        min_words: fewest words of an accepted answer.
        max_words: most words of an accepted answer; a tenth more than the teacher is asked for.
        min_values: number of values that must agree with the features (an answer without figures is not grounded).
        max_contradicted: share of an answer's statements that may contradict the features; 0 allows none.
    """

    min_words: int = 80
    max_words: int = 300
    min_values: int = 3
    max_contradicted: float = 0.0


def problems(text: str, request: TeacherRequest, settings: CheckSettings = CheckSettings()) -> list[str]:
    """The reasons why an answer is not accepted, worded so that its writer can correct it; empty if it is accepted."""
    found = [*_length(text, settings), *_betrayals(text), *_invented_leads(text), *_foreign_diagnoses(text, request)]
    return [*found, *_ungrounded(text, request, settings)]


def _length(text: str, settings: CheckSettings) -> Iterator[str]:
    words = len(text.split())
    if words < settings.min_words * 0.9:
        yield f"length: {words} words, at least {settings.min_words} are wanted"
    elif words > settings.max_words * 1.1:
        yield f"length: {words} words, at most {settings.max_words} are wanted"


def _betrayals(text: str) -> Iterator[str]:
    if match := _BETRAYALS.search(text):
        yield f"report: the words {' '.join(match[0].split())!r} show that a report or given figures were at hand"


def _invented_leads(text: str) -> Iterator[str]:
    names = {match[0] for match in _CHEST.finditer(text) if not (match[2] is None and 1 <= int(match[1]) <= 6)}
    for match in _NAMED.finditer(text):
        words = set(_LEAD_WORD.findall(match[1]))
        names |= {word for word in words if word.upper() not in _LEADS | _NOT_LEADS and len(word) <= 4}
    if names:
        yield f"leads: {', '.join(sorted(names))} is no lead of this ECG ({', '.join(STANDARD_LEADS)})"


def _foreign_diagnoses(text: str, request: TeacherRequest) -> Iterator[str]:
    settled = request.settled
    named = diagnoses_in(settled)
    allowed = with_implied(named)
    # Many sources label the disease alone; the usual rhythm may then be described.
    if not named & set(BY_KIND["rhythm"].diagnoses):
        allowed = allowed | {"sinus rhythm"}
    if foreign := sorted(diagnoses_in(text) - allowed):
        yield f"diagnosis: {', '.join(foreign)} is not among the settled findings"
    walls, settled_walls = infarct_walls(text), infarct_walls(settled)
    if walls and settled_walls and not walls & settled_walls:
        yield f"diagnosis: the infarction is {' or '.join(sorted(settled_walls))}, not {' or '.join(sorted(walls))}"


def _ungrounded(text: str, request: TeacherRequest, settings: CheckSettings) -> Iterator[str]:
    claims = check_grounding(text, request.features).claims
    settled = request.settled.lower()
    wrong = [
        claim
        for claim in claims
        if claim.verdict == "contradicted"
        # A physician's findings settle these, whatever the criteria on measurements say; `_foreign_diagnoses` judges them.
        and not BY_KIND[claim.claim.kind].settled
        and (isinstance(claim.claim.value, float) or claim.claim.quote.lower() not in settled)
    ]
    if wrong and len(wrong) > settings.max_contradicted * len(claims):
        told = dict.fromkeys(f"{claim.claim.quote!r} is wrong ({claim.explanation})" for claim in wrong)
        yield f"measurements: {'; '.join(list(told)[:MOST_TOLD])}"
    values = sum(claim.verdict == "supported" and isinstance(claim.claim.value, float) for claim in claims)
    if values < settings.min_values and len(request.features.beat_times):
        yield f"grounding: {values} correct value(s), at least {settings.min_values} are wanted"


def teach(
    requests: Iterable[TeacherRequest],
    teacher: Teacher,
    *,
    settings: CheckSettings = CheckSettings(),
    attempts: int = 2,
    done: Container[str] = (),
    allow_credentialed_remote: bool = False,
    progress: Callable[[TeacherAnswer], None] | None = None,
) -> Iterator[TeacherAnswer]:
    """
    Yields checked answers in the order in which they arrive; requests are read as needed.

    If an answer fails a check, is cut off, is a refusal or is not JSON, the teacher is asked once more with the reasons; a second
    failure is returned with `rejected_reason`. To continue an interrupted run, pass the finished keys in `done`; with a cached chat
    client, earlier answers cost nothing.

    Raises:
        TeacherError: a credentialed source with a remote teacher, or an endpoint that cannot answer (key, budget, disk).
    """
    source = (request for request in requests if request.key not in done)
    retries: deque[TeacherJob] = deque()
    spent: dict[str, ChatUsage] = {}

    def jobs() -> Iterator[TeacherJob]:
        while True:
            if retries:
                yield retries.popleft()
                continue
            request = next(source, None)
            if request is None:
                return
            check_may_leave(request.source, teacher, allow_credentialed_remote)
            yield TeacherJob(request)

    more = True
    while more:
        for draft in teacher.write(jobs()):
            job, key = draft.job, draft.job.request.key
            spent[key] = _sum(spent.get(key, ChatUsage()), draft.usage)
            reasons = [draft.failure] if draft.failure else problems(draft.text, job.request, settings)
            if reasons and draft.answered and teacher.listens and job.attempt < attempts:
                retries.append(replace(job, attempt=job.attempt + 1, first_answer=draft.text, reasons=tuple(reasons)))
                continue
            answer = _answer(draft, teacher, spent.pop(key), reasons)
            if progress is not None:
                progress(answer)
            yield answer
        more = bool(retries)  # rejected after the last request was read


def _answer(draft: Draft, teacher: Teacher, usage: ChatUsage, reasons: list[str]) -> TeacherAnswer:
    rejected = None
    if reasons:
        first = f"first attempt: {' | '.join(draft.job.reasons)} || " if draft.job.reasons else ""
        rejected = first + " | ".join(reasons)
    return TeacherAnswer(
        key=draft.job.request.key,
        text=draft.text,
        prompt_hash=draft.prompt_hash,
        teacher=teacher.name,
        version=teacher.version,
        usage=usage,
        attempts=draft.job.attempt,
        rejected_reason=rejected,
        answered=draft.answered,
        structured=draft.structured,
    )


def _sum(one: ChatUsage, other: ChatUsage) -> ChatUsage:
    cost = None if one.cost is None and other.cost is None else (one.cost or 0.0) + (other.cost or 0.0)
    return ChatUsage(
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
        cost,
    )


__all__ = ["CheckSettings", "problems", "teach"]
