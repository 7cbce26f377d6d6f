# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The answer to one question, passed from the thread that writes it to the client while it is written."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from processing.errors_gem import GemError
from processing.grounding.cut_off import as_answer

from .fair_line import LateError

HEARTBEAT_S = 2.0


class EngineError(GemError):
    """The model itself failed, not the question."""


@dataclass(frozen=True)
class Progress:
    """How far an answer is.

    Attributes:
        text: what is written so far.
        place: its place in the queue, from 1; 0 once its turn has come.
        seconds: estimated s until it is begun, from earlier answers; `None` if there were none.
        done: whether it is complete.
        cut: whether it was cut off by its deadline.
        tokens: number of tokens written.
    """

    text: str = ""
    place: int = 0
    seconds: float | None = None
    done: bool = False
    cut: bool = False
    tokens: int = 0


class Answer:
    """The answer to one question, on its way. To be made and followed in a running event loop."""

    def __init__(
        self,
        chat: list[dict],
        max_new_tokens: int,
        deadline_s: float,
        temperature: float,
        leave: "Callable[[Answer], object]",
    ) -> None:
        self.chat = chat
        self.temperature = temperature
        self._leave = leave
        self.max_new_tokens = max_new_tokens
        self.deadline_s = deadline_s
        self.deadline = time.monotonic() + deadline_s
        self.begun: float | None = None  # when its turn came
        self.told = 0.0  # when its reader last got news of its text
        self.cancelled = False
        self.latest = Progress()
        self.failure: GemError | None = None
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._telling = threading.Lock()

    def cancel(self) -> None:
        """Cancels the answer: it leaves the queue, or its row of the batch ends with the next token."""
        self.cancelled = True
        self._leave(self)

    @property
    def over(self) -> bool:
        """Whether nothing more comes: done, cancelled or failed."""
        return self.latest.done or self.cancelled or self.failure is not None

    def tell(self, progress: Progress) -> None:
        """Reports progress to the client; may be called from any thread."""
        with self._telling:
            if progress.place and self.begun is not None:
                return
            if not progress.place and self.begun is None:
                self.begun = time.monotonic()
            self.latest = progress
        self._wake()

    def fail(self, failure: GemError) -> None:
        """Ends the answer with an error, which is raised in the client."""
        self.failure = failure
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the client's connection
            self._loop.call_soon_threadsafe(self._news.set)

    async def text(self) -> str:
        """All of it, once it is written, a `CutOff` if it was cut off; raises as `progress` does."""
        async for progress in self.progress():
            latest = progress
        return self.whole(latest)

    def is_cut_off(self, written: Progress) -> bool:
        """Whether the answer ends at its length limit or its deadline."""
        return written.cut or written.tokens >= self.max_new_tokens

    def whole(self, written: Progress) -> str:
        """The text of the finished answer, a `CutOff` if it was cut off."""
        return as_answer(written.text, self.is_cut_off(written))

    async def progress(self) -> AsyncIterator[Progress]:
        """
        The newest state whenever there is one, and the same again after two seconds without: who follows the stream can look
        then whether anybody is still there. Ending the iteration cancels the answer.

        Raises:
            GemError: the question cannot be answered.
            EngineError: the model failed, or was stopped.
            LateError: its deadline came before its turn.
        """
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), HEARTBEAT_S)
                self._news.clear()
                if self.failure is not None:
                    raise self.failure
                latest = self.latest
                if not latest.done and time.monotonic() > self.deadline + HEARTBEAT_S:
                    raise LateError(
                        f"No answer within {self.deadline_s:.0f} s: too many people are asking. Try again."
                    )
                yield latest
                if latest.done:
                    return
        finally:
            self.cancel()


__all__ = ["Answer", "EngineError", "Progress"]
