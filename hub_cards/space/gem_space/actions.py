# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The actions of clicks. They return values for the interface's components, in the interface's order."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import gradio as gr

from modeling_gem.interpretation import Grounding
from processing.ecg_withheld import withheld_in_words
from processing.errors_gem import EcgQualityError, GemError
from recipes.serving.answer import Progress
from recipes.serving.desk import WorkDesk

from . import views
from .folder import ServerFolder
from .guard import client_of, in_words
from .interpreter import ANSWER_S, Interpreter
from .session import GROUNDINGS, MODALITIES, NOTHING_OPEN, Session, answered, asked, checked, measured
from .store import SessionStore
from .uploads import Upload, read_sample, read_upload

READ_AT_ONCE = 4  # uploads: their own processes read them, the threads here mostly wait
CHECKED_AT_ONCE = 8  # questions and answers; where other answers are tried, the threads here wait for the model
SAMPLES_AT_ONCE = 3  # other answers of one user in a batch, so that the other users' questions are in it too
TEMPERATURE = 1.0
WITHIN_S = 60.0  # whatever a click asks for beside an answer
DONE = "Done. Choose underlined words of the answer to see their beats on the page."

Result = TypeVar("Result")


class Actions:
    """The actions of all users.

    Args:
        interpreter: the model.
        folder: folder of uploads.
    """

    def __init__(self, interpreter: Interpreter, folder: ServerFolder) -> None:
        self.interpreter = interpreter
        self.folder = folder
        self.store = SessionStore()
        self.desk = WorkDesk(max(1, (os.cpu_count() or 1) // 2))
        self.reading = WorkDesk(READ_AT_ONCE)
        self.checking = WorkDesk(CHECKED_AT_ONCE)

    async def show(self, files: list[str] | None, sample: str | None, request: gr.Request) -> tuple:
        """Shows a newly opened ECG in place of everything else; after an error nothing changes."""

        async def open_it() -> tuple:
            try:
                session = await self._open(files, sample, request)
            except (
                EcgQualityError
            ) as reason:  # no ECG can be read from it, so the previous ECG must not stay on the page
                self.store.put(_name(request), Session())
                return _declined(reason)
            shown = await self._do(lambda: _opened(session, bool(files)), request)
            self.store.put(_name(request), session)
            return shown

        opened, problem = await _explained(open_it())
        return opened or (views.message(problem, is_error=True), *[gr.skip()] * 11)

    async def focus(self, lead: str, request: gr.Request) -> tuple:
        """The page with all leads or one; the claims of the answer stay marked."""
        session = self.store.get(_name(request))
        if session.upload is None:
            return gr.skip(), gr.skip(), views.message(NOTHING_OPEN, is_error=True)

        def draw() -> tuple:
            page, marks = views.page_view(session, lead)
            return page, views.conversation(replace(session, marks=marks)), gr.skip()

        shown, problem = await _explained(self._do(draw, request))
        return shown or (gr.skip(), gr.skip(), views.message(problem, is_error=True))

    async def arrange(self, by: str, largest_first: bool, request: gr.Request) -> Any:
        """The measurements in another order."""
        features = self.store.get(_name(request)).features
        if features is None or by not in (views.LEAD, *views.COLUMNS.values()):
            return gr.skip()
        return await self._do(lambda: views.measurements(features, by, largest_first), request)

    async def interpret(self, seen: str, wrong: str, request: gr.Request) -> AsyncIterator[tuple]:
        """A first answer, in place of the conversation that there was."""
        session = self.store.get(_name(request)).anew()
        async for shown in self._converse(session, "", seen, wrong, request):
            yield shown

    async def ask(self, question: str, seen: str, wrong: str, request: gr.Request) -> AsyncIterator[tuple]:
        """One more answer."""
        async for shown in self._converse(self.store.get(_name(request)), question, seen, wrong, request):
            yield shown

    async def compare(self, files: list[str] | None, sample: str | None, request: gr.Request) -> tuple:
        """What changed from the open ECG to another."""

        async def work() -> tuple:
            first, other = self.store.get(_name(request)), await self._open(files, sample, request)
            if first.features is None or other.features is None or other.upload is None:
                raise GemError("Two records are needed: open the first one above; pictures cannot be measured.")
            change = views.comparison(first.features, other.features)
            page, _ = await self._do(lambda: views.page_view(other, sheet=views.OTHER_PAGE), request)
            return change, page, views.message(f"Compared with {other.upload.name}.")

        result, problem = await _explained(work())
        return result or (gr.skip(), gr.skip(), views.message(problem, is_error=True))

    async def _converse(
        self, session: Session, question: str, seen: str, wrong: str, request: gr.Request
    ) -> AsyncIterator[tuple]:
        """The answer while it is written, then its evidence; it ends if the user opens something else."""
        name = _name(request)
        before, upload = session, session.upload
        try:
            modality = MODALITIES.get(seen, "both")
            session = await self._do(
                lambda: asked(session, self.interpreter, question, modality), request, self.checking
            )
            latest = session
            answer = self.interpreter.answer(list(session.chat), client_of(request), name)
            async for progress in answer.progress():
                if self.store.get(name).upload is not upload:
                    return
                latest = answered(session, answer.whole(progress) if progress.done else progress.text)
                shown = views.conversation(latest) if progress.text else gr.skip()
                yield shown, gr.skip(), gr.skip(), views.message(_state(progress)), gr.skip()
            yield (
                gr.skip(),
                gr.skip(),
                gr.skip(),
                views.message("The answer is written; it is being checked."),
                gr.skip(),
            )
            latest = await self._check(latest, GROUNDINGS.get(wrong, "flag"), request)
            page, marks = await self._do(lambda: views.page_view(latest, views.FULL_LENGTH), request)
            latest = replace(latest, marks=marks)
            self.store.put(name, latest)
            done = views.message(f"{_state(progress)} {DONE if marks[-1] else 'Done.'}".strip())
            yield views.conversation(latest), page, views.FULL_LENGTH, done, ""
        except (GemError, OSError) as error:
            problem = views.message(in_words(error), is_error=True)
            yield views.conversation(before), gr.skip(), gr.skip(), problem, gr.skip()

    async def _check(self, session: Session, grounding: Grounding, request: gr.Request) -> Session:
        """The last answer checked, in `select` and `correct` with others beside it that are sampled for it."""
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        question = list(session.chat[:-1])

        async def sample(number: int) -> list[str]:
            if gone.is_set():
                raise GemError("Nobody waits for this answer any more.")
            answers = [
                self.interpreter.answer(question, client_of(request), _name(request), TEMPERATURE)
                for _ in range(min(number, SAMPLES_AT_ONCE))
            ]
            return list(await asyncio.gather(*(answer.text() for answer in answers)))

        def more(number: int) -> list[str]:
            return asyncio.run_coroutine_threadsafe(sample(number), loop).result()

        try:
            doubt = self.interpreter.processor.question_doubt(question)
            return await self._do(lambda: checked(session, grounding, more, doubt), request, self.checking, ANSWER_S)
        finally:
            gone.set()

    async def _open(self, files: list[str] | None, sample: str | None, request: gr.Request) -> Session:
        if not files and not sample:
            raise GemError("Upload an ECG or choose a sample first.")
        if not files:
            return await self._do(lambda: measured(read_sample(str(sample))), request)
        upload: Upload = await self._do(lambda: read_upload(files, self.folder), request, self.reading)
        return await self._do(lambda: measured(upload), request)

    async def _do(
        self,
        work: Callable[[], Result],
        request: gr.Request,
        desk: WorkDesk | None = None,
        within_s: float | None = None,
    ) -> Result:
        return await (desk or self.desk).do(work, client_of(request), _name(request), within_s or WITHIN_S)


def _name(request: gr.Request) -> str:
    """The name of the browser's tab."""
    return str(request.session_hash)


async def _explained(work: Awaitable[Result]) -> tuple[Result | None, str]:
    """The result of `work` and "", or `None` and what a user can do about the error."""
    try:
        return await work, ""
    except (GemError, OSError) as error:
        return None, in_words(error)


def _state(progress: Progress) -> str:
    """What there is to wait for."""
    if progress.cut:
        return "The answer took too long and was cut off."
    if progress.done:
        return ""
    if not progress.place:
        return "The answer is being written."
    about = f", about {max(progress.seconds, 1):.0f} s until it begins" if progress.seconds is not None else ""
    return f"Your question is number {progress.place} in the line{about}."


def _opened(session: Session, is_upload: bool) -> tuple:
    upload, features = session.upload, session.features
    assert upload is not None
    record = upload.record
    doubts = [withheld_in_words(features)] if features is not None else []
    known = (
        record.history
        if record is not None
        else (
            "a picture: it can be interpreted, not measured",
            upload.undigitized,
        )
    )
    notes = "; ".join(note for note in (*doubts, *known) if note)
    page, _ = views.page_view(session)
    return (
        views.message(f"{upload.name}{': ' if notes else ''}{notes}"),
        gr.Dropdown(views.view_names(upload), value=views.ALL_LEADS),
        page,
        views.measurements(features) if features is not None else None,
        views.csv_link(features) if features is not None else "",
        "",
        views.LEAD,
        False,
        None if is_upload else gr.skip(),
        None,
        None,
        "",
    )


def _declined(reason: EcgQualityError) -> tuple:
    return (
        views.message(f"No reading: {reason}", is_error=True),
        gr.Dropdown([views.ALL_LEADS], value=views.ALL_LEADS),
        views.declined(reason),
        *(None, "", "", views.LEAD, False, gr.skip(), None, None, ""),
    )


__all__ = ["Actions"]
