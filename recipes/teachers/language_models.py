# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Teachers: a chat endpoint, a Transformers model in this process, or no language model at all; made from settings."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from itertools import islice
from typing import Any

from processing.errors_gem import TeacherError
from processing.guider.guider import DiagnosisGuider
from recipes.chat_client import ChatClient
from recipes.chat_replies import ChatFailure, ChatUsage, json_in
from recipes.chat_settings import ChatSettings

from .teacher import Draft, Teacher, TeacherJob
from .template import TemplateTeacher

KINDS = ("template", "local", "remote")
# The endpoint answered; asking the same again gives the same, asking with reasons may not.
_ANSWERED = ("refusal", "content_filter", "truncated", "empty", "invalid_json", "bad_request")


def messages_for(guider: DiagnosisGuider, job: TeacherJob) -> list[dict[str, Any]]:
    """The chat of a job; a second attempt sees the first one and what was wrong with it."""
    request = job.request
    messages = guider(request.features, request.report, request.label_words)
    return guider.again(messages, job.first_answer, job.reasons) if job.reasons else messages


def _hash(messages: Sequence[Mapping[str, Any]]) -> str:
    return sha256(json.dumps(list(messages), ensure_ascii=False, sort_keys=True).encode()).hexdigest()


class RemoteTeacher:
    """A chat endpoint behind a `ChatClient`; one on this machine counts as local."""

    listens = True

    def __init__(self, client: ChatClient, guider: DiagnosisGuider | None = None) -> None:
        self.client, self.guider = client, guider or DiagnosisGuider()
        self.name = client.settings.model
        self.version = self.guider.name
        self.remote = not client.settings.is_local

    def write(self, jobs: Iterable[TeacherJob]) -> Iterator[Draft]:
        """
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

        for (job, prompt_hash), result in self.client.complete_all(requests(), self.guider.schema):
            yield from failed
            failed.clear()
            if isinstance(result, ChatFailure):
                usage = ChatUsage() if result.cached else result.usage
                failure = f"{result.kind}: {result}"
                yield Draft(job, result.text, prompt_hash, usage, None, failure, result.kind in _ANSWERED)
            else:
                text = result.parsed["text"] if self.guider.structured else result.text
                usage = replace(result.usage, cost=0.0) if result.cached and result.usage.cost else result.usage
                yield Draft(job, text.strip(), prompt_hash, usage, result.parsed)
        yield from failed

    def close(self) -> None:
        self.client.close()


@dataclass(frozen=True)
class LocalSettings:
    """
    Attributes:
        model: folder or Hub id of a causal language model with a chat template. gguf_file: its file, of a GGUF folder.
        batch_size: prompts at a time. max_new_tokens: limit of one answer.
        dtype, device: as in `from_pretrained` and `Module.to`; `auto`: the model's own and a GPU where there is one.
    """

    model: str
    gguf_file: str | None = None
    batch_size: int = 4
    max_new_tokens: int = 1024
    dtype: str = "auto"
    device: str = "auto"


class LocalTeacher:
    """Any Transformers causal language model, in this process, greedy, in batches."""

    remote = False
    listens = True

    def __init__(self, settings: LocalSettings, guider: DiagnosisGuider | None = None) -> None:
        """
        Raises:
            TeacherError: the model has no chat template.
            OSError: there is no such model.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        # Small models seldom hold to a schema: prose, unless a guider says otherwise.
        self.settings, self.guider = settings, guider or DiagnosisGuider(structured=False)
        options = {"gguf_file": settings.gguf_file} if settings.gguf_file else {}
        self.tokenizer = AutoTokenizer.from_pretrained(settings.model, padding_side="left", **options)
        if not self.tokenizer.chat_template:
            raise TeacherError(f"{settings.model}: no chat template; a teacher must be an instruction-tuned model.")
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        device = settings.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = (
            AutoModelForCausalLM.from_pretrained(settings.model, dtype=settings.dtype, **options).to(device).eval()
        )
        self.name = f"{settings.model.rstrip('/').split('/')[-1]}"
        self.version = self.guider.name

    def write(self, jobs: Iterable[TeacherJob]) -> Iterator[Draft]:
        source = iter(jobs)
        while batch := list(islice(source, self.settings.batch_size)):
            yield from self._batch(batch)

    def close(self) -> None:
        """Lets the model's memory go."""
        del self.model

    def _batch(self, jobs: Sequence[TeacherJob]) -> Iterator[Draft]:
        import torch

        limit = getattr(self.model.config, "max_position_embeddings", None)
        ready: list[tuple[TeacherJob, str, list[int]]] = []
        for job in jobs:
            try:
                messages = messages_for(self.guider, job)
            except TeacherError as error:
                yield Draft(job, "", "", failure=f"prompt: {error}")
                continue
            prompt = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            ids = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
            if limit and len(ids) + self.settings.max_new_tokens > limit:
                reason = (
                    f"prompt: {len(ids)} tokens and {self.settings.max_new_tokens} to write exceed the model's {limit}; "
                    "lower the guider's max_tokens"
                )
                yield Draft(job, "", _hash(messages), ChatUsage(len(ids), 0), failure=reason)
                continue
            ready.append((job, _hash(messages), ids))
        if not ready:
            return
        inputs = self.tokenizer.pad({"input_ids": [ids for _, _, ids in ready]}, return_tensors="pt")
        with torch.inference_mode():
            output = self.model.generate(
                **inputs.to(self.model.device),
                max_new_tokens=self.settings.max_new_tokens,
                do_sample=False,
                pad_token_id=self.tokenizer.pad_token_id,
            )
        for (job, prompt_hash, ids), row in zip(
            ready, output[:, inputs["input_ids"].shape[1] :].tolist(), strict=True
        ):
            yield self._draft(job, prompt_hash, len(ids), row)

    def _draft(self, job: TeacherJob, prompt_hash: str, prompt_tokens: int, row: list[int]) -> Draft:
        ends = self.model.generation_config.eos_token_id
        ends = set(ends) if isinstance(ends, list) else {ends, self.tokenizer.eos_token_id}
        stop = next((place for place, token in enumerate(row) if token in ends), None)
        text = self.tokenizer.decode(row[:stop], skip_special_tokens=True).strip()
        usage = ChatUsage(prompt_tokens, len(row) if stop is None else stop, 0.0)
        if stop is None:
            failure = f"truncated: cut off after {len(row)} tokens"
            return Draft(job, text, prompt_hash, usage, None, failure)
        if not self.guider.structured:
            return Draft(job, text, prompt_hash, usage)
        try:
            structured = json_in(text)
            return Draft(job, str(structured["text"]).strip(), prompt_hash, usage, structured)
        except (json.JSONDecodeError, LookupError, TypeError):
            return Draft(job, text, prompt_hash, usage, None, "invalid_json: no JSON object with a text")


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
            known = {field.name for field in fields(LocalSettings)}
            local = settings.get("local") or {}
            if "model" not in local or set(local) - known:
                raise TeacherError(
                    f"teacher: local needs 'model'; known are {', '.join(sorted(known))}, not {sorted(local)}."
                )
            guider = DiagnosisGuider(**{"structured": False, **(settings.get("guider") or {})})
            return LocalTeacher(LocalSettings(**local), guider)
        guider = DiagnosisGuider(**(settings.get("guider") or {}))
        return RemoteTeacher(ChatClient(ChatSettings.from_mapping(settings.get("chat") or {})), guider)
    except TypeError as error:
        raise TeacherError(f"teacher: {error}") from error


__all__ = ["KINDS", "LocalSettings", "LocalTeacher", "RemoteTeacher", "build_teacher", "messages_for"]
