# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The stages of a build on Ray Data: one row of the pipeline is a shard, so that its file is what any other engine writes.

Measuring runs on every core of the cluster; teaching is a stage of its own, whose actors hold a local model or an
endpoint's limits; writing goes to a folder that all nodes share. Shards that are complete are never sent.
"""

import logging
import pickle
import socket
from collections.abc import Iterator
from typing import Any

from processing.errors_gem import BuildError, GemError, MissingDependencyError

from .build_plan import Shard
from .build_settings import BuildSettings
from .build_stages import measure, teach
from .shard_files import write_shard


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

    def __call__(self, shards: list[Shard], settings: BuildSettings) -> Iterator[dict[str, Any]]:
        try:
            import ray
        except ImportError as error:
            raise MissingDependencyError("--engine ray needs the library 'ray': pip install gem-ecg[ray]") from error
        if not shards:
            return
        started = not ray.is_initialized()
        if started:
            self._connect(ray)
        try:
            for row in self._pipeline(ray, shards, settings).iter_rows():
                yield pickle.loads(row["note"])
        except Exception as error:
            root = _root(error)
            if isinstance(root, GemError):
                raise root from error
            raise BuildError(
                f"Ray: {type(root).__name__}: {root} Shards that were finished are complete; run the command again."
            ) from error
        finally:
            if started:
                ray.shutdown()

    def _connect(self, ray: Any) -> None:
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

    def _pipeline(self, ray: Any, shards: list[Shard], settings: BuildSettings) -> Any:
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        rows = [{"shard": pickle.dumps(shard)} for shard in shards]
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


def measure_row(row: dict[str, bytes], settings: BuildSettings) -> dict[str, bytes]:
    shard: Shard = pickle.loads(row["shard"])
    return {"shard": row["shard"], "batch": pickle.dumps(measure(shard.records, settings))}


class TeachRow:
    """The stage that holds a teacher, once per actor."""

    def __init__(self, settings: BuildSettings) -> None:
        self.settings = settings

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        return {"shard": row["shard"], "batch": pickle.dumps(teach(pickle.loads(row["batch"]), self.settings))}


def write_row(row: dict[str, bytes], settings: BuildSettings) -> dict[str, bytes]:
    note = write_shard(pickle.loads(row["batch"]), pickle.loads(row["shard"]), settings)
    return {"note": pickle.dumps(note)}


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes, without a word.

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


def _root(error: BaseException) -> BaseException:
    """What went wrong in a task, below the wrappers of Ray."""
    while (inner := getattr(error, "cause", None) or error.__cause__) is not None:
        error = inner
    return error


__all__ = ["RayEngine"]
