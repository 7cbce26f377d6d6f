# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Waiting questions answered as one `generate` batch; each answer is streamed to the one who asked."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from processing.errors_gem import GemError

from .fair_line import FairLine, LateError, Places

if TYPE_CHECKING:
    from modeling_gem import GemForConditionalGeneration, GemProcessor

GATHER_S = 0.03  # questions of one moment become one batch
TELL_S = 0.1  # between two parts of a stream: more often nobody can read
HEARTBEAT_S = 2.0
_NEW_SHARE = 0.5  # of the newest batch in the expected duration of the next one

log = logging.getLogger(__name__)


class EngineError(GemError):
    """The model itself failed, not the question."""


@dataclass(frozen=True)
class Progress:
    """How far an answer is.

    Attributes:
        text: what is written so far.
        place: its place in the line, from 1; 0 once its turn has come.
        seconds: s until it is begun, as far as one can tell from the batches before; `None` if there were none.
        done: nothing will be added.
        cut: its time was up before it ended.
        tokens: how many were written.
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
        self.begun = False
        self.cancelled = False
        self.latest = Progress()
        self.failure: GemError | None = None
        self.prompt_tokens = 0  # of its question, once it is begun
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._telling = threading.Lock()

    def cancel(self) -> None:
        """Nobody wants it any more: it leaves the line, or its row of the batch ends with the next token."""
        self.cancelled = True
        self._leave(self)

    @property
    def over(self) -> bool:
        """Whether nothing more comes: done, cancelled or failed."""
        return self.latest.done or self.cancelled or self.failure is not None

    def tell(self, progress: Progress) -> None:
        """News for the one who asked, from any thread; where it stood in the line is none once its turn has come."""
        with self._telling:
            if progress.place and self.begun:
                return
            self.begun = self.begun or not progress.place
            self.latest = progress
        self._wake()

    def fail(self, failure: GemError) -> None:
        """Ends the answer with an error, which its reader gets."""
        self.failure = failure
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever listened
            self._loop.call_soon_threadsafe(self._news.set)

    async def text(self) -> str:
        """All of it, once it is written; raises as `progress` does."""
        async for progress in self.progress():
            latest = progress.text
        return latest

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


class Batcher:
    """One model for many users. A greedy answer is the one that a single call gives, whatever else is in its batch.

    Args:
        network, processor: a GEM.
        most_rows: questions that are answered at once; what the memory allows.
        places: how many may wait.
    """

    def __init__(
        self,
        network: "GemForConditionalGeneration",
        processor: "GemProcessor",
        most_rows: int = 16,
        places: Places | None = None,
    ) -> None:
        self.network = network
        self.processor = processor
        self.most_rows = most_rows
        self._line = FairLine[Answer](places)
        self._expected_s: float | None = None
        self._begun: float | None = None
        self.running: tuple[Answer, ...] = ()  # what is being written
        self.coming = 0  # questions that are being prepared, and will be asked
        self.is_broken = False  # the model failed at the last question that it was given
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

    @contextlib.contextmanager
    def preparing(self) -> Iterator[None]:
        """Around what prepares a question: a batch waits for it a moment. To be used in the event loop."""
        self.coming += 1
        try:
            yield
        finally:
            self.coming -= 1

    def close(self) -> None:
        """Ends the thread after the batch that it is at; what waits fails."""
        self._line.close()
        for answer in self._line.waiting():
            answer.fail(EngineError("The server is being stopped; ask again."))

    @property
    def waiting(self) -> int:
        """How many questions wait."""
        return len(self._line.waiting())

    @property
    def waiting_s(self) -> float:
        """s until a question that is asked now is begun, as far as one can tell from the batches before."""
        return (1 + self.waiting // self.most_rows) * (self._expected_s or 1.0)

    def _work(self) -> None:
        while batch := self._line.take(self.most_rows, GATHER_S, lambda: self.coming > 0):
            begun = time.monotonic()
            self._begun, self.running = begun, tuple(batch)
            try:
                self._tell_places()
                self._answer(batch)
            except Exception as error:  # the thread must live: whoever waits is answered or told
                self._fail(batch, error)
            took = time.monotonic() - begun
            self._begun, self.running = None, ()
            known = took if self._expected_s is None else self._expected_s
            self._expected_s = _NEW_SHARE * took + (1 - _NEW_SHARE) * known

    def _tell_places(self) -> None:
        begun, batch_s = self._begun, self._expected_s
        running_s = (
            max(batch_s - (time.monotonic() - begun), 0.0) if batch_s is not None and begun is not None else 0.0
        )
        for place, answer in enumerate(self._line.waiting()):
            seconds = None if batch_s is None else running_s + place // self.most_rows * batch_s
            answer.tell(Progress(place=place + 1, seconds=seconds))

    def _answer(self, answers: Sequence[Answer]) -> None:
        """Answers those that are still wanted. If the batch fails each is tried alone, so that one bad question harms no other."""
        wanted = [answer for answer in answers if not answer.over and time.monotonic() < answer.deadline]
        for answer in wanted:
            answer.tell(Progress())
        try:
            if wanted:
                self._generate(wanted)
                self.is_broken = False
        except Exception as error:
            if len(wanted) > 1:
                for answer in wanted:
                    self._answer([answer])
                return
            if isinstance(error, GemError):
                wanted[0].fail(error)
            else:
                self._fail(wanted, error)

    def _fail(self, answers: Iterable[Answer], error: Exception) -> None:
        """Tells those who wait that the model failed, and the log why."""
        self.is_broken = True
        log.error("the model failed at a question (%s)", type(error).__name__, exc_info=error)
        for answer in answers:
            if not answer.over:
                failure = EngineError("The model could not answer; try a shorter question or another record.")
                failure.__cause__ = error
                answer.fail(failure)

    def _generate(self, answers: Sequence[Answer]) -> None:
        inputs = self.processor.apply_chat_template(
            [answer.chat for answer in answers],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            draw_page=False,
            processor_kwargs={"padding": True},
        ).to(self.network.device)
        for answer, length in zip(answers, inputs["attention_mask"].sum(1).tolist(), strict=True):
            answer.prompt_tokens = length
        rows = _Rows(answers, self.processor, self.network.generation_config.eos_token_id)
        with torch.inference_mode():
            self.network.generate(
                **inputs,
                max_new_tokens=max(answer.max_new_tokens for answer in answers),
                **_sampling(answers),
                streamer=rows,
                stopping_criteria=StoppingCriteriaList([rows]),
            )
        rows.end()


def _sampling(answers: Sequence[Answer]) -> dict[str, Any]:
    """Arguments of `generate` for rows that are greedy or sampled, each as it was asked for."""
    temperatures = [answer.temperature for answer in answers]
    if not any(temperatures):
        return {"do_sample": False}
    settings = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    return {**settings, "logits_processor": LogitsProcessorList([_Temperatures(temperatures)])}


class _Temperatures(LogitsProcessor):
    """Divides the scores of each row by its temperature; a greedy row keeps its best token alone."""

    def __init__(self, temperatures: Sequence[float]) -> None:
        self.temperatures = torch.tensor(temperatures)[:, None]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        temperatures = self.temperatures.to(scores.device)
        best = torch.full_like(scores, -torch.inf).scatter(1, scores.argmax(1, keepdim=True), 0.0)
        return torch.where(temperatures > 0, scores / temperatures.clamp(min=1e-3), best)


class _Rows(BaseStreamer, StoppingCriteria):
    """Hands every row's tokens to its question, and ends the rows that are cut or that nobody wants any more."""

    def __init__(self, answers: Sequence[Answer], processor: "GemProcessor", eos: int | Iterable[int] | None) -> None:
        self.answers = answers
        self.tokenizer = processor.tokenizer
        self.eos = {eos} if isinstance(eos, int) else set(eos or ())
        self.tokens: list[list[int]] = [[] for _ in answers]
        self.told = 0.0
        self.prompt_is_next = True

    def put(self, value: torch.Tensor) -> None:
        if self.prompt_is_next:
            self.prompt_is_next = False
            return
        now = time.monotonic()
        is_time = now - self.told >= TELL_S
        for answer, tokens, token in zip(self.answers, self.tokens, value.tolist(), strict=True):
            if answer.over:
                continue
            if token not in self.eos:
                tokens.append(token)
            ended = token in self.eos or len(tokens) >= answer.max_new_tokens
            cut = not ended and now > answer.deadline
            if ended or cut or is_time:
                answer.tell(self._progress(tokens, ended or cut, cut))
        if is_time:
            self.told = now

    def end(self) -> None:
        for answer, tokens in zip(self.answers, self.tokens, strict=True):
            if not answer.over:
                answer.tell(self._progress(tokens, True, False))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: object) -> torch.Tensor:
        return torch.tensor([answer.over for answer in self.answers], device=input_ids.device)

    def _progress(self, tokens: list[int], done: bool, cut: bool) -> Progress:
        text = self.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        whole = text if done else text.rstrip("\ufffd")  # half of a character
        return Progress(whole, done=done, cut=cut, tokens=len(tokens))


__all__ = ["Answer", "Batcher", "EngineError", "Progress"]
