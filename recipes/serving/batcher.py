# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A thread that writes the answers to waiting questions side by side, with a fair queue before it."""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from processing.errors_gem import GemError

from .answer import Answer, EngineError, Progress
from .fair_line import FairLine, Places
from .writing import Writing

if TYPE_CHECKING:
    from modeling_gem import GemForConditionalGeneration, GemProcessor

_NEW_SHARE = 0.2  # of the newest answer in the expected duration of the next one

log = logging.getLogger(__name__)


class Batcher:
    """One model for many users. A greedy answer equals that of a single call, whatever else is in the batch.

    Args:
        network, processor: a GEM.
        most_rows: number of questions in a batch, limited by the memory.
        places: number of questions that may wait.
    """

    def __init__(
        self,
        network: "GemForConditionalGeneration",
        processor: "GemProcessor",
        most_rows: int = 16,
        places: Places | None = None,
    ) -> None:
        self.most_rows = most_rows
        self.is_broken = False  # the model failed at the last question that it was given
        self._writing = Writing(network, processor)
        self._line = FairLine[Answer](places)
        self._answer_s: float | None = None  # from the beginning of an answer to its end
        threading.Thread(target=self._work, daemon=True).start()

    def ask(
        self,
        chat: list[dict],
        client: str = "",
        session: str = "",
        max_new_tokens: int = 256,
        deadline_s: float = 300.0,
        temperature: float = 0.0,
    ) -> Answer:
        """Adds a question to the queue.

        Args:
            chat: the conversation, as `GemProcessor.apply_chat_template` takes it.
            client: who asks; clients take turns in the queue.
            session: of which session of the client; sessions take turns too.
            max_new_tokens: length limit of the answer.
            deadline_s: s from now. An answer that is being written then is cut off; a question that still waits fails.
            temperature: of the sampling; 0 for the greedy answer.

        Raises:
            TooBusyError: too many are waiting.
        """
        answer = Answer(chat, max_new_tokens, deadline_s, temperature, self._line.leave)
        self._line.join(answer, client, session)
        self._tell_places()
        return answer

    def close(self) -> None:
        """Ends the thread after the answers in progress; waiting questions fail."""
        self._line.close()
        for answer in self._line.waiting():
            answer.fail(EngineError("The server is being stopped; ask again."))

    @property
    def running(self) -> tuple[Answer, ...]:
        """The answers that are being written."""
        return tuple(self._writing.answers)

    @property
    def waiting(self) -> int:
        """How many questions wait."""
        return len(self._line.waiting())

    @property
    def waiting_s(self) -> float:
        """Estimated s until a question that is asked now is begun, from earlier answers."""
        return (1 + self.waiting) / self.most_rows * (self._answer_s or 1.0)

    def _work(self) -> None:
        writing = self._writing
        while True:
            room = self.most_rows - len(writing.answers) if writing.is_open else 0
            joining = self._line.take(room, wait=not writing.answers) if room > 0 else []
            if joining:
                self._tell_places()
                self._join(joining)
            elif not writing.answers:
                return  # the line is closed
            if writing.answers:
                self._write()

    def _tell_places(self) -> None:
        for place, answer in enumerate(self._line.waiting(), 1):
            seconds = None if self._answer_s is None else place / self.most_rows * self._answer_s
            answer.tell(Progress(place=place, seconds=seconds))

    def _join(self, answers: Sequence[Answer]) -> None:
        """Begins the answers that are still wanted. If that fails, each is tried alone, so that only the faulty question fails."""
        wanted = [answer for answer in answers if not answer.over and time.monotonic() < answer.deadline]
        for answer in wanted:
            answer.tell(Progress())
        try:
            if wanted:
                self._writing.join(wanted)
                self._learn(wanted)
        except Exception as error:
            if len(wanted) > 1:
                for answer in wanted:
                    self._join([answer])
            else:
                self._fail(wanted[0], error)

    def _write(self) -> None:
        """Continues the answers until others can join. If that fails, each is begun again, alone."""
        answers = list(self._writing.answers)
        try:
            self._writing.write(self._can_join)
            self._learn(answers)
        except Exception as error:
            self._writing.clear()
            if len(answers) == 1:
                self._fail(answers[0], error)
                return
            for answer in answers:
                self._join([answer])
                while self._writing.answers:
                    self._write()

    def _can_join(self) -> bool:
        rows = self._writing.answers
        has_room = len(rows) < self.most_rows or any(answer.over for answer in rows)
        return has_room and bool(self._line)

    def _learn(self, answers: Iterable[Answer]) -> None:
        """Notes that the model works, and the duration of finished answers."""
        self.is_broken = False
        for answer in answers:
            if answer.latest.done and answer.begun is not None:
                took = time.monotonic() - answer.begun
                known = took if self._answer_s is None else self._answer_s
                self._answer_s = _NEW_SHARE * took + (1 - _NEW_SHARE) * known

    def _fail(self, answer: Answer, error: Exception) -> None:
        """Ends an answer with an error: what is wrong with the question, or that the model failed, with the reason in the log."""
        failure = error
        if not isinstance(failure, GemError):
            self.is_broken = True
            log.error("the model failed at a question (%s)", type(error).__name__, exc_info=error)
            failure = EngineError("The model could not answer; try a shorter question or another record.")
            failure.__cause__ = error
        if not answer.over:
            answer.fail(failure)


__all__ = ["Batcher"]
