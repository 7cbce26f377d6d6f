# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Work in several processes: results in the order of the items, few items at a time, and a process may die."""

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_processes(
    work: Callable[[Item], Made], items: Iterable[Item], workers: int, ahead: int
) -> Iterator[tuple[Item, Made | BrokenProcessPool]]:
    """
    Each item with the result of `work`, in the order of `items`. Exceptions of `work` are raised here.

    Args:
        work: a function that can be pickled. Its arguments and results must be picklable too.
        items: the arguments; read as they are needed.
        workers: number of processes.
        ahead: the largest number of items in progress, which bounds the memory for items and results.

    Returns:
        Pairs of item and result. The result is a `BrokenProcessPool` if the item's process died; other items that were in
        progress then may get it too. Later items go to new processes.
    """
    waiting = iter(items)
    pending: deque[tuple[Item, Future[Made]]] = deque()
    pool = _pool(workers)
    try:
        while True:
            for item in islice(waiting, ahead - len(pending)):
                try:
                    future = pool.submit(work, item)
                except BrokenProcessPool:
                    pool = _pool(workers)
                    future = pool.submit(work, item)
                pending.append((item, future))
            if not pending:
                return
            item, future = pending.popleft()
            made: Made | BrokenProcessPool
            try:
                made = future.result()
            except BrokenProcessPool as died:
                made = died
            yield item, made
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not fork: this process may hold threads (progress bars, Arrow).
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)


def _start_worker() -> None:
    """One thread per process, as the processes already take all cores; and none of them outlives a killed parent."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


__all__ = ["in_processes"]
