# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The teacher without a language model: prose from measured values, with their leads and beats, and from the labels."""

from collections.abc import Iterable, Iterator
from hashlib import sha256

from recipes.sources.statements import RHYTHMS, STATEMENTS, in_words, scp_statements

from .diagnoses import diagnoses_in
from .grounded_answer import grounded_answer
from .settled import is_rhythm
from .teacher import Draft, TeacherJob, TeacherRequest
from .template_reading import TEMPLATE_VERSION, long_reading

FORMS = ("long", "short")


class TemplateTeacher:
    """
    Deterministic, free and offline. `form`: `long`, prose in the order of a clinical reading with leads and beats, or
    `short`, the lines of `grounded_answer`.
    """

    remote = False
    listens = False

    def __init__(self, form: str = "long") -> None:
        """
        Raises:
            ValueError: `form` is unknown.
        """
        if form not in FORMS:
            raise ValueError(f"TemplateTeacher: form {form!r} is unknown; there are {list(FORMS)}.")
        self.form = form
        self.name = "template"
        self.version = f"{form}-{TEMPLATE_VERSION}"

    def write(self, jobs: Iterable[TeacherJob]) -> Iterator[Draft]:
        """A draft for each job, in their order."""
        for job in jobs:
            yield self._draft(job)

    def close(self) -> None:
        """Nothing is held."""

    def _draft(self, job: TeacherJob) -> Draft:
        request = job.request
        told = f"{self.version}\n{request.settled}\n{sorted(request.labels.items())}"
        prompt_hash = sha256(told.encode()).hexdigest()
        if not len(request.features.beat_times):
            return Draft(job, "", prompt_hash, failure=f"no beats: {request.features.note}")
        impression = impression_of(request)
        if not impression:
            return Draft(
                job, "", prompt_hash, failure="no labels, and no diagnosis that is known stands in the report"
            )
        if self.form == "short":
            codes = scp_statements(request.labels, request.label_system)
            return Draft(job, grounded_answer(request.features, codes).full_text(), prompt_hash)
        return Draft(job, long_reading(request.features, impression, request.key), prompt_hash)


def impression_of(request: TeacherRequest) -> list[str]:
    """The labels in words, rhythm first (likely ones and those without a likelihood), else the report's known diagnoses."""
    # PTB-XL's further codes describe single waves, which the measurements do better.
    scp = request.label_system == "scp"
    words = [
        _within_a_sentence(in_words(code, request.label_system))
        for code, likelihood in request.labels.items()
        if (likelihood >= 50 or likelihood == 0) and (not scp or code in STATEMENTS or code in RHYTHMS)
    ]
    words = [word for word in dict.fromkeys(words) if not _is_code(word)] or sorted(diagnoses_in(request.report))
    if len(words) > 1 and any(word != "normal ECG" and word not in _COMPATIBLE for word in words):
        words = [word for word in words if word != "normal ECG"]
    return sorted(words, key=lambda word: not is_rhythm(word))


# Findings that may be named beside "normal ECG" in an impression.
_COMPATIBLE = {"sinus rhythm", "normal ECG", "sinus arrhythmia", "sinus bradycardia"}


def _within_a_sentence(words: str) -> str:
    """`Sinus rhythm` as `sinus rhythm`; abbreviations and names stay."""
    return words[:1].lower() + words[1:] if words[1:2].islower() and not words.startswith(_NAMES) else words


_NAMES = ("Brugada", "Mobitz", "Wenckebach", "Wolff")


def _is_code(word: str) -> bool:
    """A code without a translation: `164889003`, `NST_`, `STD_`."""
    return word.isdigit() or (word.upper() == word and " " not in word)


__all__ = ["FORMS", "TemplateTeacher", "impression_of"]
