# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Stages of work on Ray Data: tasks on every core, actors that hold a model; what failed arrives as it was raised."""

import logging
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from processing.errors_gem import BuildError, GemError
from processing.extras_gem import require

# What a stage does: an item and what the stages before made of it -> what it makes of them.
Work = Callable[[Any, Any], Any]
Row = dict[str, bytes]

_END_S = 10.0  # for the threads of a pipeline that was left early
_PARKED = "Prefetcher"  # a thread of Ray Data that waits forever and then asks nothing of Ray


@dataclass(frozen=True)
class Stage:
    """One step of a pipeline on Ray, with the resources that it needs.

    Args:
        work: what is done, to be pickled; of a stage with actors what makes it, once in each actor.
        actors: that hold what the work needs; 0 for tasks on any core.
        cpus, gpus: that a task or actor takes, in parts of one too.
    """

    work: Any
    actors: int = 0
    cpus: float = 1.0
    gpus: float = 0.0


class RayCluster:
    """Runs stages on a Ray cluster.

    Args:
        address: `ray://HOST:10001`, `auto` (the cluster this machine belongs to), or `local` (one of its own).
        local_cpus: cores of a cluster of its own.
    """

    def __init__(self, address: str = "auto", local_cpus: int | None = None) -> None:
        self.address, self.local_cpus = address, local_cpus

    def run(self, items: Sequence[Any], stages: Sequence[Stage]) -> Iterator[Any]:
        """
        What the stages made of each item, in the order in which they end. An item is what is scheduled, lost and done again.

        Raises:
            MissingDependencyError: Ray is not installed (`gem-ecg[ray]`).
            BuildError: there is no cluster at the address, it is too small, or a task failed.
            GemError: what a stage raised.
        """
        ray = require("ray", "--engine ray")
        if not items:
            return
        started = not ray.is_initialized()
        if started:
            self._connect(ray)
        others = set(threading.enumerate())
        try:
            _check_size(ray.cluster_resources(), stages)
            with closing(iter(self._pipeline(ray, items, stages).iter_rows())) as rows:
                for row in rows:
                    _, made = pickle.loads(row["work"])
                    if isinstance(made, GemError):
                        raise made
                    yield made
        except ray.exceptions.RayError as error:
            raise BuildError(
                f"Ray: {_first_line(error)} What was finished is complete; run the same command again."
            ) from error
        finally:
            _wait_for_threads(others)
            if started:
                ray.shutdown()

    def _connect(self, ray: ModuleType) -> None:
        own = self.address == "local"
        _check_reachable(self.address)
        try:
            ray.init(
                address=self.address,
                **({"num_cpus": self.local_cpus, "include_dashboard": False} if own else {}),
                logging_level="ERROR",
                log_to_driver=False,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise BuildError(
                f"--address {self.address}: no Ray cluster there ({error}). Start one with `ray start`."
            ) from error

    @staticmethod
    def _pipeline(ray: ModuleType, items: Sequence[Any], stages: Sequence[Stage]) -> Any:
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        rows = [{"work": pickle.dumps((item, None))} for item in items]
        # One block per item, so that items go through the stages one by one.
        pipeline = ray.data.from_items(rows, override_num_blocks=len(rows))
        for stage in stages:
            takes = {"num_cpus": stage.cpus, "num_gpus": stage.gpus}
            if stage.actors:
                pool = ray.data.ActorPoolStrategy(size=stage.actors)
                pipeline = pipeline.map(ActorStage, fn_constructor_args=(stage.work,), compute=pool, **takes)
            else:
                pipeline = pipeline.map(task_stage, fn_kwargs={"work": stage.work}, **takes)
        return pipeline


def task_stage(row: Row, work: Work) -> Row:
    """A stage as a task of Ray; an error of ours travels on as a value, so that it arrives as it is."""
    item, made = pickle.loads(row["work"])
    if not isinstance(made, GemError):
        try:
            made = work(item, made)
        except GemError as error:
            made = error
    return {"work": pickle.dumps((item, made))}


class ActorStage:
    """A stage as an actor of Ray, which makes what it works with once."""

    def __init__(self, make: Callable[[], Work]) -> None:
        self.work = make()

    def __call__(self, row: Row) -> Row:
        return task_stage(row, self.work)


def _wait_for_threads(others: set[threading.Thread]) -> None:
    """Waits for all threads but `others`. A thread of Ray Data that outlives `ray.shutdown` makes Ray end this process at once."""
    until = time.monotonic() + _END_S
    for thread in set(threading.enumerate()) - others:
        if thread.name != _PARKED:
            thread.join(max(until - time.monotonic(), 0))


def _check_size(resources: dict[str, float], stages: Sequence[Stage]) -> None:
    """Ray itself would wait for more nodes without saying so.

    Raises:
        BuildError: the actors leave no core for the tasks, or there are not enough GPUs.
    """
    cpus = sum(stage.actors * stage.cpus for stage in stages)
    cpus += max((stage.cpus for stage in stages if not stage.actors), default=0)
    gpus = sum(stage.actors * stage.gpus for stage in stages)
    has = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    if cpus > has[0] or gpus > has[1]:
        raise BuildError(
            f"Ray: this needs {cpus:g} cores and {gpus:g} GPUs, and the cluster has {has[0]:g} and {has[1]:g}. Start more nodes "
            "first, or ask for fewer models or teachers."
        )


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes without saying so.

    Raises:
        BuildError: nothing listens at `HOST:PORT`.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise BuildError(
            f"--address {address}: no Ray cluster there ({error.strerror or error}). Start one with `ray start`."
        ) from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


__all__ = ["RayCluster", "Stage"]
