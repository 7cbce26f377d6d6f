# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The interface of teachers: requests, drafts and checked answers."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from processing.ecg_features import EcgFeatures
from processing.errors_gem import TeacherError
from recipes.chat.replies import ChatUsage
from recipes.sources.source_record import is_credentialed
from recipes.sources.statements import LabelSystem, in_words


@dataclass(frozen=True)
class TeacherRequest:
    """
    What a teacher needs to interpret one ECG.

    Attributes:
        key: unique; a run is resumed by it.
        features: measurements of the ECG.
        report: settled findings in words, any language.
        labels: codes of settled findings with their likelihoods in percent (0: not stated).
        label_system: system of the codes.
        source: data base of the ECG, such as `ptb-xl`.
    """

    key: str
    features: EcgFeatures
    report: str = ""
    labels: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    label_system: LabelSystem = "scp"

    @property
    def label_words(self) -> list[str]:
        """The labels in words, without those that are statements of the report already."""
        stated = {statement.strip().lower() for statement in re.split(r"[;.\n]", self.report)}
        words = dict.fromkeys(in_words(code, self.label_system) for code in self.labels)
        return [word for word in words if word.lower() not in stated]

    @property
    def settled(self) -> str:
        """Report and labels as one text."""
        return ". ".join([self.report, *self.label_words])


@dataclass(frozen=True)
class TeacherJob:
    """A request, and for a second attempt the faults of the first one."""

    request: TeacherRequest
    attempt: int = 1
    first_answer: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draft:
    """A teacher's unchecked answer to a job.

    Attributes:
        text: the interpretation.
        structured: the whole JSON answer, if one was requested.
        prompt_hash: SHA-256 of the messages to the teacher.
        failure: why there is no usable text.
        answered: whether the teacher did answer, so that asking again gives the same.
    """

    job: TeacherJob
    text: str
    prompt_hash: str
    usage: ChatUsage = field(default_factory=ChatUsage)
    structured: Mapping[str, Any] | None = None
    failure: str | None = None
    answered: bool = True


class Teacher(Protocol):
    """Writes interpretations.

    `name` and `version` identify the teacher and its wording. A `remote` teacher sends the data to another machine. One that `listens`
    corrects its answer when it is told the faults.
    """

    name: str
    version: str
    remote: bool
    listens: bool

    def write(self, jobs: Iterable[TeacherJob]) -> Iterator[Draft]:
        """Drafts in any order; `jobs` is read as needed. A failed job gives a draft with `failure`."""
        ...

    def close(self) -> None:
        """Releases what the teacher holds; no call follows."""


@dataclass(frozen=True)
class TeacherAnswer:
    """
    A teacher's answer, with how it was made and whether it is kept.

    Attributes:
        text: the interpretation; for a rejected answer the last text of the teacher, for inspection only.
        prompt_hash: SHA-256 of the messages (of the last attempt).
        teacher: the author.
        version: version of the guider's wording.
        usage: tokens and costs of all attempts.
        attempts: 1, or 2 where the first was not kept.
        rejected_reason: the reasons of both attempts why it is not accepted, or `None`.
        answered: `False` if the endpoint gave no answer at all (time limit, server error); another run may succeed.
        structured: steps with evidence and impression, if they were requested.
    """

    key: str
    text: str
    prompt_hash: str
    teacher: str
    version: str
    usage: ChatUsage
    attempts: int
    rejected_reason: str | None = None
    answered: bool = True
    structured: Mapping[str, Any] | None = None

    @property
    def accepted(self) -> bool:
        """Whether the answer passed its checks."""
        return self.rejected_reason is None


def check_may_leave(source: str, teacher: Teacher, allow_credentialed_remote: bool) -> None:
    """Checks that a record may be sent to the teacher.

    Raises:
        TeacherError: data of a credentialed source would go to another machine without the user's consent.
    """
    if teacher.remote and is_credentialed(source) and not allow_credentialed_remote:
        raise TeacherError(
            f"source {source!r} is under a data use agreement and the teacher {teacher.name} runs elsewhere. Use a local or "
            "template teacher, or an endpoint on this machine; only if your agreement allows this endpoint, set "
            "allow_credentialed_remote: true."
        )


__all__ = ["Draft", "Teacher", "TeacherAnswer", "TeacherJob", "TeacherRequest", "check_may_leave"]
