# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What a teacher is asked and what it gives back."""

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
    Attributes:
        key: unique; a run is resumed by it.
        features: measurements of the ECG.
        report: settled findings in words, any language.
        labels: codes of settled findings with their likelihoods in percent (0: not stated). label_system: what the codes
            are.
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
    """A request, and, for a second attempt, what was wrong with the first."""

    request: TeacherRequest
    attempt: int = 1
    first_answer: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draft:
    """What a teacher wrote for a job, not yet checked.

    Attributes:
        text: the reading. structured: the whole JSON answer where one was asked for.
        prompt_hash: SHA-256 of what the teacher was told.
        failure: why there is no usable text; `answered`: it did answer, so asking again gives the same.
    """

    job: TeacherJob
    text: str
    prompt_hash: str
    usage: ChatUsage = field(default_factory=ChatUsage)
    structured: Mapping[str, Any] | None = None
    failure: str | None = None
    answered: bool = True


class Teacher(Protocol):
    """Writes readings.

    `name` and `version` say who and by which wording; a `remote` one sends the data elsewhere; one that `listens` writes
    otherwise when told what was wrong.
    """

    name: str
    version: str
    remote: bool
    listens: bool

    def write(self, jobs: Iterable[TeacherJob]) -> Iterator[Draft]:
        """Drafts in any order; `jobs` is read as the teacher gets on. A failed job is a draft with `failure`."""
        ...

    def close(self) -> None:
        """Releases what the teacher holds; no call follows."""


@dataclass(frozen=True)
class TeacherAnswer:
    """
    Attributes:
        text: the reading; of a rejected one what the teacher wrote last, for inspection only.
        prompt_hash: SHA-256 of the messages (of the last attempt).
        teacher, version: who wrote it, and by which wording of the guider.
        usage: tokens and costs of all attempts.
        attempts: 1, or 2 where the first was not kept.
        rejected_reason: why it is not kept, or `None`. The reasons of both attempts stand in it.
        answered: `False` where the endpoint gave no answer at all (time limit, server error): worth another run.
        structured: steps with evidence and impression, where the teacher was asked for them.
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
        TeacherError: data of a credentialed source would go to another machine, and nobody said that it may.
    """
    if teacher.remote and is_credentialed(source) and not allow_credentialed_remote:
        raise TeacherError(
            f"source {source!r} is under a data use agreement and the teacher {teacher.name} runs elsewhere. Use a local or "
            "template teacher, or an endpoint on this machine; only if your agreement allows this endpoint, set "
            "allow_credentialed_remote: true."
        )


__all__ = ["Draft", "Teacher", "TeacherAnswer", "TeacherJob", "TeacherRequest", "check_may_leave"]
