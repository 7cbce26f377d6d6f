# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A desk for tasks of less than a second: a few threads, a fair queue before them, a deadline for each task."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from .fair_line import FairLine, LateError, Places

Result = TypeVar("Result")


class _Piece:
    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.result: Future = Future()


class WorkDesk:
    """Runs the tasks of many users, a few at a time.

    Args:
        workers: number of tasks that run at once.
        places: number of tasks that may wait.
    """

    def __init__(self, workers: int = 2, places: Places | None = None) -> None:
        self._line = FairLine[_Piece](places)
        for _ in range(workers):
            threading.Thread(target=self._serve, daemon=True).start()

    async def do(self, work: Callable[[], Result], client: str, session: str, within_s: float) -> Result:
        """
        The result of `work`, run in a thread. Its exceptions are raised here. If the call is cancelled before its turn, `work` is not
        started; once started, `work` runs to its end and its result is dropped.

        Args:
            work: the function to call.
            client: who asks; clients take turns in the queue.
            session: of which session of the client; sessions take turns too.
            within_s: time limit for the result, s from now.

        Raises:
            TooBusyError: too many are waiting.
            LateError: no result within `within_s`.
        """
        piece = _Piece(work)
        self._line.join(piece, client, session)
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.wrap_future(piece.result)
        except TimeoutError as late:
            raise LateError(f"No result within {within_s:.0f} s: too many people are waiting. Try again.") from late
        finally:
            self._line.leave(piece)

    def close(self) -> None:
        """Ends the threads after their current tasks."""
        self._line.close()

    def _serve(self) -> None:
        while taken := self._line.take():
            self._do(taken.pop())  # in a call, so that a thread that waits holds neither work nor result

    @staticmethod
    def _do(piece: _Piece) -> None:
        if not piece.result.set_running_or_notify_cancel():
            return
        try:
            piece.result.set_result(piece.work())
        except BaseException as error:
            piece.result.set_exception(error)


__all__ = ["WorkDesk"]
