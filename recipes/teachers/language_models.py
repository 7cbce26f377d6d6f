# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Teachers: a chat endpoint, a Transformers model in this process, or no language model at all; made from settings."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, get_args

from processing.errors_gem import TeacherError
from processing.guider.guider import DiagnosisGuider
from recipes.chat.client import ChatClient
from recipes.chat.engines import language_model
from recipes.chat.replies import ChatFailure, ChatModel, ChatUsage, Unusable
from recipes.chat.settings import ChatSettings, LocalSettings

from .teacher import Draft, Teacher, TeacherJob
from .template import TemplateTeacher

KINDS = ("template", "local", "remote")
# The endpoint answered; asking the same again gives the same, asking with reasons may not.
_ANSWERED = (*get_args(Unusable), "bad_request")


def messages_for(guider: DiagnosisGuider, job: TeacherJob) -> list[dict[str, Any]]:
    """The chat of a job; a second attempt sees the first one and what was wrong with it."""
    request = job.request
    messages = guider(request.features, request.report, request.label_words)
    return guider.again(messages, job.first_answer, job.reasons) if job.reasons else messages


def _hash(messages: Sequence[Mapping[str, Any]]) -> str:
    return sha256(json.dumps(list(messages), ensure_ascii=False, sort_keys=True).encode()).hexdigest()


class LanguageModelTeacher:
    """A language model, at an endpoint or in this process, with prompts of a guider."""

    listens = True

    def __init__(self, model: ChatModel, guider: DiagnosisGuider | None = None) -> None:
        self.model, self.guider = model, guider or DiagnosisGuider()
        self.name, self.version = model.name, self.guider.name
        self.remote = not model.is_local

    def write(self, jobs: Iterable[TeacherJob]) -> Iterator[Draft]:
        """A draft for each job, as the model's replies arrive.

        Raises:
            ChatFailure: no request can succeed (budget, key, unknown model, full disk).
        """
        failed: list[Draft] = []

        def requests() -> Iterator[tuple[tuple[TeacherJob, str], list[dict[str, Any]]]]:
            for job in jobs:
                try:
                    messages = messages_for(self.guider, job)
                except TeacherError as error:  # this record's prompt cannot be made; the others can
                    failed.append(Draft(job, "", "", failure=f"prompt: {error}"))
                    continue
                yield (job, _hash(messages)), messages

        for (job, prompt_hash), result in self.model.complete_all(requests(), self.guider.schema):
            yield from failed
            failed.clear()
            if isinstance(result, ChatFailure):
                usage = ChatUsage() if result.cached else result.usage
                failure = f"{result.kind}: {result}"
                yield Draft(job, result.text, prompt_hash, usage, None, failure, result.kind in _ANSWERED)
            else:
                text = result.parsed["text"] if result.parsed is not None else result.text
                usage = replace(result.usage, cost=0.0) if result.cached and result.usage.cost else result.usage
                yield Draft(job, text.strip(), prompt_hash, usage, result.parsed)
        yield from failed

    def close(self) -> None:
        """Closes the model's connections."""
        self.model.close()


def build_teacher(settings: Mapping[str, Any]) -> Teacher:
    """
    A teacher from the `teacher` section of a settings file: `kind` (`template`, `local`, `remote`), `guider`
    (arguments of `DiagnosisGuider`), and `form`, `local` (`LocalSettings`) or `chat` (`ChatSettings`).

    Raises:
        TeacherError: a key or value is unknown or missing.
    """
    kind = settings.get("kind")
    if kind not in KINDS:
        raise TeacherError(f"teacher: kind {kind!r} is unknown; there are {', '.join(KINDS)}.")
    own = {"template": {"form"}, "local": {"local", "guider"}, "remote": {"chat", "guider"}}[kind]
    if unknown := sorted(set(settings) - own - {"kind"}):
        raise TeacherError(
            f"teacher: {', '.join(unknown)} does not belong to kind {kind}; known are {', '.join(sorted(own))}."
        )
    try:
        if kind == "template":
            return TemplateTeacher(settings.get("form", "long"))
        if kind == "local":
            # Small models seldom hold to a schema: prose, unless the settings say otherwise.
            guider = DiagnosisGuider(**{"structured": False, **(settings.get("guider") or {})})
            local = LocalSettings.from_mapping(settings.get("local") or {})
            return LanguageModelTeacher(language_model(local), guider)
        guider = DiagnosisGuider(**(settings.get("guider") or {}))
        client = ChatClient(ChatSettings.from_mapping(settings.get("chat") or {}))
        return LanguageModelTeacher(client, guider)
    except TypeError as error:
        raise TeacherError(f"teacher: {error}") from error


__all__ = ["KINDS", "LanguageModelTeacher", "build_teacher", "messages_for"]
