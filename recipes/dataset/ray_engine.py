# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The stages of a build on Ray Data: one row of the pipeline is a shard, so that its file is what any other engine writes.

Measuring runs on every core of the cluster; teaching is a stage of its own, whose actors hold a local model or an
endpoint's limits; writing goes to a folder that all nodes share. Shards that are complete are never sent.
"""

import logging
import pickle
import socket
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from processing.errors_gem import BuildError, GemError
from processing.extras_gem import require

from .plan import Shard
from .settings import BuildSettings
from .shards import ShardNote, write_shard
from .stages import answer, measure

if TYPE_CHECKING:
    from ray.data import Dataset


class RayEngine:
    """Makes shards on a Ray cluster.

    Args:
        address: `ray://HOST:10001`, `auto` (the cluster this machine belongs to), or `local` (one of its own).
        teachers: actors that teach at the same time.
        teacher_gpus: GPUs of each, for a local model.
        local_cpus: cores of a cluster of its own.

    Raises:
        MissingDependencyError: Ray is not installed (`gem-ecg[ray]`).
        BuildError: there is no cluster at the address, or a task failed.
    """

    def __init__(
        self, address: str = "auto", teachers: int = 1, teacher_gpus: float = 0, local_cpus: int | None = None
    ) -> None:
        self.address, self.teachers, self.teacher_gpus, self.local_cpus = address, teachers, teacher_gpus, local_cpus

    def __call__(self, shards: list[Shard], settings: BuildSettings) -> Iterator[ShardNote]:
        """Builds the shards on the cluster and hands out their notes as they are done.

        Raises:
            GemError: a shard failed, the cluster does not answer, or Ray is not installed.
        """
        ray = require("ray", "--engine ray")
        if not shards:
            return
        started = not ray.is_initialized()
        if started:
            self._connect(ray)
        try:
            for row in self._pipeline(ray, shards, settings).iter_rows():
                _, note = pickle.loads(row["work"])
                if isinstance(note, GemError):
                    raise note
                yield note
        except ray.exceptions.RayError as error:
            raise BuildError(
                f"Ray: {_first_line(error)} Shards that were finished are complete; run the same command again."
            ) from error
        finally:
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

    def _pipeline(self, ray: ModuleType, shards: list[Shard], settings: BuildSettings) -> "Dataset":
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        rows = [{"work": pickle.dumps((shard, None))} for shard in shards]
        # One block per shard: a shard is the unit that is scheduled, lost and done again.
        measured = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            measure_row, fn_kwargs={"settings": settings}, num_cpus=1
        )
        taught = measured.map(
            TeachRow,
            fn_constructor_args=(settings,),
            compute=ray.data.ActorPoolStrategy(size=self.teachers),
            num_cpus=0.5,
            num_gpus=self.teacher_gpus,
        )
        return taught.map(write_row, fn_kwargs={"settings": settings}, num_cpus=0.25)


Row = dict[str, bytes]


def measure_row(row: Row, settings: BuildSettings) -> Row:
    return _stage(row, lambda shard, _: measure(shard.records, settings))


class TeachRow:
    """The stage that holds a teacher, once per actor."""

    def __init__(self, settings: BuildSettings) -> None:
        self.settings = settings

    def __call__(self, row: Row) -> Row:
        return _stage(row, lambda _, batch: answer(batch, self.settings))


def write_row(row: Row, settings: BuildSettings) -> Row:
    return _stage(row, lambda shard, batch: write_shard(batch, shard, settings))


def _stage(row: Row, work: Callable[[Shard, Any], Any]) -> Row:
    """A shard and what the stages so far made of it; an error of ours travels on as a value, so that it arrives as it is."""
    shard, made = pickle.loads(row["work"])
    if not isinstance(made, GemError):
        try:
            made = work(shard, made)
        except GemError as error:
            made = error
    return {"work": pickle.dumps((shard, made))}


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


__all__ = ["RayEngine"]
