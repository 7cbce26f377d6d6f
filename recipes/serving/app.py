# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The HTTP routes of a GEM: OpenAI's chat completions, and our own routes for interpretations, measurements and pages."""

import asyncio
import io
import json
import logging
import time
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from modeling_gem.interpretation import Interpretation
from processing.chat_gem import Modality
from processing.errors_gem import EcgQualityError, GemError, MissingDependencyError
from recipes.settings import Settings

from .answer import Answer, EngineError, Progress
from .audit import AuditLog, record_hash
from .fair_line import LateError, TooBusyError
from .gate import error_body
from .provenance import Provenance
from .requests import ChatRequest, InterpretRequest, MeasureRequest, PageRequest
from .service import Asked, GemService, verdict_counts
from .wire import (
    MAX_FILE_BYTES,
    OPTIONS,
    Fetch,
    SentFile,
    SentPart,
    SentPicture,
    WireError,
    by_content,
    no_urls,
    plain_name,
    read_messages,
    read_part,
    sent_options,
)

log = logging.getLogger(__name__)
MAX_FILES = 8  # of one record that is sent as a form
CLOSED = 499  # who asked has gone: the number that nginx gives it

Asking = TypeVar("Asking", bound=MeasureRequest)


class GemServer:
    """The routes.

    Args:
        service: the model.
        provenance: model, rules and version, added to every answer.
        strengths: the measured accuracy of the model in words, by what it sees.
        audit: the audit log.
        fetch: opens URLs in requests.
    """

    def __init__(
        self,
        service: GemService,
        provenance: Provenance,
        strengths: Mapping[Modality, str],
        audit: AuditLog | None = None,
        fetch: Fetch = no_urls,
    ) -> None:
        self.service = service
        self.provenance = provenance
        self.strengths = strengths
        self.audit = audit or AuditLog(None, provenance)
        self.fetch = fetch
        self.began = int(time.time())

    def app(self) -> FastAPI:
        """The ASGI application, without the gate."""

        @asynccontextmanager
        async def life(_: FastAPI) -> AsyncIterator[None]:
            yield
            self.service.close()
            self.audit.close()
            log.info("ended; what was accepted is answered")

        app = FastAPI(
            title="GEM",
            summary="Reads 12-lead ECGs as signal, picture and text, and writes a grounded interpretation.",
            description=self.provenance.notice,
            version=self.provenance.version,
            lifespan=life,
            redoc_url=None,
        )
        app.get("/health", tags=["server"])(self.health)
        app.get("/v1/models", tags=["OpenAI"])(self.models)
        for path, route, kind, tag in (
            ("/v1/chat/completions", self.chat, ChatRequest, "OpenAI"),
            ("/v1/ecg/interpret", self.interpret, InterpretRequest, "ECG"),
            ("/v1/ecg/measure", self.measure, MeasureRequest, "ECG"),
            ("/v1/ecg/page.png", self.page, PageRequest, "ECG"),
        ):
            app.post(path, tags=[tag], response_model=None, openapi_extra=_described(kind))(route)
        app.add_exception_handler(GemError, _failed)
        app.add_exception_handler(HTTPException, _failed)
        app.add_exception_handler(RequestValidationError, _failed)
        app.add_exception_handler(Exception, _failed)
        return app

    async def health(self) -> JSONResponse:
        """Whether the model answers, and how many wait."""
        batcher = self.service.batcher
        state = "failed" if batcher.is_broken else "ok"
        body = {
            "status": state,
            "running": len(batcher.running),
            "waiting": batcher.waiting,
            "gem": self.provenance.to_dict(),
        }
        return JSONResponse(body, 503 if batcher.is_broken else 200)

    async def models(self) -> dict[str, Any]:
        """The one model that is served."""
        model = {"id": self.provenance.model, "object": "model", "created": self.began, "owned_by": "gem-ecg"}
        return {"object": "list", "data": [{**model, "gem": self.provenance.to_dict()}]}

    async def chat(self, request: Request) -> Response:
        """OpenAI's chat completion. Messages hold ECGs as `file`, `audio_url` or `ecg` parts, pages as `image_url` parts."""
        asking = ChatRequest.read(await _json(request), "request", GemError)
        if asking.model != self.provenance.model:
            raise WireError(
                f"The model here is {self.provenance.model!r}, not {asking.model!r:.100}.",
                404,
                "model_not_found",
                "model",
            )
        client = _client(request)
        messages = await asyncio.to_thread(read_messages, asking.messages, self.fetch)
        asked = await self.service.asked(messages, client, asking.grounding != "off")
        answer = self.service.answer(asked, client, asking.length, asking.temperature)
        head = {
            "id": f"chatcmpl-{_number(request)}",
            "created": int(time.time()),
            "model": self.provenance.model,
            "system_fingerprint": self.provenance.model_sha[:12],
        }
        if asking.stream:
            events = self._events(request, asking, asked, answer, head)
            return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-store"})
        written = await _written(answer, request)
        if written is None:
            return Response(status_code=CLOSED)
        found = await self._checked(request, answer.whole(written), asked, asking)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": found.text, "refusal": None},
            "finish_reason": _finish(answer, written),
            "logprobs": None,
        }
        usage = _usage(asked, written)
        return JSONResponse(
            {**head, "object": "chat.completion", "choices": [choice], "usage": usage, "gem": self._marks(found)}
        )

    async def _events(
        self, request: Request, asking: ChatRequest, asked: Asked, answer: Answer, head: Mapping[str, Any]
    ) -> AsyncIterator[str]:
        """The answer while it is written, as server-sent events; the last one before the end has the result of the check."""

        def event(delta: Mapping[str, Any], finish: str | None = None, **more: Any) -> str:
            choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
            return _event({**head, "object": "chat.completion.chunk", "choices": [choice], **more})

        told = ""
        try:
            yield event({"role": "assistant", "content": ""})
            progress = Progress()
            async for progress in answer.progress():
                new = progress.text[len(told) :]
                told = progress.text
                yield event({"content": new}) if new else f": place {progress.place}\n\n"
            found = await self._checked(request, answer.whole(progress), asked, asking)
            yield event({}, _finish(answer, progress), gem=self._marks(found))
            if (asking.stream_options or {}).get("include_usage"):
                yield _event(
                    {**head, "object": "chat.completion.chunk", "choices": [], "usage": _usage(asked, progress)}
                )
        except GemError as error:
            status, code, param = _status(error)
            yield _event(error_body(status, code, str(error), param))
        yield "data: [DONE]\n\n"

    async def _checked(self, request: Request, text: str, asked: Asked, asking: ChatRequest) -> Interpretation:
        """The answer to a chat, checked and noted in the audit log."""
        if asking.grounding == "off":
            found = asked.noted(Interpretation(text))
        else:
            found = await self.service.check(text, asked, asking.grounding, asking.length, _client(request))
        self._note(request, asked, found)
        return found

    async def interpret(self, request: Request) -> Response:
        """The text, its claims with verdicts and evidence, and the measurements of one ECG; as `gem interpret --json`."""
        asking, ecg = await self._asking(request, InterpretRequest)
        client = _client(request)
        page = await self._part(asking.page, "page") if asking.page is not None else None
        asked = await self.service.asked_about(ecg, page, asking.question, asking.modality, client)
        answer = self.service.answer(asked, client, asking.max_new_tokens)
        written = await _written(answer, request)
        if written is None:
            return Response(status_code=CLOSED)
        found = await self.service.check(
            answer.whole(written), asked, asking.grounding, asking.max_new_tokens, client, asking.n
        )
        self._note(request, asked, found)
        features = asked.features
        said = {
            "text": found.text,
            "finish_reason": _finish(answer, written),
            **found.marks(),
            "plausibility": features.plausibility.to_dict() if features is not None else None,
            "measurements": features.to_dict() if features is not None else None,
            "history": [*getattr(asked.ecgs[0], "history", ())],
            "model_strength": self.strengths[asked.modality],
        }
        return JSONResponse({**said, "gem": self.provenance.to_dict()})

    async def measure(self, request: Request) -> Response:
        """What is measured in one ECG, or in the signal that is recovered from a picture of one; as `gem features --json`."""
        _, ecg = await self._asking(request, MeasureRequest)
        record, _ = await self.service.record(ecg, _client(request))
        features = await self.service.measure(record, _client(request))
        self.audit.note(_number(request), "/v1/ecg/measure", 200, [record_hash(record)], "off", {})
        said = {"measurements": features.to_dict(full=True), "history": list(record.history)}
        return JSONResponse({**said, "gem": self.provenance.to_dict()})

    async def page(self, request: Request) -> Response:
        """One ECG on paper, as PNG. With `digitize` the picture that was sent, with the recovered traces laid over it."""
        asking, ecg = await self._asking(request, PageRequest)
        client = _client(request)
        record, shown = await self.service.record(ecg, client)
        if shown is not None and isinstance(ecg, SentPicture) and ecg.is_digitized(default=False):
            content = await self.service.traces_over(shown, record, client)
        else:
            content = await self.service.page(record, asking.layout, asking.speed, asking.mm_per_mv, client)
        return Response(content, media_type="image/png")

    async def _part(self, part: Mapping[str, Any], where: str) -> SentPart:
        return await asyncio.to_thread(read_part, part, where, self.fetch)

    async def _asking(self, request: Request, kind: type[Asking]) -> tuple[Asking, SentPart]:
        """The question and its ECG, from JSON or from a form with the record's files in `file`.

        Raises:
            GemError: it is neither, or has unknown keys.
        """
        if not request.headers.get("content-type", "").lower().startswith("multipart/"):
            asking = kind.read(await _json(request), "request", GemError)
            return asking, await self._part(asking.ecg, "ecg")
        async with request.form(max_files=MAX_FILES, max_fields=40) as form:
            files = [value for value in form.getlist("file") if isinstance(value, UploadFile)]
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            contents = [(file.filename or "ECG", await file.read(MAX_FILE_BYTES + 1)) for file in files]
        options = {name: fields.pop(name) for name in OPTIONS if name in fields}
        return kind.read({**fields, "ecg": {}}, "form", GemError), _form_file(contents, options)

    def _marks(self, found: Interpretation) -> dict[str, Any]:
        return {**self.provenance.to_dict(), **found.marks()}

    def _note(self, request: Request, asked: Asked, found: Interpretation) -> None:
        ecgs = [record_hash(ecg) for ecg in asked.ecgs]
        self.audit.note(_number(request), request.url.path, 200, ecgs, found.grounding, verdict_counts(found))


def _form_file(contents: Sequence[tuple[str, bytes]], options: Mapping[str, str]) -> SentPart:
    """The files of a form: one, or those of one WFDB record, which travel on as a ZIP."""
    if not contents:
        raise WireError("The form has no `file`; send the ECG as one, several for the files of a WFDB record.")
    if sum(len(data) for _, data in contents) > MAX_FILE_BYTES:
        raise WireError(f"More than {MAX_FILE_BYTES:,} bytes of files; send the ECG alone.", 413, "file_too_large")
    name, data = contents[0]
    if len(contents) > 1:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            for name, data in contents:
                file.writestr(name, data)
        name, data = "record.zip", archive.getvalue()
    if not data:
        raise WireError("The `file` of the form is empty.")
    return by_content(SentFile(data, plain_name(name), sent_options(options, "form")), "form")


async def _json(request: Request) -> Any:
    """
    Raises:
        WireError: no JSON.
    """
    try:
        return await asyncio.to_thread(json.loads, await request.body())
    except (ValueError, RecursionError) as error:
        raise WireError("The request's body is not JSON in UTF-8.") from error


async def _written(answer: Answer, request: Request) -> Progress | None:
    """The complete answer; `None` if the client has left."""
    progress = None
    async for progress in answer.progress():
        if not progress.done and await request.is_disconnected():
            return None
    return progress


def _finish(answer: Answer, written: Progress) -> str:
    return "length" if answer.is_cut_off(written) else "stop"


def _usage(asked: Asked, written: Progress) -> dict[str, int]:
    return {
        "prompt_tokens": asked.tokens,
        "completion_tokens": written.tokens,
        "total_tokens": asked.tokens + written.tokens,
    }


def _event(content: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"


def _client(request: Request) -> str:
    """The client by which requests take turns: an address."""
    return request.client.host if request.client is not None else ""


def _number(request: Request) -> str:
    """The number of a request, which its response has too."""
    return str(request.state.request_id)


def _status(error: Exception) -> tuple[int, str, str]:
    """HTTP status, a word for programs, and the place in the request."""
    match error:
        case WireError():
            return error.status, error.code, error.param
        case TooBusyError():
            return 429, "too_busy", ""
        case LateError():
            return 503, "too_late", ""
        case EngineError():
            return 503, "engine", ""
        case MissingDependencyError():
            return 415, "format_not_installed", ""
        case EcgQualityError():
            return 400, "no_ecg", ""
        case GemError():
            return 400, "invalid_request", ""
    return 500, "internal", ""


async def _failed(request: Request, error: Exception) -> JSONResponse:
    """Any error in OpenAI's layout; the details of an unexpected one are only in the log."""
    if isinstance(error, HTTPException):
        return JSONResponse(error_body(error.status_code, "http", str(error.detail)), error.status_code, error.headers)
    status, code, param = _status(error)
    if status == 500:
        log.error("%s failed (%s)", _number(request), type(error).__name__, exc_info=error)
    message = str(error) if status != 500 else "Something went wrong; the server's log has the reason."
    return JSONResponse(error_body(status, code, message, param), status)


def _described(kind: type[Settings]) -> dict[str, Any]:
    """The body of a request for the OpenAPI page; `_asking` takes it apart itself, for messages of ours."""
    content: dict[str, Any] = {"application/json": {"schema": kind.model_json_schema()}}
    if kind is not ChatRequest:
        names = [name for name in kind.model_fields if name not in ("ecg", "page")]
        file = {"type": "array", "items": {"type": "string", "format": "binary"}}
        form = {"file": file, **{name: {"type": "string"} for name in (*names, *OPTIONS)}}
        content["multipart/form-data"] = {"schema": {"type": "object", "properties": form, "required": ["file"]}}
    return {"requestBody": {"required": True, "content": content}}


__all__ = ["GemServer"]
